//! Merkle roots over byte strings, SHA-256, in the shape of RFC 6962.
//!
//! leaf = H(0x00 ‖ bytes), node = H(0x01 ‖ left ‖ right); the left subtree
//! holds the largest power of two of leaves that is smaller than their number;
//! no leaves: H(""). The root is H(0x02 ‖ domain ‖ count u64 ‖ tree).

use sha2::{Digest as _, Sha256};

fn hash(parts: &[&[u8]]) -> [u8; 32] {
    let mut h = Sha256::new();
    for p in parts {
        h.update(p);
    }
    h.finalize().into()
}

/// The root over leaves that are already hashed by [`leaf`].
pub(crate) fn root(domain: &str, leaves: &[[u8; 32]]) -> [u8; 32] {
    let count = (leaves.len() as u64).to_le_bytes();
    hash(&[&[2], domain.as_bytes(), &count, &tree(leaves)])
}

/// A leaf's hash.
pub(crate) fn leaf(bytes: &[u8]) -> [u8; 32] {
    hash(&[&[0], bytes])
}

fn tree(leaves: &[[u8; 32]]) -> [u8; 32] {
    match leaves {
        [] => hash(&[]),
        [one] => *one,
        many => {
            let half = many.len().next_power_of_two() / 2;
            let (left, right) = many.split_at(half);
            hash(&[&[1], &tree(left), &tree(right)])
        }
    }
}

/// SHA-256 of a domain and bytes: `H(domain ‖ 0x00 ‖ bytes)`.
pub(crate) fn tagged(domain: &str, bytes: &[u8]) -> [u8; 32] {
    hash(&[domain.as_bytes(), &[0], bytes])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shape_is_rfc_6962() {
        let l: Vec<_> = (0u8..5).map(|i| leaf(&[i])).collect();
        let n = |a: &[u8; 32], b: &[u8; 32]| hash(&[&[1], a, b]);
        let left = n(&n(&l[0], &l[1]), &n(&l[2], &l[3]));
        assert_eq!(tree(&l), n(&left, &l[4]));
        assert_ne!(root("a", &l), root("b", &l));
        assert_ne!(root("a", &l), root("a", &l[..4]));
    }
}
