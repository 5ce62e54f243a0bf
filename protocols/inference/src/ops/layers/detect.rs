//! RoiAlign and NonMaxSuppression.
//!
//! Rules, every operation rounded to `f32`. RoiAlign: a region's corners times
//! `spatial_scale`, less ½ with half_pixel (without it sizes are at least 1); bin
//! sizes = size / outputs; g samples along an axis, `sampling_ratio` or
//! ⌈size / outputs⌉ (more than ⌈input / outputs⌉ + 1 end the run), at
//! start + o · bin + (j + ½) · bin / g. A sample is bilinear, w1·a + w2·b + w3·c +
//! w4·d from left to right, 0 beyond −1 and the size; avg adds samples in order
//! from +0 and divides by their number; max takes the greatest w·a of all.
//! NonMaxSuppression: per batch and class the boxes whose score is above the
//! threshold, highest first and of equals the first; one is taken unless its
//! intersection over union with one taken before is above the threshold. At most
//! 2^22 scores and 2^24 comparisons, because its shape costs them.

use std::sync::Arc;

use crate::gas;
use crate::kernels::Kernels;
use crate::kernels::math::{canon, max};
use crate::ops::node::GEOMETRY;
use crate::ops::registry::ok;
use crate::ops::{BuildError, Fault, Inputs, Node, Operator, Plan, single};
use crate::tensor::{DType, Tensor, numel};

#[derive(Debug)]
struct RoiAlign {
    max: bool,
    half_pixel: bool,
    output: [usize; 2],
    ratio: usize,
    scale: f32,
}

pub(super) fn roi_align(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    node.arity(3, 3, 1)?;
    let bounded = |name: &'static str, default: i64, least: i64| match node.int(name, default)? {
        n if (least..=GEOMETRY).contains(&n) => Ok(n as usize),
        _ => Err(BuildError::BadAttribute(name)),
    };
    let half_pixel = if node.version < 16 {
        false
    } else {
        match node.text("coordinate_transformation_mode", "half_pixel")? {
            "half_pixel" => true,
            "output_half_pixel" => false,
            _ => return Err(BuildError::BadAttribute("coordinate_transformation_mode")),
        }
    };
    let max = match node.text("mode", "avg")? {
        "avg" => false,
        "max" => true,
        _ => return Err(BuildError::BadAttribute("mode")),
    };
    ok(RoiAlign {
        max,
        half_pixel,
        output: [
            bounded("output_height", 1, 1)?,
            bounded("output_width", 1, 1)?,
        ],
        ratio: bounded("sampling_ratio", 0, 0)?,
        scale: node.float("spatial_scale", 1.0)?,
    })
}

/// A sample's four neighbours and weights.
type Corners = ([usize; 4], [f32; 4]);

impl RoiAlign {
    /// Most samples along an axis of `n`.
    fn most(&self, axis: usize, n: usize) -> usize {
        if self.ratio > 0 {
            self.ratio
        } else {
            n.div_ceil(self.output[axis]) + 1
        }
    }

    /// First coordinate, bin size and samples along an axis of `n`.
    fn line(&self, from: f32, to: f32, axis: usize, n: usize) -> Result<(f32, f32, usize), Fault> {
        let shift = if self.half_pixel { 0.5 } else { 0.0 };
        let (start, end) = (from * self.scale - shift, to * self.scale - shift);
        let mut size = end - start;
        if !self.half_pixel {
            size = max(size, 1.0);
        }
        let bin = size / self.output[axis] as f32;
        let g = if self.ratio > 0 {
            self.ratio
        } else {
            // A negative or NaN size has no samples.
            bin.ceil() as usize
        };
        if g > self.most(axis, n) {
            return Err(Fault::Trap("a region is larger than its image"));
        }
        Ok((start, bin, g))
    }
}

/// Weights of the two neighbours of `v` among `n`; `None` beyond the edges.
fn neighbours(v: f32, n: usize) -> Option<(usize, usize, f32, f32)> {
    if !(v >= -1.0 && v <= n as f32) {
        return None;
    }
    let v = max(v, 0.0);
    let low = (v as usize).min(n - 1);
    if low + 1 >= n {
        return Some((low, low, 1.0, 0.0));
    }
    let r = v - low as f32;
    Some((low, low + 1, 1.0 - r, r))
}

