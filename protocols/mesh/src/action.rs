//! What a transaction may ask for, and the shape each wish must have.
//!
//! Only what needs no state is decided here: lengths, counts, impossible
//! values. Every list is bounded. `encoding.rs` has the way from and to the wire.

mod encoding;
pub(crate) use encoding::{amount_from_pb, amount_pb};

use crate::blob::BlobRef;
use crate::certificate::Vote;
use crate::primitives::{Account, Amount, BlobId, JobId, ModelId, Slot, TxId};
use crate::tee::TeeRules;
use crate::wire::{self, WireError, pb};
use aether_tee::{EvidenceKind, MAX_ENDORSEMENTS_BYTES};
use pb::tx_body::Action as PbAction;

/// Most evidence kinds a job may list.
pub const TEE_KINDS_MAX: usize = 8;
/// Most bytes of one evidence document: a TDX quote with room.
pub const EVIDENCE_BYTES_MAX: usize = 32 * 1024;
/// Bytes of one trace element.
pub const ELEMENT_BYTES: usize = 31;

/// Why an action is malformed whatever the state is: the sender's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ActionError {
    /// A field is missing or of impossible length.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// A field has a value that no state would allow.
    #[error("{0}")]
    Value(&'static str),
}

/// Which bond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Runs inferences.
    Worker = 1,
    /// Assigns jobs.
    Coordinator = 2,
}

/// Bytes that are at hand, or content-addressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// In the transaction itself.
    Inline(Vec<u8>),
    /// Fetched apart.
    Blob(BlobRef),
}

impl Payload {
    /// The same identity for inline and fetched bytes.
    pub fn blob_ref(&self) -> BlobRef {
        match self {
            Payload::Inline(bytes) => BlobRef::of(bytes),
            Payload::Blob(blob) => *blob,
        }
    }
}

/// TEE evidence as it travels in a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoundEvidence {
    /// Vendor.
    pub kind: EvidenceKind,
    /// The document.
    pub document: Vec<u8>,
    /// The slot whose block the binding names.
    pub slot: Slot,
    /// The bundle in which the vendor speaks about the platform; `None` for
    /// kinds that need none.
    pub endorsements: Option<BlobRef>,
}

/// Terms of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostJob {
    /// A registered model.
    pub model: ModelId,
    /// Encoded input tensors.
    pub input: Payload,
    /// Accepted evidence kinds, strictly ascending; empty: any of the network's.
    pub tee_kinds: Vec<EvidenceKind>,
    /// Least reputation of the worker.
    pub reputation_min: i64,
    /// Locked at posting.
    pub payment: Amount,
    /// Gas bound of the run.
    pub gas_limit: u64,
    /// From posting to the VCR's block.
    pub deadline_slots: u64,
    /// Seed of the run.
    pub seed: u64,
}

/// The receipt a worker publishes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vcr {
    /// The job.
    pub job: JobId,
    /// Who was assigned.
    pub worker: Account,
    /// The key its TEE attests.
    pub session_key: [u8; 32],
    /// Evidence bound to worker, session key and a recent block.
    pub evidence: BoundEvidence,
    /// KZG commitment to the trace, 48 bytes a chunk.
    pub commitment: Vec<u8>,
    /// The trace itself, header first.
    pub trace: Vec<[u8; ELEMENT_BYTES]>,
    /// Preimage of the last element.
    pub final_state: Vec<u8>,
    /// Encoded output tensors.
    pub output: Payload,
}

/// What a reveal claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// First step whose result differs, from 1.
    pub step: u32,
    /// Element `step - 1` as committed.
    pub before: [u8; ELEMENT_BYTES],
    /// Element `step` as committed: the lie.
    pub after: [u8; ELEMENT_BYTES],
    /// KZG opening of both.
    pub opening: Vec<u8>,
    /// What is needed to run the step again.
    pub witness: BlobRef,
}

