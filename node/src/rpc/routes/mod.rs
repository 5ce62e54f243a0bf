//! The router, and what its handlers share.

mod chain;
mod health;
mod state;
mod stream;
mod submit;

use super::backend::Backend;
use super::error::{ApiError, ErrorCode};
use super::feed::Feed;
use super::limits::{self, REQUESTS_MAX, STREAMS_MAX, UPLOADS_MAX};
use super::server::MetricsText;
use aether_mesh::{Slot, StateReader};
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Serialize;
use std::str::FromStr;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// What every handler may use.
pub(super) struct Shared {
    pub(super) backend: Arc<dyn Backend>,
    pub(super) feed: Arc<Feed>,
    pub(super) allow_remote: bool,
    pub(super) requests: Semaphore,
    uploads: Semaphore,
    streams: Arc<Semaphore>,
    metrics: Option<MetricsText>,
}

impl Shared {
    pub(super) fn new(
        backend: Arc<dyn Backend>,
        metrics: Option<MetricsText>,
        allow_remote: bool,
    ) -> Self {
        Self {
            backend,
            feed: Feed::new(),
            allow_remote,
            requests: Semaphore::new(REQUESTS_MAX),
            uploads: Semaphore::new(UPLOADS_MAX),
            streams: Arc::new(Semaphore::new(STREAMS_MAX)),
            metrics,
        }
    }
}

/// All routes behind the same door.
pub(super) fn router(shared: Arc<Shared>) -> Router {
    let limits = &shared.backend.rules().params().limits;
    // A transaction's wire bytes are its message's; blobs have their own bound.
    let tx_bytes_max = limits.message_bytes_max as usize;
    let blob_bytes_max = limits.blob_bytes_max as usize;
    Router::new()
        .route("/v1/status", get(chain::status))
        .route("/v1/peers", get(chain::peers))
        .route("/v1/genesis", get(chain::genesis))
        .route("/v1/block/{slot}", get(chain::block))
        .route("/v1/receipt/{job}", get(chain::receipt))
        .route("/v1/supply", get(state::supply))
        .route("/v1/account/{account}", get(state::account))
        .route("/v1/jobs", get(state::jobs))
        .route("/v1/job/{job}", get(state::job))
        .route("/v1/job/{job}/challenges", get(state::job_challenges))
        .route("/v1/job/{job}/input", get(chain::job_input))
        .route("/v1/job/{job}/output", get(chain::job_output))
        .route("/v1/challenges", get(state::challenges))
        .route("/v1/workers", get(state::workers))
        .route("/v1/worker/{account}", get(state::worker))
        .route("/v1/coordinators", get(state::coordinators))
        .route("/v1/tee", get(state::tee))
        .route("/v1/models", get(state::models))
        .route("/v1/model/{model}", get(state::model))
        .route(
            "/v1/tx",
            post(submit::tx).layer(DefaultBodyLimit::max(tx_bytes_max)),
        )
        .route(
            "/v1/blob",
            post(submit::put_blob).layer(DefaultBodyLimit::max(blob_bytes_max)),
        )
        .route("/v1/blob/{blob}", get(submit::blob))
        .route("/v1/events", get(stream::events))
        .route("/livez", get(health::livez))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::metrics))
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
        .layer(axum::middleware::from_fn_with_state(
            Arc::clone(&shared),
            limits::admit,
        ))
        .with_state(shared)
}

async fn unknown_path(uri: Uri) -> ApiError {
    let path: String = uri.path().chars().take(120).collect();
    ApiError::new(ErrorCode::UnknownPath, format!("there is no {path} here"))
}

async fn wrong_method() -> ApiError {
    ApiError::new(ErrorCode::WrongMethod, "this path answers another method")
}

type Answer = Result<Response, ApiError>;

/// A JSON answer.
fn json<T: Serialize>(value: &T) -> Answer {
    let body = serde_json::to_vec(value).map_err(ApiError::internal)?;
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}

/// A binary answer.
fn bytes(body: impl Into<axum::body::Body>) -> Answer {
    Ok((
        [(header::CONTENT_TYPE, "application/octet-stream")],
        body.into(),
    )
        .into_response())
}

/// An id or number out of a path.
fn parse<T: FromStr>(text: &str, what: &str) -> Result<T, ApiError>
where
    T::Err: std::fmt::Display,
{
    text.parse()
        .map_err(|e: T::Err| ApiError::bad_request(format!("{what}: {e}")))
}

/// Runs what may block where blocking is allowed.
async fn blocking<T: Send + 'static>(
    shared: &Arc<Shared>,
    f: impl FnOnce(&dyn Backend) -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    let backend = Arc::clone(&shared.backend);
    tokio::task::spawn_blocking(move || f(&*backend))
        .await
        .map_err(ApiError::internal)?
}

/// Reads a snapshot of the state.
fn with_state<T>(
    backend: &dyn Backend,
    mut f: impl FnMut(Slot, &dyn StateReader) -> Result<T, ApiError>,
) -> Result<T, ApiError> {
    let mut answer = None;
    backend.read(&mut |slot, state| answer = Some(f(slot, state)));
    answer.unwrap_or_else(|| {
        Err(ApiError::new(
            ErrorCode::Busy,
            "the node has no state to read yet",
        ))
    })
}
