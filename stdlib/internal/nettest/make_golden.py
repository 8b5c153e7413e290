"""Goldens for packages nn/resnet and nn/densenet, from torchvision 0.29.2 on torch 2.15 in float32.

    python make_golden.py        # writes ../../nn/{resnet,densenet}/testdata/NAME.safetensors

No weights are stored: both languages draw them from the integer hash below. Per case a file holds, in its metadata, the
configuration, the pictures' size, the loss and of every gradient the norm and the product with hashed numbers; and as
tensors the logits in evaluation and in training mode, one map of the encoder, and the running statistics after the
training pass.
"""
import json, math, os
import numpy as np
import torch, torchvision
from torchvision.models.densenet import DenseNet
from torchvision.models.resnet import Bottleneck, ResNet
from safetensors.torch import save_file

HERE = os.path.dirname(os.path.abspath(__file__))
torch.set_num_threads(1)


def hashed(name, n):
    """n numbers in [-1, 1): FNV-1a of the name, then murmur3's finaliser of name hash + index * golden ratio."""
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
    v = hashed(name, int(np.prod(shape))).reshape(shape)
    f = np.float32
    if name.endswith("num_batches_tracked"):
        return np.int64(7)
    if name.endswith("running_var"):
        return f(1) + f(0.5) * v
    if len(shape) == 1:
        is_norm = name.endswith("weight")
        return (f(1) if is_norm else f(0)) + f(0.25) * v
    return f(2.2 / math.sqrt(int(np.prod(shape[1:])))) * v


class Narrow(ResNet):
    """torchvision's ResNet of bottlenecks with another width than 64."""

    def __init__(self, layers, width, classes):
        torch.nn.Module.__init__(self)
        self._norm_layer, self.dilation, self.groups, self.base_width, self.inplanes = torch.nn.BatchNorm2d, 1, 1, 64, width
        self.conv1 = torch.nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = torch.nn.BatchNorm2d(width)
        self.relu = torch.nn.ReLU(inplace=True)
        self.maxpool = torch.nn.MaxPool2d(3, 2, 1)
        for i, n in enumerate(layers):
            setattr(self, f"layer{i + 1}", self._make_layer(Bottleneck, width << i, n, stride=1 if i == 0 else 2))
        self.avgpool = torch.nn.AdaptiveAvgPool2d((1, 1))
        self.fc = torch.nn.Linear(width * 4 << 3, classes)

    def features(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))


def resnet(c):
    return Narrow(c["layers"], c["width"], c["classes"])


def densenet(c):
    return DenseNet(c["growth_rate"], tuple(c["blocks"]), c["init"], c["batch_size"], num_classes=c["classes"])


CASES = {
    "resnet": (resnet, {
        "plain": dict(layers=[1, 2, 1, 1], width=4, classes=5, pictures=[3, 45, 67]),
        "square": dict(layers=[2, 1, 3, 2], width=6, classes=3, pictures=[2, 64, 64]),
        "odd": dict(layers=[1, 1, 2, 2], width=3, classes=2, pictures=[4, 33, 101])}),
    "densenet": (densenet, {
        "short": dict(growth_rate=4, blocks=[2, 3], init=8, batch_size=2, classes=5, pictures=[3, 41, 53]),
        "four": dict(growth_rate=3, blocks=[1, 3, 2, 1], init=6, batch_size=4, classes=4, pictures=[2, 94, 70]),
        "odd": dict(growth_rate=5, blocks=[3, 1, 2], init=7, batch_size=3, classes=2, pictures=[4, 39, 61])}),
}


def fill(model):
    state = {n: torch.as_tensor(weight(n, tuple(t.shape))) for n, t in model.state_dict().items()}
    model.load_state_dict(state)


def golden(make, name, c):
    model = make(c)
    fill(model)
    b, h, w = c["pictures"]
    x = torch.from_numpy(hashed(f"pixels.{name}", b * 3 * h * w).reshape(b, 3, h, w)) * 2
    out = {}
    model.eval()
    with torch.no_grad():
        out["eval"] = model(x)
        out["map"] = model.features(x)[0].contiguous()
    model.train()
    logits = model(x)
    targets = torch.tensor([i % c["classes"] for i in range(b)])
    loss = torch.nn.functional.cross_entropy(logits, targets)
    loss.backward()
    out["train"] = logits.detach()
    grads = {}
    for n, p in model.named_parameters():
        g = p.grad.numpy().astype(np.float64).ravel()
        grads[n] = [float(np.sqrt((g * g).sum())), float((g * hashed(n + ".grad", g.size)).sum())]
    for n, t in model.named_buffers():
        if "running" in n:
            out[n] = t
        else:
            assert int(t) == 8
    meta = dict(config=c, loss=loss.item(), grads=grads, parameters=sum(p.numel() for p in model.parameters()),
                versions=[torch.__version__, torchvision.__version__])
    # in float64, to know what float32 is worth
    wide = make(c).double()
    fill(wide)
    wide.eval()
    print(name, "eval", out["eval"].abs().max().item(), "f32-f64", (wide(x.double()).float() - out["eval"]).abs().max().item(),
          "map", out["map"].abs().max().item(), "train f32-f64", (wide.train()(x.double()).float() - out["train"]).abs().max().item())
    return out, meta


if __name__ == "__main__":
    for family, (make, cases) in CASES.items():
        for name, c in cases.items():
            out, meta = golden(make, name, c)
            path = f"{HERE}/../../nn/{family}/testdata/{name}.safetensors"
            os.makedirs(os.path.dirname(path), exist_ok=True)
            save_file(out, path, {"golden": json.dumps(meta)})
            os.chmod(path, 0o644)
