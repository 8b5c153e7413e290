"""The tiny DeBERTa of rehearsals, as transformers reads it.

    LIGHTBOX_REFERENCE_OUT=DIR go test -run TinyDeBERTa .. && python check_tiny.py DIR

Compares tokens and hidden states with what TestTinyDeBERTa wrote. Ran with transformers 4.49.0 and 5.23.0.
"""
import json, sys
import numpy as np
import torch, transformers

d = sys.argv[1] + "/tiny-deberta"
expected = json.load(open(d + "/expected.json"))
tokenizer = transformers.AutoTokenizer.from_pretrained(d, use_fast=False)
ids = tokenizer.encode(expected["text"])
assert ids == expected["ids"], (ids, expected["ids"])
model, info = transformers.AutoModel.from_pretrained(d, dtype=torch.float32, output_loading_info=True) if transformers.__version__ >= "5" else \
    transformers.AutoModel.from_pretrained(d, torch_dtype=torch.float32, output_loading_info=True)
assert not info["missing_keys"] and not info["unexpected_keys"], info
with torch.no_grad():
    h = model.eval()(torch.tensor([ids])).last_hidden_state[0].numpy()
print("transformers", transformers.__version__, type(tokenizer).__name__, len(ids), "tokens, hidden states off by", np.abs(h - np.array(expected["hidden"])).max())
