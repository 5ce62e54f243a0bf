//! Peer scores, derived from our own verdicts.
//!
//! ```text
//! score = Σ over topics (first good deliveries / 25, at most 1  −  rejected²)
//!         − penalty points − crowding − missteps² − slowness
//! ```
//!
//! `rejected` counts messages for which the node said [`Verdict::Reject`](super::Verdict) (or
//! that were not anonymous), and fades over ten minutes. So a peer in good standing may err once
//! or twice; whoever goes on falls quickly, since the count is squared:
//!
//! | score | after so many rejects in one topic | effect |
//! | --- | --- | --- |
//! | < 0 | 1 | leaves our meshes: gets and forwards full messages no more |
//! | ≤ −10 | 4 | no gossip about messages either |
//! | ≤ −25 | 5 | we do not publish to it |
//! | ≤ −50 | 8 | **banned**: everything it sends is dropped, it is disconnected and blocked |
//!
//! The last row is the point of the exercise: libp2p's own graylist only stops what *comes from*
//! a peer. Whoever falls below it is disconnected and refused until the ban ends (`peers.rs`), so
//! it neither receives nor forwards anything.
//!
//! There are no penalties for missing deliveries (P3): they punish whoever is far away or has
//! nothing to say. Ignored messages cost nothing: our state may be the one that is behind.

use std::{
    collections::{HashMap, HashSet},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use libp2p::gossipsub::{
    PeerScoreParams, PeerScoreThresholds, TopicScoreParams, score_parameter_decay,
};

use super::topic::Topics;

/// At or below this score a peer is banned.
pub(super) const BAN_AT: f64 = -50.0;
const NO_GOSSIP_AT: f64 = -10.0;
const NO_PUBLISH_AT: f64 = -25.0;

/// How long a rejected message is held against its sender.
const REJECTS_FADE_OVER: Duration = Duration::from_secs(600);
/// How long good deliveries count.
const DELIVERIES_FADE_OVER: Duration = Duration::from_secs(60);
/// First deliveries in one topic that make good standing there complete.
const GOOD_DELIVERIES: f64 = 25.0;
/// What complete good standing in one topic weighs against rejects.
const GOOD_STANDING: f64 = 1.0;
/// Peers behind one IP address that are nobody's business (an office, a carrier's NAT).
const PEERS_PER_IP: f64 = 8.0;
/// Broken promises and hasty grafts that a slow machine is forgiven.
const MISSTEPS_FORGIVEN: f64 = 6.0;
/// Messages lost to a full queue that a slow link is forgiven.
const LOSSES_FORGIVEN: f64 = 64.0;

pub(super) fn thresholds() -> PeerScoreThresholds {
    PeerScoreThresholds {
        gossip_threshold: NO_GOSSIP_AT,
        publish_threshold: NO_PUBLISH_AT,
        graylist_threshold: BAN_AT,
        accept_px_threshold: f64::MAX, // there is no peer exchange
        opportunistic_graft_threshold: 1.0,
    }
}

pub(super) fn parameters(topics: &Topics, dev: bool) -> PeerScoreParams {
    let per_topic: HashMap<_, _> = topics
        .hashes()
        .map(|hash| (hash.clone(), topic_parameters()))
        .collect();
    let exempt = if dev {
        HashSet::from([
            IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(Ipv6Addr::LOCALHOST),
        ])
    } else {
        HashSet::new()
    };
    PeerScoreParams {
        topics: per_topic,
        topic_score_cap: 0.0, // none: the topics' own caps add up to little
        app_specific_weight: 1.0,
        ip_colocation_factor_weight: -5.0,
        ip_colocation_factor_threshold: PEERS_PER_IP,
        ip_colocation_factor_whitelist: exempt,
        behaviour_penalty_weight: -1.0,
        behaviour_penalty_threshold: MISSTEPS_FORGIVEN,
        behaviour_penalty_decay: score_parameter_decay(DELIVERIES_FADE_OVER),
        decay_interval: Duration::from_secs(1),
        decay_to_zero: 0.05,
        retain_score: REJECTS_FADE_OVER,
        slow_peer_weight: -0.05,
        slow_peer_threshold: LOSSES_FORGIVEN,
        slow_peer_decay: score_parameter_decay(Duration::from_secs(10)),
    }
}

fn topic_parameters() -> TopicScoreParams {
    TopicScoreParams {
        topic_weight: 1.0,
        time_in_mesh_weight: 0.0,
        first_message_deliveries_weight: GOOD_STANDING / GOOD_DELIVERIES,
        first_message_deliveries_decay: score_parameter_decay(DELIVERIES_FADE_OVER),
        first_message_deliveries_cap: GOOD_DELIVERIES,
        mesh_message_deliveries_weight: 0.0,
        mesh_failure_penalty_weight: 0.0,
        invalid_message_deliveries_weight: -1.0,
        invalid_message_deliveries_decay: score_parameter_decay(REJECTS_FADE_OVER),
        ..TopicScoreParams::default()
    }
}

#[cfg(test)]
mod tests {
    use aether_bootnode::NetworkId;

    use super::*;

    #[test]
    fn parameters_are_valid_and_the_table_above_is_true() {
        let topics = Topics::new(NetworkId::parse("00000000").unwrap());
        for dev in [false, true] {
            parameters(&topics, dev).validate().unwrap();
        }
        thresholds().validate().unwrap();
        let rejects = |n: f64| topic_parameters().invalid_message_deliveries_weight * n * n;
        assert!(rejects(1.0) < 0.0);
        assert!(rejects(4.0) <= NO_GOSSIP_AT);
        assert!(rejects(5.0) <= NO_PUBLISH_AT);
        assert!(rejects(8.0) <= BAN_AT && rejects(7.0) > BAN_AT);
        let best_standing = GOOD_STANDING * topics.hashes().count() as f64;
        assert!(
            rejects(8.0) + best_standing <= BAN_AT,
            "good conduct buys no impunity"
        );
        assert!(
            rejects(1.0) + 2.0 * GOOD_STANDING > 0.0,
            "an error is forgiven"
        );
    }
}
