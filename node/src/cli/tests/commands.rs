//! Keys, accounts, receipts, and what the node and network are asked.

use super::{Desk, aether, text};
use crate::cli::Exit;
use crate::cli::page::WIDTH;
use crate::rpc::Backend as _;
use crate::rpc::tests::{account, settled};
use aether_mesh::{
    Amount, ChallengeRecord, ChallengeStatus, CoordinatorRecord, JobId, Slot, WorkerRecord, keys,
};
use std::sync::atomic::Ordering;

#[test]
fn keys_are_made_and_shown() {
    let desk = Desk::new();
    let file = desk.path("me.key");
    let made = aether(&["key", "new", text(&file), "--json"]).ok().json();
    let shown = aether(&["key", "show", text(&file)]).ok();
    assert!(
        shown.out.contains(made["account"].as_str().unwrap()),
        "{}",
        shown.out
    );
    aether(&["key", "new", text(&file)]).failed(Exit::Config, "never overwritten");
    let vote = desk.path("vote.key");
    let made = aether(&["key", "new", text(&vote), "--vote", "--json"])
        .ok()
        .json();
    assert_eq!(made["vote_key"].as_str().unwrap().len(), 96);
    assert_eq!(made["proof_of_possession"].as_str().unwrap().len(), 192);
    let shown = aether(&["key", "show", text(&vote), "--vote"]).ok();
    assert!(shown.out.starts_with("vote_key = \""), "{}", shown.out);
}

#[test]
fn a_transfer_is_done_when_it_is_in_a_block() {
    let desk = Desk::new();
    let to = account(3).to_string();
    let ran = desk
        .run(&["account", "transfer", &to, "2.5", "--json"])
        .ok()
        .json();
    assert_eq!(
        (ran["slot"].as_u64(), ran["amount"].as_str()),
        (Some(1), Some("2.5"))
    );
    assert_eq!(ran["balance"], "4997.499");
    let balance = desk.run(&["account", "balance", &to]).ok();
    assert!(balance.out.contains("5002.5 AIC"), "{}", balance.out);
    let mine = desk.run(&["account", "balance", "--json"]).ok().json();
    assert_eq!(mine["nonce"], 1);
    desk.run(&["account", "transfer", &to, "9999"])
        .failed(Exit::Failed, "free balance");
    desk.run(&["account", "bond", "worker", "1000"]).ok();
    let bonded = desk.run(&["worker", "show"]).ok();
    assert!(bonded.out.contains("1000 AIC"), "{}", bonded.out);
}

#[test]
fn a_snatched_nonce_is_tried_again_and_not_forever() {
    let desk = Desk::new();
    let to = account(3).to_string();
    desk.server.node.replace.store(2, Ordering::SeqCst);
    let ran = desk.run(&["account", "transfer", &to, "1"]).ok();
    assert_eq!(ran.err.matches("signing again").count(), 2, "{}", ran.err);
    let paid = desk.run(&["account", "balance", &to, "--json"]).ok().json();
    assert_eq!(paid["balance"], "5001");
    desk.server.node.replace.store(100, Ordering::SeqCst);
    desk.run(&["account", "transfer", &to, "1"])
        .failed(Exit::Failed, "were faster");
}

#[test]
fn what_is_missing_on_this_side_ends_with_four() {
    let desk = Desk::new();
    let to = account(3).to_string();
    let rpc = desk.server.address.to_string();
    let transfer = ["account", "transfer", &to, "1", "--rpc", &rpc];
    aether(&transfer).failed(Exit::Config, "aether key new");
    let mut args = transfer.to_vec();
    let missing = desk.path("missing");
    args.extend(["--key", text(&missing)]);
    aether(&args).failed(Exit::Config, "there is no key file");
    desk.run(&["account", "transfer", &to, "1", "--network", text(&missing)])
        .failed(Exit::Config, "genesis.toml");
    let dir = desk.network();
    desk.run(&["account", "transfer", &to, "1", "--network", text(&dir)])
        .ok();
    let other = desk.path("other");
    std::fs::create_dir(&other).unwrap();
    let genesis = std::fs::read_to_string(dir.join("genesis.toml")).unwrap();
    std::fs::write(other.join("genesis.toml"), genesis.replace("fake", "other")).unwrap();
    desk.run(&["account", "transfer", &to, "1", "--network", text(&other)])
        .failed(Exit::Config, "not of \"other\"");
}

#[test]
fn nobody_there_ends_with_three() {
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let rpc = free.to_string();
    for command in [
        ["node", "status"],
        ["job", "list"],
        ["worker", "list"],
        ["genesis", "show"],
    ] {
        let mut args = command.to_vec();
        args.extend(["--rpc", &rpc, "--json"]);
        let ran = aether(&args).failed(Exit::Unreachable, "aether node run");
        assert_eq!(ran.json()["error"]["code"], "unreachable");
        assert_eq!(ran.json()["error"]["exit"], 3);
    }
}

