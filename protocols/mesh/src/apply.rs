//! The state transition: the only writer.
//!
//! ```text
//! Execution::begin ─ parent id, proposer, vesting, verdicts, due jobs
//!        │
//!        ├─ try_tx ─ fee, nonce, expiry, then the action; all or nothing
//!        │     (phases never go back: jobs, assignments, accepts, receipts,
//!        │      challenge commits, reveals, cancels, the rest)
//!        ▼
//! Execution::finish ─ the books balance → writes, events
//! ```
//!
//! It reads no clock: a block's time is the header's. Proposers use
//! [`build`], which leaves out what does not apply; everybody else uses
//! [`apply`], for which one bad transaction makes the block invalid; the
//! mempool uses [`check`], which tries one transaction and keeps nothing.

mod challenges;
mod due;
mod evidence;
mod governance;
mod jobs;
mod money;
mod registration;
mod reputation;
mod vcr;

pub use challenges::{bond_required, challenge_commitment};
pub use reputation::reputation_now;
pub(crate) use vcr::commitments_hold;
pub use vcr::{vcr_sign_bytes, verify_session_signature};

use crate::action::Action;
use crate::events::StateEvent;
use crate::keys;
use crate::primitives::{Account, Amount, BlockId, Slot, TxId};
use crate::records::{AccountRecord, Supply, ValidatorState};
use crate::refusal::{Blame, Refusal};
use crate::rules::{Library, Rules};
use crate::state::{MapState, StateReader, Writes};
use crate::tx::VerifiedTx;
use crate::view::{Bucket, View};

/// What the header says that the transition needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockContext {
    /// This block's height.
    pub slot: Slot,
    /// Its time, Unix milliseconds.
    pub time_ms: u64,
    /// Its parent.
    pub parent_id: BlockId,
    /// Who made it.
    pub proposer: Account,
}

/// What a block changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// To be committed together.
    pub writes: Writes,
    /// In order.
    pub events: Vec<StateEvent>,
}

/// Why a block is not applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// A transaction does not apply: the proposer's fault.
    #[error("transaction {tx} ({name}): {refusal}")]
    Tx {
        /// Which.
        tx: TxId,
        /// What it wanted.
        name: &'static str,
        /// Why not.
        refusal: Refusal,
    },
    /// Transactions are not in ascending phases: the proposer's fault.
    #[error("transaction {0} stands in the wrong phase")]
    Phase(TxId),
    /// Ours, or bytes we have to fetch first.
    #[error("before the transactions: {0}")]
    Begin(Refusal),
    /// The books do not balance: a bug; the node must stop.
    #[error("supply is not conserved: {0:?}")]
    NotConserved(Box<Supply>),
}

impl ApplyError {
    /// Bytes to fetch before trying again, if that is all that is missing.
    pub fn missing_blob(&self) -> Option<crate::blob::BlobRef> {
        match self {
            ApplyError::Tx {
                refusal: Refusal::BlobMissing(b),
                ..
            }
            | ApplyError::Begin(Refusal::BlobMissing(b)) => Some(*b),
            _ => None,
        }
    }

    /// Whether the fault is ours rather than the proposer's.
    pub fn is_ours(&self) -> bool {
        match self {
            ApplyError::Tx { refusal, .. } => refusal.blame() == Blame::Ours,
            ApplyError::Phase(_) => false,
            ApplyError::Begin(_) | ApplyError::NotConserved(_) => true,
        }
    }
}

/// Everything a handler may use.
pub(crate) struct Env<'a> {
    pub(crate) rules: &'a Rules,
    pub(crate) library: &'a dyn Library,
    pub(crate) ctx: BlockContext,
}

/// A block being executed.
pub struct Execution<'a> {
    env: Env<'a>,
    view: View<'a>,
    events: Vec<StateEvent>,
    phase: u8,
    /// Whether to verify each VCR's commitment as it comes; a whole block's
    /// are checked in one combined multiplication instead.
    check_commitments: bool,
}

impl<'a> Execution<'a> {
    /// Starts a block: what time brings comes before what people want.
    pub fn begin(
        base: &'a dyn StateReader,
        rules: &'a Rules,
        library: &'a dyn Library,
        ctx: BlockContext,
    ) -> Result<Self, ApplyError> {
        let env = Env {
            rules,
            library,
            ctx,
        };
        let mut view = View::new(base);
        let mut events = Vec::new();
        due::begin_block(&env, &mut view, &mut events).map_err(ApplyError::Begin)?;
        Ok(Self {
            env,
            view,
            events,
            phase: 0,
            check_commitments: true,
        })
    }

