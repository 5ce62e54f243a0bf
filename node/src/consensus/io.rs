//! What the engine is told and what it wants: everything that can happen.

use aether_mesh::{Account, Block, BlockId, Certificate, ChainId, Slot, ValidatorSet, Vote};
use arc_malachitebft_core_types::LinearTimeouts;
use std::sync::Arc;
use std::time::Duration;

/// What time it is, by both clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Steady time since some moment of the host's choice: all timers.
    pub elapsed: Duration,
    /// Unix milliseconds: stamped on what is sent, never decides anything.
    pub unix_ms: u64,
}

/// How the engine is set up. Checked by [`super::Host::spawn`].
#[derive(Clone, Debug)]
pub struct Config {
    /// The network.
    pub chain: ChainId,
    /// Epoch length, for the proposers' order.
    pub epoch_slots: u64,
    /// How long a slot lasts at least.
    pub slot: Duration,
    /// How long each step of a round waits, and when votes are repeated.
    pub timeouts: LinearTimeouts,
    /// How long a proposal waits for its block before we ask for it.
    pub fetch_after: Duration,
    /// How often a block that cannot be judged yet is judged again.
    pub judge_again: Duration,
}

impl Config {
    /// Slots of one second; three seconds for a proposal, half a second more
    /// each round: at 0.8 s, rounds were lost under load. Votes are repeated
    /// every two seconds.
    pub fn new(chain: ChainId, epoch_slots: u64, slot: Duration) -> Self {
        let timeouts = LinearTimeouts {
            rebroadcast: Duration::from_secs(2),
            ..LinearTimeouts::default()
        };
        Self {
            chain,
            epoch_slots,
            slot,
            timeouts,
            fetch_after: Duration::from_millis(150),
            judge_again: Duration::from_millis(100),
        }
    }
}

/// The last committed block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its height; 0 before the first block.
    pub height: Slot,
    /// Its id; the chain id at height 0.
    pub block_id: BlockId,
    /// Its header's time, Unix milliseconds.
    pub time_ms: u64,
}

/// What we think of a proposed block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// We would vote for it.
    Valid,
    /// We shall never vote for it; why.
    Invalid(String),
    /// It cannot be said yet; what is missing.
    NotYet(String),
}

/// What gossip should do with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Pass it on.
    Accept,
    /// Wrong whatever the state is: the sender is to blame.
    Reject,
    /// Not useful to us now; nobody's fault.
    Ignore,
}

/// Everything that can happen to the engine.
#[derive(Clone, Debug)]
pub enum Input {
    /// Bytes from the consensus topic. Answered with one [`Output::Verdict`].
    Message(Vec<u8>),
    /// A block from gossip, or one that was asked for. Answered, now or later,
    /// with one [`Output::BlockVerdict`].
    Block(Box<Block>),
    /// A committed block from a peer. Answered with one [`Output::Verdict`].
    Synced(Box<Block>, Certificate),
    /// The block that [`Output::Build`] asked for.
    Built(u32, Box<Block>),
    /// The answer to [`Output::Judge`].
    Judged(BlockId, Judgement),
    /// [`Output::Commit`] was carried out: the new head, and who votes next.
    Committed(Head, Arc<ValidatorSet>),
    /// [`super::Engine::wake_at`] has come.
    Tick,
}

/// Everything the engine may want.
#[derive(Clone, Debug)]
pub enum Output {
    /// What to do with the message or synced block just handed in.
    Verdict(Verdict),
    /// What to do with a block handed in before.
    BlockVerdict(BlockId, Verdict),
    /// Send on the consensus topic.
    Publish(Vec<u8>),
    /// Send to everybody: the block of a proposal just published.
    PublishBlock(Arc<Block>),
    /// Fetch a block, best from this validator, and hand it in.
    Request {
        /// Which.
        id: BlockId,
        /// Its height.
        height: Slot,
        /// Who should have it.
        from: Account,
    },
    /// Build a block for this height and round, and hand it in.
    Build {
        /// The height.
        height: Slot,
        /// The round.
        round: u32,
    },
    /// Judge a block whose parent is the head, and hand the judgement in.
    Judge(Arc<Block>),
    /// Final: store block and certificate, then hand in the new head.
    Commit {
        /// The block.
        block: Arc<Block>,
        /// More than 2/3 of stake signed it.
        certificate: Certificate,
    },
    /// The head's certificate with more signatures than the one committed.
    Upgrade(Certificate),
    /// A validator signed two different votes in one step. May come twice.
    DoubleVote(Box<Vote>, Box<Vote>),
    /// Others are at this height already: sync.
    Behind(Slot),
    /// The node must stop.
    Fatal(String),
}
