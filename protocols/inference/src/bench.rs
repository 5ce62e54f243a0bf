//! What `tests/peers` measures and the public interface does not show.

use crate::kernels::Kernels;
use crate::kernels::gemm::{self, Bias, Mat, Operand, Packed, Product};
use crate::kernels::pack::{Cut, Side};

/// A right-hand matrix (k×n, row-major), packed once as constant weights are.
#[derive(Debug)]
pub struct Weights {
    packed: Packed,
    k: usize,
    n: usize,
}

impl Weights {
    /// Packs `b`.
    ///
    /// # Panics
    /// When `b` does not have k·n elements.
    pub fn new(kernels: Kernels, k: usize, n: usize, b: &[f32]) -> Self {
        assert_eq!(b.len(), k * n, "k·n elements");
        let cut = Cut::new(kernels.or_portable(), Side::Right, n);
        let packed = Packed::new(cut, k, &Mat::rows(b, n));
        Self { packed, k, n }
    }

    /// `c = a · weights`, with `m` rows in `a` and `c`.
    ///
    /// # Panics
    /// When the slices do not have the sizes that `m` asks for.
    pub fn multiply(&self, kernels: Kernels, m: usize, a: &[f32], c: &mut [f32]) {
        assert_eq!(a.len(), m * self.k, "m·k elements");
        let left = Mat::rows(a, self.k).transposed();
        gemm::multiply(
            kernels.or_portable(),
            (m, self.n, self.k),
            Operand::Lazy(&left),
            Operand::Packed(&self.packed),
            Product {
                c,
                transposed: false,
                bias: Bias::None,
            },
        );
    }
}

/// `c = a · b` with (m, k, n), all row-major.
///
/// # Panics
/// When the slices do not have these sizes.
pub fn multiply(
    kernels: Kernels,
    (m, k, n): (usize, usize, usize),
    a: &[f32],
    b: &[f32],
    c: &mut [f32],
) {
    let (a, b) = (Mat::rows(a, k), Mat::rows(b, n));
    gemm::gemm(kernels.or_portable(), (m, n, k), a, b, c);
}
