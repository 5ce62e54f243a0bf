//! The DHT: capability records and providers.

use super::*;

const HOUR: Duration = Duration::from_secs(3_600);

/// A stand-in for a signature check: a valid record starts with its key.
fn starts_with_key(key: &[u8], value: &[u8]) -> bool {
    value.starts_with(key)
}

type Validator = fn(&[u8], &[u8]) -> bool;

async fn three(bootnode: &Multiaddr, validators: [Validator; 3]) -> [Node; 3] {
    let start = |seed, validator| {
        let mut config = config(seed);
        config.bootnodes = vec![bootnode.clone()];
        Node::start_with(config, validator)
    };
    let [a, b, c] = validators;
    let nodes = [start(11, a), start(12, b), start(13, c)];
    let [a, b, c] = &nodes;
    a.is_connected_to(&[b, c]).await;
    b.is_connected_to(&[c]).await;
    nodes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_coordinator_finds_the_workers_of_a_model_and_their_records() {
    let (_bootnode, address) = bootnode(99, ANY_PORT.into()).await;
    let [worker, idle, coordinator] = three(&address, [starts_with_key; 3]).await;
    let model = b"model/shard-3".to_vec();
    let key = b"worker".to_vec();
    let record = b"worker offers resnet".to_vec();
    // Either may come before anybody can take it; then it is announced again.
    let _ = worker
        .handle
        .put_record(key.clone(), record.clone(), HOUR)
        .await;
    let _ = worker.handle.provide(model.clone()).await;

    let providers = eventually("providers are found", async || {
        let found = coordinator
            .handle
            .find_providers(model.clone())
            .await
            .unwrap();
        (!found.is_empty()).then_some(found)
    })
    .await;
    assert_eq!(providers, [worker.id()]);
    let records = eventually("the record is found", async || {
        let found = coordinator.handle.get_record(key.clone()).await.unwrap();
        (!found.is_empty()).then_some(found)
    })
    .await;
    assert_eq!(records, [record]);
    assert_eq!(
        idle.handle.find_providers(b"other".to_vec()).await,
        Ok(vec![])
    );
    assert_eq!(idle.handle.get_record(b"other".to_vec()).await, Ok(vec![]));

    // A newer record takes the place of the old one.
    let newer = b"worker offers bert".to_vec();
    eventually("the newer record is found", async || {
        let _ = worker
            .handle
            .put_record(key.clone(), newer.clone(), HOUR)
            .await;
        let found = coordinator.handle.get_record(key.clone()).await.unwrap();
        found.contains(&newer).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invalid_record_is_neither_stored_nor_returned() {
    let (_bootnode, address) = bootnode(98, ANY_PORT.into()).await;
    let [liar, honest, reader] =
        three(&address, [|_, _| true, starts_with_key, starts_with_key]).await;
    let key = b"victim".to_vec();
    let refused = honest
        .handle
        .put_record(key.clone(), b"forged".to_vec(), HOUR)
        .await;
    assert_eq!(
        refused,
        Err(DhtError::Invalid),
        "an honest node does not even send it"
    );

    eventually("the forged record is offered to both", async || {
        let _ = liar
            .handle
            .put_record(key.clone(), b"forged".to_vec(), HOUR)
            .await;
        let refused = async |node: &Node| node.handle.stats().await.records_refused;
        (refused(&honest).await > 0 && refused(&reader).await > 0).then_some(())
    })
    .await;
    assert_eq!(honest.handle.stats().await.records_held, 0);
    // The liar itself keeps and serves it; the reader does not believe it.
    assert_eq!(reader.handle.get_record(key.clone()).await, Ok(vec![]));
    assert_eq!(
        liar.handle.get_record(key).await,
        Ok(vec![b"forged".to_vec()])
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_published_alone_is_announced_when_peers_appear() {
    let (_bootnode, address) = bootnode(97, ANY_PORT.into()).await;
    let mut early = config(14);
    early.bootnodes = vec![address.clone()];
    let early = Node::start_with(early, starts_with_key);
    let _ = early
        .handle
        .put_record(b"key".to_vec(), b"key and value".to_vec(), HOUR)
        .await;
    let _ = early.handle.provide(b"model".to_vec()).await;
    let mut late = config(15);
    late.bootnodes = vec![address];
    let late = Node::start_with(late, starts_with_key);
    eventually("the newcomer keeps a copy", async || {
        (late.handle.stats().await.records_held == 1).then_some(())
    })
    .await;
    eventually("the newcomer knows the provider", async || {
        let found = late.handle.find_providers(b"model".to_vec()).await.unwrap();
        (found == [early.id()]).then_some(())
    })
    .await;
}
