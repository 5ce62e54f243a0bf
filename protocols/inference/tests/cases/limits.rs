//! Gas, step and memory limits are deterministic ends, provable like any other.

use aether_inference::{
    Limits, Outcome, Program, RunError, RunLimits, Status, Tensor, execute, execute_step,
    make_witness,
};

use crate::support::conformance::header;
use crate::support::model::{A, Builder, D, F32, I64, floats, ints, noise, small_cnn};

/// Runs, and checks that the last step alone comes to the same element.
fn run(program: &Program, inputs: &[Tensor], limits: &RunLimits) -> Outcome {
    let header = header(program, inputs);
    let out = execute(program, &header, inputs, limits).expect("starts");
    assert_ne!(out.status, Status::Running);
    assert_eq!(out.step_gas.iter().sum::<u64>(), out.gas_used);
    let last = out.trace.len() as u32 - 1;
    let (w, before, after) = make_witness(program, &header, inputs, limits, last).expect("a step");
    assert!(w.encoded_len() <= limits.max_witness_bytes);
    let again = execute_step(program, &header, &w, limits, &before).expect("proves");
    assert_eq!(again.element_after, Some(after));
    assert_eq!(again.state_after.expect("a state").status, out.status);
    out
}

#[test]
fn a_run_out_of_gas_ends_there_and_says_so() {
    let program = small_cnn().program();
    let inputs = [noise(&[1, 1, 28, 28], 60)];
    let all = run(&program, &inputs, &RunLimits::default());
    assert_eq!(all.status, Status::Done);
    let exact = RunLimits {
        gas_limit: all.gas_used,
        ..RunLimits::default()
    };
    assert_eq!(run(&program, &inputs, &exact).status, Status::Done);
    for gas_limit in [0, 99, 100, all.gas_used / 3, all.gas_used - 1] {
        let out = run(
            &program,
            &inputs,
            &RunLimits {
                gas_limit,
                ..RunLimits::default()
            },
        );
        assert_eq!(out.status, Status::OutOfGas, "{gas_limit}");
        assert!(out.gas_used <= gas_limit && out.outputs.is_empty());
    }
}

#[test]
fn a_step_closes_before_it_grows_too_large_and_one_instruction_that_does_ends_the_run() {
    let program = small_cnn().program();
    let inputs = [noise(&[8, 1, 28, 28], 61)];
    let free = run(&program, &inputs, &RunLimits::default());
    let largest = *free.step_gas.iter().max().expect("steps");
    // Somewhat less: the steps are cut finer, the outputs are the same.
    let limits = RunLimits {
        max_step_gas: largest - 1,
        ..RunLimits::default()
    };
    let finer = run(&program, &inputs, &limits);
    match finer.status {
        Status::Done => {
            assert!(finer.step_gas.iter().all(|&g| g < largest));
            assert!(finer.trace.len() > free.trace.len());
            assert_eq!(finer.outputs, free.outputs);
        }
        other => assert_eq!(
            other,
            Status::StepTooLarge,
            "the largest step is one instruction"
        ),
    }
    let limits = RunLimits {
        max_step_gas: 1000,
        ..RunLimits::default()
    };
    assert_eq!(run(&program, &inputs, &limits).status, Status::StepTooLarge);
    // The image alone is larger than this witness may be.
    let limits = RunLimits {
        max_witness_bytes: 20_000,
        ..RunLimits::default()
    };
    assert_eq!(run(&program, &inputs, &limits).status, Status::StepTooLarge);
}

#[test]
fn absurd_shapes_are_stopped_before_anything_is_allocated() {
    let cases: &[(&[i64], Status)] = &[
        (&[1 << 20, 1 << 20], Status::OutOfGas),
        (&[1 << 30, 1 << 30, 1 << 30], Status::OutOfGas),
        (&[1 << 40], Status::Trapped),
        (&[-1], Status::Trapped),
        (&[0, 1 << 30], Status::Done),
        (&[1 << 29], Status::StepTooLarge),
    ];
    for (dims, status) in cases {
        let program = Builder::default()
            .input("shape", I64, &[D::S("n")])
            .output("y", F32, &[])
            .node("ConstantOfShape", &["shape"], &["y"], &[])
            .program();
        let limits = RunLimits {
            gas_limit: 1 << 36,
            ..RunLimits::default()
        };
        let out = run(&program, &[ints(dims)], &limits);
        assert_eq!(out.status, *status, "{dims:?}");
        assert_eq!(out.trap.is_some(), *status == Status::Trapped);
    }
}

#[test]
fn what_cannot_be_computed_traps() {
    let gather = Builder::default()
        .input("i", I64, &[D::N(1)])
        .output("y", F32, &[])
        .weight("table", &floats(&[3, 2], &[0., 1., 2., 3., 4., 5.]))
        .node("Gather", &["table", "i"], &["y"], &[])
        .program();
    assert_eq!(
        run(&gather, &[ints(&[-3])], &RunLimits::default()).status,
        Status::Done
    );
    for i in [3, -4, i64::MIN, i64::MAX] {
        let out = run(&gather, &[ints(&[i])], &RunLimits::default());
        assert_eq!(
            (out.status, out.trap),
            (Status::Trapped, Some("index out of range"))
        );
    }
    let divide = Builder::default()
        .input("a", I64, &[D::S("n")])
        .input("b", I64, &[D::S("n")])
        .output("y", I64, &[])
        .node("Div", &["a", "b"], &["y"], &[])
        .program();
    let out = run(
        &divide,
        &[ints(&[1, i64::MIN]), ints(&[0, -1])],
        &RunLimits::default(),
    );
    assert_eq!(out.status, Status::Trapped);
    let out = run(
        &divide,
        &[ints(&[-7, i64::MIN]), ints(&[2, -1])],
        &RunLimits::default(),
    );
    assert_eq!(out.outputs[0].view::<i64>(), Some(&[-3, i64::MIN][..]));
    let add = Builder::default()
        .input("a", F32, &[D::S("n")])
        .input("b", F32, &[D::S("m")])
        .output("y", F32, &[])
        .node("Add", &["a", "b"], &["y"], &[("unused", A::Int(0))][..0])
        .program();
    let out = run(
        &add,
        &[noise(&[3], 1), noise(&[4], 2)],
        &RunLimits::default(),
    );
    assert_eq!(
        (out.status, out.trap),
        (Status::Trapped, Some("shapes do not broadcast"))
    );
}

