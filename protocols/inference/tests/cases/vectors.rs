//! Published vectors: the ONNX backend tests, real models, and the bit-exact
//! chain of fused multiply-adds.

use std::path::Path;

use aether_inference::{Kernels, Run, RunLimits, Tensor};

use crate::support::conformance::{self, Verdict};
use crate::support::model::{Builder, D, F32, floats};
use crate::support::vectors;

#[test]
fn nothing_in_the_onnx_suite_is_wrong() {
    let Some(root) = vectors("onnx") else { return };
    let (per, total) = conformance::run_all(&root, |dir, verdict| {
        if let Verdict::Wrong(why) = verdict {
            println!("WRONG {}: {why}", dir.display());
        }
    });
    for (name, c) in &per {
        println!(
            "{name}: {} passed, {} wrong, {} unsupported",
            c.passed, c.wrong, c.unsupported
        );
    }
    println!(
        "onnx: {} passed, {} wrong, {} unsupported",
        total.passed, total.wrong, total.unsupported
    );
    assert_eq!(total.wrong, 0);
    assert!(total.passed >= 471, "only {} passed", total.passed);
}

/// Cases made by the scripts in `tests/generate`; they are part of the source.
#[test]
fn all_our_own_cases_pass() {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/generated"));
    let (_, total) = conformance::run_all(root, |dir, verdict| {
        assert_eq!(*verdict, Verdict::Passed, "{}", dir.display());
    });
    println!("generated: {} passed", total.passed);
    assert!(total.passed >= 33, "only {} cases", total.passed);
}

#[test]
fn magika_and_the_text_direction_classifier_pass() {
    let Some(root) = vectors("onnx/models") else {
        return;
    };
    for name in ["magika_v3_3", "ppocr_cls"] {
        assert_eq!(
            conformance::run(&root.join(name)),
            Verdict::Passed,
            "{name}"
        );
    }
}

#[test]
fn a_contraction_is_the_published_chain_bit_for_bit() {
    let Some(dir) = vectors("onnx/fma_chain") else {
        return;
    };
    let read = |name: &str, shape: &[usize]| {
        let bytes = std::fs::read(dir.join(name)).expect("a vector file");
        let v: Vec<f32> = bytes
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
            .collect();
        floats(shape, &v)
    };
    let a = read("a_37x611.f32le", &[37, 611]);
    let b = read("b_611x203.f32le", &[611, 203]);
    let want = read("c_37x203.f32le", &[37, 203]);
    let dims = |r, c| [D::N(r), D::N(c)];
    let program = Builder::default()
        .input("a", F32, &dims(37, 611))
        .input("b", F32, &dims(611, 203))
        .output("c", F32, &dims(37, 203))
        .node("MatMul", &["a", "b"], &["c"], &[])
        .program();
    let inputs = [a, b];
    for kernels in Kernels::available() {
        let got = outputs(&program, &inputs, kernels);
        assert_eq!(got[0].to_le_bytes(), want.to_le_bytes(), "{kernels:?}");
        println!("fma_chain: 7511 elements on {kernels:?}");
    }
}

fn outputs(program: &aether_inference::Program, inputs: &[Tensor], k: Kernels) -> Vec<Tensor> {
    let header = conformance::header(program, inputs);
    let mut run = Run::start(program, &header, inputs, &RunLimits::default()).expect("starts");
    run.set_kernels(k);
    while run.step().is_some() {}
    run.outputs().expect("done")
}
