//! NumPy's `.npy` files, versions 1 to 3, in C order and little-endian.
//!
//! Layout: magic, version (2 bytes), header length (2 or 4 bytes), a Python
//! dictionary of `descr`, `fortran_order`, `shape`, then the elements.

use super::tensors::from_bytes;
use aether_inference::{DType, Tensor};

/// How such a file begins.
pub(super) const MAGIC: &[u8] = b"\x93NUMPY";
/// Longest header read, bytes.
const HEADER_MAX: usize = 4096;

/// Reads a file's tensor.
///
/// # Errors
/// A reason for people.
pub(super) fn read(bytes: &[u8]) -> Result<Tensor, String> {
    let short = || "the .npy file is cut short".to_owned();
    let rest = bytes.strip_prefix(MAGIC).ok_or("not a .npy file")?;
    let (version, rest) = rest.split_at_checked(2).ok_or_else(short)?;
    let width = if version.first() == Some(&1) { 2 } else { 4 };
    let (length, rest) = rest.split_at_checked(width).ok_or_else(short)?;
    let length = length
        .iter()
        .rev()
        .fold(0usize, |n, &b| (n << 8) | usize::from(b));
    if length > HEADER_MAX {
        return Err(format!("its header is longer than {HEADER_MAX} bytes"));
    }
    let (header, data) = rest.split_at_checked(length).ok_or_else(short)?;
    let header = std::str::from_utf8(header).map_err(|_| "its header is not text")?;
    let after = |key: &str| {
        header
            .split_once(&format!("'{key}':"))
            .map(|(_, v)| v.trim_start())
    };
    if !after("fortran_order").is_some_and(|v| v.starts_with("False")) {
        return Err("only C order is read: numpy.ascontiguousarray(x) makes it".into());
    }
    let quoted = after("descr").and_then(|v| v.strip_prefix('\''));
    let kind = quoted.and_then(|v| v.split('\'').next());
    let kind = kind.ok_or("it has no plain element type")?;
    let dtype = match kind.trim_start_matches(['<', '|']) {
        "f4" => "f32",
        "f8" => "f64",
        "f2" => "f16",
        "i1" => "i8",
        "i2" => "i16",
        "i4" => "i32",
        "i8" => "i64",
        "u1" => "u8",
        "u2" => "u16",
        "u4" => "u32",
        "u8" => "u64",
        "b1" => "bool",
        _ => return Err(format!("element type {kind} is not read")),
    };
    let dtype = (1..=i64::from(u8::MAX))
        .filter_map(DType::from_code)
        .find(|d| d.to_string() == dtype)
        .ok_or_else(|| format!("element type {dtype} is not supported"))?;
    let list = after("shape").and_then(|v| v.strip_prefix('('));
    let list = list
        .and_then(|v| v.split(')').next())
        .ok_or("it has no shape")?;
    let shape = list
        .split(',')
        .map(str::trim)
        .filter(|d| !d.is_empty())
        .map(str::parse)
        .collect::<Result<Vec<usize>, _>>()
        .map_err(|_| "its shape is not a list of numbers")?;
    from_bytes(dtype, &shape, data).ok_or_else(|| format!("its data does not fill {shape:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        let mut bytes = [MAGIC, &[1, 0], &(header.len() as u16).to_le_bytes()].concat();
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        bytes
    }

    #[test]
    fn a_tensor_comes_back_and_other_files_are_refused() {
        let good = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1), }\n";
        let t = read(&file(good, &[0, 0, 128, 63, 0, 0, 0, 64])).unwrap();
        assert_eq!(
            (t.shape(), t.view::<f32>()),
            (&[2, 1][..], Some(&[1.0, 2.0][..]))
        );
        for (what, header, data) in [
            ("order", good.replace("False", "True"), vec![0; 8]),
            ("big-endian", good.replace('<', ">"), vec![0; 8]),
            ("objects", good.replace("<f4", "|O"), vec![0; 8]),
            ("short", good.to_owned(), vec![0; 7]),
            ("long", good.to_owned(), vec![0; 9]),
            ("shape", good.replace("2, 1", "2, -1"), vec![0; 8]),
            (
                "huge",
                good.replace("2, 1", "99999999999, 99999999999"),
                vec![0; 8],
            ),
            ("nothing", String::new(), vec![]),
        ] {
            assert!(read(&file(&header, &data)).is_err(), "{what}");
        }
        let whole = file(good, &[0; 8]);
        for cut in 0..whole.len() {
            assert!(read(&whole[..cut]).is_err(), "cut at {cut}");
        }
    }
}
