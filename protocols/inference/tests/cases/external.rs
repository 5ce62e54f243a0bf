//! Weights outside the file: whoever loads the model gives the bytes.

use aether_inference::{Limits, ModelError, PbError, Program};

use crate::support::model::{Builder, D, F32, Msg, floats};

/// `y = x + w`, with `w` (two floats) kept elsewhere as these entries say.
fn model(entries: &[(&str, &str)]) -> Vec<u8> {
    let head = Msg::default().int(1, 2).int(2, F32).text(8, "w").int(14, 1);
    let tensor = entries.iter().fold(head, |m, (k, v)| {
        m.msg(13, &Msg::default().text(1, k).text(2, v))
    });
    let base = Builder::default()
        .input("x", F32, &[D::N(2)])
        .output("y", F32, &[])
        .node("Add", &["x", "w"], &["y"], &[]);
    Builder {
        graph: base.graph.msg(5, &tensor),
    }
    .model()
}

fn load(bytes: &[u8], limits: &Limits) -> Result<Program, ModelError> {
    let mut store = |location: &str, offset: u64, length: u64| {
        let all: Vec<u8> = [9f32, 1.0, 2.0]
            .iter()
            .flat_map(|v| v.to_le_bytes())
            .collect();
        match (location, offset as usize..(offset + length) as usize) {
            ("w.bin", range) => all
                .get(range)
                .map(<[u8]>::to_vec)
                .ok_or("too short".to_owned()),
            ("short.bin", _) => Ok(vec![0; 3]),
            _ => Err("no such file".to_owned()),
        }
    };
    Program::from_onnx_with(bytes, limits, &mut store)
}

#[test]
fn weights_outside_the_file_are_the_same_model() {
    let inside = Builder::default()
        .input("x", F32, &[D::N(2)])
        .output("y", F32, &[])
        .weight("w", &floats(&[2], &[1.0, 2.0]))
        .node("Add", &["x", "w"], &["y"], &[])
        .program();
    for entries in [
        &[("location", "w.bin"), ("offset", "4"), ("length", "8")][..],
        &[
            ("offset", "4"),
            ("checksum", "unread"),
            ("location", "w.bin"),
        ][..],
    ] {
        let outside = load(&model(entries), &Limits::default()).expect("loads");
        assert_eq!(outside.id(), inside.id());
    }
}

#[test]
fn what_cannot_be_had_is_refused_with_a_reason() {
    let limits = Limits::default();
    let at = |l: &'static str| ("location", l);
    for (what, entries) in [
        ("nothing there", vec![at("v.bin")]),
        ("no location", vec![("offset", "0")]),
        ("fewer bytes than asked for", vec![at("short.bin")]),
        ("beyond the end", vec![at("w.bin"), ("offset", "8")]),
        (
            "a length of another shape",
            vec![at("w.bin"), ("length", "12")],
        ),
        (
            "an offset that is no number",
            vec![at("w.bin"), ("offset", "x")],
        ),
        ("a negative offset", vec![at("w.bin"), ("offset", "-4")]),
        (
            "an offset that overflows",
            vec![at("w.bin"), ("offset", "18446744073709551615")],
        ),
    ] {
        let error = load(&model(&entries), &limits).expect_err(what);
        assert!(
            matches!(error, ModelError::Constant { .. }),
            "{what}: {error}"
        );
        assert!(!error.is_unsupported(), "{what}: {error}");
    }
    let tight = Limits {
        max_external_bytes: 7,
        ..limits
    };
    assert!(load(&model(&[at("w.bin")]), &tight).is_err());
    // Without somebody who gives bytes, it is said that they are elsewhere.
    let error = Program::from_onnx(&model(&[at("w.bin")]), &limits).expect_err("external");
    let external = PbError::External;
    assert!(matches!(error, ModelError::Constant { error, .. } if error == external));
}
