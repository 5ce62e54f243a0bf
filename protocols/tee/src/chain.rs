//! The chain inside a document of Nitro's shape: P-384 throughout, root first, leaf last.
//!
//! The caller has pinned the first certificate byte for byte. The rules are those of
//! `x509::certificate` and `x509::line`; everything cheap is checked for the whole chain
//! before its first signature.
//!
//! # The cache
//!
//! A leaf lives for three hours and the authorities above it for days to decades, so the same
//! authorities come with every document. [`ChainCache`] remembers lines of authorities whose
//! signatures are right, and nothing else: names, dates, constraints and the pinned root are
//! looked at each time as if there were no cache. Whether a signature is right is a function of
//! the certificates' bytes alone, and the digest of all those bytes is what is remembered, so a
//! verdict with a cache is the verdict without.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::sync::Mutex;

use sha2::{Digest, Sha256};

use crate::evidence::UnixTime;
use crate::refusal::Refusal;
use crate::x509::certificate::{KeyShape, Link, Scheme, Shape};
use crate::x509::line::{self, LeafUsage};

/// Every certificate of a document.
const SHAPE: Shape = Shape {
    signed: Scheme::EcdsaP384,
    key: KeyShape::P384,
};

/// What a good chain yields.
pub(crate) struct GoodChain {
    /// The public key of the authority that issued the leaf.
    pub(crate) issuer_key: Vec<u8>,
    /// When the first of the certificates expires.
    pub(crate) not_after: UnixTime,
}

/// Reads the leaf, which stands behind `authorities` others, and checks its dates.
pub(crate) fn leaf(der: &[u8], authorities: usize, at: UnixTime) -> Result<Link<'_>, Refusal> {
    let leaf = Link::parse(der, authorities, SHAPE)?;
    line::check_dates(&[&leaf], at)?;
    Ok(leaf)
}

/// Judges a chain: the authorities, root first, whose root the caller has pinned, and the
/// leaf, whose own signature is verified before those above it.
pub(crate) fn check(
    cabundle: &[Vec<u8>],
    leaf: &Link<'_>,
    at: UnixTime,
    cache: Option<&ChainCache>,
) -> Result<GoodChain, Refusal> {
    let authorities = cabundle
        .iter()
        .enumerate()
        .map(|(position, der)| Link::parse(der, position, SHAPE))
        .collect::<Result<Vec<_>, _>>()?;
    let authorities: Vec<&Link<'_>> = authorities.iter().collect();
    let Some(issuer) = authorities.last().copied() else {
        return Err(Refusal::MissingField { field: "cabundle" });
    };
    let mut links = authorities.clone();
    links.push(leaf);
    line::check(&links, at, LeafUsage::Stated)?;
    line::signatures(&[issuer, leaf])?;
    match cache {
        None => line::signatures(&authorities)?,
        Some(cache) => {
            let name = ChainCache::name(cabundle);
            if !cache.knows(&name) {
                line::signatures(&authorities)?;
                cache.learn(name);
            }
        }
    }
    Ok(GoodChain {
        issuer_key: issuer.key().to_vec(),
        not_after: line::not_after(&links),
    })
}

/// Lines of authorities (Nitro's, the simulated TEE's) whose signatures were found right; see
/// this module's documentation. Bounded, and may be shared between threads.
///
/// What goes in was signed by a pinned root, so strangers cannot fill it; when it is full, the
/// oldest goes.
pub struct ChainCache {
    most: usize,
    known: Mutex<Known>,
}

/// Digests, and the order in which they came.
#[derive(Default)]
struct Known {
    names: BTreeSet<[u8; 32]>,
    order: VecDeque<[u8; 32]>,
}

impl ChainCache {
    /// A cache of at most `most` lines, 100 bytes each. A region has some dozen at a time.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            most,
            known: Mutex::default(),
        }
    }

    /// How many lines it knows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.lock().map_or(0, |known| known.names.len())
    }

    /// Whether it knows none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// SHA-256 over each certificate with its length before it, the root's included: no two
    /// lines share an encoding.
    fn name(cabundle: &[Vec<u8>]) -> [u8; 32] {
        let mut hash = Sha256::new();
        for der in cabundle {
            let length = u64::try_from(der.len()).unwrap_or(u64::MAX);
            hash.update(length.to_be_bytes());
            hash.update(der);
        }
        hash.finalize().into()
    }

    fn knows(&self, name: &[u8; 32]) -> bool {
        // A lock that another thread died with is a cache that knows nothing.
        self.known
            .lock()
            .is_ok_and(|known| known.names.contains(name))
    }

    fn learn(&self, name: [u8; 32]) {
        let Ok(mut known) = self.known.lock() else {
            return;
        };
        if self.most == 0 || !known.names.insert(name) {
            return;
        }
        known.order.push_back(name);
        if known.order.len() > self.most
            && let Some(oldest) = known.order.pop_front()
        {
            known.names.remove(&oldest);
        }
    }
}

impl Default for ChainCache {
    /// Room for every region of a cloud.
    fn default() -> Self {
        Self::new(1024)
    }
}

impl fmt::Debug for ChainCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChainCache")
            .field("known", &self.len())
            .field("most", &self.most)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_cache_forgets_the_oldest_and_never_grows() {
        let cache = ChainCache::new(3);
        for n in 0..10 {
            cache.learn([n; 32]);
            cache.learn([n; 32]);
        }
        assert_eq!(cache.len(), 3);
        assert!(cache.knows(&[9; 32]) && cache.knows(&[7; 32]) && !cache.knows(&[6; 32]));
        let none = ChainCache::new(0);
        none.learn([1; 32]);
        assert!(none.is_empty());
    }

    #[test]
    fn lines_that_differ_in_where_a_certificate_ends_have_different_names() {
        let lines: [&[Vec<u8>]; 4] = [
            &[vec![1, 2], vec![3]],
            &[vec![1], vec![2, 3]],
            &[vec![1, 2, 3]],
            &[vec![3], vec![1, 2]],
        ];
        let names: BTreeSet<_> = lines.iter().map(|line| ChainCache::name(line)).collect();
        assert_eq!(names.len(), lines.len());
    }
}
