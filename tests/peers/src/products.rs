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
    println!("products, GFLOP/s; onnxruntime {}", ort.version);
    table::line(&["m×k×n", "ours", "ort", "ours/ort", "avx2", "unpacked"].map(String::from));
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
        // Ours, onnxruntime, ours on AVX2, ours with nothing packed before.
        let mut least = [f64::INFINITY; 4];
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
        ]);
        rows.push(json!({
            "m": m, "k": k, "n": n, "ours": speed[0], "onnxruntime": speed[1],
            "ratio": ratio, "ours_avx2": speed[2], "ours_unpacked": speed[3],
        }));
    }
    let mean = table::geometric_mean(&ratios);
    println!("geometric mean of ours/ort: {mean:.3}\n");
    Ok(json!({"shapes": rows, "geometric_mean": mean}))
}
