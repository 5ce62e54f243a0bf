//! `aether job post`: from files to a job in a block, and with `--wait` to its
//! outputs.
//!
//! 1. The model is lowered here: its id and signature come from the bytes, not
//!    from anybody's word. A file whose id is not registered is registered.
//! 2. The inputs are checked against the signature before anything is paid.
//! 3. Without `--gas` the model is run here once: gas is the same everywhere,
//!    so that is exactly what the worker will need.

use super::args::JobPostArgs;
use super::console::Console;
use super::context::Context;
use super::exit::{CliError, Exit};
use super::page::{aic, number};
use super::send::{Included, Wallet};
use super::{CommandResult, files, job, job_wait, tensors};
use crate::rpc::views::{GenesisView, JobView};
use crate::rpc::{Client, found};
use aether_inference::{Program, Status, Tensor, TraceHeader, execute};
use aether_mesh::{Action, Amount, BlobRef, JobId, ModelId, Payload, PostJob, fee};
use serde_json::json;
use std::path::Path;

struct Model {
    id: ModelId,
    program: Program,
    /// Bytes to register, where the model came as a file.
    onnx: Option<Vec<u8>>,
}

struct Posted {
    job: JobId,
    included: Included,
    model: ModelId,
    gas_limit: u64,
    /// What handing in cost, besides the payment.
    fees: Amount,
    registered: Option<Included>,
}

pub(super) fn run(context: &mut Context, args: &JobPostArgs) -> CommandResult {
    // What can be wrong on this side comes first.
    let key = context.key()?;
    let client = context.client();
    let network = context.network_of(&client)?;
    let limits = &network.genesis.params.limits;
    let model = load_model(&mut context.console, &client, &network, &args.model)?;
    let inputs = tensors::read_inputs(&model.program, &args.input, limits.blob_bytes_max)?;
    let gas_limit = match args.gas {
        Some(gas) => gas,
        None => measure_gas(&mut context.console, &network, &model, &inputs, args.seed)?,
    };
    check_terms(args, &network)?;
    let wallet = Wallet::new(&client, key, &network);
    let terms = Terms { args, gas_limit };
    let posted = post(context, &client, &wallet, &network, &model, &inputs, &terms)?;
    if !args.wait {
        report(context, &posted, args.payment);
        return Ok(Exit::Ok);
    }
    let (job, stages) = job_wait::stages(&mut context.console, &client, &posted.job)?;
    let outputs = match job.status.as_str() {
        "settled" => job::outputs(&client, &job)?,
        _ => None,
    };
    if let (Some(path), Some(outputs)) = (&args.save, &outputs) {
        let text = format!("{:#}\n", tensors::to_json(outputs));
        files::write_new(path, text.as_bytes())?;
    }
    report_end(context, &posted, &job, &stages, outputs.as_deref());
    Ok(job::verdict(&job))
}

/// A model out of a file, or of the network by its id.
fn load_model(
    console: &mut Console,
    client: &Client,
    network: &GenesisView,
    named: &str,
) -> Result<Model, CliError> {
    let bytes_max = network.genesis.params.limits.blob_bytes_max;
    let path = Path::new(named);
    if path.is_file() {
        let onnx = files::read(path, bytes_max)?;
        let program = lower(&onnx, bytes_max)?;
        return Ok(Model {
            id: ModelId(program.id().0),
            program,
            onnx: Some(onnx),
        });
    }
    let id: ModelId = named.parse().map_err(|_| {
        CliError::usage(format!("--model {named}: neither a file nor a model's id"))
    })?;
    let record = client.model(&id)?.value;
    console.stage(format!("fetching model {}", id.short()));
    let onnx = client.blob(&BlobRef::from(record.onnx))?;
    let program = lower(&onnx, bytes_max)?;
    if program.id().0 != id.0 {
        let message = format!("the network keeps other bytes under model {id}");
        return Err(CliError::failed("other_model", message));
    }
    Ok(Model {
        id,
        program,
        onnx: None,
    })
}

/// Decodes and checks an ONNX file as the network will.
pub(super) fn lower(onnx: &[u8], bytes_max: u64) -> Result<Program, CliError> {
    let limits = aether_inference::Limits {
        max_model_bytes: usize::try_from(bytes_max).unwrap_or(usize::MAX),
        ..aether_inference::Limits::default()
    };
    Program::from_onnx(onnx, &limits).map_err(|e| CliError::failed("model", format!("model: {e}")))
}

fn measure_gas(
    console: &mut Console,
    network: &GenesisView,
    model: &Model,
    inputs: &[Tensor],
    seed: u64,
) -> Result<u64, CliError> {
    let most = network.genesis.params.limits.job_gas_max;
    let id = model.program.id();
    // Gas depends on shapes, not on the job: any job's name does.
    let header = TraceHeader::new(network.chain_id.0, [0; 32], id, inputs, seed);
    let run = execute(
        &model.program,
        &header,
        inputs,
        &network.genesis.run_limits(most),
    )
    .map_err(|e| CliError::failed("run", format!("the model does not run here: {e}")))?;
    match run.status {
        Status::Done => {
            console.stage(format!("a run here took {} gas", number(run.gas_used)));
            Ok(run.gas_used)
        }
        Status::OutOfGas => Err(CliError::failed(
            "run",
            format!(
                "a run takes more than the {} gas this network allows",
                number(most)
            ),
        )),
        Status::StepTooLarge => Err(CliError::failed(
            "run",
            "one step of this run is larger than this network allows",
        )),
        _ => Err(CliError::failed(
            "run",
            format!(
                "the model cannot be computed on this input: {}",
                run.trap.unwrap_or("it stopped")
            ),
        )),
    }
}

