//! Runs every ONNX test directory below the given one and prints, per operator
//! and in total, how many passed, were wrong, or are not supported.
//!
//! Usage: `cargo run --release -p aether-inference --example conformance -- DIR [-v] [-t]`
//! (`-v` names what is unsupported, `-t` prints times)

#[path = "../tests/support/conformance.rs"]
mod conformance;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use aether_inference::execute;
use conformance::{Verdict, data_sets, header, order, run_all, tensors};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let verbose = args.iter().any(|a| a == "-v");
    let timing = args.iter().any(|a| a == "-t");
    let Some(root) = args.iter().find(|a| !a.starts_with('-')).map(PathBuf::from) else {
        eprintln!("usage: conformance DIR [-v] [-t]");
        return ExitCode::from(2);
    };
    let (per, total) = run_all(&root, |dir, verdict| match verdict {
        Verdict::Wrong(why) => println!("WRONG {}: {why}", dir.display()),
        Verdict::Unsupported(why) if verbose => println!("unsupported {}: {why}", dir.display()),
        Verdict::Passed if timing => time(dir),
        _ => {}
    });
    println!(
        "{:40} {:>6} {:>6} {:>11}",
        "operator", "passed", "wrong", "unsupported"
    );
    for (name, c) in &per {
        println!(
            "{name:40} {:>6} {:>6} {:>11}",
            c.passed, c.wrong, c.unsupported
        );
    }
    println!(
        "{:40} {:>6} {:>6} {:>11}",
        "total", total.passed, total.wrong, total.unsupported
    );
    if total.wrong > 0 || total.passed == 0 {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

/// Prints the mean time of a run of the first data set.
fn time(dir: &std::path::Path) {
    let Ok(bytes) = std::fs::read(dir.join("model.onnx")) else {
        return;
    };
    let limits = aether_inference::Limits::default();
    let Ok(program) = aether_inference::Program::from_onnx(&bytes, &limits) else {
        return;
    };
    let Some(set) = data_sets(dir).into_iter().next() else {
        return;
    };
    let Ok(given) = tensors(&set, "input") else {
        return;
    };
    let inputs = order(&program, given);
    let header = header(&program, &inputs);
    let limits = aether_inference::RunLimits::default();
    const RUNS: u32 = 20;
    let (wall, cpu) = (Instant::now(), cpu_ms());
    let mut steps = 0;
    for _ in 0..RUNS {
        let Ok(out) = execute(&program, &header, &inputs, &limits) else {
            return;
        };
        steps = out.step_gas.len();
    }
    let wall = wall.elapsed().as_secs_f64() * 1e3 / f64::from(RUNS);
    let cpu = cpu
        .zip(cpu_ms())
        .map_or(wall, |(a, b)| (b - a) / f64::from(RUNS));
    println!(
        "{cpu:9.3} ms cpu {wall:9.3} ms wall {steps:4} steps  {}",
        dir.display()
    );
}

/// This thread's processor time, where Linux tells it.
fn cpu_ms() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split(' ')
        .next()?
        .parse::<f64>()
        .ok()
        .map(|ns| ns / 1e6)
}
