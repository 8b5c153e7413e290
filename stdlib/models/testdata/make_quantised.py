"""Goldens of quantised models: python make_quantised.py [FAMILY/CASE/FORMAT ...], which writes quantised-FORMAT.json and
.safetensors into the directories of the families' cases.

Reference of record: bitsandbytes 0.50.2 on the CPU for the values, transformers 5.23.0 for which layers have them
(integrations/bitsandbytes.py and quantizers/base.py with the defaults of BitsAndBytesConfig) and for the model, peft 0.21.2
for the adapters, torch 2.15. The layers' weights are replaced by their dequantised values in float32, and everything is
computed in float32. Nested scales take the offset of float64's mean, rounded: torch's own depends on the machine.

Training: 20 steps of AdamW over all examples on adapters of rank 2 and alpha 6, with losses, and norms and projections of
the adapters after them.
"""
import importlib.util, json, os, sys, tempfile
import numpy as np
import torch, peft, transformers, bitsandbytes
import bitsandbytes.functional as F
from safetensors.torch import save_file
from transformers.pytorch_utils import Conv1D
from transformers.quantizers.base import get_keys_to_not_convert
from transformers.quantizers.quantizers_utils import should_convert_module

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from reference import hashed, image, project, weight

assert (bitsandbytes.__version__, transformers.__version__, peft.__version__) == ("0.50.2", "5.23.0", "0.21.2")
STEPS, LR, DECAY = 20, 5e-3, 0.01
ALL = ["llava/grouped/nf4", "llava/grouped/int8", "llava/tied/nf4-single", "llavanext/mistral/nf4", "qwenvl/qwen2/nf4", "qwenvl/nested25/fp4", "idefics3/grouped/nf4",
       "idefics/instruct/nf4", "visiongpt2/projected/nf4"]


def values(w, fmt):
    """The weight as bitsandbytes has it."""
    if fmt == "int8":
        q, s, _ = F.int8_vectorwise_quant(w.half())
        return F.int8_vectorwise_dequant(q, s)
    code, _, single = fmt.partition("-")
    packed, s = F.quantize_4bit(w.contiguous(), quant_type=code, compress_statistics=False)
    if not single:
        s.offset = torch.tensor(s.absmax.double().mean().item(), dtype=torch.float32)
        s.absmax, s.state2 = F.quantize_blockwise(s.absmax - s.offset, blocksize=256)
        s.nested = True
    return F.dequantize_4bit(packed, s)


def quantise(model, fmt):
    """Replaces what transformers would convert; returns the modules' names."""
    skip, done = get_keys_to_not_convert(model), []
    for name, m in model.named_modules():
        if should_convert_module(name, skip) and (type(m) is torch.nn.Linear or isinstance(m, Conv1D)):
            w = m.weight.data
            m.weight.data = values(w.T, fmt).T.contiguous() if isinstance(m, Conv1D) else values(w, fmt)
            done.append(name)
    return done


def load(family, name):
    """A case with its model as its golden has it, and what it writes beside."""
    here = f"{HERE}/../{family}/testdata"
    spec = importlib.util.spec_from_file_location(family, f"{here}/make_golden.py")
    mod = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(mod)
    case = mod.CASES[name]
    case = case() if isinstance(case, type) or not hasattr(case, "run") else case
    with tempfile.TemporaryDirectory() as d:
        json.dump(case.config, open(f"{d}/config.json", "w"))
        case.write_files(d)
        model = case.model()
    model.eval()
    draw = getattr(mod, "weight", weight)
    with torch.no_grad():
        for n, p in case.parameters(model) + case.buffers(model):
            p.copy_(torch.from_numpy(np.array(draw(n, tuple(p.shape)))).reshape(p.shape).to(getattr(torch, case.dtype)).float())
    return case, model, here


def run(family, name, fmt):
    case, model, here = load(family, name)
    gold = json.load(open(f"{here}/{name}/golden.json"))
    named = quantise(model, fmt)
    out, tensors, batch = dict(made_by="make_quantised.py, bitsandbytes 0.50.2, transformers 5.23.0, peft 0.21.2", format=fmt, weights=len(named)), {}, []
    for k, ex in enumerate(gold["examples"]):
        im = image(*ex["image"]) if ex["image"] else None
        text, ids, p = ex["text"], ex["ids"], len(ex["prompt_ids"])
        full = case.extend(case.inputs(text + ("" if not text or text[-1] in " \n" else case.separator) + ex["target"], im), ids)
        with torch.no_grad():
            tensors[f"logits.{k}"] = case.logits(model, full)[[p - 1, len(ids) - 1]].detach().clone()
        batch.append((full, [-100] * p + ids[p:]))
    tokens = sum(sum(l != -100 for l in labels[1:]) for _, labels in batch)
    lm = peft.get_peft_model(model, peft.LoraConfig(r=2, lora_alpha=6, target_modules=case.targets or "all-linear", lora_dropout=0.0, bias="none"))
    trained = [(n.replace(".default", ""), p) for n, p in lm.named_parameters() if p.requires_grad]
    for n, p in trained:
        p.data.copy_(torch.from_numpy(np.float32(0.2) * hashed(n, p.numel()).reshape(p.shape)))
    opt = torch.optim.AdamW([p for _, p in trained], lr=LR, weight_decay=DECAY)
    out["losses"] = []
    for _ in range(STEPS):
        opt.zero_grad()
        total = 0
        for full, labels in batch:
            loss = case.loss(lm, full, labels) / tokens
            loss.backward()
            total += float(loss.detach())
        opt.step()
        out["losses"].append(total)
    out["adapters"] = {n: project(n, p) for n, p in trained}
    out["lr"], out["decay"] = LR, DECAY
    path = f"{here}/{name}/quantised-{fmt}"
    save_file({k: v.contiguous() for k, v in tensors.items()}, path + ".safetensors")
    os.chmod(path + ".safetensors", 0o644)
    json.dump(out, open(path + ".json", "w"), separators=(",", ":"))
    print(family, name, fmt, len(named), "weights; losses", out["losses"][0], out["losses"][-1], "skipped", get_keys_to_not_convert(model))


for what in sys.argv[1:] or ALL:
    run(*what.split("/"))
