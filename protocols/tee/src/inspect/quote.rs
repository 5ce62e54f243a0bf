//! Every field of an Intel quote: header, the TD's report, the quoting enclave's, and the
//! certificates behind it.

use super::{As, Field, Inspection, Row, Said, certificate, read_rows};
use crate::cursor::Cursor;
use crate::evidence::EvidenceKind;
use crate::refusal::Refusal;
use crate::tdx::Quote;
use crate::x509::pem;

const HEADER: [Row; 7] = [
    ("version", 2, As::Number),
    ("attestation_key_type", 2, As::Number),
    ("tee_type", 4, As::Number),
    ("qe_svn", 2, As::Number),
    ("pce_svn", 2, As::Number),
    ("qe_vendor_id", 16, As::Bytes),
    ("user_data", 20, As::Bytes),
];
const BODY_HEADER: [Row; 2] = [("body_type", 2, As::Number), ("body_size", 4, As::Number)];

const ATTRIBUTES: As = As::Flags(&[
    (0, "DEBUG"),
    (4, "HGS_PLUS_PROF"),
    (5, "PERF_PROF"),
    (6, "PMT_PROF"),
    (16, "ICSSD"),
    (17, "SERVTD_EXT"),
    (27, "LASS"),
    (28, "SEPT_VE_DISABLE"),
    (29, "MIGRATABLE"),
    (30, "PKS"),
    (31, "KL"),
    (62, "TPA"),
    (63, "PERFMON"),
]);
const XFAM: As = As::Flags(&[
    (0, "x87"),
    (1, "SSE"),
    (2, "AVX"),
    (5, "AVX-512 masks"),
    (6, "AVX-512 low"),
    (7, "AVX-512 high"),
    (8, "PT"),
    (9, "PK"),
    (11, "CET user"),
    (12, "CET kernel"),
    (14, "UINTR"),
    (15, "LBR"),
    (17, "AMX tiles"),
    (18, "AMX data"),
]);
/// The TD's report; the last two only from TD 1.5 on.
const BODY: [Row; 15] = [
    ("tee_tcb_svn", 16, As::Bytes),
    ("mrseam", 48, As::Bytes),
    ("mrsignerseam", 48, As::Bytes),
    ("seamattributes", 8, As::Bytes),
    ("tdattributes", 8, ATTRIBUTES),
    ("xfam", 8, XFAM),
    ("mrtd", 48, As::Bytes),
    ("mrconfigid", 48, As::Bytes),
    ("mrowner", 48, As::Bytes),
    ("mrownerconfig", 48, As::Bytes),
    ("rtmr0", 48, As::Bytes),
    ("rtmr1", 48, As::Bytes),
    ("rtmr2", 48, As::Bytes),
    ("rtmr3", 48, As::Bytes),
    ("reportdata", 64, As::Bytes),
];
const BODY_15: [Row; 2] = [
    ("tee_tcb_svn2", 16, As::Bytes),
    ("mrservicetd", 48, As::Bytes),
];

const ENCLAVE: [Row; 12] = [
    ("qe.cpusvn", 16, As::Bytes),
    ("qe.miscselect", 4, As::Number),
    ("qe.reserved (20)", 28, As::Reserved),
    ("qe.attributes", 16, As::Bytes),
    ("qe.mrenclave", 32, As::Bytes),
    ("qe.reserved (96)", 32, As::Reserved),
    ("qe.mrsigner", 32, As::Bytes),
    ("qe.reserved (160)", 96, As::Reserved),
    ("qe.isvprodid", 2, As::Number),
    ("qe.isvsvn", 2, As::Number),
    ("qe.reserved (260)", 60, As::Reserved),
    ("qe.reportdata", 64, As::Bytes),
];

/// Whether bytes begin as a DCAP quote does, be it a TD's or an SGX enclave's.
pub(super) fn looks_like_one(bytes: &[u8]) -> bool {
    let mut cursor = Cursor::new(bytes);
    let mut fields = || Some((cursor.u16()?, cursor.u16()?, cursor.u32()?));
    matches!(fields(), Some((3..=5, 2 | 3, 0 | 0x81)))
}

pub(super) fn inspect(bytes: &[u8]) -> Result<Inspection, Refusal> {
    let quote = Quote::parse(bytes)?;
    let short = || Refusal::QuoteUnreadable;
    let mut cursor = Cursor::new(quote.signed);
    let mut fields = read_rows(&mut cursor, &HEADER).ok_or_else(short)?;
    if bytes.first() == Some(&5) {
        fields.extend(read_rows(&mut cursor, &BODY_HEADER).ok_or_else(short)?);
    }
    fields.extend(read_rows(&mut cursor, &BODY).ok_or_else(short)?);
    if !cursor.rest().is_empty() {
        fields.extend(read_rows(&mut cursor, &BODY_15).ok_or_else(short)?);
    }
    if !cursor.rest().is_empty() {
        let rest = Said::Bytes(cursor.rest().to_vec());
        fields.push(Field::new("td_1.5_extension", rest));
    }
    let bytes_of = |name: &str, bytes: &[u8]| Field::new(name, Said::Bytes(bytes.to_vec()));
    fields.push(bytes_of("signature", &quote.signature));
    fields.push(bytes_of("attestation_key", &quote.attestation_key));
    let mut enclave = Cursor::new(quote.qe.bytes);
    fields.extend(read_rows(&mut enclave, &ENCLAVE).ok_or_else(short)?);
    fields.push(bytes_of("qe.signature", &quote.qe_signature));
    fields.push(bytes_of("qe.authentication", quote.qe_authentication));
    let padding = u64::try_from(quote.padding).unwrap_or(u64::MAX);
    fields.push(Field::new("padding_bytes", Said::Number(padding)));

    let mut certificates = Vec::new();
    for der in pem::certificates(quote.pck_chain, 8)
        .unwrap_or_default()
        .iter()
        .rev()
    {
        certificates.extend(certificate::inspect_certificate(der));
    }
    Ok(Inspection {
        kind: EvidenceKind::Tdx,
        measurement: quote.td.measurement,
        user_data: quote.td.report_data.to_vec(),
        fields,
        certificates,
    })
}
