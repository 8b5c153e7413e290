"""Golden for TorchvisionProcessor: SHA-256 of the float32 pixels of torchvision's transforms on Pillow images.

    python make_torchvision.py > torchvision.json      # torchvision 0.29.2, Pillow 13.0
"""
import hashlib, json
import numpy as np
import torchvision.transforms as T
from PIL import Image

NORM = T.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])


def image(seed, w, h):
    """A smooth colour image with a bright block: the same integers as package testmodel's Picture."""
    y, x = np.mgrid[0:h, 0:w]
    a = np.stack([(x * (3 + seed) + y * 2) % 256, (x * y // 3 + 40 * seed) % 256, (255 - x * 2 + y * (1 + seed)) % 256], -1)
    a[h // 4:h // 2, w // 3:w // 2] = [250, 20 * seed, 90]
    return Image.fromarray(a.astype(np.uint8))


out = []
for size in (224, 56, 49):
    for seed, (w, h) in enumerate([(40, 28), (31, 57), (300, 200), (1, 1), (256, 256), (513, 301), (301, 513), (90, 91), (1000, 33), (224, 224), (3, 400)]):
        im = image(seed, w, h)
        crop = T.Compose([T.Resize(size * 8 // 7), T.CenterCrop(size), T.ToTensor(), NORM])(im)
        whole = T.Compose([T.Resize((size, size)), T.ToTensor(), NORM])(im)
        out.append(dict(seed=seed, w=w, h=h, size=size, crop=hashlib.sha256(crop.numpy().tobytes()).hexdigest(),
                        whole=hashlib.sha256(whole.numpy().tobytes()).hexdigest()))
print("[" + ",\n ".join(json.dumps(o) for o in out) + "]")
