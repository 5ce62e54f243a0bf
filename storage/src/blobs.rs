//! Content-addressed bytes, a file each.
//!
//! - Files and not a database: blobs are large (models), are read by ranges,
//!   and their room must come back the moment they are removed. A database
//!   file never shrinks, copies pages when it writes, and bounds its values.
//! - A file is the blob's manifest and then its bytes. Whatever is read is
//!   checked, piece by piece, against the manifest, and the manifest against
//!   the id; so a damaged disk is noticed and never served.
//! - A blob is written beside, flushed, and then moved to its place: under its
//!   name there is either all of it or nothing. What was left half written is
//!   removed on opening.
//! - The sum of all blobs, also of those being written, stays within
//!   `bytes_max`; each counts as whole disk blocks, which bounds their number
//!   as well. Nothing is evicted: only the owner knows what is still needed.

use crate::data_dir::{DataDir, create_private, sync_dir};
use crate::error::StoreError;
use crate::layout::{BLOBS_DIR, BLOBS_TMP_DIR};
use aether_mesh::{BlobError, BlobId, BlobRef, Manifest, PIECE_BYTES};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a small file takes on common file systems.
const DISK_BLOCK_BYTES: u64 = 4_096;

/// The blobs of a data directory. Clones are handles to the same store.
#[derive(Clone)]
pub struct BlobStore(Arc<Shared>);

struct Shared {
    root: PathBuf,
    bytes_max: u64,
    index: Mutex<Index>,
    _dir: DataDir,
}

#[derive(Default)]
struct Index {
    /// Id to length.
    blobs: BTreeMap<BlobId, u64>,
    /// On disk and reserved.
    used: u64,
    next_tmp: u64,
}

impl BlobStore {
    /// Opens the blobs of a data directory, which may take `bytes_max` bytes.
    ///
    /// A file that is not as long as it says is removed: it can serve nobody,
    /// and the blob can be fetched again.
    pub fn open(dir: &DataDir, bytes_max: u64) -> Result<Self, StoreError> {
        let root = dir.path().join(BLOBS_DIR);
        let tmp = root.join(BLOBS_TMP_DIR);
        let mut index = Index::default();
        scan(&root, &tmp, &mut index).map_err(|e| disk("opening", &root, e))?;
        let index = Mutex::new(index);
        Ok(Self(Arc::new(Shared {
            root,
            bytes_max,
            index,
            _dir: dir.clone(),
        })))
    }

    /// Stores bytes at hand.
    pub fn put(&self, bytes: &[u8]) -> Result<BlobRef, StoreError> {
        let manifest = Manifest::of(bytes);
        let blob = manifest.blob_ref();
        if self.has(&blob.id) {
            return Ok(blob);
        }
        let mut writer = self.begin(manifest)?;
        for (i, piece) in bytes.chunks(PIECE_BYTES).enumerate() {
            writer.write_piece(i as u32, piece)?;
        }
        writer.finish()
    }

    /// Makes room for a blob whose pieces will come one by one. Dropping the
    /// writer gives the room back.
    ///
    /// [`StoreError::BlobsFull`] when it does not fit.
    pub fn begin(&self, manifest: Manifest) -> Result<BlobWriter, StoreError> {
        let blob = manifest.blob_ref();
        let needed = cost(blob.bytes_len);
        let path = {
            let mut index = self.0.index();
            let (used, max) = (index.used, self.0.bytes_max);
            if needed > max.saturating_sub(used) {
                return Err(StoreError::BlobsFull { needed, used, max });
            }
            index.used += needed;
            index.next_tmp += 1;
            self.0
                .root
                .join(BLOBS_TMP_DIR)
                .join(index.next_tmp.to_string())
        };
        // From here on the room is given back by the writer's `drop`.
        let mut writer = BlobWriter {
            shared: self.0.clone(),
            received: vec![false; manifest.piece_count() as usize],
            manifest,
            blob,
            path,
            file: None,
            stored: false,
        };
        let made = File::create_new(&writer.path).and_then(|mut file| {
            file.write_all(&writer.manifest.encode())?;
            Ok(file)
        });
        writer.file = Some(made.map_err(|e| disk("making", &writer.path, e))?);
        Ok(writer)
    }

    /// Whether it is stored.
    pub fn has(&self, id: &BlobId) -> bool {
        self.0.index().blobs.contains_key(id)
    }

    /// Its length in bytes.
    pub fn bytes_len(&self, id: &BlobId) -> Option<u64> {
        self.0.index().blobs.get(id).copied()
    }

    /// All of it, checked; `None` when it is not stored. The caller minds the
    /// length.
    pub fn get(&self, id: &BlobId) -> Result<Option<Vec<u8>>, StoreError> {
        match self.bytes_len(id) {
            Some(len) => self.range(id, 0, len),
            None => Ok(None),
        }
    }

    /// The manifest, checked against the id.
    pub fn manifest(&self, id: &BlobId) -> Result<Option<Manifest>, StoreError> {
        Ok(self.open_blob(id)?.map(|open| open.manifest))
    }

