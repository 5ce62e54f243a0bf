//! x86-64 tiles of byte contractions: AVX-512 VNNI, ≤ 6×64.

use std::arch::x86_64::*;

use super::bytes::{LANES, PANEL};

/// `tile` = rows of `a` times the columns of `b`.
///
/// # Safety
/// The CPU has AVX-512 F and VNNI; `tile` has 1 to 6 rows, `a` as many of
/// `quads` quads, `b` `quads` times `vectors` (1 to 4) vectors of 16 quads.
#[target_feature(enable = "avx512f,avx512vnni")]
pub(super) unsafe fn dots(
    quads: usize,
    vectors: usize,
    a: &[u8],
    b: &[i8],
    tile: &mut [[i32; PANEL]],
) {
    macro_rules! rows {
        ($v:literal) => {
            match tile.len() {
                1 => sized::<1, $v>(quads, a, b, tile),
                2 => sized::<2, $v>(quads, a, b, tile),
                3 => sized::<3, $v>(quads, a, b, tile),
                4 => sized::<4, $v>(quads, a, b, tile),
                5 => sized::<5, $v>(quads, a, b, tile),
                _ => sized::<6, $v>(quads, a, b, tile),
            }
        };
    }
    // SAFETY: passed on from the caller.
    unsafe {
        match vectors {
            1 => rows!(1),
            2 => rows!(2),
            3 => rows!(3),
            _ => rows!(4),
        }
    }
}

#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn sized<const R: usize, const V: usize>(
    quads: usize,
    a: &[u8],
    b: &[i8],
    tile: &mut [[i32; PANEL]],
) {
    let mut acc = [[_mm512_setzero_si512(); V]; R];
    let (a, mut b) = (a.as_ptr().cast::<i32>(), b.as_ptr());
    for p in 0..quads {
        let mut vb = [_mm512_setzero_si512(); V];
        // SAFETY: p is below `quads`; loads need no alignment.
        unsafe {
            for (v, x) in vb.iter_mut().enumerate() {
                *x = _mm512_loadu_si512(b.add(v * LANES * 4).cast());
            }
            for (r, acc) in acc.iter_mut().enumerate() {
                let x = _mm512_set1_epi32(a.add(r * quads + p).read_unaligned());
                for (acc, &y) in acc.iter_mut().zip(&vb) {
                    *acc = _mm512_dpbusd_epi32(*acc, x, y);
                }
            }
        }
        b = b.wrapping_add(V * LANES * 4);
    }
    for (row, acc) in tile.iter_mut().zip(&acc) {
        for (v, &x) in acc.iter().enumerate() {
            // SAFETY: a row holds 64 integers, V is at most 4.
            unsafe { _mm512_storeu_si512(row.as_mut_ptr().add(v * LANES).cast(), x) };
        }
    }
}
