//! For whoever watches the node: alive, ready and why not, numbers.
//!
//! - Alive: it answers. A node that does not should be restarted.
//! - Ready: it has state, is not catching up, saw a block lately, and is not
//!   alone. A node that is not should get no traffic, and usually mends itself.

use super::{Answer, Shared, blocking, with_state};
use crate::rpc::error::ApiError;
use crate::rpc::views::{NodeStatus, Readiness, ReadyReason};
use axum::extract::{RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use std::sync::Arc;

/// A block is recent for so many slots: what a few failed rounds may take.
const RECENT_SLOTS: u64 = 20;
/// And at least for so long, milliseconds.
const RECENT_MS_MIN: u64 = 10_000;

pub(super) async fn livez() -> &'static str {
    "alive\n"
}

pub(super) async fn readyz(State(shared): State<Arc<Shared>>, query: RawQuery) -> Answer {
    let readiness = blocking(&shared, |node| {
        let slot_ms = node.rules().params().slot_ms;
        let has_state = with_state(node, |_, _| Ok(())).is_ok();
        Ok(readiness(&node.status(), has_state, slot_ms))
    })
    .await?;
    let code = if readiness.ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let verbose = query
        .0
        .is_some_and(|q| q.split('&').any(|p| p.starts_with("verbose")));
    if verbose {
        let body = serde_json::to_vec(&readiness).map_err(ApiError::internal)?;
        return Ok((code, [(header::CONTENT_TYPE, "application/json")], body).into_response());
    }
    let text = match readiness.reasons.iter().find(|r| !r.ok) {
        None => "ready\n".to_owned(),
        Some(reason) => format!("not ready: {}: {}\n", reason.name, reason.detail),
    };
    Ok((code, text).into_response())
}

fn readiness(status: &NodeStatus, has_state: bool, slot_ms: u64) -> Readiness {
    let reason = |name: &str, ok: bool, detail: String| ReadyReason {
        name: name.into(),
        ok,
        detail,
    };
    let allowed_ms = slot_ms.saturating_mul(RECENT_SLOTS).max(RECENT_MS_MIN);
    let age_ms = status.time_ms.saturating_sub(status.block_time_ms);
    let recent = if status.height.0 == 0 {
        reason(
            "recent_block",
            false,
            "no block since the genesis yet".into(),
        )
    } else {
        let detail = format!("the last block is {} s old", age_ms / 1_000);
        reason("recent_block", age_ms <= allowed_ms, detail)
    };
    // The only validator of a network needs nobody.
    let alone_is_fine = status.validators == 1 && status.roles.iter().any(|r| r == "validator");
    let reasons = vec![
        reason(
            "state",
            has_state,
            if has_state { "loaded" } else { "not loaded" }.into(),
        ),
        reason(
            "synced",
            !status.syncing,
            format!(
                "{} height {}",
                if status.syncing {
                    "catching up, at"
                } else {
                    "at"
                },
                status.height
            ),
        ),
        recent,
        reason(
            "peers",
            status.peers > 0 || alone_is_fine,
            format!("{} connected", status.peers),
        ),
    ];
    Readiness {
        ready: reasons.iter().all(|r| r.ok),
        reasons,
    }
}

pub(super) async fn metrics(State(shared): State<Arc<Shared>>) -> Answer {
    let render = shared
        .metrics
        .clone()
        .ok_or_else(|| ApiError::not_found("this node was started without metrics"))?;
    let text = blocking(&shared, move |_| Ok(render())).await?;
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;
    use aether_mesh::Slot;

    #[test]
    fn each_reason_for_not_being_ready_has_its_name() {
        let well = NodeStatus {
            height: Slot(9),
            time_ms: 100_000,
            block_time_ms: 99_000,
            peers: 3,
            validators: 4,
            ..NodeStatus::default()
        };
        assert!(readiness(&well, true, 1_000).ready);
        let cases = [
            ("state", well.clone(), false),
            (
                "synced",
                NodeStatus {
                    syncing: true,
                    ..well.clone()
                },
                true,
            ),
            (
                "recent_block",
                NodeStatus {
                    time_ms: 200_000,
                    ..well.clone()
                },
                true,
            ),
            (
                "recent_block",
                NodeStatus {
                    height: Slot(0),
                    ..well.clone()
                },
                true,
            ),
            (
                "peers",
                NodeStatus {
                    peers: 0,
                    ..well.clone()
                },
                true,
            ),
        ];
        for (name, status, has_state) in cases {
            let found = readiness(&status, has_state, 1_000);
            assert!(!found.ready);
            let failing: Vec<&str> = found
                .reasons
                .iter()
                .filter(|r| !r.ok)
                .map(|r| r.name.as_str())
                .collect();
            assert_eq!(failing, [name]);
        }
        let alone = NodeStatus {
            peers: 0,
            validators: 1,
            roles: vec!["validator".into()],
            ..well
        };
        assert!(readiness(&alone, true, 1_000).ready);
    }
}
