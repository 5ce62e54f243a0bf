//! All roles together: their actions carried out at once, one block a slot.

use crate::scene::{Scene, account, session};
use crate::stage::{capability, tell_with};
use aether_behaviours::challenger::Challenger;
use aether_behaviours::coordinator::Coordinator;
use aether_behaviours::worker::{Worker, WorkerConfig};
use aether_behaviours::{Action, Event, Recheck, Role, RunResult};
use aether_inference::Outcome;
use aether_mesh::{Action as TxAction, *};
use std::collections::{BTreeMap, VecDeque};

/// A network whose nodes do what their roles decide.
struct Troupe {
    scene: Scene,
    roles: Vec<(&'static str, Box<dyn Role>)>,
    /// Who of the workers lies.
    liar: Option<&'static str>,
    outcomes: BTreeMap<JobId, Outcome>,
    vcrs: BTreeMap<JobId, VerifiedTx>,
    pool: Vec<VerifiedTx>,
}

impl Troupe {
    fn new(liar: Option<&'static str>) -> Self {
        let scene = Scene::new();
        let mut roles: Vec<(&'static str, Box<dyn Role>)> = Vec::new();
        for who in ["coordinator", "coordinator-2"] {
            roles.push((who, Box::new(Coordinator::new(account(who)))));
        }
        for who in ["worker", "worker-2"] {
            let config = WorkerConfig {
                stake: Amount::aic(1_000),
                price_min: Amount::aic(1),
                models: vec![scene.model],
                jobs_max: 2,
            };
            roles.push((who, Box::new(Worker::new(account(who), config))));
        }
        for who in ["challenger", "challenger-2"] {
            roles.push((who, Box::new(Challenger::new(account(who), [9; 32]))));
        }
        let (outcomes, vcrs) = (BTreeMap::new(), BTreeMap::new());
        Self {
            scene,
            roles,
            liar,
            outcomes,
            vcrs,
            pool: Vec::new(),
        }
    }

    /// One block of what waits, its changes to every role, and what they want.
    fn slot(&mut self) {
        let s = &self.scene;
        self.pool.retain(|tx| tx.body().expiry_slot > s.slot);
        let ctx = s.next_context();
        let candidates = std::mem::take(&mut self.pool);
        let built =
            build(&s.state, &s.rules, &s.library, ctx, candidates.clone()).expect("it builds");
        self.pool = candidates
            .into_iter()
            .filter(|tx| !built.included.contains(tx))
            .collect();
        let events = self.scene.block(&built.included);
        for at in 0..self.roles.len() {
            let mut inbox = VecDeque::from([Event::Block {
                events: events.clone(),
            }]);
            while let Some(event) = inbox.pop_front() {
                let (who, role) = &mut self.roles[at];
                let who = *who;
                let slot = self.scene.slot.0.to_be_bytes();
                let entropy = hash_parts("test/entropy", &[who.as_bytes(), &slot]);
                for action in tell_with(&self.scene, role.as_mut(), event, entropy) {
                    inbox.extend(self.carry_out(who, action));
                }
            }
        }
    }

    fn carry_out(&mut self, who: &'static str, action: Action) -> Option<Event> {
        let s = &self.scene;
        match action {
            Action::Say(_) | Action::Advertise { .. } => None,
            Action::Submit { action, expiry, .. } => {
                assert!(!action.is_spending(), "everybody is bonded");
                let body = TxBody {
                    nonce: 0,
                    expiry_slot: expiry,
                    action,
                };
                self.pool.push(s.tx_of(who, body));
                None
            }
            Action::FindWorkers { job, .. } => {
                let candidates = ["worker", "worker-2"].map(|w| capability(s, w)).to_vec();
                Some(Event::WorkersFound { job, candidates })
            }
            Action::FetchBlobs { job, .. } => Some(Event::BlobsReady { job }),
            Action::Attest { .. } => {
                self.pool.push(s.attest_tx(who));
                None
            }
            Action::Accept { job, .. } => {
                self.pool.push(s.accept_tx(&job, who));
                None
            }
            Action::Run { job } => {
                let lies = self.liar == Some(who);
                let outcome = if lies { s.cheat(&job, 4) } else { s.run(&job) };
                let result = RunResult {
                    trace: outcome.trace.clone(),
                    final_state: outcome.final_state.encode(),
                    output: Vec::new(),
                    gas: outcome.gas_used,
                };
                self.outcomes.insert(job, outcome);
                Some(Event::RunFinished {
                    job,
                    result: Ok(result),
                })
            }
            Action::PublishVcr { job, .. } => {
                let vcr = s.vcr_of(&job, who, &self.outcomes[&job]);
                let tx = s.vcr_tx(who, vcr, &session(who));
                self.vcrs.insert(job, tx.clone());
                self.pool.push(tx);
                None
            }
            Action::Recheck { job, .. } => {
                let honest = s.run(&job);
                let claimed = &self.outcomes[&job].trace;
                let differs = honest.trace.iter().zip(claimed).position(|(a, b)| a != b);
                let found = match differs {
                    None => Recheck::Agrees,
                    Some(step) => Recheck::Differs {
                        challenge: s.challenge_of(&self.vcrs[&job], step as u32),
                        step_gas: honest.step_gas[step - 1],
                    },
                };
                Some(Event::Rechecked {
                    job,
                    result: Ok(found),
                })
            }
        }
    }

    /// Posts some jobs, then lets slots pass until all have ended.
    fn play(&mut self, jobs: u64) -> Vec<JobId> {
        let posted: Vec<JobId> = (0..jobs)
            .map(|seed| {
                let terms = PostJob {
                    seed,
                    payment: Amount::aic(2),
                    ..self.scene.terms()
                };
                self.scene.keep_inline(&terms.input);
                let tx = self
                    .scene
                    .tx_after("requester", TxAction::PostJob(terms), seed);
                let job = JobId(tx.id().0);
                self.pool.push(tx);
                job
            })
            .collect();
        for _ in 0..60 {
            self.slot();
        }
        posted
    }
}

#[test]
fn honest_roles_settle_every_job_with_nobody_else_asked() {
    let mut t = Troupe::new(None);
    for job in t.play(6) {
        assert_eq!(t.scene.status(&job), JobStatus::Settled);
    }
    let settled = ["worker", "worker-2"].map(|w| t.scene.worker(w).settled);
    assert_eq!(settled.iter().sum::<u64>(), 6);
    assert_eq!(
        t.scene.supply().bonds,
        Amount::ZERO,
        "nobody challenged anything"
    );
}

#[test]
fn a_liar_among_them_is_found_out_each_time_and_only_the_liar() {
    let mut t = Troupe::new(Some("worker"));
    let jobs = t.play(6);
    let mut refuted = 0;
    for job in &jobs {
        let record = t.scene.job(job);
        let lied = record.assignment.unwrap().worker == account("worker");
        let expected = if lied {
            JobStatus::Refuted
        } else {
            JobStatus::Settled
        };
        assert_eq!(record.status, expected);
        refuted += u64::from(lied);
    }
    assert!(
        refuted > 0 && refuted < 6,
        "both workers were chosen: {refuted}"
    );
    assert_eq!(t.scene.worker("worker").refuted, refuted);
    assert_eq!(t.scene.worker("worker-2").settled, 6 - refuted);
    // Both challengers share each reward.
    let vesting = t.scene.all::<Amount>(keys::VESTING).count() as u64;
    assert_eq!(vesting, refuted * 2);
}
