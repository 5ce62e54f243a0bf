//! Typed access to the state, and the only way money moves.
//!
//! Every amount that leaves one place enters another through
//! [`View::shift`]-based methods, which keep [`Supply`] in step with the
//! records; nothing else touches balances, stakes, bonds or escrows.

use crate::keys;
use crate::primitives::{Account, Amount, JobId, ModelId, Slot};
use crate::records::*;
use crate::refusal::Refusal;
use crate::state::{Entry, Overlay, StateReader, Writes};
use borsh::{BorshDeserialize, BorshSerialize};

/// Where money can be. `Burned` only receives, `Minted` only gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bucket {
    Balances,
    Escrows,
    Stakes,
    Bonds,
    Vesting,
    Burned,
    Minted,
}

/// Reads a typed record.
pub fn load<T: BorshDeserialize>(
    state: &dyn StateReader,
    key: &[u8],
    what: &'static str,
) -> Result<Option<T>, Refusal> {
    match state.get(key)? {
        None => Ok(None),
        Some(bytes) => T::try_from_slice(&bytes)
            .map(Some)
            .map_err(|_| Refusal::Corrupted(what)),
    }
}

/// A typed overlay.
pub(crate) struct View<'a> {
    over: Overlay<'a>,
}

impl<'a> View<'a> {
    pub(crate) fn new(base: &'a dyn StateReader) -> Self {
        Self {
            over: Overlay::new(base),
        }
    }

    pub(crate) fn into_writes(self) -> Writes {
        self.over.into_writes()
    }

    pub(crate) fn absorb(&mut self, writes: Writes) {
        self.over.absorb(writes);
    }

    pub(crate) fn reader(&self) -> &dyn StateReader {
        &self.over
    }

    pub(crate) fn load<T: BorshDeserialize>(
        &self,
        key: &[u8],
        what: &'static str,
    ) -> Result<Option<T>, Refusal> {
        load(&self.over, key, what)
    }

    pub(crate) fn store<T: BorshSerialize>(
        &mut self,
        key: Vec<u8>,
        value: &T,
    ) -> Result<(), Refusal> {
        let bytes = borsh::to_vec(value).map_err(|_| Refusal::Corrupted("unencodable record"))?;
        self.over.put(key, bytes);
        Ok(())
    }

    pub(crate) fn mark(&mut self, key: Vec<u8>) {
        self.over.put(key, Vec::new());
    }

    pub(crate) fn remove(&mut self, key: Vec<u8>) {
        self.over.remove(key);
    }

    pub(crate) fn has(&self, key: &[u8]) -> Result<bool, Refusal> {
        Ok(self.over.get(key)?.is_some())
    }

    pub(crate) fn scan(
        &self,
        prefix: &[u8],
        from: &[u8],
        limit: usize,
    ) -> Result<Vec<Entry>, Refusal> {
        Ok(self.over.scan(prefix, from, limit)?)
    }

    // --- records -----------------------------------------------------------

    pub(crate) fn account(&self, a: &Account) -> Result<AccountRecord, Refusal> {
        Ok(self.load(&keys::account(a), "account")?.unwrap_or_default())
    }

    pub(crate) fn worker(&self, a: &Account) -> Result<Option<WorkerRecord>, Refusal> {
        self.load(&keys::worker(a), "worker")
    }

    pub(crate) fn put_worker(&mut self, a: &Account, w: &WorkerRecord) -> Result<(), Refusal> {
        self.store(keys::worker(a), w)
    }

    pub(crate) fn coordinator(&self, a: &Account) -> Result<Option<CoordinatorRecord>, Refusal> {
        self.load(&keys::coordinator(a), "coordinator")
    }

    pub(crate) fn job(&self, id: &JobId) -> Result<Option<JobRecord>, Refusal> {
        self.load(&keys::job(id), "job")
    }

    pub(crate) fn put_job(&mut self, id: &JobId, job: &JobRecord) -> Result<(), Refusal> {
        self.store(keys::job(id), job)
    }

