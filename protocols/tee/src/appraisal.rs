//! The verdict: which checks a kind gets, and what an appraisal says.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::anchors::TrustAnchors;
use crate::binding::Binding;
use crate::chain::ChainCache;
use crate::endorsements::Endorsements;
use crate::evidence::{Evidence, EvidenceKind, Measurement, UnixTime};
use crate::policy::Policy;
use crate::refusal::Refusal;
use crate::tcb::{SnpProduct, SnpTcb, TcbStatus};
use crate::{nitro, snp, tdx};

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
    /// The platform, where evidence names one; Nitro does not, nor do reports signed with a
    /// cloud's VLEK.
    pub platform_id: Option<PlatformId>,
    /// What only some kinds say.
    pub details: Details,
}

/// What only some kinds of evidence say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Details {
    /// Nothing more.
    None,
    /// What an AMD report says.
    SevSnp(SnpDetails),
    /// What Intel's quote and collateral say.
    Tdx(Box<TdxDetails>),
}

/// What an AMD report says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnpDetails {
    /// The product.
    pub product: SnpProduct,
    /// Whether a cloud's key signed, not the chip's.
    pub vlek: bool,
    /// The privilege level that asked for the report; 0 is the highest.
    pub vmpl: u32,
    /// The firmware versions that the signing key stands for.
    pub reported_tcb: SnpTcb,
    /// The number of the revocation list, where there was one: never to go back.
    pub crl_number: Option<u64>,
}

/// What Intel's quote and collateral say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TdxDetails {
    /// The platform's status.
    pub status: TcbStatus,
    /// Intel's advisories behind it.
    pub advisories: Vec<String>,
    /// The family of platforms.
    pub fmspc: [u8; 6],
    /// The runtime measurement registers.
    pub rtmrs: [Measurement; 4],
    /// The TCB info's evaluation data number: never to go back, nor are the three below.
    pub evaluation_number: u32,
    /// When the TCB info was issued.
    pub tcb_info_date: UnixTime,
    /// The number of the root's revocation list.
    pub root_crl_number: u64,
    /// The number of the PCK authority's revocation list.
    pub pck_crl_number: u64,
}

/// The domain of [`Appraisal::signed_digest`]; the kind's code follows it.
const SIGNED_DIGEST_DOMAIN: &[u8] = b"aether/tee/signed/v1";

/// [`Appraisal::signed_digest`] of signed content.
pub(crate) fn signed_digest(kind: EvidenceKind, signed: &[u8]) -> [u8; 32] {
    Sha256::new()
        .chain_update(SIGNED_DIGEST_DOMAIN)
        .chain_update([kind.code()])
        .chain_update(signed)
        .finalize()
        .into()
}

impl Policy {
    /// Whether the list of measurements vouches for this one; refused where there is a list
    /// that does not.
    pub(crate) fn check_measurement(&self, found: &Measurement) -> Result<bool, Refusal> {
        if self.measurements.is_empty() {
            Ok(false)
        } else if self.measurements.contains(found) {
            Ok(true)
        } else {
            Err(Refusal::MeasurementNotListed)
        }
    }
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
    let at_ms = at.0.saturating_mul(1000);
    appraise_user_data_at_ms(evidence, endorsements, anchors, policy, user_data, at_ms)
}

/// Like [`appraise_user_data`], at an instant in milliseconds since 1970: documents that carry
/// their own time do so in milliseconds.
///
/// # Errors
///
/// As [`appraise`].
pub fn appraise_user_data_at_ms(
    evidence: &Evidence,
    endorsements: &Endorsements,
    anchors: &TrustAnchors,
    policy: &Policy,
    user_data: &[u8],
    at_ms: u64,
) -> Result<Appraisal, Refusal> {
    judge(
        evidence,
        endorsements,
        anchors,
        policy,
        user_data,
        at_ms,
        None,
    )
}

/// Like [`appraise_user_data_at_ms`], for somebody who judges many documents of Nitro's shape:
/// the authorities' signatures are verified once and remembered in `cache`. The verdict is the
/// same with any cache and with none.
///
/// # Errors
///
/// As [`appraise`].
pub fn appraise_cached(
    evidence: &Evidence,
    endorsements: &Endorsements,
    anchors: &TrustAnchors,
    policy: &Policy,
    user_data: &[u8],
    at_ms: u64,
    cache: &ChainCache,
) -> Result<Appraisal, Refusal> {
    judge(
        evidence,
        endorsements,
        anchors,
        policy,
        user_data,
        at_ms,
        Some(cache),
    )
}

fn judge(
    evidence: &Evidence,
    endorsements: &Endorsements,
    anchors: &TrustAnchors,
    policy: &Policy,
    user_data: &[u8],
    at_ms: u64,
    cache: Option<&ChainCache>,
) -> Result<Appraisal, Refusal> {
    let kind = evidence.kind;
    if !policy.kinds.contains(&kind) {
        return Err(Refusal::KindNotAccepted(kind));
    }
    if !anchors.trusts(kind) {
        return Err(Refusal::KindNotTrusted(kind));
    }
    let (bytes, at) = (&evidence.bytes, UnixTime(at_ms / 1000));
    let roots = match kind {
        EvidenceKind::SevSnp => {
            return snp::appraise(bytes, endorsements, anchors, policy, user_data, at);
        }
        EvidenceKind::Tdx => {
            return tdx::appraise(bytes, endorsements, anchors, policy, user_data, at);
        }
        EvidenceKind::Nitro => &anchors.nitro_roots,
        EvidenceKind::Simulated => &anchors.simulated_roots,
    };
    if !endorsements.0.is_empty() {
        return Err(Refusal::UnexpectedEndorsements(kind));
    }
    nitro::appraise(kind, bytes, roots, policy, user_data, at_ms, cache)
}
