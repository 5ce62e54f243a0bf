//! The DHT: capability records, providers, and who enters the routing table.
//!
//! - A record is stored only if the validator accepts it, and read answers are validated again:
//!   neither the peers on the way nor an old store need be trusted. Offers are rate-limited per
//!   peer.
//! - A provider record names the peer that sent it (libp2p checks that) and only addresses a
//!   stranger can dial.
//! - What we published ourselves is announced again when the number of peers has changed while
//!   there are few of them (the first announcement of a starting network reaches nobody), and
//!   periodically by libp2p.
//! - The routing table takes peers by IP diversity (`table.rs`); development networks are exempt.
//! - Queries are bounded in number, time and results.

use std::collections::{BTreeSet, HashMap};

use aether_bootnode::is_dialable;
use libp2p::{
    Multiaddr, PeerId,
    kad::{
        self, GetProvidersOk, GetRecordOk, InboundRequest, K_VALUE, QueryId, QueryResult, Quorum,
        Record, RecordKey, store::RecordStore as _,
    },
};
use tokio::{
    sync::oneshot,
    time::{Duration, Instant},
};

use super::{
    book::ADDRESSES_PER_PEER,
    config::NetLimits,
    error::DhtError,
    quota::{Quotas, Rate},
    service::{RecordValidator, Service},
    table::admits,
};

/// Distinct values returned for a key.
const VALUES_MAX: usize = 8;
/// Answers that hold a valid value after which a lookup stops.
const ANSWERS_WANTED: usize = 5;
/// Providers returned for a key.
const PROVIDERS_MAX: usize = 64;
/// Offers of records per peer.
const OFFERS: Rate = Rate {
    per_second: 4,
    burst: 64,
};
/// Records and provider records of our own.
const OWN_KEYS_MAX: usize = 256;
/// Least time between announcements after the number of peers changed.
const ANNOUNCE_PAUSE: Duration = Duration::from_secs(2);
/// How often expired records are removed.
const SWEEP_EVERY: Duration = Duration::from_secs(30);

/// State of the DHT desk.
pub(super) struct Dht {
    validator: RecordValidator,
    queries: HashMap<QueryId, Query>,
    offers: Quotas<PeerId>,
    own: BTreeSet<Own>,
    announced_to: usize,
    announced_at: Option<Instant>,
    swept_at: Option<Instant>,
}

enum Query {
    Put(oneshot::Sender<Result<(), DhtError>>),
    Get {
        answer: oneshot::Sender<Result<Vec<Vec<u8>>, DhtError>>,
        values: BTreeSet<Vec<u8>>,
        answers: usize,
    },
    Provide {
        answer: oneshot::Sender<Result<(), DhtError>>,
    },
    Providers {
        answer: oneshot::Sender<Result<Vec<PeerId>, DhtError>>,
        found: BTreeSet<PeerId>,
    },
    /// A walk or a repeated announcement: nobody waits.
    Housekeeping,
}

/// Something we published.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Own {
    Record(Vec<u8>),
    Provider(Vec<u8>),
}

impl Dht {
    pub(super) fn new(validator: RecordValidator, limits: &NetLimits) -> Self {
        Self {
            validator,
            queries: HashMap::new(),
            offers: Quotas::new(OFFERS, 4 * limits.connections_max as usize),
            own: BTreeSet::new(),
            announced_to: 0,
            announced_at: None,
            swept_at: None,
        }
    }
}

impl Service {
    pub(super) fn put_record(
        &mut self,
        key: Vec<u8>,
        value: Vec<u8>,
        ttl: Duration,
        answer: oneshot::Sender<Result<(), DhtError>>,
    ) {
        let own = Own::Record(key.clone());
        let result = if !(self.dht.validator)(&key, &value) {
            Err(DhtError::Invalid)
        } else if self.too_many_queries() || !self.remember_own(own) {
            Err(DhtError::TooMany)
        } else {
            let mut record = Record::new(key, value);
            record.expires = Some((Instant::now() + ttl).into_std());
            let kad = &mut self.swarm.behaviour_mut().kad;
            kad.put_record(record, Quorum::One)
                .map_err(|_| DhtError::WrongSize)
        };
        match result {
            Ok(id) => drop(self.dht.queries.insert(id, Query::Put(answer))),
            // Whoever stopped waiting needs no answer; so everywhere below.
            Err(error) => drop(answer.send(Err(error))),
        }
    }

    pub(super) fn get_record(
        &mut self,
        key: Vec<u8>,
        answer: oneshot::Sender<Result<Vec<Vec<u8>>, DhtError>>,
    ) {
        if self.too_many_queries() {
            let _ = answer.send(Err(DhtError::TooMany));
            return;
        }
        let id = self
            .swarm
            .behaviour_mut()
            .kad
            .get_record(RecordKey::from(key));
        let query = Query::Get {
            answer,
            values: BTreeSet::new(),
            answers: 0,
        };
        self.dht.queries.insert(id, query);
    }

