//! Evidence in a file, in any of its forms:
//!
//! - a vendor's raw bytes, as the device handed them out;
//! - the same as hex text;
//! - what `aether attest quote` writes, which carries the endorsements too:
//!
//!   ```text
//!   "AETHER EVIDENCE 1\n"  18 bytes
//!   kind                    1
//!   length, evidence        4 (big-endian) and that many
//!   length, endorsements    4 (big-endian) and that many; may be 0
//!   ```
//!
//! - evidence as it travels in a transaction: kind, length (4, little-endian), document, slot.

use crate::cli::exit::CliError;
use crate::cli::files;
use aether_tee::inspect::detect;
use aether_tee::{Endorsements, Evidence, EvidenceKind, MAX_ENDORSEMENTS_BYTES};
use std::path::Path;

const MAGIC: &[u8] = b"AETHER EVIDENCE 1\n";
/// Twice the largest evidence as hex, with the largest endorsements.
const FILE_BYTES_MAX: u64 = 512 * 1024;
/// The largest evidence of any kind.
const EVIDENCE_BYTES_MAX: usize = 32 * 1024;

/// Evidence, with the endorsements that came in the same file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) evidence: Evidence,
    pub(super) endorsements: Endorsements,
}

/// Reads a file in any form.
pub(super) fn read(path: &Path) -> Result<Found, CliError> {
    let bytes = files::read(path, FILE_BYTES_MAX)?;
    parse(&bytes).ok_or_else(|| {
        CliError::failed(
            "not_evidence",
            format!(
                "{} is no evidence: neither an SNP report (1,184 bytes), nor a DCAP quote, nor a \
                 Nitro document, nor one of these as hex or as `aether attest quote` writes it",
                path.display()
            ),
        )
    })
}

/// The bytes of a file that may be hex text.
pub(super) fn unhex(bytes: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(bytes).ok()?.trim();
    let text = text.strip_prefix("0x").unwrap_or(text);
    let packed: String = text.split_ascii_whitespace().collect();
    (!packed.is_empty()).then(|| hex::decode(packed).ok())?
}

pub(super) fn parse(bytes: &[u8]) -> Option<Found> {
    if let Some(rest) = bytes.strip_prefix(MAGIC) {
        return envelope(rest);
    }
    if let Some(found) = transaction(bytes) {
        return Some(found);
    }
    let raw = |bytes: &[u8]| {
        (bytes.len() <= EVIDENCE_BYTES_MAX).then_some(())?;
        Some(Found {
            evidence: Evidence {
                kind: detect(bytes)?,
                bytes: bytes.to_vec(),
            },
            endorsements: Endorsements::none(),
        })
    };
    raw(bytes).or_else(|| raw(&unhex(bytes)?))
}

fn envelope(bytes: &[u8]) -> Option<Found> {
    let (kind, rest) = bytes.split_first()?;
    let (evidence, rest) = sized(rest, EVIDENCE_BYTES_MAX)?;
    let (endorsements, rest) = sized(rest, MAX_ENDORSEMENTS_BYTES)?;
    rest.is_empty().then_some(Found {
        evidence: Evidence {
            kind: EvidenceKind::from_code(*kind)?,
            bytes: evidence.to_vec(),
        },
        endorsements: Endorsements(endorsements.to_vec()),
    })
}

fn sized(bytes: &[u8], most: usize) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    (length <= most).then(|| rest.split_at_checked(length))?
}

/// The form in transactions; exact in length, so nothing else is taken for it.
fn transaction(bytes: &[u8]) -> Option<Found> {
    let (kind, rest) = bytes.split_first()?;
    let kind = EvidenceKind::from_code(*kind)?;
    let (length, rest) = rest.split_first_chunk()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let (document, slot) = rest.split_at_checked(length)?;
    let exact = slot.len() == 8 && document.len() <= EVIDENCE_BYTES_MAX;
    exact.then(|| Found {
        evidence: Evidence {
            kind,
            bytes: document.to_vec(),
        },
        endorsements: Endorsements::none(),
    })
}

/// The form that `read` takes with everything in it.
pub(super) fn encode(evidence: &Evidence, endorsements: &Endorsements) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.push(evidence.kind.code());
    for part in [&evidence.bytes, &endorsements.0] {
        let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
        bytes.extend(length.to_be_bytes());
        bytes.extend(part);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Vec<u8> {
        let mut report = vec![0; 1184];
        report[0] = 3;
        report
    }

    #[test]
    fn every_form_holds_the_same_evidence() {
        let evidence = Evidence {
            kind: EvidenceKind::SevSnp,
            bytes: report(),
        };
        let bundle = Endorsements(vec![1, 1, 0, 0, 0, 1, 9]);
        let length = 1184u32.to_le_bytes();
        let travelling = [&[1], &length[..], &report(), &[7; 8]].concat();
        let wrapped = hex::encode(report());
        let (first, rest) = wrapped.split_at(64);
        for form in [
            report(),
            hex::encode(report()).into_bytes(),
            format!("0x{first}\n{rest}\n").into_bytes(),
            travelling,
            encode(&evidence, &Endorsements::none()),
        ] {
            let found = parse(&form).unwrap();
            assert_eq!(found.evidence, evidence);
            assert_eq!(found.endorsements, Endorsements::none());
        }
        let found = parse(&encode(&evidence, &bundle)).unwrap();
        assert_eq!(found.endorsements, bundle);
    }

    #[test]
    fn what_is_cut_extended_or_lies_about_its_lengths_is_no_evidence() {
        let evidence = Evidence {
            kind: EvidenceKind::SevSnp,
            bytes: report(),
        };
        let whole = encode(&evidence, &Endorsements(vec![1, 2, 3]));
        for end in 0..whole.len() {
            assert_eq!(parse(&whole[..end]), None, "{end}");
        }
        assert_eq!(parse(&[whole.as_slice(), &[0]].concat()), None);
        let mut long = whole.clone();
        long[MAGIC.len() + 1..][..4].fill(0xff);
        assert_eq!(parse(&long), None);
        let mut unknown = whole;
        unknown[MAGIC.len()] = 9;
        assert_eq!(parse(&unknown), None);
        for bytes in [&b""[..], b"hello", b"{}", &[0; 1184], &[0xff; 100]] {
            assert_eq!(parse(bytes), None);
        }
    }
}
