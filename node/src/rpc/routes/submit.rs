//! What a caller may give: transactions and blobs.

use super::{Answer, Shared, blocking, bytes, json, parse};
use crate::rpc::error::{ApiError, ErrorCode};
use crate::rpc::views::{BlobView, Submitted};
use aether_mesh::{BlobId, BlobRef, SignedTx};
use axum::RequestExt as _;
use axum::body::{Bytes, HttpBody as _};
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{Path, Query, Request, State};
use axum::http::StatusCode;
use serde::Deserialize;
use std::sync::Arc;

pub(super) async fn tx(State(shared): State<Arc<Shared>>, request: Request) -> Answer {
    let limit = shared.backend.rules().params().limits.message_bytes_max;
    let body = whole(request, limit).await?;
    let tx = SignedTx::decode(&body, limit as usize)
        .map_err(|e| ApiError::new(ErrorCode::Invalid, format!("not a transaction: {e}")))?;
    let id = blocking(&shared, move |node| Ok(node.submit(tx)?)).await?;
    json(&Submitted { id })
}

pub(super) async fn put_blob(State(shared): State<Arc<Shared>>, request: Request) -> Answer {
    // Before the body is read: each may be as large as a blob may be.
    let Ok(_permit) = shared.uploads.try_acquire() else {
        return Err(ApiError::new(ErrorCode::Busy, "too many uploads at once"));
    };
    let limit = shared.backend.rules().params().limits.blob_bytes_max;
    let body = whole(request, limit).await?;
    let blob = blocking(&shared, move |node| {
        node.put_blob(&body)
            .map_err(|e| ApiError::new(ErrorCode::Busy, e))
    })
    .await?;
    json(&BlobView::from(blob))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BlobQuery {
    len: u64,
}

pub(super) async fn blob(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    query: Result<Query<BlobQuery>, QueryRejection>,
) -> Answer {
    let id: BlobId = parse(&id, "blob")?;
    let Query(query) = query.map_err(|_| {
        ApiError::bad_request("a blob is named by its id and length: /v1/blob/{id}?len=BYTES")
    })?;
    let wanted = BlobRef::new(id, query.len);
    let held = blocking(&shared, move |node| {
        node.blob(&wanted).ok_or_else(|| {
            ApiError::not_found(format!("no blob {id} of {} bytes here", wanted.bytes_len))
        })
    })
    .await?;
    bytes(Bytes::from_owner(held))
}

/// A request's body, within the limit that its route was given.
async fn whole(request: Request, limit: u64) -> Result<Bytes, ApiError> {
    let too_large = || {
        let message = format!("the body is larger than the {limit} bytes this network allows");
        ApiError::new(ErrorCode::TooLarge, message)
    };
    // What announces itself as too long is not read at all.
    if request.body().size_hint().lower() > limit {
        return Err(too_large());
    }
    request
        .extract::<Bytes, _>()
        .await
        .map_err(|e: BytesRejection| match e.status() {
            StatusCode::PAYLOAD_TOO_LARGE => too_large(),
            _ => ApiError::bad_request(e.body_text()),
        })
}
