//! From ONNX bytes to a [`Program`].
//!
//! Rules: nodes keep the file's order, which ONNX requires to be topological; a
//! value has one definition; every name resolves; only the default operator
//! domain; no subgraphs yet; `Constant` nodes become constants; an output that
//! is an input or a constant passes through an `Identity`. Constants that
//! nothing uses are dropped.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message;

use super::attrs::{attribute, constant};
use super::error::{Limits, ModelError};
use super::scan::scan;
use super::{Dim, Instruction, ModelId, Program, ValueId, ValueInfo, id};
use crate::onnx::{
    GraphProto, ModelProto, NodeProto, TypeProto, ValueInfoProto,
    tensor_shape_proto::dimension::Value as DimValue, type_proto::Value as TypeValue,
};
use crate::ops::{self, Attr, BuildError, Node};
use crate::tensor::{DType, MAX_RANK, Tensor, from_proto};

/// What a name stands for.
enum Def {
    Value(ValueId),
    /// A constant that no instruction has used yet.
    Constant(Tensor),
}

struct Lowering<'a> {
    limits: &'a Limits,
    version: u32,
    names: BTreeMap<String, Def>,
    /// Names that some node makes, to tell cycles from absences.
    made: BTreeSet<String>,
    next: ValueId,
    constants: BTreeMap<ValueId, Tensor>,
    instructions: Vec<Instruction>,
    symbols: Vec<String>,
    symbol_ids: BTreeMap<String, u32>,
}

pub(super) fn lower(bytes: &[u8], limits: &Limits) -> Result<Program, ModelError> {
    if bytes.len() > limits.max_model_bytes {
        let (given, max) = (bytes.len(), limits.max_model_bytes);
        return Err(ModelError::TooLarge { given, max });
    }
    scan(bytes, limits.max_parts)?;
    let model = ModelProto::decode(bytes).map_err(|e| ModelError::Malformed(e.to_string()))?;
    let version = opset(&model)?;
    let graph = model.graph.ok_or(ModelError::Missing("graph"))?;
    Lowering {
        limits,
        version,
        names: BTreeMap::new(),
        made: BTreeSet::new(),
        next: 0,
        constants: BTreeMap::new(),
        instructions: Vec::new(),
        symbols: Vec::new(),
        symbol_ids: BTreeMap::new(),
    }
    .run(graph)
}

/// Version of the default domain's operator set.
fn opset(model: &ModelProto) -> Result<u32, ModelError> {
    let mut found = None;
    for set in &model.opset_import {
        if is_default(set.domain.as_deref()) {
            let version = set.version.unwrap_or(0);
            if found.replace(version).is_some() {
                return Err(ModelError::Opset("imported twice"));
            }
        }
    }
    match found {
        Some(v @ 1..=26) => Ok(v as u32),
        Some(_) => Err(ModelError::Opset("version is not supported")),
        None => Err(ModelError::Opset("not imported")),
    }
}

fn is_default(domain: Option<&str>) -> bool {
    matches!(domain, None | Some("" | "ai.onnx"))
}

