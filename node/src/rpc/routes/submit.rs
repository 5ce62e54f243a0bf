//! What a caller may give: transactions and blobs.

use super::{Answer, Shared, blocking, bytes, json, parse};
use crate::rpc::error::{ApiError, ErrorCode};
use crate::rpc::views::{BlobView, Submitted};
use aether_mesh::{BlobId, BlobRef, SignedTx};
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use std::sync::Arc;

pub(super) async fn tx(
    State(shared): State<Arc<Shared>>,
    body: Result<Bytes, BytesRejection>,
) -> Answer {
    let limit = shared.backend.rules().params().limits.message_bytes_max;
    let body = whole(body, limit)?;
    let tx = SignedTx::decode(&body, limit as usize)
        .map_err(|e| ApiError::new(ErrorCode::Invalid, format!("not a transaction: {e}")))?;
    let id = blocking(&shared, move |node| Ok(node.submit(tx)?)).await?;
    json(&Submitted { id })
}

pub(super) async fn put_blob(
    State(shared): State<Arc<Shared>>,
    request: axum::extract::Request,
) -> Answer {
    // Before the body is read: each may be as large as a blob may be.
    let Ok(_permit) = shared.uploads.try_acquire() else {
        return Err(ApiError::new(ErrorCode::Busy, "too many uploads at once"));
    };
    let limit = shared.backend.rules().params().limits.blob_bytes_max;
    let body = axum::RequestExt::extract::<Bytes, _>(request).await;
    let body = whole(body, limit)?;
    let blob = blocking(&shared, move |node| {
        node.put_blob(&body).map_err(|e| ApiError::new(ErrorCode::Busy, e))
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

fn whole(body: Result<Bytes, BytesRejection>, limit: u64) -> Result<Bytes, ApiError> {
    body.map_err(|e| {
        if e.status() == StatusCode::PAYLOAD_TOO_LARGE {
            let message = format!("the body is larger than the {limit} bytes this network allows");
            ApiError::new(ErrorCode::TooLarge, message)
        } else {
            ApiError::bad_request(e.body_text())
        }
    })
}
