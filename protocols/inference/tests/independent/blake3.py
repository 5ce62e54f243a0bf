"""BLAKE3 (the published algorithm), as far as SPEC.md section 8 needs it: derive_key."""

import struct

IV = [0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19]
ORDER = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8]
START, END, PARENT, ROOT, CONTEXT, MATERIAL = 1, 2, 4, 8, 32, 64
W = 0xFFFFFFFF


def compress(cv, words, counter, length, flags):
    v = cv + IV[:4] + [counter & W, counter >> 32, length, flags]

    def mix(a, b, c, d, x, y):
        v[a] = (v[a] + v[b] + x) & W
        t = v[d] ^ v[a]
        v[d] = (t >> 16 | t << 16) & W
        v[c] = (v[c] + v[d]) & W
        t = v[b] ^ v[c]
        v[b] = (t >> 12 | t << 20) & W
        v[a] = (v[a] + v[b] + y) & W
        t = v[d] ^ v[a]
        v[d] = (t >> 8 | t << 24) & W
        v[c] = (v[c] + v[d]) & W
        t = v[b] ^ v[c]
        v[b] = (t >> 7 | t << 25) & W

    m = words
    for r in range(7):
        for i in range(4):
            mix(i, 4 + i, 8 + i, 12 + i, m[2 * i], m[2 * i + 1])
        for i in range(4):
            mix(i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4, m[8 + 2 * i], m[9 + 2 * i])
        m = [m[i] for i in ORDER]
    return [v[i] ^ v[i + 8] for i in range(8)]


def blocks(data):
    for i in range(0, max(len(data), 1), 64):
        part = data[i : i + 64]
        yield list(struct.unpack("<16I", part.ljust(64, b"\0"))), len(part)


def chunk(key, data, counter, flags):
    cv, all_blocks = key, list(blocks(data))
    for i, (words, length) in enumerate(all_blocks):
        mode = flags | (START if i == 0 else 0)
        if i == len(all_blocks) - 1:
            mode |= END
        cv = compress(cv, words, counter, length, mode)
    return cv


def hash_with(key, data, flags):
    def tree(first, last, root):
        count = last - first
        if count == 1:
            return chunk_or_root(first, root)
        half = 1 << (count - 1).bit_length() - 1
        both = tree(first, first + half, 0) + tree(first + half, last, 0)
        return compress(key, both, 0, 64, flags | PARENT | root)

    def chunk_or_root(i, root):
        part = data[1024 * i : 1024 * i + 1024]
        if not root:
            return chunk(key, part, i, flags)
        # The root flag belongs to the last block only.
        whole = list(blocks(part))
        cv = key
        for b, (words, length) in enumerate(whole):
            mode = flags | (START if b == 0 else 0)
            if b == len(whole) - 1:
                mode |= END | ROOT
            cv = compress(cv, words, 0, length, mode)
        return cv

    return tree(0, max(1, -(-len(data) // 1024)), ROOT)


def derive_key(context, data):
    key = hash_with(IV, context.encode(), CONTEXT)
    return struct.pack("<8I", *hash_with(key, data, MATERIAL))
