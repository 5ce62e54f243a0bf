//! A model without its weights, and where those are: what is decoded.
//!
//! Why: protobuf lets two bytes stand for an empty sub-message that takes a
//! hundred in memory; and a decoder would copy every weight, twice.
//! Rules: at most `max_parts` length-delimited fields in all, at most
//! [`MAX_DEPTH`] messages deep. Bytes that are not well-formed are refused. The
//! outline is the same message, except that every tensor tells last where its
//! raw data is: there, if shorter than [`LONG`] or in a function's body, which
//! may be copied; else in the file. Of several raw data the last counts, as
//! protobuf wants it.

use super::control::MAX_NESTING;
use super::file::ModelFile;

/// Deepest nesting of messages: three for each of [`MAX_NESTING`] bodies, and
/// what stands around and in the innermost; prost itself stops at 100.
const MAX_DEPTH: usize = 3 * MAX_NESTING + 10;
/// Raw data of so many bytes stays in the file.
const LONG: u64 = 4096;
/// Bytes read at a time while messages are looked at.
const WINDOW: u64 = 16 << 10;
/// Fields of a tensor: its raw data, and (ours) the number of its extent.
const RAW_DATA: u64 = 9;
const EXTENT: u64 = 1000;
/// Bytes of a message's length in the outline: enough for 32 GiB.
const LENGTH: usize = 5;

/// What is wrong with the wire bytes, or with reading them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum OutlineError {
    Truncated,
    Malformed,
    TooDeep,
    TooMany,
    Unread(String),
}

/// Where raw data is in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) offset: u64,
    pub(super) len: u64,
}

/// A model without its long raw data. `TensorProto.extent` is 0, or one more
/// than an index of `extents`.
#[derive(Debug, Default)]
pub(super) struct Outline {
    pub(super) message: Vec<u8>,
    pub(super) extents: Vec<Extent>,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    ValueInfo,
    Type,
    TensorType,
    Shape,
    Function,
    /// A message without sub-messages.
    Leaf,
}

/// The sub-message kind of a length-delimited field that prost will decode.
fn child(kind: Kind, field: u64) -> Option<Kind> {
    Some(match (kind, field) {
        (Kind::Model, 7) => Kind::Graph,
        (Kind::Model, 8) => Kind::Leaf,
        (Kind::Model, 25) => Kind::Function,
        (Kind::Function, 7) => Kind::Node,
        (Kind::Function, 9) => Kind::Leaf,
        (Kind::Function, 11) => Kind::Attribute,
        (Kind::Graph, 1) => Kind::Node,
        (Kind::Graph, 5) => Kind::Tensor,
        (Kind::Graph, 11 | 12) => Kind::ValueInfo,
        (Kind::Graph, 15) => Kind::Leaf,
        (Kind::Node, 5) => Kind::Attribute,
        (Kind::Attribute, 5) => Kind::Tensor,
        (Kind::Attribute, 6) => Kind::Graph,
        (Kind::Tensor, 3 | 13) => Kind::Leaf,
        (Kind::ValueInfo, 2) => Kind::Type,
        (Kind::Type, 1) => Kind::TensorType,
        (Kind::TensorType, 2) => Kind::Shape,
        (Kind::Shape, 1) => Kind::Leaf,
        _ => return None,
    })
}

/// Looks a `ModelProto` of `len` bytes through.
pub(super) fn outline(
    file: &mut dyn ModelFile,
    len: u64,
    max_parts: usize,
) -> Result<Outline, OutlineError> {
    let mut walk = Walk {
        file,
        len,
        window: Vec::new(),
        start: 0,
        parts: max_parts,
        function: false,
        out: Outline::default(),
    };
    walk.message(0, len, Kind::Model, 0)?;
    Ok(walk.out)
}

struct Walk<'a> {
    file: &'a mut dyn ModelFile,
    len: u64,
    /// The bytes from `start` on.
    window: Vec<u8>,
    start: u64,
    /// Length-delimited fields that there may still be.
    parts: usize,
    /// Whether we are in a function.
    function: bool,
    out: Outline,
}