    pub(super) fn provide(&mut self, key: Vec<u8>, answer: oneshot::Sender<Result<(), DhtError>>) {
        let own = Own::Provider(key.clone());
        let result = if self.too_many_queries() || !self.remember_own(own) {
            Err(DhtError::TooMany)
        } else {
            let kad = &mut self.swarm.behaviour_mut().kad;
            kad.start_providing(RecordKey::from(key))
                .map_err(|_| DhtError::WrongSize)
        };
        match result {
            Ok(id) => drop(self.dht.queries.insert(id, Query::Provide { answer })),
            Err(error) => drop(answer.send(Err(error))),
        }
    }

    pub(super) fn stop_providing(&mut self, key: Vec<u8>) {
        self.dht.own.remove(&Own::Provider(key.clone()));
        self.swarm
            .behaviour_mut()
            .kad
            .stop_providing(&RecordKey::from(key));
    }

    pub(super) fn find_providers(
        &mut self,
        key: Vec<u8>,
        answer: oneshot::Sender<Result<Vec<PeerId>, DhtError>>,
    ) {
        if self.too_many_queries() {
            let _ = answer.send(Err(DhtError::TooMany));
            return;
        }
        let id = self
            .swarm
            .behaviour_mut()
            .kad
            .get_providers(RecordKey::from(key));
        self.dht.queries.insert(
            id,
            Query::Providers {
                answer,
                found: BTreeSet::new(),
            },
        );
    }

    /// Looks for peers near ourselves and near a random point, to find new ones.
    pub(super) fn walk(&mut self) {
        if self.too_many_queries() {
            return;
        }
        let kad = &mut self.swarm.behaviour_mut().kad;
        if let Ok(near_us) = kad.bootstrap() {
            self.dht.queries.insert(near_us, Query::Housekeeping);
            let kad = &mut self.swarm.behaviour_mut().kad;
            let anywhere = kad.get_closest_peers(PeerId::random());
            self.dht.queries.insert(anywhere, Query::Housekeeping);
        }
    }

    fn too_many_queries(&self) -> bool {
        self.dht.queries.len() >= self.config.limits.queries_max
    }

    fn remember_own(&mut self, own: Own) -> bool {
        self.dht.own.contains(&own)
            || (self.dht.own.len() < OWN_KEYS_MAX && self.dht.own.insert(own))
    }

    pub(super) fn tend_dht(&mut self, now: Instant) {
        let due = |at: Option<Instant>, pause| at.is_none_or(|at| now >= at + pause);
        if due(self.dht.swept_at, SWEEP_EVERY) {
            self.dht.swept_at = Some(now);
            self.dht.offers.forget_full(now);
            self.swarm.behaviour_mut().kad.store_mut().sweep(now);
        }
        let peers = self.peers.connected_count();
        let grown = peers > self.dht.announced_to && self.dht.announced_to < K_VALUE.get();
        if grown && !self.dht.own.is_empty() && due(self.dht.announced_at, ANNOUNCE_PAUSE) {
            self.dht.announced_to = peers;
            self.dht.announced_at = Some(now);
            self.announce_own();
        }
    }

    /// Puts our records and provider records to the peers that are closest now.
    fn announce_own(&mut self) {
        for own in self.dht.own.clone() {
            if self.too_many_queries() {
                return;
            }
            let kad = &mut self.swarm.behaviour_mut().kad;
            let started = match &own {
                Own::Record(key) => {
                    let record = kad.store_mut().get(&RecordKey::from(key.clone()));
                    match record.map(std::borrow::Cow::into_owned) {
                        Some(record) => kad.put_record(record, Quorum::One).ok(),
                        None => {
                            self.dht.own.remove(&own); // expired
                            None
                        }
                    }
                }
                Own::Provider(key) => kad.start_providing(RecordKey::from(key.clone())).ok(),
            };
            if let Some(id) = started {
                self.dht.queries.insert(id, Query::Housekeeping);
            }
        }
    }

    pub(super) fn on_kad(&mut self, event: kad::Event) {
        match event {
            kad::Event::InboundRequest { request } => self.on_offer(request),
            kad::Event::OutboundQueryProgressed {
                id, result, step, ..
            } => {
                self.on_progress(id, result, step.last);
            }
            kad::Event::RoutingUpdated {
                peer, addresses, ..
            } => {
                self.heard_of(peer, addresses.into_vec());
            }
            kad::Event::ModeChanged { new_mode } => {
                tracing::info!(mode = %new_mode, "the DHT changed its mode");
            }
            kad::Event::UnroutablePeer { .. }
            | kad::Event::RoutablePeer { .. }
            | kad::Event::PendingRoutablePeer { .. } => {}
        }
    }