impl Operator for RoiAlign {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let x = inputs.typed(0, DType::F32)?;
        let rois = &inputs.typed(1, DType::F32)?.shape;
        let index = &inputs.typed(2, DType::I64)?.shape;
        let (&[_, c, h, w], &[n, 4]) = (x.shape.as_slice(), rois.as_slice()) else {
            return Err(Fault::Trap("RoiAlign takes images and regions"));
        };
        if index != &[n] || h == 0 || w == 0 {
            return Err(Fault::Trap("one image per region is needed"));
        }
        let out = vec![n, c, self.output[0], self.output[1]];
        let samples = (self.most(0, h) as u64).saturating_mul(self.most(1, w) as u64);
        let per = samples.saturating_mul(8).saturating_add(gas::DIVIDE);
        // The corners of one region's samples.
        let corners = numel(&self.output).saturating_mul(samples);
        let gas = gas::elementwise(numel(&out), per)
            .saturating_add(corners.saturating_mul(16).saturating_mul(n as u64));
        let mut plan = Plan::one(DType::F32, out, gas);
        plan.scratch = corners.saturating_mul(64);
        Ok(plan)
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, _: Kernels) -> Result<Vec<Tensor>, Fault> {
        let (x, rois) = (inputs.slice::<f32>(0)?, inputs.slice::<f32>(1)?);
        let index = inputs.slice::<i64>(2)?;
        let shape = inputs.shape(0)?;
        let (images, channels, h, w) = (shape[0], shape[1], shape[2], shape[3]);
        let mut out = Vec::with_capacity(numel(plan.shape(0)) as usize);
        for (roi, &image) in rois.chunks_exact(4).zip(index) {
            let image = usize::try_from(image).ok().filter(|&i| i < images);
            let image = image.ok_or(Fault::Trap("image of a region out of range"))?;
            let (top, bin_h, gh) = self.line(roi[1], roi[3], 0, h)?;
            let (left, bin_w, gw) = self.line(roi[0], roi[2], 1, w)?;
            let place = |start: f32, bin: f32, o: usize, j: usize, g: usize| {
                start + o as f32 * bin + (j as f32 + 0.5) * bin / g as f32
            };
            let mut corners: Vec<Corners> = Vec::new();
            for (oy, ox) in
                (0..self.output[0]).flat_map(|y| (0..self.output[1]).map(move |x| (y, x)))
            {
                for (j, i) in (0..gh).flat_map(|j| (0..gw).map(move |i| (j, i))) {
                    let y = neighbours(place(top, bin_h, oy, j, gh), h);
                    let x = neighbours(place(left, bin_w, ox, i, gw), w);
                    corners.push(match y.zip(x) {
                        Some(((y0, y1, hy, ly), (x0, x1, hx, lx))) => (
                            [y0 * w + x0, y0 * w + x1, y1 * w + x0, y1 * w + x1],
                            [hy * hx, hy * lx, ly * hx, ly * lx],
                        ),
                        None => ([0; 4], [0.0; 4]),
                    });
                }
            }
            let count = gh * gw;
            for c in 0..channels {
                let plane = &x[(image * channels + c) * h * w..][..h * w];
                for bin in 0..self.output[0] * self.output[1] {
                    let samples = &corners[bin * count..][..count];
                    out.push(canon(self.pool(plane, samples)));
                }
            }
        }
        single(plan.shape(0), out)
    }
}

impl RoiAlign {
    fn pool(&self, plane: &[f32], samples: &[Corners]) -> f32 {
        if self.max {
            let all = samples
                .iter()
                .flat_map(|(at, w)| at.iter().zip(w).map(|(&i, &w)| w * plane[i]));
            return all.reduce(max).unwrap_or(0.0);
        }
        let sum = samples.iter().fold(0f32, |s, (at, w)| {
            s + (w[0] * plane[at[0]]
                + w[1] * plane[at[1]]
                + w[2] * plane[at[2]]
                + w[3] * plane[at[3]])
        });
        sum / samples.len().max(1) as f32
    }
}

/// Most scores and comparisons.
const SCORES: u64 = 1 << 22;
const COMPARISONS: u64 = 1 << 24;

#[derive(Debug)]
struct Suppression {
    center: bool,
}

pub(super) fn suppression(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    node.arity(2, 5, 1)?;
    ok(Suppression {
        center: node.flag("center_point_box", false)?,
    })
}

