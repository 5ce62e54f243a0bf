//! ConvTranspose and Col2Im: adding windows into an image.
//!
//! Rules. ConvTranspose: for each tap (output map, kd, kh, kw) and each input
//! position, one FMA chain over the input channels of the group; then each
//! output element starts at +0 and adds the columns that reach it, taps in
//! row-major order; the bias is added last. Col2Im adds given columns in the
//! same order.
//! Padding (ONNX): with `output_shape`, or `auto_pad` SAME (size · stride), the
//! total is stride · (in − 1) + output_padding + extent − out, at least 0, its
//! odd part at the end for SAME_UPPER and at the start otherwise.

use std::sync::Arc;

use crate::gas;
use crate::kernels::gemm::{self, Mat};
use crate::kernels::math::canon;
use crate::kernels::{Kernels, simd};
use crate::ops::node::GEOMETRY;
use crate::ops::registry::ok;
use crate::ops::{BuildError, Fault, Inputs, Node, Operator, Plan, single};
use crate::tensor::{DType, MAX_DIM, Tensor, numel};

/// Most columns' elements held at a time, unless one output map needs more.
const COLUMNS: u64 = 1 << 20;

const DISAGREE: Fault = Fault::Trap("window attributes do not fit the input's rank");

/// How columns are added into an image of one to three dimensions; leading
/// dimensions of size 1 fill up to three.
#[derive(Debug, Clone, Copy)]
struct Scatter {
    image: [usize; 3],
    kernel: [usize; 3],
    blocks: [usize; 3],
    stride: [usize; 3],
    dilation: [usize; 3],
    before: [usize; 3],
}

impl Scatter {
    fn taps(&self) -> usize {
        numel(&self.kernel) as usize
    }

    fn positions(&self) -> usize {
        numel(&self.blocks) as usize
    }

    /// Adds columns (taps × positions) into one plane.
    fn add(&self, kernels: Kernels, columns: &[f32], plane: &mut [f32]) {
        let [_, kh, kw] = self.kernel;
        let [bd, bh, bw] = self.blocks;
        for (tap, column) in columns.chunks_exact(self.positions()).enumerate() {
            let k = [tap / (kh * kw), tap / kw % kh, tap % kw];
            let place = |axis: usize, i: usize| {
                (i * self.stride[axis] + k[axis] * self.dilation[axis])
                    .checked_sub(self.before[axis])
                    .filter(|&o| o < self.image[axis])
            };
            // The stretch of blocks whose column is inside.
            let inside = (0..bw).filter(|&i| place(2, i).is_some());
            let (mut first, mut count) = (0, 0);
            for i in inside {
                if count == 0 {
                    first = i;
                }
                count += 1;
            }
            let Some(start) = place(2, first).filter(|_| count > 0) else {
                continue;
            };
            for (z, y) in (0..bd).flat_map(|z| (0..bh).map(move |y| (z, y))) {
                let (Some(d), Some(h)) = (place(0, z), place(1, y)) else {
                    continue;
                };
                let line = &mut plane[(d * self.image[1] + h) * self.image[2] + start..];
                let src = &column[(z * bh + y) * bw + first..][..count];
                add_line(kernels, src, line, self.stride[2]);
            }
        }
    }
}

simd::multiversion! {
    /// `line[i · step] += src[i]`.
    fn add_line[](src: &[f32], line: &mut [f32], step: usize) {
        if step == 1 {
            for (l, &s) in line.iter_mut().zip(src) {
                *l += s;
            }
        } else {
            for (l, &s) in line.iter_mut().step_by(step).zip(src) {
                *l += s;
            }
        }
    }
}

