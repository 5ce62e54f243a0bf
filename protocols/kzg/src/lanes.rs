//! Eight field multiplications at once, with AVX-512 IFMA.
//!
//! A field element is eight limbs of 52 bits, little-endian, in Montgomery form
//! with R = 2^416; a [`Vector`] holds eight elements, lane by lane. Values are
//! kept only as small as they must be: the product of two values below 2^17·p is
//! below 1.01·p, and points at rest have coordinates below 3·p, packed in the six
//! 64-bit words of blst's struct. [`enter`] and [`leave`] convert; `leave` reduces
//! fully, so that results are the ones of any other engine, bit for bit.
//!
//! No addition here looks for equal or infinite points: their slope's
//! denominator is zero, which the product of the whole block betrays. Only then
//! are they sought out and added one by one.
//!
//! # Safety
//!
//! Everything that needs the instructions is `#[target_feature]` and reached
//! only through the few functions at the end and [`decode`], which check for them. The raw
//! loads and stores touch exactly one 96-byte point each.

mod decode;
mod vector;

use std::arch::x86_64::{
    __mmask8, _MM_HINT_T0, _mm_prefetch, _mm512_add_epi64, _mm512_mask_blend_epi64,
    _mm512_mask_sub_epi64, _mm512_sub_epi64,
};

use crate::curve::G1Affine;
use crate::engine::{self, Code, Pair, signed};
use crate::field::{self, Fp};
pub(crate) use decode::decode;
use vector::{
    FROM_BLST, ONE, P3, TO_BLST, Vector, broadcast, carried, from_blst, load, mul, reduced, store,
    to_blst, trimmed,
};

/// Elements handled together.
const LANES: usize = 8;
/// How many groups ahead points are fetched.
const AHEAD: usize = 4;
/// Groups of eight additions that share one inversion.
const GROUPS: usize = 128;

/// What eight additions keep between the two passes.
#[derive(Clone, Copy)]
struct Group {
    x: Vector,
    y: Vector,
    /// x₂ − x₁ + 3p: the slope's denominator.
    dx: Vector,
    /// y₂ − y₁ + 3p: its numerator.
    dy: Vector,
    /// The product of the block's denominators up to and with this one.
    product: Vector,
}

/// Asks for a point that will soon be needed: a large table lies far away.
#[inline]
fn fetch(source: &[G1Affine], code: Code) {
    let words = std::ptr::from_ref(&source[(code >> 1) as usize]).cast::<i8>();
    // SAFETY: hints; both addresses are inside the point.
    unsafe {
        _mm_prefetch::<_MM_HINT_T0>(words);
        _mm_prefetch::<_MM_HINT_T0>(words.add(64));
    }
}

/// The first pass for up to eight pairs; missing ones repeat the last.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn first_pass(source: &[G1Affine], pairs: &[Pair]) -> Group {
    let last = pairs.len() - 1;
    let pick = |i: usize| pairs[if i < last { i } else { last }];
    let (mut signs_a, mut signs_b): (__mmask8, __mmask8) = (0, 0);
    let mut a = [&source[0]; LANES];
    let mut b = a;
    for i in 0..LANES {
        let pair = pick(i);
        a[i] = &source[(pair.a >> 1) as usize];
        b[i] = &source[(pair.b >> 1) as usize];
        signs_a |= ((pair.a & 1) as u8) << i;
        signs_b |= ((pair.b & 1) as u8) << i;
    }
    let (x, mut y) = load(a);
    let (x2, mut y2) = load(b);
    let p3 = broadcast(&P3);
    let mut dx = x;
    let mut dy = y;
    for i in 0..8 {
        y[i] = _mm512_mask_sub_epi64(y[i], signs_a, p3[i], y[i]);
        y2[i] = _mm512_mask_sub_epi64(y2[i], signs_b, p3[i], y2[i]);
        dx[i] = _mm512_add_epi64(_mm512_sub_epi64(x2[i], x[i]), p3[i]);
        dy[i] = _mm512_add_epi64(_mm512_sub_epi64(y2[i], y[i]), p3[i]);
    }
    let dx = carried(dx);
    Group {
        x,
        y,
        dx,
        dy: carried(dy),
        product: dx,
    }
}

/// The sums of a group, given the inverses of its denominators.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn second_pass(group: &Group, inverse: &Vector) -> [G1Affine; LANES] {
    let slope = mul(&group.dy, inverse);
    let p3 = broadcast(&P3);
    let mut x = mul(&slope, &slope);
    for i in 0..8 {
        // λ² − x₁ − x₂ + 6p, where x₂ = x₁ + dx − 3p.
        let twice = _mm512_add_epi64(group.x[i], group.x[i]);
        let off = _mm512_sub_epi64(_mm512_sub_epi64(x[i], twice), group.dx[i]);
        let p9 = _mm512_add_epi64(_mm512_add_epi64(p3[i], p3[i]), p3[i]);
        x[i] = _mm512_add_epi64(off, p9);
    }
    let x = trimmed(carried(x));
    let mut back = x;
    for i in 0..8 {
        back[i] = _mm512_add_epi64(_mm512_sub_epi64(group.x[i], x[i]), p3[i]);
    }
    let mut y = mul(&slope, &carried(back));
    for i in 0..8 {
        y[i] = _mm512_add_epi64(_mm512_sub_epi64(y[i], group.y[i]), p3[i]);
    }
    store(&x, &trimmed(carried(y)))
}

/// Chains the products of a block; the last one covers all.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn chain(groups: &mut [Group]) {
    for i in 1..groups.len() {
        groups[i].product = mul(&groups[i - 1].product, &groups[i].dx);
    }
}

