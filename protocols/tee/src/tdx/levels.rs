//! From version numbers to a verdict: the quoting enclave, the TDX module and the platform
//! against what Intel lists.
//!
//! 1. The quoting enclave is the listed one (signer, product, masked attributes, no debug),
//!    and the first level that its version reaches is its level.
//! 2. The TDX module's signer and masked attributes are listed: as `tdxModule` for modules of
//!    major version 0, else under the identity `TDX_xx`, whose levels judge its version.
//! 3. The platform's level is the first, best first, that all of it reaches: the SGX
//!    components and the PCE of its PCK certificate, and the TDX components of its report;
//!    of the latter the first two are the module's and left to 2 where 2 judges them.
//! 4. A TD 1.5 states its TCB twice: when it started, and now. Both are judged.
//! 5. The statuses converge to the worst. `Revoked` is always refused.

use super::collateral::{Date, QeIdentity, TcbInfo, VersionLevel};
use super::pck::Platform;
use super::quote::{QeReport, Td};
use crate::evidence::UnixTime;
use crate::policy::TdxPolicy;
use crate::refusal::Refusal;
use crate::tcb::TcbStatus;

/// SGX attribute: the enclave can be debugged.
const SGX_DEBUG: u8 = 0x02;

/// A status, the advisories behind it, and since when something better is there.
pub(super) struct Level {
    pub(super) status: TcbStatus,
    pub(super) advisories: Vec<String>,
    /// The date of the level that superseded this one; `None` for the newest.
    superseded: Option<UnixTime>,
}

impl Level {
    fn of(status: TcbStatus, advisories: &[String], own: Date, newest: Option<Date>) -> Self {
        Self {
            status,
            advisories: advisories.to_vec(),
            superseded: newest.filter(|newest| *newest > own).map(|date| date.0),
        }
    }

    /// This level with that of a part of the platform.
    fn with_part(mut self, part: Self) -> Self {
        self.status = self.status.with_part(part.status);
        self.superseded = match (self.superseded, part.superseded) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        for advisory in part.advisories {
            if !self.advisories.contains(&advisory) {
                self.advisories.push(advisory);
            }
        }
        self
    }

    /// Rule 5, and what the policy accepts.
    fn check(&self, policy: &TdxPolicy, at: UnixTime) -> Result<(), Refusal> {
        if self.status == TcbStatus::Revoked {
            return Err(Refusal::TcbRevoked);
        }
        let accepted = &policy.accepted_tcb_status;
        let listed = accepted.contains(&self.status)
            || self
                .status
                .no_better_than()
                .is_some_and(|worse| accepted.contains(&worse));
        let grace = policy.out_of_date_grace_seconds;
        let in_grace = self.status.is_out_of_date()
            && self
                .superseded
                .is_some_and(|since| at.0 <= since.0.saturating_add(grace));
        if listed || (grace > 0 && in_grace) {
            Ok(())
        } else {
            Err(Refusal::TcbStatus(self.status))
        }
    }
}

/// Rule 1 but for the level.
pub(super) fn check_qe(qe: &QeReport<'_>, identity: &QeIdentity) -> Result<(), Refusal> {
    let refused = |field| Err(Refusal::QeIdentity { field });
    if qe
        .attributes
        .first()
        .is_some_and(|flags| flags & SGX_DEBUG != 0)
    {
        return refused("debug flag");
    }
    if qe.signer != identity.mrsigner.0 {
        return refused("signer");
    }
    if qe.product != identity.isvprodid {
        return refused("product");
    }
    if !masked(
        &qe.misc_select.to_le_bytes(),
        &identity.miscselect.0,
        &identity.miscselect_mask.0,
    ) {
        return refused("miscselect");
    }
    if !masked(
        &qe.attributes,
        &identity.attributes.0,
        &identity.attributes_mask.0,
    ) {
        return refused("attributes");
    }
    Ok(())
}

fn masked(found: &[u8], listed: &[u8], mask: &[u8]) -> bool {
    let mut bytes = found.iter().zip(listed).zip(mask);
    bytes.all(|((found, listed), mask)| found & mask == listed & mask)
}

