//! Real models, what each is given, and how we run it.

use std::path::{Path, PathBuf};

use aether_inference::{Limits, Program, Run, RunLimits, Status, Tensor, TraceHeader};
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::ort::Ort;
use crate::products::numbers;
use crate::{Options, cpu};

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
    /// Names that its file may have: of models.py or of .ci/fetch-models.
    files: &'static [&'static str],
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
        files: &["magika.onnx", "model.onnx"],
        inputs: &[given("bytes", &[1, 2048], Kind::I32(257))],
    },
    Model {
        name: "ppocr-cls",
        files: &["cls.onnx", "ppocr_cls.onnx"],
        inputs: &[floats("x", &[1, 3, 48, 192])],
    },
    Model {
        name: "ppocr-rec",
        files: &["rec.onnx", "ppocr_rec.onnx"],
        inputs: &[floats("x", &[1, 3, 48, 320])],
    },
    Model {
        name: "ppocr-det",
        files: &["det.onnx", "ppocr_det.onnx"],
        inputs: &[floats("x", &[1, 3, 320, 320])],
    },
    Model {
        name: "silero-vad",
        files: &["silero.onnx", "silero_vad_ifless.onnx"],
        inputs: &[
            floats("input", &[1, 576]),
            given("state", &[2, 1, 128], Kind::Zeros),
            given("sr", &[], Kind::Exactly(16000)),
        ],
    },
    Model {
        name: "silero-vad-seq",
        files: &["silero_seq.onnx", "silero_vad_sequence.onnx"],
        inputs: &[
            floats("input", &[8, 576]),
            given("h", &[1, 1, 128], Kind::Zeros),
            given("c", &[1, 1, 128], Kind::Zeros),
        ],
    },
    Model {
        name: "nudenet-320n",
        files: &["nude.onnx", "nudenet_320n.onnx"],
        inputs: &[floats("images", &[1, 3, 320, 320])],
    },
    Model {
        name: "rawi-int8",
        files: &["rawi_int8.onnx"],
        inputs: &[given("input", &[1, 64], Kind::I64(60))],
    },
    Model {
        name: "minilm-8",
        files: &["minilm8.onnx"],
        inputs: &[given("ids", &[1, 8], Kind::I64(30000))],
    },
    Model {
        name: "minilm-64",
        files: &["minilm64.onnx"],
        inputs: &[given("ids", &[1, 64], Kind::I64(30000))],
    },
    Model {
        name: "resnet50",
        files: &["resnet50_made.onnx", "resnet50.onnx"],
        inputs: &[floats("gpu_0/data_0", &[1, 3, 224, 224])],
    },
];

impl Model {
    pub(crate) fn path(&self, dir: &Path) -> Option<PathBuf> {
        let paths = self.files.iter().map(|f| dir.join(f));
        paths.into_iter().find(|p| p.is_file())
    }

    /// The inputs by name.
    pub(crate) fn tensors(&self) -> Result<Vec<(String, Tensor)>> {
        let mut all = Vec::new();
        for (i, input) in self.inputs.iter().enumerate() {
            let count = input.shape.iter().product::<usize>();
            let below = |n: u64| (0..count as u64).map(move |x| x * 7919 % n);
            let tensor = match input.kind {
                Kind::Floats => Tensor::from_vec(input.shape, numbers(count, i as u64 + 1))?,
                Kind::Zeros => Tensor::from_vec(input.shape, vec![0f32; count])?,
                Kind::I64(n) => {
                    Tensor::from_vec(input.shape, below(n).map(|x| x as i64).collect())?
                }
                Kind::I32(n) => {
                    Tensor::from_vec(input.shape, below(n).map(|x| x as i32).collect())?
                }
                Kind::Exactly(v) => Tensor::from_vec(input.shape, vec![v; count])?,
            };
            all.push((input.name.to_owned(), tensor));
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
            let found = tensors.iter().find(|(name, _)| *name == info.name);
            inputs.push(
                found
                    .with_context(|| format!("input {}", info.name))?
                    .1
                    .clone(),
            );
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
            let files = m.files.join(" or ");
            println!("{}: no {files} in {}", m.name, dir.display());
        }
        Some((m, path?))
    })
}
