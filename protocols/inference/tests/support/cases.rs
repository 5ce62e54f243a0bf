//! Cases that the project makes itself: every kernel on odd shapes and on
//! adversarial data (NaNs with payloads, infinities, denormals, zeros of both
//! signs, cancellation), and the committed classifier. Real models are in `real.rs`.

use aether_inference::{Data, F16, Tensor};

use super::catalogue;
use super::golden::Case;
use super::model::{A, Builder, D, floats, ints, noise, small_cnn};
use super::sweep;

/// Bit patterns that arithmetic likes to get wrong.
pub(crate) const SPECIAL: [u32; 22] = [
    0x0000_0000, // +0
    0x8000_0000, // −0
    0x7f80_0000, // +∞
    0xff80_0000, // −∞
    0x7fc0_0000, // the canonical NaN
    0xffc0_1234, // a negative NaN with a payload
    0x7f80_0001, // a signalling NaN
    0x0000_0001, // the least denormal
    0x8000_0001,
    0x007f_ffff, // the largest denormal
    0x0080_0000, // the least normal number
    0x7f7f_ffff, // the largest finite number
    0xff7f_ffff,
    0x3f80_0000, // 1
    0xbf80_0000,
    0x3f7f_ffff, // just below 1
    0x3f80_0001, // just above 1
    0x4b00_0001, // 2^23 + 1: no fraction bits left
    0x4aff_ffff, // 2^23 − ½
    0x3f00_0000, // ½: a tie
    0xc020_0000, // −2.5: a tie
    0x4f00_0000, // 2^31
];

/// Half special values and half any bit pattern, from a seed.
pub(crate) fn wild(shape: &[usize], seed: u64) -> Tensor {
    let mut s = seed ^ 0x9e37_79b9_7f4a_7c15;
    let v = (0..shape.iter().product())
        .map(|_| {
            s = s
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            let bits = if s >> 63 == 0 {
                SPECIAL[(s >> 33) as usize % SPECIAL.len()]
            } else {
                (s >> 31) as u32
            };
            f32::from_bits(bits)
        })
        .collect();
    Tensor::new(shape, Data::F32(v)).expect("shape and data agree")
}

/// Finite numbers of very different sizes, denormals among them: sums cancel
/// and their order shows.
pub(crate) fn steep(shape: &[usize], seed: u64) -> Tensor {
    let mut s = seed ^ 0x2545_f491_4f6c_dd1d;
    let v = (0..shape.iter().product())
        .map(|_| {
            s = s
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            // Exponents 2^−146 to 2^30, any sign and fraction.
            let e = (s >> 40) % 177;
            let m = 1.0 + ((s >> 20) & 0xf_ffff) as f64 / 1_048_576.0;
            let v = m * 2f64.powi(e as i32 - 146);
            (if s >> 63 == 0 { v } else { -v }) as f32
        })
        .collect();
    Tensor::new(shape, Data::F32(v)).expect("shape and data agree")
}

/// A float tensor's shape filled with finite numbers of all sizes and a special
/// value in eight, or any bits in the other float types; `None` for other types.
pub(crate) fn mixed(t: &Tensor, seed: u64) -> Option<Tensor> {
    let mut s = seed ^ 0xda94_2042_e4dd_58b5;
    let mut next = || {
        s = s
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        s
    };
    let f32_ = |s: u64| {
        if s >> 61 == 0 {
            return f32::from_bits(SPECIAL[(s >> 33) as usize % SPECIAL.len()]);
        }
        // Exponents 2^−12 to 2^3 mostly, so that functions bend and sums cancel.
        let exponent = 115 + (s >> 55) as u32 % 16;
        f32::from_bits((s >> 32) as u32 & 0x807f_ffff | exponent << 23)
    };
    let data = match t.data() {
        Data::F32(v) => Data::F32(v.iter().map(|_| f32_(next())).collect()),
        Data::F64(v) => Data::F64(
            v.iter()
                .map(|_| f64::from(f32_(next())) * (1.0 + (next() >> 40) as f64 * 2f64.powi(-50)))
                .collect(),
        ),
        Data::F16(v) => Data::F16(
            v.iter()
                .map(|_| F16::from_bits((next() >> 40) as u16))
                .collect(),
        ),
        _ => return None,
    };
    Some(Tensor::new(t.shape(), data).expect("shape and data agree"))
}

