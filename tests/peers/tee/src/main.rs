//! What an appraisal costs, in thread CPU, beside what others' libraries cost and beside the
//! signature verifications that nobody can do without.
//!
//! `cargo run --release -- FOLDER`, the folder being one of published evidence with a
//! `vectors.json`. Everything is measured in one run, interleaved, the smallest of many
//! rounds being taken, so that a busy machine distorts no ratio. Exits with 1 where a ratio
//! is above its bound.

use std::hint::black_box;
use std::path::Path;
use std::process::ExitCode;

use aether_tee::{
    ChainCache, Endorsements, Evidence, EvidenceKind, Policy, Refusal, SnpEndorsements,
    TdxCollateral, TrustAnchors, UnixTime, appraise_cached, appraise_user_data,
};
use der::{Decode, Encode};
use ring::signature::{
    ECDSA_P384_SHA384_ASN1, ECDSA_P384_SHA384_FIXED, RSA_PSS_2048_8192_SHA384, UnparsedPublicKey,
    VerificationAlgorithm,
};
use sev::certs::snp::{Chain, Verifiable};
use sev::firmware::guest::AttestationReport;
use sev::parser::ByteParser;
use x509_cert::Certificate;

const ROUNDS: usize = 60;

fn thread_cpu_us() -> f64 {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `now` is a valid place for the answer and outlives the call.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut now) };
    now.tv_sec as f64 * 1e6 + now.tv_nsec as f64 / 1e3
}

/// The smallest cost of each job, in µs.
fn measure(jobs: &mut [&mut dyn FnMut()]) -> Vec<f64> {
    let mut least = vec![f64::MAX; jobs.len()];
    for _ in 0..ROUNDS {
        for (job, least) in jobs.iter_mut().zip(&mut least) {
            let start = thread_cpu_us();
            job();
            *least = least.min(thread_cpu_us() - start);
        }
    }
    least
}

struct Check<'a> {
    algorithm: &'static dyn VerificationAlgorithm,
    key: Vec<u8>,
    message: Vec<u8>,
    signature: &'a [u8],
}

impl Check<'_> {
    fn run(&self) {
        UnparsedPublicKey::new(self.algorithm, &self.key)
            .verify(&self.message, self.signature)
            .expect("a good signature");
    }
}

impl Check<'_> {
    /// The same for a signature that is wrong.
    fn fail(&self) {
        UnparsedPublicKey::new(self.algorithm, &self.key)
            .verify(&self.message, self.signature)
            .expect_err("a bad signature");
    }
}

fn key(certificate: &Certificate) -> Vec<u8> {
    let spki = certificate.tbs_certificate().subject_public_key_info();
    spki.subject_public_key.raw_bytes().to_vec()
}

fn check<'a>(
    algorithm: &'static dyn VerificationAlgorithm,
    parent: &Certificate,
    child: &'a Certificate,
) -> Check<'a> {
    Check {
        algorithm,
        key: key(parent),
        message: child.tbs_certificate().to_der().expect("encodes"),
        signature: child.signature().raw_bytes(),
    }
}

struct Row {
    bytes: Vec<u8>,
    user_data: Vec<u8>,
    at: u64,
}

fn row(folder: &Path, id: &str, user_data: &str) -> Row {
    let json = std::fs::read(folder.join("vectors.json")).expect("vectors.json");
    let json: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
    let rows = json["vectors"].as_array().expect("rows");
    let row = rows.iter().find(|row| row["id"] == id).expect("the row");
    let evidence = folder.join(row["evidence"].as_str().expect("a path"));
    Row {
        bytes: std::fs::read(evidence).expect("evidence"),
        user_data: hex::decode(row[user_data].as_str().expect("hex")).expect("hex"),
        at: row["verify_at"].as_u64().expect("a time"),
    }
}

fn appraise(kind: EvidenceKind, row: &Row, endorsements: &Endorsements) {
    let mut policy = Policy {
        kinds: vec![kind],
        ..Policy::default()
    };
    policy.snp.highest_vmpl = 3;
    let evidence = Evidence {
        kind,
        bytes: row.bytes.clone(),
    };
    let anchors = TrustAnchors::vendors();
    let at = UnixTime(row.at);
    let verdict =
        appraise_user_data(&evidence, endorsements, &anchors, &policy, &row.user_data, at);
    black_box(verdict.expect("accepted"));
}

/// The verdict on a document of Nitro's, with a cache.
fn appraise_warm(row: &Row, cache: &ChainCache) {
    let policy = Policy {
        kinds: vec![EvidenceKind::Nitro],
        ..Policy::default()
    };
    let evidence = Evidence {
        kind: EvidenceKind::Nitro,
        bytes: row.bytes.clone(),
    };
    let (none, anchors) = (Endorsements::none(), TrustAnchors::vendors());
    let at_ms = row.at * 1000;
    let data = &row.user_data;
    let verdict = appraise_cached(&evidence, &none, &anchors, &policy, data, at_ms, cache);
    black_box(verdict.expect("accepted"));
}

