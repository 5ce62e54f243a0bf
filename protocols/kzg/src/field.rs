//! The base field of BLS12-381, as blst computes in it.
//!
//! An [`Fp`] is blst's own struct: six limbs in Montgomery form with R = 2^384,
//! always fully reduced. Every function reads whole structs by reference and
//! returns a fresh one, so the `unsafe` here is only that of calling C. Nothing
//! is constant-time by promise; no secret passes through.

pub(crate) type Fp = blst::blst_fp;

macro_rules! binary {
    ($name:ident, $of:ident) => {
        #[inline]
        pub(crate) fn $name(a: &Fp, b: &Fp) -> Fp {
            let mut out = Fp::default();
            // SAFETY: two structs in, one out.
            unsafe { blst::$of(&mut out, a, b) };
            out
        }
    };
}

binary!(mul, blst_fp_mul);
binary!(add, blst_fp_add);
binary!(sub, blst_fp_sub);

#[inline]
pub(crate) fn square(a: &Fp) -> Fp {
    let mut out = Fp::default();
    // SAFETY: one struct in, one out.
    unsafe { blst::blst_fp_sqr(&mut out, a) };
    out
}

#[inline]
pub(crate) fn negate(a: &Fp) -> Fp {
    let mut out = Fp::default();
    // SAFETY: one struct in, one out; zero stays zero.
    unsafe { blst::blst_fp_cneg(&mut out, a, true) };
    out
}

/// 1/a, and zero for zero.
pub(crate) fn invert(a: &Fp) -> Fp {
    let mut out = Fp::default();
    // SAFETY: one struct in, one out.
    unsafe { blst::blst_fp_eucl_inverse(&mut out, a) };
    out
}

/// One, in Montgomery form.
pub(crate) fn one() -> Fp {
    let words = [1u64, 0, 0, 0, 0, 0];
    let mut out = Fp::default();
    // SAFETY: blst reads six words of the plain integer.
    unsafe { blst::blst_fp_from_uint64(&mut out, words.as_ptr()) };
    out
}

#[inline]
pub(crate) fn is_zero(a: &Fp) -> bool {
    a.l == [0; 6]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_identities_hold() {
        let three = add(&add(&one(), &one()), &one());
        let third = invert(&three);
        assert_eq!(mul(&three, &third), one());
        assert_eq!(square(&three), mul(&three, &three));
        assert_eq!(add(&three, &negate(&three)), Fp::default());
        assert_eq!(sub(&three, &one()), add(&one(), &one()));
        assert!(is_zero(&invert(&Fp::default())));
        assert_eq!(negate(&Fp::default()), Fp::default());
    }
}
