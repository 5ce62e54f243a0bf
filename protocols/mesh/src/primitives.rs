//! Numbers and names that never mix by accident.
//!
//! - A [`Slot`] is a height: slots come from blocks, never from a timer.
//! - An [`Amount`] is base units, 1 AIC = 10^9; arithmetic is checked.
//! - Every id is 32 bytes and its own type; [`Account`] is an ed25519 public key.
//! - Every hash has a domain: SHA-256 over `len(domain) ‖ domain ‖ parts`,
//!   each part preceded by its length, so that no two inputs collide by
//!   concatenation.

use borsh::{BorshDeserialize, BorshSerialize};
use sha2::{Digest, Sha256};
use std::fmt;

/// Base units in one AIC.
pub const AIC: u128 = 1_000_000_000;

/// A 32-byte SHA-256 of the given parts under a domain.
///
/// Encoding: `u32 BE len(domain) ‖ domain`, then for each part
/// `u64 BE len(part) ‖ part`.
pub fn hash_parts(domain: &str, parts: &[&[u8]]) -> [u8; 32] {
    let mut h = Sha256::new();
    h.update((domain.len() as u32).to_be_bytes());
    h.update(domain.as_bytes());
    for part in parts {
        h.update((part.len() as u64).to_be_bytes());
        h.update(part);
    }
    h.finalize().into()
}

/// Merkle root over 32-byte leaves; leaf and node hashes have their own
/// domains and an odd node is promoted unchanged. The root of nothing is a
/// hash of the domain alone.
pub fn merkle_root(domain: &str, leaves: &[[u8; 32]]) -> [u8; 32] {
    if leaves.is_empty() {
        return hash_parts(domain, &[b"empty"]);
    }
    let mut level: Vec<[u8; 32]> = leaves
        .iter()
        .map(|leaf| hash_parts(domain, &[b"leaf", leaf]))
        .collect();
    while level.len() > 1 {
        level = level
            .chunks(2)
            .map(|pair| match pair {
                [left, right] => hash_parts(domain, &[b"node", left, right]),
                [only] => *only,
                _ => unreachable!("chunks(2) yields one or two"),
            })
            .collect();
    }
    hash_parts(
        domain,
        &[b"root", &(leaves.len() as u64).to_be_bytes(), &level[0]],
    )
}

macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default,
            BorshSerialize, BorshDeserialize,
        )]
        pub struct $name(pub [u8; 32]);

        impl $name {
            /// The raw bytes.
            pub fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }

            /// Exactly 32 bytes, or nothing.
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self)
            }

            /// The first four bytes as hex, for people.
            pub fn short(&self) -> String {
                hex::encode(&self.0[..4])
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.short())
            }
        }

        impl std::str::FromStr for $name {
            type Err = BadHex;
            fn from_str(s: &str) -> Result<Self, BadHex> {
                let mut out = [0u8; 32];
                hex::decode_to_slice(s.trim(), &mut out).map_err(|_| BadHex)?;
                Ok(Self(out))
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let s = <String as serde::Deserialize>::deserialize(d)?;
                s.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

/// The text was not 64 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected 64 hex digits")]
pub struct BadHex;

id_type!(
    /// An ed25519 public key: account, worker, coordinator, requester.
    Account
);
id_type!(
    /// Hash of the genesis: every signature names it.
    ChainId
);
id_type!(
    /// Hash of a header.
    BlockId
);
id_type!(
    /// Hash of signer and body; a signature is no part of an identity.
    TxId
);
id_type!(
    /// A job is named by the transaction that posted it.
    JobId
);
id_type!(
    /// Merkle root of a lowered program.
    ModelId
);
id_type!(
    /// Content address of bytes that travel apart.
    BlobId
);

/// A height. Windows, deadlines and ages are counted in it.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    Debug,
    BorshSerialize,
    BorshDeserialize,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(transparent)]
pub struct Slot(pub u64);

impl Slot {
    /// `self + slots`, saturating: a slot that never comes.
    pub fn after(self, slots: u64) -> Slot {
        Slot(self.0.saturating_add(slots))
    }

    /// How many slots have passed since `earlier`, zero if none.
    pub fn since(self, earlier: Slot) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Base units of AIC. JSON and TOML carry it as a decimal string of AIC.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, BorshSerialize, BorshDeserialize,
)]
pub struct Amount(pub u128);

