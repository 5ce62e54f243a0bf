//! Tensors: an element type, a shape, contiguous row-major data.
//!
//! Rules: the data holds exactly the product of the dimensions; at most
//! [`MAX_RANK`] dimensions, each at most [`MAX_DIM`]. A tensor is immutable;
//! cloning shares the data. Everything that names a tensor's content names its
//! [digest](Tensor::digest).

mod bundle;
mod codec;
mod half;
mod onnx;
mod rows;

pub use bundle::{BundleLimits, decode_inputs, decode_outputs, encode_inputs, encode_outputs};
pub use codec::Digest;
pub(crate) use codec::{data_from_bytes, encoded_len, read_desc, write_desc};
pub use half::F16;
pub use onnx::PbError;
pub(crate) use onnx::{from_elsewhere, from_proto, raw_len, type_name};

use std::fmt;
use std::sync::Arc;

use thiserror::Error;

use crate::kernels::prepared::Prepared;
use crate::kernels::scratch;

/// Most dimensions a tensor may have.
pub const MAX_RANK: usize = 16;
/// Largest dimension: 2^31 − 1, so that geometry arithmetic fits an `i64`.
pub const MAX_DIM: usize = (1 << 31) - 1;

/// Element types. The codes are ONNX's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum DType {
    /// IEEE 754 binary32.
    F32 = 1,
    /// Unsigned byte.
    U8 = 2,
    /// Signed byte.
    I8 = 3,
    /// 16-bit unsigned integer.
    U16 = 4,
    /// 16-bit signed integer.
    I16 = 5,
    /// 32-bit signed integer.
    I32 = 6,
    /// 64-bit signed integer.
    I64 = 7,
    /// One byte, 0 or 1.
    Bool = 9,
    /// IEEE 754 binary16.
    F16 = 10,
    /// IEEE 754 binary64.
    F64 = 11,
    /// 32-bit unsigned integer.
    U32 = 12,
    /// 64-bit unsigned integer.
    U64 = 13,
}

impl DType {
    /// Bytes per element.
    pub const fn size(self) -> usize {
        match self {
            DType::F32 | DType::I32 | DType::U32 => 4,
            DType::I64 | DType::U64 | DType::F64 => 8,
            DType::U16 | DType::I16 | DType::F16 => 2,
            DType::U8 | DType::I8 | DType::Bool => 1,
        }
    }

    /// The ONNX code.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The type of an ONNX code, if this crate has it.
    pub const fn from_code(code: i64) -> Option<Self> {
        Some(match code {
            1 => DType::F32,
            2 => DType::U8,
            3 => DType::I8,
            4 => DType::U16,
            5 => DType::I16,
            6 => DType::I32,
            7 => DType::I64,
            9 => DType::Bool,
            10 => DType::F16,
            11 => DType::F64,
            12 => DType::U32,
            13 => DType::U64,
            _ => return None,
        })
    }

    /// Every type, by code.
    pub const ALL: [DType; 12] = [
        DType::F32,
        DType::U8,
        DType::I8,
        DType::U16,
        DType::I16,
        DType::I32,
        DType::I64,
        DType::Bool,
        DType::F16,
        DType::F64,
        DType::U32,
        DType::U64,
    ];

    /// Whether this is a floating-point type.
    pub const fn is_float(self) -> bool {
        matches!(self, DType::F16 | DType::F32 | DType::F64)
    }

    /// Whether this is an integer type; booleans are not.
    pub const fn is_integer(self) -> bool {
        !self.is_float() && !matches!(self, DType::Bool)
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DType::F32 => "f32",
            DType::U8 => "u8",
            DType::I8 => "i8",
            DType::U16 => "u16",
            DType::I16 => "i16",
            DType::I32 => "i32",
            DType::I64 => "i64",
            DType::Bool => "bool",
            DType::F16 => "f16",
            DType::F64 => "f64",
            DType::U32 => "u32",
            DType::U64 => "u64",
        })
    }
}

