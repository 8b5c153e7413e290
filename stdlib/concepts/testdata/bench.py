"""QuickUMLS and this package on the same captions and dictionary, on one machine, one after the other.

    python bench.py CAPTIONS DICTIONARY [number of captions, 2000]

Needs what make_golden.py needs. Both start from the text: tokens, tags, look-ups and the choice of spans are timed, the
making of the dictionary is not. QuickUMLS's pipeline is without a statistical tagger, which makes it faster than it is in use.
The matches of all captions are compared as well.
"""
import os, re, subprocess, sys, tempfile, time, types

import make_golden as mg

def main():
    captions, dictionary = sys.argv[1:3]
    n = int(sys.argv[3]) if len(sys.argv) > 3 else 2000
    texts = [line.rstrip("\n").partition("\t")[2] for line in open(captions, encoding="utf-8")][:n]
    with tempfile.TemporaryDirectory() as tmp:
        few = os.path.join(tmp, "captions.txt")
        with open(few, "w", encoding="utf-8") as f:
            f.writelines(f"c{i}\t{t}\n" for i, t in enumerate(texts))
        q = mg.QuickUMLS(mg.install(mg.rows_open(dictionary), tmp, True, False))
        start = time.process_time()
        spans = sum(len(q.match(t)) for t in texts)
        python = n / (time.process_time() - start)
        full = os.path.join(tmp, "full.json.gz")
        sys.argv = ["make_golden.py", few, dictionary, full, "--full"]
        mg.main()
        out = subprocess.run(["go", "test", "-count=1", "-v", "-run", "TestAllCaptions", "-bench", "Match", "-benchtime", "3x", "-cpu", "1", ".."],
                             cwd=mg.HERE, env={**os.environ, "LIGHTBOX_CONCEPTS_FULL": full}, capture_output=True, text=True)
        print(out.stdout[-1500:], out.stderr[-500:])
        go = float(re.search(r"([\d.e+]+) captions/s", out.stdout).group(1))
        print(f"{n} captions, {spans} spans: QuickUMLS {python:,.0f} captions/s, lightbox {go:,.0f} captions/s, {go / python:.0f} times")

main()
