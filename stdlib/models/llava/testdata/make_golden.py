"""Goldens for package llava, from the reference of record: transformers 5.23.0 (PIL image
processors, eager attention, float32), peft 0.21.2, torch 2.15, tokenizers 0.23.3.

    python make_golden.py        # writes beside itself, and ../../../lora/testdata/peft

No weights are stored: both languages draw them from the integer hash below. Per case it writes
  NAME/config.json, tokenizer.json, ...  the checkpoint directory without weights
  NAME/golden.json                       token ids, positions, losses, greedy tokens, projections of gradients
  NAME/golden.safetensors                logits at those positions, pixels, LoRA gradients
"""
import json, math, os, shutil, sys
import numpy as np
import torch, transformers, peft, tokenizers
from PIL import Image
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers, decoders, processors, trainers, AddedToken
from transformers import (LlavaConfig, LlavaForConditionalGeneration, LlavaProcessor, PreTrainedTokenizerFast,
                          CLIPImageProcessorPil)
from transformers.models.llava.image_processing_pil_llava import LlavaImageProcessorPil

assert transformers.__version__ == "5.23.0" and peft.__version__ == "0.21.2", (transformers.__version__, peft.__version__)
HERE = os.path.dirname(os.path.abspath(__file__))
torch.set_grad_enabled(True)
torch.manual_seed(0)


def hashed(name, n):
    """n numbers in [-1, 1): FNV-1a of the name, then murmur3's finaliser of name hash + index * golden ratio."""
    h = 2166136261
    for b in name.encode():
        h = ((h ^ b) * 16777619) & 0xFFFFFFFF
    with np.errstate(over="ignore"):
        x = np.uint32(h) + np.arange(n, dtype=np.uint32) * np.uint32(2654435761)
        x ^= x >> np.uint32(16); x *= np.uint32(0x85EBCA6B)
        x ^= x >> np.uint32(13); x *= np.uint32(0xC2B2AE35)
        x ^= x >> np.uint32(16)
    return ((x >> np.uint32(8)).astype(np.float64) / (1 << 23) - 1).astype(np.float32)


def weight(name, shape):
    v = hashed(name, int(np.prod(shape))).reshape(shape)
    if len(shape) == 1:
        if "norm" in name and name.endswith("weight"):
            return np.float32(1) + np.float32(0.25) * v
        return np.float32(0.25) * v
    if "embed_tokens" in name or "position_embedding" in name:
        return np.float32(0.75) * v
    fan = int(np.prod(shape[1:]))
    return np.float32(1.75 / math.sqrt(fan)) * v


def image(seed, w, h):
    """A smooth colour image with a bright block: the same integers in Go."""
    y, x = np.mgrid[0:h, 0:w]
    a = np.stack([(x * (3 + seed) + y * 2) % 256, (x * y // 3 + 40 * seed) % 256, (255 - x * 2 + y * (1 + seed)) % 256], -1)
    a[h // 4:h // 2, w // 3:w // 2] = [250, 20 * seed, 90]
    return Image.fromarray(a.astype(np.uint8))


CORPUS = ["Describe the image. What does the film show?", "Chest radiograph with a nodule in the left upper lobe, marked by an arrow.",
          "Axial CT of the abdomen shows a cyst of 23 mm in the right kidney.", "USER: ASSISTANT: Which side? Left. Right.",
          "Sagittal MRI of the brain: no lesion. Ultrasound of the liver with a mass of 4.5 cm."]


def make_tokenizer():
    tok = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tok.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    special = ["<unk>", "<s>", "</s>"] + [f"<0x{i:02X}>" for i in range(256)]
    trainer = trainers.BpeTrainer(vocab_size=370, special_tokens=special, show_progress=False)
    # words are split while training, so that no merge crosses a space; Llama's own file has none that does
    tok.normalizer, tok.pre_tokenizer = None, pre_tokenizers.Metaspace()
    tok.train_from_iterator(CORPUS, trainer)
    # the byte tokens are plain vocabulary, only the first three are special
    j = json.loads(tok.to_str())
    j["added_tokens"], j["pre_tokenizer"] = j["added_tokens"][:3], None
    j["normalizer"] = {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]}
    n = len(j["model"]["vocab"])
    tok = Tokenizer.from_str(json.dumps(j))
    tok.add_special_tokens([AddedToken("<image>", special=True, normalized=False), AddedToken("<pad>", special=True, normalized=False)])
    tok.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)])
    return tok, n


