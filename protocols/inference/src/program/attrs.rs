//! ONNX attributes to ours, and `Constant` nodes to tensors.
//!
//! Rules: an attribute's declared type decides which field counts. In a
//! function's body an attribute may refer to one of the call's; a reference to
//! one that the call leaves out leaves the attribute out.

use std::collections::BTreeMap;

use super::external::Sources;
use crate::onnx::{AttributeProto, GraphProto, attribute_proto::AttributeType};
use crate::ops::{Attr, BuildError};
use crate::tensor::Tensor;

/// A node's attributes.
#[derive(Default)]
pub(super) struct Attrs {
    pub(super) plain: BTreeMap<String, Attr>,
    pub(super) graphs: BTreeMap<String, GraphProto>,
}

/// Decodes attributes without references.
pub(super) fn attributes(
    list: Vec<AttributeProto>,
    sources: &mut Sources<'_>,
) -> Result<Attrs, BuildError> {
    let mut attrs = Attrs::default();
    for proto in list {
        let name = proto.name.clone().unwrap_or_default();
        if attrs.plain.contains_key(&name) || attrs.graphs.contains_key(&name) {
            return Err(BuildError::BadAttribute("named twice"));
        }
        if proto.r#type == Some(AttributeType::Graph as i32) {
            let graph = proto.g.ok_or(BuildError::BadAttribute("graph"))?;
            attrs.graphs.insert(name, graph);
        } else {
            attrs.plain.insert(name, attribute(proto, sources)?);
        }
    }
    Ok(attrs)
}

fn attribute(p: AttributeProto, sources: &mut Sources<'_>) -> Result<Attr, BuildError> {
    let kind = match p.r#type.map(AttributeType::try_from) {
        Some(Ok(kind)) => kind,
        _ => return Err(BuildError::BadAttribute("type")),
    };
    Ok(match kind {
        AttributeType::Float => Attr::Float(p.f.unwrap_or(0.0)),
        AttributeType::Int => Attr::Int(p.i.unwrap_or(0)),
        AttributeType::String => Attr::Str(p.s.unwrap_or_default()),
        AttributeType::Floats => Attr::Floats(p.floats),
        AttributeType::Ints => Attr::Ints(p.ints),
        AttributeType::Strings => Attr::Strs(p.strings),
        AttributeType::Tensor => {
            let t = p.t.ok_or(BuildError::BadAttribute("tensor"))?;
            Attr::Tensor(sources.tensor(t).map_err(BuildError::Constant)?)
        }
        AttributeType::Graphs => return Err(BuildError::Unsupported("lists of graphs")),
        AttributeType::SparseTensor | AttributeType::SparseTensors => {
            return Err(BuildError::Unsupported("sparse tensors"));
        }
        _ => return Err(BuildError::Unsupported("attribute type")),
    })
}

/// The value of a `Constant` node.
pub(super) fn constant(attrs: &BTreeMap<String, Attr>) -> Result<Tensor, BuildError> {
    let bad = BuildError::BadAttribute("value");
    let mut all = attrs.iter();
    let (Some((name, attr)), None) = (all.next(), all.next()) else {
        return Err(bad);
    };
    match (name.as_str(), attr) {
        ("value", Attr::Tensor(t)) => Ok(t.clone()),
        ("value_float", Attr::Float(v)) => Ok(Tensor::scalar(*v)),
        ("value_int", Attr::Int(v)) => Ok(Tensor::scalar(*v)),
        ("value_floats", Attr::Floats(v)) => {
            Tensor::from_vec(&[v.len()], v.clone()).map_err(|_| bad)
        }
        ("value_ints", Attr::Ints(v)) => Tensor::from_vec(&[v.len()], v.clone()).map_err(|_| bad),
        ("value_string" | "value_strings", Attr::Str(_) | Attr::Strs(_)) => {
            Err(BuildError::Unsupported("constants of strings"))
        }
        ("value" | "value_float" | "value_int" | "value_floats" | "value_ints", _) => Err(bad),
        _ => Err(BuildError::UnknownAttribute(name.clone())),
    }
}
