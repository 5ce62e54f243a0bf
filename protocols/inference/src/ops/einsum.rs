//! Einsum: sums of products over named indices.
//!
//! Rules: labels are letters; `...` stands for the remaining dimensions, aligned
//! from the right; a dimension of 1 repeats. Without `->` the output has the
//! ellipsis, then the labels that occur once, in ASCII order. Each output
//! element is one chain over the summed indices, row-major in order of their
//! first appearance: `acc = +0; acc = fma(p, last, acc)`, where `last` is the last
//! operand's element and p the product of the others from left to right, each
//! rounded (1 for a single operand). Integers wrap.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::number::{Number, numeric};
use super::registry::ok;
use super::{BuildError, Fault, Inputs, Node, Operator, Plan, single};
use crate::gas;
use crate::kernels::simd::multiversion;
use crate::kernels::{Kernels, strided};
use crate::tensor::{DType, MAX_RANK, Tensor, numel};

/// Most operands.
const OPERANDS: usize = 8;
/// Longest equation, bytes.
const EQUATION: usize = 512;

/// A place of a term: a label or the ellipsis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Mark {
    Rest,
    Label(u8),
}

#[derive(Debug)]
struct Einsum {
    terms: Vec<Vec<Mark>>,
    output: Vec<Mark>,
}

fn term(text: &str) -> Option<Vec<Mark>> {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&c, tail)) = rest.split_first() {
        if c.is_ascii_alphabetic() {
            out.push(Mark::Label(c));
            rest = tail;
        } else {
            rest = rest.strip_prefix(b"...")?;
            if out.contains(&Mark::Rest) {
                return None;
            }
            out.push(Mark::Rest);
        }
    }
    Some(out)
}

pub(super) fn build(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    let bad = || BuildError::BadAttribute("equation");
    node.arity(1, OPERANDS, 1)?;
    let text = node.text("equation", "")?;
    if text.len() > EQUATION {
        return Err(bad());
    }
    let text: String = text.chars().filter(|c| *c != ' ').collect();
    let (left, right) = match text.split_once("->") {
        Some((l, r)) => (l, Some(r)),
        None => (text.as_str(), None),
    };
    let terms: Option<Vec<_>> = left.split(',').map(term).collect();
    let terms = terms.ok_or_else(bad)?;
    if terms.len() != node.inputs {
        return Err(bad());
    }
    let mut counts: BTreeMap<Mark, usize> = BTreeMap::new();
    for &m in terms.iter().flatten() {
        *counts.entry(m).or_default() += 1;
    }
    let output = match right {
        Some(r) => term(r).ok_or_else(bad)?,
        // The order of marks: the ellipsis first, then ASCII.
        None => counts
            .iter()
            .filter(|(m, n)| **m == Mark::Rest || **n == 1)
            .map(|(m, _)| *m)
            .collect(),
    };
    let mut seen = Vec::new();
    for m in &output {
        if seen.contains(m) || !counts.contains_key(m) {
            return Err(bad());
        }
        seen.push(*m);
    }
    if counts.contains_key(&Mark::Rest) && !output.contains(&Mark::Rest) {
        return Err(BuildError::Unsupported("an ellipsis that the output lacks"));
    }
    ok(Einsum { terms, output })
}

/// An index: a label, or place `i` of the ellipsis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Index {
    Rest(usize),
    Label(u8),
}

/// Sizes and strides of one evaluation.
struct Loops {
    out: Vec<usize>,
    sum: Vec<usize>,
    /// Per operand: strides over the output's and the summed indices.
    lanes: Vec<(Vec<isize>, Vec<isize>)>,
}

