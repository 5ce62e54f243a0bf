//! Whether to accept, when to run, what to publish.
//!
//! - Stake is bonded once, if there is none. Then the worker registers what it
//!   runs in, and again when three quarters of the registration's life are
//!   over, so that it never lapses while we are there.
//! - Which models we hold is the operator's choice. Those that are registered
//!   are advertised whenever they or our free room change, and every
//!   [`ADVERTISE_SLOTS`].
//! - Assigned: fetch model and input, then accept with fresh evidence. If the
//!   bytes do not come, we stay silent: no penalty before an accept.
//! - Accepted (in a block): run. The run starts only then, because money
//!   follows blocks.
//! - Finished: publish the VCR, unless the deadline has passed.
//! - Begun again after a stop: what the state says is ours is taken up.

use crate::machine::{Action, Context, Event, LOOK_AROUND_SLOTS, Role, Submission};
use aether_mesh::{
    Account, Action as TxAction, Amount, JobId, JobStatus, ModelId, ModelRecord, Role as BondRole,
    Slot, StateEvent, WorkerRecord, keys, load,
};
use std::collections::BTreeMap;

/// A registration that is in no block after so many slots is made anew.
const ATTEST_SLOTS: u64 = 20;

/// The record in the DHT is renewed this often.
pub const ADVERTISE_SLOTS: u64 = 20;

/// What an operator decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerConfig {
    /// Stake to bond if none is.
    pub stake: Amount,
    /// Least payment.
    pub price_min: Amount,
    /// Models to hold, ascending.
    pub models: Vec<ModelId>,
    /// Jobs at once, at most the network's.
    pub jobs_max: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Fetching,
    Accepting,
    Running,
    Publishing,
}

/// Runs what it is assigned.
pub struct Worker {
    account: Account,
    config: WorkerConfig,
    jobs: BTreeMap<JobId, Stage>,
    bonded: bool,
    /// Last slot that may include the registration under way.
    attesting: Option<Slot>,
    advertised: Option<(Slot, u32, Vec<ModelId>)>,
    looked: Option<Slot>,
}

impl Worker {
    /// For a worker's account.
    pub fn new(account: Account, config: WorkerConfig) -> Self {
        Self {
            account,
            config,
            jobs: BTreeMap::new(),
            bonded: false,
            attesting: None,
            advertised: None,
            looked: None,
        }
    }

    fn on_block(&mut self, cx: &Context<'_>, events: &[StateEvent]) -> Vec<Action> {
        let mut actions = self.bond_once(cx);
        actions.extend(self.attest(cx));
        for event in events {
            match event {
                StateEvent::JobAssigned { job, worker, .. } if *worker == self.account => {
                    actions.extend(self.assigned(cx, job));
                }
                StateEvent::JobAccepted { job, worker } if *worker == self.account => {
                    actions.extend(self.accepted(job));
                }
                StateEvent::VcrSubmitted { job, .. }
                | StateEvent::JobExpired { job, .. }
                | StateEvent::JobCancelled { job } => {
                    self.jobs.remove(job);
                }
                // Somebody else was chosen meanwhile.
                StateEvent::JobAssigned { job, .. } => {
                    self.jobs.remove(job);
                }
                _ => {}
            }
        }
        actions.extend(self.look_around(cx));
        actions.extend(self.advertise(cx));
        actions
    }

    /// Takes up what the state says is ours and we do not know of; forgets
    /// what is ours no longer.
    fn look_around(&mut self, cx: &Context<'_>) -> Vec<Action> {
        if self
            .looked
            .is_some_and(|at| cx.slot.since(at) < LOOK_AROUND_SLOTS)
        {
            return Vec::new();
        }
        self.looked = Some(cx.slot);
        self.jobs.retain(|id, _| {
            cx.job(id).is_some_and(|job| {
                matches!(job.status, JobStatus::Assigned | JobStatus::Accepted)
                    && job.assignment.is_some_and(|a| a.worker == self.account)
            })
        });
        let mut actions = Vec::new();
        for (id, job) in cx.unfinished() {
            let ours = job
                .assignment
                .as_ref()
                .is_some_and(|a| a.worker == self.account);
            if !ours || self.jobs.contains_key(&id) {
                continue;
            }
            match job.status {
                JobStatus::Assigned => actions.extend(self.assigned(cx, &id)),
                JobStatus::Accepted => actions.extend(self.accepted(&id)),
                _ => {}
            }
        }
        actions
    }

    fn accepted(&mut self, id: &JobId) -> Vec<Action> {
        match self.jobs.insert(*id, Stage::Running) {
            // Under way already: one run is enough.
            Some(stage @ (Stage::Running | Stage::Publishing)) => {
                self.jobs.insert(*id, stage);
                Vec::new()
            }
            _ => vec![Action::Run { job: *id }],
        }
    }

    fn bond_once(&mut self, cx: &Context<'_>) -> Vec<Action> {
        let registered = matches!(cx.state.get(&keys::worker(&self.account)), Ok(Some(_)));
        if registered || self.bonded {
            return Vec::new();
        }
        self.bonded = true;
        vec![Action::Submit {
            what: Submission::Bond,
            action: TxAction::Bond {
                role: BondRole::Worker,
                amount: self.config.stake.max(cx.rules.params().worker_stake_min),
            },
            expiry: cx.slot.after(100),
        }]
    }

