//! How a command ends: five exit codes, and errors that know theirs.

use crate::rpc::{ClientError, ErrorCode};
use aether_mesh::GenesisError;
use std::path::Path;
use std::process::ExitCode;

/// What the shell sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Ok = 0,
    /// A check or verdict failed, or the node refused.
    Failed = 1,
    /// The command line is wrong.
    Usage = 2,
    /// No node answers.
    Unreachable = 3,
    /// A file, key, port or network folder is wrong.
    Config = 4,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// Why a command did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CliError {
    /// The exit code.
    pub exit: Exit,
    /// Stable, for programs: `unreachable`, `not_found`, a receipt's code, …
    pub code: String,
    /// For people: what is wrong, and where possible what helps.
    pub message: String,
}

impl CliError {
    /// An error with its exit code and stable code.
    pub fn new(exit: Exit, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            exit,
            code: code.into(),
            message: message.into(),
        }
    }

    /// A check or verdict failed (exit 1).
    pub fn failed(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, code, message)
    }

    /// The command line asks for something impossible (exit 2).
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, "usage", message)
    }

    /// A file, key, port or network folder is wrong (exit 4).
    pub fn config(message: impl Into<String>) -> Self {
        Self::new(Exit::Config, "configuration", message)
    }

    /// A file could not be read or written (exit 4).
    pub fn file(path: &Path, error: &std::io::Error) -> Self {
        Self::config(format!("{}: {error}", path.display()))
    }
}

impl From<ClientError> for CliError {
    fn from(e: ClientError) -> Self {
        let message = e.to_string();
        match e {
            ClientError::Unreachable { .. } => Self::new(Exit::Unreachable, "unreachable", message),
            ClientError::Strange { .. } => Self::new(Exit::Unreachable, "strange_answer", message),
            ClientError::Refused(e) => {
                let code = serde_json::to_value(e.code).ok();
                let code = code.as_ref().and_then(|c| c.as_str()).unwrap_or("refused");
                // Asking too much or too early is no verdict: the node is there
                // and cannot answer now.
                let exit = match e.code {
                    ErrorCode::Timeout => Exit::Unreachable,
                    _ => Exit::Failed,
                };
                Self::new(exit, code, message)
            }
        }
    }
}

impl From<GenesisError> for CliError {
    fn from(e: GenesisError) -> Self {
        Self::config(e.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpc::ApiError;

    #[test]
    fn each_kind_of_failure_has_its_exit_code() {
        let refused = |code| ClientError::Refused(ApiError::new(code, "no"));
        let url = || "http://127.0.0.1:1".to_owned();
        let cases = [
            (CliError::failed("unmeasured", "no"), 1, "unmeasured"),
            (CliError::usage("no"), 2, "usage"),
            (CliError::config("no"), 4, "configuration"),
            (refused(ErrorCode::NotFound).into(), 1, "not_found"),
            (refused(ErrorCode::Invalid).into(), 1, "invalid"),
            (refused(ErrorCode::Busy).into(), 1, "busy"),
            (refused(ErrorCode::Timeout).into(), 3, "timeout"),
            (
                ClientError::Unreachable {
                    url: url(),
                    reason: "refused".into(),
                }
                .into(),
                3,
                "unreachable",
            ),
            (
                ClientError::Strange {
                    url: url(),
                    reason: "HTML".into(),
                }
                .into(),
                3,
                "strange_answer",
            ),
            (GenesisError::Syntax("no".into()).into(), 4, "configuration"),
        ];
        for (error, exit, code) in cases {
            assert_eq!(
                (error.exit as u8, error.code.as_str()),
                (exit, code),
                "{error:?}"
            );
        }
    }
}
