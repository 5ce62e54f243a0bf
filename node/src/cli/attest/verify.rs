//! `aether attest verify`: the verdict, in words or as JSON.

use super::advice::advice;
use super::policy::Demands;
use super::{endorse, file, fixed, time};
use crate::cli::CommandResult;
use crate::cli::args::AttestVerifyArgs;
use crate::cli::context::Context;
use crate::cli::exit::{CliError, Exit};
use crate::cli::page::{Page, Tone, duration};
use aether_mesh::Rules;
use aether_tee::inspect::inspect;
use aether_tee::{
    Appraisal, Binding, Details, Evidence, EvidenceKind, Measurement, Refusal, RefusalClass,
    appraise_user_data_at_ms, is_canonical,
};
use serde_json::{Value, json};

/// The longest `user_data` of any kind, in bytes.
const USER_DATA_MAX: usize = 512;

/// What a verdict was reached by, as far as it is told.
struct Circumstances {
    at_ms: u64,
    /// Where the policy came from.
    policy: String,
    /// How the binding was checked.
    bound: &'static str,
    /// Whether the evidence has the form that the mesh admits, or why not.
    canonical: Result<(), String>,
}

pub(super) fn run(context: &mut Context, args: &AttestVerifyArgs) -> CommandResult {
    let at_ms = match &args.at {
        None => time::now_ms(),
        Some(text) => time::parse_ms(text).ok_or_else(|| {
            CliError::usage(format!(
                "--at takes an instant as 2026-01-31T12:00:00Z or 1769860800, not {text:?}"
            ))
        })?,
    };
    let (mut demands, policy) = demands(context, args)?;
    for text in &args.measurement {
        let measurement = Measurement(fixed("--measurement", text)?);
        demands.policy.measurements.push(measurement);
    }
    let bound = bound(args)?;
    let found = file::read(&args.file)?;
    let kind = found.evidence.kind;
    let endorsements = endorse::gather(kind, &args.endorsements, found.endorsements)?;
    let circumstances = Circumstances {
        at_ms,
        policy,
        bound: bound.words(),
        canonical: is_canonical(&found.evidence).map_err(|e| e.to_string()),
    };
    // What cannot be read has no binding either; judging it says what is wrong.
    let user_data = match bound {
        Bound::To(bytes, _) => bytes,
        Bound::Any => inspect(&found.evidence).map_or_else(|_| Vec::new(), |i| i.user_data),
    };
    let verdict = appraise_user_data_at_ms(
        &found.evidence,
        &endorsements,
        &demands.anchors,
        &demands.policy,
        &user_data,
        at_ms,
    );
    match verdict {
        Ok(appraisal) => {
            let value = accepted_json(&appraisal, &circumstances);
            context.console.answer(&value, |page| {
                accepted(page, &appraisal, &circumstances);
            });
            Ok(Exit::Ok)
        }
        Err(refusal) => {
            let value = refused_json(&found.evidence, &refusal, &circumstances);
            context.console.answer(&value, |page| {
                refused(page, &found.evidence, &refusal, &circumstances);
            });
            Ok(Exit::Failed)
        }
    }
}

/// The policy, and where it came from.
fn demands(context: &Context, args: &AttestVerifyArgs) -> Result<(Demands, String), CliError> {
    if let Some(path) = &args.policy {
        return Ok((Demands::read(path)?, path.display().to_string()));
    }
    if context.global.network.is_some() {
        let rules = Rules::new(context.genesis()?)?;
        let demands = Demands {
            policy: rules.tee_rules.policy(&rules.policy),
            anchors: rules.anchors,
        };
        return Ok((demands, format!("network {:?}", rules.genesis.name)));
    }
    let words = "none named: the defaults for real hardware";
    Ok((Demands::hardware(), words.to_owned()))
}

/// What evidence must be bound to.
enum Bound {
    To(Vec<u8>, &'static str),
    Any,
}

impl Bound {
    const fn words(&self) -> &'static str {
        match self {
            Self::To(_, words) => words,
            Self::Any => "not checked: it may be somebody else's, or an old one",
        }
    }
}

