//! `aether receipt`: out of a node into a file, and what a file proves.
//!
//! Verifying needs no node and no network: the genesis in a folder, and the
//! KZG setup in this program, are all it trusts.

use super::CommandResult;
use super::args::ReceiptCommand;
use super::context::Context;
use super::exit::{CliError, Exit};
use super::files;
use super::page::{Page, Tone, aic, number, size};
use super::tensors;
use crate::rpc::views::{JobView, run_status_name};
use aether_inference::{BundleLimits, Tensor, decode_outputs};
use aether_kzg::{PairOpening, Prover, Setup, TraceCommitment, TraceElement, Verifier};
use aether_mesh::{JobId, Payload, RECEIPT_BYTES_MAX, Receipt, Rules, Verified};
use serde_json::{Value, json};
use std::path::Path;

pub(super) fn run(context: &mut Context, command: ReceiptCommand) -> CommandResult {
    match command {
        ReceiptCommand::Export { job, file } => export(context, &job, &file),
        ReceiptCommand::Verify { file } => verify(context, &file),
        ReceiptCommand::Open { file, step } => open(context, &file, step),
    }
}

fn export(context: &mut Context, job: &JobId, file: &Path) -> CommandResult {
    let bytes = context.client().receipt(job)?;
    // Not proof that it verifies, but that the file is one and of this job.
    let receipt = Receipt::decode(&bytes)
        .map_err(|e| CliError::failed(e.code(), format!("the node's answer: {e}")))?;
    if receipt.job.id().0 != job.0 {
        return Err(CliError::failed(
            "other_job",
            "the node's receipt is of another job",
        ));
    }
    files::write_new(file, &bytes)?;
    let value = json!({ "job": job, "file": file, "bytes": bytes.len() });
    context.console.answer(&value, |page| {
        page.field("job", job)
            .field("file", file.display())
            .field("size", size(bytes.len() as u64))
            .line(format!(
                "`aether receipt verify {} --network DIR` checks it, anywhere.",
                file.display()
            ));
    });
    Ok(Exit::Ok)
}

fn verify(context: &mut Context, file: &Path) -> CommandResult {
    let (rules, verified, bytes) = load(context, file)?;
    accepted(context, &rules, &verified, bytes);
    Ok(Exit::Ok)
}

/// A receipt that holds under the network in --network, and its size.
fn load(context: &mut Context, file: &Path) -> Result<(Rules, Verified, usize), CliError> {
    // The network first: without it there is nothing to trust.
    let rules = Rules::new(context.genesis()?)?;
    let bytes = files::read(file, RECEIPT_BYTES_MAX as u64)?;
    let checked = Receipt::decode(&bytes).and_then(|r| r.verify(&rules));
    match checked {
        Ok(verified) => Ok((rules, verified, bytes.len())),
        Err(e) => Err(CliError::failed(
            e.code(),
            format!(
                "{} proves nothing under network {:?}: {e} [{}]",
                file.display(),
                rules.genesis.name,
                e.code(),
            ),
        )),
    }
}

fn open(context: &mut Context, file: &Path, step: u32) -> CommandResult {
    let (_, v, _) = load(context, file)?;
    let opened = open_step(&v.vcr.commitment, &v.vcr.trace, step)?;
    let value = json!({
        "job": v.job,
        "step": step,
        "elements": v.vcr.trace.len(),
        "commitment": hex::encode(&v.vcr.commitment),
        "before": hex::encode(opened.before.0),
        "after": hex::encode(opened.after.0),
        "opening": hex::encode(opened.opening.to_bytes()),
    });
    context.console.answer(&value, |page| {
        page.field("job", v.job)
            .field("step", number(u64::from(step)))
            .field("elements", number(v.vcr.trace.len() as u64))
            .field("commitment", hex::encode(&v.vcr.commitment))
            .field("before", hex::encode(opened.before.0))
            .field("after", hex::encode(opened.after.0))
            .field("opening", hex::encode(opened.opening.to_bytes()));
    });
    Ok(Exit::Ok)
}

/// The elements on both sides of a step, and the proof of both.
#[derive(Debug)]
struct OpenedStep {
    before: TraceElement,
    after: TraceElement,
    opening: PairOpening,
}

