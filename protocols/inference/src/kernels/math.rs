//! Elementary functions as fixed lists of IEEE 754 operations.
//!
//! Rules: every function takes and gives `f32` and computes in `f64` with plain
//! `+ − × ÷`, comparisons and bit operations, in the order written here; only
//! the last conversion rounds to `f32`. No library function, no fused
//! operation, no table: the same bits everywhere. With 29 spare bits the result
//! is the correctly rounded one except very near ties (at most 0.51 ulp, tested).
//! NaN results are canonicalised by the caller with [`canon`].

/// The one NaN that results carry.
pub(crate) const NAN: f32 = f32::from_bits(0x7fc0_0000);

/// Replaces any NaN by the canonical one.
///
/// The test is on bits on purpose: LLVM turns `is_nan(√x)` into `x < 0 or NaN`,
/// and then takes `x < 0 ? NaN : √x` for `√x`, whose NaN is the CPU's choice.
#[inline(always)]
pub(crate) fn canon(x: f32) -> f32 {
    if x.to_bits() & 0x7fff_ffff > 0x7f80_0000 {
        NAN
    } else {
        x
    }
}

/// [`canon`] of an `f64`: `0x7ff8000000000000`.
#[inline(always)]
pub(crate) fn canon64(x: f64) -> f64 {
    if x.to_bits() & (u64::MAX >> 1) > 0x7ff0_0000_0000_0000 {
        f64::from_bits(0x7ff8_0000_0000_0000)
    } else {
        x
    }
}

/// 1.5 · 2^52: adding it leaves an integer, rounded to nearest even, in the low bits.
const MAGIC: f64 = 6_755_399_441_055_744.0;
const LN2: f64 = f64::from_bits(0x3fe6_2e42_fefa_39ef);
const INV_LN2: f64 = f64::from_bits(0x3ff7_1547_652b_82fe);
const SQRT_HALF_BITS: u64 = 0x3fe6_a09e_667f_3bcd;
const FRAC_1_SQRT_2: f64 = f64::from_bits(SQRT_HALF_BITS);
const FRAC_2_PI_SQRT: f64 = f64::from_bits(0x3fe9_8845_33d4_3651); // sqrt(2/pi)

/// Horner: `c[0] + x·(c[1] + x·(…))`.
#[inline(always)]
pub(crate) fn poly<const N: usize>(x: f64, c: &[f64; N]) -> f64 {
    let mut acc = c[N - 1];
    let mut i = N - 1;
    while i > 0 {
        i -= 1;
        acc = acc * x + c[i];
    }
    acc
}

#[inline(always)]
pub(crate) fn clamp(x: f64, bound: f64) -> f64 {
    // NaN passes: both comparisons are false.
    if x > bound {
        bound
    } else if x < -bound {
        -bound
    } else {
        x
    }
}

/// 1/n! for n = 0..=10.
const EXP: [f64; 11] = [
    1.0,
    1.0,
    1.0 / 2.0,
    1.0 / 6.0,
    1.0 / 24.0,
    1.0 / 120.0,
    1.0 / 720.0,
    1.0 / 5040.0,
    1.0 / 40320.0,
    1.0 / 362_880.0,
    1.0 / 3_628_800.0,
];

/// e^x for |x| ≤ 700: x = n·ln2 + r, then Taylor to r^10 and a scaling by 2^n.
#[inline(always)]
pub(crate) fn exp64(x: f64) -> f64 {
    let t = x * INV_LN2 + MAGIC;
    let n = t - MAGIC;
    let r = x - n * LN2;
    let scale = f64::from_bits(t.to_bits().wrapping_add(1023) << 52);
    poly(r, &EXP) * scale
}

/// e^x over all of `f64`'s range; denormal results round twice.
#[inline(always)]
pub(crate) fn exp_full64(x: f64) -> f64 {
    let t = clamp(x, 760.0) * INV_LN2 + MAGIC;
    let n = t - MAGIC;
    let r = clamp(x, 760.0) - n * LN2;
    // 2^n in two factors, each in range.
    let half = (n * 0.5 + MAGIC) - MAGIC;
    let two = |n: f64| f64::from_bits((n + MAGIC).to_bits().wrapping_add(1023) << 52);
    poly(r, &EXP) * two(half) * two(n - half)
}

