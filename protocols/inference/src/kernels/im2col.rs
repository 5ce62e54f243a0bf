//! The implicit right-hand matrix of a convolution.
//!
//! Row p = (channel, kd, kh, kw), row-major; column j = (od, oh, ow),
//! row-major. The element is the input under the window, and +0 in the padding:
//! padding takes part in the chain as an ordinary +0. One and two spatial
//! dimensions are run as three with leading ones.

use super::pack::Panels;

/// Geometry of three spatial dimensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) input: [usize; 3],
    pub(crate) output: [usize; 3],
    pub(crate) kernel: [usize; 3],
    pub(crate) stride: [usize; 3],
    pub(crate) dilation: [usize; 3],
    /// Padding before each dimension.
    pub(crate) before: [usize; 3],
}

/// Saturating: an empty tensor may have absurd dimensions.
fn product(dims: &[usize; 3]) -> usize {
    crate::tensor::numel(dims) as usize
}

impl Window {
    pub(crate) fn taps(&self) -> usize {
        product(&self.kernel)
    }

    pub(crate) fn input_len(&self) -> usize {
        product(&self.input)
    }

    pub(crate) fn output_len(&self) -> usize {
        product(&self.output)
    }

    /// The same windows with trivial dimensions first, so that lines are long;
    /// the order of taps and of outputs does not change.
    pub(crate) fn compact(mut self) -> Self {
        for _ in 0..2 {
            let trivial = self.input[2] == 1
                && self.output[2] == 1
                && self.kernel[2] == 1
                && self.before[2] == 0;
            if !trivial {
                break;
            }
            let lists = [
                &mut self.input,
                &mut self.output,
                &mut self.kernel,
                &mut self.stride,
                &mut self.dilation,
                &mut self.before,
            ];
            lists.into_iter().for_each(|l| l.rotate_right(1));
        }
        self
    }

    /// Whether the windows are the input itself.
    pub(crate) fn is_identity(&self) -> bool {
        self.taps() == 1
            && self.stride == [1; 3]
            && self.before == [0; 3]
            && self.input == self.output
    }

    /// Input coordinate of output `o` at tap `k` along `axis`, unless in the padding.
    #[inline(always)]
    pub(crate) fn source(&self, axis: usize, o: usize, k: usize) -> Option<usize> {
        (o * self.stride[axis] + k * self.dilation[axis])
            .checked_sub(self.before[axis])
            .filter(|&i| i < self.input[axis])
    }
}

/// The columns of one group of one image.
pub(crate) struct Columns<'a> {
    pub(crate) window: Window,
    /// channels × input, row-major.
    pub(crate) image: &'a [f32],
}

impl Panels for Columns<'_> {
    fn fill(&self, k0: usize, kc: usize, j0: usize, width: usize, nr: usize, dst: &mut [f32]) {
        let w = &self.window;
        let [_, kh, kw] = w.kernel;
        let [_, oh, ow] = w.output;
        for p in 0..kc {
            let tap = (k0 + p) % w.taps();
            let channel = (k0 + p) / w.taps();
            let plane = &self.image[channel * w.input_len()..(channel + 1) * w.input_len()];
            let (kd, ky, kx) = (tap / (kh * kw), tap / kw % kh, tap % kw);
            let mut row = &mut dst[p * nr..p * nr + width];
            let mut j = j0;
            while !row.is_empty() {
                let (od, oy, ox) = (j / (oh * ow), j / ow % oh, j % ow);
                let run = row.len().min(ow - ox);
                let (head, tail) = std::mem::take(&mut row).split_at_mut(run);
                row = tail;
                j += run;
                match (w.source(0, od, kd), w.source(1, oy, ky)) {
                    (Some(z), Some(y)) => {
                        let line = (z * w.input[1] + y) * w.input[2];
                        fill_run(w, &plane[line..line + w.input[2]], ox, kx, head);
                    }
                    _ => head.fill(0.0),
                }
            }
        }
    }
}

/// Output columns `ox..ox+dst.len()` of one input line at tap `kx`.
#[inline]
fn fill_run(w: &Window, line: &[f32], ox: usize, kx: usize, dst: &mut [f32]) {
    let stride = w.stride[2];
    // Position in the line of output column o is o·stride + shift − before.
    let shift = kx * w.dilation[2];
    let before = w.before[2];
    let first = before
        .saturating_sub(shift)
        .div_ceil(stride)
        .clamp(ox, ox + dst.len())
        - ox;
    let end = (line.len() + before).saturating_sub(shift).div_ceil(stride);
    let last = end.clamp(ox, ox + dst.len()) - ox;
    let last = last.max(first);
    dst[..first].fill(0.0);
    dst[last..].fill(0.0);
    if first < last {
        let start = (ox + first) * stride + shift - before;
        let valid = &mut dst[first..last];
        if stride == 1 {
            valid.copy_from_slice(&line[start..start + valid.len()]);
        } else {
            for (d, &s) in valid.iter_mut().zip(line[start..].iter().step_by(stride)) {
                *d = s;
            }
        }
    }
}
