//! Rows along the first dimension: what loops take and append.

use std::sync::Arc;

use super::{DType, Data, Element, MAX_DIM, Tensor, check_shape, with_data};
use crate::tensor::codec::data_from_bytes;

impl Tensor {
    /// A tensor without elements; `None` when `shape` has some or is out of bounds.
    pub(crate) fn empty(dtype: DType, shape: &[usize]) -> Option<Tensor> {
        Tensor::new(shape, data_from_bytes(dtype, &[])?).ok()
    }

    /// Row `i` along the first dimension.
    pub(crate) fn row(&self, i: usize) -> Option<Tensor> {
        let (&n, rest) = self.shape.split_first()?;
        if i >= n {
            return None;
        }
        let len = self.len() / n;
        let data = with_data!(self.data(), v => wrap(v.get(i * len..(i + 1) * len)?.to_vec()));
        Tensor::new(rest, data).ok()
    }

    /// A copy under another shape of as many elements.
    pub(crate) fn row_of(&self, shape: &[usize]) -> Option<Tensor> {
        Tensor::new(shape, self.data().clone()).ok()
    }

    /// Gives back memory that appending took ahead, when nobody shares the data.
    pub(crate) fn shrink(&mut self) {
        if let Some(data) = Arc::get_mut(&mut self.data) {
            with_data!(data, v => v.shrink_to_fit());
        }
    }

    /// Appends a row along the first dimension, in place when nobody shares the
    /// data; `false` when the row does not fit, and nothing is changed.
    pub(crate) fn push_row(&mut self, row: &Tensor) -> bool {
        let Some((&n, rest)) = self.shape.split_first() else {
            return false;
        };
        if rest != row.shape || self.dtype() != row.dtype() || n >= MAX_DIM {
            return false;
        }
        let mut shape = self.shape.clone();
        shape[0] = n + 1;
        if check_shape(&shape).is_err() {
            return false;
        }
        with_data!(Arc::make_mut(&mut self.data), v => extend(v, row.data()));
        self.shape = shape;
        true
    }
}

fn wrap<T: Element>(v: Vec<T>) -> Data {
    T::wrap(v)
}

fn extend<T: Element>(v: &mut Vec<T>, more: &Data) {
    v.extend_from_slice(T::view(more).unwrap_or(&[]));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_taken_and_appended_make_the_tensor_again() {
        let t = Tensor::from_vec(&[3, 2], vec![1i64, 2, 3, 4, 5, 6]).expect("fits");
        let first = t.row(0).expect("a row");
        let mut again = first.row_of(&[1, 2]).expect("fits");
        assert!(again.push_row(&t.row(1).expect("a row")));
        assert!(again.push_row(&t.row(2).expect("a row")));
        assert_eq!(again, t);
        assert!(t.row(3).is_none());
        assert!(!again.push_row(&Tensor::scalar(1i64)), "another shape");
        let floats = Tensor::from_vec(&[2], vec![1f32, 2.0]).expect("fits");
        assert!(!again.push_row(&floats), "another type");
        assert_eq!(again, t);
        let empty = Tensor::empty(DType::F32, &[0, 4]).expect("fits");
        assert_eq!((empty.shape(), empty.len()), (&[0, 4][..], 0));
        assert!(Tensor::empty(DType::F32, &[1]).is_none());
    }
}
