//! Bad input, operator by operator: every row of the catalogue with inputs
//! missing, of other types, ranks and sizes, empty with absurd dimensions, and with
//! integers and floats from the ends of their ranges. Each is refused when the
//! model is read, ends the run with a reason, or runs; nothing panics, hangs or
//! takes more memory than its limit. `bad_attributes.rs` does so with attributes.

use std::collections::BTreeSet;

use aether_inference::{DType, Data, MAX_DIM, Tensor};

use crate::support::model::floats;
use crate::support::sweep::{End, attempt, empty, every, fine, ones, places, put, recast};

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
