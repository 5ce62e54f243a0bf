//! The products of com.microsoft's DynamicQuantizeLSTM.
//!
//! Rules: x (as a whole) and each row of h are quantised to `u8` as
//! DynamicQuantizeLinear does; the products are exact integers, less the zero
//! points; a product is then `f32(sum) · (scale of x or h · weight scale)`.
//! Weights are `i8` or `u8`, [directions, input or hidden, 4 · hidden], with one
//! scale and zero point per direction, or per direction and column.

use std::sync::Arc;

use super::run::Weights;
use super::{DISAGREE, Sizes};
use crate::kernels::bytes::{self as kernels, Left, Packed};
use crate::kernels::math::canon;
use crate::kernels::prepared::ByteForm;
use crate::kernels::{Kernels, simd};
use crate::ops::quant::{bytes, dynamic, widened};
use crate::ops::{Fault, Inputs};
use crate::tensor::DType;

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

/// All directions' matrices of bytes, packed for good, or this direction's alone.
enum Packing {
    Kept(Arc<Vec<Packed>>, usize),
    Own(Packed),
}

/// One direction's matrix of bytes.
struct Matrix {
    packing: Packing,
    /// One zero point, or one per column; scales likewise.
    zeros: Vec<i16>,
    scales: Vec<f32>,
}

impl Matrix {
    fn new(
        inputs: &Inputs<'_>,
        (weight, scale, zero): (usize, usize, usize),
        direction: usize,
        (k, n): (usize, usize),
        kernels: Kernels,
    ) -> Result<Self, Fault> {
        let t = inputs.tensor(weight)?;
        let (scales, zeros) = (inputs.slice::<f32>(scale)?, widened(inputs.tensor(zero)?)?);
        let per = if inputs.shape(scale)?.len() == 2 {
            n
        } else {
            1
        };
        let all = bytes(t)?;
        let form = ByteForm { kernels, n, k };
        let kept = t.prepared().and_then(|p| p.bytes(form, all));
        let packing = match kept.filter(|k| k.len() > direction) {
            Some(kept) => Packing::Kept(kept, direction),
            None => {
                let part = all.part(direction * n * k, n * k);
                Packing::Own(Packed::new(kernels, part, n, k))
            }
        };
        Ok(Self {
            packing,
            zeros: zeros[direction * per..][..per].to_vec(),
            scales: scales[direction * per..][..per].to_vec(),
        })
    }

    fn packed(&self) -> &Packed {
        match &self.packing {
            Packing::Kept(all, direction) => &all[*direction],
            Packing::Own(packed) => packed,
        }
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
        let matrix = |places, k| Matrix::new(inputs, places, direction, (k, wide), kernels);
        Ok(Self {
            kernels,
            w: matrix(PLACES[0], s.input)?,
            r: matrix(PLACES[1], s.hidden)?,
        })
    }

    /// `out` = quantised(x)·`m`; every `together` elements of x are quantised as one.
    fn product(&self, x: &[f32], m: &Matrix, together: usize, out: &mut [f32]) {
        let packed = m.packed();
        let (n, k) = (packed.width(), packed.rows());
        let rows = out.len() / n;
        let mut q = vec![0u8; x.len()];
        let (mut zeros, mut scales) = (Vec::new(), Vec::new());
        for (x, q) in x.chunks(together).zip(q.chunks_mut(together)) {
            let by = dynamic::parameters(self.kernels, x);
            simd::map1(self.kernels, x, q, |v: f32| by.quantise(v));
            zeros.push(i16::from(by.zero));
            scales.push(by.scale);
        }
        if x.is_empty() {
            // Nothing covers zero: the parameters of nothing.
            let by = dynamic::parameters(self.kernels, x);
            zeros.resize(1, i16::from(by.zero));
            scales.resize(1, by.scale);
        }
        debug_assert_eq!(x.len(), rows * k);
        let mut sums = vec![0i32; rows * n];
        let left = Left {
            bytes: kernels::Bytes::Unsigned(&q),
            zeros: &zeros,
        };
        packed.product(self.kernels, rows, left, &m.zeros, &mut sums);
        let rows = out.chunks_exact_mut(n).zip(sums.chunks_exact(n));
        for (r, (out, sums)) in rows.enumerate() {
            let scale = scales[if scales.len() == 1 { 0 } else { r }];
            if let &[w] = m.scales.as_slice() {
                let by = scale * w;
                simd::map1(self.kernels, sums, out, |s: i32| canon(s as f32 * by));
            } else {
                for ((o, &s), &w) in out.iter_mut().zip(sums).zip(&m.scales) {
                    *o = canon(s as f32 * (scale * w));
                }
            }
        }
    }
}

impl Weights for Bytes {
    fn project(&self, x: &[f32], out: &mut [f32]) {
        self.product(x, &self.w, x.len().max(1), out);
    }

    fn recur(&self, h: &[f32], _: usize, out: &mut [f32]) {
        self.product(h, &self.r, self.r.packed().rows().max(1), out);
    }
}
