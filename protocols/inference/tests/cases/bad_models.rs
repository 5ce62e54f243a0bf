//! Malformed models are refused with a reason; mutated ones never panic and
//! stay within their bounds.

use aether_inference::{
    BundleLimits, Data, Limits, ModelError, Program, RunLimits, Tensor, decode_inputs,
    encode_inputs, encode_outputs, execute,
};

use crate::support::conformance::header;
use crate::support::model::{A, Builder, D, F32, Msg, floats, ints, noise, small_cnn};

fn load(bytes: &[u8]) -> Result<Program, ModelError> {
    Program::from_onnx(bytes, &Limits::default())
}

fn base() -> Builder {
    Builder::default()
        .input("x", F32, &[D::N(2)])
        .output("y", F32, &[D::N(2)])
}

#[test]
fn malformed_models_are_refused_with_a_reason() {
    let raw = |dims: &[i64], kind: i64, bytes: &[u8]| {
        let m = dims
            .iter()
            .fold(Msg::default(), |m, d| m.int(1, *d))
            .int(2, kind)
            .text(8, "w");
        let graph = base().node("Add", &["x", "w"], &["y"], &[]).graph;
        Builder {
            graph: graph.msg(5, &m.bytes(9, bytes)),
        }
    };
    let external = {
        let m = Msg::default().int(1, 2).int(2, F32).text(8, "w").int(14, 1);
        Builder {
            graph: base()
                .node("Add", &["x", "w"], &["y"], &[])
                .graph
                .msg(5, &m),
        }
    };
    let deep = {
        let mut g = Msg::default();
        for _ in 0..60 {
            let attr = Msg::default().text(1, "body").msg(6, &g).int(20, 5);
            g = Msg::default().msg(1, &Msg::default().text(4, "Loop").msg(5, &attr));
        }
        Builder { graph: g }
    };
    let relu = |i: &str, o: &str| base().node("Relu", &[i], &[o], &[]);
    let w = floats(&[2], &[1.0, 2.0]);
    type Case = (&'static str, Builder, fn(&ModelError) -> bool);
    let cases: Vec<Case> = vec![
        ("an undefined input", relu("z", "y"), |e| {
            matches!(e, ModelError::Undefined(_))
        }),
        ("an undefined output", relu("x", "z"), |e| {
            matches!(e, ModelError::Undefined(_))
        }),
        (
            "a cycle",
            base()
                .node("Add", &["x", "b"], &["a"], &[])
                .node("Relu", &["a"], &["b"], &[]),
            |e| matches!(e, ModelError::Cyclic(_)),
        ),
        ("a self-loop", relu("y", "y"), |e| {
            matches!(e, ModelError::Cyclic(_))
        }),
        (
            "a value made twice",
            relu("x", "y").node("Relu", &["x"], &["y"], &[]),
            |e| matches!(e, ModelError::Name(_)),
        ),
        (
            "two weights of one name",
            relu("x", "y").weight("w", &w).weight("w", &w),
            |e| matches!(e, ModelError::Name(_)),
        ),
        (
            "two inputs of one name",
            relu("x", "y").input("x", F32, &[]),
            |e| matches!(e, ModelError::Name(_)),
        ),
        (
            "two outputs of one name",
            relu("x", "y").output("y", F32, &[]),
            |e| matches!(e, ModelError::Name(_)),
        ),
        ("no outputs", Builder::default().input("x", F32, &[]), |e| {
            matches!(e, ModelError::Missing(_))
        }),
        (
            "an unknown operator",
            base().node("Frobnicate", &["x"], &["y"], &[]),
            |e| matches!(e, ModelError::Node { .. }) && e.is_unsupported(),
        ),
        (
            "an unknown attribute",
            base().node("Relu", &["x"], &["y"], &[("alpha", A::Float(1.0))]),
            |e| matches!(e, ModelError::Node { .. }),
        ),
        (
            "an attribute of the wrong kind",
            base().node("Softmax", &["x"], &["y"], &[("axis", A::Float(1.0))]),
            |e| matches!(e, ModelError::Node { .. }),
        ),
        (
            "too few inputs",
            base().node("Add", &["x"], &["y"], &[]),
            |e| matches!(e, ModelError::Node { .. }),
        ),
        (
            "too many outputs",
            base().node("Relu", &["x"], &["y", "z"], &[]),
            |e| matches!(e, ModelError::Node { .. }),
        ),
        (
            "an absurd stride",
            base().node(
                "Conv",
                &["x", "x"],
                &["y"],
                &[("strides", A::Ints(vec![1 << 40]))],
            ),
            |e| matches!(e, ModelError::Node { .. }),
        ),
        (
            "2^62 elements",
            raw(&[1 << 31, 1 << 31], F32, &[0; 8]),
            |e| matches!(e, ModelError::Constant { .. }),
        ),
        (
            "a product that overflows",
            raw(&[1 << 30, 1 << 30, 1 << 30], F32, &[]),
            |e| matches!(e, ModelError::Constant { .. }),
        ),
        ("a negative dimension", raw(&[-2], F32, &[0; 8]), |e| {
            matches!(e, ModelError::Constant { .. })
        }),
        (
            "data that does not fill its shape",
            raw(&[2], F32, &[0; 7]),
            |e| matches!(e, ModelError::Constant { .. }),
        ),
        ("a boolean of 2", raw(&[1], 9, &[2]), |e| {
            matches!(e, ModelError::Constant { .. })
        }),
        ("an element type of 77", raw(&[1], 77, &[0]), |e| {
            e.is_unsupported()
        }),
        ("external data", external, |e| {
            matches!(e, ModelError::Constant { .. })
        }),
        ("graphs in graphs", deep, |e| {
            matches!(e, ModelError::TooDeep)
        }),
        (
            "an input without a type",
            {
                let info = Msg::default().text(1, "q");
                Builder {
                    graph: relu("x", "y").graph.msg(11, &info),
                }
            },
            |e| matches!(e, ModelError::Signature(_)),
        ),
        (
            "an input that is a sequence",
            {
                let kind = Msg::default().msg(4, &Msg::default());
                let info = Msg::default().text(1, "q").msg(2, &kind);
                Builder {
                    graph: relu("x", "y").graph.msg(11, &info),
                }
            },
            |e| {
                matches!(
                    e,
                    ModelError::Kind {
                        kind: "sequence",
                        ..
                    }
                )
            },
        ),
        (
            "a negative declared dimension",
            relu("x", "y").input("q", F32, &[D::N(-5)]),
            |e| matches!(e, ModelError::Signature(_)),
        ),
    ];
    let count = cases.len();
    for (what, builder, expected) in cases {
        let error = load(&builder.model()).expect_err(what);
        assert!(expected(&error), "{what}: {error:?}");
    }
    let good = relu("x", "y");
    assert!(load(&good.model()).is_ok());
    for (what, bytes) in [
        (
            "no graph",
            Msg::default()
                .int(1, 8)
                .msg(8, &Msg::default().int(2, 17))
                .0,
        ),
        ("no opset", Msg::default().msg(7, &good.graph).0),
        ("opset 0", good.versioned(0)),
        ("opset 9999", good.versioned(9999)),
        ("nothing", vec![]),
        ("noise", vec![0xff; 100]),
    ] {
        assert!(load(&bytes).is_err(), "{what}");
    }
    println!("malformed models refused: {}", count + 6);
}

#[test]
fn a_model_is_bounded_before_it_is_decoded() {
    let bytes = small_cnn().model();
    let small = Limits {
        max_model_bytes: bytes.len() - 1,
        ..Limits::default()
    };
    assert!(matches!(
        Program::from_onnx(&bytes, &small),
        Err(ModelError::TooLarge { .. })
    ));
    let few = Limits {
        max_instructions: 8,
        ..Limits::default()
    };
    assert!(matches!(
        Program::from_onnx(&bytes, &few),
        Err(ModelError::TooMany(_))
    ));
    // A million empty nodes in two megabytes.
    let graph = Msg([0x0a, 0x00].repeat(1 << 20));
    let bomb = Builder { graph }.model();
    assert!(matches!(load(&bomb), Err(ModelError::TooMany(_))));
    for cut in 0..bytes.len().min(300) {
        assert!(load(&bytes[..cut]).is_err(), "cut at {cut}");
    }
    for cut in (300..bytes.len()).step_by(997) {
        assert!(load(&bytes[..cut]).is_err(), "cut at {cut}");
    }
}

#[test]
fn mutated_models_never_panic_and_stay_within_bounds() {
    let limits = RunLimits {
        gas_limit: 20_000_000,
        max_memory_bytes: 64 << 20,
        ..RunLimits::default()
    };
    let inputs = [noise(&[1, 1, 28, 28], 70)];
    let seeds = [small_cnn().model(), everything().model()];
    let (mut loaded, mut ran) = (0, 0);
    let mut state = 0x1234_5678_9abc_def0u64;
    let mut random = |n: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as usize % n
    };
    for round in 0..6000 {
        let mut bytes = seeds[round % seeds.len()].clone();
        for _ in 0..=random(3) {
            let at = random(bytes.len());
            match random(4) {
                0 => bytes[at] ^= 1 << random(8),
                1 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][random(5)],
                2 => drop(bytes.drain(at..(at + 1 + random(8)).min(bytes.len()))),
                _ => bytes.insert(at, random(256) as u8),
            }
        }
        let Ok(program) = load(&bytes) else { continue };
        loaded += 1;
        let h = header(&program, &inputs);
        if let Ok(out) = execute(&program, &h, &inputs, &limits) {
            assert!(out.gas_used <= limits.gas_limit);
            ran += 1;
        }
    }
    println!("mutations: 6000, loaded {loaded}, ran {ran}");
    assert!(loaded > 100 && ran > 100, "mutations reach the machine");
}

