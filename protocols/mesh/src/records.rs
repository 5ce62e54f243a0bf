//! What the state keeps: borsh records, the same bytes on every node.
//!
//! A job's whole life is one record; [`JobStatus`] moves only forward:
//! `Posted → Assigned → Accepted → Submitted → Settled | Refuted`, or
//! `→ Expired` before a VCR, or `→ Cancelled` before an assignment.

use crate::blob::BlobRef;
use crate::primitives::{Account, Amount, BlockId, ModelId, Slot, TxId};
use borsh::{BorshDeserialize, BorshSerialize};
use serde::Serialize;

/// Money and nonce of an account.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize)]
pub struct AccountRecord {
    /// Free to spend.
    pub balance: Amount,
    /// Nonce of the last spending transaction.
    pub nonce: u64,
}

/// A worker's stake and standing.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize)]
pub struct WorkerRecord {
    /// Bonded.
    pub stake: Amount,
    /// Grows when the key's owner may have changed; assignments name it.
    pub registration_epoch: u64,
    /// Standing as of `reputation_epoch`.
    pub reputation: i64,
    /// Decay is applied up to this epoch.
    pub reputation_epoch: u64,
    /// Gained in `reputation_epoch`, capped.
    pub reputation_gained: i64,
    /// Whose jobs already counted in `reputation_epoch`.
    pub gained_from: Vec<Account>,
    /// Accepted and not yet submitted.
    pub jobs_running: u32,
    /// Payments of assigned jobs that have not ended.
    pub open_payments: Amount,
    /// Lifetime counts.
    pub settled: u64,
    /// VCRs refuted.
    pub refuted: u64,
    /// Deadlines missed after accepting.
    pub missed: u64,
    /// What it runs in, once it has said so.
    pub registration: Option<Registration>,
}

/// What a worker's last attestation proved.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize)]
pub struct Registration {
    /// Vendor code.
    pub kind: u8,
    /// The program it runs.
    #[serde(serialize_with = "as_hex")]
    pub measurement: [u8; 48],
    /// The platform, where the evidence names one.
    pub platform: Option<[u8; 32]>,
    /// Digest of the signed content.
    pub digest: [u8; 32],
    /// The slot it was bound to.
    pub slot: Slot,
    /// The last slot in which it counts.
    pub until: Slot,
}

fn as_hex<S: serde::Serializer>(bytes: &[u8; 48], s: S) -> Result<S::Ok, S::Error> {
    s.serialize_str(&hex::encode(bytes))
}

/// A coordinator's bond.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize)]
pub struct CoordinatorRecord {
    /// Bonded.
    pub stake: Amount,
}

/// A validator's stake.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct ValidatorState {
    /// Bonded; voting power follows it at the next change of the set.
    pub stake: Amount,
    /// BLS public key.
    pub vote_key: [u8; 48],
    /// Voted twice for different blocks: leaves the set at its next change.
    pub jailed: bool,
}

/// A registered model.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize)]
pub struct ModelRecord {
    /// Where its ONNX bytes are.
    pub onnx: BlobRef,
    /// Who registered it.
    pub owner: Account,
    /// When.
    pub slot: Slot,
}

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum JobStatus {
    /// Payment locked, nobody assigned.
    Posted,
    /// A worker was chosen and has not answered.
    Assigned,
    /// The worker said yes.
    Accepted,
    /// The VCR is in a block; its window is open or being resolved.
    Submitted,
    /// Paid.
    Settled,
    /// Lied; the requester was refunded.
    Refuted,
    /// No VCR before the deadline; refunded.
    Expired,
    /// Taken back before an assignment; refunded.
    Cancelled,
}

impl JobStatus {
    /// Whether nothing can follow.
    pub fn is_terminal(self) -> bool {
        matches!(
            self,
            Self::Settled | Self::Refuted | Self::Expired | Self::Cancelled
        )
    }
}

/// Who was chosen, by whom.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize)]
pub struct Assignment {
    /// Who chose.
    pub coordinator: Account,
    /// Who shall run.
    pub worker: Account,
    /// The worker key's registration epoch.
    pub registration_epoch: u64,
    /// When.
    pub slot: Slot,
    /// The worker's stake then: what a slash is measured by.
    pub worker_stake: Amount,
}

/// What an appraisal found, as the state remembers it.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize)]
pub struct EvidenceSummary {
    /// Vendor code.
    pub kind: u8,
    /// Digest of the signed content: the evidence's identity.
    pub digest: [u8; 32],
    /// Whether the measurement is on the network's list.
    pub measured: bool,
    /// The slot it was bound to.
    pub slot: Slot,
    /// That slot's block, so that a receipt's verifier can bind it again.
    pub block: BlockId,
    /// Sequence of the rules it was judged by.
    pub rules: u64,
}

