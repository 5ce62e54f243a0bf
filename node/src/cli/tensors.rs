//! Input files to tensors, output tensors to text and JSON.
//!
//! Inputs come in three forms, told apart by their first bytes: our own
//! encoding (`AETI`), JSON (`{`), or an ONNX `TensorProto`. In JSON an element
//! is a number, a boolean, or `"NaN"`, `"inf"`, `"-inf"`; lists may be nested
//! or flat. Element types are the model's.

use super::exit::CliError;
use super::files;
use super::page::{Page, number};
use aether_inference::{
    BundleLimits, DType, Data, Dim, F16, Program, Tensor, ValueInfo, decode_inputs, encode_inputs,
};
use serde_json::{Map, Value, json};
use std::path::Path;

/// Elements printed of a tensor, for people.
const SHOWN: usize = 12;

/// Reads `[NAME=]FILE` arguments into the program's inputs, in its order.
///
/// # Errors
/// When a file is no tensor, or the tensors are not the program's inputs.
pub(super) fn read_inputs(
    program: &Program,
    files: &[String],
    bytes_max: u64,
) -> Result<Vec<Tensor>, CliError> {
    let mut named = Vec::new();
    for argument in files {
        // A file whose own name contains `=` is still a file.
        let (name, path) = match argument.split_once('=') {
            Some((name, path)) if !Path::new(argument).exists() => (Some(name), path),
            _ => (None, argument.as_str()),
        };
        named.extend(read_file(program, name, Path::new(path), bytes_max)?);
    }
    let wrong = |e: aether_inference::InputError| {
        CliError::failed(
            "input",
            format!("{e}; the model takes {}", signature(program)),
        )
    };
    let ordered = program.order_inputs(named).map_err(wrong)?;
    program.check_inputs(&ordered).map_err(wrong)?;
    Ok(ordered)
}

/// The canonical bytes of ordered inputs.
pub(super) fn encode(program: &Program, inputs: &[Tensor]) -> Vec<u8> {
    let named: Vec<(&str, &Tensor)> = program
        .inputs()
        .iter()
        .map(|i| i.name.as_str())
        .zip(inputs)
        .collect();
    encode_inputs(&named)
}

fn read_file(
    program: &Program,
    name: Option<&str>,
    path: &Path,
    bytes_max: u64,
) -> Result<Vec<(String, Tensor)>, CliError> {
    let bytes = files::read(path, bytes_max)?;
    let bad =
        |e: &dyn std::fmt::Display| CliError::failed("input", format!("{}: {e}", path.display()));
    if bytes.starts_with(b"AETI") {
        let limits = BundleLimits {
            max_bytes: bytes_max,
            ..BundleLimits::default()
        };
        let mut tensors = decode_inputs(&bytes, &limits).map_err(|e| bad(&e))?;
        if let (Some(name), [(own, _)]) = (name, tensors.as_mut_slice()) {
            *own = name.to_owned();
        }
        return Ok(tensors);
    }
    if bytes.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'{') {
        let value: Map<String, Value> = serde_json::from_slice(&bytes).map_err(|e| bad(&e))?;
        return value
            .iter()
            .map(|(name, value)| {
                let info = program.inputs().iter().find(|i| i.name == *name);
                let tensor = from_json(value, info.and_then(|i| i.dtype))
                    .map_err(|e| bad(&format!("`{name}`: {e}")))?;
                Ok((name.clone(), tensor))
            })
            .collect();
    }
    let only = match program.inputs() {
        [only] => Some(only.name.as_str()),
        _ => None,
    };
    if bytes.starts_with(super::npy::MAGIC) {
        let name = name.or(only).unwrap_or_default().to_owned();
        return Ok(vec![(name, super::npy::read(&bytes).map_err(|e| bad(&e))?)]);
    }
    // Raw elements: only where the model says type and shape, and they fill it.
    let info = program
        .inputs()
        .iter()
        .find(|i| Some(i.name.as_str()) == name.or(only));
    if let Some(tensor) = info.and_then(|i| raw(i, &bytes)) {
        return Ok(vec![(name.or(only).unwrap_or_default().to_owned(), tensor)]);
    }
    let (own, tensor) = Tensor::from_onnx_pb(&bytes, bytes.len()).map_err(|e| {
        bad(&format!(
            "neither encoded tensors, nor JSON, nor .npy, nor raw elements of the input's \
             type and shape, nor an ONNX TensorProto ({e})"
        ))
    })?;
    // Published test files often name their tensor otherwise, or not at all;
    // with one input there is nothing to mistake.
    Ok(vec![(name.or(only).map_or(own, str::to_owned), tensor)])
}