fn check_terms(args: &JobPostArgs, network: &GenesisView) -> Result<(), CliError> {
    let p = &network.genesis.params;
    if args.payment < p.payment_min {
        let least = aic(p.payment_min);
        return Err(CliError::failed(
            "terms",
            format!("the least payment here is {least}"),
        ));
    }
    if args.deadline == 0 || args.deadline > p.deadline_slots_max {
        let most = p.deadline_slots_max;
        return Err(CliError::failed(
            "terms",
            format!("--deadline: between 1 and {most} slots"),
        ));
    }
    Ok(())
}

struct Terms<'a> {
    args: &'a JobPostArgs,
    gas_limit: u64,
}

fn post(
    context: &mut Context,
    client: &Client,
    wallet: &Wallet<'_>,
    network: &GenesisView,
    model: &Model,
    inputs: &[Tensor],
    terms: &Terms<'_>,
) -> Result<Posted, CliError> {
    let console = &mut context.console;
    let per_kib = network.genesis.params.fee_per_kib;
    let mut fees = Amount::ZERO;
    let mut paid = |bytes: u64| {
        let one = fee(per_kib, bytes).unwrap_or(Amount::ZERO);
        fees = fees.checked_add(one).unwrap_or(fees);
    };
    let registered = match &model.onnx {
        Some(onnx) if found(client.model(&model.id))?.is_none() => {
            console.stage(format!("registering model {}", model.id.short()));
            let blob = client.put_blob(onnx)?;
            let included = register(console, client, wallet, &model.id, blob)?;
            if let Some(included) = &included {
                paid(included.bytes + blob.bytes_len);
                console.stage(format!("model registered in slot {}", included.slot));
            }
            included
        }
        _ => None,
    };
    let encoded = tensors::encode(&model.program, inputs);
    let blob_bytes = encoded.len() as u64;
    let most = network.genesis.params.limits.blob_bytes_max;
    if blob_bytes > most {
        let message = format!("the input has {blob_bytes} bytes, this network allows {most}");
        return Err(CliError::failed("too_large", message));
    }
    let inline = blob_bytes <= network.genesis.params.limits.inline_bytes_max;
    let input = if inline {
        Payload::Inline(encoded)
    } else {
        Payload::Blob(client.put_blob(&encoded)?)
    };
    let args = terms.args;
    let mut tee_kinds = args.tee.clone();
    tee_kinds.sort();
    tee_kinds.dedup();
    let action = Action::PostJob(PostJob {
        model: model.id,
        input,
        tee_kinds,
        reputation_min: args.min_reputation,
        payment: args.payment,
        gas_limit: terms.gas_limit,
        deadline_slots: args.deadline,
        seed: args.seed,
    });
    let included = wallet.send(console, &action)?;
    paid(included.bytes + if inline { 0 } else { blob_bytes });
    let job = JobId(included.id.0);
    if !context.console.is_json() {
        context.console.stage(format!("job {job}"));
    }
    let gas_limit = terms.gas_limit;
    Ok(Posted {
        job,
        included,
        model: model.id,
        gas_limit,
        fees,
        registered,
    })
}

/// Registers, unless somebody else is faster: a model is nobody's.
fn register(
    console: &mut Console,
    client: &Client,
    wallet: &Wallet<'_>,
    id: &ModelId,
    onnx: BlobRef,
) -> Result<Option<Included>, CliError> {
    match wallet.send(console, &Action::RegisterModel { onnx }) {
        Ok(included) => Ok(Some(included)),
        Err(e) if e.exit == Exit::Failed && found(client.model(id))?.is_some() => Ok(None),
        Err(e) => Err(e),
    }
}

fn posted_json(posted: &Posted) -> serde_json::Value {
    json!({
        "job": posted.job,
        "slot": posted.included.slot,
        "model": posted.model,
        "model_registered": posted.registered.is_some(),
        "gas_limit": posted.gas_limit,
        "fees": posted.fees,
    })
}

fn report(context: &mut Context, posted: &Posted, payment: Amount) {
    context.console.answer(&posted_json(posted), |page| {
        page.field("job", posted.job)
            .field("in block", posted.included.slot)
            .field("model", posted.model)
            .field("gas limit", number(posted.gas_limit))
            .field(
                "locked",
                format!("{} and {} fees", aic(payment), aic(posted.fees)),
            )
            .line("`aether job get JOB --wait --output` waits for the result.");
    });
}

fn report_end(
    context: &mut Context,
    posted: &Posted,
    job: &JobView,
    stages: &[job_wait::Stage],
    outputs: Option<&[(String, Tensor)]>,
) {
    let refunded = job.outcome.as_ref().map_or(Amount::ZERO, |o| o.refunded);
    let kept = job.payment.checked_sub(refunded).unwrap_or(Amount::ZERO);
    let cost = kept.checked_add(posted.fees).unwrap_or(kept);
    let mut value = posted_json(posted);
    value["record"] = json!(job);
    value["cost"] = json!(cost);
    value["stages"] = json!(stages);
    value["outputs"] = outputs.map_or(serde_json::Value::Null, tensors::to_json);
    context.console.answer(&value, |page| {
        job::show(page, job);
        page.heading("Cost")
            .field("in all", aic(cost))
            .field("payment", aic(kept))
            .field("fees", aic(posted.fees));
        page.heading("Stages");
        for stage in stages {
            page.field(&stage.status, format!("{:.2} s", stage.seconds));
        }
        page.heading("Outputs");
        match outputs {
            Some(outputs) => tensors::show(page, outputs),
            None => {
                page.line("none");
            }
        }
    });
}
