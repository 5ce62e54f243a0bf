//! From an operator's name to its implementation: one line per operator, in
//! tables by family.
//!
//! A line names the operator, the first operator set that has it, the element
//! types it takes, what becomes of `f16`, and its builder; some the first set
//! that has it no more. If, Loop, Scan and Constant have lines too, though they
//! become no operators: control instructions and constants.

use std::sync::Arc;

use super::half::{Half, Widened};
use super::{BuildError, Node, Operator};
use super::{arith, conv, create, float, gather, layout, linear, logic, norm, pad, pool, reduce};
use super::{bits, blocks, cumulate, einsum, gather_nd, loss, matrix, order, pick, scatter};
use super::{layers, ngram, optional, quant, recurrent, shape, signal, slice};
use crate::tensor::DType;

pub(super) type Built = Result<Arc<dyn Operator>, BuildError>;

pub(super) fn ok(op: impl Operator + 'static) -> Built {
    Ok(Arc::new(op))
}

/// An operator that programs may use.
pub struct SupportedOperator {
    /// Its ONNX name, with its domain unless that is the default one.
    pub name: &'static str,
    /// The first operator set of the default domain that has it.
    pub since: u32,
    /// The first operator set that has it no more.
    pub until: Option<u32>,
    /// Element types of its main input: input 0; of Where input 1; of control
    /// flow what it passes; of Constant its value.
    pub types: &'static [DType],
    how: How,
}

/// What becomes of a node.
enum How {
    /// An instruction that computes.
    Built {
        half: Half,
        build: fn(&Node<'_>) -> Built,
    },
    /// Control flow or a constant: `program` sees to it.
    Lowered,
}

impl SupportedOperator {
    /// Gone from operator set `version` on.
    pub(super) const fn until(mut self, version: u32) -> Self {
        self.until = Some(version);
        self
    }

