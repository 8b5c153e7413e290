"""Loads what Model.Save wrote with transformers 5.23.0: python check_saved.py DIR (see modeltest.WriteForReference)."""
import glob, os, sys
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, f"{HERE}/../../testdata")
from reference import *
from transformers import AutoImageProcessor, AutoModelForImageTextToText, AutoProcessor

for d in sorted(glob.glob(f"{sys.argv[1]}/*/*")):
    e = json.load(open(f"{d}/expect.json"))
    model, info = AutoModelForImageTextToText.from_pretrained(d, dtype=torch.float32, attn_implementation="eager", output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"] and not info["mismatched_keys"], info
    model.eval()
    stored = AutoModelForImageTextToText.from_pretrained(d).dtype
    proc = AutoProcessor.from_pretrained(d)
    proc.image_processor = AutoImageProcessor.from_pretrained(d, backend="pil")  # AutoProcessor(backend="pil") raises
    content = [dict(type="image"), dict(type="text", text=e["prompt"])]
    if proc.chat_template:
        assert proc.apply_chat_template([dict(role="user", content=content)], add_generation_prompt=True) == e["text"]
    batch = proc(text=[e["text"]], images=[image(*e["image"])], return_tensors="pt")
    ids = batch["input_ids"][0].tolist()
    assert ids == e["ids"], (ids, e["ids"])
    v = model.config.vision_config
    frames = batch["pixel_values"].reshape(-1, 3, v.temporal_patch_size, v.patch_size ** 2)
    assert digest(frames[:, :, 0]) == e["pixels"]
    with torch.no_grad():
        logits = model(**batch).logits[0, -1].numpy()
        out = model.generate(**batch, max_new_tokens=5, do_sample=False)
    diff = float(np.abs(logits - np.array(e["logits"], np.float32)).max())
    print(os.path.relpath(d, sys.argv[1]), "stored as", stored, "logits within", diff, "parameters", sum(p.numel() for p in model.parameters()), "generated", out.shape[1] - len(ids))
    assert diff < 3e-4
