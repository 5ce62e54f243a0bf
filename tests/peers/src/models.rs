//! Real models: what one run costs.

use std::path::{Path, PathBuf};

use aether_inference::{Limits, Program, Run, RunLimits, Status, Tensor, TraceHeader};
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::ort::Ort;
use crate::products::numbers;
use crate::{Options, cpu, table};

/// What a model is given.
struct Input {
    name: &'static str,
    shape: &'static [usize],
    kind: Kind,
}

enum Kind {
    Floats,
    /// Numbers below a bound.
    I64(u64),
    I32(u64),
    Zeros,
    /// One `i64`.
    Exactly(i64),
}

pub(crate) struct Model {
    pub(crate) name: &'static str,
    file: &'static str,
    inputs: &'static [Input],
}

const fn floats(name: &'static str, shape: &'static [usize]) -> Input {
    let kind = Kind::Floats;
    Input { name, shape, kind }
}

const fn given(name: &'static str, shape: &'static [usize], kind: Kind) -> Input {
    Input { name, shape, kind }
}

/// The models; README.md says where each file comes from.
pub(crate) const MODELS: &[Model] = &[
    Model {
        name: "magika",
        file: "magika.onnx",
        inputs: &[given("bytes", &[1, 2048], Kind::I32(257))],
    },
    Model {
        name: "ppocr-cls",
        file: "cls.onnx",
        inputs: &[floats("x", &[1, 3, 48, 192])],
    },
    Model {
        name: "ppocr-rec",
        file: "rec.onnx",
        inputs: &[floats("x", &[1, 3, 48, 320])],
    },
    Model {
        name: "ppocr-det",
        file: "det.onnx",
        inputs: &[floats("x", &[1, 3, 320, 320])],
    },
    Model {
        name: "silero-vad",
        file: "silero.onnx",
        inputs: &[
            floats("input", &[1, 576]),
            given("state", &[2, 1, 128], Kind::Zeros),
            given("sr", &[], Kind::Exactly(16000)),
        ],
    },
    Model {
        name: "silero-vad-seq",
        file: "silero_seq.onnx",
        inputs: &[
            floats("input", &[8, 576]),
            given("h", &[1, 1, 128], Kind::Zeros),
            given("c", &[1, 1, 128], Kind::Zeros),
        ],
    },
    Model {
        name: "nudenet-320n",
        file: "nude.onnx",
        inputs: &[floats("images", &[1, 3, 320, 320])],
    },
    Model {
        name: "minilm-8",
        file: "minilm8.onnx",
        inputs: &[given("ids", &[1, 8], Kind::I64(30000))],
    },
    Model {
        name: "minilm-64",
        file: "minilm64.onnx",
        inputs: &[given("ids", &[1, 64], Kind::I64(30000))],
    },
    Model {
        name: "resnet50",
        file: "resnet50.onnx",
        inputs: &[floats("gpu_0/data_0", &[1, 3, 224, 224])],
    },
];

impl Model {
    pub(crate) fn path(&self, dir: &Path) -> Option<PathBuf> {
        let path = dir.join(self.file);
        path.is_file().then_some(path)
    }

    /// The inputs, in the order of the list.
    fn tensors(&self) -> Result<Vec<Tensor>> {
        let mut all = Vec::new();
        for (i, input) in self.inputs.iter().enumerate() {
            let count = input.shape.iter().product::<usize>();
            let below = |n: u64| (0..count as u64).map(move |x| x * 7919 % n);
            all.push(match input.kind {
                Kind::Floats => Tensor::from_vec(input.shape, numbers(count, i as u64 + 1))?,
                Kind::Zeros => Tensor::from_vec(input.shape, vec![0f32; count])?,
                Kind::I64(n) => {
                    Tensor::from_vec(input.shape, below(n).map(|x| x as i64).collect())?
                }
                Kind::I32(n) => {
                    Tensor::from_vec(input.shape, below(n).map(|x| x as i32).collect())?
                }
                Kind::Exactly(v) => Tensor::from_vec(input.shape, vec![v; count])?,
            });
        }
        Ok(all)
    }

    /// The same for onnxruntime's child.
    fn spec(&self) -> String {
        let list: Vec<Value> = (self.inputs.iter())
            .map(|i| {
                let (kind, more) = match i.kind {
                    Kind::Floats => ("float32", None),
                    Kind::Zeros => ("float32", Some(("value", json!(0)))),
                    Kind::I64(n) => ("int64", Some(("below", json!(n)))),
                    Kind::I32(n) => ("int32", Some(("below", json!(n)))),
                    Kind::Exactly(v) => ("int64", Some(("value", json!(v)))),
                };
                let mut spec = json!({"name": i.name, "shape": i.shape, "type": kind});
                if let Some((key, value)) = more {
                    spec[key] = value;
                }
                spec
            })
            .collect();
        Value::Array(list).to_string()
    }

    /// Tells onnxruntime's child to load the model.
    pub(crate) fn load_ort(&self, ort: &mut Ort, path: &Path) -> Result<Value> {
        ort.ask(&format!("model {} {}", path.display(), self.spec()))
    }
}

