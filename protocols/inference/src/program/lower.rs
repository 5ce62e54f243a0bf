//! From ONNX bytes to a [`Program`].
//!
//! Rules: nodes keep the file's order, which ONNX requires to be topological; a
//! value has one definition; every name resolves; `Constant` nodes become
//! constants; an output that is an input, a constant or another output passes
//! through an `Identity`. Constants that nothing uses are dropped. Nodes are
//! lowered in `nodes.rs`, bodies in `bodies.rs`, calls in `functions.rs`.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message;

use super::error::{Limits, ModelError};
use super::external::{ExternalData, Sources};
use super::file::ModelFile;
use super::functions::Functions;
use super::names::{Def, Found, Names};
use super::nodes::Missing;
use super::outline::outline;
use super::{Dim, Instruction, ModelId, Program, Scope, ValueId, ValueInfo, id, liveness};
use crate::onnx::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TypeProto,
    ValueInfoProto, tensor_shape_proto::dimension::Value as DimValue,
    type_proto::Value as TypeValue,
};
use crate::run::Kept;
use crate::tensor::{DType, MAX_RANK, Tensor, type_name};

/// Newest operator set understood.
const OPSET_MAX: i64 = 26;

/// A model on its way to a program.
pub(super) struct Lowering<'a> {
    pub(super) limits: &'a Limits,
    /// Version of the default operator set where we are.
    pub(super) version: u32,
    pub(super) names: Names,
    pub(super) constants: BTreeMap<ValueId, Tensor>,
    pub(super) instructions: Vec<Instruction>,
    pub(super) scopes: Vec<Scope>,
    /// The scope where we are, and how deep it is.
    pub(super) scope: u32,
    pub(super) depth: usize,
    /// The scope that defines each value; its length is the next value's id.
    homes: Vec<u32>,
    pub(super) sources: Sources<'a>,
    pub(super) functions: Functions,
    /// Attributes of the function call where we are.
    pub(super) call: Option<BTreeMap<String, AttributeProto>>,
    pub(super) calls: usize,
    /// Nodes, and bytes of functions' bodies, that may still be lowered.
    pub(super) nodes_left: usize,
    pub(super) bytes_left: usize,
    /// What is not supported, when that is the question.
    pub(super) missing: Option<BTreeSet<Missing>>,
    symbols: Vec<String>,
    symbol_ids: BTreeMap<String, u32>,
}

pub(super) fn lower<'a>(
    file: Box<dyn ModelFile + 'a>,
    limits: &'a Limits,
    external: Option<&'a mut dyn ExternalData>,
) -> Result<Program, ModelError> {
    let (mut lowering, graph) = prepare(file, limits, external)?;
    lowering.run(graph)
}

/// Everything that the model needs and this crate does not have.
pub(super) fn missing<'a>(
    file: Box<dyn ModelFile + 'a>,
    limits: &'a Limits,
    external: Option<&'a mut dyn ExternalData>,
) -> Result<Vec<Missing>, ModelError> {
    let (mut lowering, graph) = prepare(file, limits, external)?;
    lowering.missing = Some(BTreeSet::new());
    lowering.run(graph)?;
    Ok(lowering.missing.into_iter().flatten().collect())
}

