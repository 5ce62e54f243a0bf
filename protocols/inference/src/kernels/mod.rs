//! Arithmetic on slices: nothing here knows ONNX, programs or traces.
//!
//! Rules (SPEC.md, "Numbers"): every function gives the same bits on every
//! [`Kernels`] path; vectors run across independent outputs only.

pub(crate) mod broadcast;
pub(crate) mod bytes;
#[cfg(target_arch = "x86_64")]
mod bytes_x86;
pub(crate) mod conv;
#[cfg(test)]
mod conv_tests;
mod depthwise;
pub(crate) mod fused;
pub(crate) mod gemm;
#[cfg(test)]
mod gemm_tests;
mod gemm_tile;
#[cfg(target_arch = "x86_64")]
mod gemm_x86;
pub(crate) mod igemm;
pub(crate) mod im2col;
pub(crate) mod math;
pub(crate) mod maxpool;
pub(crate) mod pack;
mod planes;
pub(crate) mod power;
pub(crate) mod prepared;
pub(crate) mod reduce;
pub(crate) mod scratch;
pub(crate) mod simd;
pub(crate) mod split;
pub(crate) mod strided;
pub(crate) mod trig;

pub(crate) use simd::check_float_environment;
pub use simd::{FloatEnvironment, Kernels};
