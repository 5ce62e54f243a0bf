//! A node that votes on nothing and starts late syncs by certificates and
//! follows.

use super::cluster::{Cluster, eventually};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_late_follower_syncs_by_certificates_and_follows() {
    let names = [
        "validator-1",
        "validator-2",
        "validator-3",
        "validator-4",
        "follower",
    ];
    let mut cluster = Cluster::new(&names).await;
    for name in &names[..4] {
        cluster.start(name, &[]).await;
    }
    eventually("twelve blocks", || cluster.height("validator-1") >= 12).await;
    cluster.start("follower", &[]).await;
    eventually("the follower to catch up", || {
        cluster.height("follower") + 1 >= cluster.height("validator-1")
    })
    .await;
    let there = cluster.height("follower");
    eventually("the follower to follow", || {
        cluster.height("follower") >= there + 5
    })
    .await;
    assert!(cluster.height("follower") + 2 >= cluster.height("validator-1"));
    cluster.check_equal_and_conserved().await;
    cluster.stop().await;
}
