//! Trigonometric and hyperbolic functions, as fixed lists of operations.
//!
//! Rules: as `math`: `f32` in, `f64` inside with plain `+ − × ÷ √`, one rounding
//! out. `poly` is Horner. Taylor coefficients are `f64` quotients.
//! - Sin, Cos, Tan: |x| < 2^23: n = x·(2/π) to nearest even,
//!   r = ((x − n·P1) − n·P2) − n·P3 with P1 + P2 + P3 = π/2, the first two of 29
//!   bits, so that their products are exact. Beyond: x = m·2^e; 128 bits of 2/π
//!   from the one of weight 2^(1−e), times m, modulo 2^128, are x·(2/π) modulo 4
//!   with 126 fraction bits; r is the nearest fraction times π/2. Then series of
//!   sine (to r^15) and cosine (to r^16), by quadrant.
//! - Atan: |x| > 1: π/2 − atan(1/|x|); above tan(π/12): π/6 + atan((a − c)/(1 + a·c)),
//!   c = 1/√3; series to t^23. Asin(x) = atan(x/√((1 − x)(1 + x))),
//!   Acos(x) = 2·atan(√((1 − x)/(1 + x))); NaN beyond ±1.
//! - Sinh: |x| < 1: series to x^15; else (e^x − e^−x)/2. Cosh = (e^x + e^−x)/2.
//! - Asinh = ±log1p(a + a²/(1 + √(a² + 1))); Acosh = log1p(t + √(2t + t²)),
//!   t = x − 1; Atanh = ±½·log1p(2a/(1 − a)).

use super::math::{NAN, clamp, exp64, log1p64, poly};

const MAGIC: f64 = 6_755_399_441_055_744.0; // 1.5 · 2^52
const TWO_OVER_PI: f64 = f64::from_bits(0x3fe4_5f30_6dc9_c883);
const HALF_PI: f64 = f64::from_bits(0x3ff9_21fb_5444_2d18);
const SIXTH_PI: f64 = f64::from_bits(0x3fe0_c152_382d_7366);
const P1: f64 = f64::from_bits(0x3ff9_21fb_5400_0000);
const P2: f64 = f64::from_bits(0x3e11_0b46_1100_0000);
const P3: f64 = f64::from_bits(0x3c44_c4c6_628b_80dc);
/// From here on the argument is reduced with integers.
pub(crate) const BIG: f32 = 8_388_608.0;

/// 2/π: a word of zeros for the whole part, then 320 fraction bits.
const BITS: [u64; 6] = [
    0,
    0xa2f9_836e_4e44_1529,
    0xfc27_57d1_f534_ddc0,
    0xdb62_9599_3c43_9041,
    0xfe51_63ab_debb_c561,
    0xb724_6e3a_424d_d2e0,
];

/// (−1)^n / (2n + 1)!.
const SIN: [f64; 8] = [
    1.0,
    -1.0 / 6.0,
    1.0 / 120.0,
    -1.0 / 5040.0,
    1.0 / 362_880.0,
    -1.0 / 39_916_800.0,
    1.0 / 6_227_020_800.0,
    -1.0 / 1_307_674_368_000.0,
];

/// (−1)^n / (2n)!.
const COS: [f64; 9] = [
    1.0,
    -1.0 / 2.0,
    1.0 / 24.0,
    -1.0 / 720.0,
    1.0 / 40_320.0,
    -1.0 / 3_628_800.0,
    1.0 / 479_001_600.0,
    -1.0 / 87_178_291_200.0,
    1.0 / 20_922_789_888_000.0,
];

/// 1/(2n + 1)!.
const SINH: [f64; 8] = [
    1.0,
    1.0 / 6.0,
    1.0 / 120.0,
    1.0 / 5040.0,
    1.0 / 362_880.0,
    1.0 / 39_916_800.0,
    1.0 / 6_227_020_800.0,
    1.0 / 1_307_674_368_000.0,
];

