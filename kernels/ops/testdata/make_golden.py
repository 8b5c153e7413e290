"""Values and gradients of the ops by PyTorch and transformers, for TestGolden.

Run: python make_golden.py  (torch 2.15.0, transformers 5.23.0; refuses others). Writes golden.json beside it.
Every case is a list of f32 inputs, the output, and the gradients of sum(output * weight) for each input.
"""
import json
import pathlib

import torch
import torch.nn.functional as F
import transformers
from transformers.activations import ACT2FN
from transformers.models.llama.modeling_llama import LlamaRMSNorm, apply_rotary_pos_emb

assert torch.__version__.split("+")[0] == "2.15.0", torch.__version__
assert transformers.__version__ == "5.23.0", transformers.__version__
torch.manual_seed(1)
torch.set_num_threads(1)


def flat(t):
    return [float(f"{float(v):.9g}") for v in t.detach().float().flatten()]  # 9 digits give every float32 back


def case(shapes, f, scale=1.0):
    xs = [(torch.randn(*s) * scale).requires_grad_() for s in shapes]
    y = f(*xs)
    w = torch.randn_like(y)
    (y * w).sum().backward()
    return {"inputs": [flat(x) for x in xs], "weight": flat(w), "out": flat(y), "grads": [flat(x.grad) for x in xs]}


def rms(x, w):
    norm = LlamaRMSNorm(x.shape[-1], eps=1e-5)
    del norm.weight
    norm.weight = w
    return norm(x)


def rope(x):
    pos = torch.tensor([0, 1, 7, 300])
    inv = 1.0 / (10000.0 ** (torch.arange(0, 8, 2, dtype=torch.int64).float() / 8))
    freqs = pos.float()[:, None] * inv[None, :]
    emb = torch.cat((freqs, freqs), dim=-1)
    q = x.transpose(0, 1)[None]  # (1, H, N, D)
    out, _ = apply_rotary_pos_emb(q, q, emb.cos()[None], emb.sin()[None])
    return out[0].transpose(0, 1)


def attention(q, k, v):
    t = [a.transpose(0, 1)[None] for a in (q, k, v)]
    return F.scaled_dot_product_attention(*t, is_causal=True, enable_gqa=True)[0].transpose(0, 1)


def cross_entropy(x):
    return F.cross_entropy(x, torch.tensor([3, 0, 10, 10]), reduction="sum") * 0.25


def adamw():
    p = torch.nn.Parameter(torch.randn(9))
    opt = torch.optim.AdamW([p], lr=3e-3, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1, foreach=False)
    start, grads, steps = flat(p), [], []
    for _ in range(5):
        p.grad = torch.randn(9) * 0.1
        grads.append(flat(p.grad))
        opt.step()
        steps.append(flat(p))
    return {"start": start, "grads": grads, "steps": steps}


def bf16():
    x = torch.cat([torch.randn(64) * 10.0**e for e in (-30, -3, 0, 3, 30)])
    return {"in": flat(x), "out": flat(x.to(torch.bfloat16))}


golden = {
    "made by": f"kernels/ops/testdata/make_golden.py with torch 2.15.0 and transformers {transformers.__version__}",
    "cases": {
        "linear": case([(3, 5), (4, 5), (4,)], F.linear),
        "rmsnorm": case([(3, 24), (24,)], rms),
        "layernorm": case([(3, 24), (24,), (24,)], lambda x, w, b: F.layer_norm(x, (24,), w, b, 1e-5)),
        "silu": case([(40,)], ACT2FN["silu"], 4),
        "gelu": case([(40,)], ACT2FN["gelu"], 4),
        "gelu tanh": case([(40,)], ACT2FN["gelu_pytorch_tanh"], 4),
        "quick gelu": case([(40,)], ACT2FN["quick_gelu"], 4),
        "rope": case([(4, 2, 8)], rope),
        "attention": case([(9, 4, 6), (9, 2, 6), (9, 2, 6)], attention),
        "cross entropy": case([(4, 11)], cross_entropy, 3),
        "log softmax": case([(3, 11)], lambda x: F.log_softmax(x, -1), 3),
    },
    "adamw": adamw(),
    "bf16": bf16(),
    "freqs": flat(1.0 / (10000.0 ** (torch.arange(0, 64, 2, dtype=torch.int64).float() / 64))),
}
text = json.dumps(golden).replace('"cases": {', '"cases": {\n').replace('}, "', '},\n"')
pathlib.Path(__file__).with_name("golden.json").write_text(text + "\n")
