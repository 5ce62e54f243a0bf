//! The certificate of the key that signs reports, and how it must fit the report.
//!
//! Source: AMD, "Versioned Chip Endorsement Key (VCEK) Certificate and KDS Interface
//! Specification" (57230) and its VLEK counterpart. AMD's extensions have ids below
//! 1.3.6.1.4.1.3704.1: 2 product, 3.1 to 3.9 version numbers, 4 hardware id, 5 the cloud.

use der::asn1::{AnyRef, ObjectIdentifier};
use der::{Decode, Tagged};

use super::report::{Report, SigningKey, read_tcb};
use crate::refusal::Refusal;
use crate::tcb::{SnpProduct, SnpTcb};
use crate::x509::certificate::Link;

const PRODUCT: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.3704.1.2");
const BOOTLOADER: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.3704.1.3.1");
const TEE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.3704.1.3.2");
const SNP: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.3704.1.3.3");
const MICROCODE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.3704.1.3.8");
const FMC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.3704.1.3.9");
/// Parts without a meaning so far: zero in every certificate, and reserved in reports.
const UNUSED: [ObjectIdentifier; 4] = [
    ObjectIdentifier::new_unwrap("1.3.6.1.4.1.3704.1.3.4"),
    ObjectIdentifier::new_unwrap("1.3.6.1.4.1.3704.1.3.5"),
    ObjectIdentifier::new_unwrap("1.3.6.1.4.1.3704.1.3.6"),
    ObjectIdentifier::new_unwrap("1.3.6.1.4.1.3704.1.3.7"),
];
const HARDWARE_ID: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.3704.1.4");
const CLOUD: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.3704.1.5");

/// Of a hardware id, Turin uses the first eight bytes.
const TURIN_ID_BYTES: usize = 8;

/// The product that a certificate is for, from its extension: the name, or the name, a hyphen
/// and a stepping.
pub(super) fn product(vek: &Link<'_>) -> Result<SnpProduct, Refusal> {
    let content = vek.extension(PRODUCT).ok_or(Refusal::VekExtension)?;
    let text = AnyRef::from_der(content).map_err(|_| Refusal::VekExtension)?;
    if text.tag() != der::Tag::Ia5String {
        return Err(Refusal::VekExtension);
    }
    let name = text.value().split(|byte| *byte == b'-').next();
    match name {
        Some(b"Milan") => Ok(SnpProduct::Milan),
        Some(b"Genoa" | b"Bergamo" | b"Siena") => Ok(SnpProduct::Genoa),
        Some(b"Turin") => Ok(SnpProduct::Turin),
        _ => Err(Refusal::UnknownProduct),
    }
}

/// The root's name is the product's.
pub(super) fn check_root(root: &Link<'_>, product: SnpProduct) -> Result<(), Refusal> {
    check_name(root, &format!("ARK-{product}"))
}

/// The issuer's name belongs to the product and to the report's kind of key.
pub(super) fn check_issuer(
    issuer: &Link<'_>,
    key: SigningKey,
    product: SnpProduct,
) -> Result<(), Refusal> {
    let prefix = match key {
        SigningKey::Vcek => "SEV-",
        SigningKey::Vlek => "SEV-VLEK-",
    };
    check_name(issuer, &format!("{prefix}{product}"))
}

fn check_name(link: &Link<'_>, name: &str) -> Result<(), Refusal> {
    if link.common_name() == Some(name.as_bytes()) {
        Ok(())
    } else {
        Err(Refusal::VekKind {
            position: link.position,
        })
    }
}

/// The VEK's name and extensions belong to the report's kind of key.
pub(super) fn check_kind(vek: &Link<'_>, key: SigningKey) -> Result<(), Refusal> {
    let name = match key {
        SigningKey::Vcek => "SEV-VCEK",
        SigningKey::Vlek => "SEV-VLEK",
    };
    check_name(vek, name)?;
    let (hardware, cloud) = (
        vek.extension(HARDWARE_ID).is_some(),
        vek.extension(CLOUD).is_some(),
    );
    if (hardware, cloud) != (key == SigningKey::Vcek, key == SigningKey::Vlek) {
        return Err(Refusal::VekKind {
            position: vek.position,
        });
    }
    Ok(())
}

/// The certificate's version numbers are the report's.
pub(super) fn check_tcb(
    vek: &Link<'_>,
    report: &Report<'_>,
    product: SnpProduct,
) -> Result<(), Refusal> {
    let number = |id| -> Result<Option<u8>, Refusal> {
        let content = vek.extension(id);
        content
            .map(|content| u8::from_der(content).map_err(|_| Refusal::VekExtension))
            .transpose()
    };
    let required = |id| number(id)?.ok_or(Refusal::VekExtension);
    let certified = SnpTcb {
        fmc: match product {
            SnpProduct::Turin => required(FMC)?,
            SnpProduct::Milan | SnpProduct::Genoa => number(FMC)?.unwrap_or(0),
        },
        bootloader: required(BOOTLOADER)?,
        tee: required(TEE)?,
        snp: required(SNP)?,
        microcode: required(MICROCODE)?,
    };
    for id in UNUSED {
        if number(id)?.is_some_and(|number| number != 0) {
            return Err(Refusal::VekTcb);
        }
    }
    // The bytes that `read_tcb` leaves out are reserved.
    let [_, _, c, d, e, f, g, _] = report.reported_tcb;
    let reserved = match product {
        SnpProduct::Milan | SnpProduct::Genoa => c | d | e | f,
        SnpProduct::Turin => e | f | g,
    };
    if certified != read_tcb(report.reported_tcb, product) || reserved != 0 {
        return Err(Refusal::VekTcb);
    }
    Ok(())
}

/// A VCEK's hardware id is the report's chip.
pub(super) fn check_chip(
    vek: &Link<'_>,
    report: &Report<'_>,
    product: SnpProduct,
) -> Result<(), Refusal> {
    if report.signing_key == SigningKey::Vlek {
        return Ok(());
    }
    let certified = vek.extension(HARDWARE_ID).ok_or(Refusal::VekExtension)?;
    let used = match product {
        SnpProduct::Milan | SnpProduct::Genoa => report.chip_id.len(),
        SnpProduct::Turin => TURIN_ID_BYTES,
    };
    let (chip, unused) = report
        .chip_id
        .split_at_checked(used)
        .ok_or(Refusal::VekChip)?;
    // A chip that hides its id reports zeros; its certificate then proves nothing about it.
    let hidden = chip.iter().all(|byte| *byte == 0);
    if hidden || certified != chip || unused.iter().any(|byte| *byte != 0) {
        return Err(Refusal::VekChip);
    }
    Ok(())
}
