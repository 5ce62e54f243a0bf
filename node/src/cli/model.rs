//! `aether model`: what is registered, and what an ONNX file is, costs and gives.
//!
//! Costs are measured, not guessed: `inspect` and `steps` run the model once, on
//! the inputs given or drawn from a seed. Gas, steps and memory depend on shapes
//! (and on how often loops go round), so open dimensions have to be named.

mod measure;

use super::CommandResult;
use super::args::{ModelCommand, ModelRunArgs};
use super::context::Context;
use super::exit::{CliError, Exit};
use super::page::{number, size};
use super::weights::Folder;
use super::{files, tensors};
use aether_inference::{Limits, Missing, Program, Status, ValueInfo, supported_operators};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// Most bytes of a model that is looked at without a network's limits.
const MODEL_BYTES_MAX: u64 = 1 << 30;

pub(super) fn run(context: &mut Context, command: ModelCommand) -> CommandResult {
    match command {
        ModelCommand::List { limit } => list(context, limit),
        ModelCommand::Inspect(args) => inspect(context, &args),
        ModelCommand::Hash { file } => hash(context, &file),
        ModelCommand::Run(args) => run_once(context, &args),
        ModelCommand::Steps(args) => steps(context, &args),
    }
}

fn list(context: &mut Context, limit: usize) -> CommandResult {
    let found = context.client().models(limit)?;
    context.console.answer(&found, |page| {
        if found.items.is_empty() {
            page.line("no models are registered");
        }
        for m in &found.items {
            page.field(
                "model",
                format!(
                    "{}\n{}, registered in slot {} by {}",
                    m.model,
                    size(m.onnx.bytes_len),
                    m.slot,
                    m.owner.short()
                ),
            );
        }
        if found.truncated {
            page.line("there are more; --limit shows them");
        }
    });
    Ok(Exit::Ok)
}

/// A file lowered, or all that it needs and this build does not have.
enum Loaded {
    Program(Box<Program>),
    Missing(Vec<Missing>),
}

fn load(file: &Path) -> Result<(Loaded, u64), CliError> {
    let mut onnx = files::open(file, MODEL_BYTES_MAX)?;
    let file_bytes = onnx.len();
    let limits = Limits {
        max_model_bytes: usize::try_from(MODEL_BYTES_MAX).unwrap_or(usize::MAX),
        ..Limits::default()
    };
    let bad = |e: aether_inference::ModelError| {
        CliError::failed("model", format!("{}: {e}", file.display()))
    };
    let mut folder = Folder::of(file);
    let loaded = match Program::read_onnx(&mut *onnx, &limits, Some(&mut folder)) {
        Ok(program) => Loaded::Program(Box::new(program)),
        Err(e) if e.is_unsupported() => {
            let missing = Program::missing(&mut *onnx, &limits, Some(&mut folder)).map_err(bad)?;
            Loaded::Missing(missing)
        }
        Err(e) => return Err(bad(e)),
    };
    Ok((loaded, file_bytes))
}

/// A program, or an error that names everything that is missing.
fn program(file: &Path) -> Result<Box<Program>, CliError> {
    match load(file)?.0 {
        Loaded::Program(program) => Ok(program),
        Loaded::Missing(missing) => {
            let lines: Vec<String> = missing.iter().map(explain).collect();
            let message = format!("{}: not supported: {}", file.display(), lines.join("; "));
            Err(CliError::failed("unsupported", message))
        }
    }
}

/// What is missing, and what the list of supported operators says of it: in which
/// operator sets there is such an operator, and for which element types.
fn explain(missing: &Missing) -> String {
    let known = supported_operators().find(|o| o.name == missing.operator);
    let Some(o) = known else {
        return missing.to_string();
    };
    let sets = match o.until {
        Some(until) => format!("opsets {} to {}", o.since, until.saturating_sub(1)),
        None => format!("opset {} and later", o.since),
    };
    let types: Vec<String> = o.types.iter().map(ToString::to_string).collect();
    format!("{missing}; supported: {sets}, {}", types.join(" "))
}

fn hash(context: &mut Context, file: &Path) -> CommandResult {
    let id = hex::encode(program(file)?.id().0);
    context.console.answer(&json!({ "model": id }), |page| {
        page.field("model", &id);
    });
    Ok(Exit::Ok)
}

