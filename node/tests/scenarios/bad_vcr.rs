//! Validators do not vote for a block with a bad VCR: a second copy of a real
//! chain is brought to the block before the VCR's, and shown that block with
//! one thing wrong, by a worker and a proposer who agree on the lie.

use super::cluster::{Cluster, eventually};
use super::records::{digit_job, register};
use aether::chain::{Chain, Judged, Mempool, NodeLibrary};
use aether::demo::DIGITS_MODEL;
use aether::roles::{Attester as _, SimulatedTee};
use aether::rpc::Backend as _;
use aether::service::now_ms;
use aether_kzg::{Prover, Setup, TraceElement};
use aether_mesh::{
    Account, Action, Block, JobId, SignedTx, Slot, TxBody, Vcr, VerifiedTx, vcr_sign_bytes,
};
use aether_storage::{BlobStore, ChainStore, DataDir};
use std::sync::{Arc, Mutex};

fn commit(trace: &[[u8; 31]]) -> Vec<u8> {
    let elements: Vec<TraceElement> = trace.iter().map(|e| TraceElement(*e)).collect();
    Prover::new(Setup::ethereum())
        .commit(&elements)
        .unwrap()
        .to_bytes()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_proposed_block_with_a_bad_vcr_is_judged_invalid() {
    let names = ["validator-1", "coordinator-1", "worker-1", "requester"];
    let mut cluster = Cluster::new(&names).await;
    for name in &names[..3] {
        cluster.start(name, &[DIGITS_MODEL.to_vec()]).await;
    }
    let model = register(&cluster, DIGITS_MODEL).await;
    let posted = Action::PostJob(digit_job(model));
    let id = JobId(cluster.submit("coordinator-1", "requester", posted).await.0);
    let vcr_of = || cluster.job("validator-1", &id).and_then(|job| job.vcr);
    eventually("the VCR to be in a block", || vcr_of().is_some()).await;
    let slot = vcr_of().unwrap().slot;

    let rules = cluster.network.rules.clone();
    let chain_id = rules.chain_id;
    let folder = tempfile::tempdir().unwrap();
    let blobs = BlobStore::open(&DataDir::open(folder.path()).unwrap(), 1 << 30).unwrap();
    blobs.put(DIGITS_MODEL).unwrap();
    let library = Arc::new(NodeLibrary::new(blobs, rules.model_limits()));
    let (told, _) = tokio::sync::broadcast::channel(8);
    let pool = Arc::new(Mutex::new(Mempool::default()));
    let store = ChainStore::in_memory();
    let mut copy = Chain::open(rules, store, library, pool, Account::default(), told).unwrap();
    let node = cluster.node("validator-1");
    for height in 1..slot.0 {
        let (block, certificate) = node.block(Slot(height)).unwrap();
        assert_eq!(
            copy.judge(&block).unwrap(),
            Judged::Valid,
            "height {height}"
        );
        copy.commit(block, certificate).unwrap();
    }
    let (good, _) = node.block(slot).unwrap();
    let is_vcr = |tx: &VerifiedTx| matches!(tx.action(), Action::SubmitVcr { .. });
    let at = good
        .txs
        .iter()
        .position(|tx| is_vcr(&tx.clone().verify(&chain_id).unwrap()))
        .unwrap();
    let honest = good.txs[at].clone().verify(&chain_id).unwrap();
    let Action::SubmitVcr { vcr, .. } = honest.action() else {
        unreachable!()
    };

    // The worker's own TEE attests whatever session it likes.
    let pem = std::fs::read_to_string(cluster.folder.member("worker-1").unwrap().tee()).unwrap();
    let tee = SimulatedTee::from_pem(&pem).unwrap();
    let key = cluster.key("worker-1");
    let (parent, _) = node.block(Slot(slot.0 - 1)).unwrap();
    let again = |change: &dyn Fn(&mut Vcr), spoil: bool| -> SignedTx {
        let mut vcr = vcr.as_ref().clone();
        vcr.session_key = tee.session_key();
        let bound = Slot(slot.0 - 1);
        let now = now_ms() / 1_000;
        let attested = tee.evidence(&chain_id, &vcr.worker, bound, &parent.id(), now);
        vcr.evidence = attested.unwrap().evidence;
        change(&mut vcr);
        let encoded = vcr.encode();
        let mut session_signature = tee.sign(&vcr_sign_bytes(&chain_id, &encoded));
        session_signature[7] ^= u8::from(spoil);
        let action = Action::SubmitVcr {
            encoded,
            vcr: Box::new(vcr),
            session_signature,
        };
        TxBody {
            nonce: 0,
            expiry_slot: honest.body().expiry_slot,
            action,
        }
        .sign(&key, &chain_id)
    };
    let mut judge = |tx: SignedTx| {
        let mut block: Block = good.clone();
        block.txs[at] = tx;
        block.header.txs_root = Block::txs_root(&block.txs);
        copy.judge(&block).unwrap()
    };
    type Crime<'a> = (&'a str, bool, &'a dyn Fn(&mut Vcr), &'a str);
    let crimes: [Crime<'_>; 6] = [
        ("forged session signature", true, &|_| {}, "session key"),
        (
            "other commitment",
            false,
            &|v| v.commitment = commit(&v.trace[1..]),
            "commitment",
        ),
        (
            "foreign header",
            false,
            &|v| {
                v.trace[0][0] ^= 1;
                v.commitment = commit(&v.trace);
            },
            "header",
        ),
        (
            "other final state",
            false,
            &|v| v.final_state[4] ^= 1,
            "final state",
        ),
        (
            "evidence for another key",
            false,
            &|v| v.evidence = vcr.evidence.clone(),
            "evidence",
        ),
        (
            "evidence of a slot to come",
            false,
            &|v| v.evidence.slot = slot,
            "evidence",
        ),
    ];
    for (crime, spoil, change, says) in crimes {
        match judge(again(change, spoil)) {
            Judged::Invalid(why) => assert!(why.contains(says), "{crime}: {why}"),
            other => panic!("{crime}: {other:?}"),
        }
    }
    // What makes the crimes crimes: without them only the root differs, since
    // another session was attested, and the block as it was is right.
    match judge(again(&|_| {}, false)) {
        Judged::Invalid(why) => assert!(why.contains("state root"), "{why}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(judge(good.txs[at].clone()), Judged::Valid);
    cluster.check_equal_and_conserved().await;
    cluster.stop().await;
}
