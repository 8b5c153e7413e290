"""Writes JPEG files that ordinary encoders do not: any sampling factors, scan layouts, restart intervals, markers
and coefficients. The pictures are noise with a few smooth blocks; only the decoder matters. Standard library only."""

import random
import struct

ZIGZAG = [0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14,
          21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53,
          60, 61, 54, 47, 55, 62, 63]


class Bits:
    def __init__(self):
        self.out, self.acc, self.n = bytearray(), 0, 0

    def put(self, value, n):
        for i in range(n - 1, -1, -1):
            self.acc = self.acc << 1 | (value >> i & 1)
            self.n += 1
            if self.n == 8:
                self.out.append(self.acc)
                if self.acc == 0xFF:
                    self.out.append(0)
                self.acc = self.n = 0

    def flush(self):
        while self.n:
            self.put(1, 1)


def flat_table(symbols):
    """About half of the codes with n bits and the others with n+1, on both sides of a decoder's look-up table."""
    n = max(2, len(symbols).bit_length())
    half = len(symbols) // 2
    counts = [0] * 16
    counts[n - 1], counts[n] = half, len(symbols) - half
    codes = {s: (i, n) for i, s in enumerate(symbols[:half])}
    codes.update({s: (2 * half + i, n + 1) for i, s in enumerate(symbols[half:])})
    return bytes(counts) + bytes(symbols), codes


def staircase_table(symbols):
    """One code of each length from 2 to 15 bits and the rest with 16."""
    counts, codes, code = [0] * 16, {}, 0
    left = list(symbols)
    for length in range(2, 17):
        n = len(left) if length == 16 else min(1, len(left))
        for s in left[:n]:
            codes[s] = (code, length)
            code += 1
        counts[length - 1] = n
        left = left[n:]
        code <<= 1
    return bytes(counts) + bytes(symbols), codes


def category(v):
    return abs(v).bit_length()


def magnitude(v):
    n = category(v)
    return (v if v > 0 else v + (1 << n) - 1), n


def segment(marker, body):
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


