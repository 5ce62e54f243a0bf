//! Operators of neural-network layers beyond the common ones: normalisations,
//! resampling, transposed convolutions, attention, detectors' operators.

mod attention;
mod deconv;
mod deform;
mod detect;
mod norm;
mod pool;
mod resize;
mod rotary;
mod sample;
mod taps;

use super::registry::{ANY, FLOAT, SupportedOperator, own, wide};
use crate::tensor::DType;

/// The operators of this family.
pub(super) static OPERATORS: &[SupportedOperator] = &[
    wide("InstanceNormalization", 1, FLOAT, norm::grouped),
    wide("GroupNormalization", 18, FLOAT, norm::grouped),
    wide("RMSNormalization", 23, FLOAT, norm::rms),
    wide("LpNormalization", 1, FLOAT, norm::lp),
    wide("ConvTranspose", 1, FLOAT, deconv::transpose),
    wide("DeformConv", 19, FLOAT, deform::build),
    wide("Col2Im", 18, FLOAT, deconv::col2im),
    wide("LpPool", 1, FLOAT, pool::lp),
    wide("GlobalLpPool", 1, FLOAT, pool::global),
    wide("MaxUnpool", 9, FLOAT, pool::unpool),
    wide("Resize", 10, ANY, resize::build),
    wide("Upsample", 1, ANY, resize::build).until(10),
    wide("Attention", 23, FLOAT, attention::build),
    wide("RotaryEmbedding", 23, FLOAT, rotary::build),
    own("TensorScatter", 24, ANY, rotary::scatter),
    wide("GridSample", 16, FLOAT, sample::grid_sample),
    wide("AffineGrid", 20, FLOAT, sample::affine_grid),
    wide("RoiAlign", 10, FLOAT, detect::roi_align),
    own("NonMaxSuppression", 10, &[DType::F32], detect::suppression),
    wide("LRN", 1, FLOAT, norm::lrn),
];
