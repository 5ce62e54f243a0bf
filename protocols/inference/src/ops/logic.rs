//! Comparisons and boolean operators: Equal, Less, …, And, Or, Xor, Not,
//! IsNaN, IsInf, Where.
//!
//! Rule: comparisons with NaN are false.

use std::sync::Arc;

use super::arith::broadcast_plan;
use super::legacy::aligned;
use super::registry::ok;
use super::{BuildError, Fault, Inputs, Node, Operator, Plan, single};
use crate::gas;
use crate::kernels::{Kernels, broadcast, simd, strided};
use crate::tensor::{DType, Element, Tensor, numel, with_data};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compare {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

pub(super) fn compare(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    node.arity(2, 2, 1)?;
    let op = match node.op {
        "Equal" => Compare::Equal,
        "Less" => Compare::Less,
        "LessOrEqual" => Compare::LessOrEqual,
        "Greater" => Compare::Greater,
        _ => Compare::GreaterOrEqual,
    };
    aligned(node, Arc::new(op))
}

impl Operator for Compare {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        inputs.typed(1, inputs.dtype(0)?)?;
        if *self != Compare::Equal && inputs.dtype(0)? == DType::Bool {
            return Err(Fault::Trap("booleans have no order"));
        }
        let shape = broadcast_plan(inputs)?;
        let gas = gas::elementwise(numel(&shape), gas::SIMPLE);
        Ok(Plan::one(DType::Bool, shape, gas))
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, k: Kernels) -> Result<Vec<Tensor>, Fault> {
        let (a, b) = (inputs.tensor(0)?, inputs.tensor(1)?);
        with_data!(a.data(), x => run(*self, (x, a.shape()), b, plan.shape(0), k))
    }
}

fn run<T: Element + PartialOrd>(
    op: Compare,
    a: (&[T], &[usize]),
    b: &Tensor,
    out: &[usize],
    k: Kernels,
) -> Result<Vec<Tensor>, Fault> {
    let b = (
        b.view::<T>().ok_or(Fault::Trap("element types differ"))?,
        b.shape(),
    );
    single(
        out,
        match op {
            Compare::Equal => broadcast::binary(k, a, b, out, |x, y| x == y),
            Compare::Less => broadcast::binary(k, a, b, out, |x, y| x < y),
            Compare::LessOrEqual => broadcast::binary(k, a, b, out, |x, y| x <= y),
            Compare::Greater => broadcast::binary(k, a, b, out, |x, y| x > y),
            Compare::GreaterOrEqual => broadcast::binary(k, a, b, out, |x, y| x >= y),
        },
    )
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Logic {
    And,
    Or,
    Xor,
}

pub(super) fn logic(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    node.arity(2, 2, 1)?;
    let op = match node.op {
        "And" => Logic::And,
        "Or" => Logic::Or,
        _ => Logic::Xor,
    };
    aligned(node, Arc::new(op))
}

impl Operator for Logic {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        inputs.typed(0, DType::Bool)?;
        inputs.typed(1, DType::Bool)?;
        let shape = broadcast_plan(inputs)?;
        let gas = gas::elementwise(numel(&shape), gas::SIMPLE);
        Ok(Plan::one(DType::Bool, shape, gas))
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, k: Kernels) -> Result<Vec<Tensor>, Fault> {
        let a = (inputs.slice::<bool>(0)?, inputs.shape(0)?);
        let b = (inputs.slice::<bool>(1)?, inputs.shape(1)?);
        let out = plan.shape(0);
        single(
            out,
            match self {
                Logic::And => broadcast::binary(k, a, b, out, |x, y| x & y),
                Logic::Or => broadcast::binary(k, a, b, out, |x, y| x | y),
                Logic::Xor => broadcast::binary(k, a, b, out, |x, y| x ^ y),
            },
        )
    }
}

#[derive(Debug)]
struct Not;

pub(super) fn not(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    node.arity(1, 1, 1)?;
    ok(Not)
}

impl Operator for Not {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        Ok(super::arith::same(
            inputs.typed(0, DType::Bool)?,
            gas::SIMPLE,
        ))
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, _: Kernels) -> Result<Vec<Tensor>, Fault> {
        single(
            plan.shape(0),
            inputs
                .slice::<bool>(0)?
                .iter()
                .map(|x| !x)
                .collect::<Vec<_>>(),
        )
    }
}

