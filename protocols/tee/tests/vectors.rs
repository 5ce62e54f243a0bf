//! Runs the published evidence of real hardware: `$AETHER_VECTORS/tee/vectors.json`.
//!
//! Every row must be accepted or refused as it says, and refused for one of the reasons that
//! it allows, under the policy at the file's top and at the row's own instant. Then every
//! accepted row is changed in every byte that somebody signs, and in its circumstances, and
//! must be refused each time.
//!
//! Any folder of the same layout will do; what rows and the policy leave out takes the
//! default.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use aether_tee::{
    Appraisal, ChainCache, Details, Endorsements, Evidence, EvidenceKind, INTEL_SGX_ROOT,
    Measurement, NITRO_ROOT_G1, NonCanonical, Policy, Refusal, RootFingerprint, SnpEndorsements,
    SnpProduct, SnpTcb, TcbStatus, TdxCollateral, TrustAnchors, appraise_cached,
    appraise_user_data_at_ms, canonicalize, is_canonical,
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
    row[field]
        .as_str()
        .map_or_else(Vec::new, |hex| hex::decode(hex).expect("hex"))
}

/// A row's evidence with everything that it is judged by.
#[derive(Clone)]
struct Case {
    id: String,
    evidence: Evidence,
    endorsements: Endorsements,
    /// What `endorsements` was made of.
    vek: Vec<u8>,
    issuer: Vec<u8>,
    collateral: Option<TdxCollateral>,
    anchors: TrustAnchors,
    policy: Policy,
    user_data: Vec<u8>,
    at_ms: u64,
}

impl Case {
    fn judge(&self) -> Result<Appraisal, Refusal> {
        appraise_user_data_at_ms(
            &self.evidence,
            &self.endorsements,
            &self.anchors,
            &self.policy,
            &self.user_data,
            self.at_ms,
        )
    }

    fn refused(&self, story: &str) -> Refusal {
        match self.judge() {
            Err(refusal) => refusal,
            Ok(_) => panic!("{}: accepted with {story}", self.id),
        }
    }
}

fn flag(policy: &Value, field: &str, default: bool) -> bool {
    policy[field].as_bool().unwrap_or(default)
}

fn read_policy(json: &Value) -> Policy {
    let mut policy = Policy::default();
    let snp = &json["snp"];
    policy.snp.allow_debug = flag(snp, "allow_debug", false);
    policy.snp.allow_migration_agent = flag(snp, "allow_migration_agent", false);
    policy.snp.allow_vlek = flag(snp, "allow_vlek", true);
    policy.snp.allow_smt = flag(snp, "allow_smt", true);
    let vmpl = snp["highest_vmpl"].as_u64().unwrap_or(0);
    policy.snp.highest_vmpl = u32::try_from(vmpl).expect("a VMPL");
    if let Some(least) = snp["least_tcb"].as_object() {
        let read = |of: &Value| {
            let part = |name: &str| {
                of[name]
                    .as_u64()
                    .map_or(0, |n| n.try_into().expect("a byte"))
            };
            SnpTcb {
                fmc: part("fmc"),
                bootloader: part("bootloader"),
                tee: part("tee"),
                snp: part("snp"),
                microcode: part("microcode"),
            }
        };
        for product in [SnpProduct::Milan, SnpProduct::Genoa, SnpProduct::Turin] {
            let named = least.get(product.name());
            let named = named.or_else(|| least.get(&product.name().to_lowercase()));
            let minimum = named.map_or_else(|| read(&snp["least_tcb"]), read);
            policy.snp.least_tcb.push((product, minimum));
        }
    }
    let tdx = &json["tdx"];
    policy.tdx.allow_debug = flag(tdx, "allow_debug", false);
    policy.tdx.allow_service_td = flag(tdx, "allow_service_td", false);
    policy.tdx.require_sept_ve_disable = flag(tdx, "require_sept_ve_disable", true);
    if let Some(statuses) = tdx["accepted_tcb_status"].as_array() {
        let statuses = statuses.iter().filter_map(Value::as_str);
        let parsed = statuses.map(|name| name.parse::<TcbStatus>().expect("a status"));
        policy.tdx.accepted_tcb_status = parsed.collect();
    }
    let nitro = &json["nitro"];
    policy.nitro.allow_debug = flag(nitro, "allow_debug", false);
    if let Some(age_ms) = nitro["age_max_ms"].as_u64() {
        policy.max_age_seconds = age_ms / 1000;
    }
    if let Some(skew_ms) = nitro["future_skew_max_ms"].as_u64() {
        policy.max_future_skew_seconds = skew_ms / 1000;
    }
    policy
}

