//! Every line of `golden/independent.tsv` — model ids, step cuts, gas, elements,
//! outputs — which `tests/independent` computed from SPEC.md alone, on every kernel
//! path. A case's name may end in limits: `name@gas=100000`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use aether_inference::{Kernels, Limits, Program, Run, RunLimits, Status, Tensor};

use crate::support::conformance::header;
use crate::support::golden::hex;
use crate::support::model::floats;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn load(name: &str) -> (Vec<u8>, Vec<Tensor>) {
    if let Some(index) = name.strip_prefix("digits_") {
        let demo = root().join("../../../node/demo");
        let index: usize = index.parse().expect("a digit's number");
        let pixels = &read(&demo.join("digits.bin"))[12 + 65 * index..][..64];
        let v: Vec<f32> = pixels.iter().map(|&p| f32::from(p) / 16.0).collect();
        return (
            read(&demo.join("digits.onnx")),
            vec![floats(&[1, 1, 8, 8], &v)],
        );
    }
    let dir = root().join("independent/cases").join(name);
    let mut inputs = Vec::new();
    loop {
        let path = dir.join(format!("inputs/input_{}.pb", inputs.len()));
        if !path.is_file() {
            return (read(&dir.join("model.onnx")), inputs);
        }
        let (_, t) = Tensor::from_onnx_pb(&read(&path), 1 << 20).expect("a tensor");
        inputs.push(t);
    }
}

fn limits(suffix: &str) -> RunLimits {
    let mut limits = RunLimits::default();
    for part in suffix.split('@').filter(|p| !p.is_empty()) {
        let (key, value) = part.split_once('=').expect("key=value");
        let value = value.parse().expect("a number");
        match key {
            "gas" => limits.gas_limit = value,
            "step" => limits.max_step_gas = value,
            "witness" => limits.max_witness_bytes = value,
            "memory" => limits.max_memory_bytes = value,
            other => panic!("no limit `{other}`"),
        }
    }
    limits
}

/// The lines of one case, as the other implementation writes them.
fn lines(name: &str, kernels: Kernels) -> String {
    let at = name.find('@').unwrap_or(name.len());
    let (model, inputs) = load(&name[..at]);
    let program =
        Program::from_onnx(&model, &Limits::default()).unwrap_or_else(|e| panic!("{name}: {e}"));
    let header = header(&program, &inputs);
    let mut run = Run::start(&program, &header, &inputs, &limits(&name[at..])).expect("starts");
    run.set_kernels(kernels);
    let mut text = format!("{name}\tmodel\t{}\n", hex(&program.id().0));
    let mut cuts = String::new();
    let _ = writeln!(text, "{name}\telement 0\t{}", hex(&header.element()));
    while let Some(r) = run.step() {
        let i = r.index;
        let _ = writeln!(text, "{name}\telement {i}\t{}", hex(&r.element));
        let (cursor, gas) = (r.state.cursor, r.state.gas);
        let _ = writeln!(cuts, "{name}\tafter step {i}\tcursor {cursor}, gas {gas}");
    }
    text += &cuts;
    for (i, t) in run.outputs().unwrap_or_default().iter().enumerate() {
        let _ = writeln!(text, "{name}\toutput {i}\t{}", hex(&t.digest()));
    }
    let status = match run.state().status {
        Status::Running => "running",
        Status::Done => "done",
        Status::OutOfGas => "out of gas",
        Status::StepTooLarge => "step too large",
        Status::Trapped => "trapped",
    };
    let _ = writeln!(text, "{name}\tstatus\t{status}");
    text
}

#[test]
fn an_implementation_written_from_the_specification_comes_to_the_same_lines() {
    let file = String::from_utf8(read(&root().join("golden/independent.tsv"))).expect("text");
    let mut names: Vec<&str> = Vec::new();
    for line in file.lines().skip(1) {
        let name = line.split('\t').next().unwrap_or_default();
        if names.last() != Some(&name) {
            names.push(name);
        }
    }
    let mut bad = Vec::new();
    for kernels in Kernels::available() {
        for name in &names {
            let want: Vec<&str> = file
                .lines()
                .filter(|l| l.split('\t').next() == Some(name))
                .collect();
            let got = lines(name, kernels);
            for (got, want) in got.lines().zip(&want) {
                if got != *want {
                    bad.push(format!("{kernels:?}\n  {got}\n  {want}"));
                }
            }
            if got.lines().count() != want.len() {
                bad.push(format!("{name} on {kernels:?}: another number of lines"));
            }
        }
    }
    println!(
        "independent: {} cases, {} lines on {:?}",
        names.len(),
        file.lines().count() - 1,
        Kernels::available()
    );
    assert!(names.len() > 60, "only {} cases", names.len());
    assert!(bad.is_empty(), "{} differ:\n{}", bad.len(), bad.join("\n"));
}
