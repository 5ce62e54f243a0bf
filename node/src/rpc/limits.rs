//! What every request passes first: is the caller allowed to ask, is there
//! room, is there time.
//!
//! - A web page that somebody opens in a browser on this machine can reach
//!   loopback too: under its own name (the `Origin` header), or under a name
//!   that it lets point here (the `Host` header). Both are refused; tools send
//!   no origin and name the host as an address or `localhost`.
//! - So many requests at once, so many large bodies at once, so long each;
//!   beyond that `busy` or `timeout`. Event streams count on their own, since
//!   they are meant to last.

use super::error::{ApiError, ErrorCode};
use super::routes::Shared;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// Requests answered at the same time; a CLI or a dashboard needs a handful.
pub(super) const REQUESTS_MAX: usize = 64;
/// Blob uploads at the same time: each may hold `blob_bytes_max` in memory.
pub(super) const UPLOADS_MAX: usize = 4;
/// Event streams at the same time.
pub(super) const STREAMS_MAX: usize = 64;
/// Open connections: all of the above, and idle ones that tools keep.
pub(super) const CONNECTIONS_MAX: usize = 256;
/// Registering a large model lowers it first, which takes seconds.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// The middleware in front of every route.
pub(super) async fn admit(
    State(shared): State<Arc<Shared>>,
    request: Request,
    next: Next,
) -> Response {
    if !shared.allow_remote && !is_local_caller(request.uri(), request.headers()) {
        let message =
            "this RPC answers programs on this machine only, not web pages or other names";
        return ApiError::new(ErrorCode::Forbidden, message).into_response();
    }
    let Ok(_permit) = shared.requests.try_acquire() else {
        return ApiError::new(ErrorCode::Busy, "too many requests at once").into_response();
    };
    match tokio::time::timeout(REQUEST_TIMEOUT, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let message = format!("no answer within {} seconds", REQUEST_TIMEOUT.as_secs());
            ApiError::new(ErrorCode::Timeout, message).into_response()
        }
    }
}

fn is_local_caller(uri: &Uri, headers: &HeaderMap) -> bool {
    let text = |name| {
        headers
            .get(name)
            .map(|v| v.to_str().unwrap_or("unreadable"))
    };
    let host_is_local = match (uri.host(), text(header::HOST)) {
        (Some(host), _) => is_local_name(host),
        (None, Some(host)) => is_local_name(without_port(host)),
        (None, None) => true,
    };
    let origin_is_local = match text(header::ORIGIN) {
        None => true,
        Some(origin) => origin
            .parse::<Uri>()
            .ok()
            .and_then(|u| u.host().map(is_local_name))
            .unwrap_or(false),
    };
    host_is_local && origin_is_local
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}

fn is_local_name(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_other_sites_are_no_local_callers() {
        let local = |host: &str, origin: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, host.parse().unwrap());
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, origin.parse().unwrap());
            }
            is_local_caller(&Uri::from_static("/v1/status"), &headers)
        };
        assert!(local("127.0.0.1:8770", None));
        assert!(local("localhost:8770", None));
        assert!(local("[::1]:8770", None));
        assert!(local("127.0.0.1:8770", Some("http://localhost:3000")));
        assert!(!local("127.0.0.1:8770", Some("https://example.org")));
        assert!(!local("127.0.0.1:8770", Some("null")));
        assert!(!local("rebound.example.org:8770", None));
        assert!(!local("192.168.1.7:8770", None));
    }
}
