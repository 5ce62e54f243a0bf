//! Intel: TCB info by family of platforms, the quoting enclave's identity, both revocation
//! lists, each with the chain of its signer.
//!
//! Source: Intel, "Provisioning Certification Service API", version 4. What is signed is the
//! text inside the answer exactly as it stands there, so it is cut out, never written anew.
//! Chains come in a header, in PEM with percent signs.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{FetchError, Services};
use crate::endorsements::{Endorsements, TdxCollateral};
use crate::evidence::UnixTime;
use crate::inspect::inspect_certificate;
use crate::tdx::{Quote, check_collateral, check_list, platform_of};
use crate::x509::pem;

/// As the appraisal's own bound on one text.
const JSON_BYTES_MAX: usize = 64 * 1024;
/// Intel's list of PCKs grows.
const LIST_BYTES_MAX: usize = 192 * 1024;
/// Collateral is issued anew every day or so.
const LIFE: u64 = 86_400;

#[derive(Deserialize)]
struct InfoAnswer<'a> {
    #[serde(borrow, rename = "tcbInfo")]
    text: &'a RawValue,
    signature: String,
}

#[derive(Deserialize)]
struct IdentityAnswer<'a> {
    #[serde(borrow, rename = "enclaveIdentity")]
    text: &'a RawValue,
    signature: String,
}

/// Everything for one quote.
pub(super) fn endorsements(
    services: &Services<'_>,
    quote: &[u8],
) -> Result<Endorsements, FetchError> {
    let unusable = |what| FetchError::Evidence { what };
    let quote = Quote::parse(quote).map_err(|_| unusable("not a TDX quote"))?;
    let chain = pem::certificates(quote.pck_chain, 3).unwrap_or_default();
    let [pck, authority, _] = chain.as_slice() else {
        return Err(unusable("without a chain of three certificates"));
    };
    let platform = platform_of(pck).ok_or_else(|| unusable("of a platform without a name"))?;
    let authority = inspect_certificate(authority).map(|info| info.subject);
    let ca = if authority.unwrap_or_default().contains("Processor CA") {
        "processor"
    } else {
        "platform"
    };
    let (pcs, settings) = (&services.settings.intel, services.settings);
    let info = services.get(
        &format!(
            "{pcs}/tdx/certification/v4/tcb?fmspc={}",
            hex::encode(platform.fmspc)
        ),
        "TCB-Info-Issuer-Chain",
        JSON_BYTES_MAX,
        |answer, now| {
            let (text, signature) = info_of(&answer.body).ok_or("no TCB info")?;
            let end = check_collateral(text.as_bytes(), Some(&platform), now)?;
            usable(&signature, &answer.header)?;
            Ok(UnixTime(end.0.min(now.0 + LIFE)))
        },
    )?;
    let identity = services.get(
        &format!("{pcs}/tdx/certification/v4/qe/identity"),
        "SGX-Enclave-Identity-Issuer-Chain",
        JSON_BYTES_MAX,
        |answer, now| {
            let (text, signature) = identity_of(&answer.body).ok_or("no QE identity")?;
            let end = check_collateral(text.as_bytes(), None, now)?;
            usable(&signature, &answer.header)?;
            Ok(UnixTime(end.0.min(now.0 + LIFE)))
        },
    )?;
    let list = |answer: &super::http::Answer, now: UnixTime| {
        let end = check_list(&answer.body, now).ok_or("no current revocation list")?;
        Ok(UnixTime(end.0.min(now.0 + LIFE)))
    };
    let pck_list = services.get(
        &format!("{pcs}/sgx/certification/v4/pckcrl?ca={ca}&encoding=der"),
        "SGX-PCK-CRL-Issuer-Chain",
        LIST_BYTES_MAX,
        |answer, now| {
            plain(&answer.header).ok_or("a list without its author's chain")?;
            list(answer, now)
        },
    )?;
    let root_list = services.get(&settings.intel_root_list, "", LIST_BYTES_MAX, list)?;

    let lost = || unusable("answered by something that changed in between");
    let (tcb_info, tcb_info_signature) = info_of(&info.body).ok_or_else(lost)?;
    let (qe_identity, qe_identity_signature) = identity_of(&identity.body).ok_or_else(lost)?;
    Ok((&TdxCollateral {
        root_ca_crl: root_list.body,
        pck_crl: pck_list.body,
        pck_crl_issuer_chain: plain(&pck_list.header).ok_or_else(lost)?,
        tcb_info,
        tcb_info_signature,
        tcb_info_issuer_chain: plain(&info.header).ok_or_else(lost)?,
        qe_identity,
        qe_identity_signature,
        qe_identity_issuer_chain: plain(&identity.header).ok_or_else(lost)?,
    })
        .into())
}

fn info_of(body: &[u8]) -> Option<(String, Vec<u8>)> {
    let answer: InfoAnswer<'_> = serde_json::from_slice(body).ok()?;
    let signature = hex::decode(answer.signature).ok()?;
    Some((answer.text.get().to_owned(), signature))
}

fn identity_of(body: &[u8]) -> Option<(String, Vec<u8>)> {
    let answer: IdentityAnswer<'_> = serde_json::from_slice(body).ok()?;
    let signature = hex::decode(answer.signature).ok()?;
    Some((answer.text.get().to_owned(), signature))
}

/// A signature of the right size and a chain of two.
fn usable(signature: &[u8], header: &str) -> Result<(), &'static str> {
    if signature.len() != 64 {
        return Err("a signature of another size");
    }
    plain(header).map(|_| ()).ok_or("no chain of the signer")
}

/// PEM text without percent signs, of at least one certificate.
fn plain(header: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(header.len());
    let mut rest = header.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte != b'%' {
            bytes.push(*byte);
            continue;
        }
        let (digits, after) = after.split_first_chunk::<2>()?;
        let mut decoded = [0];
        hex::decode_to_slice(digits, &mut decoded).ok()?;
        bytes.extend(decoded);
        rest = after;
    }
    let text = String::from_utf8(bytes).ok()?;
    pem::certificates(text.as_bytes(), 2).map(|_| text)
}
