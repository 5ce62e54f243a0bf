//! Every field of an AMD report (56860, table of `ATTESTATION_REPORT`), whatever its version.

use super::{As, Field, Inspection, Row, Said, read_rows};
use crate::cursor::Cursor;
use crate::evidence::{EvidenceKind, Measurement};
use crate::refusal::Refusal;
use crate::snp::{REPORT_BYTES, Report, SIGNED_BYTES, read_tcb};
use crate::tcb::SnpProduct;

const POLICY: As = As::Flags(&[
    (16, "SMT"),
    (17, "always set"),
    (18, "MIGRATE_MA"),
    (19, "DEBUG"),
    (20, "SINGLE_SOCKET"),
    (21, "CXL_ALLOW"),
    (22, "MEM_AES_256_XTS"),
    (23, "RAPL_DIS"),
    (24, "CIPHERTEXT_HIDING"),
]);
const PLATFORM: As = As::Flags(&[
    (0, "SMT_EN"),
    (1, "TSME_EN"),
    (2, "ECC_EN"),
    (3, "RAPL_DIS"),
    (4, "CIPHERTEXT_HIDING_EN"),
    (5, "ALIAS_CHECK_COMPLETE"),
    (7, "TIO_EN"),
]);
const KEY_INFO: As = As::Flags(&[
    (0, "AUTHOR_KEY_EN"),
    (1, "MASK_CHIP_KEY"),
    (2, "signed by VLEK"),
]);

/// The signed part, from its beginning to its end.
const ROWS: [Row; 36] = [
    ("version", 4, As::Number),
    ("guest_svn", 4, As::Number),
    ("policy", 8, POLICY),
    ("family_id", 16, As::Bytes),
    ("image_id", 16, As::Bytes),
    ("vmpl", 4, As::Number),
    ("signature_algo", 4, As::Number),
    ("current_tcb", 8, As::Bytes),
    ("platform_info", 8, PLATFORM),
    ("key_info", 4, KEY_INFO),
    ("reserved (0x4c)", 4, As::Reserved),
    ("report_data", 64, As::Bytes),
    ("measurement", 48, As::Bytes),
    ("host_data", 32, As::Bytes),
    ("id_key_digest", 48, As::Bytes),
    ("author_key_digest", 48, As::Bytes),
    ("report_id", 32, As::Bytes),
    ("report_id_ma", 32, As::Bytes),
    ("reported_tcb", 8, As::Bytes),
    ("cpuid_family", 1, As::Number),
    ("cpuid_model", 1, As::Number),
    ("cpuid_stepping", 1, As::Number),
    ("reserved (0x18b)", 21, As::Reserved),
    ("chip_id", 64, As::Bytes),
    ("committed_tcb", 8, As::Bytes),
    ("current_build", 1, As::Number),
    ("current_minor", 1, As::Number),
    ("current_major", 1, As::Number),
    ("reserved (0x1eb)", 1, As::Reserved),
    ("committed_build", 1, As::Number),
    ("committed_minor", 1, As::Number),
    ("committed_major", 1, As::Number),
    ("reserved (0x1ef)", 1, As::Reserved),
    ("launch_tcb", 8, As::Bytes),
    ("launch_mit_vector", 8, As::Reserved),
    ("current_mit_vector", 8, As::Reserved),
];

pub(super) fn inspect(bytes: &[u8]) -> Result<Inspection, Refusal> {
    let size = Refusal::ReportSize { bytes: bytes.len() };
    if bytes.len() != REPORT_BYTES {
        return Err(size);
    }
    let (signed, signature) = bytes.split_at_checked(SIGNED_BYTES).ok_or(size.clone())?;
    let mut cursor = Cursor::new(signed);
    let mut fields = read_rows(&mut cursor, &ROWS).ok_or(size.clone())?;
    let mut rows = Cursor::new(signature);
    let scalars = [
        ("signature_r", 72, As::Bytes),
        ("signature_s", 72, As::Bytes),
    ];
    fields.extend(read_rows(&mut rows, &scalars).ok_or(size)?);

    let found = |name: &str| {
        let field = fields.iter().find(|field| field.name == name);
        match field.map(|field| &field.value) {
            Some(Said::Bytes(bytes)) => bytes.clone(),
            _ => Vec::new(),
        }
    };
    let measurement = <[u8; 48]>::try_from(found("measurement")).unwrap_or([0; 48]);
    let user_data = found("report_data");
    // Where the report is one that can be judged, the product says how to read versions.
    if let Some(product) = Report::parse(bytes).ok().and_then(|report| report.product) {
        spell_out(&mut fields, product);
    }
    Ok(Inspection {
        kind: EvidenceKind::SevSnp,
        measurement: Measurement(measurement),
        user_data,
        fields,
        certificates: Vec::new(),
    })
}

/// Names the product, and the parts of each version.
fn spell_out(fields: &mut Vec<Field>, product: SnpProduct) {
    for field in fields.iter_mut().filter(|f| f.name.ends_with("_tcb")) {
        if let Said::Bytes(bytes) = &field.value
            && let Ok(bytes) = <[u8; 8]>::try_from(bytes.as_slice())
        {
            field.value = Said::Text(read_tcb(bytes, product).to_string());
        }
    }
    let product = Field::new("product", Said::Text(product.to_string()));
    fields.insert(0, product);
}
