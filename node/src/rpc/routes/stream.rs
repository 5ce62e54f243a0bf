//! Events as they happen: a line of JSON for each block, until the caller or
//! the node goes.

use super::{Answer, Shared};
use crate::rpc::error::{ApiError, ErrorCode};
use crate::rpc::feed::{Cursor, FeedItem};
use crate::rpc::views::EventLine;
use aether_mesh::Slot;
use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::header;
use axum::response::IntoResponse;
use serde::Deserialize;
use std::convert::Infallible;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EventsQuery {
    from: Option<u64>,
}

struct Subscription {
    cursor: Cursor,
    /// Its place among the streams, given back when the caller goes.
    _permit: OwnedSemaphorePermit,
}

pub(super) async fn events(
    State(shared): State<Arc<Shared>>,
    query: Result<Query<EventsQuery>, QueryRejection>,
) -> Answer {
    let Query(query) = query.map_err(|e| ApiError::bad_request(e.body_text()))?;
    let permit = Arc::clone(&shared.streams)
        .try_acquire_owned()
        .map_err(|_| ApiError::new(ErrorCode::Busy, "too many event streams at once"))?;
    let cursor = shared.feed.subscribe(query.from.map(Slot));
    let start = Subscription {
        cursor,
        _permit: permit,
    };
    let lines = futures::stream::unfold(start, |mut subscription| async move {
        let item = subscription.cursor.next().await?;
        Some((Ok::<Bytes, Infallible>(line(&item).into()), subscription))
    });
    let kind = [
        (header::CONTENT_TYPE, "application/x-ndjson"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    Ok((kind, Body::from_stream(lines)).into_response())
}

fn line(item: &FeedItem) -> Vec<u8> {
    let encoded = match item {
        FeedItem::Block(block) => serde_json::to_vec(block.as_ref()),
        FeedItem::Missed(missed) => serde_json::to_vec(&EventLine::Missed { missed: *missed }),
    };
    let mut line = encoded.unwrap_or_default();
    line.push(b'\n');
    line
}
