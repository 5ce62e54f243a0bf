//! The write-ahead log: what this validator has seen and said at one height.
//!
//! - Everything that may change what we vote is in the file, flushed to disk,
//!   before anything that follows from it leaves the node. After a crash the
//!   log is replayed and the same votes come out, so nothing is signed twice
//!   differently.
//! - The file: a header `"AETHWAL1" ‖ height u64 LE ‖ check(8)`, then frames
//!   `length u32 LE ‖ check(8) ‖ records`, where check is the start of a BLAKE3
//!   hash keyed by the height, and each record is `length u32 LE ‖ bytes`. One
//!   flush writes one frame.
//! - A flush that a crash cut short can only be the last frame, and nothing of
//!   it had been said: it is dropped. A bad frame with more behind it is a
//!   broken disk, and the validator must not vote on: an error.
//! - [`Wal::reset`] empties the log for a new height; what a decided height
//!   said is in its certificate.

use aether_mesh::Slot;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Where the engine keeps what it must not forget.
pub trait Wal: Send {
    /// Buffers a record; nothing is durable before [`Wal::flush`].
    fn append(&mut self, record: Vec<u8>);

    /// Makes everything appended so far durable. After an error the log must
    /// not be used any more: the node stops.
    fn flush(&mut self) -> io::Result<()>;

    /// Forgets everything and starts the log of `height`, durably.
    fn reset(&mut self, height: Slot) -> io::Result<()>;
}

/// What a log held when it was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// The height it was kept for; `None` if there was no log.
    pub height: Option<Slot>,
    /// Its records, oldest first.
    pub records: Vec<Vec<u8>>,
}

/// Why a log cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum WalError {
    /// The disk failed.
    #[error("the consensus log cannot be read or written: {0}")]
    Io(#[from] io::Error),
    /// Not our file, or damaged before its end. Voting on without it could
    /// mean voting twice.
    #[error("the consensus log is damaged at byte {0}; refusing to vote without it")]
    Damaged(u64),
}

const MAGIC: &[u8; 8] = b"AETHWAL1";
const HEADER: usize = 24;
const FRAME: usize = 12;
/// A log holds a few blocks and votes; more than this is not ours.
const FILE_BYTES_MAX: u64 = 4 << 30;

fn check(height: u64, bytes: &[u8]) -> [u8; 8] {
    let mut hasher = blake3::Hasher::new_derive_key("aether consensus log v1");
    hasher.update(&height.to_le_bytes());
    hasher.update(bytes);
    let mut out = [0u8; 8];
    out.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    out
}

fn u32_at(bytes: &[u8], at: usize) -> Option<usize> {
    let four = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(four.try_into().ok()?) as usize)
}

/// The log in a file of its own, with its own flushes.
#[derive(Debug)]
pub struct FileWal {
    file: File,
    height: u64,
    pending: Vec<u8>,
}

impl FileWal {
    /// Opens or creates the log, and reads what it holds. A frame that a crash
    /// cut short is removed from the file.
    pub fn open(path: &Path) -> Result<(Self, Recovered), WalError> {
        let existed = path.exists();
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(path)?;
        if !existed {
            sync_dir(path)?;
        }
        if file.metadata()?.len() > FILE_BYTES_MAX {
            return Err(WalError::Damaged(0));
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let (recovered, end) = parse(&bytes)?;
        file.set_len(end)?;
        file.seek(SeekFrom::Start(end))?;
        let height = recovered.height.map_or(0, |h| h.0);
        Ok((
            Self {
                file,
                height,
                pending: Vec::new(),
            },
            recovered,
        ))
    }
}

/// A new file's name is durable only once its directory is.
fn sync_dir(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty());
    File::open(parent.map_or_else(|| PathBuf::from("."), Path::to_path_buf))?.sync_all()
}

/// Reads a whole log; also returns where its last good frame ends.
fn parse(bytes: &[u8]) -> Result<(Recovered, u64), WalError> {
    // A reset cut short leaves less than a header, and no vote was cast under it.
    let Some((header, _)) = bytes.split_at_checked(HEADER) else {
        return Ok((Recovered::default(), 0));
    };
    let mut height = [0u8; 8];
    height.copy_from_slice(&header[8..16]);
    let height = u64::from_le_bytes(height);
    if &header[..8] != MAGIC || header[16..24] != check(height, MAGIC) {
        // Torn within one sector cannot happen; this is another file.
        return Err(WalError::Damaged(0));
    }
    let mut records = Vec::new();
    let mut at = HEADER;
    while at < bytes.len() {
        let Some((frame, end)) = frame_at(bytes, at) else {
            break;
        };
        if bytes[at + 4..at + FRAME] != check(height, frame) {
            if end < bytes.len() {
                return Err(WalError::Damaged(at as u64));
            }
            break;
        }
        split_records(frame, &mut records).ok_or(WalError::Damaged(at as u64))?;
        at = end;
    }
    Ok((
        Recovered {
            height: Some(Slot(height)),
            records,
        },
        at as u64,
    ))
}

/// The frame that starts at `at`, if the file is long enough for it.
fn frame_at(bytes: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let length = u32_at(bytes, at)?;
    let end = at.checked_add(FRAME)?.checked_add(length)?;
    Some((bytes.get(at + FRAME..end)?, end))
}

