//! The peer book: whom we know, where they listen, and when to dial them again.
//!
//! Pure: time is an argument. Rules:
//!
//! - An address enters with its peer, at most [`ADDRESSES_PER_PEER`] each; what a peer says about
//!   itself (identify) replaces what others said about it (DHT answers).
//! - A failed dial waits twice as long as the one before, from [`BackOff::first`] up to
//!   [`BackOff::longest`]; a lost connection is dialled again at once. So a restarted peer is
//!   found again, and a vanished one costs next to nothing.
//! - Bootnodes are never forgotten. Others are forgotten after [`FAILURES_MAX`] failures in a
//!   row, or when the book is full: the one with most failures, then the longest unseen.

use std::{cmp::Reverse, collections::BTreeMap, time::Duration};

use libp2p::{Multiaddr, PeerId};
use tokio::time::Instant;

/// Addresses remembered per peer.
pub(super) const ADDRESSES_PER_PEER: usize = 8;
/// Dials in vain after which a peer is forgotten.
const FAILURES_MAX: u32 = 10;

/// How long to wait between dials of one peer.
#[derive(Clone, Copy, Debug)]
pub(super) struct BackOff {
    pub(super) first: Duration,
    pub(super) longest: Duration,
}

impl BackOff {
    fn after(self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(16);
        self.first.saturating_mul(1 << doublings).min(self.longest)
    }
}

#[derive(Debug)]
struct Entry {
    addresses: Vec<Multiaddr>,
    /// The peer itself told us these addresses, or the operator did.
    first_hand: bool,
    bootnode: bool,
    failures: u32,
    dial_at: Instant,
    seen_at: Option<Instant>,
}

/// Known peers.
#[derive(Debug)]
pub(super) struct PeerBook {
    back_off: BackOff,
    entries_max: usize,
    entries: BTreeMap<PeerId, Entry>,
}

impl PeerBook {
    pub(super) fn new(entries_max: usize, back_off: BackOff) -> Self {
        Self {
            back_off,
            entries_max,
            entries: BTreeMap::new(),
        }
    }

    /// Adds a bootnode; it stays for good.
    pub(super) fn add_bootnode(&mut self, peer: PeerId, address: Multiaddr, now: Instant) {
        let entry = self.entries.entry(peer).or_insert(Entry {
            addresses: Vec::new(),
            first_hand: true,
            bootnode: true,
            failures: 0,
            dial_at: now,
            seen_at: None,
        });
        if entry.addresses.len() < ADDRESSES_PER_PEER && !entry.addresses.contains(&address) {
            entry.addresses.push(address);
        }
    }

    pub(super) fn is_bootnode(&self, peer: &PeerId) -> bool {
        self.entries.get(peer).is_some_and(|entry| entry.bootnode)
    }

    /// Takes what a peer says about itself. A bootnode keeps the addresses of the configuration.
    pub(super) fn told_by_itself(&mut self, peer: PeerId, addresses: Vec<Multiaddr>, now: Instant) {
        self.insert(peer, addresses, true, now);
    }

    /// Takes what somebody else says about a peer; never overrides the peer itself.
    pub(super) fn told_by_others(&mut self, peer: PeerId, addresses: Vec<Multiaddr>, now: Instant) {
        self.insert(peer, addresses, false, now);
    }

    fn insert(&mut self, peer: PeerId, mut addresses: Vec<Multiaddr>, own: bool, now: Instant) {
        addresses.truncate(ADDRESSES_PER_PEER);
        if addresses.is_empty() {
            return;
        }
        if let Some(entry) = self.entries.get_mut(&peer) {
            if !entry.bootnode && (own || !entry.first_hand) {
                entry.addresses = addresses;
                entry.first_hand = own;
            }
            return;
        }
        if self.entries.len() >= self.entries_max && !self.forget_one(own) {
            return;
        }
        let entry = Entry {
            addresses,
            first_hand: own,
            bootnode: false,
            failures: 0,
            dial_at: now,
            seen_at: None,
        };
        self.entries.insert(peer, entry);
    }

    /// Makes room; hearsay only displaces hearsay that has failed or was never tried in time.
    fn forget_one(&mut self, for_first_hand: bool) -> bool {
        let victim = self
            .entries
            .iter()
            .filter(|(_, e)| !e.bootnode && (for_first_hand || (!e.first_hand && e.failures > 0)))
            .max_by_key(|(_, e)| (!e.first_hand, e.failures, Reverse(e.seen_at)))
            .map(|(peer, _)| *peer);
        victim.is_some_and(|peer| self.entries.remove(&peer).is_some())
    }

    pub(super) fn connected(&mut self, peer: &PeerId, now: Instant) {
        if let Some(entry) = self.entries.get_mut(peer) {
            entry.failures = 0;
            entry.seen_at = Some(now);
        }
    }

    /// The last connection is gone: dial again at once.
    pub(super) fn disconnected(&mut self, peer: &PeerId, now: Instant) {
        if let Some(entry) = self.entries.get_mut(peer) {
            entry.seen_at = Some(now);
            entry.dial_at = now;
        }
    }

