//! One node of every operator with inputs that it takes: what the tests of bad
//! input start from. A row that names a version stands for operators that later
//! sets do not have, or had otherwise.

mod basic;
mod layers;

use aether_inference::{Data, Tensor};

use super::model::{A, Builder, Msg, floats, noise};

/// Newest operator set.
pub(crate) const NEWEST: i64 = 26;

/// A node and its inputs.
#[derive(Clone)]
pub(crate) struct Row {
    pub(crate) op: &'static str,
    pub(crate) opset: i64,
    pub(crate) attrs: Vec<(&'static str, A)>,
    /// `None`: an optional input that is absent.
    pub(crate) inputs: Vec<Option<Tensor>>,
    /// How many inputs are required.
    pub(crate) required: usize,
    pub(crate) outputs: usize,
}

impl Row {
    pub(super) fn new(op: &'static str, inputs: Vec<Tensor>) -> Self {
        Self {
            op,
            opset: NEWEST,
            attrs: Vec::new(),
            required: inputs.len(),
            inputs: inputs.into_iter().map(Some).collect(),
            outputs: 1,
        }
    }

    pub(super) fn with(mut self, name: &'static str, value: A) -> Self {
        self.attrs.push((name, value));
        self
    }

    pub(super) fn int(self, name: &'static str, v: i64) -> Self {
        self.with(name, A::Int(v))
    }

    pub(super) fn ints(self, name: &'static str, v: &[i64]) -> Self {
        self.with(name, A::Ints(v.to_vec()))
    }

    pub(super) fn float(self, name: &'static str, v: f32) -> Self {
        self.with(name, A::Float(v))
    }

    pub(super) fn text(self, name: &'static str, v: &'static str) -> Self {
        self.with(name, A::Text(v))
    }

    pub(super) fn at(mut self, opset: i64) -> Self {
        self.opset = opset;
        self
    }

    pub(super) fn outputs(mut self, n: usize) -> Self {
        self.outputs = n;
        self
    }

    /// Only the first `n` inputs are required.
    pub(super) fn required(mut self, n: usize) -> Self {
        self.required = n;
        self
    }

    pub(super) fn more(mut self, inputs: Vec<Option<Tensor>>) -> Self {
        self.inputs.extend(inputs);
        self
    }

    /// The model, whose inputs are the node's, of declared types and any shape.
    pub(crate) fn model(&self) -> Vec<u8> {
        let (domain, op) = self.op.rsplit_once('.').unwrap_or(("", self.op));
        let mut node = Msg::default();
        let mut graph = Msg::default();
        for (i, t) in self.inputs.iter().enumerate() {
            let name = t.as_ref().map_or(String::new(), |_| format!("x{i}"));
            node = node.text(1, &name);
            if let Some(t) = t {
                let kind = Msg::default().int(1, i64::from(t.dtype().code()));
                let kind = Msg::default().msg(1, &kind);
                graph = graph.msg(11, &Msg::default().text(1, &name).msg(2, &kind));
            }
        }
        for o in 0..self.outputs {
            node = node.text(2, &format!("y{o}"));
        }
        node = node.text(4, op);
        for (name, a) in &self.attrs {
            node = node.msg(5, &a.named(name));
        }
        node = node.text(7, domain);
        graph = graph.msg(1, &node);
        for o in 0..self.outputs {
            graph = graph.msg(12, &Msg::default().text(1, &format!("y{o}")));
        }
        Builder { graph }.versioned(self.opset)
    }

    /// The inputs that are there.
    pub(crate) fn given(&self) -> Vec<Tensor> {
        self.inputs.iter().flatten().cloned().collect()
    }
}

pub(super) fn x(shape: &[usize]) -> Tensor {
    noise(shape, 1 + shape.len() as u64)
}

/// Positive numbers.
pub(super) fn positive(shape: &[usize]) -> Tensor {
    let v: Vec<f32> = x(shape).view::<f32>().expect("floats").to_vec();
    floats(shape, &v.iter().map(|v| v.abs() + 0.5).collect::<Vec<_>>())
}

pub(super) fn bytes(shape: &[usize]) -> Tensor {
    let n = shape.iter().product::<usize>();
    let v = (0..n).map(|i| (i * 37 % 251) as u8).collect();
    Tensor::new(shape, Data::U8(v)).expect("shape and data agree")
}

pub(super) fn of<T: aether_inference::TensorElement>(shape: &[usize], v: Vec<T>) -> Tensor {
    Tensor::from_vec(shape, v).expect("shape and data agree")
}

pub(super) fn flags(shape: &[usize]) -> Tensor {
    let n = shape.iter().product::<usize>();
    of(shape, (0..n).map(|i| i % 3 != 1).collect::<Vec<bool>>())
}

pub(super) fn scalar(v: f32) -> Tensor {
    Tensor::scalar(v)
}

/// A row of every operator, control flow aside.
pub(crate) fn rows() -> Vec<Row> {
    let mut all = Vec::new();
    basic::rows(&mut all);
    layers::rows(&mut all);
    all
}
