//! One form for each piece of evidence.
//!
//! For any ECDSA signature (r, s) the twin (r, n − s) verifies too, so whoever relays
//! evidence can make a second form of it. The mesh admits only the one with s ≤ n/2;
//! everything else in the envelope has a single form already (`nitro::envelope`).

use crate::evidence::{Evidence, EvidenceKind};
use crate::nitro::{Envelope, SIGNATURE_BYTES};
use crate::refusal::Refusal;

/// The order n of P-384's group (SEC 2, section 2.5.1), big-endian.
const ORDER: [u8; 48] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xc7, 0x63, 0x4d, 0x81, 0xf4, 0x37, 0x2d, 0xdf,
    0x58, 0x1a, 0x0d, 0xb2, 0x48, 0xb0, 0xa7, 0x7a, 0xec, 0xec, 0x19, 0x6a, 0xcc, 0xc5, 0x29, 0x73,
];

/// Evidence is not in the form that the mesh admits. The fault is the sender's, except for
/// [`NonCanonical::UnsupportedKind`], which is ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NonCanonical {
    /// This version does not know the kind's form.
    #[error("{0} evidence is not supported by this version")]
    UnsupportedKind(EvidenceKind),
    /// It is no evidence of its kind at all.
    #[error("not evidence of its kind: {0}")]
    Envelope(#[source] Refusal),
    /// The signature's s is above n/2.
    #[error("the signature's s is in the upper half")]
    HighS,
}

/// Whether evidence is in the one form that the mesh admits. Looks at the form alone: what
/// is canonical may still be refused by [`crate::appraise`].
///
/// # Errors
///
/// What is not canonical about it.
pub fn is_canonical(evidence: &Evidence) -> Result<(), NonCanonical> {
    let envelope = open(evidence)?;
    let (_, s) = envelope.signature.split_at(SIGNATURE_BYTES / 2);
    if s > other_half(s).as_slice() {
        Err(NonCanonical::HighS)
    } else {
        Ok(())
    }
}

/// The canonical form of evidence, which carries the same signed content. A worker calls
/// this on what its hardware gave it.
///
/// # Errors
///
/// It is no evidence of its kind at all, or of a kind this version does not know.
pub fn canonicalize(evidence: &Evidence) -> Result<Evidence, NonCanonical> {
    let envelope = open(evidence)?;
    let mut signature = envelope.signature;
    let (_, s) = signature.split_at_mut(SIGNATURE_BYTES / 2);
    let twin = other_half(s);
    if *s > twin[..] {
        s.copy_from_slice(&twin);
    }
    Ok(Evidence {
        kind: evidence.kind,
        bytes: envelope.with_signature(&signature),
    })
}

fn open(evidence: &Evidence) -> Result<Envelope, NonCanonical> {
    match evidence.kind {
        EvidenceKind::Nitro | EvidenceKind::Simulated => {
            Envelope::parse(&evidence.bytes).map_err(NonCanonical::Envelope)
        }
        kind @ (EvidenceKind::SevSnp | EvidenceKind::Tdx) => {
            Err(NonCanonical::UnsupportedKind(kind))
        }
    }
}

/// n − s. For an s that is no scalar (s ≥ n) the difference wraps: such a signature never
/// verifies, so its form does not matter, only that nothing panics.
fn other_half(s: &[u8]) -> [u8; 48] {
    let mut difference = ORDER;
    let mut borrow = false;
    for (minuend, subtrahend) in difference.iter_mut().zip(s).rev() {
        let (once, under) = minuend.overflowing_sub(*subtrahend);
        let (twice, again) = once.overflowing_sub(u8::from(borrow));
        *minuend = twice;
        borrow = under || again;
    }
    difference
}
