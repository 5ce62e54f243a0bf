//! If, Loop and Scan step by step: every step of every case stands alone, a run
//! goes on from any of its states, and who changes a round or a branch is caught.

use std::path::Path;

use aether_inference::{
    Before, Frame, Kernels, Limits, MachineState, Outcome, Program, Run, RunLimits, Status,
    StepWitness, Tensor, execute, execute_step, execute_step_on, make_witness,
};

use crate::support::conformance::{data_sets, find, header, order, tensors};
use crate::support::model::{A, BOOL, Builder, D, F32, I64, floats, ints};

/// Every case of control flow, with the inputs of its data sets.
fn cases() -> Vec<(String, Program, Vec<Vec<Tensor>>)> {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/generated/flow"));
    let load = |dir: std::path::PathBuf| {
        let bytes = std::fs::read(dir.join("model.onnx")).expect("a model");
        let program = Program::from_onnx(&bytes, &Limits::default()).expect("a good model");
        let sets = data_sets(&dir)
            .into_iter()
            .map(|set| order(&program, tensors(&set, "input").expect("inputs")));
        let sets = sets.collect();
        let name = dir
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        (name, program, sets)
    };
    find(root).into_iter().map(load).collect()
}

/// Limits under which a step holds one instruction or two, inside bodies too.
fn fine() -> RunLimits {
    RunLimits {
        max_step_gas: 9_000,
        ..RunLimits::default()
    }
}

#[test]
fn each_step_inside_a_body_alone_comes_to_the_same_element() {
    let (mut steps, mut inside) = (0, 0);
    for (name, program, sets) in cases() {
        for inputs in sets {
            let (limits, header) = (fine(), header(&program, &inputs));
            let out = execute(&program, &header, &inputs, &limits).expect("runs");
            assert_eq!(out.status, Status::Done, "{name}: {:?}", out.trap);
            let whole = execute(&program, &header, &inputs, &RunLimits::default()).expect("runs");
            assert_eq!(out.outputs, whole.outputs, "{name}: cuts change nothing");
            assert_eq!(out.gas_used, whole.gas_used);
            let mut run = Run::start(&program, &header, &inputs, &limits).expect("starts");
            for step in 1..out.trace.len() as u32 {
                // By its witness.
                let (w, before, after) =
                    make_witness(&program, &header, &inputs, &limits, step).expect("a step");
                assert_eq!(after, out.trace[step as usize]);
                let bytes = w.encode();
                assert_eq!(bytes.len() as u64, w.encoded_len());
                let w = StepWitness::decode(&bytes, bytes.len() as u64).expect("canonical");
                let k = Kernels::best();
                let r = execute_step_on(k, &program, &header, &w, &limits, &before);
                let r = r.unwrap_or_else(|e| panic!("{name}, step {step}: {e}"));
                assert_eq!(r.element_after, Some(after), "{name}, step {step}");
                // By going on from the state before.
                let state =
                    MachineState::decode(&run.state().encode(), 1 << 20).expect("canonical");
                inside += usize::from(!state.control.is_empty());
                if step > 1 {
                    let mut again =
                        Run::resume(&program, state, run.values(), &limits).expect("resumes");
                    while let Some(record) = again.step() {
                        assert_eq!(record.element, out.trace[record.index as usize], "{name}");
                    }
                    assert_eq!(again.outputs().as_ref(), Some(&out.outputs), "{name}");
                }
                run.step().expect("a step");
                steps += 1;
            }
        }
    }
    println!("flow: {steps} steps, {inside} of them begin inside a body");
    assert!(inside > 200, "only {inside}");
}

/// `y = x · 2^m` in a loop that also lists its rounds.
fn doubling() -> Program {
    let body = Builder::default()
        .input("i", I64, &[])
        .input("c", BOOL, &[])
        .input("v", F32, &[])
        .output("c", BOOL, &[])
        .output("w", F32, &[])
        .output("n", I64, &[])
        .node("Add", &["v", "v"], &["w"], &[])
        .node("Identity", &["i"], &["n"], &[]);
    Builder::default()
        .input("m", I64, &[])
        .input("x", F32, &[D::N(2)])
        .output("y", F32, &[])
        .output("z", I64, &[])
        .node(
            "Loop",
            &["m", "", "x"],
            &["y", "z"],
            &[("body", A::Graph(body.graph))],
        )
        .program()
}

fn run(program: &Program, inputs: &[Tensor], limits: &RunLimits) -> Outcome {
    let header = header(program, inputs);
    execute(program, &header, inputs, limits).expect("starts")
}

