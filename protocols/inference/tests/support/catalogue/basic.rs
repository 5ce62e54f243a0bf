//! Rows of the operators that compute element by element, reduce, move and make.

use aether_inference::Tensor;

use super::super::model::{A, ints};
use super::{NEWEST, Row, bytes, flags, of, positive, scalar, x};

pub(super) fn rows(all: &mut Vec<Row>) {
    elementwise(all);
    rows_and_reductions(all);
    movement(all);
    indexing(all);
    making(all);
    signals(all);
}

fn elementwise(all: &mut Vec<Row>) {
    for op in [
        "Abs",
        "Neg",
        "Sign",
        "Relu",
        "Clip",
        "Sqrt",
        "Exp",
        "Log",
        "Reciprocal",
        "Tanh",
        "Sigmoid",
        "Erf",
        "Gelu",
        "HardSwish",
        "Softplus",
        "Softsign",
        "Swish",
        "Mish",
        "Floor",
        "Ceil",
        "Round",
        "Sin",
        "Cos",
        "Tan",
        "Asin",
        "Acos",
        "Atan",
        "Sinh",
        "Cosh",
        "Asinh",
        "Acosh",
        "Atanh",
        "IsNaN",
        "IsInf",
        "Identity",
        "Shape",
        "Size",
        "Softmax",
        "LogSoftmax",
        "Hardmax",
        "Flatten",
        "Transpose",
        "ArgMax",
        "ArgMin",
        "NonZero",
        "EyeLike",
        "Trilu",
        "LpNormalization",
    ] {
        all.push(Row::new(op, vec![x(&[2, 3])]));
    }
    let one = |op| Row::new(op, vec![x(&[2, 3])]);
    all.push(one("LeakyRelu").float("alpha", 0.1));
    all.push(one("HardSigmoid").float("alpha", 0.2).float("beta", 0.5));
    all.push(one("Elu").float("alpha", 1.5));
    all.push(one("Selu").float("alpha", 1.5).float("gamma", 2.0));
    all.push(one("Celu").float("alpha", 1.5));
    all.push(one("ThresholdedRelu").float("alpha", 0.1));
    all.push(one("Shrink").float("bias", 0.1).float("lambd", 0.2));
    all.push(one("Clip").more(vec![Some(scalar(-0.5)), Some(scalar(0.5))]));
    all.push(Row::new("Dropout", vec![x(&[2, 3])]).outputs(2));
    for op in [
        "Add",
        "Sub",
        "Mul",
        "Div",
        "Pow",
        "PRelu",
        "Max",
        "Min",
        "Sum",
        "Mean",
        "Equal",
        "Less",
        "LessOrEqual",
        "Greater",
        "GreaterOrEqual",
    ] {
        let required = if matches!(op, "Max" | "Min" | "Sum" | "Mean") {
            1
        } else {
            2
        };
        all.push(Row::new(op, vec![x(&[2, 3]), x(&[3])]).required(required));
    }
    all.push(Row::new("Mod", vec![x(&[2, 3]), positive(&[3])]).int("fmod", 1));
    for op in ["And", "Or", "Xor"] {
        all.push(Row::new(op, vec![flags(&[2, 3]), flags(&[3])]));
    }
    all.push(Row::new("Not", vec![flags(&[2, 3])]));
    all.push(Row::new("Where", vec![flags(&[2, 3]), x(&[2, 3]), x(&[3])]));
    let small = of(&[3], vec![1u8, 2, 3]);
    all.push(Row::new("BitShift", vec![bytes(&[2, 3]), small]).text("direction", "LEFT"));
    for op in ["BitwiseAnd", "BitwiseOr", "BitwiseXor"] {
        all.push(Row::new(op, vec![bytes(&[2, 3]), bytes(&[3])]));
    }
    all.push(Row::new("BitwiseNot", vec![bytes(&[2, 3])]));
    all.push(one("Cast").int("to", 7));
    all.push(Row::new("CastLike", vec![x(&[2, 3]), ints(&[1])]));
}

