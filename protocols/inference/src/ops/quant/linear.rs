//! QuantizeLinear and DequantizeLinear, per tensor, per axis and blocked.
//!
//! Rules: y = saturate(round(x / scale) + zero), every step rounded to `f32`,
//! `round` half to even, NaN to 0; `i32` inputs are rounded to `f32` first.
//! Back: y = f32(x − zero) · scale, the difference exact.
//! One element of scale: for all; one dimension: per index of `axis`; the
//! input's rank: per block of `block_size` along `axis`.

use std::sync::Arc;

use super::{Quantised, TYPE};
use crate::gas;
use crate::kernels::Kernels;
use crate::kernels::math::canon;
use crate::ops::registry::ok;
use crate::ops::{BuildError, Fault, Inputs, Node, Operator, Plan, axis, single};
use crate::tensor::{DType, Data, Element, Tensor, numel};

/// Where the scale of an element lies.
#[derive(Debug)]
struct Blocks {
    axis: i64,
    size: usize,
}

/// The input as outer × n × inner, and how its scales repeat.
struct Layout {
    n: usize,
    inner: usize,
    /// Elements along the axis that share a scale.
    block: usize,
    /// Scales along the axis.
    scales: usize,
    /// Whether scales differ from row to row, as blocked ones do.
    full: bool,
}

const SCALES: Fault = Fault::Trap("scales do not fit the input");

impl Blocks {
    fn read(node: &Node<'_>) -> Result<Self, BuildError> {
        let size = if node.version >= 21 {
            node.int("block_size", 0)?
        } else {
            0
        };
        Ok(Self {
            axis: node.int("axis", 1)?,
            size: usize::try_from(size).map_err(|_| BuildError::BadAttribute("block_size"))?,
        })
    }

    fn layout(&self, x: &[usize], scale: &[usize]) -> Result<Layout, Fault> {
        if numel(scale) == 1 && scale.len() <= 1 && self.size == 0 {
            return Ok(Layout {
                n: 1,
                inner: numel(x) as usize,
                block: 1,
                scales: 1,
                full: false,
            });
        }
        let a = axis(self.axis, x.len())?;
        let (n, inner) = (x[a], numel(&x[a + 1..]) as usize);
        if self.size == 0 {
            return if scale == [n] {
                Ok(Layout {
                    n,
                    inner,
                    block: 1,
                    scales: n,
                    full: false,
                })
            } else {
                Err(SCALES)
            };
        }
        let mut wanted = x.to_vec();
        wanted[a] = n.div_ceil(self.size);
        if scale != wanted {
            return Err(SCALES);
        }
        Ok(Layout {
            n,
            inner,
            block: self.size,
            scales: wanted[a],
            full: true,
        })
    }
}

impl Layout {
    /// `f(x, i)` of every element and the index of its scale.
    fn map<T: Copy, U>(&self, x: &[T], f: impl Fn(T, usize) -> U) -> Vec<U> {
        let mut out = Vec::with_capacity(x.len());
        for (r, row) in x.chunks_exact(self.inner.max(1)).enumerate() {
            let (outer, i) = (r / self.n, r % self.n / self.block);
            if self.full {
                let base = (outer * self.scales + i) * self.inner;
                out.extend(row.iter().enumerate().map(|(j, &v)| f(v, base + j)));
            } else {
                out.extend(row.iter().map(|&v| f(v, i)));
            }
        }
        out
    }
}

#[derive(Debug)]
struct Quantize {
    blocks: Blocks,
    output: Option<DType>,
}

pub(super) fn quantize(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    node.arity(2, 3, 1)?;
    if node.version >= 19 {
        // Only 8-bit floats saturate or not.
        node.flag("saturate", true)?;
    }
    let mut output = None;
    if node.version >= 21 {
        output = match node.int("output_dtype", 0)? {
            0 => None,
            2 => Some(DType::U8),
            3 => Some(DType::I8),
            4 => Some(DType::U16),
            5 => Some(DType::I16),
            _ => return Err(BuildError::Unsupported("quantised type")),
        };
    }
    if node.version >= 23 && !matches!(node.int("precision", 0)?, 0 | 1) {
        return Err(BuildError::Unsupported("precision other than float"));
    }
    ok(Quantize {
        blocks: Blocks::read(node)?,
        output,
    })
}

