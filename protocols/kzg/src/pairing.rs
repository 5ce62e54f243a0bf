//! Products of pairings whose G2 arguments never change.
//!
//! The optimal ate pairing f^((p^12−1)/r) with the Miller loop over
//! |z| = 0xd201000000010000. For a fixed G2 point every line of the loop is
//! computed once ([`Lines`]); evaluating one at a G1 point is four
//! multiplications. All pairs of a product run through one loop, so that its 62
//! squarings are paid once and not once a pair, and one final exponentiation
//! decides. docs/decisions/0014 has the measurements.

use blst::{blst_fp6, blst_fp12};

use crate::curve::{self, G1Affine, G2Affine};
use crate::field::{self, Fp};

/// Lines a Miller loop evaluates for one fixed G2 argument: 63 of tangents, 5 of chords.
const LINES: usize = 68;

/// Between two additions of the loop, how many doublings follow: |z| in
/// binary is 1·1·01·001·0…(9)·0…(32)·0…(16), most significant first.
const DOUBLINGS: [usize; 5] = [2, 3, 9, 32, 16];

/// The line functions of a Miller loop for one fixed, finite G2 point (19.6 kB).
pub(crate) struct Lines(Box<[blst_fp6; LINES]>);

impl Lines {
    pub(crate) fn new(point: &G2Affine) -> Self {
        let mut lines = Box::new([blst_fp6::default(); LINES]);
        // SAFETY: blst writes exactly 68 line values.
        unsafe { blst::blst_precompute_lines(lines.as_mut_ptr(), point) };
        Self(lines)
    }
}

/// A G1 point as lines are evaluated at it: (−2x, ±2y).
struct Evaluator<'l> {
    lines: &'l [blst_fp6; LINES],
    x: Fp,
    y: Fp,
}

impl<'l> Evaluator<'l> {
    fn new(point: &G1Affine, lines: &'l Lines, negated: bool) -> Self {
        let x = field::negate(&field::add(&point.x, &point.x));
        let y = field::add(&point.y, &point.y);
        Self {
            lines: &lines.0,
            x,
            y: if negated { field::negate(&y) } else { y },
        }
    }

    /// Line `index` at the point: packed as blst's sparse "xy00z0".
    fn line(&self, index: usize) -> blst_fp6 {
        let mut line = self.lines[index];
        for part in &mut line.fp2[1].fp {
            *part = field::mul(part, &self.x);
        }
        for part in &mut line.fp2[2].fp {
            *part = field::mul(part, &self.y);
        }
        line
    }
}

fn square(value: &blst_fp12) -> blst_fp12 {
    let mut out = blst_fp12::default();
    // SAFETY: one struct in, one out.
    unsafe { blst::blst_fp12_sqr(&mut out, value) };
    out
}

fn times_line(value: &blst_fp12, line: &blst_fp6) -> blst_fp12 {
    let mut out = blst_fp12::default();
    // SAFETY: two structs in, one out; `line` is packed as the function wants it.
    unsafe { blst::blst_fp12_mul_by_xy00z0(&mut out, value, line) };
    out
}

/// The product of the Miller loops of all evaluators.
fn miller_loop(pairs: &[Evaluator<'_>]) -> blst_fp12 {
    let all_lines =
        |value: blst_fp12, at: usize| pairs.iter().fold(value, |v, p| times_line(&v, &p.line(at)));
    // The first doubling would square one.
    let mut value = all_lines(blst_fp12::default(), 0);
    let mut at = 1;
    for doublings in DOUBLINGS {
        value = all_lines(value, at);
        at += 1;
        for _ in 0..doublings {
            value = all_lines(square(&value), at);
            at += 1;
        }
    }
    debug_assert_eq!(at, LINES);
    // z is negative. SAFETY: one struct, in place.
    unsafe { blst::blst_fp12_conjugate(&mut value) };
    value
}

/// ∏ e(Pᵢ, Qᵢ) over `left` equals ∏ e(Pᵢ, Qᵢ) over `right`.
///
/// Pairs whose G1 point is infinity count as 1.
pub(crate) fn products_equal(left: &[(G1Affine, &Lines)], right: &[(G1Affine, &Lines)]) -> bool {
    let evaluators: Vec<Evaluator<'_>> = left
        .iter()
        .map(|pair| (pair, false))
        .chain(right.iter().map(|pair| (pair, true)))
        .filter(|((point, _), _)| !curve::g1_is_infinity(point))
        .map(|((point, lines), negated)| Evaluator::new(point, lines, negated))
        .collect();
    if evaluators.is_empty() {
        return true;
    }
    let value = miller_loop(&evaluators);
    let mut out = blst_fp12::default();
    // SAFETY: one struct in, one out; then one read.
    unsafe {
        blst::blst_final_exp(&mut out, &value);
        blst::blst_fp12_is_one(&out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_joint_loop_is_the_product_of_single_ones() {
        let generator = curve::g1_generator();
        let double = curve::g1_to_affine(&curve::g1_double(&curve::g1_from_affine(&generator)));
        let lines = Lines::new(&curve::g2_generator());
        let single = |point: &G1Affine| blst_fp12::miller_loop(&curve::g2_generator(), point);
        let joint = miller_loop(&[
            Evaluator::new(&generator, &lines, false),
            Evaluator::new(&double, &lines, false),
        ]);
        assert_eq!(joint, single(&generator) * single(&double));
    }

    #[test]
    fn equations_hold_exactly_when_the_exponents_say_so() {
        let generator = curve::g1_generator();
        let double = curve::g1_to_affine(&curve::g1_double(&curve::g1_from_affine(&generator)));
        let infinity = G1Affine::default();
        let lines = Lines::new(&curve::g2_generator());
        let check = |left: &[G1Affine], right: &[G1Affine]| {
            let pair = |points: &[G1Affine]| -> Vec<(G1Affine, &Lines)> {
                points.iter().map(|p| (*p, &lines)).collect()
            };
            products_equal(&pair(left), &pair(right))
        };
        assert!(check(&[], &[]));
        assert!(check(&[infinity], &[infinity]));
        assert!(check(&[generator, generator], &[double]));
        assert!(check(&[double, infinity], &[generator, generator]));
        assert!(!check(&[generator], &[double]));
        assert!(!check(&[generator], &[]));
        assert!(!check(&[], &[generator]));
        assert!(!check(&[generator, double], &[double]));
    }
}
