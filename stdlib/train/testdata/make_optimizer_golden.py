"""Writes optimizer_golden.json: steps of transformers' and torch's Adafactor and of bitsandbytes' 8-bit AdamW, rates of
transformers' get_scheduler, and gradients clipped by torch.

8-bit AdamW is what bitsandbytes' optimiser does on a CPU, where rounding goes by a table. Its definition in PyTorch
(backends/triton, optimizer_update_8bit_blockwise_pytorch) rounds to the nearest code, as the GPU does: with these gradients
some second moments become zero there, and in ten steps at 1e-3 a parameter moves by 6.

Pinned: torch 2.15, transformers 5.23.0, bitsandbytes 0.50.2.  Run: python make_optimizer_golden.py
"""
import base64
import json

import bitsandbytes
import numpy as np
import torch
import transformers
from transformers import Adafactor, get_scheduler

assert transformers.__version__ == "5.23.0", transformers.__version__
assert torch.__version__.startswith("2.15"), torch.__version__
assert bitsandbytes.__version__ == "0.50.2", bitsandbytes.__version__
torch.set_num_threads(1)


def hashed(name, n):
    """n numbers in [-1, 1), as testmodel.Hashed makes them."""
    h = 2166136261
    for b in name.encode():
        h = ((h ^ b) * 16777619) & 0xFFFFFFFF
    x = (np.uint64(h) + np.arange(n, dtype=np.uint64) * np.uint64(2654435761)) & np.uint64(0xFFFFFFFF)
    x ^= x >> np.uint64(16)
    x = (x * np.uint64(0x85EBCA6B)) & np.uint64(0xFFFFFFFF)
    x ^= x >> np.uint64(13)
    x = (x * np.uint64(0xC2B2AE35)) & np.uint64(0xFFFFFFFF)
    x ^= x >> np.uint64(16)
    return torch.tensor(((x >> np.uint64(8)).astype(np.float64) / (1 << 23) - 1).astype(np.float32))


def gradient(name, step, shape):
    """Of magnitudes over several decades, other ones in each step."""
    n = int(np.prod(shape))
    x = hashed(f"{name} {step}", n)
    return (x * x * x * (0.1 if step % 3 else 2.0)).reshape(shape)


def b64(x):
    return base64.b64encode(x.detach().contiguous().flatten().numpy().tobytes()).decode()


def run(shapes, steps, make, keep):
    ps = [torch.nn.Parameter(0.5 * hashed(f"p{k}", int(np.prod(s))).reshape(s)) for k, s in enumerate(shapes)]
    opt = make(ps)
    for i in range(steps):
        for k, p in enumerate(ps):
            p.grad = gradient(f"g{k}", i, p.shape)
        opt.step()
    return [keep(p, opt.state[p]) for p in ps]


out = {"adafactor": [], "schedules": [], "clip": []}
shapes, steps = [(5, 9), (7,), (2, 3, 4), (1, 6)], 8
settings = [
    dict(lr=3e-3, scale_parameter=False, relative_step=False, weight_decay=0.1),
    dict(),
    dict(warmup_init=True, weight_decay=0.01),
    dict(lr=2e-2, relative_step=False, beta1=0.9, clip_threshold=0.5, decay_rate=-0.6, eps=(1e-12, 0.4), weight_decay=0.2),
]
for s in settings:
    out["adafactor"].append({"settings": s, "after": run(shapes, steps, lambda ps: Adafactor(ps, **s), lambda p, _: b64(p))})
torchs = run(shapes, steps, lambda ps: torch.optim.Adafactor(ps, lr=1e-2, eps=(1e-30, 1e-3)), lambda p, _: b64(p))
out["torch_adafactor"] = torchs

shapes8, steps8 = [(64, 65), (63, 65), (4097,)], 10  # 4160 in 8 bits; 4095 in 32; a block of one element
keep8 = lambda p, s: {"p": b64(p.flatten()[::3]), **({"m": b64(s["state1"]), "v": b64(s["state2"]), "m_max": b64(s["absmax1"]), "v_max": b64(s["absmax2"])} if s["state1"].dtype == torch.uint8 else {})}
out["adamw8bit"] = run(shapes8, steps8, lambda ps: bitsandbytes.optim.AdamW8bit(ps, lr=1e-3, weight_decay=0.1), keep8)

for name, kwargs in [("constant", {}), ("constant_with_warmup", {}), ("linear", {}), ("cosine", {}), ("cosine_with_restarts", {"num_cycles": 3}), ("polynomial", {"power": 2.5, "lr_end": 1e-5}), ("polynomial", {}), ("inverse_sqrt", {})]:
    for n, warm in [(10, 0), (37, 4), (101, 13), (5, 5)]:
        if name == "constant" and warm:
            continue
        opt = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=2e-4)
        sched = get_scheduler(name, opt, warm, n, kwargs)
        rates = []
        for i in range(n):
            if i:
                opt.step()
                sched.step()
            rates.append(opt.param_groups[0]["lr"])
        out["schedules"].append({"name": name, "steps": n, "warmup": warm, "kwargs": kwargs, "rates": rates})

for limit in (0.05, 1.0, 100.0):
    ps = [torch.nn.Parameter(torch.zeros(s)) for s in shapes]
    for k, p in enumerate(ps):
        p.grad = gradient(f"g{k}", 0, p.shape)
    norm = torch.nn.utils.clip_grad_norm_(ps, limit)
    out["clip"].append({"limit": limit, "norm": float(norm), "grads": [b64(p.grad) for p in ps]})

json.dump(out, open("optimizer_golden.json", "w"))
