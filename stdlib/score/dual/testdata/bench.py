"""One image through the published sizes of MedImageInsight's and CLIP's image towers, random weights, float32, no gradients:
the counterpart of BenchmarkImage. Run both on the same idle machine with as many threads:

    python bench.py PUBLISHED THREADS      (PUBLISHED as for make_golden.py)
    LIGHTBOX_LONG=1 go test -bench Image -run NONE .
"""
import sys, time
from unittest.mock import MagicMock
import torch
for n in ("fvcore", "fvcore.nn", "mpi4py"):
    sys.modules[n] = MagicMock()
sys.path.insert(0, sys.argv[1])
torch.set_num_threads(int(sys.argv[2]))
from MedImageInsight.ImageEncoder.davit_v1 import DaViT
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection


def clock(name, f, n):
    with torch.no_grad():
        f()
        best = 1e9
        for _ in range(n):
            t = time.perf_counter(); f(); best = min(best, time.perf_counter() - t)
    print(f"{name}: {best:.3f} s")


clip = CLIPVisionModelWithProjection._from_config(CLIPVisionConfig(), attn_implementation="sdpa").eval()
clock("clip", lambda: clip(torch.zeros(1, 3, 224, 224)), 5)
davit = DaViT(num_classes=0, depths=[1, 1, 9, 1], patch_size=[7, 3, 3, 3], patch_stride=[4, 2, 2, 2], patch_padding=[3, 1, 1, 1], patch_prenorm=[False, True, True, True],
              embed_dims=[256, 512, 1024, 2048], base_embed_dims=[256, 512, 1024, 2048], num_heads=[8, 16, 32, 64], base_num_heads=[8, 16, 32, 64], num_groups=[8, 16, 32, 64], base_num_groups=[8, 16, 32, 64], window_size=12).eval()
clock("insight", lambda: davit.forward_features(torch.zeros(1, 3, 480, 480)), 2)
