//! Packing the right-hand side of a contraction into panels.
//!
//! A panel holds `kc` rows of `nr` columns, contiguous; columns beyond the
//! matrix are +0 and their results are dropped.

use super::gemm::{LANES, Mat};

/// A k×n matrix that can write stretches of its rows.
pub(crate) trait Panels {
    /// Writes rows `k0..k0+kc`, columns `j0..j0+width` to `dst[p·nr ..]`.
    fn fill(&self, k0: usize, kc: usize, j0: usize, width: usize, nr: usize, dst: &mut [f32]);

    /// The matrix itself, if its rows are contiguous in memory.
    fn direct(&self) -> Option<Mat<'_>> {
        None
    }
}

impl Panels for Mat<'_> {
    fn fill(&self, k0: usize, kc: usize, j0: usize, width: usize, nr: usize, dst: &mut [f32]) {
        if self.cs == 1 {
            for p in 0..kc {
                let at = (k0 + p) * self.rs + j0;
                dst[p * nr..p * nr + width].copy_from_slice(&self.data[at..at + width]);
            }
        } else {
            for j in 0..width {
                let column = &self.data[(j0 + j) * self.cs + k0 * self.rs..];
                for (p, &x) in column.iter().step_by(self.rs.max(1)).take(kc).enumerate() {
                    dst[p * nr + j] = x;
                }
            }
        }
    }

    fn direct(&self) -> Option<Mat<'_>> {
        (self.cs == 1).then_some(*self)
    }
}

/// Packs columns `j0..j0+nc` as consecutive panels of `nr` columns, the last
/// one as narrow as whole vectors allow.
pub(super) fn pack_b<B: Panels>(
    b: &B,
    k0: usize,
    kc: usize,
    j0: usize,
    nc: usize,
    nr: usize,
    dst: &mut [f32],
) {
    for (panel, j) in dst.chunks_mut(kc * nr).zip((0..nc).step_by(nr)) {
        let width = nr.min(nc - j);
        let padded = width.next_multiple_of(LANES);
        if width < padded {
            panel.fill(0.0);
        }
        b.fill(k0, kc, j0 + j, width, padded, panel);
    }
}
