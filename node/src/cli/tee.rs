//! `aether tee`: which evidence counts, and a validator's vote for other rules.

use super::CommandResult;
use super::args::TeeCommand;
use super::context::Context;
use super::exit::{CliError, Exit};
use super::page::{Page, Tone};
use super::send::Wallet;
use crate::rpc::views::TeeView;
use aether_mesh::{Action, Slot, TeeRulesText};
use serde_json::json;
use std::path::Path;

/// A file of rules is far smaller.
const FILE_BYTES_MAX: u64 = 256 << 10;

pub(super) fn run(context: &mut Context, command: TeeCommand) -> CommandResult {
    match command {
        TeeCommand::Show { toml } => show(context, toml),
        TeeCommand::Vote { file } => vote(context, &file),
    }
}

fn show(context: &mut Context, only_toml: bool) -> CommandResult {
    let found = context.client().tee()?;
    if only_toml {
        let text = toml::to_string_pretty(&found.value.rules)
            .map_err(|e| CliError::failed("internal", e.to_string()))?;
        context.console.answer(&found.value.rules, |page| {
            page.line(text.trim_end());
        });
        return Ok(Exit::Ok);
    }
    context.console.answer(&found, |page| {
        describe(page, &found.value, found.height);
    });
    Ok(Exit::Ok)
}

fn describe(page: &mut Page, tee: &TeeView, height: Slot) {
    page.field("sequence", tee.sequence)
        .field("at slot", height);
    rules(page, &tee.rules);
    if let Some(waiting) = &tee.waiting {
        page.heading(&format!(
            "From slot {} on (sequence {})",
            waiting.effective, waiting.sequence
        ));
        rules(page, &waiting.rules);
    }
    for votes in &tee.votes {
        page.heading(&format!(
            "Votes for {}",
            &votes.rules[..8.min(votes.rules.len())]
        ))
        .field("power", format!("{} of {}", votes.power, votes.total_power));
        for validator in &votes.validators {
            page.field("validator", validator);
        }
    }
}

fn rules(page: &mut Page, rules: &TeeRulesText) {
    if rules.measurements.is_empty() {
        page.toned("programs", "any: receipts say `unmeasured`", Tone::Bad);
    }
    for measurement in &rules.measurements {
        page.field("program", measurement);
    }
    for t in &rules.snp_tcb_min {
        let least = format!(
            "at least fmc {}, bootloader {}, tee {}, snp {}, microcode {}",
            t.fmc, t.bootloader, t.tee, t.snp, t.microcode
        );
        page.field(&format!("AMD {}", t.product), least);
    }
    for rtmr in &rules.tdx_rtmrs {
        page.field("Intel RTMR", rtmr);
    }
    page.field("Intel statuses", rules.tdx_tcb_statuses.join(", "));
    if rules.tdx_grace_s > 0 {
        page.field("out of date", format!("counts for {} s", rules.tdx_grace_s));
    }
}

fn vote(context: &mut Context, file: &Path) -> CommandResult {
    let unusable = |why: String| CliError::config(format!("{}: {why}", file.display()));
    let text = super::files::read_text(file, FILE_BYTES_MAX)?;
    let rules = TeeRulesText::from_toml(&text)
        .and_then(|text| text.rules())
        .map_err(|e| unusable(e.to_string()))?;
    let client = context.client();
    let key = context.key()?;
    let network = context.network_of(&client)?;
    let found = client.tee()?.value;
    if let Some(waiting) = found.waiting {
        return Err(CliError::failed(
            "not_now",
            format!(
                "the rules voted last take effect at slot {}: vote again then",
                waiting.effective
            ),
        ));
    }
    let sequence = found.sequence + 1;
    let wallet = Wallet::new(&client, key, &network);
    let action = Action::Govern { sequence, rules };
    let sent = wallet.send(&mut context.console, &action)?;
    let after = client.tee()?.value;
    let decided = after.waiting.as_ref().map(|w| w.effective);
    let value = json!({
        "tx": sent.id,
        "slot": sent.slot,
        "sequence": sequence,
        "effective": decided,
    });
    context.console.answer(&value, |page| {
        page.field("transaction", sent.id)
            .toned("in block", sent.slot, Tone::Good)
            .field("sequence", sequence);
        match decided {
            Some(slot) => page.toned("decided", format!("counts from slot {slot} on"), Tone::Good),
            None => page.field("decided", "not yet: more than 2/3 of the power must agree"),
        };
    });
    Ok(Exit::Ok)
}
