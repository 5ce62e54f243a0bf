//! Integer contractions: products of 16-bit integers summed in 32 bits.
//!
//! Rule: `c[i][j] = Σ a[i][p] · b[p][j]` modulo 2^32. Integer addition is
//! associative, so the order does not matter and every path gives the same
//! bits. Operands are bytes less their zero points, at most 9 bits and a sign:
//! the sum of two products cannot overflow, as `pmaddwd` needs.

use super::Kernels;

/// A k×n matrix that can write stretches of its rows.
pub(crate) trait IntRows {
    /// Writes row `p`, columns `j0..j0 + dst.len()`.
    fn fill(&self, p: usize, j0: usize, dst: &mut [i16]);
}

/// A row-major matrix.
pub(crate) struct IntMat<'a> {
    pub(crate) data: &'a [i16],
    pub(crate) width: usize,
}

impl IntRows for IntMat<'_> {
    fn fill(&self, p: usize, j0: usize, dst: &mut [i16]) {
        dst.copy_from_slice(&self.data[p * self.width + j0..][..dst.len()]);
    }
}

/// Columns of a panel.
const PANEL: usize = 32;
/// Rows of a tile.
const ROWS: usize = 8;
/// Columns packed at a time.
const COLUMNS: usize = 8 * PANEL;

/// Bytes of buffers that a product over `k` with `m` rows needs.
pub(crate) fn buffers(m: u64, k: u64) -> u64 {
    let pairs = k.saturating_add(1);
    pairs.saturating_mul(m.saturating_add(COLUMNS as u64 + 2).saturating_mul(2))
}

/// `c = a · b` with `a` row-major m×k and `c` row-major m×n.
pub(crate) fn igemm<B: IntRows>(
    kernels: Kernels,
    (m, n, k): (usize, usize, usize),
    a: &[i16],
    b: &B,
    c: &mut [i32],
) {
    assert!(a.len() == m * k && c.len() == m * n, "igemm operands");
    if m == 0 || n == 0 {
        return;
    }
    let pairs = k.div_ceil(2);
    let left = paired(a, m, k);
    let mut packed = vec![0i16; pairs * 2 * COLUMNS.min(n.next_multiple_of(PANEL))];
    for j0 in (0..n).step_by(COLUMNS) {
        let width = COLUMNS.min(n - j0);
        pack(b, k, j0, width, &mut packed);
        block(kernels, (m, n, pairs), &left, &packed, (j0, width), c);
    }
}

/// A right-hand matrix packed once for many products.
#[derive(Debug)]
pub(crate) struct Packed {
    /// All panels, in order.
    panels: Vec<i16>,
    n: usize,
    k: usize,
}

impl Packed {
    /// Packs a k×n matrix.
    pub(crate) fn new<B: IntRows>(b: &B, n: usize, k: usize) -> Self {
        let per = k.div_ceil(2) * 2;
        let mut panels = vec![0i16; per * n.next_multiple_of(PANEL)];
        for j0 in (0..n).step_by(COLUMNS) {
            let width = COLUMNS.min(n - j0);
            pack(b, k, j0, width, &mut panels[j0 * per..]);
        }
        Self { panels, n, k }
    }

    /// `c = a · this`.
    pub(crate) fn product(&self, kernels: Kernels, m: usize, a: &[i16], c: &mut [i32]) {
        assert!(
            a.len() == m * self.k && c.len() == m * self.n,
            "igemm operands"
        );
        if m == 0 || self.n == 0 {
            return;
        }
        let pairs = self.k.div_ceil(2);
        let left = paired(a, m, self.k);
        for j0 in (0..self.n).step_by(COLUMNS) {
            let width = COLUMNS.min(self.n - j0);
            let panels = &self.panels[j0 * pairs * 2..];
            block(kernels, (m, self.n, pairs), &left, panels, (j0, width), c);
        }
    }
}