impl Walk<'_> {
    /// Passes on the message in `at..end`.
    fn message(
        &mut self,
        mut at: u64,
        end: u64,
        kind: Kind,
        depth: usize,
    ) -> Result<(), OutlineError> {
        if depth > MAX_DEPTH {
            return Err(OutlineError::TooDeep);
        }
        let mut raw = None;
        while at < end {
            let start = at;
            let tag = self.varint(&mut at, end)?;
            let (field, body) = (tag >> 3, at);
            match tag & 7 {
                0 => {
                    self.varint(&mut at, end)?;
                }
                1 => at = step(at, 8, end)?,
                5 => at = step(at, 4, end)?,
                2 => {
                    let len = self.varint(&mut at, end)?;
                    let from = at;
                    at = step(at, len, end)?;
                    self.parts = self.parts.checked_sub(1).ok_or(OutlineError::TooMany)?;
                    if let Some(inner) = child(kind, field) {
                        self.copy(start, body)?;
                        self.function |= inner == Kind::Function;
                        self.nested(from, at, inner, depth + 1)?;
                        self.function &= inner != Kind::Function;
                        continue;
                    }
                    if kind == Kind::Tensor && field == RAW_DATA {
                        raw = Some(Extent { offset: from, len });
                        continue;
                    }
                }
                _ => return Err(OutlineError::Malformed),
            }
            // A file has no say in where its data is.
            if kind != Kind::Tensor || field != EXTENT {
                self.copy(start, at)?;
            }
        }
        raw.map_or(Ok(()), |raw| self.raw_data(raw))
    }

    /// Passes on a message's length and the message.
    fn nested(&mut self, at: u64, end: u64, kind: Kind, depth: usize) -> Result<(), OutlineError> {
        let hole = self.out.message.len();
        self.out.message.extend([0; LENGTH]);
        self.message(at, end, kind, depth)?;
        let mut left = self.out.message.len() - hole - LENGTH;
        for (i, byte) in self
            .out
            .message
            .iter_mut()
            .skip(hole)
            .take(LENGTH)
            .enumerate()
        {
            // A varint may be longer than it needs.
            *byte = (left & 0x7f) as u8 | if i + 1 < LENGTH { 0x80 } else { 0 };
            left >>= 7;
        }
        if left > 0 {
            return Err(OutlineError::TooMany);
        }
        Ok(())
    }

    /// Tells where a tensor's raw data is. Both fields are always set: where two
    /// messages stand for one tensor, the later one decides.
    fn raw_data(&mut self, raw: Extent) -> Result<(), OutlineError> {
        let stays = raw.len < LONG || self.function;
        let here = if stays { raw.len } else { 0 };
        put(RAW_DATA << 3 | 2, &mut self.out.message);
        put(here, &mut self.out.message);
        self.copy(raw.offset, raw.offset + here)?;
        let mut number = 0;
        if here < raw.len {
            self.out.extents.push(raw);
            number = self.out.extents.len() as u64;
        }
        put(EXTENT << 3, &mut self.out.message);
        put(number, &mut self.out.message);
        Ok(())
    }

    /// Passes on the bytes `at..end` as they are.
    fn copy(&mut self, at: u64, end: u64) -> Result<(), OutlineError> {
        let len = usize::try_from(end - at).map_err(|_| OutlineError::Truncated)?;
        if len == 0 {
            return Ok(());
        }
        if end - at <= WINDOW {
            let range = self.look(at, len)?;
            let bytes = self.window.get(range).unwrap_or(&[]);
            self.out.message.extend_from_slice(bytes);
            return Ok(());
        }
        let old = self.out.message.len();
        self.out.message.resize(old + len, 0);
        let into = self.out.message.get_mut(old..).unwrap_or(&mut []);
        self.file.read_at(at, into).map_err(OutlineError::Unread)
    }

    /// Where in the window the `len` bytes at `at` are, at most [`WINDOW`] of them.
    fn look(&mut self, at: u64, len: usize) -> Result<std::ops::Range<usize>, OutlineError> {
        let inside = |start: u64, have: usize| {
            let from = usize::try_from(at.checked_sub(start)?).ok()?;
            let to = from.checked_add(len)?;
            (to <= have).then_some(from..to)
        };
        if let Some(range) = inside(self.start, self.window.len()) {
            return Ok(range);
        }
        let more = self.len.saturating_sub(at).min(WINDOW);
        self.window.clear();
        self.window.resize(more as usize, 0);
        self.start = at;
        self.file
            .read_at(at, &mut self.window)
            .map_err(OutlineError::Unread)?;
        inside(at, self.window.len()).ok_or(OutlineError::Truncated)
    }

    fn varint(&mut self, at: &mut u64, end: u64) -> Result<u64, OutlineError> {
        let mut v = 0u64;
        for shift in (0..70).step_by(7) {
            if *at >= end {
                return Err(OutlineError::Truncated);
            }
            let range = self.look(*at, 1)?;
            let byte = self.window.get(range.start).copied().unwrap_or(0);
            *at += 1;
            if shift == 63 && byte > 1 {
                break;
            }
            v |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(v);
            }
        }
        Err(OutlineError::Malformed)
    }
}

/// `at + by`, if that is not beyond `end`.
fn step(at: u64, by: u64, end: u64) -> Result<u64, OutlineError> {
    at.checked_add(by)
        .filter(|to| *to <= end)
        .ok_or(OutlineError::Truncated)
}

/// Appends a varint.
fn put(mut v: u64, out: &mut Vec<u8>) {
    while v >= 0x80 {
        out.push(v as u8 | 0x80);
        v >>= 7;
    }
    out.push(v as u8);
}

#[cfg(test)]
mod tests;
