//! Real models, end to end, on real inputs with answers that a person knows and
//! on made-up ones: against onnxruntime's outputs in `tests/models` (made by
//! `generate.py` there). Prints the greatest error and the time per run.

use std::path::{Path, PathBuf};
use std::time::Instant;

use aether_inference::{Data, Limits, Program, RunLimits, Status, Tensor, execute};

use crate::support::conformance::header;
use crate::support::model::noise;
use crate::support::real::{self, halved, kept, speech};

/// The folder of real models, as `.ci/fetch-models` fills it, with all of them.
fn folder() -> Option<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|h| PathBuf::from(h).join(".cache")));
    let dir = std::env::var_os("AETHER_MODELS")
        .map(PathBuf::from)
        .or_else(|| cache.map(|c| c.join("aether/models/magika-1.0.3")))?;
    if dir.join("minilm.onnx").is_file() {
        return Some(dir);
    }
    println!("SKIPPED: no real models in {}", dir.display());
    let required = std::env::var("AETHER_MODELS_REQUIRED").is_ok_and(|v| v == "1");
    assert!(!required, "run .ci/fetch-models: {}", dir.display());
    None
}

/// A loaded model.
struct Model(Program);

impl Model {
    fn load(dir: &Path, file: &str) -> Self {
        let bytes = std::fs::read(dir.join(file)).expect("a model file");
        let program = Program::from_onnx(&bytes, &Limits::default());
        Self(program.unwrap_or_else(|e| panic!("{file}: {e}")))
    }

    fn run(&self, inputs: &[Tensor]) -> Vec<Tensor> {
        let header = header(&self.0, inputs);
        let out = execute(&self.0, &header, inputs, &RunLimits::default()).expect("starts");
        assert_eq!((out.status, out.trap), (Status::Done, None));
        out.outputs
    }
}

/// The model of a case, on its inputs, compared with what onnxruntime said.
fn check(dir: &Path, case: &str, bound: f32) -> Vec<Tensor> {
    let case = real::case(case);
    let (model, inputs) = (Model::load(dir, case.file), (case.inputs)(dir));
    let start = Instant::now();
    let out = model.run(&inputs);
    compare(case.case, &out, bound, start.elapsed().as_secs_f64() * 1e3);
    out
}

fn floats(t: &Tensor) -> &[f32] {
    t.view().expect("floats")
}

/// Compares with NAME.f32: every k-th element, at most `bound` of the greatest
/// magnitude away.
fn compare(case: &str, outputs: &[Tensor], bound: f32, ms: f64) {
    let all: Vec<f32> = outputs.iter().flat_map(|t| floats(t).to_vec()).collect();
    let got: Vec<f32> = (all.iter().copied())
        .step_by(all.len().div_ceil(4096))
        .collect();
    let want: Vec<f32> = kept(&format!("{case}.f32"))
        .as_chunks::<4>()
        .0
        .iter()
        .map(|b| f32::from_le_bytes(*b))
        .collect();
    assert_eq!(got.len(), want.len(), "{case}: elements");
    // Outputs that are all but 0 everywhere say little: none counts below 1e-3.
    let scale = want.iter().fold(1e-3f32, |m, w| m.max(w.abs()));
    let off = got.iter().zip(&want).fold(0f32, |m, (g, w)| {
        let d = (g - w).abs() / scale;
        // A NaN is infinitely far away.
        if d >= m || d.is_nan() { d } else { m }
    });
    println!(
        "{case}: {} elements, greatest error {off:.1e} of {scale:.3}, {ms:.1} ms",
        got.len()
    );
    assert!(off <= bound, "{case}: error {off:e} above {bound:e}");
}

fn argmax(v: &[f32]) -> usize {
    (0..v.len()).fold(0, |m, i| if v[i] > v[m] { i } else { m })
}