/// Fills up to three dimensions with leading ones.
fn three(list: impl ExactSizeIterator<Item = usize>, fill: usize) -> [usize; 3] {
    let mut out = [fill; 3];
    let skip = 3usize.saturating_sub(list.len());
    for (o, v) in out.iter_mut().skip(skip).zip(list) {
        *o = v;
    }
    out
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AutoPad {
    NotSet,
    Valid,
    Upper,
    Lower,
}

#[derive(Debug)]
struct ConvTranspose {
    auto_pad: AutoPad,
    group: usize,
    kernel: Option<Vec<usize>>,
    strides: Option<Vec<usize>>,
    dilations: Option<Vec<usize>>,
    pads: Option<Vec<usize>>,
    output_padding: Option<Vec<usize>>,
    output_shape: Option<Vec<i64>>,
}

pub(super) fn transpose(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    node.arity(2, 3, 1)?;
    let auto_pad = match node.text("auto_pad", "NOTSET")? {
        "NOTSET" | "" => AutoPad::NotSet,
        "VALID" => AutoPad::Valid,
        "SAME_UPPER" => AutoPad::Upper,
        "SAME_LOWER" => AutoPad::Lower,
        _ => return Err(BuildError::BadAttribute("auto_pad")),
    };
    let group = node.int("group", 1)?;
    if !(1..=GEOMETRY).contains(&group) {
        return Err(BuildError::BadAttribute("group"));
    }
    ok(ConvTranspose {
        auto_pad,
        group: group as usize,
        kernel: node.geometry("kernel_shape", 1)?,
        strides: node.geometry("strides", 1)?,
        dilations: node.geometry("dilations", 1)?,
        pads: node.geometry("pads", 0)?,
        output_padding: node.geometry("output_padding", 0)?,
        output_shape: node.ints("output_shape")?.map(<[i64]>::to_vec),
    })
}

/// The resolved geometry.
struct Shapes {
    /// Input and output channels of one group.
    channels: usize,
    maps: usize,
    scatter: Scatter,
    output: Vec<usize>,
}

impl ConvTranspose {
    fn shapes(&self, x: &[usize], w: &[usize]) -> Result<Shapes, Fault> {
        let ([batch, cin, spatial @ ..], [win, maps, kernel @ ..]) = (x, w) else {
            return Err(Fault::Trap("ConvTranspose takes images and kernels"));
        };
        if cin != win || cin % self.group != 0 {
            return Err(Fault::Trap("channels do not agree"));
        }
        let rank = spatial.len();
        if !(1..=3).contains(&rank) {
            return Err(Fault::Trap("one to three spatial dimensions are supported"));
        }
        let (ones, zeros) = (vec![1; rank], vec![0; 2 * rank]);
        let strides = self.strides.as_deref().unwrap_or(&ones);
        let dilations = self.dilations.as_deref().unwrap_or(&ones);
        let pads = self.pads.as_deref().unwrap_or(&zeros);
        let extra = self.output_padding.as_deref().unwrap_or(&zeros[..rank]);
        let shape = self.output_shape.as_deref();
        // Some exporters also name batch and channels.
        let shape = shape.map(|s| if s.len() == rank + 2 { &s[2..] } else { s });
        let fits = kernel.len() == rank
            && self.kernel.as_deref().is_none_or(|k| k == kernel)
            && strides.len() == rank
            && dilations.len() == rank
            && pads.len() == 2 * rank
            && extra.len() >= rank
            && shape.is_none_or(|s| s.len() == rank)
            && kernel.iter().all(|&k| k >= 1 && k as i64 <= GEOMETRY);
        if !fits {
            return Err(DISAGREE);
        }
        let mut before = vec![0; rank];
        let all = maps.checked_mul(self.group).ok_or(DISAGREE)?;
        let mut output = vec![*batch, all];
        for i in 0..rank {
            // Bounded: dimensions < 2^31, the others ≤ 2^16.
            let (n, stride) = (spatial[i] as i64, strides[i] as i64);
            let extent = (kernel[i] as i64 - 1) * dilations[i] as i64 + 1;
            let full = stride * (n - 1).max(0) + extra[i] as i64 + extent;
            let wanted = match (shape, self.auto_pad) {
                (Some(s), _) => Some(s[i]),
                (None, AutoPad::Upper | AutoPad::Lower) => Some(n * stride),
                _ => None,
            };
            let (start, out) = match (wanted, self.auto_pad) {
                (Some(out), mode) => {
                    let total = full.saturating_sub(out).max(0);
                    let half = total / 2;
                    let start = if mode == AutoPad::Upper {
                        half
                    } else {
                        total - half
                    };
                    (start, out)
                }
                (None, AutoPad::Valid) => (0, full),
                (None, _) => (
                    pads[i] as i64,
                    full - pads[i] as i64 - pads[rank + i] as i64,
                ),
            };
            if !(0..=MAX_DIM as i64).contains(&out) {
                return Err(Fault::Trap("output shape out of bounds"));
            }
            before[i] = start as usize;
            output.push(if n == 0 { 0 } else { out as usize });
        }
        Ok(Shapes {
            channels: cin / self.group,
            maps: *maps,
            scatter: Scatter {
                image: three(output[2..].iter().copied(), 1),
                kernel: three(kernel.iter().copied(), 1),
                blocks: three(spatial.iter().copied(), 1),
                stride: three(strides.iter().copied(), 1),
                dilation: three(dilations.iter().copied(), 1),
                before: three(before.into_iter(), 0),
            },
            output,
        })
    }
}

impl Shapes {
    /// Output maps whose columns are made at a time.
    fn chunk(&self) -> u64 {
        let per = numel(&self.scatter.kernel).saturating_mul(numel(&self.scatter.blocks));
        (COLUMNS / per.max(1)).clamp(1, (self.maps as u64).max(1))
    }
}

impl Operator for ConvTranspose {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let x = inputs.typed(0, DType::F32)?;
        let w = inputs.typed(1, DType::F32)?;
        let s = self.shapes(&x.shape, &w.shape)?;
        if inputs.has(2) && inputs.typed(2, DType::F32)?.shape != [s.output[1]] {
            return Err(Fault::Trap("one bias per output channel is needed"));
        }
        let columns = numel(&s.scatter.kernel)
            .saturating_mul(x.shape[0] as u64)
            .saturating_mul(s.output[1] as u64)
            .saturating_mul(numel(&s.scatter.blocks));
        let scratch = (s.chunk().saturating_mul(4))
            .saturating_mul(numel(&s.scatter.kernel))
            .saturating_mul(numel(&s.scatter.blocks));
        let gas = gas::contraction(columns, (s.channels as u64).saturating_add(1))
            .saturating_add(numel(&s.output));
        let mut plan = Plan::one(DType::F32, s.output, gas);
        plan.scratch = scratch;
        Ok(plan)
    }

    fn eval(
        &self,
        inputs: &Inputs<'_>,
        plan: &Plan,
        kernels: Kernels,
    ) -> Result<Vec<Tensor>, Fault> {
        let (x, w) = (inputs.slice::<f32>(0)?, inputs.slice::<f32>(1)?);
        let s = self.shapes(inputs.shape(0)?, inputs.shape(1)?)?;
        let mut out = vec![0f32; numel(plan.shape(0)) as usize];
        if out.is_empty() {
            return single(plan.shape(0), out);
        }
        let (taps, positions) = (s.scatter.taps(), s.scatter.positions());
        let area = numel(&s.scatter.image) as usize;
        let (k, chunk) = (s.channels, s.chunk() as usize);
        let mut columns = vec![0f32; chunk * taps * positions];
        let (image, weight) = (k * positions, k * s.maps * taps);
        for (i, planes) in out.chunks_exact_mut(s.maps * area).enumerate() {
            let x = &x[i * image..][..image];
            let w = &w[i % self.group * weight..][..weight];
            for (j, planes) in planes.chunks_mut(chunk * area).enumerate() {
                let rows = planes.len() / area * taps;
                // Row (map, tap), column (channel) of the transposed kernel.
                let a = Mat {
                    data: w.get(j * chunk * taps..).unwrap_or(&[]),
                    rs: 1,
                    cs: s.maps * taps,
                };
                let columns = &mut columns[..rows * positions];
                let dims = (rows, positions, k);
                gemm::gemm(kernels, dims, a, Mat::rows(x, positions), columns);
                let maps = planes.chunks_exact_mut(area);
                for (plane, columns) in maps.zip(columns.chunks_exact(taps * positions)) {
                    s.scatter.add(kernels, columns, plane);
                }
            }
        }
        let bias = if inputs.has(2) {
            Some(inputs.slice::<f32>(2)?)
        } else {
            None
        };
        for (i, plane) in out.chunks_exact_mut(area).enumerate() {
            let b = bias.map(|b| b[i % b.len()]);
            match b {
                Some(b) => simd::update(kernels, plane, |v| canon(v + b)),
                None => simd::update(kernels, plane, canon),
            }
        }
        single(plan.shape(0), out)
    }
}

