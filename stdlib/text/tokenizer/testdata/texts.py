"""The texts of the goldens: strings_test.go makes the same ones."""
import json, os

HERE = os.path.dirname(os.path.abspath(__file__))
MASK = (1 << 64) - 1
FRAGMENTS = json.load(open(os.path.join(HERE, "fragments.json"), encoding="utf-8"))


class Rand:  # splitmix64
    def __init__(self, seed):
        self.s = seed & MASK

    def next(self):
        self.s = (self.s + 0x9E3779B97F4A7C15) & MASK
        z = self.s
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return z ^ (z >> 31)

    def below(self, n):
        return self.next() % n


def text(i):
    """The i-th text: words, then more and more of everything else."""
    r = Rand(i)
    out = []
    lists = ["words"] * 6 + ["glue"] * 3 + ["odd"] * 2 + ["unicode"] * 2 + ["special"]
    for _ in range(r.below(24)):
        kind = lists[r.below(len(lists))]
        if r.below(20) == 0:  # any code point at all
            c = r.below(0x110000 - 0x800)
            out.append(chr(c if c < 0xD800 else c + 0x800))
            continue
        xs = FRAGMENTS[kind]
        out.append(xs[r.below(len(xs))])
        if kind == "words" and r.below(8) != 0:
            out.append(" ")
    return "".join(out)