/// The JSON list of strings under `key`, for the plain files that we read.
fn strings(json: &str, key: &str) -> Vec<String> {
    let from = json.find(&format!("\"{key}\"")).expect("the key");
    let list = &json[from..];
    let list = &list[list.find('[').unwrap() + 1..list.find(']').unwrap()];
    list.split(',')
        .map(|s| s.trim().trim_matches('"').to_owned())
        .collect()
}

#[test]
fn magika_tells_markdown_from_python() {
    let Some(dir) = folder() else { return };
    let config = std::fs::read_to_string(dir.join("config.min.json")).unwrap();
    let labels = strings(&config, "target_labels_space");
    for (case, label) in [("magika_md", "markdown"), ("magika_py", "python")] {
        let out = check(&dir, case, 1e-4);
        assert_eq!(labels[argmax(floats(&out[0]))], label, "{case}");
    }
}

#[test]
fn the_direction_classifier_sees_a_line_upside_down() {
    let Some(dir) = folder() else { return };
    let up = check(&dir, "cls_line", 1e-4);
    let down = check(&dir, "cls_turned", 1e-4);
    assert!(floats(&up[0])[0] > 0.9 && floats(&down[0])[1] > 0.9);
    check(&dir, "cls_noise", 1e-4);
}

/// The characters in the recogniser's metadata, after the blank.
fn characters(dir: &Path) -> Vec<String> {
    let file = std::fs::read(dir.join("ppocr_rec.onnx")).unwrap();
    let key = b"\x0a\x09character\x12";
    let at = file.windows(key.len()).position(|w| w == key).unwrap() + key.len();
    // The length, a varint.
    let end = at + file[at..].iter().position(|b| b & 0x80 == 0).unwrap();
    let len = file[at..=end]
        .iter()
        .rev()
        .fold(0, |n, b| n << 7 | (b & 0x7f) as usize);
    let text = std::str::from_utf8(&file[end + 1..end + 1 + len]).unwrap();
    let lines = text.lines().map(str::to_owned);
    std::iter::once(String::new())
        .chain(lines)
        .chain(std::iter::once(" ".into()))
        .collect()
}

#[test]
fn the_recogniser_reads_a_line_of_text() {
    let Some(dir) = folder() else { return };
    let out = check(&dir, "rec_line", 1e-3);
    let keys = characters(&dir);
    let (mut said, mut last) = (String::new(), 0);
    for row in floats(&out[0]).chunks_exact(*out[0].shape().last().unwrap()) {
        let best = argmax(row);
        if best != last {
            said.push_str(&keys[best]);
        }
        last = best;
    }
    println!("PP-OCR reads {said:?}");
    assert_eq!(said, "Same bits on every CPU");
    check(&dir, "rec_noise", 1e-3);
}

#[test]
fn the_detector_finds_two_words_on_a_page() {
    let Some(dir) = folder() else { return };
    let out = check(&dir, "det_page", 1e-3);
    let map = floats(&out[0]);
    let mean = |rows: std::ops::Range<usize>, columns: std::ops::Range<usize>| {
        let area = (rows.len() * columns.len()) as f32;
        let part = rows.flat_map(|r| &map[r * 224..][columns.clone()]);
        part.sum::<f32>() / area
    };
    assert!(mean(30..38, 30..110) > 0.7, "the first word");
    assert!(mean(95..105, 120..180) > 0.7, "the second word");
    assert!(mean(60..70, 10..90) < 0.05, "between them");
    check(&dir, "det_noise", 1e-3);
}

/// Speech probabilities window by window; the state goes from run to run.
fn voice(model: &Model, case: &str, samples: &[f32], rate: i64) -> Vec<f32> {
    let (window, context) = real::sizes(rate);
    let mut state = Tensor::new(&[2, 1, 128], Data::F32(vec![0.0; 256])).unwrap();
    let mut before = vec![0f32; context];
    let (mut said, start) = (Vec::new(), Instant::now());
    for now in samples.chunks_exact(window) {
        let x = [&before, now].concat();
        before = x[window..].to_vec();
        let x = Tensor::new(&[1, window + context], Data::F32(x)).unwrap();
        let named = [("input", x), ("state", state), ("sr", Tensor::scalar(rate))];
        let named = named.map(|(n, t)| (n.to_owned(), t)).to_vec();
        let inputs = model.0.order_inputs(named).expect("the inputs' names");
        let mut out = model.run(&inputs);
        state = out.pop().expect("a state");
        said.push(floats(&out[0])[0]);
    }
    let ms = start.elapsed().as_secs_f64() * 1e3 / said.len() as f64;
    let all = Tensor::new(&[said.len()], Data::F32(said.clone())).unwrap();
    compare(case, &[all, state], 1e-3, ms);
    said
}

