//! The simulated TEE: small, reproducible, kept in ordinary files, and worthless on any
//! network that does not ask for it.

use std::sync::LazyLock;
use std::time::Instant;

use aether_tee::sim::{SimError, SimPlatform, SimRoot, Validity};
use aether_tee::{
    Appraisal, Binding, Endorsements, Evidence, EvidenceKind, Measurement, Policy, Refusal,
    RootFingerprint, TrustAnchors, UnixTime, appraise, is_canonical,
};
use proptest::prelude::*;

use crate::forger::{NOW, binding, measurement};

const LIFE: Validity = Validity {
    not_before: UnixTime(NOW.0 - 86_400),
    not_after: UnixTime(NOW.0 + 86_400 * 3650),
};

fn root() -> SimRoot {
    SimRoot::from_seed(&[7; 32], LIFE).expect("a root")
}

fn platform() -> SimPlatform {
    root()
        .issue(&[8; 32], "worker-1", LIFE)
        .expect("a platform")
}

fn judge(evidence: &Evidence, root: RootFingerprint) -> Result<Appraisal, Refusal> {
    let anchors = TrustAnchors {
        simulated_roots: vec![root],
        ..TrustAnchors::vendors()
    };
    let policy = Policy {
        kinds: EvidenceKind::ALL.to_vec(),
        ..Policy::default()
    };
    appraise(
        evidence,
        &Endorsements::none(),
        &anchors,
        &policy,
        &binding(),
        NOW,
    )
}

#[test]
fn quote_is_canonical_small_and_accepted() {
    let evidence = platform().quote(&binding(), &measurement(), NOW);
    assert_eq!(is_canonical(&evidence), Ok(()));
    assert!(
        evidence.bytes.len() < 4096,
        "{} bytes",
        evidence.bytes.len()
    );
    let appraisal = judge(&evidence, root().fingerprint()).expect("accepted");
    assert_eq!(appraisal.measurement, measurement());
    assert_eq!(appraisal.not_after, LIFE.not_after);
    assert_eq!(appraisal.issued_at, Some(NOW));
    assert!(!appraisal.measured);
    println!("simulated evidence: {} bytes", evidence.bytes.len());
}

#[test]
fn quote_lives_as_long_as_its_platform() {
    let evidence = |at| platform().quote(&binding(), &measurement(), at);
    let anchors = TrustAnchors {
        simulated_roots: vec![root().fingerprint()],
        ..Default::default()
    };
    let policy = Policy {
        kinds: vec![EvidenceKind::Simulated],
        ..Policy::default()
    };
    let judge = |at| {
        let none = Endorsements::none();
        appraise(&evidence(at), &none, &anchors, &policy, &binding(), at).map(|_| ())
    };
    assert_eq!(judge(LIFE.not_before), Ok(()));
    assert_eq!(judge(LIFE.not_after), Ok(()));
    let late = UnixTime(LIFE.not_after.0 + 1);
    assert_eq!(
        judge(late),
        Err(Refusal::CertificateExpired { position: 2 })
    );
}

#[test]
fn another_networks_platform_is_refused() {
    let other = SimRoot::from_seed(&[9; 32], LIFE).expect("a root");
    let evidence = platform().quote(&binding(), &measurement(), NOW);
    assert_eq!(
        judge(&evidence, other.fingerprint()),
        Err(Refusal::RootNotPinned)
    );
}

#[test]
fn quote_for_another_session_is_refused() {
    let other = Binding::new(&[1; 32], &[2; 32], &[99; 32], 42, &[4; 32]);
    let evidence = platform().quote(&other, &measurement(), NOW);
    assert_eq!(
        judge(&evidence, root().fingerprint()),
        Err(Refusal::BindingMismatch)
    );
}

