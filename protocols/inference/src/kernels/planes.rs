//! A convolution's input, laid out so that every tap is a shifted plane.
//!
//! Rule: each channel's plane is padded with +0 and, for strides s above 1, cut
//! into s·s phases (rows and columns with the same remainder), so that output
//! (oy, ox) under tap (ky, kx) reads element `offset(tap) + oy·width + ox` of the
//! channel's planes. This only moves elements. One or two spatial dimensions;
//! where nothing is padded or strided, the input itself serves.

use super::Kernels;
use super::im2col::Window;
use super::pack::Panels;
use super::simd::multiversion;

/// Numbers beyond the last plane that may be read (and are not used).
pub(super) const SLACK: usize = 128;

/// The layout of one channel.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    window: Window,
    /// Width of a line of a plane.
    pub(super) width: usize,
    /// Lines of a phase.
    lines: usize,
    /// Phases in use, (y, x), in the order in which they are stored.
    phases: Vec<(usize, usize)>,
    /// Where each tap starts in the channel's planes.
    pub(super) offsets: Vec<usize>,
    /// Length of a channel's planes.
    pub(super) len: usize,
    /// What padding holds.
    pub(super) pad: f32,
}

impl Layout {
    /// The layout, or `None` for three spatial dimensions.
    pub(super) fn new(window: Window) -> Option<Self> {
        let [depth, kh, kw] = window.kernel;
        if depth != 1 || window.input[0] != 1 || window.output[0] != 1 || window.before[0] != 0 {
            return None;
        }
        let [_, sy, sx] = window.stride;
        let reach = |axis: usize| {
            let last = (window.kernel[axis] - 1).checked_mul(window.dilation[axis])?;
            window.output[axis].checked_add(last / window.stride[axis])
        };
        let (lines, width) = (reach(1)?, reach(2)?);
        let mut phases = Vec::new();
        let mut offsets = Vec::new();
        for tap in 0..kh.checked_mul(kw)? {
            let (y, x) = (tap / kw * window.dilation[1], tap % kw * window.dilation[2]);
            let phase = (y % sy, x % sx);
            let at = phases.iter().position(|p| *p == phase).unwrap_or_else(|| {
                phases.push(phase);
                phases.len() - 1
            });
            let line = at.checked_mul(lines)?.checked_add(y / sy)?;
            offsets.push(line.checked_mul(width)?.checked_add(x / sx)?);
        }
        let len = phases.len().checked_mul(lines.checked_mul(width)?)?;
        Some(Self {
            window,
            width,
            lines,
            phases,
            offsets,
            len,
            pad: 0.0,
        })
    }

    /// Whether a channel's planes are the channel itself.
    pub(super) fn is_plain(&self) -> bool {
        self.window.stride[1..] == [1, 1]
            && self.window.before[1..] == [0, 0]
            && self.window.input[1..] == [self.lines, self.width]
    }

    /// Numbers from one output to the last, with those between the lines.
    pub(super) fn wide(&self) -> usize {
        (self.window.output[1] - 1) * self.width + self.window.output[2]
    }

    /// Writes a channel's planes.
    pub(super) fn fill(&self, kernels: Kernels, channel: &[f32], planes: &mut [f32]) {
        fill(kernels, self, channel, planes);
    }
}

