//! Bounds on a model, and why one is refused.

use thiserror::Error;

use super::outline::OutlineError;
use crate::ops::BuildError;
use crate::tensor::PbError;

/// Bounds on a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Largest model file, bytes.
    pub max_model_bytes: usize,
    /// Most instructions.
    pub max_instructions: usize,
    /// Most names, nodes, attributes and tensors in the file together.
    pub max_parts: usize,
    /// Most inputs, and most outputs.
    pub max_signature: usize,
    /// Longest name of an input, output or symbolic dimension, bytes.
    pub max_name_bytes: usize,
    /// Most bytes of functions' bodies after they are put in place of calls.
    pub max_expanded_bytes: usize,
    /// Most bytes of weights outside the file.
    pub max_external_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_model_bytes: 512 << 20,
            max_instructions: 1 << 16,
            max_parts: 1 << 20,
            max_signature: 256,
            max_name_bytes: 1024,
            max_expanded_bytes: 64 << 20,
            max_external_bytes: 8 << 30,
        }
    }
}

/// Why a model was refused. Whoever made the model is to blame, except for
/// `Unsupported*`, which names what this crate does not have, and `Unread`.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ModelError {
    /// Larger than the caller allows.
    #[error("{given} bytes, at most {max} are allowed")]
    TooLarge {
        /// Size of the file, bytes.
        given: usize,
        /// The cap, bytes.
        max: usize,
    },
    /// The file could not be read; whoever reads it is to blame.
    #[error("the file could not be read: {0}")]
    Unread(String),
    /// The bytes end before a message does.
    #[error("truncated")]
    Truncated,
    /// Not a protobuf encoding of a model.
    #[error("not a model: {0}")]
    Malformed(String),
    /// Messages, bodies or functions nested too deep.
    #[error("nested too deep")]
    TooDeep,
    /// More parts or instructions than allowed.
    #[error("too many {0}")]
    TooMany(&'static str),
    /// No graph, or a graph without outputs.
    #[error("the model has no {0}")]
    Missing(&'static str),
    /// No, several, or an unsupported version of the default operator set.
    #[error("operator set of the default domain: {0}")]
    Opset(&'static str),
    /// A name that is empty, too long, or defined twice.
    #[error("bad or duplicate name `{0}`")]
    Name(String),
    /// A value that nothing defines.
    #[error("nothing defines `{0}`")]
    Undefined(String),
    /// A value used before the node that makes it: a cycle, or unsorted nodes.
    #[error("`{0}` is used before it is made: cyclic or unsorted graph")]
    Cyclic(String),
    /// A malformed or unsupported constant.
    #[error("constant `{name}`: {error}")]
    Constant {
        /// The constant's name.
        name: String,
        /// What is wrong with it.
        error: PbError,
    },
    /// An input or output without a supported tensor type.
    #[error("signature of `{0}`: no supported tensor type or bad dimension")]
    Signature(String),
    /// An input or output of an element type that this crate does not have.
    #[error("`{name}` is a tensor of {kind}, which is not supported")]
    ElementType {
        /// The value's name.
        name: String,
        /// ONNX's name of the type.
        kind: &'static str,
    },
    /// An input that is no tensor.
    #[error("`{name}`: {kind}s are not supported, only tensors")]
    Kind {
        /// The value's name.
        name: String,
        /// What it is instead.
        kind: &'static str,
    },
    /// Something that this crate does not have.
    #[error("not supported: {0}")]
    Unsupported(&'static str),
    /// A node that cannot be built.
    #[error("node {index} ({op}): {error}")]
    Node {
        /// Position in the file.
        index: usize,
        /// Operator name, with its domain if it has one.
        op: String,
        /// What is wrong with it.
        error: BuildError,
    },
}

impl ModelError {
    /// Whether the model uses what this crate, or the model's operator set, does
    /// not have, and is well-formed as far as was looked.
    pub fn is_unsupported(&self) -> bool {
        match self {
            ModelError::Node { error, .. } => matches!(
                error,
                BuildError::UnknownOperator
                    | BuildError::NotYet(_)
                    | BuildError::Removed(_)
                    | BuildError::UnknownAttribute(_)
                    | BuildError::Unsupported(_)
                    | BuildError::ElementType(_)
                    | BuildError::Constant(PbError::DType(_) | PbError::External)
            ),
            ModelError::Constant { error, .. } => {
                matches!(error, PbError::DType(_) | PbError::External)
            }
            ModelError::Signature(_)
            | ModelError::ElementType { .. }
            | ModelError::Kind { .. }
            | ModelError::Unsupported(_) => true,
            _ => false,
        }
    }
}

impl From<OutlineError> for ModelError {
    fn from(e: OutlineError) -> Self {
        match e {
            OutlineError::Truncated => ModelError::Truncated,
            OutlineError::Malformed => ModelError::Malformed("bad wire format".into()),
            OutlineError::TooDeep => ModelError::TooDeep,
            OutlineError::TooMany => ModelError::TooMany("parts"),
            OutlineError::Unread(why) => ModelError::Unread(why),
        }
    }
}
