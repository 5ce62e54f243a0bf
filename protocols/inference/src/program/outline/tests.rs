//! An outline and what was left in the file are the model, as protobuf reads it.

use super::*;
use crate::onnx::{AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto};
use prost::Message as _;

fn tensor(bytes: usize) -> TensorProto {
    TensorProto {
        dims: vec![bytes as i64],
        data_type: Some(2),
        name: Some(format!("t{bytes}")),
        raw_data: Some((0..bytes).map(|i| i as u8).collect()),
        ..TensorProto::default()
    }
}

fn model(weights: Vec<TensorProto>) -> ModelProto {
    let attribute = AttributeProto {
        name: Some("value".into()),
        t: Some(tensor(5000)),
        ..AttributeProto::default()
    };
    let node = NodeProto {
        op_type: Some("Constant".into()),
        attribute: vec![attribute],
        ..NodeProto::default()
    };
    let graph = GraphProto {
        node: vec![node],
        initializer: weights,
        ..GraphProto::default()
    };
    ModelProto {
        graph: Some(graph),
        ..ModelProto::default()
    }
}

fn read(mut bytes: &[u8]) -> Result<(ModelProto, Vec<Extent>), OutlineError> {
    let len = bytes.len() as u64;
    let found = outline(&mut bytes, len, 1000)?;
    let model = ModelProto::decode(found.message.as_slice()).expect("an outline decodes");
    Ok((model, found.extents))
}

/// Puts the weights back in their places.
fn whole(bytes: &[u8]) -> ModelProto {
    let (mut model, extents) = read(bytes).expect("reads");
    let graph = model.graph.as_mut().expect("a graph");
    let constants = graph.node.iter_mut().flat_map(|n| &mut n.attribute);
    let constants = constants.filter_map(|a| a.t.as_mut());
    for t in constants.chain(&mut graph.initializer) {
        if let Some(at) = t.extent.take().filter(|n| *n > 0) {
            let e = extents[at as usize - 1];
            let range = e.offset as usize..(e.offset + e.len) as usize;
            t.raw_data = Some(bytes[range].to_vec());
        }
    }
    model
}

#[test]
fn an_outline_and_its_extents_are_the_model() {
    for sizes in [&[0, 1, 4095, 4096, 4097][..], &[100_000, 3, 70_000], &[]] {
        let model = model(sizes.iter().map(|n| tensor(*n)).collect());
        let bytes = model.encode_to_vec();
        assert_eq!(whole(&bytes), model, "{sizes:?}");
        let (_, extents) = read(&bytes).expect("reads");
        let long = sizes.iter().filter(|n| **n >= 4096).count();
        assert_eq!(extents.len(), 1 + long, "{sizes:?}");
    }
}

#[test]
fn the_last_raw_data_counts_and_a_file_has_no_say_in_where_it_is() {
    let (long, short) = (tensor(5000), tensor(10));
    let say = |t: &TensorProto, extent| {
        let mut t = t.clone();
        t.extent = Some(extent);
        t.encode_to_vec()
    };
    for (what, first, second, extents) in [
        ("short after long", say(&long, 9), say(&short, 1), 0),
        ("long after short", say(&short, 1), say(&long, 9), 1),
        ("long after long", say(&long, 1), say(&tensor(6000), 1), 1),
        ("short after short", say(&short, 1), say(&tensor(11), 1), 0),
    ] {
        // One message with every field twice.
        let mut graph = Vec::new();
        put(5 << 3 | 2, &mut graph);
        put((first.len() + second.len()) as u64, &mut graph);
        graph.extend([&first[..], &second].concat());
        let mut bytes = Vec::new();
        put(7 << 3 | 2, &mut bytes);
        put(graph.len() as u64, &mut bytes);
        bytes.extend(&graph);
        let mut wanted = ModelProto::decode(bytes.as_slice()).expect("decodes");
        for t in wanted.graph.iter_mut().flat_map(|g| &mut g.initializer) {
            t.extent = None;
        }
        // Only what counts stays in the file.
        let found = read(&bytes).expect("reads").1.len();
        assert_eq!(found, extents, "{what}");
        assert_eq!(whole(&bytes), wanted, "{what}");
    }
}

#[test]
fn a_tensor_in_two_messages_is_merged_as_protobuf_merges() {
    for (first, second) in [(5000, 10), (10, 5000), (5000, 6000)] {
        let mut attribute = Vec::new();
        for t in [tensor(first), tensor(second)] {
            let t = t.encode_to_vec();
            put(5 << 3 | 2, &mut attribute);
            put(t.len() as u64, &mut attribute);
            attribute.extend(t);
        }
        let bytes = [(5, attribute)]
            .into_iter()
            .chain([1, 7].map(|field| (field, Vec::new())))
            .fold(Vec::new(), |inner, (field, first)| {
                let body = if first.is_empty() { inner } else { first };
                let mut out = Vec::new();
                put(field << 3 | 2, &mut out);
                put(body.len() as u64, &mut out);
                out.extend(body);
                out
            });
        let wanted = ModelProto::decode(bytes.as_slice()).expect("decodes");
        assert_eq!(whole(&bytes), wanted, "{first} and {second}");
    }
}

#[test]
fn what_cannot_be_read_or_is_too_much_is_refused() {
    struct Broken;
    impl ModelFile for Broken {
        fn len(&self) -> u64 {
            100
        }
        fn read_at(&mut self, _: u64, _: &mut [u8]) -> Result<(), String> {
            Err("gone".into())
        }
    }
    let error = outline(&mut Broken, 100, 10).expect_err("unread");
    assert_eq!(error, OutlineError::Unread("gone".into()));
    let bytes = model(vec![tensor(5000)]).encode_to_vec();
    let cut = read(&bytes[..bytes.len() - 1]).expect_err("cut");
    assert_eq!(cut, OutlineError::Truncated);
    let many = outline(&mut bytes.as_slice(), bytes.len() as u64, 3).expect_err("parts");
    assert_eq!(many, OutlineError::TooMany);
    assert_eq!(read(&[0x0b]).expect_err("a group"), OutlineError::Malformed);
    let long = [0xff; 10];
    assert_eq!(read(&long).expect_err("a varint"), OutlineError::Malformed);
}