    pub(crate) fn model(&self, id: &ModelId) -> Result<Option<ModelRecord>, Refusal> {
        self.load(&keys::model(id), "model")
    }

    pub(crate) fn challenge(
        &self,
        job: &JobId,
        challenger: &Account,
    ) -> Result<Option<ChallengeRecord>, Refusal> {
        self.load(&keys::challenge(job, challenger), "challenge")
    }

    pub(crate) fn put_challenge(
        &mut self,
        job: &JobId,
        challenger: &Account,
        c: &ChallengeRecord,
    ) -> Result<(), Refusal> {
        self.store(keys::challenge(job, challenger), c)
    }

    pub(crate) fn supply(&self) -> Result<Supply, Refusal> {
        Ok(self.load(keys::SUPPLY, "supply")?.unwrap_or_default())
    }

    pub(crate) fn set_due(&mut self, slot: Slot, job: &JobId) {
        self.mark(keys::due(slot, job));
    }

    // --- money -------------------------------------------------------------

    /// Moves an amount between buckets of the books.
    pub(crate) fn shift(
        &mut self,
        from: Bucket,
        to: Bucket,
        amount: Amount,
    ) -> Result<(), Refusal> {
        let mut supply = self.supply()?;
        {
            let source = bucket(&mut supply, from);
            *source = match from {
                Bucket::Minted => source.checked_add(amount),
                _ => source.checked_sub(amount),
            }
            .ok_or(Refusal::Overflow)?;
        }
        let target = bucket(&mut supply, to);
        *target = target.checked_add(amount).ok_or(Refusal::Overflow)?;
        self.store(keys::SUPPLY.to_vec(), &supply)
    }

    /// Takes from a free balance into another bucket.
    pub(crate) fn debit(&mut self, a: &Account, amount: Amount, to: Bucket) -> Result<(), Refusal> {
        let mut record = self.account(a)?;
        record.balance = record.balance.checked_sub(amount).ok_or(Refusal::Balance {
            needs: amount,
            has: record.balance,
        })?;
        self.store(keys::account(a), &record)?;
        self.shift(Bucket::Balances, to, amount)
    }

    /// Gives to a free balance from another bucket.
    pub(crate) fn credit(
        &mut self,
        a: &Account,
        amount: Amount,
        from: Bucket,
    ) -> Result<(), Refusal> {
        if amount == Amount::ZERO {
            return Ok(());
        }
        let mut record = self.account(a)?;
        record.balance = record
            .balance
            .checked_add(amount)
            .ok_or(Refusal::Overflow)?;
        self.store(keys::account(a), &record)?;
        self.shift(from, Bucket::Balances, amount)
    }

    /// Takes from a worker's stake into another bucket; at most what is there.
    pub(crate) fn slash_worker(&mut self, a: &Account, amount: Amount) -> Result<Amount, Refusal> {
        let mut worker = self
            .worker(a)?
            .ok_or(Refusal::Corrupted("an assigned worker has no record"))?;
        let taken = amount.min(worker.stake);
        worker.stake = worker.stake.checked_sub(taken).ok_or(Refusal::Overflow)?;
        self.put_worker(a, &worker)?;
        self.shift(Bucket::Stakes, Bucket::Burned, taken)?;
        Ok(taken)
    }

    /// Turns burned stake into a reward that is free at `slot`.
    pub(crate) fn vest(
        &mut self,
        a: &Account,
        job: &JobId,
        slot: Slot,
        amount: Amount,
    ) -> Result<(), Refusal> {
        self.store(keys::vesting(slot, a, job), &amount)?;
        self.shift(Bucket::Burned, Bucket::Vesting, amount)
    }
}

fn bucket(supply: &mut Supply, which: Bucket) -> &mut Amount {
    match which {
        Bucket::Balances => &mut supply.balances,
        Bucket::Escrows => &mut supply.escrows,
        Bucket::Stakes => &mut supply.stakes,
        Bucket::Bonds => &mut supply.bonds,
        Bucket::Vesting => &mut supply.vesting,
        Bucket::Burned => &mut supply.burned,
        Bucket::Minted => &mut supply.minted,
    }
}