impl Suppression {
    /// (y1, x1, y2, x2) with the lower first.
    fn corners(&self, b: &[f32]) -> [f32; 4] {
        if self.center {
            let (w, h) = (b[2] / 2.0, b[3] / 2.0);
            [b[1] - h, b[0] - w, b[1] + h, b[0] + w]
        } else {
            let order = |a: f32, b: f32| if a >= b { (b, a) } else { (a, b) };
            let ((y1, y2), (x1, x2)) = (order(b[0], b[2]), order(b[1], b[3]));
            [y1, x1, y2, x2]
        }
    }

    /// The selected (batch, class, box), and how many comparisons it took.
    fn select(&self, inputs: &Inputs<'_>) -> Result<(Vec<i64>, u64), Fault> {
        let bad = Fault::Trap("boxes and scores do not agree");
        let boxes = &inputs.typed(0, DType::F32)?.shape;
        let scores = inputs.typed(1, DType::F32)?;
        let (&[b, n, 4], &[sb, classes, sn]) = (boxes.as_slice(), scores.shape.as_slice()) else {
            return Err(bad);
        };
        if (b, n) != (sb, sn) {
            return Err(bad);
        }
        if scores.len() > SCORES {
            return Err(Fault::Trap("too many scores for NonMaxSuppression"));
        }
        let one = |i: usize| {
            if !inputs.has(i) {
                return Ok(None);
            }
            let v = inputs.slice::<f32>(i)?;
            Ok(v.first().copied())
        };
        let (iou, least) = (one(3)?.unwrap_or(0.0), one(4)?);
        let most = match inputs.opt_ints(2)? {
            Some(v) => usize::try_from(v.first().copied().unwrap_or(0)).unwrap_or(0),
            None => 0,
        };
        let (boxes, scores) = (inputs.slice::<f32>(0)?, inputs.slice::<f32>(1)?);
        let (mut out, mut compared) = (Vec::new(), 0u64);
        for (at, scores) in scores.chunks_exact(n.max(1)).enumerate().take(b * classes) {
            let boxes = &boxes[at / classes * n * 4..][..n * 4];
            let mut rest: Vec<usize> = (0..n)
                .filter(|&i| least.is_none_or(|t| scores[i] > t))
                .collect();
            // Stable: of equals the first comes first. NaN is above everything.
            rest.sort_by(|&i, &j| {
                let (a, b) = (scores[i], scores[j]);
                let order = b.partial_cmp(&a);
                order.unwrap_or_else(|| b.is_nan().cmp(&a.is_nan()))
            });
            let mut taken: Vec<[f32; 4]> = Vec::new();
            for i in rest {
                if taken.len() >= most {
                    break;
                }
                let now = self.corners(&boxes[i * 4..][..4]);
                compared = compared.saturating_add(taken.len() as u64);
                if compared > COMPARISONS {
                    return Err(Fault::Trap("too many boxes for NonMaxSuppression"));
                }
                if taken.iter().all(|t| !overlaps(&now, t, iou)) {
                    taken.push(now);
                    out.extend([at / classes, at % classes, i].map(|v| v as i64));
                }
            }
        }
        Ok((out, compared))
    }
}

/// Whether intersection over union is above the threshold.
fn overlaps(a: &[f32; 4], b: &[f32; 4], threshold: f32) -> bool {
    let larger = |a: f32, b: f32| if a > b { a } else { b };
    let smaller = |a: f32, b: f32| if a < b { a } else { b };
    let (y1, x1) = (larger(a[0], b[0]), larger(a[1], b[1]));
    let (y2, x2) = (smaller(a[2], b[2]), smaller(a[3], b[3]));
    if y2 <= y1 || x2 <= x1 {
        return false;
    }
    let area = |y1: f32, x1: f32, y2: f32, x2: f32| (y2 - y1) * (x2 - x1);
    let both = area(y1, x1, y2, x2);
    let (one, two) = (area(a[0], a[1], a[2], a[3]), area(b[0], b[1], b[2], b[3]));
    let union = one + two - both;
    if both <= 0.0 || one <= 0.0 || two <= 0.0 || union <= 0.0 {
        return false;
    }
    both / union > threshold
}

impl Operator for Suppression {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let (selected, compared) = self.select(inputs)?;
        let scores = inputs.desc(1)?.len();
        let gas = gas::elementwise(scores, 32).saturating_add(gas::elementwise(compared, 16));
        let mut plan = Plan::one(DType::I64, vec![selected.len() / 3, 3], gas);
        plan.scratch = scores.saturating_mul(32);
        Ok(plan)
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, _: Kernels) -> Result<Vec<Tensor>, Fault> {
        single(plan.shape(0), self.select(inputs)?.0)
    }
}
