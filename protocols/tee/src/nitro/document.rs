//! The signed document: one CBOR map with text keys.
//!
//! | field | type | rule |
//! | --- | --- | --- |
//! | `module_id` | text | 1–256 bytes |
//! | `digest` | text | "SHA384" |
//! | `timestamp` | uint | milliseconds since 1970 |
//! | `pcrs` | map of uint to bytes | 1–32 entries, indices below 32, 48 bytes each, PCR0 present |
//! | `certificate` | bytes | 1–1,024 |
//! | `cabundle` | array of bytes | 1–8 entries of 1–1,024, root first |
//! | `public_key` | bytes or null | optional, 1–1,024 |
//! | `user_data` | bytes or null | optional, at most 512; absent counts as empty |
//! | `nonce` | bytes or null | optional, at most 512 |
//!
//! The map may be of indefinite length (genuine ones are) since its encoding is signed as it
//! is. A repeated key is refused, because two readers could pick different ones. Keys that
//! are not in the table are left alone: nothing here depends on them.

use ciborium::Value;

use super::envelope::read_item;
use crate::evidence::Measurement;
use crate::refusal::Refusal;

const MAX_MODULE_ID: usize = 256;
const MAX_PCRS: usize = 32;
const MAX_CERTIFICATE: usize = 1024;
const MAX_CABUNDLE: usize = 8;
const MAX_PUBLIC_KEY: usize = 1024;
const MAX_USER_DATA: usize = 512;
const MAX_NONCE: usize = 512;
/// More keys than the table has, so that new ones do no harm, yet few enough that looking
/// for repeated ones costs nothing.
const MAX_FIELDS: usize = 32;

/// The fields. An appraisal uses some of them; the others are for people.
pub(crate) struct Document {
    /// Which enclave on which instance; nobody checks it.
    pub(crate) module_id: String,
    /// Milliseconds since 1970.
    pub(crate) timestamp_ms: u64,
    /// PCR0: the enclave image.
    pub(crate) measurement: Measurement,
    /// All registers, in the document's order.
    pub(crate) pcrs: Vec<(u8, Measurement)>,
    /// The leaf certificate, DER.
    pub(crate) certificate: Vec<u8>,
    /// The authorities, root first, at least one, DER.
    pub(crate) cabundle: Vec<Vec<u8>>,
    /// What the attester bound itself to.
    pub(crate) user_data: Vec<u8>,
    /// A key that the enclave wants answers encrypted for; not used here.
    pub(crate) public_key: Option<Vec<u8>>,
    /// What the asker gave; not used here.
    pub(crate) nonce: Option<Vec<u8>>,
}

impl Document {
    /// Reads a document and checks every field of it.
    pub(crate) fn parse(payload: &[u8]) -> Result<Self, Refusal> {
        let Some((Value::Map(entries), 0)) = read_item(payload) else {
            return Err(Refusal::DocumentUnreadable);
        };
        if entries.len() > MAX_FIELDS {
            return Err(Refusal::DocumentUnreadable);
        }
        let mut fields = Fields::new(entries)?;

        let module_id = fields.text("module_id")?;
        sized("module_id", module_id.len(), 1, MAX_MODULE_ID)?;
        if fields.text("digest")? != "SHA384" {
            return Err(Refusal::Digest);
        }
        let timestamp_ms = fields.uint("timestamp")?;
        let pcrs = read_pcrs(fields.map("pcrs")?)?;
        let first = pcrs.iter().find(|(index, _)| *index == 0);
        let (_, measurement) = *first.ok_or(Refusal::MissingField { field: "PCR0" })?;
        let certificate = fields.bytes("certificate")?;
        sized("certificate", certificate.len(), 1, MAX_CERTIFICATE)?;
        let cabundle = read_cabundle(fields.array("cabundle")?)?;
        let public_key = fields.optional_bytes("public_key")?;
        if let Some(key) = &public_key {
            sized("public_key", key.len(), 1, MAX_PUBLIC_KEY)?;
        }
        let user_data = fields.optional_bytes("user_data")?.unwrap_or_default();
        sized("user_data", user_data.len(), 0, MAX_USER_DATA)?;
        let nonce = fields.optional_bytes("nonce")?;
        if let Some(nonce) = &nonce {
            sized("nonce", nonce.len(), 0, MAX_NONCE)?;
        }
        Ok(Self {
            module_id,
            timestamp_ms,
            measurement,
            pcrs,
            certificate,
            cabundle,
            user_data,
            public_key,
            nonce,
        })
    }
}

