//! From a model file and an input file to outputs on the screen.

use super::{Desk, text};
use crate::cli::Exit;
use crate::rpc::tests::{FakeNode, account, onnx_model, settled};
use aether_inference::{Limits, Program, Tensor, TraceHeader, encode_outputs, execute};
use aether_mesh::{
    Amount, Assignment, JobId, JobRecord, JobStatus, Outcome, Slot, VcrRecord, keys, runs,
};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

fn program() -> Program {
    Program::from_onnx(onnx_model(), &Limits::default()).unwrap()
}

/// A grey square.
fn image() -> Tensor {
    Tensor::from_vec(
        &[1, 1, 8, 8],
        (0..64).map(|i| (i % 16) as f32 / 16.0).collect(),
    )
    .unwrap()
}

fn image_json() -> Vec<u8> {
    let data: Vec<f32> = image().view::<f32>().unwrap().to_vec();
    serde_json::json!({ "image": { "shape": [1, 1, 8, 8], "data": data } })
        .to_string()
        .into()
}

/// Runs the first job that appears, as coordinator, worker and time would.
fn honest_network(node: &Arc<FakeNode>, end: JobStatus) -> JoinHandle<Vec<f32>> {
    let node = Arc::clone(node);
    std::thread::spawn(move || {
        let (id, job) = loop {
            if let Some(id) = node.any_job() {
                break (id, node.job_record(&id).unwrap());
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        let pause = || std::thread::sleep(Duration::from_millis(350));
        let program = program();
        let header = runs::trace_header(&node.rules.chain_id, &id, &job);
        let limits = node.rules.genesis.run_limits(job.gas_limit);
        let run = execute(&program, &header, &[image()], &limits).unwrap();
        let probabilities = run.outputs[0].view::<f32>().unwrap().to_vec();
        let output = encode_outputs(&[("probabilities", &run.outputs[0])]);
        let assignment = Some(Assignment {
            coordinator: account(4),
            worker: account(5),
            registration_epoch: 1,
            slot: job.posted,
            worker_stake: Amount::aic(1_000),
        });
        let put = |record: &JobRecord| {
            node.put(keys::job(&id), record);
            node.tick();
            pause();
        };
        pause();
        let accepted = JobRecord {
            status: JobStatus::Accepted,
            assignment,
            ..job
        };
        put(&accepted);
        let vcr = VcrRecord {
            output: node.library.insert(&output),
            gas_used: run.gas_used,
            run_status: run.status as u8,
            ..settled(1).vcr.unwrap()
        };
        let submitted = JobRecord {
            status: JobStatus::Submitted,
            vcr: Some(vcr),
            ..accepted
        };
        put(&submitted);
        let refunded = match end {
            JobStatus::Settled => Amount::ZERO,
            _ => submitted.payment,
        };
        let outcome = Some(Outcome {
            slot: Slot(9),
            refunded,
            ..Outcome::default()
        });
        put(&JobRecord {
            status: end,
            outcome,
            ..submitted
        });
        probabilities
    })
}

#[test]
fn a_job_is_posted_with_files_and_its_outputs_are_printed() {
    let desk = Desk::new();
    let model = desk.file("m.onnx", onnx_model());
    let input = desk.file("x.json", &image_json());
    let save = desk.path("out.json");
    let worker = honest_network(&desk.server.node, JobStatus::Settled);
    let ran = desk
        .run(&[
            "job",
            "post",
            "--model",
            text(&model),
            "--input",
            text(&input),
            "--payment",
            "2",
            "--wait",
            "--json",
            "--save",
            text(&save),
        ])
        .ok();
    let probabilities = worker.join().unwrap();
    let answer = ran.json();
    assert_eq!(answer["model_registered"], true);
    assert_eq!(answer["record"]["status"], "settled");
    // What it says it cost is what is missing.
    let left = desk.run(&["account", "balance", "--json"]).ok().json();
    let amount = |v: &serde_json::Value| v.as_str().unwrap().parse::<Amount>().unwrap();
    assert_eq!(
        amount(&answer["cost"]).checked_add(amount(&left["balance"])),
        Some(Amount::aic(5_000))
    );
    let data: Vec<f32> =
        serde_json::from_value(answer["outputs"]["probabilities"]["data"].clone()).unwrap();
    assert_eq!(data, probabilities);
    let stages: Vec<&str> = answer["stages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| s["status"].as_str().unwrap())
        .collect();
    assert_eq!(stages.first(), Some(&"posted"));
    assert_eq!(stages.last(), Some(&"settled"));
    assert!(
        ran.err.contains("registering model") && ran.err.contains("settled"),
        "{}",
        ran.err
    );
    let saved: serde_json::Value = serde_json::from_slice(&std::fs::read(&save).unwrap()).unwrap();
    assert_eq!(saved, answer["outputs"]);
    // The gas limit was measured, and is exactly what the worker needed.
    assert_eq!(answer["gas_limit"], answer["record"]["vcr"]["gas_used"]);

    let job = answer["job"].as_str().unwrap();
    let shown = desk.run(&["job", "get", job, "--output"]).ok();
    assert!(shown.out.contains("f32 [1, 10]"), "{}", shown.out);
    // The model is known now, and named by its id; the same input as protobuf.
    let id = answer["model"].as_str().unwrap();
    let pb = desk.file("x.pb", &image().to_onnx_pb("Input3"));
    let again = desk
        .run(&[
            "job",
            "post",
            "--model",
            id,
            "--input",
            text(&pb),
            "--payment",
            "1",
        ])
        .ok();
    assert!(again.err.contains("fetching model"), "{}", again.err);
    assert!(again.out.contains("--wait --output"), "{}", again.out);
}

#[test]
fn a_refuted_job_ends_with_one() {
    let desk = Desk::new();
    let model = desk.file("m.onnx", onnx_model());
    let named = format!(
        "image={}",
        text(&desk.file("x.pb", &image().to_onnx_pb("")))
    );
    let worker = honest_network(&desk.server.node, JobStatus::Refuted);
    let ran = desk.run(&[
        "job",
        "post",
        "--model",
        text(&model),
        "--input",
        &named,
        "--payment",
        "2",
        "--gas",
        "5000000",
        "--wait",
    ]);
    worker.join().unwrap();
    assert_eq!(ran.exit, Exit::Failed, "{}", ran.out);
    assert!(
        ran.out.contains("refuted") && ran.err.contains("refunded"),
        "{}",
        ran.out
    );
    let last = ran.out.lines().last().unwrap();
    assert_eq!(last, "none", "a refuted output is not shown: {}", ran.out);
}

#[test]
fn a_job_that_nobody_took_can_be_taken_back() {
    let desk = Desk::new();
    let model = desk.file("m.onnx", onnx_model());
    let encoded = aether_inference::encode_inputs(&[("image", &image())]);
    let input = desk.file("x.aeti", &encoded);
    let posted = desk
        .run(&[
            "job",
            "post",
            "--model",
            text(&model),
            "--input",
            text(&input),
            "--payment",
            "2",
            "--json",
        ])
        .ok()
        .json();
    let job: JobId = posted["job"].as_str().unwrap().parse().unwrap();
    let record = desk.server.node.job_record(&job).unwrap();
    let header = TraceHeader::new(
        desk.server.node.rules.chain_id.0,
        job.0,
        program().id(),
        &[image()],
        0,
    );
    assert_eq!(record.inputs_root, header.inputs_root);
    let job = job.to_string();
    let cancelled = desk.run(&["job", "cancel", &job, "--json"]).ok().json();
    assert_eq!(cancelled["status"], "cancelled");
    desk.run(&["job", "cancel", &job])
        .failed(Exit::Failed, "has ended");
}

#[test]
fn what_cannot_be_computed_is_refused_before_anything_is_paid() {
    let desk = Desk::new();
    let model = desk.file("m.onnx", onnx_model());
    let good = desk.file("x.json", &image_json());
    let junk = desk.file("junk", b"\xff\xff\xff");
    let wrong = serde_json::json!({ "image": { "shape": [1, 64], "data": vec![0; 64] } });
    let shape = desk.file("shape.json", wrong.to_string().as_bytes());
    let name = desk.file("name.json", br#"{"picture": {"shape": [1], "data": [1]}}"#);
    let unknown = "ab".repeat(32);
    let cases = [
        (text(&junk), text(&good), "1", Exit::Failed, "model:"),
        (
            text(&model),
            text(&junk),
            "1",
            Exit::Failed,
            "neither encoded tensors",
        ),
        (
            text(&model),
            text(&shape),
            "1",
            Exit::Failed,
            "f32[1, 1, 8, 8]",
        ),
        (text(&model), text(&name), "1", Exit::Failed, "picture"),
        (
            text(&model),
            "no/such/file",
            "1",
            Exit::Config,
            "no/such/file",
        ),
        (
            text(&model),
            text(&good),
            "0.01",
            Exit::Failed,
            "least payment",
        ),
        (unknown.as_str(), text(&good), "1", Exit::Failed, "no model"),
        (
            "no-such-model",
            text(&good),
            "1",
            Exit::Usage,
            "neither a file nor",
        ),
    ];
    for (model, input, payment, exit, why) in cases {
        desk.run(&[
            "job",
            "post",
            "--model",
            model,
            "--input",
            input,
            "--payment",
            payment,
        ])
        .failed(exit, why);
    }
    let balance = desk.run(&["account", "balance", "--json"]).ok().json();
    assert_eq!(
        (balance["nonce"].as_u64(), balance["balance"].as_str()),
        (Some(0), Some("5000"))
    );
}
