"""What the make_golden.py of every family shares. Reference of record: transformers 5.23.0 (PIL image processors, eager
attention, float32), peft 0.21.2, torch 2.15, tokenizers 0.23.3.

No weights are stored: both languages draw them from the integer hash below, by the tensors' names in transformers 5's
module tree. Per case a script writes
  NAME/config.json, tokenizer.json, ...  the checkpoint directory without weights
  NAME/golden.json                       token ids, positions, losses, greedy and beam tokens, projections of gradients
  NAME/golden.safetensors                logits at those positions, gradients of adapters, some pixels
which stdlib/internal/modeltest reads.

A family gives a subclass of Case; see its methods.
"""
import hashlib, json, math, os, shutil
import numpy as np
import torch, peft
from PIL import Image
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers, decoders, processors, trainers, AddedToken

torch.set_num_threads(1)
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


TABLES = ("embed", "wte", "wpe", "position", "latents")  # what a table of rows has in its name


def weight(name, shape):
    """Vectors called weight are a norm's: around 1. Other vectors are small, tables of rows large, matrices keep the scale;
    gates are open, so that a mistake behind them shows."""
    v = hashed(name, int(np.prod(shape))).reshape(shape)
    if "alpha" in name:
        return np.float32(0.6) + np.float32(0.4) * v
    if len(shape) <= 1:
        if name.endswith("weight") or name.endswith("running_var"):
            return np.float32(1) + np.float32(0.25) * v
        return np.float32(0.25) * v
    if any(t in name for t in TABLES) and len(shape) == 2:
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
          "Axial CT of the abdomen shows a cyst of 23 mm in the right kidney.", "USER: ASSISTANT: User: Assistant: Which side? Left. Right.",
          "Sagittal MRI of the brain: no lesion. Ultrasound of the liver with a mass of 4.5 cm.", "system user assistant You are a helpful assistant.",
          "Question: Answer: [INST] [/INST]"]


def llama_tokenizer(added, vocab=370, bos=True):
    """BPE with byte fallback in Llama's legacy form, ids <unk> <s> </s> 0 1 2; added are special tokens behind the vocabulary. Returns it and the first added id."""
    tok = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tok.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    special = ["<unk>", "<s>", "</s>"] + [f"<0x{i:02X}>" for i in range(256)]
    # words are split while training, so that no merge crosses a space; Llama's own file has none that does
    tok.normalizer, tok.pre_tokenizer = None, pre_tokenizers.Metaspace()
    tok.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=vocab, special_tokens=special, show_progress=False))
    j = json.loads(tok.to_str())  # the byte tokens are plain vocabulary, only the first three are special
    j["added_tokens"], j["pre_tokenizer"] = j["added_tokens"][:3], None
    j["normalizer"] = {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]}
    n = len(j["model"]["vocab"])
    tok = Tokenizer.from_str(json.dumps(j))
    tok.add_special_tokens([AddedToken(a, special=True, normalized=False) for a in added])
    if bos:
        tok.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)])
    return tok, n


