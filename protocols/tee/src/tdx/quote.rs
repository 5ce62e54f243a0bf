//! The quote, and what can be refused from it alone.
//!
//! Source: Intel, "TDX DCAP Quoting Library API", appendix 3. Little-endian:
//!
//! ```text
//! header    48   version, attestation key type, TEE type, 2 + 2 reserved, QE vendor, user data
//! (v5 only)  6   body type, body size
//! body           584 (TD 1.0), 648 (TD 1.5), 885 (TD 1.5Ex): signed, with all before it
//! length     4   of what follows, up to padding
//!   signature 64, attestation key 64
//!   type 2 (6), length 4
//!     QE report 384, its signature 64, authentication data (2 + n)
//!     type 2 (5), length 4, PCK certificate chain in PEM
//! padding        zeros; some platforms hand out buffers of a fixed size
//! ```

use crate::cursor::Cursor;
use crate::evidence::Measurement;
use crate::policy::TdxPolicy;
use crate::refusal::Refusal;

/// The most that is read. Genuine quotes have 4.9 to 8 KB.
pub(crate) const MAX_QUOTE_BYTES: usize = 32 * 1024;
/// r ‖ s on P-256.
pub(crate) const SIGNATURE_BYTES: usize = 64;
/// An SGX report.
const QE_REPORT_BYTES: usize = 384;

const TEE_TDX: u32 = 0x81;
const TEE_SGX: u32 = 0;
const KEY_ECDSA_P256: u16 = 2;
const INTEL_QE: [u8; 16] = [
    0x93, 0x9a, 0x72, 0x33, 0xf7, 0x9c, 0x4c, 0xa9, 0x94, 0x0a, 0x0d, 0xb3, 0x95, 0x7f, 0x06, 0x07,
];
const BODY_SGX: u16 = 1;
const QE_REPORT_DATA: u16 = 6;
const PCK_CHAIN: u16 = 5;

const fn bits(first: u32, last: u32) -> u64 {
    (u64::MAX << first) & (u64::MAX >> (63 - last))
}
// TD attributes (TDX Module ABI specification, table "ATTRIBUTES").
const DEBUG: u64 = 1;
const PROFILING: u64 = bits(4, 6);
const SERVICE_TD_EXTENDED: u64 = 1 << 17;
const SEPT_VE_DISABLE: u64 = 1 << 28;
const MIGRATABLE: u64 = 1 << 29;
const RESERVED: u64 = bits(1, 3) | bits(7, 15) | bits(23, 26) | bits(32, 61);
/// Extended features that every TD has: x87 and SSE.
const XFAM_ALWAYS: u64 = 0b11;

/// A quote's parts. No signature has been checked.
pub(crate) struct Quote<'a> {
    /// Header and body.
    pub(crate) signed: &'a [u8],
    pub(crate) td: Td,
    /// r ‖ s by the attestation key.
    pub(crate) signature: [u8; SIGNATURE_BYTES],
    /// x ‖ y.
    pub(crate) attestation_key: [u8; 64],
    pub(crate) qe: QeReport<'a>,
    /// r ‖ s by the PCK certificate's key.
    pub(crate) qe_signature: [u8; SIGNATURE_BYTES],
    pub(crate) qe_authentication: &'a [u8],
    pub(crate) pck_chain: &'a [u8],
    /// How many zeros follow the quote.
    pub(crate) padding: usize,
}

/// A TD's report.
pub(crate) struct Td {
    pub(crate) tcb_svn: [u8; 16],
    pub(crate) module_signer: [u8; 48],
    pub(crate) module_attributes: u64,
    pub(crate) measurement: Measurement,
    pub(crate) rtmrs: [Measurement; 4],
    pub(crate) report_data: [u8; 64],
    /// The TCB of now; TD 1.0 does not say.
    pub(crate) current_tcb_svn: Option<[u8; 16]>,
    attributes: u64,
    xfam: u64,
    config_id: [u8; 48],
    owner: [u8; 48],
    owner_config: [u8; 48],
    /// Whether any service TD is named.
    has_service_td: bool,
}

/// The quoting enclave's report.
pub(crate) struct QeReport<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) misc_select: u32,
    pub(crate) attributes: [u8; 16],
    pub(crate) signer: [u8; 32],
    pub(crate) product: u16,
    pub(crate) version: u16,
    pub(crate) report_data: [u8; 64],
}