#[derive(Debug)]
struct IsNan;

pub(super) fn is_nan(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    node.arity(1, 1, 1)?;
    ok(IsNan)
}

impl Operator for IsNan {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        floats_to_bools(inputs)
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, k: Kernels) -> Result<Vec<Tensor>, Fault> {
        test(inputs, plan, k, |x| x.is_nan(), |x| x.is_nan())
    }
}

fn floats_to_bools(inputs: &Inputs<'_>) -> Result<Plan, Fault> {
    let d = inputs.desc(0)?;
    if !d.dtype.is_float() {
        return Err(Fault::Trap("floats are needed here"));
    }
    let gas = gas::elementwise(d.len(), gas::SIMPLE);
    Ok(Plan::one(DType::Bool, d.shape.clone(), gas))
}

fn test(
    inputs: &Inputs<'_>,
    plan: &Plan,
    k: Kernels,
    f: impl Fn(f32) -> bool + Sync,
    g: impl Fn(f64) -> bool + Sync,
) -> Result<Vec<Tensor>, Fault> {
    let t = inputs.tensor(0)?;
    let mut v = vec![false; t.len()];
    if let Some(x) = t.view::<f64>() {
        simd::map1(k, x, &mut v, g);
    } else {
        simd::map1(k, inputs.slice::<f32>(0)?, &mut v, f);
    }
    single(plan.shape(0), v)
}

#[derive(Debug)]
struct IsInf {
    positive: bool,
    negative: bool,
}

pub(super) fn is_inf(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    node.arity(1, 1, 1)?;
    ok(IsInf {
        positive: node.flag("detect_positive", true)?,
        negative: node.flag("detect_negative", true)?,
    })
}

impl Operator for IsInf {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        floats_to_bools(inputs)
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, k: Kernels) -> Result<Vec<Tensor>, Fault> {
        let (p, n) = (self.positive, self.negative);
        test(
            inputs,
            plan,
            k,
            |x| (p && x == f32::INFINITY) || (n && x == f32::NEG_INFINITY),
            |x| (p && x == f64::INFINITY) || (n && x == f64::NEG_INFINITY),
        )
    }
}

#[derive(Debug)]
struct Where;

pub(super) fn select(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    node.arity(3, 3, 1)?;
    ok(Where)
}

impl Operator for Where {
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, Fault> {
        inputs.typed(0, DType::Bool)?;
        let dtype = inputs.dtype(1)?;
        inputs.typed(2, dtype)?;
        let shape = broadcast::shape(inputs.shape(1)?, inputs.shape(2)?)
            .and_then(|s| broadcast::shape(&s, inputs.shape(0).ok()?))
            .ok_or(Fault::Trap("shapes do not broadcast"))?;
        let gas = gas::elementwise(numel(&shape), gas::SIMPLE);
        Ok(Plan::one(dtype, shape, gas))
    }

    fn eval(&self, inputs: &Inputs<'_>, plan: &Plan, _: Kernels) -> Result<Vec<Tensor>, Fault> {
        let (a, b) = (inputs.tensor(1)?, inputs.tensor(2)?);
        with_data!(a.data(), x => choose(x, a.shape(), b, inputs, plan.shape(0)))
    }
}

fn choose<T: Element>(
    x: &[T],
    x_shape: &[usize],
    b: &Tensor,
    inputs: &Inputs<'_>,
    out: &[usize],
) -> Result<Vec<Tensor>, Fault> {
    let y = b.view::<T>().ok_or(Fault::Trap("element types differ"))?;
    let c = inputs.slice::<bool>(0)?;
    let lanes = [
        broadcast::lane(inputs.shape(0)?, out),
        broadcast::lane(x_shape, out),
        broadcast::lane(b.shape(), out),
    ];
    let mut v = Vec::with_capacity(numel(out) as usize);
    strided::walk(out, [&lanes[0], &lanes[1], &lanes[2]], |[i, j, l]| {
        v.push(if c[i as usize] {
            x[j as usize]
        } else {
            y[l as usize]
        });
    });
    single(out, v)
}
