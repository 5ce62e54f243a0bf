//! Finding peers, losing them, finding them again.

use std::net::{TcpListener, UdpSocket};

use tokio::runtime::Runtime;

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_know_only_the_bootnode_find_each_other() {
    let (_bootnode, address) = bootnode(99, ANY_PORT.into()).await;
    let start = |seed| {
        let mut config = config(seed);
        config.bootnodes = vec![address.clone()];
        Node::start(config)
    };
    let [a, b, c] = [1, 2, 3].map(start);
    a.is_connected_to(&[&b, &c]).await;
    b.is_connected_to(&[&a, &c]).await;
    c.is_connected_to(&[&a, &b]).await;
    eventually("the node is told", async || {
        a.was_told(&format!("connected {}", b.id())).then_some(())
    })
    .await;
    let info = a.handle.peers().await;
    assert!(
        info.iter()
            .any(|p| p.bootnode && p.agent.starts_with("aether-bootnode/"))
    );
    let b_info = info.iter().find(|p| p.peer_id == b.id()).unwrap();
    assert!(b_info.agent.starts_with("aether/"));
    assert_eq!(b_info.addresses, b.handle.listen_addrs().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_nodes_are_connected_soon() {
    let (_bootnode, address) = bootnode(99, ANY_PORT.into()).await;
    let started = Instant::now();
    let nodes: Vec<_> = (1..=10)
        .map(|seed| {
            let mut config = config(seed);
            config.bootnodes = vec![address.clone()];
            Node::start(config)
        })
        .collect();
    for (wanted, what) in [(3, "several peers each"), (9, "everybody with everybody")] {
        for node in &nodes {
            eventually(what, async || {
                (node.peers().await.len() >= wanted).then_some(())
            })
            .await;
        }
        println!("ten nodes, {what}: {:?}", started.elapsed());
    }
    for node in &nodes {
        node.handle.subscribe([Topic::Consensus]).await.unwrap();
    }
    let all: Vec<_> = nodes.iter().collect();
    nodes[0]
        .knows_subscribers(Topic::Consensus, &all[1..])
        .await;
    let started = Instant::now();
    nodes[0].publish(Topic::Consensus, b"proposal").await;
    for node in &nodes[1..] {
        node.receives(b"proposal").await;
    }
    println!(
        "ten nodes, a message reaches everybody: {:?}",
        started.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_network_is_shunned() {
    let (_bootnode, address) = bootnode(99, ANY_PORT.into()).await;
    let mut ours = config(1);
    ours.bootnodes = vec![address.clone()];
    let ours = Node::start(ours);
    let mut foreign = config(2);
    foreign.genesis8 = "deadbeef".into();
    foreign.bootnodes = vec![address, address_of(&ours.handle).await];
    let foreign = Node::start(foreign);
    let mut friend = config(3);
    friend.bootnodes = vec![address_of(&ours.handle).await];
    let friend = Node::start(friend);
    eventually("friends connect", async || {
        ours.was_told(&format!("connected {}", friend.id()))
            .then_some(())
    })
    .await;
    assert!(!ours.was_told(&format!("connected {}", foreign.id())));
    let request = foreign
        .handle
        .request(ours.id(), Protocol::Status, vec![])
        .await;
    assert!(request.is_err(), "no protocol in common");
}

#[tokio::test]
async fn a_busy_port_is_a_clear_error() {
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let cases = [
        format!(
            "/ip4/127.0.0.1/udp/{}/quic-v1",
            udp.local_addr().unwrap().port()
        ),
        format!("/ip4/127.0.0.1/tcp/{}", tcp.local_addr().unwrap().port()),
    ];
    for text in cases {
        let mut config = config(1);
        config.listen = vec![text.parse().unwrap()];
        let error = start(config, Arc::new(|_, _| true)).unwrap_err();
        assert!(
            matches!(error, NetError::AddressInUse(_)),
            "{text}: {error}"
        );
        assert_eq!(
            error.to_string(),
            format!("{text} is in use by another process")
        );
    }
}

#[tokio::test]
async fn a_bad_configuration_is_a_clear_error() {
    let refused = |change: fn(&mut NetConfig)| {
        let mut config = config(1);
        change(&mut config);
        start(config, Arc::new(|_, _| true))
            .unwrap_err()
            .to_string()
    };
    assert!(refused(|c| c.genesis8 = "xyz".into()).contains("8 lower-case hex digits"));
    assert!(
        refused(|c| c.bootnodes = vec!["/ip4/127.0.0.1/tcp/1".parse().unwrap()])
            .contains("/p2p/<peer id>")
    );
    assert!(
        refused(|c| c.listen = vec!["/ip4/127.0.0.1/tcp/1/ws".parse().unwrap()]).contains("/ws")
    );
    assert!(refused(|c| c.limits.record_ttl = Duration::ZERO).contains("record_ttl"));
}

/// A runtime whose end is a `kill -9`: no farewell, no close frames, the sockets just vanish.
fn machine() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
}

fn kill(machine: Runtime) {
    machine.shutdown_background();
}

/// The system takes a moment to notice that a socket is gone.
async fn is_free(port: u16) {
    let bind = async || UdpSocket::bind(("127.0.0.1", port)).ok();
    eventually("the port is free", bind).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_node_is_found_again_and_gossip_flows_both_ways() {
    let (_bootnode, address) = bootnode(99, ANY_PORT.into()).await;
    let mut stays = config(1);
    stays.bootnodes = vec![address.clone()];
    let stays = Node::subscribed(stays).await;
    let port = UdpSocket::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let start = async |machine: &Runtime| {
        let mut config = config(2);
        config.bootnodes = vec![address.clone()];
        config.listen = vec![
            format!("/ip4/127.0.0.1/udp/{port}/quic-v1")
                .parse()
                .unwrap(),
        ];
        is_free(port).await;
        let node = machine
            .spawn(async move { Node::start(config) })
            .await
            .unwrap();
        node.handle.subscribe(Topic::all()).await.unwrap();
        node
    };
    let first_life = machine();
    let mortal = start(&first_life).await;
    stays.knows_subscribers(Topic::Consensus, &[&mortal]).await;
    // Long enough that a new connection cannot be mistaken for a crossed dial.
    eventually("they have been connected for a while", async || {
        let peers = stays.handle.peers().await;
        let long = Duration::from_millis(2_500);
        peers
            .iter()
            .any(|p| p.peer_id == mortal.id() && p.connected_for > long)
            .then_some(())
    })
    .await;
    kill(first_life);

    let second_life = machine();
    let reborn = start(&second_life).await;
    assert_eq!(reborn.id(), mortal.id());
    reborn.knows_subscribers(Topic::Consensus, &[&stays]).await;
    stays.publish(Topic::Consensus, b"to the reborn").await;
    reborn.receives(b"to the reborn").await;
    reborn.publish(Topic::Consensus, b"from the reborn").await;
    stays.receives(b"from the reborn").await;
    kill(second_life);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_bootnode_is_found_again() {
    let port = UdpSocket::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let listen = format!("/ip4/127.0.0.1/udp/{port}/quic-v1");
    let start = async |machine: &Runtime| {
        is_free(port).await;
        machine.spawn(bootnode(99, listen.clone())).await.unwrap().1
    };
    let first_life = machine();
    let address = start(&first_life).await;
    let mut early = config(1);
    early.bootnodes = vec![address.clone()];
    let early = Node::start(early);
    let meets_bootnode = async || {
        let peers = early.handle.peers().await;
        peers
            .iter()
            .any(|p| p.bootnode && !p.agent.is_empty())
            .then_some(())
    };
    eventually("the bootnode answers", meets_bootnode).await;
    kill(first_life);
    eventually("its loss is noticed", async || {
        (!early.handle.peers().await.iter().any(|p| p.bootnode)).then_some(())
    })
    .await;
    let second_life = machine();
    assert_eq!(start(&second_life).await, address);
    eventually("the bootnode answers again", meets_bootnode).await;
    // And it introduces newcomers again.
    let mut late = config(2);
    late.bootnodes = vec![address];
    let late = Node::start(late);
    late.is_connected_to(&[&early]).await;
    kill(second_life);
}
