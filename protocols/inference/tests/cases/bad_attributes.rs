//! Every operator of the catalogue with attributes of other kinds, unknown ones,
//! and values from the ends of their ranges: refused, or taken without a panic.

use aether_inference::{BuildError, DType, MAX_DIM, ModelError};

use crate::support::model::{A, Builder, F32, floats};
use crate::support::sweep::{End, empty, every, ones};

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