/// Puts a row together; an unreadable bundle is a refusal like any other.
fn read_case(folder: &Path, policy: &Policy, row: &Value) -> (Case, Option<Refusal>) {
    let id = text(row, "id").to_owned();
    let file = |name: &str| {
        std::fs::read(folder.join(name)).unwrap_or_else(|error| panic!("{id}: {name}: {error}"))
    };
    let optional = |field: &str| row[field].as_str().map_or_else(Vec::new, file);
    let evidence = file(text(row, "evidence"));
    let kind = match text(row, "vendor") {
        "snp" => EvidenceKind::SevSnp,
        "tdx" => EvidenceKind::Tdx,
        "nitro" => EvidenceKind::Nitro,
        other => panic!("{id}: unknown vendor {other}"),
    };
    let mut policy = policy.clone();
    policy.kinds = vec![kind];
    let measurement = match kind {
        EvidenceKind::SevSnp => "measurement_hex",
        EvidenceKind::Tdx => "mrtd_hex",
        _ => "pcr0_hex",
    };
    if let Ok(measurement) = <[u8; 48]>::try_from(bytes(row, measurement).as_slice()) {
        policy.measurements = vec![Measurement(measurement)];
    }
    let at_ms = row["verify_at_ms"]
        .as_u64()
        .or_else(|| row["verify_at"].as_u64().map(|seconds| seconds * 1000))
        .expect("verify_at");
    let user_data = match kind {
        EvidenceKind::Nitro => bytes(row, "user_data_hex"),
        _ => bytes(row, "report_data_hex"),
    };

    let mut case = Case {
        id: id.clone(),
        vek: optional("vek"),
        issuer: optional("ask"),
        collateral: None,
        endorsements: Endorsements::none(),
        anchors: TrustAnchors::vendors(),
        policy,
        user_data,
        at_ms,
        evidence: Evidence {
            kind,
            bytes: evidence,
        },
    };
    let mut refusal = None;
    match kind {
        EvidenceKind::SevSnp => {
            if case.issuer.is_empty() {
                case.issuer = issuer(folder, &case);
            }
            case.endorsements = (&SnpEndorsements {
                vek: case.vek.clone(),
                issuer: case.issuer.clone(),
                crl: optional("crl"),
                ..SnpEndorsements::default()
            })
                .into();
        }
        EvidenceKind::Tdx => match TdxCollateral::from_json(&file(text(row, "collateral"))) {
            Ok(collateral) => {
                case.endorsements = (&collateral).into();
                case.collateral = Some(collateral);
            }
            Err(unreadable) => refusal = Some(unreadable),
        },
        _ => {}
    }
    (case, refusal)
}

/// A VLEK's issuer, from the folder of roots: whoever has a VLEK has it too. A VCEK's is known.
fn issuer(folder: &Path, case: &Case) -> Vec<u8> {
    for product in ["milan", "genoa", "turin"] {
        let name = format!("SEV-VLEK-{}{}", product[..1].to_uppercase(), &product[1..]);
        if case.vek.windows(name.len()).any(|at| at == name.as_bytes()) {
            let path = folder.join(format!("roots/amd/{product}_asvk.der"));
            return std::fs::read(path).unwrap_or_default();
        }
    }
    Vec::new()
}

fn cases(folder: &Path) -> Vec<(Case, Option<Refusal>, Value)> {
    let json = std::fs::read(folder.join("vectors.json")).expect("readable vectors.json");
    let json: Value = serde_json::from_slice(&json).expect("vectors.json is JSON");
    let policy = read_policy(&json["policy"]);
    let rows = json["vectors"].as_array().expect("rows");
    let read = |row: &Value| {
        let (case, refusal) = read_case(folder, &policy, row);
        (case, refusal, row.clone())
    };
    rows.iter().map(read).collect()
}

