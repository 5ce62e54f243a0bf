//! Operators of neural-network layers beyond the common ones: normalisations,
//! resampling, transposed convolutions, attention, detectors' operators.

mod deconv;
mod norm;
mod pool;
mod resize;
mod taps;

use super::registry::Built;
use super::{BuildError, Node};

/// Builds a layer's operator.
pub(super) fn build(node: &Node<'_>) -> Built {
    match node.op {
        "InstanceNormalization" | "GroupNormalization" => norm::grouped(node),
        "RMSNormalization" => norm::rms(node),
        "LpNormalization" => norm::lp(node),
        "ConvTranspose" => deconv::transpose(node),
        "Col2Im" => deconv::col2im(node),
        "LpPool" => pool::lp(node),
        "GlobalLpPool" => pool::global(node),
        "MaxUnpool" => pool::unpool(node),
        "Resize" | "Upsample" => resize::build(node),
        "LRN" => norm::lrn(node),
        _ => Err(BuildError::UnknownOperator),
    }
}
