//! Docs that still say what the code says: links lead somewhere, and what the
//! code names (parameters, hash domains, metrics, receipt codes) stands in the
//! docs that list them.

use crate::files;
use std::collections::BTreeSet;
use std::path::PathBuf;

fn documents() -> Vec<PathBuf> {
    let all = files::with_extension("md");
    all.into_iter()
        .filter(|p| {
            p.starts_with(files::root().join("docs")) || {
                let short = files::short(p);
                short == "README.md" || short == "testnet/README.md"
            }
        })
        .collect()
}

/// `(name, text)` of each decision, in order.
fn decisions() -> Vec<(String, String)> {
    let folder = files::root().join("docs/decisions");
    files::with_extension("md")
        .into_iter()
        .filter(|p| p.starts_with(&folder) && p.file_name().is_some_and(|n| n != "README.md"))
        .map(|p| {
            let name = p
                .file_name()
                .expect("a file has a name")
                .to_string_lossy()
                .into_owned();
            (name, files::text(&p).expect("a decision is text"))
        })
        .collect()
}

#[test]
fn decisions_are_numbered_and_have_all_their_sections() {
    let decisions = decisions();
    assert!(!decisions.is_empty());
    for (at, (name, text)) in decisions.iter().enumerate() {
        let number = format!("{:04}", at + 1);
        assert!(
            name.starts_with(&format!("{number}-")),
            "{name} is not number {number}"
        );
        assert!(
            text.starts_with(&format!("# {number} ")),
            "{name}: the title lacks its number"
        );
        let sections: Vec<&str> = text.lines().filter(|l| l.starts_with("## ")).collect();
        assert_eq!(
            sections,
            [
                "## Context",
                "## Decision",
                "## Turned down",
                "## Consequences"
            ],
            "{name}"
        );
        let empty = text
            .split("\n## ")
            .skip(1)
            .find(|s| s.lines().skip(1).all(str::is_empty));
        assert_eq!(empty, None, "{name} has an empty section");
    }
    let index = files::read("docs/decisions/README.md");
    for (name, _) in &decisions {
        assert!(
            index.contains(&format!("({name})")),
            "the index lacks {name}"
        );
    }
}

#[test]
fn links_and_paths_lead_somewhere() {
    let mut broken = Vec::new();
    let tops = [
        "protocols/",
        "storage/",
        "behaviours/",
        "node/",
        "bootnodes/",
        "testnet/",
        "tests/",
        "docs/",
        ".ci/",
    ];
    for document in documents() {
        let text = files::text(&document).expect("a document is text");
        let folder = document.parent().expect("a file lies in a folder");
        for target in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let target = target.split('#').next().unwrap_or_default();
            let outside = target.is_empty() || target.contains("://");
            if !outside && !folder.join(target).exists() {
                broken.push(format!("{}: link to {target}", files::short(&document)));
            }
        }
        // Paths in backticks, from the workspace's folder on.
        for word in text.split('`').skip(1).step_by(2) {
            let ours = tops.iter().any(|t| word.starts_with(t));
            let plain = word
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
            if ours && plain && !files::root().join(word).exists() {
                broken.push(format!("{}: path {word}", files::short(&document)));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// Words that begin after `start` and end before `end`, in all sources that
/// are not tests.
fn named(folders: &[&str], start: &str, end: char) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for path in files::with_extension("rs") {
        let short = files::short(&path);
        let shipped = folders.iter().any(|f| short.starts_with(f)) && !short.contains("/tests");
        let text = files::text(&path).unwrap_or_default();
        let text = text.split("#[cfg(test)]").next().unwrap_or_default();
        if shipped {
            let found = text
                .split(start)
                .skip(1)
                .filter_map(|rest| rest.split(end).next());
            names.extend(found.map(str::to_owned));
        }
    }
    names
}

fn assert_listed(document: &str, names: &BTreeSet<String>, what: &str) {
    assert!(
        !names.is_empty(),
        "found no {what} in the sources: the search is wrong"
    );
    let text = files::read(document);
    let missing: Vec<&String> = names
        .iter()
        .filter(|name| !text.contains(&format!("`{name}`")))
        .collect();
    assert!(missing.is_empty(), "{document} lacks {what}: {missing:?}");
}

#[test]
fn every_parameter_of_a_genesis_is_documented() {
    let source = files::read("protocols/mesh/src/genesis.rs");
    let mut names = BTreeSet::new();
    for part in ["pub struct Params {", "pub struct Limits {"] {
        let body = source
            .split(part)
            .nth(1)
            .and_then(|rest| rest.split("\n}").next());
        for line in body.expect("the struct is there").lines() {
            if let Some((name, _)) = line
                .trim()
                .strip_prefix("pub ")
                .and_then(|l| l.split_once(':'))
            {
                names.insert(name.to_owned());
            }
        }
    }
    names.remove("limits");
    assert_listed("docs/protocol.md", &names, "parameters");
}

#[test]
fn every_hash_domain_is_documented() {
    let mut names: BTreeSet<String> =
        named(&["protocols/", "behaviours/", "node/"], "\"aether/", '"')
            .into_iter()
            .filter(|rest| rest.contains("/v1") || rest.contains("v1/"))
            .filter(|rest| !rest.ends_with(".proto"))
            .map(|rest| format!("aether/{rest}"))
            .collect();
    names.retain(|n| !n.contains(['{', ' ']));
    assert_listed("docs/protocol.md", &names, "hash domains");
}

#[test]
fn every_receipt_code_is_documented() {
    let source = files::read("protocols/mesh/src/receipt.rs");
    let body = source
        .split("pub fn code(&self)")
        .nth(1)
        .and_then(|rest| rest.split("\n    }").next());
    let names: BTreeSet<String> = body
        .expect("receipts have codes")
        .split('"')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect();
    assert_listed("docs/protocol.md", &names, "receipt codes");
}

#[test]
fn every_metric_and_variable_is_documented() {
    let mut metrics = BTreeSet::new();
    for kind in ["histogram!(\"", "gauge!(\"", "counter!(\""] {
        metrics.extend(named(&["node/", "bootnodes/", "storage/"], kind, '"'));
    }
    assert_listed("docs/operating.md", &metrics, "metrics");
    let variables: BTreeSet<String> =
        named(&["node/src/cli/", "bootnodes/"], "env = \"AETHER_", '"')
            .into_iter()
            .map(|rest| format!("AETHER_{rest}"))
            .collect();
    assert_listed("docs/operating.md", &variables, "environment variables");
}
