"""Writes exchange_golden.json: what PEFT calls the tensors of every kind of adapter, what it writes as adapter_config.json,
and the logits of a model with such an adapter.

Pinned: torch 2.15, peft 0.21.2, and transformers 5.23.0 for the runs named "5/...", 4.49.0 for those named "4.49/...", which
has the module paths of before 4.52. The numbers of the tensors are not stored: both languages draw them from a hash of the
names in the file.

    python make_exchange_golden.py                     # transformers 5.23.0
    python make_exchange_golden.py DIR                 # transformers 4.49.0, DIR as TestWriteForPEFT writes it
"""
import importlib.util, json, os, sys, tempfile
import numpy as np
import peft, torch, transformers
from peft import get_peft_model_state_dict, set_peft_model_state_dict
from safetensors import safe_open

HERE = os.path.dirname(os.path.abspath(__file__))
MODELS = os.path.join(HERE, "..", "..", "models")
sys.path.insert(0, os.path.join(MODELS, "testdata"))
import reference
from reference import hashed, image, weight

V = transformers.__version__
assert V in ("5.23.0", "4.49.0") and peft.__version__ == "0.21.2", (V, peft.__version__)
CORPUS = reference.CORPUS
CASES = dict(llava=("llava", "grouped"), qwen2=("qwenvl", "qwen2"), grouped3=("idefics3", "grouped"))
NAMES = dict(llava=["q_proj", "fc1"], qwen2=["q_proj", "down_proj"], grouped3=["q_proj", "fc1"])
CONNECTOR = dict(llava="multi_modal_projector", qwen2="merger", grouped3="connector")
NEW = V.startswith("5")


def kinds(name):
    t = dict(target_modules=NAMES[name], layers_to_transform=[1])
    saved = dict(modules_to_save=["lm_head", "embed_tokens", CONNECTOR[name]])
    pattern = dict(rank_pattern={"q_proj": 3}, alpha_pattern={r".*layers\.1\..*q_proj": 7})
    out = dict(lora=t, rslora=dict(t, use_rslora=True), dora=dict(t, use_dora=True), patterns=dict(t, **pattern), saved=dict(t, **saved),
               bias=dict(t, bias="lora_only"), everything=dict(t, use_dora=True, use_rslora=True, bias="lora_only", **saved, **pattern))
    if name == "llava":
        out["bias-all"] = dict(t, bias="all")
    return out


def numbers(name, shape):
    v = hashed(name, int(np.prod(shape))).reshape(shape)
    return torch.from_numpy(np.float32(1) + np.float32(0.25) * v if "lora_magnitude" in name else np.float32(0.2) * v)


def new_model(name):
    family, case = CASES[name]
    reference.CORPUS = CORPUS  # llava's has its own
    spec = importlib.util.spec_from_file_location("make_golden", os.path.join(MODELS, family, "testdata", "make_golden.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    c = module.CASES[case]
    c = c() if callable(c) else c
    d = tempfile.mkdtemp()
    json.dump(c.config, open(f"{d}/config.json", "w"))
    c.write_files(d)
    model = c.model()
    model.eval()
    with torch.no_grad():
        for n, p in c.parameters(model) + c.buffers(model):
            p.copy_(torch.from_numpy(np.array(weight(n, tuple(p.shape)))).reshape(p.shape).to(getattr(torch, c.dtype)).float())
    inputs = c.inputs(c.text("Which side?", True), image(2, 31, 57))
    return model, lambda m: c.logits(m, inputs)[-1]


def old_model(name):
    d = os.path.join(sys.argv[1], name)
    cls = dict(llava="LlavaForConditionalGeneration", qwen2="Qwen2VLForConditionalGeneration")[name]
    model = getattr(transformers, cls).from_pretrained(d, torch_dtype=torch.float32, attn_implementation="eager")
    model.eval()
    e = json.load(open(f"{d}/input.json"))
    inputs = dict(input_ids=torch.tensor([e["ids"]]))
    if e["pixels"]:
        inputs["pixel_values"] = torch.tensor(e["pixels"]).reshape(1, 3, *e["size"])
    return model, lambda m: m(**inputs).logits[0, -1]


out = f"{HERE}/exchange_golden.json"
gold = json.load(open(out)) if os.path.exists(out) else dict(made_by="make_exchange_golden.py, torch 2.15, peft 0.21.2, transformers 5.23.0 and 4.49.0", runs={})
version = "5" if NEW else "4.49"
gold["runs"] = {k: v for k, v in gold["runs"].items() if not k.startswith(version + "/")}
for name in CASES if NEW else ("llava", "qwen2"):
    for kind, kw in kinds(name).items():
        model, logits = (new_model if NEW else old_model)(name)
        lm = peft.get_peft_model(model, peft.LoraConfig(r=2, lora_alpha=6, **kw))
        lm.eval()
        with torch.no_grad():
            sd = {k: numbers(k, v.shape) for k, v in get_peft_model_state_dict(lm, save_embedding_layers=False).items()}
            set_peft_model_state_dict(lm, dict(sd))
            got = logits(lm)
        d = tempfile.mkdtemp()
        lm.save_pretrained(d, save_embedding_layers=False)
        with safe_open(f"{d}/adapter_model.safetensors", "pt") as f:
            assert sorted(f.keys()) == sorted(sd)
        config = {k: v for k, v in json.load(open(f"{d}/adapter_config.json")).items() if v not in (None, False, {}, [])}
        gold["runs"][f"{version}/{name}/{kind}"] = dict(config=config, tensors=[[k, list(v.shape)] for k, v in sorted(sd.items())], logits=[round(float(v), 5) for v in got[:24]])
        print(version, name, kind, len(sd), flush=True)
json.dump(gold, open(out, "w"), separators=(",", ":"), sort_keys=True)
