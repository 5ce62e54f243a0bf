"""SPEC.md sections 2, 4 and 10: what the operators of our cases compute and cost.

`run(instruction, inputs)` plans: it gives the outputs' (dtype, shape), the gas
beyond the constant part, and a function that computes the outputs.
"""

import math
from itertools import product as indices

import numbers_ as N
from tensors import BOOL, F32, I64, Tensor, product, size, wrap

#: Inputs of which only the description matters.
UNREAD = {"Shape": (0,), "Size": (0,), "CastLike": (1,), "Dropout": (1,)}


class Trap(Exception):
    pass


def strides(shape):
    out, step = [], 1
    for d in reversed(shape):
        out.append(step)
        step *= d
    return out[::-1]


def broadcast(*shapes):
    rank = max(map(len, shapes))
    out = []
    for dims in zip(*([1] * (rank - len(s)) + list(s) for s in shapes)):
        big = [d for d in dims if d != 1]
        if any(d != big[0] for d in big):
            raise Trap
        out.append(big[0] if big else 1)
    return out


def offsets(shape, out):
    """For each index of `out`, row-major, the element of a tensor of `shape`."""
    own = [0] * (len(out) - len(shape)) + [s if d != 1 else 0 for s, d in zip(strides(shape), shape)]
    return [sum(i * s for i, s in zip(index, own)) for index in indices(*map(range, out))]


def axis(a, rank):
    a = a + rank if a < 0 else a
    if not 0 <= a < rank:
        raise Trap
    return a


def plain(t):
    """Values to compute with."""
    return t.floats() if t.dtype == F32 else t.data


def made(dtype, shape, data):
    return Tensor.of_floats(shape, data) if dtype == F32 else Tensor(dtype, shape, data)


# Elementwise.


def truncated(a, b):
    q = abs(a) // abs(b)
    return q if (a < 0) == (b < 0) else -q


def modulo(i):
    def integers(a, b):
        r = a - truncated(a, b) * b
        return r + b if r and (r < 0) != (b < 0) and not i.attr("fmod", 0) else r

    return integers


def integer_power(x, y):
    if y >= 0:
        return x**y
    return 1 if x == 1 else (1 if y % 2 == 0 else -1) if x == -1 else 0


BINARY = {
    "Add": (1, N.add, lambda a, b: a + b),
    "Sub": (1, N.sub, lambda a, b: a - b),
    "Mul": (1, N.mul, lambda a, b: a * b),
    "Div": (4, N.div, truncated),
    "PRelu": (1, lambda x, s: N.mul(x, s) if x < 0 else x, lambda x, s: x * s if x < 0 else x),
    "Mod": (4, lambda a, b: N.NAN if b == 0 or abs(a) == N.INF else N.f32(math.fmod(a, b)), None),
    "Pow": (24, N.power, integer_power),
}


def binary(i, ins):
    a, b = ins
    weight, floats, integers = BINARY[i.name]
    if i.name == "Mod":
        integers = modulo(i)
    shape = broadcast(a.shape, b.shape)

    def compute():
        x, y = plain(a), plain(b)
        pairs = zip(offsets(a.shape, shape), offsets(b.shape, shape))
        if a.dtype == F32:
            y = [N.f32(v) for v in y]
            return [made(F32, shape, [floats(x[j], y[k]) for j, k in pairs])]
        if i.name in ("Div", "Mod") and 0 in y:
            raise Trap
        return [made(a.dtype, shape, [wrap(a.dtype, integers(x[j], y[k])) for j, k in pairs])]

    return [(a.dtype, shape)], weight * product(shape), compute


FOLD = {"Max": N.maximum, "Min": N.minimum, "Sum": N.add, "Mean": N.add}


def variadic(i, ins):
    shape = broadcast(*(t.shape for t in ins))

    def compute():
        acc, at = plain(ins[0]), ins[0].shape
        for t in ins[1:]:
            both, y = broadcast(at, t.shape), plain(t)
            pairs = zip(offsets(at, both), offsets(t.shape, both))
            if t.dtype == F32:
                acc = [FOLD[i.name](acc[j], y[k]) for j, k in pairs]
            else:
                f = {"Max": max, "Min": min}.get(i.name, lambda a, b: wrap(t.dtype, a + b))
                acc = [f(acc[j], y[k]) for j, k in pairs]
            at = both
        if i.name == "Mean":
            acc = [N.div(x, float(len(ins))) for x in acc]
        return [made(ins[0].dtype, shape, acc)]

    return [(ins[0].dtype, shape)], product(shape) * len(ins), compute


