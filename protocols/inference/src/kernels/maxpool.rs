//! The greatest element under each window, a plane at a time.
//!
//! Rule: as `math::max`, from −∞, so that padding never counts. That order of
//! numbers is total, so any order of visits gives the same.

use super::im2col::Window;
use super::planes::{Layout, SLACK};
use super::simd::multiversion;
use super::{Kernels, math, scratch};

/// Computes into `out`, plane by plane; `false`, and nothing done, where the
/// window has three dimensions or planes would take too much memory.
pub(crate) fn max(kernels: Kernels, window: Window, x: &[f32], out: &mut [f32]) -> bool {
    let Some(mut l) = Layout::new(window) else {
        return false;
    };
    let (area, inner, ow) = (window.input_len(), window.output_len(), window.output[2]);
    if area == 0 || inner == 0 || l.len > x.len().saturating_add(out.len()) {
        return false;
    }
    l.pad = f32::NEG_INFINITY;
    let wide = l.wide().next_multiple_of(16);
    scratch::with(l.len + SLACK + wide, |buffer| {
        let (planes, line) = buffer.split_at_mut(l.len + SLACK);
        planes[l.len..].fill(0.0);
        for (x, out) in x.chunks_exact(area).zip(out.chunks_exact_mut(inner)) {
            l.fill(kernels, x, planes);
            line.fill(f32::NEG_INFINITY);
            for &at in &l.offsets {
                raise(kernels, &planes[at..at + wide], line);
            }
            for (to, from) in out.chunks_exact_mut(ow).zip(line.chunks(l.width)) {
                to.copy_from_slice(&from[..ow]);
            }
        }
    });
    true
}

multiversion! {
    /// `best[i] = max(best[i], x[i])`.
    fn raise[](x: &[f32], best: &mut [f32]) {
        for (b, &x) in best.iter_mut().zip(x) {
            *b = math::max(*b, x);
        }
    }
}
