//! Every way of convolving against the rule written out.

use super::conv::{Conv, Operands};
use super::gemm_tests::{bits, numbers};
use super::im2col::Window;
use super::math::canon;
use super::prepared::Prepared;
use super::{Kernels, split};

/// (y, x) pairs: input, kernel, stride, dilation, padding before and after.
type Plane = (
    [usize; 2],
    [usize; 2],
    [usize; 2],
    [usize; 2],
    [usize; 2],
    [usize; 2],
);

fn window((input, kernel, stride, dilation, before, after): Plane) -> Window {
    let output = |i: usize| {
        (input[i] + before[i] + after[i] - (kernel[i] - 1) * dilation[i] - 1) / stride[i] + 1
    };
    Window {
        input: [1, input[0], input[1]],
        output: [1, output(0), output(1)],
        kernel: [1, kernel[0], kernel[1]],
        stride: [1, stride[0], stride[1]],
        dilation: [1, dilation[0], dilation[1]],
        before: [0, before[0], before[1]],
    }
}

fn rule(c: &Conv, g: &Operands<'_>) -> Vec<u32> {
    let w = &c.window;
    let (area, taps) = (w.input_len(), w.taps());
    let [od, oh, ow] = w.output;
    let [kd, kh, kw] = w.kernel;
    let mut out = Vec::new();
    for n in 0..c.batch {
        for map in 0..c.groups * c.maps {
            let first = n * c.groups * c.channels + map / c.maps * c.channels;
            for o in 0..od * oh * ow {
                let at = [o / (oh * ow), o / ow % oh, o % ow];
                let mut chain = 0f32;
                for p in 0..c.channels * taps {
                    let tap = p % taps;
                    let t = [tap / (kh * kw) % kd, tap / kw % kh, tap % kw];
                    let source = [0, 1, 2].map(|a| w.source(a, at[a], t[a]));
                    let x = match source {
                        [Some(z), Some(y), Some(x)] => {
                            let plane = &g.x[(first + p / taps) * area..];
                            plane[(z * w.input[1] + y) * w.input[2] + x]
                        }
                        _ => 0.0,
                    };
                    chain = g.weights[map * c.channels * taps + p].mul_add(x, chain);
                }
                out.push(canon(g.bias.map_or(chain, |b| chain + b[map])).to_bits());
            }
        }
    }
    out
}

#[test]
fn every_path_of_a_convolution_computes_the_rule() {
    let one = [1, 1];
    let planes: &[Plane] = &[
        ([5, 7], [3, 3], one, one, one, one),
        ([9, 33], [3, 3], [2, 2], one, one, one),
        ([8, 8], [3, 3], [2, 2], one, [0, 0], one),
        ([11, 6], [5, 2], [1, 3], [2, 1], [3, 0], [0, 4]),
        ([7, 7], [1, 1], one, one, [0, 0], [0, 0]),
        ([7, 7], [1, 1], [2, 2], one, [0, 0], [0, 0]),
        ([1, 130], [1, 9], [1, 4], one, [0, 3], [0, 3]),
        ([3, 3], [3, 3], one, one, [0, 0], [0, 0]),
        ([4, 3], [2, 2], [1, 1], [1, 1], [5, 6], [7, 1]),
        ([17, 19], [3, 3], [3, 1], [1, 3], [2, 3], [2, 3]),
        ([30, 40], [5, 5], one, one, [2, 2], [2, 2]),
    ];
    // (groups, channels, maps) of each group.
    let sizes = [
        (1, 3, 20),
        (4, 1, 1),
        (2, 3, 5),
        (1, 9, 1),
        (1, 16, 33),
        (3, 2, 8),
    ];
    for &plane in planes {
        for (at, &(groups, channels, maps)) in sizes.iter().enumerate() {
            let mut window = window(plane);
            if at == 5 {
                // The same in depth, for the path of three dimensions.
                window.input[0] = 3;
                window.kernel[0] = 2;
                window.output[0] = 2;
            }
            let conv = Conv {
                batch: 2,
                groups,
                channels,
                maps,
                window,
            };
            for hostile in [false, true] {
                let x = numbers(2 * groups * channels * window.input_len(), 7, hostile);
                let weights = numbers(groups * maps * channels * window.taps(), 8, hostile);
                let bias = numbers(groups * maps, 9, hostile);
                let prepared = Prepared::default();
                for with in 0..3 {
                    let given = Operands {
                        x: &x,
                        weights: &weights,
                        bias: (with > 0).then_some(&bias),
                        prepared: (with > 1).then_some(&prepared),
                    };
                    let want = rule(&conv, &given);
                    for kernels in Kernels::available() {
                        let counts: &[usize] = if with == 2 { &[1, 2, 7] } else { &[1] };
                        for &threads in counts {
                            let mut out = vec![f32::NAN; want.len()];
                            split::with_threads(threads, || {
                                conv.run(kernels, given, &mut out);
                            });
                            assert!(
                                bits(&out) == want,
                                "{conv:?} {kernels:?}, {threads} threads, case {with}"
                            );
                        }
                    }
                }
            }
        }
    }
}
