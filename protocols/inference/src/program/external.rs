//! Where a model's constants are kept: in its file, or outside it.
//!
//! Rules: this crate opens no files. Whoever loads a model gives bytes per
//! location; exactly the bytes that the tensor's shape and type need are asked
//! for, at most [`Limits::max_external_bytes`](super::Limits) of them in all.
//! The model id covers the bytes, not where they were kept.

use prost::Message as _;

use super::file::ModelFile;
use super::outline::Extent;
use crate::onnx::{AttributeProto, TensorProto};
use crate::tensor::{DType, PbError, Tensor, from_elsewhere, from_proto, raw_len};

/// Gives the bytes that a model keeps outside its file.
pub trait ExternalData {
    /// `length` bytes at `offset` of `location`, which is the model's word: a
    /// path relative to the model's folder, not checked in any way.
    ///
    /// # Errors
    /// A reason for people. Giving fewer or more bytes counts as an error too.
    fn read(&mut self, location: &str, offset: u64, length: u64) -> Result<Vec<u8>, String>;
}

impl<F: FnMut(&str, u64, u64) -> Result<Vec<u8>, String>> ExternalData for F {
    fn read(&mut self, location: &str, offset: u64, length: u64) -> Result<Vec<u8>, String> {
        self(location, offset, length)
    }
}

/// Where constants come from while a model is lowered.
pub(super) struct Sources<'a> {
    /// The model's file, and where raw data is in it.
    pub(super) file: Box<dyn ModelFile + 'a>,
    pub(super) extents: Vec<Extent>,
    pub(super) external: Option<&'a mut dyn ExternalData>,
    /// Bytes that may still be asked for outside of the file.
    pub(super) left: u64,
}

impl Sources<'_> {
    /// Where in the file a tensor's raw data is, if it was left there.
    fn extent(&self, proto: &TensorProto) -> Option<Extent> {
        let index = proto.extent?.checked_sub(1)?;
        self.extents.get(usize::try_from(index).ok()?).copied()
    }

    /// Bytes that an attribute without graphs takes: its encoding, and what was
    /// left in the file.
    pub(super) fn size(&self, attribute: &AttributeProto) -> usize {
        let extent = attribute.t.as_ref().and_then(|t| self.extent(t));
        let left = extent.map_or(0, |e| usize::try_from(e.len).unwrap_or(usize::MAX));
        attribute.encoded_len().saturating_add(left)
    }

    /// Decodes a tensor, wherever its data is kept.
    pub(super) fn tensor(&mut self, mut proto: TensorProto) -> Result<Tensor, PbError> {
        if proto.data_location.unwrap_or(0) == 1
            && let Some(external) = self.external.as_deref_mut()
        {
            let raw = read(external, &mut self.left, &proto)?;
            proto.raw_data = Some(raw);
            proto.external_data.clear();
            proto.data_location = None;
            return from_proto(proto);
        }
        if proto.extent.unwrap_or(0) == 0 {
            return from_proto(proto);
        }
        let extent = self.extent(&proto);
        let extent = extent.ok_or(PbError::Data("raw data that is nowhere"))?;
        let file = &mut self.file;
        from_elsewhere(&proto, extent.len, |into| {
            file.read_at(extent.offset, into).map_err(PbError::Unread)
        })
    }
}

fn read(
    external: &mut dyn ExternalData,
    left: &mut u64,
    proto: &TensorProto,
) -> Result<Vec<u8>, PbError> {
    let (mut location, mut offset, mut length) = (None, 0u64, None);
    for entry in &proto.external_data {
        let value = entry.value.as_deref().unwrap_or_default();
        let number = || {
            value
                .parse::<u64>()
                .map_err(|_| PbError::Data("offset or length of external data"))
        };
        match entry.key.as_deref().unwrap_or_default() {
            "location" => location = Some(value),
            "offset" => offset = number()?,
            "length" => length = Some(number()?),
            // Checksums are hints: the model id covers the bytes themselves.
            _ => {}
        }
    }
    let location = location.ok_or(PbError::Data("external data without a location"))?;
    let outside = |reason: String| PbError::Outside {
        location: location.to_owned(),
        reason,
    };
    let inside = proto.raw_data.as_ref().is_some_and(|r| !r.is_empty());
    if inside || proto.extent.unwrap_or(0) > 0 {
        return Err(PbError::Data("data both in the file and outside"));
    }
    let code = proto.data_type.unwrap_or(0);
    let dtype = DType::from_code(i64::from(code)).ok_or(PbError::DType(code))?;
    let mut shape = Vec::with_capacity(proto.dims.len());
    for &d in &proto.dims {
        shape.push(usize::try_from(d).map_err(|_| PbError::Negative(d))?);
    }
    let wanted = raw_len(dtype, &shape);
    if length.is_some_and(|l| l != wanted) {
        return Err(outside(format!(
            "its shape needs {wanted} bytes, the model says {}",
            length.unwrap_or(0)
        )));
    }
    if offset.checked_add(wanted).is_none() {
        return Err(outside("offset out of range".into()));
    }
    *left = left
        .checked_sub(wanted)
        .ok_or_else(|| outside(format!("{wanted} more bytes are more than allowed")))?;
    let raw = external.read(location, offset, wanted).map_err(outside)?;
    if raw.len() as u64 != wanted {
        return Err(outside(format!(
            "{} bytes given, {wanted} wanted",
            raw.len()
        )));
    }
    Ok(raw)
}