impl Einsum {
    fn loops(&self, inputs: &Inputs<'_>) -> Result<Loops, Fault> {
        let unfit = Fault::Trap("a term does not fit its operand");
        let mut places: Vec<Vec<Index>> = Vec::with_capacity(self.terms.len());
        let mut rest = 0;
        let spans: Vec<usize> = (0..self.terms.len())
            .map(|i| {
                let has = self.terms[i].contains(&Mark::Rest);
                let fixed = self.terms[i].len() - usize::from(has);
                let rank = inputs.shape(i)?.len();
                let span = rank.checked_sub(fixed).ok_or(unfit)?;
                if !has && span > 0 {
                    return Err(unfit);
                }
                rest = Ord::max(rest, span);
                Ok(span)
            })
            .collect::<Result<_, _>>()?;
        let expand = |marks: &[Mark], span: usize| -> Vec<Index> {
            let mut out = Vec::new();
            for m in marks {
                match m {
                    Mark::Label(c) => out.push(Index::Label(*c)),
                    Mark::Rest => out.extend((rest - span..rest).map(Index::Rest)),
                }
            }
            out
        };
        let mut order: Vec<(Index, usize)> = Vec::new();
        for (i, &span) in spans.iter().enumerate() {
            let list = expand(&self.terms[i], span);
            for (&index, &n) in list.iter().zip(inputs.shape(i)?) {
                match order.iter_mut().find(|(j, _)| *j == index) {
                    None => order.push((index, n)),
                    Some((_, size)) if *size == n || n == 1 => {}
                    Some((_, size)) if *size == 1 => *size = n,
                    Some(_) => return Err(Fault::Trap("a label has two sizes")),
                }
            }
            places.push(list);
        }
        let out = expand(&self.output, rest);
        if out.len() > MAX_RANK {
            return Err(Fault::Trap("too many dimensions"));
        }
        let size = |i: &Index| order.iter().find(|(j, _)| j == i).map_or(1, |(_, n)| *n);
        let sum: Vec<Index> = order
            .iter()
            .map(|o| o.0)
            .filter(|i| !out.contains(i))
            .collect();
        let mut lanes = Vec::with_capacity(places.len());
        for (i, list) in places.iter().enumerate() {
            let shape = inputs.shape(i)?;
            let own = strided::strides(shape);
            let lane = |over: &[Index]| -> Vec<isize> {
                over.iter()
                    .map(|index| {
                        // A label that occurs twice walks the diagonal.
                        (list.iter().zip(shape).zip(&own))
                            .filter(|((j, n), _)| *j == index && **n != 1)
                            .map(|(_, s)| *s)
                            .sum()
                    })
                    .collect()
            };
            lanes.push((lane(&out), lane(&sum)));
        }
        Ok(Loops {
            out: out.iter().map(size).collect(),
            sum: sum.iter().map(size).collect(),
            lanes,
        })
    }
}

impl Operator for Einsum {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        let dtype = inputs.dtype(0)?;
        for i in 1..inputs.count() {
            inputs.typed(i, dtype)?;
        }
        if dtype == DType::Bool {
            return Err(Fault::Trap("numbers are needed here"));
        }
        let l = self.loops(inputs)?;
        let products = inputs.count().saturating_sub(1).max(1) as u64;
        let gas = gas::contraction(numel(&l.out), numel(&l.sum).saturating_mul(products));
        Ok(Plan::one(dtype, l.out, gas))
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, k: Kernels) -> Result<Vec<Tensor>, Fault> {
        let l = self.loops(inputs)?;
        numeric!(inputs.tensor(0)?, first => run(first, &l, inputs, plan.shape(0), k))
    }
}

multiversion! {
    /// `acc = fma(a[i·sa], b[i·sb], acc)` for i in 0..n.
    fn chain[T: Number](a: &[T], sa: usize, b: &[T], sb: usize, n: usize, acc: &mut T) {
        let mut sum = *acc;
        for i in 0..n {
            sum = a[i * sa].fma(b[i * sb], sum);
        }
        *acc = sum;
    }
}

fn run<T: Number>(
    _first: &[T],
    l: &Loops,
    inputs: &Inputs<'_>,
    out: &[usize],
    k: Kernels,
) -> Result<Vec<Tensor>, Fault> {
    let count = l.lanes.len();
    let xs: Vec<&[T]> = (0..count)
        .map(|i| inputs.slice::<T>(i))
        .collect::<Result<_, _>>()?;
    let zeros = vec![0isize; Ord::max(out.len(), l.sum.len())];
    let lane = |i: usize, sum: bool| -> &[isize] {
        match l.lanes.get(i) {
            Some((_, s)) if sum => s,
            Some((o, _)) => o,
            None if sum => &zeros[..l.sum.len()],
            None => &zeros[..out.len()],
        }
    };
    let outer: [&[isize]; OPERANDS] = std::array::from_fn(|i| lane(i, false));
    let inner: [&[isize]; OPERANDS] = std::array::from_fn(|i| lane(i, true));
    let mut v = Vec::with_capacity(numel(out) as usize);
    // With two operands the innermost summed index is one plain loop.
    let (n, cut) = match l.sum.split_last() {
        Some((&n, rest)) if count == 2 => (n, rest.len()),
        _ => (1, l.sum.len()),
    };
    let step = |i: usize| inner[i].get(cut).map_or(0, |&s| s as usize);
    let around = inner.map(|s| &s[..cut]);
    let one = T::from_f64(1.0);
    strided::walk(out, outer, |at| {
        let mut acc = T::default();
        if n > 0 {
            strided::walk(&l.sum[..cut], around, |from| {
                let x = |i: usize| &xs[i][(at[i] + from[i]) as usize..];
                if count == 2 {
                    chain(k, x(0), step(0), x(1), step(1), n, &mut acc);
                } else {
                    let p = (0..count - 1)
                        .fold(one, |p, i| if i == 0 { x(0)[0] } else { p.mul(x(i)[0]) });
                    acc = p.fma(x(count - 1)[0], acc);
                }
            });
        }
        v.push(acc.canon());
    });
    single(out, v)
}
