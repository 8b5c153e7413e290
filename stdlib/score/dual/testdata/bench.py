"""One image through the published sizes of MedImageInsight's and CLIP's image towers, random weights, float32, no gradients:
the counterpart of BenchmarkImage. Seconds of the processor, with one thread, which say something on a busy machine too; run both one after the other:

    python bench.py PUBLISHED      (as for make_golden.py)
    LIGHTBOX_LONG=1 go test -bench Image -run NONE .
"""
import sys, time
from unittest.mock import MagicMock
import torch
for n in ("fvcore", "fvcore.nn", "mpi4py"):
    sys.modules[n] = MagicMock()
sys.path.insert(0, sys.argv[1])
torch.set_num_threads(1)
from MedImageInsight.ImageEncoder.davit_v1 import DaViT
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection


def clock(name, f, n):
    with torch.no_grad():
        best = 1e9
        for _ in range(n):
            t = time.process_time(); f(); best = min(best, time.process_time() - t)
    print(f"{name}: {best:.3f} s", flush=True)


def made(f):
    """The module without its slow initialisation: small random weights."""
    for c in (torch.nn.Linear, torch.nn.Conv2d):
        c.reset_parameters = lambda self: None
    m = f().eval()
    for p in m.parameters():
        p.data.uniform_(-0.02, 0.02)
    return m


clip = CLIPVisionModelWithProjection._from_config(CLIPVisionConfig(), attn_implementation="sdpa").eval()
clock("clip", lambda: clip(torch.rand(1, 3, 224, 224)), 5)
davit = made(lambda: DaViT(num_classes=0, depths=[1, 1, 9, 1], patch_size=[7, 3, 3, 3], patch_stride=[4, 2, 2, 2], patch_padding=[3, 1, 1, 1], patch_prenorm=[False, True, True, True],
              embed_dims=[256, 512, 1024, 2048], base_embed_dims=[256, 512, 1024, 2048], num_heads=[8, 16, 32, 64], base_num_heads=[8, 16, 32, 64], num_groups=[8, 16, 32, 64], base_num_groups=[8, 16, 32, 64], window_size=12))
clock("insight", lambda: davit.forward_features(torch.rand(1, 3, 480, 480)), 1)
