"""SPEC.md sections 10 to 13: gas, steps, states, the trace."""


from operators import UNREAD, Trap, run
from program import listed, u32, u64
from tensors import leaf, product, root, sha, size

LIMITS = {"gas": 1 << 40, "step": 1 << 36, "witness": 64 << 20, "memory": 1 << 30}
RUNNING, DONE, OUT_OF_GAS, TOO_LARGE, TRAPPED = range(5)


def element(domain, data):
    return sha(domain.encode(), b"\0", data)[:31]


class Machine:
    """Runs a program; `elements`, `cuts` (cursor and gas after each step), `status`."""

    def __init__(self, program, inputs, limits=None):
        self.p, self.limits = program, {**LIMITS, **(limits or {})}
        self.live = dict(enumerate(inputs))
        self.digests = {}
        self.step, self.cursor, self.gas, self.status = 0, 0, 0, RUNNING
        leaves = [leaf(t.digest()) for t in inputs]
        header = b"\1" * 32 + b"\2" * 32 + program.id + root("aether/inputs/v1", leaves)
        header += u64(7) + u32(1)
        assert len(header) == 140
        self.elements, self.cuts = [element("aether/trace/header/v1", header)], []
        while self.status == RUNNING:
            self.one_step()
            self.cuts.append((self.cursor, self.gas))
            self.elements.append(element("aether/trace/state/v1", self.state()))

    def lines(self):
        for v in sorted(self.live):
            t = self.live[v]
            if v not in self.digests:
                self.digests[v] = t.digest()
            yield u32(v) + t.description() + self.digests[v]

    def state(self):
        head = u32(self.step) + u32(self.cursor) + u32(0) + u64(self.gas) + bytes([self.status])
        return head + listed(list(self.lines()))

    def witness_base(self):
        lines = sum(len(line) for line in self.lines())
        preimage = 140 + 4 + lines if self.step == 0 else 4 + 4 + 4 + 8 + 1 + 4 + lines
        return 4 + 1 + preimage + 4

    def one_step(self):
        self.first, self.step_gas = self.cursor, 0
        self.witness, self.before, self.counted = self.witness_base(), set(self.live), set()
        self.status = self.instructions()
        self.step += 1

    def instructions(self):
        p = self.p
        while True:
            i = p.instructions[self.cursor]
            too_large = TOO_LARGE if self.cursor == self.first else RUNNING
            # 1
            wanted = set()
            for place, v in enumerate(i.inputs):
                if v is not None and place not in UNREAD.get(i.name, ()):
                    if v in self.before and v in self.live and v not in self.counted:
                        wanted.add(v)
            values = (self.live[v] for v in wanted)
            more = sum(4 + 2 + 8 * len(t.shape) + t.bytes() for t in values)
            if self.witness + more > self.limits["witness"]:
                return too_large
            # 2
            inputs = [
                None if v is None else p.constants[v] if v in p.constants else self.live[v]
                for v in i.inputs
            ]
            try:
                planned, gas, compute = run(i, inputs)
            except Trap:
                return TRAPPED
            # 3 to 5
            cost = gas + 4000 + 100 * (len(i.inputs) + len(i.outputs))
            if self.gas + cost > self.limits["gas"]:
                return OUT_OF_GAS
            if self.step_gas + cost > self.limits["step"]:
                return too_large
            memory = sum(t.bytes() for t in self.live.values())
            memory += sum(product(shape) * (size(dtype) + 8) for dtype, shape in planned)
            memory += sum(8 * len(t.data) for t in inputs if t is not None) + (1 << 20)
            if memory > self.limits["memory"]:
                return TOO_LARGE
            # 6
            try:
                outputs = compute()
            except Trap:
                return TRAPPED
            self.witness += more
            self.counted |= wanted
            # 7
            for v, t, (dtype, shape) in zip(i.outputs, outputs, planned):
                assert (t.dtype, t.shape) == (dtype, list(shape)), (i.name, t.shape, shape)
                if v is not None:
                    self.live[v] = t
            for v in i.frees:
                del self.live[v]
                self.digests.pop(v, None)
            self.gas += cost
            self.step_gas += cost
            self.cursor += 1
            # 8
            if self.cursor == len(p.instructions):
                return DONE
            weight = sum(t.bytes() + 64 for t in self.live.values())
            if weight <= 16384 or self.step_gas >= 300 * weight:
                return RUNNING

    def outputs(self):
        return [self.live[v] for _, v, _, _ in self.p.outputs] if self.status == DONE else []
