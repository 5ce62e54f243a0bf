#!/usr/bin/env python3
"""Makes the real inputs and the expected outputs of the real models.

    generate.py FOLDER      FOLDER is what .ci/fetch-models prints

Needs onnxruntime, numpy, pillow, scikit-image (the astronaut, public domain), DejaVu Sans and
espeak-ng. Writes beside itself: inputs a person can look at or listen to (line.pgm, page.pgm,
face.ppm, speech.s16: 16 kHz mono), and per case NAME.f32, onnxruntime's outputs one after the
other, every k-th element so that at most 4096 are kept. `cases/models.rs` makes the same inputs
from the same files, seeds and texts.
"""

import importlib.util
import json
import pathlib
import re
import subprocess
import sys
import unicodedata

import numpy as np
import onnxruntime
from PIL import Image, ImageDraw, ImageFont

HERE = pathlib.Path(__file__).parent
MODELS = pathlib.Path(sys.argv[1])
FONT = "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"
LINE = "Same bits on every CPU"
WORDS = {(20, 20): "Aether", (110, 84): "2026"}
ARABIC = "السلام عليكم ورحمة الله"
SENTENCES = ["a cat sleeps on the sofa", "the kitten is resting", "the central bank raised interest rates"]


def session(name):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(MODELS / name, options)


def run(case, model, *inputs):
    s = session(model) if isinstance(model, str) else model
    out = s.run(None, dict(zip([i.name for i in s.get_inputs()], inputs)))
    keep(case, out)
    return out


