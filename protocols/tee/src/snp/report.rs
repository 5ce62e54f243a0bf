//! The attestation report, and what can be refused from it alone.
//!
//! Source: AMD, "SEV Secure Nested Paging Firmware ABI Specification" (56860), table of
//! `ATTESTATION_REPORT`. 1,184 bytes, little-endian; the first 672 are signed.

use crate::cursor::Cursor;
use crate::evidence::Measurement;
use crate::policy::SnpPolicy;
use crate::refusal::Refusal;
use crate::tcb::{SnpProduct, SnpTcb};

/// The size of a report.
pub(crate) const REPORT_BYTES: usize = 0x4a0;
/// How much of it is signed.
pub(crate) const SIGNED_BYTES: usize = 0x2a0;
/// r and s take 72 bytes each, of which P-384 uses 48.
pub(crate) const SCALAR_FIELD: usize = 72;
pub(crate) const SCALAR_BYTES: usize = 48;

const ECDSA_P384_SHA384: u32 = 1;
const POLICY_SMT: u64 = 1 << 16;
const POLICY_ALWAYS_SET: u64 = 1 << 17;
const POLICY_MIGRATION_AGENT: u64 = 1 << 18;
const POLICY_DEBUG: u64 = 1 << 19;

/// Which key signed a report.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum SigningKey {
    /// The chip's own.
    Vcek,
    /// A cloud's.
    Vlek,
}

/// A report's fields. Its signature has not been checked.
pub(crate) struct Report<'a> {
    pub(crate) signed: &'a [u8],
    /// r ‖ s, big-endian.
    pub(crate) signature: [u8; 2 * SCALAR_BYTES],
    pub(crate) signing_key: SigningKey,
    /// `None` in version 2, which does not say.
    pub(crate) product: Option<SnpProduct>,
    pub(crate) vmpl: u32,
    pub(crate) report_data: [u8; 64],
    pub(crate) measurement: Measurement,
    pub(crate) chip_id: [u8; 64],
    pub(crate) reported_tcb: [u8; 8],
    current_tcb: [u8; 8],
    committed_tcb: [u8; 8],
    launch_tcb: [u8; 8],
    policy: u64,
    platform_info: u64,
    host_data: [u8; 32],
    id_key: [u8; 48],
    author_key: [u8; 48],
}

impl<'a> Report<'a> {
    /// Reads a report.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, Refusal> {
        let size = Refusal::ReportSize { bytes: bytes.len() };
        if bytes.len() != REPORT_BYTES {
            return Err(size);
        }
        let (signed, tail) = bytes.split_at_checked(SIGNED_BYTES).ok_or(size.clone())?;
        let mut cursor = Cursor::new(signed);
        let mut fields = || {
            let version = cursor.u32()?;
            cursor.bytes(4)?; // guest SVN
            let policy = cursor.u64()?;
            cursor.bytes(32)?; // family and image id
            let vmpl = cursor.u32()?;
            let algorithm = cursor.u32()?;
            let current_tcb = cursor.array()?;
            let platform_info = cursor.u64()?;
            let key_info = cursor.u32()?;
            cursor.bytes(4)?;
            let report_data = cursor.array()?;
            let measurement = Measurement(cursor.array()?);
            let host_data = cursor.array()?;
            let id_key = cursor.array()?;
            let author_key = cursor.array()?;
            cursor.bytes(64)?; // report ids
            let reported_tcb = cursor.array()?;
            let [family, model] = cursor.array()?;
            cursor.bytes(22)?; // stepping, reserved
            let chip_id = cursor.array()?;
            let committed_tcb = cursor.array()?;
            cursor.bytes(8)?; // firmware versions
            let launch_tcb = cursor.array()?;
            let report = Self {
                signed,
                signature: [0; 2 * SCALAR_BYTES],
                signing_key: SigningKey::Vcek,
                product: None,
                vmpl,
                report_data,
                measurement,
                chip_id,
                reported_tcb,
                current_tcb,
                committed_tcb,
                launch_tcb,
                policy,
                platform_info,
                host_data,
                id_key,
                author_key,
            };
            Some((report, version, algorithm, key_info, family, model))
        };
        let (mut report, version, algorithm, key_info, family, model) = fields().ok_or(size)?;

