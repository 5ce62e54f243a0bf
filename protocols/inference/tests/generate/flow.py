"""Makes the control-flow cases below ../generated/flow, in the ONNX backend layout.

Usage: python flow.py          (needs onnx, onnxruntime, numpy)

Models are written in ONNX's textual syntax; what is expected comes from onnxruntime. Where the
reference evaluator of the onnx package can run a model as well, both must agree, but for the shapes
of what three models stack (JOINED): ONNX puts what a Loop's iterations make one upon the other
along a new first axis (its shape inference gives the number of iterations, then the element's
dimensions, and onnxruntime and we do so); the evaluator joins it along the first axis there is, a
scalar taken as one element, so that an element of shape [] comes as [n, 1] and one of [2, 2] as
[2n, 2]. The numbers and their order are the same.
Names of cases say what is particular; each data set is one tuple of inputs.
"""

import pathlib
import shutil
import warnings

import numpy as np
import onnx
import onnx.parser
import onnxruntime
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

warnings.filterwarnings("ignore")
OUT = pathlib.Path(__file__).parent.parent / "generated" / "flow"
HEAD = '<ir_version: 8, opset_import: ["" : %d%s]>\n'
RNG = np.random.default_rng(5)


def f(*shape):
    """Small floats from a fixed seed."""
    return RNG.uniform(-2, 2, shape).astype(np.float32)


def i(*values):
    return np.array(values, np.int64)


def b(value):
    return np.array(value)


# Cases in which the reference evaluator joins what ONNX stacks.
JOINED = {
    "loop_fibonacci_swaps_its_values",
    "loop_in_a_loop_stacks_stacks",
    "scan_in_an_if_in_a_loop",
}
CASES = {}


def case(name, text, *sets, opset=17, functions=False):
    imports = ', "own" : 1' if functions else ""
    CASES[name] = (HEAD % (opset, imports) + text, sets)


case(
    "if_branches_differ_in_shape",
    """g (bool c, float[3] x) => (float[N] y) {
      y = If (c) <then_branch = t () => (float[3] a) { a = Neg (x) },
                  else_branch = e () => (float[6] a) { a = Concat <axis = 0> (x, x) }>
    }""",
    (b(True), f(3)), (b(False), f(3)),
)
case(
    "if_of_one_element_vector",
    """g (bool[1] c, float[3] x) => (float[3] y) {
      y = If (c) <then_branch = t () => (float[3] a) { a = Neg (x) },
                  else_branch = e () => (float[3] a) { a = Abs (x) }>
    }""",
    (np.array([True]), f(3)), (np.array([False]), f(3)), opset=11,
)
case(
    "if_captures_from_two_graphs_out",
    """g (bool c, bool d, float[2,2] x) => (float[2,2] y, float[2,2] z) {
      w = Mul (x, x)
      y, z = If (c) <
        then_branch = t () => (float[2,2] p, float[2,2] q) {
          h = Add (w, x)
          p, q = If (d) <
            then_branch = tt () => (float[2,2] r, float[2,2] s) { r = MatMul (h, w) s = Identity (x) },
            else_branch = te () => (float[2,2] r, float[2,2] s) { r = Sub (h, w) s = Sub (w, h) }>
        },
        else_branch = e () => (float[2,2] p, float[2,2] q) { p = Identity (w) q = Neg (w) }>
    }""",
    (b(True), b(True), f(2, 2)), (b(True), b(False), f(2, 2)), (b(False), b(True), f(2, 2)),
)
case(
    "if_in_a_chain_of_ifs",
    """g (float[4] x) => (float[4] y) {
      zero = Constant <value_float = 0.0> ()
      s = ReduceSum <keepdims = 0> (x)
      c = Greater (s, zero)
      a = If (c) <then_branch = t1 () => (float[4] v) { v = Relu (x) },
                  else_branch = e1 () => (float[4] v) { v = Neg (x) }>
      n = Not (c)
      y = If (n) <then_branch = t2 () => (float[4] v) { v = Add (a, x) },
                  else_branch = e2 () => (float[4] v) { k = Constant <value_floats = [1.0, 2.0, 3.0, 4.0]> () v = Mul (a, k) }>
    }""",
    (np.array([1, -2, 3, 4], np.float32),), (np.array([1, -2, -3, -4], np.float32),),
)
case(
    "if_version_1",
    """g (bool c, float[3] x) => (float[3] y) {
      y = If (c) <then_branch = t () => (float[3] a) { a = Neg (x) },
                  else_branch = e () => (float[3] a) { a = Abs (x) }>
    }""",
    (b(True), f(3)), opset=10,
)
FOR = """g (int64 m, bool c, float[2] x) => (float[2] y, float[S,2] z) {
      one = Constant <value_floats = [1.0, -0.5]> ()
      y, z = Loop (%s, %s, x) <body = l (int64 i, bool c_in, float[2] v) => (bool c_out, float[2] w, float[2] u) {
        f = Cast <to = 1> (i)
        p = Mul (one, f)
        w = Add (v, p)
        u = Mul (w, x)
        %s
      }>
    }"""
