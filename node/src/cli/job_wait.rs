//! Watching a job until it has ended, with the time each stage took.

use super::console::Console;
use super::exit::{CliError, Exit};
use crate::rpc::Client;
use crate::rpc::views::JobView;
use aether_mesh::JobId;
use serde::Serialize;
use std::time::{Duration, Instant};

/// Between two looks at the job.
const POLL: Duration = Duration::from_millis(200);
/// A network whose height has not moved for so long has stalled.
const STALLED: Duration = Duration::from_secs(300);

/// When a job reached a stage, as seen from here.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Stage {
    /// The status.
    pub(super) status: String,
    /// Since the command began, seconds.
    pub(super) seconds: f64,
}

/// Waits until nothing can follow.
pub(super) fn until_over(
    console: &mut Console,
    client: &Client,
    job: &JobId,
) -> Result<JobView, CliError> {
    stages(console, client, job).map(|(job, _)| job)
}

/// The same, and when each stage was reached.
pub(super) fn stages(
    console: &mut Console,
    client: &Client,
    job: &JobId,
) -> Result<(JobView, Vec<Stage>), CliError> {
    let mut stages: Vec<Stage> = Vec::new();
    let mut moved = (client.job(job)?.height, Instant::now());
    loop {
        let now = client.job(job)?;
        if stages.last().is_none_or(|s| s.status != now.value.status) {
            let seconds = console.elapsed().as_secs_f64();
            stages.push(Stage {
                status: now.value.status.clone(),
                seconds,
            });
            console.stage(sentence(&now.value));
        }
        if now.value.is_over() {
            return Ok((now.value, stages));
        }
        if now.height > moved.0 {
            moved = (now.height, Instant::now());
        } else if moved.1.elapsed() > STALLED {
            return Err(CliError::new(
                Exit::Unreachable,
                "stalled",
                format!(
                    "the network has made no block for {} s; `aether job get {job} --wait` goes on \
                 when it does",
                    STALLED.as_secs()
                ),
            ));
        }
        std::thread::sleep(POLL);
    }
}

fn sentence(job: &JobView) -> String {
    let worker = job
        .assignment
        .as_ref()
        .map_or(String::new(), |a| a.worker.short());
    match job.status.as_str() {
        "posted" => format!("posted in slot {}; waiting for a coordinator", job.posted),
        "assigned" => format!("assigned to worker {worker}"),
        "accepted" => format!("accepted; worker {worker} runs it"),
        "submitted" => match &job.vcr {
            Some(v) => format!(
                "result in slot {}; anybody may challenge it until slot {}",
                v.slot, v.window_end
            ),
            None => "result submitted".to_owned(),
        },
        "settled" => "settled: unchallenged or defended, paid, final".to_owned(),
        "refuted" => "refuted: the result was wrong; the payment is refunded".to_owned(),
        "expired" => "expired: no result in time; the payment is refunded".to_owned(),
        "cancelled" => "cancelled; the payment is refunded".to_owned(),
        other => other.to_owned(),
    }
}
