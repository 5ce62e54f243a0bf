//! From posting to acceptance: models, jobs, assignments, cancels.
//!
//! - A model is admissible when its ONNX lowers; its id is the program's.
//! - Posting locks the payment and fixes window and deadline; the input must
//!   fit the model's signature, so a registered job never ends in "malformed".
//! - Only coordinators entitled by rank may assign, and only a registered
//!   worker with stake, standing and room. Money follows blocks only.
//! - Capacity, deadline and penalties count from the accept, which needs
//!   fresh evidence; without it in time the next rank may assign, at no
//!   penalty.

use super::Env;
use super::evidence::appraise_bound;
use super::registration::{must_be_registered, take_place};
use super::reputation::reputation_now;
use crate::action::{BoundEvidence, Payload, PostJob};
use crate::blob::BlobRef;
use crate::events::StateEvent;
use crate::keys;
use crate::primitives::{Account, Amount, JobId, ModelId};
use crate::rank::coordinator_ranking;
use crate::records::{Assignment, JobRecord, JobStatus, ModelRecord, Outcome, WorkerRecord};
use crate::refusal::Refusal;
use crate::runs;
use crate::tx::VerifiedTx;
use crate::view::{Bucket, View};

pub(super) fn register_model(
    env: &Env<'_>,
    view: &mut View<'_>,
    events: &mut Vec<StateEvent>,
    owner: &Account,
    onnx: &BlobRef,
) -> Result<(), Refusal> {
    let program = env
        .library
        .program(onnx)
        .ok_or(Refusal::BlobMissing(*onnx))?
        .map_err(|e| Refusal::Model(e.to_string()))?;
    let id = runs::model_id(&program);
    if view.model(&id)?.is_some() {
        return Err(Refusal::Over("this model is registered already"));
    }
    let record = ModelRecord {
        onnx: *onnx,
        owner: *owner,
        slot: env.ctx.slot,
    };
    view.store(keys::model(&id), &record)?;
    events.push(StateEvent::ModelRegistered {
        model: id,
        onnx: onnx.id,
    });
    Ok(())
}

pub(super) fn post(
    env: &Env<'_>,
    view: &mut View<'_>,
    events: &mut Vec<StateEvent>,
    tx: &VerifiedTx,
    job: &PostJob,
) -> Result<(), Refusal> {
    let p = env.rules.params();
    if job.payment < p.payment_min {
        return Err(Refusal::Never("the payment is below payment_min"));
    }
    if job.deadline_slots == 0 || job.deadline_slots > p.deadline_slots_max {
        return Err(Refusal::Never("the deadline is zero or too far ahead"));
    }
    if job.gas_limit == 0 || job.gas_limit > p.limits.job_gas_max {
        return Err(Refusal::Never(
            "the gas limit is zero or over the network's",
        ));
    }
    let model: ModelRecord = view
        .model(&job.model)?
        .ok_or(Refusal::NotNow("the model is not registered"))?;
    let program = program_of(env, &model)?;
    let bytes = match &job.input {
        Payload::Inline(bytes) if bytes.len() as u64 > p.limits.inline_bytes_max => {
            return Err(Refusal::Never(
                "the inline input is too long: send it as a blob",
            ));
        }
        Payload::Inline(bytes) => bytes.as_slice().into(),
        Payload::Blob(blob) => env.library.blob(blob).ok_or(Refusal::BlobMissing(*blob))?,
    };
    let inputs_root = runs::inputs_root(&program, &bytes, &p.limits).map_err(Refusal::Input)?;
    let requester = tx.signer();
    view.debit(&requester, job.payment, Bucket::Escrows)?;
    let id = JobId(tx.id().0);
    let record = JobRecord {
        status: JobStatus::Posted,
        requester,
        model: job.model,
        input: job.input.blob_ref(),
        inputs_root,
        tee_kinds: job.tee_kinds.iter().map(|k| k.code()).collect(),
        reputation_min: job.reputation_min,
        payment: job.payment,
        gas_limit: job.gas_limit,
        seed: job.seed,
        posted: env.ctx.slot,
        deadline: env.ctx.slot.after(job.deadline_slots),
        window_slots: env.rules.genesis.window_slots(
            job.gas_limit,
            model.onnx.bytes_len.saturating_add(bytes.len() as u64),
        ),
        assignment: None,
        accepted: None,
        platform: None,
        vcr: None,
        outcome: None,
    };
    view.set_due(record.deadline.after(1), &id);
    view.put_job(&id, &record)?;
    events.push(StateEvent::JobPosted { job: id });
    Ok(())
}

