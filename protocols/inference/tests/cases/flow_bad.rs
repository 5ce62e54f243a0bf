//! Bodies and functions made to hurt: deep, doubling, empty, recursive.

use aether_inference::{Limits, ModelError, Program};

use crate::support::model::{A, BOOL, Builder, F32, I64, Msg, floats};

fn load(bytes: &[u8]) -> Result<Program, ModelError> {
    Program::from_onnx(bytes, &Limits::default())
}

fn with(op: &str, ins: &[&str], outs: &[&str], attrs: &[(&str, A)]) -> Builder {
    Builder::default()
        .input("c", BOOL, &[])
        .input("x", F32, &[])
        .output("y", F32, &[])
        .node(op, ins, outs, attrs)
}

/// `depth` Ifs, one in the other.
fn nested(depth: usize) -> Builder {
    let leaf = || Builder::default().output("x", F32, &[]);
    let mut inner = leaf();
    for _ in 0..depth {
        let branches = [
            ("then_branch", A::Graph(inner.graph)),
            ("else_branch", A::Graph(leaf().graph)),
        ];
        inner = Builder::default()
            .output("y", F32, &[])
            .node("If", &["c"], &["y"], &branches);
    }
    let mut graph = Builder::default()
        .input("c", BOOL, &[])
        .input("x", F32, &[])
        .graph;
    graph.0.extend(inner.graph.0);
    Builder { graph }
}

/// A function `own.NAME` of one input `v` and one output `w`.
fn function(name: &str, nodes: &[Msg]) -> Msg {
    let head = Msg::default().text(1, name).text(4, "v").text(5, "w");
    let all = nodes.iter().fold(head, |m, n| m.msg(7, n));
    all.msg(9, &Msg::default().int(2, 17)).text(10, "own")
}

fn call(op: &str, from: &str, to: &str) -> Msg {
    Msg::default()
        .text(1, from)
        .text(2, to)
        .text(4, op)
        .text(7, "own")
}

fn with_functions(graph: &Builder, functions: &[Msg]) -> Vec<u8> {
    let model = Msg(graph.versioned(17));
    functions.iter().fold(model, |m, f| m.msg(25, f)).0
}

fn calls(op: &str) -> Builder {
    let base = Builder::default()
        .input("x", F32, &[])
        .output("y", F32, &[]);
    Builder {
        graph: base.graph.msg(1, &call(op, "x", "y")),
    }
}

#[test]
fn bodies_nest_sixteen_deep_and_no_deeper() {
    assert!(load(&nested(16).model()).is_ok());
    for depth in [17, 25, 100, 10_000] {
        let error = load(&nested(depth).model()).expect_err("too deep");
        assert!(matches!(error, ModelError::TooDeep), "{depth}: {error}");
    }
}

#[test]
fn functions_that_double_or_call_themselves_are_refused() {
    // f0 calls f1 twice, which calls f2 twice …: 2^n bodies in n lines.
    let doubling = |n: usize, leaf: Vec<Msg>| {
        let mut all: Vec<Msg> = (0..n)
            .map(|i| {
                let next = format!("f{}", i + 1);
                function(
                    &format!("f{i}"),
                    &[call(&next, "v", "m"), call(&next, "m", "w")],
                )
            })
            .collect();
        all.push(function(&format!("f{n}"), &leaf));
        with_functions(&calls("f0"), &all)
    };
    let relu = || vec![Msg::default().text(1, "v").text(2, "w").text(4, "Relu")];
    let program = load(&doubling(5, relu())).expect("32 bodies are fine");
    assert_eq!(program.instruction_count(), 32);
    for n in [18, 40] {
        assert!(load(&doubling(n, relu())).is_err(), "{n}");
    }
    // The same with a fat constant in each body: refused before it fills memory.
    let fat = floats(&[1 << 16], &vec![1.0; 1 << 16]).to_onnx_pb("k");
    let value = Msg::default().text(1, "value").bytes(5, &fat).int(20, 4);
    let constant = Msg::default()
        .text(2, "k")
        .text(4, "Constant")
        .msg(5, &value);
    let add = Msg::default()
        .text(1, "v")
        .text(1, "k")
        .text(2, "w")
        .text(4, "Add");
    assert!(matches!(
        load(&doubling(15, vec![constant, add])),
        Err(ModelError::TooMany(_))
    ));
    // The same with the constant given by the call, and named by every node.
    let named = Msg::default().text(1, "value").int(20, 4).text(21, "k");
    let body: Vec<Msg> = (0..300)
        .map(|i| Msg::default().text(2, &format!("k{i}")).text(4, "Constant"))
        .map(|m| m.msg(5, &named))
        .chain(relu())
        .collect();
    let given = Msg::default().text(1, "k").bytes(5, &fat).int(20, 4);
    let fed = |nodes: &[Msg]| {
        let base = Builder::default()
            .input("x", F32, &[])
            .output("y", F32, &[]);
        let graph = base.graph.msg(1, &call("f", "x", "y").msg(5, &given));
        with_functions(&Builder { graph }, &[function("f", nodes).text(6, "k")])
    };
    assert!(load(&fed(&body[290..])).is_ok());
    assert!(matches!(load(&fed(&body)), Err(ModelError::TooMany(_))));
    let own = with_functions(&calls("f"), &[function("f", &[call("f", "v", "w")])]);
    assert!(matches!(load(&own), Err(ModelError::TooDeep)));
    let twice = [function("f", &relu()), function("f", &relu())];
    assert!(matches!(
        load(&with_functions(&calls("f"), &twice)),
        Err(ModelError::Name(_))
    ));
    let unknown = with_functions(&calls("g"), &twice[..1]);
    assert!(
        load(&unknown)
            .expect_err("no such function")
            .is_unsupported()
    );
}