/// A VCR as the state remembers it.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize)]
pub struct VcrRecord {
    /// Its transaction: the receipt's identity.
    pub tx: TxId,
    /// Block it entered.
    pub slot: Slot,
    /// That block's time: evidence is judged by it, then and later.
    pub time_ms: u64,
    /// Commitment to the trace.
    pub commitment: Vec<u8>,
    /// Elements of the trace, header included.
    pub elements: u32,
    /// The output's bytes.
    pub output: BlobRef,
    /// Gas used.
    pub gas_used: u64,
    /// Status code of the last state: 1 done, 2 out of gas, 3 step too large,
    /// 4 trapped.
    pub run_status: u8,
    /// Appraised evidence.
    pub evidence: EvidenceSummary,
    /// The last slot of the challenge window.
    pub window_end: Slot,
    /// Slot at which the window closed; reveals follow.
    pub closed: Option<Slot>,
    /// Challenge commits so far.
    pub commits: u32,
    /// Of these, opened.
    pub revealed: u32,
    /// Of these, decided.
    pub judged: u32,
}

/// How a job ended, in money.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize)]
pub struct Outcome {
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
    /// Of that, vesting for challengers.
    pub challengers_reward: Amount,
}

/// A job's whole life.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize)]
pub struct JobRecord {
    /// Where it stands.
    pub status: JobStatus,
    /// Who posted and pays.
    pub requester: Account,
    /// The model.
    pub model: ModelId,
    /// The input's bytes.
    pub input: BlobRef,
    /// Root of the input tensors' digests.
    pub inputs_root: [u8; 32],
    /// Accepted evidence kinds; empty: any of the network's.
    pub tee_kinds: Vec<u8>,
    /// Least reputation.
    pub reputation_min: i64,
    /// Locked.
    pub payment: Amount,
    /// Gas bound.
    pub gas_limit: u64,
    /// Seed.
    pub seed: u64,
    /// Block it entered.
    pub posted: Slot,
    /// Last slot for the VCR.
    pub deadline: Slot,
    /// Challenge window, fixed at posting.
    pub window_slots: u64,
    /// The current assignment.
    pub assignment: Option<Assignment>,
    /// The accept's slot.
    pub accepted: Option<Slot>,
    /// The platform that the accept's evidence names, while it runs there.
    pub platform: Option<[u8; 32]>,
    /// The receipt.
    pub vcr: Option<VcrRecord>,
    /// The end.
    pub outcome: Option<Outcome>,
}

/// Where a challenge stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ChallengeStatus {
    /// Hidden.
    Committed,
    /// Opened, waiting for its verdict.
    Revealed,
    /// The step differs: the VCR is refuted.
    Upheld,
    /// The step is right: the bond is lost.
    Failed,
    /// Malformed, or never opened: the bond is lost.
    Forfeited,
}

/// A challenge.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize)]
pub struct ChallengeRecord {
    /// Where it stands.
    pub status: ChallengeStatus,
    /// Hash of what is hidden.
    pub commitment: [u8; 32],
    /// At stake.
    pub bond: Amount,
    /// Block of the commit.
    pub slot: Slot,
    /// The step it names, once opened.
    pub step: u32,
    /// The encoded challenge, once opened, until its verdict.
    pub revealed: Vec<u8>,
    /// Gas re-executed for the verdict.
    pub gas: u64,
}

/// The books: where every base unit is.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize)]
pub struct Supply {
    /// At the genesis.
    pub genesis: Amount,
    /// Free balances.
    pub balances: Amount,
    /// Locked payments.
    pub escrows: Amount,
    /// Stakes of workers, coordinators and validators.
    pub stakes: Amount,
    /// Challenge bonds.
    pub bonds: Amount,
    /// Rewards not yet free.
    pub vesting: Amount,
    /// Gone.
    pub burned: Amount,
    /// Made.
    pub minted: Amount,
}

impl Supply {
    /// `balances + escrows + stakes + bonds + vesting + burned − minted =
    /// genesis supply`.
    pub fn is_conserved(&self) -> bool {
        let held = [
            self.balances,
            self.escrows,
            self.stakes,
            self.bonds,
            self.vesting,
            self.burned,
        ]
        .iter()
        .try_fold(0u128, |sum, a| sum.checked_add(a.0));
        held.and_then(|h| h.checked_sub(self.minted.0)) == Some(self.genesis.0)
    }
}
