#!/usr/bin/env python3
"""Trains the demo's digit classifier and writes digits.onnx and digits.bin.

    python train.py           train, export, measure, write both files
    python train.py --check   the same, but only compare with the files that are here

Rules:
- The data is scikit-learn's bundled digits: 1,797 images of 8x8 pixels, each 0..16.
- Which digits are held back follows from their index alone (`split`); nothing here
  learns from them or is chosen by them: they are looked at once, after training.
- Same machine and same versions (requirements.txt) give the same bytes: one BLAS
  thread, one seed, float32 throughout, weights exported as they are.
- The accuracy printed is that of the exported file under onnxruntime, one digit at a
  time, as the node runs it; it must agree with the forward pass written here.

README.md describes the files.
"""

import os

# Before numpy loads: a thread count or a kernel that differs would sum in another order.
for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ[name] = "1"
os.environ.setdefault("OPENBLAS_CORETYPE", "Haswell")

import argparse
import hashlib
import struct
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper
from sklearn.datasets import load_digits

HERE = Path(__file__).resolve().parent
SEED = 20240229
HELD_BACK = 360  # a fifth of 1,797
EPOCHS, BATCH = 40, 32
PEAK_RATE, DECAY = 2e-3, 1e-4  # Adam's step size; decoupled weight decay
MAGIC = b"AETHDGT1"

# (kind, inputs, outputs). Widths are chosen so that the work is spread over several
# operators, for a wrong step must not be nearly the whole of a run.
LAYERS = [
    ("conv", 1, 16),
    ("conv", 16, 16),
    ("pool",),
    ("conv", 16, 32),
    ("conv", 32, 32),
    ("conv", 32, 32),
    ("pool",),
    ("flatten",),
    ("dense", 128, 64),
    ("dense", 64, 10),
]
LAST_DENSE = len(LAYERS) - 1  # the only weighted layer that no Relu follows


def split(count):
    """(learnt, held back): indices, ordered by the SHA-256 of each index."""
    order = sorted(range(count), key=lambda i: hashlib.sha256(b"aether digits %d" % i).digest())
    return order[HELD_BACK:], order[:HELD_BACK]


def initial(rng):
    """He-normal weights, zero biases; None for layers without any."""
    params = []
    for layer in LAYERS:
        if layer[0] not in ("conv", "dense"):
            params.append(None)
            continue
        kind, inputs, outputs = layer
        shape = (outputs, inputs, 3, 3) if kind == "conv" else (outputs, inputs)
        spread = np.sqrt(2.0 / np.prod(shape[1:]))
        weight = (rng.standard_normal(shape) * spread).astype(np.float32)
        params.append([weight, np.zeros(outputs, np.float32)])
    return params


def columns(x):
    """[n, c, h, w] -> [n*h*w, c*9]: every 3x3 neighbourhood, zero-padded, as a row."""
    n, c, h, w = x.shape
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    view = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    return view.transpose(0, 2, 3, 1, 4, 5).reshape(n * h * w, c * 9)


def uncolumns(rows, shape):
    """The transpose of `columns`: adds every row back to where it was read."""
    n, c, h, w = shape
    parts = rows.reshape(n, h, w, c, 3, 3)
    padded = np.zeros((n, c, h + 2, w + 2), np.float32)
    for dy in range(3):
        for dx in range(3):
            padded[:, :, dy : dy + h, dx : dx + w] += parts[..., dy, dx].transpose(0, 3, 1, 2)
    return padded[:, :, 1:-1, 1:-1]


