//! Powers of many numbers by one exponent.
//!
//! Rule: each element is [`math::pow`] of it, bit for bit; what depends on the
//! exponent alone is decided once, so that the loop has no branches.

use super::math::{self, NAN, canon, clamp, exp64, log64};
use super::simd::{self, multiversion};
use super::{Kernels, scratch};

/// What there is to know about an exponent that is finite and not 0.
#[derive(Clone, Copy)]
pub(crate) struct Exponent {
    y: f64,
    /// Whether negative numbers have this power.
    integer: bool,
    odd: bool,
    /// The powers of 0 and of infinity.
    zero: f64,
    infinity: f64,
}

impl Exponent {
    fn new(y: f32) -> Option<Self> {
        if y == 0.0 || !y.is_finite() {
            return None;
        }
        let whole = y.trunc() == y;
        let (zero, infinity) = if y > 0.0 {
            (0.0, f64::INFINITY)
        } else {
            (f64::INFINITY, 0.0)
        };
        Some(Self {
            y: f64::from(y),
            integer: whole,
            // From 2^24 on every float is even.
            odd: whole && y.abs() < 16_777_216.0 && (y as i32) & 1 == 1,
            zero,
            infinity,
        })
    }
}

/// All of `src` to the power of y.
pub(crate) fn powers(kernels: Kernels, src: &[f32], y: f32) -> Vec<f32> {
    let mut dst = scratch::take(src.len());
    simd::rows(src, &mut dst, 1, |src, dst| raise(kernels, src, y, dst));
    dst
}

/// `dst[i] = src[i]^y`.
pub(crate) fn raise(kernels: Kernels, src: &[f32], y: f32, dst: &mut [f32]) {
    match Exponent::new(y) {
        Some(e) => each(kernels, e, src, dst),
        None => simd::map1_alone(kernels, src, dst, |x| math::pow(x, y)),
    }
}

multiversion! {
    fn each[](e: Exponent, src: &[f32], dst: &mut [f32]) {
        for (d, &x) in dst.iter_mut().zip(src) {
            let wide = f64::from(x);
            let a = wide.abs();
            let m = exp64(clamp(log64(a) * e.y, 200.0));
            let m = if wide < 0.0 && !e.integer { f64::NAN } else { m };
            let m = if a == 0.0 { e.zero } else { m };
            let m = if a == f64::INFINITY { e.infinity } else { m };
            let m = if e.odd && x.to_bits() >> 31 == 1 { -m } else { m };
            let m = if x == 1.0 { 1.0 } else { m };
            // The logarithm works on bits: a NaN does not survive it.
            let nan = x.to_bits() & 0x7fff_ffff > 0x7f80_0000;
            *d = if nan { NAN } else { canon(m as f32) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_gives_the_bits_of_pow_one_by_one() {
        let mut x: Vec<f32> = vec![
            0.0,
            -0.0,
            1.0,
            -1.0,
            f32::INFINITY,
            f32::NEG_INFINITY,
            f32::NAN,
            f32::MIN_POSITIVE,
            -1e-45,
            f32::MAX,
        ];
        let mut bits = 7u32;
        for _ in 0..5000 {
            bits = bits.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            x.extend([f32::from_bits(bits), (bits >> 8) as f32 / 1e6 - 8.0]);
        }
        let large = [16_777_215.0, 16_777_216.0, 1e30, f32::INFINITY, f32::NAN];
        for y in [2.0, 3.0, 0.5, -1.0, -2.5, 1.0, -3.0, 1e-3, 0.0, -0.0] {
            check(&x, y);
        }
        large.iter().for_each(|&y| check(&x, y));
        large.iter().for_each(|&y| check(&x, -y));
    }

    fn check(x: &[f32], y: f32) {
        for kernels in Kernels::available() {
            for (got, &x) in powers(kernels, x, y).iter().zip(x) {
                let want = math::pow(x, y);
                assert_eq!(got.to_bits(), want.to_bits(), "{x:e}^{y:e} on {kernels:?}");
            }
        }
    }
}
