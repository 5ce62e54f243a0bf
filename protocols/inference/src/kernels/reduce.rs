//! Sums in one fixed tree.
//!
//! Rule: 64 lanes start at +0; element i is added to lane i mod 64, in order of
//! i; then lanes are halved: lane j += lane j + h for h = 32, 16, 8, 4, 2, 1.
//! The sum is lane 0.

use std::ops::AddAssign;

use super::math::{max, min};
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
            *o = extreme(row, f32::NEG_INFINITY, max);
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
            *o = extreme(row, f32::INFINITY, min);
        }
    }
}

#[inline(always)]
fn extreme<F: Fn(f32, f32) -> f32>(row: &[f32], start: f32, f: F) -> f32 {
    let mut lanes = [start; 16];
    let (chunks, rest) = row.as_chunks::<16>();
    for chunk in chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane = f(*lane, x);
        }
    }
    for (lane, &x) in lanes.iter_mut().zip(rest) {
        *lane = f(*lane, x);
    }
    lanes.iter().fold(start, |m, &x| f(m, x))
}
