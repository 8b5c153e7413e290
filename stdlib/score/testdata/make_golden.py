"""Makes the goldens of ROUGE and of the stemmer.

Run with rouge_score 0.1.2 and nltk 3.10.4:

    python make_golden.py ../../../../shared/data/roco-text/validation_captions.txt

rouge.json   pairs written for this project: precision, recall, F1 of rouge1, rouge2, rougeL, without and with
             stemmer, and the same of the captions prepared as ImageCLEFmedical does (taubsity/clef-caption-evaluation).
stems.txt    words of every rule, with their stems.
roco.json    hashes alone, for 1,500 pairs made from the lines of the captions file (which is not part of this
             repository): the first four bytes of SHA-256 over the 36 float64 of a pair, little-endian, in the order
             above; and for the stems of the file's words, by first letter.
"""

import collections
import hashlib
import importlib.metadata
import json
import pathlib
import re
import string
import struct
import sys

from nltk.stem import porter
from rouge_score import rouge_scorer, tokenize

for package, version in {"rouge_score": "0.1.2", "nltk": "3.10.4"}.items():
    got = importlib.metadata.version(package)
    assert got == version, f"{package} is {got}, want {version}"

HERE = pathlib.Path(__file__).parent
TYPES = ["rouge1", "rouge2", "rougeL"]
SCORERS = [rouge_scorer.RougeScorer(TYPES, use_stemmer=s) for s in (False, True)]
STEM = porter.PorterStemmer().stem


def prepare(s):
    s = re.sub(r"\d+", "number", s.lower())
    return s.translate(str.maketrans("", "", string.punctuation))


def numbers(ref, cand):
    out = []
    for r, c in ((ref, cand), (prepare(ref), prepare(cand))):
        for scorer in SCORERS:
            scores = scorer.score(r, c)
            for t in TYPES:
                out += [scores[t].precision, scores[t].recall, scores[t].fmeasure]
    return [float(x) for x in out]


PAIRS = [
    ("", ""), ("", "a"), ("a", ""), ("!!!", "???"), ("!!!", "a mass"), ("mass", "mass"), ("Mass", "mASS"),
    ("a b", "b a"), ("a a a b", "a b b"), ("the the the", "the"),
    ("Axial CT of the chest shows a hyperdense mass on the right, measuring 22 mm (arrow).",
     "Axial CT of the chest shows a hyperdense mass on the left, measuring 15 mm (arrow)."),
    ("Coronal MRI of the brain: left-sided hypointense cyst of 10 mm, marked by an arrowhead.",
     "Frontal radiograph of the knee: right-sided radiopaque calcification of 32 mm."),
    ("Chest X-ray showing a right pleural effusion (green arrow)", "An arrow pointing to a mass in the patient's chest on a chest x-ray"),
    ("CT pulmonary embolus study showing pericardial effusion measuring 19.27 mm in this plane",
     "CTpulmonary angiogram showing pericardial effusion measuring 19.27mm in this plane"),
    ("Postoperative anteroposterior radiographs of the pelvis", "post-operative AP radiograph of pelvic bones"),
    ("Ultrasound of the kidneys: dilated, calcified, bleeding; ultrasonography repeated", "ultrasounds of kidney dilation calcification bleeds"),
    ("na\u00efve caf\u00e9 \u2013 5\u00b5m \u00d7 3\u00b5m", "naive cafe 5 m 3 m"),
    ("\u212aelvin \u0130stanbul \u0130I \u00c5ngstr\u00f6m \u212bngstrom", "kelvin istanbul i i ngstr m ngstrom"),
    ("\uff21\uff22\uff23 \u0661\u0662\u0663 \u00b2\u00b3 12 \u4e09", "abc 123 number"),
    ("\u00df STRASSE \ufb01nding \u03a3\u03a3 \u03c3\u03c2", "ss strasse finding"),
    ("tab\tnew\nline\r\u00a0nbsp\u2003em\u200bzero\u0085nel", "tab new line nbsp em zero nel"),
    ("2.5 cm", "25 cm"), ("T1-weighted", "T2-weighted"), ("a" * 300, "a" * 300 + "b"),
    ("flies dies mules denied died agreed owned humbled sized meeting stating", "fly die mule deny die agree own humble size meet state"),
    ("one two three four five six seven eight nine ten", "ten nine eight seven six five four three two one"),
    ("one two three four five", "one three five two four"),
    ("x_y x__y _", "x y"), ("e.g. Fig. 3a/b", "eg fig 3 a b"), ("i\u0307 i\u0307x", "i x"),
    ("\U0001f9e0 brain \U0001d400bold", "brain bold"), ("don't won't", "dont wont"),
]
STEMS = ["w", "at", "sk", "tr", "cre", "hop", "fil", "troubl", "conflat", "plaster", "happi", "relat", "radic", "vietnam",
         "decis", "electr", "sens", "adopt", "control", "yyy", "syzygy", "fall", "hiss", "fizz", "tan", "log", "geo", "archaeo"]
