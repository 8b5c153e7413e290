"""Goldens of quantised weights: python make_quant_golden.py, which writes quant.json beside itself.

Reference of record: bitsandbytes 0.50.2 on the CPU (x86-64) with torch 2.15. The matrices are drawn from an integer hash,
in Go too (quant_test.go); of what bitsandbytes makes of them, digests of the codes, the scales and the dequantised
values are stored. With double quantisation the scales' offset is torch's mean in float32, whose last bits depend on the
machine's vectors: it is stored, and the codes of scales are those of that offset.
"""
import base64, hashlib, json, os
import numpy as np
import torch, bitsandbytes
import bitsandbytes.functional as F

assert bitsandbytes.__version__ == "0.50.2", bitsandbytes.__version__
torch.set_num_threads(1)
HERE = os.path.dirname(os.path.abspath(__file__))


def matrix(seed, rows, cols):
    """Numbers in [-1, 1) times 2^-(i/50 mod 9); element 3 of every seventh run of 64 is 0."""
    with np.errstate(over="ignore"):
        i = np.arange(rows * cols, dtype=np.uint32)
        x = np.uint32(seed) * np.uint32(0x9E3779B1) + i * np.uint32(2654435761)
        x ^= x >> np.uint32(16); x *= np.uint32(0x85EBCA6B)
        x ^= x >> np.uint32(13); x *= np.uint32(0xC2B2AE35)
        x ^= x >> np.uint32(16)
    v = ((x >> np.uint32(8)).astype(np.float64) / (1 << 23) - 1) * 2.0 ** -((i // 50) % 9).astype(np.float64)
    v[(i % 448) == 3] = 0
    return torch.from_numpy(v.astype(np.float32).reshape(rows, cols))


def raw(t):
    return base64.b64encode(t.contiguous().view(torch.uint8).numpy().tobytes()).decode()


def sum_of(t):
    """SHA-256 of the tensor's bytes."""
    return hashlib.sha256(t.contiguous().view(torch.uint8).numpy().tobytes()).hexdigest()


def digest(t):
    """Of values, a negative zero as zero: its sign differs between bitsandbytes' own kernels for FP4."""
    return hashlib.sha256((t.float() + 0.0).contiguous().numpy().astype("<f4").tobytes()).hexdigest()


out = []
shapes = [(1, 1), (1, 2), (3, 5), (2, 64), (7, 100), (13, 65), (96, 72), (520, 33)]
for k, (rows, cols) in enumerate(shapes):
    for dtype in ("float32", "bfloat16", "float16"):
        w = matrix(k + 1, rows, cols)
        if k == 3:
            w[0] = 0  # a whole block of zeros
        w = w.to(getattr(torch, dtype))
        for code in ("nf4", "fp4"):
            for double in (False, True):
                for block in ((64, 128) if k == 4 else (64,)):
                    packed, s = F.quantize_4bit(w, quant_type=code, compress_statistics=double, blocksize=block)
                    c = dict(seed=k + 1, shape=[rows, cols], zeros=k == 3, dtype=dtype, code=code, double=double, block=block, raw=sum_of(packed.flatten()), scales=sum_of(s.absmax))
                    if double:
                        c.update(offset=raw(s.offset.reshape(1)), nested=raw(s.state2.absmax))
                    s.dtype = torch.float32  # as of a checkpoint in float32: products not rounded to the weight's own type
                    c["values"] = digest(F.dequantize_4bit(packed, s))
                    out.append(c)
        q, s, _ = F.int8_vectorwise_quant(w.half())
        out.append(dict(seed=k + 1, shape=[rows, cols], zeros=k == 3, dtype=dtype, code="int8", double=False, block=0, raw=sum_of(q), scales=sum_of(s),
                        values=digest(F.int8_vectorwise_dequant(q, s))))
        if rows * cols > 3000:
            break
json.dump(dict(cases=out, map=raw(F.create_dynamic_map()), nf4=raw(F.get_4bit_type("nf4", device="cpu")), fp4=raw(F.get_4bit_type("fp4", device="cpu"))),
          open(f"{HERE}/quant.json", "w"), separators=(",", ":"))
print(os.path.getsize(f"{HERE}/quant.json"), "bytes", len(out), "cases")
