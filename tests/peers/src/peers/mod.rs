//! Other people's runtimes, linked in.
//!
//! Rules: a peer loads a model once, with its own optimisations and packed
//! weights, and is given its inputs as it wants them; only runs are timed, on one
//! thread, by the CPU time of the whole process, which does nothing else then.
//! What a peer cannot do is a reason, in its own words.

mod candle;
mod rten;
mod tract;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use aether_inference::{DType, Tensor};
use anyhow::{Context, Result, anyhow};

use crate::cpu;

/// A model in a peer's hands.
trait Runtime {
    /// Runs `repeats` times; the least CPU time of one run, nanoseconds.
    fn run(&mut self, repeats: usize) -> Result<f64>;
    /// The outputs of a run, in the graph's order.
    fn outputs(&mut self) -> Result<Vec<Vec<f64>>>;
}

type Load = fn(&Path, &[(String, Tensor)]) -> Result<Box<dyn Runtime>>;

/// A peer: its name, its crate, how it loads.
struct Kind {
    name: &'static str,
    package: &'static str,
    load: Load,
}

const KINDS: &[Kind] = &[
    Kind {
        name: "tract",
        package: "tract-onnx",
        load: tract::load,
    },
    Kind {
        name: "rten",
        package: "rten",
        load: rten::load,
    },
    Kind {
        name: "candle",
        package: "candle-onnx",
        load: candle::load,
    },
];

/// Names of the peers, with their versions.
pub(crate) fn names() -> Vec<(&'static str, String)> {
    let version = |k: &Kind| (k.name, crate::table::version(k.package));
    KINDS.iter().map(version).collect()
}

/// A peer at work on a model, or why it is not.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    runtime: Result<Box<dyn Runtime>, String>,
    /// Greatest difference from our outputs, as a share of the largest value of
    /// the same output, or of 1e-4 if that is less.
    pub(crate) difference: f64,
    /// Least CPU time of one run, nanoseconds.
    pub(crate) least: f64,
}

impl Peer {
    /// Every peer with this model, its outputs compared with `ours`.
    pub(crate) fn all(path: &Path, inputs: &[(String, Tensor)], ours: &[Tensor]) -> Vec<Self> {
        let ours: Result<Vec<Vec<f64>>> = ours.iter().map(numbers).collect();
        let ours = ours.map_err(|e| e.to_string());
        let start = |kind: &Kind| {
            let mut peer = Peer {
                name: kind.name,
                runtime: Err(String::new()),
                difference: f64::NAN,
                least: f64::INFINITY,
            };
            let made = guarded(|| {
                let mut runtime = (kind.load)(path, inputs)?;
                let theirs = runtime.outputs()?;
                Ok((runtime, theirs))
            });
            peer.runtime = made.and_then(|(runtime, theirs)| {
                peer.difference = difference(ours.as_ref().map_err(String::clone)?, &theirs)?;
                Ok(runtime)
            });
            peer
        };
        KINDS.iter().map(start).collect()
    }

    /// Runs for about 20 ms, at least once.
    pub(crate) fn take_turn(&mut self) {
        let Ok(runtime) = &mut self.runtime else {
            return;
        };
        let repeats = cpu::repeats(self.least);
        match guarded(|| runtime.run(repeats)) {
            Ok(t) => self.least = self.least.min(t),
            Err(why) => self.runtime = Err(why),
        }
    }

    /// Why there is no time.
    pub(crate) fn reason(&self) -> Option<&str> {
        self.runtime.as_ref().err().map(String::as_str)
    }
}

/// Errors and panics alike as one line.
fn guarded<R>(f: impl FnOnce() -> Result<R>) -> Result<R, String> {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let result = catch_unwind(AssertUnwindSafe(f));
    std::panic::set_hook(hook);
    let text = match result {
        Ok(Ok(r)) => return Ok(r),
        Ok(Err(e)) => format!("{e:#}"),
        Err(panic) => {
            let said = (panic.downcast_ref::<String>().map(String::as_str))
                .or_else(|| panic.downcast_ref::<&str>().copied());
            format!("panics: {}", said.unwrap_or("without a word"))
        }
    };
    // A backtrace may follow, or a whole node.
    let line = text.lines().next().unwrap_or_default();
    let end = line.char_indices().nth(200).map_or(line.len(), |(i, _)| i);
    Err(line[..end].to_owned())
}

/// A tensor's elements.
fn numbers(t: &Tensor) -> Result<Vec<f64>> {
    let wide = |v: Option<Vec<f64>>| v.ok_or_else(|| anyhow!("output of {}", t.dtype()));
    match t.dtype() {
        DType::F32 => wide(
            t.view::<f32>()
                .map(|v| v.iter().map(|&x| x.into()).collect()),
        ),
        DType::I32 => wide(
            t.view::<i32>()
                .map(|v| v.iter().map(|&x| x.into()).collect()),
        ),
        _ => wide((t.view::<i64>()).map(|v| v.iter().map(|&x| x as f64).collect())),
    }
}

/// Checks that outputs agree within a hundredth, relatively, plus a thousandth of
/// the output's largest value, plus 1e-6; the greatest difference as a share of
/// that value, or of 1e-4 if it is less.
fn difference(ours: &[Vec<f64>], theirs: &[Vec<f64>]) -> Result<f64, String> {
    let mut greatest = 0f64;
    if ours.len() != theirs.len() {
        return Err(format!("{} outputs, ours {}", theirs.len(), ours.len()));
    }
    for (at, (a, b)) in ours.iter().zip(theirs).enumerate() {
        if a.len() != b.len() {
            let (a, b) = (a.len(), b.len());
            return Err(format!("output {at} has {b} elements, ours {a}"));
        }
        let largest = a.iter().fold(f64::MIN_POSITIVE, |m, x| m.max(x.abs()));
        for (x, y) in a.iter().zip(b) {
            let off = (x - y).abs();
            // Not a number counts as wrong, unless it is one for both.
            if (x.is_nan() && y.is_nan()) || x == y {
                continue;
            }
            if off.is_nan() || off > 1e-2 * x.abs() + 1e-3 * largest + 1e-6 {
                return Err(format!("wrong: output {at} has {y} where ours has {x}"));
            }
            greatest = greatest.max(off / largest.max(1e-4));
        }
    }
    Ok(greatest)
}

/// The least CPU time of one call of `f`, nanoseconds.
fn least_of(repeats: usize, mut f: impl FnMut() -> Result<()>) -> Result<f64> {
    let mut least = f64::INFINITY;
    for _ in 0..repeats {
        let start = cpu::process();
        f()?;
        least = least.min(cpu::process() - start);
    }
    Ok(least)
}

/// A named input.
fn find<'a>(inputs: &'a [(String, Tensor)], name: &str) -> Result<&'a Tensor> {
    let found = inputs.iter().find(|(n, _)| n == name);
    Ok(&found.with_context(|| format!("no input {name}"))?.1)
}
