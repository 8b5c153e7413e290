"""The other side of BenchmarkConv2D, BenchmarkPictures and BenchmarkResNet50: times what a Go benchmark's output names with torch, in its own
layout (channels first) and channels last, and prints both with the ratio of Lightbox's time to the better of torch's.

	go test ./kernels/ops -run '^$' -bench 'Conv2D|Pictures' -benchtime 0.3s | tee go.txt
	go test ./stdlib/nn/resnet -run '^$' -bench ResNet50 | tee -a go.txt
	python bench/conv.py go.txt [threads]        # as many as the Go side had: GOMAXPROCS
"""

import re
import sys
import time

import torch

PICTURES = 4
threads = int(sys.argv[2]) if len(sys.argv) > 2 else 2
torch.set_num_threads(threads)
clock = time.process_time if threads == 1 else time.perf_counter


def best(call):
    call()
    least, end = 1e9, time.perf_counter() + 0.4
    while time.perf_counter() < end:
        t = clock()
        call()
        least = min(least, clock() - t)
    return least * 1e9


def maker(kind, name):
    """A call of torch for a benchmark's name."""
    conv = re.match(r"(\d)x\dx?s(\d)_(\d+)_(\d+)_(\d+)", name)
    if conv:
        k, s, c, o, side = map(int, conv.groups())
        layer = torch.nn.Conv2d(c, o, k, s, k // 2, bias=False)
    else:
        op, c, side = name.split("_")
        c, side = int(c), int(side)
        layer = {"maxpool": torch.nn.MaxPool2d(3, 2, 1), "avgpool": torch.nn.AvgPool2d(2), "batchnorm": torch.nn.BatchNorm2d(c)}[op]
    both = kind != "forward"

    def in_format(fmt):
        x = torch.randn(PICTURES, c, side, side).contiguous(memory_format=fmt).requires_grad_(both)
        net = layer.to(memory_format=fmt)

        def call():
            if not both:
                with torch.no_grad():
                    return net(x)
            x.grad = None
            net.zero_grad()
            net(x).sum().backward()
        return call
    return in_format


def network(mode, pictures):
    """A call of torchvision's resnet50."""
    import torchvision

    def in_format(fmt):
        net = torchvision.models.resnet50(weights=None, num_classes=5).to(memory_format=fmt).train(mode == "train")
        x = torch.randn(pictures, 3, 224, 224).contiguous(memory_format=fmt)

        def call():
            if mode == "eval":
                with torch.no_grad():
                    return net(x)
            net.zero_grad()
            torch.nn.functional.cross_entropy(net(x), torch.arange(pictures)).backward()
        return call
    return in_format


print(f"torch {torch.__version__}, {threads} threads; milliseconds, and Lightbox's time over the better of torch's")
print(f"{'':32}{'Lightbox':>10}{'torch':>10}{'torch channels last':>21}{'ratio':>8}")
for line in open(sys.argv[1]):
    m = re.match(r"BenchmarkResNet50/(eval|train)_(\d)()(?:-\d+)?\s+\d+\s+(\d+\S*) ns/op", line)
    if m:
        kind, name, make = "resnet50", f"{m.group(1)}_{m.group(2)}", network(m.group(1), int(m.group(2)))
    else:
        m = re.match(r"Benchmark(?:Conv2D/(forward|both)|(Pictures))/(\S+?)(?:-\d+)?\s+\d+\s+(\d+\S*) ns/op", line)
        if not m:
            continue
        kind, name = m.group(1) or "both", m.group(3)
        make = maker(kind, name)
    ns = float(m.group(4))
    first, last = best(make(torch.contiguous_format)), best(make(torch.channels_last))
    print(f"{kind + ' ' + name:32}{ns / 1e6:10.2f}{first / 1e6:10.2f}{last / 1e6:21.2f}{ns / min(first, last):8.2f}")
