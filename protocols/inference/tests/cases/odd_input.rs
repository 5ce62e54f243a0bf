//! Input at the edges of what an operator means: what it must come to, or why it
//! ends the run. One row a case; `cases/bad_input.rs` sweeps over all operators.

use aether_inference::{DType, Data, Limits, Program, RunLimits, Status, Tensor, execute};

use crate::support::catalogue::{NEWEST, Row, rows};
use crate::support::conformance::header;
use crate::support::model::{A, floats, ints};
use crate::support::sweep::{End, attempt, widened};

const NAN: f32 = f32::NAN;
const INF: f32 = f32::INFINITY;
const TINY: f32 = f32::from_bits(1);

/// What a case comes to.
enum Want {
    /// These numbers in this shape, NaN for any canonical NaN.
    Gives(&'static [usize], &'static [f32]),
    /// A trap with this reason.
    Traps(&'static str),
    /// Refused when the model is read, with these words in the reason.
    Refused(&'static str),
}
use Want::{Gives, Refused, Traps};

type Attrs = Vec<(&'static str, A)>;
type Case = (&'static str, &'static str, Vec<Tensor>, Attrs, Want);

fn f(shape: &[usize], v: &[f32]) -> Tensor {
    floats(shape, v)
}

fn none(shape: &[usize]) -> Tensor {
    floats(shape, &[])
}

fn i(v: i64) -> A {
    A::Int(v)
}

fn bytes(shape: &[usize], v: &[u8]) -> Tensor {
    Tensor::new(shape, Data::U8(v.to_vec())).expect("shape and data agree")
}

fn halves(v: &[f32]) -> Tensor {
    let v = v
        .iter()
        .map(|&x| aether_inference::F16::from_f32(x))
        .collect();
    Tensor::from_vec(&[1, 2], v).expect("shape and data agree")
}

// One row a case.
#[rustfmt::skip]
fn cases() -> Vec<Case> {
    let s = |v: f32| Tensor::scalar(v);
    let square = || f(&[1, 1, 2, 2], &[1.0, 2.0, 3.0, 4.0]);
    let one = |t: i64| Tensor::scalar(t);
    vec![
        // Numbers that are none, and those next to nothing.
        ("a maximum with a NaN", "Max", vec![f(&[2], &[1.0, NAN]), f(&[2], &[NAN, 2.0])], vec![], Gives(&[2], &[NAN, NAN])),
        ("a clipped NaN", "Clip", vec![f(&[1], &[NAN]), s(0.0), s(1.0)], vec![], Gives(&[1], &[NAN])),
        ("rectified zeros and NaN", "Relu", vec![f(&[3], &[-0.0, NAN, -TINY])], vec![], Gives(&[3], &[0.0, NAN, 0.0])),
        ("denormals are kept", "Mul", vec![f(&[1], &[TINY]), s(1.0)], vec![], Gives(&[1], &[TINY])),
        ("denormals are summed", "ReduceSum", vec![f(&[3], &[TINY, TINY, -TINY])], vec![("keepdims", i(0))], Gives(&[], &[TINY])),
        ("a pool over a NaN", "MaxPool", vec![f(&[1, 1, 3], &[1.0, NAN, 3.0])], vec![("kernel_shape", A::Ints(vec![2]))], Gives(&[1, 1, 2], &[NAN, NAN])),
        ("a softmax of infinities", "Softmax", vec![f(&[2], &[-INF, -INF])], vec![], Gives(&[2], &[NAN, NAN])),
        ("a softmax beside an infinity", "Softmax", vec![f(&[2], &[-INF, 5.0])], vec![], Gives(&[2], &[0.0, 1.0])),
        ("a product with padding and an infinite weight", "Conv", vec![f(&[1, 1, 1], &[1.0]), f(&[1, 1, 2], &[INF, 1.0])], vec![("pads", A::Ints(vec![1, 0]))], Gives(&[1, 1, 1], &[NAN])),
        ("a NaN is quantised to the zero point", "QuantizeLinear", vec![f(&[2], &[NAN, INF]), s(1.0)], vec![], Gives(&[2], &[0.0, 255.0])),
        ("a product that saturates a half", "Mul", vec![halves(&[60000.0, 6e-8]), halves(&[2.0, 0.5])], vec![], Gives(&[1, 2], &[INF, 0.0])),
        ("of equal scores the first is taken", "TopK", vec![f(&[4], &[1.0, NAN, 3.0, NAN]), ints(&[2])], vec![], Gives(&[2], &[NAN, NAN])),
        // Nothing, and what is made of it.
        ("a sum of nothing", "ReduceSum", vec![none(&[0, 2])], vec![("keepdims", i(0))], Gives(&[], &[0.0])),
        ("a product of nothing", "ReduceProd", vec![none(&[0])], vec![("keepdims", i(0))], Gives(&[], &[1.0])),
        ("the greatest of nothing", "ReduceMax", vec![none(&[0, 1])], vec![("keepdims", i(0))], Gives(&[], &[-INF])),
        ("the mean of nothing", "ReduceMean", vec![none(&[0])], vec![("keepdims", i(0))], Gives(&[], &[NAN])),
        ("a contraction over nothing", "MatMul", vec![none(&[2, 0]), none(&[0, 2])], vec![], Gives(&[2, 2], &[0.0; 4])),
        ("a product of no rows", "Gemm", vec![none(&[0, 3]), f(&[3, 1], &[1.0; 3])], vec![], Gives(&[0, 1], &[])),
        ("nothing attended to", "Attention", vec![f(&[1, 1, 1, 1], &[1.0]), none(&[1, 1, 0, 1]), none(&[1, 1, 0, 1])], vec![], Gives(&[1, 1, 1, 1], &[0.0])),
        ("no boxes", "NonMaxSuppression", vec![none(&[1, 0, 4]), none(&[1, 1, 0]), ints(&[3])], vec![], Gives(&[0, 3], &[])),
        ("no regions", "RoiAlign", vec![square(), none(&[0, 4]), ints(&[])], vec![], Gives(&[0, 1, 1, 1], &[])),
        ("joined with nothing", "Concat", vec![none(&[0]), f(&[1], &[2.0])], vec![("axis", i(0))], Gives(&[1], &[2.0])),
        ("no part of nothing", "Gather", vec![none(&[0]), ints(&[])], vec![], Gives(&[0], &[])),
        ("a tensor without dimensions", "Transpose", vec![s(3.0)], vec![], Gives(&[], &[3.0])),
        ("the identity of an einsum", "Einsum", vec![none(&[2, 0]), none(&[0, 1])], vec![("equation", A::Text("ij,jk->ik"))], Gives(&[2, 1], &[0.0, 0.0])),
        // Attention.
        ("heads that do not share keys", "Attention", vec![f(&[1, 3, 1, 1], &[0.0; 3]), f(&[1, 2, 1, 1], &[0.0; 2]), f(&[1, 2, 1, 1], &[0.0; 2])], vec![], Traps("attention's inputs do not agree")),
        ("flat heads without their number", "Attention", vec![f(&[1, 1, 2], &[0.0; 2]), f(&[1, 1, 2], &[0.0; 2]), f(&[1, 1, 2], &[0.0; 2])], vec![], Traps("attention's inputs do not agree")),
        ("no heads", "Attention", vec![square(), square(), square()], vec![("q_num_heads", i(0))], Refused("q_num_heads")),
        // Recurrent.
        ("a state of another size", "RNN", vec![f(&[1, 1, 1], &[0.0]), f(&[1, 2, 1], &[0.0; 2]), f(&[1, 3, 2], &[0.0; 6])], vec![], Traps("the recurrent operator's inputs do not agree")),
        ("an unknown direction", "GRU", vec![f(&[1, 1, 1], &[0.0]), f(&[1, 3, 1], &[0.0; 3]), f(&[1, 3, 1], &[0.0; 3])], vec![("direction", A::Text("sideways"))], Refused("direction")),
        ("a clip below zero", "LSTM", vec![f(&[1, 1, 1], &[0.0]), f(&[1, 4, 1], &[0.0; 4]), f(&[1, 4, 1], &[0.0; 4])], vec![("clip", A::Float(-1.0))], Refused("clip")),
        // Resizing.
        ("a scale of a NaN", "Upsample", vec![square(), f(&[4], &[1.0, 1.0, NAN, 1.0])], vec![], Traps("scales must be positive")),
        ("an infinite scale", "Upsample", vec![square(), f(&[4], &[1.0, 1.0, INF, 1.0])], vec![], Traps("scales must be positive")),
        ("too large a scale", "Upsample", vec![square(), f(&[4], &[1.0, 1.0, 1e30, 1.0])], vec![], Traps("size out of range")),
        ("scales for other axes", "Upsample", vec![square(), f(&[2], &[1.0, 1.0])], vec![], Traps("scales, sizes and axes do not agree")),
        // Quantised.
        ("scales that fit nothing", "QuantizeLinear", vec![f(&[2, 3], &[0.0; 6]), f(&[2], &[1.0, 1.0])], vec![("axis", i(1))], Traps("scales do not fit the input")),
        ("bytes times floats", "MatMulInteger", vec![bytes(&[1, 1], &[1]), f(&[1, 1], &[1.0])], vec![], Traps("element type not supported here")),
        ("zero points of another type", "MatMulInteger", vec![bytes(&[1, 1], &[1]), bytes(&[1, 1], &[1]), s(1.0)], vec![], Traps("element type not supported here")),
        // Detection.
        ("boxes of three corners", "NonMaxSuppression", vec![f(&[1, 1, 3], &[0.0; 3]), f(&[1, 1, 1], &[1.0])], vec![], Traps("boxes and scores do not agree")),
        ("a region of no image", "RoiAlign", vec![square(), f(&[1, 4], &[0.0; 4]), ints(&[1])], vec![], Traps("image of a region out of range")),
        ("a region that is all of space", "RoiAlign", vec![square(), f(&[1, 4], &[0.0, 0.0, INF, 1.0]), ints(&[0])], vec![], Traps("a region is larger than its image")),
        // Scattering and gathering.
        ("an index behind the end", "GatherElements", vec![f(&[2], &[1.0, 2.0]), ints(&[2])], vec![], Traps("index out of range")),
        ("an index before the start", "ScatterElements", vec![f(&[2], &[1.0, 2.0]), ints(&[-3]), f(&[1], &[0.0])], vec![], Traps("index out of range")),
        ("updates of another shape", "ScatterND", vec![f(&[2], &[1.0, 2.0]), Tensor::from_vec(&[1, 1], vec![0i64]).expect("one"), f(&[2], &[0.0; 2])], vec![], Traps("the updates' shape does not fit")),
        ("an unknown reduction", "ScatterND", vec![f(&[2], &[1.0, 2.0]), Tensor::from_vec(&[1, 1], vec![0i64]).expect("one"), f(&[1], &[0.0])], vec![("reduction", A::Text("average"))], Refused("reduction")),
        ("the most of too few", "TopK", vec![f(&[2], &[1.0, 2.0]), ints(&[3])], vec![], Traps("k exceeds the dimension")),
        ("a negative number of the most", "TopK", vec![f(&[2], &[1.0, 2.0]), ints(&[-1])], vec![], Traps("k is negative")),
        // Equations.
        ("an equation of other terms", "Einsum", vec![f(&[1], &[1.0])], vec![("equation", A::Text("i,j->ij"))], Refused("equation")),
        ("an index from nowhere", "Einsum", vec![f(&[1], &[1.0])], vec![("equation", A::Text("i->k"))], Refused("equation")),
        ("a term of another rank", "Einsum", vec![f(&[1], &[1.0])], vec![("equation", A::Text("ij->i"))], Traps("a term does not fit its operand")),
        // Windows.
        ("a kernel larger than its image", "MaxPool", vec![square()], vec![("kernel_shape", A::Ints(vec![3, 3]))], Traps("the window is larger than the padded input")),
        ("a kernel of another rank", "MaxPool", vec![square()], vec![("kernel_shape", A::Ints(vec![2]))], Traps("window attributes do not fit the input's rank")),
        ("a stride of zero", "AveragePool", vec![square()], vec![("kernel_shape", A::Ints(vec![1, 1])), ("strides", A::Ints(vec![0, 1]))], Refused("strides")),
        ("no group", "Conv", vec![square(), square()], vec![("group", i(0))], Refused("group")),
        ("groups of other channels", "Conv", vec![square(), square()], vec![("group", i(2))], Traps("channels do not agree")),
        ("a place behind the unpooled", "MaxUnpool", vec![f(&[1, 1, 1], &[1.0]), Tensor::from_vec(&[1, 1, 1], vec![9i64]).expect("one")], vec![("kernel_shape", A::Ints(vec![2]))], Traps("index out of range")),
        // Signals.
        ("a transform of no samples", "DFT", vec![none(&[1, 0, 1])], vec![], Traps("the transform's length is out of range")),
        ("a transform of a negative length", "DFT", vec![f(&[1, 2, 1], &[1.0; 2]), one(-1)], vec![], Traps("the transform's length is out of range")),
        ("a transform along the parts", "DFT", vec![f(&[1, 2, 1], &[1.0; 2]), one(2), one(-1)], vec![], Traps("the signal's shape does not fit the transform")),
        ("a frame longer than its signal", "STFT", vec![f(&[1, 2, 1], &[1.0; 2]), one(1), f(&[3], &[1.0; 3])], vec![], Traps("the transform's length is out of range")),
        ("a step of zero", "STFT", vec![f(&[1, 2, 1], &[1.0; 2]), one(0), f(&[1], &[1.0])], vec![], Traps("the transform's length is out of range")),
        // Shapes that are too large or too small.
        ("two open dimensions", "Reshape", vec![f(&[2], &[1.0, 2.0]), ints(&[-1, -1])], vec![], Traps("negative dimension")),
        ("a shape of other elements", "Reshape", vec![f(&[2], &[1.0, 2.0]), ints(&[3])], vec![], Traps("element counts differ")),
        ("a dimension beyond 2^31", "Expand", vec![s(1.0), ints(&[1 << 31])], vec![], Traps("output shape out of bounds")),
        ("repeated beyond 2^31", "Tile", vec![f(&[2], &[1.0, 2.0]), ints(&[1 << 62])], vec![], Traps("output shape out of bounds")),
        ("a range without an end", "Range", vec![s(0.0), s(INF), s(1.0)], vec![], Traps("output shape out of bounds")),
        ("a range of a NaN", "Range", vec![s(NAN), s(1.0), s(1.0)], vec![], Gives(&[0], &[])),
        ("cropped beyond nothing", "Pad", vec![f(&[2], &[1.0, 2.0]), ints(&[-2, -1])], vec![], Traps("pads crop more than there is")),
        ("reflected in nothing", "Pad", vec![none(&[0]), ints(&[1, 0])], vec![("mode", A::Text("reflect"))], Traps("nothing to pad with")),
    ]
}

fn numbers(t: &Tensor) -> Vec<f32> {
    match t.data() {
        Data::F32(v) => v.clone(),
        Data::F16(v) => v.iter().map(|x| x.to_f32()).collect(),
        Data::U8(v) => v.iter().map(|&x| f32::from(x)).collect(),
        Data::I64(v) => v.iter().map(|&x| x as f32).collect(),
        other => panic!("numbers of {other:?}"),
    }
}

/// What is wrong with a case, if anything.
fn judge(op: &'static str, inputs: Vec<Tensor>, attrs: Attrs, want: &Want) -> Result<(), String> {
    let row = Row {
        op,
        opset: if op == "Upsample" { 9 } else { NEWEST },
        attrs,
        required: inputs.len(),
        inputs: inputs.into_iter().map(Some).collect(),
        outputs: if op == "TopK" { 2 } else { 1 },
    };
    let program = match (Program::from_onnx(&row.model(), &Limits::default()), want) {
        (Ok(program), Gives(..) | Traps(_)) => program,
        (Ok(_), Refused(_)) => return Err("was taken".into()),
        (Err(e), Refused(words)) if e.to_string().contains(words) => return Ok(()),
        (Err(e), _) => return Err(e.to_string()),
    };
    let given = row.given();
    let h = header(&program, &given);
    let out = execute(&program, &h, &given, &RunLimits::default()).map_err(|e| e.to_string())?;
    match want {
        Traps(reason) if (out.status, out.trap) == (Status::Trapped, Some(reason)) => Ok(()),
        Gives(shape, v) if out.status == Status::Done => {
            let t = out.outputs.first().ok_or("no output")?;
            let got = numbers(t);
            let same = |(g, w): (&f32, &f32)| {
                // A NaN that was moved keeps its bits; one that was computed is the canonical one.
                g.to_bits() == w.to_bits() || (w.is_nan() && g.is_nan())
            };
            if t.shape() == *shape && got.len() == v.len() && got.iter().zip(*v).all(same) {
                Ok(())
            } else {
                Err(format!("gave {t:?} {got:?}"))
            }
        }
        _ => Err(format!("ended {:?} {:?}", out.status, out.trap)),
    }
}

#[test]
fn odd_input_gives_what_the_rules_say_or_ends_with_its_reason() {
    let all = cases();
    let count = all.len();
    let bad: Vec<String> = all
        .into_iter()
        .filter_map(|(what, op, inputs, attrs, want)| {
            let said = judge(op, inputs, attrs, &want);
            said.err().map(|why| format!("{op}: {what}: {why}"))
        })
        .collect();
    println!("{count} cases");
    assert!(bad.is_empty(), "{}:\n{}", bad.len(), bad.join("\n"));
}

#[test]
fn a_type_that_an_operator_does_not_take_ends_the_run_with_a_reason() {
    let taken = "element type not supported here";
    for (op, dtype, reason) in [
        ("Attention", DType::F64, taken),
        ("LSTM", DType::I32, taken),
        ("Sin", DType::F64, "this operator does not take f64"),
    ] {
        let n = if op == "Sin" { 1 } else { 3 };
        let one = match dtype {
            DType::F64 => Data::F64(vec![1.0]),
            _ => Data::I32(vec![1]),
        };
        let t = Tensor::new(&[1, 1, 1], one).expect("one element");
        let said = judge(op, vec![t; n], vec![], &Traps(reason));
        assert_eq!(said, Ok(()), "{op} of {dtype}");
    }
}

#[test]
fn products_of_f64_are_those_of_f32_where_both_are_exact() {
    let products = ["MatMul", "Gemm", "Conv"];
    let mut count = 0;
    for mut row in rows().into_iter().filter(|r| products.contains(&r.op)) {
        // Eighths: their products and sums fit either type.
        for t in row.inputs.iter_mut().flatten() {
            let v: Vec<f32> = numbers(t).iter().map(|x| (x * 8.0).round() / 8.0).collect();
            *t = floats(t.shape(), &v);
        }
        let run = |row: &Row| match attempt(row) {
            Ok(End::Ran(Status::Done, _, out)) => out,
            other => panic!("{}: {other:?}", row.op),
        };
        let (narrow, wide) = (run(&row), run(&widened(&row)));
        let doubles = wide[0].view::<f64>().expect("f64");
        let floats: Vec<f64> = numbers(&narrow[0]).iter().map(|&x| f64::from(x)).collect();
        assert_eq!(
            (wide[0].shape(), doubles),
            (narrow[0].shape(), &*floats),
            "{}",
            row.op
        );
        assert!(doubles.iter().any(|&x| x != 0.0));
        count += 1;
    }
    assert!(count >= 4);
}
