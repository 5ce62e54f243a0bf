//! The last blocks' events, for subscribers who each read at their own pace.
//!
//! One task takes events from the node and keeps the last [`KEPT`] blocks; a
//! subscriber holds only a cursor. One who falls behind learns how many blocks
//! it missed and holds nobody up.

use super::backend::BlockEvents;
use aether_mesh::Slot;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{broadcast, watch};

/// Blocks kept: some minutes, enough to subscribe again after a pause.
const KEPT: usize = 512;

#[derive(Default)]
struct Ring {
    /// Sequence number of the oldest kept.
    first: u64,
    kept: VecDeque<Arc<BlockEvents>>,
}

/// Shared by the server's streams.
pub(super) struct Feed {
    ring: Mutex<Ring>,
    /// Sequence number that comes next; `None` once nothing more comes.
    next: watch::Sender<Option<u64>>,
}

/// What a subscriber gets.
#[derive(Debug, PartialEq)]
pub(super) enum FeedItem {
    /// The next block.
    Block(Arc<BlockEvents>),
    /// So many blocks are no longer kept.
    Missed(u64),
}

impl Feed {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            ring: Mutex::default(),
            next: watch::Sender::new(Some(0)),
        })
    }

    /// Takes events until the node stops sending.
    pub(super) async fn run(self: Arc<Self>, mut events: broadcast::Receiver<Arc<BlockEvents>>) {
        loop {
            match events.recv().await {
                Ok(block) => self.push(block),
                // Counted as missed: the sequence goes on without them.
                Err(broadcast::error::RecvError::Lagged(n)) => self.skip(n),
                Err(broadcast::error::RecvError::Closed) => return self.close(),
            }
        }
    }

    /// Ends every subscription, so that a server that stops does not wait for
    /// its subscribers.
    pub(super) fn close(&self) {
        self.next.send_replace(None);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Ring> {
        // A panic elsewhere leaves the ring whole: pushes are single operations.
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, block: Arc<BlockEvents>) {
        let mut ring = self.lock();
        if ring.kept.len() == KEPT {
            ring.kept.pop_front();
            ring.first += 1;
        }
        ring.kept.push_back(block);
        self.next
            .send_replace(Some(ring.first + ring.kept.len() as u64));
    }

    fn skip(&self, n: u64) {
        let mut ring = self.lock();
        ring.first += ring.kept.len() as u64 + n;
        ring.kept.clear();
        self.next.send_replace(Some(ring.first));
    }

    /// A subscription from now on, or from the first kept block of at least
    /// `from`.
    pub(super) fn subscribe(self: &Arc<Self>, from: Option<Slot>) -> Cursor {
        let ring = self.lock();
        let end = ring.first + ring.kept.len() as u64;
        let at = match from {
            None => end,
            Some(from) => {
                let earlier = ring.kept.iter().take_while(|b| b.slot < from).count();
                ring.first + earlier as u64
            }
        };
        // What was asked for and is not kept: only the first block can tell.
        let missed = match (from, ring.kept.front()) {
            (Some(from), Some(first)) => first.slot.0.saturating_sub(from.0.max(1)),
            _ => 0,
        };
        drop(ring);
        Cursor {
            feed: Arc::clone(self),
            changed: self.next.subscribe(),
            at,
            missed,
        }
    }
}

/// One subscriber's place.
pub(super) struct Cursor {
    feed: Arc<Feed>,
    changed: watch::Receiver<Option<u64>>,
    at: u64,
    missed: u64,
}

impl Cursor {
    /// The next item; waits for it. `None` when the server ends.
    pub(super) async fn next(&mut self) -> Option<FeedItem> {
        if self.missed > 0 {
            return Some(FeedItem::Missed(std::mem::take(&mut self.missed)));
        }
        loop {
            // Seen before looking, so that what comes meanwhile wakes us again.
            if self.changed.borrow_and_update().is_none() {
                return None;
            }
            if let Some(item) = self.try_next() {
                return Some(item);
            }
            self.changed.changed().await.ok()?;
        }
    }

    fn try_next(&mut self) -> Option<FeedItem> {
        let ring = self.feed.lock();
        if self.at < ring.first {
            let missed = ring.first - self.at;
            self.at = ring.first;
            return Some(FeedItem::Missed(missed));
        }
        let block = ring.kept.get((self.at - ring.first) as usize)?;
        self.at += 1;
        Some(FeedItem::Block(Arc::clone(block)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aether_mesh::BlockId;

    fn block(slot: u64) -> Arc<BlockEvents> {
        Arc::new(BlockEvents {
            slot: Slot(slot),
            block_id: BlockId::default(),
            time_ms: slot * 1_000,
            events: Vec::new(),
        })
    }

    async fn slot(cursor: &mut Cursor) -> u64 {
        match cursor.next().await {
            Some(FeedItem::Block(b)) => b.slot.0,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn a_subscriber_sees_every_block_from_where_it_asked() {
        let feed = Feed::new();
        (5..9).for_each(|s| feed.push(block(s)));
        let mut old = feed.subscribe(Some(Slot(7)));
        let mut new = feed.subscribe(None);
        feed.push(block(9));
        for expected in 7..10 {
            assert_eq!(slot(&mut old).await, expected);
        }
        assert_eq!(slot(&mut new).await, 9);
        let mut too_old = feed.subscribe(Some(Slot(2)));
        assert_eq!(too_old.next().await, Some(FeedItem::Missed(3)));
        assert_eq!(slot(&mut too_old).await, 5);
    }

    #[tokio::test]
    async fn a_slow_subscriber_is_told_what_it_missed() {
        let feed = Feed::new();
        let mut slow = feed.subscribe(None);
        (1..=KEPT as u64 + 3).for_each(|s| feed.push(block(s)));
        assert_eq!(slow.next().await, Some(FeedItem::Missed(3)));
        assert_eq!(slot(&mut slow).await, 4);
        feed.skip(2);
        assert_eq!(
            slow.next().await,
            Some(FeedItem::Missed(KEPT as u64 - 1 + 2))
        );
        feed.close();
        assert_eq!(slow.next().await, None);
    }
}