#[test]
fn a_changed_round_or_branch_is_caught() {
    for (name, program, sets) in cases() {
        let Some(inputs) = sets.into_iter().next() else {
            continue;
        };
        let (limits, header) = (fine(), header(&program, &inputs));
        let honest = execute(&program, &header, &inputs, &limits).expect("runs");
        let mut run = Run::start(&program, &header, &inputs, &limits).expect("starts");
        let mut tried = 0;
        while let Some(record) = run.step() {
            let step = record.index;
            for (at, frame) in record.state.control.iter().enumerate() {
                for lie in [
                    Frame {
                        round: frame.round + 1,
                        ..*frame
                    },
                    Frame {
                        round: frame.round ^ 1,
                        ..*frame
                    },
                    Frame {
                        rounds: frame.rounds.wrapping_add(1),
                        ..*frame
                    },
                    Frame {
                        owner: frame.owner + 1,
                        ..*frame
                    },
                ] {
                    let mut state = record.state.clone();
                    state.control[at] = lie;
                    let claimed = state.element();
                    assert_ne!(claimed, honest.trace[step as usize]);
                    let (w, before, _) =
                        make_witness(&program, &header, &inputs, &limits, step).expect("a step");
                    let r = execute_step(&program, &header, &w, &limits, &before).expect("proves");
                    assert!(r.refutes(&claimed), "{name}, step {step}");
                    assert!(!r.refutes(&honest.trace[step as usize]));
                    tried += 1;
                }
                // A challenger cannot bring a stack that does not fit the cursor.
                if record.state.status == Status::Running {
                    let mut state = record.state.clone();
                    state.control.remove(at);
                    let w = StepWitness {
                        step: step + 1,
                        before: Before::State(state.clone()),
                        values: vec![],
                    };
                    let r = execute_step(&program, &header, &w, &limits, &state.element());
                    assert!(r.is_err(), "{name}, step {step}");
                }
            }
            if tried > 40 {
                break;
            }
        }
        assert!(
            tried > 0
                || name.starts_with("constants")
                || name.starts_with("function")
                || name.contains("without_a_round"),
            "{name}"
        );
    }
}

#[test]
fn a_long_loop_has_many_steps_but_not_one_per_instruction() {
    let program = doubling();
    let m = Tensor::scalar(100_000i64);
    let out = run(
        &program,
        &[m, floats(&[2], &[0.0, 1e-30])],
        &RunLimits::default(),
    );
    assert_eq!((out.status, out.trap), (Status::Done, None));
    let steps = out.trace.len() - 1;
    println!("100,000 rounds: {steps} steps, {} gas", out.gas_used);
    assert!((20..4096).contains(&steps), "{steps}");
    let z = out.outputs[1].view::<i64>().expect("integers");
    assert_eq!((z.len(), z[99_999]), (100_000, 99_999));
}

#[test]
fn appending_is_not_quadratic() {
    let program = doubling();
    let time = |m: i64| {
        let started = std::time::Instant::now();
        let out = run(
            &program,
            &[Tensor::scalar(m), floats(&[2], &[0.0, 1.0])],
            &RunLimits::default(),
        );
        assert_eq!(out.status, Status::Done);
        (started.elapsed(), out.gas_used)
    };
    let ((short, gas), (long, more)) = (time(20_000), time(200_000));
    println!("20,000 rounds in {short:?}, 200,000 in {long:?}");
    assert!(more < gas * 11);
    assert!(long < short * 60, "{short:?}, {long:?}");
}

#[test]
fn an_endless_loop_ends_out_of_gas() {
    let program = doubling();
    let limits = RunLimits {
        gas_limit: 30_000_000,
        ..RunLimits::default()
    };
    for m in [i64::MAX, 1 << 40] {
        let out = run(
            &program,
            &[Tensor::scalar(m), floats(&[2], &[1.0, 2.0])],
            &limits,
        );
        assert_eq!(out.status, Status::OutOfGas);
        assert!(out.gas_used <= limits.gas_limit && !out.final_state.control.is_empty());
    }
    // So does one whose body is empty.
    let body = Builder::default()
        .input("i", I64, &[])
        .input("c", BOOL, &[])
        .output("c", BOOL, &[])
        .output("i", I64, &[]);
    let program = Builder::default()
        .input("x", F32, &[])
        .output("z", I64, &[])
        .node("Loop", &["", ""], &["z"], &[("body", A::Graph(body.graph))])
        .program();
    assert_eq!(
        run(&program, &[Tensor::scalar(0f32)], &limits).status,
        Status::OutOfGas
    );
}

#[test]
fn a_run_has_no_more_steps_than_allowed() {
    let program = doubling();
    let inputs = [Tensor::scalar(1000i64), floats(&[2], &[1.0, 2.0])];
    let limits = RunLimits {
        max_steps: 20,
        ..fine()
    };
    let out = run(&program, &inputs, &limits);
    assert_eq!((out.status, out.trace.len()), (Status::StepTooLarge, 21));
    let h = header(&program, &inputs);
    let (w, before, after) = make_witness(&program, &h, &inputs, &limits, 20).expect("a step");
    let again = execute_step(&program, &h, &w, &limits, &before).expect("proves");
    assert_eq!(again.element_after, Some(after));
}