fn prepare<'a>(
    mut file: Box<dyn ModelFile + 'a>,
    limits: &'a Limits,
    external: Option<&'a mut dyn ExternalData>,
) -> Result<(Lowering<'a>, GraphProto), ModelError> {
    let (len, max) = (file.len(), limits.max_model_bytes);
    let given = usize::try_from(len).unwrap_or(usize::MAX);
    if given > max {
        return Err(ModelError::TooLarge { given, max });
    }
    let outline = outline(&mut *file, len, limits.max_parts)?;
    let model = ModelProto::decode(outline.message.as_slice())
        .map_err(|e| ModelError::Malformed(e.to_string()))?;
    let graph = model.graph.ok_or(ModelError::Missing("graph"))?;
    let own = |n: &NodeProto| is_default(n.domain.as_deref());
    let version = match opset(&model.opset_import)? {
        Some(version) => version,
        None if graph.node.iter().any(own) => return Err(ModelError::Opset("not imported")),
        // Nothing is of that set: the version decides nothing.
        None => 1,
    };
    let functions = Functions::new(model.functions)?;
    let lowering = Lowering {
        limits,
        version,
        names: Names::default(),
        constants: BTreeMap::new(),
        instructions: Vec::new(),
        scopes: vec![Scope::default()],
        scope: 0,
        depth: 0,
        homes: Vec::new(),
        sources: Sources {
            file,
            extents: outline.extents,
            external,
            left: limits.max_external_bytes,
        },
        functions,
        call: None,
        calls: 0,
        nodes_left: limits.max_parts,
        bytes_left: limits.max_expanded_bytes,
        missing: None,
        symbols: Vec::new(),
        symbol_ids: BTreeMap::new(),
    };
    Ok((lowering, graph))
}

/// Version of the default domain's operator set, if it is imported.
pub(super) fn opset(imports: &[OperatorSetIdProto]) -> Result<Option<u32>, ModelError> {
    let mut found = None;
    for set in imports {
        if is_default(set.domain.as_deref()) {
            let version = set.version.unwrap_or(0);
            if found.replace(version).is_some() {
                return Err(ModelError::Opset("imported twice"));
            }
        }
    }
    match found {
        Some(v @ 1..=OPSET_MAX) => Ok(Some(v as u32)),
        Some(_) => Err(ModelError::Opset("version is not supported")),
        None => Ok(None),
    }
}

pub(super) fn is_default(domain: Option<&str>) -> bool {
    matches!(domain, None | Some("" | "ai.onnx"))
}

/// What a type is, for people.
fn kind(value: &TypeValue) -> &'static str {
    match value {
        TypeValue::TensorType(_) => "tensor",
        TypeValue::SequenceType(_) => "sequence",
        TypeValue::MapType(_) => "map",
        TypeValue::SparseTensorType(_) => "sparse tensor",
        TypeValue::OptionalType(_) => "optional value",
    }
}

