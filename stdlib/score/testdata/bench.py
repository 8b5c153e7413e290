"""ROUGE-1, -2 and -L over 1,500 pairs of real captions: rouge_score and this package, in one run.

    python bench.py ../../../../shared/data/roco-text/validation_captions.txt

Prints pairs a second, one thread each, tokenisation included. The pairs are those of make_golden.py.
"""

import pathlib
import re
import subprocess
import sys
import time

from rouge_score import rouge_scorer

lines = [l.split("\t", 1)[1] for l in pathlib.Path(sys.argv[1]).read_bytes().decode().split("\n") if l]
scorer = rouge_scorer.RougeScorer(["rouge1", "rouge2", "rougeL"])


def pair(k):
    ref = lines[k * 5]
    if k % 3 == 0:
        return ref, lines[(k * 11 + 7) % len(lines)]
    words = ref.split(" ")
    if k % 3 == 1:
        return ref, " ".join(w for i, w in enumerate(words) if i % 3 != 2)
    return ref, " ".join(reversed(words))


pairs = [pair(k) for k in range(1500)]
start = time.perf_counter()
for ref, cand in pairs:
    scorer.score(ref, cand)
python = len(pairs) / (time.perf_counter() - start)

package = pathlib.Path(__file__).resolve().parent.parent
out = subprocess.run(["go", "test", "-run", "^$", "-bench", "ROUGE", "-benchtime", "2s", *sys.argv[2:], "."], cwd=package, capture_output=True, text=True, check=True).stdout
go = float(re.search(r"([\d.]+) pairs/s", out).group(1))
print(f"rouge_score {python:,.0f} pairs/s, lightbox {go:,.0f} pairs/s, {go / python:.0f} times")
