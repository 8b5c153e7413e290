"""Writes progressive_golden.json: progressive fine-tuning of a VisionGPT2 by torch and transformers.

Pinned: torch 2.15, transformers 5.23.0 (asserted by the script of package visiongpt2, whose checkpoint "projected" this
one trains).  Run: python make_progressive_golden.py

AdamW with decay, cosine with warm-up, clipping to norm 1, one batch of two examples a step, the loss the mean over all
caption tokens of the step, no dropout. The head and what looks at the image train first, then the decoder, then the
encoder. The order is Lightbox's for seed 7.
"""
import json, os, sys
here = os.path.dirname(os.path.abspath(__file__))
script = os.path.join(here, "../../models/visiongpt2/testdata/make_golden.py")
__file__ = script
exec(open(script).read().rsplit("\nfor name in", 1)[0])  # its classes, without its loop
from transformers import get_cosine_schedule_with_warmup

ORDER = [[1, 4, 3, 5, 2, 0], [4, 2, 3, 1, 5, 0], [0, 4, 3, 1, 2, 5], [5, 3, 0, 4, 2, 1]]
TRAIN = [dict(image=[1, 40, 28], caption="Axial CT of the abdomen shows a cyst of 23 mm."), dict(image=[2, 31, 57], caption="Left upper lobe nodule."),
         dict(image=[3, 28, 28], caption="No lesion."), dict(image=[4, 50, 33], caption="Ultrasound of the liver with a mass of 4.5 cm."),
         dict(image=[5, 29, 41], caption="Chest radiograph."), dict(image=[6, 64, 64], caption="Sagittal MRI of the brain: no lesion.")]
CONFIG = dict(lr=3e-3, decay=0.01, warmup=0.1, steps=12, stages=[0, 3, 7], prompt="Describe the image.")

import tempfile
case = CASES["projected"]
with tempfile.TemporaryDirectory() as d:
    case.write_files(d)
    model = case.model()
model.eval()
with torch.no_grad():
    for n, p in model.named_parameters():
        p.copy_(torch.from_numpy(np.array(weight(n, tuple(p.shape)))).reshape(p.shape))
samples = []
for ex in TRAIN:
    full = case.inputs(CONFIG["prompt"] + " " + ex["caption"], image(*ex["image"]))
    k = case.inputs(CONFIG["prompt"], None or image(*ex["image"]))["input_ids"].shape[1]
    ids = full["input_ids"][0].tolist() + [ID]
    samples.append((case.extend(full, ids), [-100] * k + ids[k:]))


def stage(n):
    if n.startswith("encoder."):
        return 2
    if n.startswith("enc_to_dec_proj") or "crossattention" in n or "ln_cross_attn" in n or n.endswith("wte.weight"):
        return 0
    return 1


opt = torch.optim.AdamW(model.parameters(), lr=CONFIG["lr"], weight_decay=CONFIG["decay"])
sched = get_cosine_schedule_with_warmup(opt, math.ceil(CONFIG["warmup"] * CONFIG["steps"]), CONFIG["steps"])
losses, norms = [], []
for step in range(CONFIG["steps"]):
    for n, p in model.named_parameters():
        p.requires_grad_(step >= CONFIG["stages"][stage(n)])
    at = ORDER[step // 3][step % 3 * 2:step % 3 * 2 + 2]
    tokens = sum(sum(l != -100 for l in samples[i][1][1:]) for i in at)
    total = 0.0
    for i in at:
        loss = case.loss(model, *samples[i]) / tokens
        loss.backward()
        total += float(loss.detach())
    norms.append(float(torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)))
    opt.step()
    sched.step()
    opt.zero_grad(set_to_none=True)
    losses.append(total)
    print(step, at, total, norms[-1], flush=True)
json.dump(dict(made_by="make_progressive_golden.py, torch 2.15, transformers 5.23.0", config=CONFIG, order=ORDER, train=TRAIN, losses=losses, norms=norms,
               after={n: project(n, p) for n, p in model.named_parameters()}), open(f"{here}/progressive_golden.json", "w"), separators=(",", ":"), ensure_ascii=False)
