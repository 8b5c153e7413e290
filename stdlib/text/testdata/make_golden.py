"""Makes golden.json: what the evaluator's caption preparation does to texts, run by Python itself.

    python make_golden.py
"""
import hashlib, json, os, re, string, sys

TEXTS = ["Axial CT, 2.5 cm (arrow).", "2.5 cm", "3,456.78mm x10^3", "!!!", "", " leading  and\ttrailing \n", "ÀÉÎ ß ẞ ŒUVRE", "İSTANBUL ı", "ΟΔΟΣ ΣΑΣ ΑΣ. Σ",
         "ΑΣ'Α ΑΣ' Α ΑΣ\u0301Β Α\u0301Σ", "٣٤ १२ ７８ ²½ Ⅷ", "“quoted” – dash — …", "T1-weighted/T2_FLAIR", "10%±2 <5 >10 a@b #1 $2", "日本 12 한국", "don't it's", "K Å Ω ſ ﬁ",
         "a1b22c", "x\u00a0y\u200bz\u2028w", "\u0000\u0001\u007f", "e\u0301 E\u0301", "Fig. 1A: (A) B", "ǅ ǈ Ǆ", "ᾈ ᾨ Ⓐ 𝐀 𐐀", "Σ", "ΣΣ", "aΣ b"]


def prepare(s):
    return re.sub(r"\d+", "number", s.lower()).translate(str.maketrans("", "", string.punctuation))


def main():
    points = [chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000]
    h = hashlib.sha256()
    for c in points:
        if ord(c) < 0x1C80:  # beyond, Unicode versions differ in letters nobody writes captions with
            h.update(prepare("x" + c).encode("utf-8") + b"\n")
    out = {"python": sys.version.split()[0], "points": h.hexdigest(),
           "cases": [{"text": t, "prepared": prepare(t)} for t in TEXTS]}
    here = os.path.dirname(os.path.abspath(__file__))
    json.dump(out, open(os.path.join(here, "golden.json"), "w", encoding="utf-8"), ensure_ascii=True, indent=0)


main()
