//! Convolutions of one output channel: a chain over shifted planes.
//!
//! Rule: element j starts at +0 and for each p = (channel, kh, kw) becomes
//! `fma(w[p], plane[offset(p) + j], ·)`; then the bias is added and NaN made
//! canonical. Vectors run over j, along the lines of the plane and over the gaps
//! between them, whose results are dropped.

use super::Kernels;
use super::math::canon;

/// `out[j]` for j up to `out.len()`, a multiple of 16. `starts[p]` is where tap
/// p begins in `planes`.
pub(super) fn chain(
    kernels: Kernels,
    weights: &[f32],
    starts: &[usize],
    planes: &[f32],
    bias: Option<f32>,
    out: &mut [f32],
) {
    let most = starts.iter().max().copied().unwrap_or(0);
    assert!(
        weights.len() == starts.len()
            && out.len().is_multiple_of(16)
            && most + out.len() <= planes.len(),
        "planes"
    );
    #[cfg(target_arch = "x86_64")]
    match kernels {
        // SAFETY: the CPU has the path; every tap covers the output by the check.
        Kernels::Avx512 => return unsafe { x86::wide512(weights, starts, planes, bias, out) },
        // SAFETY: as above.
        Kernels::Avx2 => return unsafe { x86::wide256(weights, starts, planes, bias, out) },
        Kernels::Portable => {}
    }
    let _ = kernels;
    for (j, o) in out.iter_mut().enumerate() {
        let taps = weights.iter().zip(starts);
        let chain = taps.fold(0f32, |s, (&w, &at)| w.mul_add(planes[at + j], s));
        *o = canon(match bias {
            Some(b) => chain + b,
            None => chain,
        });
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    //! Safety contract: the CPU has the features; `out` is a whole number of
    //! 16 and each tap has as many numbers from its start.
    use std::arch::x86_64::*;

    macro_rules! wide {
        ($name:ident, $block:ident, $features:literal, $lanes:literal, $v:ty,
         $zero:ident, $set:ident, $load:ident, $store:ident, $fma:ident, $add:ident,
         |$y:ident, $nan:ident| $canon:expr) => {
            #[target_feature(enable = $features)]
            pub(super) unsafe fn $name(
                weights: &[f32],
                starts: &[usize],
                planes: &[f32],
                bias: Option<f32>,
                out: &mut [f32],
            ) {
                let (mut j, n) = (0, out.len());
                // SAFETY: blocks lie inside `out`, by the contract inside each tap.
                unsafe {
                    while n - j >= 8 * $lanes {
                        $block::<8>(weights, starts, planes, bias, out, j);
                        j += 8 * $lanes;
                    }
                    while n - j >= 4 * $lanes {
                        $block::<4>(weights, starts, planes, bias, out, j);
                        j += 4 * $lanes;
                    }
                    while n - j >= $lanes {
                        $block::<1>(weights, starts, planes, bias, out, j);
                        j += $lanes;
                    }
                }
            }

            #[target_feature(enable = $features)]
            unsafe fn $block<const V: usize>(
                weights: &[f32],
                starts: &[usize],
                planes: &[f32],
                bias: Option<f32>,
                out: &mut [f32],
                j: usize,
            ) {
                let mut acc: [$v; V] = [$zero(); V];
                // SAFETY: by the contract, for V vectors from j on.
                unsafe {
                    for (&w, &at) in weights.iter().zip(starts) {
                        let w = $set(w);
                        let from = planes.as_ptr().add(at + j);
                        for (v, x) in acc.iter_mut().enumerate() {
                            *x = $fma(w, $load(from.add($lanes * v)), *x);
                        }
                    }
                    let $nan = $set($crate::kernels::math::NAN);
                    for (v, &x) in acc.iter().enumerate() {
                        let $y = match bias {
                            Some(b) => $add(x, $set(b)),
                            None => x,
                        };
                        $store(out.as_mut_ptr().add(j + $lanes * v), $canon);
                    }
                }
            }
        };
    }

    wide!(
        wide512,
        block512,
        "avx512f",
        16,
        __m512,
        _mm512_setzero_ps,
        _mm512_set1_ps,
        _mm512_loadu_ps,
        _mm512_storeu_ps,
        _mm512_fmadd_ps,
        _mm512_add_ps,
        |y, nan| _mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_UNORD_Q>(y, y), y, nan)
    );
    wide!(
        wide256,
        block256,
        "avx2,fma",
        8,
        __m256,
        _mm256_setzero_ps,
        _mm256_set1_ps,
        _mm256_loadu_ps,
        _mm256_storeu_ps,
        _mm256_fmadd_ps,
        _mm256_add_ps,
        |y, nan| _mm256_blendv_ps(y, nan, _mm256_cmp_ps::<_CMP_UNORD_Q>(y, y))
    );
}
