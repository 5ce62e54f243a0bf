//! Contractions: every output element is one chain of fused multiply-adds.
//!
//! Rule: `c[i][j]` starts at +0 and for p = 0, 1, …, k−1 becomes
//! `fma(a[i][p], b[p][j], c[i][j])`. Blocking over k stores and reloads the
//! accumulator, which is exact; vectors run across j (or, transposed, across
//! i; the product in an FMA commutes). So neither blocking nor vector width nor
//! batch size can change a bit. NaN is canonicalised once, at the end.

use super::math::canon;
use super::pack::{Panels, pack_b};
use super::{Kernels, simd};

/// A strided matrix: element (i, j) is `data[i·rs + j·cs]`.
#[derive(Clone, Copy)]
pub(crate) struct Mat<'a> {
    pub(crate) data: &'a [f32],
    pub(crate) rs: usize,
    pub(crate) cs: usize,
}

impl<'a> Mat<'a> {
    pub(crate) fn rows(data: &'a [f32], width: usize) -> Self {
        Self {
            data,
            rs: width,
            cs: 1,
        }
    }

    pub(crate) fn transposed(self) -> Self {
        Self {
            data: self.data,
            rs: self.cs,
            cs: self.rs,
        }
    }

    fn covers(&self, rows: usize, cols: usize) -> bool {
        rows == 0 || cols == 0 || (rows - 1) * self.rs + (cols - 1) * self.cs < self.data.len()
    }
}

/// Rows of a tile.
pub(super) const MR: usize = 8;
/// Longest k-block: a panel of 48 columns stays near the first-level cache.
const KC: usize = 320;
/// Columns packed at a time: KC·NC floats stay in the second-level cache.
const NC: usize = 384;
/// Rows per pass over the packed columns.
const MC: usize = 96;

/// Columns are taken by whole vectors of the widest path.
pub(super) const LANES: usize = 16;

/// One tile: `rows` ≤ MR rows, one panel wide.
#[derive(Clone, Copy)]
pub(super) struct Tile {
    pub(super) kc: usize,
    pub(super) rows: usize,
    /// Panel width over [`LANES`]: 1 to 3.
    pub(super) vectors: usize,
    pub(super) rsa: usize,
    pub(super) csa: usize,
    pub(super) ldb: usize,
    pub(super) ldc: usize,
    /// Continue the chains that `c` holds instead of starting at +0.
    pub(super) resume: bool,
}

/// Columns of a full panel on this path; the last may be narrower.
pub(super) fn panel_width(kernels: Kernels) -> usize {
    match kernels {
        Kernels::Avx512 => 3 * LANES,
        Kernels::Avx2 | Kernels::Portable => LANES,
    }
}

/// `c = a · b` with `a` m×k, `b` k×n, `c` row-major m×n.
pub(crate) fn gemm(
    kernels: Kernels,
    (m, n, k): (usize, usize, usize),
    a: Mat<'_>,
    b: Mat<'_>,
    c: &mut [f32],
) {
    assert!(
        a.covers(m, k) && b.covers(k, n) && c.len() == m * n,
        "gemm operands"
    );
    if n < 8 && m > n {
        // Few columns: run the vectors along the rows instead.
        let mut t = vec![0f32; m * n];
        contract(kernels, (n, m, k), b.transposed(), &a.transposed(), &mut t);
        for (j, col) in t.chunks_exact(m).enumerate() {
            for (i, &x) in col.iter().enumerate() {
                c[i * n + j] = x;
            }
        }
    } else {
        contract(kernels, (m, n, k), a, &b, c);
    }
}