#[test]
fn published_evidence_is_judged_as_the_vectors_say() {
    let Some(folder) = vectors() else { return };
    let mut counts = BTreeMap::<(String, &str), usize>::new();
    let mut wrong = Vec::new();
    let mut not_canonical = 0;
    for (case, early, row) in cases(&folder) {
        let id = &case.id;
        let verdict = match early {
            Some(refusal) => Err(refusal),
            None => case.judge(),
        };
        let said = if verdict.is_ok() {
            "accepted"
        } else {
            "refused"
        };
        *counts
            .entry((text(&row, "vendor").into(), said))
            .or_default() += 1;
        not_canonical += usize::from(is_canonical(&case.evidence).is_err());
        match (text(&row, "expect"), verdict) {
            ("accept", Ok(appraisal)) => {
                assert!(appraisal.measured, "{id}");
                assert!(appraisal.not_after.0 >= case.at_ms / 1000, "{id}");
                if let Details::Tdx(details) = &appraisal.details
                    && let Some(status) = row["tcb_status"].as_str()
                {
                    assert_eq!(details.status.name(), status, "{id}");
                }
                // Its canonical form says the same and is the same evidence.
                let evidence = canonicalize(&case.evidence).expect("a canonical form");
                assert_eq!(is_canonical(&evidence), Ok(()), "{id}");
                assert_eq!(canonicalize(&evidence).as_ref(), Ok(&evidence), "{id}");
                let canonical = Case {
                    evidence,
                    ..case.clone()
                };
                assert_eq!(canonical.judge().as_ref(), Ok(&appraisal), "{id}");
                // So does a cache, empty or not.
                let cache = ChainCache::new(1);
                for _ in 0..2 {
                    let warm = appraise_cached(
                        &case.evidence,
                        &case.endorsements,
                        &case.anchors,
                        &case.policy,
                        &case.user_data,
                        case.at_ms,
                        &cache,
                    );
                    assert_eq!(warm.as_ref(), Ok(&appraisal), "{id}");
                }
                let learns = case.evidence.kind == EvidenceKind::Nitro;
                assert_eq!(cache.len(), usize::from(learns), "{id}");
            }
            ("refuse", Err(refusal)) => {
                println!("  {id}: {} ({refusal})", refusal.kind());
                let allowed = row["reasons"].as_array();
                let names = [refusal.kind(), refusal.code()];
                let mut allowed = allowed.into_iter().flatten().filter_map(Value::as_str);
                if !allowed.any(|reason| names.contains(&reason)) {
                    wrong.push(format!("{id}: {refusal:?} not in {}", row["reasons"]));
                }
            }
            (expected, verdict) => wrong.push(format!("{id}: {expected}, but {verdict:?}")),
        }
    }
    for ((vendor, said), count) in &counts {
        println!("tee vectors: {vendor} {said}: {count}");
    }
    println!("tee vectors: {not_canonical} not in the mesh's canonical form");
    assert!(wrong.is_empty(), "{} wrong: {wrong:#?}", wrong.len());
    assert!(!counts.is_empty(), "no case was run");
}

fn accepted(folder: &Path) -> Vec<Case> {
    let cases = cases(folder).into_iter();
    let accepted = cases.filter(|(.., row)| text(row, "expect") == "accept");
    accepted.map(|(case, ..)| case).collect()
}

#[test]
fn accepted_evidence_under_other_circumstances_is_refused() {
    let Some(folder) = vectors() else { return };
    for case in accepted(&folder) {
        let id = &case.id;
        let change = |edit: &dyn Fn(&mut Case)| {
            let mut changed = case.clone();
            edit(&mut changed);
            changed
        };
        let refusal = change(&|c| c.policy.measurements = vec![Measurement([7; 48])]).refused("");
        assert_eq!(refusal, Refusal::MeasurementNotListed, "{id}");
        let refusal = change(&|c| c.user_data.push(0)).refused("a longer binding");
        assert_eq!(refusal, Refusal::BindingMismatch, "{id}");
        for byte in 0..case.user_data.len() {
            let refusal = change(&|c| c.user_data[byte] ^= 1).refused("another binding");
            assert_eq!(refusal, Refusal::BindingMismatch, "{id}");
        }
        let other = RootFingerprint([7; 32]);
        let refusal = change(&|c| {
            c.anchors.nitro_roots = vec![other];
            c.anchors.tdx_roots = vec![other];
            for (_, root) in &mut c.anchors.snp_roots {
                *root = other;
            }
        })
        .refused("another root");
        assert_eq!(refusal, Refusal::RootNotPinned, "{id}");
        // Each product has its own root.
        let refusal = change(&|c| {
            c.anchors.nitro_roots.clear();
            c.anchors.tdx_roots.clear();
            c.anchors.snp_roots.rotate_left(1);
            let roots: Vec<_> = c.anchors.snp_roots.iter().map(|(_, root)| *root).collect();
            let products = [SnpProduct::Milan, SnpProduct::Genoa, SnpProduct::Turin];
            c.anchors.snp_roots = products.into_iter().zip(roots).collect();
        })
        .refused("another product's root");
        let untrusted = Refusal::KindNotTrusted(case.evidence.kind);
        assert!(
            [Refusal::RootNotPinned, untrusted].contains(&refusal),
            "{id}"
        );
        for (story, at_ms) in [
            ("a time before anything", 1_000_000_000_000),
            ("a time after everything", 4_000_000_000_000),
        ] {
            change(&|c| c.at_ms = at_ms).refused(story);
        }
        // To the second, where certificates and lists end.
        let not_after = case.judge().expect("accepted").not_after.0;
        change(&|c| c.at_ms = (not_after + 1) * 1000).refused("something expired");
        if case.evidence.kind != EvidenceKind::Nitro {
            let last = change(&|c| c.at_ms = not_after * 1000);
            assert!(last.judge().is_ok(), "{id}: {:?}", last.judge());
        }
    }
}

