//! What it takes to have a model ready.
//!
//! A program comes from an open file ([`Program::read_onnx`]) or from bytes in
//! memory. What cannot be done without: reading the file once, hashing it once.
//! Packing is what the first run takes more than a later one.

use std::fs::File;
use std::path::Path;

use aether_inference::{Limits, Program, Seekable, Tensor};
use anyhow::Result;
use serde_json::{Value, json};

use crate::models::{Ours, wanted};
use crate::ort::Ort;
use crate::{Options, cpu, table};

pub(crate) fn measure(dir: &Path, options: &Options) -> Result<Value> {
    let mut ort = Ort::start()?;
    println!("loading, CPU ms; rest: from a file less reading and hashing it once");
    let head = [
        "model",
        "reading",
        "hashing",
        "from file",
        "rest",
        "from memory",
        "packing",
        "ort",
    ];
    table::line(&head.map(String::from));
    let mut rows = Vec::new();
    for (model, path) in wanted(dir, options) {
        let bytes = std::fs::read(&path)?;
        let limits = Limits::default();
        let all = Tensor::from_vec(&[bytes.len()], bytes.clone())?;
        // Reading, hashing, from a file, from memory, packing, onnxruntime.
        let mut least = [f64::INFINITY; 6];
        let mut note = |slot: usize, t: f64| least[slot] = least[slot].min(t);
        for _ in 0..options.rounds {
            let (t, read) = cpu::time(|| std::fs::read(&path));
            note(0, t);
            drop(read?);
            note(1, cpu::time(|| all.digest()).0);
            let (t, program) = cpu::time(|| -> Result<Program> {
                let mut file = Seekable::new(File::open(&path)?)?;
                Ok(Program::read_onnx(&mut file, &limits, None)?)
            });
            note(2, t);
            drop(program?);
            let (t, program) = cpu::time(|| Program::from_onnx(&bytes, &limits));
            note(3, t);
            drop(program?);
        }
        for _ in 0..options.rounds.min(3) {
            let ours = Ours::load(model, &bytes)?;
            let (first, mut later) = (ours.run()?.0, f64::INFINITY);
            for _ in 0..5 {
                later = later.min(ours.run()?.0);
            }
            note(4, (first - later).max(0.0));
            let theirs = model.load_ort(&mut ort, &path)?;
            note(5, theirs["load"].as_f64().unwrap_or(f64::NAN));
        }
        let rest = least[2] - least[0] - least[1];
        let ms = [
            least[0], least[1], least[2], rest, least[3], least[4], least[5],
        ]
        .map(|t| t / 1e6);
        let cells = ms.iter().map(|t| format!("{t:.2}"));
        table::line(
            &[model.name.to_owned()]
                .into_iter()
                .chain(cells)
                .collect::<Vec<_>>(),
        );
        let [reading, hashing, file, rest, memory, packing, ort] = ms;
        rows.push(json!({
            "model": model.name, "bytes": bytes.len(), "reading_ms": reading,
            "hashing_ms": hashing, "from_file_ms": file, "rest_ms": rest,
            "from_memory_ms": memory, "packing_ms": packing, "onnxruntime_ms": ort,
        }));
    }
    println!();
    Ok(Value::Array(rows))
}
