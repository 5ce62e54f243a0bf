//! Every route's happy path, through the client.

use super::{FakeNode, TestServer, account, onnx_model};
use crate::rpc::views::EventLine;
use crate::rpc::{JobFilter, found};
use aether_mesh::{
    Action, Amount, Assignment, BlobRef, ChallengeRecord, ChallengeStatus, CoordinatorRecord,
    EvidenceSummary, JobId, JobRecord, JobStatus, ModelId, Outcome, Slot, TxId, VcrRecord,
    WorkerRecord, keys,
};

pub(crate) fn transfer(node: &FakeNode, amount: u64) -> aether_mesh::SignedTx {
    node.sign(
        2,
        Action::Transfer {
            to: account(3),
            amount: Amount::aic(amount),
        },
    )
}

/// A settled job with everything in it.
pub(crate) fn settled(posted: u64) -> JobRecord {
    let evidence = EvidenceSummary {
        kind: 0x7f,
        digest: [4; 32],
        measured: true,
        slot: Slot(posted),
        block: Default::default(),
        rules: 0,
    };
    let vcr = VcrRecord {
        tx: TxId([8; 32]),
        slot: Slot(posted + 2),
        time_ms: 5,
        commitment: vec![0xc0; 48],
        elements: 3,
        output: BlobRef::of(b"output"),
        gas_used: 1_234_567,
        run_status: 1,
        evidence,
        window_end: Slot(posted + 12),
        closed: Some(Slot(posted + 13)),
        commits: 1,
        revealed: 1,
        judged: 1,
    };
    JobRecord {
        status: JobStatus::Settled,
        requester: account(2),
        model: ModelId([6; 32]),
        input: BlobRef::of(b"input"),
        inputs_root: [5; 32],
        tee_kinds: vec![3, 0x7f],
        reputation_min: -5,
        payment: Amount::aic(2),
        gas_limit: 2_000_000,
        seed: u64::MAX,
        posted: Slot(posted),
        deadline: Slot(posted + 100),
        window_slots: 10,
        assignment: Some(Assignment {
            coordinator: account(4),
            worker: account(5),
            registration_epoch: 1,
            slot: Slot(posted + 1),
            worker_stake: Amount::aic(1_000),
        }),
        accepted: Some(Slot(posted + 1)),
        platform: None,
        vcr: Some(vcr),
        outcome: Some(Outcome {
            slot: Slot(posted + 20),
            burned: Amount::aic(2),
            worker_reward: Amount(1_800_000_000),
            ..Outcome::default()
        }),
    }
}

#[test]
fn the_node_and_its_chain_are_told() {
    let server = TestServer::start();
    let client = server.client();
    server.node.tick();
    let status = client.status().unwrap();
    assert_eq!((status.network.as_str(), status.height), ("fake", Slot(1)));
    assert_eq!(client.peers().unwrap()[0].rtt_ms, Some(2));
    let genesis = client.genesis().unwrap();
    assert_eq!(genesis.chain_id, server.node.rules.chain_id);
    assert_eq!(genesis.genesis, server.node.rules.genesis);
    let supply = client.supply().unwrap();
    assert!(supply.value.conserved);
    assert_eq!(supply.value.genesis, Amount::aic(30_000));
    let block = client.block(Slot(1)).unwrap();
    assert_eq!((block.height, block.certificate.signers), (Slot(1), 1));
    assert_eq!(block.id, status.block_id);
    assert!(found(client.block(Slot(2))).unwrap().is_none());
    assert!(client.readiness().unwrap().ready);
    assert_eq!(server.raw("GET", "/livez", "", b"").1, "alive\n");
    assert_eq!(
        server.raw("GET", "/readyz", "", b""),
        (200, "ready\n".into())
    );
}

