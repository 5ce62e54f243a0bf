//! A small network: keys from names, four validators, one real model, a
//! simulated TEE, and a driver that applies block after block on a map.
//!
//! After every block the driver checks what must hold after every block: the
//! books balance, each job has at most one end and its status only moves
//! forward, and applying the block again gives the same writes.

#![allow(dead_code, unreachable_pub, unused_imports)]

mod acts;
mod cast;
mod runs;

pub use cast::*;
pub use runs::commit;

use aether_mesh::*;
use aether_tee::sim::SimPlatform;
use std::collections::BTreeMap;

/// A network and where it stands.
pub struct Scene {
    pub rules: Rules,
    pub library: MemoryLibrary,
    pub state: MapState,
    /// The last block's slot.
    pub slot: Slot,
    /// Ids of all blocks so far, the genesis' first.
    pub ids: BTreeMap<Slot, BlockId>,
    /// The worker's TEE.
    pub platform: SimPlatform,
    /// Who makes the next blocks, if not those whose turn it is.
    pub proposer: Option<Account>,
    /// The registered model.
    pub model: ModelId,
    /// Every event so far.
    pub events: Vec<StateEvent>,
    statuses: BTreeMap<JobId, JobStatus>,
}

impl Scene {
    /// The usual network: workers bonded and attested, coordinators bonded, the
    /// model registered.
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    /// The same with a changed genesis.
    pub fn with(change: impl FnOnce(&mut Genesis)) -> Self {
        let mut genesis = usual_genesis();
        change(&mut genesis);
        let mut scene = Self::bare(genesis);
        let p = scene.rules.params().clone();
        let mut txs = Vec::new();
        for who in ["worker", "worker-2"] {
            let amount = p.worker_stake_min;
            txs.push(scene.tx(
                who,
                Action::Bond {
                    role: Role::Worker,
                    amount,
                },
            ));
            // Where the network believes our TEE.
            if !scene.rules.anchors.simulated_roots.is_empty() {
                txs.push(scene.attest_tx(who));
            }
        }
        for who in ["coordinator", "coordinator-2"] {
            let amount = p.coordinator_stake_min;
            txs.push(scene.tx(
                who,
                Action::Bond {
                    role: Role::Coordinator,
                    amount,
                },
            ));
        }
        let onnx = scene.library.insert(&digits_onnx());
        txs.push(scene.tx("owner", Action::RegisterModel { onnx }));
        scene.block(&txs);
        let registered = scene.events.iter().find_map(|e| match e {
            StateEvent::ModelRegistered { model, .. } => Some(*model),
            _ => None,
        });
        scene.model = registered.expect("the model is registered");
        scene
    }

    /// A network at height 0.
    pub fn bare(genesis: Genesis) -> Self {
        let rules = Rules::new(genesis).expect("the genesis holds");
        let mut state = MapState::default();
        state.commit(&genesis_state(&rules).expect("the genesis has a state"));
        let library = MemoryLibrary::new(rules.model_limits());
        let ids = BTreeMap::from([(Slot(0), BlockId(rules.chain_id.0))]);
        let scene = Self {
            rules,
            library,
            state,
            slot: Slot(0),
            ids,
            platform: platform(&sim_root()),
            proposer: None,
            model: ModelId::default(),
            events: Vec::new(),
            statuses: BTreeMap::new(),
        };
        scene.audit();
        scene
    }

    // --- blocks ------------------------------------------------------------

    /// What the next block's header says.
    pub fn next_context(&self) -> BlockContext {
        let slot = self.slot.after(1);
        let turn = self
            .rules
            .validators
            .proposer(slot, 0, self.rules.params().epoch_slots);
        BlockContext {
            slot,
            time_ms: time_ms(slot),
            parent_id: self.ids[&self.slot],
            proposer: self.proposer.unwrap_or(turn.account),
        }
    }

