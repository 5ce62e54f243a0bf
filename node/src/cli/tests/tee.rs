//! Rules of evidence: shown, written to a file, and voted for.

use super::{Desk, text};
use crate::cli::Exit;
use aether_mesh::{Slot, TeeRules, TeeRulesRecord, keys};

#[test]
fn the_rules_are_shown_and_go_through_a_file() {
    let desk = Desk::new();
    let shown = desk.run(&["tee", "show"]).ok();
    assert!(shown.out.contains("Intel statuses"), "{}", shown.out);
    assert!(shown.out.contains("UpToDate"), "{}", shown.out);
    let json = desk.run(&["tee", "show", "--json"]).ok().json();
    assert_eq!(json["sequence"], 0);

    let toml = desk.run(&["tee", "show", "--toml"]).ok().out;
    let file = desk.path("rules.toml");
    std::fs::write(&file, &toml).unwrap();
    // A well-formed vote reaches the node, which knows that we are nobody.
    desk.run(&["tee", "vote", text(&file)])
        .failed(Exit::Failed, "only validators vote");
}

#[test]
fn rules_that_wait_are_shown_with_their_slot_and_stop_further_votes() {
    let desk = Desk::new();
    let node = &desk.server.node;
    let record = TeeRulesRecord {
        effective: Slot(1_000),
        rules: TeeRules {
            measurements: vec![[0xab; 48]],
            ..TeeRules::default()
        },
    };
    node.put(keys::tee_rules(1), &record);
    node.put(keys::TEE_SEQUENCE.to_vec(), &1u64);
    node.tick();
    let shown = desk.run(&["tee", "show"]).ok();
    assert!(
        shown.out.contains("From slot 1000 on (sequence 1)"),
        "{}",
        shown.out
    );
    assert!(shown.out.contains(&"ab".repeat(48)), "{}", shown.out);
    let file = desk.path("rules.toml");
    std::fs::write(&file, "tdx_grace_s = 5\n").unwrap();
    desk.run(&["tee", "vote", text(&file)])
        .failed(Exit::Failed, "take effect at slot 1000");
}

#[test]
fn a_file_that_holds_no_rules_says_what_is_wrong() {
    let desk = Desk::new();
    let file = desk.path("rules.toml");
    let table = [
        ("measurement = []", "unknown field"),
        ("measurements = [\"ab\"]", "tee.measurements"),
        ("tdx_rtmrs = [\"7\"]", "tee.tdx_rtmrs"),
        (
            "tdx_tcb_statuses = [\"Fine\"]",
            "a status that Intel does not know",
        ),
        ("tdx_tcb_statuses = [\"Revoked\"]", "acceptable ones"),
        ("[[snp_tcb_min]]\nproduct = \"Naples\"", "none of Milan"),
    ];
    for (content, why) in table {
        std::fs::write(&file, content).unwrap();
        desk.run(&["tee", "vote", text(&file)])
            .failed(Exit::Config, why);
    }
    std::fs::remove_file(&file).unwrap();
    desk.run(&["tee", "vote", text(&file)])
        .failed(Exit::Config, "rules.toml");
}
