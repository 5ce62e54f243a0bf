//! A model of somebody else's through a real job: magika names the types of
//! real files. The rules of its input are in `node/demo/MAGIKA.md`.

use super::cluster::{Cluster, eventually};
use super::records::register;
use aether::rpc::Backend as _;
use aether_inference::{Tensor, encode_inputs};
use aether_mesh::{Action, Amount, JobId, JobStatus, Payload, PostJob, runs};
use std::path::{Path, PathBuf};

const HALF: usize = 1024;
const LOOKED_AT: usize = 4096;
const PADDING: i32 = 256;

/// The model's input for a file.
fn features(file: &[u8]) -> Vec<i32> {
    let white = |b: &u8| matches!(b, 0x09..=0x0d | 0x20);
    let k = file.len().min(LOOKED_AT);
    let (head, tail) = (&file[..k], &file[file.len() - k..]);
    let first = head.iter().position(|b| !white(b)).unwrap_or(k);
    let last = tail.iter().rposition(|b| !white(b)).map_or(0, |at| at + 1);
    let begin: Vec<i32> = head[first..]
        .iter()
        .take(HALF)
        .map(|b| i32::from(*b))
        .collect();
    let end = &tail[..last];
    let end: Vec<i32> = end[end.len().saturating_sub(HALF)..]
        .iter()
        .map(|b| i32::from(*b))
        .collect();
    let mut out = begin;
    out.resize(HALF, PADDING);
    out.resize(2 * HALF - end.len(), PADDING);
    out.extend(end);
    out
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// The fetched model's folder, or a visible skip.
fn models() -> Option<PathBuf> {
    let default = || {
        let cache = std::env::var_os("XDG_CACHE_HOME")
            .map(PathBuf::from)
            .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
        cache.map(|c| c.join("aether/models/magika-1.0.3"))
    };
    let dir = std::env::var_os("AETHER_MODELS")
        .map(PathBuf::from)
        .or_else(default)?;
    if dir.join("model.onnx").exists() {
        return Some(dir);
    }
    let required = std::env::var_os("AETHER_MODELS_REQUIRED").is_some_and(|v| v == "1");
    assert!(
        !required,
        "{} has no model.onnx; run .ci/fetch-models",
        dir.display()
    );
    println!(
        "SKIPPED: magika is not at {}; run .ci/fetch-models",
        dir.display()
    );
    None
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn magika_names_the_types_of_real_files_through_jobs() {
    let Some(dir) = models() else { return };
    let onnx = std::fs::read(dir.join("model.onnx")).unwrap();
    let config: serde_json::Value =
        serde_json::from_slice(&std::fs::read(dir.join("config.min.json")).unwrap()).unwrap();
    let labels: Vec<&str> = config["target_labels_space"]
        .as_array()
        .unwrap()
        .iter()
        .map(|l| l.as_str().unwrap())
        .collect();

    let names = [
        "validator-1",
        "validator-2",
        "validator-3",
        "validator-4",
        "coordinator-1",
        "worker-1",
        "challenger-1",
        "requester",
    ];
    let mut cluster = Cluster::new(&names).await;
    for name in &names[..7] {
        cluster.start(name, std::slice::from_ref(&onnx)).await;
    }
    let model = register(&cluster, &onnx).await;
    let root = workspace();
    let files = [
        (root.join("Cargo.toml"), "toml"),
        (root.join(".ci/fetch-models"), "shell"),
        (root.join("node/demo/train.py"), "python"),
        (root.join("node/demo/README.md"), "markdown"),
        (root.join("node/demo/digits.onnx"), "onnx"),
        (root.join("LICENSE"), "txt"),
        (PathBuf::from(env!("CARGO_BIN_EXE_aether")), "elf"),
    ];
    let mut jobs = Vec::new();
    for (path, label) in &files {
        let tensor =
            Tensor::from_vec(&[1, 2 * HALF], features(&std::fs::read(path).unwrap())).unwrap();
        let job = PostJob {
            model,
            input: Payload::Inline(encode_inputs(&[("bytes", &tensor)])),
            tee_kinds: Vec::new(),
            reputation_min: 0,
            payment: Amount::aic(1),
            gas_limit: 1_000_000_000,
            deadline_slots: 200,
            seed: 0,
        };
        let tx = cluster
            .submit("coordinator-1", "requester", Action::PostJob(job))
            .await;
        // The next nonce is the state's: one after the other.
        let id = JobId(tx.0);
        eventually("the job to be posted", || {
            cluster.job("coordinator-1", &id).is_some()
        })
        .await;
        jobs.push((id, *label));
    }
    for (id, label) in jobs {
        eventually("the job to settle", || {
            cluster.job("coordinator-1", &id).unwrap().status == JobStatus::Settled
        })
        .await;
        let record = cluster.job("coordinator-1", &id).unwrap();
        let output = record.vcr.unwrap().output;
        let bytes = cluster.node("coordinator-1").blob(&output).unwrap();
        let limits = &cluster.network.rules.params().limits;
        let tensors = runs::decode_output(&bytes, limits).unwrap();
        let scores = tensors[0].1.view::<f32>().unwrap();
        let best = (0..scores.len())
            .max_by(|a, b| scores[*a].total_cmp(&scores[*b]))
            .unwrap();
        println!(
            "magika: {label:10} read as {} ({:.4})",
            labels[best], scores[best]
        );
        assert_eq!(labels[best], label);
    }
    cluster.check_equal_and_conserved().await;
    cluster.stop().await;
}