/// 1/(2n+1) for n = 0..=9.
const ATANH: [f64; 10] = [
    1.0,
    1.0 / 3.0,
    1.0 / 5.0,
    1.0 / 7.0,
    1.0 / 9.0,
    1.0 / 11.0,
    1.0 / 13.0,
    1.0 / 15.0,
    1.0 / 17.0,
    1.0 / 19.0,
];

/// ln x for positive normal x: x = 2^e · m with m in [√½, √2), ln m = 2·atanh((m−1)/(m+1)).
#[inline(always)]
pub(crate) fn log64(x: f64) -> f64 {
    let bits = x.to_bits();
    let e = bits.wrapping_sub(SQRT_HALF_BITS) & 0xfff0_0000_0000_0000;
    let m = f64::from_bits(bits.wrapping_sub(e));
    // e as a number: sign-extend its 12 bits through MAGIC.
    let n = f64::from_bits(MAGIC.to_bits().wrapping_add(((e as i64) >> 52) as u64)) - MAGIC;
    let s = (m - 1.0) / (m + 1.0);
    n * LN2 + 2.0 * s * poly(s * s, &ATANH)
}

/// [`log64`] for denormals too.
#[inline(always)]
fn log_any64(x: f64) -> f64 {
    if x < f64::MIN_POSITIVE {
        log64(x * 18_014_398_509_481_984.0) - 54.0 * LN2
    } else {
        log64(x)
    }
}

/// ln(1 + y) for y ≥ 0, exact to relative precision near 0.
#[inline(always)]
pub(crate) fn log1p64(y: f64) -> f64 {
    let s = y / (2.0 + y);
    let small = 2.0 * s * poly(s * s, &ATANH);
    let large = log64(1.0 + y);
    // A NaN takes the left branch: the other one works on bits and would lose it.
    if y >= 0.25 { large } else { small }
}

/// e^x.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    exp64(clamp(f64::from(x), 200.0)) as f32
}

/// ln x; −∞ at ±0, NaN below.
#[inline(always)]
pub(crate) fn log(x: f32) -> f32 {
    let y = log64(f64::from(x)) as f32;
    if x > 0.0 {
        if x == f32::INFINITY { x } else { y }
    } else if x == 0.0 {
        f32::NEG_INFINITY
    } else {
        NAN
    }
}

/// √x, the IEEE operation; NaN below −0.
#[inline(always)]
pub(crate) fn sqrt(x: f32) -> f32 {
    x.sqrt()
}

/// tanh x = 1 − 2/(e^2x + 1), or its series below 2^−6.
#[inline(always)]
fn tanh64(x: f64) -> f64 {
    let large = 1.0 - 2.0 / (exp64(2.0 * clamp(x, 50.0)) + 1.0);
    let s = x * x;
    let small = x * poly(s, &[1.0, -1.0 / 3.0, 2.0 / 15.0, -17.0 / 315.0]);
    if x < 0.015625 && x > -0.015625 {
        small
    } else {
        large
    }
}

/// tanh x.
#[inline(always)]
pub(crate) fn tanh(x: f32) -> f32 {
    tanh64(f64::from(x)) as f32
}

/// 1/(1 + e^−x).
#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    (1.0 / (1.0 + exp64(clamp(-f64::from(x), 200.0)))) as f32
}

/// ln(1 + e^x).
#[inline(always)]
pub(crate) fn softplus(x: f32) -> f32 {
    let x = f64::from(x);
    let e = exp64(clamp(x, 200.0));
    (if x > 100.0 { x } else { log1p64(e) }) as f32
}

/// e^x − 1, exact to relative precision near 0.
#[inline(always)]
pub(crate) fn expm1(x: f32) -> f32 {
    let x = f64::from(x);
    let small = x * poly(x, &[1.0, 1.0 / 2.0, 1.0 / 6.0, 1.0 / 24.0, 1.0 / 120.0]);
    let large = exp64(clamp(x, 200.0)) - 1.0;
    (if x < 0.015625 && x > -0.015625 {
        small
    } else {
        large
    }) as f32
}

/// erf(x)/x on x² in [0, 1] (Chebyshev interpolation of degree 9 in x²).
const ERF_SMALL: [f64; 10] = [
    1.128379167095494,
    -0.37612638902808615,
    0.11283791658548713,
    -0.026866169050599326,
    0.0052239671935439,
    -0.0008547933736519633,
    0.00012046261269779797,
    -1.4795031400662045e-5,
    1.5306373163641084e-6,
    -1.0469110332151208e-7,
];

