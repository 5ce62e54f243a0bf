//! Gossip: publishing with retries, handing messages to the node, and its verdicts.
//!
//! - A message is handed over with its id and waits for a verdict. The bytes that wait are
//!   bounded (`unjudged_bytes_max`); of the queue and of these bytes, bulk topics may use half,
//!   so that a flood of jobs cannot displace votes. What finds no room is ignored, once and for
//!   all: its id is remembered, and sync repairs what was missed.
//! - A verdict counts once. If it takes longer than libp2p keeps the message (ten heartbeats),
//!   the message is not forwarded; nobody is blamed.
//! - A publication that nobody can take yet (no mesh, no subscriber) is retried at each tick and
//!   whenever somebody subscribes, for `publish_retry`; the cache is bounded in messages and
//!   bytes. Publishing the same content again has no effect.

use std::collections::{HashMap, VecDeque};

use libp2p::{
    PeerId,
    gossipsub::{self, MessageAcceptance, PublishError, TopicHash},
};
use tokio::time::{Duration, Instant};

use super::{
    event::{MessageId, NetEvent, Verdict},
    service::Service,
    topic::{Class, Topic, Topics},
};

/// Publications that wait for somebody to take them.
const RETRIES_MAX: usize = 1_024;
const RETRY_BYTES_MAX: usize = 16 << 20;
/// Messages without a verdict are given up after this long.
const UNJUDGED_FOR: Duration = Duration::from_secs(30);

/// State of the gossip desk.
pub(super) struct Gossip {
    pub(super) topics: Topics,
    unjudged: HashMap<MessageId, Unjudged>,
    unjudged_bytes: usize,
    retries: VecDeque<Retry>,
    retry_bytes: usize,
}

struct Unjudged {
    from: PeerId,
    size: usize,
    since: Instant,
}

struct Retry {
    topic: Topic,
    bytes: Vec<u8>,
    until: Instant,
}

impl Gossip {
    pub(super) fn new(topics: Topics) -> Self {
        Self {
            topics,
            unjudged: HashMap::new(),
            unjudged_bytes: 0,
            retries: VecDeque::new(),
            retry_bytes: 0,
        }
    }

    fn take_unjudged(&mut self, id: &MessageId) -> Option<Unjudged> {
        let unjudged = self.unjudged.remove(id)?;
        self.unjudged_bytes = self.unjudged_bytes.saturating_sub(unjudged.size);
        Some(unjudged)
    }
}

/// What became of an attempt to publish.
enum Attempt {
    Sent,
    NobodyThere,
    Hopeless,
}

impl Service {
    pub(super) fn subscribe(&mut self, topics: &[Topic]) {
        for ident in topics
            .iter()
            .filter_map(|topic| self.gossip.topics.ident(*topic))
        {
            if let Err(error) = self.swarm.behaviour_mut().gossip.subscribe(&ident) {
                tracing::warn!(topic = %ident, %error, "cannot subscribe");
            }
        }
    }

    pub(super) fn unsubscribe(&mut self, topics: &[Topic]) {
        for ident in topics
            .iter()
            .filter_map(|topic| self.gossip.topics.ident(*topic))
        {
            self.swarm.behaviour_mut().gossip.unsubscribe(&ident);
        }
    }

    pub(super) fn publish(&mut self, topic: Topic, bytes: Vec<u8>) {
        match self.attempt(topic, &bytes) {
            Attempt::Sent => self.stats.published += 1,
            Attempt::Hopeless => self.stats.publish_failed += 1,
            Attempt::NobodyThere => {
                let full = self.gossip.retries.len() >= RETRIES_MAX
                    || self.gossip.retry_bytes + bytes.len() > RETRY_BYTES_MAX;
                if full {
                    self.stats.publish_failed += 1;
                    return;
                }
                let until = Instant::now() + self.config.limits.publish_retry;
                self.gossip.retry_bytes += bytes.len();
                self.gossip.retries.push_back(Retry {
                    topic,
                    bytes,
                    until,
                });
            }
        }
    }

    fn attempt(&mut self, topic: Topic, bytes: &[u8]) -> Attempt {
        let Some(ident) = self.gossip.topics.ident(topic) else {
            return Attempt::Hopeless;
        };
        match self.swarm.behaviour_mut().gossip.publish(ident, bytes) {
            // With full queues the message still is in the cache and will be gossiped about.
            Ok(_) | Err(PublishError::Duplicate | PublishError::AllQueuesFull(_)) => Attempt::Sent,
            Err(PublishError::NoPeersSubscribedToTopic) => Attempt::NobodyThere,
            Err(error) => {
                tracing::warn!(%topic, %error, "cannot publish");
                Attempt::Hopeless
            }
        }
    }

    pub(super) fn retry_publications(&mut self, now: Instant) {
        for _ in 0..self.gossip.retries.len() {
            let Some(retry) = self.gossip.retries.pop_front() else {
                return;
            };
            self.gossip.retry_bytes = self.gossip.retry_bytes.saturating_sub(retry.bytes.len());
            match self.attempt(retry.topic, &retry.bytes) {
                Attempt::Sent => self.stats.published += 1,
                Attempt::NobodyThere if now < retry.until => {
                    self.gossip.retry_bytes += retry.bytes.len();
                    self.gossip.retries.push_back(retry);
                }
                Attempt::NobodyThere | Attempt::Hopeless => {
                    tracing::debug!(topic = %retry.topic, "nobody took a publication");
                    self.stats.publish_failed += 1;
                }
            }
        }
    }

