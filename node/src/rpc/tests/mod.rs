//! A chain in memory behind a real server on a real port.

mod fake;
mod refusals;
mod routes;

pub(crate) use fake::{FakeNode, account, key, onnx_model};
pub(crate) use routes::settled;

use super::{Client, RpcAddress, Server, ServerConfig};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot;

/// A server on a thread of its own; stops when dropped.
pub(crate) struct TestServer {
    pub(crate) node: Arc<FakeNode>,
    pub(crate) address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl TestServer {
    pub(crate) fn start() -> Self {
        Self::start_with(|_| {})
    }

    pub(crate) fn start_with(change: impl FnOnce(&mut ServerConfig)) -> Self {
        let node = FakeNode::new();
        let mut config = ServerConfig::new("127.0.0.1:0".parse().unwrap());
        change(&mut config);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let backend: Arc<dyn super::Backend> = Arc::clone(&node) as _;
        let server = runtime.block_on(Server::bind(config, backend)).unwrap();
        let address = server.local_addr();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            runtime
                .block_on(server.run(async { drop(stopped.await) }))
                .unwrap();
        });
        Self {
            node,
            address,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(&RpcAddress::from(self.address))
    }

    /// Ends the server and waits for it.
    pub(crate) fn stop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }

    /// A request as a stranger would write it: the status and the body.
    pub(crate) fn raw(
        &self,
        method: &str,
        path: &str,
        headers: &str,
        body: &[u8],
    ) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let host = self.address;
        let said = headers.contains("Content-Length") || headers.contains("Transfer-Encoding");
        let length = match said {
            true => String::new(),
            false => format!("Content-Length: {}\r\n", body.len()),
        };
        let host = match headers.contains("Host:") {
            true => String::new(),
            false => format!("Host: {host}\r\n"),
        };
        let head =
            format!("{method} {path} HTTP/1.1\r\n{host}{length}Connection: close\r\n{headers}\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        let body = answer
            .split_once("\r\n\r\n")
            .map(|(_, b)| b.to_owned())
            .unwrap_or_default();
        (status, body)
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.stop();
    }
}
