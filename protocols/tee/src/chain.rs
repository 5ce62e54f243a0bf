//! The chain inside a document of Nitro's shape: P-384 throughout, root first, leaf last.
//!
//! The caller has pinned the first certificate byte for byte. The rules are those of
//! `x509::certificate` and `x509::line`; everything cheap is checked for the whole chain
//! before the first signature.

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
    /// The leaf's public key, an uncompressed point.
    pub(crate) leaf_key: Vec<u8>,
    /// The public key of the authority that issued the leaf.
    pub(crate) issuer_key: Vec<u8>,
    /// When the first of the certificates expires.
    pub(crate) not_after: UnixTime,
}

/// Judges a chain, root first and leaf last, whose root the caller has pinned.
pub(crate) fn check<'a>(
    ders: impl Iterator<Item = &'a [u8]>,
    at: UnixTime,
) -> Result<GoodChain, Refusal> {
    let links = ders
        .enumerate()
        .map(|(position, der)| Link::parse(der, position, SHAPE))
        .collect::<Result<Vec<_>, _>>()?;
    let links: Vec<&Link<'_>> = links.iter().collect();
    let Some((leaf, authorities)) = links.split_last() else {
        return Err(Refusal::MissingField {
            field: "certificate",
        });
    };
    let Some(issuer) = authorities.last() else {
        return Err(Refusal::MissingField { field: "cabundle" });
    };
    line::check(&links, at, LeafUsage::Stated)?;
    line::signatures(&links)?;
    Ok(GoodChain {
        leaf_key: leaf.key().to_vec(),
        issuer_key: issuer.key().to_vec(),
        not_after: line::not_after(&links),
    })
}