#[test]
fn a_transaction_goes_into_a_block_and_moves_money() {
    let server = TestServer::start();
    let client = server.client();
    let tx = transfer(&server.node, 7);
    assert_eq!(client.submit(&tx).unwrap(), tx.id());
    let block = client.block(Slot(1)).unwrap();
    assert_eq!(block.txs.len(), 1);
    let shown = &block.txs[0];
    assert_eq!(
        (shown.id, shown.action.as_str(), shown.nonce),
        (tx.id(), "transfer", 1)
    );
    assert_eq!(shown.bytes, tx.encoded_len() as u64);
    let paid = client.account(&account(3)).unwrap();
    assert_eq!(paid.value.balance, Amount::aic(5_007));
    assert_eq!(client.account(&account(2)).unwrap().value.nonce, 1);
    let stranger = client.account(&account(9)).unwrap();
    assert_eq!(stranger.value.balance, Amount::ZERO);
    let validator = client
        .account(&account(1))
        .unwrap()
        .value
        .validator
        .unwrap();
    assert_eq!(validator.stake, Amount::aic(10_000));
}

#[test]
fn records_of_the_state_are_listed_and_found() {
    let server = TestServer::start();
    let (node, client) = (&server.node, server.client());
    for n in 1..=4u8 {
        let record = match n {
            1 => JobRecord {
                status: JobStatus::Posted,
                assignment: None,
                ..settled(1)
            },
            n => settled(u64::from(n) * 10),
        };
        node.put(keys::job(&JobId([n; 32])), &record);
    }
    let all = client.jobs(&JobFilter::default()).unwrap();
    let order: Vec<u8> = all.items.iter().map(|j| j.job.0[0]).collect();
    assert_eq!((order, all.truncated), (vec![4, 3, 2, 1], false));
    let first = JobFilter {
        limit: Some(2),
        ..JobFilter::default()
    };
    let first = client.jobs(&first).unwrap();
    assert_eq!((first.items.len(), first.truncated), (2, true));
    let status = JobFilter {
        status: Some("posted".into()),
        ..JobFilter::default()
    };
    assert_eq!(client.jobs(&status).unwrap().items.len(), 1);
    let worker = JobFilter {
        worker: Some(account(5)),
        ..JobFilter::default()
    };
    assert_eq!(client.jobs(&worker).unwrap().items.len(), 3);
    let requester = JobFilter {
        requester: Some(account(3)),
        ..JobFilter::default()
    };
    assert_eq!(client.jobs(&requester).unwrap().items.len(), 0);

    let job = client.job(&JobId([2; 32])).unwrap().value;
    assert_eq!(
        (job.seed, job.tee_kinds.join(" ")),
        (u64::MAX, "nitro simulated".into())
    );
    assert_eq!(job.vcr.as_ref().unwrap().run_status, "done");
    assert!(job.is_over());

    let challenge = ChallengeRecord {
        status: ChallengeStatus::Upheld,
        commitment: [1; 32],
        bond: Amount::aic(1),
        slot: Slot(4),
        step: 2,
        revealed: Vec::new(),
        gas: 77,
    };
    node.put(keys::challenge(&JobId([2; 32]), &account(4)), &challenge);
    let of_job = client.job_challenges(&JobId([2; 32])).unwrap();
    assert_eq!(of_job, client.challenges(10).unwrap());
    assert_eq!(of_job.items[0].challenger, account(4));
    assert_eq!(
        (of_job.items[0].status.as_str(), of_job.items[0].step),
        ("upheld", Some(2))
    );
    assert!(
        client
            .job_challenges(&JobId([3; 32]))
            .unwrap()
            .items
            .is_empty()
    );

    let record = WorkerRecord {
        stake: Amount::aic(1_000),
        reputation: -100,
        refuted: 2,
        ..WorkerRecord::default()
    };
    node.put(keys::worker(&account(5)), &record);
    let shown = client.worker(&account(5)).unwrap().value;
    assert!(shown.banned);
    assert_eq!(client.workers(10).unwrap().items, [shown]);
    node.put(
        keys::coordinator(&account(4)),
        &CoordinatorRecord {
            stake: Amount::aic(500),
        },
    );
    assert_eq!(
        client.coordinators(10).unwrap().items[0].account,
        account(4)
    );
    assert!(found(client.worker(&account(2))).unwrap().is_none());
}

