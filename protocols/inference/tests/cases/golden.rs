//! Golden bytes: ids, traces and outputs that others compute too. A change here
//! is a change of the protocol and needs a new `RUNTIME_VERSION`.

use aether_inference::{Kernels, Run, RunLimits, Status, Tensor, execute};

use crate::support::conformance::header;
use crate::support::model::{A, Builder, D, F32, floats, noise, small_cnn};

fn hex(b: &[u8]) -> String {
    b.iter().map(|b| format!("{b:02x}")).collect()
}

#[test]
fn the_small_classifier_has_these_bytes() {
    let program = small_cnn().program();
    let inputs = [noise(&[1, 1, 28, 28], 9)];
    let header = header(&program, &inputs);
    let out = execute(&program, &header, &inputs, &RunLimits::default()).expect("runs");
    assert_eq!(out.status, Status::Done);
    let last = out.trace.last().expect("not empty");
    let got = format!(
        "model {}\ninput {}\nelement 0 {}\nelement {} {}\noutput {}\ngas {}\n",
        hex(&program.id().0),
        hex(&inputs[0].digest()),
        hex(&out.trace[0]),
        out.trace.len() - 1,
        hex(last),
        hex(&out.outputs[0].digest()),
        out.gas_used
    );
    assert_eq!(got, include_str!("small_cnn.golden"));
}

/// The trace of a run on given kernels and threads.
fn trace(
    program: &aether_inference::Program,
    inputs: &[Tensor],
    k: Kernels,
    threads: usize,
) -> Vec<[u8; 31]> {
    let header = header(program, inputs);
    let mut run = Run::start(program, &header, inputs, &RunLimits::default()).expect("starts");
    run.set_kernels(k);
    run.set_threads(threads);
    let mut trace = vec![header.element()];
    run.finish(|record| trace.push(record.element));
    assert_eq!(run.state().status, Status::Done);
    trace
}

#[test]
fn every_instruction_set_and_number_of_threads_gives_the_same_trace() {
    let unary = [
        "Exp",
        "Log",
        "Tanh",
        "Sigmoid",
        "Erf",
        "Softplus",
        "Sqrt",
        "Reciprocal",
        "Elu",
        "Selu",
        "HardSigmoid",
        "HardSwish",
        "Floor",
        "Round",
        "Neg",
        "Abs",
        "Relu",
    ];
    let mut all = vec![
        (small_cnn().program(), vec![noise(&[3, 1, 28, 28], 10)]),
        (
            matrices(),
            vec![noise(&[5, 613], 11), noise(&[613, 131], 12)],
        ),
        (
            matrices(),
            vec![noise(&[61, 257], 13), noise(&[257, 3], 14)],
        ),
        (
            matrices(),
            vec![noise(&[1, 1000], 15), noise(&[1000, 100], 16)],
        ),
        (normalised(), vec![noise(&[7, 333], 17)]),
    ];
    for op in unary {
        let program = Builder::default()
            .input("x", F32, &[D::S("n")])
            .output("y", F32, &[D::S("n")])
            .node(op, &["x"], &["y"], &[])
            .program();
        all.push((program, vec![special_values()]));
    }
    for (program, inputs) in &all {
        let want = trace(program, inputs, Kernels::Portable, 1);
        for k in Kernels::available() {
            for threads in [1, 2, 7] {
                assert_eq!(
                    trace(program, inputs, k, threads),
                    want,
                    "{k:?}, {threads} threads, {:?}",
                    program.operator(0)
                );
            }
        }
    }
    println!(
        "traces compared on {:?}: {}",
        Kernels::available(),
        all.len()
    );
}

/// Zeros, infinities, denormals, NaNs with payloads, and a sweep of bit patterns.
fn special_values() -> Tensor {
    let bits = [
        0x0000_0000u32,
        0x8000_0000,
        0x7f80_0000,
        0xff80_0000,
        0x7fc0_0000,
        0xffc0_1234,
        0x7f80_0001,
        0x0000_0001,
        0x8000_0001,
        0x007f_ffff,
        0x0080_0000,
        0x7f7f_ffff,
        0xff7f_ffff,
        0x3f80_0000,
    ];
    let sweep = (0..5000u32).map(|i| i.wrapping_mul(0x9e37_79b1));
    let v: Vec<f32> = bits.into_iter().chain(sweep).map(f32::from_bits).collect();
    floats(&[v.len()], &v)
}