    /// Applies one transaction, or leaves no trace of it.
    pub fn try_tx(&mut self, tx: &VerifiedTx) -> Result<(), ApplyError> {
        let phase = tx.action().phase();
        if phase < self.phase {
            return Err(ApplyError::Phase(tx.id()));
        }
        let mut events = Vec::new();
        let writes = {
            let mut view = View::new(self.view.reader());
            run_tx(
                &self.env,
                &mut view,
                &mut events,
                tx,
                self.check_commitments,
            )
            .map_err(|refusal| ApplyError::Tx {
                tx: tx.id(),
                name: tx.action().name(),
                refusal,
            })?;
            view.into_writes()
        };
        self.view.absorb(writes);
        self.events.extend(events);
        self.phase = phase;
        Ok(())
    }

    /// Ends the block: the books must balance.
    pub fn finish(self) -> Result<Applied, ApplyError> {
        let supply = self.view.supply().map_err(ApplyError::Begin)?;
        if !supply.is_conserved() {
            return Err(ApplyError::NotConserved(Box::new(supply)));
        }
        Ok(Applied {
            writes: self.view.into_writes(),
            events: self.events,
        })
    }
}

/// Applies a whole block.
pub fn apply(
    base: &dyn StateReader,
    rules: &Rules,
    library: &dyn Library,
    ctx: BlockContext,
    txs: &[VerifiedTx],
) -> Result<Applied, ApplyError> {
    let mut execution = Execution::begin(base, rules, library, ctx)?;
    vcr::check_block_commitments(txs)?;
    execution.check_commitments = false;
    for tx in txs {
        execution.try_tx(tx)?;
    }
    execution.finish()
}

/// A proposer's choice: what applies goes in, in order of phase.
pub struct Built {
    /// In the block's order.
    pub included: Vec<VerifiedTx>,
    /// What they change.
    pub applied: Applied,
    /// What did not apply, and why.
    pub left_out: Vec<(TxId, Refusal)>,
}

/// Fills a block from candidates, within the genesis' block size.
pub fn build(
    base: &dyn StateReader,
    rules: &Rules,
    library: &dyn Library,
    ctx: BlockContext,
    mut candidates: Vec<VerifiedTx>,
) -> Result<Built, ApplyError> {
    // By phase, then by nonce, so that an account's spendings line up; ties
    // stay in the order of arrival.
    candidates.sort_by_key(|tx| (tx.action().phase(), tx.body().nonce));
    let mut execution = Execution::begin(base, rules, library, ctx)?;
    let mut included = Vec::new();
    let mut left_out = Vec::new();
    // Room for header and certificate.
    let mut room = rules
        .params()
        .limits
        .block_bytes_max
        .saturating_sub(64 << 10) as usize;
    for tx in candidates {
        let size = tx.signed().encoded_len() + 8;
        if size > room {
            continue;
        }
        match execution.try_tx(&tx) {
            Ok(()) => {
                room -= size;
                included.push(tx);
            }
            Err(ApplyError::Tx { tx, refusal, .. }) => left_out.push((tx, refusal)),
            Err(ApplyError::Phase(id)) => left_out.push((id, Refusal::NotNow("out of phase"))),
            Err(other) => return Err(other),
        }
    }
    Ok(Built {
        included,
        applied: execution.finish()?,
        left_out,
    })
}

/// Admission: would this transaction apply in the next block? Keeps nothing.
pub fn check(
    base: &dyn StateReader,
    rules: &Rules,
    library: &dyn Library,
    ctx: BlockContext,
    tx: &VerifiedTx,
) -> Result<(), Refusal> {
    let env = Env {
        rules,
        library,
        ctx,
    };
    let mut view = View::new(base);
    run_tx(&env, &mut view, &mut Vec::new(), tx, true)
}

