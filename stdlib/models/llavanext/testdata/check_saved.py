"""Loads what Model.Save wrote with transformers 5.23.0: python check_saved.py DIR (see modeltest.WriteForReference)."""
import json, os, sys
import numpy as np
import torch
from transformers import AutoModelForImageTextToText, AutoProcessor
sys.path.insert(0, f"{os.path.dirname(os.path.abspath(__file__))}/../../testdata")
from reference import digest, image

for name in sorted(os.listdir(sys.argv[1])):
    d = os.path.join(sys.argv[1], name)
    e = json.load(open(f"{d}/expect.json"))
    model, info = AutoModelForImageTextToText.from_pretrained(d, dtype=torch.float32, attn_implementation="eager", output_loading_info=True)
    assert type(model).__name__ == "LlavaNextForConditionalGeneration", type(model)
    assert not info["missing_keys"] and not info["unexpected_keys"] and not info["mismatched_keys"], info
    stored = AutoModelForImageTextToText.from_pretrained(d).dtype
    proc = AutoProcessor.from_pretrained(d, backend="pil")
    content = [dict(type="image"), dict(type="text", text=e["prompt"])]
    if proc.chat_template:
        text = proc.apply_chat_template([dict(role="user", content=content)], add_generation_prompt=True)
        assert text == e["text"], (text, e["text"])
    batch = proc(text=e["text"], images=image(*e["image"]), return_tensors="pt")
    ids = batch["input_ids"][0].tolist()
    assert ids == e["ids"], (ids, e["ids"])
    assert digest(batch["pixel_values"][0]) == e["pixels"]
    with torch.no_grad():
        logits = model(**batch).logits[0, -1].numpy()
    diff = float(np.abs(logits - np.array(e["logits"], np.float32)).max())
    assert diff < 3e-4, diff
    print(name, "stored as", stored, sum(p.numel() for p in model.parameters()), "parameters,", len(ids), "tokens, logits within", diff)
