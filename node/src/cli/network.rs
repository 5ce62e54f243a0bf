//! What the network holds: `aether worker`, `aether challenge`,
//! `aether genesis`.

use super::CommandResult;
use super::args::{ChallengeCommand, GenesisCommand, WorkerCommand};
use super::context::Context;
use super::exit::{CliError, Exit};
use super::page::{Tone, aic, number, size};
use crate::rpc::Client;
use crate::rpc::views::{GenesisView, Listing};
use aether_mesh::{Account, NetworkKind};

pub(super) fn worker(context: &mut Context, command: WorkerCommand) -> CommandResult {
    match command {
        WorkerCommand::List { limit } => {
            let found = context.client().workers(limit)?;
            context.console.answer(&found, |page| {
                let row = |w: &crate::rpc::views::WorkerView| {
                    vec![
                        w.account.short(),
                        w.stake.to_string(),
                        w.reputation.to_string(),
                        w.jobs_running.to_string(),
                        w.settled.to_string(),
                        w.refuted.to_string(),
                        w.missed.to_string(),
                        if w.banned {
                            "banned".into()
                        } else {
                            String::new()
                        },
                    ]
                };
                let rows: Vec<_> = found.items.iter().map(row).collect();
                let columns = [
                    "worker",
                    "stake AIC",
                    "reputation",
                    "running",
                    "settled",
                    "refuted",
                    "missed",
                    "",
                ];
                page.table(&columns, &rows);
                page.line(summary(&found, "workers"));
            });
        }
        WorkerCommand::Show { worker } => {
            let client = context.client();
            let worker = match worker {
                Some(text) => named_worker(&client, &text)?,
                None => context.account()?,
            };
            let found = client.worker(&worker)?;
            context.console.answer(&found, |page| {
                let w = &found.value;
                page.field("worker", w.account)
                    .field("stake", aic(w.stake))
                    .field("reputation", w.reputation);
                if w.banned {
                    page.toned("banned", "yes: it gets no jobs until this fades", Tone::Bad);
                }
                page.field("running", format!("{} jobs", w.jobs_running))
                    .field("open payments", aic(w.open_payments))
                    .field("settled", number(w.settled))
                    .field("refuted", number(w.refuted))
                    .field("missed", number(w.missed))
                    .field("registration", format!("epoch {}", w.registration_epoch));
                match &w.registration {
                    None => page.toned("evidence", "none yet: it gets no jobs", Tone::Bad),
                    Some(r) if r.lapsed => page.toned(
                        "evidence",
                        format!("{}, lapsed at slot {}: it gets no jobs", r.kind, r.until),
                        Tone::Bad,
                    ),
                    Some(r) => page
                        .field("evidence", format!("{}, until slot {}", r.kind, r.until))
                        .field("program", &r.measurement)
                        .maybe("platform", r.platform.as_ref()),
                };
                page.field("at slot", found.height);
            });
        }
    }
    Ok(Exit::Ok)
}

/// A worker by its account, or by the beginning that lists show.
fn named_worker(client: &Client, text: &str) -> Result<Account, CliError> {
    if let Ok(account) = text.parse() {
        return Ok(account);
    }
    let text = text.to_ascii_lowercase();
    if text.len() < 4 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(CliError::usage(
            "a worker is 64 hex digits, or the first four or more",
        ));
    }
    let all = client.workers(usize::MAX)?.items;
    let mut fitting = all
        .iter()
        .filter(|w| w.account.to_string().starts_with(&text));
    match (fitting.next(), fitting.next()) {
        (Some(one), None) => Ok(one.account),
        (None, _) => Err(CliError::failed(
            "not_found",
            format!("no worker begins with {text}"),
        )),
        _ => Err(CliError::usage(format!(
            "more than one worker begins with {text}"
        ))),
    }
}

pub(super) fn challenge(context: &mut Context, command: ChallengeCommand) -> CommandResult {
    let ChallengeCommand::List { job, limit } = command;
    let client = context.client();
    let found = match job {
        Some(job) => client.job_challenges(&job)?,
        None => client.challenges(limit)?,
    };
    context.console.answer(&found, |page| {
        for c in &found.items {
            let tone = match c.status.as_str() {
                "upheld" => Tone::Good,
                "failed" | "forfeited" => Tone::Bad,
                _ => Tone::Plain,
            };
            let step = c.step.map_or("hidden".to_owned(), |s| format!("step {s}"));
            page.toned(&c.status, format!("job {}", c.job), tone).field(
                "",
                format!(
                    "{step}, bond {}, slot {}, challenger {}",
                    aic(c.bond),
                    c.slot,
                    c.challenger.short()
                ),
            );
        }
        page.line(summary(&found, "challenges"));
    });
    Ok(Exit::Ok)
}

fn summary<T>(found: &Listing<T>, what: &str) -> String {
    let more = if found.truncated {
        "; there are more, --limit shows them"
    } else {
        ""
    };
    format!(
        "{} {what} at slot {}{more}",
        found.items.len(),
        found.height
    )
}

pub(super) fn genesis(context: &mut Context, command: GenesisCommand) -> CommandResult {
    let GenesisCommand::Show = command;
    let view = if context.global.network.is_some() {
        let genesis = context.genesis()?;
        GenesisView {
            chain_id: genesis.chain_id(),
            genesis,
        }
    } else {
        context.client().genesis()?
    };
    context.console.answer(&view, |page| {
        let (g, p) = (&view.genesis, &view.genesis.params);
        let kind = match g.kind {
            NetworkKind::Dev => "dev: keys and TEE may be simulated; worth nothing",
            NetworkKind::Test => "test: public, without value",
            NetworkKind::Main => "main: public, with value",
        };
        page.field("network", &g.name)
            .field("chain id", view.chain_id)
            .field("kind", kind)
            .field("validators", g.validators.len())
            .field("accounts", g.accounts.len());
        page.heading("Time")
            .field("slot", format!("{} ms", number(p.slot_ms)))
            .field("epoch", format!("{} slots", number(p.epoch_slots)))
            .field(
                "challenge window",
                format!("{} slots at least", p.window_slots),
            )
            .field("unbonding", format!("{} slots", number(p.unbonding_slots)));
        page.heading("Money")
            .field("least payment", aic(p.payment_min))
            .field("fee", format!("{} a KiB", aic(p.fee_per_kib)))
            .field(
                "worker stake",
                format!("{} at least", aic(p.worker_stake_min)),
            )
            .field(
                "coordinator stake",
                format!("{} at least", aic(p.coordinator_stake_min)),
            )
            .field(
                "validator stake",
                format!("{} at least", aic(p.validator_stake_min)),
            )
            .field(
                "slash",
                format!("{} % of the stake", p.slash_bps as f64 / 100.0),
            );
        page.heading("Limits")
            .field("inline", size(p.limits.inline_bytes_max))
            .field("blob", size(p.limits.blob_bytes_max))
            .field("job gas", number(p.limits.job_gas_max));
        page.heading("Trust in evidence");
        if g.tee.nitro {
            page.field("nitro", "under the vendor's root");
        }
        if !g.tee.simulated_roots.is_empty() {
            page.toned("simulated", g.tee.simulated_roots.join("\n"), Tone::Bad);
        }
        match g.tee.measurements.len() {
            0 => page.field("measurements", "any: receipts say unmeasured"),
            n => page.field("measurements", format!("{n} listed")),
        };
    });
    Ok(Exit::Ok)
}