#[test]
fn a_model_is_uploaded_registered_and_read_back() {
    let server = TestServer::start();
    let client = server.client();
    let onnx = client.put_blob(onnx_model()).unwrap();
    assert_eq!(onnx, BlobRef::of(onnx_model()));
    client
        .submit(&server.node.sign(2, Action::RegisterModel { onnx }))
        .unwrap();
    let models = client.models(10).unwrap();
    let shown = &models.items[0];
    assert_eq!(client.model(&shown.model).unwrap().value, *shown);
    assert_eq!(client.blob(&onnx).unwrap(), onnx_model());
    let missing = BlobRef::of(b"missing");
    assert!(found(client.blob(&missing)).unwrap().is_none());
}

#[test]
fn bytes_that_came_inline_are_read_out_of_their_block() {
    let server = TestServer::start();
    let client = server.client();
    let tx = transfer(&server.node, 1);
    client.submit(&tx).unwrap();
    let job = JobId([3; 32]);
    server.node.put(keys::job(&job), &settled(1));
    // Neither held nor in a transaction of that block.
    assert!(found(client.job_output(&job)).unwrap().is_none());
    client.put_blob(b"output").unwrap();
    client.put_blob(b"input").unwrap();
    assert_eq!(client.job_output(&job).unwrap(), b"output");
    assert_eq!(client.job_input(&job).unwrap(), b"input");
}

#[test]
fn a_receipt_is_handed_out_for_settled_jobs_only() {
    let server = TestServer::start();
    let client = server.client();
    client.submit(&transfer(&server.node, 1)).unwrap();
    let (done, open) = (JobId([1; 32]), JobId([2; 32]));
    server.node.put(keys::job(&done), &settled(1));
    let posted = JobRecord {
        status: JobStatus::Posted,
        ..settled(1)
    };
    server.node.put(keys::job(&open), &posted);
    assert!(aether_mesh::Receipt::decode(&client.receipt(&done).unwrap()).is_ok());
    let e = client.receipt(&open).unwrap_err();
    assert!(e.to_string().contains("not settled"), "{e}");
    let e = client.receipt(&JobId([9; 32])).unwrap_err();
    assert!(e.to_string().contains("no job"), "{e}");
}

#[test]
fn events_are_streamed_from_a_recent_slot_until_the_node_stops() {
    let mut server = TestServer::start();
    let client = server.client();
    // The stream begins where the server knows the chain.
    let mut live = client.events(None).unwrap();
    client.submit(&transfer(&server.node, 1)).unwrap();
    server.node.tick();
    let slot = |line: Option<Result<EventLine, _>>| match line {
        Some(Ok(EventLine::Block { slot, events, .. })) => (slot.0, events.len()),
        other => panic!("{other:?}"),
    };
    assert_eq!(slot(live.next()).0, 1);
    assert_eq!(slot(live.next()).0, 2);
    let mut again = client.events(Some(Slot(2))).unwrap();
    assert_eq!(slot(again.next()).0, 2);
    server.stop();
    assert!(live.next().is_none());
    assert!(again.next().is_none());
}

#[test]
fn metrics_are_there_when_the_node_gives_them() {
    let with = TestServer::start_with(|config| {
        config.metrics = Some(std::sync::Arc::new(|| "aether_height 3\n".to_owned()));
    });
    assert_eq!(
        with.raw("GET", "/metrics", "", b""),
        (200, "aether_height 3\n".into())
    );
    let without = TestServer::start();
    assert_eq!(without.raw("GET", "/metrics", "", b"").0, 404);
}
