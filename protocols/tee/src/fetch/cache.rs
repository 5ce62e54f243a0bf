//! Answers on disk: one file each, named by the SHA-256 of its address.
//!
//! ```text
//! when to ask again   8  seconds since 1970, big-endian
//! length, header      4, that many
//! body                the rest but 32
//! SHA-256            32  of all before
//! ```
//!
//! A file that is torn, too large or not ours is as good as absent, and a folder that cannot be
//! written costs a request, never a failure: what is here can be had again.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::http::Answer;
use crate::evidence::UnixTime;

/// Files in the folder; the oldest go. A worker has half a dozen.
const MOST_ENTRIES: usize = 64;
/// The largest file: a revocation list and its header.
const MAX_ENTRY_BYTES: u64 = 1 << 20;
const SUFFIX: &str = "endorsement";

/// A folder of answers, or none.
pub(super) struct Cache(pub(super) Option<PathBuf>);

/// An answer, and from when on it should be asked for again.
pub(super) struct Kept {
    pub(super) answer: Answer,
    pub(super) ask_again: UnixTime,
}

impl Cache {
    fn path(&self, url: &str) -> Option<PathBuf> {
        let folder = self.0.as_ref()?;
        let name = hex::encode(Sha256::digest(url));
        Some(folder.join(format!("{name}.{SUFFIX}")))
    }

    /// The answer from this address, if it is here and whole.
    pub(super) fn get(&self, url: &str) -> Option<Kept> {
        let file = fs::File::open(self.path(url)?).ok()?;
        let mut bytes = Vec::new();
        file.take(MAX_ENTRY_BYTES + 1)
            .read_to_end(&mut bytes)
            .ok()?;
        let (content, digest) = bytes.split_last_chunk::<32>()?;
        if Sha256::digest(content).as_slice() != digest {
            return None;
        }
        let (ask_again, rest) = content.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (header, body) = rest.split_at_checked(length)?;
        Some(Kept {
            answer: Answer {
                header: String::from_utf8(header.to_vec()).ok()?,
                body: body.to_vec(),
            },
            ask_again: UnixTime(u64::from_be_bytes(*ask_again)),
        })
    }

    /// Keeps an answer.
    pub(super) fn put(&self, url: &str, answer: &Answer, ask_again: UnixTime) {
        let Some(path) = self.path(url) else { return };
        let mut bytes = ask_again.0.to_be_bytes().to_vec();
        let length = u32::try_from(answer.header.len()).unwrap_or(u32::MAX);
        bytes.extend(length.to_be_bytes());
        bytes.extend(answer.header.as_bytes());
        bytes.extend(&answer.body);
        let digest = Sha256::digest(&bytes);
        bytes.extend(digest);
        if write(&path, &bytes).is_ok() {
            self.prune();
        }
    }

    /// Removes the oldest files above the limit.
    fn prune(&self) {
        let Some(folder) = &self.0 else { return };
        let Ok(entries) = fs::read_dir(folder) else {
            return;
        };
        let mut ours: Vec<_> = entries
            .flatten()
            .filter(|entry| entry.path().extension().is_some_and(|e| e == SUFFIX))
            .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
            .collect();
        ours.sort();
        let surplus = ours.len().saturating_sub(MOST_ENTRIES);
        for (_, path) in ours.iter().take(surplus) {
            // Somebody else may have been first.
            let _ = fs::remove_file(path);
        }
    }
}

/// Writes beside the place and moves into it, so that nobody reads half a file.
fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let beside = path.with_extension(format!("{}.tmp", std::process::id()));
    let mut file = fs::File::create(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)
}