/// A model as we run it.
pub(crate) struct Ours {
    pub(crate) program: Program,
    pub(crate) inputs: Vec<Tensor>,
    pub(crate) header: TraceHeader,
    pub(crate) limits: RunLimits,
}

impl Ours {
    pub(crate) fn load(model: &Model, bytes: &[u8]) -> Result<Self> {
        let program = Program::from_onnx(bytes, &Limits::default())?;
        let mut inputs = Vec::new();
        let tensors = model.tensors()?;
        for info in program.inputs() {
            let at = model.inputs.iter().position(|i| i.name == info.name);
            inputs.push(tensors[at.with_context(|| format!("input {}", info.name))?].clone());
        }
        let header = TraceHeader::new([0; 32], [0; 32], program.id(), &inputs, 0);
        Ok(Self {
            program,
            inputs,
            header,
            limits: RunLimits::default(),
        })
    }

    pub(crate) fn start(&self) -> Result<Run<'_>> {
        Ok(Run::start(
            &self.program,
            &self.header,
            &self.inputs,
            &self.limits,
        )?)
    }

    /// A whole run with its trace; CPU nanoseconds and outputs.
    pub(crate) fn run(&self) -> Result<(f64, Vec<Tensor>)> {
        let (t, run) = cpu::time(|| -> Result<Run<'_>> {
            let mut run = self.start()?;
            run.finish(|_| {});
            Ok(run)
        });
        let run = run?;
        if run.state().status != Status::Done {
            bail!("ended {:?}", run.state().status);
        }
        Ok((t, run.outputs().unwrap_or_default()))
    }
}

fn sum(t: &Tensor) -> f64 {
    match t.view::<f32>() {
        Some(v) => v.iter().map(|&x| f64::from(x)).sum(),
        None => 0.0,
    }
}

pub(crate) fn wanted<'a>(
    dir: &Path,
    options: &'a Options,
) -> impl Iterator<Item = (&'static Model, PathBuf)> + use<'a> {
    let dir = dir.to_owned();
    MODELS.iter().filter_map(move |m| {
        let chosen = options
            .only
            .as_ref()
            .is_none_or(|w| m.name.contains(w.as_str()));
        let path = m.path(&dir).filter(|_| chosen);
        if path.is_none() && chosen {
            println!("{}: no {} in {}", m.name, m.file, dir.display());
        }
        Some((m, path?))
    })
}

pub(crate) fn measure(dir: &Path, options: &Options) -> Result<Value> {
    let mut ort = Ort::start()?;
    println!("models, CPU ms of one run; onnxruntime {}", ort.version);
    table::line(&["model", "ours", "ort", "ours/ort", "growth MB", "ort MB"].map(String::from));
    let mut rows = Vec::new();
    let mut ratios = Vec::new();
    for (model, path) in wanted(dir, options) {
        let bytes = std::fs::read(&path)?;
        let ours = match Ours::load(model, &bytes) {
            Ok(ours) => ours,
            Err(e) => {
                println!("{}: {e}", model.name);
                continue;
            }
        };
        drop(bytes);
        let theirs = model.load_ort(&mut ort, &path)?;
        // Weights are packed in the first run; onnxruntime packs while loading.
        let _ = ours.run();
        let before = cpu::resident();
        cpu::reset_peak();
        let first = ours.run();
        let growth = cpu::peak().saturating_sub(before);
        let outputs = match first {
            Ok((_, outputs)) => outputs,
            Err(e) => {
                println!("{}: {e}", model.name);
                continue;
            }
        };
        let sums: Vec<f64> = outputs.iter().map(sum).collect();
        for (a, b) in sums
            .iter()
            .zip(theirs["sums"].as_array().into_iter().flatten())
        {
            let b = b.as_f64().unwrap_or(f64::NAN);
            if (a - b).abs() > 1e-2 + 1e-2 * b.abs() {
                println!("{}: outputs sum to {a}, onnxruntime's to {b}", model.name);
            }
        }
        let mut least = [f64::INFINITY; 2];
        for _ in 0..options.rounds {
            let repeats = ((2e7 / least[0]) as usize).clamp(1, 50);
            for _ in 0..repeats {
                least[0] = least[0].min(ours.run()?.0);
            }
            least[1] = least[1].min(ort.run(repeats)?);
        }
        let ratio = least[0] / least[1];
        ratios.push(ratio);
        let ort_growth = theirs["growth"].as_f64().unwrap_or(f64::NAN);
        table::line(&[
            model.name.into(),
            format!("{:.3}", least[0] / 1e6),
            format!("{:.3}", least[1] / 1e6),
            format!("{ratio:.2}"),
            format!("{:.1}", growth as f64 / 1e6),
            format!("{:.1}", ort_growth / 1e6),
        ]);
        rows.push(json!({
            "model": model.name, "ours_ms": least[0] / 1e6, "onnxruntime_ms": least[1] / 1e6,
            "ratio": ratio, "growth": growth, "onnxruntime_growth": ort_growth,
            "ours_sums": sums, "onnxruntime_sums": theirs["sums"],
        }));
    }
    let mean = table::geometric_mean(&ratios);
    println!("geometric mean of ours/ort: {mean:.3}\n");
    Ok(json!({"models": rows, "geometric_mean": mean}))
}
