//! The recurrence itself: all time steps projected in one product, then one
//! step after the other.

use std::sync::Arc;

use super::activation::Activation;
use super::{DISAGREE, Direction, Kind, Recurrent, Sizes, quant};
use crate::kernels::gemm::{self, Bias, Mat, Operand, Packed};
use crate::kernels::math::{self, canon};
use crate::kernels::pack::{Cut, Side};
use crate::kernels::prepared::Form;
use crate::kernels::{Kernels, simd};
use crate::ops::{Desc, Fault, Inputs, Plan, tensor};
use crate::tensor::{Tensor, numel};

/// One direction's products with its weights.
pub(super) trait Weights {
    /// `out` = x·W, one row per row of x.
    fn project(&self, x: &[f32], out: &mut [f32]);
    /// `out` = h·R from column `first` on, one row per row of h; all columns but
    /// for a GRU that resets before the product.
    fn recur(&self, h: &[f32], first: usize, out: &mut [f32]);
}

/// `f32` weights as ONNX has them; R is transposed once.
struct Plain<'a> {
    kernels: Kernels,
    w: &'a [f32],
    r: Vec<f32>,
    sizes: Sizes,
}

impl Weights for Plain<'_> {
    fn project(&self, x: &[f32], out: &mut [f32]) {
        let (k, n) = (self.sizes.input, self.sizes.gates * self.sizes.hidden);
        let b = Mat::rows(self.w, k).transposed();
        let m = out.len() / n;
        gemm::gemm(self.kernels, (m, n, k), Mat::rows(x, k), b, out);
    }

    fn recur(&self, h: &[f32], first: usize, out: &mut [f32]) {
        let (k, n) = (self.sizes.hidden, self.sizes.gates * self.sizes.hidden);
        let b = Mat {
            data: &self.r[first..],
            rs: n,
            cs: 1,
        };
        let m = h.len() / k;
        gemm::gemm(self.kernels, (m, out.len() / m, k), Mat::rows(h, k), b, out);
    }
}

/// `f32` weights of all directions, packed for good.
struct Kept {
    kernels: Kernels,
    w: Arc<Vec<Packed>>,
    r: Arc<Vec<Packed>>,
    direction: usize,
    sizes: Sizes,
}

impl Kept {
    /// `None` where weights are no constants, or parts of R are needed.
    fn new(
        op: &Recurrent,
        inputs: &Inputs<'_>,
        sizes: Sizes,
        direction: usize,
        kernels: Kernels,
    ) -> Result<Option<Self>, Fault> {
        let before = Kind::Gru {
            linear_before_reset: false,
        };
        let wide = sizes.gates * sizes.hidden;
        if op.kind == before || wide == 0 || sizes.input == 0 {
            return Ok(None);
        }
        let packed = |place: usize, k: usize| -> Result<_, Fault> {
            let (t, v) = (inputs.tensor(place)?, inputs.slice::<f32>(place)?);
            let form = Form {
                kernels,
                cut: Cut::new(kernels, Side::Right, wide),
                k,
                transposed: true,
                parts: sizes.directions,
            };
            let part = |d: usize| Mat::rows(&v[d * wide * k..][..wide * k], k).transposed();
            Ok(t.prepared().and_then(|p| p.get(form, part)))
        };
        let (w, r) = (packed(1, sizes.input)?, packed(2, sizes.hidden)?);
        Ok(w.zip(r).map(|(w, r)| Self {
            kernels,
            w,
            r,
            direction,
            sizes,
        }))
    }

    fn product(&self, x: &[f32], k: usize, weights: &Packed, out: &mut [f32]) {
        let n = self.sizes.gates * self.sizes.hidden;
        let product = gemm::Product {
            transposed: false,
            bias: Bias::None,
            c: out,
        };
        let dims = (x.len() / k, n, k);
        let left = Mat::rows(x, k).transposed();
        let (left, right) = (Operand::Lazy(&left), Operand::Packed(weights));
        gemm::multiply(self.kernels, dims, left, right, product);
    }
}

impl Weights for Kept {
    fn project(&self, x: &[f32], out: &mut [f32]) {
        self.product(x, self.sizes.input, &self.w[self.direction], out);
    }

    fn recur(&self, h: &[f32], _: usize, out: &mut [f32]) {
        self.product(h, self.sizes.hidden, &self.r[self.direction], out);
    }
}

/// What one direction adds to the products.
struct Direct<'a> {
    /// Wb and Rb, `gates · hidden` each.
    bias: Option<(&'a [f32], &'a [f32])>,
    peephole: Option<&'a [f32]>,
    activations: &'a [Activation],
    clip: Option<f32>,
}

impl Direct<'_> {
    /// `v[i] = f(clip(v[i]))`.
    fn activate(&self, k: Kernels, which: usize, v: &mut [f32]) {
        if let Some(c) = self.clip {
            simd::update(k, v, |x| math::min(math::max(x, -c), c));
        }
        match self.activations[which] {
            // The usual ones, compiled on their own.
            Activation::Sigmoid => simd::update(k, v, math::sigmoid),
            Activation::Tanh => simd::update(k, v, math::tanh),
            a => simd::update(k, v, |x| a.apply(x)),
        }
    }
}