impl<'a> Quote<'a> {
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, Refusal> {
        if bytes.len() > MAX_QUOTE_BYTES {
            return Err(Refusal::TooLarge {
                bytes: bytes.len(),
                max: MAX_QUOTE_BYTES,
            });
        }
        let mut cursor = Cursor::new(bytes);
        let short = || Refusal::QuoteUnreadable;
        let version = cursor.u16().ok_or_else(short)?;
        let key_type = cursor.u16().ok_or_else(short)?;
        let tee_type = cursor.u32().ok_or_else(short)?;
        cursor.bytes(4).ok_or_else(short)?;
        let vendor: [u8; 16] = cursor.array().ok_or_else(short)?;
        cursor.bytes(20).ok_or_else(short)?;
        // Before the version, since SGX quotes have one of their own.
        if tee_type != TEE_TDX {
            return Err(Refusal::TeeType { tee_type });
        }
        if key_type != KEY_ECDSA_P256 {
            return Err(Refusal::AttestationKeyType { key_type });
        }
        if vendor != INTEL_QE {
            return Err(Refusal::QeVendor);
        }
        let (body_type, body_bytes) = match version {
            4 => (2, 584),
            5 => {
                let body_type = cursor.u16().ok_or_else(short)?;
                (body_type, cursor.u32().ok_or_else(short)?)
            }
            _ => return Err(Refusal::QuoteVersion { version }),
        };
        let expected = match body_type {
            2 => 584,
            3 => 648,
            4 => 885,
            BODY_SGX => return Err(Refusal::TeeType { tee_type: TEE_SGX }),
            _ => return Err(Refusal::QuoteUnreadable),
        };
        let count = usize::try_from(body_bytes).map_err(|_| short())?;
        if count != expected {
            return Err(Refusal::QuoteUnreadable);
        }
        let body = cursor.bytes(count).ok_or_else(short)?;
        let td = Td::parse(body, body_type).ok_or_else(short)?;
        let (signed, _) = bytes
            .split_at_checked(bytes.len() - cursor.rest().len())
            .ok_or_else(short)?;

        let authentication = cursor.sized().ok_or_else(short)?;
        let padding = cursor.rest();
        if padding.iter().any(|byte| *byte != 0) {
            return Err(Refusal::TrailingBytes {
                bytes: padding.len(),
            });
        }
        let mut cursor = Cursor::new(authentication);
        let signature = cursor.array().ok_or_else(short)?;
        let attestation_key = cursor.array().ok_or_else(short)?;
        let inner = certification(&mut cursor, QE_REPORT_DATA)?;
        exhausted(cursor)?;

        let mut cursor = Cursor::new(inner);
        let qe = cursor.bytes(QE_REPORT_BYTES).ok_or_else(short)?;
        let qe = QeReport::parse(qe).ok_or_else(short)?;
        let qe_signature = cursor.array().ok_or_else(short)?;
        let count = cursor.u16().ok_or_else(short)?;
        let qe_authentication = cursor.bytes(usize::from(count)).ok_or_else(short)?;
        let pck_chain = certification(&mut cursor, PCK_CHAIN)?;
        exhausted(cursor)?;
        Ok(Self {
            signed,
            td,
            signature,
            attestation_key,
            qe,
            qe_signature,
            qe_authentication,
            pck_chain,
            padding: padding.len(),
        })
    }

    /// The quote with this text for its certificates and no padding, encoded.
    pub(crate) fn with_chain(&self, pck_chain: &[u8]) -> Vec<u8> {
        let sized = |data_type: u16, data: &[u8]| {
            let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
            [
                data_type.to_le_bytes().as_slice(),
                &length.to_le_bytes(),
                data,
            ]
            .concat()
        };
        let count = u16::try_from(self.qe_authentication.len()).unwrap_or(u16::MAX);
        let inner = [
            self.qe.bytes,
            &self.qe_signature,
            &count.to_le_bytes(),
            self.qe_authentication,
            &sized(PCK_CHAIN, pck_chain),
        ]
        .concat();
        let authentication = [
            self.signature.as_slice(),
            &self.attestation_key,
            &sized(QE_REPORT_DATA, &inner),
        ]
        .concat();
        let length = u32::try_from(authentication.len()).unwrap_or(u32::MAX);
        [self.signed, &length.to_le_bytes(), &authentication].concat()
    }
}

/// Certification data of one type.
fn certification<'a>(cursor: &mut Cursor<'a>, wanted: u16) -> Result<&'a [u8], Refusal> {
    let found = cursor.u16().ok_or(Refusal::QuoteUnreadable)?;
    if found != wanted {
        return Err(Refusal::CertificationData { found });
    }
    cursor.sized().ok_or(Refusal::QuoteUnreadable)
}

/// Nothing is left.
fn exhausted(cursor: Cursor<'_>) -> Result<(), Refusal> {
    if cursor.rest().is_empty() {
        Ok(())
    } else {
        Err(Refusal::QuoteUnreadable)
    }
}