/// erf(x) on x in [1, 4], in u = (x − 2.5)/1.5 (Chebyshev interpolation of degree 18).
const ERF_LARGE: [f64; 19] = [
    0.999593047982555,
    0.0032674263182746943,
    -0.012252848526226255,
    0.028181553764725444,
    -0.043650790021468606,
    0.04645359028482051,
    -0.03187626637841529,
    0.00926770677725518,
    0.006678397873316549,
    -0.009621931179697205,
    0.004554078750803038,
    0.0004429757640530975,
    -0.0018524883567827167,
    0.0009193688108328419,
    9.287479322813952e-5,
    -0.00029409835869049204,
    8.066096754102609e-5,
    3.300364049399252e-5,
    -1.6278331442584616e-5,
];

#[inline(always)]
fn erf64(x: f64) -> f64 {
    let c = clamp(x, 4.0);
    let a = if c < 0.0 { -c } else { c };
    let small = c * poly(c * c, &ERF_SMALL);
    let large = poly((a - 2.5) / 1.5, &ERF_LARGE);
    let large = if c < 0.0 { -large } else { large };
    if a < 1.0 { small } else { large }
}

/// The error function; exactly ±1 from |x| = 4 on.
#[inline(always)]
pub(crate) fn erf(x: f32) -> f32 {
    erf64(f64::from(x)) as f32
}

/// erfc(z)·e^(z²) on z in [0.7, 10.5] in u = ((z − 3)/(z + 3) − C)/H with the C
/// and H of [`erfc_scaled`] (Chebyshev interpolation of degree 18).
const ERFC: [f64; 19] = [
    0.1900511306441067,
    -0.20186324119671095,
    0.09040546148373672,
    -0.03259570704869524,
    0.00909301135761242,
    -0.0017816608033889125,
    0.00016993719976527314,
    2.121847690633148e-05,
    -8.747770533050133e-06,
    1.9829516337510624e-07,
    3.400056705709127e-07,
    -2.8005403910872098e-08,
    -1.5142915476200435e-08,
    1.5401844616276755e-09,
    8.170540518475671e-10,
    -6.059802166889286e-11,
    -4.8899458468179946e-11,
    1.1044545538481416e-12,
    2.4047832552742373e-12,
];

/// erfc(z)·e^(z²) for z in [0.7, 10.5].
#[inline(always)]
fn erfc_scaled(z: f64) -> f64 {
    let t = (z - 3.0) / (z + 3.0);
    poly((t + 0.03303303303303303) / 0.5885885885885885, &ERFC)
}

/// x·½(1 + erf(x/√2)); below −1 by erfc, which keeps relative precision, and 0
/// where that is below the least denormal.
#[inline(always)]
pub(crate) fn gelu(x: f32) -> f32 {
    let x = f64::from(x);
    let z = clamp(-x * FRAC_1_SQRT_2, 10.5);
    let tail = if z < 10.5 {
        exp64(-z * z) * erfc_scaled(z)
    } else {
        0.0
    };
    let whole = 1.0 + erf64(x * FRAC_1_SQRT_2);
    (0.5 * x * if x < -1.0 { tail } else { whole }) as f32
}

/// x·½(1 + tanh(u)) = x/(1 + e^(−2u)), u = √(2/π)(x + 0.044715·x³).
#[inline(always)]
pub(crate) fn gelu_tanh(x: f32) -> f32 {
    let x = f64::from(x);
    let inner = FRAC_2_PI_SQRT * (x + 0.044715 * x * x * x);
    (x / (1.0 + exp64(clamp(-2.0 * inner, 300.0)))) as f32
}

/// e^x in `f64`.
pub(crate) fn exp_f64(x: f64) -> f64 {
    exp_full64(x)
}

/// ln x in `f64`; −∞ at ±0, NaN below.
pub(crate) fn log_f64(x: f64) -> f64 {
    if x > 0.0 {
        if x == f64::INFINITY { x } else { log_any64(x) }
    } else if x == 0.0 {
        f64::NEG_INFINITY
    } else {
        canon64(f64::NAN)
    }
}