/// The states of every sequence of the batch in one direction.
struct States {
    h: Vec<f32>,
    c: Vec<f32>,
    /// h·R, or parts of it.
    gates: Vec<f32>,
    part: Vec<f32>,
}

pub(super) fn run(
    op: &Recurrent,
    inputs: &Inputs<'_>,
    plan: &Plan,
    kernels: Kernels,
) -> Result<Vec<Tensor>, Fault> {
    let s = op.sizes(inputs)?;
    if plan.outputs.iter().all(|d| d.len() == 0) {
        // Nothing to compute, for however many steps and sequences.
        let none = |d: &Desc| tensor(&d.shape, Vec::<f32>::new());
        return plan.outputs.iter().map(none).collect();
    }
    let x = inputs.slice::<f32>(0)?;
    let optional = |i: usize| {
        if inputs.has(i) {
            inputs.slice::<f32>(i).map(Some)
        } else {
            Ok(None)
        }
    };
    let lens: Vec<usize> = if inputs.has(4) {
        let lens = inputs.slice::<i32>(4)?;
        let one = |&l: &i32| usize::try_from(l).ok().filter(|&l| l <= s.steps);
        let lens: Option<Vec<usize>> = lens.iter().map(one).collect();
        lens.ok_or(Fault::Trap("a sequence is longer than its input"))?
    } else {
        vec![s.steps; s.batch]
    };
    let (bias, first_h) = (optional(3)?, optional(5)?);
    let (first_c, peepholes) = if op.kind.lstm() {
        (optional(6)?, optional(7)?)
    } else {
        (None, None)
    };
    let wide = s.gates * s.hidden;
    let mut outputs: Vec<Vec<f32>> = plan
        .outputs
        .iter()
        .map(|d| vec![0f32; numel(&d.shape) as usize])
        .collect();
    let per = op.activations.len() / s.directions;
    for d in 0..s.directions {
        let weights: Box<dyn Weights> = if op.quantised {
            Box::new(quant::Bytes::new(inputs, &s, d, kernels)?)
        } else if let Some(kept) = Kept::new(op, inputs, s, d, kernels)? {
            Box::new(kept)
        } else {
            let w = &inputs.slice::<f32>(1)?[d * wide * s.input..][..wide * s.input];
            let r = &inputs.slice::<f32>(2)?[d * wide * s.hidden..][..wide * s.hidden];
            Box::new(Plain {
                kernels,
                w,
                r: transposed(r, wide, s.hidden),
                sizes: s,
            })
        };
        let direct = Direct {
            bias: bias.map(|b| b[d * 2 * wide..][..2 * wide].split_at(wide)),
            peephole: peepholes.map(|p| &p[d * 3 * s.hidden..][..3 * s.hidden]),
            activations: &op.activations[d * per..][..per],
            clip: op.clip,
        };
        let backward = op.direction == Direction::Reverse || d == 1;
        let mut states = States {
            h: begin(op, &s, d, first_h),
            c: begin(op, &s, d, first_c),
            gates: vec![0f32; s.batch * wide],
            part: vec![0f32; s.batch * s.hidden],
        };
        if wide > 0 && s.batch > 0 && s.steps > 0 {
            direction(
                op,
                &s,
                x,
                (&*weights, &direct),
                (&lens, backward),
                &mut states,
                (d, outputs.first_mut().ok_or(DISAGREE)?),
                kernels,
            );
        }
        for (out, last) in outputs.iter_mut().skip(1).zip([&states.h, &states.c]) {
            for (b, row) in last.chunks_exact(s.hidden.max(1)).enumerate() {
                let at = if op.batch_first {
                    b * s.directions + d
                } else {
                    d * s.batch + b
                };
                out[at * s.hidden..][..s.hidden].copy_from_slice(row);
            }
        }
    }
    let named = plan.outputs.iter().zip(outputs);
    named.map(|(d, v)| tensor(&d.shape, v)).collect()
}

fn transposed(v: &[f32], rows: usize, cols: usize) -> Vec<f32> {
    let mut out = vec![0f32; v.len()];
    for (i, row) in v.chunks_exact(cols.max(1)).enumerate() {
        for (j, &x) in row.iter().enumerate() {
            out[j * rows + i] = x;
        }
    }
    out
}

/// Direction `d`'s initial states, batch × hidden.
fn begin(op: &Recurrent, s: &Sizes, d: usize, given: Option<&[f32]>) -> Vec<f32> {
    let Some(v) = given else {
        return vec![0f32; s.batch * s.hidden];
    };
    let row = |b: usize| {
        let at = if op.batch_first {
            b * s.directions + d
        } else {
            d * s.batch + b
        };
        &v[at * s.hidden..][..s.hidden]
    };
    (0..s.batch).flat_map(|b| row(b).iter().copied()).collect()
}

