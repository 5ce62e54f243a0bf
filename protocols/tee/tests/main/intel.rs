//! A simulated Intel: a root, a PCK authority, signers of collateral, a quoting enclave, and
//! quotes in which exactly one thing is wrong.

use aether_tee::{
    Appraisal, Binding, Endorsements, Evidence, EvidenceKind, Policy, Refusal, RootFingerprint,
    TdxCollateral, TrustAnchors, UnixTime, appraise,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::forger::{NOW, binding, constraints, extension, measurement, sequence, tlv};
use crate::pki::{Cert, List, Signer, point, sign_fixed, usages};

/// Whose key has which number.
pub(crate) const ROOT: usize = 0;
pub(crate) const AUTHORITY: usize = 1;
pub(crate) const PCK: usize = 2;
pub(crate) const SIGNER: usize = 3;
pub(crate) const ATTESTATION: usize = 4;
pub(crate) const STRANGER: usize = 5;

/// Where fields of a TD's report are.
pub(crate) const TCB_SVN: usize = 0;
pub(crate) const MODULE_SIGNER: usize = 64;
pub(crate) const MODULE_ATTRIBUTES: usize = 112;
pub(crate) const ATTRIBUTES: usize = 120;
pub(crate) const XFAM: usize = 128;
pub(crate) const MRTD: usize = 136;
pub(crate) const CONFIG_ID: usize = 184;
pub(crate) const OWNER: usize = 232;
pub(crate) const OWNER_CONFIG: usize = 280;
pub(crate) const RTMR2: usize = 424;
pub(crate) const REPORT_DATA: usize = 520;
pub(crate) const CURRENT_TCB_SVN: usize = 584;
pub(crate) const SERVICE_TD: usize = 600;
/// Of TD 1.5Ex.
pub(crate) const CURRENT_SERVICE_TD: usize = 829;

/// Where fields of the quoting enclave's report are.
pub(crate) const QE_MISC: usize = 16;
pub(crate) const QE_ATTRIBUTES: usize = 48;
pub(crate) const QE_SIGNER: usize = 128;
pub(crate) const QE_PRODUCT: usize = 256;
pub(crate) const QE_VERSION: usize = 258;

/// Intel's SGX extension: 1.2.840.113741.1.13.1 and what follows.
fn sgx(tail: &[u8]) -> Vec<u8> {
    let base = [0x2a, 0x86, 0x48, 0x86, 0xf8, 0x4d, 0x01, 0x0d, 0x01];
    [&base, tail].concat()
}

fn pair(id: &[u8], value: &[u8]) -> Vec<u8> {
    sequence(&[&tlv(0x06, id), value])
}

/// The platform that a PCK certificate describes.
#[derive(Clone)]
pub(crate) struct Described {
    pub(crate) fmspc: Vec<u8>,
    pub(crate) pce_id: [u8; 2],
    pub(crate) components: [u8; 16],
    pub(crate) pce_svn: u8,
}

impl Described {
    pub(crate) fn extension(&self) -> Vec<u8> {
        let components = (1u8..).zip(self.components);
        let mut tcb: Vec<u8> = components
            .flat_map(|(number, svn)| pair(&sgx(&[2, number]), &tlv(0x02, &[svn])))
            .collect();
        tcb.extend(pair(&sgx(&[2, 17]), &tlv(0x02, &[self.pce_svn])));
        tcb.extend(pair(&sgx(&[2, 18]), &tlv(0x04, &self.components)));
        let content = sequence(&[
            &pair(&sgx(&[1]), &tlv(0x04, &[0x99; 16])),
            &pair(&sgx(&[2]), &tlv(0x30, &tcb)),
            &pair(&sgx(&[3]), &tlv(0x04, &self.pce_id)),
            &pair(&sgx(&[4]), &tlv(0x04, &self.fmspc)),
            &pair(&sgx(&[5]), &tlv(0x0a, &[0])),
        ]);
        extension(&sgx(&[]), false, &content)
    }
}

pub(crate) struct Intel {
    pub(crate) version: u16,
    /// 2, 3 or 4; written in version 5 only.
    pub(crate) body_type: u16,
    /// The header's 48 bytes.
    pub(crate) header: Vec<u8>,
    pub(crate) td: Vec<u8>,
    pub(crate) qe: Vec<u8>,
    /// What follows the quote.
    pub(crate) tail: Vec<u8>,
    /// Applied to the signed quote.
    pub(crate) bytes: Option<fn(&mut Vec<u8>)>,
    pub(crate) quote_signer: usize,
    pub(crate) qe_signer: usize,
    pub(crate) certification: [u16; 2],
    pub(crate) authentication: Vec<u8>,

    pub(crate) root: Cert,
    pub(crate) authority: Cert,
    pub(crate) described: Described,
    pub(crate) pck: Cert,
    /// Of the TCB info and of the QE identity.
    pub(crate) signers: [Cert; 2],
    pub(crate) root_list: List,
    pub(crate) pck_list: List,
    pub(crate) info: Value,
    pub(crate) identity: Value,
    /// The keys that sign the two.
    pub(crate) json_signers: [usize; 2],
    /// Applied to the collateral.
    pub(crate) collateral: Option<fn(&mut TdxCollateral)>,
    pub(crate) no_endorsements: bool,

    pub(crate) anchors: Option<TrustAnchors>,
    pub(crate) policy: Policy,
    pub(crate) binding: Binding,
    pub(crate) at: UnixTime,
}

/// A platform level with these SGX and TDX components.
pub(crate) fn level(sgx: u8, tdx: [u8; 3], pcesvn: u16, status: &str, date: &str) -> Value {
    let components = |first: &[u8]| -> Vec<Value> {
        let svn = |at: usize| json!({ "svn": first.get(at).copied().unwrap_or(0) });
        (0..16).map(svn).collect()
    };
    json!({
        "tcb": {
            "sgxtcbcomponents": components(&[sgx; 8]),
            "tdxtcbcomponents": components(&tdx),
            "pcesvn": pcesvn,
        },
        "tcbDate": date,
        "tcbStatus": status,
        "advisoryIDs": [format!("SA-{status}")],
    })
}

/// A level of a single version.
pub(crate) fn version_level(isvsvn: u16, status: &str, date: &str) -> Value {
    json!({ "tcb": { "isvsvn": isvsvn }, "tcbDate": date, "tcbStatus": status })
}

impl Intel {
    /// A quote of version 4, of a TD 1.0, on a platform that is up to date.
    pub(crate) fn honest() -> Self {
        let mut header = vec![0; 48];
        header[0..2].copy_from_slice(&4u16.to_le_bytes());
        header[2..4].copy_from_slice(&2u16.to_le_bytes());
        header[4..8].copy_from_slice(&0x81u32.to_le_bytes());
        header[12..28].copy_from_slice(&[
            0x93, 0x9a, 0x72, 0x33, 0xf7, 0x9c, 0x4c, 0xa9, 0x94, 0x0a, 0x0d, 0xb3, 0x95, 0x7f,
            0x06, 0x07,
        ]);
        let mut td = vec![0; 584];
        td[TCB_SVN..TCB_SVN + 3].copy_from_slice(&[6, 1, 3]);
        td[ATTRIBUTES..ATTRIBUTES + 8].copy_from_slice(&(1u64 << 28).to_le_bytes());
        td[XFAM..XFAM + 8].copy_from_slice(&0x0006_02e7u64.to_le_bytes());
        td[MRTD..MRTD + 48].copy_from_slice(&measurement().0);
        td[REPORT_DATA..REPORT_DATA + 64].copy_from_slice(binding().as_bytes());
        let mut qe = vec![0; 384];
        qe[QE_ATTRIBUTES] = 0x11;
        qe[QE_SIGNER..QE_SIGNER + 32].copy_from_slice(&[0xdc; 32]);
        qe[QE_PRODUCT] = 2;
        qe[QE_VERSION] = 4;

        let spki = |number| Signer::P256(number).spki();
        let signer = Signer::P256(ROOT);
        let mut root = Cert::new("Root", "Root", 1, spki(ROOT), signer);
        root.extensions = vec![constraints(true, Some(1)), usages(&[5, 6])];
        let mut authority = Cert::new("Platform CA", "Root", 2, spki(AUTHORITY), signer);
        authority.extensions = vec![constraints(true, Some(0)), usages(&[5, 6])];
        let by_authority = Signer::P256(AUTHORITY);
        let mut pck = Cert::new("PCK", "Platform CA", 3, spki(PCK), by_authority);
        let described = Described {
            fmspc: vec![0x50, 0x80, 0x6f, 0, 0, 0],
            pce_id: [0, 0],
            components: [5; 16],
            pce_svn: 13,
        };
        pck.extensions = vec![constraints(false, None), usages(&[0, 1])];
        let mut tcb_signer = Cert::new("TCB Signing", "Root", 4, spki(SIGNER), signer);
        tcb_signer.extensions = vec![constraints(false, None), usages(&[0, 1])];

        let zeros = "00".repeat(48);
        let module = json!({
            "mrsigner": zeros,
            "attributes": "0000000000000000",
            "attributesMask": "FFFFFFFFFFFFFFFF",
        });
        let mut first = module.clone();
        first["id"] = json!("TDX_01");
        first["tcbLevels"] = json!([
            version_level(6, "UpToDate", "2026-01-01T00:00:00Z"),
            version_level(4, "OutOfDate", "2025-01-01T00:00:00Z"),
            version_level(2, "Revoked", "2024-01-01T00:00:00Z"),
        ]);
        let info = json!({
            "id": "TDX",
            "version": 3,
            "issueDate": "2026-02-28T12:00:00Z",
            "nextUpdate": "2026-03-02T12:00:00Z",
            "fmspc": "50806F000000",
            "pceId": "0000",
            "tcbType": 0,
            "tcbEvaluationDataNumber": 18,
            "tdxModule": module,
            "tdxModuleIdentities": [first],
            "tcbLevels": [
                level(5, [6, 0, 3], 13, "UpToDate", "2026-01-01T00:00:00Z"),
                level(4, [5, 0, 2], 11, "SWHardeningNeeded", "2025-01-01T00:00:00Z"),
                level(3, [5, 0, 2], 11, "OutOfDate", "2024-01-01T00:00:00Z"),
                level(2, [0, 0, 0], 5, "Revoked", "2023-01-01T00:00:00Z"),
            ],
        });
        let identity = json!({
            "id": "TD_QE",
            "version": 2,
            "issueDate": "2026-02-28T12:00:00Z",
            "nextUpdate": "2026-03-02T12:00:00Z",
            "tcbEvaluationDataNumber": 18,
            "miscselect": "00000000",
            "miscselectMask": "FFFFFFFF",
            "attributes": "11000000000000000000000000000000",
            "attributesMask": "FBFFFFFFFFFFFFFF0000000000000000",
            "mrsigner": "dc".repeat(32),
            "isvprodid": 2,
            "tcbLevels": [
                version_level(4, "UpToDate", "2026-01-01T00:00:00Z"),
                version_level(3, "OutOfDate", "2025-01-01T00:00:00Z"),
                version_level(1, "Revoked", "2024-01-01T00:00:00Z"),
            ],
        });
        Self {
            version: 4,
            body_type: 2,
            header,
            td,
            qe,
            tail: Vec::new(),
            bytes: None,
            quote_signer: ATTESTATION,
            qe_signer: PCK,
            certification: [6, 5],
            authentication: (0..32).collect(),
            root,
            authority,
            described,
            pck,
            signers: [tcb_signer.clone(), tcb_signer],
            root_list: List::new("Root", signer),
            pck_list: List::new("Platform CA", by_authority),
            info,
            identity,
            json_signers: [SIGNER, SIGNER],
            collateral: None,
            no_endorsements: false,
            anchors: None,
            policy: Policy {
                kinds: vec![EvidenceKind::Tdx],
                measurements: vec![measurement()],
                ..Policy::default()
            },
            binding: binding(),
            at: NOW,
        }
    }

    /// A quote of version 5 of a TD 1.5.
    pub(crate) fn td15() -> Self {
        let mut vendor = Self::honest();
        vendor.version = 5;
        vendor.body_type = 3;
        vendor.td.resize(648, 0);
        vendor.put(CURRENT_TCB_SVN, &[6, 1, 3]);
        vendor
    }

    /// A quote of version 5 of a TD 1.5Ex.
    pub(crate) fn td15ex() -> Self {
        let mut vendor = Self::td15();
        vendor.body_type = 4;
        vendor.td.resize(885, 0);
        vendor
    }

    pub(crate) fn put(&mut self, at: usize, bytes: &[u8]) {
        self.td[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// Every certificate is signed anew each time, so they are made once and passed around.
    fn ders(&self) -> [Vec<u8>; 5] {
        let mut pck = self.pck.clone();
        pck.extensions.push(self.described.extension());
        let [info_signer, identity_signer] = &self.signers;
        let info_der = info_signer.der();
        let same = (info_signer.subject, info_signer.serial, info_signer.spoil)
            == (
                identity_signer.subject,
                identity_signer.serial,
                identity_signer.spoil,
            );
        let identity_der = if same {
            info_der.clone()
        } else {
            identity_signer.der()
        };
        [
            self.root.der(),
            self.authority.der(),
            pck.der(),
            info_der,
            identity_der,
        ]
    }

    fn quote(&self, ders: &[Vec<u8>; 5]) -> Evidence {
        let mut signed = self.header.clone();
        signed[0..2].copy_from_slice(&self.version.to_le_bytes());
        if self.version == 5 {
            signed.extend(self.body_type.to_le_bytes());
            signed.extend((self.td.len() as u32).to_le_bytes());
        }
        signed.extend(&self.td);
        let sized = |data: &[u8]| [&(data.len() as u32).to_le_bytes(), data].concat();

        let attestation = point(ATTESTATION);
        let mut qe = self.qe.clone();
        if qe[320..352] == [0; 32] {
            let mut hash = Sha256::new();
            hash.update(attestation);
            hash.update(&self.authentication);
            qe[320..352].copy_from_slice(&hash.finalize());
        }
        let chain = pem(&[&ders[2], &ders[1], &ders[0]]);
        let inner = [
            qe.as_slice(),
            &sign_fixed(self.qe_signer, &qe),
            &(self.authentication.len() as u16).to_le_bytes(),
            &self.authentication,
            &self.certification[1].to_le_bytes(),
            &sized(chain.as_bytes()),
        ]
        .concat();
        let authentication = [
            sign_fixed(self.quote_signer, &signed).as_slice(),
            &attestation,
            &self.certification[0].to_le_bytes(),
            &sized(&inner),
        ]
        .concat();
        let mut bytes = [signed, sized(&authentication), self.tail.clone()].concat();
        if let Some(edit) = self.bytes {
            edit(&mut bytes);
        }
        Evidence {
            kind: EvidenceKind::Tdx,
            bytes,
        }
    }

    fn endorsements(&self, ders: &[Vec<u8>; 5]) -> Endorsements {
        if self.no_endorsements {
            return Endorsements::none();
        }
        let [root, authority, _, info_signer, identity_signer] = ders;
        let info = self.info.to_string();
        let identity = self.identity.to_string();
        let mut collateral = TdxCollateral {
            root_ca_crl: self.root_list.der(),
            pck_crl: self.pck_list.der(),
            pck_crl_issuer_chain: pem(&[authority, root]),
            tcb_info_signature: sign_fixed(self.json_signers[0], info.as_bytes()).to_vec(),
            tcb_info: info,
            tcb_info_issuer_chain: pem(&[info_signer, root]),
            qe_identity_signature: sign_fixed(self.json_signers[1], identity.as_bytes()).to_vec(),
            qe_identity: identity,
            qe_identity_issuer_chain: pem(&[identity_signer, root]),
        };
        if let Some(edit) = self.collateral {
            edit(&mut collateral);
        }
        (&collateral).into()
    }

    /// A quote, its endorsements and the root's fingerprint, that belong together.
    pub(crate) fn made(&self) -> (Evidence, Endorsements, TrustAnchors) {
        let ders = self.ders();
        let anchors = self.anchors.clone().unwrap_or_else(|| TrustAnchors {
            tdx_roots: vec![RootFingerprint::of(&ders[0])],
            ..TrustAnchors::default()
        });
        (self.quote(&ders), self.endorsements(&ders), anchors)
    }

    pub(crate) fn judge(
        &self,
        evidence: &Evidence,
        endorsements: &Endorsements,
        anchors: &TrustAnchors,
    ) -> Result<Appraisal, Refusal> {
        let (policy, binding) = (&self.policy, &self.binding);
        appraise(evidence, endorsements, anchors, policy, binding, self.at)
    }

    pub(crate) fn verdict(&self) -> Result<Appraisal, Refusal> {
        let (evidence, endorsements, anchors) = self.made();
        self.judge(&evidence, &endorsements, &anchors)
    }
}

/// PEM text of certificates, as vendors write it.
pub(crate) fn pem(ders: &[&Vec<u8>]) -> String {
    let encode = |der: &&Vec<u8>| {
        der::pem::encode_string("CERTIFICATE", der::pem::LineEnding::LF, der).expect("encodes")
    };
    ders.iter().map(encode).collect()
}