/// Every byte of the evidence, one after the other; those that nobody has to answer for are
/// named.
#[test]
fn accepted_evidence_with_any_byte_changed_is_refused() {
    let Some(folder) = vectors() else { return };
    for case in accepted(&folder) {
        let mut changed = case.clone();
        for position in 0..case.evidence.bytes.len() {
            let byte = case.evidence.bytes[position];
            // Another bit in each place, so that every kind of change occurs in every field.
            changed.evidence.bytes[position] = byte ^ (1 << (position % 8));
            changed.refused(&format!("byte {position} of the evidence changed"));
            changed.evidence.bytes[position] = byte;
        }
    }
}

#[test]
fn accepted_evidence_with_any_byte_of_its_endorsements_changed_is_refused() {
    let Some(folder) = vectors() else { return };
    for case in accepted(&folder) {
        let mut changed = case.clone();
        for position in 0..case.endorsements.0.len() {
            let byte = case.endorsements.0[position];
            changed.endorsements.0[position] = byte ^ (1 << (position % 8));
            changed.refused(&format!("byte {position} of the endorsements changed"));
            changed.endorsements.0[position] = byte;
        }
        for length in 0..case.endorsements.0.len() {
            changed
                .endorsements
                .0
                .truncate(case.endorsements.0.len() - 1 - length);
            changed.refused(&format!("endorsements {} bytes shorter", length + 1));
        }
    }
}

#[test]
fn accepted_evidence_cut_or_extended_is_refused() {
    let Some(folder) = vectors() else { return };
    for case in accepted(&folder) {
        let mut changed = case.clone();
        let padding = match is_canonical(&case.evidence) {
            Err(NonCanonical::Padding { bytes }) => bytes,
            _ => 0,
        };
        let end = case.evidence.bytes.len() - padding;
        for length in 0..end {
            changed.evidence.bytes.clone_from(&case.evidence.bytes);
            changed.evidence.bytes.truncate(length);
            changed.refused(&format!("{length} bytes of the evidence"));
        }
        for tail in 1..=255 {
            changed.evidence.bytes.clone_from(&case.evidence.bytes);
            changed.evidence.bytes.push(tail);
            changed.refused(&format!("{tail} behind the evidence"));
        }
        // Zeros are what hardware hands out behind a quote, and nowhere else.
        changed.evidence.bytes.clone_from(&case.evidence.bytes);
        changed.evidence.bytes.extend([0; 70]);
        match case.evidence.kind {
            EvidenceKind::Tdx => {
                assert_eq!(changed.judge(), case.judge(), "{}", case.id);
                let bytes = padding + 70;
                let form = Err(NonCanonical::Padding { bytes });
                assert_eq!(is_canonical(&changed.evidence), form);
            }
            _ => drop(changed.refused("zeros behind it")),
        }
    }
}

#[test]
fn pinned_roots_are_the_vendors() {
    let Some(folder) = vectors() else { return };
    let root = |name: &str| {
        let der = std::fs::read(folder.join("roots").join(name)).expect("a root");
        RootFingerprint::of(&der)
    };
    assert_eq!(root("aws/nitro_root_g1.der"), NITRO_ROOT_G1);
    assert_eq!(root("intel/sgx_root_ca.der"), INTEL_SGX_ROOT);
    for (product, fingerprint) in TrustAnchors::vendors().snp_roots {
        let name = format!("amd/{}_ark.der", product.name().to_lowercase());
        assert_eq!(root(&name), fingerprint, "{product}");
    }
}