class Forge:
    """One JPEG. comps: list of (id, h, v)."""

    def __init__(self, seed, w, h, comps, quant=4, spread=6, wild=0, staircase=False):
        self.rng = random.Random(seed)
        self.w, self.h, self.comps = w, h, comps
        self.maxh = max(c[1] for c in comps)
        self.maxv = max(c[2] for c in comps)
        self.mw = -(-w // (8 * self.maxh))
        self.mh = -(-h // (8 * self.maxv))
        self.quant = quant
        ac = sorted({r << 4 | s for r in range(16) for s in range(1, 16)} | {0, 0xF0} | {r << 4 for r in range(15)})
        make = staircase_table if staircase else flat_table
        self.dc_bytes, self.dc = make(list(range(16)))
        self.ac_bytes, self.ac = make(ac)
        self.blocks = []
        for _, ch, cv in comps:
            grid = [[self.block(spread, wild) for _ in range(self.mw * ch)] for _ in range(self.mh * cv)]
            self.blocks.append(grid)

    def block(self, spread, wild):
        r = self.rng
        b = [0] * 64
        b[0] = r.randint(-1000 // self.quant, 1000 // self.quant)
        if wild:  # far out of range: the transform must wrap and saturate as the SIMD one does
            b[0] = r.randint(-wild, wild)
            for _ in range(r.choice([0, 1, 4, 20])):
                b[r.randrange(1, 64)] = r.randint(-wild, wild)
            return b
        for _ in range(r.choice([0, 0, 1, 3, 8])):
            b[r.choice([1, 2, 3, 4, 5, 9, 20, 40, 63])] = r.randint(-spread, spread)
        if r.random() < 0.2:
            b[1:8] = [r.randint(-spread, spread) if k < 3 else 0 for k in range(7)]
        return b

    # Headers.

    def head(self, sof=0xC0, precision=8, extra=b"", wide_quant=False):
        out = b"\xff\xd8" + extra
        if wide_quant:
            out += segment(0xDB, b"\x10" + struct.pack(">64H", *[self.quant + i * 7 for i in range(64)]))
        else:
            out += segment(0xDB, b"\x00" + bytes(min(255, self.quant + i // 8) for i in range(64)))
        body = struct.pack(">BHHB", precision, self.h, self.w, len(self.comps))
        for cid, ch, cv in self.comps:
            body += bytes([cid, ch << 4 | cv, 0])
        out += segment(sof, body)
        out += segment(0xC4, b"\x00" + self.dc_bytes + b"\x10" + self.ac_bytes)
        return out

    def sos(self, which, ss=0, se=63, ah=0, al=0):
        body = bytes([len(which)])
        for i in which:
            body += bytes([self.comps[i][0], 0])
        return segment(0xDA, body + bytes([ss, se, ah << 4 | al]))

    # Scans. step yields the (component, block) lists of each MCU.

    def mcus(self, which):
        if len(which) > 1:
            for my in range(self.mh):
                for mx in range(self.mw):
                    unit = []
                    for i in which:
                        _, ch, cv = self.comps[i]
                        for y in range(cv):
                            for x in range(ch):
                                unit.append((i, self.blocks[i][my * cv + y][mx * ch + x]))
                    yield unit
            return
        i = which[0]
        _, ch, cv = self.comps[i]
        bw = -(-self.w * ch // (8 * self.maxh))
        bh = -(-self.h * cv // (8 * self.maxv))
        for y in range(bh):
            for x in range(bw):
                yield [(i, self.blocks[i][y][x])]

    def scan(self, which, coder, restart=0, junk=False):
        bits, out, pred, marks = Bits(), bytearray(), {}, 0
        coder.start(self, bits)
        for n, unit in enumerate(self.mcus(which)):
            if restart and n and n % restart == 0:
                coder.finish()
                bits.flush()
                out += bits.out
                if junk:
                    out += b"\x00\x17"  # skipped with a warning
                out += b"\xff" * (2 if junk else 1) + bytes([0xD0 + marks % 8])
                marks += 1
                bits.out = bytearray()
                pred = {}
            for i, b in unit:
                coder.block(b, i, pred)
        coder.finish()
        bits.flush()
        return bytes(out + bits.out)


class Coder:
    def start(self, forge, bits):
        self.f, self.bits = forge, bits

    def finish(self):
        pass

    def sym(self, table, s):
        self.bits.put(*table[s])

    def run(self, coefs, first, last, low=0):
        """Codes coefs[first:last+1] in zigzag order; returns whether the band ends early."""
        zeros = 0
        for k in range(first, last + 1):
            v = coefs[k]
            v = v >> low if v >= 0 else -(-v >> low)
            if v == 0:
                zeros += 1
                continue
            while zeros > 15:
                self.sym(self.f.ac, 0xF0)
                zeros -= 16
            m, n = magnitude(v)
            self.sym(self.f.ac, zeros << 4 | n)
            self.bits.put(m, n)
            zeros = 0
        return zeros > 0


class Sequential(Coder):
    def block(self, b, i, pred):
        m, n = magnitude(b[0] - pred.get(i, 0))
        pred[i] = b[0]
        self.sym(self.f.dc, n)
        self.bits.put(m, n)
        if self.run(b, 1, 63):
            self.sym(self.f.ac, 0)


class DCFirst(Coder):
    def __init__(self, low):
        self.low = low

    def block(self, b, i, pred):
        v = b[0] >> self.low
        m, n = magnitude(v - pred.get(i, 0))
        pred[i] = v
        self.sym(self.f.dc, n)
        self.bits.put(m, n)


class DCRefine(Coder):
    def __init__(self, low):
        self.low = low

    def block(self, b, i, pred):
        self.bits.put(b[0] >> self.low & 1, 1)


class ACFirst(Coder):
    def __init__(self, first, last, low):
        self.first, self.last, self.low, self.eobs = first, last, low, 0

    def block(self, b, i, pred):
        if all((abs(v) >> self.low) == 0 for v in b[self.first:self.last + 1]):
            self.eobs += 1
            if self.eobs == 0x7FFF:
                self.finish()
            return
        self.finish()
        if self.run(b, self.first, self.last, self.low):
            self.eobs = 1

    def finish(self):
        if self.eobs:
            n = self.eobs.bit_length() - 1
            self.sym(self.f.ac, n << 4)
            self.bits.put(self.eobs - (1 << n), n)
        self.eobs = 0


class ACRefine(Coder):
    """One more bit of a band; every block ends with its own end-of-band code."""

    def __init__(self, first, last, low):
        self.first, self.last, self.low = first, last, low

    def block(self, b, i, pred):
        zeros, pending = 0, []
        end = max([k for k in range(self.first, self.last + 1) if abs(b[k]) >> self.low == 1], default=-1)
        for k in range(self.first, self.last + 1):
            v = abs(b[k]) >> self.low
            if v == 0:
                zeros += 1
                continue
            while zeros > 15 and k <= end:
                self.sym(self.f.ac, 0xF0)
                for c in pending:
                    self.bits.put(c, 1)
                zeros, pending = zeros - 16, []
            if v > 1:
                pending.append(v & 1)
                continue
            self.sym(self.f.ac, zeros << 4 | 1)
            self.bits.put(1 if b[k] > 0 else 0, 1)
            for c in pending:
                self.bits.put(c, 1)
            zeros, pending = 0, []
        if zeros or pending:
            self.sym(self.f.ac, 0)
            for c in pending:
                self.bits.put(c, 1)


def sequential(forge, restart=0, junk=False, layout=None, **head):
    out = forge.head(**head)
    if restart:
        out += segment(0xDD, struct.pack(">H", restart))
    for which in layout or [list(range(len(forge.comps)))]:
        out += forge.sos(which) + forge.scan(which, Sequential(), restart, junk)
    return out + b"\xff\xd9"


def progressive(forge, restart=0, **head):
    out = forge.head(sof=0xC2, **head)
    if restart:
        out += segment(0xDD, struct.pack(">H", restart))
    every = list(range(len(forge.comps)))
    out += forge.sos(every, 0, 0, 0, 1) + forge.scan(every, DCFirst(1), restart)
    for i in every:
        out += forge.sos([i], 1, 5, 0, 2) + forge.scan([i], ACFirst(1, 5, 2), restart)
        out += forge.sos([i], 6, 63, 0, 0) + forge.scan([i], ACFirst(6, 63, 0), restart)
    for i in every:
        out += forge.sos([i], 1, 5, 2, 1) + forge.scan([i], ACRefine(1, 5, 1), restart)
    out += forge.sos(every, 0, 0, 1, 0) + forge.scan(every, DCRefine(0), restart)
    for i in every:
        out += forge.sos([i], 1, 5, 1, 0) + forge.scan([i], ACRefine(1, 5, 0), restart)
    return out + b"\xff\xd9"


def adobe(transform):
    return segment(0xEE, b"Adobe" + struct.pack(">HHHB", 100, 0, 0, transform))
