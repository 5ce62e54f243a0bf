//! Golden digests: which cases there are, what one comes to, and the files that
//! say what it must come to (`tests/golden/README.md`).
//!
//! A case is one input set of one model; its row names the model id, one digest
//! over the outputs, one over the trace, gas and steps. A directory's case counts
//! only if its outputs also agree with the published ones.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use aether_inference::{Kernels, Limits, Program, Run, RunLimits, Status, Tensor};
use sha2::{Digest as _, Sha256};

use super::conformance::{close, data_sets, find, header, order, tensors};
use super::{cases, real, vectors};

/// The families of cases; each has a golden file of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    /// Models that the project carries or makes.
    Own,
    /// The published vectors.
    Vectors,
    /// The published vectors' models on adversarial floats of the same shapes.
    Wild,
    /// Real models that `.ci/fetch-models` brings.
    Models,
}

impl Family {
    pub(crate) const ALL: [Family; 4] =
        [Family::Own, Family::Vectors, Family::Wild, Family::Models];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Family::Own => "own",
            Family::Vectors => "vectors",
            Family::Wild => "wild",
            Family::Models => "models",
        }
    }

    /// The committed file.
    pub(crate) fn file(self) -> PathBuf {
        tests_dir().join(format!("golden/{}.tsv", self.name()))
    }
}

fn tests_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

/// One input set of one model.
pub(crate) struct Case {
    pub(crate) name: String,
    source: Source,
}

enum Source {
    /// A model's bytes and its inputs.
    Made(Vec<u8>, Vec<Tensor>),
    /// A model file and a folder of `input_*.pb` and `output_*.pb`.
    Files(PathBuf, PathBuf),
    /// The same, with other floats in the inputs and no published outputs.
    Wild(PathBuf, PathBuf),
    /// A real model in this folder.
    Real(PathBuf, &'static real::Real),
}

/// A case ready to run.
pub(crate) struct Loaded {
    pub(crate) program: Program,
    pub(crate) inputs: Vec<Tensor>,
    /// The published outputs, where there are some.
    want: Option<Vec<Tensor>>,
    /// What a run may hold, bytes.
    memory: u64,
}

/// Enough for every small case, and little enough for wild sizes.
const MEMORY: u64 = 256 << 20;

impl Case {
    pub(crate) fn made(name: impl Into<String>, model: Vec<u8>, inputs: Vec<Tensor>) -> Self {
        let source = Source::Made(model, inputs);
        Self {
            name: name.into(),
            source,
        }
    }

    /// Reads and lowers the case. The error says why it cannot be run here,
    /// which for a directory's case is not a failure: the conformance test
    /// judges that.
    pub(crate) fn load(&self) -> Result<Loaded, String> {
        match &self.source {
            Source::Made(model, inputs) => Ok(Loaded {
                program: lower(model)?,
                inputs: inputs.clone(),
                want: None,
                memory: MEMORY,
            }),
            Source::Real(dir, real) => Ok(Loaded {
                program: lower(&std::fs::read(dir.join(real.file)).map_err(|e| e.to_string())?)?,
                inputs: (real.inputs)(dir),
                want: None,
                memory: RunLimits::default().max_memory_bytes,
            }),
            Source::Files(model, set) => {
                let program = lower(&std::fs::read(model).map_err(|e| e.to_string())?)?;
                let inputs = order(&program, tensors(set, "input")?);
                let want = tensors(set, "output")?
                    .into_iter()
                    .map(|(_, t)| t)
                    .collect();
                Ok(Loaded {
                    program,
                    inputs,
                    want: Some(want),
                    memory: MEMORY,
                })
            }
            Source::Wild(model, set) => {
                let program = lower(&std::fs::read(model).map_err(|e| e.to_string())?)?;
                let mut inputs = order(&program, tensors(set, "input")?);
                let mut floats = false;
                for (i, t) in inputs.iter_mut().enumerate() {
                    if let Some(other) = cases::mixed(t, i as u64) {
                        (*t, floats) = (other, true);
                    }
                }
                if !floats {
                    return Err("no floats".into());
                }
                Ok(Loaded {
                    program,
                    inputs,
                    want: None,
                    memory: MEMORY,
                })
            }
        }
    }
}

fn lower(model: &[u8]) -> Result<Program, String> {
    Program::from_onnx(model, &Limits::default()).map_err(|e| e.to_string())
}

/// What a case comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) model: String,
    /// SHA-256 over the outputs' digests, in order; `-` for a run that is not done.
    pub(crate) outputs: String,
    /// SHA-256 over all elements, in order.
    pub(crate) trace: String,
    pub(crate) gas: u64,
    pub(crate) steps: usize,
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut s, b| {
        let _ = write!(s, "{b:02x}");
        s
    })
}

