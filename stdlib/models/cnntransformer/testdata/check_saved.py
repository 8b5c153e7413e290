"""Loads what Model.Save wrote with PyTorch and torchvision: python check_saved.py DIR (see modeltest.WriteForReference)."""
import os, sys
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from make_golden import *
from safetensors.torch import load_file
from transformers import AutoTokenizer

for name in sorted(os.listdir(sys.argv[1])):
    d = os.path.join(sys.argv[1], name)
    e = json.load(open(f"{d}/expect.json"))
    c = json.load(open(f"{d}/config.json"))
    c["decoder"].setdefault("layer_norm_eps", 1e-5)
    model = CNNTransformer(c).eval()
    state = {k: v.float() if v.is_floating_point() else v for k, v in load_file(f"{d}/model.safetensors").items()}
    if c["decoder"]["tie_word_embeddings"]:
        state["head.weight"] = state["decoder.embedding.weight"]
    model.load_state_dict(state, strict=True)
    ids = [c["decoder_start_token_id"]] + AutoTokenizer.from_pretrained(d)(e["text"])["input_ids"]
    assert ids == e["ids"], (ids, e["ids"])
    px = ViTImageProcessorPil.from_pretrained(d)(image(*e["image"]), return_tensors="pt")["pixel_values"]
    assert digest(px) == e["pixels"]
    with torch.no_grad():
        logits = model(px, torch.tensor([ids]))[0, -1].numpy()
    diff = float(np.abs(logits - np.array(e["logits"], np.float32)).max())
    print(name, "logits within", diff, "parameters", sum(p.numel() for p in model.parameters()))
    assert diff < 3e-4
