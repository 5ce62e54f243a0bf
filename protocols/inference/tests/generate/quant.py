"""Makes the cases of quantised operators below ../generated/quant, in the ONNX backend layout.

Usage: python quant.py          (needs onnx, onnxruntime, numpy)

What is expected comes from onnxruntime; the reference evaluator of the onnx package must agree
wherever it can run the model. Names of cases say what is particular.
"""

import pathlib
import shutil

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

OUT = pathlib.Path(__file__).parent.parent / "generated" / "quant"
RNG = np.random.default_rng(6)
S8, U8, F, I32 = np.int8, np.uint8, np.float32, np.int32


def some(dtype, *shape):
    """Bytes of a fixed seed, the extreme ones among them."""
    info = np.iinfo(dtype)
    v = RNG.integers(info.min, info.max + 1, shape, dtype=np.int64)
    flat = v.reshape(-1)
    flat[: min(2, flat.size)] = [info.min, info.max][: flat.size]
    return v.astype(dtype)


def case(name, op, inputs, outputs, opset=21, agree=True, **attributes):
    """One node; absent inputs are None."""
    names = ["" if x is None else f"x{i}" for i, x in enumerate(inputs)]
    given = {n: x for n, x in zip(names, inputs) if n}
    outs = [f"y{i}" for i in range(len(outputs))]
    code = helper.np_dtype_to_tensor_dtype
    graph = helper.make_graph(
        [helper.make_node(op, names, outs, **attributes)],
        name,
        [helper.make_tensor_value_info(n, code(x.dtype), x.shape) for n, x in given.items()],
        [helper.make_tensor_value_info(n, t, None) for n, t in zip(outs, outputs)],
    )
    imports = [helper.make_opsetid("", opset)]
    model = helper.make_model(graph, opset_imports=imports, ir_version=10)
    want = onnxruntime.InferenceSession(model.SerializeToString()).run(None, given)
    if agree:
        for a, b in zip(want, ReferenceEvaluator(model).run(None, given)):
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=0, err_msg=name)
    folder = OUT / name
    data = folder / "test_data_set_0"
    data.mkdir(parents=True)
    onnx.save(model, folder / "model.onnx")
    for kind, values in (("input", given.items()), ("output", zip(outs, want))):
        for i, (n, x) in enumerate(values):
            (data / f"{kind}_{i}.pb").write_bytes(
                numpy_helper.from_array(np.asarray(x), n).SerializeToString()
            )