#[test]
fn inputs_that_do_not_fit_are_refused() {
    let program = Program::from_onnx(&small_cnn().model(), &Limits::default()).expect("good");
    let good = noise(&[1, 1, 28, 28], 1);
    let wrong_type = Tensor::from_vec(&[1, 1, 28, 28], vec![0u8; 784]).expect("a tensor");
    let cases: [&[Tensor]; 5] = [
        &[],
        &[good.clone(), good.clone()],
        &[noise(&[1, 1, 28, 27], 1)],
        &[noise(&[1, 28, 28], 1)],
        &[wrong_type],
    ];
    for inputs in cases {
        assert!(program.check_inputs(inputs).is_err());
        let h = header(&program, inputs);
        let r = execute(&program, &h, inputs, &RunLimits::default());
        assert!(matches!(r, Err(RunError::Inputs(_))));
    }
    assert_eq!(program.check_inputs(std::slice::from_ref(&good)), Ok(()));
    let inputs = [good];
    let mut h = header(&program, &inputs);
    h.inputs_root[0] ^= 1;
    let r = execute(&program, &h, &inputs, &RunLimits::default());
    assert_eq!(r.map(|_| ()).unwrap_err(), RunError::InputsRoot);
    let mut h = header(&program, &inputs);
    h.model.0[0] ^= 1;
    let r = execute(&program, &h, &inputs, &RunLimits::default());
    assert_eq!(r.map(|_| ()).unwrap_err(), RunError::Model);
    let mut h = header(&program, &inputs);
    h.runtime += 1;
    let r = execute(&program, &h, &inputs, &RunLimits::default());
    assert!(matches!(r, Err(RunError::Runtime(_))));
    // Equal symbols are equal sizes.
    let same = Builder::default()
        .input("a", F32, &[D::S("n")])
        .input("b", F32, &[D::S("n")])
        .output("y", F32, &[])
        .node("Add", &["a", "b"], &["y"], &[])
        .program();
    assert!(
        same.check_inputs(&[noise(&[2], 1), noise(&[1], 1)])
            .is_err()
    );
}

#[test]
fn empty_tensors_of_absurd_dimensions_cost_nothing() {
    let big = (1usize << 31) - 1;
    let x = Tensor::from_vec::<f32>(&[big, big, 0, big], vec![]).expect("an empty tensor");
    let dims = [D::S("a"), D::S("b"), D::S("c"), D::S("d")];
    let ints_of = |v: &[i64]| A::Ints(v.to_vec());
    let one = |op: &str, attrs: &[(&str, A)]| {
        Builder::default()
            .input("x", F32, &dims)
            .output("y", F32, &[])
            .node(op, &["x"], &["y"], attrs)
            .model()
    };
    let two = |op: &str, attrs: &[(&str, A)]| {
        Builder::default()
            .input("x", F32, &dims)
            .output("y", F32, &[])
            .node(op, &["x", "x"], &["y"], attrs)
            .model()
    };
    let window = ("kernel_shape", ints_of(&[1, 1]));
    let pads = ("pads", ints_of(&[1, 1, 1, 1]));
    let stride = ("strides", ints_of(&[1 << 16, 1 << 16]));
    let models = [
        one("Transpose", &[]),
        one("Softmax", &[("axis", A::Int(1))]),
        one("LogSoftmax", &[("axis", A::Int(3))]),
        one("Relu", &[]),
        one("Flatten", &[("axis", A::Int(2))]),
        one("ReduceMean", &[("axes", ints_of(&[3]))]),
        one("ReduceMax", &[("axes", ints_of(&[1, 2, 3]))]),
        one("ReduceL2", &[("axes", ints_of(&[0, 1, 3]))]),
        one("ArgMax", &[("axis", A::Int(3))]),
        one("MaxPool", &[window.clone(), pads.clone(), stride.clone()]),
        one("AveragePool", &[window, pads.clone(), stride.clone()]),
        one("GlobalAveragePool", &[]),
        one("GlobalMaxPool", &[]),
        two("Concat", &[("axis", A::Int(2))]),
        two("Concat", &[("axis", A::Int(3))]),
        two("Add", &[]),
        two("Pow", &[]),
        two("MatMul", &[]),
        two("LayerNormalization", &[("axis", A::Int(2))]),
        two("LayerNormalization", &[("axis", A::Int(-1))]),
        two("Conv", &[pads, stride]),
    ];
    let start = std::time::Instant::now();
    for model in &models {
        let program = Program::from_onnx(model, &Limits::default()).expect("a good model");
        let out = run(&program, std::slice::from_ref(&x), &RunLimits::default());
        println!("{:?}: {:?} {:?}", program.operator(0), out.status, out.trap);
    }
    assert!(
        start.elapsed().as_secs() < 20,
        "nothing to do takes no time"
    );
}
