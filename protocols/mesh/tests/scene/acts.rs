//! What people do: signed transactions, and the usual sequences of them.

use super::*;
use aether_tee::{Binding, EvidenceKind, UnixTime};
use ed25519_dalek::{Signer as _, SigningKey};

impl Scene {
    /// A signed transaction with the account's next nonce.
    pub fn tx(&self, who: &str, action: Action) -> VerifiedTx {
        self.tx_after(who, action, 0)
    }

    /// The same when `before` spendings of the account stand before it in the
    /// block.
    pub fn tx_after(&self, who: &str, action: Action, before: u64) -> VerifiedTx {
        let next = self.account_record(&account(who)).nonce + 1 + before;
        let nonce = if action.is_spending() { next } else { 0 };
        self.tx_of(
            who,
            TxBody {
                nonce,
                expiry_slot: self.slot.after(100),
                action,
            },
        )
    }

    /// Exactly this body, signed.
    pub fn tx_of(&self, who: &str, body: TxBody) -> VerifiedTx {
        body.sign(&key(who), &self.rules.chain_id)
            .verify(&self.rules.chain_id)
            .expect("verifies")
    }

    // --- jobs --------------------------------------------------------------

    /// Usual terms.
    pub fn terms(&self) -> PostJob {
        PostJob {
            model: self.model,
            input: Payload::Inline(picture_bytes(1)),
            tee_kinds: vec![],
            reputation_min: 0,
            payment: Amount::aic(10),
            gas_limit: 1 << 30,
            deadline_slots: 60,
            seed: 7,
        }
    }

    /// Posts a job with the usual terms.
    pub fn post(&mut self) -> JobId {
        self.post_with(|_| {})
    }

    /// Posts a job with changed terms.
    pub fn post_with(&mut self, change: impl FnOnce(&mut PostJob)) -> JobId {
        let mut terms = self.terms();
        change(&mut terms);
        self.keep_inline(&terms.input);
        let tx = self.tx("requester", Action::PostJob(terms));
        self.block(std::slice::from_ref(&tx));
        JobId(tx.id().0)
    }

    /// Nodes keep inline bytes by their address too.
    pub fn keep_inline(&self, payload: &Payload) {
        if let Payload::Inline(bytes) = payload {
            self.library.insert(bytes);
        }
    }

