//! Intel's signed JSON: TCB info (version 3) and QE identity (version 2).
//!
//! Source: Intel, "Provisioning Certification Service API", version 4. What is signed is the
//! text as received; unknown fields are left alone, a repeated known field is refused.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer};

use crate::evidence::UnixTime;
use crate::refusal::Refusal;
use crate::tcb::TcbStatus;

/// The most of one text that is read; genuine ones have 0.5 to 12 KB.
const MAX_JSON_BYTES: usize = 64 * 1024;
/// What refusals call the two.
pub(super) const TCB_INFO: &str = "the TCB info";
pub(super) const QE_IDENTITY: &str = "the QE identity";

/// The TCB levels of a family of platforms.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TcbInfo {
    id: String,
    version: u32,
    pub(super) issue_date: Date,
    pub(super) next_update: Date,
    pub(super) fmspc: Hex<6>,
    pub(super) pce_id: Hex<2>,
    tcb_type: u32,
    pub(super) tcb_evaluation_data_number: u32,
    pub(super) tdx_module: Option<Module>,
    #[serde(default)]
    pub(super) tdx_module_identities: Vec<ModuleIdentity>,
    pub(super) tcb_levels: Vec<PlatformLevel>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Module {
    pub(super) mrsigner: Hex<48>,
    pub(super) attributes: Hex<8>,
    pub(super) attributes_mask: Hex<8>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ModuleIdentity {
    pub(super) id: String,
    mrsigner: Hex<48>,
    attributes: Hex<8>,
    attributes_mask: Hex<8>,
    pub(super) tcb_levels: Vec<VersionLevel>,
}

impl ModuleIdentity {
    pub(super) const fn module(&self) -> Module {
        Module {
            mrsigner: self.mrsigner,
            attributes: self.attributes,
            attributes_mask: self.attributes_mask,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PlatformLevel {
    pub(super) tcb: PlatformTcb,
    pub(super) tcb_date: Date,
    pub(super) tcb_status: TcbStatus,
    #[serde(rename = "advisoryIDs", default)]
    pub(super) advisories: Vec<String>,
}

#[derive(Deserialize)]
pub(super) struct PlatformTcb {
    #[serde(rename = "sgxtcbcomponents")]
    pub(super) sgx: [Component; 16],
    #[serde(rename = "tdxtcbcomponents")]
    pub(super) tdx: Option<[Component; 16]>,
    pub(super) pcesvn: u16,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Component {
    pub(super) svn: u8,
}

/// A level of the TDX module or of the quoting enclave.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct VersionLevel {
    pub(super) tcb: Version,
    pub(super) tcb_date: Date,
    pub(super) tcb_status: TcbStatus,
    #[serde(rename = "advisoryIDs", default)]
    pub(super) advisories: Vec<String>,
}

#[derive(Deserialize)]
pub(super) struct Version {
    pub(super) isvsvn: u16,
}

/// What Intel says about its quoting enclave.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct QeIdentity {
    id: String,
    version: u32,
    pub(super) issue_date: Date,
    pub(super) next_update: Date,
    pub(super) tcb_evaluation_data_number: u32,
    pub(super) miscselect: Hex<4>,
    pub(super) miscselect_mask: Hex<4>,
    pub(super) attributes: Hex<16>,
    pub(super) attributes_mask: Hex<16>,
    pub(super) mrsigner: Hex<32>,
    pub(super) isvprodid: u16,
    pub(super) tcb_levels: Vec<VersionLevel>,
}

impl TcbInfo {
    pub(super) fn parse(text: &[u8]) -> Result<Self, Refusal> {
        let mut info: Self = read(text, TCB_INFO)?;
        if info.id != "TDX" || info.version != 3 || info.tcb_type != 0 {
            return Err(Refusal::CollateralId { part: TCB_INFO });
        }
        // Best first. Intel's own verifier sorts as well; the order is not promised.
        info.tcb_levels.sort_by(|a, b| {
            let key = |level: &PlatformLevel| (level.tcb.sgx, level.tcb.pcesvn, level.tcb.tdx);
            key(b).cmp(&key(a))
        });
        Ok(info)
    }
}

impl QeIdentity {
    pub(super) fn parse(text: &[u8]) -> Result<Self, Refusal> {
        let identity: Self = read(text, QE_IDENTITY)?;
        if identity.id != "TD_QE" || identity.version != 2 {
            return Err(Refusal::CollateralId { part: QE_IDENTITY });
        }
        Ok(identity)
    }
}

fn read<'a, T: Deserialize<'a>>(text: &'a [u8], part: &'static str) -> Result<T, Refusal> {
    let unreadable = Refusal::CollateralUnreadable { part };
    if text.len() > MAX_JSON_BYTES {
        return Err(unreadable);
    }
    serde_json::from_slice(text).map_err(|_| unreadable)
}

/// The window and the number that both texts have.
pub(super) struct Window {
    pub(super) part: &'static str,
    pub(super) issued: UnixTime,
    pub(super) next_update: UnixTime,
    pub(super) evaluation_number: u32,
}

impl Window {
    pub(super) fn check(&self, at: UnixTime, least_number: u32) -> Result<(), Refusal> {
        let part = self.part;
        if at < self.issued {
            return Err(Refusal::CollateralNotYetValid { part });
        }
        if at > self.next_update {
            return Err(Refusal::CollateralExpired { part });
        }
        if self.evaluation_number < least_number {
            return Err(Refusal::EvaluationNumber {
                part,
                found: self.evaluation_number,
                least: least_number,
            });
        }
        Ok(())
    }
}

/// Bytes written as hex.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Hex<const N: usize>(pub(super) [u8; N]);

impl<'de, const N: usize> Deserialize<'de> for Hex<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        let mut bytes = [0; N];
        hex::decode_to_slice(text.as_bytes(), &mut bytes).map_err(serde::de::Error::custom)?;
        Ok(Self(bytes))
    }
}

/// An instant written as `2026-03-01T12:00:00Z`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Date(pub(super) UnixTime);

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        let date: der::DateTime = text.parse().map_err(serde::de::Error::custom)?;
        Ok(Self(UnixTime(date.unix_duration().as_secs())))
    }
}
