//! Who may depend on whom. The arrows point one way:
//!
//! ```text
//! kzg, tee, inference ◀── mesh ◀── storage, behaviours ◀── node ──▶ bootnode
//! ```
//!
//! The table below is the whole truth: an edge that is not in it fails, and so
//! does an edge that is in it and no longer needed. Dev-dependencies are not
//! looked at; they do not end up in anything.

use crate::files;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// Crate, and the workspace crates it may use.
const EDGES: [(&str, &[&str]); 9] = [
    ("aether-kzg", &[]),
    ("aether-tee", &[]),
    ("aether-inference", &[]),
    (
        "aether-mesh",
        &["aether-inference", "aether-kzg", "aether-tee"],
    ),
    ("aether-storage", &["aether-mesh"]),
    ("aether-behaviours", &["aether-mesh"]),
    ("aether-bootnode", &[]),
    (
        "aether",
        &[
            "aether-behaviours",
            "aether-bootnode",
            "aether-inference",
            "aether-kzg",
            "aether-mesh",
            "aether-storage",
            "aether-tee",
        ],
    ),
    ("aether-tests", &[]),
];

/// An outside crate (or a family of them, by prefix), and who alone may use it
/// directly.
const KEPT_TO: [(&str, &[&str]); 8] = [
    ("libp2p", &["aether", "aether-bootnode"]),
    ("redb", &["aether-storage"]),
    ("tokio", &["aether", "aether-bootnode"]),
    ("arc-malachitebft", &["aether"]),
    ("axum", &["aether"]),
    // The latter with its feature `fetch` only: a worker asks its vendor, nobody
    // who judges evidence does.
    ("ureq", &["aether", "aether-tee"]),
    ("blst", &["aether-kzg"]),
    ("ring", &["aether-tee"]),
];

/// What the pure crates may not reach, however indirectly: runtimes, sockets
/// and databases.
const WORLD: [&str; 6] = ["tokio", "mio", "libp2p", "redb", "axum", "quinn"];

/// Crates that know no world.
const PURE: [&str; 5] = [
    "aether-kzg",
    "aether-tee",
    "aether-inference",
    "aether-mesh",
    "aether-behaviours",
];

/// Crate → what it depends on (normal and build dependencies).
fn direct() -> BTreeMap<String, BTreeSet<String>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args([
            "metadata",
            "--format-version",
            "1",
            "--offline",
            "--no-deps",
        ])
        .current_dir(files::root())
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo prints JSON");
    let packages = metadata["packages"].as_array().expect("a list of packages");
    packages
        .iter()
        .map(|package| {
            let deps = package["dependencies"]
                .as_array()
                .expect("a list of dependencies");
            let used = deps
                .iter()
                .filter(|d| d["kind"] != "dev")
                .map(|d| d["name"].as_str().expect("a name").to_owned())
                .collect();
            (package["name"].as_str().expect("a name").to_owned(), used)
        })
        .collect()
}

#[test]
fn crates_use_only_what_lies_below_them() {
    let direct = direct();
    let allowed: BTreeMap<&str, BTreeSet<&str>> = EDGES
        .iter()
        .map(|(name, below)| (*name, below.iter().copied().collect()))
        .collect();
    let members: BTreeSet<&str> = direct.keys().map(String::as_str).collect();
    let listed: BTreeSet<&str> = allowed.keys().copied().collect();
    assert_eq!(
        members, listed,
        "the workspace's members and the table of edges differ"
    );
    let mut wrong = Vec::new();
    for (name, used) in &direct {
        let used: BTreeSet<&str> = used
            .iter()
            .map(String::as_str)
            .filter(|u| members.contains(u))
            .collect();
        let allowed = &allowed[name.as_str()];
        for extra in used.difference(allowed) {
            wrong.push(format!("{name} may not use {extra}"));
        }
        for gone in allowed.difference(&used) {
            wrong.push(format!(
                "{name} no longer uses {gone}: take the edge out of the table"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_part_of_the_world_is_known_to_one_place() {
    let mut wrong = Vec::new();
    for (name, used) in direct() {
        for dependency in used {
            for (kept, to) in KEPT_TO {
                let family = dependency == kept || dependency.starts_with(&format!("{kept}-"));
                if family && !to.contains(&name.as_str()) {
                    wrong.push(format!(
                        "{name} uses {dependency}; only {} may",
                        to.join(", ")
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn pure_crates_reach_no_runtime_socket_or_database_at_all() {
    // The lock file holds every edge there is, for every platform.
    let lock: toml::Table = files::read("Cargo.lock").parse().expect("a lock file");
    let mut below: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in lock["package"].as_array().expect("a list of packages") {
        let name = package["name"].as_str().expect("a name").to_owned();
        let used = package.get("dependencies").and_then(toml::Value::as_array);
        let names = used
            .into_iter()
            .flatten()
            .filter_map(|d| d.as_str()?.split(' ').next());
        below
            .entry(name)
            .or_default()
            .extend(names.map(str::to_owned));
    }
    let direct = direct();
    let mut wrong = Vec::new();
    for pure in PURE {
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        let mut todo: Vec<&str> = direct[pure].iter().map(String::as_str).collect();
        while let Some(name) = todo.pop() {
            if seen.insert(name) {
                todo.extend(below.get(name).into_iter().flatten().map(String::as_str));
            }
        }
        assert!(
            seen.len() > 5,
            "{pure} reaches only {seen:?}: read the lock file wrongly?"
        );
        let reached = WORLD.iter().filter(|w| seen.contains(**w));
        wrong.extend(reached.map(|w| format!("{pure} reaches {w}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_member_takes_the_workspaces_lints_and_version() {
    for (name, _) in EDGES {
        let dir = match name {
            "aether" => "node",
            "aether-bootnode" => "bootnodes",
            "aether-storage" | "aether-behaviours" | "aether-tests" => &name["aether-".len()..],
            protocol => &format!("protocols/{}", &protocol["aether-".len()..]),
        };
        let manifest = files::read(&format!("{dir}/Cargo.toml"));
        for line in [
            "[lints]\nworkspace = true",
            "version.workspace = true",
            "edition.workspace = true",
        ] {
            assert!(manifest.contains(line), "{dir}/Cargo.toml lacks {line:?}");
        }
    }
}
