//! Random stories: valid and invalid wishes in any order. Whatever people want,
//! the driver's checks hold after every block, and a proposer and everybody
//! else agree on what it changes.

use crate::scene::{Scene, account, session};
use aether_mesh::*;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// Something somebody wants. `right` chooses who is entitled, otherwise
/// anybody; numbers choose among what there is.
#[derive(Clone, Debug)]
enum Wish {
    Post {
        who: u8,
        payment: u8,
        deadline: u8,
    },
    Assign {
        job: u8,
        coordinator: u8,
        worker: u8,
        right: bool,
    },
    Accept {
        job: u8,
        worker: u8,
        right: bool,
        stale: bool,
    },
    Vcr {
        job: u8,
        worker: u8,
        right: bool,
        lie: bool,
    },
    Commit {
        job: u8,
        who: u8,
        step: u8,
        bond: u8,
    },
    Reveal {
        which: u8,
        who: Option<u8>,
    },
    Cancel {
        job: u8,
        who: u8,
        right: bool,
    },
    Transfer {
        from: u8,
        to: u8,
        amount: u16,
    },
    Bond {
        who: u8,
        coordinator: bool,
        amount: u16,
    },
    DoubleVote {
        validator: u8,
        same: bool,
    },
    Pass {
        slots: u8,
    },
}

fn wish() -> impl Strategy<Value = Wish> {
    let n = || any::<u8>();
    let right = || prop::bool::weighted(0.9);
    prop_oneof![
        4 => (n(), 0u8..9, 3u8..60)
            .prop_map(|(who, payment, deadline)| Wish::Post { who, payment, deadline }),
        6 => (n(), n(), n(), right()).prop_map(|(job, coordinator, worker, right)| {
            Wish::Assign { job, coordinator, worker, right }
        }),
        6 => (n(), n(), right(), prop::bool::weighted(0.1))
            .prop_map(|(job, worker, right, stale)| Wish::Accept { job, worker, right, stale }),
        6 => (n(), n(), right(), any::<bool>())
            .prop_map(|(job, worker, right, lie)| Wish::Vcr { job, worker, right, lie }),
        6 => (n(), n(), prop_oneof![3 => Just(3u8), 1 => 1u8..9], prop_oneof![1 => Just(0u8), 9 => 1u8..4])
            .prop_map(|(job, who, step, bond)| Wish::Commit { job, who, step, bond }),
        6 => (n(), prop::option::weighted(0.1, n()))
            .prop_map(|(which, who)| Wish::Reveal { which, who }),
        1 => (n(), n(), right()).prop_map(|(job, who, right)| Wish::Cancel { job, who, right }),
        2 => (n(), n(), any::<u16>())
            .prop_map(|(from, to, amount)| Wish::Transfer { from, to, amount }),
        1 => (n(), any::<bool>(), any::<u16>())
            .prop_map(|(who, coordinator, amount)| Wish::Bond { who, coordinator, amount }),
        1 => (n(), any::<bool>()).prop_map(|(validator, same)| Wish::DoubleVote { validator, same }),
        4 => (1u8..6).prop_map(|slots| Wish::Pass { slots }),
    ]
}

const WORKERS: [&str; 2] = ["worker", "worker-2"];
const COORDINATORS: [&str; 3] = ["coordinator", "coordinator-2", "stranger"];
const CHALLENGERS: [&str; 3] = ["challenger", "challenger-2", "worker"];
const ANYBODY: [&str; 4] = ["requester", "stranger", "owner", "worker"];

fn of<T: Clone>(all: &[T], n: u8) -> Option<T> {
    all.get(usize::from(n).checked_rem(all.len())?).cloned()
}

/// A story being told: the jobs so far, their VCRs, and who hides what.
struct Tale {
    scene: Scene,
    jobs: Vec<JobId>,
    vcrs: BTreeMap<JobId, VerifiedTx>,
    hidden: Vec<(JobId, &'static str, Challenge)>,
}

impl Tale {
    /// One of the jobs to which this can still happen, or any.
    fn job(&self, n: u8, statuses: &[JobStatus], right: bool) -> Option<JobId> {
        let fits: Vec<JobId> = self
            .jobs
            .iter()
            .copied()
            .filter(|job| !right || statuses.contains(&self.scene.status(job)))
            .collect();
        of(&fits, n)
    }

