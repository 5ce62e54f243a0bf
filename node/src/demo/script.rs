//! The story, chapter by chapter. Each chapter returns what the next one
//! needs; whatever does not come true ends the demo with a reason and exit 1.
//!
//! Here: the order, the network's start, the jobs, the window. The lie and the
//! slander are in `fraud.rs`, the dead validator in `crash.rs`, the workers'
//! evidence in `evidence.rs`, results,
//! receipt, roots and figures in `closing.rs`.

use super::closing::{compare, figures, receipt, tell_results};
use super::crash::{kill_validator, restart_validator};
use super::digits::{self};
use super::evidence::{tell_registrations, tell_staleness};
use super::fraud::{slander, tell_fraud, tell_slander};
use super::requester::Requester;
use super::skeptic::FalseChallenge;
use super::stage::*;
use super::summary::*;
use crate::rpc::found;
use aether_mesh::{Action, Amount, JobId, Payload, PostJob};
use ed25519_dalek::SigningKey;
use std::ffi::OsString;
use std::time::Instant;

/// Runs the demo; prints the story and returns its summary.
pub fn run(args: &DemoArgs) -> Result<Summary, DemoError> {
    let temporary;
    let dir = match &args.dir {
        Some(dir) => dir.clone(),
        None => {
            let base = std::env::temp_dir();
            temporary = base.join(format!("aether-demo-{}", std::process::id()));
            temporary.clone()
        }
    };
    let outcome = play(args, &dir);
    match &outcome {
        Ok(_) if !args.keep && args.dir.is_none() => {
            // Leftovers in a temporary folder harm nobody.
            let _ = std::fs::remove_dir_all(&dir);
        }
        _ => println!("\n  logs and data: {}", dir.display()),
    }
    outcome
}

fn play(args: &DemoArgs, dir: &std::path::Path) -> Done<Summary> {
    let mut stage = open(args, dir)?;
    start_network(&mut stage, args.seed)?;
    register_model(&mut stage)?;
    let mut posted = post_jobs(&mut stage, args.seed)?;
    let slander = slander(&mut stage, &posted)?;
    let killed_at = kill_validator(&mut stage)?;
    follow_to_the_end(&mut stage, &mut posted, &slander)?;
    tell_results(&mut stage, &posted)?;
    tell_fraud(&mut stage, &posted)?;
    tell_slander(&mut stage, &slander)?;
    restart_validator(&mut stage, killed_at)?;
    tell_staleness(&mut stage)?;
    receipt(&mut stage, &posted, dir)?;
    compare(&mut stage)?;
    figures(&mut stage);
    stage.summary.total_seconds = stage.tell.elapsed().as_secs_f64();
    if let Some(path) = &args.summary {
        let json = serde_json::to_string_pretty(&stage.summary).map_err(text)?;
        std::fs::write(path, json + "\n").map_err(text)?;
        stage
            .tell
            .say(format!("summary written to {}", path.display()));
    }
    stage.tell.say("everything came true");
    Ok(stage.summary)
}

fn start_network(stage: &mut Stage, seed: u64) -> Done<()> {
    let nodes: Vec<String> = stage
        .net
        .folder
        .members
        .iter()
        .map(|m| m.name.clone())
        .filter(|n| n.contains('-'))
        .collect();
    for name in &nodes {
        let before: Vec<OsString> = if name == CHEAT {
            vec![
                "demo-cheat".into(),
                "--seed".into(),
                seed.to_string().into(),
                "--confession".into(),
                stage.confession.clone().into(),
            ]
        } else {
            Vec::new()
        };
        stage.net.start(name, &before).map_err(text)?;
    }
    stage.tell.say(format!(
        "{} processes started: a bootnode, {}; {CHEAT} will cheat",
        nodes.len() + 1,
        nodes.join(", ")
    ));
    for name in &nodes {
        stage.tell.wait(format!("{name} to answer"));
        let url = stage.net.ready(name).map_err(text)?;
        stage.urls.insert(name.clone(), client(&url)?);
    }
    let coordinator = stage
        .urls
        .get("coordinator-1")
        .cloned()
        .ok_or_else(|| text("no coordinator"))?;
    let keys = [("requester", true), ("sceptic", false)];
    for (name, is_requester) in keys {
        let member = stage
            .net
            .folder
            .member(name)
            .ok_or_else(|| text("no account"))?;
        let seed = crate::cli::load_key(&member.key()).map_err(text)?;
        let who = Requester::new(
            SigningKey::from_bytes(&seed),
            stage.rules.chain_id,
            coordinator.clone(),
        );
        if is_requester {
            stage.requester = who;
        } else {
            stage.sceptic = who;
        }
    }
    await_that(stage, "the first blocks", |s| {
        Ok((status(s, "coordinator-1")?.height.0 >= 2).then_some(()))
    })?;
    let peers = status(stage, "coordinator-1")?.peers;
    stage.tell.say(format!(
        "blocks are being made; the coordinator found {peers} peers"
    ));
    await_that(stage, "workers and coordinator to bond", |s| {
        let c = coordinator_client(s)?;
        let workers = c.workers(100)?.items.len();
        let coordinators = c.coordinators(100)?.items.len();
        Ok((workers >= 3 && coordinators >= 1).then_some(()))
    })?;
    stage.summary.start_seconds = stage.tell.elapsed().as_secs_f64();
    stage
        .tell
        .say("three workers and the coordinator have bonded their stakes");
    tell_registrations(stage)
}

