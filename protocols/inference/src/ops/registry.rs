//! From an operator's name to its implementation.

use std::sync::Arc;

use super::{BuildError, Node, Operator};
use super::{arith, conv, create, float, gather, layout, linear, logic, norm, pad, pool, reduce};
use super::{layers, shape, slice};

pub(super) type Built = Result<Arc<dyn Operator>, BuildError>;

pub(super) fn ok(op: impl Operator + 'static) -> Built {
    Ok(Arc::new(op))
}

/// Builds the operator of a node; every attribute must be understood.
pub(crate) fn build(node: &Node<'_>) -> Built {
    let op = match node.op {
        "Add" | "Sub" | "Mul" | "Div" | "Pow" | "Mod" | "PRelu" => arith::binary(node),
        "Max" | "Min" | "Sum" | "Mean" => arith::variadic(node),
        "Neg" | "Abs" | "Sign" | "Relu" | "Clip" => arith::unary(node),
        "Sqrt" | "Exp" | "Log" | "Reciprocal" | "LeakyRelu" | "Tanh" | "Sigmoid" | "Erf"
        | "Gelu" | "HardSigmoid" | "HardSwish" | "Softplus" | "Elu" | "Selu" | "Celu"
        | "Softsign" | "ThresholdedRelu" | "Swish" | "Mish" | "Floor" | "Ceil" | "Round" => {
            float::build(node)
        }
        "Equal" | "Less" | "LessOrEqual" | "Greater" | "GreaterOrEqual" => logic::compare(node),
        "And" | "Or" | "Xor" => logic::logic(node),
        "Not" => logic::not(node),
        "IsNaN" => logic::is_nan(node),
        "Where" => logic::select(node),
        "MatMul" => linear::matmul(node),
        "Gemm" => linear::gemm(node),
        "Conv" => conv::build(node),
        "MaxPool" => pool::max_pool(node),
        "AveragePool" => pool::average_pool(node),
        "GlobalMaxPool" | "GlobalAveragePool" => pool::global(node),
        "Softmax" | "LogSoftmax" => norm::softmax(node),
        "LayerNormalization" => norm::layer(node),
        "BatchNormalization" => norm::batch(node),
        "ReduceSum" | "ReduceMean" | "ReduceMax" | "ReduceMin" | "ReduceProd" | "ReduceL1"
        | "ReduceL2" | "ReduceSumSquare" | "ReduceLogSum" => reduce::build(node),
        "ArgMax" | "ArgMin" => reduce::arg(node),
        "Reshape" => shape::reshape(node),
        "Flatten" => shape::flatten(node),
        "Squeeze" | "Unsqueeze" => shape::squeeze(node),
        "Identity" | "Dropout" => shape::identity(node),
        "Shape" | "Size" => shape::shape(node),
        "Transpose" => layout::transpose(node),
        "Expand" => layout::expand(node),
        "Concat" => layout::concat(node),
        "Split" => layout::split(node),
        "Slice" => slice::build(node),
        "Pad" => pad::build(node),
        "Gather" => gather::build(node),
        "ConstantOfShape" => create::constant_of_shape(node),
        "Range" => create::range(node),
        "Cast" | "CastLike" => create::cast(node),
        _ => layers::build(node),
    }?;
    node.finish()?;
    Ok(op)
}