KEEP = "c_out = Identity (c_in)"
SETS = [(i(4).reshape(()), b(True), f(2)), (i(1).reshape(()), b(True), f(2))]
NONE = [(i(0).reshape(()), b(True), f(2)), (i(-3).reshape(()), b(True), f(2)), (i(7).reshape(()), b(False), f(2))]
case("loop_for", FOR % ("m", "c", KEEP), *SETS)
case("loop_without_a_round", FOR % ("m", "c", KEEP), *NONE)
case("loop_for_without_a_condition", FOR % ("m", "", KEEP), *SETS)
case("loop_version_1", FOR.replace("value_floats = [1.0, -0.5]", "value = float[2] {1.0, -0.5}") % ("m", "c", KEEP), *SETS, opset=8)
case("loop_version_11", FOR.replace("value_floats = [1.0, -0.5]", "value = float[2] {1.0, -0.5}") % ("m", "c", KEEP), *SETS, opset=11)
LIMIT = "lim = Constant <value_float = 5.0> () s = ReduceMax <keepdims = 0> (w) c_out = Less (s, lim)"
case("loop_while", FOR % ("", "c", LIMIT), (i(0).reshape(()), b(True), f(2)), (i(0).reshape(()), b(False), f(2)))
case("loop_that_breaks", FOR % ("m", "c", LIMIT), (i(100).reshape(()), b(True), f(2)), (i(2).reshape(()), b(True), f(2)))
case("loop_that_breaks_without_a_condition", FOR % ("m", "", LIMIT), (i(100).reshape(()), b(True), f(2)))
case("loop_with_neither", FOR % ("", "", LIMIT), (i(0).reshape(()), b(True), f(2)))
case(
    "loop_whose_values_grow",
    """g (int64 m, float[N] x) => (float[M] y, int64[S] z) {
      t = Constant <value = bool {1}> ()
      y, z = Loop (m, t, x) <body = l (int64 i, bool c, float[K] v) => (bool d, float[L] w, int64[1] n) {
        d = Identity (c)
        w = Concat <axis = 0> (v, x)
        n = Shape (w)
      }>
    }""",
    (i(5).reshape(()), f(2)), (i(0).reshape(()), f(3)),
)
case(
    "loop_fibonacci_swaps_its_values",
    """g (int64 m) => (int64 y, int64 z, int64[S] s) {
      t = Constant <value = bool {1}> ()
      a = Constant <value_int = 0> ()
      o = Constant <value_int = 1> ()
      y, z, s = Loop (m, t, a, o) <body = l (int64 i, bool c, int64 p, int64 q) => (bool d, int64 q2, int64 r, int64 e) {
        d = Identity (c)
        r = Add (p, q)
        q2 = Identity (q)
        e = Identity (p)
      }>
    }""",
    (i(30).reshape(()),), (i(1).reshape(()),),
)
case(
    "loop_in_a_loop_stacks_stacks",
    """g (int64 m, int64 n, float[2] x) => (float[2] y, float[A,B,2] z) {
      t = Constant <value = bool {1}> ()
      y, z = Loop (m, t, x) <body = outer (int64 i, bool c, float[2] v) => (bool d, float[2] w, float[B,2] s) {
        d = Identity (c)
        fi = Cast <to = 1> (i)
        w, s = Loop (n, c, v) <body = inner (int64 j, bool e, float[2] p) => (bool g, float[2] q, float[2] u) {
          g = Identity (e)
          fj = Cast <to = 1> (j)
          k = Add (fi, fj)
          u = Add (p, x)
          q = Add (u, k)
        }>
      }>
    }""",
    (i(3).reshape(()), i(2).reshape(()), f(2)), (i(2).reshape(()), i(5).reshape(()), f(2)),
)
case(
    "loop_with_an_if_inside",
    """g (int64 m, float[3] x) => (float[3] y, float[S,3] z) {
      t = Constant <value = bool {1}> ()
      two = Constant <value_int = 2> ()
      zero = Constant <value_int = 0> ()
      y, z = Loop (m, t, x) <body = l (int64 i, bool c, float[3] v) => (bool d, float[3] w, float[3] s) {
        d = Identity (c)
        r = Mod (i, two)
        even = Equal (r, zero)
        w = If (even) <then_branch = a () => (float[3] p) { p = Add (v, x) },
                       else_branch = b () => (float[3] p) { q = Mul (v, v) p = Sub (q, x) }>
        s = Neg (w)
      }>
    }""",
    (i(5).reshape(()), f(3)),
)
case(
    "loop_that_nobody_listens_to",
    """g (int64 m, float[3] x) => (float[3] y) {
      t = Constant <value = bool {1}> ()
      u, y, z = Loop (m, t, x, x) <body = l (int64 i, bool c, float[3] v, float[3] h) => (bool d, float[3] w, float[3] k, float[3] s) {
        d = Identity (c)
        w = Add (v, v)
        k = Sub (h, v)
        s = Neg (w)
      }>
    }""",
    (i(4).reshape(()), f(3)),
)
case(
    "loop_of_single_element_vectors",
    """g (int64[1] m, bool[1] c, float[2] x) => (float[2] y, int64[S,1] z) {
      y, z = Loop (m, c, x) <body = l (int64[1] i, bool[1] d, float[2] v) => (bool[1] e, float[2] w, int64[1] n) {
        e = Identity (d)
        w = Add (v, x)
        n = Identity (i)
      }>
    }""",
    (i(3), np.array([True]), f(2)),
)
SCAN = """g (float[2] a, float[S,2] x) => (float[2] y, float[S,2] z) {
      y, z = Scan <num_scan_inputs = 1, body = l (float[2] v, float[2] r) => (float[2] w, float[2] s) {
        w = Add (v, r)
        s = Mul (w, a)
      }> (a, x)
    }"""