/// (−1)^n / (2n + 1).
const ATAN: [f64; 12] = [
    1.0,
    -1.0 / 3.0,
    1.0 / 5.0,
    -1.0 / 7.0,
    1.0 / 9.0,
    -1.0 / 11.0,
    1.0 / 13.0,
    -1.0 / 15.0,
    1.0 / 17.0,
    -1.0 / 19.0,
    1.0 / 21.0,
    -1.0 / 23.0,
];

/// r in about [−π/4, π/4] and the quadrant, for |x| < 2^23.
#[inline(always)]
fn reduce(x: f64) -> (f64, u64) {
    let t = x * TWO_OVER_PI + MAGIC;
    let n = t - MAGIC;
    (((x - n * P1) - n * P2) - n * P3, t.to_bits())
}

/// The same for finite |x| ≥ 2^23.
fn reduce_big(x: f32) -> (f64, u64) {
    let bits = x.to_bits();
    let m = u128::from(bits & 0x007f_ffff | 0x0080_0000);
    // x = m · 2^e with e in 0..=104.
    let e = ((bits >> 23) & 0xff).saturating_sub(150).min(104) as usize;
    let (word, shift) = ((e + 62) / 64, (e + 62) % 64);
    let pair = |i: usize| u128::from(BITS[i]) << 64 | u128::from(BITS[i + 1]);
    let (a, b) = (pair(word), pair(word + 1));
    // 128 bits from `shift` bits into the three words.
    let window = (a << shift) | ((b << 64) >> 64 << shift >> 64);
    let turns = m.wrapping_mul(window);
    let fraction = (turns << 2) as i128;
    let quadrant = (turns >> 126) as u64 + u64::from(fraction < 0);
    // 2^−128.
    let r = fraction as f64 * f64::from_bits(0x37f0_0000_0000_0000) * HALF_PI;
    if bits >> 31 == 0 {
        (r, quadrant)
    } else {
        (-r, quadrant.wrapping_neg())
    }
}

/// [`reduce`] or [`reduce_big`]; `None` for infinities and NaN.
#[inline(always)]
fn reduce_any(x: f32) -> Option<(f64, u64)> {
    if x.abs() < BIG {
        Some(reduce(f64::from(x)))
    } else if x.is_finite() {
        Some(reduce_big(x))
    } else {
        None
    }
}

/// Sine of r plus `quadrant` right angles.
#[inline(always)]
fn sine(r: f64, quadrant: u64) -> f64 {
    let z = r * r;
    let (s, c) = (r * poly(z, &SIN), poly(z, &COS));
    let v = if quadrant & 1 == 0 { s } else { c };
    if quadrant & 2 == 0 { v } else { -v }
}

#[inline(always)]
fn tangent(r: f64, quadrant: u64) -> f64 {
    let z = r * r;
    let (s, c) = (r * poly(z, &SIN), poly(z, &COS));
    if quadrant & 1 == 0 { s / c } else { -c / s }
}

/// sin x, for finite |x| < [`BIG`] only.
#[inline(always)]
pub(crate) fn sin_near(x: f32) -> f32 {
    let (r, q) = reduce(f64::from(x));
    sine(r, q) as f32
}

/// cos x, for finite |x| < [`BIG`] only.
#[inline(always)]
pub(crate) fn cos_near(x: f32) -> f32 {
    let (r, q) = reduce(f64::from(x));
    sine(r, q.wrapping_add(1)) as f32
}

/// cos x for |x| < 2^23, in `f64`.
#[inline(always)]
pub(crate) fn cos64(x: f64) -> f64 {
    let (r, q) = reduce(x);
    sine(r, q.wrapping_add(1))
}

/// sin x for |x| < 2^23, in `f64`.
#[inline(always)]
pub(crate) fn sin64(x: f64) -> f64 {
    let (r, q) = reduce(x);
    sine(r, q)
}

/// tan x, for finite |x| < [`BIG`] only.
#[inline(always)]
pub(crate) fn tan_near(x: f32) -> f32 {
    let (r, q) = reduce(f64::from(x));
    tangent(r, q) as f32
}

