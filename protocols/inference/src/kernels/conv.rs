//! Convolutions, by the shape of the work.
//!
//! Rule: every output element is one FMA chain over (channel, kd, kh, kw) from
//! +0, padding taking part as +0; then the bias is added. How it is reached:
//! - one output channel per group: [`super::depthwise`];
//! - else a matrix product of weights and columns, with vectors across the
//!   positions, or across the channels where that wastes fewer lanes. Columns are
//!   the image itself (1×1), stretches of its only line, or read from its [`super::planes`], or, in three
//!   dimensions and under absurd padding, made tap by tap ([`super::im2col`]).

use super::gemm::{self, Bias, Mat, Operand, Packed, Panels, Product};
use super::im2col::{Columns, Window};
use super::pack::{Cut, Side};
use super::planes::{Layout, PlaneColumns, SLACK};
use super::prepared::{Form, Prepared};
use super::split::{self, Shared};
use super::{Kernels, depthwise, scratch};

/// Multiply-adds, or numbers moved, that are worth another thread.
const WORTH: usize = if cfg!(test) { 1 << 8 } else { 1 << 17 };

/// A convolution's sizes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Conv {
    pub(crate) batch: usize,
    pub(crate) groups: usize,
    /// Input channels of one group.
    pub(crate) channels: usize,
    /// Output channels of one group.
    pub(crate) maps: usize,
    pub(crate) window: Window,
}

/// Its operands.
#[derive(Clone, Copy)]
pub(crate) struct Operands<'a> {
    /// batch × groups × channels × input.
    pub(crate) x: &'a [f32],
    /// groups × maps × channels × kernel.
    pub(crate) weights: &'a [f32],
    pub(crate) bias: Option<&'a [f32]>,
    /// Where packed weights are kept.
    pub(crate) prepared: Option<&'a Prepared>,
}

impl Conv {
    fn k(&self) -> usize {
        self.channels * self.window.taps()
    }

    /// Whether vectors run across channels: fewer lanes lie idle.
    fn across_maps(&self) -> bool {
        let n = self.window.output_len();
        let idle = |vector: usize, other: usize| vector.next_multiple_of(16) * other;
        self.maps >= 8 && 20 * idle(self.maps, n) < 19 * idle(n, self.maps)
    }

