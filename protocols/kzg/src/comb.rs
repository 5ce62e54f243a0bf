//! Multiplication by many scalars of points that never change.
//!
//! The table holds, for each point P and each row k, the point 2^(wk)·P. A
//! scalar is cut into signed digits of w bits, Σ dₖ·2^(wk) with
//! −2^(w−1) ≤ dₖ < 2^(w−1), so that Σ sᵢPᵢ is one sum of digit times table
//! entry: a single window of [`buckets`](crate::buckets) and no doublings. Rows of
//! one point lie together, a stretch of points costs only its own length, and
//! zero digits are free, so short scalars are cheap.

use std::num::NonZeroUsize;
use std::ops::Range;

use ark_bls12_381::Fr;

use crate::buckets::{self, Term};
use crate::curve::{self, G1, G1Affine, SCALAR_BITS};
use crate::engine::Engine;
use crate::scalar::{TraceElement, le_bytes};

/// Points normalised together while a table is built: bounds the memory in use.
const BUILD_BATCH: usize = 64;
/// Fewer points than this are not worth a second thread.
const WORTH_A_THREAD: usize = 128;

pub(crate) struct Comb {
    engine: Engine,
    window: usize,
    rows: usize,
    table: Vec<G1Affine>,
}

/// What a table is multiplied with.
#[derive(Clone, Copy)]
pub(crate) enum Scalars<'a> {
    Elements(&'a [TraceElement]),
    Field(&'a [Fr]),
}

impl Scalars<'_> {
    pub(crate) fn len(self) -> usize {
        match self {
            Self::Elements(elements) => elements.len(),
            Self::Field(values) => values.len(),
        }
    }

    /// Number `i`, little-endian.
    fn bytes(self, i: usize) -> [u8; 32] {
        match self {
            Self::Elements(elements) => {
                let mut wide = [0; 32];
                wide[..31].copy_from_slice(&elements[i].0);
                wide[..31].reverse();
                wide
            }
            Self::Field(values) => le_bytes(&values[i]),
        }
    }
}

impl Comb {
    /// A table for finite `points` with digits of `window` bits (4..=16).
    ///
    /// Takes 96·rows bytes a point, rows = ⌈256 / window⌉.
    pub(crate) fn new(points: &[G1Affine], window: usize) -> Self {
        Self::with_engine(Engine::best(), points, window)
    }

    fn with_engine(engine: Engine, points: &[G1Affine], window: usize) -> Self {
        // One bit more than a scalar has. The largest sum of signed digits is then
        // above r from four bits on, so that the last digit never carries out.
        assert!(
            (4..=16).contains(&window),
            "narrower digits could not hold r - 1"
        );
        let rows = (SCALAR_BITS + 1).div_ceil(window);
        let mut table = Vec::with_capacity(points.len() * rows);
        for batch in points.chunks(BUILD_BATCH) {
            let mut jacobian: Vec<G1> = Vec::with_capacity(batch.len() * rows);
            for point in batch {
                let mut power = curve::g1_from_affine(point);
                jacobian.push(power);
                for _ in 1..rows {
                    for _ in 0..window {
                        power = curve::g1_double(&power);
                    }
                    jacobian.push(power);
                }
            }
            table.extend(engine.enter(curve::g1_batch_to_affine(&jacobian)));
        }
        Self {
            engine,
            window,
            rows,
            table,
        }
    }

    /// How many points the table covers.
    pub(crate) fn len(&self) -> usize {
        self.table.len() / self.rows
    }

    /// Σ scalarᵢ·P(first + i), on at most `threads` threads (this one among them).
    pub(crate) fn sum(&self, first: usize, scalars: Scalars<'_>, threads: NonZeroUsize) -> G1 {
        let count = scalars.len();
        assert!(
            first + count <= self.len(),
            "the table is chosen by the number of points"
        );
        let parts = threads.get().min(count.div_ceil(WORTH_A_THREAD)).max(1);
        let part = |i: usize| count * i / parts..count * (i + 1) / parts;
        std::thread::scope(|scope| {
            let others: Vec<_> = (1..parts)
                .map(|i| scope.spawn(move || self.sum_part(first, scalars, part(i))))
                .collect();
            let own = self.sum_part(first, scalars, part(0));
            others
                .into_iter()
                .fold(own, |sum, other| match other.join() {
                    Ok(next) => curve::g1_add(&sum, &next),
                    Err(panic) => std::panic::resume_unwind(panic),
                })
        })
    }

