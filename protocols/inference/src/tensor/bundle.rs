//! Named tensors as canonical bytes: how a job carries its inputs and a worker
//! its outputs.
//!
//! Encoding: magic (`AETI` for inputs, `AETO` for outputs), version (`u8` = 1),
//! count (`u32`), then per tensor: name (`u32` length, UTF-8), tensor encoding.
//! The order is the program's; names are unique. Nothing may follow.

use std::collections::BTreeSet;

use super::Tensor;
use crate::codec::{CodecError, Reader, Writer};

const INPUTS: &[u8; 4] = b"AETI";
const OUTPUTS: &[u8; 4] = b"AETO";
const VERSION: u8 = 1;

/// Bounds for decoding named tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BundleLimits {
    /// Largest encoding, bytes.
    pub max_bytes: u64,
    /// Most tensors.
    pub max_tensors: usize,
    /// Longest name, bytes.
    pub max_name_bytes: usize,
}

impl Default for BundleLimits {
    fn default() -> Self {
        Self {
            max_bytes: 64 << 20,
            max_tensors: 256,
            max_name_bytes: 256,
        }
    }
}

/// Canonical bytes of a job's inputs.
pub fn encode_inputs(tensors: &[(&str, &Tensor)]) -> Vec<u8> {
    encode(INPUTS, tensors)
}

/// Decodes a job's inputs.
///
/// # Errors
/// When the bytes exceed the limits or are not canonical.
pub fn decode_inputs(
    bytes: &[u8],
    limits: &BundleLimits,
) -> Result<Vec<(String, Tensor)>, CodecError> {
    decode(INPUTS, bytes, limits)
}

/// Canonical bytes of a job's outputs.
pub fn encode_outputs(tensors: &[(&str, &Tensor)]) -> Vec<u8> {
    encode(OUTPUTS, tensors)
}

/// Decodes a job's outputs; errors as [`decode_inputs`].
pub fn decode_outputs(
    bytes: &[u8],
    limits: &BundleLimits,
) -> Result<Vec<(String, Tensor)>, CodecError> {
    decode(OUTPUTS, bytes, limits)
}

fn encode(magic: &[u8; 4], tensors: &[(&str, &Tensor)]) -> Vec<u8> {
    let mut w = Writer::new();
    w.raw(magic);
    w.u8(VERSION);
    w.count(tensors.len());
    for (name, tensor) in tensors {
        w.bytes(name.as_bytes());
        tensor.write(&mut w);
    }
    w.finish()
}

fn decode(
    magic: &[u8; 4],
    bytes: &[u8],
    limits: &BundleLimits,
) -> Result<Vec<(String, Tensor)>, CodecError> {
    let mut r = Reader::bounded(bytes, limits.max_bytes)?;
    if r.array::<4>()? != *magic {
        return Err(CodecError::NotCanonical("wrong magic"));
    }
    if r.u8()? != VERSION {
        return Err(CodecError::NotCanonical("unknown version"));
    }
    // A name's length and a scalar's description take six bytes at least.
    let n = r.count(6)?;
    if n > limits.max_tensors {
        return Err(CodecError::NotCanonical("too many tensors"));
    }
    let mut seen = BTreeSet::new();
    let mut out = Vec::with_capacity(n);
    for _ in 0..n {
        let name = r.bytes()?;
        if name.len() > limits.max_name_bytes {
            return Err(CodecError::NotCanonical("name too long"));
        }
        let name =
            std::str::from_utf8(name).map_err(|_| CodecError::NotCanonical("name is not UTF-8"))?;
        if !seen.insert(name) {
            return Err(CodecError::NotCanonical("duplicate name"));
        }
        out.push((name.to_owned(), Tensor::read(&mut r)?));
    }
    r.finish()?;
    Ok(out)
}