impl Td {
    fn parse(body: &[u8], body_type: u16) -> Option<Self> {
        let mut cursor = Cursor::new(body);
        let tcb_svn = cursor.array()?;
        cursor.bytes(48)?; // the module's own measurement: its signer and version are judged
        let module_signer = cursor.array()?;
        let module_attributes = cursor.u64()?;
        let attributes = cursor.u64()?;
        let xfam = cursor.u64()?;
        let measurement = Measurement(cursor.array()?);
        let config_id = cursor.array()?;
        let owner = cursor.array()?;
        let owner_config = cursor.array()?;
        let mut rtmrs = [Measurement([0; 48]); 4];
        for rtmr in &mut rtmrs {
            *rtmr = Measurement(cursor.array()?);
        }
        let report_data = cursor.array()?;
        let (mut current_tcb_svn, mut has_service_td) = (None, false);
        if body_type >= 3 {
            current_tcb_svn = Some(cursor.array()?);
            let service_td: [u8; 48] = cursor.array()?;
            has_service_td = service_td != [0; 48];
        }
        if body_type >= 4 {
            cursor.bytes(1 + 32 + 48)?; // VM index, instance, devices
            cursor.bytes(48 + 8 + 16 + 16 + 12)?; // what was true when the TD was made
            let current_service_td: [u8; 48] = cursor.array()?;
            has_service_td |= current_service_td != [0; 48];
            cursor.bytes(8)?;
        }
        cursor.rest().is_empty().then_some(Self {
            tcb_svn,
            module_signer,
            module_attributes,
            measurement,
            rtmrs,
            report_data,
            current_tcb_svn,
            attributes,
            xfam,
            config_id,
            owner,
            owner_config,
            has_service_td,
        })
    }

    /// What the policy demands that needs no collateral.
    pub(crate) fn check(&self, policy: &TdxPolicy) -> Result<(), Refusal> {
        if self.attributes & DEBUG != 0 && !policy.allow_debug {
            return Err(Refusal::DebugMode);
        }
        if self.attributes & PROFILING != 0 && !policy.allow_debug {
            return Err(Refusal::Profiling);
        }
        if self.attributes & RESERVED != 0 {
            return Err(Refusal::TdAttributes);
        }
        if self.attributes & MIGRATABLE != 0 && !policy.allow_migration {
            return Err(Refusal::Migratable);
        }
        if self.attributes & SEPT_VE_DISABLE == 0 && policy.require_sept_ve_disable {
            return Err(Refusal::SeptVe);
        }
        if self.xfam & XFAM_ALWAYS != XFAM_ALWAYS || self.xfam & !policy.xfam_allowed != 0 {
            return Err(Refusal::Xfam);
        }
        for ((index, found), accepted) in (0..).zip(&self.rtmrs).zip(&policy.rtmrs) {
            if !accepted.is_empty() && !accepted.contains(found) {
                return Err(Refusal::Rtmr { index });
            }
        }
        for (field, found, wanted) in [
            ("MRCONFIGID", self.config_id, policy.config_id),
            ("MROWNER", self.owner, policy.owner),
            ("MROWNERCONFIG", self.owner_config, policy.owner_config),
        ] {
            if wanted.is_some_and(|wanted| wanted != found) {
                return Err(Refusal::TdConfiguration { field });
            }
        }
        Ok(())
    }

    /// Whether a service TD, which can take the TD's secrets elsewhere, is bound to it.
    pub(crate) fn check_service_td(&self, policy: &TdxPolicy) -> Result<(), Refusal> {
        let bound = self.has_service_td || self.attributes & SERVICE_TD_EXTENDED != 0;
        if bound && !policy.allow_service_td {
            return Err(Refusal::ServiceTd);
        }
        Ok(())
    }
}

impl<'a> QeReport<'a> {
    fn parse(bytes: &'a [u8]) -> Option<Self> {
        let mut cursor = Cursor::new(bytes);
        cursor.bytes(16)?; // CPUSVN: the PCK certificate's counts
        let misc_select = cursor.u32()?;
        cursor.bytes(28)?;
        let attributes = cursor.array()?;
        cursor.bytes(64)?; // the enclave's measurement: its signer and version are judged
        let signer = cursor.array()?;
        cursor.bytes(96)?;
        let product = cursor.u16()?;
        let version = cursor.u16()?;
        cursor.bytes(60)?;
        let report_data = cursor.array()?;
        Some(Self {
            bytes,
            misc_select,
            attributes,
            signer,
            product,
            version,
            report_data,
        })
    }
}
