//! Decoded points: commitments and proofs.
//!
//! Both are points of the prime-order subgroup of G1, written as 48 bytes in
//! the compressed form of EIP-4844 (big-endian x; bit 7 of the first byte set,
//! bit 6 for infinity, bit 5 for the larger y). They can only be made by
//! decoding, which checks flags, range, curve and subgroup, or by computing.
//! Infinity is legal: it commits to the zero polynomial, and it is the proof
//! for any constant one.

use std::fmt;
use std::hash::{Hash, Hasher};

use crate::curve::{self, G1, G1Affine};
use crate::error::Malformed;

/// Bytes of a compressed G1 point.
pub const POINT_BYTES: usize = 48;

fn decode(bytes: &[u8; POINT_BYTES]) -> Result<G1Affine, Malformed> {
    let point = curve::g1_uncompress(bytes)?;
    if curve::g1_is_infinity(&point) || curve::g1_in_subgroup(&point) {
        Ok(point)
    } else {
        Err(Malformed::NotInSubgroup)
    }
}

macro_rules! point_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub struct $name(G1Affine);

        impl $name {
            /// Decodes and checks 48 bytes: flags, range, curve, subgroup.
            pub fn from_bytes(bytes: &[u8; POINT_BYTES]) -> Result<Self, Malformed> {
                decode(bytes).map(Self)
            }

            /// As `from_bytes`, for a slice, whose length is checked too.
            pub fn from_slice(bytes: &[u8]) -> Result<Self, Malformed> {
                let exact: &[u8; POINT_BYTES] = bytes.try_into().map_err(|_| {
                    Malformed::Length { expected: POINT_BYTES, actual: bytes.len() }
                })?;
                Self::from_bytes(exact)
            }

            /// The canonical 48 bytes; decoding them gives the same point.
            pub fn to_bytes(self) -> [u8; POINT_BYTES] {
                curve::g1_compress(&self.0)
            }

            /// Whether this is the point at infinity.
            pub fn is_infinity(&self) -> bool {
                curve::g1_is_infinity(&self.0)
            }

            pub(crate) fn from_sum(sum: &G1) -> Self {
                Self(curve::g1_to_affine(sum))
            }

            pub(crate) fn affine(&self) -> G1Affine {
                self.0
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.0 == other.0
            }
        }

        impl Eq for $name {}

        impl Hash for $name {
            fn hash<H: Hasher>(&self, state: &mut H) {
                self.to_bytes().hash(state);
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), hex::encode(self.to_bytes()))
            }
        }
    };
}

point_type! {
    /// A commitment [p(τ)]G1 to one polynomial of degree below 4,096.
    Commitment
}

point_type! {
    /// An opening proof: the commitment to a quotient polynomial.
    Proof
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(bytes: &[(usize, u8)]) -> [u8; 48] {
        let mut out = Commitment(curve::g1_generator()).to_bytes();
        for (at, byte) in bytes {
            out[*at] = *byte;
        }
        out
    }

    #[test]
    fn every_malformed_encoding_has_its_own_reason() {
        let mut infinity = [0; 48];
        infinity[0] = 0xc0;
        assert!(Commitment::from_bytes(&infinity).unwrap().is_infinity());
        let mut dirty_sign = infinity;
        dirty_sign[0] = 0xe0;
        let mut dirty_tail = infinity;
        dirty_tail[47] = 1;
        let mut above_p = [0xff; 48];
        above_p[0] = 0x9f;
        let mut p = [0; 48];
        p.copy_from_slice(
            &hex::decode(
                "9a0111ea397fe69a4b1ba7b6434bacd764774b84f38512bf6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaab",
            )
            .unwrap(),
        );
        // x = 0 gives (0, ±2), of order 3.
        let mut order_three = [0; 48];
        order_three[0] = 0x80;
        let first = with(&[])[0];
        for (bytes, reason) in [
            (with(&[(0, first & 0x7f)]), Malformed::NotCompressed),
            ([0; 48], Malformed::NotCompressed),
            (dirty_sign, Malformed::DirtyInfinity),
            (dirty_tail, Malformed::DirtyInfinity),
            (above_p, Malformed::CoordinateTooLarge),
            (p, Malformed::CoordinateTooLarge),
            (order_three, Malformed::NotInSubgroup),
        ] {
            assert_eq!(
                Commitment::from_bytes(&bytes),
                Err(reason),
                "{}",
                hex::encode(bytes)
            );
            assert_eq!(Proof::from_bytes(&bytes), Err(reason));
        }
        // Walk along x from the generator's: every point is off the curve or outside the subgroup.
        let mut seen = [false; 2];
        for last in 0..=255 {
            match Commitment::from_bytes(&with(&[(47, last)])) {
                Err(Malformed::NotOnCurve) => seen[0] = true,
                Err(Malformed::NotInSubgroup) => seen[1] = true,
                Ok(point) => assert_eq!(point, Commitment(curve::g1_generator())),
                Err(other) => panic!("{other}"),
            }
        }
        assert_eq!(seen, [true, true]);
        let length = Malformed::Length {
            expected: 48,
            actual: 47,
        };
        assert_eq!(Commitment::from_slice(&[0; 47]), Err(length));
    }

    #[test]
    fn the_sign_bit_selects_the_negative() {
        let plus = Commitment(curve::g1_generator());
        let minus = Commitment::from_bytes(&with(&[(0, plus.to_bytes()[0] ^ 0x20)])).unwrap();
        assert_ne!(plus, minus);
        let sum = curve::g1_add_affine(&curve::g1_from_affine(&plus.0), &minus.0);
        assert!(Commitment::from_sum(&sum).is_infinity());
    }
}
