//! Certificates as PEM text, in the one form that vendors write: 64 characters a line, lines
//! ended by LF or CRLF, nothing between the blocks.
//!
//! Evidence carries this text unsigned, so a lenient reader would accept evidence that was
//! changed; here every character but the line ends and what follows the last block (line
//! ends and the C string's closing zero) is determined by the certificates.

const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";
const END: &[u8] = b"-----END CERTIFICATE-----";
const LINE: usize = 64;

/// The certificates in `text`, in order, at most `most` of them and at least one. `None`
/// where the text is anything else.
pub(crate) fn certificates(text: &[u8], most: usize) -> Option<Vec<Vec<u8>>> {
    let mut rest = text;
    let mut found = Vec::new();
    while let Some(body) = rest.strip_prefix(BEGIN) {
        if found.len() == most {
            return None;
        }
        let (der, after) = block(line_end(body)?)?;
        found.push(der);
        rest = after;
        if let Some(after) = line_end(rest) {
            rest = after;
        } else {
            break;
        }
    }
    let zeros = rest.iter().all(|byte| *byte == 0);
    (!found.is_empty() && zeros).then_some(found)
}

/// Removes one line end.
fn line_end(text: &[u8]) -> Option<&[u8]> {
    let text = text.strip_prefix(b"\r").unwrap_or(text);
    text.strip_prefix(b"\n")
}

/// The bytes of a block whose first line was read, and what follows its last.
fn block(mut text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut der = Vec::new();
    loop {
        let length = text.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
        let (line, after) = text.split_at_checked(length.filter(|length| *length <= LINE)?)?;
        text = line_end(after)?;
        decode(line, &mut der)?;
        let last = text.starts_with(END);
        if line.len() < LINE || last {
            return Some((der, text.strip_prefix(END)?));
        }
        if line.contains(&b'=') {
            return None;
        }
    }
}

/// Base64 of one line: groups of four, padding only at its end, unused bits zero.
fn decode(line: &[u8], out: &mut Vec<u8>) -> Option<()> {
    if line.is_empty() || !line.len().is_multiple_of(4) {
        return None;
    }
    let padding = line.iter().rev().take_while(|byte| **byte == b'=').count();
    if padding > 2 {
        return None;
    }
    let (digits, _) = line.split_at_checked(line.len() - padding)?;
    let (mut bits, mut count) = (0u32, 0u32);
    for digit in digits {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6) | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count).to_le_bytes()[0]);
            bits &= (1 << count) - 1;
        }
    }
    (bits == 0).then_some(())
}
