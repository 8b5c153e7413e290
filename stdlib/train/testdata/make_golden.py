"""Writes golden.json: learning rates of transformers' schedules and AdamW steps of PyTorch.

Pinned: torch 2.15, transformers 5.23.0.  Run: python make_golden.py
"""
import json
import torch
import transformers
from transformers import get_constant_schedule_with_warmup, get_cosine_schedule_with_warmup, get_linear_schedule_with_warmup

assert transformers.__version__ == "5.23.0", transformers.__version__
assert torch.__version__.startswith("2.15"), torch.__version__

out = {"schedules": []}
for name, make in [("", None), ("linear", get_linear_schedule_with_warmup), ("cosine", get_cosine_schedule_with_warmup)]:
    for steps, warm in [(10, 0), (37, 4), (100, 3), (5, 5)]:
        p = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
        opt = torch.optim.AdamW([p], lr=2e-4)
        sched = make(opt, warm, steps) if make else get_constant_schedule_with_warmup(opt, warm)
        rates = []
        for _ in range(steps):
            rates.append(opt.param_groups[0]["lr"])
            opt.step()
            sched.step()
        out["schedules"].append({"name": name, "steps": steps, "warmup": warm, "rates": rates})

# A run of the whole update (clip to norm 1, AdamW with decay, cosine with warm-up) on given gradients, in float32.
torch.manual_seed(0)
a, b = torch.nn.Parameter(torch.randn(3, 5)), torch.nn.Parameter(torch.randn(7))
run = {"a": a.detach().flatten().tolist(), "b": b.detach().flatten().tolist(), "grads": [], "after": []}
opt = torch.optim.AdamW([a, b], lr=3e-3, weight_decay=0.1)
sched = get_cosine_schedule_with_warmup(opt, 2, 12)
for i in range(12):
    a.grad, b.grad = torch.randn(3, 5) * (3 if i % 3 else 0.1), torch.randn(7) * (1 if i % 2 else 0.05)
    run["grads"].append([a.grad.flatten().tolist(), b.grad.flatten().tolist()])
    torch.nn.utils.clip_grad_norm_([a, b], 1.0)
    opt.step()
    sched.step()
    run["after"].append([a.detach().flatten().tolist(), b.detach().flatten().tolist()])
out["run"] = run
json.dump(out, open("golden.json", "w"))
