//! The handle: methods for everybody else, and the commands they turn into.
//!
//! Cheap to clone. Every method sends one command over a bounded channel and waits for room in
//! it; the network task never waits for its users, so this cannot deadlock. When all handles are
//! dropped, the network stops.

use std::time::Duration;

use libp2p::{Multiaddr, PeerId};
use tokio::sync::{mpsc, oneshot};

use super::{
    error::{CallError, DhtError, RequestError},
    event::{MessageId, NetStats, PeerInfo, ReplyToken, Verdict},
    protocol::Protocol,
    store::KEY_BYTES_MAX,
    topic::{Topic, VCR_SHARDS},
};

/// What the handle asks of the network task.
#[derive(Debug)]
pub(super) enum Command {
    Publish {
        topic: Topic,
        bytes: Vec<u8>,
    },
    Report {
        id: MessageId,
        from: PeerId,
        verdict: Verdict,
    },
    Subscribe(Vec<Topic>),
    Unsubscribe(Vec<Topic>),
    Request {
        peer: PeerId,
        protocol: Protocol,
        bytes: Vec<u8>,
        answer: oneshot::Sender<Result<Vec<u8>, RequestError>>,
    },
    Respond {
        reply: ReplyToken,
        bytes: Vec<u8>,
    },
    PutRecord {
        key: Vec<u8>,
        value: Vec<u8>,
        ttl: Duration,
        answer: oneshot::Sender<Result<(), DhtError>>,
    },
    GetRecord {
        key: Vec<u8>,
        answer: oneshot::Sender<Result<Vec<Vec<u8>>, DhtError>>,
    },
    Provide {
        key: Vec<u8>,
        answer: oneshot::Sender<Result<(), DhtError>>,
    },
    StopProviding {
        key: Vec<u8>,
    },
    FindProviders {
        key: Vec<u8>,
        answer: oneshot::Sender<Result<Vec<PeerId>, DhtError>>,
    },
    AddPeer {
        peer: PeerId,
        addresses: Vec<Multiaddr>,
    },
    Penalize {
        peer: PeerId,
        points: u32,
    },
    Peers(oneshot::Sender<Vec<PeerInfo>>),
    Stats(oneshot::Sender<NetStats>),
    ListenAddrs(oneshot::Sender<Vec<Multiaddr>>),
    Shutdown(oneshot::Sender<()>),
}

/// The limits the handle checks before it bothers the task.
#[derive(Clone, Copy, Debug)]
pub(super) struct HandleLimits {
    pub(super) gossip: usize,
    pub(super) request: usize,
    pub(super) response: usize,
    pub(super) record: usize,
}

/// The node's access to the network.
#[derive(Clone, Debug)]
pub struct NetHandle {
    pub(super) local: PeerId,
    pub(super) limits: HandleLimits,
    pub(super) commands: mpsc::Sender<Command>,
}

impl NetHandle {
    /// Our own id.
    #[must_use]
    pub fn local_peer_id(&self) -> PeerId {
        self.local
    }

    /// Gossips a message to all peers of a topic; we do not receive it ourselves, and need not
    /// be subscribed. While nobody is there to take it, it is retried for some seconds; content
    /// published before is not published again.
    ///
    /// # Errors
    /// [`CallError`]; `Ok` does not say that anybody received it.
    pub async fn publish(&self, topic: Topic, bytes: Vec<u8>) -> Result<(), CallError> {
        check_size(bytes.len(), self.limits.gossip)?;
        check_shards(&[topic])?;
        self.send(Command::Publish { topic, bytes }).await
    }

    /// Judges a gossip message; every [`NetEvent::Gossip`](super::NetEvent) wants this once.
    ///
    /// # Errors
    /// [`CallError::Closed`].
    pub async fn report(
        &self,
        id: MessageId,
        from: PeerId,
        verdict: Verdict,
    ) -> Result<(), CallError> {
        self.send(Command::Report { id, from, verdict }).await
    }

    /// Takes part in topics.
    ///
    /// # Errors
    /// [`CallError::NoSuchShard`], [`CallError::Closed`].
    pub async fn subscribe(&self, topics: impl Into<Vec<Topic>>) -> Result<(), CallError> {
        let topics = topics.into();
        check_shards(&topics)?;
        self.send(Command::Subscribe(topics)).await
    }

    /// Leaves topics.
    ///
    /// # Errors
    /// [`CallError::Closed`].
    pub async fn unsubscribe(&self, topics: impl Into<Vec<Topic>>) -> Result<(), CallError> {
        self.send(Command::Unsubscribe(topics.into())).await
    }

    /// Asks a peer and waits for the answer, connecting first if need be (its address must be
    /// known from the DHT, from identify or through [`Self::add_peer`]).
    ///
    /// # Errors
    /// [`RequestError`] says what happened, and [`RequestError::blame`] whose fault it is.
    pub async fn request(
        &self,
        peer: PeerId,
        protocol: Protocol,
        bytes: Vec<u8>,
    ) -> Result<Vec<u8>, RequestError> {
        let (size, max) = (bytes.len(), self.limits.request);
        if size > max {
            return Err(RequestError::TooLarge { size, max });
        }
        let (answer, answered) = oneshot::channel();
        let command = Command::Request {
            peer,
            protocol,
            bytes,
            answer,
        };
        self.send(command).await.map_err(|_| RequestError::Closed)?;
        answered.await.unwrap_or(Err(RequestError::Closed))
    }