impl Amount {
    /// Nothing.
    pub const ZERO: Amount = Amount(0);

    /// A whole number of AIC.
    pub const fn aic(whole: u64) -> Amount {
        Amount(whole as u128 * AIC)
    }

    /// `None` on overflow.
    pub fn checked_add(self, other: Amount) -> Option<Amount> {
        self.0.checked_add(other.0).map(Amount)
    }

    /// `None` when there is not enough.
    pub fn checked_sub(self, other: Amount) -> Option<Amount> {
        self.0.checked_sub(other.0).map(Amount)
    }

    /// `self × numerator ÷ denominator`, rounded down; `None` on overflow or a
    /// zero denominator.
    pub fn mul_div(self, numerator: u128, denominator: u128) -> Option<Amount> {
        self.0
            .checked_mul(numerator)?
            .checked_div(denominator)
            .map(Amount)
    }

    /// Basis points of it, rounded down.
    pub fn bps(self, bps: u32) -> Option<Amount> {
        self.mul_div(u128::from(bps), 10_000)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / AIC, self.0 % AIC);
        if rest == 0 {
            write!(f, "{whole}")
        } else {
            let digits = format!("{rest:09}");
            write!(f, "{whole}.{}", digits.trim_end_matches('0'))
        }
    }
}

impl fmt::Debug for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} AIC")
    }
}

/// The text is no amount of AIC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected an amount of AIC such as 12 or 0.5, with at most nine decimals")]
pub struct BadAmount;

impl std::str::FromStr for Amount {
    type Err = BadAmount;
    fn from_str(s: &str) -> Result<Amount, BadAmount> {
        let (whole, rest) = s.split_once('.').unwrap_or((s, ""));
        let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || !digits(whole) || !digits(rest) || rest.len() > 9 {
            return Err(BadAmount);
        }
        if s.ends_with('.') {
            return Err(BadAmount);
        }
        let whole: u128 = whole.parse().map_err(|_| BadAmount)?;
        let rest: u128 = format!("{rest:0<9}").parse().map_err(|_| BadAmount)?;
        let base = whole.checked_mul(AIC).and_then(|w| w.checked_add(rest));
        base.map(Amount).ok_or(BadAmount)
    }
}

impl serde::Serialize for Amount {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Amount {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let s = <String as serde::Deserialize>::deserialize(d)?;
        s.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_print_and_parse_back() {
        for (text, base) in [
            ("0", 0),
            ("12", 12 * AIC),
            ("0.5", AIC / 2),
            ("0.000000001", 1),
        ] {
            let amount: Amount = text.parse().unwrap();
            assert_eq!(amount, Amount(base));
            assert_eq!(amount.to_string(), text);
        }
        for bad in [
            "",
            ".",
            ".5",
            "1.",
            "-1",
            "1e3",
            "0.0000000001",
            "+1",
            "1.2.3",
        ] {
            assert_eq!(bad.parse::<Amount>(), Err(BadAmount), "{bad}");
        }
        let too_much = format!("{}", u128::MAX);
        assert_eq!(too_much.parse::<Amount>(), Err(BadAmount));
    }

    #[test]
    fn parts_do_not_collide_by_concatenation() {
        assert_ne!(
            hash_parts("d", &[b"ab", b"c"]),
            hash_parts("d", &[b"a", b"bc"])
        );
        assert_ne!(hash_parts("d", &[b"a"]), hash_parts("da", &[]));
    }

    #[test]
    fn merkle_root_depends_on_count_and_order() {
        let a = [1u8; 32];
        let b = [2u8; 32];
        assert_ne!(merkle_root("d", &[a, b]), merkle_root("d", &[b, a]));
        assert_ne!(merkle_root("d", &[a]), merkle_root("d", &[a, a]));
        assert_ne!(merkle_root("d", &[]), merkle_root("d", &[a]));
    }
}
