//! X.509 as three vendors use it: certificates of a known shape, lines of them, revocation
//! lists, and PEM text.
//!
//! Nothing is searched for. A caller knows which certificate stands where and of what shape
//! it is; anything else is refused, so there is one verdict and one reason.

pub(crate) mod certificate;
pub(crate) mod crl;
pub(crate) mod line;
pub(crate) mod pem;

use der::{Reader, SliceReader};

/// The signed part of a certificate or a revocation list: the first element of its outer
/// sequence, as received.
fn signed_part(der: &[u8]) -> Result<&[u8], der::Error> {
    let mut reader = SliceReader::new(der)?;
    reader.sequence(|inner| {
        let signed = inner.tlv_bytes()?;
        let rest = inner.remaining_len();
        inner.drain(rest)?;
        Ok(signed)
    })
}
