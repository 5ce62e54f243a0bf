//! GatherElements and GatherND: elements and slices chosen by index tensors.
//!
//! Rules: a negative index counts from the end; one out of range traps.

use std::sync::Arc;

use super::registry::ok;
use super::{BuildError, Desc, Fault, Inputs, Node, Operator, Plan, axis, layout, single};
use crate::kernels::{Kernels, strided};
use crate::tensor::{DType, Element, Tensor, numel, with_data};

/// Refuses index tensors that are not `i32` or `i64`.
pub(super) fn index_type(inputs: &Inputs<'_>, i: usize) -> Result<(), Fault> {
    match inputs.dtype(i)? {
        DType::I32 | DType::I64 => Ok(()),
        _ => Err(Fault::Trap("integers are needed here")),
    }
}

/// A possibly negative index into `n` elements.
pub(super) fn place(i: i64, n: usize) -> Result<usize, Fault> {
    let n = n as i64;
    let i = if i < 0 { i.saturating_add(n) } else { i };
    if (0..n).contains(&i) {
        Ok(i as usize)
    } else {
        Err(Fault::Trap("index out of range"))
    }
}

#[derive(Debug)]
struct GatherElements(i64);

pub(super) fn elements(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    node.arity(2, 2, 1)?;
    ok(GatherElements(node.int("axis", 0)?))
}

/// Checks that `index` fits into `data` everywhere but along axis `a`.
pub(super) fn fits(data: &[usize], index: &[usize], a: usize) -> Result<(), Fault> {
    let ok = data.len() == index.len()
        && data
            .iter()
            .zip(index)
            .enumerate()
            .all(|(i, (d, n))| i == a || n <= d);
    if ok {
        Ok(())
    } else {
        Err(Fault::Trap("the indices' shape does not fit"))
    }
}

impl Operator for GatherElements {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let (d, index) = (inputs.desc(0)?, inputs.desc(1)?);
        index_type(inputs, 1)?;
        let a = axis(self.0, d.shape.len())?;
        fits(&d.shape, &index.shape, a)?;
        Ok(layout::moved(Desc::new(d.dtype, index.shape.clone())))
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, _: Kernels) -> Result<Vec<Tensor>, Fault> {
        let t = inputs.tensor(0)?;
        let a = axis(self.0, t.shape().len())?;
        let index = inputs.indices(1)?;
        with_data!(t.data(), x => {
            let mut v = Vec::with_capacity(index.len());
            each(t.shape(), &index, plan.shape(0), a, |at, _| v.push(x[at]))?;
            single(plan.shape(0), v)
        })
    }
}

/// Calls `f(offset in data, position in index)` for every index, row-major,
/// where the index replaces the coordinate along axis `a`.
pub(super) fn each(
    data: &[usize],
    index: &[i64],
    shape: &[usize],
    a: usize,
    mut f: impl FnMut(usize, usize),
) -> Result<(), Fault> {
    let own = strided::strides(data);
    let mut lane = own.clone();
    lane[a] = 0;
    let (mut i, mut bad) = (0, None);
    strided::walk(shape, [&lane], |[at]| {
        match place(index[i], data[a]) {
            Ok(p) => f(at as usize + p * own[a] as usize, i),
            Err(e) => bad = Some(e),
        }
        i += 1;
    });
    bad.map_or(Ok(()), Err)
}

#[derive(Debug)]
struct GatherNd(i64);

pub(super) fn nd(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    node.arity(2, 2, 1)?;
    ok(GatherNd(if node.version >= 12 {
        node.int("batch_dims", 0)?
    } else {
        0
    }))
}

impl GatherNd {
    /// Batch dimensions and the length of an index tuple.
    fn split(&self, data: &[usize], index: &[usize]) -> Result<(usize, usize), Fault> {
        let bad = Fault::Trap("the indices' shape does not fit");
        let b = usize::try_from(self.0).map_err(|_| bad)?;
        let &k = index.last().ok_or(bad)?;
        let fits =
            b < index.len() && b < data.len() && k <= data.len() - b && data[..b] == index[..b];
        if fits { Ok((b, k)) } else { Err(bad) }
    }
}

impl Operator for GatherNd {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let (d, index) = (inputs.desc(0)?, inputs.desc(1)?);
        index_type(inputs, 1)?;
        let (b, k) = self.split(&d.shape, &index.shape)?;
        let shape = [&index.shape[..index.shape.len() - 1], &d.shape[b + k..]].concat();
        Ok(layout::moved(Desc::new(d.dtype, shape)))
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, _: Kernels) -> Result<Vec<Tensor>, Fault> {
        let t = inputs.tensor(0)?;
        let shape = inputs.shape(1)?;
        let (b, k) = self.split(t.shape(), shape)?;
        let index = inputs.indices(1)?;
        let batches = numel(&shape[..b]) as usize;
        let per = numel(&shape[b..shape.len() - 1]) as usize;
        with_data!(t.data(), x => {
            let g = Tuples { data: t.shape(), index: &index, b, k };
            take(x, &g, batches, per, plan.shape(0))
        })
    }
}

/// Index tuples into the dimensions after `b` batch dimensions.
pub(super) struct Tuples<'a> {
    pub(super) data: &'a [usize],
    pub(super) index: &'a [i64],
    pub(super) b: usize,
    pub(super) k: usize,
}

impl Tuples<'_> {
    /// Elements of the slice that a tuple names.
    pub(super) fn width(&self) -> usize {
        numel(&self.data[self.b + self.k..]) as usize
    }

    /// Offset, within its batch, of the slice that tuple `i` names.
    pub(super) fn offset(&self, i: usize) -> Result<usize, Fault> {
        let dims = &self.data[self.b..];
        let own = strided::strides(dims);
        let mut at = 0;
        for j in 0..self.k {
            at += place(self.index[i * self.k + j], dims[j])? * own[j] as usize;
        }
        Ok(at)
    }
}

fn take<T: Element>(
    x: &[T],
    g: &Tuples<'_>,
    batches: usize,
    per: usize,
    out: &[usize],
) -> Result<Vec<Tensor>, Fault> {
    let mut v = Vec::with_capacity(numel(out) as usize);
    let stride = numel(&g.data[g.b..]) as usize;
    let width = g.width();
    // Empty slices need no indices that are right, and may be absurdly many.
    let batches = if numel(out) == 0 { 0 } else { batches };
    for batch in 0..batches {
        for i in 0..per {
            let at = batch * stride + g.offset(batch * per + i)?;
            if width > 0 {
                v.extend_from_slice(&x[at..at + width]);
            }
        }
    }
    single(out, v)
}