/// Bad evidence as a flood would bring it: genuine in every byte but one of those that the first
/// signature that is verified covers, so that all before it is done in vain.
struct Flood {
    name: &'static str,
    evidence: Evidence,
    endorsements: Endorsements,
    policy: Policy,
    user_data: Vec<u8>,
    at: UnixTime,
    refused: Refusal,
}

impl Flood {
    fn judge(&self) {
        let anchors = TrustAnchors::vendors();
        let verdict = appraise_user_data(
            &self.evidence,
            &self.endorsements,
            &anchors,
            &self.policy,
            &self.user_data,
            self.at,
        );
        assert_eq!(verdict.expect_err("refused"), self.refused, "{}", self.name);
    }
}

fn flood(
    name: &'static str,
    kind: EvidenceKind,
    row: &Row,
    endorsements: Endorsements,
    refused: Refusal,
) -> Flood {
    let mut policy = Policy {
        kinds: vec![kind],
        ..Policy::default()
    };
    policy.snp.highest_vmpl = 3;
    Flood {
        name,
        evidence: Evidence {
            kind,
            bytes: row.bytes.clone(),
        },
        endorsements,
        policy,
        user_data: row.user_data.clone(),
        at: UnixTime(row.at),
        refused,
    }
}

fn main() -> ExitCode {
    let folder = std::env::args().nth(1).expect("the folder of vectors");
    let folder = Path::new(&folder);
    let (mut fine, mut above) = (true, false);
    let report = |fine: &mut bool, name: &str, ours: f64, peer: &str, theirs: f64, most: f64| {
        let ratio = ours / theirs;
        let verdict = if ratio <= most { "" } else { "  ABOVE" };
        *fine &= ratio <= most;
        println!("{name:6} {ours:8.0} us, {peer:22} {theirs:8.0} us: {ratio:5.2} (<= {most}){verdict}");
    };

    // SEV-SNP.
    let id = "milan-v3-vcek-ms";
    let snp = row(folder, id, "report_data_hex");
    let vek = std::fs::read(folder.join(format!("snp/{id}/vek.der"))).expect("a VEK");
    let root = std::fs::read(folder.join("roots/amd/milan_ark.der")).expect("a root");
    let issuer = std::fs::read(folder.join("roots/amd/milan_ask.der")).expect("an issuer");
    let bundle = Endorsements::from(&SnpEndorsements {
        vek: vek.clone(),
        ..SnpEndorsements::default()
    });
    let parsed = [&root, &issuer, &vek].map(|der| Certificate::from_der(der).expect("parses"));
    let big_endian = |at: usize| snp.bytes[at..at + 48].iter().rev().copied();
    let signature: Vec<u8> = big_endian(0x2a0).chain(big_endian(0x2a0 + 72)).collect();
    let raw = [
        check(&RSA_PSS_2048_8192_SHA384, &parsed[0], &parsed[1]),
        check(&RSA_PSS_2048_8192_SHA384, &parsed[1], &parsed[2]),
        Check {
            algorithm: &ECDSA_P384_SHA384_FIXED,
            key: key(&parsed[2]),
            message: snp.bytes[..0x2a0].to_vec(),
            signature: &signature,
        },
    ];
    let costs = measure(&mut [
        &mut || appraise(EvidenceKind::SevSnp, &snp, &bundle),
        &mut || raw.iter().for_each(Check::run),
        &mut || {
            let chain = Chain::from_der(&root, &issuer, &vek).expect("a chain");
            let report = AttestationReport::from_bytes(&snp.bytes).expect("a report");
            (&chain, &report).verify().expect("verifies");
        },
    ]);
    report(&mut fine, "SNP", costs[0], "its raw signatures", costs[1], 1.25);
    report(&mut fine, "SNP", costs[0], "sev (nossl)", costs[2], 0.35);

    // TDX.
    let id = "v4-td10-near";
    let tdx = row(folder, id, "report_data_hex");
    let json = std::fs::read(folder.join(format!("tdx/{id}/collateral.json"))).expect("read");
    let bundle = Endorsements::from(&TdxCollateral::from_json(&json).expect("collateral"));
    let theirs: dcap_qvl::QuoteCollateralV3 = serde_json::from_slice(&json).expect("collateral");
    let costs = measure(&mut [
        &mut || appraise(EvidenceKind::Tdx, &tdx, &bundle),
        &mut || {
            let verdict = dcap_qvl::verify::verify(&tdx.bytes, &theirs, tdx.at);
            black_box(verdict.expect("verifies"));
        },
    ]);
    report(&mut fine, "TDX", costs[0], "dcap-qvl", costs[1], 1.1);

    // Nitro.
    let nitro = row(folder, "2024-marlin", "user_data_hex");
    let envelope: ciborium::Value = ciborium::from_reader(nitro.bytes.as_slice()).expect("CBOR");
    let parts = envelope.as_array().expect("an envelope");
    let bytes = |value: &ciborium::Value| value.as_bytes().expect("bytes").clone();
    let (payload, signature) = (bytes(&parts[2]), bytes(&parts[3]));
    let document: ciborium::Value = ciborium::from_reader(payload.as_slice()).expect("CBOR");
    let field = |name: &str| {
        let fields = document.as_map().expect("a map");
        let field = fields.iter().find(|(key, _)| key.as_text() == Some(name));
        field.expect("the field").1.clone()
    };
    let mut chain: Vec<Vec<u8>> = Vec::new();
    chain.extend(field("cabundle").as_array().expect("a chain").iter().map(bytes));
    chain.push(bytes(&field("certificate")));
    let parsed: Vec<_> = chain
        .iter()
        .map(|der| Certificate::from_der(der).expect("parses"))
        .collect();
    let mut signed = Vec::new();
    let structure = ciborium::Value::Array(vec![
        "Signature1".into(),
        parts[0].clone(),
        ciborium::Value::Bytes(Vec::new()),
        parts[2].clone(),
    ]);
    ciborium::into_writer(&structure, &mut signed).expect("encodes");
    let mut raw: Vec<_> = parsed
        .windows(2)
        .map(|pair| check(&ECDSA_P384_SHA384_ASN1, &pair[0], &pair[1]))
        .collect();
    raw.push(Check {
        algorithm: &ECDSA_P384_SHA384_FIXED,
        key: key(parsed.last().expect("a leaf")),
        message: signed,
        signature: &signature,
    });
    let none = Endorsements::none();
    let cache = ChainCache::default();
    let costs = measure(&mut [
        &mut || appraise(EvidenceKind::Nitro, &nitro, &none),
        &mut || raw.iter().for_each(Check::run),
        &mut || appraise_warm(&nitro, &cache),
    ]);
    report(&mut fine, "Nitro", costs[0], "its raw signatures", costs[1], 1.1);
    report(&mut fine, "warm", costs[2], "the same, cold", costs[0], 0.45);

    // Floods. What is before the first signature is the cost less that signature's.
    let mut bad_vek = vek.clone();
    *bad_vek.last_mut().expect("bytes") ^= 1;
    let bad_bundle = Endorsements::from(&SnpEndorsements {
        vek: bad_vek.clone(),
        ..SnpEndorsements::default()
    });
    let bad_leaf = Certificate::from_der(&bad_vek).expect("parses");
    let ask = Certificate::from_der(&issuer).expect("parses");
    let rsa = check(&RSA_PSS_2048_8192_SHA384, &ask, &bad_leaf);
    let refused = Refusal::CertificateSignature { position: 2 };
    let snp_flood = flood("SNP", EvidenceKind::SevSnp, &snp, bad_bundle, refused);

    let mut tdx_flood = flood("TDX", EvidenceKind::Tdx, &tdx, bundle, Refusal::EvidenceSignature);
    // The first byte of the signature follows header, body and a length.
    let version = u16::from_le_bytes([tdx.bytes[0], tdx.bytes[1]]);
    assert_eq!(version, 4, "the offsets below are those of version 4");
    let (signed, at) = (48 + 584, 48 + 584 + 4);
    tdx_flood.evidence.bytes[at + 20] ^= 1;
    let forged = tdx_flood.evidence.bytes[at..at + 64].to_vec();
    let p256 = Check {
        algorithm: &ring::signature::ECDSA_P256_SHA256_FIXED,
        key: [&[4], &tdx.bytes[at + 64..at + 128]].concat(),
        message: tdx.bytes[..signed].to_vec(),
        signature: &forged,
    };

    let mut nitro_flood =
        flood("Nitro", EvidenceKind::Nitro, &nitro, none, Refusal::EvidenceSignature);
    let last = nitro_flood.evidence.bytes.len() - 1;
    nitro_flood.evidence.bytes[last] ^= 1;
    let mut forged = signature.clone();
    *forged.last_mut().expect("bytes") ^= 1;
    let leaf = raw.last().expect("the document's");
    let p384 = Check {
        algorithm: leaf.algorithm,
        key: leaf.key.clone(),
        message: leaf.message.clone(),
        signature: &forged,
    };
    let garbage = flood(
        "junk",
        EvidenceKind::Nitro,
        &Row {
            bytes: vec![0x9f; 16 * 1024],
            user_data: Vec::new(),
            at: nitro.at,
        },
        Endorsements::none(),
        Refusal::Unreadable,
    );
    let costs = measure(&mut [
        &mut || snp_flood.judge(),
        &mut || rsa.fail(),
        &mut || tdx_flood.judge(),
        &mut || p256.fail(),
        &mut || nitro_flood.judge(),
        &mut || p384.fail(),
        &mut || garbage.judge(),
    ]);
    println!("bad evidence, before the first signature (<= 50 us each):");
    for (name, all, first) in [
        ("SNP", costs[0], costs[1]),
        ("TDX", costs[2], costs[3]),
        ("Nitro", costs[4], costs[5]),
        ("junk", costs[6], 0.0),
    ] {
        let before = all - first;
        let verdict = if before <= 50.0 { "" } else { "  ABOVE" };
        above |= before > 50.0;
        println!("{name:6} {before:8.1} us of {all:8.0} us, the signature being {first:8.0}{verdict}");
    }
    fine &= !above;

    if fine { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