    /// Answers a request.
    ///
    /// # Errors
    /// [`CallError::TooLarge`] (the requester sees a refusal), [`CallError::Closed`].
    pub async fn respond(&self, reply: ReplyToken, bytes: Vec<u8>) -> Result<(), CallError> {
        check_size(bytes.len(), self.limits.response)?;
        self.send(Command::Respond { reply, bytes }).await
    }

    /// Puts a record into the DHT: here and at the peers closest to the key. It is announced
    /// again periodically until `ttl` ends; put it again (with a higher sequence number inside)
    /// to prolong it.
    ///
    /// # Errors
    /// [`DhtError`]; after [`DhtError::NotReplicated`] it is kept and announced again.
    pub async fn put_record(
        &self,
        key: Vec<u8>,
        value: Vec<u8>,
        ttl: Duration,
    ) -> Result<(), DhtError> {
        check_key(&key)?;
        if value.is_empty() || value.len() > self.limits.record {
            return Err(DhtError::WrongSize);
        }
        self.query(|answer| Command::PutRecord {
            key,
            value,
            ttl,
            answer,
        })
        .await
    }

    /// Asks the DHT for the records under a key. All returned values passed the validator and
    /// are distinct; the caller picks the newest. Empty if there is none.
    ///
    /// # Errors
    /// [`DhtError`].
    pub async fn get_record(&self, key: Vec<u8>) -> Result<Vec<Vec<u8>>, DhtError> {
        check_key(&key)?;
        self.query(|answer| Command::GetRecord { key, answer })
            .await
    }

    /// Announces this node as a provider of a key, again and again until
    /// [`Self::stop_providing`]. A key lists at most 20 providers: shard it.
    ///
    /// # Errors
    /// [`DhtError`]; after [`DhtError::NotReplicated`] it is kept and announced again.
    pub async fn provide(&self, key: Vec<u8>) -> Result<(), DhtError> {
        check_key(&key)?;
        self.query(|answer| Command::Provide { key, answer }).await
    }

    /// Stops announcing; others forget when the announcement's lifetime ends.
    ///
    /// # Errors
    /// [`CallError::Closed`].
    pub async fn stop_providing(&self, key: Vec<u8>) -> Result<(), CallError> {
        self.send(Command::StopProviding { key }).await
    }

    /// Asks the DHT who provides a key, in ascending order of ids.
    ///
    /// # Errors
    /// [`DhtError`].
    pub async fn find_providers(&self, key: Vec<u8>) -> Result<Vec<PeerId>, DhtError> {
        check_key(&key)?;
        self.query(|answer| Command::FindProviders { key, answer })
            .await
    }

    /// Tells where a peer listens, for instance from its signed capability record.
    ///
    /// # Errors
    /// [`CallError::Closed`].
    pub async fn add_peer(&self, peer: PeerId, addresses: Vec<Multiaddr>) -> Result<(), CallError> {
        self.send(Command::AddPeer { peer, addresses }).await
    }

    /// Holds something outside gossip against a peer (a wrong block in a sync answer). One
    /// point fades in ten seconds; at 50 points it is banned.
    ///
    /// # Errors
    /// [`CallError::Closed`].
    pub async fn penalize(&self, peer: PeerId, points: u32) -> Result<(), CallError> {
        self.send(Command::Penalize { peer, points }).await
    }

    /// The connected peers, in ascending order of ids; empty after a shutdown.
    pub async fn peers(&self) -> Vec<PeerInfo> {
        self.ask(Command::Peers).await.unwrap_or_default()
    }

    /// The counters; zero after a shutdown.
    pub async fn stats(&self) -> NetStats {
        self.ask(Command::Stats).await.unwrap_or_default()
    }

    /// Where we listen; waits until every listener has said it once.
    pub async fn listen_addrs(&self) -> Vec<Multiaddr> {
        self.ask(Command::ListenAddrs).await.unwrap_or_default()
    }

    /// Closes all connections and sockets. Returns when they are closed.
    pub async fn shutdown(&self) {
        // No answer means that it was shut down before.
        let _ = self.ask(Command::Shutdown).await;
    }

    async fn send(&self, command: Command) -> Result<(), CallError> {
        self.commands
            .send(command)
            .await
            .map_err(|_| CallError::Closed)
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        self.send(command(answer)).await.ok()?;
        answered.await.ok()
    }

    async fn query<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<T, DhtError>>) -> Command,
    ) -> Result<T, DhtError> {
        self.ask(command).await.unwrap_or(Err(DhtError::Closed))
    }
}

fn check_size(size: usize, max: usize) -> Result<(), CallError> {
    if size > max {
        Err(CallError::TooLarge { size, max })
    } else {
        Ok(())
    }
}

fn check_shards(topics: &[Topic]) -> Result<(), CallError> {
    for topic in topics {
        match topic {
            Topic::Vcrs(shard) if *shard >= VCR_SHARDS => {
                return Err(CallError::NoSuchShard(*shard));
            }
            _ => {}
        }
    }
    Ok(())
}

fn check_key(key: &[u8]) -> Result<(), DhtError> {
    if key.is_empty() || key.len() > KEY_BYTES_MAX {
        Err(DhtError::WrongSize)
    } else {
        Ok(())
    }
}
