//! What came of it: results for people, a receipt verified by a fresh process,
//! equal roots, balanced books, figures.

use super::digits::{self};
use super::stage::*;
use super::summary::*;
use crate::devnet::resident_bytes;
use crate::rpc::found;
use aether_mesh::runs;
use std::collections::BTreeMap;
use std::time::Instant;

pub(super) fn tell_results(stage: &mut Stage, posted: &[Posted]) -> Done<()> {
    stage.tell.chapter("Results");
    let client = coordinator_client(stage)?;
    let mut drawn = false;
    for p in posted {
        let view = job(stage, &p.id)?;
        let assignment = view
            .assignment
            .clone()
            .ok_or_else(|| text("no assignment"))?;
        let vcr = view.vcr.clone().ok_or_else(|| text("no VCR"))?;
        let outcome = view.outcome.clone().ok_or_else(|| text("no outcome"))?;
        let name = stage
            .names
            .get(&assignment.worker)
            .cloned()
            .unwrap_or_default();
        let output = client.job_output(&p.id)?;
        let tensors = runs::decode_output(&output, &stage.rules.params().limits)?;
        let predicted = tensors
            .first()
            .and_then(|(_, t)| t.view::<f32>())
            .and_then(digits::prediction);
        let honest = assignment.worker != stage.cheat;
        let expected = if honest { "settled" } else { "refuted" };
        if view.status != expected {
            return Err(DemoError(format!(
                "job {} of {name} is {}, and should be {expected}",
                p.id, view.status
            )));
        }
        let slots = [
            view.posted,
            assignment.slot,
            view.accepted.unwrap_or_default(),
            vcr.slot,
            outcome.slot,
        ];
        let [posted_at, assigned, accepted, submitted, end] = slots.map(|s| s.0);
        let (class, probability) = predicted.unwrap_or((99, 0.0));
        stage.tell.say(format!(
            "job {} {:8} {name}: a {} read as {class} ({:.1} %)",
            p.id.short(),
            view.status,
            p.digit.label,
            probability * 100.0
        ));
        if honest && !drawn {
            drawn = true;
            for line in p.digit.drawing() {
                stage.tell.more(line);
            }
            stage.tell.more(format!(
                "paid {} AIC: burned {}, worker minted {}, coordinator {}",
                view.payment, outcome.burned, outcome.worker_reward, outcome.coordinator_reward
            ));
            stage.tell.more(format!(
                "slots: posted {posted_at}, assigned {assigned}, accepted {accepted}, VCR {submitted}, settled {end}"
            ));
        }
        stage.summary.jobs.push(JobSummary {
            job: p.id.to_string(),
            receipt: vcr.tx.to_string(),
            status: view.status.clone(),
            label: p.digit.label,
            predicted: predicted.map(|(class, _)| class),
            probability: predicted.map(|(_, p)| p),
            worker: name,
            payment: view.payment,
            slots,
            result_seconds: p.result_seconds.unwrap_or_default(),
        });
    }
    let workers = client.workers(100)?.items;
    for w in workers
        .iter()
        .filter(|w| w.account != stage.cheat && w.settled > 0)
    {
        let name = stage.names.get(&w.account).cloned().unwrap_or_default();
        if w.reputation < 10 {
            return Err(DemoError(format!(
                "{name} settled jobs and has reputation {}",
                w.reputation
            )));
        }
        stage.tell.say(format!(
            "{name}: {} settled, reputation {:+}",
            w.settled, w.reputation
        ));
    }
    Ok(())
}

pub(super) fn receipt(stage: &mut Stage, posted: &[Posted], dir: &std::path::Path) -> Done<()> {
    stage
        .tell
        .chapter("A receipt that anybody can verify offline");
    let mut settled = None;
    for p in posted {
        if job(stage, &p.id)?.status == "settled" {
            settled = Some(p.id);
            break;
        }
    }
    let id = settled.ok_or_else(|| text("no job settled"))?;
    let bytes = coordinator_client(stage)?.receipt(&id)?;
    let path = dir.join("job.receipt");
    std::fs::write(&path, &bytes).map_err(text)?;
    let started = Instant::now();
    let program = std::env::current_exe().map_err(text)?;
    let output = std::process::Command::new(program)
        .args(["receipt", "verify"])
        .arg(&path)
        .arg("--network")
        .arg(stage.net.folder.network())
        .output()
        .map_err(text)?;
    let seconds = started.elapsed().as_secs_f64();
    let code = output.status.code().unwrap_or(-1);
    for line in String::from_utf8_lossy(&output.stdout).lines().take(30) {
        stage.tell.more(line);
    }
    if code != 0 {
        let why = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(DemoError(format!(
            "the receipt was refused with exit {code}: {why}"
        )));
    }
    stage.tell.say(format!(
        "{} bytes, accepted by a fresh process without a network in {seconds:.2} s",
        bytes.len()
    ));
    stage.summary.receipt = Some(ReceiptSummary {
        job: id.to_string(),
        bytes: bytes.len() as u64,
        verify_exit: code,
        verify_seconds: seconds,
    });
    Ok(())
}