impl Loaded {
    /// A run on these kernels and threads, and every element of its trace.
    pub(crate) fn trace(
        &self,
        kernels: Kernels,
        threads: usize,
    ) -> Result<(Run<'_>, Vec<[u8; 31]>), String> {
        let header = header(&self.program, &self.inputs);
        let limits = RunLimits {
            max_memory_bytes: self.memory,
            ..RunLimits::default()
        };
        let mut run =
            Run::start(&self.program, &header, &self.inputs, &limits).map_err(|e| e.to_string())?;
        run.set_kernels(kernels);
        run.set_threads(threads);
        let mut trace = vec![header.element()];
        while let Some(record) = run.step() {
            trace.push(record.element);
        }
        Ok((run, trace))
    }

    /// The row on these kernels and threads; an error when the outputs are not the published ones.
    pub(crate) fn row(&self, kernels: Kernels, threads: usize) -> Result<Row, String> {
        let (run, trace) = self.trace(kernels, threads)?;
        let state = run.state();
        let outputs = run.outputs();
        if let Some(want) = &self.want {
            let got = outputs.as_ref().ok_or("the run is not done")?;
            if got.len() != want.len() {
                return Err("another number of outputs".into());
            }
            for (got, want) in got.iter().zip(want) {
                close(got, want)?;
            }
        }
        let digest = |outputs: Vec<Tensor>| {
            let mut h = Sha256::new();
            outputs.iter().for_each(|t| h.update(t.digest()));
            hex(&h.finalize())
        };
        let mut h = Sha256::new();
        trace.iter().for_each(|e| h.update(e));
        assert_ne!(state.status, Status::Running, "a run ends");
        Ok(Row {
            model: hex(&self.program.id().0),
            outputs: outputs.map_or_else(|| "-".into(), digest),
            trace: hex(&h.finalize()),
            gas: state.gas,
            steps: trace.len() - 1,
        })
    }
}

/// The cases of a family; none, visibly, when their files are not here.
pub(crate) fn cases(family: Family) -> Vec<Case> {
    match family {
        Family::Own => {
            let mut all = cases::made();
            all.extend(directories(&tests_dir(), Source::Files));
            all
        }
        Family::Vectors => {
            vectors("onnx").map_or_else(Vec::new, |root| directories(&root, Source::Files))
        }
        Family::Wild => {
            let nodes = vectors("onnx").map(|root| directories(&root, Source::Wild));
            let mut all = nodes.unwrap_or_default();
            // The large models meet wild numbers within a layer already.
            all.retain(|c| !c.name.starts_with("models/"));
            all
        }
        Family::Models => models(),
    }
}

/// A case per data set of every test directory below `root`.
fn directories(root: &Path, source: fn(PathBuf, PathBuf) -> Source) -> Vec<Case> {
    let mut all = Vec::new();
    for dir in find(root) {
        for set in data_sets(&dir) {
            let name = set.strip_prefix(root).unwrap_or(&set);
            let name = name.to_string_lossy().replace("/test_data_set_", "#");
            let source = source(dir.join("model.onnx"), set);
            all.push(Case { name, source });
        }
    }
    all
}

/// Real models, on real and made-up inputs, from the folder that `.ci/fetch-models` prints.
fn models() -> Vec<Case> {
    let Some(root) = std::env::var_os("AETHER_MODELS").map(PathBuf::from) else {
        println!("SKIPPED: no real models (AETHER_MODELS is not set)");
        return Vec::new();
    };
    let mut all = Vec::new();
    for r in real::REAL {
        if root.join(r.file).is_file() {
            let (name, source) = (r.case.into(), Source::Real(root.clone(), r));
            all.push(Case { name, source });
        } else {
            println!("SKIPPED: no {}", root.join(r.file).display());
        }
    }
    all
}

/// A golden file as it is written.
pub(crate) fn format(rows: &BTreeMap<String, Row>) -> String {
    let mut text = String::from("case\tmodel\toutputs\ttrace\tgas\tsteps\n");
    for (name, r) in rows {
        let _ = writeln!(text, "{name}\t{}", line(r));
    }
    text
}

/// A row without its name.
pub(crate) fn line(r: &Row) -> String {
    format!(
        "{}\t{}\t{}\t{}\t{}",
        r.model, r.outputs, r.trace, r.gas, r.steps
    )
}

/// Reads a golden file; no file, no rows.
pub(crate) fn parse(family: Family) -> BTreeMap<String, Row> {
    let text = std::fs::read_to_string(family.file()).unwrap_or_default();
    let mut rows = BTreeMap::new();
    for l in text.lines().skip(1) {
        let [name, model, outputs, trace, gas, steps] = l.split('\t').collect::<Vec<_>>()[..]
        else {
            panic!("{}: not a row: {l}", family.file().display());
        };
        let row = Row {
            model: model.into(),
            outputs: outputs.into(),
            trace: trace.into(),
            gas: gas.parse().expect("gas"),
            steps: steps.parse().expect("steps"),
        };
        rows.insert(name.into(), row);
    }
    rows
}
