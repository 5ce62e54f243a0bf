//! `aether attest`: evidence made, judged, looked at, and policies explained.

use super::{Ran, aether, text};
use crate::cli::Exit;
use crate::roles::simulated_measurement;
use aether_tee::UnixTime;
use aether_tee::sim::{SimRoot, Validity};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// A development network's root and platform, and evidence that the platform made.
struct Lab {
    folder: tempfile::TempDir,
    root: SimRoot,
}

impl Lab {
    fn new() -> Self {
        let life = Validity {
            not_before: UnixTime(0),
            not_after: UnixTime(4_000_000_000),
        };
        let lab = Self {
            folder: tempfile::tempdir().unwrap(),
            root: SimRoot::from_seed(&[7; 32], life).unwrap(),
        };
        let platform = lab.root.issue(&[8; 32], "worker-1", life).unwrap();
        std::fs::write(lab.path("tee.pem"), platform.to_pem().unwrap().as_str()).unwrap();
        lab.write("p.toml", &lab.policy(""));
        lab.quote("q.evidence", &[]).ok();
        lab
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, content: &str) -> PathBuf {
        std::fs::write(self.path(name), content).unwrap();
        self.path(name)
    }

    fn policy(&self, more: &str) -> String {
        format!(
            "kinds = [\"simulated\"]\nsimulated_roots = [\"{}\"]\nmeasurements = [\"{}\"]\n{more}",
            self.root.fingerprint(),
            simulated_measurement(),
        )
    }

    fn quote(&self, name: &str, more: &[&str]) -> Ran {
        let (out, tee) = (self.path(name), self.path("tee.pem"));
        let mut args = vec!["attest", "quote", "--platform", "simulated"];
        let data = bound();
        args.extend(["--report-data", &data, "--out", text(&out)]);
        args.extend(["--tee-platform", text(&tee)]);
        args.extend(more);
        aether(&args)
    }

    fn verify(&self, name: &str, more: &[&str]) -> Ran {
        let (file, policy) = (self.path(name), self.path("p.toml"));
        let mut args = vec!["attest", "verify", text(&file)];
        if !more.contains(&"--policy") {
            args.extend(["--policy", text(&policy)]);
        }
        args.extend(more);
        aether(&args)
    }
}

fn bound() -> String {
    "5a".repeat(64)
}