#[test]
fn the_voice_detectors_tell_speech_from_silence() {
    let Some(dir) = folder() else { return };
    let speech = speech();
    let half = halved(&speech);
    let hiss = noise(&[8192], 14);
    let quiet: Vec<f32> = floats(&hiss).iter().map(|v| v * 0.001).collect();
    for (file, tag) in [
        ("silero_vad.onnx", "vad"),
        ("silero_vad_ifless.onnx", "vad_ifless"),
    ] {
        let model = Model::load(&dir, file);
        for (case, samples, rate) in [("speech16", &speech, 16000), ("speech8", &half, 8000)] {
            let said = voice(&model, &format!("{tag}_{case}"), samples, rate);
            assert!(said.iter().any(|&p| p > 0.9), "{file} hears {case}");
        }
        let said = voice(&model, &format!("{tag}_quiet"), &quiet, 16000);
        assert!(said.iter().all(|&p| p < 0.1), "{file} hears nothing");
    }
    check(&dir, "vad_sequence", 1e-3);
}

#[test]
fn the_yolo_detector_finds_the_astronauts_face() {
    let Some(dir) = folder() else { return };
    let out = check(&dir, "nudenet_face", 1e-3);
    // Rows: x, y, width, height, then 18 classes; 1 is a woman's face.
    let (v, n) = (floats(&out[0]), out[0].shape()[2]);
    let best = argmax(&v[4 * n..]);
    let (class, at) = (best / n, best % n);
    assert_eq!((class, v[(4 + class) * n + at] > 0.5), (1, true));
    assert!((v[at] - 79.0).abs() < 10.0 && (v[n + at] - 109.0).abs() < 10.0);
    check(&dir, "nudenet_noise", 1e-3);
}

#[test]
fn the_quantised_lstm_puts_vowels_on_a_greeting() {
    let Some(dir) = folder() else { return };
    // The marks that the greeting needs.
    let marks = [
        35, 61, 30, 23, 23, 38, 23, 23, 23, 61, 38, 61, 61, 23, 23, 61, 23, 38, 46, 23, 46, 30, 46,
    ];
    // A value next to a rounding boundary may be quantised one step away.
    let out = check(&dir, "rawi_text", 2e-3);
    let classes = *out[0].shape().last().unwrap();
    let said: Vec<usize> = floats(&out[0]).chunks_exact(classes).map(argmax).collect();
    assert_eq!(said, marks);
    check(&dir, "rawi_made", 2e-3);
}

#[test]
fn sentences_about_cats_are_alike() {
    let Some(dir) = folder() else { return };
    let means: Vec<Vec<f32>> = ["minilm_0", "minilm_1", "minilm_2"]
        .into_iter()
        .map(|case| {
            let out = check(&dir, case, 1e-4);
            let rows = floats(&out[0]);
            (0..384)
                .map(|c| rows.iter().skip(c).step_by(384).sum())
                .collect()
        })
        .collect();
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    let alike = |a: usize, b: usize| {
        let (a, b) = (&means[a], &means[b]);
        dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
    };
    println!("cats {:.3}, cat and bank {:.3}", alike(0, 1), alike(0, 2));
    assert!(alike(0, 1) > 0.5 && alike(0, 2) < 0.1);
    check(&dir, "minilm_made", 1e-4);
}

#[test]
fn resnet50_runs() {
    let Some(dir) = folder() else { return };
    check(&dir, "resnet_noise", 1e-4);
}