def sign(x):
    return x if x != x else 1.0 if x > 0 else -1.0 if x < 0 else 0.0


def rounded(f):
    def g(x):
        return x if x - x != 0 else math.copysign(float(f(x)), x)

    return g


def celu(x, a):
    return N.add(N.maximum(0.0, x), N.minimum(0.0, N.mul(a, N.expm1(N.div(x, a)))))


def clamp01(x):
    return N.maximum(0.0, N.minimum(1.0, x))


UNARY = {
    "Neg": (1, lambda x, i: -x),
    "Abs": (1, lambda x, i: abs(x)),
    "Sign": (1, lambda x, i: sign(x)),
    "Relu": (1, lambda x, i: N.maximum(x, 0.0)),
    "Sqrt": (4, lambda x, i: N.sqrt(x)),
    "Reciprocal": (4, lambda x, i: N.div(1.0, x)),
    "Floor": (1, lambda x, i: rounded(math.floor)(x)),
    "Ceil": (1, lambda x, i: rounded(math.ceil)(x)),
    "Round": (1, lambda x, i: rounded(round)(x)),
    "Exp": (8, lambda x, i: N.exp(x)),
    "Log": (8, lambda x, i: N.log(x)),
    "Tanh": (8, lambda x, i: N.tanh(x)),
    "Sigmoid": (8, lambda x, i: N.sigmoid(x)),
    "Softplus": (8, lambda x, i: N.softplus(x)),
    "Erf": (8, lambda x, i: N.erf(x)),
    "Gelu": (8, lambda x, i: N.gelu_tanh(x) if i.attr("approximate") == b"tanh" else N.gelu(x)),
    "LeakyRelu": (1, lambda x, i: N.mul(i.attr("alpha", N.f32(0.01)), x) if x < 0 else x),
    "HardSigmoid": (
        1,
        lambda x, i: clamp01(
            N.add(N.mul(i.attr("alpha", N.f32(0.2)), x), i.attr("beta", 0.5))
        ),
    ),
    "HardSwish": (1, lambda x, i: N.mul(x, clamp01(N.add(N.div(x, 6.0), 0.5)))),
    "Elu": (8, lambda x, i: N.mul(i.attr("alpha", 1.0), N.expm1(x)) if x < 0 else x),
    "Selu": (
        8,
        lambda x, i: N.mul(float.fromhex("0x1.0cfabep+0"), x)
        if x > 0
        else N.mul(
            float.fromhex("0x1.0cfabep+0"), N.mul(float.fromhex("0x1.ac5afap+0"), N.expm1(x))
        ),
    ),
    "Celu": (8, lambda x, i: celu(x, i.attr("alpha", 1.0))),
    "Softsign": (4, lambda x, i: N.div(x, N.add(1.0, abs(x)))),
    "ThresholdedRelu": (1, lambda x, i: x if x > i.attr("alpha", 1.0) or x != x else 0.0),
    "Swish": (8, lambda x, i: N.mul(x, N.sigmoid(N.mul(i.attr("alpha", 1.0), x)))),
    "Mish": (16, lambda x, i: N.mul(x, N.tanh(N.softplus(x)))),
}


def unary(i, ins):
    (x,) = ins
    weight, f = UNARY[i.name]
    n = product(x.shape)
    return [(F32, x.shape)], weight * n, lambda: [made(F32, x.shape, [f(v, i) for v in x.floats()])]


def clip(i, ins):
    x = ins[0]

    def compute():
        v = x.floats()
        for place, f in ((1, N.maximum), (2, N.minimum)):
            if len(ins) > place and ins[place] is not None:
                bound = ins[place].floats()[0]
                v = [f(e, bound) for e in v]
        return [made(F32, x.shape, v)]

    return [(F32, x.shape)], product(x.shape), compute