/// A tensor's elements, row-major.
#[derive(Debug, Clone, PartialEq)]
pub enum Data {
    /// `f32` elements.
    F32(Vec<f32>),
    /// `u8` elements.
    U8(Vec<u8>),
    /// `i8` elements.
    I8(Vec<i8>),
    /// `u16` elements.
    U16(Vec<u16>),
    /// `i16` elements.
    I16(Vec<i16>),
    /// `i32` elements.
    I32(Vec<i32>),
    /// `i64` elements.
    I64(Vec<i64>),
    /// `bool` elements.
    Bool(Vec<bool>),
    /// Half-precision elements.
    F16(Vec<F16>),
    /// `f64` elements.
    F64(Vec<f64>),
    /// `u32` elements.
    U32(Vec<u32>),
    /// `u64` elements.
    U64(Vec<u64>),
}

/// Runs an expression with `$v` bound to the typed vector of a [`Data`].
macro_rules! with_data {
    ($data:expr, $v:ident => $e:expr) => {
        match $data {
            $crate::tensor::Data::F32($v) => $e,
            $crate::tensor::Data::U8($v) => $e,
            $crate::tensor::Data::I8($v) => $e,
            $crate::tensor::Data::I32($v) => $e,
            $crate::tensor::Data::I64($v) => $e,
            $crate::tensor::Data::Bool($v) => $e,
            $crate::tensor::Data::U16($v) => $e,
            $crate::tensor::Data::I16($v) => $e,
            $crate::tensor::Data::F16($v) => $e,
            $crate::tensor::Data::F64($v) => $e,
            $crate::tensor::Data::U32($v) => $e,
            $crate::tensor::Data::U64($v) => $e,
        }
    };
}
pub(crate) use with_data;

impl Data {
    /// Number of elements.
    pub fn len(&self) -> usize {
        with_data!(self, v => v.len())
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The element type.
    pub fn dtype(&self) -> DType {
        match self {
            Data::F32(_) => DType::F32,
            Data::U8(_) => DType::U8,
            Data::I8(_) => DType::I8,
            Data::U16(_) => DType::U16,
            Data::I16(_) => DType::I16,
            Data::I32(_) => DType::I32,
            Data::I64(_) => DType::I64,
            Data::Bool(_) => DType::Bool,
            Data::F16(_) => DType::F16,
            Data::F64(_) => DType::F64,
            Data::U32(_) => DType::U32,
            Data::U64(_) => DType::U64,
        }
    }
}

/// A Rust type that is a tensor's element type.
pub trait Element: Copy + Default + PartialEq + fmt::Debug + Send + Sync + 'static {
    /// The corresponding [`DType`].
    const DTYPE: DType;
    /// Wraps a vector.
    fn wrap(v: Vec<Self>) -> Data;
    /// The slice, if the data has this element type.
    fn view(data: &Data) -> Option<&[Self]>;
}

macro_rules! element {
    ($($t:ty, $v:ident);*) => {$(
        impl Element for $t {
            const DTYPE: DType = DType::$v;
            fn wrap(v: Vec<Self>) -> Data {
                Data::$v(v)
            }
            fn view(data: &Data) -> Option<&[Self]> {
                match data {
                    Data::$v(v) => Some(v),
                    _ => None,
                }
            }
        }
    )*};
}
element!(f32, F32; u8, U8; i8, I8; u16, U16; i16, I16; i32, I32; i64, I64; bool, Bool);
element!(F16, F16; f64, F64; u32, U32; u64, U64);

/// Why a tensor cannot be built. The caller is to blame.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TensorError {
    /// Data and shape disagree.
    #[error("{given} elements for a shape that holds {wanted}")]
    Length {
        /// Elements given.
        given: u64,
        /// Product of the dimensions (saturating).
        wanted: u64,
    },
    /// More than [`MAX_RANK`] dimensions.
    #[error("{0} dimensions, at most {MAX_RANK} are allowed")]
    Rank(usize),
    /// A dimension above [`MAX_DIM`].
    #[error("dimension {0} is above {MAX_DIM}")]
    Dim(u64),
}