multiversion! {
    fn fill[](l: &Layout, channel: &[f32], planes: &mut [f32]) {
        let w = &l.window;
        let ([_, h, width], [_, top, left]) = (w.input, w.before);
        let (sy, sx) = (w.stride[1], w.stride[2]);
        let mut rows = planes.chunks_exact_mut(l.width);
        for &(py, px) in &l.phases {
            // Column c of the phase is column c·sx + px − left of the channel.
            let first = left.saturating_sub(px).div_ceil(sx).min(l.width);
            let last = (width + left).saturating_sub(px).div_ceil(sx).clamp(first, l.width);
            for line in 0..l.lines {
                let Some(row) = rows.next() else { return };
                let y = (line * sy + py).checked_sub(top).filter(|y| *y < h);
                let (Some(y), true) = (y, first < last) else {
                    row.fill(l.pad);
                    continue;
                };
                row[..first].fill(l.pad);
                row[last..].fill(l.pad);
                let from = &channel[y * width + first * sx + px - left..(y + 1) * width];
                let row = &mut row[first..last];
                match sx {
                    1 => copy(&from[..row.len()], row),
                    2 => {
                        let (pairs, rest) = from.as_chunks::<2>();
                        let (body, tail) = row.split_at_mut(pairs.len().min(row.len()));
                        for (d, s) in body.iter_mut().zip(pairs) {
                            *d = s[0];
                        }
                        if let (Some(d), Some(&s)) = (tail.first_mut(), rest.first()) {
                            *d = s;
                        }
                    }
                    _ => {
                        for (d, &s) in row.iter_mut().zip(from.iter().step_by(sx)) {
                            *d = s;
                        }
                    }
                }
            }
        }
    }
}

/// Copies a short line without calling for it.
#[inline(always)]
fn copy(from: &[f32], to: &mut [f32]) {
    let (a, rest) = from.as_chunks::<16>();
    let (b, tail) = to.as_chunks_mut::<16>();
    for (d, s) in b.iter_mut().zip(a) {
        *d = *s;
    }
    for (d, s) in tail.iter_mut().zip(rest) {
        *d = *s;
    }
}

/// The columns of one group of one image, read from its planes: row p is
/// (channel, kh, kw), column j is (oh, ow).
pub(super) struct PlaneColumns<'a> {
    pub(super) kernels: Kernels,
    pub(super) layout: &'a Layout,
    /// The channels' planes, and perhaps some slack.
    pub(super) planes: &'a [f32],
}

impl Panels for PlaneColumns<'_> {
    fn fill(&self, k0: usize, kc: usize, j0: usize, width: usize, nr: usize, dst: &mut [f32]) {
        let ow = self.layout.window.output[2];
        // Stretches of output lines: at most one per column.
        let mut runs = [Run::default(); 48];
        let mut count = 0;
        let (mut j, mut at) = (j0, 0);
        while at < width && count < runs.len() {
            let (oy, ox) = (j / ow, j % ow);
            let len = (ow - ox).min(width - at);
            let from = oy * self.layout.width + ox;
            runs[count] = Run { from, to: at, len };
            count += 1;
            j += len;
            at += len;
        }
        assert!(at == width, "panels are at most 48 columns wide");
        rows(
            self.kernels,
            self.layout,
            self.planes,
            (k0, kc, nr),
            &runs[..count],
            dst,
        );
    }
}

/// `len` neighbours, from a plane to a panel.
#[derive(Clone, Copy, Default)]
pub(super) struct Run {
    from: usize,
    to: usize,
    len: usize,
}

multiversion! {
    fn rows[](
        layout: &Layout,
        planes: &[f32],
        rows: (usize, usize, usize),
        runs: &[Run],
        dst: &mut [f32],
    ) {
        let (k0, kc, nr) = rows;
        let taps = layout.offsets.len();
        let (mut channel, mut tap) = (k0 / taps, k0 % taps);
        for p in 0..kc {
            let base = channel * layout.len + layout.offsets[tap];
            for run in runs {
                let (mut from, mut to, mut left) = (base + run.from, p * nr + run.to, run.len);
                // Whole vectors, as long as there is room for them: what is
                // written beyond the run is written again, or never read.
                while left > 0 {
                    let (s, d) = (&planes[from..], &mut dst[to..]);
                    match (s.first_chunk::<16>(), d.first_chunk_mut::<16>()) {
                        (Some(s), Some(d)) => *d = *s,
                        _ => {
                            let some = left.min(16);
                            d[..some].copy_from_slice(&s[..some]);
                        }
                    }
                    let done = left.min(16);
                    (from, to, left) = (from + done, to + done, left - done);
                }
            }
            tap += 1;
            if tap == taps {
                (channel, tap) = (channel + 1, 0);
            }
        }
    }
}
