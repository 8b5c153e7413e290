"""Trains small SentencePiece models and writes what the library makes of 10,000 texts with them.

Versions: sentencepiece 0.2.1.

    python make_sentencepiece.py                    # sp_*.model, sentencepiece.json
    python make_sentencepiece.py -o FILE MODEL...   # a golden of other models, for LIGHTBOX_SENTENCEPIECE=FILE go test -run SentencePiece

The texts are those of make_golden.py. The models have maps of characters of their own, some five hundred entries of nmt_nfkc:
the whole map has 240 KB.
"""
import hashlib, io, json, os, struct, sys, unicodedata

import sentencepiece

from texts import text

assert sentencepiece.__version__ == "0.2.1", sentencepiece.__version__
HERE = os.path.dirname(os.path.abspath(__file__))


def rules():
    """Entries of several kinds: one rune to one, to several, to none; several to one; spaces; one that begins another."""
    out = {}
    for c in (*range(0xA0, 0x180), *range(0x2000, 0x2070), *range(0x2100, 0x2150), *range(0xFB00, 0xFB07), *range(0xFF01, 0xFF20), *range(0xFF66, 0xFF80)):
        n = unicodedata.normalize("NFKC", chr(c))
        if n != chr(c):
            out[chr(c)] = n
    for base in "aeionucAE":
        for mark in "\u0300\u0301\u0308":
            out[base + mark] = unicodedata.normalize("NFC", base + mark)
    out.update({"\t": " ", "\n": " ", "\r": " ", "\r\n": " ", "\u3000": " ", "\u00a0": " ", "\u200b": " ", "\u00ad": "", "\u0007": "", "\ufeff": "", "\u2581": " ",
                "\uff76": "\u30ab", "\uff76\uff9e": "\u30ac", "\u1112\u1161": "\ud558", "\u00e9\u0301": "\u00e9", "...": "\u2026", "<5": "less"})
    return out


def train():
    corpus = [text((1 << 32) + i).replace("\n", " ").replace("\r", " ").strip() for i in range(4000)]
    corpus = [s for s in corpus if s]
    tsv = os.path.join(HERE, "rules.tsv")
    with open(tsv, "w", encoding="utf-8") as f:
        for a, b in rules().items():
            f.write(" ".join("%X" % ord(c) for c in a) + "\t" + " ".join("%X" % ord(c) for c in b) + "\n")
    nfkc = dict(normalization_rule_tsv=tsv)
    plain = dict(normalization_rule_name="identity", remove_extra_whitespaces=False)
    user = dict(user_defined_symbols=["<image>", "don", "\u2581the\u2581of", "\u00e9t"], control_symbols=["<pad>", "<sep>"])
    for name, options in {
        "sp_unigram": dict(model_type="unigram", vocab_size=700, **nfkc),
        "sp_unigram_bytes": dict(model_type="unigram", vocab_size=900, byte_fallback=True, split_digits=True, allow_whitespace_only_pieces=True, **plain, **user),
        "sp_bpe": dict(model_type="bpe", vocab_size=700, **nfkc, **user),
        "sp_llama": dict(model_type="bpe", vocab_size=900, byte_fallback=True, split_digits=True, allow_whitespace_only_pieces=True, **plain),
        "sp_bpe_open": dict(model_type="bpe", vocab_size=500, add_dummy_prefix=False, normalization_rule_name="identity", split_by_whitespace=False, unk_surface="<?>"),
    }.items():
        out = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(corpus), model_writer=out, character_coverage=0.98, num_threads=1, minloglevel=2, **options)
        with open(os.path.join(HERE, name + ".model"), "wb") as f:
            f.write(out.getvalue())
        yield name + ".model"
    os.remove(tsv)


def golden(path, n):
    sp = sentencepiece.SentencePieceProcessor(model_file=path)
    hashes, some = [], []
    pack = lambda xs: struct.pack("<I", len(xs)) + b"".join(struct.pack("<I", x) for x in xs)
    for lo in range(0, n, 100):
        h, d = hashlib.sha256(), hashlib.sha256()
        for i in range(lo, lo + 100):
            ids = sp.encode(text(i))
            decoded = sp.decode(ids)
            h.update(pack(ids))
            d.update(pack([len(decoded.encode("utf-8"))]) + decoded.encode("utf-8"))
            if i % 997 == 7:
                some.append({"i": i, "ids": ids, "decoded": decoded})
        hashes.append(h.hexdigest()[:8] + d.hexdigest()[:8])
    return {"n": n, "hashes": hashes, "some": some}


def main():
    if sys.argv[1:2] == ["-o"]:
        out, models = sys.argv[2], {os.path.abspath(m): os.path.abspath(m) for m in sys.argv[3:]}
    else:
        out, models = os.path.join(HERE, "sentencepiece.json"), {m: os.path.join(HERE, m) for m in train()}
    with open(out, "w", encoding="utf-8") as f:
        f.write(json.dumps({"sentencepiece": sentencepiece.__version__, "models": {k: golden(p, 10000) for k, p in models.items()}},
                           ensure_ascii=False, separators=(",", ":")) + "\n")


main()
