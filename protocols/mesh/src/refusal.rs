//! Why the state does not allow a transaction.
//!
//! Three kinds of blame, told by [`Refusal::blame`]: wrong whatever the state
//! is (Reject: the sender is scored down), not allowed by our state, perhaps
//! not yet (Ignore; kept for a later slot), and ours (a blob we lack, a disk).

use crate::blob::BlobRef;
use crate::primitives::{Amount, Slot};
use crate::state::StateError;

/// Whose fault a refusal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The sender's: no state would allow it.
    Sender,
    /// Nobody's, or not yet decidable: it may become valid.
    NotYet,
    /// Nobody's: it can never become valid again (too late, already done).
    TooLate,
    /// Ours.
    Ours,
}

/// Why a transaction is not applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The store failed.
    #[error(transparent)]
    State(#[from] StateError),
    /// We lack bytes that the decision needs.
    #[error("blob {} is not held", .0.id.short())]
    BlobMissing(BlobRef),
    /// A record in the state does not decode.
    #[error("a state record is corrupted: {0}")]
    Corrupted(&'static str),
    /// Past its expiry slot.
    #[error("expired at slot {0}")]
    Expired(Slot),
    /// Expires further ahead than any deadline may lie.
    #[error("expiry slot {0} is too far ahead")]
    ExpiryTooFar(Slot),
    /// Below the account's nonce.
    #[error("nonce {got} was used; the next one is {next}")]
    NonceUsed {
        /// In the transaction.
        got: u64,
        /// Expected.
        next: u64,
    },
    /// Above the account's next nonce.
    #[error("nonce {got} leaves a gap; the next one is {next}")]
    NonceGap {
        /// In the transaction.
        got: u64,
        /// Expected.
        next: u64,
    },
    /// Not enough free balance.
    #[error("needs {needs} AIC, the free balance is {has} AIC")]
    Balance {
        /// Needed.
        needs: Amount,
        /// There.
        has: Amount,
    },
    /// Wrong whatever the state is.
    #[error("{0}")]
    Never(&'static str),
    /// Not allowed by this state, and perhaps by a later one.
    #[error("{0}")]
    NotNow(&'static str),
    /// No longer possible: already done or decided.
    #[error("{0}")]
    Over(&'static str),
    /// The model is not admissible.
    #[error("model refused: {0}")]
    Model(String),
    /// The input does not fit the model.
    #[error("input refused: {0}")]
    Input(String),
    /// The evidence is forged: no network would believe it at any time.
    #[error("evidence refused: {0}")]
    Forged(String),
    /// The evidence is not what this state asks for, perhaps not yet.
    #[error("evidence refused: {0}")]
    Evidence(String),
    /// The VCR contradicts itself or its job.
    #[error("VCR refused: {0}")]
    Vcr(&'static str),
    /// An amount overflowed: the books would not balance.
    #[error("an amount overflows")]
    Overflow,
}

impl Refusal {
    /// Whose fault it is, and whether waiting may help.
    pub fn blame(&self) -> Blame {
        match self {
            Refusal::State(_) | Refusal::Corrupted(_) | Refusal::Overflow => Blame::Ours,
            Refusal::BlobMissing(_)
            | Refusal::NonceGap { .. }
            | Refusal::Balance { .. }
            | Refusal::NotNow(_)
            // How far ahead depends on how far we have come.
            | Refusal::ExpiryTooFar(_)
            // Evidence names a block that may be ours only in a moment.
            | Refusal::Evidence(_) => Blame::NotYet,
            Refusal::Expired(_) | Refusal::NonceUsed { .. } | Refusal::Over(_) => Blame::TooLate,
            Refusal::Never(_)
            | Refusal::Forged(_)
            | Refusal::Model(_)
            | Refusal::Input(_)
            | Refusal::Vcr(_) => Blame::Sender,
        }
    }
}
