"""Makes the goldens of stdlib/text/tokenizer with the Rust library itself.

    python make_golden.py        # tokenizers==0.23.3, from any directory

Writes beside itself:
  bytelevel.json, llama.json, wordpiece.json   small tokenizers, trained here on the texts of texts.py
  unigram.json                 the same as sp_unigram.model (make_sentencepiece.py), as transformers converts it
  variants.json                further tokenizers: one of those with some stages replaced
  golden.json                  what the library makes of 10,000 texts: a hash for every hundred, some in full
  unicode.json                 its character classes, over all assigned code points

The texts are not stored: strings_test.go makes the same ones from fragments.json with the same generator.
"""
import hashlib, json, os, struct, sys

import tokenizers
from tokenizers import (AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors,
                        trainers)

from texts import text

assert tokenizers.__version__ == "0.23.3", tokenizers.__version__
HERE = os.path.dirname(os.path.abspath(__file__))


SPECIAL = [AddedToken("<image>", special=True, normalized=False), AddedToken("<pad>", special=True, normalized=False),
           AddedToken("<mask>", special=True, normalized=False, lstrip=True),
           AddedToken("<sep>", special=True, normalized=False, rstrip=True),
           AddedToken("word", special=False, normalized=False, single_word=True),
           AddedToken("Radiology", special=False, normalized=True)]
QWEN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
        r"|\s+(?!\S)|\s+")
LLAMA3 = QWEN.replace(r"|\p{N}|", r"|\p{N}{1,3}|")


def corpus():
    return [text((1 << 32) + i) for i in range(1500)]


def bytelevel():
    t = Tokenizer(models.BPE(ignore_merges=False))
    t.normalizer = normalizers.NFC()
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(QWEN), "isolated"),
                                               pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    t.decoder = decoders.ByteLevel()
    t.post_processor = processors.ByteLevel(trim_offsets=False)
    t.train_from_iterator(corpus(), trainers.BpeTrainer(
        vocab_size=1100, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=["<|endoftext|>"]))
    t.add_special_tokens(["<|im_start|>", "<|im_end|>"])
    t.add_tokens(SPECIAL)
    return t


def llama():
    t = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    t.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    byte_tokens = ["<0x%02X>" % b for b in range(256)]
    t.train_from_iterator(corpus()[:800], trainers.BpeTrainer(
        vocab_size=1100, show_progress=False, limit_alphabet=90, max_token_length=16,
        special_tokens=["<unk>", "<s>", "</s>"] + byte_tokens))
    d = json.loads(t.to_str())
    d["added_tokens"] = [a for a in d["added_tokens"] if not a["content"].startswith("<0x")]
    t = Tokenizer.from_str(json.dumps(d))
    t.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(),
                                   decoders.Strip(" ", 1, 0)])
    t.post_processor = processors.TemplateProcessing("<s> $A", "<s> $A <s> $B", [("<s>", 1)])
    t.add_tokens(SPECIAL)
    return t


def wordpiece():
    t = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    t.normalizer = normalizers.BertNormalizer(lowercase=True)
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    t.decoder = decoders.WordPiece()
    t.train_from_iterator(corpus(), trainers.WordPieceTrainer(vocab_size=900, show_progress=False, limit_alphabet=120,
                                                              special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]))
    t.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1", [("[CLS]", 2), ("[SEP]", 3)])
    return t


def fields(message):
    """The fields of a protocol buffer message: (number, value)."""
    at = 0

    def varint():
        nonlocal at
        n = shift = 0
        while True:
            b = message[at]
            at += 1
            n |= (b & 127) << shift
            shift += 7
            if b < 128:
                return n
    while at < len(message):
        key = varint()
        if key & 7 == 2:
            n = varint()
            yield key >> 3, message[at:at + n]
            at += n
        elif key & 7 == 5:
            yield key >> 3, struct.unpack("<f", message[at:at + 4])[0]
            at += 4
        else:
            yield key >> 3, varint()


