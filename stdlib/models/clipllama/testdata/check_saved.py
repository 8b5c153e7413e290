"""Loads what Model.Save wrote with transformers 5.23.0: python check_saved.py DIR (see modeltest.WriteForReference), of LLaVA-1.5 and 1.6 alike."""
import json, os, sys
import numpy as np
import torch
from transformers import AutoModelForImageTextToText, AutoProcessor
sys.path.insert(0, f"{os.path.dirname(os.path.abspath(__file__))}/../../testdata")
from reference import digest, image

for name in sorted(os.listdir(sys.argv[1])):
    d = os.path.join(sys.argv[1], name)
    model, info = AutoModelForImageTextToText.from_pretrained(d, dtype=torch.float32, attn_implementation="eager", output_loading_info=True)
    assert type(model).__name__ in json.load(open(f"{d}/config.json"))["architectures"], type(model)
    assert not info["missing_keys"] and not info["unexpected_keys"] and not info["mismatched_keys"], info
    stored = AutoModelForImageTextToText.from_pretrained(d).dtype
    proc = AutoProcessor.from_pretrained(d, backend="pil")
    what = f"{name}: stored as {stored}, {sum(p.numel() for p in model.parameters())} parameters,"
    if not os.path.exists(f"{d}/expect.json"):  # of models.New: nothing to compare with, but it must work
        text = proc.apply_chat_template([dict(role="user", content=[dict(type="image"), dict(type="text", text="What?")])], add_generation_prompt=True)
        batch = proc(text=text, images=image(1, 40, 28), return_tensors="pt")
        out = model.generate(**batch, max_new_tokens=8, do_sample=False)
        print(what, repr(text), tuple(batch["input_ids"].shape), repr(proc.batch_decode(out[:, batch["input_ids"].shape[1]:])[0]))
        continue
    e = json.load(open(f"{d}/expect.json"))
    if proc.chat_template:
        text = proc.apply_chat_template([dict(role="user", content=[dict(type="image"), dict(type="text", text=e["prompt"])])], add_generation_prompt=True)
        assert text == e["text"], (text, e["text"])
    batch = proc(text=e["text"], images=image(*e["image"]), return_tensors="pt")
    ids = batch["input_ids"][0].tolist()
    assert ids == e["ids"], (ids, e["ids"])
    assert digest(batch["pixel_values"][0]) == e["pixels"]
    with torch.no_grad():
        logits = model(**batch).logits[0, -1].numpy()
    diff = float(np.abs(logits - np.array(e["logits"], np.float32)).max())
    assert diff < 3e-4, diff
    print(what, len(ids), "tokens, logits within", diff)