    fn worker_of(&self, job: &JobId) -> Option<&'static str> {
        let assigned = self.scene.job(job).assignment?.worker;
        WORKERS.into_iter().find(|who| account(who) == assigned)
    }

    /// The transaction of a wish, if there is one at all.
    fn tx(&mut self, wish: &Wish) -> Option<VerifiedTx> {
        use JobStatus::{Accepted, Assigned, Posted, Submitted};
        let s = &self.scene;
        Some(match *wish {
            Wish::Post {
                who,
                payment,
                deadline,
            } => {
                let mut terms = s.terms();
                terms.payment = Amount::aic(u64::from(payment));
                terms.deadline_slots = u64::from(deadline);
                s.keep_inline(&terms.input);
                s.tx(of(&ANYBODY, who)?, Action::PostJob(terms))
            }
            Wish::Assign {
                job,
                coordinator,
                worker,
                right,
            } => {
                let job = self.job(job, &[Posted, Assigned], right)?;
                let anybody = of(&COORDINATORS, coordinator)?;
                let coordinator = if right {
                    s.first_coordinator(&job)
                } else {
                    anybody
                };
                s.assign_tx(coordinator, &job, of(&WORKERS, worker)?)
            }
            Wish::Accept {
                job,
                worker,
                right,
                stale,
            } => {
                let job = self.job(job, &[Assigned], right)?;
                let worker = match right {
                    true => self.worker_of(&job)?,
                    false => of(&WORKERS, worker)?,
                };
                let session = session(worker);
                let slot = if stale { Slot(0) } else { s.slot };
                let evidence = s.evidence_at(worker, &session, slot);
                s.accept_with(&job, worker, &session, evidence)
            }
            Wish::Vcr {
                job,
                worker,
                right,
                lie,
            } => {
                let job = self.job(job, &[Accepted], right)?;
                let worker = match right {
                    true => self.worker_of(&job)?,
                    false => of(&WORKERS, worker)?,
                };
                let outcome = if lie { s.cheat(&job, 3) } else { s.run(&job) };
                let vcr = s.vcr_of(&job, worker, &outcome);
                s.vcr_tx(worker, vcr, &session(worker))
            }
            Wish::Commit {
                job,
                who,
                step,
                bond,
            } => {
                let job = self.job(job, &[Submitted], true)?;
                let challenge = s.challenge_of(self.vcrs.get(&job)?, u32::from(step));
                let (who, bond) = (of(&CHALLENGERS, who)?, Amount::aic(bond.into()));
                self.hidden.push((job, who, challenge.clone()));
                s.commit_tx_with(who, &job, &challenge.encode(), bond)
            }
            Wish::Reveal { which, who } => {
                // Mostly what can be opened now.
                let closed = |job| s.job(job).vcr.is_some_and(|vcr| vcr.closed.is_some());
                let open = |job| s.status(job) == Submitted && closed(job);
                let ready: Vec<_> = self
                    .hidden
                    .iter()
                    .filter(|(job, ..)| open(job))
                    .cloned()
                    .collect();
                let all = if ready.is_empty() {
                    &self.hidden
                } else {
                    &ready
                };
                let (job, author, challenge) = of(all, which)?;
                let who = who.and_then(|n| of(&CHALLENGERS, n)).unwrap_or(author);
                s.reveal_tx_with(who, &job, &challenge, Scene::salt(author))
            }
            Wish::Cancel { job, who, right } => {
                let job = self.job(job, &[Posted], right)?;
                let requester = s.job(&job).requester;
                let anybody = of(&ANYBODY, who)?;
                let theirs = ANYBODY.into_iter().find(|who| account(who) == requester);
                let who = if right { theirs? } else { anybody };
                s.tx(who, Action::CancelJob { job })
            }
            Wish::Transfer { from, to, amount } => s.transfer_tx(
                of(&ANYBODY, from)?,
                of(&ANYBODY, to)?,
                Amount::aic(amount.into()),
            ),
            Wish::Bond {
                who,
                coordinator,
                amount,
            } => {
                let role = if coordinator {
                    Role::Coordinator
                } else {
                    Role::Worker
                };
                let amount = Amount::aic(u64::from(amount) % 1_500);
                s.tx(of(&ANYBODY, who)?, Action::Bond { role, amount })
            }
            Wish::DoubleVote { validator, same } => {
                let (n, height) = (usize::from(validator % 4), s.slot.0);
                let kind = VoteKind::Precommit;
                let first = s.vote(n, height, 0, kind, Some(BlockId([1; 32])));
                let second = s.vote(n, height, 0, kind, same.then_some(BlockId([1; 32])));
                s.tx("owner", Action::DoubleVote { first, second })
            }
            Wish::Pass { .. } => return None,
        })
    }

