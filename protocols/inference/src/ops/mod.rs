//! ONNX operators: what each plans (shapes, gas) and computes.
//!
//! Rules: [`Operator::plan`] sees descriptions and only the *values* that decide
//! shapes; it runs before anything is allocated. [`Operator::eval`] then
//! computes exactly the planned outputs. Inputs that an operator cannot take
//! (shapes that do not agree, an index out of range) are a [`Fault::Trap`]: a
//! deterministic end of the run, never a panic.

mod arith;
mod axis;
mod batch_train;
mod bits;
mod blocks;
mod contract64;
mod conv;
mod create;
mod cumulate;
mod einsum;
mod float;
mod gather;
mod gather_nd;
mod half;
mod layers;
mod layout;
mod legacy;
mod linear;
mod logic;
mod loss;
mod matrix;
mod ngram;
mod node;
mod norm;
mod number;
mod optional;
mod order;
mod pad;
mod pick;
mod pointwise;
mod pool;
mod quant;
mod recurrent;
mod reduce;
mod registry;
mod scatter;
mod shape;
mod signal;
mod slice;
mod window;

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

pub(crate) use axis::move_axis;
pub use node::BuildError;
pub(crate) use node::{Attr, Node};
pub use registry::{SupportedOperator, supported_operators};
pub(crate) use registry::{build, find};

use crate::kernels::{Kernels, fused};
use crate::tensor::{DType, Element, Tensor, check_shape, numel};

/// Longest list of dimensions, axes, pads or sizes.
const MAX_LIST: u64 = 1 << 12;

/// Why an instruction did not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The values cannot be computed with: ends the run, deterministically.
    Trap(&'static str),
    /// This input's bytes are not here: only when re-executing from a witness.
    Missing(usize),
}

/// Type and shape of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Desc {
    pub(crate) dtype: DType,
    pub(crate) shape: Vec<usize>,
}

impl Desc {
    pub(crate) fn new(dtype: DType, shape: impl Into<Vec<usize>>) -> Self {
        Self {
            dtype,
            shape: shape.into(),
        }
    }

    pub(crate) fn of(t: &Tensor) -> Self {
        Self::new(t.dtype(), t.shape())
    }

    /// Elements, saturating.
    pub(crate) fn len(&self) -> u64 {
        numel(&self.shape)
    }

    /// Bytes, saturating.
    pub(crate) fn bytes(&self) -> u64 {
        self.len().saturating_mul(self.dtype.size() as u64)
    }
}

/// Buffers of fixed size, such as a contraction's panels, bytes.
const FIXED_BYTES: u64 = 1 << 20;

/// What an instruction will produce and cost, known before it runs.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) outputs: Vec<Desc>,
    /// Gas beyond the constant per instruction.
    pub(crate) gas: u64,
    /// Memory for intermediate results beyond what [`Plan::working_set`] allows
    /// every instruction, bytes.
    pub(crate) scratch: u64,
}

impl Plan {
    pub(crate) fn one(dtype: DType, shape: impl Into<Vec<usize>>, gas: u64) -> Self {
        Self {
            outputs: vec![Desc::new(dtype, shape)],
            gas,
            scratch: 0,
        }
    }

    /// The shape of output `i`.
    pub(crate) fn shape(&self, i: usize) -> &[usize] {
        self.outputs.get(i).map_or(&[], |d| &d.shape)
    }

    /// Memory the instruction may use besides what is live, bytes: its outputs,
    /// eight bytes for each element it takes or makes, fixed buffers, and what
    /// the operator asks for on top.
    pub(crate) fn working_set(&self, inputs: &Inputs<'_>) -> u64 {
        self.outputs
            .iter()
            .fold(FIXED_BYTES.saturating_add(self.scratch), |m, d| {
                m.saturating_add(d.bytes())
                    .saturating_add(d.len().saturating_mul(8))
            })
            .saturating_add(inputs.elements().saturating_mul(8))
    }

    /// Refuses outputs whose shapes are beyond the limits of a tensor.
    pub(crate) fn check(self) -> Result<Self, Fault> {
        for d in &self.outputs {
            check_shape(&d.shape).map_err(|_| Fault::Trap("output shape out of bounds"))?;
        }
        Ok(self)
    }
}

/// An instruction's inputs. Remembers which values were looked at.
pub(crate) struct Inputs<'a> {
    slots: Vec<Option<Input<'a>>>,
}

pub(crate) struct Input<'a> {
    pub(crate) desc: Cow<'a, Desc>,
    pub(crate) value: Option<&'a Tensor>,
    /// Its node, of a value that waits to be computed.
    pub(crate) node: Option<usize>,
    pub(crate) touched: Cell<bool>,
}

impl<'a> Inputs<'a> {
    pub(crate) fn new(slots: Vec<Option<Input<'a>>>) -> Self {
        Self { slots }
    }

    /// Elements of all inputs, saturating.
    pub(crate) fn elements(&self) -> u64 {
        self.slots
            .iter()
            .flatten()
            .fold(0, |n, s| n.saturating_add(s.desc.len()))
    }

