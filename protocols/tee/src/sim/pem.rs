//! A private key and certificates as PEM text, readable by ordinary tools.

use der::pem::{LineEnding, decode_vec, encode_string};
use p384::ecdsa::SigningKey;
use p384::pkcs8::{DecodePrivateKey, EncodePrivateKey};
use zeroize::Zeroizing;

use super::SimError;

const KEY_LABEL: &str = "PRIVATE KEY";
const CERTIFICATE_LABEL: &str = "CERTIFICATE";
const END: &str = "-----END ";
/// A key and three certificates take about 4 KB.
const MAX_TEXT: usize = 64 * 1024;

/// The key, then the certificates in the order given.
pub(super) fn write<'a>(
    key: &SigningKey,
    certificates: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Zeroizing<String>, SimError> {
    let encoding = |error: &dyn std::fmt::Display| SimError::Encoding(error.to_string());
    let key = key.to_pkcs8_der().map_err(|error| encoding(&error))?;
    let mut text = Zeroizing::new(block(KEY_LABEL, key.as_bytes())?);
    for der in certificates {
        // Not `push_str`, which may move the key and leave a copy of it behind.
        let joined = [text.as_str(), &block(CERTIFICATE_LABEL, der)?].concat();
        text = Zeroizing::new(joined);
    }
    Ok(text)
}

fn block(label: &str, der: &[u8]) -> Result<String, SimError> {
    encode_string(label, LineEnding::LF, der).map_err(|error| SimError::Encoding(error.to_string()))
}

/// Reads a key and exactly `N` certificates, each returned as DER.
pub(super) fn read<const N: usize>(text: &str) -> Result<(SigningKey, [Vec<u8>; N]), SimError> {
    if text.len() > MAX_TEXT {
        return Err(failed(N, &"it is too long"));
    }
    let mut blocks = blocks(text);
    let key = blocks.next().ok_or_else(|| failed(N, &"there is no key"))?;
    let key = Zeroizing::new(decode(key, KEY_LABEL, N)?);
    let key = SigningKey::from_pkcs8_der(&key).map_err(|error| failed(N, &error))?;
    let certificates = blocks
        .take(N + 1)
        .map(|block| decode(block, CERTIFICATE_LABEL, N))
        .collect::<Result<Vec<_>, _>>()?;
    let found = certificates.len();
    let certificates = <[Vec<u8>; N]>::try_from(certificates)
        .map_err(|_| failed(N, &format_args!("there are {found} or more")))?;
    Ok((key, certificates))
}

/// Cuts the text behind each closing line.
fn blocks(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text.trim();
    std::iter::from_fn(move || {
        let end = rest.find(END)?;
        let line = rest[end..]
            .find('\n')
            .map_or(rest.len(), |length| end + length + 1);
        let (block, after) = rest.split_at(line);
        rest = after.trim_start();
        Some(block)
    })
}

fn decode(block: &str, label: &str, expected: usize) -> Result<Vec<u8>, SimError> {
    let (found, der) = decode_vec(block.as_bytes()).map_err(|error| failed(expected, &error))?;
    if found == label {
        Ok(der)
    } else {
        Err(failed(
            expected,
            &format_args!("{found:?} where {label:?} belongs"),
        ))
    }
}

fn failed(expected: usize, reason: &dyn std::fmt::Display) -> SimError {
    SimError::Pem {
        expected,
        reason: reason.to_string(),
    }
}
