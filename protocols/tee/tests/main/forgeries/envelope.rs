//! Forged envelopes.

use aether_tee::Refusal;
use coset::{HeaderBuilder, ProtectedHeader, iana};

use crate::forgeries::{Row, judge};

pub(crate) const ENVELOPE: &[Row] = &[
    ("nothing", Refusal::Unreadable, |f| {
        f.bytes = Some(Box::new(Vec::clear))
    }),
    ("a missing last byte", Refusal::Unreadable, |f| {
        f.bytes = Some(Box::new(|bytes| bytes.truncate(bytes.len() - 1)));
    }),
    ("arrays a thousand deep", Refusal::Unreadable, |f| {
        f.bytes = Some(Box::new(|bytes| *bytes = vec![0x81; 1000]));
    }),
    (
        "a string that claims 2^63 bytes",
        Refusal::Unreadable,
        |f| {
            f.bytes = Some(Box::new(|bytes| {
                *bytes = vec![0x5b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]
            }));
        },
    ),
    (
        "two bytes behind it",
        Refusal::TrailingBytes { bytes: 2 },
        |f| {
            f.bytes = Some(Box::new(|bytes| bytes.extend([0, 0])));
        },
    ),
    ("a tag", Refusal::NotCoseSign1, |f| {
        f.bytes = Some(Box::new(|bytes| bytes.insert(0, 0xd2)));
    }),
    ("a fifth element", Refusal::NotCoseSign1, |f| {
        f.bytes = Some(Box::new(|bytes| {
            bytes[0] = 0x85;
            bytes.push(0xf6);
        }));
    }),
    ("a detached payload", Refusal::NotCoseSign1, |f| {
        f.envelope = Some(Box::new(|envelope| envelope.payload = None));
    }),
    (
        "a longer length than needed",
        Refusal::EnvelopeEncoding,
        |f| {
            f.bytes = Some(Box::new(|bytes| {
                let length = bytes.len() - 96 - 2;
                assert_eq!(bytes[length..length + 2], [0x58, 96]);
                bytes.splice(length..length + 2, [0x59, 0, 96]);
            }));
        },
    ),
    (
        "an array of indefinite length",
        Refusal::EnvelopeEncoding,
        |f| {
            f.bytes = Some(Box::new(|bytes| {
                bytes[0] = 0x9f;
                bytes.push(0xff);
            }));
        },
    ),
    ("ES256", Refusal::Algorithm, |f| {
        f.envelope = Some(Box::new(|envelope| {
            let header = HeaderBuilder::new()
                .algorithm(iana::Algorithm::ES256)
                .build();
            envelope.protected = ProtectedHeader {
                original_data: None,
                header,
            };
        }));
    }),
    ("no algorithm", Refusal::Algorithm, |f| {
        f.envelope = Some(Box::new(|envelope| {
            envelope.protected = ProtectedHeader::default()
        }));
    }),
    ("a second protected header", Refusal::Algorithm, |f| {
        f.envelope = Some(Box::new(|envelope| {
            envelope.protected.original_data = None;
            envelope.protected.header.key_id = vec![1];
        }));
    }),
    ("an unprotected header", Refusal::UnprotectedHeader, |f| {
        f.envelope = Some(Box::new(|envelope| envelope.unprotected.key_id = vec![1]));
    }),
    (
        "a short signature",
        Refusal::SignatureSize { bytes: 95 },
        |f| {
            f.envelope = Some(Box::new(|envelope| envelope.signature.truncate(95)));
        },
    ),
    (
        "a padded signature",
        Refusal::SignatureSize { bytes: 97 },
        |f| {
            f.envelope = Some(Box::new(|envelope| envelope.signature.push(0)));
        },
    ),
];

#[test]
fn envelope_has_one_form() {
    judge(ENVELOPE);
}
