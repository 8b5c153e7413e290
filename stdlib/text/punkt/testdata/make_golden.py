"""Sentences as NLTK's PunktSentenceTokenizer cuts them with the English parameters in ../english. Writes golden.json.
Run from this folder, once with NLTK 3.9.1 and once with NLTK 3.10.4; each fills its own part of the file.
ROCO names the file of real captions (one per line, behind an id and a tab); only hashes of its sentences are kept."""
import hashlib, json, os, sys
import nltk
from nltk.tabdata import PunktDecoder
from nltk.tokenize.punkt import PunktParameters, PunktSentenceTokenizer

assert nltk.__version__ in ("3.9.1", "3.10.4"), nltk.__version__


def load(d):
    p, dec = PunktParameters(), PunktDecoder()
    with open(d + "/collocations.tab") as f: p.collocations = set(dec.tab2tups(f))
    with open(d + "/sent_starters.txt") as f: p.sent_starters = dec.txt2set(f)
    with open(d + "/abbrev_types.txt") as f: p.abbrev_types = dec.txt2set(f)
    with open(d + "/ortho_context.tab") as f: p.ortho_context = dec.tab2intdict(f)
    t = PunktSentenceTokenizer()
    t._params = p
    return t


TEXTS = [
    "", " ", "\n\t", ".", "...", "!!!", "? ?", "One word", "A mass is seen. It measures 3.5 cm.",
    "As shown in Fig. 2, the lesion is large. See Fig. 3.", "It measures approx. 3.5 cm. and grows.", "e.g. a cyst, i.e. fluid. Or not.",
    "Smith et al. described it. J. Smith and A. B. Jones did too.", "Dr. Who saw Mr. Jones. Prof. Smith left.", "The U.S. Army. The U.S. it was. In the U.S. The end.",
    "Really?! Yes!!! No... Maybe. . . Perhaps. . . .", "Wait. . . what? Wait ... What? Wait... What? wait... what?", "He said \"Stop.\" Then he went. (He ran.) She (did not.)He did.",
    "A [b.] C {d.} E 'f.' G", "A.B.C. D.E. f.", "T1-weighted. T2-weighted, no. 5 is seen. No. 5 is seen.", "No. 5. No. Five. 5. Five 5. five", "Grade 3. the next. Grade 3. The next.",
    "1. First 2. Second 3. Third", "a. b. c. D. E. F.", "p.m. The time. 5 p.m. the time. 5 p.m. Tuesday", "Inc. The firm, Corp. and Co. said. Ltd. However it was.",
    "Mr.Smith. vs. the state. Vs. The state", "x-ray. X-Ray. non-u.s. The non-U.S. the", "line one.\nline two.\n\nline three\nfour. five", "tab.\tTab. \u00a0 nbsp.\u00a0Nbsp.\u2003Em",
    "end.' Next. end.\u201d Next \u201cquoted.\u201d And. \u00abx.\u00bb Y. it\u2019s. \u2018a.\u2019 B", "end.\u201dNext (a.)\u2019 B", "dash.--Dash. dash--. Dash .-- a", "a.) B.] C.} D.\" E.' f", "a. ) b. ] c", "?? !! .. ?. !. .? A",
    "Zn. \u0393\u03b5\u03b9\u03ac \u03c3\u03bf\u03c5. \u0391\u03bb\u03bb\u03ac \u03bf\u03a3. \u0423\u0440\u0430. \u0434\u0430. \u4e2d\u6587\u3002 \u4e2d. \u6587.", "\u00bd. the \u00bd. The 5\u00bd. \u2167. the \u2167. The _. the _. The", "\u0663. the \u0663. The 3,4. the -5. the -.5. The .5. the",
    "S. Bach. B. Stewart. j. aron. J. Aron. 3. Pepper 3. pepper i. Magnin", "The right C. The left C. is seen. c. The", "Oct. 5. Sept. The. Jan. in Feb. In Aug. However, it", "ok . . The . . the", "a.b. . . . c", "ph.d. The Ph.D. It was. Ph.D. it",
    "CT scan (a. axial, b. coronal). B. Coronal", "wow!Yes!No?ok.Fine", "q!)R. s?)\" T. u.\"'V", "(Fig. 1.) Next. Figs. 1-3. The Fig.1.The", "A: b. C; d. E, f. G", "end of it .", "end . Next . next , end. , then. ; and. : it", "#. *. @. &. A. #a. *b. C",
    "word.\x1cOther. \x85Next.\u2028Line. The", "a.\r\nB.\r\nc", "'' . '' A. '''B.''' c", "\u0130. \u0130stanbul. \u01c5. \u01c5a. \u00aa. \u00ba. b", "3.5. 3.5.6. 3.. 4... 5", "emoji \U0001f600. Next \U0001f600.\U0001f600 A.",
]
t = load("../english")


def digest(texts):
    return "".join(hashlib.sha256("\0".join(s for x in texts[i:i + 20] for s in t.tokenize(x) + ["\1"]).encode()).hexdigest()[:8] for i in range(0, len(texts), 20))


out = json.load(open("golden.json")) if os.path.exists("golden.json") else {}
out["texts"] = TEXTS
part = {"sentences": [t.tokenize(x) for x in TEXTS]}
roco = [l.split("\t", 1)[1] for l in open(os.environ["ROCO"]).read().split("\n") if l]
part["captions"] = len(roco)
part["roco"] = digest(roco)
# joined captions: without a space, with one, with a line's end, and with curly quotes
joins = ["", " ", "\n", "\u201d ", " \u201c", ") "]
part["joined"] = digest([joins[i % 6].join(roco[i * 7:i * 7 + 7]) for i in range(len(roco) // 7)])
out[nltk.__version__] = part
json.dump(out, open("golden.json", "w"), ensure_ascii=True, separators=(",", ":"), sort_keys=True)
print(nltk.__version__, sum(len(t.tokenize(x)) for x in roco), "sentences of", len(roco), "captions")
