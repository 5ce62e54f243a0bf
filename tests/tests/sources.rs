//! What holds for every file of the project.

use crate::files;

/// Places that only exist where somebody works, and hosts of package
/// registries: tools know those themselves. In pieces, so that this file does
/// not mention them either.
fn unmentionable() -> Vec<String> {
    let hosts = [
        ["crates", "io"],
        ["pypi", "org"],
        ["pythonhosted", "org"],
        ["npmjs", "org"],
    ];
    let mut all: Vec<String> = hosts.iter().map(|h| h.join(".")).collect();
    for folder in ["work", "root", "home/ubuntu"] {
        all.push(format!("/{folder}/"));
    }
    all
}

#[test]
fn nothing_mentions_somebodys_machine_or_a_registrys_host() {
    let mut found = Vec::new();
    for path in files::all() {
        // Cargo writes its lock file.
        if path.file_name().is_some_and(|n| n == "Cargo.lock") {
            continue;
        }
        let Some(text) = files::text(&path) else {
            continue;
        };
        for (at, line) in text.lines().enumerate() {
            for word in unmentionable() {
                if let Some(place) = line.find(&word) {
                    // A longer path or name that only contains the word.
                    let before = line[..place].chars().next_back();
                    let part = before.is_some_and(|c| c.is_alphanumeric() || "._-".contains(c));
                    if !(word.starts_with('/') && part) {
                        found.push(format!("{}:{}: {word}", files::short(&path), at + 1));
                    }
                }
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn every_source_file_begins_with_what_it_is_for() {
    let missing: Vec<String> = files::with_extension("rs")
        .iter()
        .filter(|path| {
            let text = files::text(path).unwrap_or_default();
            !text.trim_start().starts_with("//!")
        })
        .map(|path| files::short(path))
        .collect();
    assert!(missing.is_empty(), "no //! header:\n{}", missing.join("\n"));
}

#[test]
fn nothing_is_left_unfinished() {
    let unfinished = [["todo", "!("], ["unimplemented", "!("], ["dbg", "!("]].map(|p| p.concat());
    let mut found = Vec::new();
    for path in files::with_extension("rs") {
        let text = files::text(&path).unwrap_or_default();
        for (at, line) in text.lines().enumerate() {
            if unfinished.iter().any(|word| line.contains(word.as_str())) {
                found.push(format!(
                    "{}:{}: {}",
                    files::short(&path),
                    at + 1,
                    line.trim()
                ));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// Printed, never failed: a long file may have a reason.
#[test]
fn long_files_are_reported() {
    const LINES: usize = 400;
    for path in files::with_extension("rs") {
        let lines = files::text(&path).unwrap_or_default().lines().count();
        if lines > LINES {
            println!("{lines:6} lines: {}", files::short(&path));
        }
    }
}
