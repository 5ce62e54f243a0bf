//! Contractions: every output element is one chain of fused multiply-adds.
//!
//! Rule: `c[i][j]` starts at +0 and for p = 0, 1, …, k−1 becomes
//! `fma(a[i][p], b[p][j], c[i][j])`. Blocking over k stores and reloads the
//! accumulator, which is exact; vectors run across j (or, with the operands
//! exchanged, across i; the product in an FMA commutes). So neither blocking nor
//! vector width, batch size or number of threads can change a bit. The bias is
//! added to the finished chain, rounded; NaN is made canonical at the end.
//!
//! Loops: columns by groups that fit the second-level cache, k by blocks, rows by
//! groups, then right panels, then left ones (see `pack`).

use std::ops::Range;

use super::gemm_tile::{self, MAX_COLUMNS, MAX_ROWS, Tile};
use super::pack::{Cut, LANES, Side};
use super::split::{self, Shared};
use super::{Kernels, scratch};

pub(crate) use super::gemm_tile::Bias;
pub(crate) use super::pack::{Mat, Packed, Panels};

/// Floats of packed left operand at a time: half a megabyte.
const LEFT: usize = 128 << 10;
/// Floats of packed right operand at a time.
const RIGHT: usize = 120 << 10;
/// Longest k-block of an operand that is packed on the way, and of a packed one.
const KC_LAZY: usize = 320;
const KC_PACKED: usize = 640;
/// k-block when the right operand is read in place: so many lines of it are
/// streamed side by side.
const KC_DIRECT: usize = 16;
/// How far ahead of use the right operand is fetched, rows of k.
const AHEAD: usize = 12;
/// Multiply-adds that are worth another thread.
const WORTH: usize = if cfg!(test) { 1 << 8 } else { 1 << 20 };

/// An operand: k rows of columns, the left one given transposed.
#[derive(Clone, Copy)]
pub(crate) enum Operand<'a> {
    /// Packed while multiplying.
    Lazy(&'a dyn Panels),
    /// Packed before.
    Packed(&'a Packed),
}

impl Operand<'_> {
    fn fits(&self, kernels: Kernels, side: Side, n: usize, k: usize) -> bool {
        match self {
            Operand::Lazy(_) => true,
            Operand::Packed(p) => p.cut == Cut::new(kernels, side, n) && p.k == k,
        }
    }
}

/// Where the product goes: m×n row-major, or n×m (`transposed`).
pub(crate) struct Product<'a> {
    pub(crate) c: &'a mut [f32],
    pub(crate) transposed: bool,
    pub(crate) bias: Bias<'a>,
}

/// `c = a · b` with `a` m×k, `b` k×n, `c` row-major m×n.
pub(crate) fn gemm(
    kernels: Kernels,
    dims: (usize, usize, usize),
    a: Mat<'_>,
    b: Mat<'_>,
    c: &mut [f32],
) {
    gemm_plus(kernels, dims, a, b, Bias::None, c);
}

/// `c = a · b + bias` with `a` m×k, `b` k×n, `c` row-major m×n.
pub(crate) fn gemm_plus(
    kernels: Kernels,
    (m, n, k): (usize, usize, usize),
    a: Mat<'_>,
    b: Mat<'_>,
    bias: Bias<'_>,
    c: &mut [f32],
) {
    assert!(a.covers(m, k) && b.covers(k, n), "gemm operands");
    let (left, right) = (a.transposed(), b);
    let mut out = Product {
        c,
        transposed: false,
        bias,
    };
    if n < 8 && m > n {
        // Few columns: run the vectors along the rows instead.
        out.transposed = true;
        out.bias = match bias {
            Bias::None => Bias::None,
            Bias::Rows(v) => Bias::Columns(v),
            Bias::Columns(v) => Bias::Rows(v),
        };
        let (left, right) = (Operand::Lazy(&right), Operand::Lazy(&left));
        multiply(kernels, (n, m, k), left, right, out);
    } else {
        let (left, right) = (Operand::Lazy(&left), Operand::Lazy(&right));
        multiply(kernels, (m, n, k), left, right, out);
    }
}

/// The product of two operands of k rows: `left` with m columns, `right` with n.
pub(crate) fn multiply(
    kernels: Kernels,
    (m, n, k): (usize, usize, usize),
    left: Operand<'_>,
    right: Operand<'_>,
    out: Product<'_>,
) {
    assert!(
        out.c.len() == m * n
            && left.fits(kernels, Side::Left, m, k)
            && right.fits(kernels, Side::Right, n, k)
            && match out.bias {
                Bias::None => true,
                Bias::Rows(v) => v.len() == m,
                Bias::Columns(v) => v.len() == n,
            },
        "contraction operands"
    );
    if m == 0 || n == 0 {
        return;
    }
    if k == 0 {
        return empty_chains(n, m, out);
    }
    let rows = Cut::new(kernels, Side::Left, m);
    let columns = Cut::new(kernels, Side::Right, n);
    let job = Job {
        kernels,
        m,
        n,
        k,
        rows,
        columns,
        left,
        right,
        transposed: out.transposed,
        bias: out.bias,
        c: Shared::new(out.c),
    };
    let work = m.saturating_mul(n).saturating_mul(k);
    let threads = split::threads().min(work / WORTH).max(1);
    let (all_rows, all_columns) = (rows.count(), columns.count());
    // Split the longer side, in panels.
    if all_columns >= all_rows || matches!(right, Operand::Lazy(_)) && all_columns >= 2 * threads {
        let parts = threads.min(all_columns);
        split::run(parts, &|i| {
            job.part(0..all_rows, split::share(all_columns, parts, i));
        });
    } else {
        let parts = threads.min(all_rows);
        split::run(parts, &|i| {
            job.part(split::share(all_rows, parts, i), 0..all_columns);
        });
    }
}