fn open_step(commitment: &[u8], trace: &[[u8; 31]], step: u32) -> Result<OpenedStep, CliError> {
    let elements: Vec<TraceElement> = trace.iter().map(|e| TraceElement(*e)).collect();
    let index = usize::try_from(step).unwrap_or(usize::MAX);
    let pair = index
        .checked_sub(1)
        .and_then(|before| elements.get(before..=index));
    let Some(&[before, after]) = pair else {
        return Err(CliError::failed(
            "no_such_step",
            format!(
                "the trace has steps 1 to {}",
                elements.len().saturating_sub(1)
            ),
        ));
    };
    let opening = Prover::new(Setup::ethereum())
        .open_pair(&elements, index)
        .map_err(|e| CliError::failed("no_such_step", e.to_string()))?;
    // What is given out was checked as its receiver will check it.
    let holds = TraceCommitment::from_bytes(commitment).and_then(|commitment| {
        let len = elements.len();
        Verifier::ethereum().verify_pair(&commitment, len, index, &before, &after, &opening)
    });
    match holds {
        Ok(true) => Ok(OpenedStep {
            before,
            after,
            opening,
        }),
        Ok(false) | Err(_) => Err(CliError::failed(
            "commitment",
            "the commitment is not the trace's",
        )),
    }
}

fn accepted(context: &mut Context, rules: &Rules, v: &Verified, bytes: usize) {
    let outputs = inline_outputs(v);
    context
        .console
        .answer(&to_json(rules, v, outputs.as_deref()), |page| {
            describe(page, rules, v, bytes as u64, outputs.as_deref());
        });
}

fn describe(
    page: &mut Page,
    rules: &Rules,
    v: &Verified,
    bytes: u64,
    outputs: Option<&[(String, Tensor)]>,
) {
    page.toned("receipt", format!("valid ({})", size(bytes)), Tone::Good)
        .field(
            "network",
            format!("{} (chain {})", rules.genesis.name, rules.chain_id.short()),
        )
        .field("job", v.job)
        .field("model", v.terms.model)
        .field("requester", v.record.requester)
        .field("worker", v.worker);
    show_run(page, v);
    show_finality(page, v);
    page.heading("Output");
    match (outputs, &v.vcr.output) {
        (Some(outputs), _) => tensors::show(page, outputs),
        (None, Payload::Blob(b)) => {
            page.field("blob", b.id).field("size", size(b.bytes_len));
            page.line("The receipt names it; whoever holds the bytes can compare.");
        }
        (None, Payload::Inline(_)) => {
            page.line("none");
        }
    }
    page.heading("Checked")
        .line("- the header is final: its certificate carries the quorum of stake above")
        .line("- the job's record is in that header's state, and says settled")
        .line("- posting and VCR are signed by requester and worker")
        .line("- the TEE evidence is genuine and binds worker, session and block")
        .line("- the trace begins with this job and ends in this output, and it is what")
        .line("  the commitment commits to");
}

fn show_run(page: &mut Page, v: &Verified) {
    let status = v.record.vcr.as_ref().map_or(0, |r| r.run_status);
    page.heading("Run")
        .field("status", run_status_name(status))
        .maybe("gas", v.record.vcr.as_ref().map(|r| number(r.gas_used)))
        .field("seed", v.terms.seed)
        .field(
            "trace",
            format!("{} elements", number(v.vcr.trace.len() as u64)),
        )
        .field("commitment", hex::encode(&v.vcr.commitment));
    page.heading("Platform")
        .field("kind", v.appraisal.kind)
        .field("measurement", v.appraisal.measurement)
        .maybe("platform id", v.appraisal.platform_id)
        .field("bound to slot", v.vcr.evidence.slot);
}

fn show_finality(page: &mut Page, v: &Verified) {
    let (count, power, total) = v.signers;
    page.heading("Settlement")
        .maybe(
            "settled",
            v.record
                .outcome
                .as_ref()
                .map(|o| format!("in slot {}", o.slot)),
        )
        .field("paid", aic(v.record.payment))
        .field(
            "proven",
            format!("by the header of slot {}", v.header.height),
        )
        .field("block", v.header.id())
        .field(
            "signed by",
            format!(
                "{count} validators, {} of {} AIC of stake",
                number(power),
                number(total)
            ),
        );
}

fn inline_outputs(v: &Verified) -> Option<Vec<(String, Tensor)>> {
    let Payload::Inline(bytes) = &v.vcr.output else {
        return None;
    };
    let limits = BundleLimits {
        max_bytes: bytes.len() as u64,
        ..BundleLimits::default()
    };
    decode_outputs(bytes, &limits)
        .ok()
        .filter(|outputs| !outputs.is_empty())
}

