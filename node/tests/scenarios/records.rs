//! Workers are found through Kademlia capability records, and only so.

use super::cluster::{Cluster, eventually};
use aether::demo::DIGITS_MODEL;
use aether::rpc::Backend as _;
use aether_inference::{Tensor, encode_inputs};
use aether_mesh::{Action, Amount, BlobRef, JobId, JobStatus, Payload, PostJob, runs};

pub(super) fn digit_job(model: aether_mesh::ModelId) -> PostJob {
    let image = Tensor::from_vec(&[1, 1, 8, 8], vec![0.25f32; 64]).unwrap();
    PostJob {
        model,
        input: Payload::Inline(encode_inputs(&[("image", &image)])),
        tee_kinds: Vec::new(),
        reputation_min: 0,
        payment: Amount::aic(10),
        gas_limit: 50_000_000,
        deadline_slots: 200,
        seed: 1,
    }
}

pub(super) async fn register(cluster: &Cluster, onnx: &[u8]) -> aether_mesh::ModelId {
    let node = cluster.node("coordinator-1");
    let blob: BlobRef = node.put_blob(onnx).unwrap();
    let program =
        aether_inference::Program::from_onnx(onnx, &cluster.network.rules.model_limits()).unwrap();
    let model = runs::model_id(&program);
    cluster
        .submit(
            "coordinator-1",
            "requester",
            Action::RegisterModel { onnx: blob },
        )
        .await;
    let known = || {
        cluster.with_state("coordinator-1", |_, s| {
            s.get(&aether_mesh::keys::model(&model)).unwrap().is_some()
        })
    };
    eventually("the model to be registered", known).await;
    model
}

/// The proposer gets the transaction from a person who has not brought the
/// model: it looks for the bytes among its peers.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn bytes_that_a_waiting_transaction_lacks_are_looked_for() {
    let mut cluster = Cluster::new(&["validator-1", "coordinator-1", "requester"]).await;
    for name in ["validator-1", "coordinator-1"] {
        cluster.start(name, &[]).await;
    }
    let onnx = cluster
        .node("coordinator-1")
        .put_blob(DIGITS_MODEL)
        .unwrap();
    let action = Action::RegisterModel { onnx };
    cluster.submit("validator-1", "requester", action).await;
    let registered = || {
        cluster.with_state("validator-1", |_, s| {
            let found = s.scan(aether_mesh::keys::MODELS, b"", 1).unwrap();
            !found.is_empty()
        })
    };
    eventually("the model to be registered", registered).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn without_capability_records_nothing_is_assigned() {
    let names = [
        "validator-1",
        "validator-2",
        "validator-3",
        "validator-4",
        "coordinator-1",
        "worker-1",
        "requester",
    ];
    let mut cluster = Cluster::new(&names).await;
    let models = vec![DIGITS_MODEL.to_vec()];
    for name in &names[..5] {
        cluster.start(name, &[]).await;
    }
    // A bonded, attested, willing worker, which says nothing in the DHT.
    let silent = aether::service::NodeConfig {
        advertise: false,
        ..cluster.config("worker-1", &models)
    };
    cluster.start_with("worker-1", silent).await;
    let model = register(&cluster, DIGITS_MODEL).await;
    let tx = cluster
        .submit(
            "coordinator-1",
            "requester",
            Action::PostJob(digit_job(model)),
        )
        .await;
    let id = JobId(tx.0);
    eventually("the job to be posted", || {
        cluster.job("coordinator-1", &id).is_some()
    })
    .await;
    let posted = cluster.job("coordinator-1", &id).unwrap().posted.0;
    eventually("eight slots to pass", || {
        cluster.height("coordinator-1") >= posted + 8
    })
    .await;
    assert_eq!(
        cluster.job("coordinator-1", &id).unwrap().status,
        JobStatus::Posted
    );

    // The same worker, speaking up, gets the job.
    let worker = cluster.nodes.remove("worker-1").unwrap();
    worker.shutdown().await;
    drop(worker);
    let config = loop {
        let config = cluster.config("worker-1", &models);
        match aether::service::Node::start(config).await {
            Ok(node) => break node,
            // The data directory is free once the old node's threads are gone.
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(100)).await,
        }
    };
    cluster.nodes.insert("worker-1".to_owned(), config);
    eventually("the job to be submitted", || {
        cluster.job("coordinator-1", &id).unwrap().vcr.is_some()
    })
    .await;
    cluster.check_equal_and_conserved().await;
    cluster.stop().await;
}
