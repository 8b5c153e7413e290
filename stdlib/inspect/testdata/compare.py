"""Compares the artifact of inspect.Forward with transformers on the same checkpoint.

Usage: python compare.py ARTIFACT_DIR CHECKPOINT_DIR     (transformers 5.23.0, torch 2.15)

ARTIFACT_DIR holds forward.json and forward.safetensors (a displayed Pass names it). Prints the largest difference of
logits, loss and gradients; exits 1 above 3e-4 (logits) or 1e-3 (loss, gradients).
"""
import json
import sys

import torch
from safetensors.torch import load_file
from transformers import AutoModelForImageTextToText

directory, checkpoint = sys.argv[1:3]
model = AutoModelForImageTextToText.from_pretrained(checkpoint, dtype=torch.float32, attn_implementation="eager").eval()
seen = json.load(open(directory + "/forward.json"))
tensors = load_file(directory + "/forward.safetensors")
bad = False
for example in seen:
    tokens = [t for t in example["tokens"] if t["id"] >= 0]
    ids = torch.tensor([[t["id"] for t in tokens]])
    labels = torch.tensor([[t["id"] if t.get("learnt") else -100 for t in tokens]])
    pixels = tensors.get(example["id"] + ".pixels")
    out = model(input_ids=ids, pixel_values=pixels, labels=labels)
    at = [i for i in range(ids.shape[1] - 1) if labels[0, i + 1] != -100]
    logits = (out.logits[0, at] - tensors[example["id"] + ".logits"]).abs().max().item()
    loss = abs(out.loss.item() - example["loss"])
    print(f"{example['id']}: logits {logits:.1e}, loss {loss:.1e}")
    bad |= logits > 3e-4 or loss > 1e-3
    (out.loss / len(seen)).backward()
for name, p in model.named_parameters():
    got = tensors.get("grad." + name)
    if got is not None:
        grad = (p.grad - got).abs().max().item()
        print(f"gradient of {name}: {grad:.1e} of {p.grad.abs().max().item():.1e}")
        bad |= grad > 1e-3
sys.exit(bad)
