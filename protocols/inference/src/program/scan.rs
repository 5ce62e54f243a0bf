//! A look at a model's wire bytes before they are decoded.
//!
//! Why: protobuf lets two bytes stand for an empty sub-message that takes a
//! hundred in memory. Rule: at most `max_parts` length-delimited fields in all,
//! at most [`MAX_DEPTH`] messages deep, counted without allocating. Bytes that
//! are not well-formed are refused here as well.

use super::control::MAX_NESTING;

/// Deepest nesting of messages: three for each of [`MAX_NESTING`] bodies, and
/// what stands around and in the innermost; prost itself stops at 100.
const MAX_DEPTH: usize = 3 * MAX_NESTING + 10;

/// What is wrong with the wire bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ScanError {
    Truncated,
    Malformed,
    TooDeep,
    TooMany,
}

#[derive(Clone, Copy)]
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

/// Checks `bytes` as a `ModelProto`.
pub(super) fn scan(bytes: &[u8], max_parts: usize) -> Result<(), ScanError> {
    let mut parts = 0;
    message(bytes, Kind::Model, 0, max_parts, &mut parts)
}

fn message(
    mut b: &[u8],
    kind: Kind,
    depth: usize,
    max: usize,
    parts: &mut usize,
) -> Result<(), ScanError> {
    if depth > MAX_DEPTH {
        return Err(ScanError::TooDeep);
    }
    while !b.is_empty() {
        let tag = varint(&mut b)?;
        match tag & 7 {
            0 => {
                varint(&mut b)?;
            }
            1 => take(&mut b, 8).map(drop)?,
            5 => take(&mut b, 4).map(drop)?,
            2 => {
                let len = usize::try_from(varint(&mut b)?).map_err(|_| ScanError::Truncated)?;
                let body = take(&mut b, len)?;
                *parts += 1;
                if *parts > max {
                    return Err(ScanError::TooMany);
                }
                if let Some(kind) = child(kind, tag >> 3) {
                    message(body, kind, depth + 1, max, parts)?;
                }
            }
            _ => return Err(ScanError::Malformed),
        }
    }
    Ok(())
}

fn take<'a>(b: &mut &'a [u8], n: usize) -> Result<&'a [u8], ScanError> {
    let (head, tail) = b.split_at_checked(n).ok_or(ScanError::Truncated)?;
    *b = tail;
    Ok(head)
}

fn varint(b: &mut &[u8]) -> Result<u64, ScanError> {
    let mut v = 0u64;
    for shift in (0..70).step_by(7) {
        let byte = take(b, 1)?[0];
        if shift < 64 {
            v |= u64::from(byte & 0x7f) << shift;
        }
        if byte < 0x80 {
            return Ok(v);
        }
    }
    Err(ScanError::Malformed)
}