#[test]
fn platforms_are_told_apart_and_their_quotes_too() {
    let verdict = |platform: &SimPlatform, at| {
        let evidence = platform.quote(&binding(), &measurement(), at);
        judge(&evidence, root().fingerprint()).expect("accepted")
    };
    let other = root()
        .issue(&[18; 32], "worker-2", LIFE)
        .expect("a platform");
    let (first, again, later, second) = (
        verdict(&platform(), NOW),
        verdict(&platform(), NOW),
        verdict(&platform(), UnixTime(NOW.0 - 1)),
        verdict(&other, NOW),
    );
    assert_eq!(first, again);
    assert_eq!(first.platform_id, later.platform_id);
    assert_ne!(first.signed_digest, later.signed_digest);
    assert_ne!(first.platform_id, second.platform_id);
    assert_ne!(first.signed_digest, second.signed_digest);
}

/// A network's folder can be made again from its seed; if this value changes, every such
/// folder's genesis names a root that nobody can make any more.
#[test]
fn root_of_a_seed_never_changes() {
    let expected = "94738e538317108a25e43e31fc3296ab589478ced574555420de82f8c07bdd87";
    assert_eq!(root().fingerprint().to_string(), expected);
    assert_eq!(platform().root_fingerprint(), root().fingerprint());
}

#[test]
fn root_and_platform_survive_being_written_to_a_file() {
    let text = root().to_pem().expect("text");
    let read = SimRoot::from_pem(&text).expect("reads");
    assert_eq!(read.fingerprint(), root().fingerprint());

    let text = platform().to_pem().expect("text");
    assert_eq!(text.matches("BEGIN CERTIFICATE").count(), 3);
    let read = SimPlatform::from_pem(&text.replace('\n', "\r\n")).expect("reads");
    assert_eq!(read.name(), "worker-1");
    let quote = |platform: SimPlatform| platform.quote(&binding(), &measurement(), NOW);
    assert_eq!(quote(read), quote(platform()));
}

#[test]
fn root_read_from_a_file_issues_the_same_platforms() {
    let read = SimRoot::from_pem(&root().to_pem().expect("text")).expect("reads");
    let issued = read.issue(&[8; 32], "worker-1", LIFE).expect("a platform");
    assert_eq!(
        *issued.to_pem().expect("text"),
        *platform().to_pem().expect("text")
    );
}

#[test]
fn spoilt_files_are_refused_with_a_reason() {
    let good = platform().to_pem().expect("text");
    let other = root()
        .issue(&[18; 32], "worker-2", LIFE)
        .expect("a platform");
    let other = other.to_pem().expect("text");
    let (key, certificates) = good.split_at(good.find("-----BEGIN CERT").expect("there"));
    let (_, others) = other.split_at(other.find("-----BEGIN CERT").expect("there"));
    for (story, text) in [
        ("nothing", String::new()),
        ("no key", certificates.into()),
        ("no certificate", key.into()),
        ("a certificate too many", format!("{}{certificates}", *good)),
        ("two keys", format!("{key}{}", *good)),
        ("a broken line", good.replacen("MI", "M!", 1)),
        ("a cut", good[..good.len() / 2].into()),
        ("far too much", "x".repeat(100_000)),
    ] {
        let error = SimPlatform::from_pem(&text).expect_err(story);
        assert!(
            matches!(error, SimError::Pem { expected: 3, .. }),
            "{story}: {error}"
        );
    }
    let swapped = SimPlatform::from_pem(&format!("{key}{others}"));
    assert!(matches!(swapped, Err(SimError::KeyMismatch)));
}

#[test]
fn names_and_lives_are_checked() {
    for name in ["", "a,CN=b", "späti", &"x".repeat(33)] {
        assert!(
            matches!(root().issue(&[1; 32], name, LIFE), Err(SimError::Name)),
            "{name}"
        );
    }
    for (not_before, not_after) in [(2, 1), (0, u64::MAX)] {
        let life = Validity {
            not_before: UnixTime(not_before),
            not_after: UnixTime(not_after),
        };
        assert!(matches!(
            SimRoot::from_seed(&[1; 32], life),
            Err(SimError::Validity)
        ));
    }
}