/// Sums of nothing: +0, then the bias.
fn empty_chains(n: usize, m: usize, out: Product<'_>) {
    for (at, x) in out.c.iter_mut().enumerate() {
        let (i, j) = if out.transposed {
            (at % m, at / m)
        } else {
            (at / n, at % n)
        };
        *x = super::math::canon(match out.bias {
            Bias::None => 0.0,
            Bias::Rows(v) => 0.0 + v[i],
            Bias::Columns(v) => 0.0 + v[j],
        });
    }
}

struct Job<'a> {
    kernels: Kernels,
    m: usize,
    n: usize,
    k: usize,
    rows: Cut,
    columns: Cut,
    left: Operand<'a>,
    right: Operand<'a>,
    transposed: bool,
    bias: Bias<'a>,
    c: Shared<'a>,
}

/// Panels in memory: the first one of them, where it starts in k, their height.
#[derive(Clone, Copy)]
struct Held<'a> {
    data: &'a [f32],
    /// First column that `data` holds.
    first: usize,
    k0: usize,
    k: usize,
}

impl<'a> Held<'a> {
    /// The panel that starts at column `start`, from row `k0` on.
    fn panel(&self, start: usize, padded: usize, k0: usize) -> &'a [f32] {
        &self.data[(start - self.first) * self.k + (k0 - self.k0) * padded..]
    }
}

