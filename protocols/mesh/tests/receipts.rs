//! Receipt files: what anybody can verify offline, and that every byte counts.

use crate::scene::{Scene, commit, other_root, session, usual_genesis, vote_key};
use aether_mesh::*;
use jmt::storage::{LeafNode, Node, NodeBatch, NodeKey, TreeReader};
use jmt::{JellyfishMerkleTree, KeyHash, OwnedValue, Version};

/// A tree over a map, as a full node keeps one.
struct Tree {
    nodes: NodeBatch,
    root: [u8; 32],
}

impl TreeReader for Tree {
    fn get_node_option(&self, key: &NodeKey) -> anyhow::Result<Option<Node>> {
        Ok(self.nodes.get_node(key).cloned())
    }

    fn get_value_option(&self, _: Version, key: KeyHash) -> anyhow::Result<Option<OwnedValue>> {
        Ok(self.nodes.values().get(&(0, key)).cloned().flatten())
    }

    fn get_rightmost_leaf(&self) -> anyhow::Result<Option<(NodeKey, LeafNode)>> {
        anyhow::bail!("only restoring asks for it")
    }
}

impl Tree {
    fn over(state: &MapState) -> Self {
        let mut tree = Tree {
            nodes: NodeBatch::default(),
            root: [0; 32],
        };
        let values: Vec<_> = state
            .0
            .iter()
            .map(|(k, v)| (key_hash(k), Some(v.clone())))
            .collect();
        let (root, batch) = JellyfishMerkleTree::<_, StateHasher>::new(&tree)
            .put_value_set(values, 0)
            .expect("a tree");
        tree.nodes = batch.node_batch;
        tree.root = root.0;
        tree
    }

    fn prove(&self, key: &[u8]) -> Vec<u8> {
        let (_, proof) = JellyfishMerkleTree::<_, StateHasher>::new(self)
            .get_with_proof(key_hash(key), 0)
            .expect("a proof");
        borsh::to_vec(&proof).unwrap()
    }
}

/// A receipt for a job as the state now says, final by three of four.
pub(crate) fn receipt(s: &Scene, job: &JobId, posting: &VerifiedTx, vcr: &VerifiedTx) -> Receipt {
    let tree = Tree::over(&s.state);
    let key = keys::job(job);
    let header = Header {
        chain_id: s.rules.chain_id,
        height: s.slot,
        time_ms: crate::scene::time_ms(s.slot),
        parent_id: s.ids[&Slot(s.slot.0 - 1)],
        parent_certificate_hash: [1; 32],
        txs_root: [2; 32],
        state_root: tree.root,
        validators_hash: s.rules.validators.hash(),
        next_validators_hash: s.rules.validators.hash(),
        proposer: s.rules.validators.validators()[0].account,
    };
    let certificate = certify(s, &header);
    Receipt {
        job: posting.signed().clone(),
        vcr: vcr.signed().clone(),
        record: s.state.get(&key).unwrap().expect("the job is known"),
        proof: tree.prove(&key),
        header,
        certificate,
        endorsements: Vec::new(),
        tee_rules: Vec::new(),
        tee_rules_proof: Vec::new(),
    }
}

fn certify(s: &Scene, header: &Header) -> Certificate {
    let votes: Vec<Vote> = (0..3)
        .map(|n| {
            s.vote(
                n,
                header.height.0,
                1,
                VoteKind::Precommit,
                Some(header.id()),
            )
        })
        .collect();
    Certificate::aggregate(&s.rules.validators, header.height, 1, header.id(), &votes)
        .expect("three of four")
}

/// A job of this network up to its VCR: posting and VCR.
fn up_to_vcr(s: &mut Scene, lie: bool) -> (JobId, VerifiedTx, VerifiedTx) {
    let terms = s.terms();
    s.keep_inline(&terms.input);
    let posting = s.tx("requester", Action::PostJob(terms));
    let job = JobId(posting.id().0);
    s.block(std::slice::from_ref(&posting));
    s.accept_job(&job, "worker");
    let outcome = if lie { s.cheat(&job, 3) } else { s.run(&job) };
    let vcr = s.submit(&job, "worker", &outcome);
    (job, posting, vcr)
}

fn settled(s: &mut Scene) -> (JobId, Receipt) {
    let (job, posting, vcr) = up_to_vcr(s, false);
    s.close_window(&job);
    assert_eq!(s.status(&job), JobStatus::Settled);
    let receipt = receipt(s, &job, &posting, &vcr);
    (job, receipt)
}

