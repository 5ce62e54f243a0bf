//! Where an RPC is: what `--rpc` and `AETHER_RPC` take.

use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
use std::str::FromStr;

/// The port a node serves unless told otherwise.
pub const DEFAULT_RPC: &str = "127.0.0.1:8770";

/// A host with its port. `127.0.0.1:8770` and `http://127.0.0.1:8770` are the
/// same place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RpcAddress {
    host_port: String,
}

/// The text names no RPC address. The caller's to mend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRpcAddress {
    /// `https` or another scheme.
    #[error("the RPC speaks plain http, meant for this machine: expected http://HOST:PORT")]
    Scheme,
    /// No host, no port, or something after them.
    #[error("expected HOST:PORT or http://HOST:PORT, such as {DEFAULT_RPC}")]
    Shape,
}

impl FromStr for RpcAddress {
    type Err = BadRpcAddress;

    fn from_str(text: &str) -> Result<Self, BadRpcAddress> {
        let rest = match text.split_once("://") {
            Some(("http", rest)) => rest.strip_suffix('/').unwrap_or(rest),
            Some(_) => return Err(BadRpcAddress::Scheme),
            None => text,
        };
        let (host, port) = rest.rsplit_once(':').ok_or(BadRpcAddress::Shape)?;
        let plain = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
        let host_ok = match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
            Some(ip) => ip.parse::<std::net::Ipv6Addr>().is_ok(),
            None => !host.is_empty() && host.chars().all(plain),
        };
        if !host_ok || port.parse::<u16>().is_err() {
            return Err(BadRpcAddress::Shape);
        }
        Ok(Self {
            host_port: rest.to_owned(),
        })
    }
}

impl Default for RpcAddress {
    fn default() -> Self {
        Self {
            host_port: DEFAULT_RPC.to_owned(),
        }
    }
}

impl From<SocketAddr> for RpcAddress {
    fn from(address: SocketAddr) -> Self {
        Self {
            host_port: address.to_string(),
        }
    }
}

impl fmt::Display for RpcAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}", self.host_port)
    }
}

impl RpcAddress {
    /// The address to listen on.
    ///
    /// # Errors
    /// When the host is a name that does not resolve.
    pub fn socket_addr(&self) -> std::io::Result<SocketAddr> {
        self.host_port
            .to_socket_addrs()?
            .next()
            .ok_or_else(|| std::io::Error::other(format!("{} has no address", self.host_port)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_be_written_as_a_url_or_without() {
        for text in [
            "127.0.0.1:8770",
            "http://127.0.0.1:8770",
            "http://127.0.0.1:8770/",
        ] {
            let address: RpcAddress = text.parse().unwrap();
            assert_eq!(address, RpcAddress::default());
            assert_eq!(address.to_string(), "http://127.0.0.1:8770");
            assert_eq!(address.socket_addr().unwrap(), DEFAULT_RPC.parse().unwrap());
        }
        let v6: RpcAddress = "[::1]:9000".parse().unwrap();
        assert!(v6.socket_addr().unwrap().ip().is_loopback());
        for (text, why) in [
            ("https://127.0.0.1:8770", BadRpcAddress::Scheme),
            ("127.0.0.1", BadRpcAddress::Shape),
            ("8770", BadRpcAddress::Shape),
            (":8770", BadRpcAddress::Shape),
            ("127.0.0.1:99999", BadRpcAddress::Shape),
            ("http://127.0.0.1:8770/v1", BadRpcAddress::Shape),
            ("http://user@host:1", BadRpcAddress::Shape),
        ] {
            assert_eq!(text.parse::<RpcAddress>(), Err(why), "{text}");
        }
    }
}
