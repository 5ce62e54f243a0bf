//! The project's files, wherever the test runs from.

use std::path::{Path, PathBuf};

/// The workspace's folder.
pub(crate) fn root() -> PathBuf {
    // Asked for when running: a cache of builds may be shared by several clones.
    let tests = std::env::var_os("CARGO_MANIFEST_DIR");
    let tests = tests.map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    tests
        .parent()
        .expect("the tests crate is a member of the workspace")
        .to_owned()
}

/// What holds nothing of ours: what is built, what git keeps, what a
/// script downloaded.
const SKIPPED: [&str; 5] = ["target", ".git", ".aether", "node_modules", "__pycache__"];

/// All files of the project, in order of their path.
pub(crate) fn all() -> Vec<PathBuf> {
    let mut found = Vec::new();
    collect(&root(), &mut found);
    found.sort();
    assert!(
        found.len() > 100,
        "only {} files: looked in the wrong place?",
        found.len()
    );
    found
}

fn collect(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).expect("a readable folder") {
        let entry = entry.expect("a readable entry");
        let (path, name) = (entry.path(), entry.file_name());
        let kind = entry.file_type().expect("an entry with a type");
        // Also as files: in a second working tree `.git` is one.
        if SKIPPED.iter().any(|s| name == *s) {
            continue;
        }
        if kind.is_dir() {
            collect(&path, found);
        } else if kind.is_file() {
            found.push(path);
        }
    }
}

/// A file's text; `None` for binaries.
pub(crate) fn text(path: &Path) -> Option<String> {
    String::from_utf8(std::fs::read(path).expect("a readable file")).ok()
}

/// A file's text by its path in the project.
pub(crate) fn read(path: &str) -> String {
    let full = root().join(path);
    std::fs::read_to_string(&full).unwrap_or_else(|e| panic!("{}: {e}", full.display()))
}

/// All files with an extension.
pub(crate) fn with_extension(extension: &str) -> Vec<PathBuf> {
    all()
        .into_iter()
        .filter(|p| p.extension().is_some_and(|e| e == extension))
        .collect()
}

/// A path as people write it: from the workspace's folder on.
pub(crate) fn short(path: &Path) -> String {
    path.strip_prefix(root())
        .unwrap_or(path)
        .display()
        .to_string()
}