    /// Somebody wants us to keep something.
    fn on_offer(&mut self, request: InboundRequest) {
        let now = Instant::now();
        let kept = match request {
            InboundRequest::PutRecord {
                source,
                record: Some(record),
                ..
            } => {
                let ours = Own::Record(record.key.to_vec());
                self.dht.offers.take(source, 1, now)
                    // An older record of ours, replayed, must not replace the current one.
                    && !self.dht.own.contains(&ours)
                    && record.value.len() <= self.config.limits.record_bytes_max
                    && (self.dht.validator)(record.key.as_ref(), &record.value)
                    && self.swarm.behaviour_mut().kad.store_mut().put(record).is_ok()
            }
            InboundRequest::AddProvider {
                record: Some(mut record),
            } => {
                let dev = self.config.dev;
                record.addresses.retain(|address| is_dialable(address, dev));
                record.addresses.truncate(ADDRESSES_PER_PEER);
                self.dht.offers.take(record.provider, 1, now)
                    && self
                        .swarm
                        .behaviour_mut()
                        .kad
                        .store_mut()
                        .add_provider(record)
                        .is_ok()
            }
            _ => return,
        };
        if !kept {
            self.stats.records_refused += 1;
        }
    }

    fn on_progress(&mut self, id: QueryId, result: QueryResult, last: bool) {
        let mut enough = false;
        match (result, self.dht.queries.get_mut(&id)) {
            (
                QueryResult::GetRecord(Ok(GetRecordOk::FoundRecord(found))),
                Some(Query::Get {
                    values, answers, ..
                }),
            ) => {
                let record = found.record;
                if (self.dht.validator)(record.key.as_ref(), &record.value) {
                    *answers += 1;
                    values.insert(record.value);
                    enough = values.len() >= VALUES_MAX || *answers >= ANSWERS_WANTED;
                }
            }
            (
                QueryResult::GetProviders(Ok(GetProvidersOk::FoundProviders { providers, .. })),
                Some(Query::Providers { found, .. }),
            ) => {
                found.extend(providers);
                enough = found.len() >= PROVIDERS_MAX;
            }
            (QueryResult::GetClosestPeers(Ok(closest)), _) => {
                for peer in closest.peers {
                    self.heard_of(peer.peer_id, peer.addrs);
                }
            }
            (QueryResult::PutRecord(result), Some(Query::Put(_))) => {
                let result = result.map(drop).map_err(|error| match error {
                    kad::PutRecordError::QuorumFailed { .. } => DhtError::NotReplicated,
                    kad::PutRecordError::Timeout { .. } => DhtError::Timeout,
                });
                if let Some(Query::Put(answer)) = self.dht.queries.remove(&id) {
                    let _ = answer.send(result);
                }
            }
            (QueryResult::StartProviding(result), Some(Query::Provide { .. })) => {
                let alone = self.peers.connected_count() == 0;
                let result = match result {
                    Ok(_) if alone => Err(DhtError::NotReplicated),
                    Ok(_) => Ok(()),
                    Err(kad::AddProviderError::Timeout { .. }) => Err(DhtError::Timeout),
                };
                if let Some(Query::Provide { answer }) = self.dht.queries.remove(&id) {
                    let _ = answer.send(result);
                }
            }
            _ => {}
        }
        if enough && let Some(mut query) = self.swarm.behaviour_mut().kad.query_mut(&id) {
            query.finish();
        }
        if last || enough {
            self.finish_lookup(id);
        }
    }

    fn finish_lookup(&mut self, id: QueryId) {
        match self.dht.queries.remove(&id) {
            Some(Query::Get { answer, values, .. }) => {
                let _ = answer.send(Ok(values.into_iter().collect()));
            }
            Some(Query::Providers { answer, found }) => {
                let _ = answer.send(Ok(found.into_iter().take(PROVIDERS_MAX).collect()));
            }
            Some(Query::Put(answer) | Query::Provide { answer }) => {
                let _ = answer.send(Err(DhtError::Timeout));
            }
            Some(Query::Housekeeping) | None => {}
        }
    }

    /// Takes a peer into the routing table, with the addresses it told us itself.
    pub(super) fn route(&mut self, peer: PeerId, addresses: &[Multiaddr]) {
        let (local, exempt) = (self.local(), self.config.dev);
        let kad = &mut self.swarm.behaviour_mut().kad;
        for address in addresses {
            if exempt || admits(kad, local, peer, address) {
                kad.add_address(&peer, address.clone());
            }
        }
    }
}
