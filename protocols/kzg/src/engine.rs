//! Adding many pairs of affine points with one inversion for all of them.
//!
//! λ = (y₂ − y₁)/(x₂ − x₁), x₃ = λ² − x₁ − x₂, y₃ = λ(x₁ − x₃) − y₁: with the
//! inversions of a whole block shared (Montgomery's trick) an addition costs six
//! multiplications, against ten to sixteen in projective coordinates. Equal
//! points are doubled and opposite ones give infinity, so the sum is right for
//! every input.
//!
//! Two ways of computing, one result: [`Engine::Plain`] multiplies with blst,
//! [`Engine::Wide`] with eight lanes of 52-bit limbs (see `lanes`) where the CPU
//! has them. An engine holds points in a form of its own, made by
//! [`Engine::enter`] and ended by [`Engine::leave`]; in between they are opaque.

use std::sync::OnceLock;

use crate::curve::{self, G1Affine};
use crate::field::{self, Fp};
#[cfg(target_arch = "x86_64")]
use crate::lanes;

/// A point of a list and its sign: twice its index, plus one for the negative.
pub(crate) type Code = u32;

/// One addition: `out[to]` = ±`source[a]` ± `source[b]`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pair {
    pub(crate) a: Code,
    pub(crate) b: Code,
    pub(crate) to: u32,
}

/// Additions that share an inversion.
const BLOCK: usize = 256;

/// How additions are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    /// blst's field, one multiplication at a time.
    Plain,
    /// AVX-512 IFMA, eight at a time.
    #[cfg(target_arch = "x86_64")]
    Wide,
}

impl Engine {
    /// The fastest that this CPU has.
    pub(crate) fn best() -> Self {
        static BEST: OnceLock<Engine> = OnceLock::new();
        *BEST.get_or_init(|| *Self::available().last().unwrap_or(&Self::Plain))
    }

    /// All that this CPU has.
    pub(crate) fn available() -> &'static [Engine] {
        #[cfg(target_arch = "x86_64")]
        if lanes::supported() {
            return &[Self::Plain, Self::Wide];
        }
        &[Self::Plain]
    }

    /// Finite points in this engine's form.
    pub(crate) fn enter(self, points: Vec<G1Affine>) -> Vec<G1Affine> {
        match self {
            Self::Plain => points,
            #[cfg(target_arch = "x86_64")]
            Self::Wide => lanes::enter(points),
        }
    }

    /// Finite points back in blst's form.
    pub(crate) fn leave(self, points: Vec<G1Affine>) -> Vec<G1Affine> {
        match self {
            Self::Plain => points,
            #[cfg(target_arch = "x86_64")]
            Self::Wide => lanes::leave(points),
        }
    }

    /// Computes every pair; all inputs are finite. Returns the indices into
    /// `out` of the sums that are infinity (whose coordinates mean nothing).
    pub(crate) fn add_pairs(
        self,
        source: &[G1Affine],
        pairs: &[Pair],
        out: &mut [G1Affine],
    ) -> Vec<u32> {
        match self {
            Self::Plain => add_pairs(source, pairs, out),
            #[cfg(target_arch = "x86_64")]
            Self::Wide => lanes::add_pairs(source, pairs, out),
        }
    }
}

/// The point a code names.
pub(crate) fn signed(source: &[G1Affine], code: Code) -> G1Affine {
    let point = source[(code >> 1) as usize];
    if code & 1 == 0 {
        point
    } else {
        G1Affine {
            x: point.x,
            y: field::negate(&point.y),
        }
    }
}

/// What an addition keeps between the two passes.
struct Step {
    a: G1Affine,
    bx: Fp,
    numerator: Fp,
    denominator: Fp,
    /// The product of all denominators of the block up to and with this one.
    product: Fp,
    to: u32,
}

fn add_pairs(source: &[G1Affine], pairs: &[Pair], out: &mut [G1Affine]) -> Vec<u32> {
    let mut infinite = Vec::new();
    let mut steps: Vec<Step> = Vec::with_capacity(BLOCK);
    for block in pairs.chunks(BLOCK) {
        steps.clear();
        let mut product = field::one();
        for pair in block {
            let [a, b] = [signed(source, pair.a), signed(source, pair.b)];
            let mut denominator = field::sub(&b.x, &a.x);
            let numerator = if !field::is_zero(&denominator) {
                field::sub(&b.y, &a.y)
            } else if a.y == b.y {
                // λ = 3x²/2y; y is not zero, because no point has order two.
                denominator = field::add(&a.y, &a.y);
                let square = field::square(&a.x);
                field::add(&field::add(&square, &square), &square)
            } else {
                infinite.push(pair.to);
                continue;
            };
            product = field::mul(&product, &denominator);
            steps.push(Step {
                a,
                bx: b.x,
                numerator,
                denominator,
                product,
                to: pair.to,
            });
        }
        let mut inverse = field::invert(&product);
        for i in (0..steps.len()).rev() {
            let step = &steps[i];
            let own = match i.checked_sub(1) {
                Some(before) => field::mul(&inverse, &steps[before].product),
                None => inverse,
            };
            inverse = field::mul(&inverse, &step.denominator);
            let slope = field::mul(&step.numerator, &own);
            let x = field::sub(&field::sub(&field::square(&slope), &step.a.x), &step.bx);
            let y = field::mul(&slope, &field::sub(&step.a.x, &x));
            out[step.to as usize] = G1Affine {
                x,
                y: field::sub(&y, &step.a.y),
            };
        }
    }
    infinite
}

