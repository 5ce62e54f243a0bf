//! BLS as the engine's signing scheme: bytes in, bytes out. What is signed and
//! how it is checked is in `signing`.

use aether_kzg::bls;
use arc_malachitebft_core_types as core;
use std::fmt;

/// A BLS signature in its 96 bytes; decoded where it is checked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Sig(pub(super) [u8; 96]);

impl fmt::Debug for Sig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.0;
        write!(f, "Sig({a:02x}{b:02x}{c:02x}{d:02x})")
    }
}

/// BLS, as the engine's signing scheme. The secret key never enters the
/// engine: signing is an effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Scheme;

/// Not a key or signature of the scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a BLS key or signature")]
pub(super) struct BadEncoding;

impl core::SigningScheme for Scheme {
    type DecodingError = BadEncoding;
    type Signature = Sig;
    type PublicKey = bls::PublicKey;
    type PrivateKey = ();

    fn decode_signature(bytes: &[u8]) -> Result<Sig, BadEncoding> {
        bytes.try_into().map(Sig).map_err(|_| BadEncoding)
    }

    fn encode_signature(signature: &Sig) -> Vec<u8> {
        signature.0.to_vec()
    }

    fn decode_public_key(bytes: &[u8]) -> Result<bls::PublicKey, BadEncoding> {
        let bytes = bytes.try_into().map_err(|_| BadEncoding)?;
        bls::PublicKey::from_bytes(bytes).map_err(|_| BadEncoding)
    }

    fn encode_public_key(key: &bls::PublicKey) -> Vec<u8> {
        key.to_bytes().to_vec()
    }
}
