//! Trigonometry against f64, on the edges and at the greatest floats, on every
//! path.

use super::*;
use crate::kernels::{Kernels, simd};

/// Distance from the exact value, in units of its last place.
fn ulps(got: f32, want: f64) -> f64 {
    if want.is_nan() || want.abs() >= f64::from(f32::MAX) {
        return if got.is_nan() == want.is_nan() {
            0.0
        } else {
            f64::INFINITY
        };
    }
    let a = want.abs().max(f64::from(f32::MIN_POSITIVE));
    let ulp = 2f64.powi(a.log2().floor() as i32 - 23);
    (f64::from(got) - want).abs() / ulp
}

/// Bit patterns all over, fine sweeps where the functions bend.
fn samples() -> impl Iterator<Item = f32> {
    let bits = (0..u32::MAX)
        .step_by(49_999)
        .map(f32::from_bits)
        .filter(|x| x.is_finite());
    bits.chain((-200_000..200_000).map(|i| i as f32 * 1e-4 + 1e-6))
        .chain((-100_000..=100_000).map(|i| i as f32 * 1e-5))
        .chain((0..100_000).map(|i| 1.0 + i as f32 * 1.2e-7))
}

#[test]
fn every_function_is_within_a_little_more_than_half_an_ulp() {
    type Case = (&'static str, fn(f32) -> f32, fn(f64) -> f64);
    let cases: [Case; 12] = [
        ("sin", sin, f64::sin),
        ("cos", cos, f64::cos),
        ("tan", tan, f64::tan),
        ("asin", asin, f64::asin),
        ("acos", acos, f64::acos),
        ("atan", atan, f64::atan),
        ("sinh", sinh, f64::sinh),
        ("cosh", cosh, f64::cosh),
        // The standard library's own are inexact for small arguments.
        ("asinh", asinh, |x| {
            let a = x.abs();
            (a + a * a / (1.0 + a.hypot(1.0))).ln_1p().copysign(x)
        }),
        ("acosh", acosh, |x| {
            let t = x - 1.0;
            (t + (t * (t + 2.0)).sqrt()).ln_1p() + if x < 1.0 { f64::NAN } else { 0.0 }
        }),
        ("atanh", atanh, |x| {
            let a = x.abs();
            (0.5 * (2.0 * a / (1.0 - a)).ln_1p()).copysign(x)
        }),
        (
            "sin near",
            |x| if x.abs() < BIG { sin_near(x) } else { sin(x) },
            f64::sin,
        ),
    ];
    for (name, f, reference) in cases {
        let mut worst = (0.0, 0f32);
        for x in samples() {
            let e = ulps(f(x), reference(f64::from(x)));
            if e > worst.0 {
                worst = (e, x);
            }
        }
        println!("{name}: {:.4} ulp at {:e}", worst.0, worst.1);
        assert!(worst.0 <= 0.51, "{name}: {} ulp at {:e}", worst.0, worst.1);
    }
}

#[test]
fn edges_are_what_ieee_says() {
    let (inf, neg) = (f32::INFINITY, f32::NEG_INFINITY);
    for f in [sin, cos, tan, asin, acos, atanh] {
        for x in [inf, neg, f32::NAN] {
            assert_eq!(f(x).to_bits(), 0x7fc0_0000);
        }
    }
    for f in [sin, tan, asin, atan, sinh, asinh, atanh] {
        assert_eq!(f(-0.0).to_bits(), 0x8000_0000, "odd at −0");
        assert_eq!(f(f32::from_bits(1)).to_bits(), 1, "denormals pass");
    }
    assert_eq!((sinh(inf), sinh(neg), cosh(neg)), (inf, neg, inf));
    assert_eq!((asinh(inf), asinh(neg), acosh(inf)), (inf, neg, inf));
    assert_eq!((atanh(1.0), atanh(-1.0)), (inf, neg));
    assert_eq!((acosh(1.0), acos(1.0)), (0.0, 0.0));
    assert!(acosh(0.999).is_nan() && asin(1.000_001).is_nan() && acos(-2.0).is_nan());
    assert_eq!(
        atan(neg).to_bits(),
        (-std::f32::consts::FRAC_PI_2).to_bits()
    );
    assert_eq!(acos(-1.0).to_bits(), std::f32::consts::PI.to_bits());
    // Nearest multiples of π/2 among floats, and the greatest float.
    for x in [16_367_173.0 * 2f32.powi(72), f32::MAX, 1e22, 5_419_351.0] {
        assert!(ulps(sin(x), f64::from(x).sin()) <= 0.51, "sin {x:e}");
        assert!(ulps(cos(x), f64::from(x).cos()) <= 0.51, "cos {x:e}");
    }
}

#[test]
fn the_near_path_is_the_general_one_bit_for_bit() {
    for x in samples().filter(|x| x.abs() < BIG) {
        assert_eq!(sin_near(x).to_bits(), sin(x).to_bits());
        assert_eq!(cos_near(x).to_bits(), cos(x).to_bits());
        assert_eq!(tan_near(x).to_bits(), tan(x).to_bits());
    }
}

#[test]
fn every_kernel_path_gives_the_same_bits() {
    use crate::kernels::math::{canon, erf, exp, gelu, gelu_tanh, log, sigmoid, softplus, tanh};
    let edges = [
        0.0,
        -0.0,
        1.0,
        -1.0,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::NAN,
        f32::from_bits(0xffc1_2345),
        f32::from_bits(0x7f80_0001),
        f32::MAX,
        f32::MIN,
        f32::MIN_POSITIVE,
        f32::from_bits(1),
        f32::from_bits(0x807f_ffff),
        BIG,
        -BIG,
    ];
    let mut x: Vec<f32> = edges.to_vec();
    x.extend((0..u32::MAX).step_by(999_983).map(f32::from_bits));
    x.extend((-2000..2000).map(|i| i as f32 * 0.0103));
    macro_rules! same {
        ($($f:ident),*) => {$(
            let of = |k: Kernels| {
                let mut v = vec![0f32; x.len()];
                simd::map1(k, &x, &mut v, |x: f32| canon($f(x)));
                v.into_iter().map(f32::to_bits).collect::<Vec<_>>()
            };
            let want = of(Kernels::Portable);
            for k in Kernels::available() {
                assert!(of(k) == want, "{} on {k:?}", stringify!($f));
            }
        )*};
    }
    same!(
        sin, cos, tan, asin, acos, atan, sinh, cosh, asinh, acosh, atanh, exp, log, tanh, sigmoid,
        softplus, erf, gelu, gelu_tanh
    );
}
