"""QuickUMLS and this package on the same captions and dictionary, on one machine, one after the other.

    python bench.py CAPTIONS DICTIONARY

Needs what make_golden.py needs. Both start from the text of all captions: tokens, tags, look-ups and the choice of
spans are timed, the making of the dictionary is not: processor time on one thread, and the time on the clock with all cores
(QuickUMLS has no use for a second one). QuickUMLS's pipeline is without a statistical tagger,
which makes it faster than it is in use. That the matches are the same is what TestCaptions says.
"""
import os, re, subprocess, sys, tempfile, time

import make_golden as mg



def main():
    captions, dictionary = sys.argv[1:3]
    texts = [line.rstrip("\n").partition("\t")[2] for line in open(captions, encoding="utf-8")]
    with tempfile.TemporaryDirectory() as tmp:
        q = mg.QuickUMLS(mg.install(mg.rows_open(dictionary), tmp, True, False))
        start, clock = time.process_time(), time.perf_counter()
        spans = sum(len(q.match(t)) for t in texts)
        python, clock = len(texts) / (time.process_time() - start), len(texts) / (time.perf_counter() - clock)
    def go(cores, unit):
        out = subprocess.run(["go", "test", "-count=1", "-run", "^$", "-bench", "Match", "-benchtime", "3x", "-cpu", str(cores), ".."],
                             cwd=mg.HERE, capture_output=True, text=True, check=True).stdout
        return float(re.search(r"([\d.e+]+) captions/" + unit, out).group(1))
    one, all = go(1, "s"), go(os.cpu_count(), "wall-s")
    print(f"{len(texts)} captions, {spans} spans: QuickUMLS {python:,.0f} captions per processor second, lightbox {one:,.0f}, {one / python:.0f} times")
    print(f"on the clock, {os.cpu_count()} cores: QuickUMLS {clock:,.0f} captions a second, lightbox {all:,.0f}, {all / clock:.0f} times")

main()
