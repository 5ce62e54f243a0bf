//! Makes documents in which exactly one thing is wrong.
//!
//! Nothing here uses the crate's own writers: certificates are put together byte by byte,
//! envelopes come from the `coset` crate, so an honest forgery that is accepted also shows
//! that the appraisal understands what others write.

use aether_tee::{
    Appraisal, Binding, ChainCache, Endorsements, Evidence, EvidenceKind, Measurement, Policy,
    Refusal, RootFingerprint, TrustAnchors, UnixTime, appraise, appraise_cached,
};
use ciborium::Value;
use coset::{CborSerializable, CoseSign1, CoseSign1Builder, HeaderBuilder, iana};
use p384::ecdsa::signature::Signer;
use p384::ecdsa::{DerSignature, Signature, SigningKey};
use std::sync::LazyLock;

/// The instant of every story: 2026-03-01T12:00:00Z.
pub(crate) const NOW: UnixTime = UnixTime(1_772_366_400);
/// Certificates live from a day before to a day after, in UTCTime.
pub(crate) const YESTERDAY: &str = "260228120000Z";
pub(crate) const TOMORROW: &str = "260302120000Z";

/// Shared by all stories, whichever comes first.
static CACHE: LazyLock<ChainCache> = LazyLock::new(ChainCache::default);

pub(crate) fn measurement() -> Measurement {
    Measurement::of(b"a worker's runtime")
}

pub(crate) fn binding() -> Binding {
    Binding::new(&[1; 32], &[2; 32], &[3; 32], 42, &[4; 32])
}

pub(crate) fn key(seed: u8) -> SigningKey {
    SigningKey::from_slice(&[seed; 48]).expect("a scalar")
}

// DER, just enough of it.

pub(crate) fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut out = vec![tag];
    match length {
        0..=0x7f => out.push(length as u8),
        0x80..=0xff => out.extend([0x81, length as u8]),
        0x100..=0xffff => out.extend([0x82, (length >> 8) as u8, length as u8]),
        _ => out.extend([
            0x83,
            (length >> 16) as u8,
            (length >> 8) as u8,
            length as u8,
        ]),
    }
    out.extend(content);
    out
}

pub(crate) fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    tlv(0x30, &parts.concat())
}

/// ecdsa-with-SHA384 and ecdsa-with-SHA256.
pub(crate) const SHA384: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03];
pub(crate) const SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
/// secp384r1 and secp521r1.
const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
pub(crate) const P521: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x23];
const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
pub(crate) const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
pub(crate) const KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x0f];
/// Name constraints: genuine, and not understood here.
pub(crate) const NAME_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x1e];

pub(crate) fn extension(id: &[u8], critical: bool, content: &[u8]) -> Vec<u8> {
    let flag = if critical {
        tlv(0x01, &[0xff])
    } else {
        Vec::new()
    };
    sequence(&[&tlv(0x06, id), &flag, &tlv(0x04, content)])
}

pub(crate) fn constraints(ca: bool, path_len: Option<u8>) -> Vec<u8> {
    let ca = if ca { tlv(0x01, &[0xff]) } else { Vec::new() };
    let path_len = path_len.map(|most| tlv(0x02, &[most])).unwrap_or_default();
    extension(BASIC_CONSTRAINTS, true, &sequence(&[&ca, &path_len]))
}

/// Bit 0 is `digitalSignature`, bit 5 `keyCertSign`, counted from the top.
pub(crate) fn usage(bit: u8) -> Vec<u8> {
    extension(KEY_USAGE, true, &tlv(0x03, &[7 - bit, 0x80 >> bit]))
}

fn name(common: &str) -> Vec<u8> {
    let attribute = sequence(&[
        &tlv(0x06, &[0x55, 0x04, 0x03]),
        &tlv(0x0c, common.as_bytes()),
    ]);
    sequence(&[&tlv(0x31, &attribute)])
}

/// One certificate, every part of it open to change.
#[derive(Clone)]
pub(crate) struct Certificate {
    pub(crate) version: Vec<u8>,
    pub(crate) inside_algorithm: &'static [u8],
    pub(crate) outside_algorithm: &'static [u8],
    pub(crate) issuer: &'static str,
    pub(crate) subject: &'static str,
    pub(crate) not_before: &'static str,
    pub(crate) not_after: &'static str,
    pub(crate) curve: &'static [u8],
    pub(crate) compressed: bool,
    pub(crate) extensions: Vec<Vec<u8>>,
    pub(crate) key: u8,
    pub(crate) signer: u8,
    pub(crate) tail: &'static [u8],
}