/// tanh x in `f64`.
pub(crate) fn tanh_f64(x: f64) -> f64 {
    tanh64(x)
}

/// ln(1 + e^x) in `f64`.
pub(crate) fn softplus_f64(x: f64) -> f64 {
    if x > 100.0 { x } else { log1p64(exp_full64(x)) }
}

/// x^y, rounded once to `f32`.
#[inline(always)]
pub(crate) fn pow_wide(x: f32, y: f64) -> f32 {
    canon(power(f64::from(x), y, |l| exp64(clamp(l, 200.0))) as f32)
}

/// x^y in `f64`: whole |y| ≤ 1024 by repeated squaring, √ for ½; otherwise good
/// to about 1e-12 of the result.
pub(crate) fn pow64(x: f64, y: f64) -> f64 {
    if y == 0.5 && x > 0.0 {
        return x.sqrt();
    }
    if !(-1024.0..=1024.0).contains(&y) || y as i64 as f64 != y {
        return power(x, y, exp_full64);
    }
    let (mut n, mut base, mut acc) = (y.abs() as u32, x, 1.0);
    while n > 0 {
        if n & 1 == 1 {
            acc *= base;
        }
        base *= base;
        n >>= 1;
    }
    canon64(if y < 0.0 { 1.0 / acc } else { acc })
}

/// x^y by the rules of IEEE 754 `pow`, |x|^y as `exp(y · ln |x|)`.
#[inline(always)]
fn power(x: f64, y: f64, exp: impl Fn(f64) -> f64) -> f64 {
    const NAN: f64 = f64::from_bits(0x7ff8_0000_0000_0000);
    if y == 0.0 || x == 1.0 {
        return 1.0;
    }
    if x.is_nan() || y.is_nan() {
        return NAN;
    }
    // |y| ≥ 2^53 is an even integer.
    let huge = y.abs() >= 9_007_199_254_740_992.0;
    let integer = huge || y as i64 as f64 == y;
    let odd = !huge && integer && (y as i64) & 1 == 1;
    let negative = x.is_sign_negative() && odd;
    let a = x.abs();
    let magnitude = if a == 0.0 || a.is_infinite() {
        // 0^+ and ∞^− vanish, 0^− and ∞^+ overflow.
        if (a == 0.0) == (y > 0.0) {
            0.0
        } else {
            f64::INFINITY
        }
    } else if y.is_infinite() {
        if a == 1.0 {
            1.0
        } else if (a > 1.0) == (y > 0.0) {
            f64::INFINITY
        } else {
            0.0
        }
    } else {
        if x < 0.0 && !integer {
            return NAN;
        }
        exp(log_any64(a) * y)
    };
    if negative { -magnitude } else { magnitude }
}

/// [`pow_wide`] with an `f32` exponent.
#[inline(always)]
pub(crate) fn pow(x: f32, y: f32) -> f32 {
    pow_wide(x, f64::from(y))
}

/// The larger; NaN if either is, +0 above −0.
#[inline(always)]
pub(crate) fn max(a: f32, b: f32) -> f32 {
    if a.is_nan() || b.is_nan() {
        NAN
    } else if a > b {
        a
    } else if b > a {
        b
    } else {
        // Equal: the same bits, or zeros of both signs.
        f32::from_bits(a.to_bits() & b.to_bits())
    }
}

/// [`max`] of `f64`.
#[inline(always)]
pub(crate) fn max64(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() {
        canon64(f64::NAN)
    } else if a > b {
        a
    } else if b > a {
        b
    } else {
        f64::from_bits(a.to_bits() & b.to_bits())
    }
}

/// [`min`] of `f64`.
#[inline(always)]
pub(crate) fn min64(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() {
        canon64(f64::NAN)
    } else if a < b {
        a
    } else if b < a {
        b
    } else {
        f64::from_bits(a.to_bits() | b.to_bits())
    }
}

/// The smaller; NaN if either is, −0 below +0.
#[inline(always)]
pub(crate) fn min(a: f32, b: f32) -> f32 {
    if a.is_nan() || b.is_nan() {
        NAN
    } else if a < b {
        a
    } else if b < a {
        b
    } else {
        f32::from_bits(a.to_bits() | b.to_bits())
    }
}

#[cfg(test)]
mod tests;
