//! Bytes from strangers: bounded, canonical, nothing else.
//!
//! - A size cap is checked before anything is decoded or allocated.
//! - Decoding and encoding again must give the same bytes: unknown fields,
//!   defaults written out, fields out of order and overlong integers are all
//!   refused by that one rule.
//! - Fixed-length fields are checked by the conversions that build the domain
//!   types from the generated ones in [`pb`].

use prost::Message;

/// The generated protobuf types.
#[allow(missing_docs, unreachable_pub, clippy::all)]
pub mod pb {
    include!(concat!(env!("OUT_DIR"), "/aether.v1.rs"));
}

/// Why bytes were refused. Always the sender's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Longer than the limit that applies here.
    #[error("message of {got} bytes is over the limit of {limit}")]
    TooLong {
        /// Bytes received.
        got: usize,
        /// The limit.
        limit: usize,
    },
    /// Not protobuf of this type.
    #[error("malformed protobuf: {0}")]
    Malformed(String),
    /// Decodes, but is not the one canonical encoding.
    #[error("not canonically encoded, or has unknown fields")]
    NotCanonical,
    /// A field is missing.
    #[error("field {0} is missing")]
    Missing(&'static str),
    /// A field has the wrong length or an impossible value.
    #[error("field {0} is invalid")]
    Invalid(&'static str),
}

/// Decodes a canonical message of at most `limit` bytes.
pub fn decode<M: Message + Default>(bytes: &[u8], limit: usize) -> Result<M, WireError> {
    if bytes.len() > limit {
        return Err(WireError::TooLong {
            got: bytes.len(),
            limit,
        });
    }
    let message = M::decode(bytes).map_err(|e| WireError::Malformed(e.to_string()))?;
    // `encoded_len` first: a mismatch needs no second allocation.
    if message.encoded_len() != bytes.len() || message.encode_to_vec() != bytes {
        return Err(WireError::NotCanonical);
    }
    Ok(message)
}

/// A fixed-length byte field.
pub fn fixed<const N: usize>(bytes: &[u8], field: &'static str) -> Result<[u8; N], WireError> {
    bytes.try_into().map_err(|_| WireError::Invalid(field))
}

/// A message field that must be there.
pub fn required<T>(field: Option<T>, name: &'static str) -> Result<T, WireError> {
    field.ok_or(WireError::Missing(name))
}
