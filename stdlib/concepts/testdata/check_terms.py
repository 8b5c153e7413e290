"""Checks the project's own terms (../terms.tsv) against captions that others linked to UMLS.

    python check_terms.py DIR [--write]

DIR holds validation_captions.txt, validation_cuis.txt and validation_semtypes.txt of ROCO v1's validation split (8,180
captions). A line of terms.tsv stays when at least 5 captions hold its name as whole words, at least 85 of 100 of
those are linked to its CUI, and its semantic type is among the types of every caption that is linked to the CUI. A name
with "=" in the last column is another name of a CUI that passed on a line before. Concepts marked "ROCOv2" are those
that ROCOv2 publishes for modalities and body regions. Anything else is reported, and left out with --write.
"""
import collections, os, re, sys

def words(s):
    return " " + re.sub(r"[^a-z0-9]+", " ", s.lower()) + " "

def load(d):
    caps, cuis, types = {}, {}, {}
    for line in open(os.path.join(d, "validation_captions.txt"), encoding="utf-8"):
        i, _, t = line.rstrip("\n").partition("\t")
        caps[i] = words(t)
    for line in open(os.path.join(d, "validation_cuis.txt"), encoding="utf-8"):
        i, *c = line.rstrip("\n").split("\t")
        cuis[i] = {x for x in c if x}
    for line in open(os.path.join(d, "validation_semtypes.txt"), encoding="utf-8"):
        i, *c = line.rstrip("\n").split("\t")
        types[i] = {x for x in c if re.fullmatch(r"T\d{3}", x)}
    return caps, cuis, types

def main():
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "terms.tsv")
    caps, cuis, types = load(sys.argv[1])
    linked = collections.defaultdict(set)
    for i, cs in cuis.items():
        for c in cs:
            linked[c].add(i)
    kept, good = [], set()
    for line in open(path, encoding="utf-8"):
        if line.startswith("#") or not line.strip():
            kept.append(line)
            continue
        cui, name, sty, how = line.rstrip("\n").split("\t")
        common = set.intersection(*[types[i] for i in linked[cui]]) if linked[cui] else set()
        have = {i for i, c in caps.items() if words(name) in c}
        share = len(have & linked[cui]) / len(have) if have else 0
        ok = how == "ROCOv2" or sty in common and (how == "=" and cui in good or len(have) >= 5 and share >= 0.85)
        print(f"{'ok ' if ok else 'OUT'} {cui} {name!r} {sty}: {len(have)} captions, {share:.2f} linked, {len(linked[cui])} of the CUI, types {','.join(sorted(common))}")
        if ok:
            kept.append(line)
            good.add(cui)
    if "--write" in sys.argv:
        open(path, "w", encoding="utf-8").writelines(kept)

main()
