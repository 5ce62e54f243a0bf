//! Templates and policy files: every key reaches the policy, and what is wrong
//! is named.

use super::*;
use crate::cli::args::PolicyTemplate;

#[test]
fn templates_are_the_defaults_for_their_kind() {
    for (platform, kind) in [
        (PolicyTemplate::Snp, EvidenceKind::SevSnp),
        (PolicyTemplate::Tdx, EvidenceKind::Tdx),
        (PolicyTemplate::Nitro, EvidenceKind::Nitro),
    ] {
        let demands = Demands::parse(&template(platform)).unwrap();
        let default = Policy {
            kinds: vec![kind],
            ..Policy::default()
        };
        assert_eq!(demands.policy, default, "{kind}");
        assert_eq!(demands.anchors, TrustAnchors::vendors());
    }
}

/// Every key once, none with its default.
const FULL: &str = r#"
    kinds = ["sev-snp", "tdx", "nitro", "simulated"]
    measurements = ["M"]
    max_age_seconds = 61
    max_future_skew_seconds = 6
    simulated_roots = ["R"]
    [nitro]
    allow_debug = true
    [snp]
    allow_debug = true
    allow_migration_agent = true
    allow_vlek = false
    allow_smt = false
    highest_vmpl = 3
    platform_info_required = 0x20
    platform_info_forbidden = 0x1
    host_data = "R"
    id_keys = ["M"]
    author_keys = ["M", "M"]
    require_crl = true
    least_crl_number = 7
    [snp.least_tcb.milan]
    bootloader = 1
    tee = 2
    snp = 3
    microcode = 4
    [snp.least_committed_tcb.Turin]
    fmc = 9
    [snp.least_launch_tcb.genoa]
    snp = 8
    [tdx]
    allow_debug = true
    allow_migration = true
    allow_service_td = true
    require_sept_ve_disable = false
    xfam_allowed = 3
    accepted_tcb_status = ["OutOfDate"]
    out_of_date_grace_seconds = 5
    rtmr0 = ["M"]
    rtmr1 = ["M"]
    rtmr2 = ["M"]
    rtmr3 = ["M"]
    config_id = "M"
    owner = "M"
    owner_config = "M"
    least_evaluation_number = 17
    least_tcb_info_date = "2026-01-01T00:00:00Z"
    least_root_crl_number = 1
    least_pck_crl_number = 2
"#;

fn full() -> String {
    let (m, r) = ("ab".repeat(48), "cd".repeat(32));
    FULL.replace("\"M\"", &format!("\"{m}\""))
        .replace("\"R\"", &format!("\"{r}\""))
}

#[test]
fn every_key_reaches_the_policy() {
    let read = Demands::parse(&full()).unwrap();
    let m = Measurement([0xab; 48]);
    let tcb = SnpTcb {
        bootloader: 1,
        tee: 2,
        snp: 3,
        microcode: 4,
        ..SnpTcb::default()
    };
    let p = &read.policy;
    assert_eq!(p.kinds, EvidenceKind::ALL);
    assert_eq!((p.max_age_seconds, p.max_future_skew_seconds), (61, 6));
    assert_eq!(p.measurements, [m]);
    assert!(p.nitro.allow_debug);
    let s = &p.snp;
    assert!(s.allow_debug && s.allow_migration_agent && !s.allow_vlek && !s.allow_smt);
    assert_eq!((s.highest_vmpl, s.least_crl_number), (3, 7));
    assert_eq!(
        (s.platform_info_required, s.platform_info_forbidden),
        (32, 1)
    );
    assert_eq!(s.least_tcb, [(SnpProduct::Milan, tcb)]);
    assert_eq!(s.least_committed_tcb[0].1.fmc, 9);
    assert_eq!(s.least_launch_tcb[0].0, SnpProduct::Genoa);
    assert_eq!(s.host_data, Some([0xcd; 32]));
    assert_eq!((s.id_keys.len(), s.author_keys.len()), (1, 2));
    assert!(s.require_crl);
    let t = &p.tdx;
    assert!(t.allow_debug && t.allow_migration && t.allow_service_td);
    assert!(!t.require_sept_ve_disable);
    assert_eq!((t.xfam_allowed, t.out_of_date_grace_seconds), (3, 5));
    assert_eq!(t.accepted_tcb_status, [TcbStatus::OutOfDate]);
    assert!(t.rtmrs.iter().all(|rtmr| *rtmr == [m]));
    let configuration = [t.config_id, t.owner, t.owner_config];
    assert_eq!(configuration, [Some([0xab; 48]); 3]);
    assert_eq!(t.least_evaluation_number, 17);
    assert_eq!(t.least_tcb_info_date, UnixTime(1_767_225_600));
    assert_eq!((t.least_root_crl_number, t.least_pck_crl_number), (1, 2));
    assert_eq!(read.anchors.simulated_roots.len(), 1);
    // And all of it is said again.
    let said = to_json(&read);
    assert_eq!(said["snp"]["least_tcb"]["milan"]["microcode"], 4);
    assert_eq!(said["tdx"]["rtmrs"][3][0], m.to_string());
    assert!(said["warnings"].as_array().unwrap().len() >= 2, "{said}");
    let mut page = Page::default();
    describe(&mut page, &read);
    let text = anstream::adapter::strip_str(&page.finish()).to_string();
    for words in [
        "debugged platforms are accepted",
        "milan",
        "RTMR3",
        "0 to 3",
    ] {
        let (text, words) = (text.to_lowercase(), words.to_lowercase());
        assert!(text.contains(&words), "{words}: {text}");
    }
}

#[test]
fn what_is_wrong_is_named() {
    for (text, why) in [
        ("kinds = [\"sgx\"]", "unknown kind"),
        ("kind = [\"tdx\"]", "unknown field"),
        ("measurements = [\"ab\"]", "96 hex digits"),
        ("measurements = \"ab\"", "invalid type"),
        ("max_age_seconds = -1", "invalid value"),
        ("simulated_roots = [\"zz\"]", "simulated_roots"),
        ("[snp.least_tcb.rome]\nsnp = 1", "none of milan"),
        ("[snp.least_tcb.milan]\nsnp = 256", "invalid value"),
        ("[snp.least_tcb.milan]\nsvn = 1", "unknown field"),
        (
            "[snp]\nplatform_info_required = 3\nplatform_info_forbidden = 1",
            "both required and forbidden",
        ),
        (
            "[tdx]\naccepted_tcb_status = [\"Fine\"]",
            "unknown TCB status",
        ),
        ("[tdx]\nleast_tcb_info_date = \"yesterday\"", "no instant"),
        ("[tdx]\nowner = \"00\"", "tdx.owner"),
        ("[nitro]\ndebug = true", "unknown field"),
        ("kinds = [", "TOML"),
    ] {
        let error = Demands::parse(text).unwrap_err();
        assert!(error.contains(why), "{text:?}: {error}");
    }
}