fn matrices() -> aether_inference::Program {
    Builder::default()
        .input("a", F32, &[D::S("m"), D::S("k")])
        .input("b", F32, &[D::S("k"), D::S("n")])
        .output("c", F32, &[D::S("m"), D::S("n")])
        .node("MatMul", &["a", "b"], &["c"], &[])
        .program()
}

fn normalised() -> aether_inference::Program {
    Builder::default()
        .input("x", F32, &[D::S("m"), D::N(333)])
        .output("y", F32, &[D::S("m"), D::N(333)])
        .weight("scale", &noise(&[333], 18))
        .node("LayerNormalization", &["x", "scale"], &["n"], &[])
        .node("Softmax", &["n"], &["y"], &[])
        .program()
}

#[test]
fn nan_results_are_canonical_whatever_the_inputs_payload() {
    let program = Builder::default()
        .input("x", F32, &[D::S("n")])
        .output("y", F32, &[D::S("n")])
        .node("Add", &["x", "x"], &["y"], &[])
        .program();
    let x = floats(
        &[3],
        &[
            f32::from_bits(0xffc0_1234),
            f32::from_bits(0x7f80_0001),
            1.0,
        ],
    );
    let inputs = [x];
    let out = execute(
        &program,
        &header(&program, &inputs),
        &inputs,
        &RunLimits::default(),
    );
    let out = out.expect("runs").outputs;
    let bits: Vec<u32> = out[0]
        .view::<f32>()
        .expect("floats")
        .iter()
        .map(|x| x.to_bits())
        .collect();
    assert_eq!(bits, [0x7fc0_0000, 0x7fc0_0000, 0x4000_0000]);
}

#[test]
fn a_row_does_not_depend_on_its_batch() {
    let program = matrices();
    let (k, n) = (1777, 77);
    let b = noise(&[k, n], 20);
    let batch = noise(&[33, k], 21);
    let run = |a: Tensor| {
        let inputs = [a, b.clone()];
        let header = header(&program, &inputs);
        let out = execute(&program, &header, &inputs, &RunLimits::default()).expect("runs");
        out.outputs[0].to_le_bytes()
    };
    let whole = run(batch.clone());
    for row in [0, 7, 8, 31, 32] {
        let one = &batch.view::<f32>().expect("floats")[row * k..(row + 1) * k];
        assert_eq!(
            run(floats(&[1, k], one)),
            whole[row * n * 4..(row + 1) * n * 4],
            "row {row}"
        );
    }
}

#[test]
fn names_of_inner_values_do_not_change_the_model_id() {
    let with = |inner: &str, weight: f32| {
        Builder::default()
            .input("x", F32, &[D::N(1)])
            .output("y", F32, &[D::N(1)])
            .weight("w", &floats(&[1], &[weight]))
            .node("Add", &["x", "w"], &[inner], &[])
            .node("Exp", &[inner], &["y"], &[])
            .program()
            .id()
    };
    assert_eq!(with("a", 1.0), with("b", 1.0));
    assert_ne!(with("a", 1.0), with("a", -1.0));
}

/// The rule of a convolution, written out: one chain over (channel, ky, kx), the
/// padding as +0, the bias last.
struct Conv {
    channels: usize,
    group: usize,
    maps: usize,
    size: [usize; 2],
    kernel: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
    pads: [usize; 4],
}

