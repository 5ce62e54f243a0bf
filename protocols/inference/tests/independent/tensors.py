"""SPEC.md section 8: tensors, their digests, roots."""

import hashlib
import struct
from functools import reduce

import numbers_ as N
import wire
from blake3 import derive_key

F32, U8, I8, I32, I64, BOOL = 1, 2, 3, 6, 7, 9
FORMAT = {F32: "I", U8: "B", I8: "b", I32: "i", I64: "q", BOOL: "B"}
BITS = {U8: 8, I8: 8, I32: 32, I64: 64}


def product(dims):
    return reduce(lambda a, b: a * b, dims, 1)


def size(dtype):
    return struct.calcsize("<" + FORMAT[dtype])


def wrap(dtype, v):
    """An integer's low bits, in the type's range."""
    v &= (1 << BITS[dtype]) - 1
    return v - (1 << BITS[dtype]) if dtype != U8 and v >> (BITS[dtype] - 1) else v


class Tensor:
    """`data`: integers; an f32 is kept as its bits, so that moving keeps them."""

    def __init__(self, dtype, shape, data):
        self.dtype, self.shape, self.data = dtype, list(shape), list(data)
        assert len(self.data) == product(shape), (shape, len(self.data))

    @staticmethod
    def of_floats(shape, data):
        return Tensor(F32, shape, [N.bits(x) for x in data])

    def floats(self):
        return list(map(N.value, self.data))

    def raw(self):
        return struct.pack(f"<{len(self.data)}{FORMAT[self.dtype]}", *self.data)

    def bytes(self):
        return len(self.data) * size(self.dtype)

    def description(self):
        dims = b"".join(struct.pack("<Q", d) for d in self.shape)
        return bytes([self.dtype, len(self.shape)]) + dims

    def digest(self):
        dims = b"".join(struct.pack("<Q", d) for d in self.shape)
        tail = dims + bytes([len(self.shape), self.dtype])
        return derive_key("aether/tensor/v1", self.raw() + tail)

    def proto(self, name):
        out = b"".join(wire.integer(1, d) for d in self.shape) + wire.integer(2, self.dtype)
        return out + wire.blob(8, name) + wire.blob(9, self.raw())


def from_proto(data):
    """(name, tensor) of a TensorProto with raw data, or typed integers or floats."""
    shape, dtype = wire.numbers(data, 1), wire.one(data, 2, 0)
    raw = wire.one(data, 9, b"")
    n = product(shape)
    if raw:
        values = struct.unpack(f"<{n}{FORMAT[dtype]}", raw)
    elif dtype == F32:
        packed = b"".join(wire.many(data, 4))
        values = struct.unpack(f"<{n}I", packed)
    else:
        values = wire.numbers(data, 7 if dtype == I64 else 5)
    return wire.text(data, 8), Tensor(dtype, shape, values)


def sha(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def leaf(data):
    return sha(b"\0", data)


def root(domain, leaves):
    def tree(nodes):
        if not nodes:
            return sha()
        if len(nodes) == 1:
            return nodes[0]
        half = 1
        while half * 2 < len(nodes):
            half *= 2
        return sha(b"\1", tree(nodes[:half]), tree(nodes[half:]))

    return sha(b"\2", domain.encode(), struct.pack("<Q", len(leaves)), tree(leaves))
