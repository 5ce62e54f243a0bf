//! One form for each piece of evidence.
//!
//! For any ECDSA signature (r, s) the twin (r, n − s) verifies too, so whoever relays
//! evidence can make a second form of it. The mesh admits only the one with s ≤ n/2. What
//! else nobody signed has one form as well:
//!
//! - a COSE envelope and an SNP report have a single one already (`nitro::envelope`,
//!   `snp::report`);
//! - a TDX quote carries two signatures, both with a low s, nothing behind it, and its PEM
//!   text with LF, a last LF and no closing zero.

use crate::evidence::{Evidence, EvidenceKind};
use crate::nitro::{self, Envelope};
use crate::refusal::Refusal;
use crate::snp;
use crate::tdx::{self, Quote};

/// The order n of P-384's group (SEC 2, section 2.5.1), big-endian.
const ORDER_P384: [u8; 48] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xc7, 0x63, 0x4d, 0x81, 0xf4, 0x37, 0x2d, 0xdf,
    0x58, 0x1a, 0x0d, 0xb2, 0x48, 0xb0, 0xa7, 0x7a, 0xec, 0xec, 0x19, 0x6a, 0xcc, 0xc5, 0x29, 0x73,
];
/// The order n of P-256's group (SEC 2, section 2.4.2), big-endian.
const ORDER_P256: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// Evidence is not in the form that the mesh admits. The fault is the sender's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NonCanonical {
    /// It is no evidence of its kind at all.
    #[error("not evidence of its kind: {0}")]
    Envelope(#[source] Refusal),
    /// A signature's s is above n/2.
    #[error("a signature's s is in the upper half")]
    HighS,
    /// Zeros follow the evidence.
    #[error("{bytes} zeros follow the evidence")]
    Padding {
        /// How many.
        bytes: usize,
    },
    /// What nobody signed is written in another way than the one admitted.
    #[error("the certificates' text is not in its one form")]
    Text,
}

/// Whether evidence is in the one form that the mesh admits. Looks at the form alone: what
/// is canonical may still be refused by [`crate::appraise`].
///
/// # Errors
///
/// What is not canonical about it.
pub fn is_canonical(evidence: &Evidence) -> Result<(), NonCanonical> {
    let bytes = &evidence.bytes;
    let high = match evidence.kind {
        EvidenceKind::Nitro | EvidenceKind::Simulated => {
            let envelope = Envelope::parse(bytes).map_err(NonCanonical::Envelope)?;
            is_high(&envelope.signature, &ORDER_P384)
        }
        EvidenceKind::SevSnp => {
            let signature = snp::check_form(bytes).map_err(NonCanonical::Envelope)?;
            is_high(&signature, &ORDER_P384)
        }
        EvidenceKind::Tdx => {
            let quote = Quote::parse(bytes).map_err(NonCanonical::Envelope)?;
            if quote.padding > 0 {
                return Err(NonCanonical::Padding {
                    bytes: quote.padding,
                });
            }
            if canonical_text(quote.pck_chain) != quote.pck_chain {
                return Err(NonCanonical::Text);
            }
            is_high(&quote.signature, &ORDER_P256) || is_high(&quote.qe_signature, &ORDER_P256)
        }
    };
    if high {
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
/// It is no evidence of its kind at all.
pub fn canonicalize(evidence: &Evidence) -> Result<Evidence, NonCanonical> {
    let bytes = match evidence.kind {
        EvidenceKind::Nitro | EvidenceKind::Simulated => {
            let envelope = Envelope::parse(&evidence.bytes).map_err(NonCanonical::Envelope)?;
            let mut signature: [u8; nitro::SIGNATURE_BYTES] = envelope.signature;
            lower(&mut signature, &ORDER_P384);
            envelope.with_signature(&signature)
        }
        EvidenceKind::SevSnp => {
            let mut signature = snp::check_form(&evidence.bytes).map_err(NonCanonical::Envelope)?;
            lower(&mut signature, &ORDER_P384);
            let mut bytes = evidence.bytes.clone();
            bytes.truncate(snp::SIGNED_BYTES);
            for scalar in signature.chunks_exact(snp::SCALAR_BYTES) {
                bytes.extend(scalar.iter().rev());
                bytes.resize(bytes.len() + snp::SCALAR_FIELD - snp::SCALAR_BYTES, 0);
            }
            bytes.resize(snp::REPORT_BYTES, 0);
            bytes
        }
        EvidenceKind::Tdx => {
            let mut quote = Quote::parse(&evidence.bytes).map_err(NonCanonical::Envelope)?;
            let mut signature: [u8; tdx::SIGNATURE_BYTES] = quote.signature;
            lower(&mut signature, &ORDER_P256);
            quote.signature = signature;
            lower(&mut quote.qe_signature, &ORDER_P256);
            let text = canonical_text(quote.pck_chain);
            quote.with_chain(&text)
        }
    };
    Ok(Evidence {
        kind: evidence.kind,
        bytes,
    })
}

/// LF only, one at the end, no closing zero.
fn canonical_text(text: &[u8]) -> Vec<u8> {
    let mut text: Vec<u8> = text.iter().copied().filter(|byte| *byte != b'\r').collect();
    while matches!(text.last(), Some(0 | b'\n')) {
        text.pop();
    }
    text.push(b'\n');
    text
}

/// Whether the second half of r ‖ s is above n/2.
fn is_high<const N: usize>(signature: &[u8], order: &[u8; N]) -> bool {
    let (_, s) = signature.split_at(signature.len() / 2);
    s > other_half(s, order).as_slice()
}

/// Puts the smaller of s and n − s into the second half of r ‖ s.
fn lower<const N: usize>(signature: &mut [u8], order: &[u8; N]) {
    let (_, s) = signature.split_at_mut(signature.len() / 2);
    let twin = other_half(s, order);
    if *s > twin[..] {
        s.copy_from_slice(&twin);
    }
}

/// n − s. For an s that is no scalar (s ≥ n) the difference wraps: such a signature never
/// verifies, so its form does not matter, only that nothing panics.
fn other_half<const N: usize>(s: &[u8], order: &[u8; N]) -> [u8; N] {
    let mut difference = *order;
    let mut borrow = false;
    for (minuend, subtrahend) in difference.iter_mut().zip(s).rev() {
        let (once, under) = minuend.overflowing_sub(*subtrahend);
        let (twice, again) = once.overflowing_sub(u8::from(borrow));
        *minuend = twice;
        borrow = under || again;
    }
    difference
}
