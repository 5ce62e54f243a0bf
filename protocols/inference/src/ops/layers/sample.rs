//! GridSample and AffineGrid.
//!
//! Rules, every operation rounded to `f32`. AffineGrid: the place of index i of d
//! is 2·i / (d − 1) − 1 with `align_corners` (0 where d = 1), else
//! (2·i + 1) / d − 1; a coordinate is the FMA chain over (places, innermost
//! first, 1) from +0. GridSample: from n to x = (n + 1) / 2 · (d − 1) with
//! `align_corners`, else ((n + 1) · d − 1) / 2; nearest rounds half to even; x
//! outside 0 … d − 1 (else −½ … d − ½) is clamped to 0 … d − 1 (border) or
//! reflected. Then i = ⌊x⌋ with weights 1 − r, r, or Keys' with A = −¾ (binary64,
//! rounded once) from i − 1 on; taps outside are 0, clamped or reflected. Sums go
//! from +0 over the taps of an axis in order, the last axis innermost.

use std::sync::Arc;

use super::taps::keys;
use crate::gas;
use crate::kernels::Kernels;
use crate::kernels::math::canon;
use crate::ops::registry::ok;
use crate::ops::{BuildError, Fault, Inputs, Node, Operator, Plan, single};
use crate::tensor::{DType, MAX_DIM, Tensor, numel};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Nearest,
    Linear,
    Cubic,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Padding {
    Zeros,
    Border,
    Reflection,
}

#[derive(Debug)]
struct GridSample {
    mode: Mode,
    padding: Padding,
    corners: bool,
}

pub(super) fn grid_sample(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    node.arity(2, 2, 1)?;
    let mode = match (node.text("mode", "linear")?, node.version >= 20) {
        ("nearest", _) => Mode::Nearest,
        ("linear", true) | ("bilinear" | "linear", false) => Mode::Linear,
        ("cubic", true) | ("bicubic", false) => Mode::Cubic,
        _ => return Err(BuildError::BadAttribute("mode")),
    };
    let padding = match node.text("padding_mode", "zeros")? {
        "zeros" => Padding::Zeros,
        "border" => Padding::Border,
        "reflection" => Padding::Reflection,
        _ => return Err(BuildError::BadAttribute("padding_mode")),
    };
    ok(GridSample {
        mode,
        padding,
        corners: node.flag("align_corners", false)?,
    })
}

/// The taps of one axis: indices (none: a zero) and weights.
type Axis = ([Option<usize>; 4], [f32; 4], usize);

impl GridSample {
    /// Spatial rank, after checking that the grid fits.
    fn rank(&self, inputs: &Inputs<'_>) -> Result<usize, Fault> {
        let (x, grid) = (inputs.typed(0, DType::F32)?, inputs.typed(1, DType::F32)?);
        let rank = x.shape.len().saturating_sub(2);
        let fits = (1..=3).contains(&rank)
            && grid.shape.len() == rank + 2
            && grid.shape[0] == x.shape[0]
            && grid.shape[rank + 1] == rank;
        if !fits || (x.shape.contains(&0) && grid.len() > 0) {
            return Err(Fault::Trap("the grid does not fit the image"));
        }
        Ok(rank)
    }

    fn taps(&self) -> u64 {
        match self.mode {
            Mode::Nearest => 1,
            Mode::Linear => 2,
            Mode::Cubic => 4,
        }
    }

    /// Reflected at the borders until inside.
    fn reflect(&self, x: f32, d: f32) -> f32 {
        let (lo, hi) = if self.corners {
            (0.0, d - 1.0)
        } else {
            (-0.5, d - 0.5)
        };
        let range = hi - lo;
        let over = if x < lo {
            lo - x
        } else if x > hi {
            x - hi
        } else {
            return x;
        };
        if range <= 0.0 {
            return lo;
        }
        let n = (over / range).trunc();
        let r = over - n * range;
        // Back inside from the side that was left, or from the other.
        if (n as i64 % 2 == 0) == (x < lo) {
            lo + r
        } else {
            hi - r
        }
    }

    /// The element that a tap reads.
    fn place(&self, i: i64, d: usize) -> Option<usize> {
        let last = d as i64 - 1;
        match self.padding {
            Padding::Zeros => (0..=last).contains(&i).then_some(i as usize),
            Padding::Border => Some(i.clamp(0, last) as usize),
            Padding::Reflection => {
                let i = self.reflect(i as f32, d as f32) as i64;
                Some(i.clamp(0, last) as usize)
            }
        }
    }

    fn axis(&self, n: f32, d: usize) -> Axis {
        let size = d as f32;
        let mut x = if self.corners {
            (n + 1.0) / 2.0 * (size - 1.0)
        } else {
            ((n + 1.0) * size - 1.0) / 2.0
        };
        if self.mode == Mode::Nearest {
            x = x.round_ties_even();
        }
        let (lo, hi) = if self.corners {
            (0.0, size - 1.0)
        } else {
            (-0.5, size - 0.5)
        };
        if x < lo || x > hi {
            x = match self.padding {
                Padding::Zeros => x,
                Padding::Border => x.clamp(0.0, size - 1.0),
                Padding::Reflection => self.reflect(x, size),
            };
        }
        let floor = x.floor();
        let (i, r) = (floor as i64, x - floor);
        let at = |j: i64| self.place(i.saturating_add(j), d);
        match self.mode {
            Mode::Nearest => {
                let i = self.place(x as i64, d);
                ([i, None, None, None], [1.0, 0.0, 0.0, 0.0], 1)
            }
            Mode::Linear => ([at(0), at(1), None, None], [1.0 - r, r, 0.0, 0.0], 2),
            Mode::Cubic => {
                let w = |j: f64| keys(j - f64::from(r), -0.75) as f32;
                (
                    [at(-1), at(0), at(1), at(2)],
                    [w(-1.0), w(0.0), w(1.0), w(2.0)],
                    4,
                )
            }
        }
    }
}

