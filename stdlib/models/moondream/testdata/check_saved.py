"""Loads what Model.Save wrote with the official code: python check_saved.py REPO DIR (see modeltest.WriteForReference and
official.py). The tensors are read by their names, the sizes from config.json."""
import json, os, sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "..", "testdata")]
import numpy as np
import torch
import official
from reference import digest, image
from safetensors.torch import load_file
from tokenizers import Tokenizer

for name in sorted(os.listdir(sys.argv[2])):
    d = os.path.join(sys.argv[2], name)
    e, c = json.load(open(f"{d}/expect.json")), json.load(open(f"{d}/config.json"))
    tensors = load_file(f"{d}/model.safetensors")
    tok = Tokenizer.from_file(f"{d}/tokenizer.json")
    v = c["vision_config"] if "vision_config" in c else c["config"]["vision"]
    text = c.get("phi_config") or c.get("text_config") or {"hidden_size": c["config"]["text"]["dim"]}
    sizes = dict(E=v["enc_dim"], p=v["enc_patch_size"], layers=v["enc_n_layers"], F=v["enc_ff_dim"], heads=v["enc_n_heads"], S=v["crop_size"], inner=v["proj_inner_dim"],
                 C=text["hidden_size"], tile=v.get("tile_from", 512))
    if c["architectures"] == ["HfMoondream"]:
        m = official.model2025(c["revision"], c, sizes, tok)
    elif c["revision"] < "2024-05-20":
        m = official.model2024("2024-04-02", {"phi_config": text}, sizes)
    else:
        m = official.model2024("2024-08-26", {"text_config": text}, sizes)
    r = m.load_state_dict({k: t.float() for k, t in tensors.items() if "region" not in k}, strict=False)
    assert not r.unexpected_keys and not [k for k in r.missing_keys if "region" not in k], r
    m.eval()
    m.image = image(*e["image"])
    assert digest(m.views(m.image).float()) == e["pixels"], name
    ids = e["ids"]
    if "config" not in c:
        question = e["text"].removeprefix("<image>")
        assert ids[ids.count(ids[0]):] == tok.encode(question, add_special_tokens=False).ids, name
    with torch.no_grad():
        logits = m(torch.tensor([ids])).logits[0, -1].numpy()
    diff = float(np.abs(logits - np.array(e["logits"], np.float32)).max())
    print(name, "logits within", diff, "region tensors kept", sum("region" in k for k in tensors))
    assert diff < 3e-4
