//! Real models: what one run costs us and everybody else.

use std::path::Path;

use aether_inference::Tensor;
use anyhow::Result;
use serde_json::{Value, json};

use crate::models::{Model, Ours, wanted};
use crate::ort::Ort;
use crate::peers::{self, Peer};
use crate::{Options, cpu, table};

/// What a model cost each.
struct Row {
    model: &'static str,
    ours: f64,
    ort: f64,
    peers: Vec<Peer>,
    growth: u64,
    ort_growth: f64,
    sums: Value,
}

pub(crate) fn measure(dir: &Path, options: &Options) -> Result<Value> {
    let mut ort = Ort::start()?;
    let names = peers::names();
    let versions: Vec<String> = names.iter().map(|(n, v)| format!("{n} {v}")).collect();
    let versions = versions.join(", ");
    println!(
        "models, CPU ms of one run; onnxruntime {}, {versions}",
        ort.version
    );
    let mut head = vec!["model", "ours", "ort"];
    head.extend(names.iter().map(|(n, _)| *n));
    table::line(&head.iter().map(|h| (*h).to_owned()).collect::<Vec<_>>());
    let mut rows = Vec::new();
    for (model, path) in wanted(dir, options) {
        match contest(model, &path, options, &mut ort) {
            Ok(row) => {
                let ms = |t: f64| {
                    if t.is_finite() {
                        format!("{:.3}", t / 1e6)
                    } else {
                        "-".into()
                    }
                };
                let mut cells = vec![row.model.to_owned(), ms(row.ours), ms(row.ort)];
                cells.extend(row.peers.iter().map(|p| ms(p.least)));
                table::line(&cells);
                rows.push(row);
            }
            Err(e) => println!("{}: {e:#}", model.name),
        }
    }
    Ok(json!({
        "versions": format!("onnxruntime {}, {versions}", ort.version),
        "models": rows.iter().map(Row::json).collect::<Vec<_>>(),
        "geometric_mean": ratios(&rows),
    }))
}

/// Ours and everybody's, in turn.
fn contest(model: &'static Model, path: &Path, options: &Options, ort: &mut Ort) -> Result<Row> {
    let ours = Ours::load(model, &std::fs::read(path)?)?;
    let theirs = model.load_ort(ort, path)?;
    // Weights are packed in the first run; onnxruntime packs while loading.
    ours.run()?;
    let before = cpu::resident();
    cpu::reset_peak();
    let (_, outputs) = ours.run()?;
    let growth = cpu::peak().saturating_sub(before);
    let sums: Vec<f64> = outputs.iter().map(sum).collect();
    let ort_sums = theirs["sums"].as_array().into_iter().flatten();
    for (a, b) in sums.iter().zip(ort_sums) {
        let b = b.as_f64().unwrap_or(f64::NAN);
        let off = (a - b).abs();
        if off.is_nan() || off > 1e-2 + 1e-2 * b.abs() {
            println!("{}: outputs sum to {a}, onnxruntime's to {b}", model.name);
        }
    }
    let mut peers = Peer::all(path, &model.tensors()?, &outputs);
    let (mut mine, mut other) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..options.rounds {
        for _ in 0..cpu::repeats(mine) {
            mine = mine.min(ours.run()?.0);
        }
        other = other.min(ort.run(cpu::repeats(other))?);
        peers.iter_mut().for_each(Peer::take_turn);
    }
    Ok(Row {
        model: model.name,
        ours: mine,
        ort: other,
        peers,
        growth,
        ort_growth: theirs["growth"].as_f64().unwrap_or(f64::NAN),
        sums: json!([sums, theirs["sums"]]),
    })
}

/// Prints ours over theirs, what else there is to say, and the means.
fn ratios(rows: &[Row]) -> Value {
    println!("\nours over theirs (below 1: we are faster); in brackets how far outputs are apart");
    let mut head = vec!["model".to_owned(), "ort".to_owned()];
    head.extend(peers::names().iter().map(|(n, _)| (*n).to_owned()));
    head.extend(["growth MB".to_owned(), "ort MB".to_owned()]);
    table::line(&head);
    let mut all: Vec<Vec<f64>> = vec![Vec::new(); 1 + peers::names().len()];
    for row in rows {
        let mut cells = vec![row.model.to_owned(), format!("{:.2}", row.ours / row.ort)];
        all[0].push(row.ours / row.ort);
        for (peer, all) in row.peers.iter().zip(&mut all[1..]) {
            if peer.reason().is_some() {
                cells.push("-".into());
                continue;
            }
            let ratio = row.ours / peer.least;
            all.push(ratio);
            cells.push(format!("{ratio:.2} ({:.0e})", peer.difference));
        }
        cells.push(format!("{:.1}", row.growth as f64 / 1e6));
        cells.push(format!("{:.1}", row.ort_growth / 1e6));
        table::line(&cells);
    }
    let means: Vec<f64> = all.iter().map(|r| table::geometric_mean(r)).collect();
    let mut cells = vec!["geometric mean".to_owned()];
    cells.extend(means.iter().map(|m| {
        // A peer that runs nothing has none.
        if m.is_nan() {
            "-".into()
        } else {
            format!("{m:.2}")
        }
    }));
    table::line(&cells);
    for row in rows {
        for peer in &row.peers {
            if let Some(why) = peer.reason() {
                println!("{} on {}: {why}", peer.name, row.model);
            }
        }
    }
    println!();
    let names = ["onnxruntime"]
        .into_iter()
        .chain(peers::names().into_iter().map(|(n, _)| n));
    names
        .zip(means)
        .map(|(n, m)| (n.to_owned(), json!(m)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

impl Row {
    fn json(&self) -> Value {
        let peer = |p: &Peer| match p.reason() {
            Some(why) => json!({"peer": p.name, "reason": why}),
            None => json!({
                "peer": p.name, "ms": p.least / 1e6, "ratio": self.ours / p.least,
                "difference": p.difference,
            }),
        };
        json!({
            "model": self.model, "ours_ms": self.ours / 1e6, "onnxruntime_ms": self.ort / 1e6,
            "ratio": self.ours / self.ort, "growth": self.growth,
            "onnxruntime_growth": self.ort_growth, "sums": self.sums,
            "peers": self.peers.iter().map(peer).collect::<Vec<_>>(),
        })
    }
}

fn sum(t: &Tensor) -> f64 {
    match t.view::<f32>() {
        Some(v) => v.iter().map(|&x| f64::from(x)).sum(),
        None => 0.0,
    }
}