/// Little-endian elements of an input whose type and shape are fixed; `None`
/// when they are not, or the bytes do not fill them exactly.
fn raw(info: &ValueInfo, bytes: &[u8]) -> Option<Tensor> {
    let size = |d: &Dim| match d {
        Dim::Fixed(n) => usize::try_from(*n).ok(),
        Dim::Symbol(_) | Dim::Any => None,
    };
    let shape: Option<Vec<usize>> = info.dims.as_ref()?.iter().map(size).collect();
    from_bytes(info.dtype?, &shape?, bytes)
}

/// A tensor of little-endian elements; `None` when they do not fill the shape.
pub(super) fn from_bytes(dtype: DType, shape: &[usize], elements: &[u8]) -> Option<Tensor> {
    let mut bytes = vec![dtype.code(), u8::try_from(shape.len()).ok()?];
    for &d in shape {
        bytes.extend((d as u64).to_le_bytes());
    }
    bytes.extend(elements);
    Tensor::decode(&bytes, bytes.len() as u64).ok()
}

/// A tensor out of `{"shape": [...], "data": [...]}`, optionally with
/// `"dtype"`.
fn from_json(value: &Value, wanted: Option<DType>) -> Result<Tensor, String> {
    let object = value
        .as_object()
        .ok_or("expected {\"shape\": […], \"data\": […]}")?;
    if let Some(other) = object
        .keys()
        .find(|k| !["shape", "data", "dtype"].contains(&k.as_str()))
    {
        return Err(format!("unknown key `{other}`"));
    }
    let dtype = match object.get("dtype").and_then(Value::as_str) {
        None => wanted.unwrap_or(DType::F32),
        Some(name) => DType::ALL
            .into_iter()
            .find(|d| d.to_string() == name)
            .ok_or_else(|| format!("unknown dtype {name:?}"))?,
    };
    let shape = object
        .get("shape")
        .and_then(Value::as_array)
        .ok_or("`shape` is missing")?
        .iter()
        .map(|d| d.as_u64().and_then(|d| usize::try_from(d).ok()))
        .collect::<Option<Vec<usize>>>()
        .ok_or("`shape` holds whole numbers")?;
    let mut flat = Vec::new();
    flatten(object.get("data").ok_or("`data` is missing")?, &mut flat);
    let data = match dtype {
        DType::F32 => Data::F32(elements(&flat, float)?),
        DType::F64 => Data::F64(elements(&flat, double)?),
        DType::F16 => Data::F16(elements(&flat, |v| double(v).map(F16::from_f64))?),
        DType::U16 => Data::U16(elements(&flat, integer)?),
        DType::I16 => Data::I16(elements(&flat, integer)?),
        DType::U32 => Data::U32(elements(&flat, integer)?),
        DType::U64 => Data::U64(elements(&flat, Value::as_u64)?),
        DType::U8 => Data::U8(elements(&flat, integer)?),
        DType::I8 => Data::I8(elements(&flat, integer)?),
        DType::I32 => Data::I32(elements(&flat, integer)?),
        DType::I64 => Data::I64(elements(&flat, integer)?),
        DType::Bool => Data::Bool(elements(&flat, boolean)?),
    };
    Tensor::new(&shape, data).map_err(|e| e.to_string())
}

fn flatten<'v>(value: &'v Value, out: &mut Vec<&'v Value>) {
    match value {
        Value::Array(items) => items.iter().for_each(|v| flatten(v, out)),
        scalar => out.push(scalar),
    }
}