fn code(receipt: &Receipt, rules: &Rules) -> &'static str {
    receipt.verify(rules).expect_err("it is refused").code()
}

#[test]
fn a_settled_jobs_receipt_verifies_offline() {
    let mut s = Scene::new();
    let (job, receipt) = settled(&mut s);
    let bytes = receipt.encode();
    let back = Receipt::decode(&bytes).unwrap();
    assert_eq!(back, receipt);
    // All that a verifier has is the genesis.
    let rules = Rules::new(usual_genesis()).unwrap();
    let verified = back.verify(&rules).unwrap();
    assert_eq!(verified.job, job);
    assert_eq!(verified.terms, s.terms());
    assert_eq!(verified.worker, crate::scene::account("worker"));
    assert_eq!(verified.record, s.job(&job));
    assert_eq!(verified.appraisal.measurement, crate::scene::measurement());
    assert_eq!(verified.signers, (3, 30_000, 40_000));
    assert_eq!(
        verified.record.outcome.unwrap().worker_reward,
        Amount::aic(9)
    );
}

#[test]
fn every_byte_of_a_receipt_counts() {
    let mut s = Scene::new();
    let (_, receipt) = settled(&mut s);
    let bytes = receipt.encode();
    let rules = &s.rules;
    let judge = |flipped: &[u8]| Receipt::decode(flipped).and_then(|r| r.verify(rules));
    assert!(judge(&bytes).is_ok());
    let threads = std::thread::available_parallelism()
        .map_or(2, usize::from)
        .min(8);
    let codes: Vec<&'static str> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|first| {
                let (bytes, judge) = (&bytes, &judge);
                scope.spawn(move || {
                    let mut codes = Vec::new();
                    for at in (first..bytes.len()).step_by(threads) {
                        let mut flipped = bytes.clone();
                        flipped[at] ^= 1 << (at % 8);
                        match judge(&flipped) {
                            Err(error) => codes.push(error.code()),
                            Ok(_) => panic!("byte {at} of {} does not count", bytes.len()),
                        }
                    }
                    codes
                })
            })
            .collect();
        workers
            .into_iter()
            .flat_map(|w| w.join().unwrap())
            .collect()
    });
    assert_eq!(codes.len(), bytes.len());
    for expected in ["malformed", "not-final", "not-in-state", "bad-transaction"] {
        assert!(codes.contains(&expected), "{expected}");
    }
}

#[test]
fn cut_and_extended_receipts_are_refused() {
    let mut s = Scene::new();
    let (_, receipt) = settled(&mut s);
    let bytes = receipt.encode();
    for cut in (0..bytes.len()).step_by(13) {
        let refused = Receipt::decode(&bytes[..cut]).and_then(|r| r.verify(&s.rules));
        assert!(refused.is_err(), "cut to {cut}");
    }
    for tail in [&[0u8][..], &[0x78, 1], &[0x08, 1], &bytes] {
        let longer = [&bytes[..], tail].concat();
        assert_eq!(Receipt::decode(&longer).unwrap_err().code(), "malformed");
    }
    let huge = vec![0; RECEIPT_BYTES_MAX + 1];
    assert_eq!(Receipt::decode(&huge).unwrap_err().code(), "malformed");
    // A version that is not known here.
    assert_eq!(bytes[..2], [0x08, 1]);
    let newer = [&[0x08, 2], &bytes[2..]].concat();
    assert_eq!(Receipt::decode(&newer), Err(ReceiptError::Version(2)));
    let unversioned = &bytes[2..];
    assert_eq!(Receipt::decode(unversioned), Err(ReceiptError::Version(0)));
}

#[test]
fn a_job_that_is_not_settled_has_no_receipt() {
    let mut s = Scene::new();
    let (job, posting, vcr) = up_to_vcr(&mut s, true);
    let open = receipt(&s, &job, &posting, &vcr);
    assert_eq!(
        open.verify(&s.rules).err(),
        Some(ReceiptError::NotSettled("still open"))
    );
    let challenge = s.challenge_of(&vcr, 3);
    s.block(&[s.commit_tx("challenger", &job, &challenge)]);
    s.close_window(&job);
    s.block(&[s.reveal_tx("challenger", &job, &challenge)]);
    s.pass();
    assert_eq!(s.status(&job), JobStatus::Refuted);
    let refuted = receipt(&s, &job, &posting, &vcr);
    let error = refuted.verify(&s.rules).unwrap_err();
    assert_eq!(
        (error.code(), error),
        ("not-settled", ReceiptError::NotSettled("refuted"))
    );
}