    /// Piece `index` of at most [`PIECE_BYTES`], checked. `None` when the blob
    /// is not stored or has no such piece.
    pub fn piece(&self, id: &BlobId, index: u32) -> Result<Option<Vec<u8>>, StoreError> {
        match self.open_blob(id)? {
            Some(mut open) if index < open.manifest.piece_count() => open.piece(index).map(Some),
            _ => Ok(None),
        }
    }

    /// The bytes from `offset`, up to `len` of them or the blob's end,
    /// checked. `None` when the blob is not stored.
    pub fn range(&self, id: &BlobId, offset: u64, len: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(mut open) = self.open_blob(id)? else {
            return Ok(None);
        };
        let end = offset.saturating_add(len).min(open.bytes_len);
        let mut out = Vec::with_capacity(end.saturating_sub(offset) as usize);
        let mut at = offset;
        while at < end {
            let start = at - at % PIECE_BYTES as u64;
            let piece = open.piece((start / PIECE_BYTES as u64) as u32)?;
            let stop = (end - start).min(piece.len() as u64);
            let part = piece.get((at - start) as usize..stop as usize);
            out.extend_from_slice(part.ok_or_else(|| open.damaged("is too short"))?);
            at = start + stop;
        }
        Ok(Some(out))
    }

    /// Removes it; whether it was there.
    pub fn remove(&self, id: &BlobId) -> Result<bool, StoreError> {
        let mut index = self.0.index();
        let Some(len) = index.blobs.get(id).copied() else {
            return Ok(false);
        };
        let path = self.0.path(id);
        match fs::remove_file(&path) {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(disk("removing", &path, e)),
        }
        index.blobs.remove(id);
        index.used = index.used.saturating_sub(cost(len));
        Ok(true)
    }

    /// All blobs, in order of their ids.
    pub fn list(&self) -> Vec<BlobRef> {
        let index = self.0.index();
        index
            .blobs
            .iter()
            .map(|(id, len)| BlobRef {
                id: *id,
                bytes_len: *len,
            })
            .collect()
    }

    /// Bytes taken, including room held for blobs being written.
    pub fn used_bytes(&self) -> u64 {
        self.0.index().used
    }

    /// The limit.
    pub fn bytes_max(&self) -> u64 {
        self.0.bytes_max
    }

    fn open_blob(&self, id: &BlobId) -> Result<Option<OpenBlob>, StoreError> {
        let Some(bytes_len) = self.bytes_len(id) else {
            return Ok(None);
        };
        let path = self.0.path(id);
        let read = || -> io::Result<(File, Vec<u8>)> {
            let mut file = File::open(&path)?;
            let mut manifest = vec![0; manifest_len(bytes_len) as usize];
            file.read_exact(&mut manifest)?;
            Ok((file, manifest))
        };
        let (file, manifest) = match read() {
            Ok(read) => read,
            // Removed since we looked it up.
            Err(e) if e.kind() == io::ErrorKind::NotFound && !self.has(id) => return Ok(None),
            Err(e) => return Err(disk("reading", &path, e)),
        };
        let manifest = Manifest::decode(&manifest, &BlobRef { id: *id, bytes_len })
            .map_err(|e| StoreError::corrupted(format!("{}: {e}", path.display())))?;
        Ok(Some(OpenBlob {
            path,
            file,
            manifest,
            bytes_len,
        }))
    }
}

struct OpenBlob {
    path: PathBuf,
    file: File,
    manifest: Manifest,
    bytes_len: u64,
}

impl OpenBlob {
    fn damaged(&self, what: impl std::fmt::Display) -> StoreError {
        StoreError::corrupted(format!("{}: {what}", self.path.display()))
    }

    /// A piece that the manifest has.
    fn piece(&mut self, index: u32) -> Result<Vec<u8>, StoreError> {
        let start = u64::from(index) * PIECE_BYTES as u64;
        let len = self.bytes_len.saturating_sub(start).min(PIECE_BYTES as u64);
        let mut bytes = vec![0; len as usize];
        self.file
            .seek(SeekFrom::Start(manifest_len(self.bytes_len) + start))
            .and_then(|_| self.file.read_exact(&mut bytes))
            .map_err(|e| disk("reading", &self.path, e))?;
        self.manifest
            .check_piece(index, &bytes)
            .map_err(|e| self.damaged(e))?;
        Ok(bytes)
    }
}

/// A blob whose pieces are still coming, in any order.
pub struct BlobWriter {
    shared: Arc<Shared>,
    manifest: Manifest,
    blob: BlobRef,
    received: Vec<bool>,
    path: PathBuf,
    file: Option<File>,
    stored: bool,
}

