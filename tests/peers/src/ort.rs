//! onnxruntime, in a Python child that computes when told.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result};
use serde_json::Value;

const SCRIPT: &str = include_str!("ort_child.py");

/// Settings that would make libraries choose other kernels than the CPU's best.
const FORGET: &[&str] = &[
    "OPENBLAS_CORETYPE",
    "OPENBLAS_NUM_THREADS",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NVPL_BLAS_DEBUG_CPU_TYPE",
];

pub(crate) struct Ort {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    pub(crate) version: String,
}

impl Ort {
    /// Starts the child: `PEERS_PYTHON`, or `python3`.
    pub(crate) fn start() -> Result<Self> {
        let python = std::env::var("PEERS_PYTHON").unwrap_or_else(|_| "python3".into());
        let mut command = Command::new(python);
        command.arg("-c").arg(SCRIPT);
        FORGET.iter().for_each(|name| {
            command.env_remove(name);
        });
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("starting python")?;
        let input = child.stdin.take().context("no stdin")?;
        let output = BufReader::new(child.stdout.take().context("no stdout")?);
        let mut ort = Self {
            child,
            input,
            output,
            version: String::new(),
        };
        ort.version = ort.answer()?["version"].as_str().unwrap_or("?").to_owned();
        Ok(ort)
    }

    fn answer(&mut self) -> Result<Value> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        serde_json::from_str(&line).with_context(|| format!("onnxruntime's child said {line:?}"))
    }

    /// Sends a line and takes the answer.
    pub(crate) fn ask(&mut self, line: &str) -> Result<Value> {
        writeln!(self.input, "{line}")?;
        self.input.flush()?;
        self.answer()
    }

    /// Least CPU time of one run, nanoseconds, of `repeats` of them.
    pub(crate) fn run(&mut self, repeats: usize) -> Result<f64> {
        let answer = self.ask(&format!("run {repeats}"))?;
        answer["ns"].as_f64().context("no time")
    }
}

impl Drop for Ort {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
