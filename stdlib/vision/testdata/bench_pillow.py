"""Times Pillow on what bench_test.go times: python bench_pillow.py [path of shared]. One thread."""

import io
import pathlib
import sys
import time

from PIL import Image

shared = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent / "../../../../shared")
files = [p.read_bytes() for p in sorted((shared / "data/radsample/test").glob("*.jpg"))]


def best(f, n=5):
    times = []
    for _ in range(n):
        t = time.perf_counter()
        f()
        times.append(time.perf_counter() - t)
    return min(times)


def decode():
    return sum(im.width * im.height for im in (Image.open(io.BytesIO(d)).convert("RGB") for d in files))


print(f"decode {decode() / 1e6 / best(decode):.1f} Mpx/s")
for w, h, n, m in [(1024, 768, 448, 336), (512, 512, 336, 336), (200, 300, 336, 504)]:
    im = Image.effect_noise((w, h), 64).convert("RGB")
    print(f"resize {w}x{h} to {n}x{m} {best(lambda: im.resize((n, m), Image.Resampling.BICUBIC), 20) * 1e3:.2f} ms")