impl Operator for Quantize {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let d = inputs.desc(0)?;
        if !matches!(d.dtype, DType::F32 | DType::I32) {
            return Err(TYPE);
        }
        let scale = inputs.typed(1, DType::F32)?;
        self.blocks.layout(&d.shape, &scale.shape)?;
        let mut dtype = self.output;
        if inputs.has(2) {
            let zero = inputs.desc(2)?;
            if zero.shape != scale.shape || dtype.is_some_and(|t| t != zero.dtype) {
                return Err(SCALES);
            }
            dtype = Some(zero.dtype);
        }
        let dtype = dtype.unwrap_or(DType::U8);
        if !matches!(dtype, DType::U8 | DType::I8 | DType::U16 | DType::I16) {
            return Err(TYPE);
        }
        let gas = gas::elementwise(d.len(), gas::DIVIDE + 2 * gas::SIMPLE);
        Ok(Plan::one(dtype, d.shape.clone(), gas))
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, _: Kernels) -> Result<Vec<Tensor>, Fault> {
        match plan.outputs.first().map(|d| d.dtype) {
            Some(DType::U8) => self.run::<u8>(inputs, plan),
            Some(DType::I8) => self.run::<i8>(inputs, plan),
            Some(DType::U16) => self.run::<u16>(inputs, plan),
            Some(DType::I16) => self.run::<i16>(inputs, plan),
            _ => Err(TYPE),
        }
    }
}

impl Quantize {
    fn run<T: Quantised>(&self, inputs: &Inputs<'_>, plan: &Plan) -> Result<Vec<Tensor>, Fault> {
        let t = inputs.tensor(0)?;
        let scale = inputs.slice::<f32>(1)?;
        let layout = self.blocks.layout(t.shape(), inputs.shape(1)?)?;
        let none = vec![T::default(); if inputs.has(2) { 0 } else { scale.len() }];
        let zero = if inputs.has(2) {
            inputs.slice::<T>(2)?
        } else {
            &none
        };
        let one = |x: f32, i: usize| T::saturate((x / scale[i]).round_ties_even() + zero[i].zero());
        let v = match t.data() {
            Data::F32(x) => layout.map(x, one),
            Data::I32(x) => layout.map(x, |x, i| one(x as f32, i)),
            _ => return Err(TYPE),
        };
        single(plan.shape(0), v)
    }
}

#[derive(Debug)]
struct Dequantize {
    blocks: Blocks,
}

pub(super) fn dequantize(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    node.arity(2, 3, 1)?;
    if node.version >= 23 && !matches!(node.int("output_dtype", 0)?, 0 | 1) {
        return Err(BuildError::Unsupported("type of dequantised values"));
    }
    ok(Dequantize {
        blocks: Blocks::read(node)?,
    })
}

impl Operator for Dequantize {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        use DType::{I8, I16, I32, U8, U16};
        let d = inputs.desc(0)?;
        if !matches!(d.dtype, U8 | I8 | U16 | I16 | I32) {
            return Err(TYPE);
        }
        let scale = inputs.typed(1, DType::F32)?;
        self.blocks.layout(&d.shape, &scale.shape)?;
        if inputs.has(2) && inputs.typed(2, d.dtype)?.shape != scale.shape {
            return Err(SCALES);
        }
        let gas = gas::elementwise(d.len(), 3 * gas::SIMPLE);
        Ok(Plan::one(DType::F32, d.shape.clone(), gas))
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, _: Kernels) -> Result<Vec<Tensor>, Fault> {
        match inputs.tensor(0)?.data() {
            Data::U8(x) => self.run(x, inputs, plan),
            Data::I8(x) => self.run(x, inputs, plan),
            Data::U16(x) => self.run(x, inputs, plan),
            Data::I16(x) => self.run(x, inputs, plan),
            Data::I32(x) => self.run(x, inputs, plan),
            _ => Err(TYPE),
        }
    }
}

impl Dequantize {
    fn run<T: Element + Into<i64>>(
        &self,
        x: &[T],
        inputs: &Inputs<'_>,
        plan: &Plan,
    ) -> Result<Vec<Tensor>, Fault> {
        let scale = inputs.slice::<f32>(1)?;
        let layout = self.blocks.layout(plan.shape(0), inputs.shape(1)?)?;
        let zero: Vec<i64> = if inputs.has(2) {
            inputs.slice::<T>(2)?.iter().map(|&z| z.into()).collect()
        } else {
            vec![0; scale.len()]
        };
        let v = layout.map(x, |x, i| {
            let d: i64 = x.into() - zero[i];
            canon(d as f32 * scale[i])
        });
        single(plan.shape(0), v)
    }
}
