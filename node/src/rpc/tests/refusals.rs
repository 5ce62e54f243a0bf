//! What is refused, with which status and code.

use super::routes::transfer;
use super::{FakeNode, TestServer, account, key};
use crate::rpc::{Client, ClientError, ErrorCode, RpcAddress, Server, ServerConfig, ServerError};
use aether_mesh::{Action, Amount, ChainId, Slot, TxBody};
use std::sync::Arc;
use std::sync::atomic::Ordering;

#[test]
fn each_wrong_request_has_its_code() {
    let server = TestServer::start();
    let id = "ab".repeat(32);
    let cases = [
        ("GET", "/v1/job/beef".to_owned(), 400, "bad_request"),
        (
            "GET",
            format!("/v1/job/{}", "zz".repeat(32)),
            400,
            "bad_request",
        ),
        ("GET", format!("/v1/job/{id}"), 404, "not_found"),
        ("GET", format!("/v1/job/{id}/output"), 404, "not_found"),
        ("GET", format!("/v1/job/{id}/nothing"), 404, "unknown_path"),
        ("GET", format!("/v1/receipt/{id}"), 404, "not_found"),
        ("GET", "/v1/account/me".into(), 400, "bad_request"),
        ("GET", format!("/v1/worker/{id}"), 404, "not_found"),
        ("GET", format!("/v1/model/{id}"), 404, "not_found"),
        ("GET", "/v1/block/first".into(), 400, "bad_request"),
        ("GET", "/v1/block/-1".into(), 400, "bad_request"),
        ("GET", "/v1/block/99".into(), 404, "not_found"),
        ("GET", "/v1/jobs?status=lost".into(), 400, "bad_request"),
        ("GET", "/v1/jobs?limit=many".into(), 400, "bad_request"),
        ("GET", "/v1/jobs?order=up".into(), 400, "bad_request"),
        ("GET", "/v1/jobs?worker=me".into(), 400, "bad_request"),
        ("GET", "/v1/events?from=now".into(), 400, "bad_request"),
        ("GET", format!("/v1/blob/{id}"), 400, "bad_request"),
        ("GET", format!("/v1/blob/{id}?len=-1"), 400, "bad_request"),
        ("GET", format!("/v1/blob/{id}?len=7"), 404, "not_found"),
        ("GET", "/".into(), 404, "unknown_path"),
        ("GET", "/v2/status".into(), 404, "unknown_path"),
        ("GET", "/v1/tx".into(), 405, "wrong_method"),
        ("POST", "/v1/status".into(), 405, "wrong_method"),
        ("DELETE", format!("/v1/job/{id}"), 405, "wrong_method"),
        ("POST", "/v1/tx".into(), 422, "invalid"),
    ];
    for (method, path, status, code) in cases {
        let (got, body) = server.raw(method, &path, "", b"");
        let error: serde_json::Value = serde_json::from_str(&body)
            .unwrap_or_else(|e| panic!("{method} {path}: {e} in {body:?}"));
        assert_eq!(
            (got, error["code"].as_str()),
            (status, Some(code)),
            "{method} {path}: {body}"
        );
        assert!(!error["message"].as_str().unwrap().is_empty());
    }
}

#[test]
fn bodies_over_the_limit_are_refused_unread() {
    let server = TestServer::start();
    let limits = &server.node.rules.params().limits;
    for (path, limit) in [
        ("/v1/tx", limits.message_bytes_max),
        ("/v1/blob", limits.blob_bytes_max),
    ] {
        // The length alone is enough; not one byte of it is sent.
        let length = format!("Content-Length: {}\r\n", limit + 1);
        let (status, body) = server.raw("POST", path, &length, b"");
        assert_eq!(status, 413, "{body}");
        assert!(
            body.contains("too_large") && body.contains(&limit.to_string()),
            "{body}"
        );
    }
    // Without a length it is cut where the limit is.
    let many = vec![b'x'; limits.message_bytes_max as usize + 1];
    let mut chunked = format!("{:x}\r\n", many.len()).into_bytes();
    chunked.extend_from_slice(&many);
    chunked.extend_from_slice(b"\r\n0\r\n\r\n");
    let headers = "Transfer-Encoding: chunked\r\n";
    let (status, body) = server.raw("POST", "/v1/tx", headers, &chunked);
    assert_eq!(status, 413, "{body}");
}

