//! Accounts, bonds, books, blocks and the genesis.

use aether_mesh::{
    Account, AccountRecord, Amount, Block, BlockId, Certificate, ChainId, Genesis, Registration,
    SignedTx, Slot, Supply, TxId, ValidatorState, WorkerRecord, pb, reputation_now, wire,
};
use aether_tee::EvidenceKind;
use serde::{Deserialize, Serialize};

/// What an account has and what it stands for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountView {
    /// Whose.
    pub account: Account,
    /// Free to spend.
    pub balance: Amount,
    /// Nonce of its last spending transaction.
    pub nonce: u64,
    /// Bonded as a worker.
    pub worker_stake: Option<Amount>,
    /// Bonded as a coordinator.
    pub coordinator_stake: Option<Amount>,
    /// Bonded as a validator.
    pub validator: Option<ValidatorView>,
}

impl AccountView {
    /// A balance, without any bond.
    pub fn new(account: Account, record: &AccountRecord) -> Self {
        Self {
            account,
            balance: record.balance,
            nonce: record.nonce,
            worker_stake: None,
            coordinator_stake: None,
            validator: None,
        }
    }
}

/// A validator's bond.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValidatorView {
    /// Bonded.
    pub stake: Amount,
    /// BLS public key, hex.
    pub vote_key: String,
    /// Voted twice for different blocks.
    pub jailed: bool,
}

impl From<&ValidatorState> for ValidatorView {
    fn from(v: &ValidatorState) -> Self {
        Self {
            stake: v.stake,
            vote_key: hex::encode(v.vote_key),
            jailed: v.jailed,
        }
    }
}

/// A worker's stake, standing and load.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerView {
    /// Who.
    pub account: Account,
    /// Bonded.
    pub stake: Amount,
    /// Standing now: what is stored, faded by the epochs since.
    pub reputation: i64,
    /// At or below the network's limit: gets no jobs.
    pub banned: bool,
    /// Grows when the key's owner may have changed.
    pub registration_epoch: u64,
    /// Accepted and not yet submitted.
    pub jobs_running: u32,
    /// Payments of its jobs that have not ended.
    pub open_payments: Amount,
    /// VCRs that settled.
    pub settled: u64,
    /// VCRs refuted.
    pub refuted: u64,
    /// Deadlines missed after accepting.
    pub missed: u64,
    /// What it runs in, once it has attested that.
    pub registration: Option<RegistrationView>,
}

/// What a worker attested.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistrationView {
    /// Kind of evidence.
    pub kind: String,
    /// The program, hex.
    pub measurement: String,
    /// The platform, hex, where the evidence names one.
    pub platform: Option<String>,
    /// The last slot in which it counts.
    pub until: Slot,
    /// Whether that slot has passed.
    pub lapsed: bool,
}

impl RegistrationView {
    fn new(r: &Registration, slot: Slot) -> Self {
        let kind = EvidenceKind::from_code(r.kind);
        Self {
            kind: kind.map_or("unknown", EvidenceKind::name).to_owned(),
            measurement: hex::encode(r.measurement),
            platform: r.platform.map(hex::encode),
            until: r.until,
            lapsed: r.until < slot,
        }
    }
}

impl WorkerView {
    /// A record as it stands at `slot` under the network's rules.
    pub fn new(account: Account, w: &WorkerRecord, slot: Slot, genesis: &Genesis) -> Self {
        let reputation = reputation_now(w, slot, genesis.params.epoch_slots);
        Self {
            account,
            stake: w.stake,
            reputation,
            banned: reputation <= genesis.params.reputation_banned,
            registration_epoch: w.registration_epoch,
            jobs_running: w.jobs_running,
            open_payments: w.open_payments,
            settled: w.settled,
            refuted: w.refuted,
            missed: w.missed,
            registration: w
                .registration
                .as_ref()
                .map(|r| RegistrationView::new(r, slot)),
        }
    }
}

/// A coordinator's bond.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoordinatorView {
    /// Who.
    pub account: Account,
    /// Bonded.
    pub stake: Amount,
}

/// The books.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SupplyView {
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
    /// Whether it all adds up.
    pub conserved: bool,
}

impl From<&Supply> for SupplyView {
    fn from(s: &Supply) -> Self {
        Self {
            genesis: s.genesis,
            balances: s.balances,
            escrows: s.escrows,
            stakes: s.stakes,
            bonds: s.bonds,
            vesting: s.vesting,
            burned: s.burned,
            minted: s.minted,
            conserved: s.is_conserved(),
        }
    }
}

/// A transaction in a block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TxView {
    /// Its id.
    pub id: TxId,
    /// Who signed.
    pub signer: Account,
    /// What it wanted, as logs name it.
    pub action: String,
    /// The account's nonce; 0 where none is carried.
    pub nonce: u64,
    /// On the wire.
    pub bytes: u64,
}

impl From<&SignedTx> for TxView {
    fn from(tx: &SignedTx) -> Self {
        // A committed transaction decodes; another one would be shown as such.
        let body = wire::decode::<pb::TxBody>(&tx.body, aether_mesh::TX_BODY_BYTES_MAX).ok();
        let action = body
            .as_ref()
            .and_then(|b| b.action.as_ref())
            .and_then(|a| aether_mesh::Action::from_pb(a).ok())
            .map_or("unreadable", |a| a.name());
        Self {
            id: tx.id(),
            signer: tx.signer,
            action: action.to_owned(),
            nonce: body.map_or(0, |b| b.nonce),
            bytes: tx.encoded_len() as u64,
        }
    }
}

/// A block's finality.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateView {
    /// The round it was decided in.
    pub round: u32,
    /// How many validators signed.
    pub signers: u32,
    /// Aggregated BLS signature, hex.
    pub signature: String,
}

/// A committed block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockView {
    /// Its height.
    pub height: Slot,
    /// Its id.
    pub id: BlockId,
    /// Its header's time, Unix milliseconds.
    pub time_ms: u64,
    /// The block before.
    pub parent_id: BlockId,
    /// Who made it.
    pub proposer: Account,
    /// State after it, hex.
    pub state_root: String,
    /// Root over its transactions, hex.
    pub txs_root: String,
    /// In order.
    pub txs: Vec<TxView>,
    /// Its finality.
    pub certificate: CertificateView,
}

impl BlockView {
    /// A block with its finality.
    pub fn new(block: &Block, certificate: &Certificate) -> Self {
        let h = &block.header;
        Self {
            height: h.height,
            id: block.id(),
            time_ms: h.time_ms,
            parent_id: h.parent_id,
            proposer: h.proposer,
            state_root: hex::encode(h.state_root),
            txs_root: hex::encode(h.txs_root),
            txs: block.txs.iter().map(TxView::from).collect(),
            certificate: CertificateView {
                round: certificate.round,
                signers: certificate.signers.iter().map(|b| b.count_ones()).sum(),
                signature: hex::encode(certificate.signature),
            },
        }
    }
}

/// The network's beginning, with its hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GenesisView {
    /// Hash of all of it.
    pub chain_id: ChainId,
    /// As written.
    pub genesis: Genesis,
}