impl Lowering<'_> {
    fn run(&mut self, graph: GraphProto) -> Result<Program, ModelError> {
        if graph.output.len() > self.limits.max_signature {
            return Err(ModelError::TooMany("outputs"));
        }
        if graph.output.is_empty() {
            return Err(ModelError::Missing("outputs"));
        }
        self.names.open(made(&graph), false);
        let initialisers = self.initialisers(graph.initializer, graph.sparse_initializer.len())?;
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
            let id = self.value();
            let (code, kind) = match proto.r#type.as_ref().and_then(|t| t.value.as_ref()) {
                Some(TypeValue::TensorType(t)) => (t.elem_type, None),
                Some(other) => (None, Some(kind(other))),
                None => (None, None),
            };
            let info = self.signature(proto, id)?;
            if info.dtype.is_none() {
                let name = info.name.clone();
                self.tolerate(match (code, kind) {
                    (Some(code), _) => ModelError::ElementType {
                        name,
                        kind: type_name(code),
                    },
                    (None, Some(kind)) => ModelError::Kind { name, kind },
                    (None, None) => ModelError::Signature(name),
                })?;
            }
            self.names.define(info.name.clone(), Def::Value(id))?;
            inputs.push(info);
        }
        self.define_all(initialisers)?;
        for (index, node) in graph.node.into_iter().enumerate() {
            self.node(index, node)?;
        }
        let mut outputs: Vec<ValueInfo> = Vec::new();
        for proto in graph.output {
            let name = proto.name.clone().unwrap_or_default();
            if outputs.iter().any(|o| o.name == name) {
                return Err(ModelError::Name(name));
            }
            let id = self.required(&name)?;
            let own = (id as usize) >= inputs.len()
                && !self.constants.contains_key(&id)
                && outputs.iter().all(|o| o.id != id);
            let id = if own { id } else { self.identity(id)? };
            outputs.push(self.signature(proto, id)?);
        }
        let mut constants = std::mem::take(&mut self.constants);
        let mut instructions = std::mem::take(&mut self.instructions);
        let scopes = std::mem::take(&mut self.scopes);
        let (homes, count) = (&self.homes, inputs.len());
        liveness::liveness(
            &mut instructions,
            &scopes,
            homes,
            &constants,
            count,
            &outputs,
        );
        // A call may name a constant that the function does not use.
        let used: BTreeSet<ValueId> = instructions
            .iter()
            .flat_map(|i| i.inputs.iter().flatten().copied())
            .collect();
        constants.retain(|id, _| used.contains(id));
        constants.values_mut().for_each(Tensor::keep_prepared);
        let most = constants.values().map(Tensor::byte_len).sum();
        let mut program = Program {
            kept: Kept::new(most),
            inputs,
            outputs,
            symbols: std::mem::take(&mut self.symbols),
            constants,
            instructions,
            scopes,
            id: ModelId([0; 32]),
        };
        program.id = id::model_id(&program);
        Ok(program)
    }

    /// A graph's initialisers by name.
    pub(super) fn initialisers(
        &mut self,
        list: Vec<TensorProto>,
        sparse: usize,
    ) -> Result<BTreeMap<String, Option<Tensor>>, ModelError> {
        if sparse > 0 {
            self.tolerate(ModelError::Unsupported("sparse initialisers"))?;
        }
        let mut all = BTreeMap::new();
        for mut proto in list {
            let name = proto.name.take().unwrap_or_default();
            let tensor = match self.sources.tensor(proto) {
                Ok(tensor) => Some(tensor),
                Err(error) => {
                    let name = name.clone();
                    self.tolerate(ModelError::Constant { name, error })?;
                    None
                }
            };
            if name.is_empty() || all.insert(name.clone(), tensor).is_some() {
                return Err(ModelError::Name(name));
            }
        }
        Ok(all)
    }

    /// Defines initialisers. One whose tensor is not supported (which ends
    /// everything but the question what is missing) becomes a mere value.
    pub(super) fn define_all(
        &mut self,
        initialisers: BTreeMap<String, Option<Tensor>>,
    ) -> Result<(), ModelError> {
        for (name, tensor) in initialisers {
            let def = match tensor {
                Some(tensor) => Def::Constant(tensor),
                None => Def::Value(self.value()),
            };
            self.names.define(name, def)?;
        }
        Ok(())
    }

    /// A new value of the scope where we are.
    pub(super) fn value(&mut self) -> ValueId {
        self.value_in(self.scope)
    }

    pub(super) fn value_in(&mut self, scope: u32) -> ValueId {
        self.homes.push(scope);
        (self.homes.len() - 1) as ValueId
    }

    /// The value of a name, if it has one; a constant gets its id here, at its
    /// first use.
    pub(super) fn resolve(&mut self, name: &str) -> Result<Option<ValueId>, ModelError> {
        if name.is_empty() {
            return Ok(None);
        }
        let next = self.homes.len() as ValueId;
        Ok(match self.names.get(name, next)? {
            Found::Value(id) => Some(id),
            Found::Absent => None,
            Found::First(tensor) => {
                self.homes.push(0);
                self.constants.insert(next, tensor);
                Some(next)
            }
        })
    }

    /// [`Lowering::resolve`] of a name that must have a value.
    pub(super) fn required(&mut self, name: &str) -> Result<ValueId, ModelError> {
        self.resolve(name)?
            .ok_or_else(|| ModelError::Undefined(name.to_owned()))
    }

    /// Notes what is not supported, when that is the question; otherwise, and
    /// for everything else, gives the error back.
    pub(super) fn tolerate(&mut self, error: ModelError) -> Result<(), ModelError> {
        match &mut self.missing {
            Some(missing) if error.is_unsupported() => {
                missing.insert(Missing::new(&error, self.version));
                Ok(())
            }
            _ => Err(error),
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

/// The names that a graph's nodes make.
pub(super) fn made(graph: &GraphProto) -> BTreeSet<String> {
    let names = graph.node.iter().flat_map(|n| &n.output);
    names.filter(|n| !n.is_empty()).cloned().collect()
}
