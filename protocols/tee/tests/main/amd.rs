//! A simulated AMD: a root and an issuer with RSA-4096, a P-384 report key, and reports in
//! which exactly one thing is wrong.

use aether_tee::{
    Appraisal, Binding, Endorsements, Evidence, EvidenceKind, Policy, Refusal, RootFingerprint,
    SnpEndorsements, SnpProduct, TrustAnchors, UnixTime, appraise,
};
use p384::ecdsa::Signature;
use p384::ecdsa::signature::Signer as _;

use crate::forger::{NOW, binding, constraints, extension, key, measurement, tlv};
use crate::pki::{Cert, List, Signer, p384_spki, usages};

/// Where fields of a report are.
pub(crate) const VERSION: usize = 0x00;
pub(crate) const GUEST_POLICY: usize = 0x08;
pub(crate) const VMPL: usize = 0x30;
pub(crate) const ALGORITHM: usize = 0x34;
pub(crate) const CURRENT_TCB: usize = 0x38;
pub(crate) const PLATFORM_INFO: usize = 0x40;
pub(crate) const KEY_INFO: usize = 0x48;
pub(crate) const REPORT_DATA: usize = 0x50;
pub(crate) const MEASUREMENT: usize = 0x90;
pub(crate) const HOST_DATA: usize = 0xc0;
pub(crate) const ID_KEY: usize = 0xe0;
pub(crate) const AUTHOR_KEY: usize = 0x110;
pub(crate) const REPORTED_TCB: usize = 0x180;
pub(crate) const FAMILY: usize = 0x188;
pub(crate) const CHIP: usize = 0x1a0;
pub(crate) const COMMITTED_TCB: usize = 0x1e0;
pub(crate) const LAUNCH_TCB: usize = 0x1f0;
pub(crate) const SIGNATURE: usize = 0x2a0;

/// 1.3.6.1.4.1.3704.1, and what follows it.
fn amd(tail: &[u8]) -> Vec<u8> {
    [&[0x2b, 0x06, 0x01, 0x04, 0x01, 0x9c, 0x78, 0x01], tail].concat()
}

pub(crate) fn product_extension(name: &str) -> Vec<u8> {
    extension(&amd(&[2]), false, &tlv(0x16, name.as_bytes()))
}

/// A version number, as part `part` of the TCB.
pub(crate) fn number(part: u8, value: u8) -> Vec<u8> {
    let content = if value < 0x80 {
        vec![value]
    } else {
        vec![0, value]
    };
    extension(&amd(&[3, part]), false, &tlv(0x02, &content))
}

pub(crate) fn hardware(id: &[u8]) -> Vec<u8> {
    extension(&amd(&[4]), false, id)
}

pub(crate) fn cloud() -> Vec<u8> {
    extension(&amd(&[5]), false, &tlv(0x16, b"CN=a-cloud"))
}

/// The position of the extensions in a VEK.
pub(crate) const AT_PRODUCT: usize = 0;
pub(crate) const AT_BOOTLOADER: usize = 1;
pub(crate) const AT_UNUSED: usize = 5;
pub(crate) const AT_ID: usize = 6;

pub(crate) struct Amd {
    pub(crate) product: SnpProduct,
    pub(crate) root: Cert,
    pub(crate) issuer: Cert,
    pub(crate) vek: Cert,
    pub(crate) list: Option<List>,
    pub(crate) report: Vec<u8>,
    /// Applied to the signed report.
    pub(crate) bytes: Option<fn(&mut Vec<u8>)>,
    /// Applied to the endorsements.
    pub(crate) endorsements: Option<fn(&mut SnpEndorsements)>,
    /// Applied to the encoded endorsements.
    pub(crate) bundle: Option<fn(&mut Endorsements)>,
    /// The seed of the key that signs the report.
    pub(crate) signer: u8,
    pub(crate) anchors: Option<TrustAnchors>,
    pub(crate) policy: Policy,
    pub(crate) binding: Binding,
    pub(crate) at: UnixTime,
}

impl Amd {
    /// A VCEK of Milan, a report of version 3.
    pub(crate) fn honest() -> Self {
        let mut report = vec![0; 0x4a0];
        let mut put = |at: usize, bytes: &[u8]| report[at..at + bytes.len()].copy_from_slice(bytes);
        put(VERSION, &[3]);
        put(GUEST_POLICY, &0x3_0000u64.to_le_bytes());
        put(ALGORITHM, &[1]);
        for at in [CURRENT_TCB, REPORTED_TCB, COMMITTED_TCB, LAUNCH_TCB] {
            put(at, &[3, 1, 0, 0, 0, 0, 20, 209]);
        }
        put(PLATFORM_INFO, &[0b101]);
        put(REPORT_DATA, binding().as_bytes());
        put(MEASUREMENT, &measurement().0);
        put(FAMILY, &[0x19, 0x01, 0x01]);
        put(CHIP, &[0xc4; 64]);

        let mut root = Cert::new("ARK-Milan", "ARK-Milan", 1, Signer::Ark.spki(), Signer::Ark);
        root.extensions = vec![constraints(true, None), usages(&[5, 6])];
        let mut issuer = Cert::new("SEV-Milan", "ARK-Milan", 2, Signer::Ask.spki(), Signer::Ark);
        issuer.extensions = vec![constraints(true, Some(0)), usages(&[5])];
        let mut vek = Cert::new("SEV-VCEK", "SEV-Milan", 0, p384_spki(9), Signer::Ask);
        vek.extensions = vec![
            product_extension("Milan-B0"),
            number(1, 3),
            number(2, 1),
            number(3, 20),
            number(8, 209),
            number(4, 0),
            hardware(&[0xc4; 64]),
        ];
        Self {
            product: SnpProduct::Milan,
            root,
            issuer,
            vek,
            list: None,
            report,
            bytes: None,
            endorsements: None,
            bundle: None,
            signer: 9,
            anchors: None,
            policy: Policy {
                kinds: vec![EvidenceKind::SevSnp],
                measurements: vec![measurement()],
                ..Policy::default()
            },
            binding: binding(),
            at: NOW,
        }
    }

