"""Goldens of package concepts from QuickUMLS and spaCy.

    python make_golden.py CAPTIONS DICTIONARY

CAPTIONS is validation_captions.txt of ROCO v1 (id, tab, caption), DICTIONARY disease_ontology_cui.tsv. golden.json.gz beside
this file then holds the tokens and matches of made-up sentences and of random texts of words, and, of every 20 captions, hashes
of their tokens and of their matches with the open dictionary: captions themselves are not copied.

Needs quickumls 1.4.2, quickumls_simstring 1.1.5r1, unqlite, spaCy 3.8. No spaCy model is used: the pipeline is
spacy.blank("en") with parts of speech and lemmas set from the lists in ../syntax.go, so that what is compared is
QuickUMLS given tokens and tags. NLTK's stop words, which are a download, are taken from there too.
"""
import gzip, hashlib, json, os, random, re, sys, tempfile, types, zlib

import nltk, spacy
from spacy.language import Language

HERE = os.path.dirname(os.path.abspath(__file__))

def lists():
    src = open(os.path.join(HERE, "..", "syntax.go"), encoding="utf-8").read()
    return {k: re.search(k + r"\s*= `([^`]*)`", src).group(1).split() for k in ("adpositions", "determiners", "stopWords")}

LISTS = lists()
nltk.corpus.stopwords = types.SimpleNamespace(words=lambda *a: [w for w in LISTS["stopWords"] if w != "time"])

@Language.component("closed_classes")
def closed_classes(doc):
    for t in doc:
        low, capitals = t.text.lower(), len(t.text.encode()) > 1 and t.text == t.text.upper() or t.text == "A"
        t.pos_ = "X" if capitals else "ADP" if low in LISTS["adpositions"] else "DET" if low in LISTS["determiners"] else "X"
        t.lemma_ = low
    return doc

def pipeline(*_):
    nlp = spacy.blank("en")
    nlp.add_pipe("closed_classes")
    return nlp

spacy.load = pipeline
from quickumls import QuickUMLS, constants  # noqa: E402
from quickumls.install import extract_from_mrconso, parse_and_encode_ngrams  # noqa: E402

def rows_open(dictionary):
    """The open dictionary: (cui, name, type, preferred)."""
    out = []
    for line in open(os.path.join(HERE, "..", "terms.tsv"), encoding="utf-8"):
        if not line.startswith("#"):
            cui, name, sty, _ = line.rstrip("\n").split("\t")
            out.append((cui, name, [sty], "Y"))
    for line in open(dictionary, encoding="utf-8").read().splitlines()[1:]:
        cui, name, _ = line.split("\t")
        out.append((cui, name, ["T047"], "Y"))
    return out