    /// A proposer's block of these wishes; all others must agree with it.
    fn block(&mut self, wishes: &[Wish]) -> Result<(), TestCaseError> {
        let candidates: Vec<VerifiedTx> = wishes.iter().filter_map(|w| self.tx(w)).collect();
        let s = &self.scene;
        let ctx = s.next_context();
        let built = build(&s.state, &s.rules, &s.library, ctx, candidates.clone()).unwrap();
        let again = apply(&s.state, &s.rules, &s.library, ctx, &built.included).unwrap();
        prop_assert_eq!(&again, &built.applied);
        prop_assert_eq!(
            built.included.len() + built.left_out.len(),
            candidates.len()
        );
        for (_, refusal) in &built.left_out {
            prop_assert_ne!(refusal.blame(), Blame::Ours, "{}", refusal);
        }
        // The driver audits the books, the statuses, and that writes repeat.
        self.scene.block(&built.included);
        for tx in &built.included {
            match tx.action() {
                Action::PostJob(_) => self.jobs.push(JobId(tx.id().0)),
                Action::SubmitVcr { vcr, .. } => {
                    self.vcrs.insert(vcr.job, tx.clone());
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// How each job ended, and each challenge.
    fn ends(&self) -> Vec<String> {
        let jobs = self
            .jobs
            .iter()
            .map(|job| format!("{:?}", self.scene.status(job)));
        let challenges = self.scene.all::<ChallengeRecord>(b"x");
        jobs.chain(challenges.map(|(_, c)| format!("{:?}", c.status)))
            .collect()
    }
}

fn tell(story: &[Vec<Wish>]) -> Result<Vec<String>, TestCaseError> {
    let scene = Scene::with(|g| g.params.reveal_slots = 8);
    let (jobs, vcrs, hidden) = (Vec::new(), BTreeMap::new(), Vec::new());
    let mut tale = Tale {
        scene,
        jobs,
        vcrs,
        hidden,
    };
    for wishes in story {
        tale.block(wishes)?;
        for wish in wishes {
            if let Wish::Pass { slots } = wish {
                tale.scene.pass_slots(u64::from(*slots));
            }
        }
    }
    // In the end everything ends: windows, reveals, verdicts, deadlines.
    tale.scene.pass_slots(120);
    for job in &tale.jobs {
        prop_assert!(tale.scene.status(job).is_terminal());
    }
    let supply = tale.scene.supply();
    prop_assert_eq!((supply.escrows, supply.bonds), (Amount::ZERO, Amount::ZERO));
    for who in WORKERS {
        let worker = tale.scene.worker(who);
        prop_assert_eq!(
            (worker.jobs_running, worker.open_payments),
            (0, Amount::ZERO)
        );
    }
    Ok(tale.ends())
}

#[test]
fn whatever_people_want_the_books_balance() {
    let story = prop::collection::vec(prop::collection::vec(wish(), 1..7), 10..40);
    let config = Config {
        cases: 24,
        max_shrink_iters: 200,
        failure_persistence: None,
        ..Config::default()
    };
    let seen = RefCell::new(BTreeMap::<String, u32>::new());
    // The same stories each time, so that what they reach can be asserted.
    let mut runner = TestRunner::new_with_rng(
        config.clone(),
        proptest::test_runner::TestRng::deterministic_rng(config.rng_algorithm),
    );
    let told = runner.run(&story, |story| {
        for end in tell(&story)? {
            *seen.borrow_mut().entry(end).or_default() += 1;
        }
        Ok(())
    });
    if let Err(error) = told {
        panic!("{error}");
    }
    let seen = seen.into_inner();
    for end in [
        "Settled",
        "Refuted",
        "Expired",
        "Cancelled",
        "Upheld",
        "Failed",
        "Forfeited",
    ] {
        assert!(seen.contains_key(end), "no story came to {end}: {seen:?}");
    }
    println!("{seen:?}");
}
