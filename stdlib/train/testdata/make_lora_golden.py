"""Writes lora_golden.json: 20 steps of LoRA training by torch, transformers and peft.

Pinned: torch 2.15, transformers 5.23.0, peft 0.21.2 (asserted by the script of package llava, which this one builds on:
the same checkpoint "grouped", its weights drawn from a hash in both languages).  Run: python make_lora_golden.py

AdamW with decay, cosine with warm-up, clipping to norm 1, two micro-batches of two examples a step (the last step of an
epoch has one), the loss the mean over all caption tokens of the step, no dropout. The order is Lightbox's for seed 7.
"""
import json, math, os, sys
import numpy as np
import peft, torch
from transformers import get_cosine_schedule_with_warmup

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, f"{here}/../../models/llava/testdata")
import make_golden as llava
from reference import hashed, image

ORDER = [[1, 4, 3, 5, 2, 0], [4, 2, 3, 1, 5, 0], [0, 4, 3, 1, 2, 5], [5, 3, 0, 4, 2, 1], [3, 2, 4, 1, 5, 0],
         [4, 1, 0, 5, 3, 2], [1, 5, 4, 0, 3, 2], [0, 2, 5, 4, 3, 1], [0, 5, 3, 1, 4, 2], [5, 3, 0, 1, 2, 4]]
TRAIN = [dict(image=[1, 40, 28], caption="Axial CT of the abdomen shows a cyst of 23 mm."), dict(image=[2, 31, 57], caption="Left upper lobe nodule."),
         dict(image=[3, 28, 28], caption="No lesion."), dict(image=[4, 50, 33], caption="Ultrasound of the liver with a mass of 4.5 cm."),
         dict(image=[5, 29, 41], caption="Chest radiograph."), dict(image=[6, 64, 64], caption="Sagittal MRI of the brain: no lesion.")]
CONFIG = dict(rank=4, alpha=8, lr=5e-3, decay=0.01, warmup=0.1, steps=20, prompt="Describe the image.")

case = llava.Grouped()
model = case.loaded("grouped")
lm = peft.get_peft_model(model, peft.LoraConfig(r=CONFIG["rank"], lora_alpha=CONFIG["alpha"], target_modules=r".*language_model\..*(q_proj|v_proj|down_proj)"))
lm.eval()
params = {}
for n, p in lm.named_parameters():
    if p.requires_grad:
        n = n.replace(".default", "")
        p.data.copy_(torch.from_numpy(np.float32(0.2) * hashed(n, p.numel()).reshape(p.shape)))
        params[n] = p

proc = case.proc
samples = []
for ex in TRAIN:
    content = [dict(type="image"), dict(type="text", text=CONFIG["prompt"])]
    text = proc.apply_chat_template([dict(role="user", content=content)], add_generation_prompt=True)
    prompt = proc(text=text, images=image(*ex["image"]), return_tensors="pt")["input_ids"][0].tolist()
    full = proc(text=text + " " + ex["caption"], images=image(*ex["image"]), return_tensors="pt")
    ids = full["input_ids"][0].tolist() + [2]
    samples.append((ids, [-100] * len(prompt) + ids[len(prompt):], full["pixel_values"]))

opt = torch.optim.AdamW(params.values(), lr=CONFIG["lr"], weight_decay=CONFIG["decay"])
sched = get_cosine_schedule_with_warmup(opt, math.ceil(CONFIG["warmup"] * CONFIG["steps"]), CONFIG["steps"])
losses, norms = [], []
for step in range(CONFIG["steps"]):
    at = ORDER[step // 2][step % 2 * 4:step % 2 * 4 + 4]
    tokens = sum(sum(l != -100 for l in samples[i][1][1:]) for i in at)
    total = 0.0
    for i in at:
        ids, labels, pixels = samples[i]
        n = sum(l != -100 for l in labels[1:])
        loss = lm(input_ids=torch.tensor([ids]), pixel_values=pixels, labels=torch.tensor([labels])).loss * (n / tokens)
        loss.backward()
        total += float(loss.detach())
    norms.append(float(torch.nn.utils.clip_grad_norm_(params.values(), 1.0)))
    opt.step()
    sched.step()
    opt.zero_grad()
    losses.append(total)
    print(step, at, total, norms[-1], flush=True)
json.dump(dict(made_by="make_lora_golden.py, transformers 5.23.0, peft 0.21.2", config=CONFIG, order=ORDER, train=TRAIN, losses=losses, norms=norms,
               names=list(params), after={n: [round(float(x), 6) for x in p.detach().flatten()] for n, p in params.items()}),
          open(f"{here}/lora_golden.json", "w"), separators=(",", ":"), ensure_ascii=False)
