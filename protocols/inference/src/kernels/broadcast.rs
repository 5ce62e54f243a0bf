//! Elementwise functions of two tensors under ONNX (numpy) broadcasting.

use super::Kernels;
use super::scratch;
use super::simd::{map1, map2, parts};
use super::split::{self, Shared};
use super::strided::{collapse, strides, walk};

/// The shape that both broadcast to; `None` when they do not agree.
pub(crate) fn shape(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let rank = a.len().max(b.len());
    (0..rank)
        .map(|i| {
            let dim = |s: &[usize]| (i + s.len()).checked_sub(rank).map_or(1, |j| s[j]);
            match (dim(a), dim(b)) {
                (x, y) if x == y => Some(x),
                (1, y) => Some(y),
                (x, 1) => Some(x),
                _ => None,
            }
        })
        .collect()
}

/// Strides for reading a tensor of shape `from` as one of shape `to`: 0 where it repeats.
pub(crate) fn lane(from: &[usize], to: &[usize]) -> Vec<isize> {
    let own = strides(from);
    let skip = to.len() - from.len();
    (0..to.len())
        .map(|i| match i.checked_sub(skip) {
            Some(j) if from[j] != 1 => own[j],
            _ => 0,
        })
        .collect()
}

/// `f(a, b)` over the broadcast shape `out`.
pub(crate) fn binary<T, U, F>(
    kernels: Kernels,
    (a, a_shape): (&[T], &[usize]),
    (b, b_shape): (&[T], &[usize]),
    out: &[usize],
    f: F,
) -> Vec<U>
where
    T: Copy + Sync,
    U: Copy + Default + Send + 'static,
    F: Fn(T, T) -> U + Copy + Sync,
{
    let total = crate::tensor::numel(out) as usize;
    let mut dst = scratch::fresh::<U>(total);
    if total == 0 {
        return dst;
    }
    let (dims, lanes) = collapse(out, &[&lane(a_shape, out), &lane(b_shape, out)]);
    let (la, lb) = (&lanes[0], &lanes[1]);
    let outer = dims.len().saturating_sub(1);
    let inner = dims.last().copied().unwrap_or(1);
    let (sa, sb) = (
        la.last().copied().unwrap_or(1),
        lb.last().copied().unwrap_or(1),
    );
    let row = |ia: isize, ib: isize, row: &mut [U]| {
        let (ia, ib) = (ia as usize, ib as usize);
        match (sa, sb) {
            (0, 0) => row.fill(f(a[ia], b[ib])),
            (0, _) => {
                let x = a[ia];
                map1(kernels, &b[ib..ib + inner], row, |y| f(x, y));
            }
            (_, 0) => {
                let y = b[ib];
                map1(kernels, &a[ia..ia + inner], row, |x| f(x, y));
            }
            _ => map2(kernels, &a[ia..ia + inner], &b[ib..ib + inner], row, f),
        }
    };
    let parts = parts(total);
    if let ([rows, _], true) = (dims.as_slice(), parts > 1) {
        let parts = parts.min(*rows);
        let all = Shared::new(&mut dst);
        split::run(parts, &|i| {
            for r in split::share(*rows, parts, i) {
                // SAFETY: shares do not overlap.
                let dst = unsafe { all.slice(r * inner, inner) };
                row(r as isize * la[0], r as isize * lb[0], dst);
            }
        });
        return dst;
    }
    let mut rest = dst.as_mut_slice();
    walk(&dims[..outer], [&la[..outer], &lb[..outer]], |[ia, ib]| {
        let (head, tail) = std::mem::take(&mut rest).split_at_mut(inner);
        rest = tail;
        row(ia, ib, head);
    });
    dst
}
