"""Loads what Model.Save wrote with transformers 5.23.0: python check_saved.py DIR (see reference_test.go)."""
import json, os, sys
import numpy as np
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor


def image(seed, w, h):
    y, x = np.mgrid[0:h, 0:w]
    a = np.stack([(x * (3 + seed) + y * 2) % 256, (x * y // 3 + 40 * seed) % 256, (255 - x * 2 + y * (1 + seed)) % 256], -1)
    a[h // 4:h // 2, w // 3:w // 2] = [250, 20 * seed, 90]
    return Image.fromarray(a.astype(np.uint8))


for name in sorted(os.listdir(sys.argv[1])):
    d = os.path.join(sys.argv[1], name)
    if not os.path.isdir(d):
        continue
    e = json.load(open(f"{d}/expect.json")) if os.path.exists(f"{d}/expect.json") else None
    model, info = AutoModelForImageTextToText.from_pretrained(d, dtype=torch.float32, attn_implementation="eager", output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"] and not info["mismatched_keys"], info
    stored = AutoModelForImageTextToText.from_pretrained(d).dtype
    if e:
        text, im = e["text"], image(*e["image"])
        proc = AutoProcessor.from_pretrained(d, backend="pil")
        batch = proc(text=text, images=im, return_tensors="pt")
        ids = batch["input_ids"][0].tolist()
        assert ids == e["ids"], (ids, e["ids"])
        assert np.array_equal(batch["pixel_values"].flatten()[:64].numpy(), np.array(e["pixels"], np.float32))
        with torch.no_grad():
            logits = model(input_ids=batch["input_ids"], pixel_values=batch["pixel_values"]).logits[0, -1].numpy()
        diff = float(np.abs(logits - np.array(e["logits"], np.float32)).max())
        assert diff < 3e-4, diff
        print(name, "stored as", stored, "logits within", diff)
    else:
        proc = AutoProcessor.from_pretrained(d, backend="pil")
        text = proc.apply_chat_template([dict(role="user", content=[dict(type="image"), dict(type="text", text="What?")])], add_generation_prompt=True)
        batch = proc(text=text, images=image(1, 40, 28), return_tensors="pt")
        out = model.generate(**batch, max_new_tokens=8, do_sample=False)
        print(name, "stored as", stored, "parameters", sum(p.numel() for p in model.parameters()), repr(text), batch["input_ids"].shape,
              repr(proc.batch_decode(out[:, batch["input_ids"].shape[1]:])[0]))