/// A chain through many operators on a 1×1×28×28 image.
fn everything() -> Builder {
    let image = [D::N(1), D::N(1), D::N(28), D::N(28)];
    let window = |k: i64| ("kernel_shape", A::Ints(vec![k, k]));
    Builder::default()
        .input("x", F32, &image)
        .output("out", F32, &[])
        .weight("shape", &ints(&[4, -1]))
        .weight("starts", &ints(&[1, -5]))
        .weight("ends", &ints(&[9, i64::MAX]))
        .weight("axes", &ints(&[2, 3]))
        .weight("steps", &ints(&[2, 1]))
        .weight("pads", &ints(&[0, 0, 1, 2, 0, 0, 2, 1]))
        .weight(
            "index",
            &Tensor::new(&[2, 2], Data::I64(vec![0, -1, 2, 1])).expect("a tensor"),
        )
        .weight("target", &ints(&[3, 4, 2, 2, 5]))
        .weight("one", &ints(&[1]))
        .node("AveragePool", &["x"], &["a"], &[window(3)])
        .node("Pad", &["a", "pads"], &["b"], &[])
        .node(
            "Slice",
            &["b", "starts", "ends", "axes", "steps"],
            &["c"],
            &[],
        )
        .node(
            "Transpose",
            &["c"],
            &["d"],
            &[("perm", A::Ints(vec![0, 2, 1, 3]))],
        )
        .node("Reshape", &["d", "shape"], &["e"], &[])
        .node("Gather", &["e", "index"], &["f"], &[("axis", A::Int(0))])
        .node("Expand", &["f", "target"], &["g"], &[])
        .node("Shape", &["f"], &["s"], &[])
        .node("ConstantOfShape", &["s"], &["z"], &[])
        .node("Add", &["f", "z"], &["h"], &[])
        .node("ReduceMean", &["h"], &["i"], &[("axes", A::Ints(vec![2]))])
        .node("Softmax", &["i"], &["j"], &[])
        .node("Split", &["j"], &["k", "l"], &[("axis", A::Int(0))])
        .node("Concat", &["k", "l"], &["m"], &[("axis", A::Int(1))])
        .node("ArgMax", &["m"], &["n"], &[])
        .node("Cast", &["n"], &["o"], &[("to", A::Int(1))])
        .node("Unsqueeze", &["o", "one"], &["p"], &[])
        .node("Squeeze", &["p", "one"], &["q"], &[])
        .node("Greater", &["q", "q"], &["r"], &[])
        .node("Where", &["r", "q", "q"], &["out"], &[])
}

