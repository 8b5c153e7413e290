"""Loads what SaveAs and Merge wrote (see TestWriteForExchange) with peft 0.21.2 and transformers 5.23.0, or 4.49.0 in its
layout: every tensor must find its place, the logits must be Lightbox's within 3e-4, and merged checkpoints must say the
same without peft, in bf16 within what rounding gives.

    python check_exchange.py DIR
"""
import json, os, sys, warnings
import numpy as np
import torch, transformers
from peft import PeftModel, get_peft_model_state_dict

torch.set_num_threads(1)
NEW = transformers.__version__.startswith("5")
CLASS = dict(llava="LlavaForConditionalGeneration", qwen2="Qwen2VLForConditionalGeneration", grouped3="Idefics3ForConditionalGeneration")


def load(name, d):
    if NEW:
        return getattr(transformers, CLASS[name]).from_pretrained(d, dtype=torch.float32, attn_implementation="eager").eval()
    return getattr(transformers, CLASS[name]).from_pretrained(d, torch_dtype=torch.float32, attn_implementation="eager").eval()


root = sys.argv[1]
for name in sorted(os.listdir(root)):
    e = json.load(open(f"{root}/{name}/input.json"))
    inputs = dict(input_ids=torch.tensor([e["ids"]]))
    if e["pixels"]:
        inputs["pixel_values"] = torch.tensor(e["pixels"]).reshape(1, 3, *e["size"])
    for kind in sorted(os.listdir(f"{root}/{name}")):
        d = f"{root}/{name}/{kind}"
        if not os.path.isdir(d) or not (kind.startswith("merged-") or kind.endswith("-5" if NEW else "-hub")):
            continue
        want = json.load(open(f"{d}/expect.json"))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            if kind.startswith("merged-"):
                model = load(name, d)
            else:
                model = PeftModel.from_pretrained(load(name, f"{root}/{name}"), d)
                got = get_peft_model_state_dict(model, save_embedding_layers=False)
                assert len(got) == want["tensors"], (len(got), want["tensors"])
        lost = [str(w.message)[:300] for w in caught if "key" in str(w.message) or "ewly initialized" in str(w.message)]
        assert not lost, lost
        with torch.no_grad():
            logits = model(**inputs).logits[0, -1].numpy()
        diff = float(np.abs(logits - np.array(want["logits"], np.float32)).max())
        print(name, kind, "logits within %.1e" % diff, flush=True)
        assert diff < 3e-4, diff
