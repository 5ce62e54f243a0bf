//! Running a table of cases made from every row of the catalogue, each within its
//! bounds of time and memory.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use aether_inference::{
    DType, Data, Limits, ModelError, Program, RunLimits, Status, Tensor, execute,
};

use super::catalogue::{Row, rows};
use super::conformance::header;
use super::memory;
use super::model::floats;
use super::watch::{note, watch};

/// What became of a model and its inputs.
#[derive(Debug)]
pub(crate) enum End {
    Refused(ModelError),
    Ran(Status, Option<&'static str>, Vec<Tensor>),
}

impl End {
    pub(crate) fn done(&self) -> bool {
        matches!(self, End::Ran(Status::Done, ..))
    }
}

fn limits() -> RunLimits {
    RunLimits {
        gas_limit: 1 << 27,
        max_memory_bytes: 32 << 20,
        max_steps: 1000,
        ..RunLimits::default()
    }
}

/// Loads and runs a row within its bounds; the error says which was broken.
pub(crate) fn attempt(row: &Row) -> Result<End, String> {
    let (bytes, inputs, limits) = (row.model(), row.given(), limits());
    let started = Instant::now();
    let before = memory::now();
    memory::reset_peak();
    let end = catch_unwind(AssertUnwindSafe(|| {
        let program = match Program::from_onnx(&bytes, &Limits::default()) {
            Ok(program) => program,
            Err(e) => return End::Refused(e),
        };
        let h = header(&program, &inputs);
        let out = execute(&program, &h, &inputs, &limits).expect("inputs of declared types");
        End::Ran(out.status, out.trap, out.outputs)
    }));
    let used = memory::peak().saturating_sub(before);
    let end = end.map_err(|_| "panicked".to_owned())?;
    if used > limits.max_memory_bytes as usize + (4 << 20) {
        return Err(format!("took {used} bytes"));
    }
    if started.elapsed().as_secs() >= 5 {
        return Err(format!("took {:?}", started.elapsed()));
    }
    if let End::Ran(status, trap, _) = &end
        && trap.is_some() != (*status == Status::Trapped)
    {
        return Err(format!("{status:?} with the reason {trap:?}"));
    }
    Ok(end)
}

/// Every case that a table makes of every row; `judge` says what is wrong with
/// how one ended.
pub(crate) fn every(
    make: impl Fn(&Row, &mut dyn FnMut(String, Row)),
    judge: impl Fn(&Row, &End) -> Option<&'static str>,
) {
    let _alone = memory::alone();
    watch();
    // For looking into one operator.
    let only = std::env::var("AETHER_BAD_INPUT_ONLY").ok();
    let (mut bad, mut ran, mut all) = (Vec::new(), 0, 0);
    let wanted = |r: &Row| only.as_ref().is_none_or(|o| o == r.op);
    for row in rows().into_iter().filter(wanted) {
        make(&row, &mut |what, case| {
            all += 1;
            let shapes: Vec<_> = case.inputs.iter().flatten().map(Tensor::shape).collect();
            note(Some(format!("{} {what} {shapes:?}", row.op)));
            let said = match attempt(&case) {
                Ok(end) => {
                    ran += usize::from(end.done());
                    judge(&case, &end).map(|why| format!("{why}: {end:?}"))
                }
                Err(why) => Some(why),
            };
            if let Some(why) = said {
                bad.push(format!("{} {what} {shapes:?}: {why:.300}", row.op));
            }
        });
    }
    note(None);
    println!("{all} cases, {ran} ran");
    assert!(all > 100 || only.is_some());
    assert!(bad.is_empty(), "{}:\n{}", bad.len(), bad.join("\n"));
}

pub(crate) fn fine(_: &Row, _: &End) -> Option<&'static str> {
    None
}

/// A row with another tensor in place `i`.
pub(crate) fn put(row: &Row, i: usize, t: Option<Tensor>) -> Row {
    let mut row = row.clone();
    row.inputs[i] = t;
    row
}

/// The places that hold a tensor.
pub(crate) fn places(row: &Row) -> impl Iterator<Item = (usize, &Tensor)> {
    let held = row.inputs.iter().enumerate();
    held.filter_map(|(i, t)| Some((i, t.as_ref()?)))
}

/// A tensor of another type with small positive numbers where it had floats and
/// the same numbers where it had integers.
pub(crate) fn recast(t: &Tensor, to: DType) -> Tensor {
    let n = t.len();
    let numbers: Vec<f64> = match t.data() {
        Data::F32(v) if to.is_float() => v.iter().map(|&v| f64::from(v)).collect(),
        Data::F32(_) => (0..n).map(|i| (i % 5 + 1) as f64).collect(),
        Data::I64(v) => v.iter().map(|&v| v as f64).collect(),
        Data::I32(v) => v.iter().map(|&v| f64::from(v)).collect(),
        Data::U8(v) => v.iter().map(|&v| f64::from(v % 100)).collect(),
        Data::I8(v) => v.iter().map(|&v| f64::from(v)).collect(),
        Data::Bool(v) => v.iter().map(|&v| f64::from(u8::from(v))).collect(),
        Data::U16(v) => v.iter().map(|&v| f64::from(v)).collect(),
        other => panic!("a catalogue without {other:?}"),
    };
    let v = numbers.iter();
    let data = match to {
        DType::F32 => Data::F32(v.map(|&v| v as f32).collect()),
        DType::F64 => Data::F64(numbers),
        DType::F16 => Data::F16(
            v.map(|&v| aether_inference::F16::from_f32(v as f32))
                .collect(),
        ),
        DType::Bool => Data::Bool(v.map(|&v| v != 0.0).collect()),
        DType::U8 => Data::U8(v.map(|&v| v as u8).collect()),
        DType::I8 => Data::I8(v.map(|&v| v as i8).collect()),
        DType::U16 => Data::U16(v.map(|&v| v as u16).collect()),
        DType::I16 => Data::I16(v.map(|&v| v as i16).collect()),
        DType::U32 => Data::U32(v.map(|&v| v as u32).collect()),
        DType::I32 => Data::I32(v.map(|&v| v as i32).collect()),
        DType::U64 => Data::U64(v.map(|&v| v as u64).collect()),
        DType::I64 => Data::I64(v.map(|&v| v as i64).collect()),
    };
    Tensor::new(t.shape(), data).expect("shape and data agree")
}

/// Ones of a type in a shape.
pub(crate) fn ones(shape: &[usize], dtype: DType) -> Tensor {
    let n = shape.iter().product::<usize>();
    let t = recast(&floats(&[n], &vec![1.0; n]), dtype);
    t.reshaped(shape).expect("as many elements")
}

/// An empty tensor of any shape.
pub(crate) fn empty(shape: &[usize], dtype: DType) -> Tensor {
    let t = ones(&[0], dtype);
    t.reshaped(shape).expect("as many elements")
}

/// A row of f32 with the same numbers in f64.
pub(crate) fn widened(row: &Row) -> Row {
    let mut wide = row.clone();
    for t in wide.inputs.iter_mut().flatten() {
        if t.dtype() == DType::F32 {
            *t = recast(t, DType::F64);
        }
    }
    wide
}
