"""Golden of fine-tuning a small ResNet as modality.ResNet does, from torch 2.15 and torchvision 0.29.2 in float32.

    python make_golden.py > finetune.json

Weights, pictures and the order of the examples are those of the Go test: weights from nettest's hash, pictures from
testmodel's Picture, the order from package train's generator (seed 1), written out below.
"""
import importlib.util, json, os, sys
import numpy as np
import torch
import torchvision.transforms as T
from PIL import Image

HERE = os.path.dirname(os.path.abspath(__file__))
spec = importlib.util.spec_from_file_location("nettest", f"{HERE}/../../internal/nettest/make_golden.py")
nettest = importlib.util.module_from_spec(spec)
spec.loader.exec_module(nettest)
torch.set_num_threads(1)

CLASSES = ["CT", "MRI", "Radiograph"]
SIZES = [(40, 28), (31, 57), (64, 64), (90, 33), (50, 75), (28, 40), (73, 73), (65, 101), (120, 80), (33, 34)]
ORDER = [[2, 1, 7, 5, 3, 8, 4, 9, 6, 0], [7, 0, 8, 4, 5, 3, 1, 2, 6, 9], [3, 0, 4, 6, 9, 2, 7, 8, 1, 5], [0, 9, 7, 1, 5, 6, 8, 4, 3, 2]]
BATCH, STEPS, SIZE, LR, DECAY = 4, 10, 96, 5e-4, 0.01
CONFIG = dict(layers=[1, 1, 2, 1], width=4, classes=len(CLASSES))


def image(seed, w, h):
    y, x = np.mgrid[0:h, 0:w]
    a = np.stack([(x * (3 + seed) + y * 2) % 256, (x * y // 3 + 40 * seed) % 256, (255 - x * 2 + y * (1 + seed)) % 256], -1)
    a[h // 4:h // 2, w // 3:w // 2] = [250, 20 * seed, 90]
    return Image.fromarray(a.astype(np.uint8))


PREPARE = T.Compose([T.Resize(SIZE * 8 // 7), T.CenterCrop(SIZE), T.ToTensor(), T.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])])


def finetune(dtype):
    torch.manual_seed(0)
    model = nettest.resnet(CONFIG)
    nettest.fill(model)
    model = model.to(dtype)
    x = torch.stack([PREPARE(image(i, *s)) for i, s in enumerate(SIZES)]).to(dtype)
    y = torch.tensor([i % len(CLASSES) for i in range(len(SIZES))])
    opt = torch.optim.AdamW(model.parameters(), lr=LR, weight_decay=DECAY)
    losses, done = [], 0
    model.train()
    for perm in ORDER:
        for lo in range(0, len(perm), BATCH):
            if done == STEPS:
                break
            at = perm[lo:lo + BATCH]
            loss = torch.nn.functional.cross_entropy(model(x[at]), y[at])
            opt.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            opt.step()
            losses.append(loss.item())
            done += 1
    model.eval()
    test = torch.stack([PREPARE(image(20 + i, *s)) for i, s in enumerate(SIZES[:5])]).to(dtype)
    with torch.no_grad():
        p = torch.softmax(model(test), 1)
    stats = {n: t.double().flatten().tolist() for n, t in model.named_buffers() if "layer4" in n or n.startswith("bn1")}
    return losses, p, stats


losses, p, stats = finetune(torch.float32)
wide = finetune(torch.float64)
print("f32-f64: losses", max(abs(a - b) for a, b in zip(losses, wide[0])), "probabilities", (p.double() - wide[1]).abs().max().item(),
      "statistics", max(abs(a - b) for n in stats for a, b in zip(stats[n], wide[2][n])), "batches", stats["bn1.num_batches_tracked"], file=sys.stderr)
print(json.dumps(dict(losses=losses, probabilities=[float("%.7g" % v) for v in p.max(1).values.tolist()], predicted=[CLASSES[i] for i in p.argmax(1).tolist()],
                      running={n: [float("%.7g" % v) for v in t] for n, t in stats.items()})))
