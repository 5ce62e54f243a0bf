//! A node's attributes, read once and completely.
//!
//! Rules: every attribute must be asked for by the operator's builder: one that
//! is not known is refused, since ignoring it could change the meaning. Integer
//! attributes that describe geometry are bounded by [`GEOMETRY`].

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;

use crate::codec::Writer;
use crate::tensor::{DType, PbError, Tensor, type_name};

/// Largest stride, dilation, pad or kernel extent.
pub(crate) const GEOMETRY: i64 = 1 << 16;

/// An attribute's value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Attr {
    Float(f32),
    Int(i64),
    Str(Vec<u8>),
    Tensor(Tensor),
    Floats(Vec<f32>),
    Ints(Vec<i64>),
    Strs(Vec<Vec<u8>>),
}

impl Attr {
    pub(crate) fn write(&self, w: &mut Writer) {
        match self {
            Attr::Float(v) => {
                w.u8(1);
                w.u32(v.to_bits());
            }
            Attr::Int(v) => {
                w.u8(2);
                w.u64(*v as u64);
            }
            Attr::Str(v) => {
                w.u8(3);
                w.bytes(v);
            }
            Attr::Tensor(v) => {
                w.u8(4);
                w.raw(&v.digest());
            }
            Attr::Floats(v) => {
                w.u8(6);
                w.count(v.len());
                v.iter().for_each(|x| w.u32(x.to_bits()));
            }
            Attr::Ints(v) => {
                w.u8(7);
                w.count(v.len());
                v.iter().for_each(|x| w.u64(*x as u64));
            }
            Attr::Strs(v) => {
                w.u8(8);
                w.count(v.len());
                v.iter().for_each(|x| w.bytes(x));
            }
        }
    }
}

