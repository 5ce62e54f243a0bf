//! Instructions that may wait and be computed together, stretch by stretch.
//!
//! Rule: an operator that gives each element of its one `f32` output from the
//! elements of its operands at that place can say so ([`Operator::pointwise`]);
//! the machine then computes it when its output is looked at, with its
//! neighbours (`kernels::fused`). Operands are values that wait themselves, one
//! number, or tensors that broadcast along the front or the back.

use super::{Inputs, Plan};
use crate::kernels::broadcast::lane;
use crate::kernels::fused::{Each, Function, Node, Source};
use crate::kernels::strided::collapse;
use crate::tensor::{DType, numel};

/// Shortest run over which an operand may change from element to element.
const RUN: usize = 8;

impl Inputs<'_> {
    /// Input `i` as an operand over `out`; slices are named by their place.
    pub(super) fn source(&self, i: usize, out: &[usize]) -> Option<Source> {
        let input = self.slots.get(i)?.as_ref()?;
        let whole = input.desc.len() == numel(out);
        if let Some(node) = input.node {
            return whole.then_some(Source::Node(node));
        }
        let v = input.value?.view::<f32>()?;
        if let &[v] = v {
            return Some(Source::Value(v));
        }
        let inner = match whole {
            true => 1,
            false => period(&input.desc.shape, out, v.len())?,
        };
        (!v.is_empty()).then_some(Source::Slice { at: i, inner })
    }

    /// The one number that input `i` is.
    pub(super) fn number(&self, i: usize) -> Option<f32> {
        match self.slots.get(i)?.as_ref()?.value?.view::<f32>()? {
            &[v] => Some(v),
            _ => None,
        }
    }
}

/// How many neighbours of `out` read one element of `shape`, if that is all
/// there is to it: element t reads t / inner % len.
fn period(shape: &[usize], out: &[usize], len: usize) -> Option<usize> {
    let (dims, lanes) = collapse(out, &[&lane(shape, out)]);
    let inner = match (dims.as_slice(), lanes.first()?.as_slice()) {
        (&[_, n], [0, 1]) if n == len && n >= RUN => 1,
        (&[n, inner], [1, 0]) | (&[_, n, inner], [0, 1, 0]) if n == len && inner >= RUN => inner,
        _ => return None,
    };
    Some(inner)
}

/// A function of inputs 0 and 1.
pub(super) fn two(function: Function, inputs: &Inputs<'_>, plan: &Plan) -> Option<Node> {
    let out = plan.outputs.first().filter(|d| d.dtype == DType::F32)?;
    Some(Node {
        function,
        a: inputs.source(0, &out.shape)?,
        b: inputs.source(1, &out.shape)?,
    })
}

/// A function of input 0 alone.
pub(super) fn one(function: Function, inputs: &Inputs<'_>, plan: &Plan) -> Option<Node> {
    let out = plan.outputs.first().filter(|d| d.dtype == DType::F32)?;
    Some(Node {
        function,
        a: inputs.source(0, &out.shape)?,
        b: Source::Value(0.0),
    })
}

/// [`one`] of a function that is compiled for each path.
pub(super) fn each(f: Each, inputs: &Inputs<'_>, plan: &Plan) -> Option<Node> {
    one(Function::Each(f), inputs, plan)
}
