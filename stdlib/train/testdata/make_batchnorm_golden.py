"""Writes batchnorm_golden.json: progressive fine-tuning of a CNN-Transformer by torch and torchvision.

Pinned: torch 2.15 (asserted by the script of package cnntransformer, whose checkpoint "post" this one trains).
Run: python make_batchnorm_golden.py

As make_progressive_golden.py, but the encoder has batch normalisation: it is in evaluation mode until its stage, then in
training mode, where the two images of a batch are normalised together and move the running statistics.
"""
import json, os, tempfile
here = os.path.dirname(os.path.abspath(__file__))
script = os.path.join(here, "../../models/cnntransformer/testdata/make_golden.py")
__file__ = script
exec(open(script).read().rsplit("\nif __name__", 1)[0])  # its classes, without its loop
from transformers import get_cosine_schedule_with_warmup

progressive = json.load(open(f"{here}/progressive_golden.json"))
ORDER, TRAIN = progressive["order"], progressive["train"]
CONFIG = dict(lr=1e-3, decay=0.01, warmup=0.1, steps=12, stages=[0, 1, 2], prompt="Describe the image.")
case = CASES["post"]
with tempfile.TemporaryDirectory() as d:
    case.write_files(d)
model = case.model()
model.eval()
with torch.no_grad():
    for n, p in list(model.named_parameters()) + case.buffers(model):
        p.copy_(torch.from_numpy(np.array(weight(n, tuple(p.shape)))).reshape(p.shape))
samples = []
for ex in TRAIN:
    full = case.inputs(CONFIG["prompt"] + " " + ex["caption"], image(*ex["image"]))
    k = case.inputs(CONFIG["prompt"], image(*ex["image"]))["input_ids"].shape[1]
    ids = full["input_ids"][0].tolist() + [ID]
    samples.append((ids, [-100] * k + ids[k:], full["pixel_values"]))


def stage(n):
    if n.startswith("encoder."):
        return 2
    if n.startswith("projection") or "multihead_attn" in n or ".norm2" in n or n == "decoder.embedding.weight":
        return 0
    return 1


opt = torch.optim.AdamW(model.parameters(), lr=CONFIG["lr"], weight_decay=CONFIG["decay"])
sched = get_cosine_schedule_with_warmup(opt, math.ceil(CONFIG["warmup"] * CONFIG["steps"]), CONFIG["steps"])
losses, norms = [], []
for step in range(CONFIG["steps"]):
    for n, p in model.named_parameters():
        p.requires_grad_(step >= CONFIG["stages"][stage(n)])
    model.encoder.train(step >= CONFIG["stages"][2])
    at = ORDER[step // 3][step % 3 * 2:step % 3 * 2 + 2]
    tokens = sum(sum(l != -100 for l in samples[i][1][1:]) for i in at)
    memory = model.projection(model.encoder(torch.cat([samples[i][2] for i in at])))
    loss = 0.0
    for b, i in enumerate(at):
        ids, labels, _ = samples[i]
        x = model.decoder.embedding(torch.tensor([ids])) + model.decoder.positions(torch.arange(len(ids)))
        lg = model.head(model.decoder(x, memory[b:b + 1], tgt_mask=torch.nn.Transformer.generate_square_subsequent_mask(len(ids))))[0]
        want = torch.tensor(labels[1:])
        loss = loss + torch.nn.functional.cross_entropy(lg[:-1][want != -100], want[want != -100], reduction="sum") / tokens
    loss.backward()
    norms.append(float(torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)))
    opt.step()
    sched.step()
    opt.zero_grad(set_to_none=True)
    losses.append(float(loss.detach()))
    print(step, at, losses[-1], norms[-1], flush=True)
json.dump(dict(made_by=f"make_batchnorm_golden.py, torch {torch.__version__}, torchvision {torchvision.__version__}", config=CONFIG, order=ORDER, train=TRAIN,
               losses=losses, norms=norms, after={n: project(n, p) for n, p in list(model.named_parameters()) + case.buffers(model)}),
          open(f"{here}/batchnorm_golden.json", "w"), separators=(",", ":"), ensure_ascii=False)
