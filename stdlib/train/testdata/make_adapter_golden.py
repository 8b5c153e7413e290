"""Writes adapter_golden.json: 20 steps of training of every kind of adapter by torch, transformers and peft.

Pinned: torch 2.15, transformers 5.23.0, peft 0.21.2 (asserted). The models are cases of the families' make_golden.py, with
the same weights drawn from a hash; the adapters begin with hashed numbers too. Three examples with an image each, one a
pass, two passes a step (the last step of an epoch has one), AdamW with decay, cosine with warm-up, clipping to norm 1, the
loss the mean over the caption tokens of the step, no dropout. The order is Lightbox's for seed 7.

    MOONDREAM_REPO=/path/to/clone/of/vikhyat/moondream python make_adapter_golden.py [CASE/KIND ...]

Of every tensor that trains the golden has the norm, a dot product with hashed numbers, and the first number; tensors stand
in the order of their names.
"""
import hashlib, importlib.util, json, math, os, sys, tempfile
import numpy as np
import peft, torch, transformers
from peft.optimizers import create_loraplus_optimizer
from transformers import get_cosine_schedule_with_warmup

HERE = os.path.dirname(os.path.abspath(__file__))
MODELS = os.path.join(HERE, "..", "..", "models")
sys.path.insert(0, os.path.join(MODELS, "testdata"))
import reference
from reference import hashed, image, project, weight

assert transformers.__version__ == "5.23.0" and peft.__version__ == "0.21.2" and torch.__version__.startswith("2.15"), (transformers.__version__, peft.__version__, torch.__version__)

CORPUS = reference.CORPUS
ORDER = [[2, 1, 0], [1, 2, 0], [1, 0, 2], [2, 1, 0], [2, 1, 0], [2, 0, 1], [2, 0, 1], [1, 2, 0], [2, 0, 1], [1, 0, 2]]
STEPS, LR, DECAY, WARMUP = 20, 5e-3, 0.01, 0.1

NAMES = ["q_proj", "v_proj", "down_proj"]
PATTERNS = dict(rank_pattern={r"layers\.0\..*q_proj": 2, "v_proj": 6}, alpha_pattern={r"layers\.1\.mlp\.down_proj": 3, "q_proj": 5})
CONNECTOR = dict(llava="multi_modal_projector", qwen2="merger", grouped3="connector")


def kinds(name):
    saved = ["lm_head", "embed_tokens", CONNECTOR.get(name)]
    return {
        "lora": dict(target_modules=NAMES),
        "all-linear": dict(target_modules="all-linear"),
        "rslora": dict(target_modules=NAMES, use_rslora=True),
        "dora": dict(target_modules="all-linear", use_dora=True),
        "patterns": dict(target_modules=NAMES, **PATTERNS),
        "loraplus": dict(target_modules=NAMES, ratio=4.0),
        "saved": dict(target_modules=NAMES, modules_to_save=saved),
        "bias-all": dict(target_modules=NAMES, bias="all"),
        "bias-lora": dict(target_modules="all-linear", bias="lora_only"),
        "everything": dict(target_modules="all-linear", use_dora=True, use_rslora=True, modules_to_save=saved, bias="all", ratio=2.0, **PATTERNS),
    }


# name: family, case, kinds
RUNS = dict(llava=("llava", "grouped", kinds("llava")), qwen2=("qwenvl", "qwen2", kinds("qwen2")), grouped3=("idefics3", "grouped", kinds("grouped3")))
for name, family, case in [("mistral", "llavanext", "mistral"), ("vicuna", "llavanext", "vicuna"), ("idefics", "idefics", "instruct"), ("moondream", "moondream", "single"), ("qwen25", "qwenvl", "qwen25")]:
    RUNS[name] = (family, case, {"all-linear": dict(target_modules="all-linear")})
GPT2 = ["c_attn", "q_attn", "c_fc", "c_proj"]
RUNS["visiongpt2"] = ("visiongpt2", "projected", {"lora": dict(target_modules=GPT2), "dora": dict(target_modules=GPT2, use_dora=True), "bias-lora": dict(target_modules=GPT2, bias="lora_only")})


