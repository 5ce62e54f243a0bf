"""Makes the models below ../regressions again that were written by hand: the least that once
panicked, hung or took memory without a bound. Models have no inputs: what they need are constants.

Usage: python regressions.py          (needs onnx, numpy)

What the mutator of cases/fuzz.rs finds is kept there as it is, under the name of what it did.
"""

import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OUT = pathlib.Path(__file__).parent.parent / "regressions"
MOST = 2**31 - 1


def empty(*shape, kind=TensorProto.FLOAT):
    """A tensor of no elements, however long its dimensions."""
    assert 0 in shape
    return onnx.TensorProto(data_type=kind, dims=shape)


def ints(*v, shape=None):
    return numpy_helper.from_array(np.array(v, np.int64).reshape(shape or len(v)))


def floats(*shape):
    return numpy_helper.from_array(np.linspace(-1, 1, int(np.prod(shape)), dtype=np.float32).reshape(shape))


def byte(*v):
    return numpy_helper.from_array(np.array(v, np.uint8))


def scalar(v, kind):
    return numpy_helper.from_array(np.array(v, kind))


def model(name, op, inputs, opset=21, outputs=1, **attributes):
    constants = []
    for i, t in enumerate(inputs):
        if t is not None:
            t.name = f"c{i}"
            constants.append(t)
    names = [t.name if t is not None else "" for t in inputs]
    made = [f"y{i}" for i in range(outputs)]
    node = helper.make_node(op, names, made, **attributes)
    graph = helper.make_graph(
        [node], "g", [], [onnx.ValueInfoProto(name=n) for n in made], constants
    )
    whole = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    (OUT / f"{name}.onnx").write_bytes(whole.SerializeToString(deterministic=True))


OUT.mkdir(exist_ok=True)

# A scale per row of a matrix: the row's index once passed below zero.
scale, zero = scalar(0.5, np.float32), scalar(1, np.uint8)
model(
    "a_scale_per_row_of_a_quantised_product",
    "QLinearMatMul",
    [
        numpy_helper.from_array(np.arange(6, dtype=np.uint8).reshape(2, 3)),
        numpy_helper.from_array(np.array([0.5, 0.25], np.float32)),
        byte(1, 2),
        numpy_helper.from_array(np.arange(12, dtype=np.uint8).reshape(3, 4)),
        numpy_helper.from_array(np.array([0.5, 0.25, 1, 2], np.float32)),
        byte(1, 2, 3, 4),
        scale,
        zero,
    ],
)

# Empty tensors of absurd dimensions: loops over them, and lists as long as them.
model("running_sums_of_nothing", "CumSum", [empty(MOST, 0, MOST), ints(1)])
model("kept_rows_of_nothing", "Compress", [empty(MOST, 3, 0), numpy_helper.from_array(np.ones(3, bool))], axis=1)
model("distinct_slices_of_nothing", "Unique", [empty(MOST, 3, 0)], axis=1)
model("gathered_slices_of_nothing", "GatherND", [empty(0), empty(MOST, MOST, 0, kind=TensorProto.INT64)])
model(
    "scattered_slices_of_nothing",
    "ScatterND",
    [empty(0), empty(MOST, MOST, 0, kind=TensorProto.INT64), empty(MOST, MOST, 0)],
)
model("reversed_sequences_of_nothing", "ReverseSequence", [empty(MOST, 1, 0), ints(MOST)])
model("a_diagonal_of_nothing", "EyeLike", [empty(MOST, 0)])
model(
    "attention_of_nothing",
    "Attention",
    [empty(MOST, MOST, 0, 2), empty(MOST, MOST, 0, 2), empty(MOST, MOST, 0, 2)],
    opset=23,
)
model(
    "a_recurrent_layer_without_a_hidden_size",
    "LSTM",
    [empty(1, MOST, 0), empty(1, 0, 0), empty(1, 0, 0)],
)
# Steps of such tensors that are beyond an isize.
model("parts_of_nothing", "Split", [empty(0, MOST, MOST, MOST, MOST)], opset=18, outputs=2, axis=1, num_outputs=2)
model("a_window_into_nothing", "Slice", [empty(0, MOST, MOST, MOST, MOST), ints(5), ints(9), ints(1), ints(2)])
model("the_centre_of_nothing", "CenterCropPad", [empty(0, MOST, MOST, MOST, MOST), ints(3)], axes=[1])
model("blocks_of_nothing", "SpaceToDepth", [empty(0, MOST, MOST - 1, MOST - 1)], blocksize=2)
print(len(list(OUT.glob("*.onnx"))), "models")
