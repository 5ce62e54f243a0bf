//! The verdict: which checks a kind gets, and what an appraisal says.

use std::fmt;

use crate::anchors::TrustAnchors;
use crate::binding::Binding;
use crate::evidence::{Endorsements, Evidence, EvidenceKind, Measurement, UnixTime};
use crate::nitro;
use crate::policy::Policy;
use crate::refusal::Refusal;

/// Names one physical (or simulated) platform, so that capacity can be capped per platform.
/// It is a digest: it says nothing about where the platform is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlatformId(pub [u8; 32]);

impl fmt::Display for PlatformId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for PlatformId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PlatformId({self})")
    }
}

/// Evidence was genuine, timely, and what the policy asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appraisal {
    /// The technology that made the evidence.
    pub kind: EvidenceKind,
    /// The program it runs.
    pub measurement: Measurement,
    /// Whether the policy had a list of measurements, and this is on it. False means that
    /// nobody vouches for the program, whatever it is.
    pub measured: bool,
    /// Identifies the evidence: SHA-256 over "aether/tee/signed/v1", the kind's code and
    /// the content that was signed. Two forms of the same evidence share it.
    pub signed_digest: [u8; 32],
    /// When the attester says it made the evidence. `None` for kinds without a clock.
    pub issued_at: Option<UnixTime>,
    /// When the first of the certificates behind it expires.
    pub not_after: UnixTime,
    /// The platform, where evidence names one; Nitro does not.
    pub platform_id: Option<PlatformId>,
}

/// Judges evidence at the instant `at`.
///
/// Pure: the same arguments give the same verdict anywhere and at any later time. Either
/// ECDSA twin is accepted, as hardware emits both; see [`crate::is_canonical`].
///
/// # Errors
///
/// The first check that failed, see [`Refusal`].
pub fn appraise(
    evidence: &Evidence,
    endorsements: &Endorsements,
    anchors: &TrustAnchors,
    policy: &Policy,
    binding: &Binding,
    at: UnixTime,
) -> Result<Appraisal, Refusal> {
    appraise_user_data(
        evidence,
        endorsements,
        anchors,
        policy,
        binding.as_bytes(),
        at,
    )
}

/// Like [`appraise`], for evidence that was not made for Aether and carries some other
/// `user_data` (published vectors, tools). The network itself only knows [`Binding`]s.
///
/// # Errors
///
/// As [`appraise`].
pub fn appraise_user_data(
    evidence: &Evidence,
    endorsements: &Endorsements,
    anchors: &TrustAnchors,
    policy: &Policy,
    user_data: &[u8],
    at: UnixTime,
) -> Result<Appraisal, Refusal> {
    let kind = evidence.kind;
    match kind {
        EvidenceKind::SevSnp | EvidenceKind::Tdx => Err(Refusal::UnsupportedKind(kind)),
        EvidenceKind::Nitro | EvidenceKind::Simulated => {
            if !policy.kinds.contains(&kind) {
                return Err(Refusal::KindNotAccepted(kind));
            }
            let roots = anchors.roots(kind);
            if roots.is_empty() {
                return Err(Refusal::KindNotTrusted(kind));
            }
            if !endorsements.0.is_empty() {
                return Err(Refusal::UnexpectedEndorsements(kind));
            }
            nitro::appraise(kind, &evidence.bytes, roots, policy, user_data, at)
        }
    }
}
