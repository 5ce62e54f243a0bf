//! `aether job get`, `list`, `cancel`; how a job is shown.

use super::args::{JobCommand, JobGetArgs, JobListArgs};
use super::context::Context;
use super::exit::{CliError, Exit};
use super::page::{Page, Tone, aic, number, size};
use super::send::Wallet;
use super::{CommandResult, job_post, job_wait, tensors};
use crate::rpc::views::{BlobView, JobView};
use crate::rpc::{Client, JobFilter};
use aether_inference::{BundleLimits, Tensor, decode_outputs};
use aether_mesh::{Action, BlobRef, JobId};
use serde_json::json;

pub(super) fn run(context: &mut Context, command: JobCommand) -> CommandResult {
    match command {
        JobCommand::Post(args) => job_post::run(context, &args),
        JobCommand::Get(args) => get(context, &args),
        JobCommand::List(args) => list(context, &args),
        JobCommand::Cancel { job } => cancel(context, job),
    }
}

fn get(context: &mut Context, args: &JobGetArgs) -> CommandResult {
    let client = context.client();
    let job = if args.wait {
        job_wait::until_over(&mut context.console, &client, &args.job)?
    } else {
        client.job(&args.job)?.value
    };
    let outputs = if args.output {
        outputs(&client, &job)?
    } else {
        None
    };
    let mut value = json!({ "job": job });
    if let Some(outputs) = &outputs {
        value["outputs"] = tensors::to_json(outputs);
    }
    context.console.answer(&value, |page| {
        show(page, &job);
        match &outputs {
            Some(outputs) => {
                page.heading("Outputs");
                tensors::show(page, outputs);
            }
            None if args.output => {
                page.heading("Outputs").line("none yet");
            }
            None => {}
        }
    });
    Ok(if args.wait { verdict(&job) } else { Exit::Ok })
}

/// Whether a job that has ended gave what was asked for.
pub(super) fn verdict(job: &JobView) -> Exit {
    let ran = job.vcr.as_ref().is_some_and(|v| v.run_status == "done");
    if job.status == "settled" && ran {
        Exit::Ok
    } else {
        Exit::Failed
    }
}

/// The output tensors, once a VCR is in a block and its run was done.
///
/// # Errors
/// When the bytes are held nowhere here, or are not those of the VCR.
pub(super) fn outputs(
    client: &Client,
    job: &JobView,
) -> Result<Option<Vec<(String, Tensor)>>, CliError> {
    let Some(vcr) = job.vcr.as_ref().filter(|v| v.run_status == "done") else {
        return Ok(None);
    };
    let bytes = client.job_output(&job.job)?;
    if BlobView::from(BlobRef::of(&bytes)) != vcr.output {
        let message = "the node's bytes are not the output that the VCR names";
        return Err(CliError::failed("other_output", message));
    }
    let limits = BundleLimits {
        max_bytes: bytes.len() as u64,
        ..BundleLimits::default()
    };
    decode_outputs(&bytes, &limits)
        .map(Some)
        .map_err(|e| CliError::failed("bad_output", format!("the output does not decode: {e}")))
}

/// A status in its colour.
fn tone(status: &str) -> Tone {
    match status {
        "settled" => Tone::Good,
        "refuted" | "expired" => Tone::Bad,
        _ => Tone::Plain,
    }
}

/// A job for people.
pub(super) fn show(page: &mut Page, job: &JobView) {
    page.field("job", job.job)
        .toned("status", &job.status, tone(&job.status))
        .field("model", job.model)
        .field("requester", job.requester)
        .field("input", size(job.input.bytes_len))
        .field("payment", aic(job.payment))
        .field("gas limit", number(job.gas_limit))
        .field("seed", job.seed)
        .field(
            "slots",
            format!("posted {}, deadline {}", job.posted, job.deadline),
        );
    if job.reputation_min != 0 {
        page.field("reputation", format!("at least {}", job.reputation_min));
    }
    if !job.tee_kinds.is_empty() {
        page.field("TEE", job.tee_kinds.join(" or "));
    }
    if let Some(a) = &job.assignment {
        page.heading("Worker")
            .field("worker", a.worker)
            .field("coordinator", a.coordinator)
            .field("assigned", format!("slot {}", a.slot))
            .maybe("accepted", job.accepted.map(|s| format!("slot {s}")));
    }
    if let Some(v) = &job.vcr {
        let measured = if v.evidence.measured {
            "measured"
        } else {
            "unmeasured"
        };
        page.heading("Receipt")
            .field("VCR", v.tx)
            .field("in block", v.slot)
            .field(
                "run",
                format!("{}, {} gas", v.run_status, number(v.gas_used)),
            )
            .field("trace", format!("{} elements", number(v.elements)))
            .field("commitment", &v.commitment)
            .field("platform", format!("{}, {measured}", v.evidence.kind))
            .field("output", size(v.output.bytes_len))
            .field(
                "window",
                match v.closed {
                    Some(closed) => format!("closed at slot {closed}"),
                    None => format!("open until slot {}", v.window_end),
                },
            )
            .field(
                "challenges",
                match v.commits {
                    0 => "none".to_owned(),
                    n => format!(
                        "{n}, of which {} opened and {} decided",
                        v.revealed, v.judged
                    ),
                },
            );
    }
    if let Some(o) = &job.outcome {
        page.heading("Outcome").field("at slot", o.slot);
        let amounts = [
            ("refunded", o.refunded),
            ("burned", o.burned),
            ("to the worker", o.worker_reward),
            ("to the coordinator", o.coordinator_reward),
            ("slashed", o.slashed),
            ("to challengers", o.challengers_reward),
        ];
        for (what, amount) in amounts.into_iter().filter(|(_, a)| a.0 > 0) {
            page.field(what, aic(amount));
        }
    }
}

fn list(context: &mut Context, args: &JobListArgs) -> CommandResult {
    let filter = JobFilter {
        status: args.status.clone(),
        requester: args.requester,
        worker: args.worker,
        limit: Some(args.limit),
    };
    let found = context.client().jobs(&filter)?;
    context.console.answer(&found, |page| {
        if found.items.is_empty() {
            page.line("no jobs");
            return;
        }
        for job in &found.items {
            let worker = job.assignment.as_ref().map(|a| a.worker.short());
            page.field(
                &job.status,
                format!(
                    "{}\nslot {}, {}, model {}, worker {}",
                    job.job,
                    job.posted,
                    aic(job.payment),
                    job.model.short(),
                    worker.as_deref().unwrap_or("none yet"),
                ),
            );
        }
        if found.truncated {
            page.line("there are more; --limit shows them");
        }
    });
    Ok(Exit::Ok)
}

fn cancel(context: &mut Context, job: JobId) -> CommandResult {
    let client = context.client();
    let key = context.key()?;
    let network = context.network_of(&client)?;
    let wallet = Wallet::new(&client, key, &network);
    let sent = wallet.send(&mut context.console, &Action::CancelJob { job })?;
    let after = client.job(&job)?.value;
    let value = json!({ "job": job, "tx": sent.id, "slot": sent.slot, "status": after.status });
    context.console.answer(&value, |page| {
        page.field("job", job)
            .toned("status", &after.status, Tone::Plain)
            .field("in block", sent.slot)
            .maybe("refunded", after.outcome.as_ref().map(|o| aic(o.refunded)));
    });
    Ok(Exit::Ok)
}
