//! One tile of a contraction on each path.
//!
//! Rule: element (r, j) starts at +0 or at what `c` holds and for p = 0, 1, …
//! becomes `fma(a[p·rows + r], b[p·ldb + j], c[r·ldc + j])`; the last stretch of
//! k adds the bias and makes NaN canonical.

use super::Kernels;
use super::math::canon;
use super::pack::LANES;

/// Most rows and vectors of a tile.
pub(super) const MAX_ROWS: usize = 8;
pub(super) const MAX_COLUMNS: usize = 3 * LANES;

/// What is added to a finished chain.
#[derive(Clone, Copy)]
pub(crate) enum Bias<'a> {
    None,
    /// One number per row of the product.
    Rows(&'a [f32]),
    /// One number per column.
    Columns(&'a [f32]),
}

/// One tile, at most [`MAX_ROWS`] × [`MAX_COLUMNS`].
#[derive(Clone, Copy)]
pub(super) struct Tile<'a> {
    pub(super) kc: usize,
    pub(super) rows: usize,
    /// Columns over [`LANES`]: 1 to 3.
    pub(super) vectors: usize,
    pub(super) ldb: usize,
    /// How far ahead of use the right operand is fetched, floats.
    pub(super) ahead: usize,
    pub(super) ldc: usize,
    /// Continue the chains that `c` holds instead of starting at +0.
    pub(super) resume: bool,
    /// The chains are complete: add the bias, make NaN canonical.
    pub(super) finish: bool,
    pub(super) bias: Bias<'a>,
}

impl Tile<'_> {
    fn columns(&self) -> usize {
        self.vectors * LANES
    }
}

/// Runs a tile.
///
/// # Safety
/// `c` is valid for reads (if resuming) and writes of `rows` rows of `ldc`, a
/// full row of `vectors` in each, and nobody else touches those elements.
pub(super) unsafe fn run(kernels: Kernels, t: Tile<'_>, a: &[f32], b: &[f32], c: *mut f32) {
    assert!(
        t.kc > 0
            && (1..=MAX_ROWS).contains(&t.rows)
            && (1..=MAX_COLUMNS / LANES).contains(&t.vectors)
            && a.len() >= t.kc * t.rows
            && b.len() >= (t.kc - 1) * t.ldb + t.columns()
            && match t.bias {
                Bias::None => true,
                Bias::Rows(v) => v.len() >= t.rows,
                Bias::Columns(v) => v.len() >= t.columns(),
            },
        "tile"
    );
    #[cfg(target_arch = "x86_64")]
    match kernels {
        // SAFETY: the CPU has the path, a and b cover the tile by the check
        // above, c by the caller's promise.
        Kernels::Avx512 => return unsafe { super::gemm_x86::avx512(&t, a, b, c) },
        // SAFETY: as above; right panels are one vector wide on this path, as
        // `Cut` says, and left ones at most six rows.
        Kernels::Avx2 => return unsafe { super::gemm_x86::avx2(&t, a, b, c) },
        Kernels::Portable => {}
    }
    let _ = kernels;
    for r in 0..t.rows {
        // SAFETY: a full row by the caller's promise.
        let row = unsafe { std::slice::from_raw_parts_mut(c.add(r * t.ldc), t.columns()) };
        portable(&t, r, a, b, row);
    }
}

/// The rule, literally, one row.
fn portable(t: &Tile<'_>, r: usize, a: &[f32], b: &[f32], row: &mut [f32]) {
    let mut acc = [0f32; MAX_COLUMNS];
    let acc = &mut acc[..row.len()];
    if t.resume {
        acc.copy_from_slice(row);
    }
    for p in 0..t.kc {
        let x = a[p * t.rows + r];
        for (s, &y) in acc.iter_mut().zip(&b[p * t.ldb..]) {
            *s = x.mul_add(y, *s);
        }
    }
    if t.finish {
        for (j, s) in acc.iter_mut().enumerate() {
            *s = canon(match t.bias {
                Bias::None => *s,
                Bias::Rows(v) => *s + v[r],
                Bias::Columns(v) => *s + v[j],
            });
        }
    }
    row.copy_from_slice(acc);
}
