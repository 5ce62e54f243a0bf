//! Request-response: both directions, their quotas and their ends.
//!
//! Inbound, in this order, each refusal cheaper than the next step: concurrency per peer and
//! protocol, rate quota per peer and protocol, room in the node's queue. The first three are
//! answered with "busy". An oversized or malformed frame costs its sender penalty points.
//! A request counts until its answer has been sent, or it failed, so a slow reader is charged
//! for its slowness; a large answer costs more of the rate quota.
//!
//! Outbound: bounded per peer and in total, and every request ends: with an answer, an error of
//! libp2p, or at our own deadline (libp2p drops streams silently at its capacity).

use std::collections::HashMap;

use libp2p::{
    PeerId,
    request_response::{Event, InboundRequestId, Message, OutboundFailure, OutboundRequestId},
};
use tokio::{
    sync::oneshot,
    time::{Duration, Instant},
};

use super::{
    config::NetLimits,
    error::RequestError,
    event::{NetEvent, ReplyToken},
    protocol::{FrameError, Protocol, Request, Response},
    quota::{Quotas, Rate},
    service::Service,
};

/// Bytes of an answer that cost one more token of the requester's quota.
const BYTES_PER_TOKEN: usize = 64 << 10;
/// Held against whoever breaks the framing.
const BROKEN_FRAME_POINTS: u32 = 10;
/// Beyond libp2p's time-out, which starts when the stream opens.
const DEADLINE_SLACK: Duration = Duration::from_secs(2);

type Answer = oneshot::Sender<Result<Vec<u8>, RequestError>>;

/// State of the request desk.
pub(super) struct RequestDesk {
    ours: HashMap<(Protocol, OutboundRequestId), Ours>,
    theirs: HashMap<(Protocol, InboundRequestId), PeerId>,
    quotas: Quotas<(PeerId, Protocol)>,
}

struct Ours {
    peer: PeerId,
    answer: Answer,
    deadline: Instant,
}

impl RequestDesk {
    pub(super) fn new(limits: &NetLimits) -> Self {
        let rate = Rate {
            per_second: limits.requests_per_second,
            burst: limits.requests_burst,
        };
        let buckets = limits.connections_max as usize * Protocol::ALL.len() * 4;
        Self {
            ours: HashMap::new(),
            theirs: HashMap::new(),
            quotas: Quotas::new(rate, buckets),
        }
    }

    fn theirs_in_work(&self, peer: &PeerId, protocol: Protocol) -> usize {
        let same =
            |((p, _), who): (&(Protocol, InboundRequestId), &PeerId)| *p == protocol && who == peer;
        self.theirs.iter().filter(|entry| same(*entry)).count()
    }

    fn ours_in_work(&self, peer: &PeerId) -> usize {
        self.ours.values().filter(|ours| ours.peer == *peer).count()
    }
}

impl Service {
    pub(super) fn request(
        &mut self,
        peer: PeerId,
        protocol: Protocol,
        bytes: Vec<u8>,
        answer: Answer,
    ) {
        let limits = &self.config.limits;
        let too_many = self.requests.ours.len() >= limits.requests_in_flight
            || self.requests.ours_in_work(&peer) >= limits.requests_in_flight_per_peer;
        let refused = if too_many {
            Some(RequestError::TooMany)
        } else if peer == self.local() || self.peers.conduct.is_banned(&peer) {
            Some(RequestError::Unreachable)
        } else {
            None
        };
        if let Some(error) = refused {
            // Whoever stopped waiting needs no answer; so everywhere below.
            let _ = answer.send(Err(error));
            return;
        }
        let deadline = Instant::now() + limits.request_timeout + DEADLINE_SLACK;
        let addresses = self.peers.book.addresses(&peer);
        let requests = self.swarm.behaviour_mut().requests(protocol);
        let id = requests.send_request_with_addresses(&peer, Ok(bytes), addresses);
        self.requests.ours.insert(
            (protocol, id),
            Ours {
                peer,
                answer,
                deadline,
            },
        );
    }

