//! Binding, running, stopping.

use super::backend::Backend;
use super::feed::Feed;
use super::limits::CONNECTIONS_MAX;
use super::listener::BoundedListener;
use super::routes::{self, Shared};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;

/// Renders the metrics, when `/metrics` is asked for.
pub type MetricsText = Arc<dyn Fn() -> String + Send + Sync>;

/// Where and what to serve.
#[derive(Clone)]
pub struct ServerConfig {
    /// The address; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Serve an address that is not loopback, and callers under any name. The
    /// RPC has no passwords: only for a network that is as closed as one
    /// machine, such as between containers.
    pub allow_remote: bool,
    /// What `/metrics` answers; `None`: it is not there.
    pub metrics: Option<MetricsText>,
}

impl ServerConfig {
    /// A loopback address, without metrics.
    pub fn new(listen: SocketAddr) -> Self {
        Self {
            listen,
            allow_remote: false,
            metrics: None,
        }
    }
}

/// Why the RPC cannot be served: the operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// Somebody else listens there.
    #[error("port {} is in use; another node may be running: stop it, or choose another port with --rpc {}:PORT", .0.port(), .0.ip())]
    PortInUse(SocketAddr),
    /// The address is reachable from elsewhere.
    #[error("the RPC has no passwords and listens on loopback only, not on {0}; use --rpc 127.0.0.1:{port}", port = .0.port())]
    NotLoopback(SocketAddr),
    /// The system refused.
    #[error("the RPC cannot listen on {address}: {source}; choose another address with --rpc")]
    Bind {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

/// A bound server, not yet answering.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Server {
    /// Takes the port, so that a busy one is known before anything starts.
    ///
    /// # Errors
    /// See [`ServerError`].
    pub async fn bind(
        config: ServerConfig,
        backend: Arc<dyn Backend>,
    ) -> Result<Self, ServerError> {
        let address = config.listen;
        if !config.allow_remote && !address.ip().is_loopback() {
            return Err(ServerError::NotLoopback(address));
        }
        let bound = TcpListener::bind(address).await;
        let listener = bound.map_err(|source| match source.kind() {
            io::ErrorKind::AddrInUse => ServerError::PortInUse(address),
            _ => ServerError::Bind { address, source },
        })?;
        let address = listener
            .local_addr()
            .map_err(|source| ServerError::Bind { address, source })?;
        let shared = Shared::new(backend, config.metrics, config.allow_remote);
        Ok(Self {
            listener,
            address,
            shared: Arc::new(shared),
        })
    }

    /// Where it listens, with the port that was taken.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `shutdown`, then finishes what it has begun and ends the
    /// event streams.
    ///
    /// # Errors
    /// When the listener fails for good.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
        let feed = Arc::clone(&self.shared.feed);
        let events = self.shared.backend.events();
        let filling = tokio::spawn(Arc::clone(&feed).run(events));
        let router = routes::router(self.shared);
        let listener = BoundedListener::new(self.listener, CONNECTIONS_MAX);
        let closing: Arc<Feed> = Arc::clone(&feed);
        let served = axum::serve(listener, router)
            .with_graceful_shutdown(async move {
                shutdown.await;
                closing.close();
            })
            .await;
        filling.abort();
        served
    }
}
