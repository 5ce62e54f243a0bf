//! DFT, STFT and MelWeightMatrix.
//!
//! Rules, in binary64 with every operation rounded, each result rounded once:
//! - DFT of N samples (as many as `dft_length` says: cut, or +0 behind), w_j =
//!   (cos θ_j, ∓sin θ_j) with θ_j = (2π·j)/N, − forwards, + for the inverse; output k
//!   adds, for n from 0 to N − 1, re += a·c − b·s and im += a·s + b·c from +0, with
//!   (a, b) the sample, (c, s) = w_(k·n mod N); the inverse divides both by N. The
//!   inverse with `onesided` takes the missing samples N − n as the conjugates of
//!   n and gives real parts only.
//! - STFT: the DFT of each frame's samples times the window's.
//! - MelWeightMatrix: m(f) = 2595·(log(1 + f/700)/LN10); edge i of bins + 2 is at
//!   m(lower) + i·step, step = (m(upper) − m(lower))/(bins + 2); its place is
//!   ⌊((length + 1)·(700·(exp((e/2595)·LN10) − 1)))/rate⌋. Column i rises from its
//!   first place to its second, (j − first)/(second − first), and falls to its
//!   third; 1 at the second if it does not rise.

use std::sync::Arc;

use super::node::element;
use super::number::{Number, numeric};
use super::order::split;
use super::registry::ok;
use super::{BuildError, Desc, Fault, Inputs, Node, Operator, Plan, axis, single, tensor};
use crate::gas;
use crate::kernels::{Kernels, math, trig};
use crate::ops::create::{Scalar, cast_to};
use crate::tensor::{DType, Tensor, numel, with_data};

/// Longest transform: its angles are exact enough, and a run that is too long
/// has cost too much gas before.
const LENGTH: usize = 1 << 20;

const FLOATS: Fault = Fault::Trap("signals of f32 or f64 are needed here");
const LENGTHS: Fault = Fault::Trap("the transform's length is out of range");

/// One transform's sizes.
#[derive(Debug, Clone, Copy)]
struct Transform {
    /// Samples, of which some may be missing.
    n: usize,
    inverse: bool,
    onesided: bool,
}

impl Transform {
    fn new(n: usize, inverse: bool, onesided: bool) -> Result<Self, Fault> {
        if (1..=LENGTH).contains(&n) {
            Ok(Self {
                n,
                inverse,
                onesided,
            })
        } else {
            Err(LENGTHS)
        }
    }

    /// How many outputs it has.
    fn bins(&self) -> usize {
        if self.onesided && !self.inverse {
            self.n / 2 + 1
        } else {
            self.n
        }
    }

    /// Numbers per output: the inverse of one side is real.
    fn parts(&self) -> usize {
        if self.onesided && self.inverse { 1 } else { 2 }
    }

    /// Gas of `rows` transforms: per product 4, and the angles.
    fn gas(&self, rows: u64) -> u64 {
        let products = (self.bins() as u64).saturating_mul(self.n as u64);
        (rows.saturating_mul(products).saturating_mul(4))
            .saturating_add(2 * gas::TRANSCENDENTAL * self.n as u64)
    }

    /// The angles, a row's samples and its outputs, bytes.
    fn scratch(&self) -> u64 {
        48 * self.n as u64
    }

    /// cos and ∓sin of every angle.
    fn angles(&self) -> Vec<(f64, f64)> {
        let two_pi = f64::from_bits(0x4019_21fb_5444_2d18);
        let one = |j: usize| {
            let angle = (two_pi * j as f64) / self.n as f64;
            let s = trig::sin64(angle);
            (trig::cos64(angle), if self.inverse { s } else { -s })
        };
        (0..self.n).map(one).collect()
    }

