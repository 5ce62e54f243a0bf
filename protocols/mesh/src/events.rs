//! What a block did, for those who act on it: roles, logs, subscribers.

use crate::action::Role;
use crate::primitives::{Account, Amount, BlobId, JobId, ModelId, Slot, TxId};
use crate::records::Outcome;
use serde::Serialize;

/// One change, in the order it happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum StateEvent {
    /// A model can be used.
    ModelRegistered {
        /// Which.
        model: ModelId,
        /// Its bytes.
        onnx: BlobId,
    },
    /// Stake was bonded.
    Bonded {
        /// Whose.
        account: Account,
        /// For what.
        #[serde(skip)]
        role: Role,
        /// The whole stake now.
        stake: Amount,
    },
    /// A payment was locked.
    JobPosted {
        /// Which job.
        job: JobId,
    },
    /// A worker was chosen.
    JobAssigned {
        /// Which job.
        job: JobId,
        /// Who shall run it.
        worker: Account,
        /// Who chose.
        coordinator: Account,
    },
    /// The worker said yes.
    JobAccepted {
        /// Which job.
        job: JobId,
        /// Who.
        worker: Account,
    },
    /// A VCR entered a block; its window is open.
    VcrSubmitted {
        /// Which job.
        job: JobId,
        /// The receipt's identity.
        vcr: TxId,
        /// Who signed it.
        worker: Account,
        /// Last slot for commits, unless censorship prolongs it.
        window_end: Slot,
    },
    /// Somebody bonded a hidden challenge.
    ChallengeCommitted {
        /// Which job.
        job: JobId,
        /// Who.
        challenger: Account,
    },
    /// No further commits; reveals until this slot.
    WindowClosed {
        /// Which job.
        job: JobId,
        /// Last slot for reveals.
        reveal_until: Slot,
    },
    /// A challenge was opened.
    ChallengeRevealed {
        /// Which job.
        job: JobId,
        /// Who.
        challenger: Account,
        /// Which step.
        step: u32,
    },
    /// A step was re-executed.
    ChallengeJudged {
        /// Which job.
        job: JobId,
        /// Whose challenge.
        challenger: Account,
        /// Which step.
        step: u32,
        /// Whether the VCR is refuted by it.
        upheld: bool,
        /// Why, where the challenge itself was at fault.
        reason: Option<String>,
        /// Gas re-executed.
        gas: u64,
    },
    /// A job ended well.
    JobSettled {
        /// Which job.
        job: JobId,
        /// The money.
        outcome: Outcome,
    },
    /// A VCR was a lie.
    JobRefuted {
        /// Which job.
        job: JobId,
        /// Who lied.
        worker: Account,
        /// The money.
        outcome: Outcome,
    },
    /// No VCR in time.
    JobExpired {
        /// Which job.
        job: JobId,
        /// The money.
        outcome: Outcome,
    },
    /// Taken back.
    JobCancelled {
        /// Which job.
        job: JobId,
    },
    /// A worker said what it runs in.
    WorkerRegistered {
        /// Who.
        worker: Account,
        /// The last slot in which that counts.
        until: Slot,
    },
    /// The validators agreed on other rules of evidence.
    TeeRulesChanged {
        /// Their sequence.
        sequence: u64,
        /// First slot in which they count.
        effective: Slot,
    },
    /// A validator voted twice.
    ValidatorSlashed {
        /// Who.
        validator: Account,
        /// Burned of its stake.
        slashed: Amount,
    },
}

impl StateEvent {
    /// The job it is about, if any.
    pub fn job(&self) -> Option<JobId> {
        match self {
            StateEvent::ModelRegistered { .. }
            | StateEvent::Bonded { .. }
            | StateEvent::WorkerRegistered { .. }
            | StateEvent::TeeRulesChanged { .. }
            | StateEvent::ValidatorSlashed { .. } => None,
            StateEvent::JobPosted { job }
            | StateEvent::JobAssigned { job, .. }
            | StateEvent::JobAccepted { job, .. }
            | StateEvent::VcrSubmitted { job, .. }
            | StateEvent::ChallengeCommitted { job, .. }
            | StateEvent::WindowClosed { job, .. }
            | StateEvent::ChallengeRevealed { job, .. }
            | StateEvent::ChallengeJudged { job, .. }
            | StateEvent::JobSettled { job, .. }
            | StateEvent::JobRefuted { job, .. }
            | StateEvent::JobExpired { job, .. }
            | StateEvent::JobCancelled { job } => Some(*job),
        }
    }
}