/// Puts one in the place of zero denominators; says where.
#[cold]
#[target_feature(enable = "avx512f,avx512ifma")]
fn set_aside(groups: &mut [Group]) -> Vec<usize> {
    let one = broadcast(&ONE);
    let mut found = Vec::new();
    for (g, group) in groups.iter_mut().enumerate() {
        let mut zeros: __mmask8 = 0;
        for (lane, value) in to_blst(&group.dx).iter().enumerate() {
            if field::is_zero(value) {
                zeros |= 1 << lane;
                found.push(g * LANES + lane);
            }
        }
        for (limb, one) in group.dx.iter_mut().zip(one) {
            *limb = _mm512_mask_blend_epi64(zeros, *limb, one);
        }
        group.product = group.dx;
    }
    found
}

/// One inversion for eight values, none of them zero.
fn inverses(values: &[Fp; LANES]) -> [Fp; LANES] {
    let mut out = *values;
    for i in 1..LANES {
        out[i] = field::mul(&out[i - 1], &values[i]);
    }
    let mut inverse = field::invert(&out[LANES - 1]);
    for i in (1..LANES).rev() {
        out[i] = field::mul(&inverse, &out[i - 1]);
        inverse = field::mul(&inverse, &values[i]);
    }
    out[0] = inverse;
    out
}

#[target_feature(enable = "avx512f,avx512ifma")]
fn add_block(
    source: &[G1Affine],
    pairs: &[Pair],
    out: &mut [G1Affine],
    groups: &mut Vec<Group>,
    infinite: &mut Vec<u32>,
) {
    groups.clear();
    for (g, eight) in pairs.chunks(LANES).enumerate() {
        for pair in pairs.iter().skip((g + AHEAD) * LANES).take(LANES) {
            fetch(source, pair.a);
            fetch(source, pair.b);
        }
        groups.push(first_pass(source, eight));
    }
    chain(groups);
    let mut exceptions = Vec::new();
    let mut totals = to_blst(&groups[groups.len() - 1].product);
    if totals.iter().any(field::is_zero) {
        exceptions = set_aside(groups);
        chain(groups);
        totals = to_blst(&groups[groups.len() - 1].product);
    }
    let mut inverse = from_blst(&inverses(&totals));
    for (g, eight) in pairs.chunks(LANES).enumerate().rev() {
        let group = &groups[g];
        let own = match g.checked_sub(1) {
            Some(before) => mul(&inverse, &groups[before].product),
            None => inverse,
        };
        inverse = mul(&inverse, &group.dx);
        for (pair, sum) in eight.iter().zip(second_pass(group, &own)) {
            out[pair.to as usize] = sum;
        }
    }
    // Lanes that repeat the last pair are no pairs of their own.
    for at in exceptions.into_iter().filter(|at| *at < pairs.len()) {
        let pair = pairs[at];
        // Signs first: they mean the same in both forms only after leaving.
        let both = [pair.a, pair.b].map(|code| source[(code >> 1) as usize]);
        let plain = convert(both.to_vec(), &TO_BLST, true);
        let a = signed(&plain[..1], pair.a & 1);
        let b = signed(&plain[1..], pair.b & 1);
        match engine::add_one(&a, &b) {
            Some(sum) => {
                let entered = convert(vec![sum], &FROM_BLST, false);
                out[pair.to as usize] = entered[0];
            }
            None => infinite.push(pair.to),
        }
    }
}

/// Multiplies every coordinate with a constant; `fully` reduces the results.
#[target_feature(enable = "avx512f,avx512ifma")]
fn convert(mut points: Vec<G1Affine>, by: &[i64; 8], fully: bool) -> Vec<G1Affine> {
    let by = broadcast(by);
    for eight in points.chunks_mut(LANES) {
        let mut full = [eight[0]; LANES];
        full[..eight.len()].copy_from_slice(eight);
        let (x, y) = load(full.each_ref());
        let results = store(&mul(&x, &by), &mul(&y, &by));
        for (point, result) in eight.iter_mut().zip(results) {
            *point = result;
            if fully {
                point.x = reduced(point.x);
                point.y = reduced(point.y);
            }
        }
    }
    points
}

/// Whether this CPU has what the rest of the module needs.
pub(crate) fn supported() -> bool {
    is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512ifma")
}

fn require() {
    assert!(supported(), "the wide engine is only offered where it runs");
}

/// See [`Engine::enter`](crate::engine::Engine::enter).
pub(crate) fn enter(points: Vec<G1Affine>) -> Vec<G1Affine> {
    require();
    // SAFETY: the instructions are there.
    unsafe { convert(points, &FROM_BLST, false) }
}

/// See [`Engine::leave`](crate::engine::Engine::leave).
pub(crate) fn leave(points: Vec<G1Affine>) -> Vec<G1Affine> {
    require();
    // SAFETY: the instructions are there.
    unsafe { convert(points, &TO_BLST, true) }
}

/// See [`Engine::add_pairs`](crate::engine::Engine::add_pairs).
pub(crate) fn add_pairs(source: &[G1Affine], pairs: &[Pair], out: &mut [G1Affine]) -> Vec<u32> {
    require();
    let mut infinite = Vec::new();
    let mut groups = Vec::with_capacity(GROUPS.min(pairs.len().div_ceil(LANES)));
    for block in pairs.chunks(GROUPS * LANES) {
        // SAFETY: the instructions are there.
        unsafe { add_block(source, block, out, &mut groups, &mut infinite) };
    }
    infinite
}
