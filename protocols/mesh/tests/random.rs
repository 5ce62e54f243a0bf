//! Random stories: valid and invalid wishes in any order. Whatever people want,
//! the driver's checks hold after every block, and a proposer and everybody
//! else agree on what it changes.

use crate::scene::{Scene, session};
use aether_mesh::*;
use proptest::prelude::*;

/// Something somebody wants.
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
    },
    Accept {
        job: u8,
        worker: u8,
        stale: bool,
    },
    Vcr {
        job: u8,
        worker: u8,
        lie: bool,
    },
    Commit {
        job: u8,
        who: u8,
        step: u8,
        bond: u8,
    },
    Reveal {
        job: u8,
        who: u8,
        step: u8,
    },
    Cancel {
        job: u8,
        who: u8,
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
    prop_oneof![
        4 => (n(), 0u8..24, 1u8..40)
            .prop_map(|(who, payment, deadline)| Wish::Post { who, payment, deadline }),
        6 => (n(), n(), n())
            .prop_map(|(job, coordinator, worker)| Wish::Assign { job, coordinator, worker }),
        6 => (n(), n(), prop::bool::weighted(0.1))
            .prop_map(|(job, worker, stale)| Wish::Accept { job, worker, stale }),
        6 => (n(), n(), any::<bool>()).prop_map(|(job, worker, lie)| Wish::Vcr { job, worker, lie }),
        5 => (n(), n(), 1u8..9, 0u8..4)
            .prop_map(|(job, who, step, bond)| Wish::Commit { job, who, step, bond }),
        5 => (n(), n(), 1u8..9).prop_map(|(job, who, step)| Wish::Reveal { job, who, step }),
        1 => (n(), n()).prop_map(|(job, who)| Wish::Cancel { job, who }),
        2 => (n(), n(), any::<u16>())
            .prop_map(|(from, to, amount)| Wish::Transfer { from, to, amount }),
        1 => (n(), any::<bool>(), any::<u16>())
            .prop_map(|(who, coordinator, amount)| Wish::Bond { who, coordinator, amount }),
        1 => (n(), any::<bool>()).prop_map(|(validator, same)| Wish::DoubleVote { validator, same }),
        3 => (1u8..14).prop_map(|slots| Wish::Pass { slots }),
    ]
}

const WORKERS: [&str; 2] = ["worker", "worker-2"];
const COORDINATORS: [&str; 3] = ["coordinator", "coordinator-2", "stranger"];
const CHALLENGERS: [&str; 3] = ["challenger", "challenger-2", "worker"];
const ANYBODY: [&str; 4] = ["requester", "stranger", "owner", "worker"];

fn of<T: Copy>(all: &[T], n: u8) -> T {
    all[n as usize % all.len()]
}

/// A story being told: the jobs so far and their VCRs.
struct Tale {
    scene: Scene,
    jobs: Vec<JobId>,
    vcrs: std::collections::BTreeMap<JobId, VerifiedTx>,
}

impl Tale {
    fn job(&self, n: u8) -> Option<JobId> {
        // The latest jobs are the ones that something can happen to.
        let recent = self.jobs.len().saturating_sub(4);
        self.jobs
            .get(recent..)
            .filter(|j| !j.is_empty())
            .map(|j| of(j, n))
    }

    /// The transaction of a wish, if there is one at all.
    fn tx(&mut self, wish: &Wish) -> Option<VerifiedTx> {
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
                s.tx(of(&ANYBODY, who), Action::PostJob(terms))
            }
            Wish::Assign {
                job,
                coordinator,
                worker,
            } => s.assign_tx(
                of(&COORDINATORS, coordinator),
                &self.job(job)?,
                of(&WORKERS, worker),
            ),
            Wish::Accept { job, worker, stale } => {
                let (job, worker) = (self.job(job)?, of(&WORKERS, worker));
                let session = session(worker);
                let slot = if stale { Slot(0) } else { s.slot };
                let evidence = s.evidence_at(worker, &session, slot);
                s.accept_with(&job, worker, &session, evidence)
            }
            Wish::Vcr { job, worker, lie } => {
                let (job, worker) = (self.job(job)?, of(&WORKERS, worker));
                let outcome = if lie { s.cheat(&job, 3) } else { s.run(&job) };
                let vcr = s.vcr_of(&job, worker, &outcome);
                let tx = s.vcr_tx(worker, vcr, &session(worker));
                self.vcrs.insert(job, tx.clone());
                tx
            }
            Wish::Commit {
                job,
                who,
                step,
                bond,
            } => {
                let job = self.job(job)?;
                let recorded = s.job(&job).vcr?;
                let vcr = self.vcrs.get(&job).filter(|tx| tx.id() == recorded.tx)?;
                let encoded = s.challenge_of(vcr, u32::from(step)).encode();
                s.commit_tx_with(
                    of(&CHALLENGERS, who),
                    &job,
                    &encoded,
                    Amount::aic(bond.into()),
                )
            }
            Wish::Reveal { job, who, step } => {
                let job = self.job(job)?;
                let recorded = s.job(&job).vcr?;
                let vcr = self.vcrs.get(&job).filter(|tx| tx.id() == recorded.tx)?;
                let challenge = s.challenge_of(vcr, u32::from(step));
                s.reveal_tx(of(&CHALLENGERS, who), &job, &challenge)
            }
            Wish::Cancel { job, who } => s.tx(
                of(&ANYBODY, who),
                Action::CancelJob {
                    job: self.job(job)?,
                },
            ),
            Wish::Transfer { from, to, amount } => s.transfer_tx(
                of(&ANYBODY, from),
                of(&ANYBODY, to),
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
                s.tx(of(&ANYBODY, who), Action::Bond { role, amount })
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
        for tx in &built.included {
            if let Action::PostJob(_) = tx.action() {
                self.jobs.push(JobId(tx.id().0));
            }
        }
        // The driver audits the books, the statuses, and that writes repeat.
        self.scene.block(&built.included);
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, ..Default::default() })]

    #[test]
    fn whatever_people_want_the_books_balance(
        story in prop::collection::vec(prop::collection::vec(wish(), 1..6), 5..30)
    ) {
        let scene = Scene::with(|g| g.params.reveal_slots = 8);
        let mut tale =
            Tale { scene, jobs: Vec::new(), vcrs: std::collections::BTreeMap::new() };
        for wishes in &story {
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
        for who in ["worker", "worker-2"] {
            let worker = tale.scene.worker(who);
            prop_assert_eq!((worker.jobs_running, worker.open_payments), (0, Amount::ZERO));
        }
    }
}