    /// Number of input places, absent optional ones included.
    pub(crate) fn count(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn has(&self, i: usize) -> bool {
        matches!(self.slots.get(i), Some(Some(_)))
    }

    /// Description of input `i`.
    pub(crate) fn desc(&self, i: usize) -> Result<&Desc, Fault> {
        match self.slots.get(i) {
            Some(Some(input)) => Ok(&input.desc),
            _ => Err(Fault::Trap("a required input is absent")),
        }
    }

    pub(crate) fn shape(&self, i: usize) -> Result<&[usize], Fault> {
        Ok(&self.desc(i)?.shape)
    }

    pub(crate) fn dtype(&self, i: usize) -> Result<DType, Fault> {
        Ok(self.desc(i)?.dtype)
    }

    /// Description of input `i`, which must have element type `dtype`.
    pub(crate) fn typed(&self, i: usize, dtype: DType) -> Result<&Desc, Fault> {
        let d = self.desc(i)?;
        if d.dtype == dtype {
            Ok(d)
        } else {
            Err(Fault::Trap("element type not supported here"))
        }
    }

    /// The value of input `i`.
    pub(crate) fn tensor(&self, i: usize) -> Result<&'a Tensor, Fault> {
        match self.slots.get(i) {
            Some(Some(input)) => {
                input.touched.set(true);
                input.value.ok_or(Fault::Missing(i))
            }
            _ => Err(Fault::Trap("a required input is absent")),
        }
    }

    /// The elements of input `i`, which must have type `T`.
    pub(crate) fn slice<T: Element>(&self, i: usize) -> Result<&'a [T], Fault> {
        self.tensor(i)?
            .view::<T>()
            .ok_or(Fault::Trap("element type not supported here"))
    }

    /// The elements of a short integer input, as for shapes and axes. Bounded,
    /// because planning must not allocate what has not been paid for.
    pub(crate) fn ints(&self, i: usize) -> Result<Vec<i64>, Fault> {
        if self.desc(i)?.len() > MAX_LIST {
            return Err(Fault::Trap("a list of dimensions or axes is too long"));
        }
        self.indices(i)
    }

    /// The elements of an `i64` (or `i32`) input.
    pub(crate) fn indices(&self, i: usize) -> Result<Vec<i64>, Fault> {
        let t = self.tensor(i)?;
        if let Some(v) = t.view::<i64>() {
            Ok(v.to_vec())
        } else if let Some(v) = t.view::<i32>() {
            Ok(v.iter().map(|&x| i64::from(x)).collect())
        } else {
            Err(Fault::Trap("integers are needed here"))
        }
    }

    /// [`Inputs::ints`] of an optional input.
    pub(crate) fn opt_ints(&self, i: usize) -> Result<Option<Vec<i64>>, Fault> {
        if self.has(i) {
            self.ints(i).map(Some)
        } else {
            Ok(None)
        }
    }

    /// Which inputs' values were looked at.
    pub(crate) fn touched(&self) -> impl Iterator<Item = usize> + '_ {
        self.slots
            .iter()
            .enumerate()
            .filter(|(_, s)| s.as_ref().is_some_and(|s| s.touched.get()))
            .map(|(i, _)| i)
    }
}

/// An operator with its attributes resolved.
pub(crate) trait Operator: fmt::Debug + Send + Sync {
    /// Shapes and gas, without allocating anything that grows with them.
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault>;

    /// Computes the planned outputs.
    fn eval(
        &self,
        inputs: &Inputs<'_>,
        plan: &Plan,
        kernels: Kernels,
    ) -> Result<Vec<Tensor>, Fault>;

    /// Whether [`Operator::pointwise`] may have an answer; planning then looks at
    /// descriptions only.
    fn elementwise(&self) -> bool {
        false
    }

    /// The instruction as a node of a chain, slices named by input places; must
    /// give the bits that [`Operator::eval`] gives, and cannot trap.
    fn pointwise(&self, _inputs: &Inputs<'_>, _plan: &Plan) -> Option<fused::Node> {
        None
    }

    /// Whether the *value* of input `i` matters, not only its description.
    fn reads(&self, _i: usize) -> bool {
        true
    }
}

/// A tensor of planned shape; a mismatch would be our bug and ends the run.
pub(crate) fn tensor<T: Element>(shape: &[usize], v: Vec<T>) -> Result<Tensor, Fault> {
    Tensor::from_vec(shape, v).map_err(|_| Fault::Trap("output does not fill its shape"))
}

/// [`tensor`] as an instruction's only output.
pub(crate) fn single<T: Element>(shape: &[usize], v: Vec<T>) -> Result<Vec<Tensor>, Fault> {
    Ok(vec![tensor(shape, v)?])
}

/// Resolves a possibly negative axis against a rank.
pub(crate) fn axis(axis: i64, rank: usize) -> Result<usize, Fault> {
    let rank = rank as i64;
    let a = if axis < 0 {
        axis.saturating_add(rank)
    } else {
        axis
    };
    if (0..rank).contains(&a) {
        Ok(a as usize)
    } else {
        Err(Fault::Trap("axis out of range"))
    }
}

/// Resolves axes; duplicates are refused.
pub(crate) fn axes(list: &[i64], rank: usize) -> Result<Vec<usize>, Fault> {
    let mut out = Vec::with_capacity(list.len().min(rank));
    for &a in list {
        let a = axis(a, rank)?;
        if out.contains(&a) {
            return Err(Fault::Trap("an axis is named twice"));
        }
        out.push(a);
    }
    Ok(out)
}