pub(super) fn cancel(
    env: &Env<'_>,
    view: &mut View<'_>,
    events: &mut Vec<StateEvent>,
    signer: &Account,
    id: &JobId,
) -> Result<(), Refusal> {
    let mut job = known(view, id)?;
    if job.requester != *signer {
        return Err(Refusal::Never("only the requester may cancel its job"));
    }
    if job.status != JobStatus::Posted {
        return Err(Refusal::Over("the job was assigned or has ended"));
    }
    view.credit(signer, job.payment, Bucket::Escrows)?;
    job.status = JobStatus::Cancelled;
    job.outcome = Some(Outcome {
        slot: env.ctx.slot,
        refunded: job.payment,
        ..Outcome::default()
    });
    view.put_job(id, &job)?;
    events.push(StateEvent::JobCancelled { job: *id });
    Ok(())
}

pub(super) fn assign(
    env: &Env<'_>,
    view: &mut View<'_>,
    events: &mut Vec<StateEvent>,
    coordinator: &Account,
    id: &JobId,
    worker: &Account,
    registration_epoch: u64,
) -> Result<(), Refusal> {
    let p = env.rules.params();
    let mut job = known(view, id)?;
    match (job.status, &job.assignment) {
        (JobStatus::Posted, _) => {}
        (JobStatus::Assigned, Some(a)) if env.ctx.slot.since(a.slot) > p.accept_slots => {
            // The chosen worker never answered: no penalty, but its room is free again.
            release(view, &a.worker.clone(), job.payment)?;
        }
        (JobStatus::Assigned, _) => {
            return Err(Refusal::NotNow("another worker still has time to accept"));
        }
        _ => return Err(Refusal::Over("the job is past assignment")),
    }
    if env.ctx.slot >= job.deadline {
        return Err(Refusal::Over("the deadline leaves no time for a run"));
    }
    let bond = view
        .coordinator(coordinator)?
        .map(|c| c.stake)
        .unwrap_or_default();
    if bond < p.coordinator_stake_min {
        return Err(Refusal::NotNow("the coordinator is not bonded"));
    }
    let ranking = coordinator_ranking(view.reader(), id, p.coordinator_stake_min)?;
    let rank = ranking
        .iter()
        .position(|a| a == coordinator)
        .map(|r| r as u64);
    if rank.is_none_or(|r| job.posted.after(r) > env.ctx.slot) {
        return Err(Refusal::NotNow("the coordinator's rank may not assign yet"));
    }
    let mut record: WorkerRecord = view
        .worker(worker)?
        .ok_or(Refusal::NotNow("the worker is not registered"))?;
    if record.registration_epoch != registration_epoch {
        return Err(Refusal::Over("the worker's key was registered anew"));
    }
    eligible(env, &record, &job)?;
    must_be_registered(env, view, &record, &job)?;
    let open = record
        .open_payments
        .checked_add(job.payment)
        .ok_or(Refusal::Overflow)?;
    let slashable = record.stake.bps(p.slash_bps).ok_or(Refusal::Overflow)?;
    if slashable.0 < open.0.saturating_mul(2) {
        return Err(Refusal::NotNow(
            "the worker's slashable stake is below twice its open payments",
        ));
    }
    record.open_payments = open;
    job.status = JobStatus::Assigned;
    job.assignment = Some(Assignment {
        coordinator: *coordinator,
        worker: *worker,
        registration_epoch,
        slot: env.ctx.slot,
        worker_stake: record.stake,
    });
    view.put_worker(worker, &record)?;
    view.put_job(id, &job)?;
    events.push(StateEvent::JobAssigned {
        job: *id,
        worker: *worker,
        coordinator: *coordinator,
    });
    Ok(())
}