def forward(params, x):
    """Logits, and per layer what its backward step needs."""
    kept = []
    for i, (layer, param) in enumerate(zip(LAYERS, params)):
        if layer[0] == "conv":
            n, _, h, w = x.shape
            rows = columns(x)
            y = rows @ param[0].reshape(layer[2], -1).T + param[1]
            y = np.maximum(y.reshape(n, h, w, layer[2]).transpose(0, 3, 1, 2), 0)
            kept.append((rows, x.shape, y > 0))
        elif layer[0] == "pool":
            n, c, h, w = x.shape
            cells = x.reshape(n, c, h // 2, 2, w // 2, 2).transpose(0, 1, 2, 4, 3, 5)
            cells = cells.reshape(n, c, h // 2, w // 2, 4)
            best = cells.argmax(-1)
            y = np.take_along_axis(cells, best[..., None], -1)[..., 0]
            kept.append((best, x.shape))
        elif layer[0] == "flatten":
            y = x.reshape(len(x), -1)
            kept.append((x.shape,))
        else:
            y = x @ param[0].T + param[1]
            if i != LAST_DENSE:
                y = np.maximum(y, 0)
            kept.append((x, y > 0))
        x = y
    return x, kept


def backward(params, kept, grad):
    """Gradients of every weight and bias, in the order of `params`."""
    grads = [None] * len(LAYERS)
    for i in reversed(range(len(LAYERS))):
        kind = LAYERS[i][0]
        if kind == "conv":
            rows, shape, positive = kept[i]
            weight = params[i][0]
            grad = (grad * positive).transpose(0, 2, 3, 1).reshape(-1, weight.shape[0])
            grads[i] = [(grad.T @ rows).reshape(weight.shape), grad.sum(0)]
            grad = uncolumns(grad @ weight.reshape(weight.shape[0], -1), shape)
        elif kind == "pool":
            best, (n, c, h, w) = kept[i]
            cells = np.zeros(best.shape + (4,), np.float32)
            np.put_along_axis(cells, best[..., None], grad[..., None], -1)
            cells = cells.reshape(n, c, h // 2, w // 2, 2, 2).transpose(0, 1, 2, 4, 3, 5)
            grad = cells.reshape(n, c, h, w)
        elif kind == "flatten":
            grad = grad.reshape(kept[i][0])
        else:
            x, positive = kept[i]
            if i != LAST_DENSE:
                grad = grad * positive
            grads[i] = [grad.T @ x, grad.sum(0)]
            grad = grad @ params[i][0]
    return grads


def softmax(logits):
    e = np.exp(logits - logits.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def shifted(images, rng):
    """Each image moved by -1, 0 or 1 pixel each way, so that few digits teach more."""
    padded = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)))
    moves = rng.integers(0, 3, (len(images), 2))
    return np.stack([p[:, dy : dy + 8, dx : dx + 8] for p, (dy, dx) in zip(padded, moves)])


def train(images, labels):
    """Adam on cross-entropy, warm-up then cosine decay, a fixed number of epochs."""
    rng = np.random.Generator(np.random.PCG64(SEED))
    params = initial(rng)
    flat = [p for pair in params if pair for p in pair]
    first = [np.zeros_like(p) for p in flat]
    second = [np.zeros_like(p) for p in flat]
    steps = EPOCHS * -(-len(images) // BATCH)
    step = 0
    for epoch in range(EPOCHS):
        order, loss = rng.permutation(len(images)), 0.0
        for start in range(0, len(order), BATCH):
            step += 1
            picked = order[start : start + BATCH]
            logits, kept = forward(params, shifted(images[picked], rng))
            chance = softmax(logits)
            rows = np.arange(len(picked))
            loss -= float(np.log(chance[rows, labels[picked]] + 1e-12).sum())
            chance[rows, labels[picked]] -= 1
            grads = backward(params, kept, chance / np.float32(len(picked)))
            grads = [g for pair in grads if pair for g in pair]
            rate = PEAK_RATE * min(step / 100, 0.5 * (1 + np.cos(np.pi * step / steps)))
            unbias = np.float32(rate * np.sqrt(1 - 0.999**step) / (1 - 0.9**step))
            for p, g, m, v in zip(flat, grads, first, second):
                m += np.float32(0.1) * (g - m)
                v += np.float32(0.001) * (g * g - v)
                p -= unbias * m / (np.sqrt(v) + np.float32(1e-8))
                if p.ndim > 1:
                    p -= np.float32(rate * DECAY) * p
        if epoch % 10 == 9:
            print(f"epoch {epoch + 1:2}: loss {loss / len(order):.4f}", flush=True)
    return params


def export(params):
    """The model as ONNX bytes: opset 17, IR 8, initialisers as little-endian raw data."""
    nodes, weights, seen = [], [], {}
    last = "image"

    def add(op, output, *inputs, **attributes):
        nonlocal last
        nodes.append(helper.make_node(op, [last, *inputs], [output], name=output, **attributes))
        last = output

    for i, (layer, param) in enumerate(zip(LAYERS, params)):
        seen[layer[0]] = seen.get(layer[0], 0) + 1
        name = layer[0] if layer[0] == "flatten" else f"{layer[0]}{seen[layer[0]]}"
        if param:
            for part, value in zip(("weight", "bias"), param):
                raw = np.ascontiguousarray(value, "<f4").tobytes()
                weights.append(helper.make_tensor(f"{name}.{part}", TensorProto.FLOAT, value.shape, raw, raw=True))
            operands = (f"{name}.weight", f"{name}.bias")
        if layer[0] == "conv":
            add("Conv", name, *operands, kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[1, 1])
        elif layer[0] == "pool":
            add("MaxPool", name, kernel_shape=[2, 2], strides=[2, 2])
        elif layer[0] == "flatten":
            add("Flatten", name, axis=1)
        else:
            add("Gemm", name, *operands, transB=1)
        if param and i != LAST_DENSE:
            add("Relu", f"{name}.relu")
    add("Softmax", "probabilities", axis=1)

    graph = helper.make_graph(
        nodes,
        "digits",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 1, 8, 8])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [1, 10])],
        weights,
    )
    model = helper.make_model(
        graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)], producer_name="aether train.py"
    )
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString(deterministic=True)


