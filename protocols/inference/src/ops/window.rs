//! The geometry that convolutions and poolings share.
//!
//! Rules (ONNX): `auto_pad` NOTSET uses `pads`; VALID is zero padding; SAME_*
//! gives `⌈in/stride⌉` outputs, the odd pad at the end (UPPER) or start (LOWER).
//! With `ceil_mode` the last window may run over the end, but must start within
//! the input or the padding before it.

use super::node::GEOMETRY;
use super::{BuildError, Fault, Node};
use crate::kernels::im2col::Window;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AutoPad {
    NotSet,
    Valid,
    SameUpper,
    SameLower,
}

/// The window attributes of a node.
#[derive(Debug)]
pub(super) struct WindowAttrs {
    auto_pad: AutoPad,
    kernel: Option<Vec<usize>>,
    strides: Option<Vec<usize>>,
    dilations: Option<Vec<usize>>,
    pads: Option<Vec<usize>>,
    ceil: bool,
}

/// A resolved window and its padding after each dimension.
#[derive(Debug)]
pub(super) struct Resolved {
    pub(super) window: Window,
    /// Padding after, counted as part of the averaged area.
    pub(super) after: [usize; 3],
    /// Output dimensions as the tensor has them (1 to 3).
    pub(super) output: Vec<usize>,
}

const DISAGREE: Fault = Fault::Trap("window attributes do not fit the input's rank");

impl WindowAttrs {
    /// Those of an operator without `auto_pad`.
    pub(super) fn padded(node: &Node<'_>) -> Result<Self, BuildError> {
        Ok(Self {
            auto_pad: AutoPad::NotSet,
            kernel: node.geometry("kernel_shape", 1)?,
            strides: node.geometry("strides", 1)?,
            dilations: node.geometry("dilations", 1)?,
            pads: node.geometry("pads", 0)?,
            ceil: false,
        })
    }

    pub(super) fn read(node: &Node<'_>, pool: bool) -> Result<Self, BuildError> {
        let auto_pad = match node.text("auto_pad", "NOTSET")? {
            "NOTSET" | "" => AutoPad::NotSet,
            "VALID" => AutoPad::Valid,
            "SAME_UPPER" => AutoPad::SameUpper,
            "SAME_LOWER" => AutoPad::SameLower,
            _ => return Err(BuildError::BadAttribute("auto_pad")),
        };
        let kernel = node.geometry("kernel_shape", 1)?;
        if pool && kernel.is_none() {
            return Err(BuildError::BadAttribute("kernel_shape"));
        }
        Ok(Self {
            auto_pad,
            kernel,
            strides: node.geometry("strides", 1)?,
            dilations: node.geometry("dilations", 1)?,
            pads: node.geometry("pads", 0)?,
            ceil: pool && node.flag("ceil_mode", false)?,
        })
    }

    /// Resolves against the input's spatial dimensions and, for convolutions,
    /// the weight's.
    pub(super) fn resolve(
        &self,
        spatial: &[usize],
        weight: Option<&[usize]>,
    ) -> Result<Resolved, Fault> {
        let rank = spatial.len();
        if !(1..=3).contains(&rank) {
            return Err(Fault::Trap("one to three spatial dimensions are supported"));
        }
        let kernel = match (weight, &self.kernel) {
            (Some(w), Some(k)) if w != k.as_slice() => return Err(DISAGREE),
            (Some(w), _) => w,
            (None, Some(k)) => k.as_slice(),
            (None, None) => return Err(DISAGREE),
        };
        let ones = vec![1; rank];
        let zeros = vec![0; 2 * rank];
        let strides = self.strides.as_deref().unwrap_or(&ones);
        let dilations = self.dilations.as_deref().unwrap_or(&ones);
        let pads = self.pads.as_deref().unwrap_or(&zeros);
        let fits = kernel.len() == rank
            && strides.len() == rank
            && dilations.len() == rank
            && pads.len() == 2 * rank
            && kernel.iter().all(|&k| k >= 1 && k as i64 <= GEOMETRY);
        if !fits {
            return Err(DISAGREE);
        }
        let mut r = Resolved {
            window: Window {
                input: [1; 3],
                output: [1; 3],
                kernel: [1; 3],
                stride: [1; 3],
                dilation: [1; 3],
                before: [0; 3],
            },
            after: [0; 3],
            output: Vec::with_capacity(rank),
        };
        for i in 0..rank {
            let at = 3 - rank + i;
            // Bounded: dimensions < 2^31, the others ≤ 2^16.
            let (input, stride) = (spatial[i] as i64, strides[i] as i64);
            let extent = (kernel[i] as i64 - 1) * dilations[i] as i64 + 1;
            let (before, after, out) = self.axis(input, extent, stride, pads[i], pads[rank + i])?;
            let w = &mut r.window;
            w.input[at] = spatial[i];
            w.output[at] = out as usize;
            w.kernel[at] = kernel[i];
            w.stride[at] = strides[i];
            w.dilation[at] = dilations[i];
            w.before[at] = before as usize;
            r.after[at] = after as usize;
            r.output.push(out as usize);
        }
        Ok(r)
    }

    fn axis(
        &self,
        input: i64,
        extent: i64,
        stride: i64,
        before: usize,
        after: usize,
    ) -> Result<(i64, i64, i64), Fault> {
        let (before, after) = match self.auto_pad {
            AutoPad::NotSet => (before as i64, after as i64),
            AutoPad::Valid => (0, 0),
            same => {
                let out = (input + stride - 1) / stride;
                let total = ((out - 1) * stride + extent - input).max(0);
                let (small, large) = (total / 2, total - total / 2);
                let (before, after) = if same == AutoPad::SameUpper {
                    (small, large)
                } else {
                    (large, small)
                };
                return Ok((before, after, out.max(0)));
            }
        };
        let room = input + before + after - extent;
        if room < 0 {
            return Err(Fault::Trap("the window is larger than the padded input"));
        }
        let mut out = if self.ceil {
            (room + stride - 1) / stride
        } else {
            room / stride
        } + 1;
        if self.ceil && (out - 1) * stride >= input + before {
            out -= 1;
        }
        Ok((before, after, out))
    }
}
