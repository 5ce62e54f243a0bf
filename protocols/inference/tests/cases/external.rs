//! Where weights come from: the model's file, read piece by piece, or files
//! beside it, of which whoever loads the model gives the bytes.

use std::io::Cursor;

use aether_inference::{Limits, ModelError, ModelFile, PbError, Program, Seekable};

use crate::support::memory;
use crate::support::model::{Builder, D, F32, Msg, floats, noise, small_cnn};

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

/// Eight megabytes of weights.
fn large() -> Vec<u8> {
    Builder::default()
        .input("x", F32, &[D::N(1), D::N(1024)])
        .output("y", F32, &[])
        .weight("w", &noise(&[1024, 1024], 1))
        .weight("v", &noise(&[1024, 1024], 2))
        .node("MatMul", &["x", "w"], &["h"], &[])
        .node("MatMul", &["h", "v"], &["y"], &[])
        .model()
}

#[test]
fn a_model_read_from_a_file_is_the_same_and_takes_its_weights_memory() {
    let _alone = memory::alone();
    for bytes in [small_cnn().model(), large()] {
        let limits = Limits::default();
        let whole = Program::from_onnx(&bytes, &limits).expect("loads");
        let mut file = Seekable::new(Cursor::new(&bytes)).expect("has an end");
        let before = memory::now();
        memory::reset_peak();
        let read = Program::read_onnx(&mut file, &limits, None).expect("loads");
        let used = memory::peak().saturating_sub(before);
        assert_eq!(read.id(), whole.id());
        let bound = read.constant_bytes() as usize + (128 << 10);
        assert!(used <= bound, "{used} bytes for {}", read.constant_bytes());
    }
}

#[test]
fn a_file_that_cannot_be_read_is_not_the_models_fault() {
    /// Fails from a byte on.
    struct Failing(Vec<u8>, usize);
    impl ModelFile for Failing {
        fn len(&self) -> u64 {
            self.0.len() as u64
        }
        fn read_at(&mut self, offset: u64, into: &mut [u8]) -> Result<(), String> {
            let end = offset as usize + into.len();
            assert!(end <= self.0.len(), "asked beyond the end");
            if end > self.1 {
                return Err("the disk is gone".into());
            }
            into.copy_from_slice(&self.0[offset as usize..end]);
            Ok(())
        }
    }
    let (bytes, limits) = (large(), Limits::default());
    let load = |ok: usize| Program::read_onnx(&mut Failing(bytes.clone(), ok), &limits, None);
    assert!(load(bytes.len()).is_ok());
    for ok in [0, 100, 1 << 20, bytes.len() - 1] {
        let error = load(ok).expect_err("unread");
        assert!(
            error.to_string().contains("the disk is gone"),
            "{ok}: {error}"
        );
        assert!(!error.is_unsupported(), "{ok}");
    }
    let tight = Limits {
        max_model_bytes: bytes.len() - 1,
        ..limits
    };
    let error = Program::read_onnx(&mut Failing(bytes.clone(), 0), &tight, None);
    assert!(matches!(error, Err(ModelError::TooLarge { .. })));
}