    /// A cloud's key.
    pub(crate) fn vlek() -> Self {
        let mut vendor = Self::honest();
        vendor.put(KEY_INFO, &[1 << 2]);
        vendor.issuer.subject = "SEV-VLEK-Milan";
        vendor.vek.issuer = "SEV-VLEK-Milan";
        vendor.vek.subject = "SEV-VLEK";
        vendor.vek.serial = 5;
        vendor.vek.extensions[AT_PRODUCT] = product_extension("Milan");
        vendor.vek.extensions[AT_ID] = cloud();
        vendor
    }

    /// Turin lays its TCB out differently, and its chips have ids of eight bytes.
    pub(crate) fn turin() -> Self {
        let mut vendor = Self::honest();
        vendor.product = SnpProduct::Turin;
        vendor.put(VERSION, &[5]);
        vendor.put(FAMILY, &[0x1a, 0x02]);
        for at in [CURRENT_TCB, REPORTED_TCB, COMMITTED_TCB, LAUNCH_TCB] {
            vendor.put(at, &[7, 3, 1, 20, 0, 0, 0, 209]);
        }
        vendor.put(CHIP, &[0; 64]);
        vendor.put(CHIP, &[0xc4; 8]);
        (vendor.root.subject, vendor.root.issuer) = ("ARK-Turin", "ARK-Turin");
        (vendor.issuer.subject, vendor.issuer.issuer) = ("SEV-Turin", "ARK-Turin");
        vendor.vek.issuer = "SEV-Turin";
        vendor.vek.extensions[AT_PRODUCT] = product_extension("Turin-B1");
        vendor.vek.extensions[AT_UNUSED] = number(9, 7);
        vendor.vek.extensions[AT_ID] = hardware(&[0xc4; 8]);
        vendor
    }

    /// With AMD's revocation list.
    pub(crate) fn listed() -> Self {
        let mut vendor = Self::honest();
        vendor.list = Some(List::new("ARK-Milan", Signer::Ark));
        vendor.policy.snp.require_crl = true;
        vendor
    }

    pub(crate) fn put(&mut self, at: usize, bytes: &[u8]) {
        self.report[at..at + bytes.len()].copy_from_slice(bytes);
    }

    pub(crate) fn evidence(&self) -> Evidence {
        let mut bytes = self.report.clone();
        let signature: Signature = key(self.signer).sign(&bytes[..SIGNATURE]);
        let signature = signature.normalize_s().to_bytes();
        for (at, scalar) in [SIGNATURE, SIGNATURE + 72]
            .into_iter()
            .zip(signature.chunks(48))
        {
            let scalar: Vec<u8> = scalar.iter().rev().copied().collect();
            bytes[at..at + 48].copy_from_slice(&scalar);
        }
        if let Some(edit) = self.bytes {
            edit(&mut bytes);
        }
        Evidence {
            kind: EvidenceKind::SevSnp,
            bytes,
        }
    }

    pub(crate) fn bundle(&self) -> Endorsements {
        let mut parts = SnpEndorsements {
            vek: self.vek.der(),
            issuer: self.issuer.der(),
            root: self.root.der(),
            crl: self.list.as_ref().map(List::der).unwrap_or_default(),
        };
        if let Some(edit) = self.endorsements {
            edit(&mut parts);
        }
        let mut bundle = Endorsements::from(&parts);
        if let Some(edit) = self.bundle {
            edit(&mut bundle);
        }
        bundle
    }

    pub(crate) fn judge(&self, evidence: &Evidence) -> Result<Appraisal, Refusal> {
        let bundle = self.bundle();
        let anchors = self.anchors.clone().unwrap_or_else(|| TrustAnchors {
            snp_roots: vec![(self.product, root_of(&bundle))],
            ..TrustAnchors::default()
        });
        appraise(
            evidence,
            &bundle,
            &anchors,
            &self.policy,
            &self.binding,
            self.at,
        )
    }

    pub(crate) fn verdict(&self) -> Result<Appraisal, Refusal> {
        self.judge(&self.evidence())
    }
}

/// The fingerprint of the root in a bundle: RSA-PSS signatures differ each time.
pub(crate) fn root_of(bundle: &Endorsements) -> RootFingerprint {
    let mut rest = bundle.0.get(1..).unwrap_or_default();
    while let [tag, a, b, c, d, after @ ..] = rest {
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        let (part, next) = after.split_at(length.min(after.len()));
        if *tag == 3 {
            return RootFingerprint::of(part);
        }
        rest = next;
    }
    RootFingerprint([0; 32])
}
