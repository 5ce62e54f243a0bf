//! Request-response: answers, refusals, and everything in between.

use super::*;

/// Two connected nodes; the first asks, with its own limits.
async fn pair(limits: impl FnOnce(&mut NetLimits)) -> (Node, Node) {
    let server = Node::start(config(2));
    let mut asking = config(1);
    asking.bootnodes = vec![address_of(&server.handle).await];
    limits(&mut asking.limits);
    let asking = Node::start(asking);
    eventually("they connect", async || {
        let peers = asking.handle.peers().await;
        peers.iter().any(|p| !p.protocols.is_empty()).then_some(())
    })
    .await;
    (asking, server)
}

async fn ask(from: &Node, to: &Node, text: &str) -> Result<Vec<u8>, RequestError> {
    from.handle
        .request(to.id(), Protocol::Sync, text.into())
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_answered_or_fail_with_a_reason() {
    let (asking, server) = pair(|limits| {
        limits.request_timeout = Duration::from_secs(2);
        limits.response_bytes_max = 1 << 16;
    })
    .await;
    for protocol in Protocol::ALL {
        let answer = asking
            .handle
            .request(server.id(), protocol, b"hello".to_vec())
            .await;
        assert_eq!(answer.as_deref(), Ok(&b"hello"[..]), "{protocol:?}");
    }
    assert_eq!(ask(&asking, &server, "").await.as_deref(), Ok(&b""[..]));
    assert_eq!(
        ask(&server, &asking, "back").await.as_deref(),
        Ok(&b"back"[..])
    );

    assert_eq!(
        ask(&asking, &server, "refuse").await,
        Err(RequestError::Refused)
    );
    assert_eq!(
        ask(&asking, &server, "silence").await,
        Err(RequestError::Timeout)
    );
    let huge = ask(&asking, &server, "huge").await.unwrap_err();
    assert_eq!(
        (huge, huge.blame()),
        (RequestError::Misbehaved, Blame::Peer)
    );

    let max = NetLimits::default().request_bytes_max;
    let size = max + 1;
    let request = asking
        .handle
        .request(server.id(), Protocol::Blob, vec![0; size])
        .await;
    assert_eq!(request, Err(RequestError::TooLarge { size, max }));
    let stranger = asking
        .handle
        .request(PeerId::random(), Protocol::Blob, vec![])
        .await;
    assert_eq!(stranger, Err(RequestError::Unreachable));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_oversized_request_is_refused_by_the_receiver_and_held_against_the_sender() {
    // The sender believes in other limits.
    let (asking, server) = pair(|limits| limits.request_bytes_max = 1 << 20).await;
    let request = asking
        .handle
        .request(server.id(), Protocol::Sync, vec![0; 1 << 18])
        .await;
    assert!(matches!(request, Err(RequestError::Refused)), "{request:?}");
    eventually("the sender's score has fallen", async || {
        let peers = server.handle.peers().await;
        peers
            .iter()
            .any(|p| p.peer_id == asking.id() && p.score < -5.0)
            .then_some(())
    })
    .await;
    assert_eq!(
        server.handle.stats().await.requests_received,
        0,
        "it never reached the node"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_asks_too_often_is_told_to_wait() {
    let server = config(2);
    let (burst, rate) = (8, 1);
    let server = Node::start(NetConfig {
        limits: NetLimits {
            requests_burst: burst,
            requests_per_second: rate,
            ..server.limits.clone()
        },
        ..server
    });
    let mut asking = config(1);
    asking.bootnodes = vec![address_of(&server.handle).await];
    let asking = Node::start(asking);
    eventually("an answer", async || {
        ask(&asking, &server, "first").await.ok()
    })
    .await;
    let mut busy = 0;
    let started = Instant::now();
    for _ in 0..40 {
        match ask(&asking, &server, "again").await {
            Ok(_) => {}
            Err(RequestError::Busy) => busy += 1,
            Err(other) => panic!("{other}"),
        }
    }
    let allowed = u64::from(burst) + (started.elapsed().as_secs() + 1) * u64::from(rate);
    assert!(
        busy >= 40_u64.saturating_sub(allowed),
        "{busy} of 40 were refused"
    );
    // Another protocol has its own quota.
    let other = asking
        .handle
        .request(server.id(), Protocol::Status, vec![1])
        .await;
    assert_eq!(other, Ok(vec![1]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_own_requests_are_bounded() {
    let (asking, server) = pair(|limits| {
        limits.requests_in_flight_per_peer = 2;
        limits.request_timeout = Duration::from_secs(2);
    })
    .await;
    let [a, b, c] = [(); 3].map(|()| ask(&asking, &server, "silence"));
    let results = tokio::join!(a, b, c);
    let results = [results.0, results.1, results.2];
    let too_many = results
        .iter()
        .filter(|r| **r == Err(RequestError::TooMany))
        .count();
    let timeouts = results
        .iter()
        .filter(|r| **r == Err(RequestError::Timeout))
        .count();
    assert_eq!((too_many, timeouts), (1, 2));
    assert_eq!(
        ask(&asking, &server, "after").await.as_deref(),
        Ok(&b"after"[..])
    );
}
