//! Jobs, receipts, challenges and models.

use super::BlobView;
use aether_mesh::{
    Account, Amount, Assignment, BlockId, ChallengeRecord, ChallengeStatus, JobId, JobRecord,
    JobStatus, ModelId, ModelRecord, Outcome, Slot, TxId, VcrRecord,
};
use aether_tee::EvidenceKind;
use serde::{Deserialize, Serialize};

/// A job's whole life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobView {
    /// Its id: the transaction that posted it.
    pub job: JobId,
    /// `posted`, `assigned`, `accepted`, `submitted`, `settled`, `refuted`,
    /// `expired` or `cancelled`.
    pub status: String,
    /// Who posted and pays.
    pub requester: Account,
    /// The model.
    pub model: ModelId,
    /// The input's bytes.
    pub input: BlobView,
    /// Root of the input tensors' digests, hex.
    pub inputs_root: String,
    /// Accepted evidence kinds; empty: any of the network's.
    pub tee_kinds: Vec<String>,
    /// Least reputation of the worker.
    pub reputation_min: i64,
    /// Locked at posting.
    pub payment: Amount,
    /// Gas bound.
    pub gas_limit: u64,
    /// Seed of the run.
    pub seed: u64,
    /// Block it entered.
    pub posted: Slot,
    /// Last slot for the VCR.
    pub deadline: Slot,
    /// Challenge window.
    pub window_slots: u64,
    /// Who runs it, chosen by whom.
    pub assignment: Option<AssignmentView>,
    /// The accept's slot.
    pub accepted: Option<Slot>,
    /// The receipt.
    pub vcr: Option<VcrView>,
    /// How it ended, in money.
    pub outcome: Option<OutcomeView>,
}

/// The name of a job's status.
pub(crate) fn status_name(status: JobStatus) -> &'static str {
    match status {
        JobStatus::Posted => "posted",
        JobStatus::Assigned => "assigned",
        JobStatus::Accepted => "accepted",
        JobStatus::Submitted => "submitted",
        JobStatus::Settled => "settled",
        JobStatus::Refuted => "refuted",
        JobStatus::Expired => "expired",
        JobStatus::Cancelled => "cancelled",
    }
}

/// Names of all statuses, in the order of a job's life.
pub(crate) const JOB_STATUSES: [&str; 8] = [
    "posted",
    "assigned",
    "accepted",
    "submitted",
    "settled",
    "refuted",
    "expired",
    "cancelled",
];

impl JobView {
    /// A record under its id.
    pub fn new(job: JobId, r: &JobRecord) -> Self {
        Self {
            job,
            status: status_name(r.status).to_owned(),
            requester: r.requester,
            model: r.model,
            input: r.input.into(),
            inputs_root: hex::encode(r.inputs_root),
            tee_kinds: r.tee_kinds.iter().map(|k| kind_name(*k)).collect(),
            reputation_min: r.reputation_min,
            payment: r.payment,
            gas_limit: r.gas_limit,
            seed: r.seed,
            posted: r.posted,
            deadline: r.deadline,
            window_slots: r.window_slots,
            assignment: r.assignment.as_ref().map(AssignmentView::from),
            accepted: r.accepted,
            vcr: r.vcr.as_ref().map(VcrView::from),
            outcome: r.outcome.as_ref().map(OutcomeView::from),
        }
    }

    /// Whether nothing can follow.
    pub fn is_over(&self) -> bool {
        matches!(
            self.status.as_str(),
            "settled" | "refuted" | "expired" | "cancelled"
        )
    }
}

/// Evidence kinds by name; a code without one is shown as a number.
fn kind_name(code: u8) -> String {
    EvidenceKind::from_code(code).map_or_else(|| code.to_string(), |k| k.name().to_owned())
}

/// Who was chosen, by whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssignmentView {
    /// Who chose.
    pub coordinator: Account,
    /// Who shall run it.
    pub worker: Account,
    /// The worker key's registration epoch.
    pub registration_epoch: u64,
    /// When.
    pub slot: Slot,
    /// The worker's stake then.
    pub worker_stake: Amount,
}

impl From<&Assignment> for AssignmentView {
    fn from(a: &Assignment) -> Self {
        Self {
            coordinator: a.coordinator,
            worker: a.worker,
            registration_epoch: a.registration_epoch,
            slot: a.slot,
            worker_stake: a.worker_stake,
        }
    }
}

/// Appraised evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvidenceView {
    /// Vendor.
    pub kind: String,
    /// Digest of the signed content, hex.
    pub digest: String,
    /// Whether the measurement is on the network's list.
    pub measured: bool,
    /// The slot it is bound to.
    pub slot: Slot,
    /// That slot's block.
    pub block: BlockId,
}

