//! Decoding eight points at once: square roots and subgroup checks in lanes.
//!
//! * y = (x³ + 4)^((p+1)/4), and a point exists if that squared is x³ + 4.
//! * P is in the subgroup exactly if z²·P = −φ(P) (see `glv`): then
//!   (z⁴ − z² + 1)·P = 0, which is r·P = 0. Computed as |z|·(|z|·P) with additions
//!   that cannot handle equal points or infinity; meeting those leaves Z = 0 for
//!   good, which counts as failure. Rightly so: multiples of a point of order r
//!   by less than 2^64 are never infinity nor each other's equals.

use std::arch::x86_64::{_mm512_add_epi64, _mm512_set1_epi64, _mm512_sub_epi64};

use super::vector::{ONE, P, Vector, broadcast, carried, load, mul, reduced, store, to_blst};
use super::{LANES, require};
use crate::curve::G1Affine;
use crate::error::Malformed;
use crate::field::{self, Fp};

/// 2^832 mod p: times this, a plain integer becomes R = 2^416.
const R_SQUARED: [i64; 8] = [
    0xa_5bf4_cb89_af51,
    0x3_afbb_a7ca_31a2,
    0x2_6461_60ec_71f1,
    0xa_84d7_1046_5903,
    0x3_480a_4a18_8311,
    0x9_8e59_07ad_91f5,
    0x2_075d_7450_7266,
    0x0_0000_0000_8746,
];
/// The curve's 4.
const FOUR: [i64; 8] = [
    0xc_203a_a3a7_e6bb,
    0x9_9c5b_63f9_1e5d,
    0xe_c221_8e49_b9f5,
    0xb_47d6_b297_d25b,
    0x3_6f29_b533_dd05,
    0xa_ac3b_92d6_d85a,
    0x2_5d10_0f55_59b6,
    0x0_0000_0000_5208,
];
/// β of φ.
const BETA: [i64; 8] = [
    0xd_75aa_ff33_455f,
    0xd_0953_56b7_cbb6,
    0x9_53a2_f6fa_079f,
    0x1_080c_f0a3_d697,
    0x3_f7de_3465_fe7c,
    0x0_1f71_fd68_96ec,
    0xd_9dd9_cc17_2747,
    0x0_0000_0000_7d91,
];
/// A plain 1: times this, R = 2^416 becomes a plain integer.
const PLAIN: [i64; 8] = [1, 0, 0, 0, 0, 0, 0, 0];
/// (p + 1) / 4, lowest word first.
const ROOT_EXPONENT: [u64; 6] = [
    0xee7f_bfff_ffff_eaab,
    0x07aa_ffff_ac54_ffff,
    0xd9cc_34a8_3dac_3d89,
    0xd91d_d2e1_3ce1_44af,
    0x92c6_e9ed_90d2_eb35,
    0x0680_447a_8e5f_f9a6,
];
/// (p − 1) / 2, lowest word first.
const HALF: [u64; 6] = [
    0xdcff_7fff_ffff_d555,
    0x0f55_ffff_58a9_ffff,
    0xb398_6950_7b58_7b12,
    0xb23b_a5c2_79c2_895f,
    0x258d_d3db_21a5_d66b,
    0x0d00_88f5_1cbf_f34d,
];
/// Bits of a window of the exponent.
const WINDOW: usize = 5;
/// |z| between its additions, as in `pairing`.
const DOUBLINGS: [usize; 5] = [2, 3, 9, 32, 16];

/// a + b.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn add(a: &Vector, b: &Vector) -> Vector {
    let mut out = *a;
    for i in 0..8 {
        out[i] = _mm512_add_epi64(a[i], b[i]);
    }
    carried(out)
}

/// a − b + K·p, where b is below K·p.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn sub<const K: i64>(a: &Vector, b: &Vector) -> Vector {
    let mut out = *a;
    for i in 0..8 {
        let bias = _mm512_set1_epi64(P[i] * K);
        out[i] = _mm512_add_epi64(_mm512_sub_epi64(a[i], b[i]), bias);
    }
    carried(out)
}

/// Jacobian coordinates: (X/Z², Y/Z³). X below 10·p, Y below 10·p, Z below 3·p.
#[derive(Clone, Copy)]
struct Points {
    x: Vector,
    y: Vector,
    z: Vector,
}

#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn double(p: &Points) -> Points {
    let a = mul(&p.x, &p.x);
    let b = mul(&p.y, &p.y);
    let c = mul(&b, &b);
    let s = mul(&p.x, &b);
    let d = add(&add(&s, &s), &add(&s, &s)); // 4XY², below 5p
    let e = add(&add(&a, &a), &a);
    let x = sub::<10>(&mul(&e, &e), &add(&d, &d));
    let c2 = add(&c, &c);
    let c4 = add(&c2, &c2);
    let y = sub::<9>(&mul(&e, &sub::<12>(&d, &x)), &add(&c4, &c4));
    let yz = mul(&p.y, &p.z);
    Points {
        x,
        y,
        z: add(&yz, &yz),
    }
}

/// A point to be added often, with the powers of its Z.
struct Addend {
    point: Points,
    zz: Vector,
    zzz: Vector,
}

#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn addend(point: Points) -> Addend {
    let zz = mul(&point.z, &point.z);
    let zzz = mul(&zz, &point.z);
    Addend { point, zz, zzz }
}

