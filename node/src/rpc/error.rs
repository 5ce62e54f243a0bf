//! Errors as callers read them: a stable code, a sentence, a status.
//!
//! What went wrong inside the node stays in its log; the caller learns that it
//! was not its fault.

use super::backend::SubmitError;
use aether_mesh::{Refusal, StateError};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

/// Stable names of what can go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// An id, number or query that is none.
    BadRequest,
    /// No such path.
    UnknownPath,
    /// The path exists, for another method.
    WrongMethod,
    /// The caller is not of this machine.
    Forbidden,
    /// There is no such thing.
    NotFound,
    /// The body is larger than the network allows.
    TooLarge,
    /// A transaction that no state would take.
    Invalid,
    /// A transaction that this state does not take; a later one may.
    NotNow,
    /// The account's nonce was used; `next_nonce` says the next one.
    NonceUsed,
    /// Too much at once: try again soon.
    Busy,
    /// It took too long.
    Timeout,
    /// The node's own fault.
    Internal,
}

impl ErrorCode {
    /// The HTTP status it travels with.
    pub fn status(self) -> StatusCode {
        match self {
            Self::BadRequest => StatusCode::BAD_REQUEST,
            Self::UnknownPath | Self::NotFound => StatusCode::NOT_FOUND,
            Self::WrongMethod => StatusCode::METHOD_NOT_ALLOWED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
            Self::NotNow | Self::NonceUsed => StatusCode::CONFLICT,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::Timeout => StatusCode::GATEWAY_TIMEOUT,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// The body of every answer that is no success.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// For programs.
    pub code: ErrorCode,
    /// For people.
    pub message: String,
    /// With [`ErrorCode::NonceUsed`] only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_nonce: Option<u64>,
}

impl ApiError {
    /// An error of a kind, with its sentence.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            next_nonce: None,
        }
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::BadRequest, message)
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::NotFound, message)
    }

    /// Ours: the reason goes to the log, not to the caller.
    pub(super) fn internal(reason: impl std::fmt::Display) -> Self {
        tracing::error!(%reason, "an RPC request failed inside the node");
        Self::new(
            ErrorCode::Internal,
            "the node failed to answer; its log says why",
        )
    }
}

impl From<SubmitError> for ApiError {
    fn from(e: SubmitError) -> Self {
        let message = e.to_string();
        match e {
            SubmitError::Invalid(_) => Self::new(ErrorCode::Invalid, message),
            SubmitError::NotNow(_) => Self::new(ErrorCode::NotNow, message),
            SubmitError::NonceUsed { next } => Self {
                next_nonce: Some(next),
                ..Self::new(ErrorCode::NonceUsed, message)
            },
            SubmitError::Busy => Self::new(ErrorCode::Busy, message),
        }
    }
}

impl From<StateError> for ApiError {
    fn from(e: StateError) -> Self {
        Self::internal(e)
    }
}

impl From<Refusal> for ApiError {
    /// Reading a record refuses only where the store or the record is broken.
    fn from(e: Refusal) -> Self {
        Self::internal(e)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self).unwrap_or_default();
        (
            self.code.status(),
            [(header::CONTENT_TYPE, "application/json")],
            body,
        )
            .into_response()
    }
}
