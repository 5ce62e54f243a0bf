//! The products of com.microsoft's DynamicQuantizeLSTM.
//!
//! Rules: x (as a whole) and each row of h are quantised to `u8` as
//! DynamicQuantizeLinear does; the products are exact integers, less the zero
//! points; a product is then `f32(sum) · (scale of x or h · weight scale)`.
//! Weights are `i8` or `u8`, [directions, input or hidden, 4 · hidden], with one
//! scale and zero point per direction, or per direction and column.

use super::run::Weights;
use super::{DISAGREE, Sizes};
use crate::kernels::Kernels;
use crate::kernels::igemm::{IntMat, Packed};
use crate::kernels::math::canon;
use crate::kernels::simd;
use crate::ops::quant::dynamic;
use crate::ops::{Fault, Inputs};
use crate::tensor::{DType, Data, Tensor};

/// Input places of scale and zero point of W and of R.
const PLACES: [(usize, usize, usize); 2] = [(1, 8, 9), (2, 10, 11)];

/// Checks types and shapes, not values.
pub(super) fn check(inputs: &Inputs<'_>, s: &Sizes) -> Result<(), Fault> {
    let wide = s.gates * s.hidden;
    for (weight, scale, zero) in PLACES {
        let d = inputs.desc(weight)?;
        if !matches!(d.dtype, DType::I8 | DType::U8) || inputs.dtype(zero)? != d.dtype {
            return Err(Fault::Trap("element type not supported here"));
        }
        let per_column = [s.directions, wide];
        let shape = &inputs.typed(scale, DType::F32)?.shape;
        let fits = shape == &per_column || shape == &per_column[..1];
        if !fits || inputs.shape(zero)? != shape.as_slice() {
            return Err(DISAGREE);
        }
    }
    Ok(())
}

/// One direction's matrix of bytes, less its zero points.
struct Matrix {
    packed: Packed,
    /// One scale, or one per column.
    scales: Vec<f32>,
}

fn widened(t: &Tensor) -> Result<Vec<i16>, Fault> {
    match t.data() {
        Data::U8(v) => Ok(v.iter().map(|&x| i16::from(x)).collect()),
        Data::I8(v) => Ok(v.iter().map(|&x| i16::from(x)).collect()),
        _ => Err(Fault::Trap("element type not supported here")),
    }
}

impl Matrix {
    fn new(
        inputs: &Inputs<'_>,
        (weight, scale, zero): (usize, usize, usize),
        direction: usize,
        rows: usize,
        width: usize,
    ) -> Result<Self, Fault> {
        let all = widened(inputs.tensor(weight)?)?;
        let (scales, zeros) = (inputs.slice::<f32>(scale)?, widened(inputs.tensor(zero)?)?);
        let per = if inputs.shape(scale)?.len() == 2 {
            width
        } else {
            1
        };
        let (scales, zeros) = (
            scales[direction * per..][..per].to_vec(),
            &zeros[direction * per..][..per],
        );
        let mut data = all[direction * rows * width..][..rows * width].to_vec();
        for row in data.chunks_exact_mut(width.max(1)) {
            for (v, z) in row.iter_mut().zip(zeros.iter().cycle()) {
                *v -= z;
            }
        }
        let rows_of = IntMat { data: &data, width };
        Ok(Self {
            packed: Packed::new(&rows_of, width, rows),
            scales,
        })
    }
}

/// One direction's weights.
pub(super) struct Bytes {
    kernels: Kernels,
    w: Matrix,
    r: Matrix,
}

impl Bytes {
    pub(super) fn new(
        inputs: &Inputs<'_>,
        s: &Sizes,
        direction: usize,
        kernels: Kernels,
    ) -> Result<Self, Fault> {
        let wide = s.gates * s.hidden;
        Ok(Self {
            kernels,
            w: Matrix::new(inputs, PLACES[0], direction, s.input, wide)?,
            r: Matrix::new(inputs, PLACES[1], direction, s.hidden, wide)?,
        })
    }

    /// `out` = columns `first..first + width` of quantised(x)·`m`; x is quantised
    /// as a whole.
    fn product(&self, x: &[f32], m: &Matrix, first: usize, width: usize, out: &mut [f32]) {
        let (rows, all) = (out.len() / width, m.packed.width());
        let q = dynamic::parameters(self.kernels, x);
        let mut a = vec![0i16; x.len()];
        simd::map1(self.kernels, x, &mut a, |v: f32| {
            i16::from(q.quantise(v)) - i16::from(q.zero)
        });
        let mut sums = vec![0i32; rows * all];
        m.packed.product(self.kernels, rows, &a, &mut sums);
        let scales: Vec<f32> = (first..first + width)
            .map(|j| q.scale * m.scales[if m.scales.len() == 1 { 0 } else { j }])
            .collect();
        for (out, sums) in out.chunks_exact_mut(width).zip(sums.chunks_exact(all)) {
            let sums = &sums[first..first + width];
            for ((o, &s), &w) in out.iter_mut().zip(sums).zip(&scales) {
                *o = canon(s as f32 * w);
            }
        }
    }
}

impl Weights for Bytes {
    fn project(&self, x: &[f32], out: &mut [f32]) {
        self.product(x, &self.w, 0, self.w.packed.width(), out);
    }

    fn recur(&self, h: &[f32], first: usize, width: usize, out: &mut [f32]) {
        let k = self.r.packed.rows();
        for (h, out) in h.chunks_exact(k.max(1)).zip(out.chunks_exact_mut(width)) {
            self.product(h, &self.r, first, width, out);
        }
    }
}
