"""Pairs of captions for the goldens of metrics with a network: awkward ones, and real ones, of which no text is kept.
Go's pairs_test.go makes the same."""
import os

LONG = " ".join("word%d lesion in the left lobe" % i if i % 28 else "Large mass." for i in range(110))  # 644 words
HOSTILE = [
    ["", ""], ["", "A mass."], ["A mass.", ""], ["!!!", "???"], [" ", "\n"], ["mass", "mass"], ["A", "b"],
    ["CT scan of the chest showing a 2.5 cm nodule (arrow).", "CT scan of the chest showing a 2.5 cm nodule (arrow)."],
    ["CT scan of the chest.", "MRI of the brain, T2-weighted. See Fig. 2. It measures approx. 3.5 cm."],
    ["\u5de6\u80ba\u306e\u7d50\u7bc0\u3002 The left lung.", "\u041b\u0435\u0432\u043e\u0435 \u043b\u0451\u0433\u043a\u043e\u0435 \u00b5m \u00bd"], ["\u0130stanbul \u039f\u0394\u039f\u03a3 caf\u00e9 e\u0301", "\U0001f600 \u201cquoted\u201d \u2013 dash\u2026 \u00a0x"],
    ["tab\tnew\nline  two   spaces", "  lead and trail  "], ["\u0663\u0664 mm x 5", "No. 5. the"], ["\x00\x07 control\u200b\u00ad", "\ufeffbom \ufffd"],
    [LONG, LONG], [LONG, "Short."], ["Short.", LONG], ["", LONG], [LONG, ""], ["x" * 3000, "a " * 700], ["pneumonia " * 400, "Large effusion. " * 130],
    ["[SEP] [CLS] <mask> </s>", "<s> [MASK] [PAD] <pad>"],
]


def roco():
    return [l.split("\t", 1)[1] for l in open(os.environ["ROCO"]).read().split("\n") if l]


def real(lines, k):
    """Pair k as rocoPair in rouge_test.go makes it."""
    ref = lines[k * 5]
    words = ref.split(" ")
    if k % 3 == 0: return [ref, lines[(k * 11 + 7) % len(lines)]]
    if k % 3 == 1: return [ref, " ".join(w for i, w in enumerate(words) if i % 3 != 2)]
    return [ref, " ".join(reversed(words))]


def words(n): return " ".join("ab"[i % 2] for i in range(n))


# contexts of several chunks, of which the reference makes more than it means to; claims that leave no place for the context,
# alone and beside others
BOOK = " ".join(("The %s lobe shows one small mass with the pleural effusion on side" + (" left" if i < 79 else "") + ".") % "lower" for i in range(94))
ALIGN = [
    [BOOK, "The lower lobe shows one small mass. No pleural effusion. The brain is normal."], [BOOK, BOOK[:400]],
    ["The chest. " * 40 + words(300) + ".", "A " + words(520) + ". B " + words(300) + ". " + "One mass. " * 34 + "C " + words(300) + ". D."],
    [words(400) + ". End.", words(508) + "."], ["", words(700) + "."], ["A mass. " * 200, words(300) + ". A mass."], ["A mass.", "Fig. 2 shows it. approx. 3.5 cm e.g. a cyst. Smith et al. (2020) said \"No.\" Then."],
]