def unigram(name="sp_unigram.model"):
    vocab, charsmap = [], b""
    for number, value in fields(open(os.path.join(HERE, name), "rb").read()):
        if number == 1:
            piece = dict(fields(value))
            vocab.append((piece[1].decode(), piece.get(2, 0.0)))
        if number == 3:
            charsmap = dict(fields(value)).get(2, b"")
    t = Tokenizer(models.Unigram(vocab, 0, "bytes" in name))
    t.normalizer = normalizers.Sequence([normalizers.Precompiled(charsmap), normalizers.Replace(Regex(" {2,}"), " ")]) if charsmap else None
    t.pre_tokenizer = pre_tokenizers.Metaspace("▁", "always")
    t.decoder = decoders.Metaspace("▁", "always")
    t.post_processor = processors.TemplateProcessing("$A </s>", "$A </s> $B </s>", [("</s>", 2)])
    t.add_special_tokens(["<unk>", "<s>", "</s>"])
    t.add_tokens(SPECIAL)
    return t


def stage(x):
    return json.loads(x.__getstate__())


def variants():
    """name -> base, replaced stages, replaced model fields."""
    P, N, D, R = pre_tokenizers, normalizers, decoders, processors
    bl = P.ByteLevel(add_prefix_space=False)
    spaced = P.ByteLevel(add_prefix_space=True)
    first = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": False}
    meta = lambda scheme, split: stage(P.Metaspace("▁", scheme, split))
    uni = json.load(open(os.path.join(HERE, "unigram.json"), encoding="utf-8"))
    charsmap, squeeze = uni["normalizer"]["normalizers"]
    byte_vocab = json.loads(unigram("sp_unigram_bytes.model").to_str())["model"]
    added = lambda base: json.load(open(os.path.join(HERE, base + ".json"), encoding="utf-8"))["added_tokens"]
    more = lambda base, tokens, **how: added(base) + [dict({"id": 2000 + i, "content": s, "single_word": False, "lstrip": False, "rstrip": False,
                                                            "normalized": False, "special": True}, **how) for i, s in enumerate(tokens)]
    quotes = [stage(N.Replace("``", '"')), stage(N.Replace("''", '"'))]
    seq = lambda *xs: {"type": "Sequence", "normalizers": list(xs)}
    return {
        "unigram": ("unigram", {}, {}),
        "wordpiece": ("wordpiece", {}, {}),
        # as transformers converts RemBERT, DeBERTa-v2 and T5
        "rembert": ("unigram", {"normalizer": seq(*quotes, stage(N.NFKD()), stage(N.StripAccents()), stage(N.Lowercase()), charsmap, squeeze)}, {}),
        "deberta": ("unigram", {"normalizer": seq(stage(N.Strip()), charsmap, squeeze), "pre_tokenizer": stage(P.Sequence([P.Punctuation(), P.Metaspace("▁", "always")]))}, {}),
        "t5": ("unigram", {"normalizer": seq(charsmap, stage(N.Strip(False, True)), dict(squeeze, content="▁")), "pre_tokenizer": meta("always", True)}, {}),
        "unigrambytes": ("unigram", {"normalizer": None, "pre_tokenizer": first, "decoder": stage(D.Sequence([D.Replace("▁", " "), D.ByteFallback(), D.Fuse()]))}, byte_vocab),
        "cased": ("wordpiece", {"normalizer": stage(N.BertNormalizer(lowercase=False, strip_accents=True, handle_chinese_chars=False)),
                  "decoder": stage(D.WordPiece("##", False))}, {"max_input_chars_per_word": 7}),
        "wordlevel": ("wordpiece", {"normalizer": None, "pre_tokenizer": stage(P.Whitespace()), "decoder": None}, {"type": "WordLevel"}),
        # as in MoonDream and IDEFICS
        "codegen": ("bytelevel", {"normalizer": None, "pre_tokenizer": stage(bl), "post_processor": stage(R.ByteLevel(trim_offsets=False)),
                    "added_tokens": more("bytelevel", [" " * n for n in range(31, 1, -1)] + ["\t" * n for n in range(9, 1, -1)], normalized=True, special=False)}, {}),
        "idefics": ("llama", {"added_tokens": more("llama", ["<fake_token_around_image>", "<|im_end|>"]), "normalizer": None, "pre_tokenizer": first}, {}),
        "qwen": ("bytelevel", {}, {}),
        "llama": ("llama", {}, {}),
        "trained": ("trained/tokenizer", {}, {}),  # by TrainBPE: go test -run TrainBPE -update
        "gpt2": ("bytelevel", {"normalizer": None, "pre_tokenizer": stage(bl), "post_processor": stage(R.ByteLevel())}, {}),
        "roberta": ("bytelevel", {"normalizer": None, "pre_tokenizer": stage(spaced), "post_processor":
                    stage(R.RobertaProcessing(("</s>", 2), ("<s>", 0), True, True))}, {}),
        "llama3": ("bytelevel", {"normalizer": None, "pre_tokenizer": stage(P.Sequence(
            [P.Split(Regex(LLAMA3), "isolated"), P.ByteLevel(add_prefix_space=False, use_regex=False)])),
            "post_processor": stage(R.Sequence([R.ByteLevel(), R.TemplateProcessing("<|endoftext|> $A:0", "$A $B", [("<|endoftext|>", 0)])]))},
            {"ignore_merges": True}),
        "smollm": ("bytelevel", {"normalizer": None, "pre_tokenizer": stage(P.Sequence([P.Digits(True), bl]))}, {}),
        "regex": ("bytelevel", {"pre_tokenizer": stage(P.Sequence(
            [P.Split(Regex(r"\p{Lu}?\p{Ll}+|\d{1,2}|[^\s\w]+|\s+(?!\S)|\s"), "isolated"), P.ByteLevel(False, True, False)]))}, {}),
        "bytenorm": ("bytelevel", {"normalizer": stage(N.Sequence([N.NFKC(), N.ByteLevel()])), "pre_tokenizer": None}, {}),
        "metafirst": ("llama", {"normalizer": None, "pre_tokenizer": first, "decoder": stage(D.Metaspace("▁", "first"))}, {}),
        "metaalways": ("llama", {"normalizer": stage(N.NFKC()), "pre_tokenizer": meta("always", True), "decoder": stage(D.Metaspace())},
                       {"fuse_unk": False, "byte_fallback": False}),
        "metanever": ("llama", {"normalizer": stage(N.Sequence([N.Strip(), N.NFD()])), "pre_tokenizer": meta("never", True)}, {"fuse_unk": True, "byte_fallback": False}),
        "stripfirst": ("llama", {"normalizer": stage(N.Strip(True, False)), "pre_tokenizer": meta("first", True)}, {}),
        "lower": ("llama", {"normalizer": stage(N.Sequence([N.Lowercase(), N.StripAccents(), N.Replace(Regex(r"\d+"), "#"), N.Replace("e", "eé")])),
                  "pre_tokenizer": stage(P.Sequence([P.Whitespace(), P.Digits(False)])), "decoder": None}, {}),
        "nmt": ("llama", {"normalizer": stage(N.Sequence([N.Nmt(), N.NFKD()])), "pre_tokenizer": stage(P.Sequence(
            [P.WhitespaceSplit(), P.Punctuation("contiguous")]))}, {"unk_token": None, "byte_fallback": False}),
        "bert": ("llama", {"normalizer": stage(N.BertNormalizer(strip_accents=False)), "pre_tokenizer": stage(P.BertPreTokenizer()),
                 "decoder": stage(D.WordPiece("##", True)), "post_processor": stage(R.BertProcessing(("</s>", 2), ("<s>", 1)))}, {}),
        "cuts": ("llama", {"normalizer": None, "pre_tokenizer": stage(P.Sequence([P.CharDelimiterSplit("-"), P.Punctuation("merged_with_previous"),
                 P.Split(" ", "merged_with_next"), P.Split(Regex(r"\w+"), "removed", invert=True), P.FixedLength(3)])), "decoder": stage(D.Fuse())}, {}),
    }