    /// Applies a block with these transactions, or says why not; nothing is
    /// kept then.
    pub fn try_block(&mut self, txs: &[VerifiedTx]) -> Result<Vec<StateEvent>, ApplyError> {
        let ctx = self.next_context();
        let mut txs = txs.to_vec();
        txs.sort_by_key(|tx| tx.action().phase());
        let run = || apply(&self.state, &self.rules, &self.library, ctx, &txs);
        let applied = run();
        assert_eq!(applied, run(), "the same block gives the same writes");
        let applied = applied?;
        self.state.commit(&applied.writes);
        let parts: Vec<&[u8]> = txs.iter().map(|tx| &tx.signed().body[..]).collect();
        let id = hash_parts("test/block", &[&ctx.slot.0.to_be_bytes(), &parts.concat()]);
        self.slot = ctx.slot;
        self.ids.insert(ctx.slot, BlockId(id));
        self.audit();
        self.statuses_move_forward();
        self.events.extend(applied.events.clone());
        Ok(applied.events)
    }

    /// Applies a block that is valid.
    pub fn block(&mut self, txs: &[VerifiedTx]) -> Vec<StateEvent> {
        self.try_block(txs).expect("the block applies")
    }

    /// An empty block.
    pub fn pass(&mut self) -> Vec<StateEvent> {
        self.block(&[])
    }

    /// Empty blocks.
    pub fn pass_slots(&mut self, slots: u64) -> Vec<StateEvent> {
        (0..slots).flat_map(|_| self.pass()).collect()
    }

    /// Empty blocks until after this slot's.
    pub fn pass_to(&mut self, slot: Slot) -> Vec<StateEvent> {
        self.pass_slots(slot.since(self.slot))
    }

    /// Why the next block may not hold this transaction.
    pub fn refusal(&self, tx: &VerifiedTx) -> Refusal {
        let ctx = self.next_context();
        let txs = std::slice::from_ref(tx);
        match apply(&self.state, &self.rules, &self.library, ctx, txs) {
            Err(ApplyError::Tx {
                refusal, tx: id, ..
            }) => {
                assert_eq!(id, tx.id());
                refusal
            }
            other => panic!("{} was to be refused: {other:?}", tx.action().name()),
        }
    }

    /// The reason of a refusal, for comparison with a part of it.
    pub fn why(&self, tx: &VerifiedTx) -> String {
        self.refusal(tx).to_string()
    }

    /// Asserts that the next block may not hold it, for this reason.
    pub fn refused(&self, tx: &VerifiedTx, because: &str) {
        let why = self.why(tx);
        assert!(
            why.contains(because),
            "refused because {why:?}, not {because:?}"
        );
    }

    // --- what must always hold ---------------------------------------------

    fn audit(&self) {
        let audit = audit(&self.state).expect("the state can be counted");
        assert!(
            audit.holds(),
            "the books balance at {}: {audit:#?}",
            self.slot
        );
        let open: u64 = self.jobs().filter(|(_, j)| !j.status.is_terminal()).count() as u64;
        assert_eq!(audit.jobs_open, open);
        for (_, worker) in self.all::<WorkerRecord>(keys::WORKERS) {
            assert!(worker.jobs_running <= self.rules.params().worker_jobs_max);
        }
        // A platform's count is its accepted jobs'.
        for (key, running) in self.all::<u32>(keys::PLATFORMS) {
            assert!(running <= self.rules.params().platform_jobs_max);
            let here = |j: &JobRecord| j.platform.is_some_and(|id| key[1..] == id);
            let jobs = self.jobs().filter(|(_, j)| here(j));
            assert_eq!(running as usize, jobs.count());
        }
        // What a worker has open is what its jobs say.
        for (key, worker) in self.all::<WorkerRecord>(keys::WORKERS) {
            let account = Account::from_slice(&key[1..]).unwrap();
            let mine: u128 = self
                .jobs()
                .filter(|(_, j)| !j.status.is_terminal())
                .filter(|(_, j)| j.assignment.as_ref().is_some_and(|a| a.worker == account))
                .map(|(_, j)| j.payment.0)
                .sum();
            assert_eq!(worker.open_payments, Amount(mine));
            let running = self
                .jobs()
                .filter(|(_, j)| j.status == JobStatus::Accepted)
                .filter(|(_, j)| j.assignment.as_ref().is_some_and(|a| a.worker == account))
                .count();
            assert_eq!(worker.jobs_running as usize, running);
        }
    }