    /// The transform of `x`, whose end may be missing; every part to `put`.
    fn run(&self, w: &[(f64, f64)], x: &[(f64, f64)], mut put: impl FnMut(f64)) {
        for k in 0..self.bins() {
            let (mut re, mut im, mut at) = (0.0, 0.0, 0);
            for &(a, b) in x {
                let (c, s) = w.get(at).copied().unwrap_or((1.0, 0.0));
                re += a * c - b * s;
                im += a * s + b * c;
                at += k;
                if at >= self.n {
                    at -= self.n;
                }
            }
            if self.inverse {
                re /= self.n as f64;
                im /= self.n as f64;
            }
            put(math::canon64(re));
            if self.parts() == 2 {
                put(math::canon64(im));
            }
        }
    }
}

/// A whole number of one element.
fn scalar(inputs: &Inputs<'_>, i: usize) -> Result<Option<i64>, Fault> {
    match inputs.opt_ints(i)?.as_deref() {
        None => Ok(None),
        Some([v]) => Ok(Some(*v)),
        Some(_) => Err(Fault::Trap("a scalar is needed here")),
    }
}

fn float(dtype: DType) -> Result<DType, Fault> {
    match dtype {
        DType::F32 | DType::F64 => Ok(dtype),
        _ => Err(FLOATS),
    }
}

fn wide(t: &Tensor) -> Result<Vec<f64>, Fault> {
    numeric!(t, x => Ok(x.iter().map(|x| x.into_f64()).collect()))
}

/// Back to the type of the signal, rounded once.
fn narrow(dtype: DType, shape: &[usize], v: Vec<f64>) -> Result<Vec<Tensor>, Fault> {
    if dtype == DType::F64 {
        return single(shape, v);
    }
    let v = v.into_iter().map(|x| math::canon(x as f32));
    single(shape, v.collect::<Vec<f32>>())
}

#[derive(Debug)]
struct Dft {
    /// `None`: input 2 says it, or the last but one.
    axis: Option<i64>,
    inverse: bool,
    onesided: bool,
}

pub(super) fn dft(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    let early = node.version < 20;
    node.arity(1, if early { 2 } else { 3 }, 1)?;
    ok(Dft {
        axis: if early {
            Some(node.int("axis", 1)?)
        } else {
            None
        },
        inverse: node.flag("inverse", false)?,
        onesided: node.flag("onesided", false)?,
    })
}

impl Dft {
    /// The axis, the transform, and the output's shape.
    fn shapes(&self, inputs: &Inputs<'_>) -> Result<(usize, Transform, Vec<usize>), Fault> {
        let shape = inputs.shape(0)?;
        let rank = shape.len();
        let parts = shape.last().copied().unwrap_or(0);
        let a = match self.axis {
            Some(a) => a,
            None => scalar(inputs, 2)?.unwrap_or(-2),
        };
        let a = axis(a, rank)?;
        let both = self.inverse && self.onesided;
        let fits = rank >= 2
            && a + 1 < rank
            && if both {
                parts == 2
            } else {
                parts == 1 || (parts == 2 && !self.onesided)
            };
        if !fits {
            return Err(Fault::Trap("the signal's shape does not fit the transform"));
        }
        let n = match scalar(inputs, 1)? {
            Some(n) => usize::try_from(n).map_err(|_| LENGTHS)?,
            None if both => shape[a].saturating_sub(1).saturating_mul(2),
            None => shape[a],
        };
        let t = Transform::new(n, self.inverse, self.onesided)?;
        let mut out = shape.to_vec();
        out[a] = t.bins();
        out[rank - 1] = t.parts();
        Ok((a, t, out))
    }
}

