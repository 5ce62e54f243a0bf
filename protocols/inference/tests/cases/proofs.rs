//! One-step fraud proofs: honest traces stand, cheating ones are refuted at the
//! first wrong step, and challengers who show something else are told so.

use std::collections::BTreeMap;

use aether_inference::{
    Before, Kernels, MachineState, Program, Run, RunLimits, Status, StepWitness, Tensor,
    TraceHeader, WitnessError, execute, execute_step, execute_step_on, make_witness,
};

use crate::support::conformance::header;
use crate::support::model::{Builder, D, F32, noise, small_cnn};

struct Job {
    program: Program,
    header: TraceHeader,
    inputs: Vec<Tensor>,
    limits: RunLimits,
}

fn job() -> Job {
    let program = small_cnn().program();
    let inputs = vec![noise(&[2, 1, 28, 28], 30)];
    let header = header(&program, &inputs);
    Job {
        program,
        header,
        inputs,
        limits: RunLimits::default(),
    }
}

impl Job {
    fn trace(&self) -> Vec<[u8; 31]> {
        execute(&self.program, &self.header, &self.inputs, &self.limits)
            .expect("runs")
            .trace
    }

    fn witness(&self, step: u32) -> (StepWitness, [u8; 31], [u8; 31]) {
        make_witness(
            &self.program,
            &self.header,
            &self.inputs,
            &self.limits,
            step,
        )
        .expect("a step")
    }

    /// The right element after a step, by its witness alone.
    fn verify(&self, w: &StepWitness, before: &[u8; 31]) -> Result<Option<[u8; 31]>, WitnessError> {
        execute_step(&self.program, &self.header, w, &self.limits, before).map(|r| r.element_after)
    }
}

#[test]
fn each_step_alone_comes_to_the_committed_element_on_every_instruction_set() {
    let job = job();
    let trace = job.trace();
    assert!(trace.len() > 4, "the example has several steps");
    for step in 1..trace.len() as u32 {
        let (witness, before, after) = job.witness(step);
        assert_eq!(
            (before, after),
            (trace[step as usize - 1], trace[step as usize])
        );
        let bytes = witness.encode();
        assert_eq!(bytes.len() as u64, witness.encoded_len());
        let decoded = StepWitness::decode(&bytes, bytes.len() as u64).expect("canonical");
        assert_eq!(decoded, witness);
        for k in Kernels::available() {
            let (p, h) = (&job.program, &job.header);
            let r = execute_step_on(k, p, h, &decoded, &job.limits, &before).expect("proves");
            assert_eq!(r.element_after, Some(after), "step {step} on {k:?}");
            assert_eq!(r.state_after.expect("a state").element(), after);
        }
    }
}

#[test]
fn a_run_resumes_from_any_of_its_states() {
    let job = job();
    let trace = job.trace();
    let mut run = Run::start(&job.program, &job.header, &job.inputs, &job.limits).expect("starts");
    while run.step().is_some() {
        if run.state().status != Status::Running {
            break;
        }
        let state = MachineState::decode(&run.state().encode(), 1 << 20).expect("canonical");
        let mut again =
            Run::resume(&job.program, state, run.values(), &job.limits).expect("resumes");
        while let Some(record) = again.step() {
            assert_eq!(record.element, trace[record.index as usize]);
        }
        assert_eq!(again.state().status, Status::Done);
    }
}

/// A worker who changes one element of one live value after step `at` and goes on.
fn cheat(job: &Job, at: u32) -> Vec<[u8; 31]> {
    let mut run = Run::start(&job.program, &job.header, &job.inputs, &job.limits).expect("starts");
    let mut trace = vec![job.header.element()];
    for _ in 0..at {
        trace.push(run.step().expect("a step").element);
    }
    let (mut state, mut values): (_, BTreeMap<_, _>) = (run.state().clone(), run.values());
    let id = state.live[0].id;
    let mut v = values[&id].view::<f32>().expect("floats").to_vec();
    v[0] = f32::from_bits(v[0].to_bits() ^ 1);
    let lie = Tensor::from_vec(values[&id].shape(), v).expect("same shape");
    assert!(state.set_live(id, &lie));
    values.insert(id, lie);
    *trace.last_mut().expect("not empty") = state.element();
    if state.status == Status::Running {
        let mut run = Run::resume(&job.program, state, values, &job.limits).expect("resumes");
        while let Some(record) = run.step() {
            trace.push(record.element);
        }
    }
    trace
}

#[test]
fn one_flipped_bit_is_refuted_at_its_step() {
    let job = job();
    let honest = job.trace();
    for at in 1..honest.len() as u32 {
        let claimed = cheat(&job, at);
        assert_eq!(
            claimed.len(),
            honest.len(),
            "a lie about bits does not move the cuts"
        );
        let first = (0..honest.len())
            .find(|&i| honest[i] != claimed[i])
            .expect("differs") as u32;
        assert_eq!(first, at);
        let (witness, before, _) = job.witness(first);
        assert_eq!(
            before,
            claimed[first as usize - 1],
            "the challenger owns the preimage"
        );
        let result = execute_step(&job.program, &job.header, &witness, &job.limits, &before)
            .expect("proves");
        assert!(result.refutes(&claimed[first as usize]));
        assert!(!result.refutes(&honest[first as usize]));
    }
}

