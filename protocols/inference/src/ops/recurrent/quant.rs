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
use crate::kernels::igemm::{self, IntRows};
use crate::kernels::math::canon;
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
    data: Vec<i16>,
    width: usize,
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
        Ok(Self {
            data,
            width,
            scales,
        })
    }
}

/// Columns from `first` on.
struct Columns<'a>(&'a Matrix, usize);

impl IntRows for Columns<'_> {
    fn fill(&self, p: usize, j0: usize, dst: &mut [i16]) {
        let at = p * self.0.width + self.1 + j0;
        dst.copy_from_slice(&self.0.data[at..at + dst.len()]);
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

    /// `out` = quantised(x)·columns of `m`; x is quantised as a whole.
    fn product(&self, x: &[f32], m: &Matrix, first: usize, width: usize, out: &mut [f32]) {
        let rows = out.len() / width;
        let k = m.data.len() / m.width.max(1);
        let q = dynamic::parameters(self.kernels, x);
        let a: Vec<i16> = (x.iter())
            .map(|&v| i16::from(q.quantise(v)) - i16::from(q.zero))
            .collect();
        let mut sums = vec![0i32; out.len()];
        let dims = (rows, width, k);
        igemm::igemm(self.kernels, dims, &a, &Columns(m, first), &mut sums);
        let scale = |j: usize| m.scales[if m.scales.len() == 1 { 0 } else { first + j }];
        for (out, sums) in out.chunks_exact_mut(width).zip(sums.chunks_exact(width)) {
            for (j, (o, &s)) in out.iter_mut().zip(sums).enumerate() {
                *o = canon(s as f32 * (q.scale * scale(j)));
            }
        }
    }
}

impl Weights for Bytes {
    fn project(&self, x: &[f32], out: &mut [f32]) {
        self.product(x, &self.w, 0, self.w.width, out);
    }

    fn recur(&self, h: &[f32], first: usize, width: usize, out: &mut [f32]) {
        let k = self.r.data.len() / self.r.width.max(1);
        for (h, out) in h.chunks_exact(k.max(1)).zip(out.chunks_exact_mut(width)) {
            self.product(h, &self.r, first, width, out);
        }
    }
}