fn run_tx(
    env: &Env<'_>,
    view: &mut View<'_>,
    events: &mut Vec<StateEvent>,
    tx: &VerifiedTx,
    check_commitments: bool,
) -> Result<(), Refusal> {
    let p = env.rules.params();
    let size = tx.signed().encoded_len();
    if size as u64 > p.limits.message_bytes_max {
        return Err(Refusal::Never(
            "the transaction is larger than a message may be",
        ));
    }
    let expiry = tx.body().expiry_slot;
    if env.ctx.slot > expiry {
        return Err(Refusal::Expired(expiry));
    }
    if expiry > env.ctx.slot.after(p.deadline_slots_max) {
        return Err(Refusal::ExpiryTooFar(expiry));
    }
    let signer = tx.signer();
    let mut account: AccountRecord = view.account(&signer)?;
    if tx.action().is_spending() {
        let (got, next) = (tx.body().nonce, account.nonce + 1);
        match got.cmp(&next) {
            std::cmp::Ordering::Less => return Err(Refusal::NonceUsed { got, next }),
            std::cmp::Ordering::Greater => return Err(Refusal::NonceGap { got, next }),
            std::cmp::Ordering::Equal => {}
        }
        account.nonce = next;
        view.store(keys::account(&signer), &account)?;
    }
    // Bytes that validators must fetch and keep are paid for like bytes of
    // the transaction itself; a bundle of endorsements only by whoever brings
    // it first.
    let mut blobs: u64 = tx.action().own_blobs().iter().map(|b| b.bytes_len).sum();
    if let Some(bundle) = tx.action().evidence().and_then(|e| e.endorsements)
        && !view.has(&keys::bundle(&bundle.id))?
    {
        blobs = blobs.saturating_add(bundle.bytes_len);
    }
    if tx
        .action()
        .blobs()
        .iter()
        .any(|b| b.bytes_len > p.limits.blob_bytes_max)
    {
        return Err(Refusal::Never("a blob is larger than the network allows"));
    }
    view.debit(
        &signer,
        fee(p.fee_per_kib, size as u64 + blobs)?,
        Bucket::Burned,
    )?;

    match tx.action() {
        Action::Transfer { to, amount } => money::transfer(view, &signer, to, *amount),
        Action::Bond { role, amount } => money::bond(env, view, events, &signer, *role, *amount),
        Action::RegisterModel { onnx } => jobs::register_model(env, view, events, &signer, onnx),
        Action::PostJob(job) => jobs::post(env, view, events, tx, job),
        Action::CancelJob { job } => jobs::cancel(env, view, events, &signer, job),
        Action::Assign {
            job,
            worker,
            worker_epoch,
        } => jobs::assign(env, view, events, &signer, job, worker, *worker_epoch),
        Action::Accept {
            job,
            session_key,
            evidence,
        } => jobs::accept(env, view, events, &signer, job, session_key, evidence),
        Action::SubmitVcr {
            encoded,
            vcr,
            session_signature,
        } => {
            let signed = vcr::Signed {
                encoded,
                signature: session_signature,
            };
            vcr::submit(env, view, events, tx, vcr, signed, check_commitments)
        }
        Action::ChallengeCommit {
            job,
            vcr,
            commitment,
            bond,
        } => challenges::commit(env, view, events, &signer, job, vcr, commitment, *bond),
        Action::ChallengeReveal {
            job,
            encoded,
            challenge,
            salt,
        } => challenges::reveal(env, view, events, &signer, job, encoded, challenge, salt),
        Action::Attest {
            session_key,
            evidence,
        } => registration::attest(env, view, events, &signer, session_key, evidence),
        Action::Govern { sequence, rules } => {
            governance::vote(env, view, events, &signer, *sequence, rules)
        }
        Action::DoubleVote { first, second } => {
            money::double_vote(env, view, events, first, second)
        }
    }
}

/// The fee of so many bytes, begun KiB counting whole.
pub fn fee(per_kib: Amount, bytes: u64) -> Result<Amount, Refusal> {
    per_kib
        .mul_div(u128::from(bytes.div_ceil(1024)), 1)
        .ok_or(Refusal::Overflow)
}

/// The state at height 0.
pub fn genesis_state(rules: &Rules) -> Result<Writes, Refusal> {
    let base = MapState::default();
    let mut view = View::new(&base);
    let mut supply = Supply::default();
    let add = |sum: &mut Amount, amount: Amount| -> Result<(), Refusal> {
        *sum = sum.checked_add(amount).ok_or(Refusal::Overflow)?;
        Ok(())
    };
    for a in &rules.genesis.accounts {
        view.store(
            keys::account(&a.account),
            &AccountRecord {
                balance: a.balance,
                nonce: 0,
            },
        )?;
        add(&mut supply.balances, a.balance)?;
        add(&mut supply.genesis, a.balance)?;
    }
    for v in &rules.genesis.validators {
        let record = rules
            .validators
            .get(&v.account)
            .ok_or(Refusal::Corrupted("a genesis validator is not in its set"))?;
        let state = ValidatorState {
            stake: v.stake,
            vote_key: record.vote_key.to_bytes(),
            jailed: false,
        };
        view.store(keys::validator(&v.account), &state)?;
        add(&mut supply.stakes, v.stake)?;
        add(&mut supply.genesis, v.stake)?;
    }
    view.store(keys::SUPPLY.to_vec(), &supply)?;
    Ok(view.into_writes())
}
