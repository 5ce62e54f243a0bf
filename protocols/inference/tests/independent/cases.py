"""The cases: a model of every operator family, made here byte by byte."""

import os

import wire
from tensors import BOOL, F32, I32, I64, Tensor, U8, product

SPECIAL = """00000000 80000000 7f800000 ff800000 7fc00000 ffc01234 7f800001 00000001 80000001
007fffff 00800000 7f7fffff ff7fffff 3f800000 bf800000 3f7fffff 3f800001 4b000001 4affffff
3f000000 c0200000 4f000000 c1a00000 42b17218 c2cff1b5 3c7fffff 3c800001""".split()


class Noise:
    """A 64-bit linear congruential generator."""

    def __init__(self, seed):
        self.s = seed

    def __call__(self):
        self.s = (self.s * 6364136223846793005 + 1442695040888963407) % (1 << 64)
        return self.s

    def uniform(self, *shape):
        """Numbers in (−1, 1)."""
        v = [((self() >> 40) - 8388608) / 8388608 for _ in range(product(shape))]
        return Tensor.of_floats(shape, v)

    def steep(self, *shape):
        """Signs, fractions and exponents 2^−140 to 2^37 at random: order shows."""
        v = []
        for _ in range(product(shape)):
            s = self()
            v.append((s >> 63) << 31 | (s >> 40) % 164 << 23 | s >> 8 & 0x7FFFFF)
        return Tensor(F32, shape, v)

    def wild(self, *shape):
        """Special values, and any bits."""
        v = []
        for _ in range(product(shape)):
            s = self()
            any_bits = s >> 31 & 0xFFFFFFFF
            v.append(any_bits if s >> 63 else int(SPECIAL[(s >> 33) % len(SPECIAL)], 16))
        return Tensor(F32, shape, v)


def attribute(name, v):
    head = wire.blob(1, name)
    if isinstance(v, float):
        return head + wire.real(2, v) + wire.integer(20, 1)
    if isinstance(v, int):
        return head + wire.integer(3, v) + wire.integer(20, 2)
    if isinstance(v, str):
        return head + wire.blob(4, v) + wire.integer(20, 3)
    if isinstance(v, Tensor):
        return head + wire.blob(5, v.proto("")) + wire.integer(20, 4)
    return head + b"".join(wire.integer(8, x) for x in v) + wire.integer(20, 7)


def node(op, inputs, outputs, **attrs):
    data = b"".join(wire.blob(1, v) for v in inputs.split(","))
    data += b"".join(wire.blob(2, v) for v in outputs.split(",")) + wire.blob(4, op)
    return data + b"".join(wire.blob(5, attribute(n, v)) for n, v in attrs.items())


def info(name, t, symbols=None):
    dims = b""
    for i, d in enumerate(t.shape):
        symbol = symbols.get(i) if symbols else None
        dims += wire.blob(1, wire.blob(2, symbol) if symbol else wire.integer(1, d))
    tensor = wire.integer(1, t.dtype) + wire.blob(2, dims)
    return wire.blob(1, name) + wire.blob(2, wire.blob(1, tensor))


def model(nodes, inputs, outputs, weights, opset, symbols):
    graph = b"".join(wire.blob(1, n) for n in nodes)
    graph += b"".join(wire.blob(5, t.proto(n)) for n, t in weights.items())
    for i, (n, t) in enumerate(inputs.items()):
        # Named dimensions are the first input's.
        graph += wire.blob(11, info(n, t, symbols if i == 0 else None))
    graph += b"".join(wire.blob(12, wire.blob(1, n)) for n in outputs)
    return wire.integer(1, 10) + wire.blob(7, graph) + wire.blob(8, wire.integer(2, opset))


def special():
    noise = Noise(3)
    v = [int(h, 16) for h in SPECIAL] + [noise() >> 32 for _ in range(200)]
    small = noise.uniform(100)
    # ±12 too: where most functions bend.
    return Tensor.of_floats([327], [*map(_value, v), *(12 * x for x in small.floats())])


def _value(b):
    import numbers_

    return numbers_.value(b)


def longs(*v):
    return Tensor(I64, [len(v)], v)


