"""Goldens for package moondream, from the official code of MoonDream2 at the commits that official.py names (2024-04-02,
2024-08-26, 2025-04-14, 2025-06-21), under torch 2.15, transformers 5.23.0, torchvision 0.30, peft 0.21.2.

    python make_golden.py /path/to/clone/of/vikhyat/moondream [case ...]

writes one directory per case (see ../../testdata/reference.py), images.json, digests of the pixels that the official
preprocessing gives at the published sizes, and answers.json, what 2025's query() answers.
"""
import json, os, sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "..", "testdata")]
import numpy as np
import torch, transformers, peft
from PIL import Image
import official
import reference
from reference import Case, bytelevel_tokenizer, digest, image

assert transformers.__version__ == "5.23.0" and peft.__version__ == "0.21.2", (transformers.__version__, peft.__version__)

SHAPES = [
    dict(image=[1, 50, 26], prompt="Describe the image.", target="Axial CT of the abdomen shows a cyst of 23 mm."),
    dict(image=[2, 31, 57], prompt="Which side?", target="Left upper lobe – 4.5 cm²."),
    dict(image=[3, 60, 55], prompt="What does the film show?", target="No lesion."),
    dict(image=[4, 20, 18], prompt="", target="A mass."),
    dict(image=None, prompt="What does the film show?", target="No lesion."),
]


