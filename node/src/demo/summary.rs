//! What `--summary FILE` holds.

use super::cheat::Lie;
use aether_mesh::{Amount, Slot};
use serde::Serialize;
use std::collections::BTreeMap;

/// One job, from posting to its end.
#[derive(Clone, Debug, Serialize)]
pub struct JobSummary {
    /// Its id.
    pub job: String,
    /// The VCR's transaction: the receipt's id.
    pub receipt: String,
    /// Settled or refuted.
    pub status: String,
    /// What the picture shows.
    pub label: u8,
    /// What the worker said.
    pub predicted: Option<usize>,
    /// With what probability.
    pub probability: Option<f32>,
    /// Who ran it.
    pub worker: String,
    /// Paid.
    pub payment: Amount,
    /// Slots: posted, assigned, accepted, VCR, end.
    pub slots: [Slot; 5],
    /// From posting to the result in the requester's hand, seconds.
    pub result_seconds: f64,
}

/// How the lie was caught.
#[derive(Clone, Debug, Serialize)]
pub struct FraudSummary {
    /// The job.
    pub job: String,
    /// What the worker changed.
    pub lie: Lie,
    /// n: steps of the run.
    pub steps: u32,
    /// i: the step that was re-executed.
    pub step: u32,
    /// Gas re-executed.
    pub gas_reexecuted: u64,
    /// Gas of the whole run.
    pub gas_total: u64,
    /// One over the other.
    pub gas_ratio: f64,
    /// Taken from the worker.
    pub slashed: Amount,
    /// The worker's reputation afterwards.
    pub worker_reputation: i64,
    /// Back to the requester.
    pub refunded: Amount,
    /// Vesting for challengers.
    pub challengers_reward: Amount,
}

/// The false challenge.
#[derive(Clone, Debug, Serialize)]
pub struct FalseChallengeSummary {
    /// The job.
    pub job: String,
    /// The slandered step.
    pub step: u32,
    /// What became of it.
    pub status: String,
    /// Lost.
    pub bond: Amount,
}

/// The receipt.
#[derive(Clone, Debug, Serialize)]
pub struct ReceiptSummary {
    /// Its job.
    pub job: String,
    /// Size.
    pub bytes: u64,
    /// Exit code of the fresh process that verified it.
    pub verify_exit: i32,
    /// How long that process took, seconds.
    pub verify_seconds: f64,
}

/// The validator that was killed.
#[derive(Clone, Debug, Serialize)]
pub struct CrashSummary {
    /// Which.
    pub validator: String,
    /// Its last height before.
    pub killed_at: Slot,
    /// The network's height when it came back.
    pub restarted_at: Slot,
    /// Heights it missed.
    pub missed: u64,
    /// From start to the network's height, seconds.
    pub caught_up_seconds: f64,
}

/// Evidence of the workers.
#[derive(Clone, Debug, Serialize)]
pub struct EvidenceSummary {
    /// The first registrations counted until this slot.
    pub registered_until: Slot,
    /// The renewed ones count at least until this one.
    pub renewed_until: Slot,
    /// Age of the evidence that was refused, slots.
    pub stale_age_slots: u64,
    /// What the chain said to it.
    pub stale_refused: String,
}

/// Everything.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Summary {
    /// Of this run.
    pub seed: u64,
    /// The network.
    pub chain_id: String,
    /// The model.
    pub model: String,
    /// From the first line to the last, seconds.
    pub total_seconds: f64,
    /// From the first process to a network that takes jobs, seconds.
    pub start_seconds: f64,
    /// All jobs.
    pub jobs: Vec<JobSummary>,
    /// The lie.
    pub fraud: Option<FraudSummary>,
    /// The slander.
    pub false_challenge: Option<FalseChallengeSummary>,
    /// Registrations, renewals, stale evidence.
    pub evidence: Option<EvidenceSummary>,
    /// The receipt.
    pub receipt: Option<ReceiptSummary>,
    /// The crash.
    pub crash: Option<CrashSummary>,
    /// Mean latencies as the nodes measured them, seconds.
    pub stage_seconds: BTreeMap<String, f64>,
    /// Height → node → state root: at every settlement and refutation, at the
    /// restart and at the end.
    pub roots: BTreeMap<Slot, BTreeMap<String, String>>,
    /// Whether all are equal.
    pub roots_equal: bool,
    /// The books at the end.
    pub supply: serde_json::Value,
    /// Whether they balance.
    pub supply_conserved: bool,
    /// Node → resident memory, bytes.
    pub rss_bytes: BTreeMap<String, u64>,
}