def cases():
    """name → (nodes, inputs, outputs, weights, opset, symbols)"""
    n = Noise(1)
    out = {}

    def case(name, nodes, inputs, outputs, weights=None, opset=17, symbols=None):
        out[name] = (nodes, inputs, outputs.split(","), weights or {}, opset, symbols)

    case(
        "matmul_steep",
        [node("MatMul", "a,b", "c")],
        {"a": n.steep(3, 5, 70), "b": n.steep(70, 19)},
        "c",
        symbols={1: "m"},
    )
    case(
        "matmul_wild",
        [node("MatMul", "a,b", "c"), node("MatMul", "c,v", "d")],
        {"a": n.wild(7, 9), "b": n.wild(9, 11), "v": n.uniform(11)},
        "c,d",
    )
    case(
        "matmul_integers",
        [node("MatMul", "a,a", "b"), node("MatMul", "b,a", "c"), node("MatMul", "c,c", "d")],
        {"a": Tensor(I32, [3, 3], [n() >> 40 for _ in range(9)])},
        "d",
    )
    case(
        "gemm",
        [node("Gemm", "a,b,c", "d", alpha=0.3, beta=-1.7, transA=1, transB=1)],
        {"a": n.uniform(37, 6), "b": n.steep(7, 37), "c": n.uniform(6, 1)},
        "d",
    )
    case(
        "conv",
        [
            node("Conv", "x,w,b", "y", group=2, strides=[2, 3], dilations=[1, 2], pads=[2, 0, 1, 4]),
            node("Conv", "y,v", "z", auto_pad="SAME_LOWER", strides=[2, 2]),
        ],
        {"x": n.uniform(2, 4, 9, 17)},
        "y,z",
        {"w": n.uniform(6, 2, 3, 5), "b": n.uniform(6), "v": n.steep(3, 6, 2, 2)},
    )
    case(
        "conv_padding_meets_infinity",
        [node("Conv", "x,w", "y", pads=[1, 1])],
        {"x": n.uniform(1, 2, 8)},
        "y",
        {"w": Tensor(F32, [2, 2, 3], [0x7F800000, 0x3F800000, 0, 0x7FC00001] + [0xBF800000] * 8)},
    )
    functions = """Exp Log Tanh Sigmoid Softplus Erf Gelu Sqrt Reciprocal Floor Ceil Round LeakyRelu
        HardSigmoid HardSwish Elu Selu Celu Softsign ThresholdedRelu Mish Neg Abs Sign Relu""".split()
    for op in functions:
        case(f"{op.lower()}", [node(op, "x", "y")], {"x": special()}, "y", opset=22)
    case("gelu_tanh", [node("Gelu", "x", "y", approximate="tanh")], {"x": special()}, "y", opset=20)
    case("swish", [node("Swish", "x", "y", alpha=1.5)], {"x": special()}, "y", opset=24)
    grid = [int(h, 16) for h in SPECIAL]
    square = Tensor(F32, [len(grid), 1], grid), Tensor(F32, [len(grid)], grid)
    for op in "Add Sub Mul Div Pow Max Min Sum Mean PRelu Less Equal GreaterOrEqual".split():
        x, y = square
        if op == "PRelu":
            x = Tensor(F32, [len(grid)] * 2, [b for b in grid for _ in grid])
        case(op.lower(), [node(op, "x,y", "z")], {"x": x, "y": y}, "z")
    case("fmod", [node("Mod", "x,y", "z", fmod=1)], {"x": n.steep(50), "y": n.steep(50)}, "z")
    pairs = {"x": longs(7, -7, 7, -7, -(1 << 63)), "y": longs(3, 3, -3, -3, -1)}
    case(
        "integers",
        [
            node("Div", "x,y", "q"),
            node("Mod", "x,y", "r"),
            node("Mod", "x,y", "f", fmod=1),
            node("Mul", "x,x", "m"),
            node("Pow", "y,x", "p"),
            node("Sum", "q,r,m", "s"),
        ],
        pairs,
        "q,r,f,m,p,s",
    )
    case("division_by_zero_traps", [node("Div", "x,y", "q")], {"x": longs(1, 2), "y": longs(1, 0)}, "q")
    for width in (1, 63, 64, 200):
        x = {"x": n.steep(3, width)}
        case(
            f"reductions_{width}",
            [
                node(f"Reduce{op}", "x", op, axes=[-1])
                for op in "Mean L1 L2 SumSquare LogSum Prod Max Min".split()
            ]
            + [node("ReduceSum", "x,axes", "Sum", keepdims=0)],
            x,
            "Mean,L1,L2,SumSquare,LogSum,Prod,Max,Min,Sum",
            {"axes": longs(1)},
        )
        case(
            f"rows_{width}",
            [
                node("Softmax", "x", "s"),
                node("LogSoftmax", "x", "l"),
                node("LayerNormalization", "x,g,b", "n,mean,inverse"),
                node("ArgMax", "x", "i", axis=1),
                node("ArgMin", "x", "j", axis=0, select_last_index=1, keepdims=0),
            ],
            {"x": n.uniform(3, width)},
            "s,l,n,mean,inverse,i,j",
            {"g": n.uniform(width), "b": n.uniform(width)},
        )
    case(
        "rows_wild",
        [
            node("Softmax", "x", "s", axis=1),
            node("ReduceMax", "x", "m", axes=[0, 2]),
            node("ReduceSum", "x", "t"),
            node("ArgMax", "x", "i", axis=2, select_last_index=1),
        ],
        {"x": n.wild(2, 3, 5)},
        "s,m,t,i",
    )
    case("softmax_before_13", [node("Softmax", "x", "s", axis=1)], {"x": n.uniform(2, 3, 5)}, "s", opset=11)
    case(
        "pooling",
        [
            node("MaxPool", "x", "m,i", kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 1, 1]),
            node("AveragePool", "x", "a", kernel_shape=[3, 2], strides=[2, 3], pads=[1, 1, 1, 0]),
            node(
                "AveragePool", "x", "c", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1],
                ceil_mode=1, count_include_pad=1,
            ),
            node("GlobalAveragePool", "x", "g"),
            node("GlobalMaxPool", "x", "h"),
            node("BatchNormalization", "x,s,b,u,v", "n", epsilon=0.01),
        ],
        {"x": n.uniform(2, 3, 7, 11)},
        "m,i,a,c,g,h,n",
        {"s": n.uniform(3), "b": n.uniform(3), "u": n.uniform(3), "v": Tensor.of_floats([3], [0.5, 2.0, 9.0])},
    )
    codes = {"f": 1, "u": 2, "i": 3, "j": 6, "k": 7, "b": 9}
    case(
        "cast_from_floats",
        [node("Cast", "x", c, to=codes[c]) for c in "uijkb"],
        {"x": special()},
        "u,i,j,k,b",
    )
    edges = [0, 1, -1, 255, 256, -129, 16777217, 16777219, -(1 << 63), (1 << 63) - 1, (1 << 54) + 3]
    case(
        "cast_from_integers",
        [node("Cast", "x", c, to=codes[c]) for c in "fuijb"] + [node("CastLike", "u,like", "k")],
        {"x": longs(*edges, 0x0020000010000001, -0x0020000030000001), "like": Tensor(BOOL, [1], [1])},
        "f,u,i,j,b,k",
    )
    case(
        "choices",
        [
            node("Greater", "x,y", "g"),
            node("IsNaN", "x", "n"),
            node("Not", "n", "o"),
            node("And", "g,o", "a"),
            node("Xor", "a,n", "e"),
            node("Where", "e,x,y", "w"),
            node("Clip", "x,lo,hi", "c"),
            node("Clip", "x,,hi", "d"),
        ],
        {"x": n.wild(40), "y": n.wild(40)},
        "g,n,o,a,e,w,c,d",
        {"lo": Tensor.of_floats([], [-1.0]), "hi": Tensor(F32, [], [0x80000000])},
    )
    case(
        "movement_keeps_bits",
        [
            node("Shape", "x", "shape"),
            node("Gather", "shape,two", "last"),
            node("Concat", "last,minus", "target", axis=0),
            node("Reshape", "x,target", "r"),
            node("Transpose", "r", "t"),
            node("Concat", "t,t", "c", axis=1),
            node("Slice", "c,from,to,axes,by", "s"),
            node("Unsqueeze", "s,two", "u"),
            node("Expand", "u,three", "e"),
            node("Identity", "e", "out"),
            node("Size", "e", "size"),
        ],
        {"x": n.wild(3, 4, 5)},
        "out,size",
        {
            "two": longs(2),
            "minus": longs(-1),
            "from": longs(-1, 1),
            "to": longs(-(1 << 63), 1000),
            "axes": longs(0, 1),
            "by": longs(-2, 3),
            "three": longs(2, 1, 3),
        },
    )
    case(
        "an_output_that_is_an_input_and_one_that_is_a_constant",
        [node("Relu", "x", "y"), node("Constant", "", "k", value=n.wild(3))],
        {"x": n.uniform(2), "unused": Tensor(U8, [2], [1, 2])},
        "x,k,y",
    )
    case(
        "steps_of_several_instructions",
        [
            node("MatMul", "x,w", "a"),
            node("Add", "a,b", "c"),
            node("Relu", "c", "d"),
            node("MatMul", "d,v", "e"),
            node("Softmax", "e", "f"),
            node("ReduceMean", "f", "g", axes=[0], keepdims=0),
            node("Exp", "g", "h"),
        ],
        {"x": n.uniform(90, 8)},
        "h,g",
        {"w": n.uniform(8, 60), "b": n.uniform(60), "v": n.uniform(60, 50)},
        symbols={0: "rows"},
    )
    return out


#: The limits under which some cases run once more.
LIMITS = {
    "steps_of_several_instructions": [
        {"gas": 200000},
        {"step": 60000},
        {"step": 44000},
        {"witness": 6000},
        {"witness": 20000},
        {"memory": 1300000},
    ],
    "digits_0": [{"gas": 100000}, {"witness": 9000}, {"step": 150000}],
}


def write(root):
    for name, (nodes, inputs, outputs, weights, opset, symbols) in cases().items():
        folder = os.path.join(root, name)
        os.makedirs(os.path.join(folder, "inputs"), exist_ok=True)
        with open(os.path.join(folder, "model.onnx"), "wb") as f:
            f.write(model(nodes, inputs, outputs, weights, opset, symbols))
        for i, (n, t) in enumerate(inputs.items()):
            with open(os.path.join(folder, "inputs", f"input_{i}.pb"), "wb") as f:
                f.write(t.proto(n))
