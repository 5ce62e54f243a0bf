//! `aether model`

use super::CommandResult;
use super::args::ModelCommand;
use super::context::Context;
use super::exit::Exit;
use super::page::{number, size};
use super::{files, job_post, tensors};
use aether_inference::{Program, ValueInfo};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// Most bytes of a model that is looked at without a network's limits.
const MODEL_BYTES_MAX: u64 = 1 << 30;

pub(super) fn run(context: &mut Context, command: ModelCommand) -> CommandResult {
    match command {
        ModelCommand::List { limit } => list(context, limit),
        ModelCommand::Inspect { file } => inspect(context, &file),
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

fn inspect(context: &mut Context, file: &Path) -> CommandResult {
    let bytes = files::read(file, MODEL_BYTES_MAX)?;
    let program = job_post::lower(&bytes, MODEL_BYTES_MAX)?;
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
    let value = json!({
        "model": id,
        "file_bytes": bytes.len(),
        "constant_bytes": program.constant_bytes(),
        "instructions": program.instruction_count(),
        "inputs": values(program.inputs()),
        "outputs": values(program.outputs()),
        "operators": operators,
    });
    context.console.answer(&value, |page| {
        page.field("model", &id)
            .field(
                "file",
                format!("{} ({})", file.display(), size(bytes.len() as u64)),
            )
            .field("constants", size(program.constant_bytes()))
            .field("instructions", number(program.instruction_count() as u64));
        page.heading("Inputs");
        show(page, &program, program.inputs());
        page.heading("Outputs");
        show(page, &program, program.outputs());
        let counts: Vec<String> = operators.iter().map(|(n, c)| format!("{n} {c}")).collect();
        page.heading("Operators").line(counts.join(", "));
    });
    Ok(Exit::Ok)
}

fn show(page: &mut super::Page, program: &Program, values: &[ValueInfo]) {
    for info in values {
        page.field(&info.name, tensors::describe(program, info));
    }
}