impl Job<'_> {
    /// The product's elements of some left and right panels.
    fn part(&self, rows: Range<usize>, columns: Range<usize>) {
        let count = rows.len();
        let height = (rows.clone())
            .map(|i| self.rows.panel(i).1)
            .max()
            .unwrap_or(1);
        // With few rows packing the right side does not pay: it is read in place.
        let direct = match self.right {
            Operand::Lazy(b) if count == 1 && !self.transposed => b.direct(),
            _ => None,
        };
        let kc = match (self.right, direct) {
            _ if self.transposed => self.k,
            (_, Some(_)) => KC_DIRECT,
            (Operand::Packed(_), _) if count == 1 => self.k,
            (Operand::Packed(_), _) => KC_PACKED,
            _ => KC_LAZY,
        };
        // Equal k-blocks, so that none is a sliver.
        let kc = self.k.div_ceil(self.k.div_ceil(kc));
        // The left side is packed once if it fits, else block by block.
        let (start, end) = self.span(&rows, &self.rows);
        let whole = (end - start) * self.k <= LEFT;
        let group = match self.left {
            Operand::Lazy(_) if !whole => (LEFT / (kc * height)).max(1),
            _ => count,
        };
        let left_len = match self.left {
            Operand::Packed(_) => 0,
            Operand::Lazy(_) if whole => (end - start) * self.k,
            Operand::Lazy(_) => group * height * kc,
        };
        let width = self.columns.panel(columns.start).1.next_multiple_of(LANES);
        let panels = match self.right {
            Operand::Packed(_) => columns.len(),
            Operand::Lazy(_) => (RIGHT / (kc * width)).max(1).min(columns.len()),
        };
        let right_len = match self.right {
            Operand::Packed(_) => 0,
            Operand::Lazy(_) if direct.is_some() => kc * width,
            Operand::Lazy(_) => panels * kc * width,
        };
        scratch::with(left_len, |left| {
            scratch::with(right_len, |right| {
                self.blocks(
                    rows,
                    columns,
                    (kc, group, panels, whole, direct),
                    left,
                    right,
                );
            });
        });
    }

    /// First and last column of some panels.
    fn span(&self, range: &Range<usize>, cut: &Cut) -> (usize, usize) {
        let (start, _) = cut.panel(range.start);
        let (last, width) = cut.panel(range.end - 1);
        (start, last + width)
    }

    fn blocks(
        &self,
        rows: Range<usize>,
        columns: Range<usize>,
        (kc, group, panels, whole, direct): (usize, usize, usize, bool, Option<Mat<'_>>),
        left: &mut [f32],
        right: &mut [f32],
    ) {
        if let (Operand::Lazy(a), true) = (self.left, whole) {
            self.rows.pack(a, (0, self.k), rows.clone(), left);
        }
        for p0 in columns.clone().step_by(panels) {
            let p1 = columns.end.min(p0 + panels);
            let first = self.columns.panel(p0).0;
            for k0 in (0..self.k).step_by(kc) {
                let kc = kc.min(self.k - k0);
                if let Operand::Lazy(b) = self.right {
                    // Read in place, only a partial last panel is packed.
                    let from = match direct {
                        Some(_) if self.whole_panel(p1 - 1) => p1,
                        Some(_) => p1 - 1,
                        None => p0,
                    };
                    self.columns.pack(b, (k0, kc), from..p1, right);
                }
                for r0 in rows.clone().step_by(group) {
                    let r1 = rows.end.min(r0 + group);
                    if let (Operand::Lazy(a), false) = (self.left, whole) {
                        self.rows.pack(a, (k0, kc), r0..r1, left);
                    }
                    let held_left = match self.left {
                        Operand::Packed(p) => Held {
                            data: &p.data,
                            first: 0,
                            k0: 0,
                            k: self.k,
                        },
                        Operand::Lazy(_) if whole => Held {
                            data: left,
                            first: self.rows.panel(rows.start).0,
                            k0: 0,
                            k: self.k,
                        },
                        Operand::Lazy(_) => Held {
                            data: left,
                            first: self.rows.panel(r0).0,
                            k0,
                            k: kc,
                        },
                    };
                    for panel in p0..p1 {
                        let (start, width) = self.columns.panel(panel);
                        let padded = self.columns.padded(width);
                        let (b, ldb) = match (self.right, direct) {
                            (Operand::Packed(p), _) => {
                                (&p.data[start * self.k + k0 * padded..], padded)
                            }
                            (_, Some(m)) if self.whole_panel(panel) => {
                                (&m.data[k0 * m.rs + start..], m.rs)
                            }
                            (_, Some(_)) => (&right[..], padded),
                            _ => (&right[(start - first) * kc..], padded),
                        };
                        for row in r0..r1 {
                            let (i, height) = self.rows.panel(row);
                            let tile = Tile {
                                kc,
                                rows: height,
                                vectors: padded / LANES,
                                ldb,
                                // In place, rows are read side by side: fetch along them.
                                ahead: match direct {
                                    Some(_) => 4 * padded,
                                    None => AHEAD * ldb,
                                },
                                ldc: self.n,
                                resume: k0 > 0,
                                finish: k0 + kc == self.k,
                                bias: Bias::None,
                            };
                            let a = held_left.panel(i, height, k0);
                            self.tile(tile, a, b, i, start, width);
                        }
                    }
                }
            }
        }
    }

    fn whole_panel(&self, panel: usize) -> bool {
        let (_, width) = self.columns.panel(panel);
        self.columns.padded(width) == width
    }

    /// One tile at row i, column j; a partial or transposed one goes through a buffer.
    fn tile(&self, t: Tile<'_>, a: &[f32], b: &[f32], i: usize, j: usize, width: usize) {
        let padded = t.vectors * LANES;
        let mut biases = [0f32; MAX_COLUMNS];
        let bias = match self.bias {
            Bias::None => Bias::None,
            Bias::Rows(v) => Bias::Rows(&v[i..i + t.rows]),
            Bias::Columns(v) if width == padded => Bias::Columns(&v[j..j + width]),
            Bias::Columns(v) => {
                biases[..width].copy_from_slice(&v[j..j + width]);
                Bias::Columns(&biases)
            }
        };
        let t = Tile { bias, ..t };
        if width == padded && !self.transposed {
            // SAFETY: rows i.. and columns j.. of this tile are inside the
            // product and belong to this part alone.
            unsafe { gemm_tile::run(self.kernels, t, a, b, self.c.at(i * self.n + j)) };
            return;
        }
        let mut buffer = [0f32; MAX_ROWS * MAX_COLUMNS];
        let t = Tile { ldc: padded, ..t };
        if t.resume {
            for r in 0..t.rows {
                // SAFETY: as above.
                let row = unsafe { self.c.slice((i + r) * self.n + j, width) };
                buffer[r * padded..r * padded + width].copy_from_slice(row);
            }
        }
        // SAFETY: the buffer holds the largest tile.
        unsafe { gemm_tile::run(self.kernels, t, a, b, buffer.as_mut_ptr()) };
        if self.transposed {
            for q in 0..width {
                // SAFETY: as above, with rows and columns exchanged.
                let column = unsafe { self.c.slice((j + q) * self.m + i, t.rows) };
                let from = buffer[q..].iter().step_by(padded);
                match column.first_chunk_mut::<MAX_ROWS>() {
                    // So many moves, without a loop.
                    Some(column) => {
                        *column = std::array::from_fn(|r| buffer[r * padded + q]);
                    }
                    None => column.iter_mut().zip(from).for_each(|(to, &x)| *to = x),
                }
            }
        } else {
            for r in 0..t.rows {
                // SAFETY: as above.
                let row = unsafe { self.c.slice((i + r) * self.n + j, width) };
                row.copy_from_slice(&buffer[r * padded..r * padded + width]);
            }
        }
    }
}