#[test]
fn bodies_may_return_what_they_were_given() {
    // A captured value, a constant, an input of the body, one value twice.
    let outputs = |names: &[&str]| {
        names
            .iter()
            .fold(Builder::default(), |b, n| b.output(n, F32, &[]))
    };
    let then = outputs(&["x", "k", "k"]);
    let other = outputs(&["k", "x", "w"]).node("Neg", &["x"], &["w"], &[]);
    let branches = [
        ("then_branch", A::Graph(then.graph)),
        ("else_branch", A::Graph(other.graph)),
    ];
    let program = Builder::default()
        .input("c", BOOL, &[])
        .input("x", F32, &[D::N(2)])
        .output("p", F32, &[])
        .output("q", F32, &[])
        .output("r", F32, &[])
        .weight("k", &floats(&[1], &[7.0]))
        .node("If", &["c"], &["p", "q", "r"], &branches)
        .program();
    let x = floats(&[2], &[1.0, 2.0]);
    let k = floats(&[1], &[7.0]);
    let take = |c: bool| run(&program, &[Tensor::scalar(c), x.clone()], &fine()).outputs;
    assert_eq!(take(true), [x.clone(), k.clone(), k.clone()]);
    assert_eq!(take(false), [k, x.clone(), floats(&[2], &[-1.0, -2.0])]);

    // A loop that swaps its values without computing anything.
    let body = Builder::default()
        .input("i", I64, &[])
        .input("c", BOOL, &[])
        .input("a", F32, &[])
        .input("b", F32, &[])
        .output("c", BOOL, &[])
        .output("b", F32, &[])
        .output("a", F32, &[])
        .output("a2", F32, &[])
        .node("Identity", &["a"], &["a2"], &[]);
    let program = Builder::default()
        .input("m", I64, &[])
        .input("x", F32, &[])
        .input("y", F32, &[])
        .output("p", F32, &[])
        .output("q", F32, &[])
        .output("s", F32, &[])
        .node(
            "Loop",
            &["m", "", "x", "y"],
            &["p", "q", "s"],
            &[("body", A::Graph(body.graph))],
        )
        .program();
    let scalar = |v: f32| Tensor::scalar(v);
    let inputs = [Tensor::scalar(3i64), scalar(1.0), scalar(2.0)];
    let want = [scalar(2.0), scalar(1.0), floats(&[3], &[1.0, 2.0, 1.0])];
    assert_eq!(run(&program, &inputs, &fine()).outputs, want);
}

#[test]
fn conditions_and_counts_of_the_wrong_type_trap() {
    let body = || {
        Builder::default()
            .input("i", I64, &[])
            .input("c", BOOL, &[])
            .output("c", BOOL, &[])
            .output("k", F32, &[])
            .weight("k", &floats(&[1], &[7.0]))
    };
    let looped = |m: &str, c: &str| {
        Builder::default()
            .input("x", F32, &[])
            .input("n", I64, &[D::S("k")])
            .output("y", F32, &[])
            .node("Loop", &[m, c], &["y"], &[("body", A::Graph(body().graph))])
            .program()
    };
    let one = || ints(&[1]);
    for (m, c, n) in [
        ("x", "", one()),
        ("", "x", one()),
        ("", "n", one()),
        ("n", "", ints(&[1, 2])),
    ] {
        let out = run(&looped(m, c), &[Tensor::scalar(1f32), n], &fine());
        assert_eq!(out.status, Status::Trapped, "{m} {c}");
        assert!(out.trap.is_some());
    }
    // Elements of different shapes cannot be stacked.
    let grows = Builder::default()
        .input("i", I64, &[])
        .input("c", BOOL, &[])
        .input("v", F32, &[])
        .output("c", BOOL, &[])
        .output("w", F32, &[])
        .output("w2", F32, &[])
        .node("Concat", &["v", "v"], &["w"], &[("axis", A::Int(0))])
        .node("Identity", &["w"], &["w2"], &[]);
    let program = Builder::default()
        .input("m", I64, &[])
        .input("x", F32, &[D::N(1)])
        .output("y", F32, &[])
        .output("z", F32, &[])
        .node(
            "Loop",
            &["m", "", "x"],
            &["y", "z"],
            &[("body", A::Graph(grows.graph))],
        )
        .program();
    let inputs = |m: i64| [Tensor::scalar(m), floats(&[1], &[1.0])];
    assert_eq!(run(&program, &inputs(1), &fine()).status, Status::Done);
    assert_eq!(run(&program, &inputs(2), &fine()).status, Status::Trapped);
    // What doubles every round meets the memory bound, not the machine's end.
    let last = Builder::default()
        .input("i", I64, &[])
        .input("c", BOOL, &[])
        .input("v", F32, &[])
        .output("c", BOOL, &[])
        .output("w", F32, &[])
        .node("Concat", &["v", "v"], &["w"], &[("axis", A::Int(0))]);
    let program = Builder::default()
        .input("m", I64, &[])
        .input("x", F32, &[D::N(1)])
        .output("y", F32, &[])
        .node(
            "Loop",
            &["m", "", "x"],
            &["y"],
            &[("body", A::Graph(last.graph))],
        )
        .program();
    let limits = RunLimits {
        max_memory_bytes: 8 << 20,
        ..RunLimits::default()
    };
    assert_eq!(
        run(&program, &inputs(60), &limits).status,
        Status::StepTooLarge
    );
}
