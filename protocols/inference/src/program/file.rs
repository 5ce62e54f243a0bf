//! A model's file, read piece by piece.
//!
//! Why: most of a model is weights. Read straight to where they stay, they take
//! their own memory and no more, and are copied once. This crate opens no files:
//! whoever loads a model says how its bytes are read.

use std::io::{Read, Seek, SeekFrom};

/// The bytes of a model's file, wherever they are.
pub trait ModelFile {
    /// How many there are. Asked once.
    fn len(&self) -> u64;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fills `into` with the bytes at `offset`; never asked beyond [`len`](Self::len).
    ///
    /// # Errors
    /// A reason for people. The reader is to blame, not the model.
    fn read_at(&mut self, offset: u64, into: &mut [u8]) -> Result<(), String>;
}

impl ModelFile for &[u8] {
    fn len(&self) -> u64 {
        (**self).len() as u64
    }

    fn read_at(&mut self, offset: u64, into: &mut [u8]) -> Result<(), String> {
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        let bytes = self
            .get(from..)
            .and_then(|b| b.get(..into.len()))
            .ok_or("beyond the end")?;
        into.copy_from_slice(bytes);
        Ok(())
    }
}

impl ModelFile for Vec<u8> {
    fn len(&self) -> u64 {
        self.as_slice().len() as u64
    }

    fn read_at(&mut self, offset: u64, into: &mut [u8]) -> Result<(), String> {
        self.as_slice().read_at(offset, into)
    }
}

impl<F: ModelFile + ?Sized> ModelFile for &mut F {
    fn len(&self) -> u64 {
        (**self).len()
    }

    fn read_at(&mut self, offset: u64, into: &mut [u8]) -> Result<(), String> {
        (**self).read_at(offset, into)
    }
}

/// A [`ModelFile`] over anything that is read from any place: an open file.
#[derive(Debug)]
pub struct Seekable<R> {
    inner: R,
    len: u64,
    /// Where the next read begins, if nothing has failed.
    at: Option<u64>,
}

impl<R: Read + Seek> Seekable<R> {
    /// Everything that `inner` has now.
    ///
    /// # Errors
    /// When its end cannot be found.
    pub fn new(mut inner: R) -> std::io::Result<Self> {
        let len = inner.seek(SeekFrom::End(0))?;
        let at = None;
        Ok(Self { inner, len, at })
    }
}

impl<R: Read + Seek> ModelFile for Seekable<R> {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&mut self, offset: u64, into: &mut [u8]) -> Result<(), String> {
        if self.at.take() != Some(offset) {
            let place = SeekFrom::Start(offset);
            self.inner.seek(place).map_err(|e| e.to_string())?;
        }
        self.inner.read_exact(into).map_err(|e| e.to_string())?;
        self.at = offset.checked_add(into.len() as u64);
        Ok(())
    }
}