/// Runs one direction over all time steps.
#[allow(clippy::too_many_arguments)]
fn direction(
    op: &Recurrent,
    s: &Sizes,
    x: &[f32],
    (weights, direct): (&dyn Weights, &Direct<'_>),
    (lens, backward): (&[usize], bool),
    st: &mut States,
    (d, sequence): (usize, &mut [f32]),
    k: Kernels,
) {
    let (wide, h) = (s.gates * s.hidden, s.hidden);
    let mut pre = vec![0f32; s.steps * s.batch * wide];
    weights.project(x, &mut pre);
    if let Some((w, r)) = direct.bias {
        let mut both: Vec<f32> = w.iter().zip(r).map(|(&w, &r)| w + r).collect();
        if op.kind
            == (Kind::Gru {
                linear_before_reset: true,
            })
        {
            both[2 * h..].copy_from_slice(&w[2 * h..]);
        }
        for row in pre.chunks_exact_mut(wide) {
            add(k, &both, row);
        }
    }
    let mut next = vec![0f32; h];
    for step in 0..s.steps {
        let zr = match op.kind {
            Kind::Gru {
                linear_before_reset: false,
            } => 2 * h,
            _ => wide,
        };
        weights.recur(&st.h, 0, &mut st.gates[..s.batch * zr]);
        for (b, &len) in lens.iter().enumerate() {
            if step >= len {
                continue;
            }
            let t = if backward { len - 1 - step } else { step };
            let row = if op.batch_first {
                b * s.steps + t
            } else {
                t * s.batch + b
            };
            let pre = &mut pre[row * wide..][..wide];
            let recurrent = &st.gates[b * zr..][..zr];
            let (hidden, cell) = (&mut st.h[b * h..][..h], &mut st.c[b * h..][..h]);
            match op.kind {
                Kind::Rnn => {
                    add(k, recurrent, pre);
                    direct.activate(k, 0, pre);
                    hidden.copy_from_slice(pre);
                }
                Kind::Gru {
                    linear_before_reset,
                } => {
                    add(k, &recurrent[..2 * h], &mut pre[..2 * h]);
                    let (zr, c) = pre.split_at_mut(2 * h);
                    direct.activate(k, 0, zr);
                    let (z, r) = zr.split_at(h);
                    let part = &mut st.part[..h];
                    if linear_before_reset {
                        part.copy_from_slice(&recurrent[2 * h..]);
                        if let Some((_, rb)) = direct.bias {
                            add(k, &rb[2 * h..], part);
                        }
                        simd::map2(k, part, r, &mut next, |p: f32, r: f32| r * p);
                        add(k, &next, c);
                    } else {
                        simd::map2(k, r, hidden, part, |r: f32, h: f32| r * h);
                        weights.recur(part, 2 * h, &mut next);
                        add(k, &next, c);
                    }
                    direct.activate(k, 1, c);
                    simd::map2(k, z, c, part, |z: f32, c: f32| (1.0 - z) * c);
                    simd::map2(k, z, hidden, &mut next, |z: f32, h: f32| z * h);
                    add(k, &next, part);
                    simd::map1(k, part, hidden, canon);
                }
                Kind::Lstm { input_forget } => {
                    add(k, recurrent, pre);
                    let (io, fc) = pre.split_at_mut(2 * h);
                    let ((i, o), (f, c)) = (io.split_at_mut(h), fc.split_at_mut(h));
                    if let Some(p) = direct.peephole {
                        weigh(k, &p[..h], cell, &mut next, i);
                        weigh(k, &p[2 * h..], cell, &mut next, f);
                    }
                    direct.activate(k, 0, i);
                    if input_forget {
                        simd::map1(k, i, f, |i: f32| 1.0 - i);
                    } else {
                        direct.activate(k, 0, f);
                    }
                    direct.activate(k, 1, c);
                    simd::map2(k, f, cell, &mut next, |f: f32, c: f32| f * c);
                    cell.copy_from_slice(&next);
                    simd::map2(k, i, c, &mut next, |i: f32, c: f32| i * c);
                    add(k, &next, cell);
                    simd::update(k, cell, canon);
                    if let Some(p) = direct.peephole {
                        weigh(k, &p[h..2 * h], cell, &mut next, o);
                    }
                    direct.activate(k, 0, o);
                    next.copy_from_slice(cell);
                    direct.activate(k, 2, &mut next);
                    simd::map2(k, o, &next, hidden, |o: f32, c: f32| canon(o * c));
                }
            }
            let at = if op.batch_first {
                (b * s.steps + t) * s.directions + d
            } else {
                (t * s.directions + d) * s.batch + b
            };
            sequence[at * h..][..h].copy_from_slice(hidden);
        }
    }
}

/// `gate += p · cell`.
fn weigh(k: Kernels, p: &[f32], cell: &[f32], product: &mut [f32], gate: &mut [f32]) {
    simd::map2(k, p, cell, product, |p: f32, c: f32| p * c);
    add(k, product, gate);
}

simd::multiversion! {
    /// `dst[i] += src[i]`.
    fn add[](src: &[f32], dst: &mut [f32]) {
        for (d, &s) in dst.iter_mut().zip(src) {
            *d += s;
        }
    }
}
