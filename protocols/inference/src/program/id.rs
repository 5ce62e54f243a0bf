//! The model id.
//!
//! Root (`crate::merkle`, domain `aether/model/v1`) over these leaves: the
//! header (format version `u32`, graph signature), one leaf per instruction,
//! one per constant in order of value id (id, tensor digest).

use super::{Code, Dim, Instruction, ModelId, Program, ValueInfo};
use crate::codec::Writer;
use crate::merkle;

const DOMAIN: &str = "aether/model/v1";
const FORMAT: u32 = 1;

/// Computes the id of a lowered program.
pub(super) fn model_id(p: &Program) -> ModelId {
    let mut leaves = vec![merkle::leaf(&header(p))];
    leaves.extend(p.instructions.iter().map(|i| merkle::leaf(&instruction(i))));
    leaves.extend(p.constants.iter().map(|(id, tensor)| {
        let mut w = Writer::new();
        w.u8(b'c');
        w.u32(*id);
        w.raw(&tensor.digest());
        merkle::leaf(&w.finish())
    }));
    ModelId(merkle::root(DOMAIN, &leaves))
}

fn header(p: &Program) -> Vec<u8> {
    let mut w = Writer::new();
    w.u8(b'h');
    w.u32(FORMAT);
    w.count(p.instructions.len());
    w.count(p.constants.len());
    for list in [&p.inputs, &p.outputs] {
        w.count(list.len());
        list.iter().for_each(|v| value_info(&mut w, v));
    }
    w.count(p.symbols.len());
    p.symbols.iter().for_each(|s| w.bytes(s.as_bytes()));
    w.finish()
}

fn value_info(w: &mut Writer, v: &ValueInfo) {
    w.bytes(v.name.as_bytes());
    w.u32(v.id);
    w.u8(v.dtype.map_or(0, |d| d.code()));
    match &v.dims {
        None => w.u8(0),
        Some(dims) => {
            w.u8(1);
            w.count(dims.len());
            for d in dims {
                let (tag, n) = match *d {
                    Dim::Fixed(n) => (0, n),
                    Dim::Symbol(s) => (1, u64::from(s)),
                    Dim::Any => (2, 0),
                };
                w.u8(tag);
                w.u64(n);
            }
        }
    }
}

/// An instruction's canonical bytes.
fn instruction(i: &Instruction) -> Vec<u8> {
    let mut w = Writer::new();
    w.u8(b'i');
    w.bytes(i.name.as_bytes());
    w.u32(i.version);
    w.count(i.attrs.len());
    for (name, attr) in &i.attrs {
        w.bytes(name.as_bytes());
        attr.write(&mut w);
    }
    for list in [&i.inputs, &i.outputs] {
        w.count(list.len());
        // Ids are shifted by one: 0 is "absent".
        list.iter()
            .for_each(|v| w.u64(v.map_or(0, |v| u64::from(v) + 1)));
    }
    w.count(i.frees.len());
    i.frees.iter().for_each(|&v| w.u32(v));
    if let Code::Control(c) = &i.code {
        c.write(&mut w);
    }
    w.finish()
}
