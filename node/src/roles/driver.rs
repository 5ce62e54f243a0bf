//! The loop around a role: committed blocks and finished effects in, actions
//! carried out.
//!
//! - One task a role; it owns the role and everything it has under way.
//! - Effects run as tasks of their own (CPU-bound ones on the blocking pool)
//!   and report back through one bounded queue.
//! - A submission is watched until its block: in a block, or refused for good,
//!   or expired, whichever comes first; a lost one is told back to the role.
//! - Nonces of spending transactions count up from the state's.

use super::attest::Attester;
use super::discovery::{self, Directory};
use super::recheck::recheck;
use super::run::{JobInputs, Runner, VcrContext, attested, make_vcr};
use crate::chain::{Committed, NodeLibrary};
use crate::net::NetHandle;
use crate::service::{Fetcher, Submitter};
use aether_behaviours::{Action, Context, Event, Role, RunResult, Submission};
use aether_mesh::{
    AccountRecord, Action as TxAction, BlobRef, BoundEvidence, Capability, JobId, Payload, Rules,
    Slot, TxBody, TxId, keys, load,
};
use aether_storage::{ChainReads, Head};
use ed25519_dalek::SigningKey;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{broadcast, mpsc};

/// Effects' results waiting for the loop.
const RESULTS_QUEUE: usize = 1_024;
/// How long a fetch for a job may take.
const FETCH_PATIENCE: Duration = Duration::from_secs(20);

/// What a driver works with.
#[derive(Clone)]
pub struct DriverParts {
    /// The rules.
    pub rules: Arc<Rules>,
    /// State and blocks.
    pub reads: ChainReads,
    /// Bytes and programs.
    pub library: Arc<NodeLibrary>,
    /// The network.
    pub net: NetHandle,
    /// The way into the mempool.
    pub submitter: Submitter,
    /// The way to blobs.
    pub fetcher: Fetcher,
    /// Signs the role's transactions.
    pub key: SigningKey,
    /// Attests, where the role is a worker.
    pub attester: Option<Arc<dyn Attester>>,
    /// Computes, where the role is a worker.
    pub runner: Arc<dyn Runner>,
    /// Whether a worker announces itself in the DHT.
    pub advertise: bool,
}

struct Watched {
    what: Submission,
    expiry: Slot,
}

/// Drives one role.
pub struct Driver {
    parts: DriverParts,
    role: Box<dyn Role>,
    results: mpsc::Sender<Event>,
    inbox: mpsc::Receiver<Event>,
    watched: BTreeMap<TxId, Watched>,
    nonce: u64,
    /// When the event being handled arrived, for latency figures.
    since: Instant,
    posted_at: BTreeMap<JobId, Instant>,
    directory: Directory,
}

impl Driver {
    /// A driver and the way to feed it events from outside (double votes).
    pub fn new(parts: DriverParts, role: Box<dyn Role>) -> (Self, mpsc::Sender<Event>) {
        let (results, inbox) = mpsc::channel(RESULTS_QUEUE);
        let directory = Directory::new(parts.net.clone(), parts.rules.chain_id);
        let outside = results.clone();
        let driver = Self {
            parts,
            role,
            results,
            inbox,
            watched: BTreeMap::new(),
            nonce: 0,
            since: Instant::now(),
            posted_at: BTreeMap::new(),
            directory,
        };
        (driver, outside)
    }

    /// Runs until the chain ends.
    pub async fn run(mut self, mut committed: broadcast::Receiver<Arc<Committed>>) {
        // The state may already hold work for us.
        self.step(Event::Block { events: Vec::new() }).await;
        loop {
            tokio::select! {
                block = committed.recv() => match block {
                    Ok(block) => self.on_committed(&block).await,
                    // A role that fell behind goes on with the newest state.
                    Err(broadcast::error::RecvError::Lagged(missed)) => {
                        tracing::warn!(missed, "a role missed blocks");
                    }
                    Err(broadcast::error::RecvError::Closed) => return,
                },
                Some(event) = self.inbox.recv() => self.step(event).await,
            }
        }
    }

    /// The directory of workers, kept fresh for all registered models where
    /// the role assigns jobs.
    pub fn directory(&self) -> Directory {
        self.directory.clone()
    }

