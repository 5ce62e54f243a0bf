//! From an operator's name to its implementation: one line per operator, in
//! tables by family.
//!
//! A line names the operator, the first operator set that has it, the element
//! types it takes, what becomes of `f16`, and its builder.

use std::sync::Arc;

use super::half::{Half, Widened};
use super::{BuildError, Node, Operator};
use super::{arith, conv, create, float, gather, layout, linear, logic, norm, pad, pool, reduce};
use super::{bits, blocks, cumulate, einsum, gather_nd, loss, matrix, order, pick, scatter};
use super::{layers, quant, recurrent, shape, slice};

pub(super) type Built = Result<Arc<dyn Operator>, BuildError>;

pub(super) fn ok(op: impl Operator + 'static) -> Built {
    Ok(Arc::new(op))
}

/// An operator that programs may use.
pub struct SupportedOperator {
    /// Its ONNX name.
    pub name: &'static str,
    /// The first operator set of the default domain that has it.
    pub since: u32,
    /// Element types of its main input, for people. "float" is f16 and f32,
    /// "numeric" every integer and float type, "any" all types of this crate.
    pub types: &'static str,
    half: Half,
    build: fn(&Node<'_>) -> Built,
}

/// An operator that takes `f16` itself or takes no floats.
pub(super) const fn own(
    name: &'static str,
    since: u32,
    types: &'static str,
    build: fn(&Node<'_>) -> Built,
) -> SupportedOperator {
    SupportedOperator {
        name,
        since,
        types,
        half: Half::Own,
        build,
    }
}

/// An operator of `f32` that takes `f16` widened, its outputs following input 0.
pub(super) const fn wide(
    name: &'static str,
    since: u32,
    types: &'static str,
    build: fn(&Node<'_>) -> Built,
) -> SupportedOperator {
    wide_by(0, &[], name, since, types, build)
}

/// [`wide`] with the outputs following input `driver`, but those in `keep` staying `f32`.
pub(super) const fn wide_by(
    driver: usize,
    keep: &'static [usize],
    name: &'static str,
    since: u32,
    types: &'static str,
    build: fn(&Node<'_>) -> Built,
) -> SupportedOperator {
    SupportedOperator {
        name,
        since,
        types,
        half: Half::Widen { driver, keep },
        build,
    }
}

pub(super) const FLOAT: &str = "float";
pub(super) const NUMERIC: &str = "numeric";
pub(super) const ANY: &str = "any";

/// Every table.
static FAMILIES: &[&[SupportedOperator]] = &[
    OPERATORS,
    layers::OPERATORS,
    quant::OPERATORS,
    recurrent::OPERATORS,
];

/// The common operators.
static OPERATORS: &[SupportedOperator] = &[
    // Arithmetic.
    wide("Add", 1, NUMERIC, arith::binary),
    wide("Sub", 1, NUMERIC, arith::binary),
    wide("Mul", 1, NUMERIC, arith::binary),
    wide("Div", 1, NUMERIC, arith::binary),
    wide("Pow", 1, NUMERIC, arith::binary),
    wide("Mod", 10, NUMERIC, arith::binary),
    wide("PRelu", 1, NUMERIC, arith::binary),
    wide("Max", 1, NUMERIC, arith::variadic),
    wide("Min", 1, NUMERIC, arith::variadic),
    wide("Sum", 1, NUMERIC, arith::variadic),
    wide("Mean", 1, FLOAT, arith::variadic),
    wide("Neg", 1, NUMERIC, arith::unary),
    wide("Abs", 1, NUMERIC, arith::unary),
    wide("Sign", 9, NUMERIC, arith::unary),
    wide("Relu", 1, NUMERIC, arith::unary),
    wide("Clip", 1, NUMERIC, arith::unary),
    // Functions of one float.
    wide("Sqrt", 1, FLOAT, float::build),
    wide("Exp", 1, FLOAT, float::build),
    wide("Log", 1, FLOAT, float::build),
    wide("Reciprocal", 1, FLOAT, float::build),
    wide("LeakyRelu", 1, FLOAT, float::build),
    wide("Tanh", 1, FLOAT, float::build),
    wide("Sigmoid", 1, FLOAT, float::build),
    wide("Erf", 9, FLOAT, float::build),
    wide("Gelu", 20, FLOAT, float::build),
    wide("HardSigmoid", 1, FLOAT, float::build),
    wide("HardSwish", 14, FLOAT, float::build),
    wide("Softplus", 1, FLOAT, float::build),
    wide("Elu", 1, FLOAT, float::build),
    wide("Selu", 1, FLOAT, float::build),
    wide("Celu", 12, FLOAT, float::build),
    wide("Softsign", 1, FLOAT, float::build),
    wide("ThresholdedRelu", 10, FLOAT, float::build),
    wide("Swish", 24, FLOAT, float::build),
    wide("Mish", 18, FLOAT, float::build),
    wide("Floor", 1, FLOAT, float::build),
    wide("Ceil", 1, FLOAT, float::build),
    wide("Round", 11, FLOAT, float::build),
    wide("Sin", 7, "f16 f32", float::build),
    wide("Cos", 7, "f16 f32", float::build),
    wide("Tan", 7, "f16 f32", float::build),
    wide("Asin", 7, "f16 f32", float::build),
    wide("Acos", 7, "f16 f32", float::build),
    wide("Atan", 7, "f16 f32", float::build),
    wide("Sinh", 9, "f16 f32", float::build),
    wide("Cosh", 9, "f16 f32", float::build),
    wide("Asinh", 9, "f16 f32", float::build),
    wide("Acosh", 9, "f16 f32", float::build),
    wide("Atanh", 9, "f16 f32", float::build),
    // Comparisons, logic, choice.
    own("Equal", 1, ANY, logic::compare),
    own("Less", 1, NUMERIC, logic::compare),
    own("LessOrEqual", 12, NUMERIC, logic::compare),
    own("Greater", 1, NUMERIC, logic::compare),
    own("GreaterOrEqual", 12, NUMERIC, logic::compare),
    own("And", 1, "bool", logic::logic),
    own("Or", 1, "bool", logic::logic),
    own("Xor", 1, "bool", logic::logic),
    own("Not", 1, "bool", logic::not),
    wide("IsNaN", 9, "f16 f32 f64", logic::is_nan),
    wide("IsInf", 10, "f16 f32 f64", logic::is_inf),
    own("Where", 9, ANY, logic::select),
    // Contractions.
    wide("MatMul", 1, "float, integer", linear::matmul),
    wide("Gemm", 1, FLOAT, linear::gemm),
    wide("Conv", 1, FLOAT, conv::build),
    // Windows.
    wide("MaxPool", 1, FLOAT, pool::max_pool),
    wide("AveragePool", 1, FLOAT, pool::average_pool),
    wide("GlobalMaxPool", 1, FLOAT, pool::global),
    wide("GlobalAveragePool", 1, FLOAT, pool::global),
    // Normalisation. LayerNormalization's statistics stay in f32.
    wide("Softmax", 1, FLOAT, norm::softmax),
    wide("LogSoftmax", 1, FLOAT, norm::softmax),
    wide_by(0, &[1, 2], "LayerNormalization", 17, FLOAT, norm::layer),
    wide("BatchNormalization", 1, FLOAT, norm::batch),
    // Reductions.
    wide("ReduceSum", 1, NUMERIC, reduce::build),
    wide("ReduceMean", 1, NUMERIC, reduce::build),
    wide("ReduceMax", 1, ANY, reduce::build),
    wide("ReduceMin", 1, ANY, reduce::build),
    wide("ReduceProd", 1, NUMERIC, reduce::build),
    wide("ReduceL1", 1, NUMERIC, reduce::build),
    wide("ReduceL2", 1, NUMERIC, reduce::build),
    wide("ReduceSumSquare", 1, NUMERIC, reduce::build),
    wide("ReduceLogSum", 1, NUMERIC, reduce::build),
    wide("ReduceLogSumExp", 1, NUMERIC, reduce::build),
    wide("ArgMax", 1, NUMERIC, reduce::arg),
    wide("ArgMin", 1, NUMERIC, reduce::arg),
    // Shapes.
    own("Reshape", 1, ANY, shape::reshape),
    own("Flatten", 1, ANY, shape::flatten),
    own("Squeeze", 1, ANY, shape::squeeze),
    own("Unsqueeze", 1, ANY, shape::squeeze),
    own("Identity", 1, ANY, shape::identity),
    own("Dropout", 1, FLOAT, shape::identity),
    own("Shape", 1, ANY, shape::shape),
    own("Size", 1, ANY, shape::shape),
    // Movement and indexing.
    own("Transpose", 1, ANY, layout::transpose),
    own("Expand", 8, ANY, layout::expand),
    own("Concat", 1, ANY, layout::concat),
    own("Split", 1, ANY, layout::split),
    own("Slice", 1, ANY, slice::build),
    own("Pad", 1, ANY, pad::build),
    own("Gather", 1, ANY, gather::build),
    own("GatherElements", 11, ANY, gather_nd::elements),
    own("GatherND", 11, ANY, gather_nd::nd),
    own("Scatter", 9, ANY, scatter::build),
    own("ScatterElements", 11, ANY, scatter::build),
    own("ScatterND", 11, ANY, scatter::build),
    own("Tile", 1, ANY, blocks::tile),
    own("DepthToSpace", 1, ANY, blocks::blocks),
    own("SpaceToDepth", 1, ANY, blocks::blocks),
    own("ReverseSequence", 10, ANY, blocks::reverse),
    own("Trilu", 14, ANY, blocks::trilu),
    own("CenterCropPad", 18, ANY, blocks::center),
    own("Compress", 9, ANY, pick::compress),
    own("NonZero", 9, ANY, pick::non_zero),
    own("OneHot", 9, ANY, pick::one_hot),
    own("TopK", 1, NUMERIC, order::top_k),
    own("Unique", 11, ANY, order::unique),
    wide("Hardmax", 1, "f16 f32 f64", order::hardmax),
    wide("CumSum", 11, NUMERIC, cumulate::sum),
    wide("Einsum", 12, NUMERIC, einsum::build),
    wide("Det", 11, "f16 f32 f64", matrix::det),
    wide("MeanVarianceNormalization", 9, FLOAT, matrix::mean_variance),
    wide("Shrink", 9, NUMERIC, matrix::shrink),
    own("HannWindow", 17, "i32 i64", matrix::window),
    own("HammingWindow", 17, "i32 i64", matrix::window),
    own("BlackmanWindow", 17, "i32 i64", matrix::window),
    wide("NegativeLogLikelihoodLoss", 12, FLOAT, loss::build),
    wide("SoftmaxCrossEntropyLoss", 12, FLOAT, loss::build),
    // Bits.
    own("BitShift", 11, "integer", bits::binary),
    own("BitwiseAnd", 18, "integer", bits::binary),
    own("BitwiseOr", 18, "integer", bits::binary),
    own("BitwiseXor", 18, "integer", bits::binary),
    own("BitwiseNot", 18, "integer", bits::not),
    // Making tensors.
    own("EyeLike", 9, ANY, blocks::eye_like),
    own("ConstantOfShape", 9, ANY, create::constant_of_shape),
    own("Range", 11, "f32 f64 i16 i32 i64", create::range),
    own("Cast", 1, ANY, create::cast),
    own("CastLike", 15, ANY, create::cast),
];

/// Every operator that programs may use, with the types it takes.
pub fn supported_operators() -> impl Iterator<Item = &'static SupportedOperator> {
    FAMILIES.iter().copied().flatten()
}

/// Builds the operator of a node; every attribute must be understood.
pub(crate) fn build(node: &Node<'_>) -> Built {
    // Fresh randomness would differ between two workers.
    if matches!(
        node.op,
        "Bernoulli"
            | "Multinomial"
            | "RandomNormal"
            | "RandomNormalLike"
            | "RandomUniform"
            | "RandomUniformLike"
    ) {
        return Err(BuildError::Unsupported(
            "random numbers inside a run; give them as an input",
        ));
    }
    let known = supported_operators()
        .find(|o| o.name == node.op && o.since <= node.version)
        .ok_or(BuildError::UnknownOperator)?;
    let inner = (known.build)(node)?;
    node.finish()?;
    Ok(match known.half {
        Half::Own => inner,
        Half::Widen { driver, keep } => Arc::new(Widened {
            inner,
            driver,
            keep,
        }),
    })
}