impl Certificate {
    fn new(subject: &'static str, issuer: &'static str, key: u8, signer: u8) -> Self {
        Self {
            version: tlv(0xa0, &[0x02, 0x01, 0x02]),
            inside_algorithm: SHA384,
            outside_algorithm: SHA384,
            issuer,
            subject,
            not_before: YESTERDAY,
            not_after: TOMORROW,
            curve: P384,
            compressed: false,
            extensions: Vec::new(),
            key,
            signer,
            tail: b"",
        }
    }

    pub(crate) fn der(&self) -> Vec<u8> {
        let algorithm = |id: &[u8]| sequence(&[&tlv(0x06, id)]);
        let point = key(self.key).verifying_key().to_sec1_point(self.compressed);
        let point = [&[0], point.as_bytes()].concat();
        let spki = sequence(&[
            &sequence(&[&tlv(0x06, EC_PUBLIC_KEY), &tlv(0x06, self.curve)]),
            &tlv(0x03, &point),
        ]);
        let dates = [self.not_before, self.not_after].map(|date| tlv(0x17, date.as_bytes()));
        let extensions = tlv(0xa3, &tlv(0x30, &self.extensions.concat()));
        let signed = sequence(&[
            &self.version,
            &tlv(0x02, &[self.key]),
            &algorithm(self.inside_algorithm),
            &name(self.issuer),
            &sequence(&[&dates[0], &dates[1]]),
            &name(self.subject),
            &spki,
            &extensions,
        ]);
        let signature: DerSignature = key(self.signer).sign(&signed);
        let signature = [&[0], signature.as_bytes()].concat();
        let outside = algorithm(self.outside_algorithm);
        let mut der = sequence(&[&signed, &outside, &tlv(0x03, &signature)]);
        der.extend(self.tail);
        der
    }
}

type Fields = Vec<(Value, Value)>;
type Edit<T> = Box<dyn Fn(&mut T)>;

/// An honest document, the circumstances under which it is accepted, and the places where
/// something can be made wrong.
pub(crate) struct Forger {
    /// Root, authority, leaf.
    pub(crate) chain: Vec<Certificate>,
    /// Applied to the document's fields before they are encoded.
    pub(crate) fields: Option<Edit<Fields>>,
    /// Applied to the encoded document before it is signed.
    pub(crate) payload: Option<Edit<Vec<u8>>>,
    /// Applied to the signed envelope before it is encoded.
    pub(crate) envelope: Option<Edit<CoseSign1>>,
    /// Applied to the encoded envelope.
    pub(crate) bytes: Option<Edit<Vec<u8>>>,
    /// Whose key signs the document.
    pub(crate) signer: u8,

    pub(crate) kind: EvidenceKind,
    pub(crate) endorsements: Endorsements,
    /// `None`: the chain's own root.
    pub(crate) anchors: Option<TrustAnchors>,
    pub(crate) policy: Policy,
    pub(crate) binding: Binding,
    pub(crate) at: UnixTime,
}

impl Forger {
    pub(crate) fn honest() -> Self {
        let mut root = Certificate::new("root", "root", 1, 1);
        root.extensions = vec![constraints(true, Some(1)), usage(5)];
        let mut authority = Certificate::new("authority", "root", 2, 1);
        authority.extensions = vec![constraints(true, Some(0)), usage(5)];
        let mut leaf = Certificate::new("leaf", "authority", 3, 2);
        leaf.extensions = vec![constraints(false, None), usage(0)];
        Self {
            chain: vec![root, authority, leaf],
            fields: None,
            payload: None,
            envelope: None,
            bytes: None,
            signer: 3,
            kind: EvidenceKind::Simulated,
            endorsements: Endorsements::none(),
            anchors: None,
            policy: Policy {
                kinds: vec![EvidenceKind::Simulated],
                measurements: vec![measurement()],
                ..Policy::default()
            },
            binding: binding(),
            at: NOW,
        }
    }

