"""QuickUMLS and this package on the same captions and dictionary, on one machine, one after the other.

    python bench.py CAPTIONS DICTIONARY

Needs what make_golden.py needs. Both start from the text of all captions: tokens, tags, look-ups and the choice of
spans are timed (processor time), the making of the dictionary is not. QuickUMLS's pipeline is without a statistical tagger,
which makes it faster than it is in use. That the matches are the same is what TestCaptions says.
"""
import re, subprocess, sys, tempfile, time

import make_golden as mg



def main():
    captions, dictionary = sys.argv[1:3]
    texts = [line.rstrip("\n").partition("\t")[2] for line in open(captions, encoding="utf-8")]
    with tempfile.TemporaryDirectory() as tmp:
        q = mg.QuickUMLS(mg.install(mg.rows_open(dictionary), tmp, True, False))
        start = time.process_time()
        spans = sum(len(q.match(t)) for t in texts)
        python = len(texts) / (time.process_time() - start)
    out = subprocess.run(["go", "test", "-count=1", "-run", "^$", "-bench", "Match", "-benchtime", "3x", "-cpu", "1", ".."],
                         cwd=mg.HERE, capture_output=True, text=True, check=True).stdout
    go = float(re.search(r"([\d.e+]+) captions/s", out).group(1))
    print(f"{len(texts)} captions, {spans} spans: QuickUMLS {python:,.0f} captions/s, lightbox {go:,.0f} captions/s, {go / python:.0f} times")

main()
