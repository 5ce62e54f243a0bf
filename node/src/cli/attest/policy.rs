//! Policies as TOML, and `aether attest policy`.
//!
//! Unknown keys are refused, and what is left out is the library's default. Hardware vendors'
//! roots are always trusted for the kinds that are listed; a simulated root has to be named.

use super::template::template;
use super::time;
use crate::cli::CommandResult;
use crate::cli::args::PolicyArgs;
use crate::cli::context::Context;
use crate::cli::exit::{CliError, Exit};
use crate::cli::files;
use crate::cli::page::{Page, Tone};
use aether_tee::{
    EvidenceKind, Measurement, Policy, SnpProduct, SnpTcb, TcbStatus, TrustAnchors, UnixTime,
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::str::FromStr;

/// A long list of measurements.
const POLICY_BYTES_MAX: u64 = 1 << 20;

/// What evidence is judged by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Demands {
    pub(super) policy: Policy,
    pub(super) anchors: TrustAnchors,
}

impl Demands {
    /// Where nobody says anything: real hardware of any kind.
    pub(super) fn hardware() -> Self {
        let kinds = EvidenceKind::ALL.into_iter();
        Self {
            policy: Policy {
                kinds: kinds.filter(|k| *k != EvidenceKind::Simulated).collect(),
                ..Policy::default()
            },
            anchors: TrustAnchors::vendors(),
        }
    }

