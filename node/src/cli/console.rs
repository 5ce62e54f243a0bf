//! Where a command writes: the answer to stdout, its progress to stderr.
//!
//! - With `--json` stdout gets exactly one JSON document, whatever happens; an
//!   error is `{"error": {"code", "message", "exit"}}`.
//! - Without, stdout gets text for people; colours only on a terminal, which
//!   the streams that `run` hands in see to.
//! - A closed pipe is no error: whoever reads has read enough.

use super::exit::CliError;
use super::page::Page;
use serde::Serialize;
use serde_json::json;
use std::io::Write;
use std::time::{Duration, Instant};

/// The two streams of a command.
pub struct Console {
    out: Box<dyn Write>,
    err: Box<dyn Write>,
    json: bool,
    started: Instant,
}

impl Console {
    /// Writes answers to `out`, progress and errors to `err`.
    pub fn new(out: Box<dyn Write>, err: Box<dyn Write>, json: bool) -> Self {
        Self {
            out,
            err,
            json,
            started: Instant::now(),
        }
    }

    /// Whether answers are JSON.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// The answer: as JSON, or as a page for people.
    pub fn answer<T: Serialize>(&mut self, value: &T, page: impl FnOnce(&mut Page)) {
        if self.json {
            let text = serde_json::to_string_pretty(value);
            let text = text.unwrap_or_else(|e| json!({ "error": e.to_string() }).to_string());
            let _ = writeln!(self.out, "{text}");
        } else {
            let mut p = Page::new();
            page(&mut p);
            let _ = write!(self.out, "{}", p.finish());
        }
        let _ = self.out.flush();
    }

    /// A line on stderr about what is going on.
    pub fn progress(&mut self, line: impl AsRef<str>) {
        let _ = writeln!(self.err, "{}", line.as_ref());
        let _ = self.err.flush();
    }

    /// The same, with the time since the command began.
    pub fn stage(&mut self, line: impl AsRef<str>) {
        let at = self.elapsed().as_secs_f64();
        self.progress(format!("{at:7.2} s  {}", line.as_ref()));
    }

    /// Since the command began.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// The end of a command that failed.
    pub fn failure(&mut self, e: &CliError) {
        if self.json {
            let error = json!({ "code": e.code, "message": e.message, "exit": e.exit as u8 });
            let _ = writeln!(self.out, "{:#}", json!({ "error": error }));
            let _ = self.out.flush();
        }
        let _ = writeln!(
            self.err,
            "{}error:{:#} {}",
            super::page::BAD,
            super::page::BAD,
            e.message
        );
        let _ = self.err.flush();
    }
}
