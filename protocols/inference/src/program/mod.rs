//! A model as the machine runs it: inputs, constants, a list of instructions.
//!
//! Rules (SPEC.md, "Programs" and "Control flow"): value ids are assigned in one canonical order —
//! graph inputs; then, instruction by instruction, the constants it uses first
//! and the values it makes. Constants are initialisers and `Constant` nodes.
//! Each instruction lists the inputs and computed values that die with it;
//! inputs that nothing uses die with the first. Names survive
//! only for graph inputs and outputs.

mod attrs;
mod bodies;
mod control;
mod error;
mod external;
mod file;
mod functions;
mod id;
mod liveness;
mod lower;
mod names;
mod nodes;
mod outline;
mod signature;

pub(crate) use control::{CARRIED, CONDITION, Control, Enter, MAX_NESTING, Stack, TRIPS};
pub use error::{Limits, ModelError};
pub use external::ExternalData;
pub use file::{ModelFile, Seekable};
pub use nodes::Missing;
pub use signature::{Dim, InputError, ValueInfo};

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::ops::{Attr, Operator};
use crate::run::Kept;
use crate::tensor::Tensor;

/// Identifies a value within a program.
pub type ValueId = u32;

/// A model's identity: what it computes, bit for bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModelId(pub [u8; 32]);

/// One instruction.
#[derive(Debug)]
pub(crate) struct Instruction {
    pub(crate) name: String,
    pub(crate) version: u32,
    pub(crate) attrs: BTreeMap<String, Attr>,
    /// `None`: an optional input that is absent.
    pub(crate) inputs: Vec<Option<ValueId>>,
    /// `None`: an output that nobody uses by name.
    pub(crate) outputs: Vec<Option<ValueId>>,
    /// Computed values and inputs that nothing uses afterwards.
    pub(crate) frees: Vec<ValueId>,
    pub(crate) code: Code,
    /// The body it stands in; 0 is the graph itself.
    pub(crate) scope: u32,
}

/// What an instruction does.
#[derive(Debug)]
pub(crate) enum Code {
    /// Computes its outputs from its inputs.
    Op(Arc<dyn Operator>),
    /// Decides what comes next, and moves values.
    Control(Control),
}

/// A body. Scope 0 is the graph and has no owner.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Scope {
    /// The scope around it.
    pub(crate) parent: u32,
    /// The instruction that it belongs to.
    pub(crate) owner: u32,
    /// Which branch of an If (0 then, 1 else); `None` for a loop's body.
    pub(crate) branch: Option<u8>,
}

/// A lowered model. Immutable; cheap to share behind an `Arc`.
#[derive(Debug)]
pub struct Program {
    pub(crate) inputs: Vec<ValueInfo>,
    pub(crate) outputs: Vec<ValueInfo>,
    /// Names of symbolic dimensions, by index.
    pub(crate) symbols: Vec<String>,
    pub(crate) constants: BTreeMap<ValueId, Tensor>,
    pub(crate) instructions: Vec<Instruction>,
    pub(crate) scopes: Vec<Scope>,
    pub(crate) id: ModelId,
    /// What its instructions make of constants alone.
    pub(crate) kept: Kept,
}

impl Program {
    /// Decodes, checks and lowers an ONNX model.
    ///
    /// # Errors
    /// When the model is malformed, exceeds the limits or uses what this crate
    /// does not support. Whoever made the model is to blame.
    pub fn from_onnx(bytes: &[u8], limits: &Limits) -> Result<Program, ModelError> {
        lower::lower(Box::new(bytes), limits, None)
    }

    /// [`Program::from_onnx`] of a model that keeps weights outside its file.
    ///
    /// # Errors
    /// As [`Program::from_onnx`], and when the bytes are not to be had.
    pub fn from_onnx_with(
        bytes: &[u8],
        limits: &Limits,
        external: &mut dyn ExternalData,
    ) -> Result<Program, ModelError> {
        lower::lower(Box::new(bytes), limits, Some(external))
    }

    /// [`Program::from_onnx`] of a file, from which every weight is read straight
    /// to where it stays; with `external`, [`Program::from_onnx_with`].
    ///
    /// # Errors
    /// As these, and [`ModelError::Unread`] when the file cannot be read.
    pub fn read_onnx<'a>(
        file: &'a mut dyn ModelFile,
        limits: &'a Limits,
        external: Option<&'a mut dyn ExternalData>,
    ) -> Result<Program, ModelError> {
        lower::lower(Box::new(file), limits, external)
    }

    /// Everything in a model that this crate does not have, each once, sorted.
    /// An empty list means that the model lowers.
    ///
    /// # Errors
    /// When the model is malformed or exceeds the limits.
    pub fn missing<'a>(
        file: &'a mut dyn ModelFile,
        limits: &'a Limits,
        external: Option<&'a mut dyn ExternalData>,
    ) -> Result<Vec<Missing>, ModelError> {
        lower::missing(Box::new(file), limits, external)
    }

    /// The model's identity.
    pub fn id(&self) -> ModelId {
        self.id
    }

    /// Inputs in the order in which a run takes them. Input i has value id i.
    pub fn inputs(&self) -> &[ValueInfo] {
        &self.inputs
    }

    /// Outputs in the graph's order.
    pub fn outputs(&self) -> &[ValueInfo] {
        &self.outputs
    }

    /// Name of a symbolic dimension.
    pub fn symbol(&self, index: u32) -> Option<&str> {
        self.symbols.get(index as usize).map(String::as_str)
    }

    /// Number of instructions.
    pub fn instruction_count(&self) -> usize {
        self.instructions.len()
    }

    /// Operator name of an instruction.
    pub fn operator(&self, index: usize) -> Option<&str> {
        self.instructions.get(index).map(|i| i.name.as_str())
    }

    /// Elements of the constants: the model's parameters.
    pub fn constant_elements(&self) -> u64 {
        self.constants.values().map(|t| t.len() as u64).sum()
    }

    /// Size of the constants, bytes.
    pub fn constant_bytes(&self) -> u64 {
        self.constants.values().map(Tensor::byte_len).sum()
    }
}