    /// Whether operator set `version` of the default domain has it.
    ///
    /// # Errors
    /// Since when it has, or has no more.
    fn check(&self, version: u32) -> Result<(), BuildError> {
        match self.until {
            _ if version < self.since => Err(BuildError::NotYet(self.since)),
            Some(until) if version >= until => Err(BuildError::Removed(until)),
            _ => Ok(()),
        }
    }
}

const fn line(
    name: &'static str,
    since: u32,
    types: &'static [DType],
    how: How,
) -> SupportedOperator {
    SupportedOperator {
        name,
        since,
        until: None,
        types,
        how,
    }
}

/// What the program itself sees to.
const fn lowered(name: &'static str, since: u32) -> SupportedOperator {
    line(name, since, ANY, How::Lowered)
}

/// An operator that takes `f16` itself or takes no floats.
pub(super) const fn own(
    name: &'static str,
    since: u32,
    types: &'static [DType],
    build: fn(&Node<'_>) -> Built,
) -> SupportedOperator {
    let half = Half::Own;
    line(name, since, types, How::Built { half, build })
}

/// An operator of `f32` that takes `f16` widened, its outputs following input 0.
pub(super) const fn wide(
    name: &'static str,
    since: u32,
    types: &'static [DType],
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
    types: &'static [DType],
    build: fn(&Node<'_>) -> Built,
) -> SupportedOperator {
    let half = Half::Widen { driver, keep };
    line(name, since, types, How::Built { half, build })
}

/// `f32`, and `f16` widened.
pub(super) const FLOAT: &[DType] = &[DType::F32, DType::F16];
/// Every float type.
pub(super) const FLOATS: &[DType] = &[DType::F32, DType::F16, DType::F64];
/// Every integer type.
pub(super) const INTEGER: &[DType] = &[
    DType::U8,
    DType::I8,
    DType::U16,
    DType::I16,
    DType::I32,
    DType::I64,
    DType::U32,
    DType::U64,
];
/// Every type but booleans.
pub(super) const NUMERIC: &[DType] = &[
    DType::F32,
    DType::U8,
    DType::I8,
    DType::U16,
    DType::I16,
    DType::I32,
    DType::I64,
    DType::F16,
    DType::F64,
    DType::U32,
    DType::U64,
];
/// Every type of this crate.
pub(super) const ANY: &[DType] = &DType::ALL;
/// Unsigned and signed bytes.
pub(super) const BYTES: &[DType] = &[DType::U8, DType::I8];
const MATMUL: &[DType] = &[
    DType::F32,
    DType::I32,
    DType::I64,
    DType::F16,
    DType::F64,
    DType::U32,
    DType::U64,
];
const POOL: &[DType] = &[DType::F32, DType::U8, DType::I8, DType::F16];
const RANGE: &[DType] = &[DType::F32, DType::I16, DType::I32, DType::I64, DType::F64];
const BOOL: &[DType] = &[DType::Bool];
/// What sizes are given in.
const INDEX: &[DType] = &[DType::I32, DType::I64];

/// Every table.
static FAMILIES: &[&[SupportedOperator]] = &[
    OPERATORS,
    layers::OPERATORS,
    quant::OPERATORS,
    recurrent::OPERATORS,
];

/// The common operators.
static OPERATORS: &[SupportedOperator] = &[
    // The program's own.
    lowered("Constant", 1),
    lowered("If", 1),
    lowered("Loop", 1),
    lowered("Scan", 8),
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
    wide("Mean", 1, FLOATS, arith::variadic),
    wide("Neg", 1, NUMERIC, arith::unary),
    wide("Abs", 1, NUMERIC, arith::unary),
    wide("Sign", 9, NUMERIC, arith::unary),
    wide("Relu", 1, NUMERIC, arith::unary),
    wide("Clip", 1, NUMERIC, arith::unary),
    // Functions of one float.
    wide("Sqrt", 1, FLOATS, float::build),
    wide("Exp", 1, FLOATS, float::build),
    wide("Log", 1, FLOATS, float::build),
    wide("Reciprocal", 1, FLOATS, float::build),
    wide("LeakyRelu", 1, FLOATS, float::build),
    wide("Tanh", 1, FLOATS, float::build),
    wide("Sigmoid", 1, FLOATS, float::build),
    wide("Erf", 9, FLOAT, float::build),
    wide("Gelu", 20, FLOAT, float::build),
    wide("HardSigmoid", 1, FLOATS, float::build),
    wide("HardSwish", 14, FLOAT, float::build),
    wide("Softplus", 1, FLOATS, float::build),
    wide("Elu", 1, FLOATS, float::build),
    wide("Selu", 1, FLOAT, float::build),
    wide("Celu", 12, FLOAT, float::build),
    wide("Softsign", 1, FLOATS, float::build),
    wide("ThresholdedRelu", 10, FLOATS, float::build),
    wide("Swish", 24, FLOAT, float::build),
    wide("Mish", 18, FLOAT, float::build),
    wide("Floor", 1, FLOATS, float::build),
    wide("Ceil", 1, FLOATS, float::build),
    wide("Round", 11, FLOATS, float::build),
    wide("Sin", 7, FLOAT, float::build),
    wide("Cos", 7, FLOAT, float::build),
    wide("Tan", 7, FLOAT, float::build),
    wide("Asin", 7, FLOAT, float::build),
    wide("Acos", 7, FLOAT, float::build),
    wide("Atan", 7, FLOAT, float::build),
    wide("Sinh", 9, FLOAT, float::build),
    wide("Cosh", 9, FLOAT, float::build),
    wide("Asinh", 9, FLOAT, float::build),
    wide("Acosh", 9, FLOAT, float::build),
    wide("Atanh", 9, FLOAT, float::build),
    // Comparisons, logic, choice.
    own("Equal", 1, ANY, logic::compare),
    own("Less", 1, NUMERIC, logic::compare),
    own("LessOrEqual", 12, NUMERIC, logic::compare),
    own("Greater", 1, NUMERIC, logic::compare),
    own("GreaterOrEqual", 12, NUMERIC, logic::compare),
    own("And", 1, BOOL, logic::logic),
    own("Or", 1, BOOL, logic::logic),
    own("Xor", 1, BOOL, logic::logic),
    own("Not", 1, BOOL, logic::not),
    wide("IsNaN", 9, FLOATS, logic::is_nan),
    wide("IsInf", 10, FLOATS, logic::is_inf),
    own("Where", 9, ANY, logic::select),
    // Contractions.
    wide("MatMul", 1, MATMUL, linear::matmul),
    wide("Gemm", 1, FLOATS, linear::gemm),
    wide("Conv", 1, FLOATS, conv::build),
    // Windows.
    wide("MaxPool", 1, POOL, pool::max_pool),
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
    own("Dropout", 1, ANY, shape::identity),
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
    own("Scatter", 9, ANY, scatter::build).until(11),
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
    own("OneHot", 9, NUMERIC, pick::one_hot),
    own("TopK", 1, NUMERIC, order::top_k),
    own("Unique", 11, ANY, order::unique),
    wide("Hardmax", 1, FLOATS, order::hardmax),
    wide("CumSum", 11, NUMERIC, cumulate::build),
    wide("CumProd", 26, NUMERIC, cumulate::build),
    wide("Einsum", 12, NUMERIC, einsum::build),
    wide("Det", 11, FLOATS, matrix::det),
    wide("MeanVarianceNormalization", 9, FLOAT, matrix::mean_variance),
    wide("Shrink", 9, NUMERIC, matrix::shrink),
    own("HannWindow", 17, INDEX, matrix::window),
    own("HammingWindow", 17, INDEX, matrix::window),
    own("BlackmanWindow", 17, INDEX, matrix::window),
    wide("NegativeLogLikelihoodLoss", 12, FLOAT, loss::build),
    wide("SoftmaxCrossEntropyLoss", 12, FLOAT, loss::build),
    // Signals.
    wide("DFT", 17, FLOATS, signal::dft),
    wide("STFT", 17, FLOATS, signal::stft),
    own("MelWeightMatrix", 17, INDEX, signal::mel),
    own("TfIdfVectorizer", 9, INDEX, ngram::build),
    // Optional values, which here are there or not when the program is made.
    own("OptionalHasElement", 18, ANY, optional::has),
    own("OptionalGetElement", 18, ANY, shape::identity),
    // Bits.
    own("BitCast", 26, ANY, bits::cast),
    own("BitShift", 11, INTEGER, bits::binary),
    own("BitwiseAnd", 18, INTEGER, bits::binary),
    own("BitwiseOr", 18, INTEGER, bits::binary),
    own("BitwiseXor", 18, INTEGER, bits::binary),
    own("BitwiseNot", 18, INTEGER, bits::not),
    // Making tensors.
    own("EyeLike", 9, ANY, blocks::eye_like),
    own("ConstantOfShape", 9, INDEX, create::constant_of_shape),
    own("Range", 11, RANGE, create::range),
    own("Cast", 1, ANY, create::cast),
    own("CastLike", 15, ANY, create::cast),
];

/// Every operator that programs may use: the one complete list.
pub fn supported_operators() -> impl Iterator<Item = &'static SupportedOperator> {
    FAMILIES.iter().copied().flatten()
}

/// The operator of that name, if operator set `version` has it.
///
/// # Errors
/// Whether there is none, not yet, or no more.
pub(crate) fn find(name: &str, version: u32) -> Result<&'static SupportedOperator, BuildError> {
    let known = supported_operators().find(|o| o.name == name);
    let known = known.ok_or(BuildError::UnknownOperator)?;
    known.check(version)?;
    Ok(known)
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
    let known = find(node.op, node.version)?;
    let How::Built { half, build } = known.how else {
        return Err(BuildError::UnknownOperator);
    };
    let inner = build(node)?;
    node.finish()?;
    Ok(match half {
        Half::Own => inner,
        Half::Widen { driver, keep } => Arc::new(Widened {
            inner,
            driver,
            keep,
        }),
    })
}