#[test]
fn the_chain_of_operators_runs_to_its_end() {
    let program = load(&everything().versioned(17)).expect("a good model");
    let inputs = [noise(&[1, 1, 28, 28], 71)];
    let h = header(&program, &inputs);
    let out = execute(&program, &h, &inputs, &RunLimits::default()).expect("runs");
    assert_eq!(
        (out.status, out.trap),
        (aether_inference::Status::Done, None)
    );
}

#[test]
fn named_tensors_have_one_encoding() {
    let (a, b) = (noise(&[2, 3], 80), ints(&[1, 2, 3]));
    let c = Tensor::from_vec(&[], vec![true]).expect("a scalar");
    let named = [("a", &a), ("b", &b), ("flag", &c)];
    let bytes = encode_inputs(&named);
    let limits = BundleLimits::default();
    let decoded = decode_inputs(&bytes, &limits).expect("canonical");
    assert_eq!(decoded.len(), 3);
    for ((name, t), (n, d)) in named.iter().zip(&decoded) {
        assert_eq!((*name, *t), (n.as_str(), d));
    }
    for cut in 0..bytes.len() {
        assert!(
            decode_inputs(&bytes[..cut], &limits).is_err(),
            "cut at {cut}"
        );
    }
    let mut bad = Vec::new();
    bad.push([&bytes[..], &[0]].concat());
    bad.push(encode_outputs(&named));
    bad.push(encode_inputs(&[("a", &a), ("a", &a)]));
    let mut flag = bytes.clone();
    *flag.last_mut().expect("not empty") = 2;
    bad.push(flag);
    for (i, b) in bad.iter().enumerate() {
        assert!(decode_inputs(b, &limits).is_err(), "case {i}");
    }
    let tight = BundleLimits {
        max_bytes: bytes.len() as u64 - 1,
        ..limits
    };
    assert!(decode_inputs(&bytes, &tight).is_err());
    let tight = BundleLimits {
        max_tensors: 2,
        ..limits
    };
    assert!(decode_inputs(&bytes, &tight).is_err());
    for at in 0..bytes.len() {
        let mut b = bytes.clone();
        b[at] ^= 0x81;
        if let Ok(d) = decode_inputs(&b, &limits) {
            let refs: Vec<_> = d.iter().map(|(n, t)| (n.as_str(), t)).collect();
            assert_eq!(encode_inputs(&refs), b, "byte {at}");
        }
    }
}
