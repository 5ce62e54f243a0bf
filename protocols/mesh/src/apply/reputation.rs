//! A worker's standing: earned slowly, lost fast, fading with time.
//!
//! - It moves toward zero by one point each epoch.
//! - Gains count only where the job's net burn reaches the floor, once per
//!   requester and epoch, up to a cap per epoch; losses always count.

use super::Env;
use crate::primitives::{Account, Amount, Slot};
use crate::records::WorkerRecord;

/// Standing at `slot`: what is stored, faded by the epochs since.
pub fn reputation_now(worker: &WorkerRecord, slot: Slot, epoch_slots: u64) -> i64 {
    let epoch = slot.0 / epoch_slots.max(1);
    let faded = i64::try_from(epoch.saturating_sub(worker.reputation_epoch)).unwrap_or(i64::MAX);
    if worker.reputation >= 0 {
        worker.reputation.saturating_sub(faded).max(0)
    } else {
        worker.reputation.saturating_add(faded).min(0)
    }
}

/// Brings the record to the current epoch.
fn bring_up(env: &Env<'_>, worker: &mut WorkerRecord) {
    let epoch_slots = env.rules.params().epoch_slots;
    let epoch = env.ctx.slot.0 / epoch_slots.max(1);
    if epoch > worker.reputation_epoch {
        worker.reputation = reputation_now(worker, env.ctx.slot, epoch_slots);
        worker.reputation_epoch = epoch;
        worker.reputation_gained = 0;
        worker.gained_from.clear();
    }
}

/// Adds a loss.
pub(super) fn lose(env: &Env<'_>, worker: &mut WorkerRecord, points: i64) {
    bring_up(env, worker);
    worker.reputation = worker.reputation.saturating_add(points.min(0));
}

/// Adds a gain for a job of `requester` that burned `net_burn`, if it counts.
pub(super) fn gain(
    env: &Env<'_>,
    worker: &mut WorkerRecord,
    requester: &Account,
    net_burn: Amount,
    points: i64,
) {
    bring_up(env, worker);
    let p = env.rules.params();
    let left = p
        .reputation_gain_per_epoch_max
        .saturating_sub(worker.reputation_gained);
    if net_burn < p.reputation_burn_floor || left <= 0 || worker.gained_from.contains(requester) {
        return;
    }
    let points = points.clamp(0, left);
    worker.reputation = worker.reputation.saturating_add(points);
    worker.reputation_gained += points;
    worker.gained_from.push(*requester);
}

/// A gain that no requester's money stands behind: a bad challenge was beaten.
pub(super) fn gain_defended(env: &Env<'_>, worker: &mut WorkerRecord) {
    bring_up(env, worker);
    let p = env.rules.params();
    let left = p
        .reputation_gain_per_epoch_max
        .saturating_sub(worker.reputation_gained);
    let points = p.reputation_defended.clamp(0, left.max(0));
    worker.reputation = worker.reputation.saturating_add(points);
    worker.reputation_gained += points;
}