fn bound(args: &AttestVerifyArgs) -> Result<Bound, CliError> {
    if let Some(text) = &args.report_data {
        let bytes = hex::decode(text.trim())
            .ok()
            .filter(|bytes| bytes.len() <= USER_DATA_MAX);
        let bytes = bytes.ok_or_else(|| {
            CliError::usage(format!(
                "--report-data takes hex, at most {USER_DATA_MAX} bytes (64 but for Nitro)"
            ))
        })?;
        return Ok(Bound::To(bytes, "the report_data given"));
    }
    let (Some(chain), Some(worker), Some(session), Some(slot), Some(block)) = (
        &args.chain,
        &args.worker,
        &args.session,
        args.slot,
        &args.block,
    ) else {
        return Ok(Bound::Any);
    };
    let binding = Binding::new(
        &fixed("--chain", chain)?,
        &fixed("--worker", worker)?,
        &fixed("--session", session)?,
        slot,
        &fixed("--block", block)?,
    );
    Ok(Bound::To(
        binding.as_bytes().to_vec(),
        "the chain, worker, session key and block given",
    ))
}

/// The platform in words.
fn platform(kind: EvidenceKind) -> &'static str {
    match kind {
        EvidenceKind::SevSnp => "AMD SEV-SNP",
        EvidenceKind::Tdx => "Intel TDX",
        EvidenceKind::Nitro => "AWS Nitro Enclaves",
        EvidenceKind::Simulated => "simulated TEE, which protects nothing",
        _ => "unknown",
    }
}

fn accepted(page: &mut Page, a: &Appraisal, c: &Circumstances) {
    page.toned("verdict", "accepted", Tone::Good)
        .field("at", time::show(c.at_ms / 1000))
        .field("policy", &c.policy)
        .field("platform", platform_line(a))
        .field("measurement", a.measurement);
    if a.measured {
        page.toned("program", "on the policy's list", Tone::Good);
    } else {
        page.toned(
            "program",
            "nobody vouches for it: the policy lists none",
            Tone::Bad,
        );
    }
    match &a.details {
        Details::SevSnp(d) => {
            page.field("TCB", d.reported_tcb)
                .field("VMPL", d.vmpl)
                .maybe("AMD's list", d.crl_number.map(|n| format!("number {n}")));
        }
        Details::Tdx(d) => {
            page.field("TCB status", d.status);
            if !d.advisories.is_empty() {
                page.field("advisories", d.advisories.join(", "));
            }
            page.field("FMSPC", hex::encode(d.fmspc));
            page.field(
                "TCB info",
                format!(
                    "of {}, evaluation number {}",
                    time::show(d.tcb_info_date.0),
                    d.evaluation_number
                ),
            );
            for (index, rtmr) in d.rtmrs.iter().enumerate() {
                page.field(&format!("RTMR{index}"), rtmr);
            }
        }
        _ => {}
    }
    match a.issued_at {
        Some(issued) => {
            let age = (c.at_ms / 1000).saturating_sub(issued.0);
            page.field(
                "made",
                format!("{} ({} before)", time::show(issued.0), duration(age)),
            );
        }
        None => {
            page.field(
                "made",
                "it does not say: its age is that of the block it is bound to",
            );
        }
    }
    page.field("holds until", time::show(a.not_after.0))
        .field(
            "platform id",
            a.platform_id.map_or_else(
                || "none: this kind names no chip".to_owned(),
                |id| id.to_string(),
            ),
        )
        .field("bound to", c.bound)
        .field("identity", hex::encode(a.signed_digest));
    if let Err(why) = &c.canonical {
        page.field(
            "form",
            format!("as hardware gives it; the mesh admits another: {why}"),
        );
    }
    page.heading("Checked");
    for line in checked(a) {
        page.line(format!("- {line}"));
    }
}

fn platform_line(a: &Appraisal) -> String {
    match &a.details {
        Details::SevSnp(d) if d.vlek => {
            format!(
                "{}, {}, signed by its cloud's key (VLEK)",
                platform(a.kind),
                d.product
            )
        }
        Details::SevSnp(d) => {
            format!(
                "{}, {}, signed by the chip's own key (VCEK)",
                platform(a.kind),
                d.product
            )
        }
        _ => platform(a.kind).to_owned(),
    }
}