#[test]
fn malformed_bodies_are_refused_with_a_reason() {
    let one = || Builder::default().output("x", F32, &[]).graph;
    let two = || {
        Builder::default()
            .output("x", F32, &[])
            .output("c", BOOL, &[])
            .graph
    };
    let undefined = Builder::default().output("nothing", F32, &[]).graph;
    let cyclic = Builder::default()
        .output("a", F32, &[])
        .node("Relu", &["a"], &["a"], &[])
        .graph;
    let later = Builder::default().output("y", F32, &[]).graph;
    let branches = |t: Msg, e: Msg| [("then_branch", A::Graph(t)), ("else_branch", A::Graph(e))];
    let body = |inputs: usize, outputs: usize| {
        let names = ["i", "k", "v", "h"];
        let b = (0..inputs).fold(Builder::default(), |b, i| b.input(names[i], I64, &[]));
        let b = (0..outputs).fold(b, |b, i| b.output(names[i], I64, &[]));
        [("body", A::Graph(b.graph))]
    };
    let scan = |n: i64, attrs: &[(&'static str, A)]| {
        let mut all = body(1, 1).to_vec();
        all.push(("num_scan_inputs", A::Int(n)));
        all.extend(attrs.iter().cloned());
        with("Scan", &["x"], &["y"], &all)
    };
    let cases: Vec<(&str, Builder)> = vec![
        ("no branches", with("If", &["c"], &["y"], &[])),
        (
            "one branch",
            with("If", &["c"], &["y"], &branches(one(), one())[..1]),
        ),
        (
            "no condition",
            with("If", &[], &["y"], &branches(one(), one())),
        ),
        (
            "branches that differ",
            with("If", &["c"], &["y"], &branches(one(), two())),
        ),
        (
            "an undefined output",
            with("If", &["c"], &["y"], &branches(undefined, one())),
        ),
        (
            "a cycle in a body",
            with("If", &["c"], &["y"], &branches(cyclic, one())),
        ),
        (
            "a body that uses its owner",
            with("If", &["c"], &["y"], &branches(later, one())),
        ),
        (
            "an unknown attribute",
            with("If", &["c"], &["y"], &[("axis", A::Int(1))]),
        ),
        (
            "a graph that is a number",
            with("Loop", &["", ""], &["y"], &[("body", A::Int(1))]),
        ),
        ("no body", with("Loop", &["", ""], &["y"], &[])),
        (
            "a body of too few inputs",
            with("Loop", &["", ""], &["y"], &body(1, 2)),
        ),
        (
            "a body of too many inputs",
            with("Loop", &["", ""], &["y"], &body(3, 2)),
        ),
        (
            "a body without outputs",
            with("Loop", &["", ""], &["y"], &body(2, 0)),
        ),
        (
            "more results than outputs",
            with("Loop", &["", ""], &["y", "z"], &body(2, 2)),
        ),
        ("scans of none", scan(0, &[])),
        ("scans of more than there are", scan(2, &[])),
        ("scans of a negative number", scan(-1, &[])),
        (
            "axes of another number",
            scan(1, &[("scan_input_axes", A::Ints(vec![0, 1]))]),
        ),
        (
            "a direction of 2",
            scan(1, &[("scan_input_directions", A::Ints(vec![2]))]),
        ),
        (
            "a body where none belongs",
            with("Relu", &["x"], &["y"], &branches(one(), one())),
        ),
    ];
    let count = cases.len();
    for (what, builder) in cases {
        assert!(load(&builder.model()).is_err(), "{what}");
    }
    assert!(load(&scan(1, &[]).model()).is_ok());
    println!("malformed bodies refused: {count}");
}

#[test]
fn all_that_is_missing_is_listed_at_once() {
    let body = Builder::default()
        .output("q", F32, &[])
        .node("Frobnicate", &["x"], &["p"], &[])
        .node("Twirl", &["p"], &["q"], &[]);
    let bytes = Builder::default()
        .input("c", BOOL, &[])
        .input("x", F32, &[])
        .output("y", F32, &[])
        .node("Frobnicate", &["x"], &["a"], &[])
        .node(
            "If",
            &["c"],
            &["b"],
            &[
                ("then_branch", A::Graph(body.graph.clone())),
                ("else_branch", A::Graph(body.graph)),
            ],
        )
        .node("Relu", &["b"], &["r"], &[("what", A::Int(1))])
        .node("Add", &["r", "a"], &["y"], &[])
        .model();
    let missing =
        Program::missing(&mut bytes.as_slice(), &Limits::default(), None).expect("well-formed");
    let names: Vec<&str> = missing.iter().map(|m| m.operator.as_str()).collect();
    assert_eq!(names, ["Frobnicate", "Relu", "Twirl"]);
    assert!(missing.iter().all(|m| m.opset == 17));
    assert!(missing[1].to_string().contains("what"));
    let fine = with("Relu", &["x"], &["y"], &[]).model();
    assert_eq!(
        Program::missing(&mut fine.as_slice(), &Limits::default(), None),
        Ok(vec![])
    );
    let broken = with("Relu", &["z"], &["y"], &[]).model();
    assert!(Program::missing(&mut broken.as_slice(), &Limits::default(), None).is_err());
}
