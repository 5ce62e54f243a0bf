//! Real models: their files, and inputs for them, real ones whose answers a
//! person knows and made-up ones. Names of cases are those of `tests/models/*.f32`
//! where there is such a file. A voice detector's case is one window from a state
//! of zeros; `cases/models.rs` follows whole recordings.

use std::path::Path;

use aether_inference::{Data, Tensor};

use super::model::noise;

/// A case of a real model.
pub(crate) struct Real {
    pub(crate) case: &'static str,
    /// The model's file, in the folder that `.ci/fetch-models` prints.
    pub(crate) file: &'static str,
    /// Its inputs, given that folder.
    pub(crate) inputs: fn(&Path) -> Vec<Tensor>,
}

const fn real(case: &'static str, file: &'static str, inputs: fn(&Path) -> Vec<Tensor>) -> Real {
    Real { case, file, inputs }
}

/// A file of bytes as the file-type detector sees it.
const MAGIKA: &str = "model.onnx";
const CLS: &str = "ppocr_cls.onnx";
const REC: &str = "ppocr_rec.onnx";
const DET: &str = "ppocr_det.onnx";
const VAD: &str = "silero_vad.onnx";
const IFLESS: &str = "silero_vad_ifless.onnx";
const SEQUENCE: &str = "silero_vad_sequence.onnx";
const NUDENET: &str = "nudenet_320n.onnx";
const RAWI: &str = "rawi_int8.onnx";
const MINILM: &str = "minilm.onnx";
const RESNET: &str = "resnet50.onnx";

/// Every case of a real model.
pub(crate) const REAL: &[Real] = &[
    // A file of bytes: 2048 tokens, of which 256 is padding.
    real("magika", MAGIKA, |_| {
        let v = (0..2048i32).map(|i| i * 37 % 257).collect();
        vec![Tensor::new(&[1, 2048], Data::I32(v)).expect("shape and data agree")]
    }),
    real("magika_md", MAGIKA, |dir| vec![tokens(dir, "README.md")]),
    real("magika_py", MAGIKA, |dir| vec![tokens(dir, "magika.py")]),
    real("cls_line", CLS, |_| vec![grey("line.pgm", 192)]),
    real("cls_turned", CLS, |_| vec![turned(&grey("line.pgm", 192))]),
    real("cls_noise", CLS, |_| vec![noise(&[1, 3, 48, 192], 11)]),
    real("rec_line", REC, |_| vec![grey("line.pgm", 320)]),
    real("rec_noise", REC, |_| vec![noise(&[2, 3, 48, 96], 12)]),
    real("det_page", DET, |_| vec![grey("page.pgm", 224)]),
    real("det_noise", DET, |_| vec![noise(&[1, 3, 96, 160], 13)]),
    real("vad_window16", VAD, |_| {
        let [x, state, rate] = window(&speech(), 20, 16000);
        vec![x, state, rate]
    }),
    real("vad_window8", VAD, |_| {
        let [x, state, rate] = window(&halved(&speech()), 20, 8000);
        vec![x, state, rate]
    }),
    real("vad_ifless_window16", IFLESS, |_| {
        let [x, state, rate] = window(&speech(), 20, 16000);
        vec![x, rate, state]
    }),
    real("vad_ifless_window8", IFLESS, |_| {
        let [x, state, rate] = window(&halved(&speech()), 20, 8000);
        vec![x, rate, state]
    }),
    real("vad_sequence", SEQUENCE, |_| {
        let x = [&[0f32; 64][..], &speech()].concat();
        let rows: Vec<f32> = (0..=(x.len() - 576) / 512)
            .flat_map(|i| x[i * 512..][..576].to_vec())
            .collect();
        let zero = plane(&[1, 1, 128], vec![0.0; 128]);
        vec![plane(&[rows.len() / 576, 576], rows), zero.clone(), zero]
    }),
    real("nudenet_face", NUDENET, |_| vec![colours("face.ppm")]),
    real("nudenet_noise", NUDENET, |_| {
        vec![noise(&[1, 3, 96, 128], 15)]
    }),
    // "as-salamu alaykum wa rahmatu llah"
    real("rawi_text", RAWI, |_| {
        let ids = [
            150, 174, 162, 174, 150, 175, 3, 168, 174, 180, 173, 175, 3, 178, 160, 156, 175, 152,
            3, 150, 174, 174, 177,
        ];
        vec![ids_of(&[1, 23], ids)]
    }),
    real("rawi_made", RAWI, |_| {
        let made = (0..2).flat_map(|_| (0..24).map(|i| i * 7 % 60));
        vec![ids_of(&[2, 24], made)]
    }),
    // a cat sleeps on the sofa
    real("minilm_0", MINILM, |_| {
        sentence(&[101, 1037, 4937, 25126, 2006, 1996, 10682, 102])
    }),
    // the kitten is resting
    real("minilm_1", MINILM, |_| {
        sentence(&[101, 1996, 18401, 2003, 8345, 102])
    }),
    // the central bank raised interest rates
    real("minilm_2", MINILM, |_| {
        sentence(&[101, 1996, 2430, 2924, 2992, 3037, 6165, 102])
    }),
    real("minilm_made", MINILM, |_| {
        let ids = (0..2).flat_map(|_| (0..64).map(|i| 101 + i * 37));
        let mask = (0..2).flat_map(|b| (0..64).map(move |i| i64::from(b == 0 || i < 40)));
        vec![ids_of(&[2, 64], ids), ids_of(&[2, 64], mask)]
    }),
    real("resnet_noise", RESNET, |_| {
        vec![noise(&[1, 3, 224, 224], 16)]
    }),
];

