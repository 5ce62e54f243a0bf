//! Moving elements: one walk serves Transpose, Expand, Slice and Split.
//!
//! A walk visits an index space `dims` row-major and reads `src` at
//! `offset + Σ index·stride`. Strides may be 0 (repeat) or negative (reverse).

/// Row-major strides of a shape.
pub(crate) fn strides(shape: &[usize]) -> Vec<isize> {
    let mut out = vec![0isize; shape.len()];
    let mut step = 1isize;
    for (s, &d) in out.iter_mut().zip(shape).rev() {
        *s = step;
        step = step.saturating_mul(d as isize);
    }
    out
}

/// Joins neighbouring dimensions that one stride covers and drops those of
/// size 1, so that the innermost loop is as long as possible.
pub(crate) fn collapse(dims: &[usize], lanes: &[&[isize]]) -> (Vec<usize>, Vec<Vec<isize>>) {
    let mut d: Vec<usize> = Vec::new();
    let mut s: Vec<Vec<isize>> = vec![Vec::new(); lanes.len()];
    for (i, &n) in dims.iter().enumerate() {
        if n == 1 {
            continue;
        }
        let joins = !d.is_empty()
            && lanes.iter().zip(&s).all(|(lane, out)| {
                out.last()
                    .is_some_and(|&outer| outer == lane[i].saturating_mul(n as isize))
            });
        if joins {
            if let Some(last) = d.last_mut() {
                *last *= n;
            }
            for (lane, out) in lanes.iter().zip(&mut s) {
                if let Some(last) = out.last_mut() {
                    *last = lane[i];
                }
            }
        } else {
            d.push(n);
            for (lane, out) in lanes.iter().zip(&mut s) {
                out.push(lane[i]);
            }
        }
    }
    (d, s)
}

/// Calls `f(offsets)` for each index of `dims`, row-major, with each lane's
/// running offset.
pub(crate) fn walk<const N: usize>(
    dims: &[usize],
    strides: [&[isize]; N],
    mut f: impl FnMut([isize; N]),
) {
    if dims.contains(&0) {
        return;
    }
    let mut index = vec![0usize; dims.len()];
    let mut at = [0isize; N];
    loop {
        f(at);
        let mut axis = dims.len();
        loop {
            if axis == 0 {
                return;
            }
            axis -= 1;
            index[axis] += 1;
            for (a, s) in at.iter_mut().zip(&strides) {
                *a += s[axis];
            }
            if index[axis] < dims[axis] {
                break;
            }
            for (a, s) in at.iter_mut().zip(&strides) {
                *a -= s[axis] * dims[axis] as isize;
            }
            index[axis] = 0;
        }
    }
}

/// The walk's elements in order.
pub(crate) fn gather<T: Copy>(
    src: &[T],
    dims: &[usize],
    lane: &[isize],
    offset: isize,
    out: &mut Vec<T>,
) {
    if dims.contains(&0) {
        return;
    }
    let (dims, lanes) = collapse(dims, &[lane]);
    let lane = &lanes[0];
    let (inner, step) = match (dims.last(), lane.last()) {
        (Some(&n), Some(&s)) => (n, s),
        _ => (1, 1),
    };
    let outer = dims.len().saturating_sub(1);
    walk(&dims[..outer], [&lane[..outer]], |[at]| {
        let start = offset + at;
        match step {
            1 => out.extend_from_slice(&src[start as usize..start as usize + inner]),
            0 => out.extend(std::iter::repeat_n(src[start as usize], inner)),
            _ => out.extend((0..inner as isize).map(|i| src[(start + i * step) as usize])),
        }
    });
}
