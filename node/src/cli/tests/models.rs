//! `aether model`: files inspected, named, run, cut into steps.

use super::{aether, text};
use crate::cli::Exit;
use std::path::PathBuf;

/// A case of the inference crate's own.
fn case(name: &str) -> PathBuf {
    let root = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../protocols/inference/tests/generated/flow"
    );
    PathBuf::from(root).join(name)
}

#[test]
fn a_model_is_inspected_hashed_run_and_cut_into_steps() {
    let model = case("scan_as_a_recurrent_layer").join("model.onnx");
    let model = text(&model);
    let said = aether(&["model", "inspect", model]).ok();
    assert!(said.out.contains("--shape x=…"), "{}", said.out);
    let shape = ["--shape", "x=6,4"];
    let seen = aether(&[&["model", "inspect", model, "--json"], &shape[..]].concat())
        .ok()
        .json();
    assert_eq!(seen["operators"]["Scan"], 1);
    assert_eq!(seen["cost"]["status"], "Done");
    assert!(seen["cost"]["gas"].as_u64().unwrap() > 100_000);
    assert!(seen["cost"]["memory_bytes_max"].as_u64().unwrap() > 1 << 20);
    let id = aether(&["model", "hash", model, "--json"]).ok().json();
    assert_eq!(id["model"], seen["model"]);
    let once = || {
        let args = [
            &["model", "run", model, "--random", "7", "--json"],
            &shape[..],
        ]
        .concat();
        aether(&args).ok().json()
    };
    assert_eq!(once()["digests"], once()["digests"]);
    assert_eq!(once()["outputs"]["h"]["shape"], serde_json::json!([1, 8]));
    let steps = aether(&[&["model", "steps", model, "--json"], &shape[..]].concat())
        .ok()
        .json();
    let list = steps["steps"].as_array().unwrap();
    let gas: u64 = list.iter().map(|s| s["gas"].as_u64().unwrap()).sum();
    assert_eq!(gas, steps["cost"]["gas"].as_u64().unwrap());
    assert!(
        list.iter()
            .all(|s| s["witness_bytes"].as_u64().unwrap() > 0)
    );
    aether(&["model", "run", model]).failed(Exit::Usage, "--random SEED");
    aether(&["model", "run", model, "--random", "1"]).failed(Exit::Usage, "--shape x=");
    aether(&["model", "steps", model, "--shape", "x=6"]).failed(Exit::Usage, "--shape");
    aether(&["model", "steps", model, "--shape", "q=6"]).failed(Exit::Usage, "inputs are");
}

#[test]
fn given_inputs_come_to_the_published_outputs() {
    let dir = case("function_with_attributes");
    let (model, input) = (
        dir.join("model.onnx"),
        dir.join("test_data_set_0/input_0.pb"),
    );
    let ran = aether(&["model", "run", text(&model), "--input", text(&input)]).ok();
    assert!(ran.out.contains("f32 [4]"), "{}", ran.out);
    let gas = ["model", "run", text(&model), "--random", "1", "--gas", "10"];
    let ran = aether(&gas).failed(Exit::Failed, "");
    assert!(ran.out.contains("OutOfGas"), "{}", ran.out);
}

#[test]
fn all_that_a_model_needs_and_we_lack_is_named() {
    // `y = Frob(x)`, `z = Twirl(x)`, `w = Upsample(x)` in a protobuf written by hand.
    let node = |op: &str, out: &str| {
        let mut n = vec![0x0a, 1, b'x', 0x12, out.len() as u8];
        n.extend(out.as_bytes());
        n.extend([0x22, op.len() as u8]);
        n.extend(op.as_bytes());
        [vec![0x0a, n.len() as u8], n].concat()
    };
    let value =
        |field: u8, name: u8| vec![field, 11, 0x0a, 1, name, 0x12, 6, 0x0a, 4, 0x08, 1, 0x12, 0];
    let graph = [
        node("Frob", "y"),
        node("Twirl", "z"),
        node("Upsample", "w"),
        value(0x5a, b'x'),
        value(0x62, b'y'),
    ]
    .concat();
    let model = [
        vec![0x3a, graph.len() as u8],
        graph,
        vec![0x42, 2, 0x10, 17],
    ]
    .concat();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("m.onnx");
    std::fs::write(&file, model).unwrap();
    let said = aether(&["model", "inspect", text(&file)]).failed(Exit::Failed, "");
    assert!(
        said.out.contains("Frob (opset 17)") && said.out.contains("Twirl"),
        "{}",
        said.out
    );
    // The list of operators says in which sets and on what there is one of that name.
    let flat = said.out.split_whitespace().collect::<Vec<_>>().join(" ");
    for words in ["opset 10 removed", "opsets 1 to 9", "f32"] {
        assert!(flat.contains(words), "{words}: {flat}");
    }
    let said = aether(&["model", "hash", text(&file)]).failed(Exit::Failed, "Twirl");
    assert!(said.err.contains("Frob"), "{}", said.err);
    std::fs::write(&file, b"no model").unwrap();
    aether(&["model", "inspect", text(&file)]).failed(Exit::Failed, "");
}