/// sin x; NaN at infinities.
pub(crate) fn sin(x: f32) -> f32 {
    reduce_any(x).map_or(NAN, |(r, q)| sine(r, q) as f32)
}

/// cos x; NaN at infinities.
pub(crate) fn cos(x: f32) -> f32 {
    reduce_any(x).map_or(NAN, |(r, q)| sine(r, q.wrapping_add(1)) as f32)
}

/// tan x; NaN at infinities.
pub(crate) fn tan(x: f32) -> f32 {
    reduce_any(x).map_or(NAN, |(r, q)| tangent(r, q) as f32)
}

#[inline(always)]
fn atan64(x: f64) -> f64 {
    let a = x.abs();
    let far = a > 1.0;
    let b = if far { 1.0 / a } else { a };
    // 1/√3 and tan(π/12).
    let c = f64::from_bits(0x3fe2_79a7_4590_331c);
    let high = b > f64::from_bits(0x3fd1_2614_5e9e_cd56);
    let t = if high { (b - c) / (1.0 + b * c) } else { b };
    let s = t * poly(t * t, &ATAN);
    let s = if high { SIXTH_PI + s } else { s };
    let s = if far { HALF_PI - s } else { s };
    f64::from_bits(s.to_bits() | (x.to_bits() & (1 << 63)))
}

/// atan x.
#[inline(always)]
pub(crate) fn atan(x: f32) -> f32 {
    if x.is_nan() {
        return NAN;
    }
    atan64(f64::from(x)) as f32
}

/// asin x; NaN beyond ±1.
#[inline(always)]
pub(crate) fn asin(x: f32) -> f32 {
    let w = f64::from(x);
    let y = atan64(w / ((1.0 - w) * (1.0 + w)).sqrt()) as f32;
    if x.abs() <= 1.0 { y } else { NAN }
}

/// acos x; NaN beyond ±1.
#[inline(always)]
pub(crate) fn acos(x: f32) -> f32 {
    let w = f64::from(x);
    let y = (2.0 * atan64(((1.0 - w) / (1.0 + w)).sqrt())) as f32;
    if x.abs() <= 1.0 { y } else { NAN }
}

/// sinh x.
#[inline(always)]
pub(crate) fn sinh(x: f32) -> f32 {
    let w = f64::from(x);
    let c = clamp(w, 200.0);
    let small = w * poly(w * w, &SINH);
    let large = (exp64(c) - exp64(-c)) * 0.5;
    (if w > -1.0 && w < 1.0 { small } else { large }) as f32
}

/// cosh x.
#[inline(always)]
pub(crate) fn cosh(x: f32) -> f32 {
    let c = clamp(f64::from(x), 200.0);
    ((exp64(c) + exp64(-c)) * 0.5) as f32
}

/// `y` with the sign of `x`.
#[inline(always)]
fn signed(y: f64, x: f64) -> f32 {
    f64::from_bits(y.to_bits() | (x.to_bits() & (1 << 63))) as f32
}

/// asinh x.
#[inline(always)]
pub(crate) fn asinh(x: f32) -> f32 {
    let w = f64::from(x);
    let a = w.abs();
    let y = log1p64(a + a * a / (1.0 + (a * a + 1.0).sqrt()));
    if x.is_finite() { signed(y, w) } else { x }
}

/// acosh x; NaN below 1.
#[inline(always)]
pub(crate) fn acosh(x: f32) -> f32 {
    let t = f64::from(x) - 1.0;
    let y = log1p64(t + (2.0 * t + t * t).sqrt()) as f32;
    if x == f32::INFINITY {
        x
    } else if x >= 1.0 {
        y
    } else {
        NAN
    }
}

/// atanh x; ±∞ at ±1, NaN beyond.
#[inline(always)]
pub(crate) fn atanh(x: f32) -> f32 {
    let w = f64::from(x);
    let a = w.abs();
    let y = 0.5 * log1p64(2.0 * a / (1.0 - a));
    if a < 1.0 {
        signed(y, w)
    } else if a == 1.0 {
        signed(f64::INFINITY, w)
    } else {
        NAN
    }
}

#[cfg(test)]
mod tests;