#[test]
fn the_node_and_network_are_shown_within_eighty_columns() {
    let desk = Desk::new();
    let node = &desk.server.node;
    node.tick();
    let worker = WorkerRecord {
        stake: Amount::aic(1_500),
        ..WorkerRecord::default()
    };
    node.put(keys::worker(&account(5)), &worker);
    node.put(
        keys::coordinator(&account(2)),
        &CoordinatorRecord {
            stake: Amount::aic(500),
        },
    );
    let job = JobId([0x77; 32]);
    node.put(keys::job(&job), &settled(1));
    let challenge = ChallengeRecord {
        status: ChallengeStatus::Failed,
        commitment: [1; 32],
        bond: Amount::aic(1),
        slot: Slot(4),
        step: 2,
        revealed: Vec::new(),
        gas: 77,
    };
    node.put(keys::challenge(&job, &account(4)), &challenge);
    let dir = desk.network();
    let job_text = job.to_string();
    let short = account(5).short();
    for (args, said) in [
        (vec!["node", "status"], "1 h 2 min"),
        (vec!["node", "peers"], "12D3KooWOther"),
        (vec!["job", "list"], job_text.as_str()),
        (vec!["job", "get", &job_text], "1,234,567 gas"),
        (vec!["worker", "list"], "1500"),
        (vec!["worker", "show", &short], "1500 AIC"),
        (vec!["challenge", "list"], "step 2"),
        (vec!["challenge", "list", "--job", &job_text], "step 2"),
        (vec!["model", "list"], "no models"),
        (vec!["genesis", "show"], "chain id"),
        (vec!["genesis", "show", "--network", text(&dir)], "chain id"),
        (vec!["account", "balance"], "coordinator stake"),
        (vec!["version"], "inference rules"),
    ] {
        let ran = desk.run(&args).ok();
        assert!(ran.out.contains(said), "{args:?}: {}", ran.out);
        for line in ran.out.lines() {
            // Only a single word, there to be copied, may stand out.
            let fits = line.chars().count() <= WIDTH || line.split_whitespace().count() <= 2;
            assert!(fits, "{args:?}: {line}");
        }
        let mut json = args.clone();
        json.push("--json");
        desk.run(&json).ok().json();
    }
    desk.run(&["worker", "show", "ffff"])
        .failed(Exit::Failed, "no worker begins");
    desk.run(&["worker", "show", "me"])
        .failed(Exit::Usage, "64 hex digits");
}

#[test]
fn a_node_that_is_not_ready_says_why() {
    let desk = Desk::new();
    let ran = desk.run(&["node", "status"]).ok();
    assert!(
        ran.out.contains("recent_block: no block since the genesis"),
        "{}",
        ran.out
    );
    desk.server.node.tick();
    assert!(desk.run(&["node", "status"]).ok().out.contains("yes"));
}

#[test]
fn a_receipt_that_proves_nothing_is_refused_with_its_code() {
    let desk = Desk::new();
    let dir = desk.network();
    let genesis = &desk.server.node.rules.genesis;
    desk.run(&["account", "transfer", &account(3).to_string(), "1"])
        .ok();
    // Its posting is a transfer: the export notices that the job is another.
    let job = JobId([1; 32]);
    desk.server.node.put(keys::job(&job), &settled(1));
    let file = desk.path("r.receipt");
    desk.run(&["receipt", "export", &job.to_string(), text(&file)])
        .failed(Exit::Failed, "another job");
    let named = JobId(desk.server.node.block(Slot(1)).unwrap().0.txs[0].id().0);
    desk.server.node.put(keys::job(&named), &settled(1));
    let export = ["receipt", "export", &named.to_string(), text(&file)];
    desk.run(&export).ok();
    desk.run(&export).failed(Exit::Config, "not overwritten");

    let verify =
        |file: &str, dir: &str| aether(&["receipt", "verify", file, "--network", dir, "--json"]);
    let ran = verify(text(&file), text(&dir)).failed(Exit::Failed, "proves nothing");
    assert_eq!(ran.json()["error"]["code"], "not-in-state");
    let junk = desk.file("junk", b"not a receipt");
    let ran = verify(text(&junk), text(&dir)).failed(Exit::Failed, "not a receipt");
    assert_eq!(ran.json()["error"]["code"], "malformed");

    let other = desk.path("other");
    std::fs::create_dir(&other).unwrap();
    let renamed = aether_mesh::Genesis {
        name: "other".into(),
        ..genesis.clone()
    };
    std::fs::write(
        other.join("genesis.toml"),
        toml::to_string(&renamed).unwrap(),
    )
    .unwrap();
    let ran = verify(text(&file), text(&other)).failed(Exit::Failed, "another network");
    assert_eq!(ran.json()["error"]["code"], "other-chain");

    verify(text(&file), text(&desk.path("none"))).failed(Exit::Config, "genesis.toml");
    aether(&["receipt", "verify", text(&file)]).failed(Exit::Config, "--network");
    std::fs::write(dir.join("genesis.toml"), "name = \"x\"\nport = 1").unwrap();
    verify(text(&file), text(&dir)).failed(Exit::Config, "genesis.toml");
    verify(text(&desk.path("nothing")), text(&other)).failed(Exit::Config, "nothing");
}
