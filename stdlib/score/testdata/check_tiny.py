"""Checks that the references read the tiny checkpoints of rehearsals and score as Go does. Run first, with OUT a directory:

    LIGHTBOX_REFERENCE_OUT=OUT go test ./stdlib/score -run Tiny

then python check_tiny.py OUT, in the environment of alignscore/make_golden.py and bleurt/make_golden.py."""
import json, os, shutil, sys, tempfile, types
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
work = tempfile.mkdtemp()
os.makedirs(work + "/nltk/tokenizers/punkt_tab")
shutil.copytree(os.path.join(HERE, "../../text/punkt/english"), work + "/nltk/tokenizers/punkt_tab/english")
os.environ["NLTK_DATA"] = work + "/nltk"
import re, string, torch, transformers
sys.modules["spacy"] = types.ModuleType("spacy"); sys.modules["spacy"].load = lambda name: None
from bleurt_pytorch import BleurtForSequenceClassification, BleurtTokenizer
from alignscore.inference import Inferencer
from alignscore.model import BERTAlignModel
from pairs import HOSTILE
torch.set_num_threads(1)


def compare(name, score):
    want = json.load(open(os.path.join(sys.argv[1], name, "scores.json")))
    pairs = HOSTILE[:len(want)]
    worst = 0.0
    for p, w in zip(pairs, want):
        try: got = score(*p)
        except ValueError: got = 0.0 if name == "alignscore" else None  # no sentence
        worst = max(worst, abs(got - w))
    print(name, "within", worst, "of", len(want))
    assert worst < 1e-5


d = os.path.join(sys.argv[1], "bleurt")
tok, model = BleurtTokenizer.from_pretrained(d), BleurtForSequenceClassification.from_pretrained(d).eval()
prepare = lambda s: re.sub(r"\d+", "number", s.lower()).translate(str.maketrans("", "", string.punctuation))
with torch.no_grad():
    compare("bleurt", lambda a, b: model(**tok([prepare(a)], [prepare(b)], return_tensors="pt", truncation=True, max_length=512)).logits.item())
d = work + "/roberta"
shutil.copytree(os.path.join(sys.argv[1], "alignscore"), d)
inferencer = Inferencer.__new__(Inferencer)
inferencer.model = BERTAlignModel(model=d, using_pretrained=False).eval()
state = torch.load(next(os.path.join(d, f) for f in os.listdir(d) if f.endswith(".ckpt")), weights_only=True)["state_dict"]
lacks = inferencer.model.load_state_dict(state, strict=False)
assert all(k.split(".")[0] in ("mlm_head", "bin_layer", "reg_layer") for k in lacks.missing_keys), lacks
assert lacks.unexpected_keys == ["base_model.embeddings.position_ids"], lacks
inferencer.tokenizer = transformers.AutoTokenizer.from_pretrained(d, model_max_length=512)
inferencer.device, inferencer.batch_size, inferencer.verbose, inferencer.nlg_eval_mode = "cpu", 32, False, "nli_sp"
inferencer.softmax = torch.nn.Softmax(dim=-1)
compare("alignscore", lambda a, b: 1.0 if not a and not b else inferencer.inference_per_example(a, b))
