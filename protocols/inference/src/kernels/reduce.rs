//! Sums in one fixed tree.
//!
//! Rule: 64 lanes start at +0; element i is added to lane i mod 64, in order of
//! i; then lanes are halved: lane j += lane j + h for h = 32, 16, 8, 4, 2, 1.
//! The sum is lane 0.

use std::ops::AddAssign;

use super::math::NAN;
use super::simd::multiversion;

const LANES: usize = 64;

/// Sum of `f(x)` over a row, by the tree.
#[inline(always)]
fn tree<T: Copy + Default + AddAssign, F: Fn(T) -> T>(row: &[T], f: F) -> T {
    let mut lanes = [T::default(); LANES];
    let (chunks, rest) = row.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane += f(x);
        }
    }
    for (lane, &x) in lanes.iter_mut().zip(rest) {
        *lane += f(x);
    }
    let mut h = LANES / 2;
    while h > 0 {
        for j in 0..h {
            let upper = lanes[j + h];
            lanes[j] += upper;
        }
        h /= 2;
    }
    lanes[0]
}

multiversion! {
    /// `out[r]` = tree sum of `f` over row r of `src` (rows of `width` elements).
    fn sum_rows[F: Fn(f32) -> f32](src: &[f32], width: usize, out: &mut [f32], f: F) {
        if width == 0 {
            out.fill(0.0);
            return;
        }
        for (o, row) in out.iter_mut().zip(src.chunks_exact(width)) {
            *o = tree(row, &f);
        }
    }
}

/// Tree sum of `f` over a row of `f64`.
pub(crate) fn sum64(row: &[f64], f: impl Fn(f64) -> f64) -> f64 {
    tree(row, f)
}

/// Tree sum of one row.
pub(crate) fn sum(kernels: super::Kernels, row: &[f32]) -> f32 {
    let mut out = [0f32];
    sum_rows(kernels, row, row.len(), &mut out, |x| x);
    out[0]
}

multiversion! {
    /// `out[r]` = greatest element of row r: NaN wins, −0 below +0, −∞ for an
    /// empty row. This order is total, so any order of visits gives the same.
    fn max_rows[](src: &[f32], width: usize, out: &mut [f32]) {
        out.fill(f32::NEG_INFINITY);
        if width == 0 {
            return;
        }
        for (o, row) in out.iter_mut().zip(src.chunks_exact(width)) {
            *o = extreme(row, 0);
        }
    }
}

multiversion! {
    /// [`max_rows`] for the least element; +∞ for an empty row.
    fn min_rows[](src: &[f32], width: usize, out: &mut [f32]) {
        out.fill(f32::INFINITY);
        if width == 0 {
            return;
        }
        for (o, row) in out.iter_mut().zip(src.chunks_exact(width)) {
            *o = extreme(row, 1 << 31);
        }
    }
}

/// The greatest element by the order of [`max_rows`]; with `flip` the sign bit,
/// the least: −max(−x). Floats order like integers once the other bits of
/// negative ones are inverted.
#[inline(always)]
fn extreme(row: &[f32], flip: u32) -> f32 {
    const LANES: usize = 32;
    let turn = |k: i32| k ^ ((k >> 31) as u32 >> 1) as i32;
    let key = |x: f32| {
        let nan = x.to_bits() & 0x7fff_ffff > 0x7f80_0000;
        if nan {
            i32::MAX
        } else {
            turn((x.to_bits() ^ flip) as i32)
        }
    };
    let mut lanes = [turn(f32::NEG_INFINITY.to_bits() as i32); LANES];
    let (chunks, rest) = row.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane = key(x).max(*lane);
        }
    }
    for (lane, &x) in lanes.iter_mut().zip(rest) {
        *lane = key(x).max(*lane);
    }
    let mut h = LANES / 2;
    while h > 0 {
        for j in 0..h {
            lanes[j] = lanes[j].max(lanes[j + h]);
        }
        h /= 2;
    }
    match lanes[0] {
        i32::MAX => NAN,
        k => f32::from_bits(turn(k) as u32 ^ flip),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Kernels;
    use super::super::gemm_tests::numbers;
    use super::super::math::{max, min};
    use super::*;

    #[test]
    fn extremes_of_rows_are_those_of_pairs() {
        let zeros: Vec<f32> = (0..70)
            .map(|i| if i % 3 == 0 { -0.0 } else { 0.0 })
            .collect();
        let negative: Vec<f32> = zeros.iter().map(|_| -0.0).collect();
        for width in [1, 5, 16, 31, 32, 33, 64, 257] {
            for hostile in [false, true] {
                let mut rows = numbers(20 * width, width as u64, hostile);
                if width < 70 {
                    rows.extend(&zeros[..width]);
                    rows.extend(&negative[..width]);
                    rows.extend(zeros[..width].iter().map(|z| z - f32::INFINITY));
                }
                let count = rows.len() / width;
                for kernels in Kernels::available() {
                    let (mut most, mut least) = (vec![0f32; count], vec![0f32; count]);
                    max_rows(kernels, &rows, width, &mut most);
                    min_rows(kernels, &rows, width, &mut least);
                    for (i, row) in rows.chunks_exact(width).enumerate() {
                        let greatest = row.iter().fold(f32::NEG_INFINITY, |m, &x| max(m, x));
                        let lowest = row.iter().fold(f32::INFINITY, |m, &x| min(m, x));
                        assert_eq!(most[i].to_bits(), greatest.to_bits(), "{row:?}");
                        assert_eq!(least[i].to_bits(), lowest.to_bits(), "{row:?}");
                    }
                }
            }
        }
    }
}