case("scan_sums", SCAN, (f(2), f(5, 2)), (f(2), f(1, 2)), opset=9)
case("scan_sums_newest", SCAN, (f(2), f(3, 2)), opset=21)
case(
    "scan_backwards",
    SCAN.replace("num_scan_inputs = 1,", "num_scan_inputs = 1, scan_input_directions = [1], scan_output_directions = [1],"),
    (f(2), f(4, 2)),
)
case(
    "scan_along_other_axes",
    """g (float[2,3,4] x, float[4,2] h) => (float[2,4] y, float[2,4,3] z, float[3] n) {
      k = Constant <value = float[2,4] {0, 0, 0, 0, 0, 0, 0, 0}> ()
      t = Transpose <perm = [1, 0]> (h)
      y, z, n = Scan <num_scan_inputs = 1, scan_input_axes = [1], scan_output_axes = [-1, 0],
                      scan_output_directions = [0, 1],
          body = l (float[2,4] v, float[2,4] r) => (float[2,4] w, float[2,4] s, float m) {
        w = Add (v, r)
        s = Mul (w, t)
        m = ReduceSum <keepdims = 0> (w)
      }> (k, x)
    }""",
    (f(2, 3, 4), f(4, 2)),
)
case(
    "scan_two_inputs_no_state",
    """g (float[S,2] x, float[2,S] w) => (float[S,2] z) {
      z = Scan <num_scan_inputs = 2, scan_input_axes = [0, -1], scan_input_directions = [0, 1],
          body = l (float[2] p, float[2] q) => (float[2] r) { r = Mul (p, q) }> (x, w)
    }""",
    (f(3, 2), f(2, 3)),
)
case(
    "scan_8_over_a_batch",
    """g (float[B,2] a, float[B,S,2] x) => (float[B,2] y, float[B,S,2] z) {
      y, z = Scan <num_scan_inputs = 1, body = l (float[2] v, float[2] r) => (float[2] w, float[2] s) {
        w = Add (v, r)
        s = Mul (w, r)
      }> (, a, x)
    }""",
    (f(3, 2), f(3, 4, 2)), opset=8,
)
case(
    "scan_8_backwards",
    """g (float[B,2] a, float[B,S,2] x) => (float[B,2] y, float[B,S,2] z) {
      y, z = Scan <num_scan_inputs = 1, directions = [1], body = l (float[2] v, float[2] r) => (float[2] w, float[2] s) {
        w = Add (v, r)
        s = Mul (w, r)
      }> (, a, x)
    }""",
    (f(2, 2), f(2, 3, 2)), opset=8,
)
case(
    "scan_as_a_recurrent_layer",
    """g (float[S,4] x, float[4,8] wx, float[8,8] wh, float[8] bias, float[1,8] h0) => (float[1,8] h, float[S,1,8] all) {
      zero = Constant <value_ints = [0]> ()
      h, all = Scan <num_scan_inputs = 1, body = cell (float[1,8] v, float[4] r) => (float[1,8] w, float[1,8] o) {
        row = Unsqueeze (r, zero)
        p = MatMul (row, wx)
        q = MatMul (v, wh)
        n = Sum (p, q, bias)
        w = Tanh (n)
        o = Identity (w)
      }> (h0, x)
    }""",
    (f(6, 4), f(4, 8), f(8, 8), f(8), f(1, 8)),
)
case(
    "scan_in_an_if_in_a_loop",
    """g (int64 m, float[3,2] x) => (float[2] y, float[A] z) {
      t = Constant <value = bool {1}> ()
      one = Constant <value_int = 1> ()
      k = Constant <value_floats = [0.5, -0.25]> ()
      y, z = Loop (m, t, k) <body = l (int64 i, bool c, float[2] v) => (bool d, float[2] w, float u) {
        d = Identity (c)
        late = Greater (i, one)
        w = If (late) <
          then_branch = a () => (float[2] p) {
            p, all = Scan <num_scan_inputs = 1, body = s (float[2] h, float[2] r) => (float[2] n, float[2] o) {
              e = Mul (h, v) n = Add (e, r) o = Neg (n) }> (v, x)
          },
          else_branch = b () => (float[2] p) { p = Add (v, k) }>
        u = ReduceMax <keepdims = 0> (w)
      }>
    }""",
    (i(4).reshape(()), f(3, 2)),
)
case(
    "function_with_attributes",
    """g (float[4] x) => (float[4] y, float[4] z) {
      y = own.leaky <alpha = 0.25> (x)
      z = own.leaky (x)
    }
    <domain: "own", opset_import: ["" : 17]>
    leaky <alpha: float = 0.5> (v) => (w) { w = LeakyRelu <alpha : float = @alpha> (v) }""",
    (f(4),), functions=True,
)
case(
    "function_of_functions",
    """g (float[4] x, float[4] h) => (float[4] y) {
      p = own.twice <by = 3.0> (x)
      q = own.twice <by = 0.5> (h)
      y = own.pair (p, q)
    }
    <domain: "own", opset_import: ["" : 17, "own" : 1]>
    twice <by> (v) => (w) { p = own.scale <f : float = @by> (v) w = own.scale <f : float = @by> (p) }
    <domain: "own", opset_import: ["" : 17]>
    scale <f> (v) => (w) { k = Constant <value_float : float = @f> () w = Mul (v, k) }
    <domain: "own", opset_import: ["" : 17]>
    pair (v, p) => (w) { q = Sub (v, p) w = Abs (q) }""",
    (f(4), f(4)), functions=True,
)
case(
    "function_with_a_loop_that_captures_its_input",
    """g (int64 m, float[3] x) => (float[3] y, float[S,3] z) {
      w = Neg (x)
      y, z = own.powers (m, w)
    }
    <domain: "own", opset_import: ["" : 17]>
    powers (n, v) => (last, all) {
      t = Constant <value = bool {1}> ()
      last, all = Loop (n, t, v) <body = l (int64 i, bool c, float[3] a) => (bool d, float[3] p, float[3] s) {
        d = Identity (c) p = Mul (a, v) s = Identity (p) }>
    }""",
    (i(4).reshape(()), f(3)), functions=True,
)
case(
    "constants_in_every_form",
    """g (float[3] x) => (float[3] y, int64[3] n, float[3] z) {
      a = Constant <value = float[3] {1.0, 2.0, 3.0}> ()
      c = Constant <value_float = 0.5> ()
      d = Constant <value_floats = [4.0, 5.0, 6.0]> ()
      e = Constant <value_int = 7> ()
      h = Constant <value_ints = [8, 9, 10]> ()
      s = Mul (a, c)
      y = Add (x, s)
      n = Add (e, h)
      z = Sub (x, d)
    }""",
    (f(3),),
)