def bytelevel_tokenizer(added, vocab=340, before=(), pattern=None, digits=False, normalizer=None):
    """Byte-level BPE (GPT-2, Qwen, SmolLM2); `before` are special tokens in front of the vocabulary, added behind it. Returns it and the first added id."""
    tok = Tokenizer(models.BPE())
    tok.normalizer = normalizer
    steps = []
    if digits:
        steps.append(pre_tokenizers.Digits(individual_digits=True))
    if pattern:
        from tokenizers import Regex
        steps += [pre_tokenizers.Split(Regex(pattern), behavior="isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    else:
        steps.append(pre_tokenizers.ByteLevel(add_prefix_space=False))
    tok.pre_tokenizer = pre_tokenizers.Sequence(steps) if len(steps) > 1 else steps[0]
    tok.decoder = decoders.ByteLevel()
    tok.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=vocab, special_tokens=list(before), initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    n = tok.get_vocab_size()
    tok.add_special_tokens([AddedToken(a, special=True, normalized=False) for a in added])
    return tok, n


EXAMPLES = [
    dict(image=[1, 40, 28], prompt="Describe the image.", target="Axial CT of the abdomen shows a cyst of 23 mm."),
    dict(image=[2, 31, 57], prompt="Which side?", target="Left upper lobe – 4.5 cm²."),
    dict(image=None, prompt="What does the film show?", target="No lesion."),
]


def project(name, g):
    """Norm and a dot product with hashed numbers: two numbers that no wrong gradient has."""
    g = g.detach().double().flatten().numpy()
    return [float(np.sqrt((g * g).sum())), float((g * hashed("dot " + name, g.size).astype(np.float64)).sum())]


def digest(array):
    """SHA-256 of an array's float32 little-endian bytes: how goldens hold pixels."""
    return hashlib.sha256(np.ascontiguousarray(np.asarray(array, dtype="<f4")).tobytes()).hexdigest()


class Case:
    """One checkpoint of a family. A family overrides what differs."""
    dtype = "float32"      # how the checkpoint stores its weights: float32, bfloat16, float16
    names = "hub"          # which spelling of tensor names the Go side writes
    shards = 1
    config = None          # config.json
    examples = EXAMPLES
    end = None             # id that ends an answer, appended to the learnt ids unless they end with it
    separator = " "        # between prompt and answer, unless the prompt is empty or ends in white space
    steps = 64             # greedy tokens
    beams = 4              # beams of beam search, 0: none; over beam_tokens new tokens, end tokens as eos below
    beam_tokens = 12
    eos = ()               # ids that end a beam
    targets = "all-linear" # of PEFT; None: no adapters

    def write_files(self, d):
        """Writes everything of the checkpoint directory but the weights (config.json is written already)."""
        raise NotImplementedError

    def model(self):
        """The reference model in float32, eval mode, eager attention; weights are set afterwards."""
        raise NotImplementedError

    def text(self, prompt, has_image):
        """The prompt as rendered, one marker per image."""
        raise NotImplementedError

    def inputs(self, text, im):
        """The model's keyword arguments for a text and an image or None, batch of one, input_ids among them, as the reference processor makes them."""
        raise NotImplementedError

    def pixels(self, inputs):
        """The pixels of such inputs in the order in which the Go sample has them, as an array; None without an image."""
        p = inputs.get("pixel_values")
        return None if p is None else p

    def extend(self, inputs, ids):
        """The inputs for the same image with other input ids (a list)."""
        out = dict(inputs, input_ids=torch.tensor([ids]))
        if "attention_mask" in out:
            out["attention_mask"] = torch.ones_like(out["input_ids"])
        return out

    def logits(self, model, inputs):
        """(T, V) logits of one sequence, without a cache."""
        return model(**inputs, use_cache=False).logits[0]

    def generate(self, model, inputs, **kw):
        """Token ids of new tokens."""
        out = model.generate(**inputs, **kw)
        n = inputs["input_ids"].shape[1]
        return out[0][n:].tolist() if out.shape[1] > n else out[0].tolist()

    def buffers(self, model):
        """(canonical name, buffer) of what a checkpoint stores beside parameters, counters left out."""
        return []

    def parameters(self, model):
        """(canonical name, parameter) in the module tree's order; tied ones once."""
        return list(model.named_parameters())

    # ------------------------------------------------------------------
    def loss(self, model, inputs, labels):
        """Sum of the negative log-likelihoods of the labels that are not -100, shifted by one, in float32."""
        lg = self.logits(model, inputs).float()
        want = torch.tensor(labels[1:])
        keep = want != -100
        return torch.nn.functional.cross_entropy(lg[:-1][keep], want[keep], reduction="sum")

    def greedy(self, model, inputs, ids):
        out, margin = [], 1e9
        with torch.no_grad():
            for _ in range(self.steps):
                top = torch.topk(self.logits(model, self.extend(inputs, ids + out))[-1], 2)
                margin = min(margin, float(top.values[0] - top.values[1]))
                out.append(int(top.indices[0]))
        return out, margin

    def run(self, name, here, made_by):
        d = f"{here}/{name}"
        shutil.rmtree(d, ignore_errors=True)
        os.makedirs(d)
        json.dump(self.config, open(f"{d}/config.json", "w"), indent=1)
        self.write_files(d)
        model = self.model()
        model.eval()
        stored = getattr(torch, self.dtype)
        with torch.no_grad():
            for n, p in self.parameters(model) + self.buffers(model):
                p.copy_(torch.from_numpy(np.array(weight(n, tuple(p.shape)))).reshape(p.shape).to(stored).float())
        gold = dict(made_by=made_by, dtype=self.dtype, names=self.names, shards=self.shards,
                    parameters=sum(p.numel() for _, p in self.parameters(model)), examples=[])
        tensors, batch = {}, []
        for k, ex in enumerate(self.examples):
            im = image(*ex["image"]) if ex["image"] else None
            text = self.text(ex["prompt"], im is not None)
            prompt = self.inputs(text, im)
            p = prompt["input_ids"][0].tolist()
            separator = "" if not text or text[-1] in " \n" else self.separator
            full = self.inputs(text + separator + ex["target"], im)
            ids = full["input_ids"][0].tolist()
            if self.end is not None and ids[-1] != self.end:
                ids.append(self.end)
            assert ids[:len(p)] == p, (ids, p)
            labels = [-100] * len(p) + ids[len(p):]
            full = self.extend(full, ids)
            with torch.no_grad():
                logits = self.logits(model, full)
                loss = float(self.loss(model, full, labels)) / sum(l != -100 for l in labels[1:])
            at = sorted({0, min(3, len(ids) - 1), len(p) - 1, len(p), len(ids) // 2, len(ids) - 1})
            new, margin = self.greedy(model, prompt, p)
            g = dict(ex, text=text, prompt_ids=p, ids=ids, at=at, loss=loss, greedy=new, margin=margin)
            if self.beams:
                with torch.no_grad():
                    g["beams"] = self.generate(model, prompt, num_beams=self.beams, do_sample=False, max_new_tokens=self.beam_tokens,
                                               eos_token_id=list(self.eos) or None, pad_token_id=0, length_penalty=1.0, early_stopping=False)
            px = self.pixels(full)
            if px is not None:
                px = np.asarray(px.detach() if torch.is_tensor(px) else px, dtype=np.float32)
                g["pixels"], g["pixel_count"] = digest(px), int(px.size)
            print(name, k, "tokens", len(ids), "loss", loss, "greedy margin", margin)
            gold["examples"].append(g)
            tensors[f"logits.{k}"] = logits[at].detach().clone()
            batch.append((full, labels))
        gold["eos"], gold["beam_count"], gold["beam_tokens"] = list(self.eos), self.beams, self.beam_tokens
        tokens = sum(sum(l != -100 for l in labels[1:]) for _, labels in batch)

        def backward(m):
            total = 0
            for full, labels in batch:
                loss = self.loss(m, full, labels) / tokens
                loss.backward()
                total += float(loss.detach())
            return total
        gold["loss"] = backward(model)
        gold["grads"] = {n: project(n, p.grad) if p.grad is not None else None for n, p in self.parameters(model)}
        model.zero_grad()
        gold["lora"], gold["lora_loss"] = [], 0
        if self.targets:
            self.adapters(model, batch, backward, gold, tensors)
        save_file({k: v.contiguous() for k, v in tensors.items()}, f"{d}/golden.safetensors")
        os.chmod(f"{d}/golden.safetensors", 0o644)
        json.dump(gold, open(f"{d}/golden.json", "w"), separators=(",", ":"), ensure_ascii=False)

    def adapters(self, model, batch, backward, gold, tensors):
        """Adapters of rank 2 and alpha 6 on every Linear but the head; the gradients as float16-free numbers, the larger ones projected."""
        lm = peft.get_peft_model(model, peft.LoraConfig(r=2, lora_alpha=6, target_modules=self.targets, lora_dropout=0.0, bias="none"))
        for n, p in lm.named_parameters():
            if "lora_" in n:
                p.data.copy_(torch.from_numpy(np.float32(0.2) * hashed(n.replace(".default", ""), p.numel()).reshape(p.shape)))
        gold["lora_loss"] = backward(lm)
        gold["lora"] = []
        for n, p in lm.named_parameters():
            if p.requires_grad:
                gold["lora"].append(n.replace(".default", ""))
                if p.grad is not None:
                    tensors["grad." + n.replace(".default", "")] = p.grad.clone()
        with torch.no_grad():
            tensors["lora_logits"] = self.logits(lm, batch[0][0])[-2:].detach().clone()
        return lm