/// The interpolated value; `plane` starts at the current prefix of the index.
fn interpolate(plane: &[f32], shape: &[usize], axes: &[Axis]) -> f32 {
    let ([_, rest @ ..], [(places, weights, count), others @ ..]) = (shape, axes) else {
        return plane.first().copied().unwrap_or(0.0);
    };
    let inner: usize = rest.iter().product();
    let mut sum = 0f32;
    for (place, w) in places.iter().zip(weights).take(*count) {
        // At most three deep.
        let v = place.map_or(0.0, |i| interpolate(&plane[i * inner..], rest, others));
        sum += w * v;
    }
    sum
}

impl Operator for GridSample {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let rank = self.rank(inputs)?;
        let (x, grid) = (inputs.shape(0)?, inputs.shape(1)?);
        let mut out = x[..2].to_vec();
        out.extend(&grid[1..=rank]);
        let taps = self.taps().pow(rank as u32).saturating_mul(2);
        let points = numel(grid).saturating_mul(16);
        let gas = gas::elementwise(numel(&out), taps + 1).saturating_add(points);
        Ok(Plan::one(DType::F32, out, gas))
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, _: Kernels) -> Result<Vec<Tensor>, Fault> {
        let rank = self.rank(inputs)?;
        let (x, grid) = (inputs.slice::<f32>(0)?, inputs.slice::<f32>(1)?);
        let (shape, out_shape) = (inputs.shape(0)?, plan.shape(0));
        let mut out = vec![0f32; numel(out_shape) as usize];
        if out.is_empty() {
            return single(out_shape, out);
        }
        let (channels, spatial) = (shape[1], &shape[2..]);
        let area: usize = spatial.iter().product();
        let points: usize = out_shape[2..].iter().product();
        for (p, place) in grid.chunks_exact(rank).enumerate() {
            let (n, p) = (p / points, p % points);
            // The grid names the innermost axis first.
            let axes: Vec<Axis> = (place.iter().rev())
                .zip(spatial)
                .map(|(&v, &d)| self.axis(v, d))
                .collect();
            for c in 0..channels {
                let plane = &x[(n * channels + c) * area..][..area];
                let v = if self.mode == Mode::Nearest {
                    nearest(plane, spatial, &axes)
                } else {
                    canon(interpolate(plane, spatial, &axes))
                };
                out[(n * channels + c) * points + p] = v;
            }
        }
        single(out_shape, out)
    }
}

/// The one element, moved as it is.
fn nearest(plane: &[f32], shape: &[usize], axes: &[Axis]) -> f32 {
    let at = (shape.iter().zip(axes)).try_fold(0, |at, (&d, axis)| axis.0[0].map(|i| at * d + i));
    at.map_or(0.0, |i| plane[i])
}

#[derive(Debug)]
struct AffineGrid {
    corners: bool,
}

pub(super) fn affine_grid(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    node.arity(2, 2, 1)?;
    ok(AffineGrid {
        corners: node.flag("align_corners", false)?,
    })
}

impl Operator for AffineGrid {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let theta = inputs.typed(0, DType::F32)?;
        let size = inputs.ints(1)?;
        let rank = size.len().saturating_sub(2);
        let fits = (2..=3).contains(&rank)
            && size.iter().all(|s| (0..=MAX_DIM as i64).contains(s))
            && theta.shape == [size[0] as usize, rank, rank + 1];
        if !fits {
            return Err(Fault::Trap("the size does not fit the transformation"));
        }
        let mut out = vec![size[0] as usize];
        out.extend(size[2..].iter().map(|&s| s as usize));
        out.push(rank);
        let gas = gas::contraction(numel(&out), rank as u64 + 2);
        Ok(Plan::one(DType::F32, out, gas))
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, _: Kernels) -> Result<Vec<Tensor>, Fault> {
        let theta = inputs.slice::<f32>(0)?;
        let shape = plan.shape(0);
        let rank = shape.len() - 2;
        let spatial = &shape[1..=rank];
        let mut out = Vec::with_capacity(numel(shape) as usize);
        if numel(shape) == 0 {
            return single(shape, out);
        }
        let place = |i: usize, d: usize| match (self.corners, d) {
            (true, 1) => 0.0,
            (true, d) => 2.0 * i as f32 / (d as f32 - 1.0) - 1.0,
            (false, d) => (2.0 * i as f32 + 1.0) / d as f32 - 1.0,
        };
        let points: usize = spatial.iter().product();
        for matrix in theta.chunks_exact(rank * (rank + 1)) {
            for p in 0..points {
                // Innermost first, then 1.
                let mut at = [1f32; 4];
                let mut rest = p;
                for (a, &d) in at.iter_mut().zip(spatial.iter().rev()) {
                    *a = place(rest % d, d);
                    rest /= d;
                }
                for row in matrix.chunks_exact(rank + 1) {
                    let terms = row.iter().zip(&at);
                    out.push(canon(terms.fold(0f32, |s, (&t, &a)| t.mul_add(a, s))));
                }
            }
        }
        single(shape, out)
    }
}
