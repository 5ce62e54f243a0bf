"""SPEC.md section 9: from ONNX bytes to instructions, value ids, the model id."""

import struct

import wire
from tensors import F32, I64, Tensor, from_proto, leaf, root


def u32(v):
    return struct.pack("<I", v)


def u64(v):
    return struct.pack("<Q", v & ((1 << 64) - 1))


def string(v):
    v = v.encode() if isinstance(v, str) else v
    return u32(len(v)) + v


def listed(items):
    return u32(len(items)) + b"".join(items)


FLOAT, INT, STRING, TENSOR, FLOATS, INTS, STRINGS = 1, 2, 3, 4, 6, 7, 8


def attribute(data):
    """(name, kind, value)"""
    kind = wire.one(data, 20)
    name = wire.text(data, 1)
    if kind == FLOAT:
        v = struct.unpack("<f", wire.one(data, 2, b"\0\0\0\0"))[0]
    elif kind == INT:
        v = wire.signed(wire.one(data, 3, 0))
    elif kind == STRING:
        v = wire.one(data, 4, b"")
    elif kind == TENSOR:
        v = from_proto(wire.one(data, 5))[1]
    elif kind == FLOATS:
        packed = b"".join(wire.many(data, 7))
        v = list(struct.unpack(f"<{len(packed) // 4}f", packed))
    elif kind == INTS:
        v = wire.numbers(data, 8)
    else:
        v = wire.many(data, 9)
    return name, kind, v


def attribute_bytes(kind, v):
    body = {
        FLOAT: lambda: struct.pack("<f", v),
        INT: lambda: u64(v),
        STRING: lambda: string(v),
        TENSOR: lambda: v.digest(),
        FLOATS: lambda: listed([struct.pack("<f", x) for x in v]),
        INTS: lambda: listed([u64(x) for x in v]),
        STRINGS: lambda: listed([string(x) for x in v]),
    }[kind]()
    return bytes([kind]) + body


def constant(attrs):
    ((name, (_, v)),) = attrs.items()
    if name == "value":
        return v
    if name == "value_float":
        return Tensor(F32, [], struct.unpack("<I", struct.pack("<f", v)))
    if name == "value_floats":
        return Tensor(F32, [len(v)], [struct.unpack("<I", struct.pack("<f", x))[0] for x in v])
    if name == "value_int":
        return Tensor(I64, [], [v])
    assert name == "value_ints", name
    return Tensor(I64, [len(v)], v)


class Instruction:
    def __init__(self, name, version, attrs, inputs, outputs):
        self.name, self.version, self.attrs = name, version, attrs
        self.inputs, self.outputs, self.frees = inputs, outputs, []

    def attr(self, name, default=None):
        return self.attrs[name][1] if name in self.attrs else default

    def bytes(self):
        attrs = [string(n) + attribute_bytes(*self.attrs[n]) for n in sorted(self.attrs)]
        places = [
            listed([u64(0 if v is None else v + 1) for v in ids])
            for ids in (self.inputs, self.outputs)
        ]
        head = b"i" + string(self.name) + u32(self.version)
        return head + listed(attrs) + b"".join(places) + listed([u32(v) for v in self.frees])


class Program:
    def __init__(self, model):
        graph = wire.one(model, 7)
        (self.version,) = [
            wire.one(s, 2, 0) for s in wire.many(model, 8) if wire.text(s, 1) in ("", "ai.onnx")
        ]
        pending = dict(from_proto(t) for t in wire.many(graph, 5))
        self.ids, self.constants, self.symbols = {}, {}, []
        self.instructions, self.inputs, self.outputs = [], [], []
        self.next = 0
        for info in wire.many(graph, 11):
            if wire.text(info, 1) not in pending:
                name = wire.text(info, 1)
                self.ids[name] = self.fresh()
                self.inputs.append(self.signature(info, self.ids[name]))
        self.pending = pending
        for node in wire.many(graph, 1):
            self.node(node)
        for info in wire.many(graph, 12):
            v = self.resolve(wire.text(info, 1))
            if v < len(self.inputs) or v in self.constants:
                out = self.fresh()
                self.instructions.append(Instruction("Identity", self.version, {}, [v], [out]))
                v = out
            self.outputs.append(self.signature(info, v))
        self.liveness()
        self.id = self.model_id()

    def fresh(self):
        self.next += 1
        return self.next - 1

    def resolve(self, name):
        if name in self.pending and name not in self.ids:
            self.ids[name] = self.fresh()
            self.constants[self.ids[name]] = self.pending[name]
        return self.ids[name]

    def node(self, node):
        name = wire.text(node, 4)
        attrs = {n: (k, v) for n, k, v in map(attribute, wire.many(node, 5))}
        outputs = [v.decode() for v in wire.many(node, 2)]
        if name == "Constant":
            self.pending[outputs[0]] = constant(attrs)
            return
        inputs = [v.decode() for v in wire.many(node, 1)]
        inputs = [self.resolve(v) if v else None for v in inputs]
        made = []
        for v in outputs:
            made.append(self.fresh() if v else None)
            if v:
                self.ids[v] = made[-1]
        for places in (inputs, made):
            while places and places[-1] is None:
                places.pop()
        self.instructions.append(Instruction(name, self.version, attrs, inputs, made))

    def signature(self, info, value):
        """(name, id, dtype, dims)"""
        name = wire.text(info, 1)
        tensor = wire.one(wire.one(info, 2, b""), 1)
        if tensor is None:
            return name, value, 0, None
        dtype, shape = wire.one(tensor, 1, 0), wire.one(tensor, 2)
        dims = None
        if shape is not None:
            dims = []
            for d in wire.many(shape, 1):
                size, symbol = wire.one(d, 1), wire.one(d, 2)
                if symbol not in (None, b"", b"?"):
                    if symbol not in self.symbols:
                        self.symbols.append(symbol)
                    dims.append((1, self.symbols.index(symbol)))
                elif size is None or wire.signed(size) == -1:
                    dims.append((2, 0))
                else:
                    dims.append((0, size))
        return name, value, dtype, dims

    def liveness(self):
        alive = {v for _, v, _, _ in self.outputs}
        for i in reversed(self.instructions):
            for v in i.inputs + i.outputs:
                if v is not None and v not in self.constants and v not in alive:
                    alive.add(v)
                    i.frees.append(v)
        unused = [v for v in range(len(self.inputs)) if v not in alive]
        self.instructions[0].frees.extend(unused)
        for i in self.instructions:
            i.frees.sort()

    def model_id(self):
        def info(v):
            name, value, dtype, dims = v
            shape = b"\0"
            if dims is not None:
                shape = b"\1" + listed([bytes([k]) + u64(n) for k, n in dims])
            return string(name) + u32(value) + bytes([dtype]) + shape

        head = b"h" + u32(1) + u32(len(self.instructions)) + u32(len(self.constants))
        head += listed([info(v) for v in self.inputs]) + listed([info(v) for v in self.outputs])
        head += listed([string(s) for s in self.symbols])
        leaves = [leaf(head)] + [leaf(i.bytes()) for i in self.instructions]
        for v in sorted(self.constants):
            leaves.append(leaf(b"c" + u32(v) + self.constants[v].digest()))
        return root("aether/model/v1", leaves)
