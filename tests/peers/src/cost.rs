//! What trace, threads and single steps cost.

use std::path::Path;

use aether_inference::{execute_step, make_witness};
use anyhow::Result;
use serde_json::{Value, json};

use crate::models::{Ours, wanted};
use crate::{Options, cpu, table};

pub(crate) fn measure(dir: &Path, options: &Options) -> Result<Value> {
    println!("what belongs to it: shares of the CPU time of a run on one thread");
    table::line(&["model", "run ms", "steps", "trace %", "2 threads", "step"].map(String::from));
    let mut rows = Vec::new();
    for (model, path) in wanted(dir, options) {
        let bytes = std::fs::read(&path)?;
        let Ok(ours) = Ours::load(model, &bytes) else {
            continue;
        };
        if ours.run().is_err() {
            continue;
        }
        let (mut hashed, mut bare, mut busier) = (f64::INFINITY, f64::INFINITY, f64::INFINITY);
        for _ in 0..options.rounds {
            hashed = hashed.min(ours.run()?.0);
            let mut run = ours.start()?;
            run.leave_unhashed();
            bare = bare.min(cpu::time(|| run.finish(|_| {})).0);
            busier = busier.min(two_threads(&ours)?);
        }
        let step = steps(&ours, options.rounds.min(5))?;
        let trace = 100.0 * (hashed - bare) / bare;
        table::line(&[
            model.name.into(),
            format!("{:.3}", hashed / 1e6),
            format!("{}", step.count),
            format!("{trace:.1}"),
            format!("{:.2}", busier / hashed),
            format!("{:.2}", step.worst),
        ]);
        rows.push(json!({
            "model": model.name, "ms": hashed / 1e6, "steps": step.count, "trace_percent": trace,
            "busier_of_two": busier / hashed, "worst_step_again": step.worst,
            "great_steps_again": step.total,
        }));
    }
    println!();
    Ok(Value::Array(rows))
}

/// CPU time of the busier of two threads.
fn two_threads(ours: &Ours) -> Result<f64> {
    let mut run = ours.start()?;
    run.set_threads(2);
    let all = cpu::process();
    let (mine, ()) = cpu::time(|| run.finish(|_| {}));
    let helper = cpu::process() - all - mine;
    Ok(mine.max(helper))
}

struct Steps {
    count: usize,
    /// Greatest ratio of executing a step again to what it cost in the run, of
    /// the [`AGAIN`] greatest steps.
    worst: f64,
    /// The same for these steps together.
    total: f64,
}

/// Steps that are executed again: so many of the most expensive.
const AGAIN: usize = 6;

/// Executes the greatest steps again from their witnesses.
fn steps(ours: &Ours, rounds: usize) -> Result<Steps> {
    let mut in_run: Vec<f64> = Vec::new();
    for _ in 0..rounds {
        let mut run = ours.start()?;
        for at in 0.. {
            let (t, record) = cpu::time(|| run.step());
            if record.is_none() {
                break;
            }
            if in_run.len() == at {
                in_run.push(f64::INFINITY);
            }
            in_run[at] = in_run[at].min(t);
        }
    }
    let mut order: Vec<usize> = (0..in_run.len()).collect();
    order.sort_by(|a, b| in_run[*b].total_cmp(&in_run[*a]));
    let (mut worst, mut all, mut all_again) = (0f64, 0.0, 0.0);
    for &at in order.iter().take(AGAIN) {
        let (witness, before, _) = make_witness(
            &ours.program,
            &ours.header,
            &ours.inputs,
            &ours.limits,
            at as u32 + 1,
        )?;
        let mut least = f64::INFINITY;
        for _ in 0..rounds {
            let (t, result) = cpu::time(|| {
                execute_step(&ours.program, &ours.header, &witness, &ours.limits, &before)
            });
            result?;
            least = least.min(t);
        }
        worst = worst.max(least / in_run[at]);
        all += in_run[at];
        all_again += least;
    }
    Ok(Steps {
        count: in_run.len(),
        worst,
        total: all_again / all,
    })
}
