//! ONNX attributes to ours, and `Constant` nodes to tensors.

use std::collections::BTreeMap;

use crate::onnx::{AttributeProto, attribute_proto::AttributeType};
use crate::ops::{Attr, BuildError};
use crate::tensor::{PbError, Tensor, from_proto};

/// Decodes an attribute; its declared type decides which field counts.
pub(super) fn attribute(p: AttributeProto) -> Result<Attr, BuildError> {
    if p.ref_attr_name.is_some_and(|r| !r.is_empty()) {
        return Err(BuildError::Unsupported("attribute references"));
    }
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
            match from_proto(t) {
                Ok(t) => Attr::Tensor(t),
                Err(PbError::DType(_)) => {
                    return Err(BuildError::Unsupported("element type of a constant"));
                }
                Err(_) => return Err(BuildError::BadAttribute("tensor")),
            }
        }
        AttributeType::Graph | AttributeType::Graphs => {
            return Err(BuildError::Unsupported("subgraphs"));
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
        _ => Err(BuildError::Unsupported("kind of constant")),
    }
}
