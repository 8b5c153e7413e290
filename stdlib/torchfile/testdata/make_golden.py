"""Writes small files by torch.save for package torchfile's tests, and golden.safetensors with what is in them.

Versions: torch 2.15.0, safetensors 0.8.0. Run: python make_golden.py
"""
import os
import zipfile
from collections import OrderedDict

import torch
from safetensors.torch import save_file

assert torch.__version__.startswith("2.15."), torch.__version__
torch.set_num_threads(1)
HERE = os.path.dirname(os.path.abspath(__file__))


def path(name):
    return os.path.join(HERE, name)


def weights():
    """All number formats, views of every kind, tied weights, parameters, a scalar and an empty tensor."""
    base = torch.arange(24.0).reshape(4, 6) / 7
    half = torch.tensor([1.5, -2.25, 6e-8, 65504.0, float("inf"), -0.0], dtype=torch.float16)
    tied = torch.nn.Parameter(torch.linspace(-1, 1, 10).reshape(5, 2))
    state = OrderedDict()
    state["embed.weight"] = tied
    state["base"] = base
    state["base.rows"] = base[1:3]
    state["base.transposed"] = base.t()
    state["base.columns"] = base[:, 2:5]
    state["base.stepped"] = base[::2, ::3]
    state["base.permuted"] = torch.arange(24.0).reshape(2, 3, 4).permute(2, 0, 1)
    state["base.expanded"] = torch.arange(3.0).expand(2, 3)
    state["half"] = half
    state["bf16"] = torch.linspace(-3, 3, 7).to(torch.bfloat16)
    state["double"] = torch.tensor([[0.1], [1e300]], dtype=torch.float64)
    state["position_ids"] = torch.arange(9).expand((1, -1))
    state["int32"] = torch.tensor([-5, 7], dtype=torch.int32)
    state["int16"] = torch.tensor([-5, 7], dtype=torch.int16)
    state["uint8"] = torch.tensor([200, 7], dtype=torch.uint8)
    state["bool"] = torch.tensor([True, False, True])
    state["scalar"] = torch.tensor(3.25)
    state["empty"] = torch.zeros(0, 4)
    state["head.weight"] = tied
    state._metadata = OrderedDict([("", {"version": 1})])
    return state


def main():
    state = weights()
    save_file({k: v.detach().clone().contiguous() for k, v in state.items()}, path("golden.safetensors"))
    torch.save(state, path("zip.bin"))
    torch.save(state, path("legacy.pth"), _use_new_zipfile_serialization=False)
    small = OrderedDict((k, state[k]) for k in ("base.transposed", "embed.weight", "head.weight", "half"))
    torch.save({"state_dict": small, "epoch": 3, "lr": 1e-3, "names": ["a", ("b", None)], "best": torch.tensor(0.5).item(),
                "optimizer": {"state": {0: {"step": torch.tensor(2.0)}}, "param_groups": [{"params": [0, 1]}]}}, path("wrapped.ckpt"))
    torch.save({"model": {"encoder": {"w": torch.ones(2)}, "decoder": {"w": torch.zeros(2), "n": 4}}}, path("nested.pt"))
    torch.save(small, path("protocol4.pt"), pickle_protocol=4)
    with zipfile.ZipFile(path("zip.bin")) as source, zipfile.ZipFile(path("deflated.bin"), "w", zipfile.ZIP_DEFLATED) as out:
        for name in source.namelist():
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            out.writestr(info, source.read(name))


main()