impl Conv {
    fn by_the_rule(&self, x: &[f32], w: &[f32], b: &[f32]) -> (Vec<f32>, [usize; 2]) {
        let [h, wd] = self.size;
        let out = [0, 1].map(|i| {
            let padded = self.size[i] + self.pads[i] + self.pads[2 + i];
            (padded - ((self.kernel[i] - 1) * self.dilation[i] + 1)) / self.stride[i] + 1
        });
        let (cg, mg) = (self.channels / self.group, self.maps / self.group);
        let mut y = Vec::new();
        for m in 0..self.maps {
            for oy in 0..out[0] {
                for ox in 0..out[1] {
                    let mut acc = 0f32;
                    for c in 0..cg {
                        for ky in 0..self.kernel[0] {
                            for kx in 0..self.kernel[1] {
                                let iy = (oy * self.stride[0] + ky * self.dilation[0])
                                    .checked_sub(self.pads[0]);
                                let ix = (ox * self.stride[1] + kx * self.dilation[1])
                                    .checked_sub(self.pads[1]);
                                let v = match (iy, ix) {
                                    (Some(iy), Some(ix)) if iy < h && ix < wd => {
                                        x[((m / mg * cg + c) * h + iy) * wd + ix]
                                    }
                                    _ => 0.0,
                                };
                                let tap = (c * self.kernel[0] + ky) * self.kernel[1] + kx;
                                let at = m * cg * self.kernel[0] * self.kernel[1] + tap;
                                acc = w[at].mul_add(v, acc);
                            }
                        }
                    }
                    y.push(acc + b[m]);
                }
            }
        }
        (y, out)
    }
}

#[test]
fn a_convolution_is_the_written_rule_bit_for_bit() {
    let c = |channels, group, maps, size, kernel, stride, dilation, pads| Conv {
        channels,
        group,
        maps,
        size,
        kernel,
        stride,
        dilation,
        pads,
    };
    let cases = [
        c(3, 1, 5, [9, 11], [3, 3], [1, 1], [1, 1], [1, 1, 1, 1]),
        c(4, 2, 6, [13, 50], [3, 5], [2, 3], [1, 2], [2, 0, 1, 4]),
        c(6, 6, 6, [20, 20], [3, 3], [1, 1], [1, 1], [1, 1, 1, 1]),
        c(6, 6, 12, [20, 21], [5, 5], [2, 2], [1, 1], [2, 2, 2, 2]),
        c(64, 1, 9, [7, 7], [1, 1], [1, 1], [1, 1], [0, 0, 0, 0]),
        c(64, 1, 9, [7, 7], [1, 1], [2, 2], [1, 1], [0, 0, 0, 0]),
        c(40, 1, 10, [64, 1], [5, 1], [1, 1], [1, 1], [0, 0, 0, 0]),
        c(40, 1, 10, [1, 64], [1, 5], [1, 2], [1, 3], [0, 6, 0, 6]),
        c(5, 1, 3, [4, 4], [4, 4], [1, 1], [1, 1], [3, 3, 3, 3]),
        c(50, 1, 50, [1, 1], [1, 1], [1, 1], [1, 1], [0, 0, 0, 0]),
        c(2, 1, 2, [3, 3], [2, 2], [5, 5], [1, 1], [4, 4, 4, 4]),
    ];
    for (i, c) in cases.iter().enumerate() {
        let seed = i as u64 * 10;
        let x = noise(&[1, c.channels, c.size[0], c.size[1]], seed);
        let w = noise(
            &[c.maps, c.channels / c.group, c.kernel[0], c.kernel[1]],
            seed + 1,
        );
        let b = noise(&[c.maps], seed + 2);
        let list = |v: &[usize]| A::Ints(v.iter().map(|&v| v as i64).collect());
        let program = Builder::default()
            .input("x", F32, &[D::S("n"), D::S("c"), D::S("h"), D::S("w")])
            .output("y", F32, &[])
            .weight("w", &w)
            .weight("b", &b)
            .node(
                "Conv",
                &["x", "w", "b"],
                &["y"],
                &[
                    ("group", A::Int(c.group as i64)),
                    ("strides", list(&c.stride)),
                    ("dilations", list(&c.dilation)),
                    ("pads", list(&c.pads)),
                ],
            )
            .program();
        let f = |t: &Tensor| t.view::<f32>().expect("floats").to_vec();
        let (want, [h, wd]) = c.by_the_rule(&f(&x), &f(&w), &f(&b));
        let want = floats(&[1, c.maps, h, wd], &want);
        for k in Kernels::available() {
            let header = header(&program, std::slice::from_ref(&x));
            let inputs = [x.clone()];
            let mut run =
                Run::start(&program, &header, &inputs, &RunLimits::default()).expect("starts");
            run.set_kernels(k);
            while run.step().is_some() {}
            let got = run.outputs().expect("done");
            assert_eq!(got[0].shape(), want.shape());
            assert_eq!(
                got[0].to_le_bytes(),
                want.to_le_bytes(),
                "case {i} on {k:?}"
            );
        }
    }
}