type Fill = fn(&[usize], u64) -> Tensor;
/// The kinds of data that every shape is run on.
const FILLS: [(&str, Fill); 3] = [("noise", noise), ("steep", steep), ("wild", wild)];

fn list(v: &[usize]) -> A {
    A::Ints(v.iter().map(|&v| v as i64).collect())
}

/// A model of one node, with inputs of any shape and `outputs` outputs.
fn one(op: &str, attrs: &[(&str, A)], inputs: &[Tensor], opset: i64) -> Vec<u8> {
    let names: Vec<String> = (0..inputs.len()).map(|i| format!("x{i}")).collect();
    let mut b = Builder::default();
    for (name, t) in names.iter().zip(inputs) {
        let dims: Vec<D> = t.shape().iter().map(|&d| D::N(d as i64)).collect();
        b = b.input(name, i64::from(t.dtype().code()), &dims);
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    b.output("y", 0, &[])
        .node(op, &names, &["y"], attrs)
        .versioned(opset)
}

fn case(name: String, op: &str, attrs: &[(&str, A)], inputs: Vec<Tensor>) -> Case {
    let model = one(op, attrs, &inputs, 17);
    Case::made(name, model, inputs)
}

/// Everything that is made in code.
pub(crate) fn made() -> Vec<Case> {
    let mut all = Vec::new();
    products(&mut all);
    convolutions(&mut all);
    elementwise(&mut all);
    rows(&mut all);
    digits(&mut all);
    operators(&mut all);
    all
}

/// A node of every operator, on its inputs and on wild floats in their place.
fn operators(all: &mut Vec<Case>) {
    let mut seen = std::collections::BTreeMap::<&str, usize>::new();
    for row in catalogue::rows() {
        let n = seen.entry(row.op).or_default();
        let name = format!("operators/{}_{n}", row.op.to_lowercase());
        *n += 1;
        let wild = (row.given().iter().enumerate())
            .map(|(i, t)| mixed(t, i as u64).unwrap_or_else(|| t.clone()))
            .collect();
        all.push(Case::made(name.clone(), row.model(), row.given()));
        if ["MatMul", "Gemm", "Conv", "DFT", "STFT"].contains(&row.op) {
            let wide = sweep::widened(&row);
            let (name, model) = (format!("{name}_f64"), wide.model());
            all.push(Case::made(name, model, wide.given()));
        }
        all.push(Case::made(format!("{name}_wild"), row.model(), wild));
    }
}

fn products(all: &mut Vec<Case>) {
    // Around the tiles' edges: 8 rows, 16 and 48 columns, blocks of 320 over k.
    let shapes = [
        (1, 1, 1),
        (1, 7, 1),
        (3, 5, 2),
        (7, 17, 15),
        (8, 16, 16),
        (9, 33, 17),
        (1, 331, 65),
        (13, 320, 48),
        (5, 321, 49),
        (33, 641, 47),
        (97, 19, 3),
        (2, 1777, 385),
        (4, 0, 5),
    ];
    for (m, k, n) in shapes {
        for (kind, fill) in FILLS {
            let seed = (m * 31 + k * 7 + n) as u64;
            let (a, b) = (fill(&[m, k], seed), fill(&[k, n], seed + 1));
            all.push(case(
                format!("made/matmul_{m}x{k}x{n}_{kind}"),
                "MatMul",
                &[],
                vec![a, b],
            ));
        }
    }
    all.push(case(
        "made/matmul_batches".into(),
        "MatMul",
        &[],
        vec![steep(&[3, 1, 5, 21], 1), steep(&[2, 21, 18], 2)],
    ));
    for (kind, fill) in FILLS {
        all.push(case(
            format!("made/gemm_{kind}"),
            "Gemm",
            &[
                ("alpha", A::Float(0.3)),
                ("beta", A::Float(-1.7)),
                ("transA", A::Int(1)),
                ("transB", A::Int(1)),
            ],
            vec![fill(&[37, 11], 1), fill(&[19, 37], 2), fill(&[11, 1], 3)],
        ));
    }
}

fn convolutions(all: &mut Vec<Case>) {
    // Channels, group, maps, input, kernel, strides, dilations, pads.
    type Shape = (
        usize,
        usize,
        usize,
        [usize; 2],
        [usize; 2],
        [usize; 2],
        [usize; 2],
        [usize; 4],
    );
    let shapes: [Shape; 9] = [
        (3, 1, 5, [9, 11], [3, 3], [1, 1], [1, 1], [1, 1, 1, 1]),
        (4, 2, 6, [13, 50], [3, 5], [2, 3], [1, 2], [2, 0, 1, 4]),
        (6, 6, 6, [20, 20], [3, 3], [1, 1], [1, 1], [1, 1, 1, 1]),
        (6, 6, 12, [20, 21], [5, 5], [2, 2], [1, 1], [2, 2, 2, 2]),
        (64, 1, 9, [7, 7], [1, 1], [1, 1], [1, 1], [0, 0, 0, 0]),
        (64, 1, 9, [7, 7], [1, 1], [2, 2], [1, 1], [0, 0, 0, 0]),
        (40, 1, 10, [64, 1], [5, 1], [1, 1], [1, 1], [0, 0, 0, 0]),
        (5, 1, 3, [4, 4], [4, 4], [1, 1], [1, 1], [3, 3, 3, 3]),
        (33, 1, 17, [15, 17], [3, 3], [1, 1], [2, 2], [2, 2, 2, 2]),
    ];
    for (i, (c, group, maps, size, kernel, strides, dilations, pads)) in
        shapes.into_iter().enumerate()
    {
        for (kind, fill) in FILLS {
            let seed = i as u64 * 10;
            let inputs = vec![
                fill(&[2, c, size[0], size[1]], seed),
                fill(&[maps, c / group, kernel[0], kernel[1]], seed + 1),
                fill(&[maps], seed + 2),
            ];
            all.push(case(
                format!("made/conv_{i}_{kind}"),
                "Conv",
                &[
                    ("group", A::Int(group as i64)),
                    ("strides", list(&strides)),
                    ("dilations", list(&dilations)),
                    ("pads", list(&pads)),
                ],
                inputs,
            ));
        }
    }
}

/// The special values, and 5,000 bit patterns spread over all.
fn sweep() -> Tensor {
    let spread = (0..5000u32).map(|i| i.wrapping_mul(0x9e37_79b1));
    let v: Vec<f32> = SPECIAL
        .into_iter()
        .chain(spread)
        .map(f32::from_bits)
        .collect();
    floats(&[v.len()], &v)
}

fn elementwise(all: &mut Vec<Case>) {
    let unary = [
        "Abs",
        "Ceil",
        "Celu",
        "Elu",
        "Erf",
        "Exp",
        "Floor",
        "HardSigmoid",
        "HardSwish",
        "LeakyRelu",
        "Log",
        "Neg",
        "Reciprocal",
        "Relu",
        "Round",
        "Selu",
        "Sigmoid",
        "Sign",
        "Softplus",
        "Softsign",
        "Sqrt",
        "Tanh",
        "ThresholdedRelu",
        "Identity",
        "IsNaN",
    ];
    for op in unary {
        let name = format!("made/{}", op.to_lowercase());
        all.push(case(name, op, &[], vec![sweep()]));
    }
    // Short rows run in the loops' tails, which are compiled apart.
    for n in 1..8 {
        for op in ["Sqrt", "Log", "Exp", "Neg", "Reciprocal"] {
            let bits = [0xbf80_0000u32, 0xffc0_1234, 0x7f80_0001, 0xff80_0000];
            let v: Vec<f32> = (0..n).map(|i| f32::from_bits(bits[i % 4])).collect();
            let name = format!("made/{}_of_{n}", op.to_lowercase());
            all.push(case(name, op, &[], vec![floats(&[n], &v)]));
        }
    }
    for op in ["Gelu", "Mish"] {
        let x = vec![sweep()];
        let name = format!("made/{}", op.to_lowercase());
        all.push(Case::made(name, one(op, &[], &x, 22), x));
    }
    for (to, name) in [(2, "u8"), (3, "i8"), (6, "i32"), (7, "i64"), (9, "bool")] {
        let attrs = [("to", A::Int(to))];
        let x = vec![sweep()];
        all.push(case(format!("made/cast_f32_{name}"), "Cast", &attrs, x));
    }
    let edges = ints(&[
        0,
        1,
        -1,
        i64::MIN,
        i64::MAX,
        16_777_217,
        -16_777_219,
        1 << 40,
    ]);
    for (to, name) in [(1, "f32"), (2, "u8"), (3, "i8"), (6, "i32"), (9, "bool")] {
        let attrs = [("to", A::Int(to))];
        let x = vec![edges.clone()];
        all.push(case(format!("made/cast_i64_{name}"), "Cast", &attrs, x));
    }
    // Every special value against every other one.
    let special: Vec<f32> = SPECIAL.into_iter().map(f32::from_bits).collect();
    let n = special.len();
    for op in [
        "Add", "Sub", "Mul", "Div", "Pow", "Max", "Min", "Mean", "Less", "Equal", "PRelu",
    ] {
        let square: Vec<f32> = special.iter().flat_map(|&x| vec![x; n]).collect();
        all.push(case(
            format!("made/{}_special", op.to_lowercase()),
            op,
            &[],
            vec![floats(&[n, n], &square), floats(&[n], &special)],
        ));
        all.push(case(
            format!("made/{}_steep", op.to_lowercase()),
            op,
            &[],
            vec![steep(&[37, 19], 1), steep(&[37, 1], 2)],
        ));
    }
    all.push(case(
        "made/div_i64".into(),
        "Div",
        &[],
        vec![edges.clone(), ints(&[3, -1, -1, -1, 2, -7, 7, 1])],
    ));
}

fn rows(all: &mut Vec<Case>) {
    for width in [1, 5, 63, 64, 65, 127, 1000] {
        for (kind, fill) in FILLS {
            let x = vec![fill(&[7, width], width as u64)];
            for op in ["ReduceMean", "ReduceMax", "ReduceL2", "ReduceProd"] {
                all.push(case(
                    format!("made/{}_{width}_{kind}", op.to_lowercase()),
                    op,
                    &[("axes", A::Ints(vec![-1]))],
                    x.clone(),
                ));
            }
            for op in ["Softmax", "LogSoftmax", "ArgMax"] {
                let axis = [("axis", A::Int(1))];
                let name = format!("made/{}_{width}_{kind}", op.to_lowercase());
                all.push(case(name, op, &axis, x.clone()));
            }
            let scale = noise(&[width], 3);
            all.push(case(
                format!("made/layernorm_{width}_{kind}"),
                "LayerNormalization",
                &[],
                vec![x[0].clone(), scale],
            ));
        }
    }
    for (kind, fill) in FILLS {
        let x = vec![fill(&[2, 3, 11, 13], 5)];
        for op in ["GlobalAveragePool", "GlobalMaxPool"] {
            let name = format!("made/{}_{kind}", op.to_lowercase());
            all.push(case(name, op, &[], x.clone()));
        }
        let attrs = [
            ("kernel_shape", A::Ints(vec![3, 4])),
            ("strides", A::Ints(vec![2, 1])),
            ("pads", A::Ints(vec![1, 0, 2, 3])),
        ];
        for op in ["MaxPool", "AveragePool"] {
            let name = format!("made/{}_{kind}", op.to_lowercase());
            all.push(case(name, op, &attrs, x.clone()));
        }
        // A reduction in the middle gathers before it sums.
        all.push(case(
            format!("made/reducesumsquare_middle_{kind}"),
            "ReduceSumSquare",
            &[("axes", A::Ints(vec![1, 3]))],
            x.clone(),
        ));
        all.push(case(
            format!("made/softmax_middle_{kind}"),
            "Softmax",
            &[("axis", A::Int(1))],
            x.clone(),
        ));
    }
}

/// The committed classifier on held-back digits, and its cousin with a batch.
fn digits(all: &mut Vec<Case>) {
    let model = include_bytes!("../../../../node/demo/digits.onnx");
    let held_back = include_bytes!("../../../../node/demo/digits.bin");
    for i in [0, 1, 137, 148, 152, 359] {
        let pixels = &held_back[12 + 65 * i..][..64];
        let v: Vec<f32> = pixels.iter().map(|&p| f32::from(p) / 16.0).collect();
        let x = vec![floats(&[1, 1, 8, 8], &v)];
        all.push(Case::made(format!("digits/{i}"), model.to_vec(), x));
    }
    for (kind, fill) in FILLS {
        let x = vec![fill(&[3, 1, 28, 28], 10)];
        all.push(Case::made(
            format!("small_cnn/{kind}"),
            small_cnn().model(),
            x,
        ));
    }
}
