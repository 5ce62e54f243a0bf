//! Contractions of bytes whose right-hand matrix is packed once for many products.
//!
//! Rule: `c[i][j] = Σ (a[i][p] − za[i]) · (b[p][j] − zb[j])` modulo 2^32. Integer
//! addition is associative, so every path gives the same bits. Zero points stay
//! out of the panels, which then depend on the matrix alone: with what is stored,
//! a' = a − s and b' = b − t, and o = za − s, r = zb − t,
//!
//! ```text
//! Σ (a − za)(b − zb) = Σ a'b' − o·Σ b' − r·Σ a' + k·o·r
//! ```
//!
//! *Quads* of bytes, for CPUs that multiply unsigned by signed ones and sum four
//! products: a' is unsigned, b' signed. *Pairs* of 16-bit integers everywhere
//! else (`igemm`), s = t = 0.

use super::Kernels;
use super::igemm::{self, IntRows};
use super::simd::multiversion;

/// Columns of a panel of quads, and of one vector.
pub(super) const PANEL: usize = 64;
pub(super) const LANES: usize = 16;
/// Most rows of a tile.
pub(super) const ROWS: usize = 6;

/// A matrix of bytes, row-major.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Bytes<'a> {
    Unsigned(&'a [u8]),
    Signed(&'a [i8]),
}

impl<'a> Bytes<'a> {
    pub(crate) fn len(self) -> usize {
        match self {
            Bytes::Unsigned(v) => v.len(),
            Bytes::Signed(v) => v.len(),
        }
    }

    /// Elements `at..at + len`.
    pub(crate) fn part(self, at: usize, len: usize) -> Self {
        match self {
            Bytes::Unsigned(v) => Bytes::Unsigned(&v[at..][..len]),
            Bytes::Signed(v) => Bytes::Signed(&v[at..][..len]),
        }
    }

    /// What [`Panels::Quads`] take from a byte on the right.
    fn shift(self) -> i32 {
        match self {
            Bytes::Unsigned(_) => 128,
            Bytes::Signed(_) => 0,
        }
    }
}

/// The left operand: rows of bytes with one zero point, or one for each row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Left<'a> {
    pub(crate) bytes: Bytes<'a>,
    pub(crate) zeros: &'a [i16],
}

#[derive(Debug)]
enum Panels {
    /// Panel after panel of 64 columns (the last as wide as whole vectors go),
    /// in each, per quad of rows, per column, four neighbours.
    Quads(Vec<i8>),
    Pairs(igemm::Packed),
}

/// A right-hand matrix, packed.
#[derive(Debug)]
pub(crate) struct Packed {
    panels: Panels,
    /// Σ b' of each column, modulo 2^32.
    sums: Vec<i32>,
    /// t of the rule.
    shift: i32,
    n: usize,
    k: usize,
}

/// Whether this path has products of quads.
fn quads(kernels: Kernels) -> bool {
    #[cfg(target_arch = "x86_64")]
    if kernels == Kernels::Avx512 {
        return is_x86_feature_detected!("avx512vnni");
    }
    let _ = kernels;
    false
}

/// The bytes as 16-bit integers, row by row.
struct Wide<'a> {
    bytes: Bytes<'a>,
    n: usize,
}

impl IntRows for Wide<'_> {
    fn fill(&self, p: usize, j0: usize, dst: &mut [i16]) {
        widen(self.bytes.part(p * self.n + j0, dst.len()), dst);
    }
}

fn widen(bytes: Bytes<'_>, dst: &mut [i16]) {
    match bytes {
        Bytes::Unsigned(v) => dst.iter_mut().zip(v).for_each(|(d, &x)| *d = x.into()),
        Bytes::Signed(v) => dst.iter_mut().zip(v).for_each(|(d, &x)| *d = x.into()),
    }
}

impl Packed {
    /// Packs a k×n matrix as a path likes it best.
    pub(crate) fn new(kernels: Kernels, b: Bytes<'_>, n: usize, k: usize) -> Self {
        Self::laid_out(quads(kernels), b, n, k)
    }

    fn laid_out(quads: bool, b: Bytes<'_>, n: usize, k: usize) -> Self {
        assert_eq!(b.len(), n * k, "a matrix of bytes");
        let shift = if quads { b.shift() } else { 0 };
        let mut sums = vec![0i32; n];
        for p in 0..k {
            let row = b.part(p * n, n);
            match row {
                Bytes::Unsigned(v) => {
                    let pairs = sums.iter_mut().zip(v);
                    pairs.for_each(|(s, &x)| *s = s.wrapping_add(i32::from(x) - shift));
                }
                Bytes::Signed(v) => {
                    let pairs = sums.iter_mut().zip(v);
                    pairs.for_each(|(s, &x)| *s = s.wrapping_add(i32::from(x)));
                }
            }
        }
        let panels = if quads {
            Panels::Quads(pack(b, n, k))
        } else {
            Panels::Pairs(igemm::Packed::new(&Wide { bytes: b, n }, n, k))
        };
        Self {
            panels,
            sums,
            shift,
            n,
            k,
        }
    }