/// The case of that name.
pub(crate) fn case(name: &str) -> &'static Real {
    let found = REAL.iter().find(|r| r.case == name);
    found.unwrap_or_else(|| panic!("no case {name}"))
}

/// A file of `tests/models`.
pub(crate) fn kept(name: &str) -> Vec<u8> {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/models")).join(name);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn plane(shape: &[usize], v: Vec<f32>) -> Tensor {
    Tensor::new(shape, Data::F32(v)).expect("shape and data agree")
}

fn ids_of(shape: &[usize], v: impl IntoIterator<Item = i64>) -> Tensor {
    Tensor::from_vec(shape, v.into_iter().collect()).expect("shape and data agree")
}

fn floats(t: &Tensor) -> &[f32] {
    t.view().expect("floats")
}

/// The first and the last 1024 bytes of a file's ends, without blanks around them.
fn tokens(dir: &Path, file: &str) -> Tensor {
    let data = std::fs::read(dir.join(file)).expect("a file of the package");
    let (head, tail) = (&data[..data.len().min(4096)], &data[data.len() - 4096..]);
    let begin = &head.trim_ascii_start()[..1024];
    let end = tail.trim_ascii_end();
    let end = &end[end.len() - 1024..];
    let tokens = begin.iter().chain(end).map(|&b| i32::from(b)).collect();
    Tensor::new(&[1, 2048], Data::I32(tokens)).expect("shape and data agree")
}

/// Pixels of a PGM or PPM file: (width, height, channels, bytes).
fn image(name: &str) -> (usize, usize, usize, Vec<u8>) {
    let file = kept(name);
    let mut at = 0;
    let mut word = || {
        let end = at + file[at..].iter().position(u8::is_ascii_whitespace).unwrap();
        let word = std::str::from_utf8(&file[at..end]).unwrap().to_owned();
        at = end + 1;
        word
    };
    let channels = if word() == "P6" { 3 } else { 1 };
    let (width, height) = (word().parse().unwrap(), word().parse().unwrap());
    assert_eq!(word(), "255");
    (width, height, channels, file[at..].to_vec())
}

/// Grey pixels, the first `columns` of each row, as 1×3×height×columns in (−1, 1).
fn grey(name: &str, columns: usize) -> Tensor {
    let (width, height, channels, bytes) = image(name);
    assert_eq!(channels, 1);
    let one: Vec<f32> = bytes
        .chunks_exact(width)
        .flat_map(|row| &row[..columns])
        .map(|&b| (f32::from(b) / 255.0 - 0.5) / 0.5)
        .collect();
    plane(&[1, 3, height, columns], one.repeat(3))
}

/// Coloured pixels as 1×channels×height×width in [0, 1].
fn colours(name: &str) -> Tensor {
    let (width, height, channels, bytes) = image(name);
    let planes = (0..channels).flat_map(|c| bytes.iter().skip(c).step_by(channels));
    let x = planes.map(|&b| f32::from(b) / 255.0).collect();
    plane(&[1, channels, height, width], x)
}

/// Turned by half a circle, plane by plane.
fn turned(line: &Tensor) -> Tensor {
    let mut v = floats(line).to_vec();
    let size = line.shape()[2] * line.shape()[3];
    v.chunks_exact_mut(size).for_each(<[f32]>::reverse);
    plane(line.shape(), v)
}

/// One second and a bit of speech, 16 kHz.
pub(crate) fn speech() -> Vec<f32> {
    let file = kept("speech.s16");
    let (samples, _) = file.as_chunks::<2>();
    let one = |b: &[u8; 2]| f32::from(i16::from_le_bytes(*b)) / 32768.0;
    samples.iter().map(one).collect()
}

/// At half the rate.
pub(crate) fn halved(samples: &[f32]) -> Vec<f32> {
    let (pairs, _) = samples.as_chunks::<2>();
    pairs.iter().map(|[a, b]| (a + b) * 0.5).collect()
}

/// A window's samples and those before it.
pub(crate) fn sizes(rate: i64) -> (usize, usize) {
    if rate == 16000 { (512, 64) } else { (256, 32) }
}

/// The samples of window `i` with those before it, a state of zeros, the rate.
fn window(samples: &[f32], i: usize, rate: i64) -> [Tensor; 3] {
    let (window, context) = sizes(rate);
    let x = samples[i * window - context..(i + 1) * window].to_vec();
    let state = plane(&[2, 1, 128], vec![0.0; 256]);
    [
        plane(&[1, window + context], x),
        state,
        Tensor::scalar(rate),
    ]
}

fn sentence(ids: &[i64]) -> Vec<Tensor> {
    let shape = [1, ids.len()];
    let mask = ids_of(&shape, ids.iter().map(|_| 1));
    vec![ids_of(&shape, ids.iter().copied()), mask]
}
