//! The two enums: everything a role can learn, everything it can want.

use aether_mesh::{
    Account, Action as TxAction, Amount, BlobRef, Capability, Challenge, JobId, JobRecord, ModelId,
    Rules, Slot, StateEvent, StateReader, TxId, Vote, keys, load,
};

/// What is true at the time of an event.
pub struct Context<'a> {
    /// The network's rules.
    pub rules: &'a Rules,
    /// State after the last committed block.
    pub state: &'a dyn StateReader,
    /// The last committed block's slot.
    pub slot: Slot,
    /// Fresh randomness for this event.
    pub entropy: [u8; 32],
}

/// Most unfinished jobs that a role looks for in the state.
const UNFINISHED_MAX: usize = 4_096;

impl Context<'_> {
    /// A job's record, if the state has it.
    pub(crate) fn job(&self, id: &JobId) -> Option<JobRecord> {
        load(self.state, &keys::job(id), "job").ok().flatten()
    }

    /// Jobs that have not ended, in the order in which they are due: what a
    /// role that has just begun, or missed blocks, has not heard of. Whatever
    /// is unfinished has a due entry, so ended jobs are not walked through.
    pub(crate) fn unfinished(&self) -> Vec<(JobId, JobRecord)> {
        let entries = self
            .state
            .scan(keys::DUE, b"", UNFINISHED_MAX)
            .unwrap_or_default();
        let mut seen = std::collections::BTreeSet::new();
        entries
            .iter()
            .filter_map(|(key, _)| keys::split_slot(key).and_then(|(_, id)| JobId::from_slice(id)))
            .filter(|id| seen.insert(*id))
            .filter_map(|id| self.job(&id).map(|job| (id, job)))
            .filter(|(_, job)| !job.status.is_terminal())
            .collect()
    }
}

/// A role looks into the state for work it has not heard of when it begins,
/// and again after so many slots: events may have been missed.
pub(crate) const LOOK_AROUND_SLOTS: u64 = 30;

/// A finished run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunResult {
    /// Elements, header first.
    pub trace: Vec<[u8; 31]>,
    /// Preimage of the last element.
    pub final_state: Vec<u8>,
    /// Encoded output tensors.
    pub output: Vec<u8>,
    /// Gas used.
    pub gas: u64,
}

/// What re-executing a VCR showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recheck {
    /// Every element is the same.
    Agrees,
    /// The first step that differs, ready to be proven.
    Differs {
        /// What a reveal will say; its witness is already in our store.
        challenge: Challenge,
        /// Gas of that step, for the bond.
        step_gas: u64,
    },
}

/// Something happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A block was committed; its changes in order. A role that has just begun
    /// is given one without changes, and finds its work in the state.
    Block {
        /// What it changed.
        events: Vec<StateEvent>,
    },
    /// The DHT was asked for holders of a model.
    WorkersFound {
        /// For which job.
        job: JobId,
        /// Verified records of who is there.
        candidates: Vec<Capability>,
    },
    /// All asked-for blobs are in our store.
    BlobsReady {
        /// For which job.
        job: JobId,
    },
    /// A run has ended.
    RunFinished {
        /// Which job.
        job: JobId,
        /// What came out, or why nothing did.
        result: Result<RunResult, String>,
    },
    /// A VCR was re-executed.
    Rechecked {
        /// Which job.
        job: JobId,
        /// What was seen, or why nothing was.
        result: Result<Recheck, String>,
    },
    /// Consensus caught somebody voting twice.
    DoubleVoteSeen {
        /// One vote.
        first: Vote,
        /// The other.
        second: Vote,
    },
    /// A transaction of ours was refused for good.
    SubmissionFailed {
        /// Which one.
        what: Submission,
    },
}

/// Names a role's own transaction, so that its fate can be told back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Submission {
    /// Stake for a role.
    Bond,
    /// An assignment.
    Assign(JobId),
    /// An accept.
    Accept(JobId),
    /// A receipt.
    Vcr(JobId),
    /// A worker's registration.
    Attest,
    /// A challenge's commit.
    Commit(JobId),
    /// A challenge's reveal.
    Reveal(JobId),
    /// A double vote.
    DoubleVote,
}

/// Something to be done by the node.
#[derive(Clone, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "a handful an event, carried out at once and never kept"
)]
pub enum Action {
    /// Sign with the role's account and publish; the node adds nonce and
    /// expiry and publishes again until it is in a block or refused for good.
    Submit {
        /// To tell its fate back.
        what: Submission,
        /// The wish.
        action: TxAction,
        /// Last slot that may include it.
        expiry: Slot,
    },
    /// Look in the DHT for workers holding a model.
    FindWorkers {
        /// For which job.
        job: JobId,
        /// Which model.
        model: ModelId,
    },
    /// Get blobs into our store.
    FetchBlobs {
        /// For which job.
        job: JobId,
        /// Which.
        blobs: Vec<BlobRef>,
    },
    /// Attest a session key to a recent block and register it.
    Attest {
        /// Last slot that may include it.
        expiry: Slot,
    },
    /// Attest a session key to a recent block and submit the accept.
    Accept {
        /// Which job.
        job: JobId,
        /// Last slot that may include it.
        expiry: Slot,
    },
    /// Run a job's model on its input.
    Run {
        /// Which job.
        job: JobId,
    },
    /// Commit to the trace, attest, sign with the session key and submit.
    PublishVcr {
        /// Which job.
        job: JobId,
        /// The run.
        result: RunResult,
        /// Last slot that may include it.
        expiry: Slot,
    },
    /// Re-execute a VCR and compare element by element.
    Recheck {
        /// Which job.
        job: JobId,
        /// The VCR's transaction.
        vcr: TxId,
    },
    /// Say in the DHT what we hold and how many more jobs we take.
    Advertise {
        /// Held models, ascending.
        models: Vec<ModelId>,
        /// Jobs we could take now.
        slots_free: u32,
        /// Least payment.
        price_min: Amount,
    },
    /// A sentence for the log.
    Say(String),
}

/// A role: its account and its decisions.
pub trait Role: Send {
    /// Whose decisions these are.
    fn account(&self) -> Account;

    /// One event, all decisions.
    fn handle(&mut self, cx: &Context<'_>, event: Event) -> Vec<Action>;
}