fn rows_and_reductions(all: &mut Vec<Row>) {
    for op in [
        "ReduceSum",
        "ReduceMean",
        "ReduceMax",
        "ReduceMin",
        "ReduceProd",
        "ReduceL1",
        "ReduceL2",
        "ReduceSumSquare",
        "ReduceLogSum",
        "ReduceLogSumExp",
    ] {
        let row = Row::new(op, vec![positive(&[2, 3, 4]), ints(&[1])]).required(1);
        all.push(row.int("keepdims", 0));
    }
    let images = || x(&[2, 4, 3]);
    all.push(
        Row::new("LayerNormalization", vec![images(), x(&[3]), x(&[3])])
            .required(2)
            .float("epsilon", 1e-5)
            .outputs(3),
    );
    let four = || x(&[4]);
    let inputs = vec![images(), four(), four(), four(), positive(&[4])];
    all.push(Row::new("BatchNormalization", inputs).float("epsilon", 1e-5));
    let trained = vec![images(), four(), four(), four(), positive(&[4])];
    all.push(
        Row::new("BatchNormalization", trained)
            .int("training_mode", 1)
            .float("momentum", 0.8)
            .outputs(3),
    );
    all.push(Row::new(
        "InstanceNormalization",
        vec![images(), four(), four()],
    ));
    all.push(Row::new("GroupNormalization", vec![images(), four(), four()]).int("num_groups", 2));
    all.push(Row::new("RMSNormalization", vec![images(), x(&[3])]).int("axis", -1));
    all.push(
        Row::new("LRN", vec![images()])
            .int("size", 3)
            .float("alpha", 0.1)
            .float("beta", 0.7),
    );
    all.push(Row::new("MeanVarianceNormalization", vec![x(&[2, 2, 3, 3])]).ints("axes", &[0, 2]));
    all.push(
        Row::new("CumSum", vec![x(&[2, 3]), ints(&[1])])
            .int("exclusive", 1)
            .int("reverse", 1),
    );
    all.push(
        Row::new("CumProd", vec![x(&[2, 3]), ints(&[0])])
            .int("exclusive", 1)
            .int("reverse", 1),
    );
    all.push(
        Row::new("TopK", vec![x(&[2, 5]), ints(&[3])])
            .int("axis", 1)
            .outputs(2),
    );
    all.push(
        Row::new("Unique", vec![x(&[3, 2])])
            .int("axis", 0)
            .outputs(4),
    );
    let target = of(&[2, 3], vec![0i64, 3, 1, 2, -1, 0]);
    for op in ["NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss"] {
        let inputs = vec![images(), target.clone(), positive(&[4])];
        all.push(Row::new(op, inputs).required(2).int("ignore_index", -1));
    }
}

fn movement(all: &mut Vec<Row>) {
    let m = || x(&[2, 3]);
    all.push(Row::new("Reshape", vec![m(), ints(&[3, -1])]));
    all.push(Row::new("Squeeze", vec![x(&[2, 1, 3]), ints(&[1])]).required(1));
    all.push(Row::new("Unsqueeze", vec![m(), ints(&[1])]));
    all.push(Row::new("Transpose", vec![x(&[2, 3, 4])]).ints("perm", &[2, 0, 1]));
    all.push(Row::new("Expand", vec![x(&[2, 1]), ints(&[3, 1, 4])]));
    all.push(
        Row::new("Concat", vec![m(), x(&[4, 3])])
            .required(1)
            .int("axis", 0),
    );
    all.push(
        Row::new("Split", vec![m(), ints(&[1, 2])])
            .required(1)
            .int("axis", 1)
            .outputs(2),
    );
    all.push(
        Row::new("Split", vec![x(&[5, 3])])
            .int("num_outputs", 2)
            .outputs(2),
    );
    all.push(
        Row::new(
            "Slice",
            vec![x(&[5, 6]), ints(&[4, 0]), ints(&[-9, 5]), ints(&[0, 1])],
        )
        .more(vec![Some(ints(&[-2, 3]))])
        .required(3),
    );
    let pads = ints(&[1, 0, -1, 2]);
    all.push(Row::new("Pad", vec![m(), pads.clone(), scalar(1.5)]).required(2));
    all.push(Row::new("Pad", vec![x(&[4, 3]), pads]).text("mode", "reflect"));
    all.push(Row::new("Tile", vec![m(), ints(&[2, 1])]));
    all.push(Row::new("DepthToSpace", vec![x(&[1, 8, 2, 3])]).int("blocksize", 2));
    all.push(Row::new("SpaceToDepth", vec![x(&[1, 2, 4, 6])]).int("blocksize", 2));
    all.push(
        Row::new("ReverseSequence", vec![x(&[3, 2, 2]), ints(&[2, 3])])
            .int("batch_axis", 1)
            .int("time_axis", 0),
    );
    all.push(Row::new("Trilu", vec![x(&[3, 4]), Tensor::scalar(1i64)]).required(1));
    all.push(Row::new("CenterCropPad", vec![x(&[4, 5]), ints(&[6, 3])]));
}

