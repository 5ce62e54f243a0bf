//! Runs every ONNX test directory below the given one and prints, per operator
//! and in total, how many passed, were wrong, or are not supported.
//!
//! Usage: `cargo run --release -p aether-inference --example conformance -- DIR [-v]`

#[path = "../tests/support/conformance.rs"]
mod conformance;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

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

/// Prints the best of several runs of the first data set.
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
    let mut best = f64::INFINITY;
    for _ in 0..10 {
        let start = Instant::now();
        let Ok(out) = aether_inference::execute(&program, &header, &inputs, &limits) else {
            return;
        };
        best = best.min(start.elapsed().as_secs_f64() * 1e3);
        std::hint::black_box(out.gas_used);
    }
    println!("{best:9.3} ms  {}", dir.display());
}
