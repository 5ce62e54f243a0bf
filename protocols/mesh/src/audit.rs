//! The books against the records: every base unit is somewhere, once.
//!
//! [`Supply`](crate::Supply) is kept in step by the transition; this counts
//! everything anew from the records and compares. Tests run it after every
//! block, operators with `aether db verify`.

use crate::keys;
use crate::primitives::{Amount, JobId};
use crate::records::*;
use crate::refusal::Refusal;
use crate::state::StateReader;
use crate::view::load;
use borsh::BorshDeserialize;

/// What a full count found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    /// The books as the transition keeps them.
    pub books: Supply,
    /// The same places, counted from the records.
    pub counted: Supply,
    /// Jobs that have ended.
    pub jobs_ended: u64,
    /// Jobs that have not.
    pub jobs_open: u64,
}

impl Audit {
    /// Whether books and records agree and nothing was made or lost.
    pub fn holds(&self) -> bool {
        self.books == self.counted && self.books.is_conserved()
    }
}

/// Counts the whole state.
pub fn audit(state: &dyn StateReader) -> Result<Audit, Refusal> {
    let books: Supply = load(state, keys::SUPPLY, "supply")?.unwrap_or_default();
    let mut counted = Supply {
        genesis: books.genesis,
        burned: books.burned,
        minted: books.minted,
        ..Supply::default()
    };
    each(state, b"a", |_, a: AccountRecord| {
        add(&mut counted.balances, a.balance)
    })?;
    each(state, keys::WORKERS, |_, w: WorkerRecord| {
        add(&mut counted.stakes, w.stake)
    })?;
    each(state, keys::COORDINATORS, |_, c: CoordinatorRecord| {
        add(&mut counted.stakes, c.stake)
    })?;
    each(state, keys::VALIDATORS, |_, v: ValidatorState| {
        add(&mut counted.stakes, v.stake)
    })?;
    each(state, keys::VESTING, |_, a: Amount| {
        add(&mut counted.vesting, a)
    })?;
    let (mut jobs_ended, mut jobs_open) = (0, 0);
    each(state, keys::JOBS, |key, job: JobRecord| {
        let id = JobId::from_slice(key.get(1..).unwrap_or_default());
        if id.is_none() || job.status.is_terminal() != job.outcome.is_some() {
            return Err(Refusal::Corrupted("a job's end and its outcome disagree"));
        }
        if job.status.is_terminal() {
            jobs_ended += 1;
            return Ok(());
        }
        jobs_open += 1;
        add(&mut counted.escrows, job.payment)?;
        let prefix = keys::challenges(&id.unwrap_or_default());
        each(state, &prefix, |_, c: ChallengeRecord| {
            add(&mut counted.bonds, c.bond)
        })
    })?;
    Ok(Audit {
        books,
        counted,
        jobs_ended,
        jobs_open,
    })
}

fn add(sum: &mut Amount, amount: Amount) -> Result<(), Refusal> {
    *sum = sum.checked_add(amount).ok_or(Refusal::Overflow)?;
    Ok(())
}

/// Calls `f` for every record under a prefix, a bounded page at a time.
fn each<T: BorshDeserialize>(
    state: &dyn StateReader,
    prefix: &[u8],
    mut f: impl FnMut(&[u8], T) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    const PAGE: usize = 1_000;
    let mut from = prefix.to_vec();
    loop {
        let page = state.scan(prefix, &from, PAGE)?;
        let full = page.len() == PAGE;
        for (key, value) in page {
            let record =
                T::try_from_slice(&value).map_err(|_| Refusal::Corrupted("a state record"))?;
            f(&key, record)?;
            from = key;
        }
        if !full {
            return Ok(());
        }
        from.push(0);
    }
}
