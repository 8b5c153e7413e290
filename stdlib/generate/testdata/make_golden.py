"""Writes golden.json: what transformers' generate() writes, greedily and by beam search.

Pinned: torch 2.15, transformers 5.23.0 (asserted by the script of package llava, which this one builds on: the same
checkpoint "grouped", its weights drawn from a hash in both languages).  Run: python make_golden.py
"""
import json, os, sys
import torch

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, f"{here}/../../models/llava/testdata")
import make_golden as llava
from make_golden import IMAGE
from reference import EXAMPLES, image

case = llava.Grouped()
model = case.loaded("grouped")
proc = case.proc


def inputs(ex):
    im = image(*ex["image"]) if ex["image"] else None
    content = ([dict(type="image")] if im else []) + [dict(type="text", text=ex["prompt"])]
    text = proc.apply_chat_template([dict(role="user", content=content)], add_generation_prompt=True)
    return proc(text=text, return_tensors="pt", **(dict(images=im) if im else {}))


def write(ex, eos, beams, power):
    b = inputs(ex)
    with torch.no_grad():
        out = model.generate(**b, do_sample=False, num_beams=beams, length_penalty=power, early_stopping=False, max_new_tokens=64,
                             eos_token_id=eos, pad_token_id=IMAGE + 1)[0, b["input_ids"].shape[1]:].tolist()
    while out and out[-1] == IMAGE + 1:  # padding
        out.pop()
    if out and out[-1] in eos:
        out.pop()
    return out


runs = []
plain = [write(ex, [2], 1, 1.0) for ex in EXAMPLES]
# ends that come early: tokens that greedy decoding meets, or that beams meet before
stops = [[2], [plain[0][6]], [plain[1][9], plain[2][4]], [plain[0][20], plain[2][15]]]
for k, ex in enumerate(EXAMPLES):
    for eos in stops:
        for beams, power in [(1, 1.0), (2, 1.0), (3, 1.0), (5, 1.0), (2, 2.0), (3, 0.4), (5, -1.0)]:
            if eos == [2] and power != 1.0 and k:
                continue
            out = write(ex, eos, beams, power)
            runs.append(dict(example=k, eos=eos, beams=beams, power=power, tokens=out))
            print(k, eos, beams, power, len(out), flush=True)
json.dump(dict(made_by="make_golden.py, transformers 5.23.0", examples=EXAMPLES, runs=runs), open(f"{here}/golden.json", "w"), separators=(",", ":"), ensure_ascii=False)