#[test]
fn what_a_platform_makes_is_accepted_in_words_and_as_json() {
    let lab = Lab::new();
    let data = bound();
    let said = lab.verify("q.evidence", &["--report-data", &data]).ok().out;
    for words in [
        "accepted",
        "simulated TEE",
        &simulated_measurement().to_string(),
        "on the policy's list",
        "the report_data given",
        "leaf signed the document",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let args = ["--report-data", &data, "--json"];
    let json = lab.verify("q.evidence", &args).ok().json();
    assert_eq!(
        (&json["accepted"], &json["measured"]),
        (&true.into(), &true.into())
    );
    assert_eq!(json["measurement"], simulated_measurement().to_string());
    assert!(json["age_seconds"].as_u64().unwrap() < 60, "{json}");
    assert_eq!(json["canonical"], true);
    // The vendor's bytes alone are worth the same, as they are and as hex.
    lab.quote("raw", &["--raw"]).ok();
    lab.verify("raw", &["--any-binding"]).ok();
    let hex = hex::encode(std::fs::read(lab.path("raw")).unwrap());
    lab.write("hex", &hex);
    let said = lab.verify("hex", &[]).ok().out;
    assert!(said.contains("not checked"), "{said}");
    // Nothing is overwritten.
    lab.quote("raw", &["--raw"]).failed(Exit::Config, "exists");
}

#[test]
fn refusals_say_why_and_what_to_do_and_end_with_one() {
    let lab = Lab::new();
    let data = bound();
    let (policy, other) = ("--policy", "--report-data");
    let elsewhere = lab
        .policy("")
        .replace(&lab.root.fingerprint().to_string(), &"ab".repeat(32));
    let elsewhere = lab.write("elsewhere.toml", &elsewhere);
    let unlisted = lab
        .policy("")
        .replace(&simulated_measurement().to_string(), &"cd".repeat(48));
    let unlisted = lab.write("unlisted.toml", &unlisted);
    let hardware = lab.write("hardware.toml", "kinds = [\"sev-snp\"]");
    let mut bytes = std::fs::read(lab.path("q.evidence")).unwrap();
    // The last bytes but the length of no endorsements are the signature.
    let last = bytes.len() - 5;
    bytes[last] ^= 1;
    std::fs::write(lab.path("flipped"), bytes).unwrap();
    let longer = format!("{data}00");
    for (file, more, code, class) in [
        ("q.evidence", vec![other, "00"], "binding", "unwanted"),
        ("q.evidence", vec![other, &longer], "binding", "unwanted"),
        (
            "q.evidence",
            vec![other, &data, policy, text(&elsewhere)],
            "root",
            "unwanted",
        ),
        (
            "q.evidence",
            vec![other, &data, policy, text(&unlisted)],
            "measurement",
            "unwanted",
        ),
        (
            "q.evidence",
            vec![other, &data, policy, text(&hardware)],
            "kind-not-accepted",
            "unwanted",
        ),
        (
            "q.evidence",
            vec![other, &data, "--at", "3900000000"],
            "stale",
            "untimely",
        ),
        (
            "q.evidence",
            vec![other, &data, "--at", "1970-01-02T00:00:00Z"],
            "future",
            "untimely",
        ),
        (
            "flipped",
            vec![other, &data],
            "evidence-signature",
            "forged",
        ),
    ] {
        let ran = lab.verify(file, &more);
        assert_eq!(ran.exit, Exit::Failed, "{more:?}: {}{}", ran.out, ran.err);
        assert!(
            ran.out.contains(&format!("[{code}]")),
            "{code}: {}",
            ran.out
        );
        assert!(ran.out.contains("what to do"), "{}", ran.out);
        let json = lab.verify(file, &[&more[..], &["--json"]].concat());
        assert_eq!(json.exit, Exit::Failed);
        let json = json.json();
        assert_eq!(json["accepted"], false);
        assert_eq!(json["error"]["code"], code);
        assert_eq!(json["error"]["exit"], 1);
        assert_eq!(json["class"], class);
        assert!(json["advice"].as_str().unwrap().len() > 20, "{json}");
    }
    // Without a policy: real hardware only.
    let file = lab.path("q.evidence");
    let ran = aether(&["attest", "verify", text(&file), "--any-binding"]);
    assert!(
        ran.failed(Exit::Failed, "")
            .out
            .contains("[kind-not-accepted]")
    );
}

#[test]
fn a_binding_may_be_given_in_its_parts() {
    let lab = Lab::new();
    let part = |n: &str| n.repeat(32);
    let (chain, worker, session, block) = (part("01"), part("02"), part("03"), part("04"));
    let binding = aether_tee::Binding::new(&[1; 32], &[2; 32], &[3; 32], 42, &[4; 32]);
    let (out, tee) = (lab.path("b"), lab.path("tee.pem"));
    let data = hex::encode(binding.as_bytes());
    aether(&[
        "attest",
        "quote",
        "--platform",
        "simulated",
        "--tee-platform",
        text(&tee),
        "--report-data",
        &data,
        "--out",
        text(&out),
    ])
    .ok();
    let parts = |slot| {
        [
            "--chain",
            &chain,
            "--worker",
            &worker,
            "--session",
            &session,
            "--slot",
            slot,
            "--block",
            &block,
        ]
        .map(str::to_owned)
    };
    let run = |slot| {
        let parts = parts(slot);
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        lab.verify("b", &parts)
    };
    run("42").ok();
    assert!(run("43").failed(Exit::Failed, "").out.contains("[binding]"));
}

#[test]
fn a_networks_genesis_is_a_policy_too() {
    let lab = Lab::new();
    let desk = super::Desk::new();
    let network = desk.network();
    let file = lab.path("q.evidence");
    let args = [
        "attest",
        "verify",
        text(&file),
        "--any-binding",
        "--network",
        text(&network),
    ];
    // That network has another simulated root.
    let ran = aether(&args);
    assert_eq!(ran.exit, Exit::Failed, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("network \""), "{}", ran.out);
}

#[test]
fn wrong_arguments_are_told_apart() {
    let lab = Lab::new();
    let data = bound();
    let file = lab.path("q.evidence");
    let file = text(&file);
    let (junk, nothing) = (lab.write("junk", "hello"), lab.path("nothing"));
    let (junk, nothing) = (text(&junk), text(&nothing));
    let bad_policy = lab.write("bad.toml", "kinds = [\"sgx\"]");
    let out = lab.path("new");
    let out = text(&out);
    for (args, exit, why) in [
        (
            vec!["verify", file, "--any-binding", "--report-data", "00"],
            Exit::Usage,
            "cannot be used",
        ),
        (
            vec!["verify", file, "--report-data", "xyz"],
            Exit::Usage,
            "takes hex",
        ),
        (
            vec!["verify", file, "--chain", "00"],
            Exit::Usage,
            "--worker",
        ),
        (
            vec!["verify", file, "--any-binding", "--at", "now"],
            Exit::Usage,
            "--at takes",
        ),
        (
            vec!["verify", file, "--any-binding", "--measurement", "00"],
            Exit::Usage,
            "96 hex digits",
        ),
        (
            vec!["verify", file, "--any-binding", "--endorsements", junk],
            Exit::Config,
            "no endorsements",
        ),
        (
            vec!["verify", file, "--any-binding", "--endorsements", nothing],
            Exit::Config,
            nothing,
        ),
        (
            vec!["verify", file, "--any-binding", "--policy", nothing],
            Exit::Config,
            nothing,
        ),
        (
            vec![
                "verify",
                file,
                "--any-binding",
                "--policy",
                text(&bad_policy),
            ],
            Exit::Config,
            "sgx",
        ),
        (
            vec!["verify", junk, "--any-binding"],
            Exit::Failed,
            "is no evidence",
        ),
        (
            vec!["verify", nothing, "--any-binding"],
            Exit::Config,
            nothing,
        ),
        (vec!["inspect", junk], Exit::Failed, "is no evidence"),
        (vec!["inspect", nothing], Exit::Config, nothing),
        (vec!["policy"], Exit::Usage, "required"),
        (vec!["policy", "--template", "sgx"], Exit::Usage, "sgx"),
        (vec!["policy", text(&bad_policy)], Exit::Config, "sgx"),
        (vec!["quote", "--out", out], Exit::Usage, "--report-data"),
        (
            vec!["quote", "--out", out, "--report-data", "00"],
            Exit::Usage,
            "128 hex digits",
        ),
        (
            vec![
                "quote",
                "--out",
                out,
                "--report-data",
                &data,
                "--platform",
                "sgx",
            ],
            Exit::Usage,
            "sgx",
        ),
        (
            vec![
                "quote",
                "--out",
                out,
                "--report-data",
                &data,
                "--platform",
                "simulated",
            ],
            Exit::Usage,
            "--tee-platform",
        ),
        (
            vec![
                "quote",
                "--out",
                out,
                "--report-data",
                &data,
                "--tee-platform",
                "f",
            ],
            Exit::Usage,
            "simulated only",
        ),
        (
            vec![
                "quote",
                "--out",
                out,
                "--report-data",
                &data,
                "--raw",
                "--fetch",
            ],
            Exit::Usage,
            "cannot be used",
        ),
    ] {
        let all = [&["attest"], &args[..]].concat();
        let ran = aether(&all);
        assert_eq!(ran.exit, exit, "{args:?}: {}{}", ran.out, ran.err);
        assert!(
            ran.err.contains(why),
            "{args:?}: {why:?} is not in {}",
            ran.err
        );
    }
    assert!(!Path::new(out).exists());
}

#[test]
fn a_machine_without_a_tee_says_so_and_what_to_do() {
    let lab = Lab::new();
    let (out, data) = (lab.path("real"), bound());
    for platform in ["configfs", "sev-guest", "nitro"] {
        let device = match platform {
            "configfs" => "/sys/kernel/config/tsm/report",
            "sev-guest" => "/dev/sev-guest",
            _ => "/dev/nsm",
        };
        if Path::new(device).exists() {
            continue;
        }
        let ran = aether(&[
            "attest",
            "quote",
            "--platform",
            platform,
            "--report-data",
            &data,
            "--out",
            text(&out),
        ]);
        let ran = ran.failed(Exit::Failed, "What to do");
        assert!(ran.err.contains("--platform simulated"), "{}", ran.err);
        assert!(!out.exists());
    }
}

#[test]
fn evidence_and_certificates_are_taken_apart() {
    let lab = Lab::new();
    let file = lab.path("q.evidence");
    let said = aether(&["attest", "inspect", text(&file)]).ok().out;
    for words in [
        "worker-1",
        "timestamp_ms",
        "pcr0",
        "user_data",
        "Certificate 2",
        "no protection",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let json = aether(&["attest", "inspect", text(&file), "--json"])
        .ok()
        .json();
    assert_eq!(json["kind"], "simulated");
    assert_eq!(json["fields"]["user_data"], bound());
    assert_eq!(
        json["certificates"][0]["sha256"],
        lab.root.fingerprint().to_string()
    );
    let pem = lab.root.to_pem().unwrap();
    let pem = lab.write("root.pem", &pem);
    let json = aether(&["attest", "inspect", text(&pem), "--json"])
        .ok()
        .json();
    assert_eq!(
        json["certificates"][0]["not_before"],
        "1970-01-01T00:00:00Z"
    );
    // A report in form that nobody signed: all of it is shown, and refused.
    let mut report = vec![0u8; 1184];
    for (at, byte) in [
        (0, 3),
        (0x0a, 3),
        (0x34, 1),
        (0x188, 0x19),
        (0x189, 1),
        (0x187, 209),
    ] {
        report[at] = byte;
    }
    std::fs::write(lab.path("report.bin"), &report).unwrap();
    let report = lab.path("report.bin");
    let said = aether(&["attest", "inspect", text(&report)]).ok().out;
    for words in ["Milan", "SMT, always set", "microcode 209", "chip_id"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let ran = aether(&["attest", "verify", text(&report), "--any-binding"]);
    let said = ran.failed(Exit::Failed, "").out;
    assert!(
        said.contains("[endorsements-missing]") && said.contains("--endorsements"),
        "{said}"
    );
}

#[test]
fn templates_are_policies_and_policies_are_explained() {
    let lab = Lab::new();
    for (platform, words) in [
        ("snp", "clouds' keys"),
        ("tdx", "SEPT_VE_DISABLE"),
        ("nitro", "at most 60 s"),
    ] {
        let text_of = aether(&["attest", "policy", "--template", platform])
            .ok()
            .out;
        let file = lab.write("t.toml", &text_of);
        let said = aether(&["attest", "policy", text(&file)]).ok().out;
        assert!(said.contains(words), "{words}: {said}");
        assert!(said.contains("any program is accepted"), "{said}");
        let json = aether(&["attest", "policy", text(&file), "--json"])
            .ok()
            .json();
        assert_eq!(json["kinds"].as_array().unwrap().len(), 1);
    }
}

/// The folder of published evidence, if it is there.
fn vectors() -> Option<PathBuf> {
    let root = std::env::var_os("AETHER_VECTORS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors"),
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

#[test]
fn published_evidence_gets_the_published_verdict() {
    let Some(folder) = vectors() else { return };
    let lab = Lab::new();
    let policy = "kinds = [\"sev-snp\", \"tdx\", \"nitro\"]\n[snp]\nhighest_vmpl = 3\n\
        [tdx]\naccepted_tcb_status = [\"UpToDate\", \"SWHardeningNeeded\", \"ConfigurationNeeded\", \
        \"ConfigurationAndSWHardeningNeeded\", \"OutOfDate\", \"OutOfDateConfigurationNeeded\"]\n";
    let policy = lab.write("vectors.toml", policy);
    let json = std::fs::read(folder.join("vectors.json")).unwrap();
    let json: Value = serde_json::from_slice(&json).unwrap();
    let (mut accepted, mut refused) = (0, 0);
    for row in json["vectors"].as_array().unwrap() {
        let id = row["id"].as_str().unwrap();
        let evidence = folder.join(row["evidence"].as_str().unwrap());
        let ms = row["verify_at_ms"].as_u64();
        let ms = ms.unwrap_or_else(|| row["verify_at"].as_u64().unwrap() * 1000);
        let at = format!("{}.{:03}", ms / 1000, ms % 1000);
        let own = |fields: &[&str]| {
            let found = fields.iter().find_map(|field| row[*field].as_str());
            found.unwrap_or_default().to_owned()
        };
        let data = match row["vendor"].as_str() {
            Some("nitro") => own(&["user_data_hex"]),
            _ => own(&["report_data_hex"]),
        };
        let measurement = own(&["measurement_hex", "mrtd_hex", "pcr0_hex"]);
        let near = evidence.parent().unwrap();
        let roots = folder.join("roots/amd");
        let mut args = vec![
            "attest",
            "verify",
            text(&evidence),
            "--policy",
            text(&policy),
        ];
        args.extend(["--at", &at, "--report-data", &data, "--json"]);
        let collateral = row["collateral"].as_str().map(|path| folder.join(path));
        let vek = row["vek"].as_str().map(|path| folder.join(path));
        match (&collateral, &vek) {
            (Some(file), _) => args.extend(["--endorsements", text(file)]),
            (None, Some(file)) => {
                args.extend(["--endorsements", text(file), "--endorsements", text(&roots)]);
            }
            _ => args.extend(["--endorsements", text(near)]),
        }
        if measurement.len() == 96 {
            args.extend(["--measurement", &measurement]);
        }
        let ran = aether(&args);
        if row["expect"] == "accept" {
            let said = ran.ok().json();
            assert_eq!(said["measured"], true, "{id}");
            accepted += 1;
        } else {
            let said = ran.failed(Exit::Failed, "").json();
            let reasons = row["reasons"].as_array().unwrap();
            let given = [&said["reason"], &said["error"]["code"]];
            assert!(reasons.iter().any(|r| given.contains(&r)), "{id}: {said}");
            refused += 1;
        }
        // And whatever it is, it can be looked at, or it says why not.
        let seen = aether(&["attest", "inspect", text(&evidence), "--json"]);
        if seen.exit == Exit::Ok && row["vendor"] != "nitro" && !data.is_empty() {
            let fields = &seen.json()["fields"];
            let shown = [&fields["report_data"], &fields["reportdata"]];
            assert!(shown.iter().any(|shown| **shown == *data), "{id}");
        } else if row["expect"] == "accept" {
            seen.ok();
        }
    }
    println!("aether attest: {accepted} accepted, {refused} refused");
    assert!(accepted >= 16 && refused >= 15, "{accepted} {refused}");
}
