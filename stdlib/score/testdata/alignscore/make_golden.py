"""AlignScore, mode nli_sp, by AlignScore's own code (github.com/yuh-zha/AlignScore at a0936d5, which must be importable) with
transformers 4.49.0, tokenizers 0.21.4, pytorch-lightning 1.9.5, NLTK 3.9.1 and torch 2.15, of a tiny RoBERTa in a Lightning
checkpoint. Its spaCy, which nli_sp does not use, is replaced by nothing. Weights are drawn from an integer hash and not kept.

    ROCO=validation_captions.txt python make_golden.py [DIR]

writes roberta/ (configuration and tokenizer) and golden.json; with DIR, which must exist, also the whole AlignScore-base.ckpt
and the files that belong beside it."""
import json, os, shutil, sys, tempfile, types
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "../bleurt")]
work = tempfile.mkdtemp()
os.makedirs(work + "/nltk/tokenizers/punkt_tab")
shutil.copytree(os.path.join(HERE, "../../../text/punkt/english"), work + "/nltk/tokenizers/punkt_tab/english")
os.environ["NLTK_DATA"] = work + "/nltk"
import numpy as np, torch, transformers, pytorch_lightning, nltk
assert (transformers.__version__, nltk.__version__) == ("4.49.0", "3.9.1")
sys.modules["spacy"] = types.ModuleType("spacy"); sys.modules["spacy"].load = lambda name: None
from tokenizers import ByteLevelBPETokenizer
from transformers import RobertaConfig, RobertaForMaskedLM, RobertaTokenizerFast
from alignscore import AlignScore
from alignscore.model import BERTAlignModel
from pairs import ALIGN, HOSTILE, real, roco
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


TEXT = [f"{m} of the {p} {s} a {f} {n} cm {w}." for m in ("CT scan", "MRI", "Chest radiograph", "Axial image") for p in ("left lung", "right lobe", "brain", "abdomen and pelvis")
        for s in ("showing", "shows", "demonstrates") for f in ("mass", "nodule", "lesion measuring", "pleural effusion") for n in (2, 3.5) for w in ("(arrow)", "in the patient", "with contrast")]
os.makedirs("roberta", exist_ok=True)
bpe = ByteLevelBPETokenizer()
bpe.train_from_iterator(TEXT, vocab_size=360, min_frequency=2, special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
bpe.save_model(work)
RobertaTokenizerFast(work + "/vocab.json", work + "/merges.txt", model_max_length=512).save_pretrained("roberta")
config = RobertaConfig(vocab_size=bpe.get_vocab_size(), hidden_size=24, num_attention_heads=3, intermediate_size=40, num_hidden_layers=2, max_position_embeddings=514, type_vocab_size=1,
                       layer_norm_eps=1e-5, pad_token_id=1, bos_token_id=0, eos_token_id=2)
config.save_pretrained("roberta")
for name in ("special_tokens_map.json", "vocab.json", "merges.txt"): os.path.exists("roberta/" + name) and os.remove("roberta/" + name)

base = work + "/roberta"  # AlignScore looks for "roberta" in the name
shutil.copytree("roberta", base)
RobertaForMaskedLM(config).save_pretrained(base)
model = BERTAlignModel(model=base, adam_epsilon=1e-6, learning_rate=1e-5, weight_decay=0.1, warmup_steps_portion=0.06)
with torch.no_grad():
    for n, p in model.named_parameters():
        w = weight(n, tuple(p.shape))
        if n == "tri_layer.weight": w = 5 * w  # so that scores spread
        p.copy_(torch.from_numpy(w))
model.base_model.embeddings.register_buffer("position_ids", torch.arange(514).expand((1, -1)), persistent=True)  # as transformers 4.20 had it
trainer = pytorch_lightning.Trainer(accelerator="cpu", logger=False, enable_checkpointing=True, default_root_dir=work, callbacks=[pytorch_lightning.callbacks.ModelCheckpoint(monitor="val_loss", dirpath=work)])
trainer.strategy.connect(model)
trainer.save_checkpoint(work + "/AlignScore-base.ckpt", weights_only=False)
if len(sys.argv) > 1:
    shutil.copytree("roberta", sys.argv[1], dirs_exist_ok=True)
    shutil.copy(work + "/AlignScore-base.ckpt", sys.argv[1])
scorer = AlignScore(model=base, batch_size=32, device="cpu", ckpt_path=work + "/AlignScore-base.ckpt", evaluation_mode="nli_sp", verbose=False)


def score(reference, caption):
    """The evaluator's case of two empty captions; null where the reference fails."""
    if len(reference) == 0 and len(caption) == 0: return 1.0
    try: return round(scorer.score(contexts=[reference], claims=[caption])[0], 7)
    except Exception as e:
        print("fails on", repr(reference)[:30], repr(caption)[:30], type(e).__name__, str(e)[:80])
        return None


lines = roco()
out = {"lines": len(lines), "hostile": [score(*p) for p in HOSTILE + ALIGN]}
out["real"] = [score(*real(lines, k)) for k in range(500)]
print("spread", np.std(out["real"]), "fails", out["hostile"].count(None), out["real"].count(None))
json.dump(out, open("golden.json", "w"), separators=(",", ":"))
shutil.rmtree(work)