def keep(case, outputs):
    flat = np.concatenate([np.asarray(o, np.float32).ravel() for o in outputs])
    flat[:: -(-flat.size // 4096)].astype("<f4").tofile(HERE / f"{case}.f32")


def noise(shape, seed):
    """The tests' generator: numbers in (-1, 1)."""
    out = np.empty(int(np.prod(shape)), np.float32)
    for i in range(out.size):
        seed = (seed * 6364136223846793005 + 1442695040888963407) % 2**64
        out[i] = ((seed >> 40) - 8388608) / 8388608
    return out.reshape(shape)


def text(size, words, height):
    image = Image.new("L", size, 255)
    draw = ImageDraw.Draw(image)
    for place, word in words.items():
        draw.text(place, word, fill=0, font=ImageFont.truetype(FONT, height))
    return np.array(image)


def pixels(image):
    """Grey or RGB bytes to 1x3xHxW in (-1, 1)."""
    x = image if image.ndim == 3 else np.stack([image] * 3, axis=-1)
    return ((x.astype(np.float32) / np.float32(255) - np.float32(0.5)) / np.float32(0.5)).transpose(2, 0, 1)[None]


def pnm(name, image):
    kind = "P6" if image.ndim == 3 else "P5"
    head = f"{kind}\n{image.shape[1]} {image.shape[0]}\n255\n".encode()
    (HERE / name).write_bytes(head + image.tobytes())


def features(data):
    """magika's: 1024 bytes from the start and from the end, 256 where there are none."""
    begin, end = data[:4096].lstrip()[:1024], data[-4096:].rstrip()[-1024:]
    pad = lambda n: [256] * (1024 - n)
    return np.array([[*begin, *pad(len(begin)), *pad(len(end)), *end]], np.int32)


def voice(case, model, samples, rate):
    window, context = (512, 64) if rate == 16000 else (256, 32)
    s, state, before, out = session(model), np.zeros((2, 1, 128), np.float32), np.zeros(context, np.float32), []
    order = [i.name for i in s.get_inputs()]
    for at in range(0, len(samples) - window + 1, window):
        x = np.concatenate([before, samples[at : at + window]])
        given = {"input": x[None], "state": state, "sr": np.array(rate, np.int64)}
        p, state = s.run(None, {n: given[n] for n in order})
        before = x[-context:]
        out.append(p[0, 0])
    keep(case, [out, state])
    print(case, "highest", max(out), "lowest", min(out))


def tokens(sentence):
    """WordPiece of lower-case ASCII words."""
    vocab = {w: i for i, w in enumerate((MODELS / "minilm_vocab.txt").read_text().split("\n"))}
    ids = [101]
    for word in re.findall(r"\w+", sentence):
        rest, lead = word, ""
        while rest:
            n = next(n for n in range(len(rest), 0, -1) if lead + rest[:n] in vocab)
            ids.append(vocab[lead + rest[:n]])
            rest, lead = rest[n:], "##"
    return ids + [102]


def main():
    for name in ("README.md", "magika.py"):
        case = "magika_" + name.split(".")[1]
        out = run(case, "model.onnx", features((MODELS / name).read_bytes()))[0][0]
        labels = json.loads((MODELS / "config.min.json").read_text())["target_labels_space"]
        print(case, labels[out.argmax()], out.max())

    line = text((320, 48), {(8, 8): LINE}, 25)
    pnm("line.pgm", line)
    small = pixels(line[:, :192])
    print("cls", run("cls_line", "ppocr_cls.onnx", small), run("cls_turned", "ppocr_cls.onnx", small[:, :, ::-1, ::-1].copy()))
    run("cls_noise", "ppocr_cls.onnx", noise((1, 3, 48, 192), 11))
    rec = session("ppocr_rec.onnx")
    out = run("rec_line", rec, pixels(line))[0][0]
    keys = ["", *rec.get_modelmeta().custom_metadata_map["character"].splitlines(), " "]
    best, last, said = out.argmax(-1), 0, ""
    for i in best:
        said += keys[i] if i != last else ""
        last = i
    print("rec", repr(said))
    run("rec_noise", rec, noise((2, 3, 48, 96), 12))
    page = text((224, 128), WORDS, 30)
    pnm("page.pgm", page)
    out = run("det_page", "ppocr_det.onnx", pixels(page))[0][0, 0]
    rows, columns = np.nonzero(out > 0.3)
    print("det", out.shape, rows.min(), rows.max(), columns.min(), columns.max(), out[60:70, 10:90].max(), out[30:38, 30:110].mean(), out[95:105, 120:180].mean())
    run("det_noise", "ppocr_det.onnx", noise((1, 3, 96, 160), 13))

    subprocess.run(["espeak-ng", "-v", "en", "-s", "150", "-w", "/tmp/speech.wav", "the same bits on every machine"], check=True)
    raw = subprocess.run(["sox", "-D", "/tmp/speech.wav", "-r", "16000", "-c", "1", "-b", "16", "-t", "raw", "-", "trim", "0", "1.2"], check=True, capture_output=True).stdout
    (HERE / "speech.s16").write_bytes(raw)
    speech = np.frombuffer(raw, "<i2").astype(np.float32) / np.float32(32768)
    half = (speech[::2] + speech[1::2]) * np.float32(0.5)
    quiet = noise((8192,), 14) * np.float32(0.001)
    for model in ("silero_vad", "silero_vad_ifless"):
        tag = model.replace("silero_", "")
        voice(f"{tag}_speech16", f"{model}.onnx", speech, 16000)
        voice(f"{tag}_speech8", f"{model}.onnx", half, 8000)
        voice(f"{tag}_quiet", f"{model}.onnx", quiet, 16000)
    x = np.concatenate([np.zeros(64, np.float32), speech])
    rows = np.stack([x[at : at + 576] for at in range(0, len(x) - 575, 512)])
    zero = np.zeros((1, 1, 128), np.float32)
    print("sequence", run("vad_sequence", "silero_vad_sequence.onnx", rows, zero, zero)[0].max())

    images = pathlib.Path(importlib.util.find_spec("skimage").origin).parent / "data"
    face = Image.open(images / "astronaut.png").convert("RGB").crop((130, 0, 322, 192)).resize((160, 160))
    face = np.array(face)
    pnm("face.ppm", face)
    x = (face.astype(np.float32) / np.float32(255)).transpose(2, 0, 1)[None]
    net = session("nudenet_320n.onnx")
    out = run("nudenet_face", net, x)[0][0]
    at = out[4:].max(0).argmax()
    print("nudenet", out.shape, "class", out[4:, at].argmax(), out[4:, at].max(), "box", out[:4, at])
    run("nudenet_noise", net, noise((1, 3, 96, 128), 15))

    vocab = json.loads((MODELS / "rawi_vocab.json").read_text())
    bare = [c for c in unicodedata.normalize("NFD", ARABIC) if unicodedata.category(c) != "Mn"]
    ids = [vocab["char_to_idx"].get(c, 1) for c in bare]
    marks = {i: s for s, i in vocab["diac_to_idx"].items()}
    out = run("rawi_text", "rawi_int8.onnx", np.array([ids], np.int64))[0][0].argmax(-1)
    said = "".join(c + (marks[int(m)] if unicodedata.category(c)[0] == "L" else "") for c, m in zip(bare, out))
    print("rawi", ids, list(map(int, out)), unicodedata.normalize("NFC", said))
    run("rawi_made", "rawi_int8.onnx", np.array([[i * 7 % 60 for i in range(24)]] * 2, np.int64))

    means, net = [], session("minilm.onnx")
    for i, sentence in enumerate(SENTENCES):
        ids = np.array([tokens(sentence)], np.int64)
        out = run(f"minilm_{i}", net, ids, np.ones_like(ids))[0][0].mean(0)
        print("minilm", ids.tolist())
        means.append(out / np.linalg.norm(out))
    print("alike", means[0] @ means[1], "not", means[0] @ means[2])
    ids = np.array([[101 + i * 37 for i in range(64)]] * 2, np.int64)
    mask = np.array([[1] * 64, [1] * 40 + [0] * 24], np.int64)
    run("minilm_made", net, ids, mask)
    run("resnet_noise", "resnet50.onnx", noise((1, 3, 224, 224), 16))


main()