/// One addition in blst's form; `None` is infinity. For the exceptions that the
/// lanes leave out.
#[cfg(target_arch = "x86_64")]
pub(crate) fn add_one(a: &G1Affine, b: &G1Affine) -> Option<G1Affine> {
    let sum = curve::g1_add_affine(&curve::g1_from_affine(a), b);
    let sum = curve::g1_to_affine(&sum);
    (!curve::g1_is_infinity(&sum)).then_some(sum)
}

#[cfg(test)]
mod tests {
    use ark_bls12_381::Fr;
    use ark_ff::Field;

    use super::*;
    use crate::glv::{self, negated};

    /// G, 2G, 3G, …
    fn multiples(count: usize) -> Vec<G1Affine> {
        let generator = curve::g1_generator();
        let mut next = curve::g1_from_affine(&generator);
        let mut out = Vec::new();
        for _ in 0..count {
            out.push(curve::g1_to_affine(&next));
            next = curve::g1_add_affine(&next, &generator);
        }
        out
    }

    /// Runs the pairs of (index, negative) and compares with blst.
    fn check(engine: Engine, points: &[G1Affine], pairs: &[[(usize, bool); 2]]) {
        let code = |(index, negative): (usize, bool)| (index as u32) << 1 | u32::from(negative);
        let list: Vec<Pair> = pairs
            .iter()
            .enumerate()
            .map(|(i, [a, b])| Pair {
                a: code(*a),
                b: code(*b),
                // Written in the opposite order.
                to: (pairs.len() - 1 - i) as u32,
            })
            .collect();
        let mut out = vec![G1Affine::default(); pairs.len()];
        let source = engine.enter(points.to_vec());
        let infinite = engine.add_pairs(&source, &list, &mut out);
        let finite_only: Vec<G1Affine> = out
            .iter()
            .enumerate()
            .map(|(i, p)| {
                if infinite.contains(&(i as u32)) {
                    source[0]
                } else {
                    *p
                }
            })
            .collect();
        let out = engine.leave(finite_only);
        for (pair, given) in pairs.iter().zip(&list) {
            let value = |(i, negative): (usize, bool)| {
                if negative {
                    negated(&points[i])
                } else {
                    points[i]
                }
            };
            let sum = curve::g1_from_affine(&value(pair[0]));
            let sum = curve::g1_to_affine(&curve::g1_add_affine(&sum, &value(pair[1])));
            let is_infinite = infinite.contains(&given.to);
            assert_eq!(
                is_infinite,
                curve::g1_is_infinity(&sum),
                "{engine:?} {pair:?}"
            );
            if !is_infinite {
                assert_eq!(out[given.to as usize], sum, "{engine:?} {pair:?}");
            }
        }
    }

    #[test]
    fn sums_of_any_pairs_are_blsts_on_every_engine() {
        let points = multiples(90);
        let mut pairs = Vec::new();
        for i in 0..2500 {
            let [a, b] = [i * 7 % 90, (i * i + 3 * i) % 90];
            pairs.push([(a, i % 3 == 0), (b, i % 5 == 0)]);
        }
        let distinct: Vec<_> = pairs.iter().copied().filter(|[a, b]| a.0 != b.0).collect();
        for engine in Engine::available() {
            check(*engine, &points, &[]);
            for count in [1, 2, 7, 8, 9, 63, 1024, 1025, 2200] {
                check(*engine, &points, &distinct[..count]);
            }
            // With equal and opposite points among them.
            check(*engine, &points, &pairs);
            check(*engine, &points, &[[(4, false), (4, false)]; 9]);
            check(*engine, &points, &[[(4, false), (4, true)]; 9]);
            check(*engine, &points, &[[(4, true), (4, true)]]);
        }
    }

    #[test]
    fn long_chains_of_additions_stay_exact() {
        // Results that are fed back keep whatever slack an engine's form has.
        for engine in Engine::available() {
            // Far from each other, so that no sum meets its own term.
            let generator = curve::g1_generator();
            let points: Vec<G1Affine> = (2..18u64)
                .map(|i| glv::multiply_sum(&[(generator, Fr::from(i).pow([101]))]))
                .map(|point| curve::g1_to_affine(&point))
                .collect();
            let mut level = engine.enter(points.clone());
            let mut plain: Vec<_> = points.iter().map(curve::g1_from_affine).collect();
            for round in 0..40u32 {
                // Each sum so far, plus or minus another of the first points.
                let choice = |i: u32| ((i + 1 + round) % 16, (i * i + round) >> 2 & 1);
                let pairs: Vec<Pair> = (0..16)
                    .map(|i| Pair {
                        a: i << 1 | (round & 1),
                        b: (16 + choice(i).0) << 1 | choice(i).1,
                        to: i,
                    })
                    .collect();
                let mut out = level.clone();
                let source = [level, engine.enter(points.clone())].concat();
                assert!(engine.add_pairs(&source, &pairs, &mut out).is_empty());
                level = out;
                for (i, sum) in plain.iter_mut().enumerate() {
                    let (other, negative) = choice(i as u32);
                    let mut own = curve::g1_to_affine(sum);
                    if round & 1 == 1 {
                        own = negated(&own);
                    }
                    let mut term = points[other as usize];
                    if negative == 1 {
                        term = negated(&term);
                    }
                    *sum = curve::g1_add_affine(&curve::g1_from_affine(&own), &term);
                }
            }
            let plain: Vec<_> = plain.iter().map(curve::g1_to_affine).collect();
            assert_eq!(engine.leave(level), plain, "{engine:?}");
        }
    }

    #[test]
    fn entering_and_leaving_changes_nothing() {
        for engine in Engine::available() {
            for count in [0, 1, 8, 13] {
                let points = multiples(count);
                assert_eq!(engine.leave(engine.enter(points.clone())), points);
            }
        }
    }
}