/// Checks the registers.
fn read_pcrs(entries: Vec<(Value, Value)>) -> Result<Vec<(u8, Measurement)>, Refusal> {
    sized("pcrs", entries.len(), 1, MAX_PCRS)?;
    let mut seen = [false; MAX_PCRS];
    let mut found = Vec::with_capacity(entries.len());
    for (index, value) in entries {
        let Value::Integer(index) = index else {
            return Err(Refusal::FieldType { field: "pcrs" });
        };
        let index = u8::try_from(index).map_err(|_| Refusal::PcrIndex)?;
        let slot = seen.get_mut(usize::from(index)).ok_or(Refusal::PcrIndex)?;
        if std::mem::replace(slot, true) {
            return Err(Refusal::DuplicateField { field: "a PCR" });
        }
        let Value::Bytes(value) = value else {
            return Err(Refusal::FieldType { field: "pcrs" });
        };
        let value = <[u8; 48]>::try_from(value.as_slice()).map_err(|_| Refusal::PcrSize {
            index,
            bytes: value.len(),
        })?;
        found.push((index, Measurement(value)));
    }
    Ok(found)
}

/// Checks sizes and types of the authorities' certificates; their content comes later.
fn read_cabundle(items: Vec<Value>) -> Result<Vec<Vec<u8>>, Refusal> {
    sized("cabundle", items.len(), 1, MAX_CABUNDLE)?;
    items
        .into_iter()
        .map(|item| {
            let Value::Bytes(der) = item else {
                return Err(Refusal::FieldType { field: "cabundle" });
            };
            sized("cabundle", der.len(), 1, MAX_CERTIFICATE)?;
            Ok(der)
        })
        .collect()
}

/// Refuses a size outside `least..=most`.
fn sized(field: &'static str, size: usize, least: usize, most: usize) -> Result<(), Refusal> {
    if (least..=most).contains(&size) {
        Ok(())
    } else {
        Err(Refusal::FieldSize { field })
    }
}

/// A document's fields by name, each taken out once.
struct Fields(Vec<(String, Value)>);

impl Fields {
    /// Every field the table names; used to name repeated ones.
    const KNOWN: [&'static str; 9] = [
        "module_id",
        "digest",
        "timestamp",
        "pcrs",
        "certificate",
        "cabundle",
        "public_key",
        "user_data",
        "nonce",
    ];

    fn new(entries: Vec<(Value, Value)>) -> Result<Self, Refusal> {
        let mut fields: Vec<(String, Value)> = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let Value::Text(key) = key else {
                return Err(Refusal::DocumentUnreadable);
            };
            if fields.iter().any(|(name, _)| *name == key) {
                let known = Self::KNOWN.into_iter().find(|name| *name == key);
                return Err(Refusal::DuplicateField {
                    field: known.unwrap_or("an unknown field"),
                });
            }
            fields.push((key, value));
        }
        Ok(Self(fields))
    }

    fn optional(&mut self, field: &'static str) -> Option<Value> {
        let position = self.0.iter().position(|(name, _)| name == field)?;
        Some(self.0.swap_remove(position).1)
    }

    fn required(&mut self, field: &'static str) -> Result<Value, Refusal> {
        self.optional(field).ok_or(Refusal::MissingField { field })
    }

    fn text(&mut self, field: &'static str) -> Result<String, Refusal> {
        self.required(field)?
            .into_text()
            .map_err(|_| Refusal::FieldType { field })
    }

    fn uint(&mut self, field: &'static str) -> Result<u64, Refusal> {
        let value = self.required(field)?.into_integer();
        value
            .ok()
            .and_then(|value| u64::try_from(value).ok())
            .ok_or(Refusal::FieldType { field })
    }

    fn bytes(&mut self, field: &'static str) -> Result<Vec<u8>, Refusal> {
        self.required(field)?
            .into_bytes()
            .map_err(|_| Refusal::FieldType { field })
    }

    fn map(&mut self, field: &'static str) -> Result<Vec<(Value, Value)>, Refusal> {
        self.required(field)?
            .into_map()
            .map_err(|_| Refusal::FieldType { field })
    }

    fn array(&mut self, field: &'static str) -> Result<Vec<Value>, Refusal> {
        self.required(field)?
            .into_array()
            .map_err(|_| Refusal::FieldType { field })
    }

    /// Absent and null are the same.
    fn optional_bytes(&mut self, field: &'static str) -> Result<Option<Vec<u8>>, Refusal> {
        match self.optional(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Bytes(bytes)) => Ok(Some(bytes)),
            Some(_) => Err(Refusal::FieldType { field }),
        }
    }
}
