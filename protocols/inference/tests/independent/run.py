#!/usr/bin/env python3
"""The runtime once more, from SPEC.md alone: no line of the Rust crate is used.

    run.py            computes every case and compares it with ../golden/independent.tsv
    run.py --write    writes that file, and the cases' models and inputs under cases/

Needs Python 3.9 or later and nothing else. Takes about a minute.
Exit code: 0 all lines are those of the file (or written), 1 some are not.
"""

import os
import struct
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import cases  # noqa: E402
from machine import Machine  # noqa: E402
from program import Program  # noqa: E402
from tensors import Tensor, from_proto  # noqa: E402

GOLDEN = os.path.join(HERE, "../golden/independent.tsv")
DEMO = os.path.join(HERE, "../../../../node/demo")
STATUS = ["running", "done", "out of gas", "step too large", "trapped"]


def read(*path):
    with open(os.path.join(*path), "rb") as f:
        return f.read()


def digit(i):
    """A held-back digit of the demo: 64 pixels, each divided by 16."""
    pixels = read(DEMO, "digits.bin")[12 + 65 * i :][:64]
    bits = [struct.unpack("<I", struct.pack("<f", p / 16))[0] for p in pixels]
    return Tensor(1, [1, 1, 8, 8], bits)


def all_cases():
    """(name, model, inputs)"""
    for i in (0, 137):
        yield f"digits_{i}", read(DEMO, "digits.onnx"), [digit(i)]
    root = os.path.join(HERE, "cases")
    for name in sorted(os.listdir(root)):
        folder = os.path.join(root, name)
        count = len(os.listdir(os.path.join(folder, "inputs")))
        files = [read(folder, "inputs", f"input_{i}.pb") for i in range(count)]
        yield name, read(folder, "model.onnx"), [from_proto(f)[1] for f in files]


def lines(name, program, inputs, limits):
    machine = Machine(program, inputs, limits)
    yield f"{name}\tmodel\t{program.id.hex()}"
    for i, e in enumerate(machine.elements):
        yield f"{name}\telement {i}\t{e.hex()}"
    for i, (cursor, gas) in enumerate(machine.cuts):
        yield f"{name}\tafter step {i + 1}\tcursor {cursor}, gas {gas}"
    for i, t in enumerate(machine.outputs()):
        yield f"{name}\toutput {i}\t{t.digest().hex()}"
    yield f"{name}\tstatus\t{STATUS[machine.status]}"


def main():
    write = sys.argv[1:] == ["--write"]
    if write:
        cases.write(os.path.join(HERE, "cases"))
    text = "case\twhat\tvalue\n"
    for name, model, inputs in all_cases():
        program = Program(model)
        for limits in [{}] + cases.LIMITS.get(name, []):
            suffix = "".join(f"@{k}={v}" for k, v in limits.items())
            for line in lines(name + suffix, program, inputs, limits):
                text += line + "\n"
        print(name, len(program.instructions), "instructions", file=sys.stderr)
    if write:
        with open(GOLDEN, "w") as f:
            f.write(text)
        return 0
    with open(GOLDEN) as f:
        want = f.read()
    wrong = set(text.splitlines()) ^ set(want.splitlines())
    for line in sorted(wrong)[:20]:
        print("differs:", line)
    print(f"{len(text.splitlines()) - 1} lines, {len(wrong)} differ")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
