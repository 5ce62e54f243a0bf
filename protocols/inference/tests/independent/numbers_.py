"""SPEC.md sections 1 to 3: f32 arithmetic, sums, elementary functions.

An f32 is a Python float that holds an f32's value. `+ − × ÷ √` are done in
binary64 and rounded: with 53 ≥ 2·24 + 2 bits that is the correctly rounded f32
result. Only fma needs more, and is exact here: integers, rounded once.
Python's own floats are the f64 of the specification, operation by operation.
"""

import ctypes
import math
import struct
from fractions import Fraction

INF, NAN = math.inf, math.nan
CANONICAL = 0x7FC00000


def f32(x):
    """An f64 rounded to f32."""
    return ctypes.c_float(x).value


def value(bits):
    return struct.unpack("<f", struct.pack("<I", bits))[0]


def bits(x):
    """The bits of a result: any NaN is the canonical one."""
    return CANONICAL if x != x else struct.unpack("<I", struct.pack("<f", x))[0]


def add(a, b):
    return f32(a + b)


def sub(a, b):
    return f32(a - b)


def mul(a, b):
    return f32(a * b)


def div64(a, b):
    if b == 0:
        if a == 0 or a != a:
            return NAN
        return math.copysign(INF, a) * math.copysign(1.0, b)
    return a / b


def div(a, b):
    return f32(div64(a, b))


def sqrt(a):
    return NAN if a != a or a < 0 else f32(math.sqrt(a))


def fma(a, b, c):
    product = a * b  # exact: 48 bits, exponents within binary64
    total = product + c
    if total - total != 0:  # infinite or NaN
        return f32(total)
    # The rounding error of the sum, exactly.
    t = total - product
    if (product - (total - t)) + (c - t) == 0:
        return f32(total)
    return nearest(Fraction(product) + Fraction(c))


def nearest(x):
    """A rational other than 0, rounded once to f32, half to even."""
    sign, x = (-1.0, -x) if x < 0 else (1.0, x)
    exponent = x.numerator.bit_length() - x.denominator.bit_length()
    if Fraction(2) ** exponent > x:
        exponent -= 1
    unit = Fraction(2) ** max(exponent - 23, -149)
    whole, rest = divmod(x, unit)
    if 2 * rest > unit or (2 * rest == unit and whole % 2 == 1):
        whole += 1
    result = whole * unit
    return sign * (INF if result >= Fraction(2) ** 128 else float(result))


def chain(a, b):
    """A contraction over two sequences."""
    acc = 0.0
    for x, y in zip(a, b):
        acc = fma(x, y, acc)
    return acc


def tree(row):
    """A sum."""
    lanes = [0.0] * 64
    for i, x in enumerate(row):
        lanes[i % 64] = add(lanes[i % 64], x)
    for h in (32, 16, 8, 4, 2, 1):
        for j in range(h):
            lanes[j] = add(lanes[j], lanes[j + h])
    return lanes[0]


def negative(x):
    return math.copysign(1.0, x) < 0


def maximum(a, b):
    if a != a or b != b:
        return NAN
    if a == b == 0:
        return -0.0 if negative(a) and negative(b) else 0.0
    return a if a > b else b


def minimum(a, b):
    if a != a or b != b:
        return NAN
    if a == b == 0:
        return -0.0 if negative(a) or negative(b) else 0.0
    return a if a < b else b


# Section 3.

M = 1.5 * 2.0**52
LN2 = float.fromhex("0x1.62e42fefa39efp-1")
INV_LN2 = float.fromhex("0x1.71547652b82fep+0")
SQRT_HALF = float.fromhex("0x1.6a09e667f3bcdp-1")
SQRT_2_PI = float.fromhex("0x1.9884533d43651p-1")
E = [1 / math.factorial(n) for n in range(11)]
A = [1 / (2 * n + 1) for n in range(10)]
S = [float.fromhex(h) for h in """
    0x1.20dd750429b19p+0 -0x1.812746b0271ecp-2 0x1.ce2f2197bc2efp-4 -0x1.b82ce15c3b7f8p-6
    0x1.565ba0406c001p-8 -0x1.c0286cad68e02p-11 0x1.f941bed7e7847p-14 -0x1.f0705a1dde9aap-17
    0x1.9ae0986f9de4fp-20 -0x1.c1a515de8637ap-24""".split()]
L = [float.fromhex(h) for h in """
    0x1.ffcaa8f4c9beap-1 0x1.ac44a25bb04eep-9 -0x1.918057d9fb5d9p-7 0x1.cdba00f1470c7p-6
    -0x1.65965772c6d39p-5 0x1.7c8c3d61c346bp-5 -0x1.05216033a4e39p-5 0x1.2faf28c2348b9p-7
    0x1.b5acec74a0453p-8 -0x1.3b4a9bdede672p-7 0x1.2a74c34c50c75p-8 0x1.d07e66b663b0dp-12
    -0x1.e59e63a268b4dp-10 0x1.e20397cdcd6bep-11 0x1.858b8cc53971bp-14 -0x1.34626d5170c64p-12
    0x1.52510dee046f6p-14 0x1.14dac73db4ea9p-15 -0x1.111ae6b3b099ap-16""".split()]
