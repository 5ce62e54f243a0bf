//! A tensor's canonical bytes and its digest.
//!
//! Encoding: dtype code (`u8`), rank (`u8`), dimensions (`u64` each), elements
//! little-endian; booleans are exactly 0 or 1.
//!
//! Digest: BLAKE3 in `derive_key` mode, context `aether/tensor/v1`, over
//! elements ‖ dimensions (`u64` each) ‖ rank (`u8`) ‖ dtype (`u8`). The
//! description comes last, so that the elements stay aligned with BLAKE3's
//! chunks and a slice can be proven by the tree.

use std::borrow::Cow;

use super::{DType, Data, Element, F16, MAX_RANK, Tensor, check_shape, numel};
use crate::codec::{CodecError, Reader, Writer};

/// A tensor's digest.
pub type Digest = [u8; 32];

const CONTEXT: &str = "aether/tensor/v1";

/// Plain-old-data elements: any bit pattern is valid and there is no padding.
trait Pod: Element {
    fn le(self) -> impl AsRef<[u8]>;
}
macro_rules! pod {
    ($($t:ty),*) => {$(
        impl Pod for $t {
            fn le(self) -> impl AsRef<[u8]> {
                self.to_le_bytes()
            }
        }
    )*};
}
pod!(f32, u8, i8, u16, i16, i32, i64, F16, f64, u32, u64);

/// The elements as little-endian bytes; borrowed on little-endian hosts.
fn pod_bytes<T: Pod>(v: &[T]) -> Cow<'_, [u8]> {
    if cfg!(target_endian = "little") {
        // SAFETY: `Pod` types have no padding, `u8` has alignment 1, and the
        // length is the slice's size in bytes.
        Cow::Borrowed(unsafe {
            std::slice::from_raw_parts(v.as_ptr().cast::<u8>(), std::mem::size_of_val(v))
        })
    } else {
        Cow::Owned(v.iter().flat_map(|x| x.le().as_ref().to_vec()).collect())
    }
}

fn data_bytes(data: &Data) -> Cow<'_, [u8]> {
    match data {
        Data::F32(v) => pod_bytes(v),
        Data::U8(v) => pod_bytes(v),
        Data::I8(v) => pod_bytes(v),
        Data::U16(v) => pod_bytes(v),
        Data::I16(v) => pod_bytes(v),
        Data::I32(v) => pod_bytes(v),
        Data::I64(v) => pod_bytes(v),
        Data::F16(v) => pod_bytes(v),
        Data::F64(v) => pod_bytes(v),
        Data::U32(v) => pod_bytes(v),
        Data::U64(v) => pod_bytes(v),
        Data::Bool(v) => Cow::Owned(v.iter().map(|&b| u8::from(b)).collect()),
    }
}

fn words<const N: usize, T>(bytes: &[u8], f: impl Fn([u8; N]) -> T) -> Vec<T> {
    bytes.as_chunks::<N>().0.iter().map(|c| f(*c)).collect()
}

/// Elements of `dtype` from little-endian bytes; `None` when a boolean is
/// neither 0 nor 1. A trailing partial element is ignored; callers check lengths.
pub(crate) fn data_from_bytes(dtype: DType, bytes: &[u8]) -> Option<Data> {
    Some(match dtype {
        DType::F32 => Data::F32(words(bytes, f32::from_le_bytes)),
        DType::U8 => Data::U8(bytes.to_vec()),
        DType::I8 => Data::I8(words(bytes, i8::from_le_bytes)),
        DType::U16 => Data::U16(words(bytes, u16::from_le_bytes)),
        DType::I16 => Data::I16(words(bytes, i16::from_le_bytes)),
        DType::I32 => Data::I32(words(bytes, i32::from_le_bytes)),
        DType::I64 => Data::I64(words(bytes, i64::from_le_bytes)),
        DType::F16 => Data::F16(words(bytes, F16::from_le_bytes)),
        DType::F64 => Data::F64(words(bytes, f64::from_le_bytes)),
        DType::U32 => Data::U32(words(bytes, u32::from_le_bytes)),
        DType::U64 => Data::U64(words(bytes, u64::from_le_bytes)),
        DType::Bool => {
            if bytes.iter().any(|&b| b > 1) {
                return None;
            }
            Data::Bool(bytes.iter().map(|&b| b == 1).collect())
        }
    })
}