impl Lowering<'_> {
    fn run(mut self, graph: GraphProto) -> Result<Program, ModelError> {
        if !graph.sparse_initializer.is_empty() {
            return Err(ModelError::Malformed(
                "sparse initialisers are not supported".into(),
            ));
        }
        if graph.output.len() > self.limits.max_signature {
            return Err(ModelError::TooMany("outputs"));
        }
        if graph.output.is_empty() {
            return Err(ModelError::Missing("outputs"));
        }
        let mut initialisers = BTreeMap::new();
        for mut proto in graph.initializer {
            let name = proto.name.take().unwrap_or_default();
            let tensor = from_proto(proto).map_err(|error| ModelError::Constant {
                name: name.clone(),
                error,
            })?;
            if name.is_empty() || initialisers.insert(name.clone(), tensor).is_some() {
                return Err(ModelError::Name(name));
            }
        }
        // Old models list initialisers among the inputs as well; those are constants.
        let mut inputs = Vec::new();
        for proto in graph.input {
            if proto
                .name
                .as_ref()
                .is_some_and(|n| initialisers.contains_key(n))
            {
                continue;
            }
            if inputs.len() == self.limits.max_signature {
                return Err(ModelError::TooMany("inputs"));
            }
            let info = self.signature(proto, self.next)?;
            if info.dtype.is_none() {
                return Err(ModelError::Signature(info.name));
            }
            self.define(info.name.clone(), Def::Value(self.next))?;
            self.next += 1;
            inputs.push(info);
        }
        for (name, tensor) in initialisers {
            self.define(name, Def::Constant(tensor))?;
        }
        self.made = graph
            .node
            .iter()
            .flat_map(|n| n.output.iter().cloned())
            .collect();
        for (index, node) in graph.node.into_iter().enumerate() {
            self.node(index, node)?;
        }
        let mut outputs = Vec::new();
        let mut seen = BTreeSet::new();
        for proto in graph.output {
            let name = proto.name.clone().unwrap_or_default();
            if !seen.insert(name.clone()) {
                return Err(ModelError::Name(name));
            }
            let id = self.output(&name, inputs.len())?;
            outputs.push(self.signature(proto, id)?);
        }
        self.liveness(inputs.len(), &outputs);
        self.constants.values_mut().for_each(Tensor::keep_prepared);
        let mut program = Program {
            inputs,
            outputs,
            symbols: self.symbols,
            constants: self.constants,
            instructions: self.instructions,
            id: ModelId([0; 32]),
        };
        program.id = id::model_id(&program);
        Ok(program)
    }

    fn define(&mut self, name: String, def: Def) -> Result<(), ModelError> {
        if name.is_empty() || self.names.contains_key(&name) {
            return Err(ModelError::Name(name));
        }
        self.names.insert(name, def);
        Ok(())
    }

    /// The value id of a name; a constant gets its id here, at its first use.
    fn resolve(&mut self, name: &str) -> Result<ValueId, ModelError> {
        match self.names.get_mut(name) {
            Some(Def::Value(id)) => Ok(*id),
            Some(def) => {
                let id = self.next;
                self.next += 1;
                if let Def::Constant(tensor) = std::mem::replace(def, Def::Value(id)) {
                    self.constants.insert(id, tensor);
                }
                Ok(id)
            }
            None if self.made.contains(name) => Err(ModelError::Cyclic(name.to_owned())),
            None => Err(ModelError::Undefined(name.to_owned())),
        }
    }

    fn node(&mut self, index: usize, node: NodeProto) -> Result<(), ModelError> {
        let mut op = node.op_type.unwrap_or_default();
        let fail = |op: &str, error| ModelError::Node {
            index,
            op: op.to_owned(),
            error,
        };
        if !is_default(node.domain.as_deref()) {
            let domain = node.domain.unwrap_or_default();
            op = format!("{domain}.{op}");
            // The one foreign domain of which some operators are known; its
            // operators have no versions.
            if domain != "com.microsoft" {
                return Err(fail(&op, BuildError::UnknownOperator));
            }
        }
        let mut attrs = BTreeMap::new();
        for proto in node.attribute {
            let name = proto.name.clone().unwrap_or_default();
            let value = attribute(proto).map_err(|e| fail(&op, e))?;
            if attrs.insert(name.clone(), value).is_some() {
                return Err(ModelError::Name(name));
            }
        }
        if op == "Constant" {
            let [name] = node.output.as_slice() else {
                return Err(fail(&op, BuildError::Arity));
            };
            let tensor = constant(&attrs).map_err(|e| fail(&op, e))?;
            return self.define(name.clone(), Def::Constant(tensor));
        }
        let mut inputs = Vec::with_capacity(node.input.len());
        for name in &node.input {
            inputs.push(if name.is_empty() {
                None
            } else {
                Some(self.resolve(name)?)
            });
        }
        while inputs.last() == Some(&None) {
            inputs.pop();
        }
        let mut outputs = Vec::with_capacity(node.output.len());
        for name in node.output {
            outputs.push(if name.is_empty() {
                None
            } else {
                let id = self.next;
                self.next += 1;
                self.define(name, Def::Value(id))?;
                Some(id)
            });
        }
        while outputs.last() == Some(&None) {
            outputs.pop();
        }
        self.push(op, attrs, inputs, outputs)
            .map_err(|(op, e)| fail(&op, e))?;
        if self.instructions.len() > self.limits.max_instructions {
            return Err(ModelError::TooMany("instructions"));
        }
        Ok(())
    }

    fn push(
        &mut self,
        name: String,
        attrs: BTreeMap<String, Attr>,
        inputs: Vec<Option<ValueId>>,
        outputs: Vec<Option<ValueId>>,
    ) -> Result<(), (String, BuildError)> {
        let node = Node::new(&name, self.version, inputs.len(), outputs.len(), &attrs);
        let op = match ops::build(&node) {
            Ok(op) => op,
            Err(e) => return Err((name, e)),
        };
        let (version, frees) = (self.version, Vec::new());
        self.instructions.push(Instruction {
            name,
            version,
            attrs,
            inputs,
            outputs,
            frees,
            op,
        });
        Ok(())
    }

    /// The value of a graph output; inputs and constants pass through Identity.
    fn output(&mut self, name: &str, inputs: usize) -> Result<ValueId, ModelError> {
        let id = self.resolve(name)?;
        if (id as usize) >= inputs && !self.constants.contains_key(&id) {
            return Ok(id);
        }
        let out = self.next;
        self.next += 1;
        self.push(
            "Identity".into(),
            BTreeMap::new(),
            vec![Some(id)],
            vec![Some(out)],
        )
        .map_err(|(op, error)| ModelError::Node {
            index: self.instructions.len(),
            op,
            error,
        })?;
        Ok(out)
    }

    /// Fills in which values die with each instruction.
    fn liveness(&mut self, inputs: usize, outputs: &[ValueInfo]) {
        let mut alive: BTreeSet<ValueId> = outputs.iter().map(|o| o.id).collect();
        for i in self.instructions.iter_mut().rev() {
            let mut frees = BTreeSet::new();
            for &id in i.inputs.iter().chain(&i.outputs).flatten() {
                if !self.constants.contains_key(&id) && alive.insert(id) {
                    frees.insert(id);
                }
            }
            i.frees = frees.into_iter().collect();
        }
        if let Some(first) = self.instructions.first_mut() {
            first
                .frees
                .extend((0..inputs as ValueId).filter(|id| !alive.contains(id)));
            first.frees.sort_unstable();
        }
    }

    fn signature(&mut self, proto: ValueInfoProto, id: ValueId) -> Result<ValueInfo, ModelError> {
        let name = proto.name.unwrap_or_default();
        if name.is_empty() || name.len() > self.limits.max_name_bytes {
            return Err(ModelError::Name(name));
        }
        let bad = || ModelError::Signature(name.clone());
        let Some(TypeProto {
            value: Some(TypeValue::TensorType(t)),
        }) = proto.r#type
        else {
            return Ok(ValueInfo {
                name,
                id,
                dtype: None,
                dims: None,
            });
        };
        let dtype = DType::from_code(i64::from(t.elem_type.unwrap_or(0)));
        let mut dims = None;
        if let Some(shape) = t.shape {
            if shape.dim.len() > MAX_RANK {
                return Err(bad());
            }
            let mut list = Vec::with_capacity(shape.dim.len());
            for d in shape.dim {
                list.push(match d.value {
                    // −1 is an old way of saying "any".
                    None | Some(DimValue::DimValue(-1)) => Dim::Any,
                    Some(DimValue::DimValue(n)) => Dim::Fixed(n.try_into().map_err(|_| bad())?),
                    // Some exporters write "?" for it.
                    Some(DimValue::DimParam(s)) if s.is_empty() || s == "?" => Dim::Any,
                    Some(DimValue::DimParam(s)) => Dim::Symbol(self.symbol(s)?),
                });
            }
            dims = Some(list);
        }
        Ok(ValueInfo {
            name,
            id,
            dtype,
            dims,
        })
    }

    fn symbol(&mut self, name: String) -> Result<u32, ModelError> {
        if name.len() > self.limits.max_name_bytes {
            return Err(ModelError::Name(name));
        }
        let next = self.symbols.len() as u32;
        let at = *self.symbol_ids.entry(name.clone()).or_insert(next);
        if at == next {
            self.symbols.push(name);
        }
        Ok(at)
    }
}