COMPARE = {
    "Equal": lambda a, b: a == b,
    "Less": lambda a, b: a < b,
    "LessOrEqual": lambda a, b: a <= b,
    "Greater": lambda a, b: a > b,
    "GreaterOrEqual": lambda a, b: a >= b,
    "And": lambda a, b: a & b,
    "Or": lambda a, b: a | b,
    "Xor": lambda a, b: a ^ b,
}


def compare(i, ins):
    a, b = ins
    shape = broadcast(a.shape, b.shape)

    def compute():
        x, y = plain(a), plain(b)
        pairs = zip(offsets(a.shape, shape), offsets(b.shape, shape))
        return [Tensor(BOOL, shape, [int(COMPARE[i.name](x[j], y[k])) for j, k in pairs])]

    return [(BOOL, shape)], product(shape), compute


def to_bool(i, ins):
    (x,) = ins
    f = (lambda v: int(v != v)) if i.name == "IsNaN" else (lambda v: 1 - v)
    return [(BOOL, x.shape)], product(x.shape), lambda: [
        Tensor(BOOL, x.shape, [f(v) for v in plain(x)])
    ]


def where(i, ins):
    c, x, y = ins
    shape = broadcast(c.shape, x.shape, y.shape)

    def compute():
        at = zip(*(offsets(t.shape, shape) for t in ins))
        data = [x.data[k] if c.data[j] else y.data[l] for j, k, l in at]
        return [Tensor(x.dtype, shape, data)]

    return [(x.dtype, shape)], product(shape), compute


def convert(v, source, to):
    if to == BOOL:
        return int(v != 0)
    if to == F32:
        # Integers of up to 64 bits: one rounding, so not by way of f64.
        return N.f32(v) if source == F32 or abs(v) < 1 << 53 else N.nearest(N.Fraction(v))
    if source == F32:
        low, high = {2: (0, 255), 3: (-128, 127)}.get(to, (-(1 << 31), (1 << 31) - 1))
        if to == I64:
            low, high = -(1 << 63), (1 << 63) - 1
        if v != v:
            return 0
        return high if v >= high else low if v <= low else int(v)
    return wrap(to, v)


def cast(i, ins):
    x = ins[0]
    to = i.attr("to") if i.name == "Cast" else ins[1].dtype

    def compute():
        if to == x.dtype:
            return [x]
        return [made(to, x.shape, [convert(v, x.dtype, to) for v in plain(x)])]

    return [(to, x.shape)], product(x.shape), compute


# Products and windows.


def matmul(i, ins):
    a, b = ins
    sa = a.shape if len(a.shape) > 1 else [1] + a.shape
    sb = b.shape if len(b.shape) > 1 else b.shape + [1]
    (m, k), (kb, n) = sa[-2:], sb[-2:]
    if k != kb:
        raise Trap
    batch = broadcast(sa[:-2], sb[:-2])
    shape = batch + ([m] if len(a.shape) > 1 else []) + ([n] if len(b.shape) > 1 else [])

    def compute():
        x, y, out = plain(a), plain(b), []
        for p, q in zip(offsets(sa[:-2], batch), offsets(sb[:-2], batch)):
            p, q = p * m * k, q * k * n
            for r in range(m):
                row = x[p + r * k : p + r * k + k]
                for c in range(n):
                    column = y[q + c : q + k * n : n] if k else []
                    if a.dtype == F32:
                        out.append(N.chain(row, column))
                    else:
                        out.append(wrap(a.dtype, sum(u * v for u, v in zip(row, column))))
        return [made(a.dtype, shape, out)]

    return [(a.dtype, shape)], product(shape) * (k + 1), compute


def gemm(i, ins):
    a, b = ins[:2]
    ta, tb = i.attr("transA", 0), i.attr("transB", 0)
    alpha, beta = i.attr("alpha", 1.0), i.attr("beta", 1.0)
    (m, k), (kb, n) = (s.shape[::-1] if t else s.shape for s, t in ((a, ta), (b, tb)))
    if k != kb:
        raise Trap

    def compute():
        x, y = a.floats(), b.floats()
        rows = [x[r::m] if ta else x[r * k : r * k + k] for r in range(m)]
        columns = [y[c * k : c * k + k] if tb else y[c::n] for c in range(n)]
        v = [N.chain(r, c) for r in rows for c in columns]
        if alpha != 1:
            v = [N.mul(alpha, e) for e in v]
        if len(ins) > 2:
            c = ins[2].floats()
            at = offsets(ins[2].shape, [m, n])
            v = [N.add(e, N.mul(beta, c[j])) for e, j in zip(v, at)]
        return [made(F32, [m, n], v)]

    return [(F32, [m, n])], m * n * (k + 3), compute


