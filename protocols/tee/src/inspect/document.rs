//! Every field of a document of Nitro's shape, and its certificates.

use super::{Field, Inspection, Said, certificate};
use crate::evidence::EvidenceKind;
use crate::nitro::{Document, Envelope};
use crate::refusal::Refusal;

/// What the simulated TEE writes into its root's name (`sim::certificate`).
const SIMULATED: &str = "Aether simulated TEE";

/// The root certificate that a document carries, if it is one.
pub(super) fn root(bytes: &[u8]) -> Option<Vec<u8>> {
    let envelope = Envelope::parse(bytes).ok()?;
    let document = Document::parse(&envelope.payload).ok()?;
    document.cabundle.into_iter().next()
}

/// Whether a root says of itself that it is a simulated TEE's.
pub(super) fn is_simulated(root: &[u8]) -> bool {
    certificate::inspect_certificate(root).is_some_and(|info| info.subject.contains(SIMULATED))
}

pub(super) fn inspect(kind: EvidenceKind, bytes: &[u8]) -> Result<Inspection, Refusal> {
    let envelope = Envelope::parse(bytes)?;
    let document = Document::parse(&envelope.payload)?;
    let mut fields = vec![
        Field::new("module_id", Said::Text(document.module_id.clone())),
        Field::new("digest", Said::Text("SHA384".into())),
        Field::new("timestamp_ms", Said::Number(document.timestamp_ms)),
    ];
    for (index, register) in &document.pcrs {
        let value = Said::Bytes(register.0.to_vec());
        fields.push(Field::new(format!("pcr{index}"), value));
    }
    let optional = [
        ("public_key", &document.public_key),
        ("nonce", &document.nonce),
    ];
    fields.push(Field::new(
        "user_data",
        Said::Bytes(document.user_data.clone()),
    ));
    for (name, value) in optional {
        if let Some(value) = value {
            fields.push(Field::new(name, Said::Bytes(value.clone())));
        }
    }
    let signature = Said::Bytes(envelope.signature.to_vec());
    fields.push(Field::new("signature", signature));
    let ders = document.cabundle.iter().chain([&document.certificate]);
    Ok(Inspection {
        kind,
        measurement: document.measurement,
        user_data: document.user_data.clone(),
        fields,
        certificates: ders
            .filter_map(|der| certificate::inspect_certificate(der))
            .collect(),
    })
}