    pub(super) fn respond(&mut self, reply: ReplyToken, bytes: Vec<u8>) {
        let extra = u32::try_from(bytes.len() / BYTES_PER_TOKEN).unwrap_or(u32::MAX);
        if extra > 0 {
            let key = (reply.peer, reply.protocol);
            self.requests.quotas.charge(key, extra, Instant::now());
        }
        let requests = self.swarm.behaviour_mut().requests(reply.protocol);
        // An error says that the requester stopped waiting; an event told or will tell.
        let _ = requests.send_response(reply.channel, Response::Answered(bytes));
    }

    pub(super) fn on_request_event(&mut self, protocol: Protocol, event: Event<Request, Response>) {
        match event {
            Event::Message { peer, message, .. } => match message {
                Message::Request {
                    request_id,
                    request,
                    channel,
                } => {
                    self.requests.theirs.insert((protocol, request_id), peer);
                    self.on_request(
                        request,
                        ReplyToken {
                            protocol,
                            peer,
                            channel,
                        },
                    );
                }
                Message::Response {
                    request_id,
                    response,
                } => {
                    let result = match response {
                        Response::Answered(bytes) => Ok(bytes),
                        Response::Busy => Err(RequestError::Busy),
                    };
                    self.finish(protocol, request_id, result);
                }
            },
            Event::OutboundFailure {
                peer,
                request_id,
                error,
                ..
            } => {
                let error = classify(&error);
                if error == RequestError::Misbehaved {
                    self.penalize(peer, BROKEN_FRAME_POINTS);
                }
                self.finish(protocol, request_id, Err(error));
            }
            Event::InboundFailure { request_id, .. } | Event::ResponseSent { request_id, .. } => {
                self.requests.theirs.remove(&(protocol, request_id));
            }
        }
    }

    fn on_request(&mut self, request: Request, reply: ReplyToken) {
        let (peer, protocol) = (reply.peer, reply.protocol);
        let bytes = match request {
            Ok(bytes) => bytes,
            Err(broken) => {
                tracing::debug!(%peer, %broken, "refused a request");
                self.penalize(peer, BROKEN_FRAME_POINTS);
                return; // dropping the token closes the stream
            }
        };
        let in_work = self.requests.theirs_in_work(&peer, protocol);
        let admitted = in_work <= self.config.limits.requests_in_flight_per_peer
            && self.requests.quotas.take((peer, protocol), 1, Instant::now())
            // A quarter of the queue is kept for gossip and the node's own news.
            && self.events.capacity() > self.events.max_capacity() / 4;
        if !admitted {
            self.say_busy(reply);
            return;
        }
        let event = NetEvent::Request {
            peer,
            protocol,
            bytes,
            reply,
        };
        match self.events.try_send(event) {
            Ok(()) => self.stats.requests_received += 1,
            Err(refused) => {
                if let NetEvent::Request { reply, .. } = refused.into_inner() {
                    self.say_busy(reply);
                }
            }
        }
    }

    fn say_busy(&mut self, reply: ReplyToken) {
        self.stats.requests_limited += 1;
        let requests = self.swarm.behaviour_mut().requests(reply.protocol);
        // An error says that the requester stopped waiting.
        let _ = requests.send_response(reply.channel, Response::Busy);
    }

    fn finish(
        &mut self,
        protocol: Protocol,
        id: OutboundRequestId,
        result: Result<Vec<u8>, RequestError>,
    ) {
        if let Some(ours) = self.requests.ours.remove(&(protocol, id)) {
            let _ = ours.answer.send(result);
        }
    }

    pub(super) fn expire_requests(&mut self, now: Instant) {
        let overdue: Vec<_> = self
            .requests
            .ours
            .iter()
            .filter(|(_, ours)| ours.deadline <= now || ours.answer.is_closed())
            .map(|(key, _)| *key)
            .collect();
        for (protocol, id) in overdue {
            self.finish(protocol, id, Err(RequestError::Timeout));
        }
    }
}

fn classify(error: &OutboundFailure) -> RequestError {
    match error {
        OutboundFailure::DialFailure => RequestError::Unreachable,
        OutboundFailure::Timeout => RequestError::Timeout,
        OutboundFailure::ConnectionClosed => RequestError::Disconnected,
        OutboundFailure::UnsupportedProtocols => RequestError::Unsupported,
        OutboundFailure::Io(error) if FrameError::of(error).is_some() => RequestError::Misbehaved,
        // The stream was closed before a whole answer came: a refusal.
        OutboundFailure::Io(_) => RequestError::Refused,
    }
}
