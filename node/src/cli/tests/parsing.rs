//! The command line itself: it is sound, its examples work, its help fits.

use super::aether;
use crate::cli::{Cli, Exit};
use clap::{CommandFactory, Parser};

fn all_commands() -> Vec<(String, clap::Command)> {
    fn walk(path: &str, command: &clap::Command, out: &mut Vec<(String, clap::Command)>) {
        out.push((path.to_owned(), command.clone()));
        for sub in command.get_subcommands() {
            walk(&format!("{path} {}", sub.get_name()), sub, out);
        }
    }
    let mut root = Cli::command();
    root.build();
    let mut out = Vec::new();
    walk("aether", &root, &mut out);
    out
}

#[test]
fn the_definitions_are_sound() {
    Cli::command().debug_assert();
}

#[test]
fn every_example_in_the_help_parses() {
    let id = "ab".repeat(32);
    let mut examples = 0;
    for (path, command) in all_commands() {
        let Some(help) = command.get_after_help() else {
            continue;
        };
        let joined = help.to_string().replace("\\\n", " ");
        for line in joined.lines().filter(|l| l.starts_with("  aether ")) {
            // The first example carries its meaning behind wide space.
            let line = line.trim().split("    ").next().unwrap();
            let words = line.split_whitespace().map(|w| match w {
                "JOB" | "ACCOUNT" | "MODEL_ID" => id.as_str(),
                w => w,
            });
            if let Err(e) = Cli::try_parse_from(words) {
                panic!("{path}: {line}\n{e}");
            }
            examples += 1;
        }
    }
    assert!(examples >= 15, "{examples}");
}

#[test]
fn help_fits_eighty_columns_and_every_flag_has_words() {
    for (path, mut command) in all_commands() {
        let help = command.render_help().to_string();
        for line in help.lines() {
            assert!(line.chars().count() <= 80, "{path}: {line}");
        }
        for arg in command.get_arguments() {
            assert!(
                arg.get_help().is_some(),
                "{path}: {} has no help",
                arg.get_id()
            );
        }
        assert!(command.get_about().is_some(), "{path}");
    }
}

#[test]
fn wrong_command_lines_end_with_two() {
    let id = "ab".repeat(32);
    for args in [
        vec![],
        vec!["nothing"],
        vec!["job"],
        vec!["job", "get", "beef"],
        vec!["job", "list", "--status", "lost"],
        vec![
            "job",
            "post",
            "--model",
            "m",
            "--input",
            "i",
            "--payment",
            "-1",
        ],
        vec!["job", "post", "--model", "m", "--payment", "1"],
        vec!["account", "transfer", &id, "1.0000000001"],
        vec!["node", "run", "--role", "miner"],
        vec!["dev", "--validators", "0"],
        vec!["node", "status", "--rpc", "https://127.0.0.1:1"],
        vec!["demo", "--sed", "1"],
    ] {
        let ran = aether(&args);
        assert_eq!(ran.exit, Exit::Usage, "{args:?}: {}{}", ran.out, ran.err);
        assert!(!ran.err.is_empty());
    }
    let json = aether(&["job", "get", "beef", "--json"]);
    assert_eq!(json.json()["error"]["exit"], 2);
}

#[test]
fn help_and_version_end_with_zero() {
    for args in [
        vec!["--help"],
        vec!["job", "post", "--help"],
        vec!["--version"],
        vec!["version"],
    ] {
        assert!(!aether(&args).ok().out.is_empty());
    }
    let version = aether(&["version", "--json"]).ok().json();
    assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn flags_of_every_command_stand_before_or_after_it() {
    for args in [
        ["--rpc", "127.0.0.1:9", "node", "run", "--network", "n"],
        [
            "node",
            "run",
            "--network",
            "n",
            "--rpc",
            "http://127.0.0.1:9",
        ],
    ] {
        let mut args = args.to_vec();
        args.push("--json");
        assert_eq!(aether(&args).ok().json()["rpc"], "http://127.0.0.1:9");
    }
}

#[test]
fn hooks_decide_their_exit_code() {
    aether(&["demo"]).ok();
    assert_eq!(aether(&["demo", "--seed", "13"]).exit, Exit::Failed);
    aether(&["dev"]).ok();
    aether(&["bootnode", "--network-id", "0011aabb"]).ok();
}

#[test]
fn lists_may_be_repeated_or_separated_by_commas() {
    let parsed = Cli::try_parse_from([
        "aether",
        "node",
        "run",
        "--role",
        "worker,challenger",
        "--role",
        "full",
        "--listen",
        "/ip4/127.0.0.1/tcp/1",
    ])
    .unwrap();
    let crate::cli::Command::Node(crate::cli::NodeCommand::Run(args)) = parsed.command else {
        panic!("{parsed:?}");
    };
    let roles: Vec<&str> = args.role.iter().map(|r| r.name()).collect();
    assert_eq!(roles, ["worker", "challenger", "full"]);
}
