//! The lie of the cheating worker, and the slander of an honest one: both are
//! challenged, one is upheld.

use super::cheat::Lie;
use super::script::PAYMENT;
use super::skeptic::FalseChallenge;
use super::stage::*;
use super::summary::*;
use aether_inference::TraceHeader;
use aether_mesh::Amount;

/// Challenges an honest run falsely, while its window is open.
pub(super) fn slander(stage: &mut Stage, posted: &[Posted]) -> Done<FalseChallenge> {
    stage
        .tell
        .chapter("A false challenge against an honest worker");
    // The latest receipt has the most of its window left; one whose window
    // might close before the commit is in a block is no use.
    let mut candidates = Vec::new();
    let height = status(stage, "coordinator-1")?.height;
    for p in posted {
        let view = job(stage, &p.id)?;
        let window_end = view.vcr.as_ref().map(|v| v.window_end).unwrap_or_default();
        if window_end >= height.after(SLOTS_TO_SPARE - 1) {
            candidates.push((window_end, p, view));
        }
    }
    candidates.sort_by_key(|(window_end, ..)| std::cmp::Reverse(*window_end));
    for (_, p, view) in candidates {
        let Some(vcr) = view.vcr.clone() else {
            continue;
        };
        if is_cheats(stage, &view) || view.status != "submitted" {
            continue;
        }
        let inputs = [p.digit.tensor()?];
        let header = TraceHeader::new(
            stage.rules.chain_id.0,
            p.id.0,
            stage.program.id(),
            &inputs,
            view.seed,
        );
        let limits = stage.rules.genesis.run_limits(view.gas_limit);
        let client = coordinator_client(stage)?;
        let slander =
            FalseChallenge::prepare(&client, &stage.program, &header, &inputs, &limits, p.id)?;
        if slander.commit(&mut stage.sceptic, vcr.tx).is_err() {
            // Its window closed meanwhile.
            continue;
        }
        let account = stage.sceptic.account();
        let id = p.id;
        await_that(stage, "the false challenge to be bonded", |s| {
            let all = coordinator_client(s)?.job_challenges(&id)?;
            Ok(all
                .items
                .iter()
                .any(|c| c.challenger == account)
                .then_some(()))
        })?;
        let (verify, reexecute) = slander.verdict_seconds;
        let timed = [
            ("kzg_verify_seconds", verify),
            ("step_reexecute_seconds", reexecute),
        ];
        for (name, seconds) in timed {
            stage.summary.stage_seconds.insert(name.to_owned(), seconds);
        }
        stage.tell.say(format!(
            "job {}: step {} is said to be wrong, {} AIC bonded on it",
            id.short(),
            slander.step,
            slander.bond
        ));
        return Ok(slander);
    }
    Err(text("no honest run was left to slander"))
}

pub(super) fn tell_fraud(stage: &mut Stage, posted: &[Posted]) -> Done<()> {
    stage.tell.chapter("The lie");
    let confessions = std::fs::read_to_string(&stage.confession).map_err(text)?;
    let lies: Vec<Lie> = confessions
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()
        .map_err(text)?;
    let client = coordinator_client(stage)?;
    let mut shown = false;
    for p in posted {
        let view = job(stage, &p.id)?;
        if !is_cheats(stage, &view) {
            continue;
        }
        let lie = lies
            .iter()
            .find(|l| l.job == p.id.to_string())
            .ok_or_else(|| text("a refuted job was not confessed"))?;
        let challenges = client.job_challenges(&p.id)?.items;
        let upheld = challenges
            .iter()
            .find(|c| c.status == "upheld")
            .ok_or_else(|| text("no challenge was upheld"))?;
        let step = upheld.step.ok_or_else(|| text("no step was named"))?;
        let vcr = view.vcr.clone().ok_or_else(|| text("no VCR"))?;
        let outcome = view.outcome.clone().ok_or_else(|| text("no outcome"))?;
        if step != lie.step || outcome.refunded != PAYMENT || outcome.slashed == Amount::ZERO {
            return Err(DemoError(format!(
                "job {}: the wrong step, refund or slash",
                p.id
            )));
        }
        let ratio = upheld.gas as f64 / vcr.gas_used.max(1) as f64;
        if ratio > 0.3 {
            return Err(DemoError(format!(
                "{:.0} % of the gas was re-executed",
                ratio * 100.0
            )));
        }
        if shown {
            continue;
        }
        shown = true;
        let cheat = client.worker(&stage.cheat)?.value;
        stage.tell.say(format!(
            "job {}: after step {} of {} the cheat made element {} of value {} {} instead of {}",
            p.id.short(),
            lie.step,
            lie.steps,
            lie.element,
            lie.value,
            lie.became,
            lie.was
        ));
        stage.tell.say(format!(
            "the challenger re-executed, found step {step} first to differ, and proved it: {} of {} gas ({:.1} %) re-executed by validators",
            upheld.gas, vcr.gas_used, ratio * 100.0
        ));
        stage.tell.say(format!(
            "{CHEAT} lost {} AIC and stands at {:+}; the requester got {} AIC back; the challenger's {} AIC vest",
            outcome.slashed, cheat.reputation, outcome.refunded, outcome.challengers_reward
        ));
        stage.summary.fraud = Some(FraudSummary {
            job: p.id.to_string(),
            lie: lie.clone(),
            steps: vcr.elements - 1,
            step,
            gas_reexecuted: upheld.gas,
            gas_total: vcr.gas_used,
            gas_ratio: ratio,
            slashed: outcome.slashed,
            worker_reputation: cheat.reputation,
            refunded: outcome.refunded,
            challengers_reward: outcome.challengers_reward,
        });
    }
    if shown {
        Ok(())
    } else {
        Err(text("no lie was told, so none was caught"))
    }
}

pub(super) fn tell_slander(stage: &mut Stage, slander: &FalseChallenge) -> Done<()> {
    let account = stage.sceptic.account();
    let all = coordinator_client(stage)?
        .job_challenges(&slander.job())?
        .items;
    let record = all
        .iter()
        .find(|c| c.challenger == account)
        .ok_or_else(|| text("the false challenge is gone"))?;
    if record.status != "failed" {
        return Err(DemoError(format!(
            "the false challenge is {}",
            record.status
        )));
    }
    stage.tell.say(format!(
        "the false challenge failed: step {} is right, the bond of {} AIC is lost",
        slander.step, record.bond
    ));
    stage.summary.false_challenge = Some(FalseChallengeSummary {
        job: slander.job().to_string(),
        step: slander.step,
        status: record.status.clone(),
        bond: record.bond,
    });
    Ok(())
}