/// Rules 1 (the level) to 5.
pub(super) fn judge(
    td: &Td,
    qe: &QeReport<'_>,
    platform: &Platform,
    info: &TcbInfo,
    identity: &QeIdentity,
    policy: &TdxPolicy,
    at: UnixTime,
) -> Result<Level, Refusal> {
    check_module(td, info)?;
    let mut level = platform_level(platform, &td.tcb_svn, info)?;
    let mut current = None;
    if let Some(svn) = &td.current_tcb_svn {
        current = Some(platform_level(platform, svn, info)?);
    }
    level = level.with_part(version_level(
        &identity.tcb_levels,
        qe.version,
        "quoting enclave",
    )?);
    if let Some(current) = current {
        let part = version_level(&identity.tcb_levels, qe.version, "quoting enclave")?;
        level.status = level.status.with_current(current.with_part(part).status);
    }
    level.check(policy, at)?;
    Ok(level)
}

/// The identity that judges a module of this version; `None` for major version 0.
fn module_identity<'a>(
    svn: &[u8; 16],
    info: &'a TcbInfo,
) -> Result<Option<&'a super::collateral::ModuleIdentity>, Refusal> {
    let [_, major, ..] = *svn;
    if major == 0 {
        return Ok(None);
    }
    let id = format!("TDX_{major:02X}");
    let mut identities = info.tdx_module_identities.iter();
    identities
        .find(|identity| identity.id.eq_ignore_ascii_case(&id))
        .map(Some)
        .ok_or(Refusal::ModuleIdentity { field: "version" })
}

/// Rule 2 but for the level.
fn check_module(td: &Td, info: &TcbInfo) -> Result<(), Refusal> {
    let module = match module_identity(&td.tcb_svn, info)? {
        Some(identity) => identity.module(),
        None => info
            .tdx_module
            .ok_or(Refusal::ModuleIdentity { field: "version" })?,
    };
    if td.module_signer != module.mrsigner.0 {
        return Err(Refusal::ModuleIdentity { field: "signer" });
    }
    let found = td.module_attributes.to_le_bytes();
    let mask = module.attributes_mask.0;
    let outside = found
        .iter()
        .zip(mask)
        .any(|(found, mask)| found & !mask != 0);
    if outside || !masked(&found, &module.attributes.0, &mask) {
        return Err(Refusal::ModuleIdentity {
            field: "attributes",
        });
    }
    Ok(())
}

/// Rule 3, with the module's level.
fn platform_level(platform: &Platform, svn: &[u8; 16], info: &TcbInfo) -> Result<Level, Refusal> {
    let [minor, major, ..] = *svn;
    let judged_apart = if major > 0 { 2 } else { 0 };
    let reached = info.tcb_levels.iter().find(|level| {
        let sgx = level.tcb.sgx.iter().zip(&platform.components);
        let Some(listed) = &level.tcb.tdx else {
            return false;
        };
        let tdx = listed.iter().zip(svn).skip(judged_apart);
        platform.pce_svn >= level.tcb.pcesvn
            && sgx.chain(tdx).all(|(least, found)| *found >= least.svn)
    });
    let reached = reached.ok_or(Refusal::NoTcbLevel { part: "platform" })?;
    let newest = info.tcb_levels.first().map(|level| level.tcb_date);
    let level = Level::of(
        reached.tcb_status,
        &reached.advisories,
        reached.tcb_date,
        newest,
    );
    Ok(match module_identity(svn, info)? {
        None => level,
        Some(identity) => {
            let version = u16::from(minor);
            level.with_part(version_level(&identity.tcb_levels, version, "TDX module")?)
        }
    })
}

/// The first level that a version reaches.
fn version_level(
    levels: &[VersionLevel],
    version: u16,
    part: &'static str,
) -> Result<Level, Refusal> {
    let reached = levels
        .iter()
        .filter(|level| version >= level.tcb.isvsvn)
        .max_by_key(|level| level.tcb.isvsvn)
        .ok_or(Refusal::NoTcbLevel { part })?;
    let newest = levels.iter().map(|level| level.tcb_date).max();
    Ok(Level::of(
        reached.tcb_status,
        &reached.advisories,
        reached.tcb_date,
        newest,
    ))
}
