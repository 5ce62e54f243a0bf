//! Operators of neural-network layers beyond the common ones: normalisations,
//! resampling, transposed convolutions, attention, detectors' operators.

mod norm;

use super::registry::Built;
use super::{BuildError, Node};

/// Builds a layer's operator.
pub(super) fn build(node: &Node<'_>) -> Built {
    match node.op {
        "InstanceNormalization" | "GroupNormalization" => norm::grouped(node),
        "RMSNormalization" => norm::rms(node),
        "LpNormalization" => norm::lp(node),
        "LRN" => norm::lrn(node),
        _ => Err(BuildError::UnknownOperator),
    }
}