    pub(super) fn read(path: &Path) -> Result<Self, CliError> {
        let text = files::read_text(path, POLICY_BYTES_MAX)?;
        Self::parse(&text).map_err(|why| CliError::config(format!("{}: {why}", path.display())))
    }

    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let file: PolicyFile = toml::from_str(text).map_err(|e| e.to_string())?;
        file.demands()
    }
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct PolicyFile {
    kinds: Vec<String>,
    measurements: Vec<String>,
    max_age_seconds: Option<u64>,
    max_future_skew_seconds: Option<u64>,
    simulated_roots: Vec<String>,
    nitro: NitroTable,
    snp: SnpTable,
    tdx: TdxTable,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct NitroTable {
    allow_debug: Option<bool>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct SnpTable {
    allow_debug: Option<bool>,
    allow_migration_agent: Option<bool>,
    allow_vlek: Option<bool>,
    allow_smt: Option<bool>,
    highest_vmpl: Option<u32>,
    platform_info_required: Option<u64>,
    platform_info_forbidden: Option<u64>,
    least_tcb: BTreeMap<String, TcbTable>,
    least_committed_tcb: BTreeMap<String, TcbTable>,
    least_launch_tcb: BTreeMap<String, TcbTable>,
    host_data: Option<String>,
    id_keys: Vec<String>,
    author_keys: Vec<String>,
    require_crl: Option<bool>,
    least_crl_number: Option<u64>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct TcbTable {
    fmc: u8,
    bootloader: u8,
    tee: u8,
    snp: u8,
    microcode: u8,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct TdxTable {
    allow_debug: Option<bool>,
    allow_migration: Option<bool>,
    allow_service_td: Option<bool>,
    require_sept_ve_disable: Option<bool>,
    xfam_allowed: Option<u64>,
    accepted_tcb_status: Option<Vec<String>>,
    out_of_date_grace_seconds: Option<u64>,
    rtmr0: Vec<String>,
    rtmr1: Vec<String>,
    rtmr2: Vec<String>,
    rtmr3: Vec<String>,
    config_id: Option<String>,
    owner: Option<String>,
    owner_config: Option<String>,
    least_evaluation_number: Option<u32>,
    least_tcb_info_date: Option<String>,
    least_root_crl_number: Option<u64>,
    least_pck_crl_number: Option<u64>,
}

fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

fn bytes<const N: usize>(name: &str, text: &str) -> Result<[u8; N], String> {
    let mut bytes = [0; N];
    hex::decode_to_slice(text, &mut bytes)
        .map_err(|e| format!("{name}: {} hex digits are expected: {e}", 2 * N))?;
    Ok(bytes)
}

fn list<const N: usize>(name: &str, texts: &[String]) -> Result<Vec<[u8; N]>, String> {
    texts.iter().map(|text| bytes(name, text)).collect()
}

fn measurements(name: &str, texts: &[String]) -> Result<Vec<Measurement>, String> {
    Ok(list(name, texts)?.into_iter().map(Measurement).collect())
}

fn named<T: FromStr<Err: std::fmt::Display>>(name: &str, text: &str) -> Result<T, String> {
    text.parse().map_err(|e| format!("{name}: {e}"))
}

fn minima(
    name: &str,
    table: &BTreeMap<String, TcbTable>,
) -> Result<Vec<(SnpProduct, SnpTcb)>, String> {
    let products = [SnpProduct::Milan, SnpProduct::Genoa, SnpProduct::Turin];
    let read = |(key, tcb): (&String, &TcbTable)| {
        let product = products
            .into_iter()
            .find(|product| product.name().eq_ignore_ascii_case(key))
            .ok_or_else(|| format!("{name}: {key:?} is none of milan, genoa, turin"))?;
        let tcb = SnpTcb {
            fmc: tcb.fmc,
            bootloader: tcb.bootloader,
            tee: tcb.tee,
            snp: tcb.snp,
            microcode: tcb.microcode,
        };
        Ok((product, tcb))
    };
    table.iter().map(read).collect()
}

impl PolicyFile {
    fn demands(self) -> Result<Demands, String> {
        let mut policy = Policy::default();
        for kind in &self.kinds {
            policy.kinds.push(named("kinds", kind)?);
        }
        policy.measurements = measurements("measurements", &self.measurements)?;
        set(&mut policy.max_age_seconds, self.max_age_seconds);
        set(
            &mut policy.max_future_skew_seconds,
            self.max_future_skew_seconds,
        );
        set(&mut policy.nitro.allow_debug, self.nitro.allow_debug);
        self.snp.fill(&mut policy)?;
        self.tdx.fill(&mut policy)?;
        let mut anchors = TrustAnchors::vendors();
        for root in &self.simulated_roots {
            anchors
                .simulated_roots
                .push(named("simulated_roots", root)?);
        }
        Ok(Demands { policy, anchors })
    }
}

impl SnpTable {
    fn fill(self, policy: &mut Policy) -> Result<(), String> {
        let snp = &mut policy.snp;
        set(&mut snp.allow_debug, self.allow_debug);
        set(&mut snp.allow_migration_agent, self.allow_migration_agent);
        set(&mut snp.allow_vlek, self.allow_vlek);
        set(&mut snp.allow_smt, self.allow_smt);
        set(&mut snp.highest_vmpl, self.highest_vmpl);
        set(&mut snp.platform_info_required, self.platform_info_required);
        set(
            &mut snp.platform_info_forbidden,
            self.platform_info_forbidden,
        );
        snp.least_tcb = minima("snp.least_tcb", &self.least_tcb)?;
        snp.least_committed_tcb = minima("snp.least_committed_tcb", &self.least_committed_tcb)?;
        snp.least_launch_tcb = minima("snp.least_launch_tcb", &self.least_launch_tcb)?;
        if let Some(text) = &self.host_data {
            snp.host_data = Some(bytes("snp.host_data", text)?);
        }
        snp.id_keys = list("snp.id_keys", &self.id_keys)?;
        snp.author_keys = list("snp.author_keys", &self.author_keys)?;
        set(&mut snp.require_crl, self.require_crl);
        set(&mut snp.least_crl_number, self.least_crl_number);
        if snp.platform_info_required & snp.platform_info_forbidden != 0 {
            return Err("snp: a bit of platform_info is both required and forbidden".into());
        }
        Ok(())
    }
}

impl TdxTable {
    fn fill(self, policy: &mut Policy) -> Result<(), String> {
        let tdx = &mut policy.tdx;
        set(&mut tdx.allow_debug, self.allow_debug);
        set(&mut tdx.allow_migration, self.allow_migration);
        set(&mut tdx.allow_service_td, self.allow_service_td);
        set(
            &mut tdx.require_sept_ve_disable,
            self.require_sept_ve_disable,
        );
        set(&mut tdx.xfam_allowed, self.xfam_allowed);
        if let Some(statuses) = &self.accepted_tcb_status {
            let read = |text: &String| named("tdx.accepted_tcb_status", text);
            tdx.accepted_tcb_status = statuses.iter().map(read).collect::<Result<_, _>>()?;
        }
        set(
            &mut tdx.out_of_date_grace_seconds,
            self.out_of_date_grace_seconds,
        );
        tdx.rtmrs = [
            measurements("tdx.rtmr0", &self.rtmr0)?,
            measurements("tdx.rtmr1", &self.rtmr1)?,
            measurements("tdx.rtmr2", &self.rtmr2)?,
            measurements("tdx.rtmr3", &self.rtmr3)?,
        ];
        for (name, place, text) in [
            ("tdx.config_id", &mut tdx.config_id, &self.config_id),
            ("tdx.owner", &mut tdx.owner, &self.owner),
            (
                "tdx.owner_config",
                &mut tdx.owner_config,
                &self.owner_config,
            ),
        ] {
            if let Some(text) = text {
                *place = Some(bytes(name, text)?);
            }
        }
        set(
            &mut tdx.least_evaluation_number,
            self.least_evaluation_number,
        );
        if let Some(text) = &self.least_tcb_info_date {
            let ms = time::parse_ms(text)
                .ok_or_else(|| format!("tdx.least_tcb_info_date: {text:?} is no instant"))?;
            tdx.least_tcb_info_date = UnixTime(ms / 1000);
        }
        set(&mut tdx.least_root_crl_number, self.least_root_crl_number);
        set(&mut tdx.least_pck_crl_number, self.least_pck_crl_number);
        Ok(())
    }
}

pub(super) fn run(context: &mut Context, args: &PolicyArgs) -> CommandResult {
    if let Some(platform) = args.template {
        let text = template(platform);
        context
            .console
            .answer(&json!({ "template": text }), |page| {
                page.verbatim(text.trim_end());
            });
        return Ok(Exit::Ok);
    }
    let Some(file) = &args.file else {
        return Err(CliError::usage("name a policy file, or a --template"));
    };
    let demands = Demands::read(file)?;
    context.console.answer(&to_json(&demands), |page| {
        describe(page, &demands);
    });
    Ok(Exit::Ok)
}

/// What a person should think about twice.
fn warnings(demands: &Demands) -> Vec<&'static str> {
    let policy = &demands.policy;
    let accepts = |kind| policy.kinds.contains(&kind);
    let tdx = accepts(EvidenceKind::Tdx);
    let cases = [
        (
            policy.kinds.is_empty(),
            "no kind is listed: everything is refused",
        ),
        (
            policy.measurements.is_empty() && !policy.kinds.is_empty(),
            "no measurement is listed: any program is accepted, and the verdict says so",
        ),
        (
            (accepts(EvidenceKind::SevSnp) && policy.snp.allow_debug)
                || (tdx && policy.tdx.allow_debug)
                || (accepts(EvidenceKind::Nitro) && policy.nitro.allow_debug),
            "debugged platforms are accepted: their hosts read everything",
        ),
        (
            accepts(EvidenceKind::Simulated),
            "simulated evidence is accepted: it protects nothing and anybody with its file makes it",
        ),
        (
            accepts(EvidenceKind::Simulated) && demands.anchors.simulated_roots.is_empty(),
            "simulated evidence is listed without a root in simulated_roots: it is refused",
        ),
        (
            tdx && policy.tdx.rtmrs.iter().all(Vec::is_empty),
            "no RTMR is listed: of a TD only its firmware is checked, not its kernel",
        ),
        (
            accepts(EvidenceKind::SevSnp) && policy.snp.least_tcb.is_empty(),
            "no least_tcb for AMD: chips with old, broken firmware are accepted",
        ),
        (
            policy.tdx.accepted_tcb_status.contains(&TcbStatus::Revoked),
            "Revoked is listed and never accepted all the same",
        ),
    ];
    let met = cases.into_iter().filter(|(met, _)| *met);
    met.map(|(_, words)| words).collect()
}

fn yes(value: bool) -> &'static str {
    if value { "accepted" } else { "refused" }
}

fn count(n: usize, what: &str) -> String {
    match n {
        0 => format!("any {what}"),
        n => format!("{n} listed"),
    }
}

fn describe(page: &mut Page, demands: &Demands) {
    let policy = &demands.policy;
    let kinds: Vec<&str> = policy.kinds.iter().map(|kind| kind.name()).collect();
    page.heading("Accepted")
        .field("kinds", kinds.join(", "))
        .field("measurements", count(policy.measurements.len(), "program"));
    if policy.kinds.contains(&EvidenceKind::SevSnp) {
        let snp = &policy.snp;
        page.heading("AMD SEV-SNP")
            .field("debugged guests", yes(snp.allow_debug))
            .field("migration agents", yes(snp.allow_migration_agent))
            .field("clouds' keys (VLEK)", yes(snp.allow_vlek))
            .field("shared cores (SMT)", yes(snp.allow_smt))
            .field("VMPL", format!("0 to {}", snp.highest_vmpl))
            .field("revocation list", required(snp.require_crl));
        for (name, minima) in [
            ("least TCB", &snp.least_tcb),
            ("least committed TCB", &snp.least_committed_tcb),
            ("least launch TCB", &snp.least_launch_tcb),
        ] {
            for (product, tcb) in minima {
                page.field(name, format!("{product}: {tcb}"));
            }
        }
        page.maybe("host data", snp.host_data.map(hex::encode))
            .field("identity keys", count(snp.id_keys.len(), "key"))
            .field("author keys", count(snp.author_keys.len(), "key"));
    }
    if policy.kinds.contains(&EvidenceKind::Tdx) {
        let tdx = &policy.tdx;
        let statuses: Vec<&str> = tdx.accepted_tcb_status.iter().map(|s| s.name()).collect();
        page.heading("Intel TDX")
            .field("debugged TDs", yes(tdx.allow_debug))
            .field("migratable TDs", yes(tdx.allow_migration))
            .field("service TDs", yes(tdx.allow_service_td))
            .field("SEPT_VE_DISABLE", required(tdx.require_sept_ve_disable))
            .field("TCB status", statuses.join(", "));
        let grace = tdx.out_of_date_grace_seconds;
        if grace > 0 {
            page.field("out of date for", crate::cli::page::duration(grace));
        }
        for (index, rtmr) in tdx.rtmrs.iter().enumerate() {
            page.field(&format!("RTMR{index}"), count(rtmr.len(), "value"));
        }
        page.field(
            "evaluation number",
            format!("at least {}", tdx.least_evaluation_number),
        )
        .field(
            "TCB info",
            format!("of {} or later", time::show(tdx.least_tcb_info_date.0)),
        );
    }
    let timed = [EvidenceKind::Nitro, EvidenceKind::Simulated];
    if timed.iter().any(|kind| policy.kinds.contains(kind)) {
        page.heading("AWS Nitro, simulated")
            .field("debugged enclaves", yes(policy.nitro.allow_debug))
            .field("age", format!("at most {} s", policy.max_age_seconds))
            .field(
                "ahead",
                format!("at most {} s", policy.max_future_skew_seconds),
            );
        for root in &demands.anchors.simulated_roots {
            page.field("simulated root", root);
        }
    }
    let warnings = warnings(demands);
    if !warnings.is_empty() {
        page.heading("Think twice");
        for words in warnings {
            page.toned("!", words, Tone::Bad);
        }
    }
}

fn required(value: bool) -> &'static str {
    if value { "required" } else { "not required" }
}

fn to_json(demands: &Demands) -> Value {
    let policy = &demands.policy;
    let minima = |list: &[(SnpProduct, SnpTcb)]| -> Value {
        let rows = list.iter().map(|(product, tcb)| {
            let tcb = json!({
                "fmc": tcb.fmc, "bootloader": tcb.bootloader, "tee": tcb.tee,
                "snp": tcb.snp, "microcode": tcb.microcode,
            });
            (product.name().to_lowercase(), tcb)
        });
        Value::Object(rows.collect())
    };
    let texts =
        |list: &[Measurement]| -> Vec<String> { list.iter().map(ToString::to_string).collect() };
    let kinds: Vec<&str> = policy.kinds.iter().map(|kind| kind.name()).collect();
    let roots: Vec<String> = demands
        .anchors
        .simulated_roots
        .iter()
        .map(ToString::to_string)
        .collect();
    let (snp, tdx) = (&policy.snp, &policy.tdx);
    let statuses: Vec<&str> = tdx.accepted_tcb_status.iter().map(|s| s.name()).collect();
    json!({
        "kinds": kinds,
        "measurements": texts(&policy.measurements),
        "max_age_seconds": policy.max_age_seconds,
        "max_future_skew_seconds": policy.max_future_skew_seconds,
        "simulated_roots": roots,
        "nitro": { "allow_debug": policy.nitro.allow_debug },
        "snp": {
            "allow_debug": snp.allow_debug,
            "allow_migration_agent": snp.allow_migration_agent,
            "allow_vlek": snp.allow_vlek,
            "allow_smt": snp.allow_smt,
            "highest_vmpl": snp.highest_vmpl,
            "platform_info_required": snp.platform_info_required,
            "platform_info_forbidden": snp.platform_info_forbidden,
            "least_tcb": minima(&snp.least_tcb),
            "least_committed_tcb": minima(&snp.least_committed_tcb),
            "least_launch_tcb": minima(&snp.least_launch_tcb),
            "host_data": snp.host_data.map(hex::encode),
            "id_keys": snp.id_keys.iter().map(hex::encode).collect::<Vec<_>>(),
            "author_keys": snp.author_keys.iter().map(hex::encode).collect::<Vec<_>>(),
            "require_crl": snp.require_crl,
            "least_crl_number": snp.least_crl_number,
        },
        "tdx": {
            "allow_debug": tdx.allow_debug,
            "allow_migration": tdx.allow_migration,
            "allow_service_td": tdx.allow_service_td,
            "require_sept_ve_disable": tdx.require_sept_ve_disable,
            "xfam_allowed": tdx.xfam_allowed,
            "accepted_tcb_status": statuses,
            "out_of_date_grace_seconds": tdx.out_of_date_grace_seconds,
            "rtmrs": tdx.rtmrs.iter().map(|list| texts(list)).collect::<Vec<_>>(),
            "config_id": tdx.config_id.map(hex::encode),
            "owner": tdx.owner.map(hex::encode),
            "owner_config": tdx.owner_config.map(hex::encode),
            "least_evaluation_number": tdx.least_evaluation_number,
            "least_tcb_info_date": time::show(tdx.least_tcb_info_date.0),
            "least_root_crl_number": tdx.least_root_crl_number,
            "least_pck_crl_number": tdx.least_pck_crl_number,
        },
        "warnings": warnings(demands),
    })
}

#[cfg(test)]
mod tests;