/// Product of dimensions, saturating; 0 if any dimension is 0.
pub(crate) fn numel(shape: &[usize]) -> u64 {
    if shape.contains(&0) {
        return 0;
    }
    shape.iter().fold(1u64, |n, &d| n.saturating_mul(d as u64))
}

/// An immutable tensor; clones share the data.
#[derive(Clone)]
pub struct Tensor {
    shape: Vec<usize>,
    data: Arc<Data>,
    /// Packed forms, for constants only; not part of the value.
    prepared: Option<Arc<Prepared>>,
}

impl PartialEq for Tensor {
    fn eq(&self, other: &Self) -> bool {
        self.shape == other.shape && self.data == other.data
    }
}

impl Tensor {
    /// A tensor of `shape` over `data`.
    ///
    /// # Errors
    /// When the data does not hold exactly the product of the dimensions, or
    /// the shape exceeds [`MAX_RANK`] or [`MAX_DIM`].
    pub fn new(shape: &[usize], data: Data) -> Result<Self, TensorError> {
        check_shape(shape)?;
        let (given, wanted) = (data.len() as u64, numel(shape));
        if given != wanted {
            return Err(TensorError::Length { given, wanted });
        }
        Ok(Self {
            shape: shape.to_vec(),
            data: Arc::new(data),
            prepared: None,
        })
    }

    /// A tensor of `shape` over a vector of elements; errors as [`Tensor::new`].
    pub fn from_vec<T: Element>(shape: &[usize], v: Vec<T>) -> Result<Self, TensorError> {
        Self::new(shape, T::wrap(v))
    }

    /// A tensor without dimensions.
    pub fn scalar<T: Element>(v: T) -> Self {
        Self {
            shape: Vec::new(),
            data: Arc::new(T::wrap(vec![v])),
            prepared: None,
        }
    }

    /// The same data under another shape; errors as [`Tensor::new`].
    pub fn reshaped(&self, shape: &[usize]) -> Result<Self, TensorError> {
        check_shape(shape)?;
        let (given, wanted) = (self.data.len() as u64, numel(shape));
        if given != wanted {
            return Err(TensorError::Length { given, wanted });
        }
        Ok(Self {
            shape: shape.to_vec(),
            data: Arc::clone(&self.data),
            prepared: None,
        })
    }

    /// Lets the tensor keep packed forms of itself, as constants do.
    pub(crate) fn keep_prepared(&mut self) {
        self.prepared.get_or_insert_default();
    }

    /// Lets go of the tensor; memory that nobody else holds is used again.
    pub(crate) fn recycle(self) {
        if let Ok(Data::F32(v)) = Arc::try_unwrap(self.data) {
            scratch::give(v);
        }
    }

    /// Where packed forms are kept, for constants.
    pub(crate) fn prepared(&self) -> Option<&Prepared> {
        self.prepared.as_deref()
    }

    /// Element type.
    pub fn dtype(&self) -> DType {
        self.data.dtype()
    }

    /// Dimensions.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.data.len()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// Size of the elements, bytes.
    pub fn byte_len(&self) -> u64 {
        self.len() as u64 * self.dtype().size() as u64
    }

    /// The elements.
    pub fn data(&self) -> &Data {
        &self.data
    }

    /// The elements as a slice, if they have this type.
    pub fn view<T: Element>(&self) -> Option<&[T]> {
        T::view(&self.data)
    }
}

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tensor({} {:?})", self.dtype(), self.shape)
    }
}

/// Checks rank and dimensions against the limits.
pub(crate) fn check_shape(shape: &[usize]) -> Result<(), TensorError> {
    if shape.len() > MAX_RANK {
        return Err(TensorError::Rank(shape.len()));
    }
    match shape.iter().find(|&&d| d > MAX_DIM) {
        Some(&d) => Err(TensorError::Dim(d as u64)),
        None => Ok(()),
    }
}
