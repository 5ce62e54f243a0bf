//! What the engine waits for, and until when.

use aether_mesh::BlockId;
use arc_malachitebft_core_types::{Timeout, TimeoutKind};
use std::collections::BTreeMap;
use std::time::Duration;

/// One thing waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// A step's time-out or the next repetition of our votes; step and round.
    Step(u8, u32),
    /// The next height begins.
    Start,
    /// A block that a proposal or certificate names has not come: ask for it.
    Fetch(BlockId),
    /// A block could not be judged yet: try again.
    Judge(BlockId),
    /// Others seem to be at a later height: if they still are, say so.
    Behind,
}

impl Timer {
    /// The engine's time-out as a key.
    pub(super) fn step(timeout: Timeout) -> Self {
        let step = match timeout.kind {
            TimeoutKind::Propose => 0,
            TimeoutKind::Prevote => 1,
            TimeoutKind::Precommit => 2,
            TimeoutKind::Rebroadcast => 3,
            TimeoutKind::FinalizeHeight(_) => 4,
        };
        Timer::Step(step, super::context::round_u32(timeout.round))
    }

    /// The engine's time-out again.
    pub(super) fn timeout(step: u8, round: u32) -> Timeout {
        let round = round.into();
        match step {
            0 => Timeout::propose(round),
            1 => Timeout::prevote(round),
            2 => Timeout::precommit(round),
            3 => Timeout::rebroadcast(round),
            _ => Timeout::finalize_height(round, Duration::ZERO),
        }
    }
}

/// Deadlines, at most one for each thing.
#[derive(Debug, Default)]
pub(super) struct Timers(BTreeMap<Timer, Duration>);

impl Timers {
    /// Waits until `at`, instead of whatever was set before.
    pub(super) fn set(&mut self, timer: Timer, at: Duration) {
        self.0.insert(timer, at);
    }

    /// As [`Timers::set`], unless the timer is running already.
    pub(super) fn set_if_idle(&mut self, timer: Timer, at: Duration) {
        self.0.entry(timer).or_insert(at);
    }

    /// No longer waits for it.
    pub(super) fn cancel(&mut self, timer: Timer) {
        self.0.remove(&timer);
    }

    /// No longer waits for any step.
    pub(super) fn cancel_steps(&mut self) {
        self.0.retain(|timer, _| !matches!(timer, Timer::Step(..)));
    }

    /// No longer waits for blocks.
    pub(super) fn cancel_blocks(&mut self) {
        self.0
            .retain(|timer, _| !matches!(timer, Timer::Fetch(_) | Timer::Judge(_)));
    }

    /// The earliest deadline.
    pub(super) fn next(&self) -> Option<Duration> {
        self.0.values().min().copied()
    }

    /// Takes out the timer that is longest overdue.
    pub(super) fn pop_due(&mut self, now: Duration) -> Option<Timer> {
        let (timer, at) = self
            .0
            .iter()
            .min_by_key(|(timer, at)| (**at, **timer))
            .map(|(t, at)| (*t, *at))?;
        if at > now {
            return None;
        }
        self.0.remove(&timer);
        Some(timer)
    }
}
