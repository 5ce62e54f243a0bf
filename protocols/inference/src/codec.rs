//! Canonical bytes: little-endian fixed-width integers, `u32` length prefixes.
//!
//! Rules: one value has one encoding. The reader is strict: it refuses
//! truncation, trailing bytes and counts that exceed what is left, so nothing
//! larger than the input is ever allocated on its behalf.

use thiserror::Error;

/// Why canonical bytes were refused. The sender of the bytes is to blame.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CodecError {
    /// The bytes end before the value does.
    #[error("truncated: {0} more bytes were needed")]
    Truncated(usize),
    /// Bytes are left over after the value.
    #[error("{0} trailing bytes")]
    Trailing(usize),
    /// The encoding is longer than the caller allows.
    #[error("{len} bytes where at most {max} are allowed")]
    TooLong {
        /// Length of what was given, bytes.
        len: u64,
        /// The caller's cap, bytes.
        max: u64,
    },
    /// A field holds a value that no encoder writes.
    #[error("not canonical: {0}")]
    NotCanonical(&'static str),
}

/// Appends canonical fields to a byte vector.
#[derive(Debug, Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn u8(&mut self, v: u8) {
        self.0.push(v);
    }

    pub(crate) fn u32(&mut self, v: u32) {
        self.0.extend_from_slice(&v.to_le_bytes());
    }

    pub(crate) fn u64(&mut self, v: u64) {
        self.0.extend_from_slice(&v.to_le_bytes());
    }

    /// A count or length; saturates at `u32::MAX`, which no bounded value reaches.
    pub(crate) fn count(&mut self, v: usize) {
        self.u32(u32::try_from(v).unwrap_or(u32::MAX));
    }

    /// Raw bytes, no prefix: for fixed-size fields and tensor data.
    pub(crate) fn raw(&mut self, v: &[u8]) {
        self.0.extend_from_slice(v);
    }

    /// Bytes with a `u32` length prefix.
    pub(crate) fn bytes(&mut self, v: &[u8]) {
        self.count(v.len());
        self.raw(v);
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// Takes canonical fields from a byte slice.
#[derive(Debug)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Refuses `bytes` longer than `max` before looking at them.
    pub(crate) fn bounded(bytes: &'a [u8], max: u64) -> Result<Self, CodecError> {
        let len = bytes.len() as u64;
        if len > max {
            return Err(CodecError::TooLong { len, max });
        }
        Ok(Self(bytes))
    }

    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn raw(&mut self, n: usize) -> Result<&'a [u8], CodecError> {
        match self.0.split_at_checked(n) {
            Some((head, tail)) => {
                self.0 = tail;
                Ok(head)
            }
            None => Err(CodecError::Truncated(n - self.0.len())),
        }
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], CodecError> {
        let mut out = [0; N];
        out.copy_from_slice(self.raw(N)?);
        Ok(out)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, CodecError> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn u32(&mut self) -> Result<u32, CodecError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, CodecError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// A count of items that take at least `each` bytes: refused when the rest
    /// of the input cannot hold them.
    pub(crate) fn count(&mut self, each: usize) -> Result<usize, CodecError> {
        let n = self.u32()? as usize;
        let need = n.saturating_mul(each);
        if need > self.0.len() {
            return Err(CodecError::Truncated(need - self.0.len()));
        }
        Ok(n)
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], CodecError> {
        let n = self.count(1)?;
        self.raw(n)
    }

    pub(crate) fn finish(self) -> Result<(), CodecError> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(CodecError::Trailing(self.0.len()))
        }
    }
}
