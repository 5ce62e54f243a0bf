//! Builds small ONNX models byte by byte, so that tests can also build wrong ones.

use aether_inference::{Data, Limits, Program, Tensor};

/// A protobuf message under construction.
#[derive(Default, Clone)]
pub(crate) struct Msg(pub(crate) Vec<u8>);

impl Msg {
    fn varint(&mut self, mut v: u64) {
        while v >= 0x80 {
            self.0.push((v as u8 & 0x7f) | 0x80);
            v >>= 7;
        }
        self.0.push(v as u8);
    }

    pub(crate) fn int(mut self, field: u64, v: i64) -> Self {
        self.varint(field << 3);
        self.varint(v as u64);
        self
    }

    pub(crate) fn float(mut self, field: u64, v: f32) -> Self {
        self.varint(field << 3 | 5);
        self.0.extend(v.to_le_bytes());
        self
    }

    pub(crate) fn bytes(mut self, field: u64, v: &[u8]) -> Self {
        self.varint(field << 3 | 2);
        self.varint(v.len() as u64);
        self.0.extend(v);
        self
    }

    pub(crate) fn msg(self, field: u64, v: &Msg) -> Self {
        self.bytes(field, &v.0)
    }

    pub(crate) fn text(self, field: u64, v: &str) -> Self {
        self.bytes(field, v.as_bytes())
    }
}

/// An attribute of a node.
#[derive(Clone)]
pub(crate) enum A {
    Int(i64),
    Float(f32),
    Ints(Vec<i64>),
    Floats(Vec<f32>),
    Text(&'static str),
    Texts(Vec<&'static str>),
    Tensor(Tensor),
    Graph(Msg),
}

impl A {
    /// The attribute as a message.
    pub(crate) fn named(&self, name: &str) -> Msg {
        let m = Msg::default().text(1, name);
        match self {
            A::Float(v) => m.float(2, *v).int(20, 1),
            A::Int(v) => m.int(3, *v).int(20, 2),
            A::Text(v) => m.text(4, v).int(20, 3),
            A::Tensor(v) => m.bytes(5, &v.to_onnx_pb("")).int(20, 4),
            A::Graph(g) => m.msg(6, g).int(20, 5),
            A::Floats(v) => v.iter().fold(m, |m, v| m.float(7, *v)).int(20, 6),
            A::Ints(v) => v.iter().fold(m, |m, v| m.int(8, *v)).int(20, 7),
            A::Texts(v) => v.iter().fold(m, |m, v| m.text(9, v)).int(20, 8),
        }
    }
}

/// A declared dimension.
#[derive(Clone, Copy)]
pub(crate) enum D {
    N(i64),
    S(&'static str),
}

/// A model under construction; `graph` may be edited before `model`.
#[derive(Default, Clone)]
pub(crate) struct Builder {
    pub(crate) graph: Msg,
}

impl Builder {
    pub(crate) fn node(self, op: &str, ins: &[&str], outs: &[&str], attrs: &[(&str, A)]) -> Self {
        let mut n = Msg::default();
        for i in ins {
            n = n.text(1, i);
        }
        for o in outs {
            n = n.text(2, o);
        }
        n = n.text(4, op);
        for (name, a) in attrs {
            n = n.msg(5, &a.named(name));
        }
        Self {
            graph: self.graph.msg(1, &n),
        }
    }

    pub(crate) fn weight(self, name: &str, t: &Tensor) -> Self {
        Self {
            graph: self.graph.bytes(5, &t.to_onnx_pb(name)),
        }
    }

    fn value(self, field: u64, name: &str, dtype: i64, dims: &[D]) -> Self {
        let mut shape = Msg::default();
        for d in dims {
            let dim = match d {
                D::N(n) => Msg::default().int(1, *n),
                D::S(s) => Msg::default().text(2, s),
            };
            shape = shape.msg(1, &dim);
        }
        let tensor = Msg::default().int(1, dtype).msg(2, &shape);
        let info = Msg::default()
            .text(1, name)
            .msg(2, &Msg::default().msg(1, &tensor));
        Self {
            graph: self.graph.msg(field, &info),
        }
    }

    pub(crate) fn input(self, name: &str, dtype: i64, dims: &[D]) -> Self {
        self.value(11, name, dtype, dims)
    }

    pub(crate) fn output(self, name: &str, dtype: i64, dims: &[D]) -> Self {
        self.value(12, name, dtype, dims)
    }

    pub(crate) fn model(&self) -> Vec<u8> {
        self.versioned(17)
    }

    pub(crate) fn versioned(&self, opset: i64) -> Vec<u8> {
        Msg::default()
            .int(1, 8)
            .msg(7, &self.graph)
            .msg(8, &Msg::default().int(2, opset))
            .0
    }

    pub(crate) fn program(&self) -> Program {
        Program::from_onnx(&self.model(), &Limits::default()).expect("a good model")
    }
}

/// ONNX's code for booleans.
pub(crate) const BOOL: i64 = 9;
/// ONNX's code for f32.
pub(crate) const F32: i64 = 1;
/// ONNX's code for i64.
pub(crate) const I64: i64 = 7;

/// Numbers in (−1, 1) from a seed.
pub(crate) fn noise(shape: &[usize], mut seed: u64) -> Tensor {
    let n = shape.iter().product();
    let v = (0..n)
        .map(|_| {
            seed = seed
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            ((seed >> 40) as f32 - 8_388_608.0) / 8_388_608.0
        })
        .collect();
    Tensor::new(shape, Data::F32(v)).expect("shape and data agree")
}

pub(crate) fn floats(shape: &[usize], v: &[f32]) -> Tensor {
    Tensor::from_vec(shape, v.to_vec()).expect("shape and data agree")
}

pub(crate) fn ints(v: &[i64]) -> Tensor {
    Tensor::from_vec(&[v.len()], v.to_vec()).expect("shape and data agree")
}

/// A digit classifier's shape: two convolutions, pooling, a dense layer, softmax.
pub(crate) fn small_cnn() -> Builder {
    let pad = |p: i64| ("pads", A::Ints(vec![p; 4]));
    Builder::default()
        .input("image", F32, &[D::S("batch"), D::N(1), D::N(28), D::N(28)])
        .output("digit", F32, &[D::S("batch"), D::N(10)])
        .weight("w1", &noise(&[8, 1, 3, 3], 1))
        .weight("b1", &noise(&[8], 2))
        .weight("w2", &noise(&[16, 8, 3, 3], 3))
        .weight("b2", &noise(&[16], 4))
        .weight("w3", &noise(&[10, 16 * 7 * 7], 5))
        .weight("b3", &noise(&[10], 6))
        .node("Conv", &["image", "w1", "b1"], &["c1"], &[pad(1)])
        .node("Relu", &["c1"], &["r1"], &[])
        .node(
            "MaxPool",
            &["r1"],
            &["p1"],
            &[
                ("kernel_shape", A::Ints(vec![2, 2])),
                ("strides", A::Ints(vec![2, 2])),
            ],
        )
        .node("Conv", &["p1", "w2", "b2"], &["c2"], &[pad(1)])
        .node("Relu", &["c2"], &["r2"], &[])
        .node(
            "MaxPool",
            &["r2"],
            &["p2"],
            &[
                ("kernel_shape", A::Ints(vec![2, 2])),
                ("strides", A::Ints(vec![2, 2])),
            ],
        )
        .node("Flatten", &["p2"], &["f"], &[])
        .node("Gemm", &["f", "w3", "b3"], &["g"], &[("transB", A::Int(1))])
        .node("Softmax", &["g"], &["digit"], &[("axis", A::Int(-1))])
}