def build(bases, v):
    base, stages, model = v
    d = json.loads(json.dumps(bases[base]))
    d.update(stages)
    d["model"].update(model)
    if d["model"]["type"] == "WordLevel":
        d["model"] = {k: d["model"][k] for k in ("type", "vocab", "unk_token")}
    return Tokenizer.from_str(json.dumps(d))


def byte_offsets(s, offsets):
    at = [0]
    for c in s:
        at.append(at[-1] + len(c.encode("utf-8")))
    return [(at[min(a, len(s))], at[min(b, len(s))]) for a, b in offsets]


def pack(xs):
    return struct.pack("<I", len(xs)) + b"".join(struct.pack("<I", x) for x in xs)


def golden(t, n):
    """Hashes of n texts, a hundred at a time: ids with and without specials, offsets, decodings."""
    hashes, some = [], []
    for lo in range(0, n, 100):
        h = [hashlib.sha256() for _ in range(5)]
        for i in range(lo, lo + 100):
            s = text(i)
            plain, e = t.encode(s, add_special_tokens=False), t.encode(s)
            offsets = byte_offsets(s, e.offsets)
            full, skipped = t.decode(e.ids, skip_special_tokens=False), t.decode(e.ids)
            h[0].update(pack(plain.ids))
            h[1].update(pack(e.ids) + bytes(e.special_tokens_mask))
            h[2].update(pack([x for o in offsets for x in o]))
            for k, d in ((3, full), (4, skipped)):
                h[k].update(pack([len(d.encode("utf-8"))]) + d.encode("utf-8"))
            if i % 331 == 7:
                some.append({"i": i, "ids": e.ids, "offsets": [x for o in offsets for x in o], "decoded": full})
        hashes.append("".join(x.hexdigest()[:8] for x in h))
    return {"n": n, "hashes": hashes, "some": some}