    /// Columns of the matrix.
    pub(crate) fn width(&self) -> usize {
        self.n
    }

    /// Rows of the matrix.
    pub(crate) fn rows(&self) -> usize {
        self.k
    }

    /// `c` = the rule, for m rows; `zb` is one zero point or one for each column.
    pub(crate) fn product(
        &self,
        kernels: Kernels,
        m: usize,
        a: Left<'_>,
        zb: &[i16],
        c: &mut [i32],
    ) {
        assert!(
            a.bytes.len() == m * self.k
                && c.len() == m * self.n
                && (a.zeros.len() == 1 || a.zeros.len() == m)
                && (zb.len() == 1 || zb.len() == self.n),
            "operands of bytes"
        );
        if m == 0 || self.n == 0 {
            return;
        }
        let (sums, taken) = match &self.panels {
            Panels::Quads(b) => self.quads(m, a.bytes, b, c),
            Panels::Pairs(b) => {
                let mut wide = vec![0i16; m * self.k];
                widen(a.bytes, &mut wide);
                b.product(kernels, m, &wide, c);
                let row = |r: usize| wide[r * self.k..][..self.k].iter();
                let sum = |r| row(r).fold(0i32, |s, &x| s.wrapping_add(i32::from(x)));
                ((0..m).map(sum).collect(), 0)
            }
        };
        let right: Vec<i32> = zb.iter().map(|&z| i32::from(z) - self.shift).collect();
        for (r, (row, sum)) in c.chunks_exact_mut(self.n).zip(sums).enumerate() {
            let zero = a.zeros[if a.zeros.len() == 1 { 0 } else { r }];
            let o = i32::from(zero) - taken;
            let rest = sum.wrapping_sub((self.k as i32).wrapping_mul(o));
            correct(kernels, row, &self.sums, &right, o, rest);
        }
    }

    /// Σ a'b' to `c`; Σ a' of each row, and s.
    fn quads(&self, m: usize, a: Bytes<'_>, b: &[i8], c: &mut [i32]) -> (Vec<i32>, i32) {
        let quads = self.k.div_ceil(4);
        let mut left = vec![0u8; m * quads * 4];
        let mut sums = Vec::with_capacity(m);
        for r in 0..m {
            let to = &mut left[r * quads * 4..][..self.k];
            match a.part(r * self.k, self.k) {
                Bytes::Unsigned(v) => to.copy_from_slice(v),
                Bytes::Signed(v) => {
                    let pairs = to.iter_mut().zip(v);
                    pairs.for_each(|(t, &x)| *t = x as u8 ^ 0x80);
                }
            }
            sums.push(to.iter().fold(0i32, |n, &x| n.wrapping_add(x.into())));
        }
        self.tiles(m, &left, b, c);
        let taken = match a {
            Bytes::Unsigned(_) => 0,
            Bytes::Signed(_) => -128,
        };
        (sums, taken)
    }

    fn tiles(&self, m: usize, left: &[u8], b: &[i8], c: &mut [i32]) {
        let quads = self.k.div_ceil(4);
        let mut tile = [[0i32; PANEL]; ROWS];
        // A panel stays in the first-level cache while the rows pass by.
        for j in (0..self.n).step_by(PANEL) {
            let width = PANEL.min(self.n - j);
            let vectors = width.div_ceil(LANES);
            let panel = &b[j * quads * 4..][..vectors * LANES * quads * 4];
            for i in (0..m).step_by(ROWS) {
                let rows = ROWS.min(m - i);
                let a = &left[i * quads * 4..][..rows * quads * 4];
                dots(quads, vectors, a, panel, &mut tile[..rows]);
                for (r, row) in tile[..rows].iter().enumerate() {
                    c[(i + r) * self.n + j..][..width].copy_from_slice(&row[..width]);
                }
            }
        }
    }
}

multiversion! {
    /// What the zero points make of a row of sums: `o` and Σ a' − k·o.
    fn correct[](c: &mut [i32], sums: &[i32], right: &[i32], o: i32, rest: i32) {
        if let &[r] = right {
            let rest = r.wrapping_mul(rest);
            for (c, s) in c.iter_mut().zip(sums) {
                *c = c.wrapping_sub(o.wrapping_mul(*s)).wrapping_sub(rest);
            }
        } else {
            for ((c, s), r) in c.iter_mut().zip(sums).zip(right) {
                let taken = o.wrapping_mul(*s).wrapping_add(r.wrapping_mul(rest));
                *c = c.wrapping_sub(taken);
            }
        }
    }
}

