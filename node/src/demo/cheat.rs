//! A worker that lies well: the only dishonest code there is, and only the
//! demo's hidden subcommand can reach it.
//!
//! [`Tampering`] stands where an honest worker has its runner. It runs the job
//! honestly up to a step in the middle, changes one element of one live tensor,
//! and runs on honestly from there. So trace, commitment, signature and
//! evidence are all consistent with the lie; only re-executing the one step
//! before it shows it.

use crate::cli::{CliError, Global, NodeRunArgs, NodeSettings};
use crate::commands::run_node;
use crate::roles::{JobInputs, Runner, result_of};
use aether_behaviours::RunResult;
use aether_inference::{Data, Element, Outcome, Run, Status, Tensor};
use aether_mesh::{NetworkKind, hash_parts};
use clap::Parser as _;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

/// The hidden subcommand.
pub const CHEAT_COMMAND: &str = "demo-cheat";

/// A worker node that cheats.
#[derive(clap::Parser)]
#[command(name = CHEAT_COMMAND)]
struct CheatArgs {
    #[command(flatten)]
    global: Global,
    #[command(flatten)]
    run: NodeRunArgs,
    /// Chooses the lies.
    #[arg(long)]
    seed: u64,
    /// Where they are confessed.
    #[arg(long)]
    confession: PathBuf,
}

/// Runs the cheating worker; refuses every network that is not of kind dev.
pub fn cheat_main(args: Vec<OsString>) -> ExitCode {
    let args = match CheatArgs::try_parse_from(args) {
        Ok(args) => args,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    let run = || {
        let settings = NodeSettings::resolve(&args.global, &args.run)?;
        let runner = Tampering {
            seed: args.seed,
            confession: args.confession.clone(),
        };
        run_node(&settings, Arc::new(runner), |network| {
            if network.rules.genesis.kind == NetworkKind::Dev {
                Ok(())
            } else {
                Err(CliError::config(
                    "cheating is for the demo: this network is not of kind dev",
                ))
            }
        })
    };
    match run() {
        Ok(exit) => exit.into(),
        Err(error) => {
            eprintln!("error: {error}");
            error.exit.into()
        }
    }
}

/// Which lie was told, for the demo's summary.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Lie {
    /// The job.
    pub job: String,
    /// After which step.
    pub step: u32,
    /// Steps of the whole run.
    pub steps: u32,
    /// Which value.
    pub value: u32,
    /// Which element of it.
    pub element: usize,
    /// What it was.
    pub was: f32,
    /// What it became.
    pub became: f32,
}

/// Runs jobs with one element of one intermediate tensor changed.
pub(super) struct Tampering {
    /// Chooses step, tensor and element.
    pub seed: u64,
    /// Where each lie is confessed, one JSON line each.
    pub confession: PathBuf,
}

impl Tampering {
    fn pick(&self, what: &str, job: &JobInputs, below: usize) -> usize {
        let digest = hash_parts(
            "aether/demo/cheat/v1",
            &[&self.seed.to_be_bytes(), what.as_bytes(), &job.id.0],
        );
        let mut first = [0; 8];
        first.copy_from_slice(&digest[..8]);
        (u64::from_be_bytes(first) % below.max(1) as u64) as usize
    }

    /// The honest run's number of steps.
    fn count_steps(job: &JobInputs) -> Result<u32, String> {
        let mut run = start(job)?;
        while run.step().is_some() {}
        Ok(run.state().step)
    }
}

fn start(job: &JobInputs) -> Result<Run<'_>, String> {
    Run::start(&job.program, &job.header, &job.inputs, &job.limits).map_err(|e| e.to_string())
}

impl Runner for Tampering {
    fn run(&self, job: &JobInputs) -> Result<RunResult, String> {
        let steps = Self::count_steps(job)?;
        // In the middle: neither the first step nor the last two.
        let span = steps.saturating_sub(3).max(1) as usize;
        let target = 1 + self.pick("step", job, span) as u32;
        let mut run = start(job)?;
        let mut trace: Vec<Element> = vec![job.header.element()];
        while run.state().step < target {
            let record = run.step().ok_or("the run ended before its middle")?;
            trace.push(record.element);
        }
        let mut state = run.state().clone();
        let mut values = run.values();
        let floats: Vec<u32> = values
            .iter()
            .filter(|(_, t)| matches!(t.data(), Data::F32(v) if !v.is_empty()))
            .map(|(id, _)| *id)
            .collect();
        let value = *floats
            .get(self.pick("value", job, floats.len()))
            .ok_or("no tensor to tamper with")?;
        let tensor = values.get(&value).ok_or("no tensor to tamper with")?;
        let Data::F32(elements) = tensor.data() else {
            return Err("not a float tensor".into());
        };
        let mut elements = elements.to_vec();
        let element = self.pick("element", job, elements.len());
        let was = elements[element];
        let became = was + 1.0 + was.abs();
        elements[element] = became;
        let tampered = Tensor::from_vec(tensor.shape(), elements).map_err(|e| e.to_string())?;
        state.set_live(value, &tampered);
        values.insert(value, tampered);
        if let Some(last) = trace.last_mut() {
            *last = state.element();
        }
        let mut run =
            Run::resume(&job.program, state, values, &job.limits).map_err(|e| e.to_string())?;
        while let Some(record) = run.step() {
            trace.push(record.element);
        }
        let final_state = run.state().clone();
        if final_state.status == Status::Running {
            return Err("the tampered run did not end".into());
        }
        self.confess(&Lie {
            job: job.id.to_string(),
            step: target,
            steps,
            value,
            element,
            was,
            became,
        });
        let outcome = Outcome {
            outputs: run.outputs().unwrap_or_default(),
            trace,
            gas_used: final_state.gas,
            status: final_state.status,
            final_state,
            step_gas: Vec::new(),
            trap: None,
        };
        Ok(result_of(&job.program, &outcome))
    }
}

impl Tampering {
    fn confess(&self, lie: &Lie) {
        use std::io::Write as _;
        let Ok(line) = serde_json::to_string(lie) else {
            return;
        };
        let file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.confession);
        if let Ok(mut file) = file {
            // One write a line: two jobs may confess at once.
            let _ = file.write_all(format!("{line}\n").as_bytes());
        }
    }
}
