"""Loads what Model.Save wrote with transformers 5.23.0 and compares ids, pixels and logits.

    LIGHTBOX_REFERENCE_OUT=DIR go test -run TestWriteForReference . && python testdata/check_saved.py DIR
"""
import json, os, sys
import torch
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, f"{HERE}/../../testdata")
from reference import digest, image
from transformers import AutoModelForImageTextToText, AutoProcessor

for name in sorted(os.listdir(sys.argv[1])):
    d = os.path.join(sys.argv[1], name)
    e = json.load(open(f"{d}/expect.json"))
    model, info = AutoModelForImageTextToText.from_pretrained(d, dtype=torch.float32, attn_implementation="eager", output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"] and not info["mismatched_keys"], info
    proc = AutoProcessor.from_pretrained(d, backend="pil")
    text = proc.apply_chat_template([dict(role="user", content=[dict(type="image"), dict(type="text", text=e["prompt"])])], add_generation_prompt=True)
    assert text == e["text"], (text, e["text"])
    batch = proc(text=text, images=image(*e["image"]), return_tensors="pt")
    assert batch["input_ids"][0].tolist() == e["ids"], (batch["input_ids"][0].tolist(), e["ids"])
    assert digest(batch["pixel_values"]) == e["pixels"]
    with torch.no_grad():
        out = model(**batch).logits[0, -1]
        model.generate(**batch, max_new_tokens=4, do_sample=False)
    diff = float((out - torch.tensor(e["logits"])).abs().max())
    assert diff < 3e-4, diff
    print(name, sum(p.numel() for p in model.parameters()), "parameters, stored as", AutoModelForImageTextToText.from_pretrained(d).dtype, "logits within", diff)
