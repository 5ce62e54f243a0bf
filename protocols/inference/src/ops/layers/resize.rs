//! Resize (opsets 10–25) and Upsample (1–9).
//!
//! Rules: one axis after the other, in order; an axis whose size stays and whose
//! scale is 1 is left alone (unless cropped by `tf_crop_and_resize`). Along an
//! axis each output is a sum over taps (`taps.rs`) in order from +0, every
//! product and sum rounded to `f32`; taps of weight 0 take no part. Outputs that
//! `tf_crop_and_resize` places outside the input on any axis are the
//! extrapolation value. Nearest moves elements of any type.
//! Sizes from scales: ⌊scale · size⌋ in `f32`. Scales from sizes: out / in in
//! `f32`; with an aspect ratio policy the least or greatest of them, s, and
//! sizes ⌊s · size + ½⌋.

use std::sync::Arc;

use super::taps::{Coordinates, Filter, Nearest, Place, Taps};
use crate::gas;
use crate::kernels::Kernels;
use crate::kernels::math::canon;
use crate::kernels::simd;
use crate::ops::registry::ok;
use crate::ops::{BuildError, Fault, Inputs, Node, Operator, Plan, axes, single};
use crate::tensor::{DType, Element, MAX_DIM, Tensor, numel, with_data};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Aspect {
    Stretch,
    NotLarger,
    NotSmaller,
}

#[derive(Debug)]
struct Resize {
    filter: Filter,
    coordinates: Coordinates,
    axes: Option<Vec<i64>>,
    aspect: Aspect,
    extrapolation: f32,
    /// Scales as an attribute (Upsample before opset 9).
    fixed: Option<Vec<f32>>,
    /// Input places of the region, the scales and the sizes.
    places: (Option<usize>, usize, Option<usize>),
}

pub(super) fn build(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    let upsample = node.op == "Upsample";
    let mode = node.text("mode", "nearest")?;
    if upsample || node.version == 10 {
        let filter = match mode {
            "nearest" => Filter::Nearest(Nearest::Simple),
            "linear" | "bilinear" => Filter::Linear { antialias: false },
            _ => return Err(BuildError::BadAttribute("mode")),
        };
        let fixed = if !upsample || node.version == 9 {
            node.arity(2, 2, 1)?;
            None
        } else {
            node.arity(1, 1, 1)?;
            Some(if node.version < 7 {
                let [h, w] = ["height_scale", "width_scale"].map(|n| node.float(n, 0.0));
                vec![1.0, 1.0, h?, w?]
            } else {
                let scales = node.floats("scales")?;
                scales.ok_or(BuildError::BadAttribute("scales"))?.to_vec()
            })
        };
        return ok(Resize {
            filter,
            coordinates: Coordinates::Asymmetric,
            axes: None,
            aspect: Aspect::Stretch,
            extrapolation: 0.0,
            fixed,
            places: (None, 1, None),
        });
    }
    node.arity(1, 4, 1)?;
    let late = node.version >= 18;
    let antialias = late && node.flag("antialias", false)?;
    let exclude = node.flag("exclude_outside", false)?;
    let a = node.float("cubic_coeff_a", -0.75)?;
    let rounding = match node.text("nearest_mode", "round_prefer_floor")? {
        "round_prefer_floor" => Nearest::PreferFloor,
        "round_prefer_ceil" => Nearest::PreferCeil,
        "floor" => Nearest::Floor,
        "ceil" => Nearest::Ceil,
        _ => return Err(BuildError::BadAttribute("nearest_mode")),
    };
    let filter = match mode {
        "nearest" if antialias => return Err(BuildError::BadAttribute("antialias")),
        "nearest" => Filter::Nearest(rounding),
        "linear" if exclude => return Err(BuildError::BadAttribute("exclude_outside")),
        "linear" => Filter::Linear { antialias },
        "cubic" => Filter::Cubic {
            a,
            antialias,
            exclude,
        },
        _ => return Err(BuildError::BadAttribute("mode")),
    };
    let coordinates = match node.text("coordinate_transformation_mode", "half_pixel")? {
        "half_pixel" => Coordinates::HalfPixel,
        "half_pixel_symmetric" if node.version >= 19 => Coordinates::HalfPixelSymmetric,
        "pytorch_half_pixel" => Coordinates::PytorchHalfPixel,
        "align_corners" => Coordinates::AlignCorners,
        "asymmetric" => Coordinates::Asymmetric,
        "tf_half_pixel_for_nn" if node.version < 13 => Coordinates::TfHalfPixel,
        "tf_crop_and_resize" => Coordinates::TfCrop,
        _ => return Err(BuildError::BadAttribute("coordinate_transformation_mode")),
    };
    let (axes, aspect) = if late {
        let policy = node.text("keep_aspect_ratio_policy", "stretch")?;
        let aspect = match policy {
            "stretch" => Aspect::Stretch,
            "not_larger" => Aspect::NotLarger,
            "not_smaller" => Aspect::NotSmaller,
            _ => return Err(BuildError::BadAttribute("keep_aspect_ratio_policy")),
        };
        (node.ints("axes")?.map(<[i64]>::to_vec), aspect)
    } else {
        (None, Aspect::Stretch)
    };
    ok(Resize {
        filter,
        coordinates,
        axes,
        aspect,
        extrapolation: node.float("extrapolation_value", 0.0)?,
        fixed: None,
        places: (Some(1), 2, Some(3)),
    })
}