#[test]
fn expired_and_cancelled_jobs_are_named() {
    let mut s = Scene::new();
    let (_, _, vcr) = up_to_vcr(&mut s, false);
    let mut terms = s.terms();
    terms.deadline_slots = 1;
    let posting = s.tx("requester", Action::PostJob(terms));
    let job = JobId(posting.id().0);
    s.block(std::slice::from_ref(&posting));
    s.pass_slots(2);
    let expired = receipt(&s, &job, &posting, &vcr);
    assert_eq!(
        expired.verify(&s.rules).err(),
        Some(ReceiptError::NotSettled("expired"))
    );

    let posting = s.tx("requester", Action::PostJob(s.terms()));
    let job = JobId(posting.id().0);
    s.block(std::slice::from_ref(&posting));
    s.block(&[s.tx("requester", Action::CancelJob { job })]);
    let cancelled = receipt(&s, &job, &posting, &vcr);
    assert_eq!(
        cancelled.verify(&s.rules).err(),
        Some(ReceiptError::NotSettled("cancelled"))
    );
}

#[test]
fn another_network_says_so() {
    let mut s = Scene::new();
    let (_, receipt) = settled(&mut s);
    let mut other = usual_genesis();
    other.time_ms += 1;
    assert_eq!(code(&receipt, &Rules::new(other).unwrap()), "other-chain");
}

#[test]
fn a_network_without_measurements_gives_unmeasured_receipts() {
    let mut s = Scene::with(|g| g.tee.measurements.clear());
    let (_, receipt) = settled(&mut s);
    assert_eq!(code(&receipt, &s.rules), "unmeasured");
}

#[test]
fn parts_of_different_receipts_do_not_mix() {
    let mut s = Scene::new();
    let (_, one) = settled(&mut s);
    let (_, two) = settled(&mut s);
    // Both are final under the second header.
    assert!(two.verify(&s.rules).is_ok());
    let mix = |change: fn(&mut Receipt, &Receipt)| {
        let mut mixed = two.clone();
        change(&mut mixed, &one);
        code(&mixed, &s.rules)
    };
    assert_eq!(mix(|r, o| r.vcr = o.vcr.clone()), "other-transaction");
    assert_eq!(mix(|r, o| r.job = o.job.clone()), "not-in-state");
    assert_eq!(mix(|r, o| r.record = o.record.clone()), "not-in-state");
    assert_eq!(mix(|r, o| r.proof = o.proof.clone()), "not-in-state");
    assert_eq!(mix(|r, o| r.header = o.header.clone()), "not-final");
    assert_eq!(
        mix(|r, o| r.certificate = o.certificate.clone()),
        "not-final"
    );
    assert_eq!(mix(|r, _| r.vcr = r.job.clone()), "other-transaction");
    assert_eq!(mix(|r, _| r.proof.clear()), "not-in-state");
    assert_eq!(mix(|r, _| r.proof.push(0)), "not-in-state");
    assert_eq!(
        mix(|r, _| r.proof = vec![0; PROOF_BYTES_MAX + 1]),
        "not-in-state"
    );
    assert_eq!(
        mix(|r, _| r.header.validators_hash[0] ^= 1),
        "other-validators"
    );
    assert_eq!(mix(|r, _| r.header.height.0 += 1), "not-final");
}

#[test]
fn too_few_signatures_are_not_final() {
    let mut s = Scene::new();
    let (_, mut receipt) = settled(&mut s);
    let id = receipt.header.id();
    let height = receipt.header.height;
    let message = vote_sign_bytes(&s.rules.chain_id, height, 1, VoteKind::Precommit, Some(&id));
    let two: Vec<_> = (0..2).map(|n| vote_key(n).sign(&message)).collect();
    receipt.certificate.signature = aether_kzg::bls::aggregate(&two).unwrap().to_bytes();
    let set = &s.rules.validators;
    let mut bitmap = 0u8;
    for n in 0..2 {
        bitmap |= 1 << set.index_of(&crate::scene::validator(n)).unwrap();
    }
    receipt.certificate.signers = vec![bitmap];
    assert_eq!(code(&receipt, &s.rules), "not-final");
}