#[derive(Debug)]
struct Col2Im {
    strides: Option<Vec<usize>>,
    dilations: Option<Vec<usize>>,
    pads: Option<Vec<usize>>,
}

pub(super) fn col2im(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    node.arity(3, 3, 1)?;
    ok(Col2Im {
        strides: node.geometry("strides", 1)?,
        dilations: node.geometry("dilations", 1)?,
        pads: node.geometry("pads", 0)?,
    })
}

impl Col2Im {
    fn shapes(&self, inputs: &Inputs<'_>) -> Result<(Scatter, Vec<usize>), Fault> {
        let &[n, rows, blocks] = inputs.shape(0)? else {
            return Err(Fault::Trap("Col2Im takes batch, columns and blocks"));
        };
        let (image, kernel) = (inputs.ints(1)?, inputs.ints(2)?);
        let rank = image.len();
        if !(1..=3).contains(&rank) {
            return Err(Fault::Trap("one to three spatial dimensions are supported"));
        }
        let (ones, zeros) = (vec![1; rank], vec![0; 2 * rank]);
        let strides = self.strides.as_deref().unwrap_or(&ones);
        let dilations = self.dilations.as_deref().unwrap_or(&ones);
        let pads = self.pads.as_deref().unwrap_or(&zeros);
        let fits = kernel.len() == rank
            && strides.len() == rank
            && dilations.len() == rank
            && pads.len() == 2 * rank
            && kernel.iter().all(|k| (1..=GEOMETRY).contains(k))
            && image.iter().all(|d| (0..=MAX_DIM as i64).contains(d));
        if !fits {
            return Err(DISAGREE);
        }
        let counts: Vec<usize> = (0..rank)
            .map(|i| {
                let extent = (kernel[i] - 1) * dilations[i] as i64 + 1;
                let room = image[i] + pads[i] as i64 + pads[rank + i] as i64 - extent;
                let room = usize::try_from(room).ok();
                room.map_or(0, |r| r / strides[i] + 1)
            })
            .collect();
        let size = |d: &[i64]| three(d.iter().map(|&d| d as usize), 1);
        let s = Scatter {
            image: size(&image),
            kernel: size(&kernel),
            blocks: three(counts.into_iter(), 1),
            stride: three(strides.iter().copied(), 1),
            dilation: three(dilations.iter().copied(), 1),
            before: three(pads[..rank].iter().copied(), 0),
        };
        let taps = numel(&s.kernel);
        if numel(&s.blocks) != blocks as u64 || !(rows as u64).is_multiple_of(taps) {
            return Err(Fault::Trap("columns do not fit the image"));
        }
        let mut out = vec![n, (rows as u64 / taps) as usize];
        out.extend(image.iter().map(|&d| d as usize));
        Ok((s, out))
    }
}

impl Operator for Col2Im {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let columns = inputs.typed(0, DType::F32)?.len();
        let (_, out) = self.shapes(inputs)?;
        let gas = columns.saturating_add(numel(&out));
        Ok(Plan::one(DType::F32, out, gas))
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, k: Kernels) -> Result<Vec<Tensor>, Fault> {
        let x = inputs.slice::<f32>(0)?;
        let (s, shape) = self.shapes(inputs)?;
        let mut out = vec![0f32; numel(&shape) as usize];
        let (area, per) = (numel(&s.image) as usize, s.taps() * s.positions());
        if area > 0 && per > 0 {
            for (plane, columns) in out.chunks_exact_mut(area).zip(x.chunks_exact(per)) {
                s.add(k, columns, plane);
                simd::update(k, plane, canon);
            }
        }
        single(plan.shape(0), out)
    }
}