impl Operator for Dft {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let dtype = float(inputs.dtype(0)?)?;
        let (a, t, out) = self.shapes(inputs)?;
        let rows = (out.iter().enumerate())
            .filter(|(i, _)| *i != a && *i + 1 != out.len())
            .fold(1u64, |n, (_, &d)| n.saturating_mul(d as u64));
        let mut plan = Plan::one(dtype, out, t.gas(rows));
        plan.scratch = t.scratch();
        Ok(plan)
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, _: Kernels) -> Result<Vec<Tensor>, Fault> {
        let (a, t, out) = self.shapes(inputs)?;
        let x = inputs.tensor(0)?;
        let mut v = vec![0f64; numel(&out) as usize];
        if v.is_empty() {
            return narrow(x.dtype(), plan.shape(0), v);
        }
        let (shape, samples) = (x.shape(), wide(x)?);
        let given = shape.last().copied().unwrap_or(1);
        // Places between the axis and the parts.
        let (outer, len, inner) = split(&shape[..shape.len() - 1], a);
        let (w, parts) = (t.angles(), t.parts());
        let mut row: Vec<(f64, f64)> = Vec::with_capacity(t.n);
        for (o, i) in (0..outer).flat_map(|o| (0..inner).map(move |i| (o, i))) {
            row.clear();
            let sample = |j: usize| {
                let at = ((o * len + j) * inner + i) * given;
                (samples[at], if given == 2 { samples[at + 1] } else { 0.0 })
            };
            row.extend((0..len.min(t.n)).map(sample));
            if self.inverse && self.onesided {
                // Of N samples those up to N/2 are given, or 0.
                row.truncate(t.n / 2 + 1);
                row.resize(t.n / 2 + 1, (0.0, 0.0));
                for j in t.n / 2 + 1..t.n {
                    let (a, b) = row[t.n - j];
                    row.push((a, -b));
                }
                row.truncate(t.n);
            }
            let mut at = (o * t.bins() * inner + i) * parts;
            let (mut part, bins) = (0, &mut v);
            t.run(&w, &row, |x| {
                bins[at + part] = x;
                part += 1;
                if part == parts {
                    (part, at) = (0, at + inner * parts);
                }
            });
        }
        narrow(x.dtype(), plan.shape(0), v)
    }
}

#[derive(Debug)]
struct Stft {
    onesided: bool,
}

pub(super) fn stft(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    node.arity(2, 4, 1)?;
    ok(Stft {
        onesided: node.flag("onesided", true)?,
    })
}

impl Stft {
    /// The step, the transform, and the output's shape.
    fn shapes(&self, inputs: &Inputs<'_>) -> Result<(usize, Transform, Vec<usize>), Fault> {
        let bad = Fault::Trap("the signal's shape does not fit the transform");
        let (batch, len, parts) = match *inputs.shape(0)? {
            [batch, len] => (batch, len, 1),
            [batch, len, parts @ (1 | 2)] => (batch, len, parts),
            _ => return Err(bad),
        };
        if parts == 2 && self.onesided {
            return Err(bad);
        }
        let step = scalar(inputs, 1)?.and_then(|s| usize::try_from(s).ok());
        let step = step.filter(|&s| s > 0).ok_or(LENGTHS)?;
        let window = match inputs.has(2) {
            true => match inputs.typed(2, inputs.dtype(0)?)?.shape.as_slice() {
                &[n] => Some(n),
                _ => return Err(Fault::Trap("a window has one dimension")),
            },
            false => None,
        };
        let n = match scalar(inputs, 3)? {
            Some(n) => usize::try_from(n).map_err(|_| LENGTHS)?,
            None => window.unwrap_or(len),
        };
        if window.is_some_and(|w| w != n) || n > len {
            return Err(LENGTHS);
        }
        let t = Transform::new(n, false, self.onesided)?;
        Ok((step, t, vec![batch, (len - n) / step + 1, t.bins(), 2]))
    }
}

impl Operator for Stft {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let dtype = float(inputs.dtype(0)?)?;
        let (_, t, out) = self.shapes(inputs)?;
        let gas = t.gas(numel(&out[..2]));
        let mut plan = Plan::one(dtype, out, gas);
        plan.scratch = t.scratch();
        Ok(plan)
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, _: Kernels) -> Result<Vec<Tensor>, Fault> {
        let (step, t, out) = self.shapes(inputs)?;
        let x = inputs.tensor(0)?;
        let samples = wide(x)?;
        let window = match inputs.has(2) {
            true => wide(inputs.tensor(2)?)?,
            false => vec![1.0; t.n],
        };
        let (len, given) = (x.shape()[1], x.shape().get(2).copied().unwrap_or(1));
        let w = t.angles();
        let mut v = Vec::with_capacity(numel(&out) as usize);
        for signal in samples.chunks_exact((len * given).max(1)) {
            for frame in 0..out[1] {
                let from = frame * step;
                let row: Vec<(f64, f64)> = (window.iter().enumerate())
                    .map(|(j, w)| {
                        let at = (from + j) * given;
                        let im = if given == 2 { signal[at + 1] } else { 0.0 };
                        (signal[at] * w, im * w)
                    })
                    .collect();
                t.run(&w, &row, |x| v.push(x));
            }
        }
        narrow(x.dtype(), plan.shape(0), v)
    }
}

