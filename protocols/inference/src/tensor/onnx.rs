//! ONNX `TensorProto` to and from [`Tensor`].
//!
//! Rules: data sits in `raw_data` or in the typed field of its type, never in
//! both; external and segmented data are refused; the number of elements must
//! match the dimensions exactly. Nothing is allocated beyond what the encoded
//! bytes already hold.

use prost::Message;
use thiserror::Error;

use super::codec::{data_from_bytes, data_from_reader};
use super::{DType, Data, F16, Tensor, TensorError, numel};
use crate::onnx::TensorProto;

/// Why a `TensorProto` was refused. Whoever made the file is to blame.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PbError {
    /// The file is larger than the caller allows.
    #[error("{0} bytes, more than allowed")]
    TooLong(usize),
    /// Not a protobuf message.
    #[error("not a TensorProto: {0}")]
    Decode(String),
    /// An element type that this crate does not have.
    #[error("element type {name} (code {0}) is not supported", name = type_name(*.0))]
    DType(i32),
    /// Data kept outside the file or in segments.
    #[error("external or segmented data")]
    External,
    /// Data kept outside the file that could not be had.
    #[error("data in `{location}`: {reason}")]
    Outside {
        /// Where the model says that it is.
        location: String,
        /// Why it could not be had.
        reason: String,
    },
    /// The model's file could not be read; whoever reads it is to blame.
    #[error("the file could not be read: {0}")]
    Unread(String),
    /// A negative dimension.
    #[error("negative dimension {0}")]
    Negative(i64),
    /// Shape and data disagree, or the shape is out of bounds.
    #[error(transparent)]
    Tensor(#[from] TensorError),
    /// Data in both the raw and the typed field, or a value out of its type's range.
    #[error("malformed data: {0}")]
    Data(&'static str),
}

impl Tensor {
    /// Decodes an ONNX `TensorProto` (`.pb`) of at most `max_bytes`; returns
    /// its name, which may be empty, and the tensor.
    ///
    /// # Errors
    /// When the bytes are not a tensor that this crate supports.
    pub fn from_onnx_pb(bytes: &[u8], max_bytes: usize) -> Result<(String, Tensor), PbError> {
        if bytes.len() > max_bytes {
            return Err(PbError::TooLong(bytes.len()));
        }
        let mut proto = TensorProto::decode(bytes).map_err(|e| PbError::Decode(e.to_string()))?;
        let name = proto.name.take().unwrap_or_default();
        Ok((name, from_proto(proto)?))
    }

    /// The tensor as an ONNX `TensorProto`.
    pub fn to_onnx_pb(&self, name: &str) -> Vec<u8> {
        TensorProto {
            dims: self.shape().iter().map(|&d| d as i64).collect(),
            data_type: Some(i32::from(self.dtype().code())),
            name: Some(name.to_owned()),
            raw_data: Some(self.to_le_bytes()),
            ..TensorProto::default()
        }
        .encode_to_vec()
    }
}

/// A `TensorProto`'s element type and shape.
fn describe(proto: &TensorProto) -> Result<(DType, Vec<usize>), PbError> {
    let code = proto.data_type.unwrap_or(0);
    let dtype = DType::from_code(i64::from(code)).ok_or(PbError::DType(code))?;
    if proto.segment.is_some()
        || !proto.external_data.is_empty()
        || proto.data_location.unwrap_or(0) != 0
    {
        return Err(PbError::External);
    }
    let mut shape = Vec::with_capacity(proto.dims.len());
    for &d in &proto.dims {
        shape.push(usize::try_from(d).map_err(|_| PbError::Negative(d))?);
    }
    super::check_shape(&shape)?;
    Ok((dtype, shape))
}

/// Elements in the typed fields.
fn typed(proto: &TensorProto) -> usize {
    proto.float_data.len()
        + proto.int32_data.len()
        + proto.int64_data.len()
        + proto.double_data.len()
        + proto.uint64_data.len()
}

/// Bytes that raw data of this type and shape has (saturating).
pub(crate) fn raw_len(dtype: DType, shape: &[usize]) -> u64 {
    numel(shape).saturating_mul(dtype.size() as u64)
}

/// Converts a decoded `TensorProto` whose raw data, `len` bytes, is elsewhere:
/// `read` fills a slice of that length with it.
pub(crate) fn from_elsewhere(
    proto: &TensorProto,
    len: u64,
    read: impl FnOnce(&mut [u8]) -> Result<(), PbError>,
) -> Result<Tensor, PbError> {
    let (dtype, shape) = describe(proto)?;
    if typed(proto) > 0 {
        return Err(PbError::Data("both raw and typed"));
    }
    if len != raw_len(dtype, &shape) {
        return Err(PbError::Data("raw data does not fill the shape"));
    }
    let len = usize::try_from(len).map_err(|_| PbError::Data("raw data is too long"))?;
    let data = data_from_reader(dtype, len, read)?;
    let data = data.ok_or(PbError::Data("boolean is neither 0 nor 1"))?;
    Ok(Tensor::new(&shape, data)?)
}

/// Converts a decoded `TensorProto`.
pub(crate) fn from_proto(proto: TensorProto) -> Result<Tensor, PbError> {
    let (dtype, shape) = describe(&proto)?;
    let typed = typed(&proto);
    let data = match proto.raw_data {
        Some(raw) if !raw.is_empty() => {
            if typed > 0 {
                return Err(PbError::Data("both raw and typed"));
            }
            if raw.len() as u64 != raw_len(dtype, &shape) {
                return Err(PbError::Data("raw data does not fill the shape"));
            }
            data_from_bytes(dtype, &raw).ok_or(PbError::Data("boolean is neither 0 nor 1"))?
        }
        _ => {
            let small = |what| PbError::Data(what);
            match dtype {
                DType::F32 => Data::F32(proto.float_data),
                DType::I64 => Data::I64(proto.int64_data),
                DType::I32 => Data::I32(proto.int32_data),
                DType::U8 => Data::U8(narrow(&proto.int32_data).ok_or(small("not a u8"))?),
                DType::I8 => Data::I8(narrow(&proto.int32_data).ok_or(small("not an i8"))?),
                DType::U16 => Data::U16(narrow(&proto.int32_data).ok_or(small("not a u16"))?),
                DType::I16 => Data::I16(narrow(&proto.int32_data).ok_or(small("not an i16"))?),
                // The bits of a half sit in an int32.
                DType::F16 => Data::F16(
                    narrow::<u16, _>(&proto.int32_data)
                        .ok_or(small("not an f16"))?
                        .into_iter()
                        .map(F16::from_bits)
                        .collect(),
                ),
                DType::F64 => Data::F64(proto.double_data),
                DType::U32 => Data::U32(narrow(&proto.uint64_data).ok_or(small("not a u32"))?),
                DType::U64 => Data::U64(proto.uint64_data),
                DType::Bool => Data::Bool(
                    narrow::<u8, _>(&proto.int32_data)
                        .filter(|v| v.iter().all(|&b| b < 2))
                        .ok_or(small("boolean is neither 0 nor 1"))?
                        .into_iter()
                        .map(|b| b == 1)
                        .collect(),
                ),
            }
        }
    };
    Ok(Tensor::new(&shape, data)?)
}

fn narrow<T: TryFrom<S>, S: Copy>(v: &[S]) -> Option<Vec<T>> {
    v.iter().map(|&x| T::try_from(x).ok()).collect()
}

/// ONNX's name of an element type that this crate does not have.
pub(crate) const fn type_name(code: i32) -> &'static str {
    match code {
        0 => "undefined",
        8 => "string",
        14 => "complex64",
        15 => "complex128",
        16 => "bfloat16",
        17 => "float8e4m3fn",
        18 => "float8e4m3fnuz",
        19 => "float8e5m2",
        20 => "float8e5m2fnuz",
        21 => "uint4",
        22 => "int4",
        23 => "float4e2m1",
        24 => "float8e8m0",
        25 => "uint2",
        26 => "int2",
        _ => "unknown",
    }
}