/// The elements that `read` puts into a slice of `len` bytes, little-endian: read
/// straight to where they stay, where the host allows it. `None` as with
/// [`data_from_bytes`].
pub(super) fn data_from_reader<E>(
    dtype: DType,
    len: usize,
    read: impl FnOnce(&mut [u8]) -> Result<(), E>,
) -> Result<Option<Data>, E> {
    if cfg!(target_endian = "big") || dtype == DType::Bool {
        let mut bytes = vec![0; len];
        read(&mut bytes)?;
        return Ok(data_from_bytes(dtype, &bytes));
    }
    Ok(Some(match dtype {
        DType::F32 => Data::F32(pod_read(len, read)?),
        DType::U8 => Data::U8(pod_read(len, read)?),
        DType::I8 => Data::I8(pod_read(len, read)?),
        DType::U16 => Data::U16(pod_read(len, read)?),
        DType::I16 => Data::I16(pod_read(len, read)?),
        DType::I32 => Data::I32(pod_read(len, read)?),
        DType::I64 => Data::I64(pod_read(len, read)?),
        DType::F16 => Data::F16(pod_read(len, read)?),
        DType::F64 => Data::F64(pod_read(len, read)?),
        DType::U32 => Data::U32(pod_read(len, read)?),
        DType::U64 => Data::U64(pod_read(len, read)?),
        DType::Bool => return Ok(None),
    }))
}

/// Elements whose bytes, `len` of them, `read` writes in the host's order.
fn pod_read<T: Pod, E>(
    len: usize,
    read: impl FnOnce(&mut [u8]) -> Result<(), E>,
) -> Result<Vec<T>, E> {
    let mut v = vec![T::default(); len / size_of::<T>()];
    // SAFETY: `Pod` types have no padding and any bit pattern is one of theirs,
    // `u8` has alignment 1, and the length is the vector's size in bytes.
    let bytes = unsafe {
        std::slice::from_raw_parts_mut(v.as_mut_ptr().cast::<u8>(), size_of_val(v.as_slice()))
    };
    read(bytes)?;
    Ok(v)
}

/// Length of the canonical encoding of a tensor of this type and shape, bytes
/// (saturating).
pub(crate) fn encoded_len(dtype: DType, shape: &[usize]) -> u64 {
    numel(shape)
        .saturating_mul(dtype.size() as u64)
        .saturating_add(2 + 8 * shape.len() as u64)
}

pub(crate) fn write_desc(w: &mut Writer, dtype: DType, shape: &[usize]) {
    w.u8(dtype.code());
    w.u8(shape.len() as u8);
    shape.iter().for_each(|&d| w.u64(d as u64));
}

pub(crate) fn read_desc(r: &mut Reader<'_>) -> Result<(DType, Vec<usize>), CodecError> {
    let dtype = DType::from_code(i64::from(r.u8()?))
        .ok_or(CodecError::NotCanonical("unknown element type"))?;
    let rank = usize::from(r.u8()?);
    if rank > MAX_RANK {
        return Err(CodecError::NotCanonical("too many dimensions"));
    }
    let mut shape = Vec::with_capacity(rank);
    for _ in 0..rank {
        let d = usize::try_from(r.u64()?)
            .map_err(|_| CodecError::NotCanonical("dimension out of range"))?;
        shape.push(d);
    }
    check_shape(&shape).map_err(|_| CodecError::NotCanonical("dimension out of range"))?;
    Ok((dtype, shape))
}

impl Tensor {
    /// The tensor's digest (see the module's rules).
    pub fn digest(&self) -> Digest {
        let mut h = blake3::Hasher::new_derive_key(CONTEXT);
        h.update(&data_bytes(&self.data));
        for &d in &self.shape {
            h.update(&(d as u64).to_le_bytes());
        }
        h.update(&[self.shape.len() as u8, self.dtype().code()]);
        *h.finalize().as_bytes()
    }

    /// The elements as little-endian bytes.
    pub fn to_le_bytes(&self) -> Vec<u8> {
        data_bytes(&self.data).into_owned()
    }

    /// Canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        self.write(&mut w);
        w.finish()
    }

    /// Decodes canonical bytes of at most `max_bytes`.
    ///
    /// # Errors
    /// When the bytes are longer than allowed or not canonical.
    pub fn decode(bytes: &[u8], max_bytes: u64) -> Result<Self, CodecError> {
        let mut r = Reader::bounded(bytes, max_bytes)?;
        let t = Self::read(&mut r)?;
        r.finish()?;
        Ok(t)
    }

    pub(crate) fn write(&self, w: &mut Writer) {
        write_desc(w, self.dtype(), &self.shape);
        w.raw(&data_bytes(&self.data));
    }

    pub(crate) fn read(r: &mut Reader<'_>) -> Result<Self, CodecError> {
        let (dtype, shape) = read_desc(r)?;
        let len = numel(&shape).saturating_mul(dtype.size() as u64);
        let bytes = r.raw(usize::try_from(len).unwrap_or(usize::MAX))?;
        let data = data_from_bytes(dtype, bytes)
            .ok_or(CodecError::NotCanonical("boolean is neither 0 nor 1"))?;
        Tensor::new(&shape, data).map_err(|_| CodecError::NotCanonical("shape and data disagree"))
    }
}
