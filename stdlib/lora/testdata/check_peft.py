"""Loads what Adapter.Save wrote with peft 0.21.2 on transformers 5.23.0: python check_peft.py DIR (see TestWriteForPEFT)."""
import json, os, sys, warnings
import numpy as np
import torch
from peft import PeftModel
from transformers import AutoModelForImageTextToText

root = sys.argv[1]
for name in sorted(os.listdir(root)):
    if not name.startswith("adapter-"):
        continue
    d = os.path.join(root, name)
    e = json.load(open(f"{d}/expect.json"))
    base = AutoModelForImageTextToText.from_pretrained(f"{root}/base", dtype=torch.float32, attn_implementation="eager")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = PeftModel.from_pretrained(base, d)
    lost = [str(w.message)[:200] for w in caught if "key" in str(w.message)]
    assert not lost, lost
    n = sum(p.numel() for k, p in model.named_parameters() if "lora_" in k)
    assert n == e["parameters"], (n, e["parameters"])
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([e["ids"]])).logits[0, -1].numpy()
    diff = float(np.abs(logits - np.array(e["logits"], np.float32)).max())
    assert diff < 3e-4, diff
    print(name, n, "parameters, logits within", diff)
