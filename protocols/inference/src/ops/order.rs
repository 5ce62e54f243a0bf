//! Operators that compare elements along an axis: TopK, Unique, Hardmax.
//!
//! Rules: the order is numeric with NaN above everything and equal to itself,
//! −0 equal to +0. TopK: of equals the first; always sorted. Unique: elements,
//! or slices along an axis in row-major lexicographic order; of equals the first
//! stands for all; with `sorted = 0` in order of first appearance; at most 2^20
//! elements, because its shape costs a sort. Hardmax: 1 at the first greatest.

use std::cmp::Ordering;
use std::sync::Arc;

use super::registry::ok;
use super::{BuildError, Desc, Fault, Inputs, Node, Operator, Plan, axis, single, tensor};
use crate::gas;
use crate::kernels::Kernels;
use crate::tensor::{DType, Element, Tensor, numel, with_data};

/// The total preorder of the rules.
fn order<T: PartialOrd>(a: &T, b: &T) -> Ordering {
    #[allow(clippy::eq_op)]
    let nan = |x: &T| x != x;
    a.partial_cmp(b).unwrap_or_else(|| nan(a).cmp(&nan(b)))
}

/// Elements before, along and after an axis.
pub(super) fn split(shape: &[usize], a: usize) -> (usize, usize, usize) {
    (
        numel(&shape[..a]) as usize,
        shape.get(a).copied().unwrap_or(1),
        numel(shape.get(a + 1..).unwrap_or(&[])) as usize,
    )
}

/// Comparisons of a sort of `n` elements, a power-of-two bound.
fn sort_weight(n: u64) -> u64 {
    u64::from(64 - n.leading_zeros()).max(1)
}

#[derive(Debug)]
struct TopK {
    axis: i64,
    /// Before opset 10 an attribute.
    k: Option<i64>,
    largest: bool,
}

pub(super) fn top_k(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    let by_input = node.version >= 10;
    node.arity(
        if by_input { 2 } else { 1 },
        if by_input { 2 } else { 1 },
        2,
    )?;
    let k = if by_input {
        None
    } else {
        Some(node.opt_int("k")?.ok_or(BuildError::BadAttribute("k"))?)
    };
    let largest = node.version < 11 || node.flag("largest", true)?;
    if node.version >= 11 {
        // Unsorted means "in any order"; ours is the sorted one.
        node.flag("sorted", true)?;
    }
    ok(TopK {
        axis: node.int("axis", -1)?,
        k,
        largest,
    })
}

impl Operator for TopK {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let d = inputs.desc(0)?;
        if d.dtype == DType::Bool {
            return Err(Fault::Trap("booleans have no order"));
        }
        let a = axis(self.axis, d.shape.len())?;
        let k = match self.k {
            Some(k) => k,
            None => match inputs.ints(1)?.as_slice() {
                [k] => *k,
                _ => return Err(Fault::Trap("k must be one integer")),
            },
        };
        let k = usize::try_from(k).map_err(|_| Fault::Trap("k is negative"))?;
        if k > d.shape[a] {
            return Err(Fault::Trap("k exceeds the dimension"));
        }
        let mut shape = d.shape.clone();
        shape[a] = k;
        let gas = gas::elementwise(d.len(), 2 * sort_weight(d.shape[a] as u64));
        let mut plan = Plan::one(d.dtype, shape.clone(), gas);
        plan.outputs.push(Desc::new(DType::I64, shape));
        Ok(plan)
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, _: Kernels) -> Result<Vec<Tensor>, Fault> {
        let t = inputs.tensor(0)?;
        let a = axis(self.axis, t.shape().len())?;
        with_data!(t.data(), x => self.run(x, t.shape(), a, plan.shape(0)))
    }
}

