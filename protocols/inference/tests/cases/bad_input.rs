//! Bad input, operator by operator: every row of the catalogue with inputs
//! missing, of other types, ranks and sizes, empty with absurd dimensions, with
//! integers and floats from the ends of their ranges, and with attributes of
//! other kinds and values. Each is refused when the model is read, ends the run
//! with a reason, or runs; nothing panics, hangs or takes more memory than its
//! limit.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use aether_inference::{
    BuildError, DType, Data, Limits, MAX_DIM, ModelError, Program, RunLimits, Status, Tensor,
    execute, supported_operators,
};

use crate::support::catalogue::{Row, rows};
use crate::support::conformance::header;
use crate::support::memory;
use crate::support::model::{A, Builder, F32, floats};
use crate::support::watch::{note, watch};

/// What became of a model and its inputs.
#[derive(Debug)]
enum End {
    Refused(ModelError),
    Ran(Status, Option<&'static str>, Vec<Tensor>),
}

impl End {
    fn done(&self) -> bool {
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
fn attempt(row: &Row) -> Result<End, String> {
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
fn every(
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

fn fine(_: &Row, _: &End) -> Option<&'static str> {
    None
}

/// A row with another tensor in place `i`.
fn put(row: &Row, i: usize, t: Option<Tensor>) -> Row {
    let mut row = row.clone();
    row.inputs[i] = t;
    row
}

/// The places that hold a tensor.
fn places(row: &Row) -> impl Iterator<Item = (usize, &Tensor)> {
    let held = row.inputs.iter().enumerate();
    held.filter_map(|(i, t)| Some((i, t.as_ref()?)))
}

/// A tensor of another type with small positive numbers where it had floats and
/// the same numbers where it had integers.
fn recast(t: &Tensor, to: DType) -> Tensor {
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
fn ones(shape: &[usize], dtype: DType) -> Tensor {
    let n = shape.iter().product::<usize>();
    recast(&floats(&[n], &vec![1.0; n]), dtype).reshaped(shape)
}

trait Reshaped {
    fn reshaped(self, shape: &[usize]) -> Tensor;
}

impl Reshaped for Tensor {
    fn reshaped(self, shape: &[usize]) -> Tensor {
        Tensor::new(shape, self.data().clone()).expect("as many elements")
    }
}

#[test]
fn the_list_of_operators_is_complete_and_every_row_runs() {
    // Control flow and constants have tests of their own.
    let own = ["Constant", "If", "Loop", "Scan"];
    let listed: BTreeSet<_> = supported_operators().map(|o| o.name).collect();
    let rows: BTreeSet<_> = rows().iter().map(|r| r.op).chain(own).collect();
    assert_eq!(listed, rows);
    every(
        |row, case| case("as it is".into(), row.clone()),
        |_, end| (!end.done()).then_some("should run"),
    );
}

#[test]
fn the_list_of_operators_names_the_types_that_run_and_no_others() {
    let _alone = memory::alone();
    let mut wrong = Vec::new();
    for o in supported_operators() {
        let mine: Vec<Row> = rows().into_iter().filter(|r| r.op == o.name).collect();
        if mine.is_empty() {
            continue;
        }
        let main = usize::from(o.name == "Where");
        let runs = |to: DType| {
            mine.iter().any(|row| {
                let Some(Some(first)) = row.inputs.get(main) else {
                    return false;
                };
                let alone = put(row, main, Some(recast(first, to)));
                // What had the same type follows, all or those that cannot decide shapes.
                let mut together = row.clone();
                for (i, t) in places(row).filter(|(_, t)| t.dtype() == first.dtype()) {
                    together = put(&together, i, Some(recast(t, to)));
                }
                let mut leading = put(row, main, Some(recast(first, to)));
                for (i, t) in places(row).filter(|(i, t)| *i < 3 && t.dtype() == first.dtype()) {
                    leading = put(&leading, i, Some(recast(t, to)));
                }
                [alone, together, leading]
                    .iter()
                    .any(|row| attempt(row).expect("within bounds").done())
            })
        };
        let found: BTreeSet<DType> = DType::ALL.into_iter().filter(|&t| runs(t)).collect();
        let said: BTreeSet<DType> = o.types.iter().copied().collect();
        if found != said {
            wrong.push(format!("{}: runs {found:?}, listed {said:?}", o.name));
        }
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn operators_are_refused_before_the_set_that_brought_them_and_after_the_one_that_dropped_them() {
    for o in supported_operators() {
        let node = |opset: u32| {
            let row = rows().into_iter().find(|r| r.op == o.name);
            let bytes = match row {
                Some(mut row) => {
                    row.opset = i64::from(opset);
                    row.model()
                }
                None => Builder::default()
                    .input("x", F32, &[])
                    .output("y", F32, &[])
                    .node(o.name, &["x"], &["y"], &[])
                    .versioned(i64::from(opset)),
            };
            match Program::from_onnx(&bytes, &Limits::default()) {
                Err(ModelError::Node { error, .. }) => Some(error),
                _ => None,
            }
        };
        if o.since > 1 {
            let said = node(o.since - 1);
            assert_eq!(said, Some(BuildError::NotYet(o.since)), "{}", o.name);
        }
        if let Some(until) = o.until {
            let said = node(until);
            assert_eq!(said, Some(BuildError::Removed(until)), "{}", o.name);
        }
    }
}

#[test]
fn an_operator_without_an_input_that_it_needs_does_not_run() {
    every(
        |row, case| {
            for i in 0..row.required {
                case(format!("without input {i}"), put(row, i, None));
                let mut cut = row.clone();
                cut.inputs.truncate(i);
                case(format!("with {i} inputs"), cut);
            }
        },
        |_, end| end.done().then_some("should not run"),
    );
}

#[test]
fn more_inputs_or_outputs_than_an_operator_has_are_refused() {
    let any = ["Max", "Min", "Sum", "Mean", "Concat", "Split", "Einsum"];
    every(
        |row, case| {
            let mut more = row.clone();
            more.inputs.resize(20, row.inputs[0].clone());
            case("with 20 inputs".into(), more);
            let mut more = row.clone();
            more.outputs = 20;
            case("with 20 outputs".into(), more);
        },
        |row, end| {
            let refused = matches!(end, End::Refused(_)) || any.contains(&row.op) && !end.done();
            (!refused && !any.contains(&row.op)).then_some("should be refused")
        },
    );
}

#[test]
fn inputs_of_any_other_type_are_taken_or_refused() {
    every(
        |row, case| {
            for (i, t) in places(row) {
                for to in DType::ALL {
                    case(
                        format!("input {i} of {to}"),
                        put(row, i, Some(recast(t, to))),
                    );
                    let one = ones(t.shape(), to);
                    case(format!("ones of {to} in {i}"), put(row, i, Some(one)));
                }
            }
        },
        fine,
    );
}

#[test]
fn inputs_of_any_other_shape_are_taken_or_refused() {
    every(
        |row, case| {
            for (i, t) in places(row) {
                let (s, dtype) = (t.shape(), t.dtype());
                let mut shapes = vec![
                    [&[1], s].concat(),
                    [s, &[1]].concat(),
                    [&[2], s].concat(),
                    [s, &[2]].concat(),
                    s.iter().skip(1).copied().collect(),
                    s.iter().take(s.len().saturating_sub(1)).copied().collect(),
                    vec![],
                    vec![1],
                    vec![1; 16],
                    vec![0],
                    vec![0; 16],
                    [s, &[0]].concat(),
                    [&[0], s].concat(),
                ];
                for axis in 0..s.len() {
                    for n in [0, 1, s[axis] + 1, s[axis] - 1, 97] {
                        let mut other = s.to_vec();
                        other[axis] = n;
                        shapes.push(other);
                    }
                }
                for shape in shapes {
                    let t = ones(&shape, dtype);
                    case(format!("input {i} as {shape:?}"), put(row, i, Some(t)));
                }
            }
        },
        fine,
    );
}

/// An empty tensor of any shape.
fn empty(shape: &[usize], dtype: DType) -> Tensor {
    ones(&[0], dtype).reshaped(shape)
}

#[test]
fn empty_tensors_of_absurd_dimensions_cost_every_operator_nothing() {
    every(
        |row, case| {
            // One input alone.
            for (i, t) in places(row) {
                for axis in 0..t.shape().len() {
                    let mut shape = vec![MAX_DIM; t.shape().len()];
                    shape[axis] = 0;
                    let t = empty(&shape, t.dtype());
                    case(format!("input {i} as {shape:?}"), put(row, i, Some(t)));
                }
            }
            // All inputs in which a size occurs, that size 0, and others that
            // occur only beside it absurd.
            let sizes: BTreeSet<usize> =
                places(row).flat_map(|(_, t)| t.shape().to_vec()).collect();
            for &zero in &sizes {
                let beside: Vec<usize> = (sizes.iter().copied())
                    .filter(|w| {
                        let mut with = places(row).filter(|(_, t)| t.shape().contains(w));
                        *w != zero && with.all(|(_, t)| t.shape().contains(&zero))
                    })
                    .collect();
                let groups = std::iter::once(beside.clone())
                    .chain(beside.iter().map(|&w| vec![w]))
                    .chain(std::iter::once(vec![]));
                for absurd in groups {
                    for big in [MAX_DIM, 1 << 20] {
                        let mut changed = row.clone();
                        for (i, t) in places(row).filter(|(_, t)| t.shape().contains(&zero)) {
                            let size = |d: &usize| match d {
                                d if *d == zero => 0,
                                d if absurd.contains(d) => big,
                                d => *d,
                            };
                            let shape: Vec<usize> = t.shape().iter().map(size).collect();
                            let t = empty(&shape, t.dtype());
                            changed.inputs[i] = Some(t);
                        }
                        case(format!("{zero} is 0, {absurd:?} are {big}"), changed);
                    }
                }
            }
        },
        fine,
    );
}

#[test]
fn integers_from_the_ends_of_their_ranges_are_taken_or_refused() {
    let ends = [
        i64::MIN,
        i64::MIN + 1,
        -(1 << 31),
        -2,
        -1,
        0,
        1,
        2,
        (1 << 31) - 1,
        1 << 31,
        1 << 33,
        1 << 62,
        i64::MAX,
    ];
    every(
        |row, case| {
            for (i, t) in places(row) {
                for (j, end) in ends.into_iter().enumerate() {
                    let n = t.len();
                    let data = |v: i64| match t.dtype() {
                        DType::I64 => Some(Data::I64(vec![v; n])),
                        DType::I32 => {
                            Some(Data::I32(vec![v.clamp(-(1 << 31), 0x7fff_ffff) as i32; n]))
                        }
                        DType::U8 => Some(Data::U8(vec![v as u8; n])),
                        DType::I8 => Some(Data::I8(vec![v as i8; n])),
                        _ => None,
                    };
                    let Some(all) = data(end) else { continue };
                    let all = Tensor::new(t.shape(), all).expect("as many");
                    case(format!("input {i} all {end}"), put(row, i, Some(all)));
                    // One of them, the others as they were.
                    if let Some(v) = t.view::<i64>().filter(|v| !v.is_empty()) {
                        let mut v = v.to_vec();
                        v[j % n] = end;
                        let one = Tensor::from_vec(t.shape(), v).expect("as many");
                        case(format!("{end} in input {i}"), put(row, i, Some(one)));
                    }
                }
            }
        },
        fine,
    );
}

#[test]
fn floats_from_the_ends_of_their_range_are_taken_or_refused_and_give_the_same_bits_twice() {
    let ends = [
        f32::NAN,
        f32::from_bits(0xffc0_1234),
        f32::from_bits(0x7f80_0001),
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::MAX,
        f32::MIN,
        f32::from_bits(1),
        -f32::from_bits(0x007f_ffff),
        0.0,
        -0.0,
        1e-30,
    ];
    every(
        |row, case| {
            for end in ends {
                let mut all = row.clone();
                for (i, t) in places(row).filter(|(_, t)| t.dtype() == DType::F32) {
                    let t = floats(t.shape(), &vec![end; t.len()]);
                    case(
                        format!("input {i} all {end:e}"),
                        put(row, i, Some(t.clone())),
                    );
                    all.inputs[i] = Some(t);
                }
                case(format!("everything {end:e}"), all);
            }
        },
        |row, end| {
            let again = attempt(row).ok()?;
            let same = match (end, &again) {
                (End::Ran(s, t, a), End::Ran(r, u, b)) => {
                    let bits =
                        |list: &[Tensor]| -> Vec<_> { list.iter().map(Tensor::digest).collect() };
                    (s, t) == (r, u) && bits(a) == bits(b)
                }
                _ => true,
            };
            (!same).then_some("differs the second time")
        },
    );
}

#[test]
fn attributes_of_other_kinds_are_refused() {
    let kinds = || {
        [
            A::Int(1),
            A::Float(1.0),
            A::Ints(vec![1]),
            A::Floats(vec![1.0]),
            A::Text("x"),
            A::Texts(vec!["x"]),
            A::Tensor(floats(&[1], &[1.0])),
            A::Graph(Builder::default().output("x", F32, &[]).graph),
        ]
    };
    every(
        |row, case| {
            for (i, (name, was)) in row.attrs.iter().enumerate() {
                for other in kinds() {
                    if std::mem::discriminant(&other) == std::mem::discriminant(was) {
                        continue;
                    }
                    let mut row = row.clone();
                    row.attrs[i].1 = other;
                    case(format!("{name} of another kind"), row);
                }
            }
        },
        |_, end| match end {
            End::Refused(ModelError::Node { .. }) => None,
            _ => Some("should be refused"),
        },
    );
}

#[test]
fn unknown_and_repeated_attributes_are_refused() {
    every(
        |row, case| {
            for other in [A::Int(0), A::Floats(vec![]), A::Text("")] {
                let mut row = row.clone();
                row.attrs.push(("frobnicate", other));
                case("an unknown attribute".into(), row);
            }
        },
        |_, end| match end {
            End::Refused(ModelError::Node {
                error: BuildError::UnknownAttribute(name),
                ..
            }) if name == "frobnicate" => None,
            _ => Some("should be named"),
        },
    );
    every(
        |row, case| {
            for twice in row.attrs.clone() {
                let mut row = row.clone();
                row.attrs.push(twice);
                case("an attribute twice".into(), row);
            }
        },
        |_, end| match end {
            End::Refused(ModelError::Node {
                error: BuildError::BadAttribute(_),
                ..
            }) => None,
            _ => Some("should be refused"),
        },
    );
}

#[test]
fn attributes_from_the_ends_of_their_ranges_are_taken_or_refused() {
    let ints = [
        i64::MIN,
        -(1 << 40),
        -17,
        -1,
        0,
        1,
        2,
        5,
        1 << 16,
        1 << 17,
        1 << 31,
        1 << 40,
        i64::MAX,
    ];
    let floats = [
        f32::NAN,
        f32::INFINITY,
        f32::NEG_INFINITY,
        -1.0,
        0.0,
        f32::MAX,
        1e-40,
    ];
    every(
        |row, case| {
            for (i, (name, was)) in row.attrs.iter().enumerate() {
                let mut values: Vec<A> = Vec::new();
                match was {
                    A::Int(_) => values.extend(ints.map(A::Int)),
                    A::Float(_) => values.extend(floats.map(A::Float)),
                    A::Ints(v) => {
                        values.extend(ints.map(|x| A::Ints(vec![x; v.len()])));
                        for j in 0..v.len() {
                            values.extend(ints.map(|x| {
                                let mut v = v.clone();
                                v[j] = x;
                                A::Ints(v)
                            }));
                        }
                        values.extend([0, 1, 17, 5000].map(|n| A::Ints(vec![1; n])));
                    }
                    A::Floats(v) => values.extend(floats.map(|x| A::Floats(vec![x; v.len()]))),
                    A::Text(_) => values.extend(["", "?!", "NOTSET", "\0"].map(A::Text)),
                    A::Texts(v) => values.push(A::Texts(vec!["nonsense"; v.len()])),
                    A::Tensor(t) => values.extend([
                        A::Tensor(empty(&[0, MAX_DIM], t.dtype())),
                        A::Tensor(ones(&[2], DType::Bool)),
                        A::Tensor(ones(&[], DType::F64)),
                    ]),
                    A::Graph(_) => {}
                }
                for v in values {
                    let mut row = row.clone();
                    row.attrs[i].1 = v;
                    case(format!("{name} at an end"), row);
                }
            }
        },
        |row, end| {
            let text = row.attrs.iter().any(|(_, a)| matches!(a, A::Text("?!")));
            let refused = matches!(end, End::Refused(ModelError::Node { .. }));
            (text && !refused).then_some("a word that means nothing")
        },
    );
}
