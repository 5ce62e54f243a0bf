//! Evidence of the shape of AWS Nitro Enclaves' attestation documents, parameterised by
//! kind and roots: genuine Nitro and the simulated TEE take exactly this path.
//!
//! Source: "Cryptographic attestation" of the AWS Nitro Enclaves user guide and the NSM
//! API's `attestation_process.md`. The rules, in the order in which they are applied:
//!
//! 1. At most [`MAX_DOCUMENT_BYTES`].
//! 2. Untagged COSE_Sign1 in its shortest definite encoding, ES384 as the only protected
//!    header, empty unprotected header, nothing behind it (`envelope`).
//! 3. A payload with every required field once, of the right type and size (`document`).
//! 4. PCR0 is not zero (debug mode) and is on the policy's list, if there is one.
//! 5. The signed time is neither too old nor ahead.
//! 6. `user_data` is the expected binding.
//! 7. The chain begins with a trusted root byte for byte; the leaf is valid at the trusted time.
//! 8. The leaf's key signed the document. Before the chain, since a forger that copies genuine
//!    certificates fails here, at the cost of one signature instead of five.
//! 9. Every certificate of the chain keeps the rules at the trusted time ([`crate::chain`]).
//!
//! Certificate revocation lists are not consulted: leaves live for three hours.

mod document;
mod envelope;

use ring::signature::{ECDSA_P384_SHA384_FIXED, UnparsedPublicKey};
use sha2::{Digest, Sha256};

use crate::anchors::RootFingerprint;
use crate::appraisal::{Appraisal, Details, PlatformId, signed_digest};
use crate::chain::{self, ChainCache};
use crate::evidence::{EvidenceKind, UnixTime};
use crate::policy::Policy;
use crate::refusal::Refusal;
pub(crate) use document::Document;
pub(crate) use envelope::{Envelope, SIGNATURE_BYTES};
#[cfg(feature = "sim")]
pub(crate) use envelope::{encode, seal, to_be_signed};

/// The most that is read. Genuine documents have about 4.7 KB; with every optional field at
/// its greatest size and the longest chain they stay below this.
pub const MAX_DOCUMENT_BYTES: usize = 16 * 1024;

/// The domain of a simulated platform's id.
const PLATFORM_DOMAIN: &[u8] = b"aether/tee/simulated-platform/v1";

/// Appraises a document of `kind` under `roots`.
pub(crate) fn appraise(
    kind: EvidenceKind,
    bytes: &[u8],
    roots: &[RootFingerprint],
    policy: &Policy,
    user_data: &[u8],
    at_ms: u64,
    cache: Option<&ChainCache>,
) -> Result<Appraisal, Refusal> {
    let envelope = Envelope::parse(bytes)?;
    let document = Document::parse(&envelope.payload)?;

    if document.measurement.is_zero() && !policy.nitro.allow_debug {
        return Err(Refusal::DebugMode);
    }
    let measured = policy.check_measurement(&document.measurement)?;
    check_age(document.timestamp_ms, policy, at_ms)?;
    if document.user_data != user_data {
        return Err(Refusal::BindingMismatch);
    }

    // `Document` guarantees that there is a first certificate.
    let pinned = document
        .cabundle
        .first()
        .map(|root| RootFingerprint::of(root));
    if !pinned.is_some_and(|root| roots.contains(&root)) {
        return Err(Refusal::RootNotPinned);
    }
    let at = UnixTime(at_ms / 1000);
    let leaf = chain::leaf(&document.certificate, document.cabundle.len(), at)?;
    let signed = envelope.to_be_signed();
    UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, leaf.key())
        .verify(&signed, &envelope.signature)
        .map_err(|_| Refusal::EvidenceSignature)?;
    let chain = chain::check(&document.cabundle, &leaf, at, cache)?;

    let platform_id = match kind {
        // The authority that issued the leaf is what stands for a chip here. On genuine
        // Nitro it names an instance, which costs an attacker nothing, so it has none.
        EvidenceKind::Simulated => Some(PlatformId(
            Sha256::new()
                .chain_update(PLATFORM_DOMAIN)
                .chain_update(&chain.issuer_key)
                .finalize()
                .into(),
        )),
        _ => None,
    };
    Ok(Appraisal {
        kind,
        measurement: document.measurement,
        measured,
        signed_digest: signed_digest(kind, &signed),
        issued_at: Some(UnixTime(document.timestamp_ms / 1000)),
        not_after: chain.not_after,
        platform_id,
        details: Details::None,
    })
}

/// Refuses a document that is older than the policy allows, or too far ahead.
fn check_age(timestamp_ms: u64, policy: &Policy, now_ms: u64) -> Result<(), Refusal> {
    let max_ms = policy.max_age_seconds.saturating_mul(1000);
    let age_ms = now_ms.saturating_sub(timestamp_ms);
    if age_ms > max_ms {
        return Err(Refusal::Stale { age_ms, max_ms });
    }
    let max_ms = policy.max_future_skew_seconds.saturating_mul(1000);
    let ahead_ms = timestamp_ms.saturating_sub(now_ms);
    if ahead_ms > max_ms {
        return Err(Refusal::FromTheFuture { ahead_ms, max_ms });
    }
    Ok(())
}
