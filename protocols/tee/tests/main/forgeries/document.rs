//! Forged documents, properly signed.

use aether_tee::Refusal;
use ciborium::Value;

use crate::forger::{Forger, measurement, set};
use crate::forgeries::{Row, judge};

pub(crate) const DOCUMENT: &[Row] = &[
    ("an array", Refusal::DocumentUnreadable, |f| {
        f.payload = Some(Box::new(|payload| *payload = vec![0x80]));
    }),
    ("a byte behind the map", Refusal::DocumentUnreadable, |f| {
        f.payload = Some(Box::new(|payload| payload.push(0)));
    }),
    ("a number for a key", Refusal::DocumentUnreadable, |f| {
        f.fields = Some(Box::new(|fields| fields.push((1.into(), Value::Null))));
    }),
    ("33 fields", Refusal::DocumentUnreadable, |f| {
        f.fields = Some(Box::new(|fields| {
            for extra in fields.len()..33 {
                fields.push((format!("extra {extra}").into(), Value::Null));
            }
        }));
    }),
    (
        "user_data twice",
        Refusal::DuplicateField { field: "user_data" },
        |f| {
            f.fields = Some(Box::new(|fields| {
                fields.push(("user_data".into(), Value::Null))
            }));
        },
    ),
    (
        "an unknown field twice",
        Refusal::DuplicateField {
            field: "an unknown field",
        },
        |f| {
            f.fields = Some(Box::new(|fields| {
                fields.extend([("new".into(), Value::Null), ("new".into(), Value::Null)]);
            }));
        },
    ),
    (
        "PCR0 twice",
        Refusal::DuplicateField { field: "a PCR" },
        |f| {
            let pcr = (Value::from(0), Value::Bytes(measurement().0.to_vec()));
            f.fields = set("pcrs", Some(Value::Map(vec![pcr.clone(), pcr])));
        },
    ),
    ("no PCR0", Refusal::MissingField { field: "PCR0" }, |f| {
        let pcr = (Value::from(1), Value::Bytes(measurement().0.to_vec()));
        f.fields = set("pcrs", Some(Value::Map(vec![pcr])));
    }),
    ("another digest", Refusal::Digest, |f| {
        f.fields = set("digest", Some("SHA256".into()))
    }),
    ("PCR 32", Refusal::PcrIndex, |f| {
        let pcr = (Value::from(32), Value::Bytes(vec![1; 48]));
        f.fields = set("pcrs", Some(Value::Map(vec![pcr])));
    }),
    ("PCR -1", Refusal::PcrIndex, |f| {
        let pcr = (Value::from(-1), Value::Bytes(vec![1; 48]));
        f.fields = set("pcrs", Some(Value::Map(vec![pcr])));
    }),
    (
        "a PCR of SHA-256",
        Refusal::PcrSize {
            index: 0,
            bytes: 32,
        },
        |f| {
            let pcr = (Value::from(0), Value::Bytes(vec![1; 32]));
            f.fields = set("pcrs", Some(Value::Map(vec![pcr])));
        },
    ),
    ("a PCR in text", Refusal::FieldType { field: "pcrs" }, |f| {
        let pcr = (Value::from(0), Value::from("zero"));
        f.fields = set("pcrs", Some(Value::Map(vec![pcr])));
    }),
    (
        "a PCR with a name",
        Refusal::FieldType { field: "pcrs" },
        |f| {
            let pcr = (Value::from("PCR0"), Value::Bytes(vec![1; 48]));
            f.fields = set("pcrs", Some(Value::Map(vec![pcr])));
        },
    ),
    (
        "an authority in text",
        Refusal::FieldType { field: "cabundle" },
        |f| {
            f.fields = set("cabundle", Some(Value::Array(vec!["root".into()])));
        },
    ),
    (
        "an empty authority",
        Refusal::FieldSize { field: "cabundle" },
        |f| {
            f.fields = set("cabundle", Some(Value::Array(vec![Value::Bytes(vec![])])));
        },
    ),
];

#[test]
fn document_keeps_its_table() {
    judge(DOCUMENT);
}

#[test]
fn every_required_field_must_be_there() {
    for field in [
        "module_id",
        "digest",
        "timestamp",
        "pcrs",
        "certificate",
        "cabundle",
    ] {
        let mut forger = Forger::honest();
        forger.fields = set(field, None);
        assert_eq!(forger.verdict(), Err(Refusal::MissingField { field }));
    }
}

#[test]
fn every_field_has_its_type() {
    for field in [
        "module_id",
        "digest",
        "timestamp",
        "pcrs",
        "certificate",
        "cabundle",
        "public_key",
        "user_data",
        "nonce",
    ] {
        for wrong in [Value::Bool(true), Value::from(-1), Value::Float(1.0)] {
            let mut forger = Forger::honest();
            forger.fields = set(field, Some(wrong));
            assert_eq!(forger.verdict(), Err(Refusal::FieldType { field }));
        }
    }
}

#[test]
fn every_field_has_its_size() {
    let bytes = |size| Value::Bytes(vec![1; size]);
    let pcrs = (0..33)
        .map(|index| (Value::from(index), bytes(48)))
        .collect();
    for (field, wrong) in [
        ("module_id", Value::from("")),
        ("module_id", Value::from("x".repeat(257))),
        ("pcrs", Value::Map(vec![])),
        ("pcrs", Value::Map(pcrs)),
        ("certificate", bytes(0)),
        ("certificate", bytes(1025)),
        ("cabundle", Value::Array(vec![])),
        ("cabundle", Value::Array(vec![bytes(1); 9])),
        ("cabundle", Value::Array(vec![bytes(1025)])),
        ("public_key", bytes(0)),
        ("public_key", bytes(1025)),
        ("user_data", bytes(513)),
        ("nonce", bytes(513)),
    ] {
        let mut forger = Forger::honest();
        forger.fields = set(field, Some(wrong));
        assert_eq!(forger.verdict(), Err(Refusal::FieldSize { field }));
    }
}