    fn statuses_move_forward(&mut self) {
        let now: Vec<(JobId, JobStatus)> = self.jobs().map(|(id, j)| (id, j.status)).collect();
        for (id, status) in now {
            if let Some(before) = self.statuses.insert(id, status) {
                let forward =
                    before == status || !before.is_terminal() && order(before) < order(status);
                assert!(forward, "{before:?} → {status:?}");
            }
        }
    }

    fn jobs(&self) -> impl Iterator<Item = (JobId, JobRecord)> + '_ {
        self.all::<JobRecord>(keys::JOBS)
            .map(|(key, job)| (JobId::from_slice(&key[1..]).unwrap(), job))
    }

    pub fn all<T: borsh::BorshDeserialize>(
        &self,
        prefix: &'static [u8],
    ) -> impl Iterator<Item = (Vec<u8>, T)> + '_ {
        self.state
            .scan(prefix, b"", usize::MAX)
            .unwrap()
            .into_iter()
            .map(|(key, value)| (key, T::try_from_slice(&value).expect("a record")))
    }

    // --- looking -----------------------------------------------------------

    pub fn job(&self, id: &JobId) -> JobRecord {
        load(&self.state, &keys::job(id), "job")
            .unwrap()
            .expect("the job is known")
    }

    pub fn status(&self, id: &JobId) -> JobStatus {
        self.job(id).status
    }

    pub fn outcome(&self, id: &JobId) -> Outcome {
        self.job(id).outcome.expect("the job has ended")
    }

    pub fn worker(&self, who: &str) -> WorkerRecord {
        load(&self.state, &keys::worker(&account(who)), "worker")
            .unwrap()
            .expect("registered")
    }

    pub fn balance(&self, who: &str) -> Amount {
        self.account_record(&account(who)).balance
    }

    pub fn account_record(&self, a: &Account) -> AccountRecord {
        load(&self.state, &keys::account(a), "account")
            .unwrap()
            .unwrap_or_default()
    }

    pub fn supply(&self) -> Supply {
        load(&self.state, keys::SUPPLY, "supply")
            .unwrap()
            .expect("there are books")
    }

    pub fn challenge_record(&self, job: &JobId, who: &str) -> ChallengeRecord {
        load(
            &self.state,
            &keys::challenge(job, &account(who)),
            "challenge",
        )
        .unwrap()
        .expect("there is a challenge")
    }

    pub fn reputation(&self, who: &str) -> i64 {
        reputation_now(
            &self.worker(who),
            self.slot,
            self.rules.params().epoch_slots,
        )
    }

    /// What a transaction costs its signer besides what it moves.
    pub fn fee(&self, tx: &VerifiedTx) -> Amount {
        let blobs: u64 = tx.action().blobs().iter().map(|b| b.bytes_len).sum();
        let bytes = tx.signed().encoded_len() as u64 + blobs;
        fee(self.rules.params().fee_per_kib, bytes).unwrap()
    }

    /// Writes a worker's record without asking anybody.
    pub fn edit_worker(&mut self, who: &str, change: impl FnOnce(&mut WorkerRecord)) {
        let mut record = self.worker(who);
        change(&mut record);
        let bytes = borsh::to_vec(&record).unwrap();
        self.state.0.insert(keys::worker(&account(who)), bytes);
    }
}

fn order(status: JobStatus) -> u8 {
    match status {
        JobStatus::Posted => 0,
        JobStatus::Assigned => 1,
        JobStatus::Accepted => 2,
        JobStatus::Submitted => 3,
        JobStatus::Settled | JobStatus::Refuted | JobStatus::Expired | JobStatus::Cancelled => 4,
    }
}