    /// The honest forger with its root pinned once and for all, for stories that judge
    /// thousands of documents.
    pub(crate) fn pinned() -> Self {
        let honest = Self::honest();
        Self {
            anchors: Some(honest.anchors()),
            ..honest
        }
    }

    pub(crate) fn ders(&self) -> Vec<Vec<u8>> {
        self.chain.iter().map(Certificate::der).collect()
    }

    pub(crate) fn anchors(&self) -> TrustAnchors {
        self.anchors.clone().unwrap_or_else(|| {
            let root = RootFingerprint::of(&self.chain[0].der());
            TrustAnchors {
                simulated_roots: vec![root],
                ..TrustAnchors::default()
            }
        })
    }

    /// The encoded document, not signed yet.
    pub(crate) fn document(&self) -> Vec<u8> {
        let mut ders = self.ders();
        let leaf = ders.pop().expect("a leaf");
        let cabundle = ders.into_iter().map(Value::Bytes).collect();
        let pcrs = [
            (0, measurement().0.to_vec()),
            (1, vec![5; 48]),
            (31, vec![0; 48]),
        ];
        let pcrs = pcrs.map(|(index, value)| (Value::from(index), Value::Bytes(value)));
        let mut fields = vec![
            (Value::from("module_id"), Value::from("forger")),
            (Value::from("digest"), Value::from("SHA384")),
            (Value::from("timestamp"), Value::from(NOW.0 * 1000)),
            (Value::from("pcrs"), Value::Map(pcrs.to_vec())),
            (Value::from("certificate"), Value::Bytes(leaf)),
            (Value::from("cabundle"), Value::Array(cabundle)),
            (Value::from("public_key"), Value::Null),
            (
                Value::from("user_data"),
                Value::Bytes(binding().as_bytes().to_vec()),
            ),
            (Value::from("nonce"), Value::Bytes(vec![])),
        ];
        if let Some(edit) = &self.fields {
            edit(&mut fields);
        }
        let mut payload = Value::Map(fields).to_vec().expect("encodes");
        if let Some(edit) = &self.payload {
            edit(&mut payload);
        }
        payload
    }

    /// Signs a document and puts it into its envelope.
    pub(crate) fn seal(&self, payload: Vec<u8>) -> Evidence {
        let protected = HeaderBuilder::new()
            .algorithm(iana::Algorithm::ES384)
            .build();
        let sign = |signed: &[u8]| {
            let signature: Signature = key(self.signer).sign(signed);
            signature.normalize_s().to_bytes().to_vec()
        };
        let mut envelope = CoseSign1Builder::new()
            .protected(protected)
            .payload(payload)
            .create_signature(b"", sign)
            .build();
        if let Some(edit) = &self.envelope {
            edit(&mut envelope);
        }
        let mut bytes = envelope.to_vec().expect("encodes");
        if let Some(edit) = &self.bytes {
            edit(&mut bytes);
        }
        Evidence {
            kind: self.kind,
            bytes,
        }
    }

    pub(crate) fn evidence(&self) -> Evidence {
        self.seal(self.document())
    }

    pub(crate) fn judge(&self, evidence: &Evidence) -> Result<Appraisal, Refusal> {
        let (anchors, policy) = (self.anchors(), &self.policy);
        let cold = appraise(
            evidence,
            &self.endorsements,
            &anchors,
            policy,
            &self.binding,
            self.at,
        );
        // In every story, with a cache that knows the chains of all stories so far.
        for _ in 0..2 {
            let warm = appraise_cached(
                evidence,
                &self.endorsements,
                &anchors,
                policy,
                self.binding.as_bytes(),
                self.at.0 * 1000,
                &CACHE,
            );
            assert_eq!(warm, cold, "a cache changes a verdict");
        }
        cold
    }

    pub(crate) fn verdict(&self) -> Result<Appraisal, Refusal> {
        self.judge(&self.evidence())
    }
}

/// Replaces the value of a field, or removes it.
pub(crate) fn set(name: &'static str, value: Option<Value>) -> Option<Edit<Fields>> {
    Some(Box::new(move |fields| {
        let position = fields.iter().position(|(key, _)| *key == Value::from(name));
        let position = position.expect("the honest document has the field");
        match &value {
            Some(value) => fields[position].1 = value.clone(),
            None => drop(fields.remove(position)),
        }
    }))
}
