//! Every path against the rule written out: odd shapes, tails, hostile values.

use super::gemm::{self, Bias, Mat, Operand, Packed, Product};
use super::math::canon;
use super::pack::{Cut, Side};
use super::{Kernels, split};

/// Numbers of many sizes; every 37th is hostile if `hostile`.
pub(super) fn numbers(len: usize, seed: u64, hostile: bool) -> Vec<f32> {
    const ODD: [u32; 8] = [
        0x7fc0_0001, // a NaN with a payload
        0xff80_0001, // a signalling one
        0x7f80_0000,
        0xff80_0000,
        0x8000_0000,
        0x0000_0001,
        0x807f_ffff,
        0x7f7f_ffff,
    ];
    let mut s = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..len)
        .map(|i| {
            s ^= s << 13;
            s ^= s >> 7;
            s ^= s << 17;
            if hostile && s.is_multiple_of(37) {
                f32::from_bits(ODD[i % 8])
            } else {
                (s >> 40) as f32 / 8_388_608.0 - 1.0
            }
        })
        .collect()
}

fn rule((m, n, k): (usize, usize, usize), a: &[f32], b: &[f32], bias: Bias<'_>) -> Vec<u32> {
    let mut out = Vec::with_capacity(m * n);
    for i in 0..m {
        for j in 0..n {
            let chain = (0..k).fold(0f32, |s, p| a[i * k + p].mul_add(b[p * n + j], s));
            let done = match bias {
                Bias::None => chain,
                Bias::Rows(v) => chain + v[i],
                Bias::Columns(v) => chain + v[j],
            };
            out.push(canon(done).to_bits());
        }
    }
    out
}

fn into<'a>(c: &'a mut [f32], bias: Bias<'a>) -> Product<'a> {
    Product {
        c,
        transposed: false,
        bias,
    }
}

pub(super) fn bits(v: &[f32]) -> Vec<u32> {
    v.iter().map(|x| x.to_bits()).collect()
}

const SHAPES: &[(usize, usize, usize)] = &[
    (1, 1, 1),
    (1, 1, 0),
    (3, 5, 0),
    (1, 49, 7),
    (1, 1000, 33),
    (7, 3, 19),
    (9, 48, 17),
    (17, 97, 41),
    (64, 64, 32),
    (5, 16, 700),
    (13, 33, 1300),
    (200, 2, 65),
    (97, 130, 330),
];

#[test]
fn every_path_layout_and_thread_count_computes_the_rule() {
    for &(m, n, k) in SHAPES {
        for hostile in [false, true] {
            // One more in front: nothing may rely on alignment.
            let (a, b) = (
                numbers(m * k + 1, 1, hostile),
                numbers(k * n + 1, 2, hostile),
            );
            let (a, b) = (&a[1..], &b[1..]);
            let (rows, columns) = (numbers(m, 3, hostile), numbers(n, 4, hostile));
            // The same matrices, stored transposed.
            let at: Vec<f32> = (0..k * m).map(|x| a[x % m * k + x / m]).collect();
            let bt: Vec<f32> = (0..k * n).map(|x| b[x % k * n + x / k]).collect();
            for bias in [Bias::None, Bias::Rows(&rows), Bias::Columns(&columns)] {
                let want = rule((m, n, k), a, b, bias);
                for kernels in Kernels::available() {
                    for threads in [1, 2, 7] {
                        let mut c = vec![f32::NAN; m * n];
                        split::with_threads(threads, || {
                            let (x, y) = (Mat::rows(a, k), Mat::rows(b, n));
                            let (xt, yt) = (Mat::rows(&at, m), Mat::rows(&bt, k));
                            let check = |what: &str, c: &mut Vec<f32>| {
                                assert!(
                                    bits(c) == want,
                                    "{what} {m}x{k}x{n} {kernels:?} {threads}"
                                );
                                c.fill(-7.0);
                            };
                            gemm::gemm_plus(kernels, (m, n, k), x, y, bias, &mut c);
                            check("rows, rows", &mut c);
                            let (x2, y2) = (xt.transposed(), yt.transposed());
                            gemm::gemm_plus(kernels, (m, n, k), x2, y2, bias, &mut c);
                            check("columns, columns", &mut c);
                            let left = Packed::new(Cut::new(kernels, Side::Left, m), k, &xt);
                            let right =
                                Packed::new(Cut::new(kernels, Side::Right, n), k, &yt.transposed());

                            let (l, r) = (Operand::Packed(&left), Operand::Packed(&right));
                            gemm::multiply(kernels, (m, n, k), l, r, into(&mut c, bias));
                            check("packed, packed", &mut c);
                            gemm::multiply(
                                kernels,
                                (m, n, k),
                                Operand::Lazy(&xt),
                                r,
                                into(&mut c, bias),
                            );
                            check("lazy, packed", &mut c);
                            gemm::multiply(
                                kernels,
                                (m, n, k),
                                l,
                                Operand::Lazy(&y),
                                into(&mut c, bias),
                            );
                            check("packed, lazy", &mut c);
                        });
                    }
                }
            }
        }
    }
}

#[test]
fn a_row_alone_equals_the_row_in_a_batch() {
    let (m, n, k) = (23, 131, 1501);
    let (a, b) = (numbers(m * k, 5, false), numbers(k * n, 6, false));
    for kernels in Kernels::available() {
        let mut all = vec![0f32; m * n];
        let y = Mat::rows(&b, n);
        gemm::gemm_plus(
            kernels,
            (m, n, k),
            Mat::rows(&a, k),
            y,
            Bias::None,
            &mut all,
        );
        for i in [0, 7, 22] {
            let mut one = vec![0f32; n];
            let row = Mat::rows(&a[i * k..(i + 1) * k], k);
            gemm::gemm_plus(kernels, (1, n, k), row, y, Bias::None, &mut one);
            assert_eq!(
                bits(&one),
                bits(&all[i * n..(i + 1) * n]),
                "{kernels:?} row {i}"
            );
        }
    }
}