/// The quads of a matrix.
fn pack(b: Bytes<'_>, n: usize, k: usize) -> Vec<i8> {
    let quads = k.div_ceil(4);
    let mut data = vec![0i8; n.next_multiple_of(LANES) * quads * 4];
    for p in 0..k {
        for j in (0..n).step_by(PANEL) {
            let width = PANEL.min(n - j);
            let padded = width.next_multiple_of(LANES);
            let at = j * quads * 4 + p / 4 * padded * 4 + p % 4;
            let to = data[at..].iter_mut().step_by(4);
            match b.part(p * n + j, width) {
                Bytes::Unsigned(v) => to.zip(v).for_each(|(t, &x)| *t = (x ^ 0x80) as i8),
                Bytes::Signed(v) => to.zip(v).for_each(|(t, &x)| *t = x),
            }
        }
    }
    data
}

/// One tile of products of quads, written to as many rows as `tile` has.
fn dots(quads: usize, vectors: usize, a: &[u8], b: &[i8], tile: &mut [[i32; PANEL]]) {
    assert!(
        (1..=ROWS).contains(&tile.len())
            && (1..=PANEL / LANES).contains(&vectors)
            && a.len() == tile.len() * quads * 4
            && b.len() == vectors * LANES * quads * 4,
        "tile of quads"
    );
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx512vnni") && Kernels::best() == Kernels::Avx512 {
        // SAFETY: the CPU has the features; the lengths were checked above.
        return unsafe { super::bytes_x86::dots(quads, vectors, a, b, tile) };
    }
    // Packed elsewhere: slow, and right.
    for (row, tile) in a.chunks_exact((quads * 4).max(1)).zip(tile) {
        tile.fill(0);
        let steps = row.chunks_exact(4).zip(b.chunks_exact(vectors * LANES * 4));
        for (x, b) in steps {
            for (t, y) in tile.iter_mut().zip(b.chunks_exact(4)) {
                let products = x.iter().zip(y).map(|(&x, &y)| i32::from(x) * i32::from(y));
                *t = products.fold(*t, i32::wrapping_add);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(bytes: Bytes<'_>, at: usize) -> i32 {
        match bytes {
            Bytes::Unsigned(v) => v[at].into(),
            Bytes::Signed(v) => v[at].into(),
        }
    }

    #[test]
    fn both_layouts_sum_the_same_integers_on_every_path() {
        let mut seed = 3u64;
        let mut next = || {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1);
            (seed >> 40) as u8
        };
        let sizes = [(1, 1, 1), (7, 73, 5), (6, 64, 64), (13, 130, 78), (2, 7, 0)];
        for (m, n, k) in sizes {
            let mut a: Vec<u8> = (0..m * k).map(|_| next()).collect();
            let mut b: Vec<u8> = (0..k * n).map(|_| next()).collect();
            // The first numbers are extreme ones.
            a.iter_mut().take(9).for_each(|v| *v = 255);
            b.iter_mut().take(9).for_each(|v| *v = 127);
            let (sa, sb): (Vec<i8>, Vec<i8>) = (
                a.iter().map(|&x| x as i8).collect(),
                b.iter().map(|&x| x as i8).collect(),
            );
            let za: Vec<i16> = (0..m).map(|_| i16::from(next())).collect();
            let zb: Vec<i16> = (0..n).map(|_| i16::from(next()) - 128).collect();
            let lefts = [Bytes::Unsigned(&a), Bytes::Signed(&sa)];
            let rights = [Bytes::Unsigned(&b), Bytes::Signed(&sb)];
            for (x, y) in lefts.into_iter().flat_map(|x| rights.map(|y| (x, y))) {
                for (za, zb) in [(&za[..], &zb[..]), (&za[..1], &zb[..1])] {
                    let left = |i: usize| i32::from(za[i % za.len()]);
                    let right = |j: usize| i32::from(zb[j % zb.len()]);
                    let at = |i: usize, j: usize| -> i32 {
                        let one = |p| {
                            (number(x, i * k + p) - left(i)) * (number(y, p * n + j) - right(j))
                        };
                        (0..k).map(one).sum()
                    };
                    let want: Vec<i32> = (0..m * n).map(|c| at(c / n, c % n)).collect();
                    let a = Left {
                        bytes: x,
                        zeros: za,
                    };
                    for quads in [false, true] {
                        let packed = Packed::laid_out(quads, y, n, k);
                        for kernels in Kernels::available() {
                            let mut c = vec![7i32; m * n];
                            packed.product(kernels, m, a, zb, &mut c);
                            assert_eq!(c, want, "{m}×{k}×{n} quads {quads} on {kernels:?}");
                        }
                    }
                }
            }
        }
    }
}
