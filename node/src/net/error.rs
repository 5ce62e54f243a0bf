//! What can go wrong with a call, and whose fault it is.

use thiserror::Error;

/// Why a call had no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CallError {
    /// The network has been shut down; ours.
    #[error("the network is shut down")]
    Closed,
    /// The message exceeds its limit; the caller's fault.
    #[error("{size} bytes, {max} are allowed")]
    TooLarge {
        /// Size of the message.
        size: usize,
        /// The limit.
        max: usize,
    },
    /// There is no such shard; the caller's fault.
    #[error("there is no shard {0}")]
    NoSuchShard(u8),
}

/// Why a request brought no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RequestError {
    /// Ours: the network has been shut down.
    #[error("the network is shut down")]
    Closed,
    /// Ours: the request exceeds its limit.
    #[error("request of {size} bytes, {max} are allowed")]
    TooLarge {
        /// Size of the request.
        size: usize,
        /// The limit.
        max: usize,
    },
    /// Ours: too many requests under way, to this peer or to all.
    #[error("too many requests under way")]
    TooMany,
    /// Nobody's: we are not connected and no known address answers.
    #[error("the peer cannot be reached")]
    Unreachable,
    /// Nobody's: the connection broke.
    #[error("the connection broke")]
    Disconnected,
    /// The peer's, or the network's: no answer in time.
    #[error("no answer in time")]
    Timeout,
    /// Ours, rather: the peer asks us to slow down, or is overloaded.
    #[error("the peer is busy; try again later")]
    Busy,
    /// The peer's choice: it does not want to answer this.
    #[error("the peer refused")]
    Refused,
    /// The peer's choice: it does not speak the protocol.
    #[error("the peer does not speak this protocol")]
    Unsupported,
    /// The peer's fault: the answer breaks the framing or the size limit.
    #[error("the peer broke the protocol")]
    Misbehaved,
}

/// Who is to blame for a failed request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// We are; asking somebody else will not help.
    Ours,
    /// The peer is; ask somebody else, and think less of it.
    Peer,
    /// Nobody is; ask somebody else.
    Circumstances,
}

impl RequestError {
    /// Who is to blame.
    #[must_use]
    pub fn blame(self) -> Blame {
        match self {
            Self::Closed | Self::TooLarge { .. } | Self::TooMany => Blame::Ours,
            Self::Misbehaved => Blame::Peer,
            Self::Unreachable
            | Self::Disconnected
            | Self::Timeout
            | Self::Busy
            | Self::Refused
            | Self::Unsupported => Blame::Circumstances,
        }
    }
}

/// Why a DHT operation failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DhtError {
    /// Ours: the network has been shut down.
    #[error("the network is shut down")]
    Closed,
    /// Ours: too many queries under way.
    #[error("too many queries under way")]
    TooMany,
    /// The caller's: the key is empty or longer than 64 bytes, or the value exceeds its limit.
    #[error("key or value has a wrong size")]
    WrongSize,
    /// The caller's: our own validator refuses the record.
    #[error("the record is not valid")]
    Invalid,
    /// Nobody's: kept here, but no other peer took it yet. It is announced again as peers
    /// appear and periodically.
    #[error("no other peer took it yet; it will be announced again")]
    NotReplicated,
    /// Nobody's: the query ran out of time.
    #[error("the query ran out of time")]
    Timeout,
}