TOK, IMAGE = make_tokenizer()
VOCAB = IMAGE + 2 + 6  # padded, as LLaVA's is

CASES = {
    # grouped heads, untied, hub names, old configuration keys, one file, f32
    "grouped": dict(
        dtype="float32", names="hub", shards=1, lora=None,
        config=dict(architectures=["LlavaForConditionalGeneration"], model_type="llava", image_token_index=IMAGE, torch_dtype="float32",
                    projector_hidden_act="gelu", vision_feature_layer=-2, vision_feature_select_strategy="default",
                    text_config=dict(model_type="llama", vocab_size=VOCAB, hidden_size=48, intermediate_size=80, num_hidden_layers=3,
                                     num_attention_heads=6, num_key_value_heads=2, rms_norm_eps=1e-5, rope_theta=10000.0,
                                     max_position_embeddings=256),
                    vision_config=dict(model_type="clip_vision_model", hidden_size=32, intermediate_size=56, num_hidden_layers=3,
                                       num_attention_heads=4, image_size=28, patch_size=7, projection_dim=16))),
    # heads of odd number and size, tied, biases, full strategy, last layer, erf GELU, v5 keys and names, bf16
    "tied": dict(
        dtype="bfloat16", names="v5", shards=1,
        config=dict(architectures=["LlavaForConditionalGeneration"], model_type="llava", image_token_index=IMAGE, dtype="bfloat16",
                    projector_hidden_act="gelu", vision_feature_layer=-1, vision_feature_select_strategy="full",
                    multimodal_projector_bias=False, tie_word_embeddings=True,
                    text_config=dict(model_type="llama", vocab_size=VOCAB, hidden_size=30, intermediate_size=44, num_hidden_layers=2,
                                     num_attention_heads=3, num_key_value_heads=3, rms_norm_eps=1e-6, attention_bias=True, mlp_bias=True,
                                     tie_word_embeddings=True, rope_parameters=dict(rope_theta=500000.0, rope_type="default"),
                                     max_position_embeddings=256),
                    vision_config=dict(model_type="clip_vision_model", hidden_size=36, intermediate_size=50, num_hidden_layers=2,
                                       num_attention_heads=3, image_size=30, patch_size=7, hidden_act="gelu", layer_norm_eps=1e-6))),
    # own head size, one key/value head, several feature layers, another projector activation, 4.52-4.57 names, sharded f16
    "sharded": dict(
        dtype="float16", names="4.52", shards=3,
        config=dict(architectures=["LlavaForConditionalGeneration"], model_type="llava", image_token_index=IMAGE, torch_dtype="float16",
                    projector_hidden_act="gelu_pytorch_tanh", vision_feature_layer=[-2, 1], vision_feature_select_strategy="default",
                    text_config=dict(model_type="mistral", vocab_size=VOCAB, hidden_size=40, intermediate_size=72, num_hidden_layers=2,
                                     num_attention_heads=4, num_key_value_heads=1, head_dim=16, rms_norm_eps=1e-5, rope_theta=1000000.0,
                                     sliding_window=None, max_position_embeddings=256),
                    vision_config=dict(model_type="clip_vision_model", hidden_size=24, intermediate_size=40, num_hidden_layers=4,
                                       num_attention_heads=2, image_size=24, patch_size=8))),
}
TEMPLATE = ("{% for message in messages %}{% if message['role'] != 'system' %}{{ message['role'].upper() + ': '}}{% endif %}"
            "{% for content in message['content'] | selectattr('type', 'equalto', 'image') %}{{ '<image>\n' }}{% endfor %}"
            "{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}{{ content['text'] + ' '}}{% endfor %}"
            "{% endfor %}{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}")
