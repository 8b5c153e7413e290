"""BLEURT scores by bleurt-pytorch 0.0.1 (transformers 4.49.0, torch 2.15, float32) over captions prepared as the
ImageCLEFmedical evaluator does, of tiny checkpoints in the published layouts: BLEURT-20's (SentencePiece, embeddings
narrower than the layers) and BERT's (WordPiece, lower case). Weights are drawn from an integer hash and not kept.

    ROCO=validation_captions.txt python make_golden.py [DIR]

writes sentencepiece/, wordpiece/ and golden.json; with DIR, which must exist, also whole checkpoints (pytorch_model.bin)."""
import io, json, os, re, string, sys
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "../../../models/testdata")]
import torch, sentencepiece
from bleurt_pytorch import BleurtConfig, BleurtForSequenceClassification, BleurtTokenizer
from bleurt_pytorch.bleurt.tokenization_bleurt_fast import BleurtTokenizerFast
from bleurt_pytorch.bleurt.tokenization_bleurt_sp import BleurtSPTokenizer
import numpy as np
from pairs import HOSTILE, real, roco
torch.set_num_threads(1)


def weight(name, shape):  # stdlib/models/testdata/reference.py's, which needs packages that are not in this environment
    h = 2166136261
    for b in name.encode(): h = ((h ^ b) * 16777619) & 0xFFFFFFFF
    n = int(np.prod(shape))
    with np.errstate(over="ignore"):
        x = np.uint32(h) + np.arange(n, dtype=np.uint32) * np.uint32(2654435761)
        x ^= x >> np.uint32(16); x *= np.uint32(0x85EBCA6B)
        x ^= x >> np.uint32(13); x *= np.uint32(0xC2B2AE35)
        x ^= x >> np.uint32(16)
    v = ((x >> np.uint32(8)).astype(np.float64) / (1 << 23) - 1).astype(np.float32).reshape(shape)
    if len(shape) <= 1:
        return np.float32(1) + np.float32(0.25) * v if name.endswith("weight") else np.float32(0.25) * v
    if any(t in name for t in ("embed", "wte", "wpe", "position", "latents")) and len(shape) == 2: return np.float32(0.75) * v
    return np.float32(1.75 / np.sqrt(int(np.prod(shape[1:])))) * v


def prepare(caption):
    return re.sub(r"\d+", "number", caption.lower()).translate(str.maketrans("", "", string.punctuation))


TEXT = [f"{m} of the {p} {s} a {f} number cm {w}" for m in ("ct scan", "mri", "chest radiograph", "axial image") for p in ("left lung", "right lobe", "brain", "abdomen and pelvis")
        for s in ("showing", "shows", "demonstrates") for f in ("mass", "nodule", "lesion measuring", "pleural effusion") for w in ("arrow", "in the patient", "with contrast", "caf\u00e9 \u00b5m")]
TEXT += [" ".join(str(x) for x in (a, b, c)) for a in ("quick brown fox", "jumps over lazy dogs", "postoperative anteroposterior", "angiography", "hypoechoic", "vertebral", "tomography", "computed")
         for b in ("artery", "veins", "kidney", "bladder wall", "infiltration", "resection", "biopsy", "thickening", "word") for c in ("zone", "view", "phase", "level", "in situ", "diffuse")]


def sp():
    os.makedirs("sentencepiece", exist_ok=True)
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(TEXT), model_writer=out, model_type="unigram", vocab_size=160, pad_id=0, unk_id=1, bos_id=-1, eos_id=-1,
        pad_piece="[PAD]", unk_piece="[UNK]", control_symbols=["[CLS]", "[SEP]", "[MASK]"], normalization_rule_name="identity", num_threads=1, minloglevel=2, hard_vocab_limit=False)
    open("sentencepiece/spm.model", "wb").write(out.getvalue())
    return BleurtSPTokenizer("sentencepiece/spm.model")


def wordpiece():
    os.makedirs("wordpiece", exist_ok=True)
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    vocab = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *("##" + c for c in letters), "the", "of", "left", "right", "number", "##ing", "mass", "les", "##ion", "lung", "chest", "##number"]
    open("wordpiece/vocab.txt", "w").write("\n".join(vocab) + "\n")
    return BleurtTokenizerFast("wordpiece/vocab.txt")


lines = roco()
out = {"lines": len(lines)}
for name, make, sizes in (("sentencepiece", sp, dict(embedding_size=10, hidden_size=24, num_attention_heads=4, intermediate_size=40, num_hidden_layers=3)),
                          ("wordpiece", wordpiece, dict(hidden_size=20, num_attention_heads=5, intermediate_size=30, num_hidden_layers=2))):
    tok = make()
    config = BleurtConfig(vocab_size=tok.vocab_size + 3, num_labels=1, architectures=["BleurtForSequenceClassification"], **sizes)
    config.save_pretrained(name)
    tok.save_pretrained(name)
    model = BleurtForSequenceClassification(config).eval()
    with torch.no_grad():
        for n, p in model.named_parameters():
            w = weight(n, tuple(p.shape))
            if n == "classifier.weight": w = 3 * w  # so that scores spread
            p.copy_(torch.from_numpy(w))
    if len(sys.argv) > 1:
        d = os.path.join(sys.argv[1], name)
        config.save_pretrained(d); tok.save_pretrained(d); model.save_pretrained(d, safe_serialization=False)
    tok = BleurtTokenizer.from_pretrained(name)

    def score(pairs):
        with torch.no_grad():
            x = tok([prepare(a) for a, _ in pairs], [prepare(b) for _, b in pairs], padding="longest", return_tensors="pt", truncation=True, max_length=512)
            return x, [round(v, 6) for v in model(**x).logits.flatten().tolist()]

    x, hostile = score(HOSTILE)
    ids = [[int(i) for i, m in zip(r, a) if m] for r, a in zip(x["input_ids"].tolist(), x["attention_mask"].tolist())]
    first = [int(sum(1 for t, m in zip(r, a) if m and t == 0)) for r, a in zip(x["token_type_ids"].tolist(), x["attention_mask"].tolist())]
    pairs = [real(lines, k) for k in range(500)]
    scores = []
    for i in range(0, 500, 25): scores += score(pairs[i:i + 25])[1]
    print(name, "spread", np.std(scores), "unknown", sum(r.count(tok.unk_token_id) for r in ids), "longest", max(map(len, ids)))
    out[name] = dict(hostile=hostile, tokens=[dict(n=len(r), first=f, sum=sum((i + 1) * v for i, v in enumerate(r))) for r, f in zip(ids, first)], real=[round(v, 6) for v in scores])
json.dump(out, open("golden.json", "w"), separators=(",", ":"))
