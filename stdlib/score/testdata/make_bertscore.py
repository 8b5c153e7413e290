"""Goldens of BERTScore: bert_score 0.3.13 on tiny random DeBERTa, RoBERTa and BERT checkpoints whose weights are drawn
from an integer hash.

Versions: bert-score 0.3.13, transformers 4.49.0, tokenizers 0.21.4, torch 2.15.0.

    python make_bertscore.py [../../../../shared/data/roco-text/validation_captions.txt]

bertscore.json  tokenizers' files, configurations, texts written for this project, and precision, recall and F1 of each
                pair with idf and without, of the captions as they are and prepared as ImageCLEFmedical does.
                With the file of real captions (which is no part of this repository) also the scores of 500 pairs made of
                its lines, as roco.
Pairs are scored one at a time (batch_size 1), where padding cannot raise a similarity to 0.
"""
import importlib.metadata
import json
import os
import re
import string
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../models/testdata"))
HERE = os.path.dirname(os.path.abspath(__file__))
for package, version in {"bert-score": "0.3.13", "transformers": "4.49.0"}.items():
    got = importlib.metadata.version(package)
    assert got == version, f"{package} is {got}, want {version}"

import hashlib
import math
import numpy as np
import torch
import transformers
from bert_score import BERTScorer
from tokenizers import ByteLevelBPETokenizer, BertWordPieceTokenizer

torch.set_num_threads(1)
transformers.logging.set_verbosity_error()


def hashed(name, n):
    """stdlib/models/testdata/reference.py's function of that name."""
    h = 2166136261
    for b in name.encode():
        h = ((h ^ b) * 16777619) & 0xFFFFFFFF
    with np.errstate(over="ignore"):
        x = np.uint32(h) + np.arange(n, dtype=np.uint32) * np.uint32(2654435761)
        x ^= x >> np.uint32(16); x *= np.uint32(0x85EBCA6B)
        x ^= x >> np.uint32(13); x *= np.uint32(0xC2B2AE35)
        x ^= x >> np.uint32(16)
    return ((x >> np.uint32(8)).astype(np.float64) / (1 << 23) - 1).astype(np.float32)


def weight(name, shape):
    """And that one's."""
    v = hashed(name, int(np.prod(shape))).reshape(shape)
    if len(shape) <= 1:
        return np.float32(1) + np.float32(0.25) * v if name.endswith("weight") else np.float32(0.25) * v
    if any(t in name for t in ("embed", "position")) and len(shape) == 2:
        return np.float32(0.75) * v
    return np.float32(1.75 / math.sqrt(int(np.prod(shape[1:])))) * v


CORPUS = ["Chest radiograph shows a nodule in the left upper lobe, marked by an arrow.", "axial ct of the abdomen shows a cyst of number mm in the right kidney",
          "sagittal mri of the brain shows no lesion", "ultrasound of the liver shows a mass of number cm with calcification arrow"] * 3
TEXTS = [
    ("Axial CT of the chest shows a mass on the right, measuring 22 mm (arrow).", "Axial CT of the chest shows a mass on the left, measuring 2.2 cm."),
    ("Coronal MRI of the brain: left-sided cyst.", "Frontal radiograph of the knee: right-sided calcification of 32 mm."),
    ("", ""), ("", "A mass."), ("A mass.", ""), ("!!!", "???"), ("!!!", "a mass"), ("a mass", "..."), ("   ", "a mass"),
    ("mass", "mass"), ("mass", "Kidney"), ("a", "b"), ("mass", "A cyst of the right kidney, and a mass."),
    ("na\u00efve caf\u00e9 \u2013 5\u00b5m \u00d7 3\u00b5m", "naive cafe 5 m 3 m"), ("\u65e5\u672c CT \ud55c\uad6d", "CT \u03a3\u0391\u03a3 \U0001f9e0"),
    ("\u00ab\u0663\u0664 mm\u00bb \u2026", "34 mm"), ("mass " * 600, "a mass word"), ("a cyst", " ".join(f"lesion{i} of" for i in range(50))),
    ("  two  spaces ", "two spaces"), ("tab\tnew\nline\x1c", "tab new line"), ("the the the the", "the"), ("Axial CT of the chest", "Axial CT of the chest"),
    ("T2-weighted MRI, 12/03/2019", "T1-weighted MRI"), ("A MASS", "a mass"), ("Post-contrast CT; no lesion?", "no lesion"),
    ("Ultrasound of the liver: a 4.5 cm mass with calcifications, and a cyst of the left kidney (arrows).", "Ultrasound: liver mass"),
    ("arrow", "arrowhead"), ("It's the patient's left lung", "its the patients left lung"),
]
COMMON = dict(num_hidden_layers=3, max_position_embeddings=80, layer_norm_eps=1e-5)
KINDS = {
    "deberta": dict(COMMON, hidden_size=24, num_attention_heads=4, intermediate_size=50, relative_attention=True, pos_att_type="c2p|p2c",
                    max_relative_positions=-1, position_biased_input=False, type_vocab_size=0, layer_norm_eps=1e-7),
    "roberta": dict(COMMON, hidden_size=20, num_attention_heads=5, intermediate_size=37, max_position_embeddings=82, type_vocab_size=1, pad_token_id=1),
    "bert": dict(COMMON, hidden_size=32, num_attention_heads=2, intermediate_size=40, type_vocab_size=2, layer_norm_eps=1e-12),
}
LAYERS = {"deberta": 2, "roberta": 3, "bert": 1}


