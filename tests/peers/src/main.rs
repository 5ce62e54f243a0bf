//! Aether's inference beside other people's.
//!
//! Rules: everything runs in one process (onnxruntime in a child) on one thread;
//! the contestants take turns, many times; what counts is the least CPU time of
//! one run, so that other load on the machine matters little.

mod contest;
mod cost;
mod cpu;
mod load;
mod models;
mod ort;
mod peers;
mod products;
mod table;

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

const USAGE: &str = "usage: aether-peers [--json FILE] [--rounds N] [--only WORD] \
    (gemm | models DIR | cost DIR | load DIR | all DIR)
  gemm    matrix products of the sizes in README.md
  models  every model of README.md that is in DIR
  cost    what our trace, threads and steps cost on those models
  load    what it takes to have those models ready";

/// What the command line asked for.
pub(crate) struct Options {
    pub(crate) rounds: usize,
    pub(crate) only: Option<String>,
}

fn main() -> Result<()> {
    // SAFETY: there is no other thread yet that could read the environment.
    unsafe {
        // One thread for each, however it finds out how many there should be.
        for name in ["RAYON_NUM_THREADS", "RTEN_NUM_THREADS"] {
            std::env::set_var(name, "1");
        }
    }
    let mut args = std::env::args().skip(1);
    let mut options = Options {
        rounds: 20,
        only: None,
    };
    let (mut json, mut what) = (None, Vec::new());
    while let Some(arg) = args.next() {
        let mut value = || args.next().with_context(|| format!("{arg} needs a value"));
        match arg.as_str() {
            "--json" => json = Some(PathBuf::from(value()?)),
            "--rounds" => options.rounds = value()?.parse()?,
            "--only" => options.only = Some(value()?),
            _ => what.push(arg),
        }
    }
    let (command, dir) = match what.as_slice() {
        [c] if c == "gemm" => (c.as_str(), PathBuf::new()),
        [c, dir] => (c.as_str(), PathBuf::from(dir)),
        _ => bail!(USAGE),
    };
    let mut report = serde_json::Map::new();
    if matches!(command, "gemm" | "all") {
        report.insert("gemm".into(), products::measure(&options)?);
    }
    if matches!(command, "models" | "all") {
        report.insert("models".into(), contest::measure(&dir, &options)?);
    }
    if matches!(command, "cost" | "all") {
        report.insert("cost".into(), cost::measure(&dir, &options)?);
    }
    if matches!(command, "load" | "all") {
        report.insert("load".into(), load::measure(&dir, &options)?);
    }
    if report.is_empty() {
        bail!(USAGE);
    }
    if let Some(path) = json {
        std::fs::write(&path, serde_json::to_string_pretty(&report)?)?;
    }
    Ok(())
}
