//! Runs of jobs, honest and not, and what a challenger makes of the latter.

use super::*;
use aether_inference::{
    Before, Data, Outcome, Program, Run, RunLimits, StepWitness, Tensor, TraceHeader, execute,
    make_witness,
};
use aether_kzg::{Prover, Setup, TraceElement};
use aether_mesh::runs as mesh_runs;
use std::sync::Arc;

/// What a run is made of.
pub struct Parts {
    pub program: Arc<Program>,
    pub header: TraceHeader,
    pub inputs: Vec<Tensor>,
    pub limits: RunLimits,
}

impl Parts {
    fn start(&self) -> Run<'_> {
        Run::start(&self.program, &self.header, &self.inputs, &self.limits).unwrap()
    }

    /// Runs on from a tampered state to the end.
    fn finish(&self, mut run: Run<'_>, mut trace: Vec<[u8; ELEMENT_BYTES]>) -> Outcome {
        while let Some(record) = run.step() {
            trace.push(record.element);
        }
        let final_state = run.state().clone();
        Outcome {
            outputs: run.outputs().unwrap_or_default(),
            trace,
            gas_used: final_state.gas,
            status: final_state.status,
            final_state,
            step_gas: Vec::new(),
            trap: None,
        }
    }
}

impl Scene {
    pub fn parts(&self, id: &JobId) -> Parts {
        let job = self.job(id);
        let model: ModelRecord = load(&self.state, &keys::model(&job.model), "model")
            .unwrap()
            .expect("registered");
        let program = self
            .library
            .program(&model.onnx)
            .expect("held")
            .expect("lowers");
        let bytes = self.library.blob(&job.input).expect("held");
        let inputs =
            mesh_runs::decode_input(&program, &bytes, &self.rules.params().limits).unwrap();
        Parts {
            header: mesh_runs::trace_header(&self.rules.chain_id, id, &job),
            limits: self.rules.genesis.run_limits(job.gas_limit),
            program,
            inputs,
        }
    }

    /// An honest run.
    pub fn run(&self, id: &JobId) -> Outcome {
        let parts = self.parts(id);
        execute(&parts.program, &parts.header, &parts.inputs, &parts.limits).unwrap()
    }

    /// A run with one element of one tensor changed after `step`, consistent
    /// with the lie from there.
    pub fn cheat(&self, id: &JobId, step: u32) -> Outcome {
        let parts = self.parts(id);
        let mut run = parts.start();
        let mut trace = vec![parts.header.element()];
        while run.state().step < step {
            trace.push(run.step().expect("the run goes on").element);
        }
        let mut state = run.state().clone();
        let mut values = run.values();
        let (value, elements) = values
            .iter()
            .find_map(|(id, t)| match t.data() {
                Data::F32(v) if !v.is_empty() => Some((*id, v.to_vec())),
                _ => None,
            })
            .expect("a tensor to tamper with");
        let mut elements = elements;
        elements[0] += 1.0;
        let tampered = Tensor::from_vec(values[&value].shape(), elements).unwrap();
        assert!(state.set_live(value, &tampered));
        values.insert(value, tampered);
        *trace.last_mut().unwrap() = state.element();
        let run = Run::resume(&parts.program, state, values, &parts.limits).unwrap();
        parts.finish(run, trace)
    }

    /// A VCR of a run, with evidence bound to the last block.
    pub fn vcr_of(&self, id: &JobId, worker: &str, outcome: &Outcome) -> Vcr {
        let program = self.parts(id).program;
        let session = session(worker);
        Vcr {
            job: *id,
            worker: account(worker),
            session_key: session.verifying_key().to_bytes(),
            evidence: self.evidence(worker, &session),
            commitment: commit(&outcome.trace),
            trace: outcome.trace.clone(),
            final_state: outcome.final_state.encode(),
            output: Payload::Inline(mesh_runs::encode_output(&program, outcome)),
        }
    }

    /// A challenge of `step` with an honest witness and opening.
    pub fn challenge_of(&self, vcr: &VerifiedTx, step: u32) -> Challenge {
        let Action::SubmitVcr { vcr, .. } = vcr.action() else {
            panic!("no VCR")
        };
        let parts = self.parts(&vcr.job);
        let witness = make_witness(
            &parts.program,
            &parts.header,
            &parts.inputs,
            &parts.limits,
            step,
        )
        .expect("the run has this step");
        self.challenge_with(vcr, step, &witness.0)
    }

    /// A challenge of a step after the honest run's end.
    pub fn challenge_past_end(&self, vcr: &VerifiedTx, step: u32) -> Challenge {
        let Action::SubmitVcr { vcr, .. } = vcr.action() else {
            panic!("no VCR")
        };
        let end = self.run(&vcr.job).final_state;
        assert_eq!(end.step + 1, step);
        let witness = StepWitness {
            step,
            before: Before::State(end),
            values: Vec::new(),
        };
        self.challenge_with(vcr, step, &witness)
    }

    /// A challenge with this witness, which is put into the library.
    pub fn challenge_with(&self, vcr: &Vcr, step: u32, witness: &StepWitness) -> Challenge {
        let elements: Vec<TraceElement> = vcr.trace.iter().map(|e| TraceElement(*e)).collect();
        let opening = Prover::new(Setup::ethereum())
            .open_pair(&elements, step as usize)
            .unwrap();
        Challenge {
            step,
            before: vcr.trace[step as usize - 1],
            after: vcr.trace[step as usize],
            opening: opening.to_bytes(),
            witness: self.library.insert(&witness.encode()),
        }
    }
}

/// The commitment to a trace.
pub fn commit(trace: &[[u8; ELEMENT_BYTES]]) -> Vec<u8> {
    let elements: Vec<TraceElement> = trace.iter().map(|e| TraceElement(*e)).collect();
    Prover::new(Setup::ethereum())
        .commit(&elements)
        .unwrap()
        .to_bytes()
}