fn register_model(stage: &mut Stage) -> Done<()> {
    stage.tell.chapter("A model and some jobs");
    let client = coordinator_client(stage)?;
    let onnx = client.put_blob(digits::MODEL)?;
    stage.requester.submit(Action::RegisterModel { onnx })?;
    let model = stage.model;
    await_that(stage, "the model to be registered", |s| {
        Ok(found(coordinator_client(s)?.model(&model))?.map(drop))
    })?;
    stage.tell.say(format!(
        "digit classifier registered: {} bytes, model {}…",
        onnx.bytes_len,
        model.short()
    ));
    Ok(())
}

pub(super) const PAYMENT: Amount = Amount::aic(10);

/// Jobs posted at first, and at most in search of one for the cheat.
const JOBS_FIRST: usize = 4;

const JOBS_MAX: usize = 40;

/// Posts jobs until an honest worker and the cheat have some.
fn post_jobs(stage: &mut Stage, seed: u64) -> Done<Vec<Posted>> {
    let all = digits::digits();
    if all.is_empty() {
        return Err(text("the digits do not decode"));
    }
    let mut posted: Vec<Posted> = Vec::new();
    let mut wanted = JOBS_FIRST;
    loop {
        while posted.len() < wanted {
            let at = (seed as usize)
                .wrapping_mul(37)
                .wrapping_add(posted.len() * 11)
                % all.len();
            let digit = all[at].clone();
            let input = Payload::Inline(digit.encoded()?);
            let started = Instant::now();
            let tx = stage.requester.submit(Action::PostJob(PostJob {
                model: stage.model,
                input,
                tee_kinds: Vec::new(),
                reputation_min: -100,
                payment: PAYMENT,
                gas_limit: 50_000_000,
                deadline_slots: 60,
                seed,
            }))?;
            posted.push(Posted {
                id: JobId(tx.0),
                digit,
                at: started,
                result_seconds: None,
            });
        }
        stage.tell.say(format!(
            "{} jobs posted, {PAYMENT} AIC locked for each",
            posted.len()
        ));
        let ids: Vec<JobId> = posted.iter().map(|p| p.id).collect();
        let workers = await_that(stage, "VCRs for all jobs", |s| {
            watch_results(s, &mut posted)?;
            let mut workers = Vec::new();
            for id in &ids {
                let Some(job) = found(coordinator_client(s)?.job(id))? else {
                    return Ok(None);
                };
                match (&job.value.vcr, &job.value.assignment) {
                    (Some(_), Some(a)) => workers.push(a.worker),
                    _ if job.value.status == "expired" => {
                        return Err(DemoError(format!("job {id} expired without a VCR")));
                    }
                    _ => return Ok(None),
                }
            }
            Ok(Some(workers))
        })?;
        let lies = workers.iter().filter(|w| **w == stage.cheat).count();
        let honest = workers.len() - lies;
        stage.tell.say(format!(
            "all run: {honest} by honest workers, {lies} by the cheat"
        ));
        if lies >= 1 && honest >= 2 && has_open_honest(stage, &posted)? {
            return Ok(posted);
        }
        if posted.len() >= JOBS_MAX {
            return Err(text("the cheat was never chosen; nothing to catch"));
        }
        wanted = posted.len() + 2;
    }
}

/// Whether an honest run can still be challenged falsely, with slots to spare.
fn has_open_honest(stage: &Stage, posted: &[Posted]) -> Done<bool> {
    let height = status(stage, "coordinator-1")?.height;
    for p in posted {
        let view = job(stage, &p.id)?;
        let open = view
            .vcr
            .as_ref()
            .is_some_and(|v| v.closed.is_none() && v.window_end >= height.after(SLOTS_TO_SPARE));
        if open && !is_cheats(stage, &view) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Notes when each result is in the requester's hand.
fn watch_results(stage: &Stage, posted: &mut [Posted]) -> Done<()> {
    let client = coordinator_client(stage)?;
    for p in posted.iter_mut().filter(|p| p.result_seconds.is_none()) {
        let submitted = found(client.job(&p.id))?.is_some_and(|job| job.value.vcr.is_some());
        if submitted && found(client.job_output(&p.id))?.is_some() {
            p.result_seconds = Some(p.at.elapsed().as_secs_f64());
        }
    }
    Ok(())
}

/// Until every job has ended; the sceptic reveals when its window closes.
fn follow_to_the_end(
    stage: &mut Stage,
    posted: &mut [Posted],
    slander: &FalseChallenge,
) -> Done<()> {
    stage.tell.chapter("The challenge window");
    let ids: Vec<JobId> = posted.iter().map(|p| p.id).collect();
    let mut revealed = false;
    let mut ended = 0;
    await_that(stage, "windows to pass", |s| {
        watch_results(s, posted)?;
        if !revealed {
            let target = job(s, &slander.job())?;
            if target.vcr.as_ref().is_some_and(|v| v.closed.is_some()) {
                slander.reveal(&mut s.sceptic)?;
                revealed = true;
                s.tell
                    .say("the window closed: the sceptic reveals its false challenge");
            }
        }
        let mut over = 0;
        for id in &ids {
            over += usize::from(job(s, id)?.is_over());
        }
        if over > ended {
            ended = over;
            let height = status(s, "coordinator-1")?.height;
            s.tell.say(format!(
                "height {height}: {over} of {} jobs have ended",
                ids.len()
            ));
        }
        Ok((over == ids.len()).then_some(()))
    })
}
