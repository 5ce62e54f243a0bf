//! Packed forms of a constant, made when first needed and kept.
//!
//! A form depends on the constant and on a key that says how it is read; making
//! it twice would give the same bytes. The cache is not part of the constant's
//! value: nothing that is hashed or compared looks at it.

use std::sync::{Arc, Mutex, PoisonError};

use super::Kernels;
use super::bytes::{self, Bytes};
use super::pack::{Cut, Packed, Panels};

/// Most forms of one constant.
const FORMS: usize = 4;

/// How a constant is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Form {
    pub(crate) kernels: Kernels,
    pub(crate) cut: Cut,
    pub(crate) k: usize,
    pub(crate) transposed: bool,
    /// Equal parts that follow one another: a convolution's groups.
    pub(crate) parts: usize,
}

/// How a constant of bytes is read: equal k×n matrices that follow one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ByteForm {
    pub(crate) kernels: Kernels,
    pub(crate) n: usize,
    pub(crate) k: usize,
}

/// Forms of one kind, with the parts of each.
type Forms<F, P> = Mutex<Vec<(F, Arc<Vec<P>>)>>;

/// The forms of one constant.
#[derive(Debug, Default)]
pub(crate) struct Prepared {
    floats: Forms<Form, Packed>,
    bytes: Forms<ByteForm, bytes::Packed>,
}

/// The form's parts, made now if they are missing and there is room.
fn find<F: Copy + PartialEq, P>(
    forms: &Forms<F, P>,
    form: F,
    parts: impl FnOnce() -> Vec<P>,
) -> Option<Arc<Vec<P>>> {
    let mut forms = forms.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, packed)) = forms.iter().find(|(f, _)| *f == form) {
        return Some(Arc::clone(packed));
    }
    if forms.len() == FORMS {
        return None;
    }
    let packed = Arc::new(parts());
    forms.push((form, Arc::clone(&packed)));
    Some(packed)
}

impl Prepared {
    /// The parts of a form; `part` gives the i-th matrix, should it be missing.
    /// `None` when the constant has too many forms already.
    pub(crate) fn get<P: Panels>(
        &self,
        form: Form,
        part: impl Fn(usize) -> P,
    ) -> Option<Arc<Vec<Packed>>> {
        find(&self.floats, form, || {
            (0..form.parts)
                .map(|i| Packed::new(form.cut, form.k, &part(i)))
                .collect()
        })
    }

    /// [`Prepared::get`] for the matrices that `all` holds.
    pub(crate) fn bytes(&self, form: ByteForm, all: Bytes<'_>) -> Option<Arc<Vec<bytes::Packed>>> {
        let size = form.n * form.k;
        let count = all.len().checked_div(size)?;
        find(&self.bytes, form, || {
            (0..count)
                .map(|i| {
                    let part = all.part(i * size, size);
                    bytes::Packed::new(form.kernels, part, form.n, form.k)
                })
                .collect()
        })
    }
}
