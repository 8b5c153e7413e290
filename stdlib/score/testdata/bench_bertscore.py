"""BERTScore with idf over pairs of real captions: bert_score and this package in turn, on the same processor, with the
same checkpoints, loading left out.

    python bench_bertscore.py ../../../../shared/data/roco-text/validation_captions.txt bert deberta DIR:LAYER ... [--pairs 100] [--threads 1 2] [--times 3]

Checkpoints: bert (bert-base-uncased's sizes and its layer 9) and deberta (deberta-base's sizes and its layer 9) have random
weights and a vocabulary learnt from the captions; others are directories. bert_score 0.3.13, transformers 4.49.0.
Prints the best of several times of each, for each number of threads: seconds passed and, which other work on the machine disturbs
less, seconds of processor time; their ratios and both means of F.
"""
import argparse
import contextlib
import json
import os
import pathlib
import re
import subprocess
import tempfile
import time

import torch
import transformers
from bert_score import BERTScorer
from tokenizers import BertWordPieceTokenizer, ByteLevelBPETokenizer

from make_bertscore import prepare

transformers.logging.set_verbosity_error()
PACKAGE = pathlib.Path(__file__).resolve().parent.parent
arguments = argparse.ArgumentParser()
arguments.add_argument("--pairs", type=int, default=100)
arguments.add_argument("--threads", type=int, nargs="+", default=[1, 2])
arguments.add_argument("--times", type=int, default=3)
arguments.add_argument("captions")
arguments.add_argument("checkpoints", nargs="+")
ARGS = arguments.parse_args()
LINES = [l.split("\t", 1)[1] for l in open(ARGS.captions, encoding="utf-8").read().split("\n") if l]
PAIRS = ARGS.pairs


def roco(n):
    pairs = []
    for k in range(n):
        ref = LINES[k * 5]
        words = ref.split(" ")
        pairs.append((ref, [LINES[(k * 11 + 7) % len(LINES)], " ".join(w for i, w in enumerate(words) if i % 3 != 2), " ".join(reversed(words))][k % 3]))
    return [(prepare(r), prepare(c)) for r, c in pairs]


def write(d, kind):
    torch.manual_seed(1)
    if kind == "bert":
        t = BertWordPieceTokenizer(lowercase=True)
        t.train_from_iterator(LINES, vocab_size=20000, show_progress=False)
        t.save_model(d)
        json.dump(dict(do_lower_case=True, model_max_length=512, tokenizer_class="BertTokenizer"), open(d + "/tokenizer_config.json", "w"))
        config = transformers.BertConfig(vocab_size=t.get_vocab_size())
    else:
        t = ByteLevelBPETokenizer()
        t.train_from_iterator(LINES, vocab_size=20000, special_tokens=["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]"], show_progress=False)
        t.save_model(d)
        json.dump(dict(do_lower_case=False, vocab_type="gpt2"), open(d + "/tokenizer_config.json", "w"))
        config = transformers.DebertaConfig(vocab_size=t.get_vocab_size(), relative_attention=True, pos_att_type="c2p|p2c", position_biased_input=False)
    transformers.AutoModel.from_config(config).save_pretrained(d)


def bench(name, d, layer, binary):
    assert "t5" not in d, f"bert_score takes whatever has t5 in its path, {d}, for a T5"
    pairs = roco(PAIRS)
    refs, caps = [r for r, _ in pairs], [c for _, c in pairs]
    for threads in ARGS.threads:
        torch.set_num_threads(threads)
        env = dict(os.environ, LIGHTBOX_BERTSCORE=d, LIGHTBOX_BERTSCORE_LAYER=str(layer), LIGHTBOX_BERTSCORE_PAIRS=str(PAIRS),
                   LIGHTBOX_BERTSCORE_THREADS=str(threads), GOMAXPROCS=str(threads))
        scorer = BERTScorer(model_type=d, num_layers=layer, idf=True, idf_sents=refs, device="cpu", nthreads=0)
        best = [1e9, 1e9, 1e9, 1e9]  # seconds and processor seconds of bert_score, and ours
        for _ in range(ARGS.times):
            start, used = time.perf_counter(), time.process_time()
            with contextlib.redirect_stderr(open(os.devnull, "w")):
                scorer.compute_idf(refs)
                f = scorer.score(caps, refs)[2].mean().item()
            best[0], best[1] = min(best[0], time.perf_counter() - start), min(best[1], time.process_time() - used)
            out = subprocess.run([binary, "-test.run", "^$", "-test.bench", "BERTScore", "-test.benchtime", "1x"], cwd=PACKAGE, env=env, capture_output=True, text=True, check=True).stdout
            best[2] = min(best[2], float(re.search(r"([\d.e+]+) ns/op", out).group(1)) / 1e9)
            best[3] = min(best[3], float(re.search(r"([\d.]+) cpu-s", out).group(1)))
            ours = float(re.search(r"([\d.]+) F\b", out).group(1))
        print(f"{name}, layer {layer}, {PAIRS} pairs, {threads} threads: bert_score {best[0]:.2f} s ({best[1]:.2f} processor s), lightbox {best[2]:.2f} s ({best[3]:.2f}): "
              f"{best[0] / best[2]:.2f} times ({best[1] / best[3]:.2f}); mean F {f:.4f} and {ours:.4f}", flush=True)


with tempfile.TemporaryDirectory() as top:
    binary = os.path.join(top, "score.test")
    subprocess.run(["go", "test", "-c", "-o", binary, "."], cwd=PACKAGE, check=True)
    for what in ARGS.checkpoints:
        if what in ("bert", "deberta"):
            d = os.path.join(top, what)
            os.mkdir(d)
            write(d, what)
            bench(what + " of base size, random weights", d, 9, binary)
        else:
            d, layer = what.rsplit(":", 1)
            bench(os.path.basename(d), d, int(layer), binary)