/// A receipt whose record was changed in a state that validators signed all the
/// same: what the verifier checks for itself.
fn conspiracy(change: impl FnOnce(&mut JobRecord)) -> (Receipt, Scene) {
    let mut s = Scene::new();
    let (job, posting, vcr) = up_to_vcr(&mut s, false);
    s.close_window(&job);
    let mut record = s.job(&job);
    change(&mut record);
    s.state
        .0
        .insert(keys::job(&job), borsh::to_vec(&record).unwrap());
    (receipt(&s, &job, &posting, &vcr), s)
}

/// What a conspiracy writes into the state.
type Plot = (&'static str, fn(&mut JobRecord), &'static str);

#[test]
fn even_a_signed_state_must_agree_with_the_evidence_and_the_trace() {
    let table: &[Plot] = &[
        (
            "stale evidence",
            |j| {
                let vcr = j.vcr.as_mut().unwrap();
                vcr.slot = vcr.evidence.slot.after(61);
            },
            "not-fresh",
        ),
        (
            "evidence of the VCR's own slot",
            |j| {
                let vcr = j.vcr.as_mut().unwrap();
                vcr.slot = vcr.evidence.slot;
            },
            "not-fresh",
        ),
        (
            "evidence bound to another block",
            |j| {
                j.vcr.as_mut().unwrap().evidence.block.0[0] ^= 1;
            },
            "evidence-refused",
        ),
        (
            "another digest",
            |j| {
                j.vcr.as_mut().unwrap().evidence.digest[0] ^= 1;
            },
            "evidence-refused",
        ),
        (
            "another slot",
            |j| {
                j.vcr.as_mut().unwrap().evidence.slot.0 -= 1;
            },
            "other-transaction",
        ),
        (
            "another time",
            |j| j.vcr.as_mut().unwrap().time_ms += 86_400_000,
            "evidence-refused",
        ),
        (
            "another VCR",
            |j| j.vcr.as_mut().unwrap().tx.0[0] ^= 1,
            "other-transaction",
        ),
        (
            "another worker",
            |j| {
                j.assignment.as_mut().unwrap().worker.0[0] ^= 1;
            },
            "other-transaction",
        ),
        (
            "another commitment",
            |j| j.vcr.as_mut().unwrap().commitment[9] ^= 1,
            "bad-trace",
        ),
        (
            "another length",
            |j| j.vcr.as_mut().unwrap().elements += 1,
            "bad-trace",
        ),
        ("another seed", |j| j.seed += 1, "other-transaction"),
        ("another payment", |j| j.payment.0 += 1, "other-transaction"),
        (
            "another requester",
            |j| j.requester.0[0] ^= 1,
            "other-transaction",
        ),
        ("another model", |j| j.model.0[0] ^= 1, "other-transaction"),
        (
            "another gas limit",
            |j| j.gas_limit += 1,
            "other-transaction",
        ),
        (
            "other demands",
            |j| j.tee_kinds = vec![3],
            "other-transaction",
        ),
        (
            "another input's bytes",
            |j| j.input.bytes_len += 1,
            "other-transaction",
        ),
        ("another input", |j| j.inputs_root[0] ^= 1, "bad-trace"),
        ("no VCR", |j| j.vcr = None, "bad-record"),
        ("no assignment", |j| j.assignment = None, "bad-record"),
    ];
    for (what, plot, expected) in table {
        let (receipt, s) = conspiracy(plot);
        assert_eq!(code(&receipt, &s.rules), *expected, "{what}");
    }
    let (receipt, s) = conspiracy(|_| {});
    assert!(
        receipt.verify(&s.rules).is_ok(),
        "the conspiracy is the only difference"
    );
}

#[test]
fn a_record_that_is_none_is_refused() {
    let mut s = Scene::new();
    let (job, posting, vcr) = up_to_vcr(&mut s, false);
    s.close_window(&job);
    s.state
        .0
        .insert(keys::job(&job), b"settled, believe me".to_vec());
    let receipt = receipt(&s, &job, &posting, &vcr);
    assert_eq!(code(&receipt, &s.rules), "bad-record");
}