class Moondream(Case):
    revision, text_config, vision = None, {}, {}
    special = ["<|endoftext|>"]

    def __init__(self):
        self.tok = self.tokenizer()
        self.known = {}
        v = self.vision
        self.sizes = dict(E=v["enc_dim"], p=v["enc_patch_size"], layers=v["enc_n_layers"], F=v["enc_ff_dim"], heads=v["enc_n_heads"], S=v["crop_size"],
                          inner=v["proj_inner_dim"], C=self.text_config.get("hidden_size"), tile=v.get("tile_from", 512))
        self.eos = [self.end]

    def write_files(self, d):
        self.tok.save(f"{d}/tokenizer.json")
        json.dump({"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>"}, open(f"{d}/tokenizer_config.json", "w"))

    def patches(self):
        return (self.sizes["S"] // self.sizes["p"]) ** 2

    def text(self, prompt, has_image):
        text, ids = self.render(prompt, has_image)
        self.known[text] = [self.bos] * (1 + (self.patches() if has_image else 0)) + ids
        return text

    def inputs(self, text, im):
        start = max((t for t in self.known if text.startswith(t)), key=len)  # prompt and answer are tokenised apart
        return dict(input_ids=torch.tensor([self.known[start] + self.encode(text[len(start):])]), image=im)

    def pixels(self, inputs):
        return None if inputs["image"] is None else self.m.views(inputs["image"]).float()

    def logits(self, model, inputs):
        self.m.image = inputs["image"]
        return self.m(inputs["input_ids"]).logits[0]

    def generate(self, model, inputs, **kw):
        self.m.image = inputs["image"]
        return self.m.search(inputs["input_ids"], **kw)[0][inputs["input_ids"].shape[1]:].tolist()

    def parameters(self, model):
        return [(n, p) for n, p in model.named_parameters() if "region" not in n]

    def keep(self, m):
        self.m = m
        self.targets = [n for n, l in m.named_modules() if isinstance(l, torch.nn.Linear) and "region" not in n and "lm_head" not in n]
        return m


class Of2024(Moondream):
    key = "phi_config"

    def tokenizer(self):
        tok, first = bytelevel_tokenizer(self.special)
        self.bos = self.end = first
        return tok

    def __init__(self):
        super().__init__()
        text = dict(self.text_config, vocab_size=self.tok.get_vocab_size() + 3)
        self.plain = {self.key: text}
        pin = {"revision": self.revision} if self.revision else {}
        self.config = {"architectures": ["Moondream"], "auto_map": {"AutoConfig": "configuration_moondream.MoondreamConfig", "AutoModelForCausalLM": "moondream.Moondream"},
                       "model_type": "moondream1", self.key: dict(text, model_type="phi"), "vision_config": self.vision, "torch_dtype": self.dtype, **pin}

    def encode(self, text):
        return self.tok.encode(text, add_special_tokens=False).ids

    def render(self, prompt, has_image):
        text = f"\n\nQuestion: {prompt}\n\nAnswer:"
        return ("<image>" if has_image else "") + text, self.encode(text)

    def model(self):
        return self.keep(official.model2024(self.code, dict(self.plain), self.sizes))


class Single(Of2024):
    code = "2024-04-02"
    text_config = dict(hidden_size=48, intermediate_size=72, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=200)
    vision = dict(enc_dim=24, enc_patch_size=4, enc_n_layers=2, enc_ff_dim=40, enc_n_heads=3, crop_size=24, proj_inner_dim=44)


class SingleMay(Of2024):
    """2024-05-08: one view under the later key; other sizes, odd ones, float16 in three shards, names as torch.compile leaves them."""
    code, revision, key, dtype, shards, names = "2024-04-02", "2024-05-08", "text_config", "float16", 3, "compiled"
    text_config = dict(hidden_size=60, intermediate_size=50, num_hidden_layers=3, num_attention_heads=5, max_position_embeddings=160, rope_theta=500.0,
                       partial_rotary_factor=0.7, hidden_act="gelu", layer_norm_eps=1e-3)
    vision = dict(enc_dim=20, enc_patch_size=7, enc_n_layers=1, enc_ff_dim=30, enc_n_heads=2, crop_size=21, proj_inner_dim=36)

    def model(self):  # the code of April read under its own key
        self.plain = {"phi_config": self.plain.pop("text_config")} if "text_config" in self.plain else self.plain
        return super().model()


class Tiles(Of2024):
    code, key, examples = "2024-08-26", "text_config", SHAPES
    text_config = dict(hidden_size=48, intermediate_size=72, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=200)
    vision = dict(enc_dim=24, enc_patch_size=4, enc_n_layers=2, enc_ff_dim=40, enc_n_heads=3, crop_size=20, proj_inner_dim=44, tile_from=36)


class Of2025(Moondream):
    examples, separator = SHAPES, ""
    text = Moondream.text

    def __init__(self):
        super().__init__()
        self.config = {"architectures": ["HfMoondream"], "auto_map": {"AutoConfig": "hf_moondream.HfConfig", "AutoModelForCausalLM": "hf_moondream.HfMoondream"},
                       "model_type": "moondream1", "torch_dtype": self.dtype,
                       "config": {"text": dict(self.text_config, vocab_size=self.tok.get_vocab_size() + 3), "vision": self.vision, "tokenizer": self.tokens}}

    def encode(self, text):
        return self.tok.encode(text).ids

    def render(self, prompt, has_image):
        t, written = self.tokens["templates"], lambda ids: "".join(self.tok.decode([i], skip_special_tokens=False) for i in ids)
        head = "<image>" if has_image else ""
        if prompt == "" and has_image:
            return head + written(t["caption"]["normal"]), t["caption"]["normal"]
        q, question = t["query"], self.space + prompt
        suffix = q["suffix"] * self.suffixes
        return head + written(q["prefix"]) + question + written(suffix), q["prefix"] + self.encode(question) + suffix

    def model(self):
        return self.keep(official.model2025(self.code, self.config, self.sizes, self.tok))

    def check_prompt(self, m):
        """That render gives the ids which query() and caption() hand to the decoder."""
        seen = []
        m.model._generate_answer = m.model._generate_text = lambda prompt_tokens, pos, *a, **k: seen.append((pos, prompt_tokens[0].tolist())) or iter(())
        m.model.encode_image = lambda *a, **k: official.types.SimpleNamespace(pos=1 + self.patches(), caches=[])
        im = image(1, 50, 26)
        m.model.query(im, "Which side?")
        m.model.caption(im)
        assert seen == [(1 + self.patches(), self.render("Which side?", True)[1]), (1 + self.patches(), self.render("", True)[1])], seen
        if self.code == "2025-06-21":
            m.model._setup_caches = lambda: None
            m.model.query(None, "Which side?")
            assert seen[2] == (0, [self.bos] + self.render("Which side?", False)[1]), seen

    def run(self, *a):
        self.check_prompt(self.model())
        super().run(*a)


class Overlap(Of2025):
    code, dtype = "2025-06-21", "bfloat16"
    text_config = dict(dim=128, ff_dim=72, n_layers=2, max_context=256, n_heads=2, n_kv_heads=1)
    vision = dict(enc_dim=24, enc_patch_size=4, enc_n_layers=5, enc_ff_dim=40, enc_n_heads=3, proj_out_dim=128, crop_size=20, max_crops=6, overlap_margin=1, proj_inner_dim=40)
    space, suffixes, bos, end = "", 2, 0, 0

    def tokenizer(self):
        tok, _ = bytelevel_tokenizer([], before=["<|endoftext|>"] + [f"<|md_reserved_{i}|>" for i in range(6)])
        ask, tell = tok.encode("query").ids, tok.encode("caption").ids
        self.tokens = {"bos_id": 0, "eos_id": 0, "answer_id": 3, "templates": {
            "caption": {"short": [1, *tell, 2, 40, 3], "normal": [1, *tell, 2, 41, 3]}, "query": {"prefix": [1, *ask, 2], "suffix": [3]}, "detect": None, "point": None}}
        return tok


class OverlapApril(Of2025):
    """2025-04-14: GPT-2's tokenizer and textual templates; weights under the names of 2024."""
    code, names = "2025-04-14", "2024"
    text_config = dict(dim=64, ff_dim=90, n_layers=2, max_context=200, n_heads=1, n_kv_heads=1)
    vision = dict(enc_dim=28, enc_patch_size=2, enc_n_layers=4, enc_ff_dim=30, enc_n_heads=2, proj_out_dim=64, crop_size=8, max_crops=12, overlap_margin=1, proj_inner_dim=52)
    space, suffixes = " ", 1

    def tokenizer(self):
        tok, first = bytelevel_tokenizer(self.special)
        self.bos = self.end = first
        e = lambda t: tok.encode(t).ids
        self.tokens = {"bos_id": first, "eos_id": first, "templates": {
            "caption": {"normal": e("\n\nLong caption:")}, "query": {"prefix": e("\n\nQuestion:"), "suffix": e("\n\nAnswer:")}, "detect": None, "point": None}}
        return tok


def answers(here):
    """What query() itself answers, greedily and with its caches: also with a head that likes the token which opens an
    answer, which the code bars from the second token on, and one that likes the end."""
    out = {}
    for case in (Overlap, OverlapApril):
        c = case()
        c.config["config"]["text"]["max_context"] = 2048  # the length of the masks in the code
        m, name = c.model(), next(k for k, v in CASES.items() if v is case)
        with torch.no_grad():
            for n, p in c.parameters(m):
                p.copy_(torch.from_numpy(np.array(reference.weight(n, tuple(p.shape)))).to(getattr(torch, c.dtype)).float())
        m.eval()
        m.model._setup_caches()
        out[name] = []
        for token, more in ((None, 0.0), (3, 6.0), (c.end, 1.5)):
            with torch.no_grad():
                if token is not None:
                    m.model.text.lm_head.bias[token] += more
                for ex in c.examples:
                    if ex["image"] and ex["prompt"]:
                        pieces, kept = [], m.model.tokenizer
                        m.model.tokenizer = official.types.SimpleNamespace(encode=kept.encode, decode=lambda ids: pieces.append(list(ids)) or "")
                        m.model.query(m.model.encode_image(image(*ex["image"])), ex["prompt"], settings={"temperature": 0, "max_tokens": 16})
                        m.model.tokenizer = kept
                        ids = max(pieces, key=len, default=[])
                        out[name].append(dict(image=ex["image"], prompt=ex["prompt"], token=token, more=more, ids=ids))
                if token is not None:
                    m.model.text.lm_head.bias[token] -= more
    json.dump(out, open(f"{here}/answers.json", "w"), indent=None)


CASES = dict(single=Single, may=SingleMay, tiles=Tiles, overlap=Overlap, april=OverlapApril)

# Pixels at the published sizes.
IMAGES = [(1, 1), (1, 5000), (5000, 1), (3, 500), (500, 3), (378, 378), (377, 379), (511, 300), (512, 300), (512, 512), (567, 567), (568, 566), (600, 800), (800, 600),
          (756, 756), (1000, 400), (400, 1000), (490, 490), (491, 491), (378, 1200), (645, 911), (1500, 1100), (2500, 490)]
SAMPLES = os.path.join(os.environ.get("LIGHTBOX_SHARED", os.path.join(HERE, "../../../../../shared")), "data", "radsample")


def images(here):
    out = {"made_by": "make_golden.py", "generated": [], "sample": {}}
    codes = {}
    for revision in ("2024-04-02", "2024-08-26"):
        small = dict(official.SIZES, E=16, layers=1, F=16, heads=2, inner=16, C=16)  # what has no part in the pixels
        v = official.code2024(revision, small)("vision_encoder")
        codes[revision] = lambda im, v=v, revision=revision: views2024(v, revision, im)
    c = official.code2025("2025-06-21", dict(S=378, p=14), None)
    config = c("config").VisionConfig()

    def crops(im):
        x, tiling = c("moondream").prepare_crops(im, config, "cpu")
        return x[:1] if tuple(tiling) == (1, 1) else x
    codes["2025-06-21"] = crops

    def all_of(im):
        r = {}
        for revision, f in codes.items():
            px = f(im).numpy()
            r[revision] = [len(px), digest(px)]
        return r
    for k, (w, h) in enumerate(IMAGES):
        out["generated"].append(dict(image=[k % 7, w, h], **all_of(image(k % 7, w, h))))
    if os.path.isdir(SAMPLES):
        files = sorted(f for d, _, fs in os.walk(SAMPLES) for f in (os.path.join(d, x) for x in fs) if f.lower().endswith((".jpg", ".png")))
        for f in files[:: max(1, len(files) // 8)][:8]:
            from PIL import ImageOps
            out["sample"][os.path.relpath(f, SAMPLES)] = all_of(ImageOps.exif_transpose(Image.open(f)).convert("RGB"))
    json.dump(out, open(f"{here}/images.json", "w"), indent=0)


def views2024(v, revision, im):
    """What VisionEncoder gives its encoder, with the encoder left out."""
    if revision == "2024-04-02":
        return v.VisionEncoder().preprocess(im.convert("RGB"))[None]

    class Seen(Exception):
        pass

    class Views(v.VisionEncoder):
        def encoder(self, x):
            raise Seen(x)

        def __init__(self):
            self.supported_sizes = [(378, 378), (378, 756), (756, 378), (756, 756)]
        device, dtype = "cpu", torch.float32
    try:
        Views().forward([im])
    except Seen as e:
        return e.args[0]


if __name__ == "__main__":
    wanted = sys.argv[2:] or [*CASES, "images", "answers"]
    if "images" in wanted:
        images(HERE)
    if "answers" in wanted:
        answers(HERE)
    for name, case in CASES.items():
        if name in wanted:
            made = f"official code of MoonDream2 {case.code}, commit {official.COMMITS[case.code]}; torch {torch.__version__}, transformers {transformers.__version__}, peft {peft.__version__}"
            case().run(name, HERE, made)