#[test]
fn a_refused_transaction_says_whether_to_try_again() {
    let server = TestServer::start();
    let (node, client) = (&server.node, server.client());
    let tx = transfer(node, 1);
    client.submit(&tx).unwrap();
    match client.submit(&tx) {
        Err(ClientError::Refused(e)) => {
            assert_eq!((e.code, e.next_nonce), (ErrorCode::NonceUsed, Some(2)));
        }
        other => panic!("{other:?}"),
    }
    let mut forged = transfer(node, 1);
    forged.signature[7] ^= 1;
    let too_much = node.sign(
        2,
        Action::Transfer {
            to: account(3),
            amount: Amount::aic(9_999),
        },
    );
    let elsewhere = TxBody {
        nonce: 2,
        expiry_slot: Slot(9),
        action: Action::Transfer {
            to: account(3),
            amount: Amount(1),
        },
    }
    .sign(&key(2), &ChainId([1; 32]));
    for (tx, code) in [
        (forged, ErrorCode::Invalid),
        (elsewhere, ErrorCode::Invalid),
        (too_much, ErrorCode::NotNow),
    ] {
        assert_eq!(client.submit(&tx).unwrap_err().code(), Some(code));
    }
    node.busy.store(true, Ordering::SeqCst);
    assert_eq!(
        client.submit(&transfer(node, 1)).unwrap_err().code(),
        Some(ErrorCode::Busy)
    );
}

#[test]
fn web_pages_of_other_sites_get_nothing() {
    let server = TestServer::start();
    for headers in [
        "Origin: https://example.org\r\n",
        "Host: rebound.example.org\r\n",
    ] {
        let (status, body) = server.raw("GET", "/v1/status", headers, b"");
        assert_eq!(status, 403, "{body}");
        assert!(body.contains("forbidden"), "{body}");
    }
    assert_eq!(
        server
            .raw(
                "GET",
                "/v1/status",
                "Origin: http://localhost:3000\r\n",
                b""
            )
            .0,
        200
    );
    let open = TestServer::start_with(|config| config.allow_remote = true);
    assert_eq!(
        open.raw("GET", "/v1/status", "Host: node-3:8770\r\n", b"")
            .0,
        200
    );
}

#[tokio::test]
async fn a_busy_port_and_an_open_address_are_named_with_what_helps() {
    let backend: Arc<dyn crate::rpc::Backend> = FakeNode::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let e = Server::bind(ServerConfig::new(address), Arc::clone(&backend))
        .await
        .err()
        .unwrap();
    assert!(matches!(e, ServerError::PortInUse(a) if a == address));
    let text = e.to_string();
    assert!(
        text.contains(&format!("port {}", address.port())) && text.contains("--rpc"),
        "{text}"
    );
    let open = ServerConfig::new("0.0.0.0:8770".parse().unwrap());
    let e = Server::bind(open, backend).await.err().unwrap();
    assert!(e.to_string().contains("--rpc 127.0.0.1:8770"), "{e}");
}

#[test]
fn nobody_there_is_told_apart_from_a_refusal() {
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let e = Client::new(&RpcAddress::from(free)).status().unwrap_err();
    assert!(matches!(e, ClientError::Unreachable { .. }), "{e:?}");
    assert!(e.to_string().contains("aether node run"), "{e}");
    // Something that speaks another protocol.
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = RpcAddress::from(other.local_addr().unwrap());
    let talker = std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        let (mut stream, _) = other.accept().unwrap();
        let _ = stream.read(&mut [0; 512]).unwrap();
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n<hi>")
            .unwrap();
    });
    let e = Client::new(&address).status().unwrap_err();
    assert!(matches!(e, ClientError::Strange { .. }), "{e:?}");
    talker.join().unwrap();
}