fn elements<T>(flat: &[&Value], one: impl Fn(&Value) -> Option<T>) -> Result<Vec<T>, String> {
    let each = |(i, v): (usize, &&Value)| {
        one(v).ok_or_else(|| format!("element {i} ({v}) does not fit the element type"))
    };
    flat.iter().enumerate().map(each).collect()
}

fn float(v: &Value) -> Option<f32> {
    match v {
        // Rounded once, from its decimal digits.
        Value::Number(n) => n.to_string().parse().ok(),
        Value::String(s) if ["NaN", "inf", "-inf"].contains(&s.as_str()) => s.parse().ok(),
        _ => None,
    }
}

fn double(v: &Value) -> Option<f64> {
    match v {
        Value::Number(n) => n.to_string().parse().ok(),
        Value::String(s) if ["NaN", "inf", "-inf"].contains(&s.as_str()) => s.parse().ok(),
        _ => None,
    }
}

fn integer<T: TryFrom<i64>>(v: &Value) -> Option<T> {
    v.as_i64().and_then(|n| T::try_from(n).ok())
}

fn boolean(v: &Value) -> Option<bool> {
    v.as_bool().or(match v.as_u64() {
        Some(0) => Some(false),
        Some(1) => Some(true),
        _ => None,
    })
}

/// Tensors as the JSON that [`read_inputs`] takes.
pub(super) fn to_json(tensors: &[(String, Tensor)]) -> Value {
    let entry = |(name, t): &(String, Tensor)| {
        let value = json!({
            "dtype": t.dtype().to_string(),
            "shape": t.shape(),
            "data": data_json(t.data()),
        });
        (name.clone(), value)
    };
    Value::Object(tensors.iter().map(entry).collect())
}

fn data_json(data: &Data) -> Value {
    match data {
        Data::F32(v) => v.iter().map(|&x| float_json(x)).collect(),
        Data::F64(v) => v.iter().map(|&x| double_json(x)).collect(),
        Data::F16(v) => v.iter().map(|x| float_json(x.to_f32())).collect(),
        Data::U16(v) => v.iter().copied().collect(),
        Data::I16(v) => v.iter().copied().collect(),
        Data::U32(v) => v.iter().copied().collect(),
        Data::U64(v) => v.iter().copied().collect(),
        Data::U8(v) => v.iter().copied().collect(),
        Data::I8(v) => v.iter().copied().collect(),
        Data::I32(v) => v.iter().copied().collect(),
        Data::I64(v) => v.iter().copied().collect(),
        Data::Bool(v) => v.iter().copied().collect(),
    }
}

fn float_json(x: f32) -> Value {
    // The shortest digits that name this f32, not those of its f64.
    x.to_string().parse().map_or(Value::Null, double_json)
}

fn double_json(x: f64) -> Value {
    if x.is_nan() {
        return "NaN".into();
    }
    if x.is_infinite() {
        return if x > 0.0 { "inf".into() } else { "-inf".into() };
    }
    Value::from(x)
}

/// Tensors for people: a line each, long ones cut.
pub(super) fn show(page: &mut Page, tensors: &[(String, Tensor)]) {
    for (name, t) in tensors {
        let values: Vec<String> = match t.data() {
            Data::F32(v) => v.iter().take(SHOWN).map(|x| format!("{x}")).collect(),
            Data::F64(v) => v.iter().take(SHOWN).map(|x| format!("{x}")).collect(),
            Data::F16(v) => v.iter().take(SHOWN).map(|x| format!("{x}")).collect(),
            Data::U16(v) => v.iter().take(SHOWN).map(u16::to_string).collect(),
            Data::I16(v) => v.iter().take(SHOWN).map(i16::to_string).collect(),
            Data::U32(v) => v.iter().take(SHOWN).map(u32::to_string).collect(),
            Data::U64(v) => v.iter().take(SHOWN).map(u64::to_string).collect(),
            Data::U8(v) => v.iter().take(SHOWN).map(u8::to_string).collect(),
            Data::I8(v) => v.iter().take(SHOWN).map(i8::to_string).collect(),
            Data::I32(v) => v.iter().take(SHOWN).map(i32::to_string).collect(),
            Data::I64(v) => v.iter().take(SHOWN).map(i64::to_string).collect(),
            Data::Bool(v) => v.iter().take(SHOWN).map(bool::to_string).collect(),
        };
        let rest = t.len().saturating_sub(SHOWN);
        let more = if rest > 0 {
            format!(" … {} more", number(rest as u64))
        } else {
            String::new()
        };
        page.field(
            name,
            format!("{} {:?}: {}{more}", t.dtype(), t.shape(), values.join(" ")),
        );
    }
}