/// Packs columns `j0..j0 + width` as panels: per pair of rows, 32 pairs.
fn pack<B: IntRows>(b: &B, k: usize, j0: usize, width: usize, packed: &mut [i16]) {
    let pairs = k.div_ceil(2);
    let mut rows = [[0i16; COLUMNS]; 2];
    for p in 0..pairs {
        b.fill(2 * p, j0, &mut rows[0][..width]);
        if 2 * p + 1 < k {
            b.fill(2 * p + 1, j0, &mut rows[1][..width]);
        } else {
            rows[1][..width].fill(0);
        }
        for (panel, j) in (0..width).step_by(PANEL).enumerate() {
            let to = &mut packed[(panel * pairs + p) * 2 * PANEL..][..2 * PANEL];
            let used = PANEL.min(width - j);
            let (even, odd) = (&rows[0][j..j + used], &rows[1][j..j + used]);
            for ((t, &e), &o) in to.chunks_exact_mut(2).zip(even).zip(odd) {
                t[0] = e;
                t[1] = o;
            }
        }
    }
}

/// Pairs of neighbouring elements of a row side by side, an odd end filled up.
fn paired(a: &[i16], m: usize, k: usize) -> Vec<i16> {
    let per = k.div_ceil(2) * 2;
    let mut left = vec![0i16; m * per];
    let rows = left.chunks_exact_mut(per.max(1));
    for (to, from) in rows.zip(a.chunks_exact(k.max(1))) {
        to[..k].copy_from_slice(from);
    }
    left
}

/// Columns `j0..j0 + width` of the product, from their panels.
fn block(
    kernels: Kernels,
    (m, n, pairs): (usize, usize, usize),
    left: &[i16],
    packed: &[i16],
    (j0, width): (usize, usize),
    c: &mut [i32],
) {
    for i in (0..m).step_by(ROWS) {
        let count = ROWS.min(m - i);
        let a = &left[i * pairs * 2..][..count * pairs * 2];
        for (panel, j) in (0..width).step_by(PANEL).enumerate() {
            let b = &packed[panel * pairs * 2 * PANEL..][..pairs * 2 * PANEL];
            let mut tile = [[0i32; PANEL]; ROWS];
            run(kernels, pairs, a, b, &mut tile[..count]);
            let used = PANEL.min(width - j);
            for (r, row) in tile[..count].iter().enumerate() {
                c[(i + r) * n + j0 + j..][..used].copy_from_slice(&row[..used]);
            }
        }
    }
}