def rows_mixed(dictionary, captions):
    """A dictionary with what UMLS has: names of several concepts, preferred or not, several types, capitals, accents,
    plurals, short names, names of words of the captions."""
    out = []
    r = random.Random(7)
    words = sorted({w for c in captions[::7] for w in re.findall(r"[^\s]+", c)})
    base = [row for row in rows_open(dictionary) if zlib.crc32(row[1].encode()) % 11 == 0]
    stys = ["T047", "T191", "T023", "T082", "T033", "T060", "T080"]
    for k, (cui, name, _, _) in enumerate(base):
        out.append((cui, name, r.sample(stys, r.randint(1, 3)), r.choice("YN")))
        if k % 4 == 0:
            out.append((cui, name + "s", None, r.choice("YN")))
        if k % 5 == 0:
            out.append((base[r.randrange(len(base))][0], name.upper(), None, r.choice("YN")))
        if k % 6 == 0:
            out.append((cui, name.replace("e", "é", 1), None, r.choice("YN")))
            out.append((cui, name.replace("e", "e\u0301", 1), None, r.choice("YN")))
    for k in range(900):
        i = r.randrange(len(words) - 3)
        name = " ".join([r.choice(words) for _ in range(r.randint(1, 3))]) if k % 2 else words[i]
        out.append(("C9%06d" % (k // 2), name, [r.choice(stys)], r.choice("YN")))
    return out

def install(rows, where, lowercase, ascii_):
    seen = {}
    for cui, _, sty, _ in rows:
        if sty and cui not in seen:
            seen[cui] = sty
    with open(os.path.join(where, "MRSTY.RRF"), "w", encoding="utf-8") as f:
        for cui in sorted({c for c, _, _, _ in rows}):
            for s in seen.get(cui, ["T047"]):
                f.write(f"{cui}|{s}|A1|Name|AT1|256|\n")
    with open(os.path.join(where, "MRCONSO.RRF"), "w", encoding="utf-8") as f:
        for k, (cui, name, _, pref) in enumerate(rows):
            f.write(f"{cui}|ENG|P|L{k}|PF|S{k}|{pref}|A{k}||||SRC|PT|{k}|{name}|0|N||\n")
    dest = os.path.join(where, "q")
    os.makedirs(dest)
    opts = types.SimpleNamespace(language="ENG", lowercase=lowercase, normalize_unicode=ascii_)
    for flag, on in (("lowercase", lowercase), ("normalize-unicode", ascii_)):
        if on:
            open(os.path.join(dest, flag + ".flag"), "w").close()
    for flag, text in (("language", "ENG"), ("database_backend", "unqlite")):
        with open(os.path.join(dest, flag + ".flag"), "w") as f:
            f.write(text)
    it = extract_from_mrconso(os.path.join(where, "MRCONSO.RRF"), os.path.join(where, "MRSTY.RRF"), opts)
    parse_and_encode_ngrams(it, os.path.join(dest, "umls-simstring.db"), os.path.join(dest, "cui-semtypes.db"), "unqlite")
    return dest

CONFIGS = [
    ("open", {}, {}),
    ("open", {"overlapping_criteria": "length", "similarity_name": "dice"}, {}),
    ("open", {"similarity_name": "cosine", "threshold": 0.8, "window": 3}, {}),
    ("open", {"similarity_name": "overlap", "threshold": 0.9, "window": 2}, {}),
    ("mixed", {}, {}),
    ("mixed", {"threshold": 0.6, "accepted_semtypes": None}, {"best_match": False}),
    ("mixed", {"min_match_length": 1, "keep_uppercase": True, "window": 4}, {"ignore_syntax": True}),
    ("mixed", {"similarity_name": "dice", "threshold": 0.75}, {"best_match": False, "ignore_syntax": True}),
]

def matches(q, doc, how):
    return [[[m["start"], m["end"], m["ngram"], m["term"], m["cui"], float(m["similarity"]), sorted(m["semtypes"]), m["preferred"]]
             for m in group] for group in q._match(doc, **how)]

def random_texts(captions, names, n):
    r = random.Random(3)
    words = [w for c in captions[::50] for w in c.split(" ")]
    odd = ["8)", "°C.", "e.g.", "isn't", "a.m.", "10mm", "3.5", "½", "μm", "non-small", "No", "no", "THE", "x.y", "fig.the", "(a)", "—",
           "  ", "\u00a0", "T1/T2", "US$5", "don’t", "neither", "time", "İ", "ΑΣ", "🙂", "10.0.0.1", "8.8.8.8", "www.a.org", "two"]

    def piece():
        p = r.random()
        if p < .3:
            name = r.choice(names)
            k = r.randrange(len(name))
            return name if p < .12 else name[:k] + name[k + 1:] if p < .24 else name.capitalize() + r.choice(["s", ".", ",", ")"])
        return r.choice(odd) if p < .5 else r.choice(words)

    return [" ".join(piece() for _ in range(r.randint(0, 8))) for _ in range(n)]

SENTENCES = ["spinal canal", "and abscess of liver", "carcinoma of the lung.", "the cyst, and cyst", "Liver abscess and pleural effusion (arrow).",
             "pneumonia", "CT scan of the chest", "acute respiratory distress syndrome", "no", "2019", "neither pneumonia nor tuberculosis",
             "lung cancers and cancer of lungs", "ab", "a", "", " ", "banana banana", "tumour tumour tumour"]

def block(lines):
    return hashlib.sha256("".join(lines).encode()).hexdigest()[:12]

def blocks(items, describe, size=20):
    return [block(describe(x) for x in items[k:k + size]) for k in range(0, len(items), size)]

def describe_tokens(doc):
    return "".join(f"{t.text}\t{t.idx} {bool(t.whitespace_):d}{t.is_punct:d}{t.is_space:d}{t.like_num:d} {t.pos_}\n" for t in doc) + "\n"

def describe_matches(groups):
    return "".join("".join(f"{m[0]} {m[1]} {m[2]}\t{m[3]}\t{m[4]} {m[5]:.17g} {','.join(m[6])} {m[7]}\n" for m in g) + "\n" for g in groups) + "\n"

def main():
    captions_path, dictionary = sys.argv[1:3]
    every = [line.rstrip("\n").partition("\t")[2] for line in open(captions_path, encoding="utf-8")]
    rows = {"open": rows_open(dictionary), "mixed": rows_mixed(dictionary, every)}
    texts = SENTENCES + random_texts(every, [n for kind in ("open", "mixed") for _, n, _, _ in rows[kind] if len(n) < 40], 150)
    nlp = pipeline()
    docs, captions = [nlp(t) for t in texts], [nlp(t) for t in every]
    data = {"versions": {"spacy": spacy.__version__, "quickumls": "1.4.2"}, "texts": texts, "runs": [], "captions": len(every),
            "tokens": [[[t.text, t.idx, bool(t.whitespace_), t.is_punct, t.is_space, t.like_num, t.pos_] for t in d] for d in docs],
            "rules": sorted([k] + [x.get(65, x.get("ORTH")) for x in v] for k, v in spacy.blank("en").tokenizer.rules.items()),
            "blocks": {"tokens": blocks(captions, describe_tokens)}}
    data["mixed"] = rows["mixed"]
    with tempfile.TemporaryDirectory() as tmp:
        dest = {}
        for name, lower in (("open", True), ("mixed", False)):
            os.makedirs(os.path.join(tmp, name))
            dest[name] = install(rows[name], os.path.join(tmp, name), lower, False)
        for k, (name, init, how) in enumerate(CONFIGS):
            q = QuickUMLS(dest[name], **init)
            picked = list(range(0, len(docs), 1 if k in (0, 4) else 5))
            data["runs"].append({"dictionary": name, "init": init, "how": how, "picked": picked,
                                 "matches": [matches(q, docs[i], how) for i in picked]})
            print(name, init, how, sum(len(m) for m in data["runs"][-1]["matches"]), "spans", file=sys.stderr)
            if k == 0:
                found = [matches(q, d, how) for d in captions]
                data["blocks"][name] = blocks(found, describe_matches)
                print(len(found), "captions,", sum(map(len, found)), "spans", file=sys.stderr)
            q.cuisem_db.cui_db.close()
            q.cuisem_db.semtypes_db.close()
    with open(os.path.join(HERE, "golden.json.gz"), "wb") as raw, gzip.GzipFile("", mode="wb", fileobj=raw, mtime=0, compresslevel=9) as f:
        f.write(json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode())

if __name__ == "__main__":
    main()
