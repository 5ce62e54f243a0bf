//! What a person sees while it runs: one line a thing, with the time since the
//! start; a line that is rewritten while something is awaited, on a terminal
//! only.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

/// Prints the story.
pub(super) struct Narrator {
    started: Instant,
    live: bool,
    waiting: bool,
}

impl Narrator {
    /// Starts the clock.
    pub(super) fn new() -> Self {
        let live = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Self {
            started: Instant::now(),
            live,
            waiting: false,
        }
    }

    /// Since the start.
    pub(super) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// A chapter's heading.
    pub(super) fn chapter(&mut self, title: &str) {
        self.clear();
        if self.live {
            println!("\n\x1b[1m{title}\x1b[0m");
        } else {
            println!("\n{title}");
        }
    }

    /// Something happened.
    pub(super) fn say(&mut self, text: impl AsRef<str>) {
        self.clear();
        println!(
            "  [{:6.2} s] {}",
            self.started.elapsed().as_secs_f64(),
            text.as_ref()
        );
    }

    /// More about it, without a time.
    pub(super) fn more(&mut self, text: impl AsRef<str>) {
        self.clear();
        println!("             {}", text.as_ref());
    }

    /// What is awaited; rewritten in place on a terminal, silent elsewhere.
    pub(super) fn wait(&mut self, text: impl AsRef<str>) {
        if self.live {
            let seconds = self.started.elapsed().as_secs_f64();
            print!("\r\x1b[K  [{seconds:6.2} s] … {}", text.as_ref());
            // Progress only; a closed pipe shows at the next line.
            let _ = std::io::stdout().flush();
            self.waiting = true;
        }
    }

    fn clear(&mut self) {
        if self.waiting {
            print!("\r\x1b[K");
            self.waiting = false;
        }
    }
}
