//! AMD: the VCEK's certificate by chip and firmware, the VLEK's issuer, the revocation list.
//!
//! Source: AMD, "Versioned Chip Endorsement Key (VCEK) Certificate and KDS Interface
//! Specification" (57230), chapter 4. A VLEK's certificate is given out to its cloud only, so
//! it has to come from the host, in the table that it attaches to a report (Linux,
//! `Documentation/virt/coco/sev-guest.rst`, `struct cert_table`): entries of an id (16 bytes),
//! an offset and a length (4 each, little-endian), the last one all zero.

use super::{FetchError, Services};
use crate::cursor::Cursor;
use crate::endorsements::{Endorsements, SnpEndorsements};
use crate::evidence::UnixTime;
use crate::inspect::certificates;
use crate::snp::{Report, check_list, check_vek, signed_by_vlek};
use crate::tcb::{SnpProduct, SnpTcb};

/// Genuine certificates have 1.3 KB, chains 4 KB.
const CERTIFICATE_BYTES_MAX: usize = 16 * 1024;
/// Genuine lists have 0.7 KB.
const LIST_BYTES_MAX: usize = 64 * 1024;
/// Entries of a host's table.
const MOST_ENTRIES: usize = 16;
const DAY: u64 = 86_400;
/// A certificate for one chip and one firmware never changes.
const VCEK_LIFE: u64 = 30 * DAY;
const LIST_LIFE: u64 = DAY;

// Ids of a host's table.
const VCEK: &str = "63da758de6644564adc5f4b93be8accd";
const VLEK: &str = "a8074bc2a25a483eaae639c045a0b8a1";
const ISSUER: &str = "4ab7b379bbac4fe4a02f05aef327c782";

/// Everything for one report.
pub(super) fn endorsements(
    services: &Services<'_>,
    report: &[u8],
    attached: &[u8],
) -> Result<Endorsements, FetchError> {
    let unusable = |what| FetchError::Evidence { what };
    let parsed = Report::parse(report).map_err(|_| unusable("not an SNP report"))?;
    let (product, vek, issuer) = if signed_by_vlek(&parsed) {
        let vek = entry(attached, VLEK)
            .filter(|der| check_vek(der, &parsed).is_ok())
            .ok_or_else(|| unusable("signed by a VLEK, and the host attached no fitting one"))?;
        let product = check_vek(vek, &parsed).map_err(|_| unusable("a VLEK of no product"))?;
        (
            product,
            vek.to_vec(),
            vlek_issuer(services, product, attached)?,
        )
    } else {
        let given = entry(attached, VCEK);
        let given = given.and_then(|der| Some((check_vek(der, &parsed).ok()?, der.to_vec())));
        let (product, vek) = match given {
            Some(found) => found,
            None => vcek(services, &parsed)?,
        };
        (product, vek, Vec::new())
    };
    let crl = if services.settings.revocation_lists {
        let url = format!("{}/vcek/v1/{product}/crl", services.settings.amd);
        services
            .get(&url, "", LIST_BYTES_MAX, |answer, now| {
                check_list(&answer.body, now)
                    .map_err(|_| "no current revocation list")
                    .map(|end| UnixTime(end.0.min(now.0 + LIST_LIFE)))
            })?
            .body
    } else {
        Vec::new()
    };
    Ok((&SnpEndorsements {
        vek,
        issuer,
        root: Vec::new(),
        crl,
    })
        .into())
}

/// By chip and firmware. Where a report does not name its product (version 2), those that have
/// such reports are tried.
fn vcek(services: &Services<'_>, report: &Report<'_>) -> Result<(SnpProduct, Vec<u8>), FetchError> {
    let products = match report.product {
        Some(product) => vec![product],
        None => vec![SnpProduct::Milan, SnpProduct::Genoa],
    };
    let mut last = FetchError::Evidence {
        what: "of no product that is understood",
    };
    for product in products {
        let url = vcek_url(&services.settings.amd, report, product);
        let found = services.get(&url, "", CERTIFICATE_BYTES_MAX, |answer, now| {
            check_vek(&answer.body, report)
                .map_err(|_| "no certificate for this chip and firmware")
                .map(|_| UnixTime(now.0 + VCEK_LIFE))
        });
        match found {
            Ok(answer) => return Ok((product, answer.body)),
            // It may be of the other product.
            Err(error @ FetchError::Status { .. }) => last = error,
            Err(other) => return Err(other),
        }
    }
    Err(last)
}

fn vcek_url(service: &str, report: &Report<'_>, product: SnpProduct) -> String {
    let tcb: SnpTcb = crate::snp::read_tcb(report.reported_tcb, product);
    let used = match product {
        SnpProduct::Turin => 8,
        SnpProduct::Milan | SnpProduct::Genoa => 64,
    };
    let chip = hex::encode(report.chip_id.get(..used).unwrap_or_default());
    let fmc = match product {
        SnpProduct::Turin => format!("fmcSPL={:02}&", tcb.fmc),
        SnpProduct::Milan | SnpProduct::Genoa => String::new(),
    };
    format!(
        "{service}/vcek/v1/{product}/{chip}?{fmc}blSPL={:02}&teeSPL={:02}&snpSPL={:02}&ucodeSPL={:02}",
        tcb.bootloader, tcb.tee, tcb.snp, tcb.microcode
    )
}

/// The ASVK: the host's, or the first certificate of AMD's chain.
fn vlek_issuer(
    services: &Services<'_>,
    product: SnpProduct,
    attached: &[u8],
) -> Result<Vec<u8>, FetchError> {
    let name = format!("SEV-VLEK-{product}");
    let fits = |der: &[u8]| {
        let info = crate::inspect::inspect_certificate(der);
        info.is_some_and(|info| info.subject.contains(&name))
    };
    if let Some(der) = entry(attached, ISSUER).filter(|der| fits(der)) {
        return Ok(der.to_vec());
    }
    let url = format!("{}/vlek/v1/{product}/cert_chain", services.settings.amd);
    let first = |body: &[u8]| certificates(body)?.into_iter().find(|der| fits(der));
    let answer = services.get(&url, "", CERTIFICATE_BYTES_MAX, |answer, now| {
        first(&answer.body)
            .ok_or("no chain with the issuer of VLEKs")
            .map(|_| UnixTime(now.0 + VCEK_LIFE))
    })?;
    first(&answer.body).ok_or(FetchError::Content {
        url,
        what: "no chain with the issuer of VLEKs",
    })
}

/// The certificate of this id in a host's table.
fn entry<'a>(table: &'a [u8], id: &str) -> Option<&'a [u8]> {
    let mut cursor = Cursor::new(table);
    for _ in 0..MOST_ENTRIES {
        let found: [u8; 16] = cursor.array()?;
        let (offset, length) = (cursor.u32()?, cursor.u32()?);
        if found == [0; 16] {
            return None;
        }
        if hex::encode(found) == id {
            let start = usize::try_from(offset).ok()?;
            let end = start.checked_add(usize::try_from(length).ok()?)?;
            return table.get(start..end);
        }
    }
    None
}
