//! Scalars of BLS12-381 and the elements of a trace.
//!
//! * A [`Scalar`] is an integer below the group order r, written as 32 bytes,
//!   big-endian. A string that is not below r is refused, never reduced.
//! * A [`TraceElement`] is 31 bytes. As a scalar it is the big-endian integer
//!   of a zero byte followed by the 31 bytes; it is always below 2^248 < r, so
//!   every value is canonical and distinct elements are distinct scalars.

use std::fmt;

use ark_bls12_381::Fr;
use ark_ff::{BigInt, PrimeField};

use crate::error::Malformed;

/// Bytes of one trace element.
pub const TRACE_ELEMENT_BYTES: usize = 31;

/// One element of an execution trace: any 31 bytes.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TraceElement(pub [u8; TRACE_ELEMENT_BYTES]);

impl TraceElement {
    /// The element as a scalar (big-endian with a leading zero byte).
    pub fn to_scalar(self) -> Scalar {
        let mut wide = [0; 32];
        wide[1..].copy_from_slice(&self.0);
        Scalar(reduced(&wide))
    }
}

impl fmt::Debug for TraceElement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TraceElement({})", hex::encode(self.0))
    }
}

/// An integer modulo r, the order of the groups of BLS12-381.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Scalar(pub(crate) Fr);

impl Scalar {
    /// Reads 32 big-endian bytes; refuses values that are not below r.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, Malformed> {
        Fr::from_bigint(limbs(bytes))
            .map(Self)
            .ok_or(Malformed::ScalarTooLarge)
    }

    /// [`Scalar::from_bytes`] for a slice, whose length is checked too.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, Malformed> {
        let exact: &[u8; 32] = bytes.try_into().map_err(|_| Malformed::Length {
            expected: 32,
            actual: bytes.len(),
        })?;
        Self::from_bytes(exact)
    }

    /// 32 big-endian bytes.
    pub fn to_bytes(self) -> [u8; 32] {
        let mut out = le_bytes(&self.0);
        out.reverse();
        out
    }
}

impl From<u64> for Scalar {
    fn from(value: u64) -> Self {
        Self(Fr::from(value))
    }
}

impl From<TraceElement> for Scalar {
    fn from(element: TraceElement) -> Self {
        element.to_scalar()
    }
}

impl fmt::Debug for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scalar({})", hex::encode(self.to_bytes()))
    }
}

fn limbs(big_endian: &[u8; 32]) -> BigInt<4> {
    let mut out = [0u64; 4];
    for (limb, chunk) in out.iter_mut().zip(big_endian.rchunks_exact(8)) {
        *limb = chunk
            .iter()
            .fold(0, |acc, &byte| (acc << 8) | u64::from(byte));
    }
    BigInt(out)
}

/// The integer modulo r; for hash outputs and for values known to be below r.
pub(crate) fn reduced(big_endian: &[u8; 32]) -> Fr {
    Fr::from_bigint(limbs(big_endian)).unwrap_or_else(|| Fr::from_be_bytes_mod_order(big_endian))
}

/// 32 little-endian bytes, the form blst's multiplications read.
pub(crate) fn le_bytes(value: &Fr) -> [u8; 32] {
    let mut out = [0; 32];
    for (chunk, limb) in out.chunks_exact_mut(8).zip(value.into_bigint().0) {
        chunk.copy_from_slice(&limb.to_le_bytes());
    }
    out
}

#[cfg(test)]
/// The scalars of a list, each 32 little-endian bytes, end to end.
pub(crate) fn le_concat<'a>(values: impl IntoIterator<Item = &'a Fr>) -> Vec<u8> {
    values.into_iter().flat_map(le_bytes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const R: &str = "73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001";

    #[test]
    fn the_group_order_is_refused_and_its_predecessor_kept() {
        let mut bytes: [u8; 32] = hex::decode(R).unwrap().try_into().unwrap();
        assert_eq!(Scalar::from_bytes(&bytes), Err(Malformed::ScalarTooLarge));
        bytes[31] = 0;
        let top = Scalar::from_bytes(&bytes).unwrap();
        assert_eq!(top.to_bytes(), bytes);
        assert_eq!(top.0 + Fr::from(1u64), Fr::from(0u64));
        assert_eq!(
            Scalar::from_bytes(&[0xff; 32]),
            Err(Malformed::ScalarTooLarge)
        );
        let short = Malformed::Length {
            expected: 32,
            actual: 31,
        };
        assert_eq!(Scalar::from_slice(&[0; 31]), Err(short));
    }

    #[test]
    fn the_largest_trace_element_is_a_canonical_scalar() {
        let scalar = TraceElement([0xff; 31]).to_scalar();
        let mut wide = [0xff; 32];
        wide[0] = 0;
        assert_eq!(scalar.to_bytes(), wide);
        assert_eq!(Scalar::from_bytes(&wide).unwrap(), scalar);
    }

    #[test]
    fn little_endian_is_the_mirror_of_big_endian() {
        let scalar = Scalar::from(0x0102_0304_0506_0708u64);
        let mut mirrored = le_bytes(&scalar.0);
        assert_eq!(&mirrored[..8], &[8, 7, 6, 5, 4, 3, 2, 1]);
        mirrored.reverse();
        assert_eq!(mirrored, scalar.to_bytes());
    }
}
