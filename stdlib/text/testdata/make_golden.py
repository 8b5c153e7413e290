"""Makes golden.json: what the evaluator's caption preparation does to texts, run by Python itself (3.11 with Unicode 14).

    python make_golden.py [captions.txt ...]

With files of real captions, which are no part of this repository, it also writes a hash of what becomes of their lines.
"""
import hashlib, json, os, re, string, sys, unicodedata

TEXTS = ["Axial CT, 2.5 cm (arrow).", "2.5 cm", "3,456.78mm x10^3", "!!!", "", " leading  and\ttrailing \n", "ÀÉÎ ß ẞ ŒUVRE", "İSTANBUL ı", "ΟΔΟΣ ΣΑΣ ΑΣ. Σ",
         "ΑΣ'Α ΑΣ' Α ΑΣ\u0301Β Α\u0301Σ", "٣٤ १२ ７８ ²½ Ⅷ", "“quoted” – dash — …", "T1-weighted/T2_FLAIR", "10%±2 <5 >10 a@b #1 $2", "日本 12 한국", "don't it's", "K Å Ω ſ ﬁ",
         "a1b22c", "x\u00a0y\u200bz\u2028w", "\u0000\u0001\u007f", "e\u0301 E\u0301", "Fig. 1A: (A) B", "ǅ ǈ Ǆ", "ᾈ ᾨ Ⓐ 𝐀 𐐀", "Σ", "ΣΣ", "aΣ b"]


def prepare(s):
    return re.sub(r"\d+", "number", s.lower()).translate(str.maketrans("", "", string.punctuation))


def main():
    # every character that this Python's Unicode knows, at the end of a word, and around a sigma
    known = [c for c in range(0x110000) if unicodedata.category(chr(c)) not in ("Cn", "Cs")]
    h, runs = hashlib.sha256(), []
    for c in known:
        if not runs or runs[-1][0] + runs[-1][1] != c:
            runs.append([c, 0])
        runs[-1][1] += 1
        for s in ("x%s", "%s\u03a3", "a\u03a3%s", "a\u03a3%sb", "a%s\u03a3"):
            h.update(prepare(s % chr(c)).encode("utf-8") + b"\n")
    out = {"python": sys.version.split()[0], "unicode": unicodedata.unidata_version, "known": [x for r in runs for x in r], "points": h.hexdigest(),
           "cases": [{"text": t, "prepared": prepare(t)} for t in TEXTS]}
    if sys.argv[1:]:
        out["lines"] = {}
        for path in sys.argv[1:]:
            h = hashlib.sha256()
            for line in open(path, encoding="utf-8", newline="\n"):
                h.update(prepare(line).encode("utf-8"))
            out["lines"]["/".join(path.split("/")[-2:])] = h.hexdigest()
    here = os.path.dirname(os.path.abspath(__file__))
    json.dump(out, open(os.path.join(here, "golden.json"), "w", encoding="utf-8"), ensure_ascii=True, separators=(",", ":"))


main()
