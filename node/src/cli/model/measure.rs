//! One run of a model, and what it took.

use super::super::args::ModelRunArgs;
use super::super::exit::CliError;
use super::super::page::{Page, number, size};
use super::super::tensors;
use aether_inference::{DType, Dim, Program, Run, RunLimits, Status, Tensor, TraceHeader};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Most bytes of one drawn input.
const RANDOM_BYTES_MAX: usize = 1 << 30;

/// One step of a run.
#[derive(Debug, Serialize)]
pub(super) struct StepLine {
    step: u32,
    instruction: u32,
    operator: String,
    instructions: u64,
    gas: u64,
    live_bytes: u64,
    witness_bytes: u64,
}

impl StepLine {
    pub(super) fn row(&self) -> Vec<String> {
        vec![
            self.step.to_string(),
            format!("{} {}", self.instruction, self.operator),
            number(self.instructions),
            number(self.gas),
            size(self.live_bytes),
            size(self.witness_bytes),
        ]
    }
}

/// What a run came to.
pub(super) struct Measured {
    pub(super) status: Status,
    pub(super) outputs: Vec<Tensor>,
    pub(super) steps: Vec<StepLine>,
    gas: u64,
    memory_bytes: u64,
    trap: Option<&'static str>,
}

impl Measured {
    fn most(&self, of: impl Fn(&StepLine) -> u64) -> u64 {
        self.steps.iter().map(of).max().unwrap_or(0)
    }

    pub(super) fn summary(&self) -> Value {
        json!({
            "status": format!("{:?}", self.status),
            "trap": self.trap,
            "gas": self.gas,
            "steps": self.steps.len(),
            "largest_step_gas": self.most(|s| s.gas),
            "largest_witness_bytes": self.most(|s| s.witness_bytes),
            "largest_live_bytes": self.most(|s| s.live_bytes),
            "memory_bytes_max": self.memory_bytes,
        })
    }

    pub(super) fn show(&self, page: &mut Page) {
        if self.status != Status::Done {
            let why = self.trap.map_or(String::new(), |t| format!(": {t}"));
            page.field("ended", format!("{:?}{why}", self.status));
        }
        page.field("gas", number(self.gas))
            .field("steps", number(self.steps.len() as u64))
            .field(
                "largest step",
                format!("{} gas", number(self.most(|s| s.gas))),
            )
            .field("largest witness", size(self.most(|s| s.witness_bytes)))
            .field("most live", size(self.most(|s| s.live_bytes)))
            .field("memory, at most", size(self.memory_bytes));
    }
}

/// Names of inputs whose shape is open and not given.
pub(super) fn open_inputs(program: &Program, args: &ModelRunArgs) -> Result<Vec<String>, CliError> {
    let given = shapes(program, args)?;
    let open = |dims: &Option<Vec<Dim>>| match dims {
        Some(dims) => dims.iter().any(|d| !matches!(d, Dim::Fixed(_))),
        None => true,
    };
    let inputs = program.inputs().iter();
    Ok(inputs
        .filter(|i| open(&i.dims) && !given.contains_key(i.name.as_str()))
        .map(|i| i.name.clone())
        .collect())
}

/// The shapes named on the command line.
fn shapes<'a>(
    program: &Program,
    args: &'a ModelRunArgs,
) -> Result<BTreeMap<&'a str, Vec<usize>>, CliError> {
    let mut all = BTreeMap::new();
    for argument in &args.shape {
        let wrong = || CliError::usage(format!("--shape {argument}: write NAME=1,3,48,192"));
        let (name, list) = argument.rsplit_once('=').ok_or_else(wrong)?;
        let dims = list.split(',').filter(|d| !d.is_empty());
        let dims = dims
            .map(|d| d.trim().parse::<usize>())
            .collect::<Result<Vec<_>, _>>();
        if !program.inputs().iter().any(|i| i.name == name) {
            let names: Vec<&str> = program.inputs().iter().map(|i| i.name.as_str()).collect();
            let names = names.join(", ");
            return Err(CliError::usage(format!(
                "--shape {argument}: the model's inputs are {names}"
            )));
        }
        all.insert(name, dims.map_err(|_| wrong())?);
    }
    Ok(all)
}