impl BlobWriter {
    /// Writes a piece that came from anywhere; a second time does no harm.
    ///
    /// [`StoreError::WrongBlob`] when it is not what the manifest says: its
    /// sender's fault, and the writer goes on as if it had not come.
    pub fn write_piece(&mut self, index: u32, bytes: &[u8]) -> Result<(), StoreError> {
        self.manifest.check_piece(index, bytes)?;
        let start = manifest_len(self.blob.bytes_len) + u64::from(index) * PIECE_BYTES as u64;
        let (Some(received), Some(file)) =
            (self.received.get_mut(index as usize), self.file.as_mut())
        else {
            return Err(BlobError::Piece(index).into());
        };
        file.seek(SeekFrom::Start(start))
            .and_then(|_| file.write_all(bytes))
            .map_err(|e| disk("writing", &self.path, e))?;
        *received = true;
        Ok(())
    }

    /// The blob that is being written.
    pub fn blob(&self) -> BlobRef {
        self.blob
    }

    /// The pieces that have not come yet, in order.
    pub fn missing(&self) -> impl Iterator<Item = u32> + '_ {
        self.received
            .iter()
            .enumerate()
            .filter(|(_, got)| !**got)
            .map(|(i, _)| i as u32)
    }

    /// Flushes it and gives it its name. [`StoreError::Mismatch`] while pieces
    /// are missing.
    pub fn finish(mut self) -> Result<BlobRef, StoreError> {
        if self.missing().next().is_some() {
            return Err(StoreError::Mismatch("pieces of the blob are missing"));
        }
        let Some(file) = self.file.take() else {
            return Err(StoreError::Mismatch("the blob's file was never made"));
        };
        let path = self.shared.path(&self.blob.id);
        let place = || -> io::Result<()> {
            file.sync_all()?;
            drop(file);
            if let Some(parent) = path.parent() {
                create_private(parent)?;
                fs::rename(&self.path, &path)?;
                sync_dir(parent)?;
                sync_dir(&self.shared.root)?;
            }
            Ok(())
        };
        // The index changes with the file, under one lock.
        let shared = self.shared.clone();
        let mut index = shared.index();
        place().map_err(|e| disk("placing", &path, e))?;
        if index
            .blobs
            .insert(self.blob.id, self.blob.bytes_len)
            .is_some()
        {
            // It was written twice at once: one file remains, and one room.
            index.used = index.used.saturating_sub(cost(self.blob.bytes_len));
        }
        self.stored = true;
        Ok(self.blob)
    }
}

impl Drop for BlobWriter {
    fn drop(&mut self) {
        if !self.stored {
            self.file = None;
            // If it stays, opening removes it.
            let _ = fs::remove_file(&self.path);
            let mut index = self.shared.index();
            index.used = index.used.saturating_sub(cost(self.blob.bytes_len));
        }
    }
}

impl Shared {
    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self, id: &BlobId) -> PathBuf {
        let name = id.to_string();
        self.root
            .join(name.get(..2).unwrap_or_default())
            .join(&name)
    }
}

fn disk(doing: &str, path: &Path, e: io::Error) -> StoreError {
    StoreError::disk(format!("{doing} {}", path.display()), e)
}

/// Bytes of the manifest of a blob.
fn manifest_len(bytes_len: u64) -> u64 {
    8 + 32 * bytes_len.div_ceil(PIECE_BYTES as u64)
}

/// Bytes a blob counts for: its file in whole disk blocks.
fn cost(bytes_len: u64) -> u64 {
    let file = manifest_len(bytes_len).saturating_add(bytes_len);
    file.div_ceil(DISK_BLOCK_BYTES)
        .saturating_mul(DISK_BLOCK_BYTES)
}

/// Fills the index from the directory; empties `tmp`.
fn scan(root: &Path, tmp: &Path, index: &mut Index) -> io::Result<()> {
    create_private(tmp)?;
    for entry in fs::read_dir(tmp)? {
        fs::remove_file(entry?.path())?;
    }
    for shelf in fs::read_dir(root)? {
        let shelf = shelf?;
        if shelf.file_name() == BLOBS_TMP_DIR || !shelf.file_type()?.is_dir() {
            continue;
        }
        for entry in fs::read_dir(shelf.path())? {
            let entry = entry?;
            let name = entry.file_name();
            let id = name.to_str().and_then(|name| name.parse::<BlobId>().ok());
            // Files that are not ours are left alone.
            let Some(id) = id else { continue };
            match length_of(&entry.path())? {
                Some(len) => {
                    index.blobs.insert(id, len);
                    index.used = index.used.saturating_add(cost(len));
                }
                None => fs::remove_file(entry.path())?,
            }
        }
    }
    Ok(())
}

/// The blob's length, if the file is as long as that makes it.
fn length_of(path: &Path) -> io::Result<Option<u64>> {
    let mut file = File::open(path)?;
    let file_len = file.metadata()?.len();
    let mut first = [0; 8];
    match file.read_exact(&mut first) {
        Ok(()) => {}
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(e) => return Err(e),
    }
    let len = u64::from_le_bytes(first);
    let fits = len <= file_len && manifest_len(len).checked_add(len) == Some(file_len);
    Ok(fits.then_some(len))
}