/// What stands behind an acceptance.
fn checked(a: &Appraisal) -> Vec<&'static str> {
    let mut lines = match &a.details {
        Details::SevSnp(d) => {
            let list = if d.crl_number.is_some() {
                "nothing in the chain is on AMD's revocation list, which is current"
            } else {
                "no revocation list was given: AMD revokes by raising the least TCB"
            };
            vec![
                "the signing key's certificate leads to AMD's pinned root for this product",
                "the certificate is for this chip and firmware, and its key signed the report",
                "guest policy, privilege level, platform and firmware are what the policy asks",
                list,
            ]
        }
        Details::Tdx(_) => vec![
            "the platform's certificate (PCK) leads to Intel's pinned root",
            "Intel's quoting enclave vouches for the key that signed the quote",
            "TCB info, enclave identity and both revocation lists are Intel's and current",
            "firmware, TDX module and quoting enclave have a status that the policy accepts",
            "the TD's attributes, features and configuration are what the policy asks",
        ],
        Details::None => vec![
            "the chain begins with a pinned root and its leaf signed the document",
            "the document is no older, and no further ahead, than the policy allows",
            "the enclave is not in debug mode",
        ],
    };
    lines.push("every certificate is valid at that instant");
    lines
}

fn refused(page: &mut Page, evidence: &Evidence, refusal: &Refusal, c: &Circumstances) {
    page.toned("verdict", "refused", Tone::Bad)
        .toned("why", format!("{refusal} [{}]", refusal.code()), Tone::Bad)
        .field("what to do", advice(refusal))
        .field("at", time::show(c.at_ms / 1000))
        .field("policy", &c.policy)
        .field(
            "platform",
            format!("{}, as it says itself", platform(evidence.kind)),
        );
    if let Ok(said) = inspect(evidence) {
        page.field("measurement", said.measurement);
    }
    page.line(match refusal.class() {
        RefusalClass::Forged => "No time and no policy makes this acceptable.",
        RefusalClass::Untimely => "It may be genuine, but not at this instant.",
        RefusalClass::Unwanted => "It may be genuine, but it is not what was asked for.",
    });
}

fn accepted_json(a: &Appraisal, c: &Circumstances) -> Value {
    let age = a.issued_at.map(|t| (c.at_ms / 1000).saturating_sub(t.0));
    let mut value = json!({
        "accepted": true,
        "at": time::show(c.at_ms / 1000),
        "policy": c.policy,
        "kind": a.kind.name(),
        "measurement": a.measurement.to_string(),
        "measured": a.measured,
        "issued_at": a.issued_at.map(|t| time::show(t.0)),
        "age_seconds": age,
        "not_after": time::show(a.not_after.0),
        "platform_id": a.platform_id.map(|id| id.to_string()),
        "signed_digest": hex::encode(a.signed_digest),
        "bound_to": c.bound,
        "canonical": c.canonical.is_ok(),
        "checked": checked(a),
    });
    match &a.details {
        Details::SevSnp(d) => {
            value["snp"] = json!({
                "product": d.product.name(),
                "vlek": d.vlek,
                "vmpl": d.vmpl,
                "reported_tcb": {
                    "fmc": d.reported_tcb.fmc,
                    "bootloader": d.reported_tcb.bootloader,
                    "tee": d.reported_tcb.tee,
                    "snp": d.reported_tcb.snp,
                    "microcode": d.reported_tcb.microcode,
                },
                "crl_number": d.crl_number,
            });
        }
        Details::Tdx(d) => {
            let rtmrs: Vec<String> = d.rtmrs.iter().map(ToString::to_string).collect();
            value["tdx"] = json!({
                "tcb_status": d.status.name(),
                "advisories": d.advisories,
                "fmspc": hex::encode(d.fmspc),
                "rtmrs": rtmrs,
                "evaluation_number": d.evaluation_number,
                "tcb_info_date": time::show(d.tcb_info_date.0),
                "root_crl_number": d.root_crl_number,
                "pck_crl_number": d.pck_crl_number,
            });
        }
        _ => {}
    }
    value
}

/// With the `error` that every failing command has, so that programs look in one place.
fn refused_json(evidence: &Evidence, refusal: &Refusal, c: &Circumstances) -> Value {
    let class = match refusal.class() {
        RefusalClass::Forged => "forged",
        RefusalClass::Untimely => "untimely",
        RefusalClass::Unwanted => "unwanted",
    };
    json!({
        "accepted": false,
        "at": time::show(c.at_ms / 1000),
        "policy": c.policy,
        "kind": evidence.kind.name(),
        "class": class,
        "reason": refusal.kind(),
        "advice": advice(refusal),
        "error": {
            "code": refusal.code(),
            "message": refusal.to_string(),
            "exit": Exit::Failed as u8,
        },
    })
}