def prepare(s):
    return re.sub(r"\d+", "number", s.lower()).translate(str.maketrans("", "", string.punctuation))


def write(d, kind):
    """The files of a checkpoint but its weights, as a dictionary too."""
    files = {}
    if kind == "bert":
        t = BertWordPieceTokenizer(lowercase=True)
        t.train_from_iterator(CORPUS, vocab_size=200, min_frequency=2, show_progress=False)
        vocab = t.get_vocab()
        files["vocab.txt"] = "".join(s + "\n" for s in sorted(vocab, key=vocab.get))
        files["tokenizer_config.json"] = json.dumps(dict(do_lower_case=True, model_max_length=64, tokenizer_class="BertTokenizer"))
    else:
        t = ByteLevelBPETokenizer()
        special = ["[PAD]", "[CLS]", "[SEP]", "[UNK]"] if kind == "deberta" else ["<s>", "<pad>", "</s>", "<unk>"]
        t.train_from_iterator(CORPUS, vocab_size=360, min_frequency=2, special_tokens=special, show_progress=False)
        with tempfile.TemporaryDirectory() as m:
            t.save_model(m)
            vocab = json.load(open(m + "/vocab.json", encoding="utf-8"))
            files["merges.txt"] = open(m + "/merges.txt", encoding="utf-8").read()
        vocab["[MASK]" if kind == "deberta" else "<mask>"] = len(vocab)
        files["vocab.json"] = json.dumps(vocab, separators=(",", ":"))
        # DeBERTa's says no length: nothing is cut then, and no class: config.json tells which it is
        files["tokenizer_config.json"] = json.dumps(dict(do_lower_case=False, vocab_type="gpt2") if kind == "deberta" else dict(model_max_length=70))
    files["config.json"] = json.dumps(dict(KINDS[kind], model_type=kind, vocab_size=len(vocab)))
    for name, text in files.items():
        with open(os.path.join(d, name), "w", encoding="utf-8", newline="") as f:
            f.write(text)
    config = transformers.AutoConfig.from_pretrained(d)
    model = transformers.AutoModel.from_config(config)
    for n, p in model.named_parameters():
        p.data.copy_(torch.from_numpy(np.array(weight(n, tuple(p.shape)))))
    model.save_pretrained(d)
    with open(os.path.join(d, "config.json"), "w") as f:
        f.write(files["config.json"])
    return files


def scores(d, layer, pairs, idf, batch=1):
    assert "t5" not in d, f"bert_score takes whatever has t5 in its path, {d}, for a T5"
    s = BERTScorer(model_type=d, num_layers=layer, idf=idf, idf_sents=[r for r, _ in pairs] if idf else None, batch_size=batch, nthreads=0, device="cpu")
    out = s.score([c for _, c in pairs], [r for r, _ in pairs], batch_size=batch)
    return [[None if math.isnan(x) else round(x, 7) for x in v.tolist()] for v in out]


def roco(path):
    lines = [l.split("\t", 1)[1] for l in open(path, encoding="utf-8").read().split("\n") if l]
    pairs = []
    for k in range(500):
        ref = lines[k * 5]
        words = ref.split(" ")
        pairs.append((ref, [lines[(k * 11 + 7) % len(lines)], " ".join(w for i, w in enumerate(words) if i % 3 != 2), " ".join(reversed(words))][k % 3]))
    return pairs


def main():
    out = {"texts": TEXTS, "kinds": {}}
    for kind in KINDS:
        with tempfile.TemporaryDirectory() as d:
            case = {"files": write(d, kind), "layer": LAYERS[kind]}
            for name, f in (("raw", str), ("prepared", prepare)):
                pairs = [(f(r), f(c)) for r, c in TEXTS]
                for idf in (True, False):
                    case[name + ("" if idf else "_noidf")] = scores(d, LAYERS[kind], pairs, idf)
            if sys.argv[1:]:
                pairs = [(prepare(r), prepare(c)) for r, c in roco(sys.argv[1])]
                for idf in (True, False):
                    case["roco" + ("" if idf else "_noidf")] = scores(d, LAYERS[kind], pairs, idf)[2]
                batched = scores(d, LAYERS[kind], pairs, True, 64)[2]
                print(kind, "batches of 64 against 1, greatest difference of F", max(abs(a - b) for a, b in zip(batched, case["roco"])))
            out["kinds"][kind] = case
    with open(os.path.join(HERE, "bertscore.json"), "w", encoding="utf-8") as f:
        json.dump(out, f, separators=(",", ":"))


if __name__ == "__main__":
    main()