    fn sum_part(&self, first: usize, scalars: Scalars<'_>, part: Range<usize>) -> G1 {
        let mut terms = Vec::with_capacity(part.len() * self.rows);
        for i in part {
            self.push_terms((first + i) * self.rows, &scalars.bytes(i), &mut terms);
        }
        let sums = buckets::weighted_sums(self.engine, &self.table, &terms, 1, self.window);
        sums.first().copied().unwrap_or_default()
    }

    /// Appends a term for each signed digit of a little-endian integer below r
    /// that is not zero; `at` is where its point's rows begin.
    fn push_terms(&self, at: usize, scalar: &[u8; 32], out: &mut Vec<Term>) {
        let (mask, half) = ((1u32 << self.window) - 1, 1u32 << (self.window - 1));
        let (mut buffer, mut held, mut carry) = (0u32, 0, 0);
        let mut bytes = scalar.iter();
        for row in 0..self.rows {
            while held < self.window {
                buffer |= u32::from(bytes.next().copied().unwrap_or(0)) << held;
                held += 8;
            }
            let digit = (buffer & mask) + carry;
            buffer >>= self.window;
            held -= self.window;
            carry = u32::from(digit >= half);
            let signed = digit as i32 - ((carry as i32) << self.window);
            out.extend(buckets::term(0, self.window, signed, at + row));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::{Scalar, le_concat};
    use ark_ff::Field;

    fn points(count: u64) -> Vec<G1Affine> {
        let generator = [curve::g1_generator()];
        (1..=count)
            .map(|i| {
                let scalar = le_bytes(&Fr::from(i * i + 7));
                curve::g1_to_affine(&curve::g1_msm(&generator, &scalar, SCALAR_BITS))
            })
            .collect()
    }

    #[test]
    fn tables_of_any_width_agree_with_a_plain_multiplication() {
        let points = points(40);
        let top = -Fr::from(1u64);
        let mut scalars: Vec<Fr> = (1..=36u64).map(|i| Fr::from(i).pow([77])).collect();
        // Digits at the edges: all ones, exactly half, zero, r − 1.
        scalars.extend([
            top,
            Fr::from(0u64),
            Fr::from(0x80_80_80u64),
            Fr::from(u64::MAX),
        ]);
        let plain = curve::g1_msm(&points, &le_concat(&scalars), SCALAR_BITS);
        for window in [4, 5, 8, 11, 12, 13, 16] {
            for engine in Engine::available() {
                let comb = Comb::with_engine(*engine, &points, window);
                assert_eq!(comb.len(), 40);
                let sum = comb.sum(0, Scalars::Field(&scalars), NonZeroUsize::MIN);
                assert_eq!(sum, plain, "window {window}, {engine:?}");
            }
        }
    }

    #[test]
    fn a_stretch_counts_only_itself() {
        let points = points(5);
        let comb = Comb::new(&points, 8);
        let sum = |first, elements| comb.sum(first, Scalars::Elements(elements), NonZeroUsize::MIN);
        assert_eq!(sum(0, &[]), G1::default());
        let one = sum(0, &[TraceElement([0xff; 31])]);
        let scalar = Scalar::from(TraceElement([0xff; 31]));
        assert_eq!(
            one,
            curve::g1_msm(&points[..1], &le_bytes(&scalar.0), SCALAR_BITS)
        );
        let one = sum(4, &[TraceElement([0xff; 31])]);
        assert_eq!(
            one,
            curve::g1_msm(&points[4..], &le_bytes(&scalar.0), SCALAR_BITS)
        );
        assert_eq!(sum(0, &[TraceElement::default(); 5]), G1::default());
    }

    #[test]
    fn threads_change_nothing() {
        let points = points(600);
        let comb = Comb::new(&points, 6);
        let scalars: Vec<Fr> = (0..600u64).map(|i| Fr::from(i + 2).pow([31])).collect();
        let sum = |threads| {
            let threads = NonZeroUsize::new(threads).unwrap();
            comb.sum(0, Scalars::Field(&scalars), threads)
        };
        let alone = sum(1);
        for threads in [2, 3, 64] {
            assert_eq!(sum(threads), alone);
        }
    }
}