impl TopK {
    fn run<T: Element + PartialOrd>(
        &self,
        x: &[T],
        shape: &[usize],
        a: usize,
        out: &[usize],
    ) -> Result<Vec<Tensor>, Fault> {
        let (outer, n, inner) = split(shape, a);
        let k = out[a];
        let total = numel(out) as usize;
        let (mut values, mut places) = (vec![T::default(); total], vec![0i64; total]);
        if total == 0 {
            return Ok(vec![tensor(out, values)?, tensor(out, places)?]);
        }
        let mut rank: Vec<usize> = Vec::with_capacity(n);
        for o in 0..outer {
            for i in 0..inner {
                let at = |j: usize| &x[(o * n + j) * inner + i];
                let by = |&p: &usize, &q: &usize| {
                    let c = order(at(p), at(q));
                    let c = if self.largest { c.reverse() } else { c };
                    c.then(p.cmp(&q))
                };
                rank.clear();
                rank.extend(0..n);
                if k < n {
                    rank.select_nth_unstable_by(k, by);
                    rank.truncate(k);
                }
                rank.sort_unstable_by(by);
                for (j, &p) in rank.iter().enumerate() {
                    let to = (o * k + j) * inner + i;
                    values[to] = *at(p);
                    places[to] = p as i64;
                }
            }
        }
        Ok(vec![tensor(out, values)?, tensor(out, places)?])
    }
}

#[derive(Debug)]
struct Unique {
    axis: Option<i64>,
    sorted: bool,
    outputs: usize,
}

pub(super) fn unique(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    node.arity(1, 1, 4)?;
    ok(Unique {
        axis: node.opt_int("axis")?,
        sorted: node.flag("sorted", true)?,
        outputs: node.outputs,
    })
}

/// Most elements of Unique's input.
const UNIQUE: usize = 1 << 20;

/// What Unique finds: per distinct slice its first place and count, in output
/// order, and per slice its distinct one.
struct Distinct {
    first: Vec<usize>,
    count: Vec<i64>,
    inverse: Vec<i64>,
}

impl Unique {
    fn dims(&self, shape: &[usize]) -> Result<(usize, usize, usize), Fault> {
        match self.axis {
            Some(a) => Ok(split(shape, axis(a, shape.len())?)),
            None => Ok((1, numel(shape) as usize, 1)),
        }
    }

    fn find(&self, t: &Tensor) -> Result<Distinct, Fault> {
        let dims = self.dims(t.shape())?;
        if t.len() > UNIQUE || dims.1 > UNIQUE {
            return Err(Fault::Trap("too many elements for Unique"));
        }
        Ok(with_data!(t.data(), x => self.distinct(x, dims)))
    }

    fn distinct<T: PartialOrd>(
        &self,
        x: &[T],
        (outer, n, inner): (usize, usize, usize),
    ) -> Distinct {
        // Slices of no elements are equal, whatever their dimensions.
        let outer = if x.is_empty() { 0 } else { outer };
        let compare = |p: usize, q: usize| {
            for o in 0..outer {
                for i in 0..inner {
                    let at = |j: usize| &x[(o * n + j) * inner + i];
                    match order(at(p), at(q)) {
                        Ordering::Equal => {}
                        c => return c,
                    }
                }
            }
            Ordering::Equal
        };
        let mut rank: Vec<usize> = (0..n).collect();
        rank.sort_by(|&p, &q| compare(p, q));
        // Groups of equals; the sort is stable, so each begins with its first.
        let mut groups: Vec<(usize, Vec<usize>)> = Vec::new();
        for p in rank {
            match groups.last_mut() {
                Some((first, members)) if compare(*first, p) == Ordering::Equal => members.push(p),
                _ => groups.push((p, vec![p])),
            }
        }
        if !self.sorted {
            groups.sort_by_key(|g| g.0);
        }
        let mut inverse = vec![0; n];
        for (i, (_, members)) in groups.iter().enumerate() {
            members.iter().for_each(|&m| inverse[m] = i as i64);
        }
        Distinct {
            first: groups.iter().map(|g| g.0).collect(),
            count: groups.iter().map(|g| g.1.len() as i64).collect(),
            inverse,
        }
    }
}

