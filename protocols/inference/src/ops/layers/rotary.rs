//! RotaryEmbedding (23) and TensorScatter (24).
//!
//! Rules. Of the first `rotary_embedding_dim` elements of a head (all where 0),
//! pairs (a, b), halves apart or neighbours when `interleaved`, become
//! `cos · a − sin · b` and `sin · a + cos · b`, every operation rounded; the rest
//! stay. The caches' row is `position_ids`, or the token's own where absent.
//! TensorScatter copies the cache and writes the update's rows from
//! `write_indices` on (0 where absent), around the end in circular mode.

use std::sync::Arc;

use crate::gas;
use crate::kernels::Kernels;
use crate::kernels::math::canon;
use crate::ops::registry::ok;
use crate::ops::{
    BuildError, Desc, Fault, Inputs, Node, Operator, Plan, arith, axis, layout, single,
};
use crate::tensor::{DType, Element, Tensor, with_data};

#[derive(Debug)]
struct Rotary {
    interleaved: bool,
    dim: usize,
    heads: usize,
}

pub(super) fn build(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    node.arity(3, 4, 1)?;
    let bounded = |name: &'static str| match node.int(name, 0)? {
        n @ 0..=0x10_0000 => Ok(n as usize),
        _ => Err(BuildError::BadAttribute(name)),
    };
    ok(Rotary {
        interleaved: node.flag("interleaved", false)?,
        dim: bounded("rotary_embedding_dim")?,
        heads: bounded("num_heads")?,
    })
}

const DISAGREE: Fault = Fault::Trap("the rotary embedding's inputs do not agree");

/// Batch, heads, length, head size, whether heads come after the length, and
/// how many elements turn.
type Sizes = (usize, usize, usize, usize, bool, usize);

impl Rotary {
    fn sizes(&self, inputs: &Inputs<'_>) -> Result<Sizes, Fault> {
        let (batch, heads, len, size, flat) = match *inputs.shape(0)? {
            [b, h, l, d] => (b, h, l, d, false),
            [b, l, wide] if self.heads > 0 && wide % self.heads == 0 => {
                (b, self.heads, l, wide / self.heads, true)
            }
            _ => return Err(DISAGREE),
        };
        let dim = if self.dim == 0 { size } else { self.dim };
        let (cos, sin) = (inputs.typed(1, DType::F32)?, inputs.typed(2, DType::F32)?);
        let caches = if inputs.has(3) {
            let ids = inputs.typed(3, DType::I64)?;
            ids.shape == [batch, len] && matches!(*cos.shape, [_, h] if h == dim / 2)
        } else {
            cos.shape == [batch, len, dim / 2]
        };
        if dim > size || dim % 2 != 0 || !caches || cos.shape != sin.shape {
            return Err(DISAGREE);
        }
        Ok((batch, heads, len, size, flat, dim))
    }
}

impl Operator for Rotary {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let d = inputs.typed(0, DType::F32)?;
        self.sizes(inputs)?;
        Ok(arith::same(d, 3 * gas::SIMPLE))
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, _: Kernels) -> Result<Vec<Tensor>, Fault> {
        let (batch, heads, len, size, flat, dim) = self.sizes(inputs)?;
        let x = inputs.slice::<f32>(0)?;
        let (cos, sin) = (inputs.slice::<f32>(1)?, inputs.slice::<f32>(2)?);
        let half = dim / 2;
        let mut out = x.to_vec();
        // Nothing to turn, at however many places.
        let batch = if x.is_empty() { 0 } else { batch };
        for (b, t) in (0..batch).flat_map(|b| (0..len).map(move |t| (b, t))) {
            let token = b * len + t;
            let row = if inputs.has(3) {
                let id = inputs.slice::<i64>(3)?[token];
                let rows = inputs.shape(1)?[0];
                let id = usize::try_from(id).ok().filter(|&i| i < rows);
                id.ok_or(Fault::Trap("position out of range"))?
            } else {
                token
            };
            let (cos, sin) = (&cos[row * half..][..half], &sin[row * half..][..half]);
            for h in 0..heads {
                let at = if flat {
                    (token * heads + h) * size
                } else {
                    ((b * heads + h) * len + t) * size
                };
                let (from, to) = (&x[at..at + dim], &mut out[at..at + dim]);
                for (i, (&c, &s)) in cos.iter().zip(sin).enumerate() {
                    let (p, q) = if self.interleaved {
                        (2 * i, 2 * i + 1)
                    } else {
                        (i, half + i)
                    };
                    let (a, b) = (from[p], from[q]);
                    to[p] = canon(c * a - s * b);
                    to[q] = canon(s * a + c * b);
                }
            }
        }
        single(plan.shape(0), out)
    }
}

#[derive(Debug)]
struct TensorScatter {
    axis: i64,
    circular: bool,
}

pub(super) fn scatter(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    node.arity(2, 3, 1)?;
    let circular = match node.text("mode", "linear")? {
        "linear" => false,
        "circular" => true,
        _ => return Err(BuildError::BadAttribute("mode")),
    };
    ok(TensorScatter {
        axis: node.int("axis", -2)?,
        circular,
    })
}

impl TensorScatter {
    /// The axis, which must follow the batch.
    fn axis(&self, inputs: &Inputs<'_>) -> Result<usize, Fault> {
        let bad = Fault::Trap("the update does not fit the cache");
        let (cache, update) = (inputs.desc(0)?, inputs.desc(1)?);
        let a = axis(self.axis, cache.shape.len())?;
        let mut same = update.shape.clone();
        match (same.get_mut(a), cache.shape.get(a)) {
            (Some(n), Some(&most)) if a > 0 && *n <= most => *n = most,
            _ => return Err(bad),
        }
        if same != cache.shape || update.dtype != cache.dtype {
            return Err(bad);
        }
        if inputs.has(2) && inputs.typed(2, DType::I64)?.shape != cache.shape[..1] {
            return Err(bad);
        }
        Ok(a)
    }

    fn run<T: Element>(&self, cache: &[T], inputs: &Inputs<'_>) -> Result<Vec<Tensor>, Fault> {
        let shape = inputs.shape(0)?;
        let update = inputs.slice::<T>(1)?;
        let a = self.axis(inputs)?;
        let (most, new) = (shape[a], inputs.shape(1)?[a]);
        let inner: usize = shape[a + 1..].iter().product();
        let between: usize = shape[1..a].iter().product();
        let mut out = cache.to_vec();
        if update.is_empty() {
            return single(shape, out);
        }
        for (i, rows) in update.chunks_exact(new * inner).enumerate() {
            let start = if inputs.has(2) {
                inputs.slice::<i64>(2)?[i / between]
            } else {
                0
            };
            let start = usize::try_from(start).ok().filter(|&s| s < most);
            let start = start.ok_or(Fault::Trap("write index out of range"))?;
            for (j, row) in rows.chunks_exact(inner).enumerate() {
                let to = start + j;
                let to = if self.circular { to % most } else { to };
                if to >= most {
                    return Err(Fault::Trap("write index out of range"));
                }
                out[(i * most + to) * inner..][..inner].copy_from_slice(row);
            }
        }
        single(shape, out)
    }
}

impl Operator for TensorScatter {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        self.axis(inputs)?;
        let d = inputs.desc(0)?;
        Ok(layout::moved(Desc::new(d.dtype, d.shape.clone())))
    }

    fn eval(&self, inputs: &Inputs<'_>, _: &Plan, _: Kernels) -> Result<Vec<Tensor>, Fault> {
        with_data!(inputs.tensor(0)?.data(), x => self.run(x, inputs))
    }
}
