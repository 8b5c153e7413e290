"""The other side of gemm.sh: times the products named in a Go benchmark's output with numpy and torch, and prints the table.

measure GO.txt            one line per product and library: name, library, GFLOP/s
table GO.txt PEERS.txt    the best of every line, with ratios
"""

import re
import sys
import time

NAME = re.compile(r"Benchmark(Gemm|Gemv)/((\d+)x(\d+)x(\d+)\S*?)(-\d+)?\s")


def products(path):
    """Names and sizes (M, N, K) in the order of the file."""
    seen = {}
    for line in open(path):
        m = NAME.match(line)
        if m:
            seen[m.group(1) + "/" + m.group(2)] = tuple(int(m.group(i)) for i in (3, 4, 5))
    return seen


def best(call, flops, clock):
    call()
    rate, end = 0.0, time.perf_counter() + 0.06
    calls = 16 if flops < 1e7 else 1
    while time.perf_counter() < end:
        t = clock()
        for _ in range(calls):
            call()
        rate = max(rate, calls * flops / (clock() - t + 1e-9) / 1e9)
    return rate


def measure(path):
    import os

    import numpy
    import torch

    threads = int(os.environ["OMP_NUM_THREADS"])
    clock = time.process_time if threads == 1 else time.perf_counter  # as the Go side does
    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
    for name, (m, n, k) in products(path).items():
        if "dYW" in name:  # dY·W, W (K, N)
            a, b = numpy.ones((m, k), "f4"), numpy.ones((k, n), "f4")
        elif "dYtX" in name or "_dA" in name:  # dYᵀ·X
            a, b = numpy.ones((k, m), "f4").T, numpy.ones((k, n), "f4")
        else:  # x·Wᵀ, W (N, K)
            a, b = numpy.ones((m, k), "f4"), numpy.ones((n, k), "f4").T
        out, flops = numpy.empty((m, n), "f4"), 2.0 * m * n * k
        ta, tb, tout = torch.from_numpy(a), torch.from_numpy(b), torch.from_numpy(out)
        print(name, "openblas", best(lambda: numpy.matmul(a, b, out=out), flops, clock))
        print(name, "torch", best(lambda: torch.mm(ta, tb, out=tout), flops, clock))
        if "bf16" in name:
            hb, ha = tb.T.contiguous().bfloat16().T, ta.bfloat16()
            print(name, "torch-bf16", best(lambda: torch.mm(ha, hb), flops, clock))


def table(go, peers):
    rate = {}
    peak = read = 0.0
    for line in open(go):
        words = line.split()
        if not line.startswith("Benchmark"):
            continue
        for value, unit in zip(words, words[1:]):
            m = NAME.match(line)
            if unit == "best-GFLOP/s" and m:
                key = (m.group(1) + "/" + m.group(2), "go")
                rate[key] = max(rate.get(key, 0), float(value))
            elif unit == "best-GFLOP/s" and "Peak" in line:
                peak = max(peak, float(value))
            elif unit == "best-GB/s" and "Read" in line:
                read = max(read, float(value))
    for line in open(peers):
        name, library, value = line.split()
        rate[name, library] = max(rate.get((name, library), 0), float(value))
    print(f"peak {peak:.0f} GFLOP/s, memory {read:.1f} GB/s; GFLOP/s, and in brackets Lightbox's as a multiple of the other's")
    print(f"{'product MxNxK':34}{'Lightbox':>9}{'of peak':>9}{'OpenBLAS f32':>16}{'torch f32':>16}{'torch bf16':>16}")
    for name in products(go):
        mine = rate[name, "go"]
        cells = []
        for library in ("openblas", "torch", "torch-bf16"):
            other = rate.get((name, library))
            cells.append(f"{other:.1f} ({mine / other:.2f})" if other else "")
        print(f"{name:34}{mine:9.1f}{mine / peak:9.0%}" + "".join(f"{c:>16}" for c in cells))


if __name__ == "__main__":
    {"measure": measure, "table": table}[sys.argv[1]](*sys.argv[2:])
