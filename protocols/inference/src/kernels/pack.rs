//! Packing the operands of a contraction.
//!
//! Both are matrices of k rows: the right one has the product's columns, the
//! left one (given transposed) the product's rows. A *panel* holds a few of
//! those columns for a stretch of k, row by row: `panel[p·width + j]`, so that a
//! tile reads both operands from one end to the other. A right panel's width is
//! whole vectors, what lies beyond the matrix is +0 and its results are dropped;
//! left panels are as wide as the tile is tall, shared out evenly so that none is
//! a sliver. Panels of constant weights are packed once ([`Packed`]).

use super::Kernels;
use super::simd::multiversion;

/// Right panels are whole vectors of the widest path.
pub(crate) const LANES: usize = 16;

/// A k×n matrix that can write stretches of its rows.
pub(crate) trait Panels: Sync {
    /// Writes rows `k0..k0+kc`, columns `j0..j0+width` to `dst[p·nr ..]`.
    fn fill(&self, k0: usize, kc: usize, j0: usize, width: usize, nr: usize, dst: &mut [f32]);

    /// The matrix itself, if its rows are contiguous in memory.
    fn direct(&self) -> Option<Mat<'_>> {
        None
    }
}

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

    pub(super) fn covers(&self, rows: usize, cols: usize) -> bool {
        rows == 0 || cols == 0 || (rows - 1) * self.rs + (cols - 1) * self.cs < self.data.len()
    }
}

impl Panels for Mat<'_> {
    fn fill(&self, k0: usize, kc: usize, j0: usize, width: usize, nr: usize, dst: &mut [f32]) {
        if self.cs == 1 {
            let from = self.data.get(k0 * self.rs + j0..).unwrap_or(&[]);
            let lines = (from, self.rs);
            // Moving bytes, the best instructions serve every path.
            let best = Kernels::best();
            match width {
                48 => lines_of(best, [(); 48], lines, (kc, width, nr), dst),
                17.. => lines_of(best, [(); 0], lines, (kc, width, nr), dst),
                // A chunk writes more than the row, and the next row over that.
                9.. if nr == width => lines_of(best, [(); 16], lines, (kc, width, nr), dst),
                _ if nr == width => lines_of(best, [(); 8], lines, (kc, width, nr), dst),
                _ => lines_of(best, [(); 0], lines, (kc, width, nr), dst),
            }
        } else if self.rs == 1 {
            // Columns are contiguous: eight at a time, so that both sides are
            // read and written in lines.
            let mut j = 0;
            while j < width {
                let some = (width - j).min(8);
                let column = |q: usize| {
                    let at = (j0 + j + q.min(some - 1)) * self.cs + k0;
                    &self.data[at..at + kc]
                };
                let columns: [&[f32]; 8] = std::array::from_fn(column);
                transpose(columns, some, nr, &mut dst[j..]);
                j += some;
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

multiversion! {
    /// Row p of `width` from `lines.0[p · lines.1..]` to `dst[p · nr..]`, by chunks
    /// of N (at least `width`) where there is room for them.
    fn lines_of[const N: usize](
        _chunk: [(); N],
        lines: (&[f32], usize),
        sizes: (usize, usize, usize),
        dst: &mut [f32],
    ) {
        let ((from, rs), (kc, width, nr)) = (lines, sizes);
        for p in 0..kc {
            let (from, to) = (&from[p * rs..], &mut dst[p * nr..]);
            match (from.first_chunk::<N>(), to.first_chunk_mut::<N>()) {
                // A copy of known length is a handful of moves.
                (Some(from), Some(to)) if N > 0 => *to = *from,
                _ => to[..width].copy_from_slice(&from[..width]),
            }
        }
    }
}

/// `dst[p·nr + q] = columns[q][p]` for q below `some`.
fn transpose(columns: [&[f32]; 8], some: usize, nr: usize, dst: &mut [f32]) {
    let kc = columns[0].len();
    let mut p = 0;
    // Squares of 8×8 stay in registers.
    while p + 8 <= kc {
        let mut square = [[0f32; 8]; 8];
        for (q, column) in columns.iter().enumerate() {
            for (s, &x) in column[p..p + 8].iter().enumerate() {
                square[s][q] = x;
            }
        }
        for (s, row) in square.iter().enumerate() {
            let at = (p + s) * nr;
            if some == 8 {
                dst[at..at + 8].copy_from_slice(row);
            } else {
                dst[at..at + some].copy_from_slice(&row[..some]);
            }
        }
        p += 8;
    }
    for p in p..kc {
        for (q, column) in columns[..some].iter().enumerate() {
            dst[p * nr + q] = column[p];
        }
    }
}

/// Which operand panels are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Left,
    Right,
}

/// How an operand of `n` columns is cut into panels on a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cut {
    side: Side,
    n: usize,
    width: usize,
}

impl Cut {
    pub(crate) fn new(kernels: Kernels, side: Side, n: usize) -> Self {
        // 24 accumulators of 32 registers, 12 of 16.
        let (rows, columns) = match kernels {
            Kernels::Avx512 => (8, 3 * LANES),
            Kernels::Avx2 | Kernels::Portable => (6, LANES),
        };
        let width = if side == Side::Left { rows } else { columns };
        Self { side, n, width }
    }

    /// Number of panels.
    pub(crate) fn count(&self) -> usize {
        self.n.div_ceil(self.width)
    }

    /// First column and number of columns of panel `i`.
    pub(crate) fn panel(&self, i: usize) -> (usize, usize) {
        match self.side {
            Side::Left => {
                let count = self.count().max(1);
                let (base, more) = (self.n / count, self.n % count);
                (i * base + i.min(more), base + usize::from(i < more))
            }
            Side::Right => (i * self.width, self.width.min(self.n - i * self.width)),
        }
    }

    /// Columns that a panel of `columns` takes in memory.
    pub(crate) fn padded(&self, columns: usize) -> usize {
        match self.side {
            Side::Left => columns,
            Side::Right => columns.next_multiple_of(LANES),
        }
    }

    /// Columns in memory of the whole operand.
    pub(crate) fn columns(&self) -> usize {
        self.padded(self.n)
    }

    /// Packs panels `range` for rows `k0..k0+kc`, one after another.
    pub(crate) fn pack(
        &self,
        source: &dyn Panels,
        (k0, kc): (usize, usize),
        range: std::ops::Range<usize>,
        dst: &mut [f32],
    ) {
        let mut rest = dst;
        for i in range {
            let (start, width) = self.panel(i);
            let padded = self.padded(width);
            let (panel, tail) = std::mem::take(&mut rest).split_at_mut(padded * kc);
            rest = tail;
            if width < padded {
                panel.fill(0.0);
            }
            source.fill(k0, kc, start, width, padded, panel);
        }
    }
}

/// A whole operand, packed: panel after panel, each over all of k.
#[derive(Debug)]
pub(crate) struct Packed {
    pub(super) cut: Cut,
    pub(super) k: usize,
    pub(super) data: Vec<f32>,
}

impl Packed {
    pub(crate) fn new(cut: Cut, k: usize, source: &dyn Panels) -> Self {
        let mut data = vec![0f32; cut.columns() * k];
        cut.pack(source, (0, k), 0..cut.count(), &mut data);
        Self { cut, k, data }
    }
}
