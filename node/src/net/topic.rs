//! Gossip topics: `/aether/<genesis8>/<kind>/1`, and for receipts
//! `/aether/<genesis8>/vcrs/<shard>/1`.
//!
//! Receipts are sharded so that a challenger can take a part of them; which shard a job belongs
//! to is the caller's rule (by job id). The set of topics is closed: a peer that subscribes to
//! anything else is ignored.

use std::{collections::HashMap, fmt};

use aether_bootnode::NetworkId;
use libp2p::gossipsub::{IdentTopic, TopicHash};

/// Number of shards the receipts are spread over.
pub const VCR_SHARDS: u8 = 4;

/// What a gossip message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// New jobs.
    Jobs,
    /// Coordinators' assignments.
    Assignments,
    /// Fresh evidence of workers.
    Attestations,
    /// Verifiable compute receipts of one shard, `0..VCR_SHARDS`.
    Vcrs(u8),
    /// Commits and reveals of challengers.
    Challenges,
    /// All other transactions.
    Transactions,
    /// Validators' proposals and votes.
    Consensus,
    /// Proposed blocks, and certificates of decided ones.
    Blocks,
    /// Heartbeats of workers.
    Liveness,
    /// Heights and roots, for operators.
    Status,
}

/// How a topic fares when the node is slow to take events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// May use the whole queue: without it the chain stops.
    Vital,
    /// May use half of it: floods must not crowd out the vital ones.
    Bulk,
}

impl Topic {
    /// Every topic there is.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let mut topics = vec![
            Self::Jobs,
            Self::Assignments,
            Self::Attestations,
            Self::Challenges,
            Self::Transactions,
            Self::Consensus,
            Self::Blocks,
            Self::Liveness,
            Self::Status,
        ];
        topics.extend((0..VCR_SHARDS).map(Self::Vcrs));
        topics
    }

    /// The kind, as it appears in the topic's name and in metrics.
    #[must_use]
    pub fn kind(self) -> &'static str {
        match self {
            Self::Jobs => "jobs",
            Self::Assignments => "assignments",
            Self::Attestations => "attestations",
            Self::Vcrs(_) => "vcrs",
            Self::Challenges => "challenges",
            Self::Transactions => "transactions",
            Self::Consensus => "consensus",
            Self::Blocks => "blocks",
            Self::Liveness => "liveness",
            Self::Status => "status",
        }
    }

    /// The full name on the wire.
    #[must_use]
    pub fn name(self, network: &NetworkId) -> String {
        match self {
            Self::Vcrs(shard) => format!("/aether/{network}/vcrs/{shard}/1"),
            other => format!("/aether/{network}/{}/1", other.kind()),
        }
    }

    pub(super) fn class(self) -> Class {
        match self {
            Self::Consensus | Self::Blocks | Self::Challenges => Class::Vital,
            _ => Class::Bulk,
        }
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vcrs(shard) => write!(f, "vcrs/{shard}"),
            other => f.write_str(other.kind()),
        }
    }
}

/// The topics of one network, both ways.
#[derive(Clone, Debug)]
pub(super) struct Topics {
    network: NetworkId,
    by_hash: HashMap<TopicHash, Topic>,
}

impl Topics {
    pub(super) fn new(network: NetworkId) -> Self {
        let by_hash = Topic::all()
            .into_iter()
            .map(|topic| (IdentTopic::new(topic.name(&network)).hash(), topic))
            .collect();
        Self { network, by_hash }
    }

    /// The libp2p topic; `None` for a shard that does not exist.
    pub(super) fn ident(&self, topic: Topic) -> Option<IdentTopic> {
        let ident = IdentTopic::new(topic.name(&self.network));
        self.by_hash.contains_key(&ident.hash()).then_some(ident)
    }

    pub(super) fn topic(&self, hash: &TopicHash) -> Option<Topic> {
        self.by_hash.get(hash).copied()
    }

    pub(super) fn hashes(&self) -> impl Iterator<Item = &TopicHash> {
        self.by_hash.keys()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_distinct_and_lead_back_to_their_topic() {
        let network = NetworkId::parse("00c0ffee").unwrap();
        let topics = Topics::new(network.clone());
        assert_eq!(topics.hashes().count(), Topic::all().len());
        for topic in Topic::all() {
            let ident = topics.ident(topic).unwrap();
            assert_eq!(topics.topic(&ident.hash()), Some(topic));
        }
        assert_eq!(Topic::Jobs.name(&network), "/aether/00c0ffee/jobs/1");
        assert_eq!(Topic::Vcrs(3).name(&network), "/aether/00c0ffee/vcrs/3/1");
        assert!(topics.ident(Topic::Vcrs(VCR_SHARDS)).is_none());
    }
}