EXAMPLES = [
    dict(image=[1, 40, 28], prompt="Describe the image.", target="Axial CT of the abdomen shows a cyst of 23 mm."),
    dict(image=[2, 31, 57], prompt="Which side?", target="Left upper lobe – 4.5 cm²."),
    dict(image=None, prompt="What does the film show?", target="No lesion."),
]


def write_files(d, case):
    os.makedirs(d, exist_ok=True)
    c = case["config"]
    v = c["vision_config"]
    json.dump(c, open(f"{d}/config.json", "w"), indent=1)
    TOK.save(f"{d}/tokenizer.json")
    json.dump(dict(bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="<pad>", image_token="<image>",
                   tokenizer_class="PreTrainedTokenizerFast", model_max_length=256), open(f"{d}/tokenizer_config.json", "w"))
    crop = dict(height=v["image_size"], width=v["image_size"])
    pre = dict(do_center_crop=True, do_convert_rgb=True, do_normalize=True, do_rescale=True, do_resize=True, resample=3,
               rescale_factor=1 / 255, size=dict(shortest_edge=v["image_size"]), crop_size=crop,
               image_mean=[0.48145466, 0.4578275, 0.40821073], image_std=[0.26862954, 0.26130258, 0.27577711])
    if case["names"] == "v5":
        json.dump(dict(image_processor=dict(pre, image_processor_type="LlavaImageProcessor", do_pad=True), processor_class="LlavaProcessor",
                       patch_size=v["patch_size"], num_additional_image_tokens=1, vision_feature_select_strategy=c["vision_feature_select_strategy"]),
                  open(f"{d}/processor_config.json", "w"))
        open(f"{d}/chat_template.jinja", "w").write(TEMPLATE)
    else:
        json.dump(dict(pre, image_processor_type="CLIPImageProcessor"), open(f"{d}/preprocessor_config.json", "w"))
        if case["names"] == "hub":
            json.dump(dict(chat_template=TEMPLATE), open(f"{d}/chat_template.json", "w"))
    json.dump(dict(eos_token_id=2, pad_token_id=IMAGE + 1, bos_token_id=1), open(f"{d}/generation_config.json", "w"))
    return pre


def project(name, g):
    """norm and a dot product with hashed numbers: two numbers that no wrong gradient has."""
    g = g.detach().double().flatten().numpy()
    return [float(np.sqrt((g * g).sum())), float((g * hashed("dot " + name, g.size).astype(np.float64)).sum())]


def greedy(model, ids, pixels, steps):
    out, margin = [], 1e9
    with torch.no_grad():
        for _ in range(steps):
            logits = model(input_ids=torch.tensor([ids + out]), pixel_values=pixels).logits[0, -1]
            top = torch.topk(logits, 2)
            margin = min(margin, float(top.values[0] - top.values[1]))
            out.append(int(top.indices[0]))
    return out, margin


