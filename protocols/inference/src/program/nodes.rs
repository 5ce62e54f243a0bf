//! One node: a constant, a control node, a call, or an operator.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::attrs::{Attrs, attributes, constant};
use super::functions::NodeError;
use super::lower::{Lowering, is_default};
use super::names::Def;
use super::{Code, Instruction, ModelError, ValueId};
use crate::onnx::NodeProto;
use crate::ops::{self, Attr, BuildError, Node, Operator};

/// Something that a model needs and this crate does not have.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Missing {
    /// The operator, with its domain if it has one; empty when it is not about
    /// an operator.
    pub operator: String,
    /// Version of the default operator set where it is used.
    pub opset: u32,
    /// What is missing.
    pub reason: String,
}

impl Missing {
    pub(super) fn new(error: &ModelError, opset: u32) -> Self {
        let (operator, reason) = match error {
            ModelError::Node { op, error, .. } => (op.clone(), error.to_string()),
            other => (String::new(), other.to_string()),
        };
        Self {
            operator,
            opset,
            reason,
        }
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.operator.is_empty() {
            return f.write_str(&self.reason);
        }
        let (operator, opset) = (&self.operator, self.opset);
        write!(f, "{operator} (opset {opset}): {}", self.reason)
    }
}

impl Lowering<'_> {
    /// Lowers a node. `index` is its place in its graph or function.
    pub(super) fn node(&mut self, index: usize, node: NodeProto) -> Result<(), ModelError> {
        self.nodes_left = self
            .nodes_left
            .checked_sub(1)
            .ok_or(ModelError::TooMany("nodes"))?;
        let mut op = node.op_type.clone().unwrap_or_default();
        if !is_default(node.domain.as_deref()) {
            op = format!("{}.{op}", node.domain.as_deref().unwrap_or_default());
        }
        // Only needed to go on after something that is not supported.
        let outputs = self.missing.as_ref().map(|_| node.output.clone());
        let (names, scope, depth) = (self.names.depth(), self.scope, self.depth);
        let error = match self.dispatch(node) {
            Ok(()) => return Ok(()),
            Err(NodeError::Own(error)) => ModelError::Node { index, op, error },
            Err(NodeError::Inner(error)) => error,
        };
        self.tolerate(error)?;
        self.names.cut(names);
        (self.scope, self.depth) = (scope, depth);
        for name in outputs.unwrap_or_default() {
            let id = self.value();
            if !name.is_empty() {
                self.names.define(name, Def::Value(id))?;
            }
        }
        Ok(())
    }

    fn dispatch(&mut self, node: NodeProto) -> Result<(), NodeError> {
        let mut op = node.op_type.unwrap_or_default();
        let domain = node.domain.as_deref();
        let list = self.substitute(node.attribute)?;
        if let Some(f) = self.functions.get(domain, &op, node.overload.as_deref()) {
            let inputs = self.inputs(&node.input)?;
            return self.call(&f, &inputs, node.output, list);
        }
        if !is_default(domain) {
            let domain = domain.unwrap_or_default();
            // The one foreign domain of which some operators are known; its
            // operators have no versions.
            if domain != "com.microsoft" {
                return Err(BuildError::UnknownOperator.into());
            }
            op = format!("{domain}.{op}");
        }
        let Attrs { plain, graphs } = attributes(list, &mut self.sources)?;
        if op == "Constant" {
            let [name] = node.output.as_slice() else {
                return Err(BuildError::Arity.into());
            };
            let tensor = constant(&plain)?;
            self.names.define(name.clone(), Def::Constant(tensor))?;
            return Ok(());
        }
        let inputs = self.inputs(&node.input)?;
        if matches!(op.as_str(), "If" | "Loop" | "Scan") {
            ops::find(&op, self.version)?;
        }
        match op.as_str() {
            "If" => return self.branches(&plain, graphs, &inputs, node.output),
            "Loop" => return self.looped(&plain, graphs, &inputs, node.output),
            "Scan" => return self.scanned(&plain, graphs, &inputs, node.output),
            _ if !graphs.is_empty() => return Err(BuildError::UnknownOperator.into()),
            _ => {}
        }
        // Before the outputs get their ids: what is refused defines nothing.
        let mut named = node.output;
        while named.last().is_some_and(String::is_empty) {
            named.pop();
        }
        let built = self.build(&op, &plain, inputs.len(), named.len())?;
        let mut outputs = Vec::with_capacity(named.len());
        for name in named {
            outputs.push(self.result(&name));
            if !name.is_empty() {
                let id = outputs.last().copied().flatten().unwrap_or_default();
                self.names.define(name, Def::Value(id))?;
            }
        }
        self.emit(op, plain, inputs, outputs, Code::Op(built))?;
        Ok(())
    }

    /// A node's inputs; trailing absent ones are dropped.
    fn inputs(&mut self, names: &[String]) -> Result<Vec<Option<ValueId>>, ModelError> {
        let mut inputs = Vec::with_capacity(names.len());
        for name in names {
            inputs.push(self.resolve(name)?);
        }
        while inputs.last() == Some(&None) {
            inputs.pop();
        }
        Ok(inputs)
    }

    /// A new value for an output, if it has a name.
    pub(super) fn result(&mut self, name: &str) -> Option<ValueId> {
        (!name.is_empty()).then(|| self.value())
    }

    fn build(
        &self,
        op: &str,
        attrs: &BTreeMap<String, Attr>,
        inputs: usize,
        outputs: usize,
    ) -> Result<Arc<dyn Operator>, BuildError> {
        ops::build(&Node::new(op, self.version, inputs, outputs, attrs))
    }

    /// Appends an instruction and returns its index.
    pub(super) fn emit(
        &mut self,
        name: String,
        attrs: BTreeMap<String, Attr>,
        inputs: Vec<Option<ValueId>>,
        outputs: Vec<Option<ValueId>>,
        code: Code,
    ) -> Result<u32, ModelError> {
        if self.instructions.len() >= self.limits.max_instructions {
            return Err(ModelError::TooMany("instructions"));
        }
        self.instructions.push(Instruction {
            name,
            version: self.version,
            attrs,
            inputs,
            outputs,
            frees: Vec::new(),
            code,
            scope: self.scope,
        });
        Ok((self.instructions.len() - 1) as u32)
    }

    /// Appends an `Identity` of a value.
    pub(super) fn identity(&mut self, id: ValueId) -> Result<ValueId, ModelError> {
        let attrs = BTreeMap::new();
        let fail = |error| ModelError::Node {
            index: 0,
            op: "Identity".into(),
            error,
        };
        let op = self.build("Identity", &attrs, 1, 1).map_err(fail)?;
        let out = self.value();
        let (inputs, outputs) = (vec![Some(id)], vec![Some(out)]);
        self.emit("Identity".into(), attrs, inputs, outputs, Code::Op(op))?;
        Ok(out)
    }
}
