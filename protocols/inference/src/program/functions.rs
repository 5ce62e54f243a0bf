//! Functions of a model: their bodies are put in place of each call.
//!
//! Rules: a function is found by domain, name and overload. Its body sees its
//! inputs and nothing else; an input that the call leaves out is absent.
//! Attributes of the call replace the references to them. Calls may nest
//! [`CALLS_MAX`] deep, and all bodies together may take
//! [`Limits::max_expanded_bytes`](super::Limits): a function that doubles
//! itself is refused before it fills the memory.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use prost::Message;

use super::ModelError;
use super::ValueId;
use super::lower::{Lowering, is_default, opset};
use super::names::Def;
use crate::onnx::{AttributeProto, FunctionProto};
use crate::ops::BuildError;

/// Deepest nesting of calls.
const CALLS_MAX: usize = 16;
/// What a node takes besides its encoding, bytes.
const NODE_BYTES: usize = 256;

/// A model's functions by domain, name and overload.
#[derive(Default)]
pub(super) struct Functions(BTreeMap<[String; 3], Rc<FunctionProto>>);

impl Functions {
    pub(super) fn new(list: Vec<FunctionProto>) -> Result<Self, ModelError> {
        let mut all = BTreeMap::new();
        for f in list {
            let name = f.name.clone().unwrap_or_default();
            let key = key(f.domain.as_deref(), &name, f.overload.as_deref());
            if name.is_empty() || all.insert(key, Rc::new(f)).is_some() {
                return Err(ModelError::Name(name));
            }
        }
        Ok(Self(all))
    }

    pub(super) fn get(
        &self,
        domain: Option<&str>,
        name: &str,
        overload: Option<&str>,
    ) -> Option<Rc<FunctionProto>> {
        if self.0.is_empty() {
            return None;
        }
        self.0.get(&key(domain, name, overload)).cloned()
    }
}

fn key(domain: Option<&str>, name: &str, overload: Option<&str>) -> [String; 3] {
    let domain = if is_default(domain) { None } else { domain };
    [domain.unwrap_or(""), name, overload.unwrap_or("")].map(str::to_owned)
}

impl Lowering<'_> {
    /// Replaces references to attributes of the call that we are in.
    pub(super) fn substitute(
        &mut self,
        list: Vec<AttributeProto>,
    ) -> Result<Vec<AttributeProto>, NodeError> {
        let refers = |a: &AttributeProto| a.ref_attr_name.as_ref().is_some_and(|r| !r.is_empty());
        if !list.iter().any(refers) {
            return Ok(list);
        }
        let Some(call) = &self.call else {
            return Err(BuildError::BadAttribute("reference outside of a function").into());
        };
        let mut out = Vec::with_capacity(list.len());
        for a in list {
            if !refers(&a) {
                out.push(a);
                continue;
            }
            let Some(given) = a.ref_attr_name.as_ref().and_then(|r| call.get(r)) else {
                continue;
            };
            if a.r#type.is_some() && a.r#type != given.r#type {
                return Err(BuildError::BadAttribute("reference of another type").into());
            }
            self.bytes_left = spend(self.bytes_left, self.sources.size(given))?;
            out.push(AttributeProto {
                name: a.name,
                ..given.clone()
            });
        }
        Ok(out)
    }

    /// Lowers a function's body in place of a call.
    pub(super) fn call(
        &mut self,
        f: &FunctionProto,
        inputs: &[Option<ValueId>],
        outputs: Vec<String>,
        attributes: Vec<AttributeProto>,
    ) -> Result<(), NodeError> {
        if self.calls == CALLS_MAX {
            return Err(ModelError::TooDeep.into());
        }
        if inputs.len() > f.input.len() || outputs.len() > f.output.len() {
            return Err(BuildError::Arity.into());
        }
        let mut given = BTreeMap::new();
        for a in &f.attribute_proto {
            self.bytes_left = spend(self.bytes_left, a.encoded_len())?;
            given.insert(a.name.clone().unwrap_or_default(), a.clone());
        }
        for a in attributes {
            let name = a.name.clone().unwrap_or_default();
            if a.g.is_some() {
                return Err(BuildError::Unsupported("graphs as a function's attributes").into());
            }
            if !f.attribute.contains(&name) && !given.contains_key(&name) {
                return Err(BuildError::UnknownAttribute(name).into());
            }
            given.insert(name, a);
        }
        let version = opset(&f.opset_import)?.unwrap_or(self.version);
        let made: BTreeSet<String> = f.node.iter().flat_map(|n| n.output.clone()).collect();
        self.names.open(made, true);
        for (i, name) in f.input.iter().enumerate() {
            let def = match inputs.get(i) {
                Some(Some(id)) => Def::Value(*id),
                _ => Def::Absent,
            };
            self.names.define(name.clone(), def)?;
        }
        let outer = (self.call.replace(given), self.version);
        self.version = version;
        self.calls += 1;
        for (index, node) in f.node.iter().enumerate() {
            self.bytes_left = spend(self.bytes_left, NODE_BYTES + node.encoded_len())?;
            self.node(index, node.clone())?;
        }
        self.calls -= 1;
        (self.call, self.version) = outer;
        let mut results = Vec::with_capacity(outputs.len());
        for name in f.output.iter().take(outputs.len()) {
            results.push(self.required(name)?);
        }
        self.names.close();
        for (name, id) in outputs.into_iter().zip(results) {
            if !name.is_empty() {
                self.names.define(name, Def::Value(id))?;
            }
        }
        Ok(())
    }
}

fn spend(left: usize, bytes: usize) -> Result<usize, ModelError> {
    left.checked_sub(bytes)
        .ok_or(ModelError::TooMany("bytes of functions' bodies"))
}

/// Why a node was refused: for itself, or for something in it.
pub(super) enum NodeError {
    Own(BuildError),
    Inner(ModelError),
}

impl From<BuildError> for NodeError {
    fn from(e: BuildError) -> Self {
        NodeError::Own(e)
    }
}

impl From<ModelError> for NodeError {
    fn from(e: ModelError) -> Self {
        NodeError::Inner(e)
    }
}