impl Operator for Unique {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let t = inputs.tensor(0)?;
        let found = self.find(t)?.first.len();
        let (_, n, _) = self.dims(t.shape())?;
        let mut shape = match self.axis {
            Some(_) => t.shape().to_vec(),
            None => vec![n],
        };
        let a = match self.axis {
            Some(a) => axis(a, shape.len())?,
            None => 0,
        };
        shape[a] = found;
        let gas = gas::elementwise(t.len() as u64, 4 * sort_weight(n as u64));
        let mut plan = Plan::one(t.dtype(), shape, gas);
        for len in [found, n, found].into_iter().take(self.outputs - 1) {
            plan.outputs.push(Desc::new(DType::I64, vec![len]));
        }
        // The groups.
        plan.scratch = (n as u64).saturating_mul(64);
        Ok(plan)
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, _: Kernels) -> Result<Vec<Tensor>, Fault> {
        let t = inputs.tensor(0)?;
        let d = self.find(t)?;
        let (outer, n, inner) = self.dims(t.shape())?;
        let y = with_data!(t.data(), x => {
            let mut v = Vec::with_capacity(numel(plan.shape(0)) as usize);
            let outer = if numel(plan.shape(0)) == 0 { 0 } else { outer };
            for o in 0..outer {
                for &j in &d.first {
                    let at = (o * n + j) * inner;
                    v.extend_from_slice(x.get(at..at + inner).unwrap_or(&[]));
                }
            }
            tensor(plan.shape(0), v)?
        });
        let first: Vec<i64> = d.first.iter().map(|&i| i as i64).collect();
        let rest = [first, d.inverse, d.count];
        let mut out = vec![y];
        for (v, d) in rest.into_iter().zip(plan.outputs.iter().skip(1)) {
            out.push(tensor(&d.shape, v)?);
        }
        Ok(out)
    }
}

#[derive(Debug)]
struct Hardmax {
    axis: i64,
    /// Before opset 13: everything from the axis on is one row.
    flat: bool,
}

pub(super) fn hardmax(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    node.arity(1, 1, 1)?;
    let flat = node.version < 13;
    ok(Hardmax {
        axis: node.int("axis", if flat { 1 } else { -1 })?,
        flat,
    })
}

impl Operator for Hardmax {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let d = inputs.desc(0)?;
        if !matches!(d.dtype, DType::F32 | DType::F64) {
            return Err(Fault::Trap("element type not supported here"));
        }
        if !(self.flat && self.axis == d.shape.len() as i64) {
            axis(self.axis, d.shape.len())?;
        }
        Ok(super::arith::same(d, 2 * gas::VISIT))
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, _: Kernels) -> Result<Vec<Tensor>, Fault> {
        let shape = plan.shape(0);
        let (outer, n, inner) = if self.flat {
            let a = if self.axis == shape.len() as i64 {
                shape.len()
            } else {
                axis(self.axis, shape.len())?
            };
            (numel(&shape[..a]) as usize, numel(&shape[a..]) as usize, 1)
        } else {
            split(shape, axis(self.axis, shape.len())?)
        };
        let dims = (outer, n, inner);
        let t = inputs.tensor(0)?;
        match (t.view::<f32>(), t.view::<f64>()) {
            (Some(x), _) => single(shape, hottest(x, dims, 1.0)),
            (_, Some(x)) => single(shape, hottest(x, dims, 1.0)),
            _ => Err(Fault::Trap("element type not supported here")),
        }
    }
}

fn hottest<T: Element + PartialOrd>(
    x: &[T],
    (outer, n, inner): (usize, usize, usize),
    one: T,
) -> Vec<T> {
    let mut v = vec![T::default(); x.len()];
    if x.is_empty() {
        return v;
    }
    for o in 0..outer {
        for i in 0..inner {
            let at = |j: usize| (o * n + j) * inner + i;
            let best = (1..n).fold(0, |b, j| {
                if order(&x[at(j)], &x[at(b)]) == Ordering::Greater {
                    j
                } else {
                    b
                }
            });
            v[at(best)] = one;
        }
    }
    v
}
