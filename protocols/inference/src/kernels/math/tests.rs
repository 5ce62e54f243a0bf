//! The functions against f64, on the edges, and on every path.

use super::*;

/// Distance in units of the last place of the right result.
fn ulps(got: f32, want: f64) -> f64 {
    let near = want as f32;
    if got == near || (got.is_nan() && want.is_nan()) {
        return if near.is_finite() && got.is_finite() {
            gap(got, want)
        } else {
            0.0
        };
    }
    gap(got, want)
}

fn gap(got: f32, want: f64) -> f64 {
    let a = want.abs().max(f64::from(f32::MIN_POSITIVE));
    let ulp = 2f64.powi(a.log2().floor() as i32 - 23);
    (f64::from(got) - want).abs() / ulp
}

/// Many floats: every 997th bit pattern, and a fine sweep of ±20.
fn samples() -> impl Iterator<Item = f32> {
    let bits = (0..u32::MAX)
        .step_by(99_991)
        .map(f32::from_bits)
        .filter(|x| x.is_finite());
    bits.chain((-200_000..200_000).map(|i| i as f32 * 1e-4 + 1e-6))
}

/// erf to about 1e-13: the series up to 2.5, a continued fraction beyond.
fn erf_reference(x: f64) -> f64 {
    let a = x.abs();
    let value = if a < 2.5 {
        let (mut term, mut sum, mut n) = (a, a, 0.0);
        while term.abs() > 1e-18 * sum.abs() && n < 200.0 {
            n += 1.0;
            term *= -a * a / n;
            sum += term / (2.0 * n + 1.0);
        }
        sum * 2.0 / std::f64::consts::PI.sqrt()
    } else {
        let f = (1..120).rev().fold(a, |f, k| a + f64::from(k) / 2.0 / f);
        1.0 - (-a * a).exp() / f / std::f64::consts::PI.sqrt()
    };
    value.copysign(x)
}

#[test]
fn errors_are_below_two_ulp() {
    type Case = (&'static str, fn(f32) -> f32, fn(f64) -> f64, f64);
    let cases: [Case; 9] = [
        ("exp", exp, f64::exp, 0.51),
        ("log", log, f64::ln, 0.51),
        ("tanh", tanh, f64::tanh, 0.51),
        ("sigmoid", sigmoid, |x| 1.0 / (1.0 + (-x).exp()), 0.51),
        ("erf", erf, erf_reference, 0.6),
        (
            "softplus",
            softplus,
            |x| if x > 700.0 { x } else { x.exp().ln_1p() },
            0.51,
        ),
        ("expm1", expm1, f64::exp_m1, 0.51),
        (
            "gelu",
            gelu,
            |x| {
                let z = -x / 2f64.sqrt();
                if x < -2.5 * 2f64.sqrt() {
                    // The continued fraction of erfc itself, without a difference.
                    let f = (1..120).rev().fold(z, |f, k| z + f64::from(k) / 2.0 / f);
                    let e = if z < 27.0 { (-z * z).exp() } else { 0.0 };
                    0.5 * x * (e / f / std::f64::consts::PI.sqrt())
                } else {
                    0.5 * x * (1.0 - erf_reference(z))
                }
            },
            0.52,
        ),
        (
            "gelu tanh",
            gelu_tanh,
            |x| {
                let u = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x);
                x / (1.0 + (-2.0 * u).exp())
            },
            0.51,
        ),
    ];
    for (name, f, reference, bound) in cases {
        let mut worst = (0.0, 0f32);
        for x in samples() {
            let want = reference(f64::from(x));
            let e = ulps(f(x), want);
            // Overflow to infinity is right from the largest float and a half on.
            let overflow = want.abs() > f64::from(f32::MAX) && f(x).is_infinite();
            if !overflow && (e > worst.0 || e.is_nan()) {
                worst = (e, x);
            }
        }
        println!("{name}: {:.4} ulp at {:e}", worst.0, worst.1);
        assert!(worst.0 <= bound, "{name}: {} ulp at {:e}", worst.0, worst.1);
    }
}

#[test]
fn pow_is_below_one_ulp_and_follows_ieee() {
    let mut worst = 0.0;
    for i in 1..600 {
        for j in -300..300 {
            let (x, y) = (i as f32 * 0.037, j as f32 * 0.071);
            let want = f64::from(x).powf(f64::from(y));
            if want.abs() < f64::from(f32::MAX) {
                worst = f64::max(worst, ulps(pow(x, y), want));
            }
        }
    }
    assert!(worst <= 0.51, "{worst}");
    let special = [
        0.0, -0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5, 3.0, -3.0, 2.5, -2.5,
    ];
    let edge = [
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::NAN,
        f32::MAX,
        f32::MIN,
        1e-45,
        -1e-45,
    ];
    let all: Vec<f32> = special.into_iter().chain(edge).collect();
    for &x in &all {
        for &y in &all {
            let (got, exact) = (pow(x, y), f64::from(x).powf(f64::from(y)));
            let want = exact as f32;
            let same = got.to_bits() == want.to_bits() || (got.is_nan() && want.is_nan());
            let tie = want.is_normal() && ulps(got, exact) <= 0.51;
            assert!(same || tie, "pow({x:e}, {y:e}) = {got:e}, wanted {want:e}");
        }
    }
}

#[test]
fn the_nan_of_a_square_root_is_canonical_however_it_is_compiled() {
    let bits = [
        0xbf80_0000u32,
        0xffc0_1234,
        0x7f80_0001,
        0xff80_0000,
        0x8000_0001,
    ];
    for n in 0..40 {
        let mut v: Vec<f32> = (0..n).map(|i| f32::from_bits(bits[i % 5])).collect();
        for x in std::hint::black_box(&mut v) {
            *x = canon(sqrt(*x));
        }
        assert!(v.iter().all(|x| x.to_bits() == 0x7fc0_0000), "{n}: {v:?}");
    }
}

#[test]
fn extremes_order_zeros_and_keep_nan() {
    assert_eq!(max(0.0, -0.0).to_bits(), 0);
    assert_eq!(max(-0.0, 0.0).to_bits(), 0);
    assert_eq!(min(0.0, -0.0).to_bits(), 0x8000_0000);
    assert_eq!(min(-0.0, 0.0).to_bits(), 0x8000_0000);
    for (a, b) in [(f32::NAN, 1.0), (1.0, f32::from_bits(0xffc1_2345))] {
        assert_eq!(max(a, b).to_bits(), 0x7fc0_0000);
        assert_eq!(min(a, b).to_bits(), 0x7fc0_0000);
    }
    assert_eq!(exp(f32::NEG_INFINITY), 0.0);
    assert_eq!(exp(f32::INFINITY), f32::INFINITY);
    assert_eq!(log(0.0), f32::NEG_INFINITY);
    assert_eq!((erf(4.0), erf(f32::INFINITY), erf(-9.0)), (1.0, 1.0, -1.0));
    assert_eq!(tanh(-0.0).to_bits(), 0x8000_0000);
    assert_eq!(exp(-100.0).to_bits(), 27, "denormals are kept");
    let functions = [
        exp, log, tanh, sigmoid, softplus, expm1, erf, gelu, gelu_tanh, sqrt,
    ];
    for f in functions {
        for bits in [0x7fc0_0000, 0xffc1_2345, 0x7f80_0001] {
            assert!(f(f32::from_bits(bits)).is_nan());
        }
    }
}