    pub(super) fn on_gossip(&mut self, event: gossipsub::Event) {
        match event {
            gossipsub::Event::Message {
                propagation_source,
                message_id,
                message,
            } => {
                self.on_message(propagation_source, &message_id, message);
            }
            gossipsub::Event::Subscribed { topic, .. } => {
                let topic = self.gossip.topics.topic(&topic);
                if self
                    .gossip
                    .retries
                    .iter()
                    .any(|retry| Some(retry.topic) == topic)
                {
                    self.retry_publications(Instant::now());
                }
            }
            gossipsub::Event::SlowPeer {
                peer_id,
                failed_messages,
            } => {
                let lost = failed_messages.priority + failed_messages.non_priority;
                self.on_slow_peer(peer_id, lost);
            }
            gossipsub::Event::Unsubscribed { .. }
            | gossipsub::Event::GossipsubNotSupported { .. } => {}
        }
    }

    fn on_message(
        &mut self,
        from: PeerId,
        raw_id: &gossipsub::MessageId,
        message: gossipsub::Message,
    ) {
        let id = <[u8; 32]>::try_from(raw_id.0.as_slice()).map(MessageId);
        let (Ok(id), Some(topic)) = (id, self.gossip.topics.topic(&message.topic)) else {
            // Neither can happen: ids are ours, and we subscribe to our topics only.
            self.pass_on(raw_id, &from, MessageAcceptance::Ignore);
            return;
        };
        let size = message.data.len();
        if size > self.config.limits.gossip_bytes_max {
            self.stats.gossip_rejected += 1;
            self.pass_on(raw_id, &from, MessageAcceptance::Reject);
            self.ban_if_due(from);
            return;
        }
        if !self.has_room_for(topic, size) {
            self.stats.gossip_overflow += 1;
            self.pass_on(raw_id, &from, MessageAcceptance::Ignore);
            return;
        }
        let event = NetEvent::Gossip {
            topic,
            from,
            id,
            bytes: message.data,
        };
        if self.events.try_send(event).is_err() {
            self.stats.gossip_overflow += 1;
            self.pass_on(raw_id, &from, MessageAcceptance::Ignore);
            return;
        }
        self.stats.gossip_received += 1;
        self.gossip.unjudged_bytes += size;
        self.gossip.unjudged.insert(
            id,
            Unjudged {
                from,
                size,
                since: Instant::now(),
            },
        );
    }

    fn has_room_for(&self, topic: Topic, size: usize) -> bool {
        let bytes_free = self
            .config
            .limits
            .unjudged_bytes_max
            .saturating_sub(self.gossip.unjudged_bytes);
        let (slots_reserved, bytes_reserved) = match topic.class() {
            Class::Vital => (0, 0),
            Class::Bulk => (
                self.events.max_capacity() / 2,
                self.config.limits.unjudged_bytes_max / 2,
            ),
        };
        self.events.capacity() > slots_reserved && bytes_free >= bytes_reserved + size
    }

    pub(super) fn report(&mut self, id: MessageId, from: PeerId, verdict: Verdict) {
        let Some(unjudged) = self.gossip.take_unjudged(&id) else {
            self.stats.gossip_late += 1;
            return;
        };
        if unjudged.from != from {
            tracing::warn!(?id, %from, "a verdict names another sender than the message had");
        }
        let acceptance = match verdict {
            Verdict::Accept => MessageAcceptance::Accept,
            Verdict::Reject => MessageAcceptance::Reject,
            Verdict::Ignore => MessageAcceptance::Ignore,
        };
        match verdict {
            Verdict::Accept => self.stats.gossip_accepted += 1,
            Verdict::Reject => self.stats.gossip_rejected += 1,
            Verdict::Ignore => self.stats.gossip_ignored += 1,
        }
        let raw_id = gossipsub::MessageId::new(&id.0);
        if !self.pass_on(&raw_id, &unjudged.from, acceptance) {
            self.stats.gossip_late += 1;
        }
        if verdict == Verdict::Reject {
            self.ban_if_due(unjudged.from);
        }
    }

    fn pass_on(
        &mut self,
        id: &gossipsub::MessageId,
        from: &PeerId,
        acceptance: MessageAcceptance,
    ) -> bool {
        let gossip = &mut self.swarm.behaviour_mut().gossip;
        gossip.report_message_validation_result(id, from, acceptance)
    }

    pub(super) fn expire_unjudged(&mut self, now: Instant) {
        let overdue: Vec<_> = self
            .gossip
            .unjudged
            .iter()
            .filter(|(_, unjudged)| now.saturating_duration_since(unjudged.since) > UNJUDGED_FOR)
            .map(|(id, _)| *id)
            .collect();
        for id in overdue {
            self.gossip.take_unjudged(&id);
            self.stats.gossip_late += 1;
        }
    }

    /// The topics of ours a peer has subscribed to.
    pub(super) fn topics_of(&self, hashes: &[&TopicHash]) -> Vec<Topic> {
        let mut topics: Vec<_> = hashes
            .iter()
            .filter_map(|hash| self.gossip.topics.topic(hash))
            .collect();
        topics.sort_unstable();
        topics
    }
}