    /// Registers, or renews what will lapse.
    fn attest(&mut self, cx: &Context<'_>) -> Vec<Action> {
        let record: Option<WorkerRecord> = load(cx.state, &keys::worker(&self.account), "worker")
            .ok()
            .flatten();
        let Some(record) = record else {
            return Vec::new();
        };
        let renew_slots = cx.rules.params().registration_slots / 4;
        let held = record
            .registration
            .is_some_and(|r| r.until > cx.slot.after(renew_slots));
        if held || self.attesting.is_some_and(|until| cx.slot <= until) {
            return Vec::new();
        }
        let expiry = cx.slot.after(ATTEST_SLOTS);
        self.attesting = Some(expiry);
        vec![Action::Attest { expiry }]
    }

    fn assigned(&mut self, cx: &Context<'_>, id: &JobId) -> Vec<Action> {
        let Some(job) = cx.job(id) else {
            return Vec::new();
        };
        let Some(model) = model(cx, &job.model) else {
            return Vec::new();
        };
        // Chosen once more for what we are at already.
        self.jobs.remove(id);
        if job.payment < self.config.price_min {
            return vec![Action::Say(format!(
                "job {}: pays too little for us",
                id.short()
            ))];
        }
        if self.jobs.len() as u64 >= u64::from(self.room(cx)) {
            return vec![Action::Say(format!(
                "job {}: no room, not accepting",
                id.short()
            ))];
        }
        self.jobs.insert(*id, Stage::Fetching);
        vec![Action::FetchBlobs {
            job: *id,
            blobs: vec![model.onnx, job.input],
        }]
    }

    fn room(&self, cx: &Context<'_>) -> u32 {
        self.config.jobs_max.min(cx.rules.params().worker_jobs_max)
    }

    fn advertise(&mut self, cx: &Context<'_>) -> Vec<Action> {
        let held: Vec<ModelId> = self
            .config
            .models
            .iter()
            .copied()
            .filter(|m| model(cx, m).is_some())
            .collect();
        let taken = u32::try_from(self.jobs.len()).unwrap_or(u32::MAX);
        let free = self.room(cx).saturating_sub(taken);
        let fresh = self.advertised.as_ref().is_some_and(|(at, f, models)| {
            cx.slot.since(*at) < ADVERTISE_SLOTS && *f == free && *models == held
        });
        if fresh || held.is_empty() {
            return Vec::new();
        }
        self.advertised = Some((cx.slot, free, held.clone()));
        vec![Action::Advertise {
            models: held,
            slots_free: free,
            price_min: self.config.price_min,
        }]
    }

    fn finished(
        &mut self,
        cx: &Context<'_>,
        id: JobId,
        result: Result<crate::RunResult, String>,
    ) -> Vec<Action> {
        if self.jobs.get(&id) != Some(&Stage::Running) {
            return Vec::new();
        }
        let Some(record) = cx.job(&id) else {
            return Vec::new();
        };
        match result {
            Err(why) => {
                self.jobs.remove(&id);
                vec![Action::Say(format!(
                    "job {}: the run failed: {why}",
                    id.short()
                ))]
            }
            Ok(_) if record.status != JobStatus::Accepted || cx.slot >= record.deadline => {
                self.jobs.remove(&id);
                vec![Action::Say(format!(
                    "job {}: finished too late",
                    id.short()
                ))]
            }
            Ok(result) => {
                self.jobs.insert(id, Stage::Publishing);
                vec![Action::PublishVcr {
                    job: id,
                    result,
                    expiry: record.deadline,
                }]
            }
        }
    }
}

impl Role for Worker {
    fn account(&self) -> Account {
        self.account
    }

    fn handle(&mut self, cx: &Context<'_>, event: Event) -> Vec<Action> {
        match event {
            Event::Block { events } => self.on_block(cx, &events),
            Event::BlobsReady { job: id } => match (self.jobs.get(&id), cx.job(&id)) {
                (Some(Stage::Fetching), Some(record)) => {
                    self.jobs.insert(id, Stage::Accepting);
                    let expiry = cx
                        .slot
                        .after(cx.rules.params().accept_slots.saturating_add(1));
                    vec![Action::Accept {
                        job: id,
                        expiry: expiry.min(record.deadline),
                    }]
                }
                _ => Vec::new(),
            },
            Event::RunFinished { job, result } => self.finished(cx, job, result),
            Event::SubmissionFailed { what } => {
                match what {
                    Submission::Bond => self.bonded = false,
                    Submission::Attest => self.attesting = None,
                    Submission::Accept(job) | Submission::Vcr(job) => {
                        self.jobs.remove(&job);
                    }
                    _ => {}
                }
                Vec::new()
            }
            _ => Vec::new(),
        }
    }
}

fn model(cx: &Context<'_>, id: &ModelId) -> Option<ModelRecord> {
    load(cx.state, &keys::model(id), "model").ok().flatten()
}