/// Runs the model on the inputs given, or on drawn ones.
pub(super) fn run(
    program: &Program,
    args: &ModelRunArgs,
    bytes_max: u64,
) -> Result<Measured, CliError> {
    let inputs = if args.input.is_empty() {
        drawn(program, args)?
    } else {
        tensors::read_inputs(program, &args.input, bytes_max)?
    };
    let failed = |e: aether_inference::RunError| CliError::failed("run", e.to_string());
    let header = TraceHeader::new([0; 32], [0; 32], program.id(), &inputs, 0);
    let limits = RunLimits {
        gas_limit: args.gas,
        max_memory_bytes: 8 << 30,
        ..RunLimits::default()
    };
    let mut run = Run::start(program, &header, &inputs, &limits).map_err(failed)?;
    let (mut steps, mut memory_bytes, mut trap) = (Vec::new(), 0, None);
    while let Some(record) = run.step() {
        memory_bytes = memory_bytes.max(record.memory_bytes);
        trap = record.trap;
        let live = record.state.live.iter();
        let operator = program.operator(record.first as usize).unwrap_or_default();
        steps.push(StepLine {
            step: record.index,
            instruction: record.first,
            operator: operator.to_owned(),
            instructions: record.instructions,
            gas: record.gas,
            live_bytes: live
                .map(|v| v.shape.iter().product::<usize>() as u64 * v.dtype.size() as u64)
                .sum(),
            witness_bytes: record.witness_bytes,
        });
    }
    Ok(Measured {
        status: run.state().status,
        outputs: run.outputs().unwrap_or_default(),
        steps,
        gas: run.state().gas,
        memory_bytes,
        trap,
    })
}

/// Inputs drawn from the seed: floats in (−1, 1), whole numbers 0 to 9.
fn drawn(program: &Program, args: &ModelRunArgs) -> Result<Vec<Tensor>, CliError> {
    let given = shapes(program, args)?;
    let open = open_inputs(program, args)?;
    if !open.is_empty() {
        let list: Vec<String> = open.iter().map(|n| format!("--shape {n}=…")).collect();
        return Err(CliError::usage(format!(
            "the model leaves shapes open: give {} (or --input)",
            list.join(" ")
        )));
    }
    let mut seed = args.random.unwrap_or(0) ^ 0x9e37_79b9_7f4a_7c15;
    let mut inputs = Vec::new();
    for info in program.inputs() {
        let fixed = info.dims.iter().flatten().map(|d| match d {
            Dim::Fixed(n) => usize::try_from(*n).unwrap_or(usize::MAX),
            Dim::Symbol(_) | Dim::Any => 0,
        });
        let shape = given
            .get(info.name.as_str())
            .cloned()
            .unwrap_or_else(|| fixed.collect());
        let dtype = info.dtype.unwrap_or(DType::F32);
        let elements = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
        let fits = elements.filter(|n| n.saturating_mul(dtype.size()) <= RANDOM_BYTES_MAX);
        let Some(n) = fits else {
            return Err(CliError::usage(format!(
                "`{}`: {shape:?} is too large",
                info.name
            )));
        };
        let mut bytes = Vec::with_capacity(n * dtype.size());
        for _ in 0..n {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            element(dtype, seed >> 32, &mut bytes);
        }
        let tensor = tensors::from_bytes(dtype, &shape, &bytes);
        let bad = || CliError::usage(format!("`{}`: {shape:?} is no shape", info.name));
        inputs.push(tensor.ok_or_else(bad)?);
    }
    program
        .check_inputs(&inputs)
        .map_err(|e| CliError::usage(format!("--shape: {e}")))?;
    Ok(inputs)
}

/// One element from 32 drawn bits.
fn element(dtype: DType, bits: u64, out: &mut Vec<u8>) {
    let unit = bits as f64 / f64::from(1u32 << 31) - 1.0;
    match dtype {
        DType::F32 => out.extend((unit as f32).to_le_bytes()),
        DType::F64 => out.extend(unit.to_le_bytes()),
        // Sign and fraction drawn, the exponent that of ½: ±½ to ±1.
        DType::F16 => out.extend((0x3800 | (bits as u16 & 0x83ff)).to_le_bytes()),
        DType::Bool => out.push(u8::from(bits & 1 == 1)),
        whole => {
            out.push((bits % 10) as u8);
            out.extend(std::iter::repeat_n(0, whole.size() - 1));
        }
    }
}
