//! A node as a child process: started with its log in a file, asked over RPC,
//! stopped when dropped.

use super::setup::Member;
use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Written by a node into its data directory once its RPC listens.
pub const RPC_FILE: &str = "rpc.address";

/// Why a process does not run.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// It could not be started.
    #[error("{name} could not be started: {error}")]
    Start {
        /// Which.
        name: String,
        /// What the system said.
        error: std::io::Error,
    },
    /// It ended by itself.
    #[error("{name} ended early; its log ends with:\n{tail}")]
    Ended {
        /// Which.
        name: String,
        /// Last lines of its log.
        tail: String,
    },
    /// It did not become ready.
    #[error("{name} was not ready within {seconds} s; its log: {log}")]
    Late {
        /// Which.
        name: String,
        /// How long we waited.
        seconds: u64,
        /// Where to look.
        log: PathBuf,
    },
}

/// A running child.
pub struct Process {
    /// Its name.
    pub name: String,
    log: PathBuf,
    child: Child,
    /// Base URL of its RPC, once known.
    pub rpc: Option<String>,
}

impl Process {
    /// Starts this very program with arguments; output goes to `log`.
    pub fn start(name: &str, log: &Path, args: &[OsString]) -> Result<Self, ProcessError> {
        let failed = |error| ProcessError::Start {
            name: name.to_owned(),
            error,
        };
        let program = std::env::current_exe().map_err(failed)?;
        let out = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .map_err(failed)?;
        let err: File = out.try_clone().map_err(failed)?;
        let child = Command::new(program)
            .args(args)
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .spawn()
            .map_err(failed)?;
        Ok(Self {
            name: name.to_owned(),
            log: log.to_owned(),
            child,
            rpc: None,
        })
    }

    /// Waits for the RPC address file of a node.
    pub fn wait_for_rpc(
        &mut self,
        member: &Member,
        patience: Duration,
    ) -> Result<(), ProcessError> {
        let path = member.data().join(RPC_FILE);
        let address = self.wait(patience, || {
            fs::read_to_string(&path)
                .ok()
                .filter(|text| text.ends_with('\n'))
        })?;
        self.rpc = Some(format!("http://{}", address.trim()));
        Ok(())
    }

    /// Waits for the first line of the log that `find` accepts.
    pub fn wait_for_line<T>(
        &mut self,
        patience: Duration,
        find: impl Fn(&str) -> Option<T>,
    ) -> Result<T, ProcessError> {
        let log = self.log.clone();
        self.wait(patience, || {
            let text = fs::read_to_string(&log).ok()?;
            text.lines().find_map(&find)
        })
    }

    fn wait<T>(
        &mut self,
        patience: Duration,
        look: impl Fn() -> Option<T>,
    ) -> Result<T, ProcessError> {
        let started = Instant::now();
        loop {
            if let Some(found) = look() {
                return Ok(found);
            }
            if let Ok(Some(_)) = self.child.try_wait() {
                return Err(ProcessError::Ended {
                    name: self.name.clone(),
                    tail: self.tail(),
                });
            }
            if started.elapsed() > patience {
                return Err(ProcessError::Late {
                    name: self.name.clone(),
                    seconds: patience.as_secs(),
                    log: self.log.clone(),
                });
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The last lines of the log.
    pub fn tail(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(12)..].join("\n")
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL, and wait for the end.
    pub fn kill(&mut self) {
        // Already gone is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Resident memory of a process, bytes.
pub fn resident_bytes(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|l| l.starts_with("VmRSS:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}