/// A receipt in the state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VcrView {
    /// Its transaction: its identity.
    pub tx: TxId,
    /// Block it entered.
    pub slot: Slot,
    /// That block's time, Unix milliseconds.
    pub time_ms: u64,
    /// Commitment to the trace, hex.
    pub commitment: String,
    /// Elements of the trace, header included.
    pub elements: u32,
    /// The output's bytes.
    pub output: BlobView,
    /// Gas used.
    pub gas_used: u64,
    /// How the run ended, see [`run_status_name`].
    pub run_status: String,
    /// Appraised evidence.
    pub evidence: EvidenceView,
    /// Last slot for challenges, unless censorship prolongs it.
    pub window_end: Slot,
    /// Slot at which the window closed.
    pub closed: Option<Slot>,
    /// Challenges so far.
    pub commits: u32,
    /// Of these, opened.
    pub revealed: u32,
    /// Of these, decided.
    pub judged: u32,
}

/// The name of a run's last status.
pub fn run_status_name(code: u8) -> &'static str {
    match code {
        0 => "running",
        1 => "done",
        2 => "out-of-gas",
        3 => "step-too-large",
        4 => "trapped",
        _ => "unknown",
    }
}

impl From<&VcrRecord> for VcrView {
    fn from(v: &VcrRecord) -> Self {
        Self {
            tx: v.tx,
            slot: v.slot,
            time_ms: v.time_ms,
            commitment: hex::encode(&v.commitment),
            elements: v.elements,
            output: v.output.into(),
            gas_used: v.gas_used,
            run_status: run_status_name(v.run_status).to_owned(),
            evidence: EvidenceView {
                kind: kind_name(v.evidence.kind),
                digest: hex::encode(v.evidence.digest),
                measured: v.evidence.measured,
                slot: v.evidence.slot,
                block: v.evidence.block,
            },
            window_end: v.window_end,
            closed: v.closed,
            commits: v.commits,
            revealed: v.revealed,
            judged: v.judged,
        }
    }
}

/// How a job ended, in money.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutcomeView {
    /// When.
    pub slot: Slot,
    /// Paid back to the requester.
    pub refunded: Amount,
    /// Burned of the payment.
    pub burned: Amount,
    /// Minted to the worker.
    pub worker_reward: Amount,
    /// Minted to the coordinator.
    pub coordinator_reward: Amount,
    /// Taken from the worker's stake.
    pub slashed: Amount,
    /// Of that, for challengers.
    pub challengers_reward: Amount,
}

impl From<&Outcome> for OutcomeView {
    fn from(o: &Outcome) -> Self {
        Self {
            slot: o.slot,
            refunded: o.refunded,
            burned: o.burned,
            worker_reward: o.worker_reward,
            coordinator_reward: o.coordinator_reward,
            slashed: o.slashed,
            challengers_reward: o.challengers_reward,
        }
    }
}

/// A challenge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChallengeView {
    /// The job it is about.
    pub job: JobId,
    /// Who.
    pub challenger: Account,
    /// `committed`, `revealed`, `upheld`, `failed` or `forfeited`.
    pub status: String,
    /// At stake.
    pub bond: Amount,
    /// Block of the commit.
    pub slot: Slot,
    /// The step it names, once opened.
    pub step: Option<u32>,
    /// Gas re-executed for the verdict.
    pub gas: u64,
    /// Hash of what is hidden, hex.
    pub commitment: String,
}

impl ChallengeView {
    /// A record under its key.
    pub fn new(job: JobId, challenger: Account, c: &ChallengeRecord) -> Self {
        let status = match c.status {
            ChallengeStatus::Committed => "committed",
            ChallengeStatus::Revealed => "revealed",
            ChallengeStatus::Upheld => "upheld",
            ChallengeStatus::Failed => "failed",
            ChallengeStatus::Forfeited => "forfeited",
        };
        Self {
            job,
            challenger,
            status: status.to_owned(),
            bond: c.bond,
            slot: c.slot,
            // Steps count from 1.
            step: (c.step > 0).then_some(c.step),
            gas: c.gas,
            commitment: hex::encode(c.commitment),
        }
    }
}

/// A registered model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelView {
    /// Its id.
    pub model: ModelId,
    /// Its ONNX bytes.
    pub onnx: BlobView,
    /// Who registered it.
    pub owner: Account,
    /// When.
    pub slot: Slot,
}

impl ModelView {
    /// A record under its id.
    pub fn new(model: ModelId, m: &ModelRecord) -> Self {
        Self {
            model,
            onnx: m.onnx.into(),
            owner: m.owner,
            slot: m.slot,
        }
    }
}
