"""BLEURT and AlignScore beside their references, at true size (BLEURT-20-D12, AlignScore-base) with random weights, one thread
each, over real captions; tokenizers trained here on those. Three times each, in turns, in one run; prints pairs per second of
processor time, which other processes disturb little.

    ROCO=validation_captions.txt python bench_network.py [bleurt|alignscore]

in the environment of alignscore/make_golden.py, from anywhere in this repository (it runs go test -bench). The reference runs
bleurt-pytorch in batches of 16 pairs sorted by nothing, as the evaluator's order is, and AlignScore's own inference pair by
pair, as the evaluator does. Both sides read the checkpoint outside the time."""
import json, os, re, shutil, string, subprocess, sys, tempfile, time, types
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
work = tempfile.mkdtemp()
os.makedirs(work + "/nltk/tokenizers/punkt_tab")
shutil.copytree(os.path.join(HERE, "../../text/punkt/english"), work + "/nltk/tokenizers/punkt_tab/english")
os.environ["NLTK_DATA"] = work + "/nltk"
import sentencepiece, torch, transformers
sys.modules["spacy"] = types.ModuleType("spacy"); sys.modules["spacy"].load = lambda name: None
from tokenizers import ByteLevelBPETokenizer
from bleurt_pytorch import BleurtConfig, BleurtForSequenceClassification, BleurtTokenizer
from alignscore.inference import Inferencer
from alignscore.model import BERTAlignModel
from pairs import roco
torch.set_num_threads(1)
torch.manual_seed(0)
lines = roco()
pairs = [[lines[i * 11], lines[i * 11 + 1]] for i in range(int(os.environ.get("PAIRS", "32")))]
prepare = lambda s: re.sub(r"\d+", "number", s.lower()).translate(str.maketrans("", "", string.punctuation))


def bleurt(d):
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(map(prepare, lines)), model_prefix=d + "/spm", model_type="unigram", vocab_size=8000, pad_id=0, unk_id=1, bos_id=-1, eos_id=-1,
        pad_piece="[PAD]", unk_piece="[UNK]", control_symbols=["[CLS]", "[SEP]", "[MASK]"], normalization_rule_name="nmt_nfkc", num_threads=1, minloglevel=2)
    config = BleurtConfig(vocab_size=120300, embedding_size=128, hidden_size=1024, num_hidden_layers=12, num_attention_heads=16, intermediate_size=4096)
    model = BleurtForSequenceClassification(config).eval()
    model.save_pretrained(d, safe_serialization=False)
    tok = BleurtTokenizer.from_pretrained(d)

    @torch.no_grad()
    def run():
        out = []
        for i in range(0, len(pairs), 16):
            part = pairs[i:i + 16]
            out += model(**tok([prepare(a) for a, _ in part], [prepare(b) for _, b in part], padding="longest", return_tensors="pt", truncation=True, max_length=512)).logits.flatten().tolist()
        return out
    return run


def alignscore(d):
    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator(lines, vocab_size=8000, special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"], show_progress=False)
    bpe.save_model(d)
    tok = transformers.RobertaTokenizerFast(d + "/vocab.json", d + "/merges.txt", model_max_length=512)
    tok.save_pretrained(d)
    transformers.RobertaConfig(vocab_size=50265, max_position_embeddings=514, type_vocab_size=1, layer_norm_eps=1e-5).save_pretrained(d)
    os.symlink(d, d + "-roberta")
    inferencer = Inferencer.__new__(Inferencer)
    inferencer.model = BERTAlignModel(model=d + "-roberta", using_pretrained=False).eval()
    torch.save({"state_dict": inferencer.model.state_dict()}, d + "/AlignScore-base.ckpt")
    inferencer.tokenizer, inferencer.softmax = tok, torch.nn.Softmax(dim=-1)
    inferencer.device, inferencer.batch_size, inferencer.verbose, inferencer.nlg_eval_mode = "cpu", 32, False, "nli_sp"
    return lambda: [inferencer.inference_per_example(a, b) for a, b in pairs]


def go(name, d):
    env = dict(os.environ, LIGHTBOX_BENCH=d, GOMAXPROCS="1")
    out = subprocess.run(["go", "test", "./stdlib/score", "-run", "-", "-bench", "^Benchmark%s$" % name, "-benchtime", "1x", "-timeout", "30m"], cwd=os.path.join(HERE, "../../.."), env=env, capture_output=True, text=True)
    m = re.search(r"([\d.]+) pairs/s", out.stdout)
    assert m, out.stdout + out.stderr
    return float(m.group(1)), json.load(open(d + "/got.json"))


for name, make in (("BLEURT", bleurt), ("AlignScore", alignscore)):
    if len(sys.argv) > 1 and sys.argv[1] != name.lower(): continue
    d = work + "/" + name
    os.mkdir(d)
    json.dump(pairs, open(d + "/pairs.json", "w"))
    run = make(d)
    for turn in range(int(os.environ.get("TURNS", "3"))):
        t = time.process_time(); want = run(); ref = len(pairs) / (time.process_time() - t)
        ours, got = go(name, d)
        print(f"{name}: reference {ref:.3f} pairs/s, lightbox {ours:.3f}, ratio {ours / ref:.2f}; values within {max(abs(a - b) for a, b in zip(want, got)):.1e}", flush=True)
    shutil.rmtree(d)
shutil.rmtree(work)
