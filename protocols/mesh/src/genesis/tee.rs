//! The genesis' word on evidence: which vendors are trusted, and which rules
//! of evidence hold until the validators vote for others.
//!
//! - A kind counts where its roots are listed; vendors' roots are built in and
//!   switched on by name, simulated ones are listed by fingerprint.
//! - What may change by vote is in [`TeeRules`]; roots never change.

use super::{Genesis, GenesisError};
use crate::tee::{SnpTcbMin, TeeRules};
use aether_tee::{
    EvidenceKind, Measurement, Policy, RootFingerprint, TcbStatus, TdxPolicy, TrustAnchors,
};
use borsh::BorshSerialize;
use serde::{Deserialize, Serialize};

/// Which TEE evidence the network believes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, BorshSerialize)]
#[serde(deny_unknown_fields, default)]
pub struct GenesisTee {
    /// SHA-256 of the simulated vendors' root certificates; dev networks only.
    pub simulated_roots: Vec<String>,
    /// Whether AWS Nitro evidence is accepted (under the vendor's root).
    pub nitro: bool,
    /// Whether AMD SEV-SNP evidence is accepted (under the vendor's roots).
    pub sev_snp: bool,
    /// Whether Intel TDX evidence is accepted (under the vendor's root).
    pub tdx: bool,
    /// Accepted measurements, 96 hex digits; empty: any, and receipts say
    /// `unmeasured`.
    pub measurements: Vec<String>,
    /// Values of TDX's runtime registers that count, as `register:96 hex digits`;
    /// of a register without any, all do.
    pub tdx_rtmrs: Vec<String>,
    /// Least firmware of AMD's platforms; products that are not here have none.
    pub snp_tcb_min: Vec<GenesisSnpTcb>,
    /// Statuses of Intel's platforms that count, as Intel writes them; empty:
    /// all without missing updates.
    pub tdx_tcb_statuses: Vec<String>,
    /// How long an out-of-date Intel platform still counts after the level
    /// that superseded it, seconds.
    pub tdx_grace_s: u64,
}

/// The least firmware of one of AMD's products. What is left out is 0.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, BorshSerialize)]
#[serde(deny_unknown_fields, default)]
pub struct GenesisSnpTcb {
    /// `Milan`, `Genoa` or `Turin`.
    pub product: String,
    /// Turin's microcontroller.
    pub fmc: u8,
    /// Boot loader.
    pub bootloader: u8,
    /// Operating system of the security processor.
    pub tee: u8,
    /// SNP firmware.
    pub snp: u8,
    /// Microcode.
    pub microcode: u8,
}

/// Rules of evidence as people write and read them: the same names as in a
/// genesis, in a file of their own where validators vote for others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TeeRulesText {
    /// Accepted measurements, 96 hex digits; empty: any.
    pub measurements: Vec<String>,
    /// Values of TDX's runtime registers that count, as `register:96 hex digits`.
    pub tdx_rtmrs: Vec<String>,
    /// Statuses of Intel's platforms that count; empty: all without missing
    /// updates.
    pub tdx_tcb_statuses: Vec<String>,
    /// Seconds that an out-of-date Intel platform still counts.
    pub tdx_grace_s: u64,
    /// Least firmware of AMD's platforms.
    pub snp_tcb_min: Vec<GenesisSnpTcb>,
}

/// `register:hex`.
fn rtmr(text: &str) -> Option<(u8, [u8; 48])> {
    let (register, value) = text.split_once(':')?;
    let value: Measurement = value.parse().ok()?;
    Some((register.parse().ok()?, value.0))
}

/// AMD's products by their codes, from 1.
const PRODUCTS: [&str; 3] = ["Milan", "Genoa", "Turin"];

impl TeeRulesText {
    /// Parses a file of rules.
    pub fn from_toml(text: &str) -> Result<Self, GenesisError> {
        toml::from_str(text).map_err(|e| GenesisError::Syntax(e.to_string()))
    }

    /// The rules, or what is wrong with them.
    pub fn rules(&self) -> Result<TeeRules, GenesisError> {
        let mut measurements = self
            .measurements
            .iter()
            .map(|hex| hex.parse::<Measurement>().map(|m| m.0))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| GenesisError::Hex("measurements"))?;
        measurements.sort_unstable();
        measurements.dedup();
        let mut tdx_rtmrs = self
            .tdx_rtmrs
            .iter()
            .map(|text| rtmr(text))
            .collect::<Option<Vec<_>>>()
            .ok_or(GenesisError::Hex("tdx_rtmrs"))?;
        tdx_rtmrs.sort_unstable();
        tdx_rtmrs.dedup();
        let mut snp_tcb_min = self
            .snp_tcb_min
            .iter()
            .map(GenesisSnpTcb::compiled)
            .collect::<Result<Vec<_>, _>>()?;
        snp_tcb_min.sort_unstable();
        let place = |name: &str| TcbStatus::ALL.iter().position(|s| s.name() == name);
        let mut tdx_tcb_statuses = self
            .tdx_tcb_statuses
            .iter()
            .map(|name| place(name).map(|at| at as u8))
            .collect::<Option<Vec<_>>>()
            .ok_or(GenesisError::Tee(
                "tdx_tcb_statuses names a status that Intel does not know",
            ))?;
        if tdx_tcb_statuses.is_empty() {
            let usual = TdxPolicy::default().accepted_tcb_status;
            tdx_tcb_statuses = usual
                .iter()
                .filter_map(|s| place(s.name()).map(|at| at as u8))
                .collect();
        }
        tdx_tcb_statuses.sort_unstable();
        let rules = TeeRules {
            measurements,
            snp_tcb_min,
            tdx_rtmrs,
            tdx_tcb_statuses,
            tdx_grace_s: self.tdx_grace_s,
        };
        rules.check().map_err(GenesisError::Tee)?;
        Ok(rules)
    }
}