/// Equal roots everywhere, at a height after everything; balanced books.
pub(super) fn compare(stage: &mut Stage) -> Done<()> {
    stage.tell.chapter("The same state everywhere");
    let last = status(stage, "validator-1")?.height;
    let mut heights = BTreeMap::from([(last, "the last block")]);
    for j in &stage.summary.jobs {
        let what = if j.status == "refuted" {
            "a refutation"
        } else {
            "a settlement"
        };
        heights.insert(j.slots[4], what);
    }
    if let Some(crash) = &stage.summary.crash {
        heights.insert(crash.restarted_at, "the restart");
    }
    let names: Vec<String> = stage.urls.keys().cloned().collect();
    let mut equal = true;
    for (height, what) in heights {
        let roots = await_that(stage, "every node to reach one height", |s| {
            let mut roots = BTreeMap::new();
            for name in &names {
                let client = s.urls.get(name).ok_or_else(|| text("a node is gone"))?;
                match found(client.block(height))? {
                    Some(block) => roots.insert(name.clone(), block.state_root),
                    None => return Ok(None),
                };
            }
            Ok(Some(roots))
        })?;
        let mut distinct: Vec<&String> = roots.values().collect();
        distinct.sort();
        distinct.dedup();
        equal &= distinct.len() == 1;
        let root: String = distinct
            .first()
            .map(|r| r.chars().take(16).collect())
            .unwrap_or_default();
        stage.tell.say(format!(
            "height {height} ({what}): {} nodes, {} state root {root}…",
            roots.len(),
            if distinct.len() == 1 {
                "one"
            } else {
                "more than one"
            }
        ));
        stage.summary.roots.insert(height, roots);
    }
    let supply = coordinator_client(stage)?.supply()?.value;
    stage.summary.roots_equal = equal;
    stage.summary.supply_conserved = supply.conserved;
    stage.summary.supply = serde_json::to_value(&supply).map_err(text)?;
    if !equal || !supply.conserved {
        return Err(DemoError(format!(
            "roots equal: {equal}; supply conserved: {}",
            supply.conserved
        )));
    }
    stage.tell.say(format!(
        "supply conserved: {} AIC at genesis = {} free + {} escrowed + {} staked + {} bonded + {} vesting + {} burned − {} minted",
        supply.genesis,
        supply.balances,
        supply.escrows,
        supply.stakes,
        supply.bonds,
        supply.vesting,
        supply.burned,
        supply.minted
    ));
    Ok(())
}

/// Latencies as the nodes measured them, and memory.
pub(super) fn figures(stage: &mut Stage) {
    stage.tell.chapter("Figures");
    let wanted = [
        (
            "aether_assignment_seconds",
            "assignment, from the event to the wire",
        ),
        ("aether_inference_seconds", "inference"),
        (
            "aether_vcr_seconds",
            "VCR generation, everything after inference",
        ),
        ("aether_recheck_seconds", "re-execution by the challenger"),
        ("aether_block_commit_seconds", "block commit"),
    ];
    let texts: Vec<String> = stage
        .urls
        .values()
        .filter_map(|client| client.metrics().ok())
        .collect();
    for (name, title) in wanted {
        let (mut sum, mut count) = (0.0, 0.0);
        for text in &texts {
            sum += sample(text, &format!("{name}_sum"));
            count += sample(text, &format!("{name}_count"));
        }
        if count > 0.0 {
            let mean: f64 = sum / count;
            stage
                .tell
                .say(format!("{title}: {:.2} ms (mean of {count})", mean * 1e3));
            stage.summary.stage_seconds.insert(name.to_owned(), mean);
        }
    }
    let timed = ["kzg_verify_seconds", "step_reexecute_seconds"];
    let titles = [
        "KZG verification of an opening",
        "re-execution of that one step",
    ];
    for (name, title) in timed.into_iter().zip(titles) {
        if let Some(seconds) = stage.summary.stage_seconds.get(name) {
            stage
                .tell
                .say(format!("{title}: {:.2} ms (best of 7)", seconds * 1e3));
        }
    }
    let results: Vec<f64> = stage
        .summary
        .jobs
        .iter()
        .map(|j| j.result_seconds)
        .collect();
    let mean = results.iter().sum::<f64>() / results.len().max(1) as f64;
    stage.tell.say(format!(
        "posting to result in the requester's hand: {mean:.2} s (mean)"
    ));
    let mut pids: Vec<(String, u32)> = stage
        .net
        .nodes()
        .map(|(name, process)| (name.clone(), process.pid()))
        .collect();
    pids.push(("bootnode".to_owned(), stage.net.bootnode_pid()));
    for (name, pid) in pids {
        if let Some(bytes) = resident_bytes(pid) {
            stage.summary.rss_bytes.insert(name, bytes);
        }
    }
    let rss: Vec<String> = stage
        .summary
        .rss_bytes
        .iter()
        .map(|(name, bytes)| format!("{name} {} MiB", bytes >> 20))
        .collect();
    stage.tell.say(format!("memory: {}", rss.join(", ")));
}

/// The first sample of a metric in Prometheus' text format.
fn sample(text: &str, name: &str) -> f64 {
    text.lines()
        .filter(|line| line.starts_with(name))
        .filter_map(|line| line.split_whitespace().last()?.parse::<f64>().ok())
        .next()
        .unwrap_or_default()
}