#[derive(Debug)]
struct Mel(DType);

pub(super) fn mel(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    node.arity(5, 5, 1)?;
    ok(Mel(element(node.int("output_datatype", 1)?)?))
}

impl Mel {
    /// Bins of the spectrogram, bins of the result, the transform's length.
    fn sizes(inputs: &Inputs<'_>) -> Result<(usize, usize, i64), Fault> {
        let bounded = |i: usize| match scalar(inputs, i)? {
            Some(n) if (1..=LENGTH as i64).contains(&n) => Ok(n),
            _ => Err(LENGTHS),
        };
        let (bins, n) = (bounded(0)?, bounded(1)?);
        Ok((n as usize / 2 + 1, bins as usize, n))
    }
}

impl Operator for Mel {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let (rows, columns, _) = Self::sizes(inputs)?;
        let out = vec![rows, columns];
        let gas = gas::elementwise(numel(&out), gas::DIVIDE)
            .saturating_add(gas::elementwise(columns as u64, 2 * gas::TRANSCENDENTAL));
        let mut plan = Plan::one(self.0, out, gas);
        plan.scratch = (columns as u64 + 2)
            .saturating_mul(8)
            .saturating_add(plan.outputs.first().map_or(0, Desc::len).saturating_mul(8));
        Ok(plan)
    }

    fn eval(&self, inputs: &Inputs<'_>, _: &Plan, _: Kernels) -> Result<Vec<Tensor>, Fault> {
        let (rows, columns, n) = Self::sizes(inputs)?;
        let one = |i: usize| -> Result<f64, Fault> {
            let t = inputs.tensor(i)?;
            if t.len() != 1 {
                return Err(Fault::Trap("a scalar is needed here"));
            }
            Ok(with_data!(t.data(), x => x.first().map_or(0.0, |x| x.f64())))
        };
        let (rate, lower, upper) = (one(2)?, one(3)?, one(4)?);
        let ln10 = f64::from_bits(0x4002_6bb1_bbb5_5516);
        let mel = |f: f64| 2595.0 * (math::log_f64(1.0 + f / 700.0) / ln10);
        let (low, high) = (mel(lower), mel(upper));
        let step = (high - low) / (columns as f64 + 2.0);
        let edge = |i: usize| {
            let e = i as f64 * step + low;
            let f = 700.0 * (math::exp_f64((e / 2595.0) * ln10) - 1.0);
            let place = (((n as f64 + 1.0) * f) / rate).floor();
            // Not a number is nowhere.
            (place >= 0.0 && place < rows as f64).then_some(place as usize)
        };
        let edges: Option<Vec<usize>> = (0..columns + 2).map(edge).collect();
        let edges = edges.ok_or(Fault::Trap("an edge lies beyond the spectrogram"))?;
        let mut v = vec![0f64; rows * columns];
        for (i, e) in edges.windows(3).enumerate() {
            let (first, second, third) = (e[0], e[1], e[2]);
            if second <= first {
                v[second * columns + i] = 1.0;
            }
            for j in first..second {
                v[j * columns + i] = (j - first) as f64 / (second - first) as f64;
            }
            if second > first {
                v[second * columns + i] = 1.0;
            }
            for j in second..third {
                v[j * columns + i] = (third - j) as f64 / (third - second) as f64;
            }
        }
        let v = tensor(&[rows, columns], v)?;
        Ok(vec![cast_to(&v, self.0)?])
    }
}