impl From<&TeeRules> for TeeRulesText {
    fn from(rules: &TeeRules) -> Self {
        let product = |code: u8| PRODUCTS.get(usize::from(code).wrapping_sub(1));
        let minimums = rules.snp_tcb_min.iter().map(|t| GenesisSnpTcb {
            product: product(t.product).copied().unwrap_or_default().to_owned(),
            fmc: t.fmc,
            bootloader: t.bootloader,
            tee: t.tee,
            snp: t.snp,
            microcode: t.microcode,
        });
        let statuses = rules.tdx_tcb_statuses.iter();
        Self {
            measurements: rules.measurements.iter().map(hex::encode).collect(),
            snp_tcb_min: minimums.collect(),
            tdx_rtmrs: rules
                .tdx_rtmrs
                .iter()
                .map(|(register, value)| format!("{register}:{}", hex::encode(value)))
                .collect(),
            tdx_tcb_statuses: statuses
                .filter_map(|s| TcbStatus::ALL.get(usize::from(*s)))
                .map(|s| s.name().to_owned())
                .collect(),
            tdx_grace_s: rules.tdx_grace_s,
        }
    }
}

impl GenesisSnpTcb {
    fn compiled(&self) -> Result<SnpTcbMin, GenesisError> {
        let at = PRODUCTS
            .iter()
            .position(|p| *p == self.product)
            .ok_or(GenesisError::Tee(
                "snp_tcb_min.product is none of Milan, Genoa, Turin",
            ))?;
        Ok(SnpTcbMin {
            product: at as u8 + 1,
            fmc: self.fmc,
            bootloader: self.bootloader,
            tee: self.tee,
            snp: self.snp,
            microcode: self.microcode,
        })
    }
}

impl Genesis {
    /// Roots of trust for evidence.
    pub fn trust_anchors(&self) -> Result<TrustAnchors, GenesisError> {
        let simulated_roots = self
            .tee
            .simulated_roots
            .iter()
            .map(|hex| hex.parse::<RootFingerprint>())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| GenesisError::Hex("simulated_roots"))?;
        let vendors = TrustAnchors::vendors();
        let mut anchors = TrustAnchors {
            simulated_roots,
            ..TrustAnchors::default()
        };
        if self.tee.nitro {
            anchors.nitro_roots = vendors.nitro_roots;
        }
        if self.tee.sev_snp {
            anchors.snp_roots = vendors.snp_roots;
        }
        if self.tee.tdx {
            anchors.tdx_roots = vendors.tdx_roots;
        }
        Ok(anchors)
    }

    /// What evidence must satisfy beyond being genuine, without what may
    /// change by vote: [`TeeRules::policy`] adds that.
    pub fn evidence_policy(&self) -> Policy {
        let listed = [
            (self.tee.sev_snp, EvidenceKind::SevSnp),
            (self.tee.tdx, EvidenceKind::Tdx),
            (self.tee.nitro, EvidenceKind::Nitro),
            (
                !self.tee.simulated_roots.is_empty(),
                EvidenceKind::Simulated,
            ),
        ];
        let kinds = listed.iter().filter(|(on, _)| *on).map(|(_, kind)| *kind);
        // Freshness is counted in slots; the document's own clock only has to
        // be near, also where slots took longer than they should.
        let p = &self.params;
        let age_ms = p
            .evidence_age_slots_max
            .saturating_mul(p.slot_ms)
            .saturating_mul(10);
        Policy {
            kinds: kinds.collect(),
            max_age_seconds: age_ms / 1_000,
            max_future_skew_seconds: p.clock_skew_ms_max.div_ceil(1_000).saturating_mul(2),
            ..Policy::default()
        }
    }

    /// The rules of evidence of sequence 0.
    pub fn tee_rules(&self) -> Result<TeeRules, GenesisError> {
        let tee = &self.tee;
        TeeRulesText {
            measurements: tee.measurements.clone(),
            tdx_rtmrs: tee.tdx_rtmrs.clone(),
            snp_tcb_min: tee.snp_tcb_min.clone(),
            tdx_tcb_statuses: tee.tdx_tcb_statuses.clone(),
            tdx_grace_s: tee.tdx_grace_s,
        }
        .rules()
    }
}