fn inspect(context: &mut Context, args: &ModelRunArgs) -> CommandResult {
    let (loaded, file_bytes) = load(&args.file)?;
    let program = match loaded {
        Loaded::Program(program) => program,
        Loaded::Missing(missing) => {
            let lines: Vec<String> = missing.iter().map(explain).collect();
            let value = json!({ "file_bytes": file_bytes, "unsupported": lines });
            context.console.answer(&value, |page| {
                page.heading("Not supported");
                lines.iter().for_each(|l| {
                    page.line(l);
                });
            });
            return Ok(Exit::Failed);
        }
    };
    let mut operators: BTreeMap<&str, u64> = BTreeMap::new();
    for name in (0..program.instruction_count()).filter_map(|i| program.operator(i)) {
        *operators.entry(name).or_default() += 1;
    }
    let id = hex::encode(program.id().0);
    let values = |list: &[ValueInfo]| -> Vec<Value> {
        list.iter()
            .map(|i| json!({ "name": i.name, "type": tensors::describe(&program, i) }))
            .collect()
    };
    let open = measure::open_inputs(&program, args)?;
    let cost = if open.is_empty() || !args.input.is_empty() {
        Some(measure::run(&program, args, MODEL_BYTES_MAX)?)
    } else {
        None
    };
    let value = json!({
        "model": id,
        "file_bytes": file_bytes,
        "constant_bytes": program.constant_bytes(),
        "parameters": program.constant_elements(),
        "instructions": program.instruction_count(),
        "inputs": values(program.inputs()),
        "outputs": values(program.outputs()),
        "operators": operators,
        "unsupported": [],
        "cost": cost.as_ref().map(measure::Measured::summary),
        "open_inputs": open,
    });
    context.console.answer(&value, |page| {
        page.field("model", &id)
            .field(
                "file",
                format!("{} ({})", args.file.display(), size(file_bytes)),
            )
            .field("parameters", number(program.constant_elements()))
            .field("constants", size(program.constant_bytes()))
            .field("instructions", number(program.instruction_count() as u64));
        page.heading("Inputs");
        show(page, &program, program.inputs());
        page.heading("Outputs");
        show(page, &program, program.outputs());
        let counts: Vec<String> = operators.iter().map(|(n, c)| format!("{n} {c}")).collect();
        page.heading("Operators").line(counts.join(", "));
        page.heading("Cost");
        match &cost {
            Some(cost) => cost.show(page),
            None => {
                let list: Vec<String> = open.iter().map(|n| format!("--shape {n}=…")).collect();
                page.line(format!(
                    "depends on shapes that the model leaves open: give {}",
                    list.join(" ")
                ));
            }
        }
    });
    Ok(Exit::Ok)
}

fn run_once(context: &mut Context, args: &ModelRunArgs) -> CommandResult {
    let program = program(&args.file)?;
    if args.input.is_empty() && args.random.is_none() {
        return Err(CliError::usage(
            "nothing to run on: give --input FILE for each input, or --random SEED",
        ));
    }
    let measured = measure::run(&program, args, MODEL_BYTES_MAX)?;
    let outputs: Vec<_> = program
        .outputs()
        .iter()
        .map(|o| o.name.clone())
        .zip(measured.outputs.iter().cloned())
        .collect();
    let digests: BTreeMap<&str, String> = outputs
        .iter()
        .map(|(name, t)| (name.as_str(), hex::encode(t.digest())))
        .collect();
    let value = json!({
        "model": hex::encode(program.id().0),
        "outputs": tensors::to_json(&outputs),
        "digests": digests,
        "cost": measured.summary(),
    });
    context.console.answer(&value, |page| {
        page.heading("Outputs");
        tensors::show(page, &outputs);
        page.heading("Digests");
        for (name, digest) in &digests {
            page.field(name, digest);
        }
        page.heading("Cost");
        measured.show(page);
    });
    Ok(ended(measured.status))
}

fn steps(context: &mut Context, args: &ModelRunArgs) -> CommandResult {
    let program = program(&args.file)?;
    let measured = measure::run(&program, args, MODEL_BYTES_MAX)?;
    let value = json!({ "steps": measured.steps, "cost": measured.summary() });
    context.console.answer(&value, |page| {
        let rows: Vec<Vec<String>> = measured.steps.iter().map(measure::StepLine::row).collect();
        let columns = ["step", "begins at", "instr.", "gas", "live", "witness"];
        page.table(&columns, &rows);
        page.heading("Cost");
        measured.show(page);
    });
    Ok(ended(measured.status))
}

fn ended(status: Status) -> Exit {
    if status == Status::Done {
        Exit::Ok
    } else {
        Exit::Failed
    }
}

fn show(page: &mut super::Page, program: &Program, values: &[ValueInfo]) {
    for info in values {
        page.field(&info.name, tensors::describe(program, info));
    }
}