#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn add_points(p: &Points, q: &Addend) -> Points {
    let zz = mul(&p.z, &p.z);
    let zzz = mul(&zz, &p.z);
    let u1 = mul(&p.x, &q.zz);
    let s1 = mul(&p.y, &q.zzz);
    let h = sub::<2>(&mul(&q.point.x, &zz), &u1);
    let r = sub::<2>(&mul(&q.point.y, &zzz), &s1);
    let hh = mul(&h, &h);
    let hhh = mul(&hh, &h);
    let v = mul(&u1, &hh);
    let x = sub::<4>(&mul(&r, &r), &add(&hhh, &add(&v, &v)));
    let y = sub::<2>(&mul(&r, &sub::<6>(&v, &x)), &mul(&s1, &hhh));
    Points {
        x,
        y,
        z: mul(&mul(&p.z, &q.point.z), &h),
    }
}

/// |z|·P.
#[target_feature(enable = "avx512f,avx512ifma")]
fn times_z(point: Points) -> Points {
    let own = addend(point);
    let mut out = double(&point);
    for doublings in DOUBLINGS {
        out = add_points(&out, &own);
        for _ in 0..doublings {
            out = double(&out);
        }
    }
    out
}

/// Which of eight finite points of the curve are in the subgroup.
#[target_feature(enable = "avx512f,avx512ifma")]
fn in_subgroup(x: &Vector, y: &Vector) -> [bool; LANES] {
    let point = Points {
        x: *x,
        y: *y,
        z: broadcast(&ONE),
    };
    let out = times_z(times_z(point));
    let zz = mul(&out.z, &out.z);
    let zzz = mul(&zz, &out.z);
    let x_off = sub::<2>(&out.x, &mul(&mul(x, &broadcast(&BETA)), &zz));
    let y_off = add(&out.y, &mul(y, &zzz));
    let [x_off, y_off, z] = [to_blst(&x_off), to_blst(&y_off), to_blst(&out.z)];
    let mut found = [false; LANES];
    for (i, found) in found.iter_mut().enumerate() {
        *found = field::is_zero(&x_off[i]) && field::is_zero(&y_off[i]) && !field::is_zero(&z[i]);
    }
    found
}

/// v^((p+1)/4).
#[target_feature(enable = "avx512f,avx512ifma")]
fn root(v: &Vector) -> Vector {
    let bit = |at: usize| ROOT_EXPONENT[at / 64] >> (at % 64) & 1 == 1;
    // v, v³, v⁵, …
    let square = mul(v, v);
    let mut odd = [*v; 1 << (WINDOW - 1)];
    for i in 1..odd.len() {
        odd[i] = mul(&odd[i - 1], &square);
    }
    let mut out = broadcast(&ONE);
    let mut left = 379;
    while left > 0 {
        if !bit(left - 1) {
            out = mul(&out, &out);
            left -= 1;
            continue;
        }
        // The longest window from here that ends in a one.
        let mut low = left.saturating_sub(WINDOW);
        while !bit(low) {
            low += 1;
        }
        let mut digit = 0;
        for at in (low..left).rev() {
            out = mul(&out, &out);
            digit = digit << 1 | usize::from(bit(at));
        }
        out = mul(&out, &odd[digit >> 1]);
        left = low;
    }
    out
}

/// Whether a reduced plain integer is above (p − 1)/2.
fn is_larger(value: &Fp) -> bool {
    value.l.iter().rev().cmp(HALF.iter().rev()).is_gt()
}

/// Points for eight x coordinates, plain integers below p, and their signs.
#[target_feature(enable = "avx512f,avx512ifma")]
fn decode_eight(xs: &[Fp; LANES], larger: &[bool; LANES]) -> [Result<G1Affine, Malformed>; LANES] {
    let points = xs.map(|x| G1Affine { x, y: x });
    let x = mul(&load(points.each_ref()).0, &broadcast(&R_SQUARED));
    let cube = mul(&mul(&x, &x), &x);
    let right = add(&cube, &broadcast(&FOUR));
    let y = root(&right);
    let off = to_blst(&sub::<3>(&mul(&y, &y), &right));
    let member = in_subgroup(&x, &y);
    let plain_y = mul(&y, &broadcast(&PLAIN));
    let plain_y = store(&plain_y, &plain_y);
    let [x, y] = [to_blst(&x), to_blst(&y)];
    let mut out = [Err(Malformed::NotOnCurve); LANES];
    for (i, out) in out.iter_mut().enumerate() {
        if !field::is_zero(&off[i]) {
            continue;
        }
        let same = is_larger(&reduced(plain_y[i].x)) == larger[i];
        *out = if member[i] {
            Ok(G1Affine {
                x: x[i],
                y: if same { y[i] } else { field::negate(&y[i]) },
            })
        } else {
            Err(Malformed::NotInSubgroup)
        };
    }
    out
}

/// Decodes and fully checks up to eight compressed, finite points, whose flags
/// were checked before.
pub(crate) fn decode(encoded: &[&[u8; 48]]) -> [Result<G1Affine, Malformed>; LANES] {
    require();
    let mut xs = [Fp::default(); LANES];
    let mut larger = [false; LANES];
    let mut too_large = [false; LANES];
    for (i, bytes) in encoded.iter().take(LANES).enumerate() {
        larger[i] = bytes[0] & 0x20 != 0;
        for (word, chunk) in xs[i].l.iter_mut().zip(bytes.rchunks_exact(8)) {
            *word = chunk
                .iter()
                .fold(0, |word, byte| word << 8 | u64::from(*byte));
        }
        xs[i].l[5] &= u64::MAX >> 3;
        // What is below p is not changed by reducing it.
        too_large[i] = reduced(xs[i]) != xs[i];
        if too_large[i] {
            xs[i] = Fp::default();
        }
    }
    // SAFETY: the instructions are there.
    let mut out = unsafe { decode_eight(&xs, &larger) };
    for (out, too_large) in out.iter_mut().zip(too_large) {
        if too_large {
            *out = Err(Malformed::CoordinateTooLarge);
        }
    }
    out
}