const LISTS: Fault = Fault::Trap("scales, sizes and axes do not agree");

impl Resize {
    /// How each axis is resized.
    fn place(&self, inputs: &Inputs<'_>) -> Result<Vec<Place>, Fault> {
        let shape = inputs.shape(0)?;
        let axes = match &self.axes {
            Some(list) => axes(list, shape.len())?,
            None => (0..shape.len()).collect(),
        };
        let mut places: Vec<Place> = shape.iter().map(|&n| Place::same(n)).collect();
        let given = |i: usize| inputs.has(i) && inputs.desc(i).is_ok_and(|d| d.len() > 0);
        let (roi, scales, sizes) = self.places;
        if let Some(sizes) = sizes.filter(|&i| given(i)) {
            if inputs.has(scales) && given(scales) {
                return Err(Fault::Trap("scales and sizes are both given"));
            }
            let sizes = inputs.ints(sizes)?;
            if sizes.len() != axes.len() {
                return Err(LISTS);
            }
            for (&a, &size) in axes.iter().zip(&sizes) {
                if !(0..=MAX_DIM as i64).contains(&size) {
                    return Err(Fault::Trap("size out of range"));
                }
                places[a].output = size as usize;
                places[a].scale = size as f32 / shape[a] as f32;
            }
            if self.aspect != Aspect::Stretch {
                let all = axes.iter().map(|&a| places[a].scale);
                let s = if self.aspect == Aspect::NotLarger {
                    all.fold(f32::INFINITY, f32::min)
                } else {
                    all.fold(0.0, f32::max)
                };
                for &a in &axes {
                    places[a].scale = s;
                    places[a].output = scaled(s * shape[a] as f32 + 0.5)?;
                }
            }
        } else {
            let list = match &self.fixed {
                Some(list) => list.as_slice(),
                None => inputs.slice::<f32>(scales)?,
            };
            if list.len() != axes.len() {
                return Err(LISTS);
            }
            for (&a, &s) in axes.iter().zip(list) {
                if !(s > 0.0 && s.is_finite()) {
                    return Err(Fault::Trap("scales must be positive"));
                }
                places[a].scale = s;
                places[a].output = scaled(s * shape[a] as f32)?;
            }
        }
        if self.coordinates == Coordinates::TfCrop {
            let roi = inputs.slice::<f32>(roi.ok_or(LISTS)?)?;
            if roi.len() != 2 * axes.len() {
                return Err(Fault::Trap("the region does not fit the axes"));
            }
            for (i, &a) in axes.iter().enumerate() {
                places[a].roi = Some((roi[i], roi[axes.len() + i]));
            }
        }
        for p in &places {
            if p.input == 0 && p.output > 0 {
                return Err(Fault::Trap("nothing to resize"));
            }
        }
        Ok(places)
    }
}

/// ⌊x⌋ as a dimension.
fn scaled(x: f32) -> Result<usize, Fault> {
    if (0.0..=MAX_DIM as f32).contains(&x) {
        Ok(x as usize)
    } else {
        Err(Fault::Trap("size out of range"))
    }
}

impl Operator for Resize {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let d = inputs.desc(0)?;
        let nearest = matches!(self.filter, Filter::Nearest(_));
        if !nearest && d.dtype != DType::F32 {
            return Err(Fault::Trap("element type not supported here"));
        }
        let places = self.place(inputs)?;
        let shape: Vec<usize> = places.iter().map(|p| p.output).collect();
        let len = numel(&shape);
        let mut plan = Plan::one(d.dtype, shape, 0);
        plan.gas = gas::movement(plan.outputs[0].bytes());
        // The tables of taps, and the results of two neighbouring passes.
        let mut now = d.shape.clone();
        for (i, p) in places.iter().enumerate() {
            let width = self.filter.width(p);
            plan.scratch = plan
                .scratch
                .saturating_add((p.output as u64).saturating_mul(16 * (width + 2)));
            if nearest || p.untouched() {
                continue;
            }
            now[i] = p.output;
            let len = numel(&now);
            plan.gas = plan.gas.saturating_add(gas::contraction(len, width));
            plan.scratch = plan.scratch.saturating_add(len.saturating_mul(4));
        }
        plan.gas = plan.gas.saturating_add(len);
        Ok(plan)
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, k: Kernels) -> Result<Vec<Tensor>, Fault> {
        let t = inputs.tensor(0)?;
        let places = self.place(inputs)?;
        let shape = plan.shape(0);
        if numel(shape) == 0 {
            return with_data!(t.data(), x => nothing(x, shape));
        }
        let taps: Vec<Option<Taps>> = places
            .iter()
            .map(|p| (!p.untouched()).then(|| Taps::new(p, self.filter, self.coordinates)))
            .collect();
        if matches!(self.filter, Filter::Nearest(_)) {
            return with_data!(t.data(), x => {
                let mut out = Vec::with_capacity(numel(shape) as usize);
                pick(x, t.shape(), &taps, 0, &mut out);
                self.extrapolate(&taps, shape, &mut out);
                single(shape, out)
            });
        }
        let x = inputs.slice::<f32>(0)?;
        let mut now = t.shape().to_vec();
        let mut v: Option<Vec<f32>> = None;
        for (a, taps) in taps.iter().enumerate() {
            if let Some(taps) = taps {
                let next = pass(k, v.as_deref().unwrap_or(x), &now, a, taps);
                now[a] = taps.len();
                v = Some(next);
            }
        }
        let mut out = v.unwrap_or_else(|| x.to_vec());
        self.extrapolate(&taps, shape, &mut out);
        single(shape, out)
    }
}

