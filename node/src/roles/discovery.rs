//! Workers in the DHT: saying that we are there, and finding who is.
//!
//! A worker puts its signed record under its own key and announces itself
//! under one sharded key of each model it holds. A coordinator asks for all
//! shards of a model at once, then for each provider's record; a provider's
//! peer id names its account.

use crate::net::{NetHandle, PeerId};
use crate::service::account_of_peer;
use aether_mesh::{
    Account, Capability, ChainId, LIFETIME_S_MAX, ModelId, StateReader as _, capability_key, keys,
    provider_key_of, provider_keys,
};
use aether_storage::ChainReads;
use ed25519_dalek::SigningKey;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Most workers looked at for one job.
const CANDIDATES_MAX: usize = 256;
/// How long a search may take: an assignment should not wait for the slowest
/// corner of the DHT.
const SEARCH_PATIENCE: Duration = Duration::from_millis(1_500);

/// Puts a record for this worker and announces it under its models.
pub(super) async fn advertise(
    net: &NetHandle,
    chain: &ChainId,
    key: &SigningKey,
    capability: Capability,
) -> Result<(), String> {
    let worker = capability.worker;
    let models = capability.models.clone();
    let bytes = capability.sign(key, chain);
    let ttl = Duration::from_secs(LIFETIME_S_MAX / 2);
    net.put_record(capability_key(&worker).to_vec(), bytes, ttl)
        .await
        .map_err(|e| e.to_string())?;
    for model in models {
        let key = provider_key_of(&model, &worker).to_vec();
        net.provide(key).await.map_err(|e| e.to_string())?;
    }
    Ok(())
}

/// Workers found lately, by model; refreshed in the background so that an
/// assignment does not wait for the DHT.
#[derive(Clone)]
pub struct Directory {
    net: NetHandle,
    chain: ChainId,
    found: Arc<Mutex<Found>>,
}

/// When a model's holders were asked for, and who they were.
type Found = BTreeMap<ModelId, (Instant, Vec<Capability>)>;

/// Found this long ago is good enough.
const FRESH: Duration = Duration::from_secs(12);
/// Between two looks for the holders of a model.
const REFRESH_EVERY: Duration = Duration::from_secs(4);
/// The same for a model that is [`NEW`]: jobs follow its registration at once,
/// and its holders announce themselves in these moments.
const REFRESH_NEW_EVERY: Duration = Duration::from_millis(250);
/// How long a model counts as new.
const NEW: Duration = Duration::from_secs(5);
/// Models looked after.
const MODELS_MAX: usize = 256;

impl Directory {
    /// Empty.
    pub fn new(net: NetHandle, chain: ChainId) -> Self {
        Self {
            net,
            chain,
            found: Arc::default(),
        }
    }

    /// What was found lately, if anybody was.
    pub(super) fn fresh(&self, model: &ModelId) -> Option<Vec<Capability>> {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found
            .get(model)
            .filter(|(at, workers)| at.elapsed() < FRESH && !workers.is_empty())
            .map(|(_, workers)| workers.clone())
    }

    /// Asks the DHT, and remembers.
    pub(super) async fn look_up(&self, model: ModelId) -> Vec<Capability> {
        let now = crate::service::now_ms() / 1_000;
        let workers = find_workers(&self.net, self.chain, model, now).await;
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if found.len() < MODELS_MAX || found.contains_key(&model) {
            found.insert(model, (Instant::now(), workers.clone()));
        }
        workers
    }

    /// Keeps looking for holders of every registered model.
    pub async fn keep_fresh(self, reads: ChainReads) {
        // When each model was first seen, and last looked for.
        let mut seen: BTreeMap<ModelId, (Instant, Instant)> = BTreeMap::new();
        loop {
            tokio::time::sleep(REFRESH_NEW_EVERY).await;
            let models = match reads.reader() {
                Ok(view) => view.scan(keys::MODELS, b"", MODELS_MAX).unwrap_or_default(),
                Err(_) => continue,
            };
            for (key, _) in models {
                let Some(model) = key.get(1..).and_then(ModelId::from_slice) else {
                    continue;
                };
                let due = seen.get(&model).is_none_or(|(first, last)| {
                    let new = first.elapsed() < NEW;
                    let every = if new {
                        REFRESH_NEW_EVERY
                    } else {
                        REFRESH_EVERY
                    };
                    last.elapsed() >= every
                });
                if due {
                    self.look_up(model).await;
                    let now = Instant::now();
                    seen.entry(model).or_insert((now, now)).1 = now;
                }
            }
        }
    }
}

/// Verified records of everybody who says to hold a model.
async fn find_workers(
    net: &NetHandle,
    chain: ChainId,
    model: ModelId,
    now_unix_s: u64,
) -> Vec<Capability> {
    let mut shards = JoinSet::new();
    for key in provider_keys(&model) {
        let net = net.clone();
        shards.spawn(async move { net.find_providers(key.to_vec()).await.unwrap_or_default() });
    }
    let providers: BTreeSet<PeerId> = gather(&mut shards).await.into_iter().flatten().collect();
    let mut records = JoinSet::new();
    for account in providers
        .iter()
        .filter_map(account_of_peer)
        .take(CANDIDATES_MAX)
    {
        let net = net.clone();
        records.spawn(async move { (account, record_of(&net, chain, account, now_unix_s).await) });
    }
    let found: BTreeMap<Account, Capability> = gather(&mut records)
        .await
        .into_iter()
        .filter_map(|(account, record)| Some((account, record?)))
        .collect();
    found.into_values().collect()
}

/// The newest valid record of a worker.
async fn record_of(
    net: &NetHandle,
    chain: ChainId,
    worker: Account,
    now_unix_s: u64,
) -> Option<Capability> {
    let key = capability_key(&worker);
    let values = net.get_record(key.to_vec()).await.ok()?;
    values
        .iter()
        .filter_map(|bytes| Capability::verify(bytes, &chain, Some(&key), now_unix_s).ok())
        .max_by_key(|record| record.sequence)
}

/// What has finished in time.
async fn gather<T: 'static>(tasks: &mut JoinSet<T>) -> Vec<T> {
    let mut done = Vec::new();
    let deadline = tokio::time::Instant::now() + SEARCH_PATIENCE;
    while let Ok(Some(result)) = tokio::time::timeout_at(deadline, tasks.join_next()).await {
        done.extend(result);
    }
    tasks.abort_all();
    done
}