/// Why a node is refused. Whoever made the model is to blame, or we for not
/// having the operator yet.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BuildError {
    /// No such operator.
    #[error("operator is not supported")]
    UnknownOperator,
    /// The model's operator set does not have the operator yet.
    #[error("the operator exists since opset {0}")]
    NotYet(u32),
    /// The model's operator set does not have the operator any more.
    #[error("opset {0} removed the operator")]
    Removed(u32),
    /// An attribute that the operator does not have.
    #[error("unknown attribute `{0}`")]
    UnknownAttribute(String),
    /// An attribute of the wrong kind, absent though required, or out of bounds.
    #[error("bad attribute `{0}`")]
    BadAttribute(&'static str),
    /// An element type that this crate does not have, by ONNX's name.
    #[error("elements of type {0} are not supported")]
    ElementType(&'static str),
    /// A combination that this crate does not compute.
    #[error("not supported: {0}")]
    Unsupported(&'static str),
    /// A tensor among the attributes that is malformed or not supported.
    #[error("constant: {0}")]
    Constant(PbError),
    /// Too few or too many inputs or outputs.
    #[error("wrong number of inputs or outputs")]
    Arity,
}

/// The element type of an ONNX code.
pub(crate) fn element(code: i64) -> Result<DType, BuildError> {
    let name = || type_name(i32::try_from(code).unwrap_or(-1));
    DType::from_code(code).ok_or_else(|| BuildError::ElementType(name()))
}

/// What a builder sees of a node.
pub(crate) struct Node<'a> {
    pub(crate) op: &'a str,
    /// Opset version of the default domain.
    pub(crate) version: u32,
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    attrs: &'a BTreeMap<String, Attr>,
    asked: RefCell<BTreeSet<&'static str>>,
}

impl<'a> Node<'a> {
    pub(crate) fn new(
        op: &'a str,
        version: u32,
        inputs: usize,
        outputs: usize,
        attrs: &'a BTreeMap<String, Attr>,
    ) -> Self {
        Self {
            op,
            version,
            inputs,
            outputs,
            attrs,
            asked: RefCell::default(),
        }
    }

    fn get(&self, name: &'static str) -> Option<&'a Attr> {
        self.asked.borrow_mut().insert(name);
        self.attrs.get(name)
    }

    /// Accepts an attribute that has no effect on inference.
    pub(crate) fn ignore(&self, name: &'static str) {
        self.asked.borrow_mut().insert(name);
    }

    /// Refuses inputs and outputs beyond these numbers.
    pub(crate) fn arity(&self, min: usize, max: usize, outputs: usize) -> Result<(), BuildError> {
        if (min..=max).contains(&self.inputs) && (1..=outputs).contains(&self.outputs) {
            Ok(())
        } else {
            Err(BuildError::Arity)
        }
    }

    pub(crate) fn opt_int(&self, name: &'static str) -> Result<Option<i64>, BuildError> {
        match self.get(name) {
            None => Ok(None),
            Some(Attr::Int(v)) => Ok(Some(*v)),
            Some(_) => Err(BuildError::BadAttribute(name)),
        }
    }

    pub(crate) fn int(&self, name: &'static str, default: i64) -> Result<i64, BuildError> {
        Ok(self.opt_int(name)?.unwrap_or(default))
    }

    /// An integer attribute that must be 0 or 1.
    pub(crate) fn flag(&self, name: &'static str, default: bool) -> Result<bool, BuildError> {
        match self.int(name, i64::from(default))? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(BuildError::BadAttribute(name)),
        }
    }

    pub(crate) fn opt_float(&self, name: &'static str) -> Result<Option<f32>, BuildError> {
        match self.get(name) {
            None => Ok(None),
            Some(Attr::Float(v)) => Ok(Some(*v)),
            Some(_) => Err(BuildError::BadAttribute(name)),
        }
    }

    pub(crate) fn float(&self, name: &'static str, default: f32) -> Result<f32, BuildError> {
        Ok(self.opt_float(name)?.unwrap_or(default))
    }

    pub(crate) fn ints(&self, name: &'static str) -> Result<Option<&'a [i64]>, BuildError> {
        match self.get(name) {
            None => Ok(None),
            Some(Attr::Ints(v)) => Ok(Some(v)),
            Some(_) => Err(BuildError::BadAttribute(name)),
        }
    }

    pub(crate) fn floats(&self, name: &'static str) -> Result<Option<&'a [f32]>, BuildError> {
        match self.get(name) {
            None => Ok(None),
            Some(Attr::Floats(v)) => Ok(Some(v)),
            Some(_) => Err(BuildError::BadAttribute(name)),
        }
    }

    pub(crate) fn texts(&self, name: &'static str) -> Result<Option<Vec<&'a str>>, BuildError> {
        let bad = BuildError::BadAttribute(name);
        match self.get(name) {
            None => Ok(None),
            Some(Attr::Strs(v)) => {
                let texts = v.iter().map(|s| std::str::from_utf8(s).ok()).collect();
                Option::map_or(texts, Err(bad), |t| Ok(Some(t)))
            }
            Some(_) => Err(bad),
        }
    }

    pub(crate) fn text(
        &self,
        name: &'static str,
        default: &'static str,
    ) -> Result<&'a str, BuildError> {
        match self.get(name) {
            None => Ok(default),
            Some(Attr::Str(v)) => {
                std::str::from_utf8(v).map_err(|_| BuildError::BadAttribute(name))
            }
            Some(_) => Err(BuildError::BadAttribute(name)),
        }
    }

    pub(crate) fn tensor(&self, name: &'static str) -> Result<Option<&'a Tensor>, BuildError> {
        match self.get(name) {
            None => Ok(None),
            Some(Attr::Tensor(v)) => Ok(Some(v)),
            Some(_) => Err(BuildError::BadAttribute(name)),
        }
    }

    /// Integers in `min..=GEOMETRY`.
    pub(crate) fn geometry(
        &self,
        name: &'static str,
        min: i64,
    ) -> Result<Option<Vec<usize>>, BuildError> {
        let Some(list) = self.ints(name)? else {
            return Ok(None);
        };
        if list.iter().any(|v| !(min..=GEOMETRY).contains(v)) {
            return Err(BuildError::BadAttribute(name));
        }
        Ok(Some(list.iter().map(|&v| v as usize).collect()))
    }

    /// Refuses attributes that nobody asked for.
    pub(crate) fn finish(&self) -> Result<(), BuildError> {
        let asked = self.asked.borrow();
        match self.attrs.keys().find(|k| !asked.contains(k.as_str())) {
            Some(k) => Err(BuildError::UnknownAttribute(k.clone())),
            None => Ok(()),
        }
    }
}