fn split_records(mut frame: &[u8], records: &mut Vec<Vec<u8>>) -> Option<()> {
    while !frame.is_empty() {
        let length = u32_at(frame, 0)?;
        let end = length.checked_add(4)?;
        records.push(frame.get(4..end)?.to_vec());
        frame = frame.get(end..)?;
    }
    Some(())
}

impl Wal for FileWal {
    fn append(&mut self, record: Vec<u8>) {
        // A record is a message or a block: far below 4 GiB.
        self.pending
            .extend_from_slice(&(record.len() as u32).to_le_bytes());
        self.pending.extend_from_slice(&record);
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let length = u32::try_from(self.pending.len())
            .map_err(|_| io::Error::other("more than 4 GiB to log at once"))?;
        let mut frame = Vec::with_capacity(FRAME + self.pending.len());
        frame.extend_from_slice(&length.to_le_bytes());
        frame.extend_from_slice(&check(self.height, &self.pending));
        frame.append(&mut self.pending);
        self.file.write_all(&frame)?;
        self.file.sync_data()
    }

    fn reset(&mut self, height: Slot) -> io::Result<()> {
        self.pending.clear();
        self.height = height.0;
        let mut header = [0u8; HEADER];
        header[..8].copy_from_slice(MAGIC);
        header[8..16].copy_from_slice(&height.0.to_le_bytes());
        header[16..].copy_from_slice(&check(height.0, MAGIC));
        self.file.set_len(0)?;
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(&header)?;
        self.file.sync_data()
    }
}

/// For nodes that never vote: nothing they say must be remembered.
#[derive(Debug, Default)]
pub struct NoWal;

impl Wal for NoWal {
    fn append(&mut self, _: Vec<u8>) {}

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn reset(&mut self, _: Slot) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(path: &Path) -> Vec<Vec<u8>> {
        let (mut wal, recovered) = FileWal::open(path).unwrap();
        assert_eq!(recovered, Recovered::default());
        wal.reset(Slot(7)).unwrap();
        wal.append(b"one".to_vec());
        wal.append(Vec::new());
        wal.flush().unwrap();
        wal.append(vec![3; 5_000]);
        wal.flush().unwrap();
        vec![b"one".to_vec(), Vec::new(), vec![3; 5_000]]
    }

    #[test]
    fn flushed_records_come_back_and_unflushed_ones_do_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("wal");
        let records = filled(&path);
        let (mut wal, recovered) = FileWal::open(&path).unwrap();
        assert_eq!(
            recovered,
            Recovered {
                height: Some(Slot(7)),
                records
            }
        );
        wal.append(b"never flushed".to_vec());
        drop(wal);
        assert_eq!(FileWal::open(&path).unwrap().1.records.len(), 3);
    }

    #[test]
    fn a_reset_forgets_the_height_before() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("wal");
        filled(&path);
        let (mut wal, _) = FileWal::open(&path).unwrap();
        wal.reset(Slot(8)).unwrap();
        drop(wal);
        let (_, recovered) = FileWal::open(&path).unwrap();
        assert_eq!(
            recovered,
            Recovered {
                height: Some(Slot(8)),
                records: vec![]
            }
        );
    }

    #[test]
    fn a_tail_cut_anywhere_loses_only_the_last_flush() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("wal");
        let records = filled(&path);
        let whole = std::fs::read(&path).unwrap();
        let first_end = HEADER + FRAME + 4 + 3 + 4;
        for cut in 0..whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let (mut wal, recovered) = FileWal::open(&path).unwrap();
            let expected = if cut < first_end {
                &records[..0]
            } else {
                &records[..2]
            };
            assert_eq!(recovered.records, expected, "cut at {cut}");
            if cut < HEADER {
                assert_eq!(recovered.height, None);
                continue;
            }
            // What is written after the cut is read back.
            wal.append(b"after".to_vec());
            wal.flush().unwrap();
            drop(wal);
            let (_, again) = FileWal::open(&path).unwrap();
            assert_eq!(again.records.last().unwrap(), b"after");
            assert_eq!(again.records.len(), expected.len() + 1);
        }
    }

    #[test]
    fn damage_before_the_end_is_refused_and_in_the_last_frame_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("wal");
        filled(&path);
        let whole = std::fs::read(&path).unwrap();
        let first_end = HEADER + FRAME + 4 + 3 + 4;
        for at in [0, 8, 16, HEADER + 4, HEADER + FRAME, first_end - 1] {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            std::fs::write(&path, &bytes).unwrap();
            assert!(
                matches!(FileWal::open(&path), Err(WalError::Damaged(_))),
                "byte {at}"
            );
        }
        for at in [first_end + 4, first_end + FRAME, whole.len() - 1] {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            std::fs::write(&path, &bytes).unwrap();
            assert_eq!(
                FileWal::open(&path).unwrap().1.records.len(),
                2,
                "byte {at}"
            );
        }
    }

    #[test]
    fn a_frame_of_another_height_is_not_ours() {
        assert_ne!(check(1, b"x"), check(2, b"x"));
    }
}