/// A wish to change the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Pay somebody.
    Transfer {
        /// Receiver.
        to: Account,
        /// How much.
        amount: Amount,
    },
    /// Make a model known.
    RegisterModel {
        /// Its ONNX bytes.
        onnx: BlobRef,
    },
    /// Post a job and lock its payment.
    PostJob(PostJob),
    /// Take back a job that nobody was assigned.
    CancelJob {
        /// The job.
        job: JobId,
    },
    /// Bond stake for a role.
    Bond {
        /// Worker or coordinator.
        role: Role,
        /// Added to what is bonded.
        amount: Amount,
    },
    /// A coordinator's choice.
    Assign {
        /// The job.
        job: JobId,
        /// Who shall run it.
        worker: Account,
        /// Registration epoch of the worker's key.
        worker_epoch: u64,
    },
    /// A worker's yes, with fresh evidence.
    Accept {
        /// The job.
        job: JobId,
        /// Made inside the TEE.
        session_key: [u8; 32],
        /// Bound to this session.
        evidence: BoundEvidence,
    },
    /// The receipt, signed by the session key.
    SubmitVcr {
        /// Exact bytes that were signed.
        encoded: Vec<u8>,
        /// The same, decoded.
        vcr: Box<Vcr>,
        /// By the session key.
        session_signature: [u8; 64],
    },
    /// A hidden, bonded challenge.
    ChallengeCommit {
        /// The job.
        job: JobId,
        /// The VCR's transaction.
        vcr: TxId,
        /// Hash over challenger, VCR, challenge and salt.
        commitment: [u8; 32],
        /// At stake.
        bond: Amount,
    },
    /// Opens a commit.
    ChallengeReveal {
        /// The job.
        job: JobId,
        /// Exact bytes that were committed to.
        encoded: Vec<u8>,
        /// The same, decoded.
        challenge: Challenge,
        /// Blinds the commit.
        salt: [u8; 32],
    },
    /// A worker's registration: what it runs in.
    Attest {
        /// Made inside the TEE.
        session_key: [u8; 32],
        /// Bound to this session.
        evidence: BoundEvidence,
    },
    /// A validator's vote for other rules of evidence.
    Govern {
        /// The sequence that they would get: the next one.
        sequence: u64,
        /// All of them.
        rules: TeeRules,
    },
    /// Two votes that contradict each other.
    DoubleVote {
        /// One.
        first: Vote,
        /// The other.
        second: Vote,
    },
}

impl Action {
    /// Whether it moves the signer's money and so carries a sequential nonce.
    /// Everything else is unique by its natural key.
    pub fn is_spending(&self) -> bool {
        matches!(
            self,
            Action::Transfer { .. }
                | Action::RegisterModel { .. }
                | Action::PostJob(_)
                | Action::Bond { .. }
                | Action::Govern { .. }
        )
    }

    /// Place in a block: matured windows and deadlines come before all
    /// transactions, then these in ascending order.
    pub fn phase(&self) -> u8 {
        match self {
            Action::PostJob(_) => 1,
            Action::Assign { .. } => 2,
            Action::Accept { .. } => 3,
            Action::SubmitVcr { .. } => 4,
            Action::ChallengeCommit { .. } => 5,
            Action::ChallengeReveal { .. } => 6,
            Action::CancelJob { .. } => 7,
            Action::Transfer { .. }
            | Action::RegisterModel { .. }
            | Action::Bond { .. }
            | Action::Attest { .. }
            | Action::Govern { .. }
            | Action::DoubleVote { .. } => 8,
        }
    }

    /// A word for logs and metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Action::Transfer { .. } => "transfer",
            Action::RegisterModel { .. } => "register_model",
            Action::PostJob(_) => "post_job",
            Action::CancelJob { .. } => "cancel_job",
            Action::Bond { .. } => "bond",
            Action::Assign { .. } => "assign",
            Action::Accept { .. } => "accept",
            Action::SubmitVcr { .. } => "submit_vcr",
            Action::ChallengeCommit { .. } => "challenge_commit",
            Action::ChallengeReveal { .. } => "challenge_reveal",
            Action::Attest { .. } => "attest",
            Action::Govern { .. } => "govern",
            Action::DoubleVote { .. } => "double_vote",
        }
    }

    /// The evidence in it, if it has any.
    pub fn evidence(&self) -> Option<&BoundEvidence> {
        match self {
            Action::Attest { evidence, .. } | Action::Accept { evidence, .. } => Some(evidence),
            Action::SubmitVcr { vcr, .. } => Some(&vcr.evidence),
            _ => None,
        }
    }

    /// Blobs that a node must hold before it may judge a block with it.
    pub fn blobs(&self) -> Vec<BlobRef> {
        let mut blobs = self.own_blobs();
        blobs.extend(self.evidence().and_then(|e| e.endorsements));
        blobs
    }

    /// Those of them that nobody else brings.
    pub(crate) fn own_blobs(&self) -> Vec<BlobRef> {
        match self {
            Action::RegisterModel { onnx } => vec![*onnx],
            Action::PostJob(PostJob {
                input: Payload::Blob(b),
                ..
            }) => vec![*b],
            Action::SubmitVcr { vcr, .. } => match vcr.output {
                Payload::Blob(b) => vec![b],
                Payload::Inline(_) => vec![],
            },
            Action::ChallengeReveal { challenge, .. } => vec![challenge.witness],
            _ => vec![],
        }
    }
}

impl BlobRef {
    /// A reference by its parts.
    pub fn new(id: BlobId, bytes_len: u64) -> Self {
        Self { id, bytes_len }
    }
}
