//! x86-64 tiles of the contraction: AVX-512 (≤ 8×48) and AVX2+FMA (≤ 6×16).
//!
//! Safety contract of both entries: the CPU has the features; `a` covers
//! `kc`×`rows`, `b` covers `kc` rows of `ldb` with a full panel in the last, the
//! bias covers the tile, `c` is valid for `rows` rows of `ldc` with a full panel
//! in each.

use std::arch::x86_64::*;

use super::gemm_tile::{Bias, Tile};

/// # Safety
/// See the module's contract.
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn avx512(t: &Tile<'_>, a: &[f32], b: &[f32], c: *mut f32) {
    let (a, b) = (a.as_ptr(), b.as_ptr());
    macro_rules! rows {
        ($v:literal) => {
            match t.rows {
                1 => tile512::<1, $v>(t, a, b, c),
                2 => tile512::<2, $v>(t, a, b, c),
                3 => tile512::<3, $v>(t, a, b, c),
                4 => tile512::<4, $v>(t, a, b, c),
                5 => tile512::<5, $v>(t, a, b, c),
                6 => tile512::<6, $v>(t, a, b, c),
                7 => tile512::<7, $v>(t, a, b, c),
                _ => tile512::<8, $v>(t, a, b, c),
            }
        };
    }
    // SAFETY: passed on from the caller.
    unsafe {
        match t.vectors {
            1 => rows!(1),
            2 => rows!(2),
            _ => rows!(3),
        }
    }
}

/// # Safety
/// See the module's contract.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn avx2(t: &Tile<'_>, a: &[f32], b: &[f32], c: *mut f32) {
    let (a, b) = (a.as_ptr(), b.as_ptr());
    // SAFETY: passed on from the caller.
    unsafe {
        match t.rows {
            1 => tile256::<1>(t, a, b, c),
            2 => tile256::<2>(t, a, b, c),
            3 => tile256::<3>(t, a, b, c),
            4 => tile256::<4>(t, a, b, c),
            5 => tile256::<5>(t, a, b, c),
            _ => tile256::<6>(t, a, b, c),
        }
    }
}

#[target_feature(enable = "avx512f")]
unsafe fn tile512<const R: usize, const V: usize>(
    t: &Tile<'_>,
    a: *const f32,
    b: *const f32,
    c: *mut f32,
) {
    let mut acc = [[_mm512_setzero_ps(); V]; R];
    // SAFETY: every pointer that is read or written stays inside its operand by
    // the module's contract; prefetches may point anywhere.
    unsafe {
        if t.resume {
            for (r, row) in acc.iter_mut().enumerate() {
                for (v, x) in row.iter_mut().enumerate() {
                    *x = _mm512_loadu_ps(c.add(r * t.ldc + 16 * v));
                }
            }
        }
        // Wrapping: checked arithmetic would cost more than the work here.
        let (mut a, mut b) = (a, b);
        let ahead = t.ahead;
        for _ in 0..t.kc {
            let mut vb = [_mm512_setzero_ps(); V];
            for (v, x) in vb.iter_mut().enumerate() {
                *x = _mm512_loadu_ps(b.wrapping_add(16 * v));
                _mm_prefetch::<_MM_HINT_T0>(b.wrapping_add(ahead.wrapping_add(16 * v)).cast());
            }
            for (r, row) in acc.iter_mut().enumerate() {
                let va = _mm512_set1_ps(*a.wrapping_add(r));
                for (x, &y) in row.iter_mut().zip(&vb) {
                    *x = _mm512_fmadd_ps(va, y, *x);
                }
            }
            a = a.wrapping_add(R);
            b = b.wrapping_add(t.ldb);
        }
        if t.finish {
            let nan = _mm512_set1_ps(super::math::NAN);
            for (r, row) in acc.iter_mut().enumerate() {
                for (v, x) in row.iter_mut().enumerate() {
                    let y = match t.bias {
                        Bias::None => *x,
                        Bias::Rows(s) => _mm512_add_ps(*x, _mm512_set1_ps(*s.as_ptr().add(r))),
                        Bias::Columns(s) => {
                            _mm512_add_ps(*x, _mm512_loadu_ps(s.as_ptr().add(16 * v)))
                        }
                    };
                    let bad = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(y, y);
                    *x = _mm512_mask_blend_ps(bad, y, nan);
                }
            }
        }
        for (r, row) in acc.iter().enumerate() {
            for (v, &x) in row.iter().enumerate() {
                _mm512_storeu_ps(c.add(r * t.ldc + 16 * v), x);
            }
        }
    }
}

#[target_feature(enable = "avx2,fma")]
unsafe fn tile256<const R: usize>(t: &Tile<'_>, a: *const f32, b: *const f32, c: *mut f32) {
    let mut acc = [[_mm256_setzero_ps(); 2]; R];
    // SAFETY: as in `tile512`.
    unsafe {
        if t.resume {
            for (r, row) in acc.iter_mut().enumerate() {
                for (v, x) in row.iter_mut().enumerate() {
                    *x = _mm256_loadu_ps(c.add(r * t.ldc + 8 * v));
                }
            }
        }
        // Wrapping: checked arithmetic would cost more than the work here.
        let (mut a, mut b) = (a, b);
        let ahead = t.ahead;
        for _ in 0..t.kc {
            let vb = [_mm256_loadu_ps(b), _mm256_loadu_ps(b.wrapping_add(8))];
            _mm_prefetch::<_MM_HINT_T0>(b.wrapping_add(ahead).cast());
            for (r, row) in acc.iter_mut().enumerate() {
                let va = _mm256_set1_ps(*a.wrapping_add(r));
                for (x, &y) in row.iter_mut().zip(&vb) {
                    *x = _mm256_fmadd_ps(va, y, *x);
                }
            }
            a = a.wrapping_add(R);
            b = b.wrapping_add(t.ldb);
        }
        if t.finish {
            let nan = _mm256_set1_ps(super::math::NAN);
            for (r, row) in acc.iter_mut().enumerate() {
                for (v, x) in row.iter_mut().enumerate() {
                    let y = match t.bias {
                        Bias::None => *x,
                        Bias::Rows(s) => _mm256_add_ps(*x, _mm256_set1_ps(*s.as_ptr().add(r))),
                        Bias::Columns(s) => {
                            _mm256_add_ps(*x, _mm256_loadu_ps(s.as_ptr().add(8 * v)))
                        }
                    };
                    *x = _mm256_blendv_ps(y, nan, _mm256_cmp_ps::<_CMP_UNORD_Q>(y, y));
                }
            }
        }
        for (r, row) in acc.iter().enumerate() {
            for (v, &x) in row.iter().enumerate() {
                _mm256_storeu_ps(c.add(r * t.ldc + 8 * v), x);
            }
        }
    }
}