def cases(family):
    path = os.path.join(MODELS, family, "testdata", "make_golden.py")
    reference.CORPUS = CORPUS  # llava's has its own
    spec = importlib.util.spec_from_file_location("make_golden", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.CASES


def prepare(case):
    """The model of a case as its golden has it, and its first three examples: (inputs, labels)."""
    d = tempfile.mkdtemp()
    json.dump(case.config, open(f"{d}/config.json", "w"))
    case.write_files(d)
    model = case.model()
    model.eval()
    stored = getattr(torch, case.dtype)
    with torch.no_grad():
        for n, p in case.parameters(model) + case.buffers(model):
            p.copy_(torch.from_numpy(np.array(weight(n, tuple(p.shape)))).reshape(p.shape).to(stored).float())
    samples, examples = [], [dict(e, image=e["image"] or [3, 45, 37], prompt=e["prompt"] or "Right?") for e in case.examples[:3]]
    for ex in examples:
        im = image(*ex["image"]) if ex["image"] else None
        text = case.text(ex["prompt"], im is not None)
        p = case.inputs(text, im)["input_ids"][0].tolist()
        separator = "" if not text or text[-1] in " \n" else case.separator
        full = case.inputs(text + separator + ex["target"], im)
        ids = full["input_ids"][0].tolist()
        if case.end is not None and ids[-1] != case.end:
            ids.append(case.end)
        samples.append((case.extend(full, ids), [-100] * len(p) + ids[len(p):]))
    return model, samples, examples


def plain(name):
    for part in (".default", ".modules_to_save", ".base_layer"):
        name = name.replace(part, "")
    return name.replace("lora_magnitude_vector.weight", "lora_magnitude_vector")


def train(case, kw):
    kw = dict(kw)
    ratio = kw.pop("ratio", None)
    model, samples, examples = prepare(case)
    if kw["target_modules"] == "all-linear" and isinstance(case.targets, list):
        kw["target_modules"] = case.targets
    lm = peft.get_peft_model(model, peft.LoraConfig(r=4, lora_alpha=8, **kw))
    lm.eval()
    params = {}
    for n, p in lm.named_parameters():
        if p.requires_grad:
            name = plain(n)
            v = hashed(name, p.numel()).reshape(p.shape)
            if "lora_magnitude" in name:
                p.data.copy_(torch.from_numpy(np.float32(1) + np.float32(0.25) * v))
            elif "lora_" in name:
                p.data.copy_(torch.from_numpy(np.float32(0.2) * v))
            params[name] = p
    count, every = lm.get_nb_trainable_parameters()
    if ratio:
        opt = create_loraplus_optimizer(lm, torch.optim.AdamW, lr=LR, loraplus_lr_ratio=ratio)
    else:
        opt = torch.optim.AdamW(params.values(), lr=LR, weight_decay=DECAY)
    sched = get_cosine_schedule_with_warmup(opt, math.ceil(WARMUP * STEPS), STEPS)
    losses, norms = [], []
    for step in range(STEPS):
        at = ORDER[step // 2][step % 2 * 2:step % 2 * 2 + 2]
        tokens = sum(sum(l != -100 for l in samples[i][1][1:]) for i in at)
        total = 0.0
        for i in at:
            loss = case.loss(lm, *samples[i]) / tokens
            loss.backward()
            total += float(loss.detach())
        norms.append(float(torch.nn.utils.clip_grad_norm_(params.values(), 1.0)))
        opt.step()
        sched.step()
        opt.zero_grad()
        losses.append(total)
    names = sorted(params)
    with torch.no_grad():
        last = case.logits(lm, samples[0][0])[-1, :8]
    return dict(losses=[round(v, 6) for v in losses], norms=[float(f"{v:.6g}") for v in norms], trainable=count, all=every,
                names=hashlib.sha256("\n".join(names).encode()).hexdigest()[:16],
                after=[[float(f"{v:.7g}") for v in project(n, params[n]) + [float(params[n].detach().flatten()[0])]] for n in names],
                logits=[round(float(v), 6) for v in last]), examples


out = f"{HERE}/adapter_golden.json"
gold = json.load(open(out)) if sys.argv[1:] and os.path.exists(out) else dict(made_by="make_adapter_golden.py, torch 2.15, transformers 5.23.0, peft 0.21.2", order=ORDER, runs={})
for name, (family, case, what) in RUNS.items():
    for kind, kw in what.items():
        if sys.argv[1:] and f"{name}/{kind}" not in sys.argv[1:] and name not in sys.argv[1:]:
            continue
        c = cases(family)[case]
        run, examples = train(c if not callable(c) else c(), kw)
        gold["runs"][f"{name}/{kind}"] = dict(run, family=family, case=case, train=[dict(image=e["image"], prompt=e["prompt"], target=e["target"]) for e in examples])
        json.dump(gold, open(out, "w"), separators=(",", ":"), ensure_ascii=False)
        print(name, kind, len(run["after"]), "tensors, loss", run["losses"][0], "->", run["losses"][-1], flush=True)
