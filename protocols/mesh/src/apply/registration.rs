//! What a worker runs in: its registration, and how many jobs a platform
//! holds.
//!
//! - A registration is evidence like that of an accept; it counts for
//!   `registration_slots`, and only newer evidence renews it. Jobs are
//!   assigned to registered workers only, of a program that still counts.
//! - An accepted job takes a place on the platform that its evidence names,
//!   whosever worker it is, and frees it with the VCR or at the deadline.

use super::Env;
use super::evidence::{appraise_bound, must_be_fresh};
use super::governance::rules_in_force;
use crate::action::BoundEvidence;
use crate::events::StateEvent;
use crate::keys;
use crate::primitives::Account;
use crate::records::{JobRecord, Registration, WorkerRecord};
use crate::refusal::Refusal;
use crate::view::View;

pub(super) fn attest(
    env: &Env<'_>,
    view: &mut View<'_>,
    events: &mut Vec<StateEvent>,
    signer: &Account,
    session_key: &[u8; 32],
    evidence: &BoundEvidence,
) -> Result<(), Refusal> {
    let mut record: WorkerRecord = view
        .worker(signer)?
        .ok_or(Refusal::NotNow("the worker has not bonded a stake"))?;
    // Stale is stale, whatever else it is; and both are cheap to see.
    must_be_fresh(env, evidence)?;
    let held = record.registration.as_ref();
    if held.is_some_and(|r| r.slot >= evidence.slot) {
        return Err(Refusal::Over("the registration rests on newer evidence"));
    }
    let proved = appraise_bound(env, view, signer, session_key, evidence, &[])?;
    let until = env.ctx.slot.after(env.rules.params().registration_slots);
    record.registration = Some(Registration {
        kind: proved.summary.kind,
        measurement: proved.measurement,
        platform: proved.platform,
        digest: proved.summary.digest,
        slot: evidence.slot,
        until,
    });
    view.put_worker(signer, &record)?;
    events.push(StateEvent::WorkerRegistered {
        worker: *signer,
        until,
    });
    Ok(())
}

/// Whether a worker's registration lets it be assigned this job.
pub(super) fn must_be_registered(
    env: &Env<'_>,
    view: &View<'_>,
    worker: &WorkerRecord,
    job: &JobRecord,
) -> Result<(), Refusal> {
    let held = worker.registration.as_ref().ok_or(Refusal::NotNow(
        "the worker has not attested what it runs in",
    ))?;
    if held.until < env.ctx.slot {
        return Err(Refusal::NotNow("the worker's registration has lapsed"));
    }
    if !job.tee_kinds.is_empty() && !job.tee_kinds.contains(&held.kind) {
        return Err(Refusal::NotNow(
            "the job does not accept the worker's kind of evidence",
        ));
    }
    if !rules_in_force(env, view)?.1.lists(&held.measurement) {
        return Err(Refusal::NotNow(
            "the worker's program is no longer on the network's list",
        ));
    }
    Ok(())
}

/// Takes a place on the platform that the accept's evidence names.
pub(super) fn take_place(
    env: &Env<'_>,
    view: &mut View<'_>,
    job: &mut JobRecord,
    platform: Option<[u8; 32]>,
) -> Result<(), Refusal> {
    if let Some(id) = &platform {
        let key = keys::platform(id);
        let running: u32 = view.load(&key, "platform")?.unwrap_or(0);
        if running >= env.rules.params().platform_jobs_max {
            return Err(Refusal::NotNow(
                "the worker's platform has no room for another job",
            ));
        }
        view.store(key, &(running + 1))?;
    }
    job.platform = platform;
    Ok(())
}

/// Frees the job's place.
pub(super) fn free_place(view: &mut View<'_>, job: &mut JobRecord) -> Result<(), Refusal> {
    let Some(id) = job.platform.take() else {
        return Ok(());
    };
    let key = keys::platform(&id);
    let running: u32 = view
        .load(&key, "platform")?
        .ok_or(Refusal::Corrupted("a platform's count is missing"))?;
    match running {
        0 | 1 => view.remove(key),
        more => view.store(key, &(more - 1))?,
    }
    Ok(())
}
