//! What evidence says, without judging it: for people and tools that look at a file.
//!
//! Everything here is a reading, nothing a verdict: what is shown may be forged, expired or
//! refused by any policy. Only [`crate::appraise`] judges.
//!
//! - [`detect`] tells the kind of a vendor's raw bytes by their fixed beginnings.
//! - [`inspect`] reads every field of a report, quote or document, and the certificates that
//!   it carries.
//! - [`inspect_certificate`] reads one certificate, AMD's and Intel's extensions included.
//! - [`certificates`] takes DER or PEM apart, so that a person can hand in either.

mod certificate;
mod document;
mod quote;
mod report;

pub use certificate::{CertificateInfo, certificates, inspect_certificate, revocation_list_issuer};

use std::fmt;

use crate::anchors::{NITRO_ROOT_G1, RootFingerprint};
use crate::cursor::Cursor;
use crate::evidence::{Evidence, EvidenceKind, Measurement};
use crate::refusal::Refusal;

/// What a field holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// A number.
    Number(u64),
    /// A number whose bits mean something, with the names of those that are set.
    Flags(u64, Vec<&'static str>),
    /// Bytes, shown as hex.
    Bytes(Vec<u8>),
    /// Text.
    Text(String),
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Flags(bits, names) if names.is_empty() => write!(f, "{bits:#x}"),
            Self::Flags(bits, names) => write!(f, "{bits:#x} ({})", names.join(", ")),
            Self::Bytes(bytes) if bytes.is_empty() => f.write_str("(empty)"),
            Self::Bytes(bytes) => f.write_str(&hex::encode(bytes)),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// One field, in the order of the vendor's own table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// The vendor's name for it, in lower case.
    pub name: String,
    /// What it holds.
    pub value: Said,
}

impl Field {
    pub(crate) fn new(name: impl Into<String>, value: Said) -> Self {
        Self {
            name: name.into(),
            value,
        }
    }
}

/// Everything that a piece of evidence says. Nothing of it has been checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// The technology that it claims to be from.
    pub kind: EvidenceKind,
    /// The program's measurement, as an appraisal would take it.
    pub measurement: Measurement,
    /// What it says it is bound to: `report_data`, or `user_data`.
    pub user_data: Vec<u8>,
    /// All fields.
    pub fields: Vec<Field>,
    /// The certificates that it carries, root first.
    pub certificates: Vec<CertificateInfo>,
}

/// Which kind of evidence a vendor's raw bytes are, by their beginnings; `None` where they
/// are none. A document of Nitro's shape counts as simulated where its root says so itself.
#[must_use]
pub fn detect(bytes: &[u8]) -> Option<EvidenceKind> {
    if bytes.len() == crate::snp::REPORT_BYTES && bytes.first().is_some_and(|v| (1..=9).contains(v))
    {
        return Some(EvidenceKind::SevSnp);
    }
    if quote::looks_like_one(bytes) {
        return Some(EvidenceKind::Tdx);
    }
    let root = document::root(bytes)?;
    if RootFingerprint::of(&root) != NITRO_ROOT_G1 && document::is_simulated(&root) {
        return Some(EvidenceKind::Simulated);
    }
    Some(EvidenceKind::Nitro)
}

/// Reads everything that evidence says.
///
/// # Errors
///
/// The [`Refusal`] of its structure, where it has none; nothing else is checked.
pub fn inspect(evidence: &Evidence) -> Result<Inspection, Refusal> {
    match evidence.kind {
        EvidenceKind::SevSnp => report::inspect(&evidence.bytes),
        EvidenceKind::Tdx => quote::inspect(&evidence.bytes),
        kind @ (EvidenceKind::Nitro | EvidenceKind::Simulated) => {
            document::inspect(kind, &evidence.bytes)
        }
    }
}

/// How a field of a fixed layout is shown.
#[derive(Clone, Copy)]
enum As {
    Number,
    Flags(&'static [(u32, &'static str)]),
    Bytes,
    /// Left out where it is zero: nobody has given it a meaning.
    Reserved,
}

/// A field of a fixed layout: name, size in bytes, how it is shown.
type Row = (&'static str, usize, As);

/// Reads a fixed, little-endian layout; `None` where bytes run out.
fn read_rows(cursor: &mut Cursor<'_>, rows: &[Row]) -> Option<Vec<Field>> {
    let mut fields = Vec::with_capacity(rows.len());
    for (name, size, shown) in rows {
        let bytes = cursor.bytes(*size)?;
        let number = || {
            let bytes = bytes.iter().take(8).rev();
            bytes.fold(0, |number, byte| (number << 8) | u64::from(*byte))
        };
        let value = match shown {
            As::Number => Said::Number(number()),
            As::Flags(names) => {
                let bits = number();
                let set = names.iter().filter(|(bit, _)| (bits >> bit) & 1 == 1);
                Said::Flags(bits, set.map(|(_, name)| *name).collect())
            }
            As::Reserved if bytes.iter().all(|byte| *byte == 0) => continue,
            As::Bytes | As::Reserved => Said::Bytes(bytes.to_vec()),
        };
        fields.push(Field::new(*name, value));
    }
    Some(fields)
}