def run(name, case):
    d = f"{HERE}/{name}"
    shutil.rmtree(d, ignore_errors=True)
    pre = write_files(d, case)
    model = LlavaForConditionalGeneration(LlavaConfig(**{k: v for k, v in case["config"].items() if k not in ("architectures", "dtype", "torch_dtype")}))
    model.set_attn_implementation("eager")
    model.eval()
    stored = getattr(torch, case["dtype"])
    with torch.no_grad():
        for n, p in model.named_parameters():
            p.copy_(torch.from_numpy(weight(n, tuple(p.shape))).to(stored).float())
    tok = PreTrainedTokenizerFast(tokenizer_file=f"{d}/tokenizer.json", bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="<pad>")
    ip = LlavaImageProcessorPil(**pre, do_pad=True) if case["names"] == "v5" else CLIPImageProcessorPil(**pre)
    c = case["config"]
    proc = LlavaProcessor(ip, tok, patch_size=c["vision_config"]["patch_size"], num_additional_image_tokens=1,
                          vision_feature_select_strategy=c["vision_feature_select_strategy"], chat_template=TEMPLATE)
    gold, tensors = dict(made_by="make_golden.py, transformers 5.23.0, peft 0.21.2", dtype=case["dtype"], names=case["names"],
                         shards=case["shards"], parameters=sum(p.numel() for p in model.parameters()), examples=[]), {}
    batch = []
    for k, ex in enumerate(EXAMPLES):
        im = image(*ex["image"]) if ex["image"] else None
        content = ([dict(type="image")] if im else []) + [dict(type="text", text=ex["prompt"])]
        text = proc.apply_chat_template([dict(role="user", content=content)], add_generation_prompt=True)
        kw = dict(images=im) if im else {}
        prompt = proc(text=text, return_tensors="pt", **kw)
        full = proc(text=text + " " + ex["target"], return_tensors="pt", **kw)
        ids = full["input_ids"][0].tolist() + [2]
        p = prompt["input_ids"][0].tolist()
        assert ids[:len(p)] == p
        labels = [-100] * len(p) + ids[len(p):]
        pixels = full.get("pixel_values")
        out = model(input_ids=torch.tensor([ids]), pixel_values=pixels, labels=torch.tensor([labels]))
        at = sorted({0, 3, len(p) - 1, len(p), len(ids) // 2, len(ids) - 1})
        new, margin = greedy(model, p, pixels, 64)
        print(name, k, "tokens", len(ids), "loss", float(out.loss), "greedy margin", margin)
        gold["examples"].append(dict(ex, text=text, prompt_ids=p, ids=ids, at=at, loss=float(out.loss), greedy=new, margin=margin))
        tensors[f"logits.{k}"] = out.logits[0, at].detach().clone()
        if pixels is not None:
            tensors[f"pixels.{k}"] = pixels[0].clone()
        batch.append((ids, labels, pixels))

    tokens = sum(sum(l != -100 for l in b[1][1:]) for b in batch)
    # gradients of every parameter: mean over all loss tokens of the examples
    def backward(m):
        total = 0
        for ids, labels, pixels in batch:
            n = sum(l != -100 for l in labels[1:])
            loss = m(input_ids=torch.tensor([ids]), pixel_values=pixels, labels=torch.tensor([labels])).loss * (n / tokens)
            loss.backward()
            total += float(loss)
        return total
    gold["loss"] = backward(model)
    gold["grads"] = {n: project(n, p.grad) if p.grad is not None else None for n, p in model.named_parameters()}
    model.zero_grad()

    lm = peft.get_peft_model(model, peft.LoraConfig(r=2, lora_alpha=6, target_modules="all-linear", lora_dropout=0.0, bias="none"))
    for n, p in lm.named_parameters():
        if "lora_" in n:
            p.data.copy_(torch.from_numpy(np.float32(0.2) * hashed(n.replace(".default", ""), p.numel()).reshape(p.shape)))
    gold["lora_loss"] = backward(lm)
    for n, p in lm.named_parameters():
        if p.requires_grad:
            gold.setdefault("lora", []).append(n.replace(".default", ""))
            if p.grad is not None:
                tensors["grad." + n.replace(".default", "")] = p.grad.clone()
    ids, _, pixels = batch[0]
    tensors["lora_logits"] = lm(input_ids=torch.tensor([ids]), pixel_values=pixels).logits[0, -2:].detach().clone()
    if name == "grouped":
        out = f"{HERE}/../../../lora/testdata/peft"
        os.makedirs(out, exist_ok=True)
        lm.save_pretrained(out)
        for f in os.listdir(out):
            os.chmod(f"{out}/{f}", 0o644)
            if f == "README.md":
                os.remove(f"{out}/{f}")
    save_file({k: v.contiguous() for k, v in tensors.items()}, f"{d}/golden.safetensors")
    os.chmod(f"{d}/golden.safetensors", 0o644)
    json.dump(gold, open(f"{d}/golden.json", "w"), separators=(",", ":"), ensure_ascii=False)


for name in sys.argv[1:] or CASES:
    run(name, CASES[name])