    async fn on_committed(&mut self, block: &Committed) {
        for tx in &block.block.txs {
            self.watched.remove(&tx.id());
        }
        let lost: Vec<TxId> = self
            .watched
            .iter()
            .filter(|(id, w)| w.expiry <= block.head.height || !self.parts.submitter.knows(id))
            .map(|(id, _)| *id)
            .collect();
        self.step(Event::Block {
            events: block.events.clone(),
        })
        .await;
        for id in lost {
            // Nonces count up from the state's again.
            self.nonce = 0;
            if let Some(watched) = self.watched.remove(&id) {
                tracing::warn!(what = ?watched.what, "a transaction of ours was lost");
                self.step(Event::SubmissionFailed { what: watched.what })
                    .await;
            }
        }
    }

    async fn step(&mut self, event: Event) {
        self.since = Instant::now();
        if let Event::Block { events } = &event {
            for event in events {
                if let aether_mesh::StateEvent::JobPosted { job } = event {
                    const POSTED_MAX: usize = 10_000;
                    if self.posted_at.len() < POSTED_MAX {
                        self.posted_at.insert(*job, self.since);
                    }
                }
            }
        }
        let Some((head, actions)) = self.decide(event) else {
            return;
        };
        for action in actions {
            self.carry_out(&head, action).await;
        }
    }

    /// Lends the role the state for one decision.
    fn decide(&mut self, event: Event) -> Option<(Head, Vec<Action>)> {
        let view = match self.parts.reads.reader() {
            Ok(view) => view,
            Err(error) => {
                tracing::error!(%error, "the state cannot be read");
                return None;
            }
        };
        let mut entropy = [0; 32];
        if getrandom::fill(&mut entropy).is_err() {
            tracing::error!("no randomness from the system");
            return None;
        }
        let head = view.head();
        let rules = &self.parts.rules;
        let cx = Context {
            rules,
            state: &view,
            slot: head.height,
            entropy,
        };
        Some((head, self.role.handle(&cx, event)))
    }

    /// Nonce of the account's last spending transaction in a block.
    fn state_nonce(&self) -> u64 {
        let key = keys::account(&self.role.account());
        let record: Option<AccountRecord> = self
            .parts
            .reads
            .reader()
            .ok()
            .and_then(|view| load(&view, &key, "account").ok().flatten());
        record.unwrap_or_default().nonce
    }

    async fn carry_out(&mut self, head: &Head, action: Action) {
        match action {
            Action::Say(what) => tracing::info!(account = %self.role.account().short(), "{what}"),
            Action::Submit {
                what,
                action,
                expiry,
            } => self.submit(what, action, expiry).await,
            Action::FindWorkers { job, model } => self.find_workers(job, model),
            Action::FetchBlobs { job, blobs } => self.fetch(job, blobs),
            Action::Attest { expiry } => self.attest(head, expiry).await,
            Action::Accept { job, expiry } => self.accept(head, job, expiry).await,
            Action::Run { job } => self.run_job(job),
            Action::PublishVcr {
                job,
                result,
                expiry,
            } => {
                self.publish_vcr(head, job, result, expiry).await;
            }
            Action::Recheck { job, vcr } => self.recheck(job, vcr),
            Action::Advertise {
                models,
                slots_free,
                price_min,
            } => {
                self.advertise(models, slots_free, price_min);
            }
        }
    }

    async fn submit(&mut self, what: Submission, action: TxAction, expiry: Slot) {
        let nonce = if action.is_spending() {
            self.nonce = self.nonce.max(self.state_nonce()) + 1;
            self.nonce
        } else {
            0
        };
        let name = action.name();
        let job = match what {
            Submission::Assign(job) => Some(job),
            _ => None,
        };
        let body = TxBody {
            nonce,
            expiry_slot: expiry,
            action,
        };
        let tx = body.sign(&self.parts.key, &self.parts.rules.chain_id);
        let id = tx.id();
        match self.parts.submitter.submit(tx).await {
            Ok(admitted) => {
                tracing::debug!(tx = %id, name, ?admitted, "submitted");
                if let Some(posted) = job.and_then(|job| self.posted_at.remove(&job)) {
                    metrics::histogram!("aether_assignment_seconds")
                        .record(posted.elapsed().as_secs_f64());
                }
                self.watched.insert(id, Watched { what, expiry });
            }
            Err(error) => {
                tracing::warn!(tx = %id, name, %error, "submission refused");
                self.nonce = 0;
                self.gave_up(what);
            }
        }
    }