/// One tile; `a` holds as many rows of `pairs` pairs as `tile`, `b` one panel.
fn run(kernels: Kernels, pairs: usize, a: &[i16], b: &[i16], tile: &mut [[i32; PANEL]]) {
    assert!(
        a.len() == tile.len() * pairs * 2 && b.len() == pairs * 2 * PANEL,
        "integer tile"
    );
    #[cfg(target_arch = "x86_64")]
    {
        let mut tile = &mut tile[..];
        let mut a = a;
        if kernels != Kernels::Portable {
            // Whole registers' worth of rows, then one at a time.
            let step = if kernels == Kernels::Avx512 { 4 } else { 2 };
            while !tile.is_empty() {
                let count = if tile.len() >= step { step } else { 1 };
                let (now, rest) = tile.split_at_mut(count);
                let (rows, others) = a.split_at(count * pairs * 2);
                // SAFETY: the CPU has the path (`Kernels::or_portable`); the
                // lengths were checked above and split alike.
                unsafe {
                    match (kernels, count) {
                        (Kernels::Avx512, 4) => x86::avx512::<4>(pairs, rows, b, now),
                        (Kernels::Avx512, _) => x86::avx512::<1>(pairs, rows, b, now),
                        (_, 2) => x86::avx2::<2>(pairs, rows, b, now),
                        _ => x86::avx2::<1>(pairs, rows, b, now),
                    }
                }
                tile = rest;
                a = others;
            }
            return;
        }
    }
    let _ = kernels;
    for (row, tile) in a.chunks_exact((pairs * 2).max(1)).zip(tile) {
        for (pair, b) in row.chunks_exact(2).zip(b.chunks_exact(2 * PANEL)) {
            let (x, y) = (i32::from(pair[0]), i32::from(pair[1]));
            for (t, b) in tile.iter_mut().zip(b.chunks_exact(2)) {
                let sum = x * i32::from(b[0]) + y * i32::from(b[1]);
                *t = t.wrapping_add(sum);
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    //! `pmaddwd` tiles of R rows and 32 columns.

    use std::arch::x86_64::*;

    use super::PANEL;

    /// # Safety
    /// The CPU has AVX-512 F and BW; `a` holds R rows of `pairs` pairs, `b`
    /// `pairs` × 32 pairs, `c` R rows.
    #[target_feature(enable = "avx512f,avx512bw")]
    pub(super) unsafe fn avx512<const R: usize>(
        pairs: usize,
        a: &[i16],
        b: &[i16],
        c: &mut [[i32; PANEL]],
    ) {
        let mut acc = [[_mm512_setzero_si512(); 2]; R];
        let (a, b) = (a.as_ptr().cast::<i32>(), b.as_ptr().cast::<i16>());
        for p in 0..pairs {
            // SAFETY: p is below `pairs`; loads need no alignment.
            unsafe {
                let at = b.add(p * 2 * PANEL);
                let b0 = _mm512_loadu_si512(at.cast());
                let b1 = _mm512_loadu_si512(at.add(PANEL).cast());
                for (r, acc) in acc.iter_mut().enumerate() {
                    let x = _mm512_set1_epi32(a.add(r * pairs + p).read_unaligned());
                    acc[0] = _mm512_add_epi32(acc[0], _mm512_madd_epi16(x, b0));
                    acc[1] = _mm512_add_epi32(acc[1], _mm512_madd_epi16(x, b1));
                }
            }
        }
        for (row, acc) in c.iter_mut().zip(&acc) {
            let to = row.as_mut_ptr();
            // SAFETY: a row holds 32 integers.
            unsafe {
                _mm512_storeu_si512(to.cast(), acc[0]);
                _mm512_storeu_si512(to.add(16).cast(), acc[1]);
            }
        }
    }

    /// # Safety
    /// As [`avx512`], for AVX2.
    #[target_feature(enable = "avx2")]
    pub(super) unsafe fn avx2<const R: usize>(
        pairs: usize,
        a: &[i16],
        b: &[i16],
        c: &mut [[i32; PANEL]],
    ) {
        let mut acc = [[_mm256_setzero_si256(); 4]; R];
        let (a, b) = (a.as_ptr().cast::<i32>(), b.as_ptr().cast::<i16>());
        for p in 0..pairs {
            // SAFETY: p is below `pairs`; loads need no alignment.
            unsafe {
                let at = b.add(p * 2 * PANEL);
                let b = [0, 16, 32, 48].map(|o| _mm256_loadu_si256(at.add(o).cast()));
                for (r, acc) in acc.iter_mut().enumerate() {
                    let x = _mm256_set1_epi32(a.add(r * pairs + p).read_unaligned());
                    for (acc, b) in acc.iter_mut().zip(b) {
                        *acc = _mm256_add_epi32(*acc, _mm256_madd_epi16(x, b));
                    }
                }
            }
        }
        for (row, acc) in c.iter_mut().zip(&acc) {
            for (i, &v) in acc.iter().enumerate() {
                // SAFETY: a row holds 32 integers.
                unsafe { _mm256_storeu_si256(row.as_mut_ptr().add(8 * i).cast(), v) };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_sums_the_same_integers() {
        let mut seed = 1u64;
        let mut next = |span: i64| {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1);
            ((seed >> 33) as i64 % (2 * span + 1) - span) as i16
        };
        for (m, n, k) in [(1, 1, 1), (3, 33, 5), (8, 32, 64), (13, 300, 77), (2, 7, 0)] {
            // The first numbers are extreme ones.
            let mut a: Vec<i16> = (0..m * k).map(|_| next(255)).collect();
            let mut b: Vec<i16> = (0..k * n).map(|_| next(255)).collect();
            a.iter_mut().take(9).for_each(|v| *v = -255);
            b.iter_mut().take(9).for_each(|v| *v = 255);
            let mut want = vec![0i32; m * n];
            for i in 0..m {
                for j in 0..n {
                    want[i * n + j] = (0..k)
                        .map(|p| i32::from(a[i * k + p]) * i32::from(b[p * n + j]))
                        .sum();
                }
            }
            for kernels in Kernels::available() {
                let mut c = vec![7i32; m * n];
                let b = IntMat { data: &b, width: n };
                igemm(kernels, (m, n, k), &a, &b, &mut c);
                assert_eq!(c, want, "{m}×{k}×{n} on {kernels:?}");
                c.fill(7);
                Packed::new(&b, n, k).product(kernels, m, &a, &mut c);
                assert_eq!(c, want, "{m}×{k}×{n} packed on {kernels:?}");
            }
        }
    }
}
