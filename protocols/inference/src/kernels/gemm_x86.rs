//! x86-64 tiles of the contraction: AVX-512 (8×48) and AVX2+FMA (≤ 8×16).
//!
//! Safety contract of both entries: the CPU has the features; `a` covers
//! `rows`×`kc` with the tile's strides, `b` covers `kc` rows of `ldb` with a
//! full panel in the last, `c` covers `rows` rows of `ldc` with a full panel.

use std::arch::x86_64::*;

use super::gemm::Tile;

macro_rules! by_rows {
    ($f:ident, $v:literal, $t:expr, $a:expr, $b:expr, $c:expr) => {
        match $t.rows {
            1 => $f::<1, $v>($t, $a, $b, $c),
            2 => $f::<2, $v>($t, $a, $b, $c),
            3 => $f::<3, $v>($t, $a, $b, $c),
            4 => $f::<4, $v>($t, $a, $b, $c),
            5 => $f::<5, $v>($t, $a, $b, $c),
            6 => $f::<6, $v>($t, $a, $b, $c),
            7 => $f::<7, $v>($t, $a, $b, $c),
            _ => $f::<8, $v>($t, $a, $b, $c),
        }
    };
}

/// # Safety
/// See the module's contract.
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn avx512(t: Tile, a: &[f32], b: &[f32], c: &mut [f32]) {
    let (a, b, c) = (a.as_ptr(), b.as_ptr(), c.as_mut_ptr());
    // SAFETY: passed on from the caller.
    unsafe {
        match t.vectors {
            1 => by_rows!(tile512, 1, t, a, b, c),
            2 => by_rows!(tile512, 2, t, a, b, c),
            _ => by_rows!(tile512, 3, t, a, b, c),
        }
    }
}

/// # Safety
/// See the module's contract.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn avx2(t: Tile, a: &[f32], b: &[f32], c: &mut [f32]) {
    // Sixteen registers: at most six rows of two vectors at a time.
    let (a, b, c) = (a.as_ptr(), b.as_ptr(), c.as_mut_ptr());
    // SAFETY: passed on from the caller; the second half starts at row 4 of at
    // least five.
    unsafe {
        if t.rows > 6 {
            tile256::<4, 2>(t, a, b, c);
            let rest = Tile {
                rows: t.rows - 4,
                ..t
            };
            by_rows!(tile256, 2, rest, a.add(4 * t.rsa), b, c.add(4 * t.ldc));
        } else {
            by_rows!(tile256, 2, t, a, b, c);
        }
    }
}

#[target_feature(enable = "avx512f")]
unsafe fn tile512<const R: usize, const V: usize>(
    t: Tile,
    a: *const f32,
    b: *const f32,
    c: *mut f32,
) {
    let mut acc = [[_mm512_setzero_ps(); V]; R];
    // SAFETY: every pointer stays inside the slices by the module's contract.
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
        for _ in 0..t.kc {
            let mut vb = [_mm512_setzero_ps(); V];
            for (v, x) in vb.iter_mut().enumerate() {
                *x = _mm512_loadu_ps(b.wrapping_add(16 * v));
            }
            for (r, row) in acc.iter_mut().enumerate() {
                let va = _mm512_set1_ps(*a.wrapping_add(r.wrapping_mul(t.rsa)));
                for (x, &y) in row.iter_mut().zip(&vb) {
                    *x = _mm512_fmadd_ps(va, y, *x);
                }
            }
            a = a.wrapping_add(t.csa);
            b = b.wrapping_add(t.ldb);
        }
        for (r, row) in acc.iter().enumerate() {
            for (v, &x) in row.iter().enumerate() {
                _mm512_storeu_ps(c.add(r * t.ldc + 16 * v), x);
            }
        }
    }
}

#[target_feature(enable = "avx2,fma")]
unsafe fn tile256<const R: usize, const V: usize>(
    t: Tile,
    a: *const f32,
    b: *const f32,
    c: *mut f32,
) {
    let mut acc = [[_mm256_setzero_ps(); V]; R];
    // SAFETY: every pointer stays inside the slices by the module's contract.
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
        for _ in 0..t.kc {
            let mut vb = [_mm256_setzero_ps(); V];
            for (v, x) in vb.iter_mut().enumerate() {
                *x = _mm256_loadu_ps(b.wrapping_add(8 * v));
            }
            for (r, row) in acc.iter_mut().enumerate() {
                let va = _mm256_set1_ps(*a.wrapping_add(r.wrapping_mul(t.rsa)));
                for (x, &y) in row.iter_mut().zip(&vb) {
                    *x = _mm256_fmadd_ps(va, y, *x);
                }
            }
            a = a.wrapping_add(t.csa);
            b = b.wrapping_add(t.ldb);
        }
        for (r, row) in acc.iter().enumerate() {
            for (v, &x) in row.iter().enumerate() {
                _mm256_storeu_ps(c.add(r * t.ldc + 8 * v), x);
            }
        }
    }
}
