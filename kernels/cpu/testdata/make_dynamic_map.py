"""Writes dynamic_map.json: the values of bitsandbytes' 8-bit codes, as the bits of float32.

Pinned: bitsandbytes 0.50.2, torch 2.15.  Run: python make_dynamic_map.py
"""
import json
import bitsandbytes
import torch
from bitsandbytes.functional import create_dynamic_map

assert bitsandbytes.__version__ == "0.50.2", bitsandbytes.__version__
assert torch.__version__.startswith("2.15"), torch.__version__
bits = lambda signed: create_dynamic_map(signed).view(torch.int32).tolist()
json.dump({"signed": bits(True), "unsigned": bits(False)}, open("dynamic_map.json", "w"))