Q = [float.fromhex(h) for h in """
    0x1.853986f5795e3p-3 -0x1.9d6a7999a2ae0p-3 0x1.724cff473d2e7p-4 -0x1.0b0626f873db7p-5
    0x1.29f5b53398d7ep-7 -0x1.d30d3b8850bb3p-10 0x1.646256e4468a1p-13 0x1.63fcaa150b953p-16
    -0x1.2586c6d61ef33p-17 0x1.a9d5eb3f15811p-23 0x1.6d140c0d25e81p-22 -0x1.e12111a782e38p-26
    -0x1.04273f1fbd23ep-26 0x1.a75cd8ab7cca8p-30 0x1.c12e229668e4ep-31 -0x1.0a834e94658d7p-34
    -0x1.ae1fca9da4dfbp-35 0x1.36e0567ef1f96p-40 0x1.527172a1a2f8cp-39""".split()]
MASK = (1 << 64) - 1


def bits64(x):
    return struct.unpack("<Q", struct.pack("<d", x))[0]


def value64(b):
    return struct.unpack("<d", struct.pack("<Q", b & MASK))[0]


def poly(x, c):
    acc = c[-1]
    for k in reversed(c[:-1]):
        acc = acc * x + k
    return acc


def clamp(x, b):
    return b if x > b else -b if x < -b else x


def exp64(x):
    t = x * INV_LN2 + M
    n = t - M
    r = x - n * LN2
    return poly(r, E) * value64((bits64(t) + 1023) << 52)


def log64(x):
    e = (bits64(x) - bits64(SQRT_HALF)) & 0xFFF0000000000000
    m = value64(bits64(x) - e)
    n = float((e >> 52) - (4096 if e >> 63 else 0))
    s = div64(m - 1.0, m + 1.0)
    return n * LN2 + (2.0 * s) * poly(s * s, A)


def log1p64(y):
    if y >= 0.25:
        return log64(1.0 + y)
    s = y / (2.0 + y)
    return (2.0 * s) * poly(s * s, A)


def small(x):
    return -(2.0**-6) < x < 2.0**-6


def tanh64(x):
    if small(x):
        return x * poly(x * x, [1.0, -1 / 3, 2 / 15, -17 / 315])
    return 1.0 - 2.0 / (exp64(2.0 * clamp(x, 50.0)) + 1.0)


def erf64(x):
    c = clamp(x, 4.0)
    a = abs(c)
    if a < 1:
        return c * poly(c * c, S)
    v = poly((a - 2.5) / 1.5, L)
    return -v if c < 0 else v


def exp(x):
    return f32(exp64(clamp(x, 200.0)))


def log(x):
    if x > 0:
        return x if x == INF else f32(log64(x))
    return -INF if x == 0 else NAN


def tanh(x):
    return f32(tanh64(x))


def sigmoid(x):
    return f32(1.0 / (1.0 + exp64(clamp(-x, 200.0))))


def softplus(x):
    return f32(x) if x > 100 else f32(log1p64(exp64(clamp(x, 200.0))))


def expm1(x):
    if small(x):
        return f32(x * poly(x, [1.0, 1 / 2, 1 / 6, 1 / 24, 1 / 120]))
    return f32(exp64(clamp(x, 200.0)) - 1.0)


def erf(x):
    return f32(erf64(x))


def gelu(x):
    if not x < -1:
        return f32((0.5 * x) * (1.0 + erf64(x * SQRT_HALF)))
    z = clamp(-x * SQRT_HALF, 10.5)
    tail = 0.0
    if z < 10.5:
        u = ((z - 3.0) / (z + 3.0) + float.fromhex("0x1.0e9b4a9210e9bp-5")) / float.fromhex("0x1.2d5b7bc592d5bp-1")
        tail = exp64((-z) * z) * poly(u, Q)
    return f32((0.5 * x) * tail)


def gelu_tanh(x):
    inner = SQRT_2_PI * (x + ((0.044715 * x) * x) * x)
    return f32(div64(x, 1.0 + exp64(clamp(-2.0 * inner, 300.0))))


def power(x, y):
    if y == 0 or x == 1:
        return 1.0
    if x != x or y != y:
        return NAN
    integer = abs(y) == INF or y == math.floor(y)
    odd = abs(y) < 2.0**24 and integer and int(y) % 2 == 1
    a = abs(x)
    if a == 0 or a == INF:
        result = 0.0 if (a == 0) == (y > 0) else INF
    elif abs(y) == INF:
        result = 1.0 if a == 1 else INF if (a > 1) == (y > 0) else 0.0
    elif x < 0 and not integer:
        return NAN
    else:
        result = f32(exp64(clamp(log64(a) * y, 200.0)))
    return -result if negative(x) and odd else result
