"""Protocol buffers and the parts of ONNX's messages that the cases need."""

import struct


def varint(v):
    v &= (1 << 64) - 1
    out = b""
    while v >= 0x80:
        out += bytes([v & 0x7F | 0x80])
        v >>= 7
    return out + bytes([v])


def integer(field, v):
    return varint(field << 3) + varint(v)


def real(field, v):
    return varint(field << 3 | 5) + struct.pack("<f", v)


def blob(field, v):
    v = v.encode() if isinstance(v, str) else v
    return varint(field << 3 | 2) + varint(len(v)) + v


def fields(data):
    """(field, value) pairs; a length-delimited value as bytes."""
    i = 0

    def read():
        nonlocal i
        v = shift = 0
        while True:
            byte = data[i]
            i += 1
            v |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return v

    out = []
    while i < len(data):
        tag = read()
        kind, field = tag & 7, tag >> 3
        if kind == 0:
            v = read()
        else:
            n = {1: 8, 5: 4}.get(kind) or read()
            v = bytes(data[i : i + n])
            i += n
        out.append((field, v))
    return out


def signed(v):
    return v - (1 << 64) if v >> 63 else v


def many(data, field):
    return [v for f, v in fields(data) if f == field]


def one(data, field, default=None):
    found = many(data, field)
    return found[-1] if found else default


def text(data, field):
    return one(data, field, b"").decode()


def numbers(data, field):
    """A repeated integer field, packed or not."""
    out = []
    for v in many(data, field):
        if isinstance(v, int):
            out.append(signed(v))
        else:
            rest = v
            while rest:
                n = shift = k = 0
                while True:
                    byte = rest[k]
                    n |= (byte & 0x7F) << shift
                    shift += 7
                    k += 1
                    if byte < 0x80:
                        break
                out.append(signed(n))
                rest = rest[k:]
    return out