ENDINGS = ["", "s", "es", "ies", "sses", "ss", "ed", "eed", "ing", "ied", "y", "ational", "tional", "enci", "anci", "izer", "bli",
           "abli", "alli", "entli", "eli", "ousli", "ization", "ation", "ator", "alism", "iveness", "fulness", "ousness", "aliti",
           "iviti", "biliti", "fulli", "logi", "logy", "icate", "ative", "alize", "iciti", "ical", "ful", "ness", "al", "ance",
           "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent", "sion", "tion", "ion", "ou", "ism", "ate", "iti",
           "ous", "ive", "ize", "e", "ll", "lle", "atting", "bbed", "izing", "xed", "wing", "yed"]
EXTRA = ["sky", "skies", "dying", "lying", "tying", "news", "innings", "inning", "outings", "outing", "cannings", "canning",
         "howe", "proceed", "exceed", "succeed", "bleed", "1234", "t1w2", "a1b2ing", "3ing", "88ed"]


def stems():
    words = [a + b for a in STEMS for b in ENDINGS] + EXTRA
    return "".join(f"{w} {STEM(w)}\n" for w in words if len(w) > 3)


def roco(path):
    lines = [l.split("\t", 1)[1] for l in pathlib.Path(path).read_bytes().decode().split("\n") if l]
    n = len(lines)

    def pair(k):
        ref = lines[k * 5]
        if k % 3 == 0:
            return ref, lines[(k * 11 + 7) % n]
        words = ref.split(" ")
        if k % 3 == 1:
            return ref, " ".join(w for i, w in enumerate(words) if i % 3 != 2)
        return ref, " ".join(reversed(words))

    pairs = []
    for k in range(1500):
        raw = b"".join(struct.pack("<d", x) for x in numbers(*pair(k)))
        pairs.append(hashlib.sha256(raw).hexdigest()[:8])
    vocabulary = collections.defaultdict(set)
    for line in lines:
        for w in tokenize.tokenize(line, None):
            if len(w) > 3:
                vocabulary[w[0]].add(w)
    words = {c: hashlib.sha256("".join(f"{w} {STEM(w)}\n" for w in sorted(ws)).encode()).hexdigest()[:16] for c, ws in sorted(vocabulary.items())}
    return {"lines": n, "words": sum(map(len, vocabulary.values())), "pairs": "".join(pairs), "stems": words}


(HERE / "rouge.json").write_text(json.dumps([{"reference": r, "caption": c, "scores": numbers(r, c)} for r, c in PAIRS], indent=0) + "\n")
(HERE / "stems.txt").write_text(stems())
if len(sys.argv) > 1:
    (HERE / "roco.json").write_text(json.dumps(roco(sys.argv[1]), indent=0) + "\n")