        if !matches!(version, 2 | 3 | 5) {
            return Err(Refusal::ReportVersion { version });
        }
        if algorithm != ECDSA_P384_SHA384 {
            return Err(Refusal::ReportAlgorithm { algorithm });
        }
        report.signature = signature(tail).ok_or(Refusal::SignaturePadding)?;
        report.signing_key = match (key_info >> 2) & 7 {
            0 => SigningKey::Vcek,
            1 => SigningKey::Vlek,
            selector => return Err(Refusal::SigningKey { selector }),
        };
        if version > 2 {
            let product = product(family, model).ok_or(Refusal::UnknownProduct)?;
            report.product = Some(product);
        }
        Ok(report)
    }

    /// What the policy demands that needs no certificate.
    pub(crate) fn check(&self, policy: &SnpPolicy) -> Result<(), Refusal> {
        if self.policy & POLICY_ALWAYS_SET == 0 {
            return Err(Refusal::GuestPolicy);
        }
        if self.policy & POLICY_DEBUG != 0 && !policy.allow_debug {
            return Err(Refusal::DebugMode);
        }
        if self.policy & POLICY_MIGRATION_AGENT != 0 && !policy.allow_migration_agent {
            return Err(Refusal::MigrationAgent);
        }
        if self.signing_key == SigningKey::Vlek && !policy.allow_vlek {
            return Err(Refusal::VlekNotAccepted);
        }
        if self.policy & POLICY_SMT != 0 && !policy.allow_smt {
            return Err(Refusal::Smt);
        }
        if self.vmpl > policy.highest_vmpl {
            return Err(Refusal::Vmpl {
                vmpl: self.vmpl,
                highest: policy.highest_vmpl,
            });
        }
        let (required, forbidden) = (
            policy.platform_info_required,
            policy.platform_info_forbidden,
        );
        if self.platform_info & required != required || self.platform_info & forbidden != 0 {
            return Err(Refusal::PlatformInfo);
        }
        if policy
            .host_data
            .is_some_and(|wanted| wanted != self.host_data)
        {
            return Err(Refusal::HostData);
        }
        if !policy.id_keys.is_empty() && !policy.id_keys.contains(&self.id_key) {
            return Err(Refusal::IdKey);
        }
        if !policy.author_keys.is_empty() && !policy.author_keys.contains(&self.author_key) {
            return Err(Refusal::AuthorKey);
        }
        Ok(())
    }

    /// The policy's minimum versions for `product`.
    pub(crate) fn check_tcb(&self, policy: &SnpPolicy, product: SnpProduct) -> Result<(), Refusal> {
        let versions = [
            ("reported", self.reported_tcb, &policy.least_tcb),
            ("current", self.current_tcb, &policy.least_tcb),
            ("committed", self.committed_tcb, &policy.least_committed_tcb),
            ("launch", self.launch_tcb, &policy.least_launch_tcb),
        ];
        for (which, bytes, minima) in versions {
            let found = read_tcb(bytes, product);
            let mut minima = minima.iter().filter(|(of, _)| *of == product);
            if !minima.all(|(_, least)| found.reaches(least)) {
                return Err(Refusal::TcbTooLow { which });
            }
        }
        Ok(())
    }
}

/// r ‖ s, big-endian, from the report's little-endian fields; `None` where the bytes around
/// them are not zero.
fn signature(tail: &[u8]) -> Option<[u8; 2 * SCALAR_BYTES]> {
    let mut cursor = Cursor::new(tail);
    let mut signature = [0; 2 * SCALAR_BYTES];
    for half in signature.chunks_exact_mut(SCALAR_BYTES) {
        let scalar = cursor.bytes(SCALAR_BYTES)?;
        let padding = cursor.bytes(SCALAR_FIELD - SCALAR_BYTES)?;
        if padding.iter().any(|byte| *byte != 0) {
            return None;
        }
        for (to, from) in half.iter_mut().zip(scalar.iter().rev()) {
            *to = *from;
        }
    }
    let zeros = cursor.rest().iter().all(|byte| *byte == 0);
    zeros.then_some(signature)
}

/// The product of a CPUID family and model.
const fn product(family: u8, model: u8) -> Option<SnpProduct> {
    match (family, model) {
        (0x19, 0x00..=0x0f) => Some(SnpProduct::Milan),
        (0x19, 0x10..=0x1f | 0xa0..=0xaf) => Some(SnpProduct::Genoa),
        (0x1a, 0x00..=0x11) => Some(SnpProduct::Turin),
        _ => None,
    }
}

/// A TCB version in a product's layout.
pub(crate) const fn read_tcb(bytes: [u8; 8], product: SnpProduct) -> SnpTcb {
    match product {
        SnpProduct::Milan | SnpProduct::Genoa => {
            let [bootloader, tee, _, _, _, _, snp, microcode] = bytes;
            SnpTcb {
                fmc: 0,
                bootloader,
                tee,
                snp,
                microcode,
            }
        }
        SnpProduct::Turin => {
            let [fmc, bootloader, tee, snp, _, _, _, microcode] = bytes;
            SnpTcb {
                fmc,
                bootloader,
                tee,
                snp,
                microcode,
            }
        }
    }
}
