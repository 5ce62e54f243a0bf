//! Elementwise instructions that wait for one another and values that are kept
//! from run to run change nothing that anybody can see.

use aether_inference::{
    Program, Run, RunLimits, Status, Tensor, execute, execute_step, make_witness,
};

use crate::support::conformance::header;
use crate::support::model::{A, BOOL, Builder, D, F32, I64, floats, ints, noise};

/// A chain over [1, 4, n]: operands along channels and rows, a value read twice,
/// one that nobody reads, two that are outputs, infinities and NaN.
fn chain() -> Program {
    let dims = [D::N(1), D::N(4), D::S("n")];
    let weight = |seed| noise(&[4], seed);
    Builder::default()
        .weight("b", &floats(&[4, 1], &[0.5, -0.25, 0.0, 3.0]))
        .weight("two", &floats(&[], &[2.0]))
        .weight("s", &weight(1))
        .weight("o", &weight(2))
        .weight("m", &weight(3))
        .weight("v", &floats(&[4], &[1.0, 0.5, 2.0, -1.0]))
        .input("x", F32, &dims)
        .output("y", F32, &dims)
        .output("z", F32, &dims)
        .node("Add", &["x", "b"], &["a"], &[])
        .node("Relu", &["a"], &["y"], &[])
        .node("Pow", &["y", "two"], &["p"], &[])
        .node("Sqrt", &["x"], &["unread"], &[])
        .node("Sub", &["p", "x"], &["d"], &[])
        .node("Div", &["d", "y"], &["q"], &[])
        .node("Sum", &["q", "a"], &["u"], &[])
        .node(
            "BatchNormalization",
            &["u", "s", "o", "m", "v"],
            &["n"],
            &[],
        )
        .node("Max", &["n", "d"], &["w"], &[])
        .node("Tanh", &["w"], &["z"], &[])
        .program()
}

/// Runs, and proves every step by its witness.
fn proved(program: &Program, inputs: &[Tensor], limits: &RunLimits) -> (Vec<Tensor>, usize) {
    let header = header(program, inputs);
    let out = execute(program, &header, inputs, limits).expect("starts");
    assert_eq!(out.status, Status::Done, "{:?}", out.trap);
    for step in 1..out.trace.len() as u32 {
        let (w, before, after) =
            make_witness(program, &header, inputs, limits, step).expect("a step");
        let again = execute_step(program, &header, &w, limits, &before).expect("proves");
        assert_eq!(again.element_after, Some(after), "step {step}");
        assert_eq!(after, out.trace[step as usize], "step {step}");
    }
    (out.outputs, out.trace.len() - 1)
}

fn bits(t: &Tensor) -> Vec<u32> {
    let v = t.view::<f32>().expect("floats");
    v.iter().map(|x| x.to_bits()).collect()
}

/// Columns `from..from + n` of each channel.
fn columns(t: &Tensor, from: usize, n: usize) -> Tensor {
    let v = t.view::<f32>().expect("floats");
    let rows = v.chunks_exact(v.len() / 4);
    let part: Vec<f32> = rows.flat_map(|r| r[from..from + n].to_vec()).collect();
    floats(&[1, 4, n], &part)
}

#[test]
fn a_chain_computed_by_stretches_is_the_chain_computed_at_once() {
    let (program, n) = (chain(), 2500);
    let x = noise(&[1, 4, n], 5);
    let (all, steps) = proved(&program, std::slice::from_ref(&x), &RunLimits::default());
    // So few columns at a time that nothing waits.
    for from in (0..n).step_by(500) {
        let (part, _) = proved(&program, &[columns(&x, from, 500)], &RunLimits::default());
        for (all, part) in all.iter().zip(&part) {
            assert_eq!(bits(&columns(all, from, 500)), bits(part), "from {from}");
        }
    }
    assert!(all.iter().any(|t| bits(t).contains(&0x7fc0_0000)), "no NaN");
    // Steps of an instruction or two: hardly anything waits.
    let fine = RunLimits {
        max_step_gas: 300_000,
        ..RunLimits::default()
    };
    let (finely, more) = proved(&program, std::slice::from_ref(&x), &fine);
    let same = all.iter().zip(&finely).all(|(a, b)| bits(a) == bits(b));
    assert!(same && more > steps, "{more} steps instead of {steps}");
}

#[test]
fn a_chain_fits_where_its_instructions_fit_one_by_one() {
    let (program, x) = (chain(), [noise(&[1, 4, 2500], 6)]);
    let header = header(&program, &x);
    let mut run = Run::start(&program, &header, &x, &RunLimits::default()).expect("starts");
    let mut most = 0;
    run.finish(|record| most = most.max(record.memory_bytes));
    let tight = RunLimits {
        max_memory_bytes: most,
        ..RunLimits::default()
    };
    let (outputs, _) = proved(&program, &x, &tight);
    assert_eq!(run.outputs().map(|o| o.iter().map(bits).collect()), {
        let all: Vec<_> = outputs.iter().map(bits).collect();
        Some(all)
    });
    let less = RunLimits {
        max_memory_bytes: most - 1,
        ..RunLimits::default()
    };
    let out = execute(&program, &header, &x, &less).expect("starts");
    assert_eq!(out.status, Status::StepTooLarge);
}

#[test]
fn what_constants_make_is_kept_and_a_loop_still_sees_each_round() {
    // v begins as a constant's negative and doubles in each round; w is made of
    // a constant in the body.
    let body = Builder::default()
        .weight("k", &floats(&[], &[10.0]))
        .input("i", I64, &[])
        .input("c", BOOL, &[])
        .input("v", F32, &[])
        .output("c", BOOL, &[])
        .output("d", F32, &[])
        .output("e", F32, &[])
        .node("Add", &["v", "v"], &["d"], &[])
        .node("Neg", &["k"], &["w"], &[])
        .node("Add", &["d", "w"], &["e"], &[]);
    let program = Builder::default()
        .weight("one", &floats(&[], &[1.0]))
        .weight("three", &ints(&[3]))
        .input("x", F32, &[])
        .output("y", F32, &[])
        .output("all", F32, &[D::N(3)])
        .output("s", F32, &[])
        .node("Neg", &["one"], &["first"], &[])
        .node(
            "Loop",
            &["three", "", "first"],
            &["y", "all"],
            &[("body", A::Graph(body.graph))],
        )
        .node("Add", &["x", "y"], &["s"], &[])
        .program();
    let mut traces = Vec::new();
    for x in [1.0, 1.0, 5.0] {
        let inputs = [floats(&[], &[x])];
        let (outputs, _) = proved(&program, &inputs, &RunLimits::default());
        let wanted: [&[f32]; 3] = [&[-8.0], &[-12.0, -14.0, -18.0], &[x - 8.0]];
        for (got, want) in outputs.iter().zip(wanted) {
            assert_eq!(got.view::<f32>(), Some(want));
        }
        let header = header(&program, &inputs);
        let out = execute(&program, &header, &inputs, &RunLimits::default()).expect("starts");
        traces.push((out.trace, out.gas_used));
    }
    assert_eq!(
        traces[0], traces[1],
        "the first run and one that finds it kept"
    );
    assert_eq!(traces[0].1, traces[2].1);
}