    /// The columns as a matrix in place: stretches of one line, far apart.
    fn stretches<'a>(&self, x: &'a [f32]) -> Option<Mat<'a>> {
        let w = &self.window;
        let [stride, dilation] = [w.stride[2], w.dilation[2]];
        let line = self.channels == 1
            && self.maps > 1
            && stride > 1
            && [w.input, w.output, w.kernel]
                .iter()
                .all(|d| d[..2] == [1, 1])
            && w.before == [0; 3];
        let mat = Mat {
            data: x,
            rs: dilation,
            cs: stride,
        };
        (line && mat.covers(w.kernel[2], w.output[2])).then_some(mat)
    }

    /// Computes into `out`: batch × groups × maps × output.
    pub(crate) fn run(&self, kernels: Kernels, given: Operands<'_>, out: &mut [f32]) {
        let area = self.window.input_len();
        let in_place = given.x.get(..area).and_then(|x| self.stretches(x));
        let wanted = in_place.is_none().then(|| Layout::new(self.window));
        let layout = wanted.flatten().filter(|l| {
            // No more memory than input and output together.
            l.len.saturating_mul(self.channels) <= given.x.len().saturating_add(out.len())
        });
        match layout {
            Some(l) if self.maps == 1 => self.depthwise(kernels, &l, given, out),
            l => self.product(kernels, l.as_ref(), given, out),
        }
    }

    fn depthwise(&self, kernels: Kernels, l: &Layout, given: Operands<'_>, out: &mut [f32]) {
        let (area, inner) = (self.window.input_len(), self.window.output_len());
        let (k, ow) = (self.k(), self.window.output[2]);
        let starts: Vec<usize> = (0..self.channels)
            .flat_map(|c| l.offsets.iter().map(move |o| c * l.len + o))
            .collect();
        let wide = l.wide().next_multiple_of(16);
        let images = self.batch * self.groups;
        let out = Shared::new(out);
        let work = images.saturating_mul(inner).saturating_mul(k);
        let parts = split::threads().min(images).min(work / WORTH).max(1);
        split::run(parts, &|part| {
            let planes_len = self.channels * l.len + SLACK;
            scratch::with(planes_len + wide, |buffer| {
                let (planes, line) = buffer.split_at_mut(planes_len);
                planes[self.channels * l.len..].fill(0.0);
                for image in split::share(images, parts, part) {
                    let group = image % self.groups;
                    let x = &given.x[image * self.channels * area..][..self.channels * area];
                    for (x, p) in x.chunks_exact(area).zip(planes.chunks_exact_mut(l.len)) {
                        l.fill(kernels, x, p);
                    }
                    let weights = &given.weights[group * k..][..k];
                    let bias = given.bias.map(|b| b[group]);
                    depthwise::chain(kernels, weights, &starts, planes, bias, line);
                    // SAFETY: each image's output belongs to one part.
                    let to = unsafe { out.slice(image * inner, inner) };
                    for (to, from) in to.chunks_exact_mut(ow).zip(line.chunks(l.width)) {
                        to.copy_from_slice(&from[..ow]);
                    }
                }
            });
        });
    }

    fn product(
        &self,
        kernels: Kernels,
        layout: Option<&Layout>,
        given: Operands<'_>,
        out: &mut [f32],
    ) {
        let (area, inner) = (self.window.input_len(), self.window.output_len());
        let packed = self.packed(kernels, given);
        let copied = layout.filter(|l| !l.is_plain() && !self.window.is_identity());
        let len = copied.map_or(0, |l| self.channels * l.len + SLACK);
        scratch::with(len, |planes| {
            for image in 0..self.batch * self.groups {
                let group = image % self.groups;
                let x = &given.x[image * self.channels * area..][..self.channels * area];
                if let Some(l) = copied {
                    let planes = Shared::new(&mut *planes);
                    let parts = split::threads()
                        .min(self.channels)
                        .min(x.len() / WORTH)
                        .max(1);
                    split::run(parts, &|part| {
                        for c in split::share(self.channels, parts, part) {
                            // SAFETY: each channel belongs to one part.
                            let to = unsafe { planes.slice(c * l.len, l.len) };
                            l.fill(kernels, &x[c * area..][..area], to);
                        }
                    });
                }
                let held = if copied.is_some() { &*planes } else { x };
                let packed = packed.as_ref().and_then(|p| p.get(group));
                let c = &mut out[image * self.maps * inner..][..self.maps * inner];
                let identity = Mat::rows(x, area);
                let stretches = self.stretches(x);
                let (from_planes, from_image);
                let columns: &dyn Panels = match (layout, &stretches) {
                    _ if self.window.is_identity() => &identity,
                    (_, Some(stretches)) => stretches,
                    (Some(layout), None) => {
                        from_planes = PlaneColumns {
                            kernels,
                            layout,
                            planes: held,
                        };
                        &from_planes
                    }
                    (None, None) => {
                        from_image = Columns {
                            window: self.window,
                            image: x,
                        };
                        &from_image
                    }
                };
                self.image(kernels, given, group, packed, columns, c);
            }
        });
    }

    /// The weights, packed for good where they are constant.
    fn packed(&self, kernels: Kernels, given: Operands<'_>) -> Option<std::sync::Arc<Vec<Packed>>> {
        let across = self.across_maps();
        let side = if across { Side::Right } else { Side::Left };
        let k = self.k();
        let form = Form {
            kernels,
            cut: Cut::new(kernels, side, self.maps),
            k,
            transposed: true,
            parts: self.groups,
        };
        let part = |g: usize| Mat::rows(&given.weights[g * self.maps * k..], k).transposed();
        given.prepared?.get(form, part)
    }

    fn image(
        &self,
        kernels: Kernels,
        given: Operands<'_>,
        group: usize,
        packed: Option<&Packed>,
        columns: &dyn Panels,
        c: &mut [f32],
    ) {
        let (n, k) = (self.window.output_len(), self.k());
        let weights = &given.weights[group * self.maps * k..][..self.maps * k];
        let weights = Mat::rows(weights, k).transposed();
        let weights = packed.map_or(Operand::Lazy(&weights), Operand::Packed);
        let bias = given.bias.map(|b| &b[group * self.maps..][..self.maps]);
        if self.across_maps() {
            let out = Product {
                c,
                transposed: true,
                bias: bias.map_or(Bias::None, Bias::Columns),
            };
            gemm::multiply(
                kernels,
                (n, self.maps, k),
                Operand::Lazy(columns),
                weights,
                out,
            );
        } else {
            let out = Product {
                c,
                transposed: false,
                bias: bias.map_or(Bias::None, Bias::Rows),
            };
            gemm::multiply(
                kernels,
                (self.maps, n, k),
                weights,
                Operand::Lazy(columns),
                out,
            );
        }
    }
}
