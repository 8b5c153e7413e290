"""Loads what Model.Save wrote with transformers 5.23.0: python check_saved.py DIR (see modeltest.WriteForReference)."""
import json, os, sys
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, f"{HERE}/../../testdata")
from reference import *
from transformers import AutoTokenizer, VisionEncoderDecoderModel
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

for name in sorted(os.listdir(sys.argv[1])):
    d = os.path.join(sys.argv[1], name)
    e = json.load(open(f"{d}/expect.json"))
    model, info = VisionEncoderDecoderModel.from_pretrained(d, dtype=torch.float32, attn_implementation="eager", output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"] and not info["mismatched_keys"], info
    model.eval()
    ids = [model.config.decoder_start_token_id] + AutoTokenizer.from_pretrained(d)(e["text"])["input_ids"]
    assert ids == e["ids"], (ids, e["ids"])
    px = ViTImageProcessorPil.from_pretrained(d)(image(*e["image"]), return_tensors="pt")["pixel_values"]
    assert digest(px) == e["pixels"]
    with torch.no_grad():
        logits = model(pixel_values=px, decoder_input_ids=torch.tensor([ids])).logits[0, -1].numpy()
        out = model.generate(pixel_values=px, max_new_tokens=5, do_sample=False)
    diff = float(np.abs(logits - np.array(e["logits"], np.float32)).max())
    print(name, "logits within", diff, "parameters", sum(p.numel() for p in model.parameters()), out.shape)
    assert diff < 3e-4