    fn find_workers(&self, job: JobId, model: aether_mesh::ModelId) {
        // What was found lately is good enough: the chain checks eligibility,
        // and an assignment should not wait for the DHT.
        if let Some(candidates) = self.directory.fresh(&model) {
            let _ = self
                .results
                .try_send(Event::WorkersFound { job, candidates });
            return;
        }
        let (directory, results) = (self.directory.clone(), self.results.clone());
        tokio::spawn(async move {
            let candidates = directory.look_up(model).await;
            let _ = results.send(Event::WorkersFound { job, candidates }).await;
        });
    }

    fn fetch(&self, job: JobId, blobs: Vec<BlobRef>) {
        let (fetcher, results) = (self.parts.fetcher.clone(), self.results.clone());
        tokio::spawn(async move {
            for blob in blobs {
                if let Err(error) = fetcher.fetch(blob, None, FETCH_PATIENCE).await {
                    tracing::warn!(job = %job.short(), blob = %blob.id.short(), %error, "not fetched");
                    return;
                }
            }
            let _ = results.send(Event::BlobsReady { job }).await;
        });
    }

    /// The session key and fresh evidence for it.
    async fn session(&mut self, head: &Head) -> Option<([u8; 32], BoundEvidence)> {
        let Some(attester) = self.parts.attester.clone() else {
            tracing::error!("a worker without a TEE can neither register nor accept jobs");
            return None;
        };
        let session_key = attester.session_key();
        let (parts, worker, head) = (self.parts.clone(), self.role.account(), *head);
        let made = tokio::task::spawn_blocking(move || {
            let cx = VcrContext {
                rules: &parts.rules,
                worker,
                head: (head.height, head.block_id),
                now_unix_s: now_unix_s(),
            };
            attested(&cx, &*attester, parts.library.store())
        });
        match made.await {
            Ok(Ok(evidence)) => Some((session_key, evidence)),
            Ok(Err(error)) => {
                tracing::error!(%error, "the TEE gave no evidence");
                None
            }
            Err(error) => {
                tracing::error!(%error, "the TEE gave no evidence");
                None
            }
        }
    }

    /// Tells the role that nothing will come of it.
    fn gave_up(&self, what: Submission) {
        let _ = self.results.try_send(Event::SubmissionFailed { what });
    }

    async fn attest(&mut self, head: &Head, expiry: Slot) {
        if let Some((session_key, evidence)) = self.session(head).await {
            let action = TxAction::Attest {
                session_key,
                evidence,
            };
            self.submit(Submission::Attest, action, expiry).await;
        } else {
            self.gave_up(Submission::Attest);
        }
    }

    async fn accept(&mut self, head: &Head, job: JobId, expiry: Slot) {
        if let Some((session_key, evidence)) = self.session(head).await {
            let action = TxAction::Accept {
                job,
                session_key,
                evidence,
            };
            self.submit(Submission::Accept(job), action, expiry).await;
        } else {
            self.gave_up(Submission::Accept(job));
        }
    }

