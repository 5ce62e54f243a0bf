//! What a network demands of evidence beyond its being genuine.

use crate::evidence::{EvidenceKind, Measurement, UnixTime};
use crate::tcb::{SnpProduct, SnpTcb, TcbStatus};

/// A network's demands. The default accepts no kind at all.
///
/// All limits are inclusive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Kinds that are accepted; they must be trusted by the anchors as well.
    pub kinds: Vec<EvidenceKind>,
    /// Measurements of the programs that are accepted. Empty: any, and the appraisal says
    /// `measured: false`.
    pub measurements: Vec<Measurement>,
    /// The greatest age of a document that carries its own time, in seconds.
    pub max_age_seconds: u64,
    /// How far a document's own time may lie ahead of the trusted time, in seconds: the
    /// platform's clock and the chain's never agree exactly.
    pub max_future_skew_seconds: u64,
    /// Demands on Nitro-shaped documents.
    pub nitro: NitroPolicy,
    /// Demands on AMD's reports.
    pub snp: SnpPolicy,
    /// Demands on Intel's quotes.
    pub tdx: TdxPolicy,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            kinds: Vec::new(),
            measurements: Vec::new(),
            // The mission's number: evidence is at most a minute old.
            max_age_seconds: 60,
            // Ample for two NTP-disciplined clocks and one slot between them.
            max_future_skew_seconds: 5,
            nitro: NitroPolicy::default(),
            snp: SnpPolicy::default(),
            tdx: TdxPolicy::default(),
        }
    }
}

/// Demands on Nitro-shaped documents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NitroPolicy {
    /// Whether enclaves in debug mode (PCR0 is zero) are accepted.
    pub allow_debug: bool,
}

/// Demands on AMD's reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnpPolicy {
    /// Whether guests that their host may debug are accepted.
    pub allow_debug: bool,
    /// Whether guests with a migration agent are accepted.
    pub allow_migration_agent: bool,
    /// Whether reports signed with a cloud's key (VLEK), which name no chip's key, are.
    pub allow_vlek: bool,
    /// Whether guests that may share a core with others are.
    pub allow_smt: bool,
    /// The least privileged level (0 is the most) whose reports are accepted.
    pub highest_vmpl: u32,
    /// Bits of `PLATFORM_INFO` that must be set.
    pub platform_info_required: u64,
    /// Bits of `PLATFORM_INFO` that must not be set.
    pub platform_info_forbidden: u64,
    /// The least TCB for each product, of the report's reported and current versions. A
    /// raised minimum is how AMD's platforms are revoked in practice.
    pub least_tcb: Vec<(SnpProduct, SnpTcb)>,
    /// The least TCB that the platform can no longer be rolled back below.
    pub least_committed_tcb: Vec<(SnpProduct, SnpTcb)>,
    /// The least TCB at the guest's start.
    pub least_launch_tcb: Vec<(SnpProduct, SnpTcb)>,
    /// What the host must have put into `HOST_DATA`.
    pub host_data: Option<[u8; 32]>,
    /// Digests of identity keys that are accepted; empty: any.
    pub id_keys: Vec<[u8; 48]>,
    /// Digests of author keys that are accepted; empty: any.
    pub author_keys: Vec<[u8; 48]>,
    /// Whether the endorsements must carry AMD's revocation list.
    pub require_crl: bool,
    /// The least number of a revocation list: the highest that the network has seen.
    pub least_crl_number: u64,
}

impl Default for SnpPolicy {
    fn default() -> Self {
        Self {
            allow_debug: false,
            allow_migration_agent: false,
            allow_vlek: true,
            // Every large cloud runs with it; forbidding it is a network's own decision.
            allow_smt: true,
            // What runs above the guest's kernel can read it, not the other way round.
            highest_vmpl: 0,
            platform_info_required: 0,
            platform_info_forbidden: 0,
            least_tcb: Vec::new(),
            least_committed_tcb: Vec::new(),
            least_launch_tcb: Vec::new(),
            host_data: None,
            id_keys: Vec::new(),
            author_keys: Vec::new(),
            require_crl: false,
            least_crl_number: 0,
        }
    }
}

/// Demands on Intel's quotes. The measurement of a TD is its MRTD.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TdxPolicy {
    /// Whether TDs that their host may debug or profile are accepted.
    pub allow_debug: bool,
    /// Whether TDs that can be migrated are.
    pub allow_migration: bool,
    /// Whether TDs that a service TD is bound to are.
    pub allow_service_td: bool,
    /// Whether `SEPT_VE_DISABLE` must be set.
    pub require_sept_ve_disable: bool,
    /// Extended features that a TD may have; x87 and SSE it must have.
    pub xfam_allowed: u64,
    /// Statuses that are accepted. `Revoked` never is, listed or not, and where a status is
    /// listed, its like with "relaunch advised" instead of "out of date" is accepted too.
    pub accepted_tcb_status: Vec<TcbStatus>,
    /// For how long an out-of-date status is accepted although it is not listed, in seconds
    /// from the date of the level that superseded it.
    pub out_of_date_grace_seconds: u64,
    /// Accepted values of RTMR0 to RTMR3; empty: any.
    pub rtmrs: [Vec<Measurement>; 4],
    /// What `MRCONFIGID` must be.
    pub config_id: Option<[u8; 48]>,
    /// What `MROWNER` must be.
    pub owner: Option<[u8; 48]>,
    /// What `MROWNERCONFIG` must be.
    pub owner_config: Option<[u8; 48]>,
    /// The least TCB evaluation data number of the TCB info and the QE identity: the highest
    /// that the network has seen.
    pub least_evaluation_number: u32,
    /// The least issue date of the TCB info: the newest that the network has seen.
    pub least_tcb_info_date: UnixTime,
    /// The least number of the root's revocation list.
    pub least_root_crl_number: u64,
    /// The least number of the PCK authority's revocation list.
    pub least_pck_crl_number: u64,
}

impl Default for TdxPolicy {
    fn default() -> Self {
        Self {
            allow_debug: false,
            allow_migration: false,
            allow_service_td: false,
            require_sept_ve_disable: true,
            // x87, SSE, AVX, AVX-512, PT, PKRU, CET, user interrupts' neighbours, AMX: what
            // the TDX module lets a TD have.
            xfam_allowed: 0x0006_dbe7,
            accepted_tcb_status: vec![
                TcbStatus::UpToDate,
                TcbStatus::SWHardeningNeeded,
                TcbStatus::ConfigurationNeeded,
                TcbStatus::ConfigurationAndSWHardeningNeeded,
            ],
            out_of_date_grace_seconds: 0,
            rtmrs: Default::default(),
            config_id: None,
            owner: None,
            owner_config: None,
            least_evaluation_number: 0,
            least_tcb_info_date: UnixTime(0),
            least_root_crl_number: 0,
            least_pck_crl_number: 0,
        }
    }
}
