//! `aether node status`, `aether node peers`, `aether version`

use super::CommandResult;
use super::context::Context;
use super::exit::Exit;
use super::page::{Tone, duration, number, size};
use serde_json::json;

pub(super) fn status(context: &mut Context) -> CommandResult {
    let client = context.client();
    let status = client.status()?;
    let readiness = client.readiness()?;
    let value = json!({ "status": status, "readiness": readiness });
    context.console.answer(&value, |page| {
        let unwell: Vec<String> = readiness
            .reasons
            .iter()
            .filter(|r| !r.ok)
            .map(|r| format!("{}: {}", r.name, r.detail))
            .collect();
        if unwell.is_empty() {
            page.toned("ready", "yes", Tone::Good);
        } else {
            page.toned("ready", format!("no\n{}", unwell.join("\n")), Tone::Bad);
        }
        page.field(
            "network",
            format!("{} (chain {})", status.network, status.chain_id.short()),
        )
        .field("roles", status.roles.join(", "))
        .maybe("account", status.account)
        .field("peer id", &status.peer_id)
        .field("listens on", status.listen.join("\n"));
        page.heading("Chain")
            .field("slot", number(status.height.0))
            .field("block", status.block_id)
            .field("state root", &status.state_root);
        if status.block_time_ms > 0 {
            let age = status.time_ms.saturating_sub(status.block_time_ms);
            page.field("last block", format!("{:.1} s ago", age as f64 / 1e3));
        }
        page.field("validators", status.validators);
        page.heading("Node")
            .field("version", &status.version)
            .field("up", duration(status.uptime_s))
            .field("peers", status.peers)
            .field(
                "mempool",
                format!(
                    "{} transactions, {}",
                    number(status.mempool_txs),
                    size(status.mempool_bytes)
                ),
            );
        if status.rss_bytes > 0 {
            page.field("memory", size(status.rss_bytes));
        }
    });
    Ok(Exit::Ok)
}

pub(super) fn peers(context: &mut Context) -> CommandResult {
    let peers = context.client().peers()?;
    context.console.answer(&peers, |page| {
        if peers.is_empty() {
            page.line("no peers");
        }
        for p in &peers {
            let mut known = vec![p.direction.clone()];
            known.extend(p.height.map(|h| format!("slot {h}")));
            known.extend(p.rtt_ms.map(|ms| format!("{ms} ms")));
            known.extend(p.score.map(|s| format!("score {s:.1}")));
            known.extend(p.agent.clone());
            page.line(&p.peer_id).line(format!("  {}", p.address));
            page.line(format!("  {}", known.join(", ")));
        }
    });
    Ok(Exit::Ok)
}

pub(super) fn version(context: &mut Context) -> CommandResult {
    let version = env!("CARGO_PKG_VERSION");
    let runtime = aether_inference::RUNTIME_VERSION;
    let target = format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS);
    let value = json!({ "version": version, "inference_rules": runtime, "target": target });
    context.console.answer(&value, |page| {
        page.field("aether", version)
            .field("inference rules", format!("version {runtime}"))
            .field("built for", &target);
    });
    Ok(Exit::Ok)
}
