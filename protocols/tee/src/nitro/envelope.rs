//! The envelope: an untagged COSE_Sign1 (RFC 9052, section 4.2) signed with ES384.
//!
//! ```text
//! [ protected   bstr, the encoding of {1: -35} and nothing else
//! , unprotected {}      nobody signs it, so nothing may be in it
//! , payload     bstr
//! , signature   bstr, r ‖ s of 48 bytes each ]
//! ```
//!
//! The envelope itself is not signed, so only one encoding of it is taken: the shortest
//! definite one. That leaves the signature's twin (r, n − s) as the only other form.

use ciborium::Value;

use crate::nitro::MAX_DOCUMENT_BYTES;
use crate::refusal::Refusal;

/// r ‖ s on P-384.
pub(crate) const SIGNATURE_BYTES: usize = 96;
/// The encoding of `{1: -35}`: algorithm ES384.
const PROTECTED: &[u8] = &[0xa1, 0x01, 0x38, 0x22];
/// Nesting in an envelope and in a document; deeper CBOR is refused, not followed.
pub(super) const MAX_DEPTH: usize = 8;

/// A well-formed envelope. Its signature has not been checked.
pub(crate) struct Envelope {
    /// The signed document.
    pub(crate) payload: Vec<u8>,
    /// r ‖ s, big-endian.
    pub(crate) signature: [u8; SIGNATURE_BYTES],
}

impl Envelope {
    /// Reads an envelope, refusing every form but one.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        if bytes.len() > MAX_DOCUMENT_BYTES {
            return Err(Refusal::TooLarge {
                bytes: bytes.len(),
                max: MAX_DOCUMENT_BYTES,
            });
        }
        let (value, rest) = read_item(bytes).ok_or(Refusal::Unreadable)?;
        if rest != 0 {
            return Err(Refusal::TrailingBytes { bytes: rest });
        }
        if encode(&value) != bytes {
            return Err(Refusal::EnvelopeEncoding);
        }
        let Value::Array(items) = value else {
            return Err(Refusal::NotCoseSign1);
        };
        let Ok([protected, unprotected, payload, signature]) = <[Value; 4]>::try_from(items) else {
            return Err(Refusal::NotCoseSign1);
        };
        let (
            Value::Bytes(protected),
            Value::Map(unprotected),
            Value::Bytes(payload),
            Value::Bytes(signature),
        ) = (protected, unprotected, payload, signature)
        else {
            return Err(Refusal::NotCoseSign1);
        };
        if protected != PROTECTED {
            return Err(Refusal::Algorithm);
        }
        if !unprotected.is_empty() {
            return Err(Refusal::UnprotectedHeader);
        }
        let signature = <[u8; SIGNATURE_BYTES]>::try_from(signature.as_slice()).map_err(|_| {
            Refusal::SignatureSize {
                bytes: signature.len(),
            }
        })?;
        Ok(Self { payload, signature })
    }

    /// The bytes that the leaf's key signs.
    pub(crate) fn to_be_signed(&self) -> Vec<u8> {
        to_be_signed(&self.payload)
    }

    /// The same envelope with another signature, encoded.
    pub(crate) fn with_signature(self, signature: &[u8; SIGNATURE_BYTES]) -> Vec<u8> {
        seal(self.payload, signature)
    }
}

/// COSE's `Sig_structure` for `payload`, with no external data.
pub(crate) fn to_be_signed(payload: &[u8]) -> Vec<u8> {
    encode(&Value::Array(vec![
        Value::Text("Signature1".into()),
        Value::Bytes(PROTECTED.to_vec()),
        Value::Bytes(Vec::new()),
        Value::Bytes(payload.to_vec()),
    ]))
}

/// Puts a payload and its signature into an envelope.
pub(crate) fn seal(payload: Vec<u8>, signature: &[u8; SIGNATURE_BYTES]) -> Vec<u8> {
    encode(&Value::Array(vec![
        Value::Bytes(PROTECTED.to_vec()),
        Value::Map(Vec::new()),
        Value::Bytes(payload),
        Value::Bytes(signature.to_vec()),
    ]))
}

/// Reads one CBOR item; returns it and how many bytes follow. The caller has bounded
/// `bytes`, and with it what the item can occupy.
pub(super) fn read_item(bytes: &[u8]) -> Option<(Value, usize)> {
    let mut rest = bytes;
    let value = ciborium::de::from_reader_with_recursion_limit(&mut rest, MAX_DEPTH).ok()?;
    Some((value, rest.len()))
}

/// The shortest definite encoding of `value`. Writing to memory cannot fail; if it did, the
/// result would be no valid encoding of anything and be refused as such.
pub(crate) fn encode(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    match ciborium::into_writer(value, &mut bytes) {
        Ok(()) => bytes,
        Err(_) => Vec::new(),
    }
}