    /// Do not dial before `until`.
    pub(super) fn postpone(&mut self, peer: &PeerId, until: Instant) {
        if let Some(entry) = self.entries.get_mut(peer) {
            entry.dial_at = entry.dial_at.max(until);
        }
    }

    pub(super) fn failed(&mut self, peer: &PeerId, now: Instant) {
        let Some(entry) = self.entries.get_mut(peer) else {
            return;
        };
        entry.failures = entry.failures.saturating_add(1);
        entry.dial_at = now + self.back_off.after(entry.failures);
        if entry.failures >= FAILURES_MAX && !entry.bootnode {
            self.entries.remove(peer);
        }
    }

    pub(super) fn forget(&mut self, peer: &PeerId) {
        if !self.is_bootnode(peer) {
            self.entries.remove(peer);
        }
    }

    pub(super) fn addresses(&self, peer: &PeerId) -> Vec<Multiaddr> {
        self.entries
            .get(peer)
            .map(|entry| entry.addresses.clone())
            .unwrap_or_default()
    }

    /// Up to `count` peers whose time has come and that are not `busy`, those we have met first.
    /// Each is considered dialled: unless something happens it is due again after the first
    /// back-off.
    pub(super) fn due(
        &mut self,
        count: usize,
        bootnodes: bool,
        now: Instant,
        busy: impl Fn(&PeerId) -> bool,
    ) -> Vec<(PeerId, Vec<Multiaddr>)> {
        let mut due: Vec<_> = self
            .entries
            .iter_mut()
            .filter(|(peer, e)| e.bootnode == bootnodes && e.dial_at <= now && !busy(peer))
            .collect();
        due.sort_by_key(|(_, entry)| (entry.failures, Reverse(entry.seen_at)));
        due.truncate(count);
        due.into_iter()
            .map(|(peer, entry)| {
                entry.dial_at = now + self.back_off.first;
                (*peer, entry.addresses.clone())
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACK_OFF: BackOff = BackOff {
        first: Duration::from_secs(1),
        longest: Duration::from_secs(60),
    };

    fn address(port: u16) -> Multiaddr {
        format!("/ip4/127.0.0.1/tcp/{port}").parse().unwrap()
    }

    fn due(book: &mut PeerBook, now: Instant) -> Vec<PeerId> {
        book.due(9, false, now, |_| false)
            .into_iter()
            .map(|(peer, _)| peer)
            .collect()
    }

    #[test]
    fn a_silent_peer_is_dialled_ever_less_and_then_forgotten() {
        let (mut now, peer) = (Instant::now(), PeerId::random());
        let mut book = PeerBook::new(9, BACK_OFF);
        book.told_by_others(peer, vec![address(1)], now);
        for wait in [1, 2, 4, 8, 16, 32, 60, 60, 60] {
            assert_eq!(due(&mut book, now), [peer]);
            book.failed(&peer, now);
            now += Duration::from_millis(wait * 1_000 - 1);
            assert!(due(&mut book, now).is_empty(), "not before {wait} s");
            now += Duration::from_millis(1);
        }
        book.failed(&peer, now);
        assert!(due(&mut book, now + Duration::from_secs(999)).is_empty());
    }

    #[test]
    fn a_lost_peer_is_dialled_at_once() {
        let (now, peer) = (Instant::now(), PeerId::random());
        let mut book = PeerBook::new(9, BACK_OFF);
        book.told_by_itself(peer, vec![address(1)], now);
        book.failed(&peer, now);
        book.connected(&peer, now);
        book.disconnected(&peer, now);
        assert_eq!(due(&mut book, now), [peer]);
    }

    #[test]
    fn hearsay_never_overrides_the_peer_itself() {
        let (now, peer) = (Instant::now(), PeerId::random());
        let mut book = PeerBook::new(9, BACK_OFF);
        book.told_by_others(peer, vec![address(1)], now);
        book.told_by_itself(peer, vec![address(2)], now);
        book.told_by_others(peer, vec![address(3)], now);
        assert_eq!(book.addresses(&peer), [address(2)]);
    }

    #[test]
    fn a_full_book_keeps_bootnodes_and_peers_we_met() {
        let now = Instant::now();
        let [bootnode, met, rumour, newcomer] = [(); 4].map(|()| PeerId::random());
        let mut book = PeerBook::new(3, BACK_OFF);
        book.add_bootnode(bootnode, address(1), now);
        book.told_by_itself(met, vec![address(2)], now);
        book.told_by_others(rumour, vec![address(3)], now);
        book.told_by_others(newcomer, vec![address(4)], now);
        assert!(
            book.addresses(&newcomer).is_empty(),
            "rumours do not displace untried rumours"
        );
        book.told_by_itself(newcomer, vec![address(4)], now);
        assert!(book.addresses(&rumour).is_empty());
        assert_eq!(book.addresses(&met), [address(2)]);
        for _ in 0..99 {
            book.failed(&bootnode, now);
        }
        assert!(book.is_bootnode(&bootnode));
    }
}