pub(super) fn accept(
    env: &Env<'_>,
    view: &mut View<'_>,
    events: &mut Vec<StateEvent>,
    signer: &Account,
    id: &JobId,
    session_key: &[u8; 32],
    evidence: &BoundEvidence,
) -> Result<(), Refusal> {
    let mut job = known(view, id)?;
    let assignment = match (job.status, &job.assignment) {
        (JobStatus::Assigned, Some(a)) => a.clone(),
        (JobStatus::Posted, _) => return Err(Refusal::NotNow("the job is not assigned yet")),
        _ => return Err(Refusal::Over("the job is past acceptance")),
    };
    if assignment.worker != *signer {
        // Our state may not have the assignment that it answers.
        return Err(Refusal::NotNow("the job is assigned to another worker"));
    }
    if env.ctx.slot > job.deadline {
        return Err(Refusal::Over("the deadline has passed"));
    }
    let mut record: WorkerRecord = view
        .worker(signer)?
        .ok_or(Refusal::Corrupted("an assigned worker has no record"))?;
    if record.registration_epoch != assignment.registration_epoch {
        return Err(Refusal::Over("the worker's key was registered anew"));
    }
    eligible(env, &record, &job)?;
    let proved = appraise_bound(env, view, signer, session_key, evidence, &job.tee_kinds)?;
    take_place(env, view, &mut job, proved.platform)?;
    record.jobs_running += 1;
    job.status = JobStatus::Accepted;
    job.accepted = Some(env.ctx.slot);
    view.put_worker(signer, &record)?;
    view.put_job(id, &job)?;
    events.push(StateEvent::JobAccepted {
        job: *id,
        worker: *signer,
    });
    Ok(())
}

/// What a worker must have both when it is chosen and when it says yes.
fn eligible(env: &Env<'_>, worker: &WorkerRecord, job: &JobRecord) -> Result<(), Refusal> {
    let p = env.rules.params();
    if worker.stake < p.worker_stake_min {
        return Err(Refusal::NotNow(
            "the worker's stake is below worker_stake_min",
        ));
    }
    let standing = reputation_now(worker, env.ctx.slot, p.epoch_slots);
    if standing <= p.reputation_banned {
        return Err(Refusal::NotNow("the worker is banned"));
    }
    if standing < job.reputation_min {
        return Err(Refusal::NotNow(
            "the worker's reputation is below what the job asks",
        ));
    }
    if worker.jobs_running >= p.worker_jobs_max {
        return Err(Refusal::NotNow("the worker has no room for another job"));
    }
    Ok(())
}

/// A job that must exist by now.
pub(super) fn known(view: &View<'_>, id: &JobId) -> Result<JobRecord, Refusal> {
    view.job(id)?.ok_or(Refusal::NotNow("the job is not known"))
}

/// The program of a registered model.
pub(super) fn program_of(
    env: &Env<'_>,
    model: &ModelRecord,
) -> Result<std::sync::Arc<aether_inference::Program>, Refusal> {
    env.library
        .program(&model.onnx)
        .ok_or(Refusal::BlobMissing(model.onnx))?
        .map_err(|_| Refusal::Corrupted("a registered model no longer lowers"))
}

/// The model of a job.
pub(super) fn model_of(view: &View<'_>, id: &ModelId) -> Result<ModelRecord, Refusal> {
    view.model(id)?
        .ok_or(Refusal::Corrupted("a job's model is not registered"))
}

/// Frees a payment from a worker's open sum.
pub(super) fn release(
    view: &mut View<'_>,
    worker: &Account,
    payment: Amount,
) -> Result<(), Refusal> {
    if let Some(mut record) = view.worker(worker)? {
        record.open_payments = record
            .open_payments
            .checked_sub(payment)
            .ok_or(Refusal::Overflow)?;
        view.put_worker(worker, &record)?;
    }
    Ok(())
}