def held_back_file(pixels, labels):
    """digits.bin: magic, count (u32 little-endian), then 64 pixels and a label per digit."""
    out = MAGIC + struct.pack("<I", len(labels))
    for image, label in zip(pixels, labels):
        out += bytes(image.reshape(64).tolist()) + bytes([label])
    return out


def measure(model, params, images, labels):
    """Indices that the exported model gets wrong; stops if it disagrees with `forward`."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    got = np.concatenate([session.run(["probabilities"], {"image": x[None]})[0] for x in images])
    apart = float(np.abs(got - softmax(forward(params, images)[0])).max())
    if not apart < 1e-5:
        sys.exit(f"the exported model is not the trained one: outputs differ by {apart}")
    return [int(i) for i in np.flatnonzero(got.argmax(1) != labels)]


def print_work():
    """Multiply-adds and parameters per layer."""
    side, rows = 8, []
    for layer in LAYERS:
        if layer[0] == "pool":
            side //= 2
        elif layer[0] == "conv":
            rows.append((f"Conv 3x3 {layer[1]}->{layer[2]} on {side}x{side}", side * side * 9 * layer[1] * layer[2], 9 * layer[1] * layer[2] + layer[2]))
        elif layer[0] == "dense":
            rows.append((f"Gemm {layer[1]}->{layer[2]}", layer[1] * layer[2], layer[1] * layer[2] + layer[2]))
    total = sum(r[1] for r in rows)
    for what, work, size in rows:
        print(f"{what:28} {work:8,} multiply-adds {100 * work / total:5.1f} %  {size:6,} parameters")
    print(f"{'total':28} {total:8,} multiply-adds          {sum(r[2] for r in rows):6,} parameters")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the files here differ")
    check = parser.parse_args().check

    digits = load_digits()
    pixels, labels = digits.images.astype(np.uint8), digits.target.astype(np.uint8)
    images = (pixels.astype(np.float32) / np.float32(16))[:, None]
    learnt, held = split(len(labels))

    print_work()
    params = train(images[learnt], labels[learnt])
    model = export(params)
    wrong = measure(model, params, images[held], labels[held])
    missed = measure(model, params, images[learnt], labels[learnt])
    print(f"learnt digits:    {len(learnt) - len(missed)} of {len(learnt)} right")
    right = len(held) - len(wrong)
    print(f"held-back digits: {right} of {len(held)} right = {100 * right / len(held):.2f} %; wrong: {wrong}")

    same = True
    for name, data in (("digits.onnx", model), ("digits.bin", held_back_file(pixels[held], labels[held]))):
        path = HERE / name
        print(f"{name}: {len(data)} bytes, SHA-256 {hashlib.sha256(data).hexdigest()}")
        if not check:
            path.write_bytes(data)
        elif path.read_bytes() != data:
            print(f"{name}: differs from the file that is here")
            same = False
    sys.exit(0 if same else 1)


if __name__ == "__main__":
    main()
