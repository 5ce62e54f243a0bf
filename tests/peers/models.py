# Makes the models that no package holds ready: see README.md.
#   python3 models.py minilm MODEL.safetensors DIR
#   python3 models.py resnet LIGHT_RESNET50.onnx DIR
import json, struct, sys
import numpy as np, onnx
from onnx import helper as h, numpy_helper as nh


def minilm(path, folder, tokens):
    raw = open(path, "rb").read()
    size = struct.unpack("<Q", raw[:8])[0]
    head, base = json.loads(raw[8:8 + size]), 8 + size
    types = {"F32": np.float32, "I64": np.int64, "F16": np.float16}
    weights = {}
    for key, v in head.items():
        if key != "__metadata__":
            start, end = v["data_offsets"]
            weights[key] = np.frombuffer(raw[base + start:base + end], types[v["dtype"]]).reshape(v["shape"])
    prefix = "" if "embeddings.word_embeddings.weight" in weights else "bert."
    get = lambda key: weights[prefix + key].astype(np.float32)
    constants, nodes = [], []
    hidden, heads, width = 384, 12, 32

    def const(name, a):
        constants.append(nh.from_array(np.ascontiguousarray(a), name))
        return name

    def op(kind, inputs, out, **attributes):
        nodes.append(h.make_node(kind, inputs, [out], **attributes))
        return out

    def norm(x, key, out):
        scale, bias = const(key + ".w", get(key + ".weight")), const(key + ".b", get(key + ".bias"))
        return op("LayerNormalization", [x, scale, bias], out, axis=-1, epsilon=1e-12)

    def linear(x, key, out):
        product = op("MatMul", [x, const(key + ".w", get(key + ".weight").T)], out + "_m")
        return op("Add", [product, const(key + ".b", get(key + ".bias"))], out)

    words = const("words", get("embeddings.word_embeddings.weight"))
    position = get("embeddings.position_embeddings.weight")[:tokens] + get("embeddings.token_type_embeddings.weight")[0]
    op("Gather", [words, "ids"], "e0")
    op("Add", ["e0", const("position", position[None])], "e1")
    x = norm("e1", "embeddings.LayerNorm", "x0")
    const("split", np.array([1, tokens, heads, width], np.int64))
    const("join", np.array([1, tokens, hidden], np.int64))
    for name, value in [("scale", 1 / np.sqrt(width)), ("half", 0.5), ("one", 1), ("root", np.sqrt(2))]:
        const(name, np.array(value, np.float32))
    for layer in range(6):
        key, n = f"encoder.layer.{layer}.", lambda s: f"{layer}{s}"
        q, k, v = (linear(x, key + f"attention.self.{t}", n(t)) for t in ("query", "key", "value"))
        turned = []
        for name, t, order in [("q", q, [0, 2, 1, 3]), ("k", k, [0, 2, 3, 1]), ("v", v, [0, 2, 1, 3])]:
            turned.append(op("Transpose", [op("Reshape", [t, "split"], n(name + "1"))], n(name + "2"), perm=order))
        scores = op("Mul", [op("MatMul", turned[:2], n("qk")), "scale"], n("qs"))
        mixed = op("MatMul", [op("Softmax", [scores], n("p"), axis=-1), turned[2]], n("av"))
        mixed = op("Reshape", [op("Transpose", [mixed], n("ot"), perm=[0, 2, 1, 3]), "join"], n("or"))
        o = linear(mixed, key + "attention.output.dense", n("o"))
        x = norm(op("Add", [o, x], n("r")), key + "attention.output.LayerNorm", n("n"))
        f = linear(x, key + "intermediate.dense", n("f"))
        e = op("Erf", [op("Div", [f, "root"], n("fd"))], n("fe"))
        gelu = op("Mul", [op("Mul", [f, op("Add", [e, "one"], n("f1"))], n("f2")), "half"], n("g"))
        x = norm(op("Add", [linear(gelu, key + "output.dense", n("h")), x], n("r2")), key + "output.LayerNorm", n("y"))
    op("ReduceMean", [x, const("axis", np.array([1], np.int64))], "y", keepdims=0)
    inputs = [h.make_tensor_value_info("ids", 7, [1, tokens])]
    graph = h.make_graph(nodes, "minilm", inputs, [h.make_tensor_value_info("y", 1, [1, hidden])], constants)
    model = h.make_model(graph, opset_imports=[h.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, f"{folder}/minilm{tokens}.onnx")


def resnet(path, folder):
    model = onnx.load(path)
    g = model.graph
    given = {i.name: i for i in g.initializer}
    rng = np.random.default_rng(1)
    kept, made, shapes = [], [], set()
    for n in g.node:
        if n.op_type != "ConstantOfShape":
            kept.append(n)
            continue
        shape = nh.to_array(given[n.input[0]])
        shapes.add(n.input[0])
        a = rng.standard_normal(shape).astype(np.float32)
        if len(shape) > 1:
            a /= np.float32(np.sqrt(np.prod(shape[1:])))
        elif n.output[0].endswith(("_riv_0", "_s_0")):
            a = np.abs(a) * np.float32(0.5) + np.float32(0.5)
        else:
            a *= np.float32(0.1)
        made.append(nh.from_array(a, n.output[0]))
    old = [i for i in g.initializer if i.name not in shapes]
    inputs = [i for i in g.input if i.name not in shapes]
    for field, items in [(g.node, kept), (g.initializer, old + made), (g.input, inputs)]:
        del field[:]
        field.extend(items)
    onnx.save(model, f"{folder}/resnet50_made.onnx")


if __name__ == "__main__":
    what, path, folder = sys.argv[1:]
    if what == "minilm":
        minilm(path, folder, 8)
        minilm(path, folder, 64)
    else:
        resnet(path, folder)