fn to_json(rules: &Rules, v: &Verified, outputs: Option<&[(String, Tensor)]>) -> Value {
    let (count, power, total) = v.signers;
    json!({
        "valid": true,
        "network": rules.genesis.name,
        "chain_id": rules.chain_id,
        "job": v.job,
        "model": v.terms.model,
        "worker": v.worker,
        "record": JobView::new(v.job, &v.record),
        "platform": {
            "kind": v.appraisal.kind.name(),
            "measurement": v.appraisal.measurement.to_string(),
            "measured": v.appraisal.measured,
            "platform_id": v.appraisal.platform_id.map(|p| p.to_string()),
        },
        "commitment": hex::encode(&v.vcr.commitment),
        "header": { "slot": v.header.height, "block": v.header.id() },
        "signers": { "count": count, "stake": power, "total_stake": total },
        "outputs": outputs.map(tensors::to_json),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::page::WIDTH;
    use crate::rpc::Backend as _;
    use crate::rpc::tests::{FakeNode, account, settled};
    use aether_mesh::{Amount, BoundEvidence, PostJob, Slot, Vcr};
    use aether_tee::{Appraisal, EvidenceKind, Measurement, UnixTime};

    fn verified(node: &FakeNode) -> Verified {
        node.tick();
        let record = settled(1);
        let output = Tensor::from_vec(&[1, 2], vec![0.25f32, 0.75]).unwrap();
        let input = Payload::Inline(Vec::new());
        Verified {
            job: JobId([1; 32]),
            terms: PostJob {
                model: record.model,
                input,
                tee_kinds: Vec::new(),
                reputation_min: 0,
                payment: Amount::aic(2),
                gas_limit: record.gas_limit,
                deadline_slots: 100,
                seed: 7,
            },
            vcr: Vcr {
                job: JobId([1; 32]),
                worker: account(5),
                session_key: [1; 32],
                evidence: BoundEvidence {
                    kind: EvidenceKind::Simulated,
                    document: vec![1],
                    slot: Slot(3),
                    endorsements: None,
                },
                commitment: vec![0xab; 48],
                trace: vec![[0; 31]; 3],
                final_state: Vec::new(),
                output: Payload::Inline(aether_inference::encode_outputs(&[("p", &output)])),
            },
            worker: account(5),
            appraisal: Appraisal {
                kind: EvidenceKind::Simulated,
                measurement: Measurement::of(b"worker"),
                measured: true,
                signed_digest: [2; 32],
                issued_at: None,
                not_after: UnixTime(0),
                platform_id: None,
                details: aether_tee::Details::None,
            },
            header: node.block(Slot(1)).unwrap().0.header,
            signers: (3, 30_000, 40_000),
            record,
        }
    }

    #[test]
    fn a_person_reads_what_was_proven() {
        let node = FakeNode::new();
        let v = verified(&node);
        let mut page = Page::default();
        describe(
            &mut page,
            &node.rules,
            &v,
            5_000,
            inline_outputs(&v).as_deref(),
        );
        let text = anstream::adapter::strip_str(&page.finish()).to_string();
        for said in [
            "valid (4.9 KiB)",
            &account(5).to_string(),
            "simulated",
            &Measurement::of(b"worker").to_string(),
            "3 validators, 30,000 of 40,000 AIC of stake",
            "f32 [1, 2]: 0.25 0.75",
            &"ab".repeat(48),
        ] {
            assert!(text.contains(said), "{said}: {text}");
        }
        for line in text.lines() {
            let fits = line.chars().count() <= WIDTH || line.split_whitespace().count() <= 2;
            assert!(fits, "{line}");
        }
        let json = to_json(&node.rules, &v, inline_outputs(&v).as_deref());
        assert_eq!(json["signers"]["stake"], 30_000);
        assert_eq!(
            json["outputs"]["p"]["data"],
            serde_json::json!([0.25, 0.75])
        );
    }

    #[test]
    fn a_step_is_opened_only_if_it_exists_and_the_commitment_is_the_traces() {
        let trace: Vec<[u8; 31]> = (1..=5).map(|i| [i; 31]).collect();
        let elements: Vec<TraceElement> = trace.iter().map(|e| TraceElement(*e)).collect();
        let prover = Prover::new(Setup::ethereum());
        let commitment = prover.commit(&elements).unwrap().to_bytes();
        for step in 1..=4u32 {
            let opened = open_step(&commitment, &trace, step).unwrap();
            assert_eq!(opened.before.0, [step as u8; 31]);
            assert_eq!(opened.after.0, [step as u8 + 1; 31]);
        }
        for step in [0, 5, u32::MAX] {
            let refused = open_step(&commitment, &trace, step).unwrap_err();
            assert_eq!(refused.code, "no_such_step");
            assert!(refused.message.contains("steps 1 to 4"));
        }
        let other = prover.commit(&elements[..4]).unwrap().to_bytes();
        for wrong in [&other[..], &commitment[1..], &[]] {
            assert_eq!(open_step(wrong, &trace, 2).unwrap_err().code, "commitment");
        }
    }
}
