"""Loads what Model.Save wrote with transformers 5.23.0: python check_saved.py DIR (see modeltest.WriteForReference)."""
import json, os, sys
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, f"{HERE}/../../testdata")
from reference import *
from transformers import IdeficsForVisionText2Text
from transformers.models.idefics.image_processing_pil_idefics import IdeficsImageProcessorPil

for name in sorted(os.listdir(sys.argv[1])):
    d = os.path.join(sys.argv[1], name)
    e = json.load(open(f"{d}/expect.json"))
    model, info = IdeficsForVisionText2Text.from_pretrained(d, dtype=torch.float32, attn_implementation="eager", output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"] and not info["mismatched_keys"], info
    model.eval()
    px = IdeficsImageProcessorPil.from_pretrained(d)(image(*e["image"]), return_tensors="pt")
    px = px.reshape(1, 1, *px.shape[-3:])
    assert digest(px) == e["pixels"], name
    ids = e["ids"]
    marker = Tokenizer.from_file(f"{d}/tokenizer.json").token_to_id("<image>")
    first = ids.index(marker)
    mask = torch.tensor([[[1 if i >= first else 0] for i in range(len(ids))]])
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.long), pixel_values=px, image_attention_mask=mask).logits[0, -1].numpy()
    diff = float(np.abs(logits - np.array(e["logits"], np.float32)).max())
    print(name, "logits within", diff, "parameters", sum(p.numel() for p in model.parameters()))
    assert diff < 3e-4
