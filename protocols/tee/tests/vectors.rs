//! Runs the published evidence of real hardware: `$AETHER_VECTORS/tee/vectors.json`.
//!
//! Every row of a kind that this crate appraises must be accepted or refused as the row
//! says, and refused for one of the reasons that the row allows. Rows of other kinds are
//! named and counted as skipped, and must be refused as unsupported.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use aether_tee::{
    Endorsements, Evidence, EvidenceKind, NITRO_ROOT_G1, Policy, Refusal, RootFingerprint,
    TrustAnchors, UnixTime, appraise_user_data, canonicalize, is_canonical,
};
use serde_json::Value;

fn vectors() -> Option<PathBuf> {
    let root = std::env::var_os("AETHER_VECTORS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors"),
        PathBuf::from,
    );
    let tee = root.join("tee");
    if tee.join("vectors.json").is_file() {
        return Some(tee);
    }
    let required = std::env::var_os("AETHER_VECTORS_REQUIRED").is_some_and(|value| value == "1");
    assert!(!required, "no TEE vectors in {}", tee.display());
    println!("SKIPPED: no TEE vectors in {}", tee.display());
    None
}

fn text<'a>(row: &'a Value, field: &str) -> &'a str {
    row[field]
        .as_str()
        .unwrap_or_else(|| panic!("{field} is no string in {row}"))
}

fn bytes(row: &Value, field: &str) -> Vec<u8> {
    hex::decode(text(row, field)).expect("hex")
}

#[test]
fn published_evidence_is_judged_as_the_vectors_say() {
    let Some(folder) = vectors() else { return };
    let json = std::fs::read(folder.join("vectors.json")).expect("readable vectors.json");
    let json: Value = serde_json::from_slice(&json).expect("vectors.json is JSON");
    let age_ms = json["policy"]["nitro"]["age_max_ms"]
        .as_u64()
        .expect("age_max_ms");
    let skew_ms = json["policy"]["nitro"]["future_skew_max_ms"]
        .as_u64()
        .expect("skew");

    let mut run = BTreeMap::<&str, usize>::new();
    let mut skipped = BTreeMap::<&str, usize>::new();
    let mut high_s = 0;
    for row in json["vectors"].as_array().expect("rows") {
        let id = text(row, "id");
        match text(row, "vendor") {
            "nitro" => {
                high_s += usize::from(judge_nitro(&folder, row, age_ms, skew_ms));
                *run.entry("nitro").or_default() += 1;
            }
            vendor @ ("snp" | "tdx") => {
                let kind = if vendor == "snp" {
                    EvidenceKind::SevSnp
                } else {
                    EvidenceKind::Tdx
                };
                let refusal = appraise_user_data(
                    &Evidence {
                        kind,
                        bytes: Vec::new(),
                    },
                    &Endorsements::none(),
                    &TrustAnchors::vendors(),
                    &Policy {
                        kinds: EvidenceKind::ALL.to_vec(),
                        ..Policy::default()
                    },
                    &[],
                    UnixTime(0),
                );
                assert_eq!(refusal, Err(Refusal::UnsupportedKind(kind)), "{id}");
                *skipped.entry(vendor).or_default() += 1;
            }
            other => panic!("{id}: unknown vendor {other}"),
        }
    }
    println!("tee vectors run: {run:?} ({high_s} with a high s)");
    println!("tee vectors SKIPPED, kind not supported yet: {skipped:?}");
    assert!(run.values().sum::<usize>() > 0, "no case was run");
}

/// Judges one row; tells whether its signature has a high s.
fn judge_nitro(folder: &Path, row: &Value, age_ms: u64, skew_ms: u64) -> bool {
    let id = text(row, "id");
    let bytes_read = std::fs::read(folder.join(text(row, "evidence"))).expect("evidence");
    let evidence = Evidence {
        kind: EvidenceKind::Nitro,
        bytes: bytes_read,
    };
    let pcr0 = aether_tee::Measurement(bytes(row, "pcr0_hex").try_into().expect("48 bytes"));
    let policy = Policy {
        kinds: vec![EvidenceKind::Nitro],
        measurements: vec![pcr0],
        max_age_seconds: age_ms / 1000,
        max_future_skew_seconds: skew_ms / 1000,
    };
    let user_data = bytes(row, "user_data_hex");
    let at = UnixTime(row["verify_at"].as_u64().expect("verify_at"));
    let judge = |evidence: &Evidence, policy: &Policy, user_data: &[u8]| {
        let anchors = TrustAnchors::vendors();
        appraise_user_data(
            evidence,
            &Endorsements::none(),
            &anchors,
            policy,
            user_data,
            at,
        )
    };
    let verdict = judge(&evidence, &policy, &user_data);
    match text(row, "expect") {
        "accept" => {
            let appraisal = verdict.unwrap_or_else(|refusal| panic!("{id}: {refusal}"));
            assert_eq!(appraisal.measurement, pcr0, "{id}");
            assert!(appraisal.measured, "{id}");
            assert!(appraisal.not_after >= at, "{id}");

            // The same row with one expectation changed is refused for just that.
            let other = Policy {
                measurements: vec![aether_tee::Measurement([7; 48])],
                ..policy.clone()
            };
            let refusal = judge(&evidence, &other, &user_data);
            assert_eq!(refusal, Err(Refusal::MeasurementNotListed), "{id}");
            let refusal = judge(&evidence, &policy, b"another user_data");
            assert_eq!(refusal, Err(Refusal::BindingMismatch), "{id}");

            // Its canonical form says the same and is the same evidence.
            let canonical = canonicalize(&evidence).expect("a canonical form");
            assert_eq!(is_canonical(&canonical), Ok(()), "{id}");
            assert_eq!(
                judge(&canonical, &policy, &user_data),
                Ok(appraisal),
                "{id}"
            );
        }
        "refuse" => {
            let refusal = verdict.expect_err(id);
            let allowed = row["reasons"].as_array().expect("reasons");
            let allowed: Vec<_> = allowed.iter().filter_map(Value::as_str).collect();
            assert!(
                allowed.contains(&refusal.code()),
                "{id}: {} not in {allowed:?}",
                refusal.code()
            );
        }
        other => panic!("{id}: unknown expectation {other}"),
    }
    is_canonical(&evidence).is_err()
}

#[test]
fn pinned_roots_are_the_vendors() {
    let Some(folder) = vectors() else { return };
    let root = std::fs::read(folder.join("roots/aws/nitro_root_g1.der")).expect("G1 root");
    assert_eq!(RootFingerprint::of(&root), NITRO_ROOT_G1);
}
