//! Multiplication by many scalars of points that never change.
//!
//! The table holds, for each point P and each row k, the point 2^(wk)·P. A
//! scalar is cut into signed digits of w bits, Σ dₖ·2^(wk) with
//! −2^(w−1) ≤ dₖ < 2^(w−1), so that Σ sᵢPᵢ is one sum of digit times table
//! entry: a single bucket pass and no doublings. Rows of one point lie
//! together; the first n points are a prefix of the table, so a short trace
//! costs only its own length, and zero digits are free.

use ark_bls12_381::Fr;

use crate::curve::{self, G1, G1Affine, SCALAR_BITS};
use crate::scalar::{TraceElement, le_bytes};

/// Points normalised together while a table is built: bounds the memory in use.
const BUILD_BATCH: usize = 64;

pub(crate) struct Comb {
    window: usize,
    rows: usize,
    table: Vec<G1Affine>,
}

impl Comb {
    /// A table for finite `points` with digits of `window` bits (4..=16).
    ///
    /// Takes 96·rows bytes a point, rows = ⌈256 / window⌉.
    pub(crate) fn new(points: &[G1Affine], window: usize) -> Self {
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
            table.extend(curve::g1_batch_to_affine(&jacobian));
        }
        Self {
            window,
            rows,
            table,
        }
    }

    /// How many points the table covers.
    pub(crate) fn len(&self) -> usize {
        self.table.len() / self.rows
    }

    /// Σ elementᵢ·Pᵢ over the first `elements.len()` ≤ `len()` points.
    pub(crate) fn sum_elements(&self, elements: &[TraceElement]) -> G1 {
        self.sum(
            elements.len(),
            elements.iter().map(|element| {
                let mut wide = [0; 32];
                wide[..31].copy_from_slice(&element.0);
                wide[..31].reverse();
                wide
            }),
        )
    }

    /// Σ scalarᵢ·Pᵢ over the first `scalars.len()` ≤ `len()` points.
    pub(crate) fn sum_scalars(&self, scalars: &[Fr]) -> G1 {
        self.sum(scalars.len(), scalars.iter().map(le_bytes))
    }

    fn sum(&self, count: usize, scalars: impl Iterator<Item = [u8; 32]>) -> G1 {
        assert!(
            count <= self.len(),
            "the table is chosen by the number of points"
        );
        if count == 0 {
            return G1::default();
        }
        let mut digits = Vec::with_capacity(count * self.rows * self.window.div_ceil(8));
        for scalar in scalars {
            self.push_digits(&scalar, &mut digits);
        }
        curve::g1_bucket_sum(&self.table[..count * self.rows], &digits, self.window)
    }

    /// Appends the signed digits of a little-endian integer below r.
    fn push_digits(&self, scalar: &[u8; 32], out: &mut Vec<u8>) {
        let mask = (1u32 << self.window) - 1;
        let half = 1u32 << (self.window - 1);
        let (mut buffer, mut held, mut carry) = (0u32, 0, 0);
        let mut bytes = scalar.iter();
        for _ in 0..self.rows {
            while held < self.window {
                buffer |= u32::from(bytes.next().copied().unwrap_or(0)) << held;
                held += 8;
            }
            let digit = (buffer & mask) + carry;
            buffer >>= self.window;
            held -= self.window;
            // From 2^(w−1) on, take the digit minus 2^w; its two's complement
            // in w bits is the digit itself.
            carry = u32::from(digit >= half);
            let digit = (digit & mask).to_le_bytes();
            out.extend_from_slice(&digit[..self.window.div_ceil(8)]);
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
        for window in [4, 5, 8, 11, 12, 16] {
            let comb = Comb::new(&points, window);
            assert_eq!(comb.len(), 40);
            assert_eq!(comb.sum_scalars(&scalars), plain, "window {window}");
        }
    }

    #[test]
    fn a_prefix_costs_and_counts_only_itself() {
        let points = points(5);
        let comb = Comb::new(&points, 8);
        assert_eq!(comb.sum_scalars(&[]), G1::default());
        let one = comb.sum_elements(&[TraceElement([0xff; 31])]);
        let scalar = Scalar::from(TraceElement([0xff; 31]));
        assert_eq!(
            one,
            curve::g1_msm(&points[..1], &le_bytes(&scalar.0), SCALAR_BITS)
        );
        assert_eq!(
            comb.sum_elements(&[TraceElement::default(); 5]),
            G1::default()
        );
    }
}
