//! Gossip: what travels, what stops, who is cut off, and what happens when the node is slow.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accepted_gossip_travels_on_and_other_gossip_stops() {
    let [left, middle, right] = row().await;
    left.publish(Topic::Jobs, b"!wrong").await;
    left.publish(Topic::Jobs, b"?too early").await;
    left.publish(Topic::Jobs, b"right").await;
    middle.receives(b"!wrong").await;
    middle.receives(b"?too early").await;
    right.receives(b"right").await;
    // All three arrived in the middle before; only one went on.
    eventually("the middle has judged all three", async || {
        let stats = middle.handle.stats().await;
        let judged = (
            stats.gossip_accepted,
            stats.gossip_rejected,
            stats.gossip_ignored,
        );
        (judged == (1, 1, 1)).then_some(())
    })
    .await;
    right.publish(Topic::Jobs, b"last").await;
    left.receives(b"last").await;
    assert!(!right.received(b"!wrong"));
    assert!(!right.received(b"?too early"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_is_delivered_once_and_per_topic() {
    let [left, middle, right] = row().await;
    left.publish(Topic::Jobs, b"same").await;
    left.publish(Topic::Jobs, b"same").await;
    left.publish(Topic::Vcrs(1), b"same").await;
    left.publish(Topic::Jobs, b"end").await;
    right.receives(b"end").await;
    eventually("both topics deliver", async || {
        (right.log.lock().unwrap().gossip.len() >= 3).then_some(())
    })
    .await;
    let mut topics: Vec<_> = right
        .log
        .lock()
        .unwrap()
        .gossip
        .iter()
        .map(|(t, _)| *t)
        .collect();
    topics.sort_unstable();
    assert_eq!(topics, [Topic::Jobs, Topic::Jobs, Topic::Vcrs(1)]);
    assert_eq!(middle.log.lock().unwrap().gossip.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_keeps_sending_rejected_messages_is_cut_off() {
    let [spammer, middle, right] = row().await;
    for n in 0..12 {
        spammer
            .publish(Topic::Jobs, format!("!wrong {n}").as_bytes())
            .await;
    }
    let banned = format!("banned {}", spammer.id());
    eventually("the spammer is banned", async || {
        middle.was_told(&banned).then_some(())
    })
    .await;
    eventually("the spammer is disconnected", async || {
        (!middle.peers().await.contains(&spammer.id())).then_some(())
    })
    .await;

    // Whatever is sent from now on passes between the other two only.
    spammer.publish(Topic::Jobs, b"from the spammer").await;
    spammer
        .publish(Topic::Consensus, b"votes from the spammer")
        .await;
    middle.publish(Topic::Jobs, b"from the middle").await;
    right.publish(Topic::Consensus, b"from the right").await;
    right.receives(b"from the middle").await;
    middle.receives(b"from the right").await;
    let request = middle
        .handle
        .request(spammer.id(), Protocol::Status, b"hello".to_vec());
    assert_eq!(request.await, Err(RequestError::Unreachable));
    let request = spammer
        .handle
        .request(middle.id(), Protocol::Status, b"hello".to_vec());
    assert!(request.await.is_err());

    assert!(
        spammer.log.lock().unwrap().gossip.is_empty(),
        "it receives nothing"
    );
    for node in [&middle, &right] {
        assert!(!node.received(b"from the spammer"), "it forwards nothing");
        assert!(!node.received(b"votes from the spammer"));
    }
    assert!(
        right
            .log
            .lock()
            .unwrap()
            .gossip
            .iter()
            .all(|(_, b)| !b.starts_with(b"!"))
    );
    assert!(
        !middle.peers().await.contains(&spammer.id()),
        "it does not come back"
    );
    assert_eq!(middle.handle.stats().await.banned, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ban_ends() {
    let mut middle = config(2);
    middle.limits.ban = Duration::from_millis(100);
    let middle = Node::subscribed(middle).await;
    let mut left = config(1);
    left.bootnodes = vec![address_of(&middle.handle).await];
    let left = Node::subscribed(left).await;
    middle.is_connected_to(&[&left]).await;
    // Exactly the threshold: a moment later the points have faded below it.
    middle.handle.penalize(left.id(), 50).await.unwrap();
    for news in ["banned", "disconnected"] {
        let news = format!("{news} {}", left.id());
        eventually(&news, async || middle.was_told(&news).then_some(())).await;
    }
    eventually("it may come back", async || {
        let back = middle.peers().await.contains(&left.id());
        (back && middle.handle.stats().await.banned == 0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publication_waits_for_somebody_to_take_it() {
    let early = Node::subscribed(config(1)).await;
    early.publish(Topic::Jobs, b"first words").await;
    let mut late = config(2);
    late.bootnodes = vec![address_of(&early.handle).await];
    let late = Node::subscribed(late).await;
    late.receives(b"first words").await;
    assert_eq!(early.handle.stats().await.published, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_node_ignores_bulk_but_still_gets_votes() {
    // Nobody drains these events.
    let mut slow = config(1);
    slow.limits.event_queue = 64;
    let (slow, mut events) = start(slow, Arc::new(|_, _| true)).unwrap();
    slow.subscribe(Topic::all()).await.unwrap();
    let mut sender = config(2);
    sender.bootnodes = vec![address_of(&slow).await];
    let sender = Node::subscribed(sender).await;
    eventually("the sender knows the slow node's topics", async || {
        let peers = sender.handle.peers().await;
        peers
            .iter()
            .any(|p| p.topics.len() == Topic::all().len())
            .then_some(())
    })
    .await;
    for n in 0..200_u32 {
        sender.publish(Topic::Jobs, &n.to_le_bytes()).await;
    }
    eventually("the flood has arrived", async || {
        let stats = slow.stats().await;
        (stats.gossip_received + stats.gossip_overflow == 200).then_some(())
    })
    .await;
    let before = slow.stats().await;
    assert!(
        before.gossip_received <= 32,
        "bulk uses at most half of the queue"
    );
    sender.publish(Topic::Consensus, b"vote").await;
    eventually("the vote has arrived", async || {
        (slow.stats().await.gossip_received > before.gossip_received).then_some(())
    })
    .await;
    let mut votes = 0;
    while let Ok(event) = events.try_recv() {
        votes += usize::from(matches!(
            event,
            NetEvent::Gossip {
                topic: Topic::Consensus,
                ..
            }
        ));
    }
    assert_eq!(votes, 1);
}

#[tokio::test]
async fn calls_that_break_a_limit_are_refused() {
    let node = Node::start(config(1));
    let max = NetLimits::default().gossip_bytes_max;
    let size = max + 1;
    let too_large = node.handle.publish(Topic::Jobs, vec![0; size]).await;
    assert_eq!(too_large, Err(CallError::TooLarge { size, max }));
    let no_shard = node.handle.subscribe([Topic::Vcrs(VCR_SHARDS)]).await;
    assert_eq!(no_shard, Err(CallError::NoSuchShard(VCR_SHARDS)));
    let no_key = node.handle.get_record(vec![]).await;
    assert_eq!(no_key, Err(DhtError::WrongSize));
    node.handle.shutdown().await;
    assert_eq!(
        node.handle.publish(Topic::Jobs, vec![1]).await,
        Err(CallError::Closed)
    );
    node.task.await.unwrap(); // the event stream ends
}
