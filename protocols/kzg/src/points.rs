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
use crate::engine::Engine;
use crate::error::Malformed;
#[cfg(target_arch = "x86_64")]
use crate::lanes;

/// Bytes of a compressed G1 point.
pub const POINT_BYTES: usize = 48;

/// Points from which on decoding eight lanes is cheaper than one by one.
#[cfg(target_arch = "x86_64")]
const WORTH_EIGHT: usize = 3;

fn decode(bytes: &[u8; POINT_BYTES]) -> Result<G1Affine, Malformed> {
    let point = curve::g1_uncompress(bytes)?;
    if curve::g1_is_infinity(&point) || curve::g1_in_subgroup(&point) {
        Ok(point)
    } else {
        Err(Malformed::NotInSubgroup)
    }
}

/// Decodes many points: the cost of each is a third where the CPU has the wide
/// engine. If some are malformed, the reason is the first one's.
pub(crate) fn decode_many(encoded: &[&[u8; POINT_BYTES]]) -> Result<Vec<G1Affine>, Malformed> {
    decode_many_by(Engine::best(), encoded)
}

fn decode_many_by(
    engine: Engine,
    encoded: &[&[u8; POINT_BYTES]],
) -> Result<Vec<G1Affine>, Malformed> {
    let one_by_one = |own: &[&[u8; POINT_BYTES]]| own.iter().map(|bytes| decode(bytes)).collect();
    match engine {
        Engine::Plain => one_by_one(encoded),
        #[cfg(target_arch = "x86_64")]
        Engine::Wide => {
            let mut out = Vec::with_capacity(encoded.len());
            for eight in encoded.chunks(8) {
                if eight.len() < WORTH_EIGHT {
                    let rest: Vec<G1Affine> = one_by_one(eight)?;
                    out.extend(rest);
                    continue;
                }
                for (bytes, point) in eight.iter().zip(lanes::decode(eight)) {
                    out.push(if curve::compressed_flags(*bytes)? {
                        G1Affine::default()
                    } else {
                        point?
                    });
                }
            }
            Ok(out)
        }
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

            /// As `from_bytes` for each, which takes longer. If some are malformed,
            /// the reason is the first one's.
            pub fn from_bytes_many(encoded: &[&[u8; POINT_BYTES]]) -> Result<Vec<Self>, Malformed> {
                Ok(decode_many(encoded)?.into_iter().map(Self).collect())
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

            /// `point` was checked.
            pub(crate) fn from_checked(point: G1Affine) -> Self {
                Self(point)
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
    fn many_points_are_decoded_as_each_alone_on_every_engine() {
        let generator = Commitment(curve::g1_generator()).to_bytes();
        let mut all: Vec<[u8; 48]> = (0..200u8).map(|last| with(&[(47, last)])).collect();
        let mut sum = curve::g1_from_affine(&curve::g1_generator());
        for i in 0..60 {
            sum = curve::g1_add_affine(&curve::g1_double(&sum), &curve::g1_generator());
            let mut point = Commitment::from_sum(&sum).to_bytes();
            point[0] ^= (i % 2) << 5;
            all.push(point);
        }
        let infinity = || [&[0xc0u8][..], &[0; 47]].concat().try_into().unwrap();
        // (0, ±2) has order three; x = p − 1, p, p + 1; flags of every kind.
        let mut small = [0; 48];
        for first in [0x80, 0xa0, 0xc0, 0xe0, 0x00, 0x20, 0x40] {
            small[0] = first;
            all.push(small);
        }
        let p = hex::decode(concat!(
            "9a0111ea397fe69a4b1ba7b6434bacd764774b84f38512bf",
            "6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaab"
        ))
        .unwrap();
        for last in [0xaa, 0xab, 0xac] {
            let mut near: [u8; 48] = p.clone().try_into().unwrap();
            near[47] = last;
            all.push(near);
        }
        all.extend([
            with(&[(0, 0xd7)]),
            with(&[(0, 0x9f)]),
            with(&[(0, 0xff)]),
            infinity(),
        ]);

        for engine in Engine::available() {
            for bytes in &all {
                // Among good ones, in every lane, and alone.
                for lane in 0..8 {
                    let mut eight = [&generator; 8];
                    eight[lane] = bytes;
                    let got = decode_many_by(*engine, &eight).map(|points| points[lane]);
                    assert_eq!(got, decode(bytes), "{engine:?} {}", hex::encode(bytes));
                }
                let alone = decode_many_by(*engine, &[bytes]);
                assert_eq!(alone, decode(bytes).map(|point| vec![point]));
            }
            let good: Vec<&[u8; 48]> = all.iter().filter(|b| decode(b).is_ok()).collect();
            let each: Vec<G1Affine> = good.iter().map(|b| decode(b).unwrap()).collect();
            assert!(good.len() > 60);
            for count in [0, 1, 2, 3, 7, 9, good.len()] {
                let got = decode_many_by(*engine, &good[..count]);
                assert_eq!(got.as_deref(), Ok(&each[..count]));
            }
            // The first of several reasons.
            let (off, order_three) = (with(&[(0, 0xd7)]), all[260]);
            let two = [&generator, &order_three, &generator, &off];
            assert_eq!(decode_many_by(*engine, &two), Err(Malformed::NotInSubgroup));
            let two = [&generator, &off, &generator, &order_three];
            assert_eq!(decode_many_by(*engine, &two), Err(Malformed::DirtyInfinity));
        }
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