#[test]
fn a_trace_that_goes_on_after_its_end_is_refuted() {
    let job = job();
    let trace = job.trace();
    let end = execute(&job.program, &job.header, &job.inputs, &job.limits).expect("runs");
    let last = trace.len() as u32 - 1;
    let witness = StepWitness {
        step: last + 1,
        before: Before::State(end.final_state),
        values: vec![],
    };
    let before = trace[last as usize];
    let result =
        execute_step(&job.program, &job.header, &witness, &job.limits, &before).expect("proves");
    assert!(result.refutes(&[0; 31]) && result.element_after.is_none());
}

#[test]
fn steps_read_only_what_they_need() {
    // x is long-lived and large; the second half of the program does not touch it.
    let mut b = Builder::default()
        .input("x", F32, &[D::N(32), D::N(32)])
        .output("y", F32, &[])
        .weight("w", &noise(&[32, 32], 40));
    for i in 0..6 {
        let (from, to) = (
            if i == 0 { "x".into() } else { format!("t{i}") },
            format!("t{}", i + 1),
        );
        b = b.node("MatMul", &[&from, "w"], &[&to], &[]);
    }
    let program = b.node("Add", &["x", "t6"], &["y"], &[]).program();
    let inputs = vec![noise(&[32, 32], 41)];
    let header = header(&program, &inputs);
    let job = Job {
        program,
        header,
        inputs,
        limits: RunLimits::default(),
    };
    let mut untouched = 0;
    for step in 2..job.trace().len() as u32 {
        let (witness, before, after) = job.witness(step);
        let Before::State(state) = &witness.before else {
            panic!("a state")
        };
        if state.live.iter().any(|v| v.id == 0) && witness.values.iter().all(|(id, _)| *id != 0) {
            untouched += 1;
            assert!(witness.encoded_len() < 2 * 32 * 32 * 4);
        }
        assert_eq!(job.verify(&witness, &before), Ok(Some(after)));
    }
    assert!(
        untouched > 0,
        "some step carries x's digest over without its bytes"
    );
}

#[test]
fn bad_witnesses_blame_the_challenger() {
    let job = job();
    let (good, before, after) = job.witness(2);
    assert_eq!(job.verify(&good, &before), Ok(Some(after)));
    assert!(!good.values.is_empty());
    let other = job.witness(3).1;

    assert_eq!(job.verify(&good, &other), Err(WitnessError::Before));

    let mut w = good.clone();
    w.step = 3;
    assert_eq!(job.verify(&w, &before), Err(WitnessError::WrongStep));

    let mut w = good.clone();
    let id = w.values.remove(0).0;
    assert_eq!(job.verify(&w, &before), Err(WitnessError::Missing(id)));

    let mut w = good.clone();
    w.values[0].1 = noise(w.values[0].1.shape(), 50);
    assert_eq!(job.verify(&w, &before), Err(WitnessError::Value(id)));

    let mut w = good.clone();
    w.values.push((999, noise(&[1], 51)));
    assert_eq!(job.verify(&w, &before), Err(WitnessError::Value(999)));

    let mut w = good.clone();
    w.values.push(w.values[0].clone());
    assert_eq!(job.verify(&w, &before), Err(WitnessError::Unsorted));

    // The state may not be touched up, and the header is that of the job.
    let mut w = good.clone();
    if let Before::State(s) = &mut w.before {
        s.gas += 1;
    }
    assert_eq!(job.verify(&w, &before), Err(WitnessError::Before));
    let (first, header_element, _) = job.witness(1);
    let foreign = TraceHeader {
        seed: 8,
        ..job.header.clone()
    };
    let r = execute_step(&job.program, &foreign, &first, &job.limits, &header_element);
    assert_eq!(r.map(|_| ()), Err(WitnessError::Before));
    let mut w = first.clone();
    if let Before::Header { inputs, .. } = &mut w.before {
        inputs[0].digest[0] ^= 1;
    }
    assert!(matches!(
        job.verify(&w, &header_element),
        Err(WitnessError::Run(_))
    ));

    let small = RunLimits {
        max_witness_bytes: good.encoded_len() - 1,
        ..job.limits
    };
    let r = execute_step(&job.program, &job.header, &good, &small, &before);
    assert!(
        matches!(r, Err(WitnessError::Codec(_))),
        "larger than allowed"
    );
}

#[test]
fn witness_bytes_have_one_form() {
    let job = job();
    let bytes = job.witness(2).0.encode();
    let max = bytes.len() as u64;
    assert!(StepWitness::decode(&bytes, max - 1).is_err());
    for cut in 0..bytes.len().min(400) {
        assert!(
            StepWitness::decode(&bytes[..cut], max).is_err(),
            "cut at {cut}"
        );
    }
    let mut longer = bytes.clone();
    longer.push(0);
    assert!(StepWitness::decode(&longer, max + 1).is_err());
    // Whatever decodes encodes to the same bytes.
    for at in 0..bytes.len().min(2000) {
        for flip in [1u8, 0x80] {
            let mut b = bytes.clone();
            b[at] ^= flip;
            if let Ok(w) = StepWitness::decode(&b, max) {
                assert_eq!(w.encode(), b, "byte {at}");
            }
        }
    }
}