def scalar(dtype, v):
    return np.array(v, dtype)


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    i32, u8, s8, f32 = (TensorProto.INT32, TensorProto.UINT8, TensorProto.INT8, TensorProto.FLOAT)
    for a, b in ((U8, U8), (U8, S8), (S8, S8)):
        kind = f"{np.dtype(a).name}_{np.dtype(b).name}"
        x, y = some(a, 5, 37), some(b, 37, 41)
        za, zb = scalar(a, 7), scalar(b, 3)
        case(f"matmulinteger_{kind}", "MatMulInteger", [x, y, za, zb], [i32])
        case(f"matmulinteger_{kind}_without_zeros", "MatMulInteger", [x, y], [i32])
    x, y = some(U8, 3, 1, 4, 9), some(S8, 2, 9, 33)
    case("matmulinteger_batches_broadcast", "MatMulInteger", [x, y, scalar(U8, 255), scalar(S8, -128)], [i32])
    case("matmulinteger_zero_per_column", "MatMulInteger", [some(U8, 6, 11), some(S8, 11, 8), scalar(U8, 128), some(S8, 8)], [i32])
    case("matmulinteger_one_row", "MatMulInteger", [some(U8, 1, 300), some(S8, 300, 70), scalar(U8, 1), None], [i32])
    case("matmulinteger_extremes", "MatMulInteger", [np.zeros((2, 500), U8), np.full((500, 3), 127, S8), scalar(U8, 255), scalar(S8, -128)], [i32])

    def conv(name, op, x, w, rest, out, **attributes):
        case(name, op, [x, w, *rest] if op == "ConvInteger" else rest, out, **attributes)

    x, w = some(U8, 2, 4, 9, 11), some(U8, 6, 4, 3, 3)
    zeros = [scalar(U8, 120), scalar(U8, 9)]
    conv("convinteger", "ConvInteger", x, w, zeros, [i32])
    conv("convinteger_padded_with_the_zero_point", "ConvInteger", x, w, zeros, [i32], pads=[1, 2, 0, 1])
    conv("convinteger_strides_dilations", "ConvInteger", x, w, zeros, [i32], strides=[2, 3], dilations=[2, 1], pads=[2, 1, 2, 1])
    conv("convinteger_groups", "ConvInteger", x, some(U8, 6, 2, 3, 3), zeros, [i32], group=2)
    conv("convinteger_same_upper", "ConvInteger", x, w, zeros, [i32], auto_pad="SAME_UPPER", strides=[2, 2])
    conv("convinteger_1d", "ConvInteger", some(U8, 1, 3, 20), some(U8, 5, 3, 4), [scalar(U8, 3)], [i32], agree=False)
    for xt, wt in ((U8, U8), (U8, S8), (S8, S8)):
        kind = f"{np.dtype(xt).name}_{np.dtype(wt).name}"
        x, w = some(xt, 2, 4, 8, 9), some(wt, 6, 4, 3, 3)
        wz = scalar(wt, 0 if wt == S8 else 100)
        given = [x, scalar(F, 0.03), scalar(xt, 5), w, scalar(F, 0.02), wz, scalar(F, 0.9), scalar(xt, 17)]
        out = [u8 if xt == U8 else s8]
        # The reference evaluator rounds in another place: at most an element may differ.
        case(f"qlinearconv_{kind}", "QLinearConv", given, out, agree=False)
        bias = RNG.integers(-20000, 20000, 6).astype(I32)
        case(f"qlinearconv_{kind}_bias_pads", "QLinearConv", [*given, bias], out, agree=False, pads=[1, 1, 1, 1], strides=[2, 1])
    given = [some(U8, 1, 6, 7, 7), scalar(F, 0.05), scalar(U8, 128), some(S8, 6, 1, 3, 3), RNG.uniform(0.01, 0.2, 6).astype(F), np.zeros(6, S8), scalar(F, 0.4), scalar(U8, 100)]
    case("qlinearconv_depthwise_scale_per_channel", "QLinearConv", given, [u8], agree=False, group=6, pads=[1, 1, 1, 1])
    for t in (U8, S8):
        kind, out = np.dtype(t).name, [u8 if t == U8 else s8]
        z = scalar(t, 3)
        given = [some(t, 7, 19), scalar(F, 0.0066), z, some(t, 19, 35), scalar(F, 0.00705), z, scalar(F, 0.05), z]
        case(f"qlinearmatmul_{kind}", "QLinearMatMul", given, out, agree=False)
        case(f"qlinearmatmul_{kind}_saturates", "QLinearMatMul", [*given[:6], scalar(F, 0.001), z], out, agree=False)
    ties = np.array([0.5, 1.5, 2.5, -0.5, -1.5, 1e9, -1e9, np.inf, -np.inf, 127.5, 254.5, 255.5], F)
    for t, tensor in ((U8, u8), (S8, s8), (np.int16, TensorProto.INT16), (np.uint16, TensorProto.UINT16)):
        kind = np.dtype(t).name
        case(f"quantizelinear_ties_{kind}", "QuantizeLinear", [ties, scalar(F, 1.0), scalar(t, 1)], [tensor], agree=False)
        case(f"dequantizelinear_{kind}", "DequantizeLinear", [some(t, 3, 5), scalar(F, 0.37), scalar(t, 11)], [f32])
    case("dequantizelinear_int32", "DequantizeLinear", [some(I32, 9), scalar(F, 1e-3)], [f32])
    x = RNG.uniform(-4, 4, (2, 3, 4)).astype(F)
    case("quantizelinear_axis_0", "QuantizeLinear", [x, np.array([0.1, 0.03], F), np.array([3, 250], U8)], [u8], axis=0)
    case("quantizelinear_blocked", "QuantizeLinear", [x, RNG.uniform(0.01, 0.1, (2, 3, 2)).astype(F), some(S8, 2, 3, 2)], [s8], axis=2, block_size=2)
    case("dequantizelinear_axis_last", "DequantizeLinear", [some(S8, 2, 3, 4), RNG.uniform(0.01, 1, 4).astype(F), some(S8, 4)], [f32], axis=-1)
    case("dequantizelinear_blocked", "DequantizeLinear", [some(U8, 6, 5), RNG.uniform(0.01, 1, (3, 5)).astype(F), some(U8, 3, 5)], [f32], axis=0, block_size=2)
    for name, x in (("mixed", RNG.uniform(-3, 9, 40)), ("positive", RNG.uniform(1, 9, 40)), ("negative", RNG.uniform(-9, -1, 40))):
        case(f"dynamicquantizelinear_{name}", "DynamicQuantizeLinear", [x.astype(F)], [u8, f32, u8], agree=False)


main()
