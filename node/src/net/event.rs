//! What the network tells the node, and the small types of that conversation.

use std::{fmt, time::Duration};

use libp2p::{Multiaddr, PeerId, request_response::ResponseChannel};

use super::{
    protocol::{Protocol, Response},
    topic::Topic,
};

/// Identity of a gossip message: BLAKE3 over its topic and content. Equal content is one
/// message, so whoever must repeat himself (liveness) puts a counter into it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(pub [u8; 32]);

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.0;
        write!(f, "MessageId({a:02x}{b:02x}{c:02x}{d:02x}…)")
    }
}

/// The node's judgement of a gossip message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Right, and worth forwarding.
    Accept,
    /// Wrong whatever the state is; whoever forwarded it is penalised.
    Reject,
    /// Not (yet) allowed by our state, or of no use; not forwarded, nobody's fault.
    Ignore,
}

/// What happens on the network. The receiver must be drained; when it is slow, gossip is
/// ignored and requests are answered with "busy".
#[derive(Debug)]
pub enum NetEvent {
    /// A gossip message that waits for a verdict: answer with
    /// [`NetHandle::report`](super::NetHandle::report) within a few seconds, or it counts as
    /// [`Verdict::Ignore`].
    Gossip {
        /// Its topic.
        topic: Topic,
        /// Who forwarded it, which need not be who wrote it.
        from: PeerId,
        /// Its identity.
        id: MessageId,
        /// Its content, at most `gossip_bytes_max`.
        bytes: Vec<u8>,
    },
    /// A request: answer with [`NetHandle::respond`](super::NetHandle::respond), or drop the
    /// token to refuse.
    Request {
        /// Who asks.
        peer: PeerId,
        /// In which protocol.
        protocol: Protocol,
        /// What, at most `request_bytes_max`.
        bytes: Vec<u8>,
        /// The way back.
        reply: ReplyToken,
    },
    /// The first connection to a peer of our network is open and the peer has told who it is.
    PeerConnected(PeerId),
    /// The last connection to it is gone.
    PeerDisconnected(PeerId),
    /// A peer was banned for its conduct.
    PeerBanned(PeerId),
    /// We listen on this address.
    Listening(Multiaddr),
    /// A listener failed; nobody new will reach us there.
    ListenerClosed(String),
}

/// The way back of one request; dropping it refuses the request.
#[derive(Debug)]
pub struct ReplyToken {
    pub(super) protocol: Protocol,
    pub(super) peer: PeerId,
    pub(super) channel: ResponseChannel<Response>,
}

/// What we know about a connected peer.
#[derive(Clone, Debug)]
pub struct PeerInfo {
    /// Its id.
    pub peer_id: PeerId,
    /// Where it listens, as it says; where the connection leads, if it has not said.
    pub addresses: Vec<Multiaddr>,
    /// Its program and version; empty until it has identified itself.
    pub agent: String,
    /// The stream protocols it speaks.
    pub protocols: Vec<String>,
    /// The gossip topics it has subscribed to.
    pub topics: Vec<Topic>,
    /// How long we have been connected.
    pub connected_for: Duration,
    /// Whether we opened the (oldest) connection.
    pub outbound: bool,
    /// Whether it is one of the configured bootnodes.
    pub bootnode: bool,
    /// The last round trip of a ping.
    pub round_trip: Option<Duration>,
    /// Its score; see the table in `scoring.rs`.
    pub score: f64,
}

/// Counters since the start; names as in the metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NetStats {
    /// Peers connected now, bootnodes included.
    pub peers: u64,
    /// Peers banned now.
    pub banned: u64,
    /// Gossip messages handed to the node.
    pub gossip_received: u64,
    /// Verdicts `Accept`.
    pub gossip_accepted: u64,
    /// Verdicts `Reject`.
    pub gossip_rejected: u64,
    /// Verdicts `Ignore`.
    pub gossip_ignored: u64,
    /// Messages ignored because the node was slow to take or judge them.
    pub gossip_overflow: u64,
    /// Verdicts that came too late to forward the message.
    pub gossip_late: u64,
    /// Publications sent to at least one peer.
    pub published: u64,
    /// Publications given up: nobody listened in time, or the retry cache was full.
    pub publish_failed: u64,
    /// Requests handed to the node.
    pub requests_received: u64,
    /// Requests answered with "busy".
    pub requests_limited: u64,
    /// Records others wanted us to keep and that we refused.
    pub records_refused: u64,
    /// Records we keep.
    pub records_held: u64,
}
