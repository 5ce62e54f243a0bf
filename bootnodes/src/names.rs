//! Names on the wire, derived from the network id.
//!
//! A network id is the first 8 hex digits of the genesis hash, lower case. It is part of every
//! topic and protocol name, so peers of different networks have no protocol in common.

use std::fmt;

use libp2p::StreamProtocol;
use thiserror::Error;

/// Length of a network id, in characters.
pub const NETWORK_ID_LEN: usize = 8;

/// The first 8 hex digits of a genesis hash, lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NetworkId(String);

/// Why a text is not a network id. The fault is the operator's.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("a network id is 8 lower-case hex digits, not {0:?}")]
pub struct NetworkIdError(String);

impl NetworkId {
    /// Checks and takes a network id.
    ///
    /// # Errors
    /// If the text is not exactly 8 lower-case hex digits.
    pub fn parse(text: &str) -> Result<Self, NetworkIdError> {
        let hex_digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if text.len() == NETWORK_ID_LEN && text.bytes().all(hex_digit) {
            Ok(Self(text.to_owned()))
        } else {
            let shown = text.chars().take(32).collect();
            Err(NetworkIdError(shown))
        }
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What identify announces as protocol version: `/aether/<id>/1`. A peer that announces
    /// anything else belongs to another network.
    #[must_use]
    pub fn identify_protocol(&self) -> String {
        format!("/aether/{}/1", self.0)
    }

    /// The Kademlia protocol of this network: `/aether/<id>/kad/1`.
    #[must_use]
    pub fn kad_protocol(&self) -> StreamProtocol {
        self.stream_protocol("kad")
    }

    /// A stream protocol of this network: `/aether/<id>/<name>/1`.
    #[must_use]
    pub fn stream_protocol(&self, name: &str) -> StreamProtocol {
        let text = format!("/aether/{}/{name}/1", self.0);
        StreamProtocol::try_from_owned(text).unwrap_or_else(|error| {
            // The only way to be invalid is a missing leading slash, and it is written above.
            unreachable!("protocol names start with a slash: {error}")
        })
    }
}

impl fmt::Display for NetworkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_carry_the_network_id() {
        let id = NetworkId::parse("0123abcd").unwrap();
        assert_eq!(id.kad_protocol().as_ref(), "/aether/0123abcd/kad/1");
        assert_eq!(id.identify_protocol(), "/aether/0123abcd/1");
    }

    #[test]
    fn only_eight_lower_case_hex_digits_are_a_network_id() {
        for bad in [
            "",
            "0123abc",
            "0123abcde",
            "0123ABCD",
            "0123abcg",
            "0123/bcd",
        ] {
            assert!(NetworkId::parse(bad).is_err(), "{bad}");
        }
    }
}
