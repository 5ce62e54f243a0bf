//! `aether attest inspect`: everything that evidence or a certificate says, unjudged.

use super::{file, time};
use crate::cli::CommandResult;
use crate::cli::context::Context;
use crate::cli::exit::{CliError, Exit};
use crate::cli::files;
use crate::cli::page::Page;
use aether_tee::inspect::{
    CertificateInfo, Field, Inspection, Said, certificates, inspect, inspect_certificate,
};
use aether_tee::is_canonical;
use serde_json::{Map, Value, json};
use std::path::Path;

/// A file of certificates.
const FILE_BYTES_MAX: u64 = 512 * 1024;

pub(super) fn run(context: &mut Context, path: &Path) -> CommandResult {
    let bytes = files::read(path, FILE_BYTES_MAX)?;
    if let Some(ders) = certificates(&bytes) {
        let found: Vec<_> = ders
            .iter()
            .filter_map(|der| inspect_certificate(der))
            .collect();
        let value =
            json!({ "certificates": found.iter().map(certificate_json).collect::<Vec<_>>() });
        context
            .console
            .answer(&value, |page| show_certificates(page, &found));
        return Ok(Exit::Ok);
    }
    let found = file::read(path)?;
    let said = inspect(&found.evidence).map_err(|refusal| {
        let message = format!(
            "{} cannot be taken apart: {refusal} [{}]",
            path.display(),
            refusal.code()
        );
        CliError::failed(refusal.code(), message)
    })?;
    let form = is_canonical(&found.evidence).map_err(|e| e.to_string());
    let bundle = found.endorsements.0.len();
    let value = json!({
        "kind": said.kind.name(),
        "bytes": found.evidence.bytes.len(),
        "canonical": form.is_ok(),
        "endorsements_bytes": bundle,
        "measurement": said.measurement.to_string(),
        "fields": Value::Object(said.fields.iter().map(field_json).collect()),
        "certificates": said.certificates.iter().map(certificate_json).collect::<Vec<_>>(),
    });
    context.console.answer(&value, |page| {
        show(page, &said, found.evidence.bytes.len());
        if bundle > 0 {
            page.field("endorsements", format!("{bundle} bytes in the same file"));
        }
        page.field(
            "form",
            match &form {
                Ok(()) => "the one that the mesh admits".to_owned(),
                Err(why) => format!("not the one that the mesh admits: {why}"),
            },
        );
        page.line("None of this was checked; `aether attest verify` judges.");
    });
    Ok(Exit::Ok)
}

fn show(page: &mut Page, said: &Inspection, bytes: usize) {
    page.heading("Evidence")
        .field("kind", said.kind)
        .field("size", format!("{bytes} bytes"))
        .heading("Fields");
    for field in &said.fields {
        let value = match (&field.value, field.name.as_str()) {
            (Said::Number(ms), "timestamp_ms") => format!("{ms} ({})", time::show(ms / 1000)),
            (value, _) => value.to_string(),
        };
        page.field(&field.name, value);
    }
    show_certificates(page, &said.certificates);
    page.heading("Form");
}

fn show_certificates(page: &mut Page, certificates: &[CertificateInfo]) {
    for (position, c) in certificates.iter().enumerate() {
        page.heading(&format!("Certificate {position}"))
            .field("subject", &c.subject)
            .field("issuer", &c.issuer)
            .field("serial", &c.serial)
            .field(
                "valid",
                format!(
                    "{} to {}",
                    time::show(c.not_before.0),
                    time::show(c.not_after.0)
                ),
            )
            .field("SHA-256", c.fingerprint);
        for field in &c.fields {
            page.field(&field.name, &field.value);
        }
    }
}

fn field_json(field: &Field) -> (String, Value) {
    let value = match &field.value {
        Said::Number(number) => json!(number),
        Said::Flags(bits, names) => json!({ "value": bits, "set": names }),
        Said::Bytes(bytes) => json!(hex::encode(bytes)),
        Said::Text(text) => json!(text),
    };
    (field.name.clone(), value)
}

fn certificate_json(c: &CertificateInfo) -> Value {
    let fields: Map<String, Value> = c.fields.iter().map(field_json).collect();
    json!({
        "subject": c.subject,
        "issuer": c.issuer,
        "serial": c.serial,
        "not_before": time::show(c.not_before.0),
        "not_after": time::show(c.not_after.0),
        "sha256": c.fingerprint.to_string(),
        "extensions": fields,
    })
}
