//! OptionalHasElement. A program holds tensors only, so that whether an optional
//! value is there is known when the program is made: an input is, no input is not.
//! OptionalGetElement of a tensor is Identity.

use std::sync::Arc;

use super::registry::ok;
use super::{BuildError, Fault, Inputs, Node, Operator, Plan, single};
use crate::kernels::Kernels;
use crate::tensor::{DType, Tensor};

#[derive(Debug)]
struct Has(bool);

pub(super) fn has(node: &Node<'_>) -> Result<Arc<dyn Operator>, BuildError> {
    node.arity(0, 1, 1)?;
    ok(Has(node.inputs == 1))
}

impl Operator for Has {
    fn plan(&self, _: &Inputs<'_>) -> Result<Plan, Fault> {
        Ok(Plan::one(DType::Bool, [], 0))
    }

    fn eval(&self, _: &Inputs<'_>, _: &Plan, _: Kernels) -> Result<Vec<Tensor>, Fault> {
        single(&[], vec![self.0])
    }

    fn reads(&self, _: usize) -> bool {
        false
    }
}