fn nothing<T: Element>(_: &[T], shape: &[usize]) -> Result<Vec<Tensor>, Fault> {
    single(shape, Vec::<T>::new())
}

impl Resize {
    /// Overwrites what lies outside the input on some axis.
    fn extrapolate<T: Element>(&self, taps: &[Option<Taps>], shape: &[usize], out: &mut [T]) {
        let value = [self.extrapolation];
        let any = taps.iter().flatten().any(Taps::any_outside);
        // Only floats have an extrapolation value; others get 0.
        let value = T::view(&f32::wrap(value.to_vec())).and_then(|v| v.first().copied());
        let value = value.unwrap_or_default();
        if !any {
            return;
        }
        let mut inner = 1;
        for (taps, &n) in taps.iter().zip(shape).rev() {
            if let Some(taps) = taps {
                for (i, chunk) in out.chunks_exact_mut(inner).enumerate() {
                    if taps.outside(i % n) {
                        chunk.fill(value);
                    }
                }
            }
            inner *= n;
        }
    }
}

/// Nearest: the elements below one prefix of the index, from `base` on.
fn pick<T: Copy>(x: &[T], shape: &[usize], taps: &[Option<Taps>], base: usize, out: &mut Vec<T>) {
    let ([n, rest @ ..], [first, others @ ..]) = (shape, taps) else {
        out.push(x[base]);
        return;
    };
    let inner: usize = rest.iter().product();
    if rest.is_empty() || others.iter().all(Option::is_none) {
        // From here on whole runs are copied.
        match first {
            None => out.extend_from_slice(&x[base..base + n * inner]),
            Some(t) if inner == 1 => out.extend(t.indices().map(|i| x[base + i])),
            Some(t) => t.indices().for_each(|i| {
                out.extend_from_slice(&x[base + i * inner..][..inner]);
            }),
        }
        return;
    }
    // At most MAX_RANK deep. A repeated index repeats what was just written.
    let mut written: Option<(usize, usize)> = None;
    let mut visit = |i: usize| match written {
        Some((before, at)) if before == i => {
            let len = out.len() - at;
            let start = at;
            let next = out.len();
            out.extend_from_within(start..start + len);
            written = Some((i, next));
        }
        _ => {
            let at = out.len();
            pick(x, rest, others, base + i * inner, out);
            written = Some((i, at));
        }
    };
    match first {
        None => (0..*n).for_each(&mut visit),
        Some(t) => t.indices().for_each(&mut visit),
    }
}

/// One axis of a linear or cubic resize.
fn pass(k: Kernels, x: &[f32], shape: &[usize], axis: usize, taps: &Taps) -> Vec<f32> {
    let n = shape[axis];
    let inner: usize = shape[axis + 1..].iter().product();
    let outer: usize = shape[..axis].iter().product();
    let mut out = vec![0f32; outer * taps.len() * inner];
    let blocks = x.chunks_exact(n * inner);
    for (block, out) in blocks.zip(out.chunks_exact_mut(taps.len() * inner)) {
        for (o, row) in out.chunks_exact_mut(inner).enumerate() {
            if inner == 1 {
                let sum = taps.of(o).fold(0f32, |s, (i, w)| s + w * block[i]);
                row[0] = canon(sum);
                continue;
            }
            for (i, w) in taps.of(o) {
                accumulate(k, &block[i * inner..][..inner], row, w);
            }
            simd::update(k, row, canon);
        }
    }
    out
}

simd::multiversion! {
    /// `out[i] += w · x[i]`, both rounded.
    fn accumulate[](x: &[f32], out: &mut [f32], w: f32) {
        for (o, &v) in out.iter_mut().zip(x) {
            *o += w * v;
        }
    }
}
