//! Content-addressed bytes on this node's disk, and the programs lowered from
//! them.
//!
//! A transition may ask for a model's program many times: the last few stay
//! lowered. Lowering is a function of the bytes, so a cache changes nothing.

use aether_inference::{Limits, ModelError, Program};
use aether_mesh::{BlobRef, Library};
use aether_storage::BlobStore;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Programs kept lowered.
const PROGRAMS_MAX: usize = 16;
/// Small blobs kept in memory, by count and size of each.
const RECENT_MAX: usize = 64;
const RECENT_BYTES_MAX: usize = 256 << 10;

type Lowered = Result<Arc<Program>, ModelError>;

/// A [`Library`] over the blob store.
pub struct NodeLibrary {
    blobs: BlobStore,
    limits: Limits,
    programs: Mutex<VecDeque<(BlobRef, Lowered)>>,
    recent: Mutex<VecDeque<(BlobRef, Arc<[u8]>)>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every critical section is a single push or look-up: a panic elsewhere
    // leaves the cache whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl NodeLibrary {
    /// Over an open store.
    pub fn new(blobs: BlobStore, limits: Limits) -> Self {
        Self {
            blobs,
            limits,
            programs: Mutex::default(),
            recent: Mutex::default(),
        }
    }

    /// The store below.
    pub fn store(&self) -> &BlobStore {
        &self.blobs
    }

    /// Whether the bytes are here.
    pub fn has(&self, blob: &BlobRef) -> bool {
        self.blobs.bytes_len(&blob.id) == Some(blob.bytes_len)
    }
}

impl Library for NodeLibrary {
    fn blob(&self, blob: &BlobRef) -> Option<Arc<[u8]>> {
        if let Some((_, bytes)) = lock(&self.recent).iter().find(|(b, _)| b == blob) {
            return Some(bytes.clone());
        }
        if !self.has(blob) {
            return None;
        }
        match self.blobs.get(&blob.id) {
            Ok(bytes) => {
                let bytes: Arc<[u8]> = bytes?.into();
                if bytes.len() <= RECENT_BYTES_MAX {
                    let mut recent = lock(&self.recent);
                    recent.push_front((*blob, bytes.clone()));
                    recent.truncate(RECENT_MAX);
                }
                Some(bytes)
            }
            Err(error) => {
                tracing::error!(blob = %blob.id, %error, "a held blob could not be read");
                None
            }
        }
    }

    fn program(&self, onnx: &BlobRef) -> Option<Lowered> {
        {
            let mut programs = lock(&self.programs);
            if let Some(at) = programs.iter().position(|(b, _)| b == onnx) {
                let found = programs.remove(at)?;
                let lowered = found.1.clone();
                programs.push_front(found);
                return Some(lowered);
            }
        }
        let bytes = self.blob(onnx)?;
        let lowered = Program::from_onnx(&bytes, &self.limits).map(Arc::new);
        let mut programs = lock(&self.programs);
        programs.push_front((*onnx, lowered.clone()));
        programs.truncate(PROGRAMS_MAX);
        Some(lowered)
    }
}
