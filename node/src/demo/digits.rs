//! The demo's model and real inputs: held-back handwritten digits.
//!
//! Format and provenance are in `node/demo/README.md`.

use aether_inference::{Tensor, encode_inputs};

/// A small convolutional classifier, trained by `node/demo/train.py`.
pub const MODEL: &[u8] = include_bytes!("../../demo/digits.onnx");
const DIGITS: &[u8] = include_bytes!("../../demo/digits.bin");

const MAGIC: &[u8; 8] = b"AETHDGT1";
const SIDE: usize = 8;
const PIXELS: usize = SIDE * SIDE;
/// Largest pixel; inputs are scaled to 0..1 by it, exactly.
const WHITE: f32 = 16.0;

/// A digit that the model has not learnt.
#[derive(Clone)]
pub(super) struct Digit {
    /// Row by row, 0..=16.
    pub pixels: [u8; PIXELS],
    /// What it is.
    pub label: u8,
}

/// All held-back digits.
pub(super) fn digits() -> Vec<Digit> {
    let Some(body) = DIGITS.strip_prefix(MAGIC).and_then(|rest| rest.get(4..)) else {
        return Vec::new();
    };
    body.chunks_exact(PIXELS + 1)
        .map(|record| {
            let mut pixels = [0; PIXELS];
            pixels.copy_from_slice(&record[..PIXELS]);
            Digit {
                pixels,
                label: record[PIXELS],
            }
        })
        .collect()
}

impl Digit {
    /// The model's input, encoded as a job carries it.
    pub(super) fn encoded(&self) -> Result<Vec<u8>, String> {
        Ok(encode_inputs(&[("image", &self.tensor()?)]))
    }

    /// The model's input: f32 `[1, 1, 8, 8]`.
    pub(super) fn tensor(&self) -> Result<Tensor, String> {
        let scaled: Vec<f32> = self.pixels.iter().map(|p| f32::from(*p) / WHITE).collect();
        Tensor::from_vec(&[1, 1, SIDE, SIDE], scaled).map_err(|e| e.to_string())
    }

    /// For people: eight lines of two characters a pixel.
    pub(super) fn drawing(&self) -> Vec<String> {
        const INK: [char; 5] = [' ', '░', '▒', '▓', '█'];
        self.pixels
            .chunks(SIDE)
            .map(|row| {
                row.iter()
                    .flat_map(|p| {
                        let ink = INK[usize::from(*p).min(16) * 4 / 16];
                        [ink, ink]
                    })
                    .collect()
            })
            .collect()
    }
}

/// The first digit as an input file for `aether job post`.
pub fn first_digit_json() -> String {
    let pixels: Vec<f32> = digits()
        .first()
        .map(|d| d.pixels.iter().map(|p| f32::from(*p) / WHITE).collect())
        .unwrap_or_default();
    serde_json::json!({ "image": { "shape": [1, 1, SIDE, SIDE], "data": pixels } }).to_string()
}

/// The class with the highest probability, and that probability.
pub(super) fn prediction(probabilities: &[f32]) -> Option<(usize, f32)> {
    let mut best: Option<(usize, f32)> = None;
    for (class, &p) in probabilities.iter().enumerate() {
        if best.is_none_or(|(_, q)| p > q) {
            best = Some((class, p));
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use aether_inference::{Limits, Program, RunLimits, TraceHeader, execute};

    #[test]
    fn the_model_reads_357_of_360_held_back_digits() {
        let program = Program::from_onnx(MODEL, &Limits::default()).unwrap();
        let all = digits();
        assert_eq!(all.len(), 360);
        let mut right = 0;
        for digit in &all {
            let inputs = [digit.tensor().unwrap()];
            let header = TraceHeader::new([0; 32], [0; 32], program.id(), &inputs, 0);
            let outcome = execute(&program, &header, &inputs, &RunLimits::default()).unwrap();
            assert!(outcome.trace.len() > 6, "at least six steps");
            let probabilities = outcome.outputs[0].view::<f32>().unwrap();
            let (class, _) = prediction(probabilities).unwrap();
            right += usize::from(class == usize::from(digit.label));
        }
        assert_eq!(right, 357);
    }

    #[test]
    fn no_step_costs_more_than_a_third_of_the_run() {
        let program = Program::from_onnx(MODEL, &Limits::default()).unwrap();
        let inputs = [digits()[0].tensor().unwrap()];
        let header = TraceHeader::new([0; 32], [0; 32], program.id(), &inputs, 0);
        let outcome = execute(&program, &header, &inputs, &RunLimits::default()).unwrap();
        let largest = *outcome.step_gas.iter().max().unwrap();
        assert!(
            largest * 10 <= outcome.gas_used * 3,
            "{:?}",
            outcome.step_gas
        );
    }
}