/// [`gemm`] with the right-hand side given as panels (an implicit matrix).
pub(crate) fn contract<B: Panels>(
    kernels: Kernels,
    (m, n, k): (usize, usize, usize),
    a: Mat<'_>,
    b: &B,
    c: &mut [f32],
) {
    assert!(a.covers(m, k) && c.len() == m * n, "gemm operands");
    if m == 0 || n == 0 {
        return;
    }
    c.fill(0.0);
    let nr = panel_width(kernels);
    let direct = b.direct().filter(|_| m <= MR);
    let columns = if direct.is_some() {
        nr
    } else {
        NC.min(n.next_multiple_of(LANES))
    };
    // Equal k-blocks, so that none is a sliver.
    let kc_most = k.div_ceil(k.div_ceil(KC).max(1));
    let mut packed = vec![0f32; kc_most * columns];
    for k0 in (0..k).step_by(kc_most.max(1)) {
        let kc = kc_most.min(k - k0);
        for n0 in (0..n).step_by(NC) {
            let nc = NC.min(n - n0);
            // With few rows packing does not pay: whole panels are read in place.
            let whole = if direct.is_some() { nc / nr * nr } else { 0 };
            pack_b(b, k0, kc, n0 + whole, nc - whole, nr, &mut packed);
            for i0 in (0..m).step_by(MC) {
                let i1 = m.min(i0 + MC);
                for j0 in (0..nc).step_by(nr) {
                    let width = nr.min(nc - j0);
                    let panel = width.next_multiple_of(LANES);
                    let (bp, ldb) = match direct {
                        Some(mat) if j0 < whole => (&mat.data[k0 * mat.rs + n0 + j0..], mat.rs),
                        _ => (&packed[(j0 - whole) * kc..], panel),
                    };
                    assert!(bp.len() >= (kc - 1) * ldb + panel, "panel");
                    for i in (i0..i1).step_by(MR) {
                        let tile = Tile {
                            kc,
                            rows: MR.min(i1 - i),
                            vectors: panel / LANES,
                            rsa: a.rs,
                            csa: a.cs,
                            ldb,
                            ldc: n,
                            resume: k0 > 0,
                        };
                        let at = &a.data[i * a.rs + k0 * a.cs..];
                        run_tile(kernels, tile, at, bp, &mut c[i * n + n0 + j0..], width);
                    }
                }
            }
        }
    }
    simd::update(kernels, c, canon);
}

/// Runs one tile; a partial panel goes through a buffer of full width.
fn run_tile(kernels: Kernels, tile: Tile, a: &[f32], b: &[f32], c: &mut [f32], width: usize) {
    let nr = tile.vectors * LANES;
    assert!(tile.rows <= MR && (1..=3).contains(&tile.vectors), "tile");
    assert!(
        a.len() > (tile.rows - 1) * tile.rsa + (tile.kc - 1) * tile.csa,
        "rows"
    );
    if width == nr {
        assert!(c.len() >= (tile.rows - 1) * tile.ldc + nr, "tile");
        return full_tile(kernels, tile, a, b, c);
    }
    let mut buffer = [0f32; MR * 3 * LANES];
    for r in 0..tile.rows {
        buffer[r * nr..r * nr + width].copy_from_slice(&c[r * tile.ldc..r * tile.ldc + width]);
    }
    full_tile(kernels, Tile { ldc: nr, ..tile }, a, b, &mut buffer);
    for r in 0..tile.rows {
        c[r * tile.ldc..r * tile.ldc + width].copy_from_slice(&buffer[r * nr..r * nr + width]);
    }
}

fn full_tile(kernels: Kernels, tile: Tile, a: &[f32], b: &[f32], c: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    match kernels {
        // SAFETY: the CPU has the path; `run_tile` and `contract` checked that
        // a, b and c cover the tile.
        Kernels::Avx512 => return unsafe { super::gemm_x86::avx512(tile, a, b, c) },
        // SAFETY: as above.
        Kernels::Avx2 => return unsafe { super::gemm_x86::avx2(tile, a, b, c) },
        // One vector wide, as `panel_width` says.
        Kernels::Portable => {}
    }
    let _ = kernels;
    portable(tile, a, b, c);
}

/// The rule, literally, 16 columns at a time.
fn portable(t: Tile, a: &[f32], b: &[f32], c: &mut [f32]) {
    for r in 0..t.rows {
        let row = &mut c[r * t.ldc..r * t.ldc + 16];
        let mut acc = [0f32; 16];
        if t.resume {
            acc.copy_from_slice(row);
        }
        for p in 0..t.kc {
            let x = a[r * t.rsa + p * t.csa];
            for (s, &y) in acc.iter_mut().zip(&b[p * t.ldb..p * t.ldb + 16]) {
                *s = x.mul_add(y, *s);
            }
        }
        row.copy_from_slice(&acc);
    }
}