fn indexing(all: &mut Vec<Row>) {
    let index = || of(&[2, 2], vec![0i64, -1, 1, 0]);
    all.push(Row::new("Gather", vec![x(&[3, 4]), index()]).int("axis", 1));
    all.push(Row::new("GatherElements", vec![x(&[2, 3]), index()]).int("axis", 1));
    all.push(Row::new("GatherND", vec![x(&[2, 3, 4]), index()]).int("batch_dims", 0));
    for (op, opset) in [("Scatter", 10), ("ScatterElements", NEWEST)] {
        let row = Row::new(op, vec![x(&[3, 2]), index(), x(&[2, 2])]);
        all.push(row.int("axis", 0).at(opset));
    }
    let add = Row::new("ScatterElements", vec![x(&[3, 2]), index(), x(&[2, 2])]);
    all.push(add.int("axis", 0).text("reduction", "add"));
    all.push(Row::new(
        "ScatterND",
        vec![x(&[2, 3, 4]), index(), x(&[2, 4])],
    ));
    let nd = Row::new("ScatterND", vec![x(&[2, 3, 4]), index(), x(&[2, 4])]);
    all.push(nd.text("reduction", "max"));
    all.push(Row::new("Compress", vec![x(&[3, 2]), flags(&[3])]).int("axis", 0));
    let values = of(&[2], vec![0f32, 1.0]);
    all.push(Row::new("OneHot", vec![index(), Tensor::scalar(3i64), values]).int("axis", -1));
    all.push(
        Row::new(
            "TensorScatter",
            vec![x(&[1, 4, 2]), x(&[1, 2, 2]), ints(&[1])],
        )
        .required(2)
        .int("axis", 1),
    );
}

fn making(all: &mut Vec<Row>) {
    all.push(Row::new("ConstantOfShape", vec![ints(&[2, 3])]).with("value", A::Tensor(ints(&[7]))));
    let s = |v: i64| Tensor::scalar(v);
    all.push(Row::new("Range", vec![s(1), s(9), s(3)]));
    for op in ["HannWindow", "HammingWindow", "BlackmanWindow"] {
        all.push(
            Row::new(op, vec![s(8)])
                .int("periodic", 0)
                .int("output_datatype", 1),
        );
    }
}

fn signals(all: &mut Vec<Row>) {
    all.push(
        Row::new(
            "DFT",
            vec![x(&[2, 5, 3, 1]), Tensor::scalar(6i64), Tensor::scalar(1i64)],
        )
        .required(1)
        .int("onesided", 1),
    );
    all.push(
        Row::new("DFT", vec![x(&[2, 4, 2])])
            .int("inverse", 1)
            .int("onesided", 1),
    );
    all.push(
        Row::new("DFT", vec![x(&[1, 4, 3, 2])])
            .int("axis", 2)
            .int("inverse", 1)
            .at(17),
    );
    all.push(
        Row::new(
            "STFT",
            vec![
                x(&[2, 9, 1]),
                Tensor::scalar(2i64),
                x(&[4]),
                Tensor::scalar(4i64),
            ],
        )
        .required(2)
        .int("onesided", 1),
    );
    let (bins, length) = (Tensor::scalar(4i64), Tensor::scalar(16i64));
    let (rate, low, high) = (Tensor::scalar(8192i64), scalar(0.0), scalar(4096.0));
    all.push(
        Row::new("MelWeightMatrix", vec![bins, length, rate, low, high]).int("output_datatype", 1),
    );
    let items = of(&[2, 6], vec![1i64, 2, 1, 3, 2, 1, 7, 7, 2, 1, 3, 3]);
    all.push(
        Row::new("TfIdfVectorizer", vec![items])
            .text("mode", "TFIDF")
            .int("min_gram_length", 1)
            .int("max_gram_length", 2)
            .int("max_skip_count", 1)
            .ints("ngram_counts", &[0, 3])
            .ints("ngram_indexes", &[0, 1, 2, 3, 4])
            .ints("pool_int64s", &[1, 2, 7, 2, 1, 7, 2])
            .with("weights", A::Floats(vec![0.5, 1.0, 2.0, 3.0, 4.0])),
    );
    for op in ["OptionalHasElement", "OptionalGetElement"] {
        let required = usize::from(op == "OptionalGetElement");
        all.push(Row::new(op, vec![x(&[2, 3])]).required(required));
    }
    for to in [2, 4, 12, 13] {
        let wide = of(&[2], vec![1i64, -1]);
        let t = match to {
            2 => bytes(&[2, 3]),
            12 => x(&[2, 3]),
            4 => of(&[2], vec![1u16, 2]),
            _ => wide,
        };
        all.push(Row::new("BitCast", vec![t]).int("to", to));
    }
}
