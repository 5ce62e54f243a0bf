//! What vendors say about a platform, as one bundle of bytes.
//!
//! A bundle is the kind's code, then parts: a tag of one byte, a length of four (big-endian)
//! and that many bytes, tags ascending. There is one encoding of a content, so a bundle can be
//! named by its hash ([`Endorsements::id`]) and carried once for many pieces of evidence.
//!
//! | kind | parts |
//! | --- | --- |
//! | SEV-SNP | 1 VCEK or VLEK, 2 ASK or ASVK, 3 ARK, 4 AMD's revocation list; DER. 2 and 3 may be absent where the crate knows them |
//! | TDX | 1 root's and 2 PCK authority's revocation list (DER), 3 the latter's chain (PEM), 4 to 6 TCB info, its signature and its signer's chain, 7 to 9 the same of the QE identity |
//! | Nitro, simulated | none: evidence carries its whole chain |

use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::evidence::EvidenceKind;
use crate::refusal::Refusal;

/// The most that is read. Genuine bundles have 1.4 KB (AMD) and 12 to 19 KB (Intel); Intel's
/// revocation list grows.
pub const MAX_ENDORSEMENTS_BYTES: usize = 256 * 1024;

/// What a vendor says about a platform beside the evidence (certificates, revocation lists,
/// TCB levels). Nothing about it has been checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endorsements(pub Vec<u8>);

impl Endorsements {
    /// No endorsements.
    #[must_use]
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// The bundle's name: the SHA-256 of its encoding.
    #[must_use]
    pub fn id(&self) -> [u8; 32] {
        Sha256::digest(&self.0).into()
    }

    /// The kind of evidence that these bytes are a bundle for; `None` where they are none.
    #[must_use]
    pub fn kind(&self) -> Option<EvidenceKind> {
        if self.0.len() > MAX_ENDORSEMENTS_BYTES {
            return None;
        }
        let snp = parts::<4>(&self.0, EvidenceKind::SevSnp).map(|_| EvidenceKind::SevSnp);
        snp.or_else(|| parts::<9>(&self.0, EvidenceKind::Tdx).map(|_| EvidenceKind::Tdx))
    }

    /// Encodes parts; empty ones are left out.
    fn encode(kind: EvidenceKind, parts: &[&[u8]]) -> Self {
        let mut bytes = vec![kind.code()];
        for (tag, part) in (1u8..).zip(parts) {
            if part.is_empty() {
                continue;
            }
            bytes.push(tag);
            let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
            bytes.extend(length.to_be_bytes());
            bytes.extend(*part);
        }
        Self(bytes)
    }

    /// The parts of a bundle of `kind`; absent ones are empty.
    fn decode<const N: usize>(&self, kind: EvidenceKind) -> Result<[&[u8]; N], Refusal> {
        if self.0.is_empty() {
            return Err(Refusal::EndorsementsMissing(kind));
        }
        if self.0.len() > MAX_ENDORSEMENTS_BYTES {
            return Err(Refusal::EndorsementsUnreadable);
        }
        parts(&self.0, kind).ok_or(Refusal::EndorsementsUnreadable)
    }
}

fn parts<const N: usize>(bytes: &[u8], kind: EvidenceKind) -> Option<[&[u8]; N]> {
    let mut found = [&[] as &[u8]; N];
    let mut rest = bytes.strip_prefix(&[kind.code()])?;
    let mut last = 0;
    while let Some((tag, after)) = rest.split_first() {
        if *tag <= last {
            return None;
        }
        last = *tag;
        let (length, after) = after.split_first_chunk()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (part, after) = after.split_at_checked(length)?;
        if part.is_empty() {
            return None;
        }
        *found.get_mut(usize::from(*tag) - 1)? = part;
        rest = after;
    }
    Some(found)
}

/// What AMD says about a platform. All in DER.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SnpEndorsements {
    /// The VCEK's or VLEK's certificate.
    pub vek: Vec<u8>,
    /// Its issuer's (ASK or ASVK); empty: the one that this crate knows.
    pub issuer: Vec<u8>,
    /// The root's (ARK); empty: the one that this crate knows.
    pub root: Vec<u8>,
    /// The root's revocation list; empty: none.
    pub crl: Vec<u8>,
}

impl From<&SnpEndorsements> for Endorsements {
    fn from(parts: &SnpEndorsements) -> Self {
        let parts: [&[u8]; 4] = [&parts.vek, &parts.issuer, &parts.root, &parts.crl];
        Self::encode(EvidenceKind::SevSnp, &parts)
    }
}