def close(got, want):
    return (
        got.dtype == want.dtype
        and got.shape == want.shape
        and np.allclose(got, want, rtol=1e-5, atol=1e-6)
    )


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    unsure = []
    for name, (text, sets) in CASES.items():
        model = onnx.parser.parse_model(text)
        onnx.checker.check_model(model)
        folder = OUT / name
        folder.mkdir(parents=True)
        data = model.SerializeToString(deterministic=True)
        (folder / "model.onnx").write_bytes(data)
        session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
        names = [v.name for v in model.graph.input]
        for k, given in enumerate(sets):
            # What folding leaves no use for is no input to onnxruntime.
            wanted = {v.name for v in session.get_inputs()}
            feed = {n: v for n, v in zip(names, given) if n in wanted}
            want = session.run(None, feed)
            try:
                second = ReferenceEvaluator(model).run(None, dict(zip(names, given)))
                pairs = [(np.asarray(a), b) for a, b in zip(second, want)]
                if name in JOINED:
                    assert any(a.shape != b.shape for a, b in pairs), "it stacks by now"
                    pairs = [(a.reshape(b.shape), b) for a, b in pairs]
                if not all(close(a, b) for a, b in pairs):
                    unsure.append(f"{name} {k}")
            except Exception:  # The evaluator lacks some forms of Loop and Scan.
                unsure.append(f"{name} {k} (not run)")
            at = folder / f"test_data_set_{k}"
            at.mkdir()
            for kind, list_, labels in (
                ("input", given, names),
                ("output", want, [v.name for v in model.graph.output]),
            ):
                for j, (value, label) in enumerate(zip(list_, labels)):
                    proto = numpy_helper.from_array(np.asarray(value), label)
                    (at / f"{kind}_{j}.pb").write_bytes(proto.SerializeToString())
    print(f"{len(CASES)} cases; the reference evaluator differs or fails on: {unsure}")


main()