#[test]
fn debug_output_shows_no_key() {
    assert_eq!(
        format!("{:?}", platform()),
        "SimPlatform { name: \"worker-1\", .. }"
    );
    assert!(format!("{:?}", root()).starts_with("SimRoot { fingerprint: "));
}

/// SHA-512 over the documented bytes, computed by another program.
#[test]
fn binding_is_the_documented_hash() {
    let expected = "71ef90cee9f8ae7edcd02e594763c9dd11e6f595ab0eda2722b4303cb73cce347b6c4f369971ed0a00e9a77dbda9205fe135e31208f2858a6ce065037ca3da1f";
    assert_eq!(hex::encode(binding().as_bytes()), expected);
}

#[test]
fn kinds_keep_their_codes_and_names() {
    let table = [
        (1, "sev-snp"),
        (2, "tdx"),
        (3, "nitro"),
        (0x7f, "simulated"),
    ];
    for (kind, (code, name)) in EvidenceKind::ALL.into_iter().zip(table) {
        assert_eq!((kind.code(), kind.to_string().as_str()), (code, name));
        assert_eq!(EvidenceKind::from_code(code), Some(kind));
        assert_eq!(name.parse(), Ok(kind));
    }
    assert_eq!((0..=255).filter_map(EvidenceKind::from_code).count(), 4);
    assert!("sgx".parse::<EvidenceKind>().is_err());
}

#[test]
fn appraisal_takes_milliseconds() {
    let evidence = platform().quote(&binding(), &measurement(), NOW);
    let root = root().fingerprint();
    let begin = Instant::now();
    for _ in 0..20 {
        judge(&evidence, root).expect("accepted");
    }
    let each = begin.elapsed() / 20;
    println!("one simulated appraisal: {each:?}");
    // A generous bound for a loaded machine; what it catches is a change of order.
    assert!(each.as_millis() < 200, "{each:?}");
}

proptest! {
    #[test]
    fn every_field_of_a_binding_counts(
        fields in any::<[[u8; 32]; 4]>(), slot: u64, which in 0usize..5, bit in 0usize..64,
    ) {
        let bind = |fields: [[u8; 32]; 4], slot| {
            Binding::new(&fields[0], &fields[1], &fields[2], slot, &fields[3])
        };
        let (mut changed, mut other_slot) = (fields, slot);
        match changed.get_mut(which) {
            Some(field) => field[bit / 8] ^= 1 << (bit % 8),
            None => other_slot ^= 1 << bit,
        }
        prop_assert_ne!(bind(fields, slot), bind(changed, other_slot));
        prop_assert_eq!(bind(fields, slot), bind(fields, slot));
    }

    #[test]
    fn quotes_for_any_program_and_session_are_accepted(
        image: [u8; 8], session: [u8; 32], slot: u64, age in 0u64..60,
    ) {
        let binding = Binding::new(&[1; 32], &[2; 32], &session, slot, &[4; 32]);
        let measurement = Measurement::of(&image);
        static PLATFORM: LazyLock<SimPlatform> = LazyLock::new(platform);
        let evidence = PLATFORM.quote(&binding, &measurement, UnixTime(NOW.0 - age));
        prop_assert_eq!(is_canonical(&evidence), Ok(()));
        let roots = vec![PLATFORM.root_fingerprint()];
        let anchors = TrustAnchors { simulated_roots: roots, ..TrustAnchors::default() };
        let policy = Policy {
            kinds: vec![EvidenceKind::Simulated],
            measurements: vec![measurement],
            ..Policy::default()
        };
        let none = Endorsements::none();
        let verdict = appraise(&evidence, &none, &anchors, &policy, &binding, NOW);
        prop_assert!(verdict.is_ok_and(|appraisal| appraisal.measured));
    }
}
