//! MatMul, Gemm and Conv of `f64`.
//!
//! Rules: those of `f32` in binary64: each element is one FMA chain from +0, over k
//! or over (channel of the group, kd, kh, kw) with padding as +0; alpha, beta and
//! bias come after it, as plain operations.

use super::einsum::chain;
use super::linear::Product;
use crate::kernels::im2col::Window;
use crate::kernels::math::canon64;
use crate::kernels::{Kernels, broadcast, strided};
use crate::tensor::numel;

/// The batched product.
pub(super) fn matmul(k: Kernels, p: &Product, x: &[f64], y: &[f64]) -> Vec<f64> {
    let mut out = Vec::with_capacity(numel(&p.out) as usize);
    if numel(&p.out) == 0 {
        return out;
    }
    strided::walk(&p.batch, [&p.a_lane, &p.b_lane], |[i, j]| {
        let a = &x[i as usize * p.m * p.k..];
        let b = &y[j as usize * p.k * p.n..];
        for (r, c) in (0..p.m).flat_map(|r| (0..p.n).map(move |c| (r, c))) {
            let mut acc = 0.0;
            if p.k > 0 {
                chain(k, &a[r * p.k..], 1, &b[c..], p.n, p.k, &mut acc);
            }
            out.push(canon64(acc));
        }
    });
    out
}

/// A matrix and the steps between its rows and its columns.
pub(super) type Strided<'a> = (&'a [f64], usize, usize);

/// `alpha·(a·b) + beta·c`, c with its shape.
pub(super) fn gemm(
    kernels: Kernels,
    (m, n, k): (usize, usize, usize),
    (a, b): (Strided<'_>, Strided<'_>),
    (alpha, beta): (f32, f32),
    c: Option<(&[f64], &[usize])>,
) -> Vec<f64> {
    let mut out = Vec::with_capacity(m * n);
    for (r, q) in (0..m).flat_map(|r| (0..n).map(move |q| (r, q))) {
        let mut acc = 0.0;
        if k > 0 {
            let (left, right) = (&a.0[r * a.1..], &b.0[q * b.2..]);
            chain(kernels, left, a.2, right, b.1, k, &mut acc);
        }
        let v = if alpha == 1.0 {
            acc
        } else {
            f64::from(alpha) * acc
        };
        out.push(canon64(v));
    }
    if let Some((c, shape)) = c {
        let mut places = out.iter_mut();
        strided::walk(&[m, n], [&broadcast::lane(shape, &[m, n])], |[at]| {
            if let Some(v) = places.next() {
                *v = canon64(*v + f64::from(beta) * c[at as usize]);
            }
        });
    }
    out
}

/// A convolution's sizes beside its window: batch, groups, input channels and
/// output maps of a group.
pub(super) struct Sizes {
    pub(super) batch: usize,
    pub(super) groups: usize,
    pub(super) channels: usize,
    pub(super) maps: usize,
}

pub(super) fn conv(
    s: &Sizes,
    window: &Window,
    x: &[f64],
    weights: &[f64],
    bias: Option<&[f64]>,
) -> Vec<f64> {
    let [kd, kh, kw] = window.kernel;
    let [id, ih, iw] = window.input;
    let [od, oh, ow] = window.output;
    let (area, taps) = (id * ih * iw, kd * kh * kw);
    let mut out = Vec::with_capacity(s.batch * s.groups * s.maps * od * oh * ow);
    for (image, map) in (0..s.batch).flat_map(|b| (0..s.groups * s.maps).map(move |m| (b, m))) {
        let first = (image * s.groups + map / s.maps) * s.channels;
        let weights = &weights[map * s.channels * taps..][..s.channels * taps];
        for o in 0..od * oh * ow {
            let (z, y, c) = (o / (oh * ow), o / ow % oh, o % ow);
            let mut acc = 0f64;
            for (p, w) in weights.iter().enumerate() {
                let (channel, tap) = (p / taps, p % taps);
                let place = window
                    .source(0, z, tap / (kh * kw))
                    .zip(window.source(1, y, tap / kw % kh))
                    .zip(window.source(2, c, tap % kw));
                let v = place.map_or(0.0, |((d, h), w)| {
                    x[(first + channel) * area + (d * ih + h) * iw + w]
                });
                acc = v.mul_add(*w, acc);
            }
            out.push(canon64(bias.map_or(acc, |b| acc + b[map])));
        }
    }
    out
}