def classes():
    points = [c for c in (*range(0xD800), *range(0xE000, 0x32400), *range(0xE0000, 0xE0200))]  # the rest is unassigned or private
    P = pre_tokenizers
    single = lambda pt, c, n: len(pt.pre_tokenize_str("\x01" + chr(c))) == n
    tests = {
        "letter": lambda c, p=P.Split(Regex(r"\p{L}"), "removed"): not p.pre_tokenize_str(chr(c)),
        "number": lambda c, p=P.Split(Regex(r"\p{N}"), "removed"): not p.pre_tokenize_str(chr(c)),
        "space": lambda c, p=P.Split(Regex(r"\s"), "removed"): not p.pre_tokenize_str(chr(c)),
        "numeric": lambda c, p=P.Digits(True): single(p, c, 2),
        "word": lambda c, p=P.Whitespace(): [x[0] for x in p.pre_tokenize_str("a" + chr(c))] == ["a" + chr(c)],
        "punctuation": lambda c, p=P.Punctuation(): single(p, c, 2),
        "marks": lambda c, n=normalizers.StripAccents(): n.normalize_str("a" + chr(c)) == "a",
        "nonspacing": lambda c, n=normalizers.BertNormalizer(clean_text=False, handle_chinese_chars=False, strip_accents=True, lowercase=False):
            n.normalize_str("a" + chr(c)) == "a",
        "cleaned": lambda c, n=normalizers.BertNormalizer(lowercase=False, handle_chinese_chars=False): n.normalize_str("a" + chr(c)) == "a",
    }
    out = {}
    for name, test in tests.items():
        ranges = []
        for c in points:
            if test(c):
                if ranges and ranges[-1][1] == c - 1:
                    ranges[-1][1] = c
                else:
                    ranges.append([c, c])
        out[name] = hashlib.sha256(json.dumps(ranges, separators=(",", ":")).encode()).hexdigest()
    for name in ("NFC", "NFD", "NFKC", "NFKD", "Lowercase"):
        n, h = getattr(normalizers, name)(), hashlib.sha256()
        for c in points:
            h.update(n.normalize_str(chr(c)).encode("utf-8") + b"\n")
        out[name] = h.hexdigest()
    return out


def write(name, x):
    with open(os.path.join(HERE, name), "w", encoding="utf-8") as f:
        f.write(json.dumps(x, ensure_ascii=False, separators=(",", ":")) + "\n")


def main():
    if "retrain" in sys.argv or not os.path.exists(os.path.join(HERE, "llama.json")):
        # Training is not deterministic across runs where counts tie, so the files are kept.
        for name, t in (("bytelevel", bytelevel()), ("llama", llama()), ("wordpiece", wordpiece())):
            d = json.loads(t.to_str())
            if name == "bytelevel":  # one file with merges as strings, one with pairs
                d["model"]["merges"] = [" ".join(m) for m in d["model"]["merges"]]
            write(name + ".json", d)
    write("unigram.json", json.loads(unigram().to_str()))
    bases = {n: json.load(open(os.path.join(HERE, n + ".json"), encoding="utf-8")) for n in ("bytelevel", "llama", "wordpiece", "unigram", "trained/tokenizer")}
    vs = variants()
    write("variants.json", {k: {"base": b, "stages": s, "model": m} for k, (b, s, m) in vs.items()})
    out = {}
    for name, v in vs.items():
        out[name] = golden(build(bases, v), 10000 if name in ("qwen", "llama", "unigram", "wordpiece") else 3000 if name in ("gpt2", "trained", "rembert", "codegen") else 1000)
    write("golden.json", {"tokenizers": tokenizers.__version__, "variants": out})
    write("unicode.json", classes())


main()
