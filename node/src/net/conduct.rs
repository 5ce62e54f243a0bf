//! Whom we part with: bans, penalty points, slow peers, and who goes when places run short.
//!
//! - A score at the ban threshold (`scoring.rs`) disconnects and blocks a peer until the ban
//!   ends. Its score survives the ban, so whoever relapses is banned again soon.
//! - Penalty points count against the score one for one. They are for what gossip does not see:
//!   broken frames, wrong blocks.
//! - A peer whose queue stays full is let go without blame.
//! - When nine of ten places are taken, peers that are in none of our meshes are let go, worst
//!   score first, until eight of ten are.

use std::collections::BTreeMap;

use libp2p::PeerId;
use tokio::time::Instant;

use super::{event::NetEvent, peers::REST, scoring::BAN_AT, service::Service};

/// Penalty points fade at this rate per second.
const POINTS_PER_SECOND: f64 = 0.1;
/// Peers whose penalty points or bans we remember.
const OFFENDERS_MAX: usize = 4_096;
/// Messages a peer may lose to its full queue; the count halves with every report, one per
/// heartbeat.
const LOSSES_MAX: f64 = 2_048.0;

/// What is held against whom.
pub(super) struct Conduct {
    points: BTreeMap<PeerId, f64>,
    bans: BTreeMap<PeerId, Instant>,
    faded_at: Instant,
}

impl Conduct {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            points: BTreeMap::new(),
            bans: BTreeMap::new(),
            faded_at: now,
        }
    }

    pub(super) fn banned_count(&self) -> usize {
        self.bans.len()
    }

    pub(super) fn is_banned(&self, peer: &PeerId) -> bool {
        self.bans.contains_key(peer)
    }
}

impl Service {
    pub(super) fn tend_conduct(&mut self, now: Instant) {
        self.fade_points(now);
        self.end_bans(now);
        let connected: Vec<_> = self.peers.connected.keys().copied().collect();
        for peer in connected {
            self.ban_if_due(peer);
        }
        self.let_go();
    }

    pub(super) fn on_slow_peer(&mut self, peer: PeerId, lost: usize) {
        let Some(state) = self.peers.connected.get_mut(&peer) else {
            return;
        };
        state.losses = state.losses / 2.0 + lost as f64;
        if state.losses > LOSSES_MAX {
            tracing::info!(%peer, "letting go a peer that cannot keep up");
            self.peers.book.postpone(&peer, Instant::now() + REST);
            self.disconnect(peer);
        }
    }

    pub(super) fn penalize(&mut self, peer: PeerId, points: u32) {
        let known = self.peers.conduct.points.contains_key(&peer);
        if !known && self.peers.conduct.points.len() >= OFFENDERS_MAX {
            return;
        }
        let total = self.peers.conduct.points.entry(peer).or_insert(0.0);
        *total += f64::from(points);
        let score = -*total;
        self.swarm
            .behaviour_mut()
            .gossip
            .set_application_score(&peer, score);
        self.ban_if_due(peer);
    }

    fn fade_points(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.peers.conduct.faded_at);
        self.peers.conduct.faded_at = now;
        let faded = elapsed.as_secs_f64() * POINTS_PER_SECOND;
        let gossip = &mut self.swarm.behaviour_mut().gossip;
        self.peers.conduct.points.retain(|peer, points| {
            *points = (*points - faded).max(0.0);
            gossip.set_application_score(peer, -*points);
            *points > 0.0
        });
    }

    /// Bans a peer whose score has fallen to the threshold.
    pub(super) fn ban_if_due(&mut self, peer: PeerId) {
        let score = self
            .swarm
            .behaviour()
            .gossip
            .peer_score(&peer)
            .unwrap_or(0.0);
        if score > BAN_AT
            || self.peers.conduct.is_banned(&peer)
            || self.peers.conduct.bans.len() >= OFFENDERS_MAX
        {
            return;
        }
        tracing::warn!(%peer, score, "banning a peer for its conduct");
        self.peers
            .conduct
            .bans
            .insert(peer, Instant::now() + self.config.limits.ban);
        let behaviour = self.swarm.behaviour_mut();
        behaviour.kad.remove_peer(&peer);
        // Closes its connections and refuses new ones, in both directions.
        behaviour.bans.block_peer(peer);
        self.peers.book.forget(&peer);
        self.announce(NetEvent::PeerBanned(peer));
    }

    fn end_bans(&mut self, now: Instant) {
        let bans = &mut self.swarm.behaviour_mut().bans;
        self.peers.conduct.bans.retain(|peer, until| {
            let holds = now < *until;
            if !holds {
                bans.unblock_peer(*peer);
            }
            holds
        });
    }

    /// Makes room: when most places are taken, peers in none of our meshes are let go.
    fn let_go(&mut self) {
        let places = self.config.limits.connections_max as usize;
        let crowd = self.peers.connected.len();
        if crowd * 10 <= places * 9 || crowd <= self.peers.target {
            return;
        }
        let gossip = &self.swarm.behaviour().gossip;
        let in_mesh: Vec<PeerId> = gossip.all_mesh_peers().copied().collect();
        let score = |peer: &PeerId| gossip.peer_score(peer).unwrap_or(0.0);
        let mut idle: Vec<_> = self
            .peers
            .connected
            .keys()
            .filter(|peer| !in_mesh.contains(peer))
            .map(|peer| (score(peer), *peer))
            .collect();
        idle.sort_by(|a, b| a.0.total_cmp(&b.0));
        let surplus = (crowd - places * 8 / 10).min(crowd - self.peers.target);
        for (_, peer) in idle.into_iter().take(surplus) {
            self.peers.book.postpone(&peer, Instant::now() + REST);
            self.disconnect(peer);
        }
    }
}
