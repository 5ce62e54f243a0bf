# Runs one model with onnxruntime when told; one thread; reports its own CPU time.
# Lines in: "product M K N", "model PATH {inputs as JSON}", "run REPEATS"; one line out each.
import json, sys, time
import numpy as np, onnxruntime as ort

def numbers(count, seed):
    i = np.arange(count, dtype=np.uint64)
    return ((i * 7919 + seed * 13) % 1000).astype(np.float32) / 500 - 1

def make(spec, seed):
    shape = spec["shape"]; count = int(np.prod(shape)) if shape else 1
    if "value" in spec:
        return np.full(shape, spec["value"], spec["type"])
    if spec["type"] == "float32":
        return numbers(count, seed).reshape(shape)
    i = np.arange(count, dtype=np.uint64)
    return ((i * 7919) % spec["below"]).astype(spec["type"]).reshape(shape)

def status(key):
    with open("/proc/self/status") as f:
        for line in f:
            if line.startswith(key): return int(line.split()[1]) * 1024
    return 0

def options():
    o = ort.SessionOptions(); o.intra_op_num_threads = 1; o.inter_op_num_threads = 1; o.log_severity_level = 3
    return o

session = feed = binding = None
print(json.dumps({"version": ort.__version__}), flush=True)
for line in sys.stdin:
    word, _, rest = line.strip().partition(" ")
    if word == "product":
        import onnx; from onnx import helper as h, numpy_helper as nh
        m, k, n = map(int, rest.split())
        a, b = numbers(m * k, 1).reshape(m, k), numbers(k * n, 2).reshape(k, n)
        g = h.make_graph([h.make_node("MatMul", ["a", "b"], ["c"])], "g",
            [h.make_tensor_value_info("a", 1, [m, k])], [h.make_tensor_value_info("c", 1, [m, n])], [nh.from_array(b, "b")])
        model = h.make_model(g, opset_imports=[h.make_opsetid("", 17)], ir_version=9)
        session = ort.InferenceSession(model.SerializeToString(), options(), providers=["CPUExecutionProvider"])
        feed = {"a": a}; answer = {}
    elif word == "model":
        path, _, spec = rest.partition(" ")
        before = status("VmRSS:")
        t = time.thread_time_ns()
        session = ort.InferenceSession(path, options(), providers=["CPUExecutionProvider"])
        answer = {"load": time.thread_time_ns() - t, "load_bytes": status("VmRSS:") - before}
        feed = {s["name"]: make(s, i + 1) for i, s in enumerate(json.loads(spec))}
        before = status("VmRSS:")
        with open("/proc/self/clear_refs", "w") as f: f.write("5")
        out = session.run(None, feed)
        answer["growth"] = max(status("VmHWM:") - before, 0)
        answer["sums"] = [float(np.sum(o, dtype=np.float64)) for o in out]
    elif word == "run":
        binding = session.io_binding()
        values = [ort.OrtValue.ortvalue_from_numpy(v) for v in feed.values()]
        for name, value in zip(feed, values): binding.bind_ortvalue_input(name, value)
        for o in session.get_outputs(): binding.bind_output(o.name, "cpu")
        least = float("inf")
        for _ in range(int(rest)):
            t = time.thread_time_ns()
            session.run_with_iobinding(binding)
            least = min(least, time.thread_time_ns() - t)
        answer = {"ns": least}
    print(json.dumps(answer), flush=True)