/// One input or output as people write it: `x f32[1, 28, n]`.
pub(super) fn describe(program: &Program, info: &ValueInfo) -> String {
    let dtype = info.dtype.map_or("any type".to_owned(), |d| d.to_string());
    let dims = info.dims.as_ref().map(|dims| {
        let one = |d: &Dim| match d {
            Dim::Fixed(n) => n.to_string(),
            Dim::Symbol(s) => program.symbol(*s).unwrap_or("?").to_owned(),
            Dim::Any => "?".to_owned(),
        };
        dims.iter().map(one).collect::<Vec<_>>().join(", ")
    });
    match dims {
        Some(dims) => format!("{dtype}[{dims}]"),
        None => format!("{dtype} of any shape"),
    }
}

fn signature(program: &Program) -> String {
    let one = |i: &ValueInfo| format!("`{}` {}", i.name, describe(program, i));
    program
        .inputs()
        .iter()
        .map(one)
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_tensors_come_back_bit_for_bit() {
        let values = vec![0.1f32, -0.0, 1e-45, f32::MAX, f32::NAN, f32::INFINITY, -3.0];
        let tensors = vec![
            (
                "f".to_owned(),
                Tensor::from_vec(&[7], values.clone()).unwrap(),
            ),
            (
                "i".to_owned(),
                Tensor::from_vec(&[2, 1], vec![i64::MIN, 7]).unwrap(),
            ),
            (
                "b".to_owned(),
                Tensor::from_vec(&[2], vec![true, false]).unwrap(),
            ),
        ];
        let text = serde_json::to_string(&to_json(&tensors)).unwrap();
        assert!(text.contains("[0.1,"), "{text}");
        let back: Map<String, Value> = serde_json::from_str(&text).unwrap();
        for (name, tensor) in &tensors {
            let read = from_json(&back[name], None).unwrap();
            assert_eq!(
                (read.dtype(), read.shape()),
                (tensor.dtype(), tensor.shape())
            );
            assert_eq!(read.to_le_bytes(), tensor.to_le_bytes(), "{name}");
        }
    }

    #[test]
    fn what_is_no_tensor_is_refused_with_its_reason() {
        for (value, why) in [
            (json!([1, 2]), "expected"),
            (json!({"shape": [2]}), "`data`"),
            (json!({"data": [1]}), "`shape`"),
            (json!({"shape": [2], "data": [1]}), "1 elements"),
            (json!({"shape": [1], "data": [1], "size": 1}), "`size`"),
            (json!({"shape": [1], "data": ["x"]}), "element 0"),
            (json!({"shape": [1], "dtype": "f128", "data": [1]}), "f128"),
            (
                json!({"shape": [1], "dtype": "u8", "data": [256]}),
                "element 0",
            ),
            (
                json!({"shape": [1], "dtype": "i64", "data": [1.5]}),
                "element 0",
            ),
            (json!({"shape": [-1], "data": []}), "whole numbers"),
        ] {
            let e = from_json(&value, None).unwrap_err();
            assert!(e.contains(why), "{value}: {e}");
        }
        let nested = json!({"shape": [2, 2], "data": [[1, 2], [3, 4]]});
        assert_eq!(
            from_json(&nested, None).unwrap().view::<f32>(),
            Some(&[1.0, 2.0, 3.0, 4.0][..])
        );
    }
}