    fn inputs(&self) -> impl Fn(&JobId) -> Result<JobInputs, String> + Send + 'static {
        let parts = self.parts.clone();
        move |job| {
            let view = parts.reads.reader().map_err(|e| e.to_string())?;
            JobInputs::load(&parts.rules, &view, &*parts.library, job)
        }
    }

    fn run_job(&self, job: JobId) {
        let (inputs, runner) = (self.inputs(), self.parts.runner.clone());
        let results = self.results.clone();
        tokio::task::spawn_blocking(move || {
            let started = Instant::now();
            let result = inputs(&job).and_then(|inputs| runner.run(&inputs));
            metrics::histogram!("aether_inference_seconds").record(started.elapsed().as_secs_f64());
            let _ = results.blocking_send(Event::RunFinished { job, result });
        });
    }

    async fn publish_vcr(&mut self, head: &Head, job: JobId, result: RunResult, expiry: Slot) {
        let started = Instant::now();
        let Some(attester) = self.parts.attester.clone() else {
            return;
        };
        let limits = &self.parts.rules.params().limits;
        let output = if result.output.len() as u64 <= limits.inline_bytes_max {
            Payload::Inline(result.output.clone())
        } else {
            match self.parts.library.store().put(&result.output) {
                Ok(blob) => Payload::Blob(blob),
                Err(error) => {
                    tracing::error!(%error, "the output could not be stored");
                    return;
                }
            }
        };
        let (rules, library) = (self.parts.rules.clone(), self.parts.library.clone());
        let (worker, head) = (self.role.account(), *head);
        let made = tokio::task::spawn_blocking(move || {
            let cx = VcrContext {
                rules: &rules,
                worker,
                head: (head.height, head.block_id),
                now_unix_s: now_unix_s(),
            };
            make_vcr(&cx, &*attester, library.store(), job, result, output)
        })
        .await;
        match made {
            Ok(Ok(action)) => {
                self.submit(Submission::Vcr(job), action, expiry).await;
                metrics::histogram!("aether_vcr_seconds").record(started.elapsed().as_secs_f64());
            }
            Ok(Err(why)) => tracing::error!(job = %job.short(), %why, "no VCR was made"),
            Err(error) => tracing::error!(job = %job.short(), %error, "no VCR was made"),
        }
    }

    fn recheck(&self, job: JobId, vcr: TxId) {
        let (inputs, parts) = (self.inputs(), self.parts.clone());
        let results = self.results.clone();
        tokio::spawn(async move {
            let result = fetch_for(&parts, &job).await;
            let work = tokio::task::spawn_blocking(move || {
                result?;
                let started = Instant::now();
                let inputs = inputs(&job)?;
                let vcr = find_vcr(&parts, &inputs, &vcr)?;
                let result = recheck(&inputs, &vcr.trace, parts.library.store());
                metrics::histogram!("aether_recheck_seconds")
                    .record(started.elapsed().as_secs_f64());
                result
            });
            let result = work.await.unwrap_or_else(|e| Err(e.to_string()));
            let _ = results.send(Event::Rechecked { job, result }).await;
        });
    }

    fn advertise(
        &self,
        models: Vec<aether_mesh::ModelId>,
        slots_free: u32,
        price_min: aether_mesh::Amount,
    ) {
        let Some(attester) = self
            .parts
            .attester
            .as_ref()
            .filter(|_| self.parts.advertise)
        else {
            return;
        };
        let now = now_unix_s();
        let capability = Capability {
            worker: self.role.account(),
            peer_id: self.parts.net.local_peer_id().to_bytes(),
            models,
            tee_kind: attester.kind(),
            price_min,
            slots_free,
            sequence: crate::service::now_ms(),
            expiry_unix_s: now + aether_mesh::LIFETIME_S_MAX / 2,
        };
        let (net, chain, key) = (
            self.parts.net.clone(),
            self.parts.rules.chain_id,
            self.parts.key.clone(),
        );
        tokio::spawn(async move {
            if let Err(why) = discovery::advertise(&net, &chain, &key, capability).await {
                tracing::debug!(%why, "the capability record was not stored everywhere");
            }
        });
    }
}

/// Brings a job's model and input into our store.
async fn fetch_for(parts: &DriverParts, job: &JobId) -> Result<(), String> {
    let blobs = {
        let view = parts.reads.reader().map_err(|e| e.to_string())?;
        let record: aether_mesh::JobRecord = load(&view, &keys::job(job), "job")
            .map_err(|e| e.to_string())?
            .ok_or("the job is not known")?;
        let model: aether_mesh::ModelRecord = load(&view, &keys::model(&record.model), "model")
            .map_err(|e| e.to_string())?
            .ok_or("the model is not known")?;
        [model.onnx, record.input]
    };
    for blob in blobs {
        parts
            .fetcher
            .fetch(blob, None, FETCH_PATIENCE)
            .await
            .map_err(|e| e.to_string())?;
    }
    Ok(())
}

/// The VCR as it stands in its block.
fn find_vcr(
    parts: &DriverParts,
    inputs: &JobInputs,
    id: &TxId,
) -> Result<aether_mesh::Vcr, String> {
    let slot = inputs
        .job
        .vcr
        .as_ref()
        .map(|v| v.slot)
        .ok_or("the job has no VCR")?;
    let (block, _) = parts
        .reads
        .block(slot)
        .map_err(|e| e.to_string())?
        .ok_or("the VCR's block is not here")?;
    let tx = block
        .txs
        .into_iter()
        .find(|tx| tx.id() == *id)
        .ok_or("the block has no such VCR")?;
    let tx = tx
        .verify(&parts.rules.chain_id)
        .map_err(|e| e.to_string())?;
    match tx.action() {
        TxAction::SubmitVcr { vcr, .. } => Ok(vcr.as_ref().clone()),
        _ => Err("the transaction is no VCR".to_owned()),
    }
}

fn now_unix_s() -> u64 {
    crate::service::now_ms() / 1_000
}
