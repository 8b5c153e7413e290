"""Layers as bitsandbytes saves them: python make_bnb.py, which writes bnb.safetensors and bnb.json (digests of the values).
Versions: bitsandbytes 0.50.2, torch 2.15, safetensors 0.8."""
import hashlib, json, os
import numpy as np
import torch, bitsandbytes as bnb
import bitsandbytes.functional as F
from safetensors.torch import save_file

assert bnb.__version__ == "0.50.2"
torch.manual_seed(0)
torch.set_num_threads(1)
HERE = os.path.dirname(os.path.abspath(__file__))


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.double = bnb.nn.Linear4bit(100, 7, bias=True, quant_type="nf4", compress_statistics=True)
        self.single = bnb.nn.Linear4bit(66, 5, bias=False, quant_type="fp4", compress_statistics=False)
        self.stored = bnb.nn.Linear4bit(64, 6, bias=False, quant_type="nf4", compress_statistics=False, quant_storage=torch.bfloat16)
        self.eight = bnb.nn.Linear8bitLt(33, 9, bias=True, has_fp16_weights=False)
        self.plain = torch.nn.Linear(8, 3, bias=False)


net = Net().to("cpu")
digests = {}
for n, m in net.named_children():
    if n == "eight":
        w = F.int8_vectorwise_dequant(m.weight.data, m.weight.SCB)
    elif n == "plain":
        w = m.weight.data
    else:
        w = F.dequantize_4bit(m.weight.data, m.weight.quant_state)
    digests[n] = dict(shape=list(w.shape), values=hashlib.sha256((w.float() + 0.0).contiguous().detach().numpy().astype("<f4").tobytes()).hexdigest())
save_file({k: v.contiguous() for k, v in net.state_dict().items()}, f"{HERE}/bnb.safetensors", metadata={"format": "pt"})
os.chmod(f"{HERE}/bnb.safetensors", 0o644)
json.dump(digests, open(f"{HERE}/bnb.json", "w"), indent=1)
print({k: (str(v.dtype), tuple(v.shape)) for k, v in net.state_dict().items()})