/// The parts of [`SnpEndorsements`], borrowed.
pub(crate) struct SnpParts<'a> {
    pub(crate) vek: &'a [u8],
    pub(crate) issuer: &'a [u8],
    pub(crate) root: &'a [u8],
    pub(crate) crl: &'a [u8],
}

impl<'a> SnpParts<'a> {
    pub(crate) fn of(endorsements: &'a Endorsements) -> Result<Self, Refusal> {
        let [vek, issuer, root, crl] = endorsements.decode(EvidenceKind::SevSnp)?;
        if vek.is_empty() {
            return Err(Refusal::EndorsementsMissing(EvidenceKind::SevSnp));
        }
        Ok(Self {
            vek,
            issuer,
            root,
            crl,
        })
    }
}

/// What Intel says about a platform: the parts of DCAP's `QuoteCollateralV3`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct TdxCollateral {
    /// The root's revocation list, DER.
    #[serde(deserialize_with = "from_hex")]
    pub root_ca_crl: Vec<u8>,
    /// The PCK authority's revocation list, DER.
    #[serde(deserialize_with = "from_hex")]
    pub pck_crl: Vec<u8>,
    /// The PCK authority and the root, PEM.
    pub pck_crl_issuer_chain: String,
    /// The TCB info, JSON exactly as it was signed.
    pub tcb_info: String,
    /// Its signature, r ‖ s.
    #[serde(deserialize_with = "from_hex")]
    pub tcb_info_signature: Vec<u8>,
    /// Its signer and the root, PEM.
    pub tcb_info_issuer_chain: String,
    /// The QE identity, JSON exactly as it was signed.
    pub qe_identity: String,
    /// Its signature, r ‖ s.
    #[serde(deserialize_with = "from_hex")]
    pub qe_identity_signature: Vec<u8>,
    /// Its signer and the root, PEM.
    pub qe_identity_issuer_chain: String,
}

fn from_hex<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
    hex::decode(text.as_bytes()).map_err(serde::de::Error::custom)
}

impl TdxCollateral {
    /// Reads the JSON in which DCAP's tools write collateral, byte fields as hex. Unknown
    /// fields are left alone.
    ///
    /// # Errors
    ///
    /// [`Refusal::EndorsementsUnreadable`].
    pub fn from_json(json: &[u8]) -> Result<Self, Refusal> {
        if json.len() > 2 * MAX_ENDORSEMENTS_BYTES {
            return Err(Refusal::EndorsementsUnreadable);
        }
        serde_json::from_slice(json).map_err(|_| Refusal::EndorsementsUnreadable)
    }
}

impl From<&TdxCollateral> for Endorsements {
    fn from(parts: &TdxCollateral) -> Self {
        let parts: [&[u8]; 9] = [
            &parts.root_ca_crl,
            &parts.pck_crl,
            parts.pck_crl_issuer_chain.as_bytes(),
            parts.tcb_info.as_bytes(),
            &parts.tcb_info_signature,
            parts.tcb_info_issuer_chain.as_bytes(),
            parts.qe_identity.as_bytes(),
            &parts.qe_identity_signature,
            parts.qe_identity_issuer_chain.as_bytes(),
        ];
        Self::encode(EvidenceKind::Tdx, &parts)
    }
}

/// The parts of [`TdxCollateral`], borrowed; none is empty.
pub(crate) struct TdxParts<'a> {
    pub(crate) root_ca_crl: &'a [u8],
    pub(crate) pck_crl: &'a [u8],
    pub(crate) pck_crl_chain: &'a [u8],
    pub(crate) tcb_info: SignedJson<'a>,
    pub(crate) qe_identity: SignedJson<'a>,
}

/// A JSON text, its signature and its signer's chain.
#[derive(Clone, Copy)]
pub(crate) struct SignedJson<'a> {
    pub(crate) text: &'a [u8],
    pub(crate) signature: &'a [u8],
    pub(crate) chain: &'a [u8],
}

impl<'a> TdxParts<'a> {
    pub(crate) fn of(endorsements: &'a Endorsements) -> Result<Self, Refusal> {
        let parts = endorsements.decode::<9>(EvidenceKind::Tdx)?;
        if parts.iter().any(|part| part.is_empty()) {
            return Err(Refusal::EndorsementsMissing(EvidenceKind::Tdx));
        }
        let [root_ca_crl, pck_crl, pck_crl_chain, a, b, c, d, e, f] = parts;
        let signed = |text, signature, chain| SignedJson {
            text,
            signature,
            chain,
        };
        Ok(Self {
            root_ca_crl,
            pck_crl,
            pck_crl_chain,
            tcb_info: signed(a, b, c),
            qe_identity: signed(d, e, f),
        })
    }
}