    /// The coordinator whose turn it is first.
    pub fn first_coordinator(&self, job: &JobId) -> &'static str {
        self.coordinators(job)[0]
    }

    /// Coordinators by rank.
    pub fn coordinators(&self, job: &JobId) -> Vec<&'static str> {
        let least = self.rules.params().coordinator_stake_min;
        let ranking = coordinator_ranking(&self.state, job, least).unwrap();
        let name = |a: &Account| *PEOPLE.iter().find(|who| account(who) == *a).unwrap();
        ranking.iter().map(name).collect()
    }

    pub fn assign_tx(&self, coordinator: &str, job: &JobId, worker: &str) -> VerifiedTx {
        let worker_epoch = load::<WorkerRecord>(&self.state, &keys::worker(&account(worker)), "")
            .unwrap()
            .map_or(0, |w| w.registration_epoch);
        let action = Action::Assign {
            job: *job,
            worker: account(worker),
            worker_epoch,
        };
        self.tx(coordinator, action)
    }

    /// The first coordinator chooses a worker.
    pub fn assign(&mut self, job: &JobId, worker: &str) {
        let tx = self.assign_tx(self.first_coordinator(job), job, worker);
        self.block(&[tx]);
    }

    /// Evidence for a session, bound to the last block.
    pub fn evidence(&self, worker: &str, session: &SigningKey) -> BoundEvidence {
        self.evidence_at(worker, session, self.slot)
    }

    /// Evidence bound to a past block.
    pub fn evidence_at(&self, worker: &str, session: &SigningKey, slot: Slot) -> BoundEvidence {
        let binding = Binding::new(
            self.rules.chain_id.as_bytes(),
            account(worker).as_bytes(),
            session.verifying_key().as_bytes(),
            slot.0,
            self.ids[&slot].as_bytes(),
        );
        let at = UnixTime(time_ms(slot) / 1_000);
        let document = self.platform.quote(&binding, &measurement(), at).bytes;
        BoundEvidence {
            kind: EvidenceKind::Simulated,
            document,
            slot,
            endorsements: None,
        }
    }

    /// A registration with evidence bound to the last block.
    pub fn attest_tx(&self, worker: &str) -> VerifiedTx {
        let session = session(worker);
        let evidence = self.evidence(worker, &session);
        self.attest_with(worker, &session, evidence)
    }

    pub fn attest_with(
        &self,
        worker: &str,
        session: &SigningKey,
        evidence: BoundEvidence,
    ) -> VerifiedTx {
        let session_key = session.verifying_key().to_bytes();
        self.tx(
            worker,
            Action::Attest {
                session_key,
                evidence,
            },
        )
    }

    pub fn accept_tx(&self, job: &JobId, worker: &str) -> VerifiedTx {
        let session = session(worker);
        let evidence = self.evidence(worker, &session);
        self.accept_with(job, worker, &session, evidence)
    }

    pub fn accept_with(
        &self,
        job: &JobId,
        worker: &str,
        session: &SigningKey,
        evidence: BoundEvidence,
    ) -> VerifiedTx {
        let session_key = session.verifying_key().to_bytes();
        self.tx(
            worker,
            Action::Accept {
                job: *job,
                session_key,
                evidence,
            },
        )
    }

    /// Posted, assigned to "worker", accepted.
    pub fn accepted(&mut self) -> JobId {
        let job = self.post();
        self.accept_job(&job, "worker");
        job
    }

    /// Assigned and accepted.
    pub fn accept_job(&mut self, job: &JobId, worker: &str) {
        self.assign(job, worker);
        let accept = self.accept_tx(job, worker);
        self.block(&[accept]);
        assert_eq!(self.status(job), JobStatus::Accepted);
    }

    /// A VCR transaction around a VCR, signed by this session key.
    pub fn vcr_tx(&self, worker: &str, vcr: Vcr, session: &SigningKey) -> VerifiedTx {
        let encoded = vcr.encode();
        let signed = session.sign(&vcr_sign_bytes(&self.rules.chain_id, &encoded));
        let session_signature = signed.to_bytes();
        self.tx(
            worker,
            Action::SubmitVcr {
                encoded,
                vcr: Box::new(vcr),
                session_signature,
            },
        )
    }

    /// An honest run's VCR in a block; returns its transaction.
    pub fn submit_honest(&mut self, job: &JobId, worker: &str) -> VerifiedTx {
        let outcome = self.run(job);
        self.submit(job, worker, &outcome)
    }

    /// A run's VCR in a block.
    pub fn submit(
        &mut self,
        job: &JobId,
        worker: &str,
        outcome: &aether_inference::Outcome,
    ) -> VerifiedTx {
        let vcr = self.vcr_of(job, worker, outcome);
        let tx = self.vcr_tx(worker, vcr, &session(worker));
        self.block(std::slice::from_ref(&tx));
        assert_eq!(self.status(job), JobStatus::Submitted);
        tx
    }

    /// Everything up to an honest VCR.
    pub fn submitted(&mut self) -> JobId {
        let job = self.accepted();
        self.submit_honest(&job, "worker");
        job
    }

    /// Empty blocks until the window has closed.
    pub fn close_window(&mut self, job: &JobId) -> Vec<StateEvent> {
        let end = self.job(job).vcr.expect("there is a VCR").window_end;
        self.pass_to(end.after(1))
    }

    // --- challenges --------------------------------------------------------

    pub fn salt(who: &str) -> [u8; 32] {
        hash_parts("test/salt", &[who.as_bytes()])
    }

    pub fn commit_tx(&self, who: &str, job: &JobId, challenge: &Challenge) -> VerifiedTx {
        let least = self.rules.params().challenge_bond_min;
        self.commit_tx_with(who, job, &challenge.encode(), least)
    }

    pub fn commit_tx_with(
        &self,
        who: &str,
        job: &JobId,
        encoded: &[u8],
        bond: Amount,
    ) -> VerifiedTx {
        let vcr = self.job(job).vcr.expect("there is a VCR").tx;
        let commitment = challenge_commitment(&account(who), &vcr, encoded, &Self::salt(who));
        self.tx(
            who,
            Action::ChallengeCommit {
                job: *job,
                vcr,
                commitment,
                bond,
            },
        )
    }

    pub fn reveal_tx(&self, who: &str, job: &JobId, challenge: &Challenge) -> VerifiedTx {
        self.reveal_tx_with(who, job, challenge, Self::salt(who))
    }

    pub fn reveal_tx_with(
        &self,
        who: &str,
        job: &JobId,
        challenge: &Challenge,
        salt: [u8; 32],
    ) -> VerifiedTx {
        let (encoded, challenge) = (challenge.encode(), challenge.clone());
        self.tx(
            who,
            Action::ChallengeReveal {
                job: *job,
                encoded,
                challenge,
                salt,
            },
        )
    }

    // --- money -------------------------------------------------------------

    pub fn transfer_tx(&self, from: &str, to: &str, amount: Amount) -> VerifiedTx {
        self.tx(
            from,
            Action::Transfer {
                to: account(to),
                amount,
            },
        )
    }

    /// A validator's signed vote.
    pub fn vote(
        &self,
        n: usize,
        height: u64,
        round: u32,
        kind: VoteKind,
        block: Option<BlockId>,
    ) -> Vote {
        let height = Slot(height);
        let chain = &self.rules.chain_id;
        let message = vote_sign_bytes(chain, height, round, kind, block.as_ref());
        let signature = vote_key(n).sign(&message).to_bytes();
        Vote {
            height,
            round,
            kind,
            block,
            voter: validator(n),
            signature,
        }
    }
}