#[test]
fn an_unrelated_signed_trace_does_not_pass() {
    // The record names a VCR whose trace, commitment or output is wrong: the
    // chain would never have taken it, and the verifier does not either.
    type Spoil = (&'static str, fn(&mut Vcr), &'static str);
    let table: &[Spoil] = &[
        (
            "commitment",
            |v| {
                let mut other = v.trace.clone();
                other[1][0] ^= 1;
                v.commitment = commit(&other);
            },
            "bad-commitment",
        ),
        (
            "infinity",
            |v| {
                v.commitment = vec![0; 48];
                v.commitment[0] = 0xc0;
            },
            "bad-commitment",
        ),
        (
            "header",
            |v| {
                v.trace[0][0] ^= 1;
                v.commitment = commit(&v.trace);
            },
            "bad-trace",
        ),
        (
            "end",
            |v| {
                v.trace.last_mut().unwrap()[0] ^= 1;
                v.commitment = commit(&v.trace);
            },
            "bad-trace",
        ),
        (
            "output",
            |v| {
                v.output = Payload::Inline(aether_inference::encode_outputs(&[]));
            },
            "bad-trace",
        ),
        (
            "output's place",
            |v| v.output = Payload::Blob(BlobRef::of(b"other")),
            "bad-trace",
        ),
    ];
    for (what, spoil, expected) in table {
        let mut s = Scene::new();
        let (job, posting, vcr) = up_to_vcr(&mut s, false);
        s.close_window(&job);
        let Action::SubmitVcr { vcr: honest, .. } = vcr.action() else {
            panic!("a VCR")
        };
        let mut wrong = honest.as_ref().clone();
        spoil(&mut wrong);
        let commitment = wrong.commitment.clone();
        let wrong = s.vcr_tx("worker", wrong, &session("worker"));
        let mut record = s.job(&job);
        let recorded = record.vcr.as_mut().unwrap();
        (recorded.tx, recorded.commitment) = (wrong.id(), commitment);
        s.state
            .0
            .insert(keys::job(&job), borsh::to_vec(&record).unwrap());
        let receipt = receipt(&s, &job, &posting, &wrong);
        assert_eq!(code(&receipt, &s.rules), *expected, "{what}");
    }
    // Signed by a session that nobody attested.
    let mut s = Scene::new();
    let (job, posting, vcr) = up_to_vcr(&mut s, false);
    s.close_window(&job);
    let Action::SubmitVcr { vcr: honest, .. } = vcr.action() else {
        panic!("a VCR")
    };
    let wrong = s.vcr_tx("worker", honest.as_ref().clone(), &session("worker-2"));
    let mut record = s.job(&job);
    record.vcr.as_mut().unwrap().tx = wrong.id();
    s.state
        .0
        .insert(keys::job(&job), borsh::to_vec(&record).unwrap());
    let receipt = receipt(&s, &job, &posting, &wrong);
    assert_eq!(code(&receipt, &s.rules), "bad-session-signature");
}

#[test]
fn a_receipt_says_what_it_trusts() {
    // The same validators, but roots that did not issue this platform: since a
    // genesis is its chain id, nothing of another trust verifies.
    let mut s = Scene::new();
    let (_, receipt) = settled(&mut s);
    let mut other = usual_genesis();
    other.tee.simulated_roots = vec![other_root().fingerprint().to_string()];
    assert_eq!(code(&receipt, &Rules::new(other).unwrap()), "other-chain");
    // And a verifier that wrongly takes the chain for its own still refuses.
    let mut rules = Rules::new(usual_genesis()).unwrap();
    rules.anchors.simulated_roots = vec![other_root().fingerprint()];
    assert_eq!(code(&receipt, &rules), "evidence-refused");
    let mut rules = Rules::new(usual_genesis()).unwrap();
    rules.tee_rules.measurements = vec![aether_tee::Measurement::of(b"another image").0];
    assert_eq!(code(&receipt, &rules), "evidence-refused");
}

#[test]
fn a_receipt_names_blobs_and_verifies_without_their_bytes() {
    let mut s = Scene::new();
    let mut terms = s.terms();
    terms.input = Payload::Blob(s.library.insert(&crate::scene::picture_bytes(4)));
    let posting = s.tx("requester", Action::PostJob(terms));
    let job = JobId(posting.id().0);
    s.block(std::slice::from_ref(&posting));
    s.accept_job(&job, "worker");
    let mut vcr = s.vcr_of(&job, "worker", &s.run(&job));
    let Payload::Inline(output) = &vcr.output else {
        panic!("inline")
    };
    vcr.output = Payload::Blob(s.library.insert(output));
    let vcr = s.vcr_tx("worker", vcr, &session("worker"));
    s.block(std::slice::from_ref(&vcr));
    s.close_window(&job);
    let bytes = receipt(&s, &job, &posting, &vcr).encode();
    let rules = Rules::new(usual_genesis()).unwrap();
    let verified = Receipt::decode(&bytes).unwrap().verify(&rules).unwrap();
    assert_eq!(verified.record.input, verified.terms.input.blob_ref());
}
