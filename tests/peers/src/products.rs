//! Matrix products with constant weights.

use aether_inference::{Kernels, bench};
use anyhow::Result;
use serde_json::{Value, json};

use crate::ort::Ort;
use crate::{Options, cpu, table};

/// (m, k, n)
const SHAPES: &[(usize, usize, usize)] = &[
    (1, 768, 3072),
    (8, 768, 3072),
    (128, 768, 768),
    (512, 512, 512),
    (1024, 1024, 1024),
    (64, 576, 3136),
];

/// The numbers that every contestant multiplies.
pub(crate) fn numbers(count: usize, seed: u64) -> Vec<f32> {
    (0..count as u64)
        .map(|i| ((i * 7919 + seed * 13) % 1000) as f32 / 500.0 - 1.0)
        .collect()
}

pub(crate) fn measure(options: &Options) -> Result<Value> {
    let mut ort = Ort::start()?;
    let versions = ["gemm", "matrixmultiply"].map(|p| format!("{p} {}", table::version(p)));
    let versions = format!("onnxruntime {}, {}", ort.version, versions.join(", "));
    println!("products, GFLOP/s; {versions}");
    let head = [
        "m×k×n",
        "ours",
        "ort",
        "ours/ort",
        "avx2",
        "unpacked",
        "gemm",
        "matrixmul",
    ];
    table::line(&head.map(String::from));
    let mut rows = Vec::new();
    let mut ratios = Vec::new();
    for &(m, k, n) in SHAPES {
        let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
        let mut c = vec![0f32; m * n];
        let flops = (2 * m * k * n) as f64;
        let repeats = ((1e8 / flops) as usize).max(1);
        ort.ask(&format!("product {m} {k} {n}"))?;
        let best = Kernels::best();
        let paths = [best, Kernels::Avx2].map(|p| (p, bench::Weights::new(p, k, n, &b)));
        // Ours, onnxruntime, ours on AVX2, ours with nothing packed before, and
        // two libraries that always pack anew.
        let mut least = [f64::INFINITY; 6];
        for _ in 0..options.rounds {
            for (slot, (path, weights)) in [0, 2].into_iter().zip(&paths) {
                let (t, ()) = cpu::time(|| {
                    (0..repeats).for_each(|_| weights.multiply(*path, m, &a, &mut c));
                });
                least[slot] = least[slot].min(t / repeats as f64);
            }
            least[1] = least[1].min(ort.run(repeats)?);
            let (t, ()) = cpu::time(|| {
                (0..repeats).for_each(|_| bench::multiply(best, (m, k, n), &a, &b, &mut c));
            });
            least[3] = least[3].min(t / repeats as f64);
            for (slot, multiply) in [(4, gemm as Multiply), (5, matrixmultiply)] {
                let (t, ()) = cpu::time(|| {
                    (0..repeats).for_each(|_| multiply((m, k, n), &a, &b, &mut c));
                });
                least[slot] = least[slot].min(t / repeats as f64);
            }
        }
        let speed = least.map(|t| flops / t);
        let ratio = speed[0] / speed[1];
        ratios.push(ratio);
        table::line(&[
            format!("{m}×{k}×{n}"),
            format!("{:.1}", speed[0]),
            format!("{:.1}", speed[1]),
            format!("{ratio:.2}"),
            format!("{:.1}", speed[2]),
            format!("{:.1}", speed[3]),
            format!("{:.1}", speed[4]),
            format!("{:.1}", speed[5]),
        ]);
        rows.push(json!({
            "m": m, "k": k, "n": n, "ours": speed[0], "onnxruntime": speed[1],
            "ratio": ratio, "ours_avx2": speed[2], "ours_unpacked": speed[3],
            "gemm": speed[4], "matrixmultiply": speed[5],
        }));
    }
    let mean = table::geometric_mean(&ratios);
    println!("geometric mean of ours/ort: {mean:.3}\n");
    Ok(json!({"versions": versions, "shapes": rows, "geometric_mean": mean}))
}

/// `c = a · b` with (m, k, n), all row-major.
type Multiply = fn((usize, usize, usize), &[f32], &[f32], &mut [f32]);

fn gemm((m, k, n): (usize, usize, usize), a: &[f32], b: &[f32], c: &mut [f32]) {
    assert_eq!((a.len(), b.len(), c.len()), (m * k, k * n, m * n), "sizes");
    let (rows, columns) = (n as isize, k as isize);
    // SAFETY: pointers and strides are those of three row-major matrices of the
    // sizes checked above, and `c` overlaps neither `a` nor `b`.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            c.as_mut_ptr(),
            1,
            rows,
            false,
            a.as_ptr(),
            1,
            columns,
            b.as_ptr(),
            1,
            rows,
            0f32,
            1f32,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

fn matrixmultiply((m, k, n): (usize, usize, usize), a: &[f32], b: &[f32], c: &mut [f32]) {
    assert_eq!((a.len(), b.len(), c.len()), (m * k, k * n, m * n), "sizes");
    let (rows, columns) = (n as isize, k as isize);
    let (a, b, c) = (a.as_ptr(), b.as_ptr(), c.as_mut_ptr());
    // SAFETY: as above.
    unsafe {
        matrixmultiply::sgemm(m, k, n, 1.0, a, columns, 1, b, rows, 1, 0.0, c, rows, 1);
    }
}