class Windows:
    """The taps of each output, per spatial dimension: (tap, source or None)."""

    def __init__(self, i, spatial, kernel):
        rank = len(spatial)
        self.kernel = kernel
        stride = i.attr("strides", [1] * rank)
        dilation = i.attr("dilations", [1] * rank)
        pads = i.attr("pads", [0] * 2 * rank)
        mode = i.attr("auto_pad", b"NOTSET")
        self.out, self.taps, self.padded = [], [], []
        for d in range(rank):
            extent = (kernel[d] - 1) * dilation[d] + 1
            before, after = pads[d], pads[rank + d]
            if mode == b"VALID":
                before = after = 0
            if mode in (b"SAME_UPPER", b"SAME_LOWER"):
                out = -(-spatial[d] // stride[d])
                total = max(0, (out - 1) * stride[d] + extent - spatial[d])
                before = total // 2 if mode == b"SAME_UPPER" else total - total // 2
                after = total - before
            else:
                room = spatial[d] + before + after - extent
                if room < 0:
                    raise Trap
                ceil = i.attr("ceil_mode", 0)
                out = (-(-room // stride[d]) if ceil else room // stride[d]) + 1
                if ceil and (out - 1) * stride[d] >= spatial[d] + before:
                    out -= 1
            self.out.append(out)
            taps, padded = [], []
            for o in range(out):
                at = [o * stride[d] + k * dilation[d] for k in range(kernel[d])]
                taps.append([p - before if 0 <= p - before < spatial[d] else None for p in at])
                padded.append(sum(p < before + spatial[d] + after for p in at))
            self.taps.append(taps)
            self.padded.append(padded)
        self.own = strides(spatial)

    def each(self):
        """Per output: the elements under the window, row-major, None in padding."""
        for o in indices(*map(range, self.out)):
            window = indices(*(self.taps[d][k] for d, k in enumerate(o)))
            yield [
                None if None in p else sum(x * s for x, s in zip(p, self.own)) for p in window
            ]

    def counts(self):
        for o in indices(*map(range, self.out)):
            yield product([self.padded[d][k] for d, k in enumerate(o)])


def conv(i, ins):
    x, w = ins[:2]
    (batch, cin, *spatial), (maps, channels, *kernel) = x.shape, w.shape
    group = i.attr("group", 1)
    if channels * group != cin or maps % group:
        raise Trap
    windows = Windows(i, spatial, kernel)
    shape = [batch, maps] + windows.out
    taps = product(kernel)

    def compute():
        a, b, area, out = x.floats(), w.floats(), product(spatial), []
        bias = ins[2].floats() if len(ins) > 2 else None
        each = list(windows.each())
        for n in range(batch):
            for m in range(maps):
                first = n * cin + m // (maps // group) * channels
                weights = b[m * channels * taps : (m + 1) * channels * taps]
                for window in each:
                    under = [
                        0.0 if p is None else a[(first + c) * area + p]
                        for c in range(channels)
                        for p in window
                    ]
                    v = N.chain(under, weights)
                    out.append(v if bias is None else N.add(v, bias[m]))
        return [made(F32, shape, out)]

    return [(F32, shape)], product(shape) * (channels * taps + 2), compute


def pool(i, ins):
    (x,) = ins
    batch, channels, *spatial = x.shape
    kernel = i.attr("kernel_shape")
    windows = Windows(i, spatial, kernel)
    shape = [batch, channels] + windows.out
    greatest = i.name == "MaxPool"
    planned = [(x.dtype, shape)] + [(I64, shape)] * (len(i.outputs) - 1)

    def compute():
        a, area, out, where = plain(x), product(spatial), [], []
        padded = list(windows.counts()) if i.attr("count_include_pad", 0) else None
        for plane in range(batch * channels):
            for o, window in enumerate(windows.each()):
                taps = [p for p in window if p is not None]
                values = [a[plane * area + p] for p in taps]
                if greatest:
                    m, best = -N.INF, None
                    for p, v in zip(taps, values):
                        if best is None or v > m or (v != v and m == m):
                            best = p
                        m = N.maximum(m, v)
                    out.append(m)
                    where.append(plane * area + (best or 0))
                else:
                    total = 0.0
                    for v in values:
                        total = N.add(total, v)
                    count = padded[o] if padded else len(taps)
                    out.append(N.div(total, float(count)))
        results = [made(x.dtype, shape, out), Tensor(I64, shape, where) if greatest else None]
        return results[: len(i.outputs)]

    per = product(kernel) + (0 if greatest else 4)
    return planned, product(shape) * per, compute


def global_pool(i, ins):
    (x,) = ins
    planes, area = product(x.shape[:2]), product(x.shape[2:])
    shape = x.shape[:2] + [1] * (len(x.shape) - 2)

    def compute():
        v = x.floats()
        rows = [v[p * area : p * area + area] for p in range(planes)]
        if i.name == "GlobalAveragePool":
            return [made(F32, shape, [N.div(N.tree(r), float(area)) for r in rows])]
        return [made(F32, shape, [extreme(r, N.maximum, -N.INF) for r in rows])]

    return [(F32, shape)], len(x.data) + 4 * planes, compute


# Rows.


def extreme(row, f, start):
    for x in row:
        start = f(start, x)
    return start


def rows_of(x, mask):
    """The rows over the masked axes, in order of the others."""
    own = strides(x.shape)
    kept = [range(d) for d, m in zip(x.shape, mask) if not m]
    gone = [range(d) for d, m in zip(x.shape, mask) if m]
    sk = [s for s, m in zip(own, mask) if not m]
    sg = [s for s, m in zip(own, mask) if m]
    inner = [sum(a * b for a, b in zip(q, sg)) for q in indices(*gone)]
    for p in indices(*kept):
        base = sum(a * b for a, b in zip(p, sk))
        yield [base + j for j in inner]


def reduced(shape, mask, keep):
    return [1 if m else d for d, m in zip(shape, mask) if keep or not m]


REDUCE = {
    "ReduceSum": N.tree,
    "ReduceMean": lambda r: N.div(N.tree(r), float(len(r))),
    "ReduceL1": lambda r: N.tree(map(abs, r)),
    "ReduceL2": lambda r: N.sqrt(N.tree(N.mul(x, x) for x in r)),
    "ReduceSumSquare": lambda r: N.tree(N.mul(x, x) for x in r),
    "ReduceLogSum": lambda r: N.log(N.tree(r)),
    "ReduceProd": lambda r: extreme(r, N.mul, 1.0),
    "ReduceMax": lambda r: extreme(r, N.maximum, -N.INF),
    "ReduceMin": lambda r: extreme(r, N.minimum, N.INF),
}


def reduction(i, ins):
    x = ins[0]
    axes = ins[1].data if len(ins) > 1 else i.attr("axes")
    if not axes and i.attr("noop_with_empty_axes", 0):
        return [(x.dtype, x.shape)], 2 * len(x.data), lambda: [x]
    rank = len(x.shape)
    chosen = [axis(a, rank) for a in axes] if axes else range(rank)
    mask = [d in chosen for d in range(rank)]
    shape = reduced(x.shape, mask, i.attr("keepdims", 1))

    def compute():
        v = plain(x)
        rows = [[v[j] for j in r] for r in rows_of(x, mask)]
        if x.dtype == F32:
            return [made(F32, shape, [REDUCE[i.name](r) for r in rows])]
        assert i.name == "ReduceSum"
        return [made(x.dtype, shape, [wrap(x.dtype, sum(r)) for r in rows])]

    return [(x.dtype, shape)], 2 * len(x.data) + 8 * product(shape), compute


def arg(i, ins):
    (x,) = ins
    a = axis(i.attr("axis", 0), len(x.shape))
    mask = [d == a for d in range(len(x.shape))]
    shape = reduced(x.shape, mask, i.attr("keepdims", 1))
    last = i.attr("select_last_index", 0)

    def key(v):
        return (1, 0) if v != v else (0, -v if i.name == "ArgMin" else v)

    def compute():
        v, out = plain(x), []
        for r in rows_of(x, mask):
            keys = [key(v[j]) for j in r]
            best = max(keys)
            out.append(len(keys) - 1 - keys[::-1].index(best) if last else keys.index(best))
        return [Tensor(I64, shape, out)]

    return [(I64, shape)], 2 * len(x.data), compute


def softmax(i, ins):
    (x,) = ins
    rank = len(x.shape)
    flat = i.version < 13
    a = axis(i.attr("axis", 1 if flat else -1), rank)
    mask = [d >= a if flat else d == a for d in range(rank)]

    def compute():
        v, out = x.floats(), [0.0] * len(x.data)
        for r in rows_of(x, mask):
            row = [v[j] for j in r]
            m = extreme(row, N.maximum, -N.INF)
            d = [N.sub(e, m) for e in row]
            s = N.tree(map(N.exp, d))
            for j, e in zip(r, d):
                out[j] = N.sub(e, N.log(s)) if i.name == "LogSoftmax" else N.div(N.exp(e), s)
        return [made(F32, x.shape, out)]

    return [(F32, x.shape)], 15 * len(x.data), compute


def layer_norm(i, ins):
    x = ins[0]
    a = axis(i.attr("axis", -1), len(x.shape))
    rows, width = product(x.shape[:a]), product(x.shape[a:])
    stat = x.shape[:a] + [1] * (len(x.shape) - a)
    epsilon = i.attr("epsilon", N.f32(1e-5))

    def compute():
        v, out, means, inverses = x.floats(), [], [], []
        for r in range(rows):
            row = v[r * width : r * width + width]
            mean = N.div(N.tree(row), float(width))
            d = [N.sub(e, mean) for e in row]
            var = N.div(N.tree(N.mul(e, e) for e in d), float(width))
            inverse = N.div(1.0, N.sqrt(N.add(var, epsilon)))
            out += [N.mul(e, inverse) for e in d]
            means.append(mean)
            inverses.append(inverse)
        for place, f in ((1, N.mul), (2, N.add)):
            if len(ins) > place and ins[place] is not None:
                p = ins[place].floats()
                out = [f(e, p[j]) for e, j in zip(out, offsets(ins[place].shape, x.shape))]
        results = [(x.shape, out), (stat, means), (stat, inverses)]
        return [made(F32, s, v) for s, v in results[: len(i.outputs)]]

    planned = [(F32, x.shape), (F32, stat), (F32, stat)][: len(i.outputs)]
    return planned, 8 * len(x.data) + 16 * rows, compute


def batch_norm(i, ins):
    x = ins[0]
    inner = product(x.shape[2:])
    epsilon = i.attr("epsilon", N.f32(1e-5))

    def compute():
        scale, bias, mean, var = (t.floats() for t in ins[1:])
        out = []
        for j, e in enumerate(x.floats()):
            c = j // inner % len(scale)
            factor = N.div(scale[c], N.sqrt(N.add(var[c], epsilon)))
            out.append(N.add(N.mul(N.sub(e, mean[c]), factor), bias[c]))
        return [made(F32, x.shape, out)]

    return [(F32, x.shape)], 3 * len(x.data), compute


# Movement.


def moved(dtype, shape, at, x):
    gas = -(-product(shape) * size(dtype) // 4)
    return [(dtype, shape)], gas, lambda: [Tensor(dtype, shape, [x.data[j] for j in at()])]


def relabel(i, ins):
    x = ins[0]
    rank = len(x.shape)
    if i.name == "Reshape":
        shape = []
        for d, t in enumerate(ins[1].data):
            shape.append(x.shape[d] if t == 0 and not i.attr("allowzero", 0) else t)
        if -1 in shape:
            at = shape.index(-1)
            known = -product(shape)
            if known <= 0 or len(x.data) % known:
                raise Trap
            shape[at] = len(x.data) // known
    elif i.name == "Flatten":
        a = i.attr("axis", 1)
        a = a + rank if a < 0 else a
        shape = [product(x.shape[:a]), product(x.shape[a:])]
    elif i.name == "Squeeze":
        axes = [axis(a, rank) for a in ins[1].data] if len(ins) > 1 else None
        gone = [d for d in range(rank) if x.shape[d] == 1] if axes is None else axes
        shape = [d for a, d in enumerate(x.shape) if a not in gone]
    elif i.name == "Unsqueeze":
        full = rank + len(ins[1].data)
        new = [axis(a, full) for a in ins[1].data]
        old = iter(x.shape)
        shape = [1 if d in new else next(old) for d in range(full)]
    else:
        shape = x.shape
    if product(shape) != len(x.data) or min(shape, default=0) < 0:
        raise Trap
    return moved(x.dtype, shape, lambda: range(len(x.data)), x)


def transpose(i, ins):
    (x,) = ins
    perm = i.attr("perm", list(range(len(x.shape)))[::-1])
    shape, own = [x.shape[p] for p in perm], strides(x.shape)

    def at():
        for index in indices(*map(range, shape)):
            yield sum(j * own[p] for j, p in zip(index, perm))

    return moved(x.dtype, shape, at, x)


def expand(i, ins):
    x = ins[0]
    shape = broadcast(x.shape, ins[1].data)
    return moved(x.dtype, shape, lambda: offsets(x.shape, shape), x)


def concat(i, ins):
    x = ins[0]
    a = axis(i.attr("axis"), len(x.shape))
    shape = list(x.shape)
    shape[a] = sum(t.shape[a] for t in ins)

    def compute():
        out = []
        for o in range(product(shape[:a])):
            for t in ins:
                width = product(t.shape[a:])
                out += t.data[o * width : o * width + width]
        return [Tensor(x.dtype, shape, out)]

    return [(x.dtype, shape)], -(-product(shape) * size(x.dtype) // 4), compute


def slice_(i, ins):
    x = ins[0]
    rank = len(x.shape)
    starts, ends = ins[1].data, ins[2].data
    axes = ins[3].data if len(ins) > 3 and ins[3] else range(len(starts))
    steps = ins[4].data if len(ins) > 4 and ins[4] else [1] * len(starts)
    walks = [range(d) for d in x.shape]
    for s, e, a, step in zip(starts, ends, axes, steps):
        # Python's slices clamp as ONNX's do, but for an end before the start.
        a = axis(a, rank)
        n = x.shape[a]
        end = None if step < 0 and e < -n else e
        walks[a] = range(n)[s:end:step]
    own = strides(x.shape)

    def at():
        for index in indices(*walks):
            yield sum(j * s for j, s in zip(index, own))

    return moved(x.dtype, [len(w) for w in walks], at, x)


def gather(i, ins):
    x, index = ins
    a = axis(i.attr("axis", 0), len(x.shape))
    shape = x.shape[:a] + index.shape + x.shape[a + 1 :]
    inner, n = product(x.shape[a + 1 :]), x.shape[a]

    def at():
        for o in range(product(x.shape[:a])):
            for j in index.data:
                j = j + n if j < 0 else j
                if not 0 <= j < n:
                    raise Trap
                yield from range((o * n + j) * inner, (o * n + j + 1) * inner)

    return moved(x.dtype, shape, at, x)


def shape_of(i, ins):
    (x,) = ins
    value = x.shape if i.name == "Shape" else [len(x.data)]
    dims = [len(value)] if i.name == "Shape" else []
    return [(I64, dims)], 0, lambda: [Tensor(I64, dims, value)]


TABLE = {
    **dict.fromkeys(BINARY, binary),
    **dict.fromkeys(FOLD, variadic),
    **dict.fromkeys(UNARY, unary),
    **dict.fromkeys(COMPARE, compare),
    **dict.fromkeys(REDUCE, reduction),
    "Clip": clip,
    "Not": to_bool,
    "IsNaN": to_bool,
    "Where": where,
    "Cast": cast,
    "CastLike": cast,
    "MatMul": matmul,
    "Gemm": gemm,
    "Conv": conv,
    "MaxPool": pool,
    "AveragePool": pool,
    "GlobalAveragePool": global_pool,
    "GlobalMaxPool": global_pool,
    "ArgMax": arg,
    "ArgMin": arg,
    "Softmax": softmax,
    "LogSoftmax": softmax,
    "LayerNormalization": layer_norm,
    "BatchNormalization": batch_norm,
    **dict.fromkeys(["Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze"], relabel),
    "Transpose": transpose,
    "Expand": expand,
    "Concat": concat,
    "Slice": slice_,
    "Gather": gather,
    "Shape": shape_of,
    "Size": shape_of,
}


def run(i, ins):
    return TABLE[i.name](i, ins)
