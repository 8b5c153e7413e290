"""The official code of MoonDream2, taken from a local clone of https://github.com/vikhyat/moondream at pinned commits and
run under torch 2.15 and transformers 5.23. Nothing of it is stored here.

    git clone https://github.com/vikhyat/moondream   # then pass its path, or set MOONDREAM_REPO

2024's code has its sizes as numbers in the source: they are replaced before it runs, so that small models go through the
same lines; what else is changed:
  - imports of transformers that v5 has not: masks for eager attention (given here), docstring decorators (dropped);
  - v5 turns rope_scaling None into a mapping: the branch without scaling is taken outright;
  - `_tied_weights_keys` of 2024-04-02, a list where v5 wants a mapping (dropped: nothing is tied);
  - 2025: the image encoder's attention calls its Linear modules instead of reading their weights, past which PEFT's
    adapters have no effect (and get no gradient) in the code as it is;
  - 2025: float32 instead of bfloat16 weights (the pixels keep their rounding), the tokenizer from a file, `729` and the
    sizes of crops that overlap_crop_image is not told.
The hub's own files of these revisions were not at hand; that they are the same code is what the repository's release
scripts (hf_release.py, moondream/torch/hf_release.py) say.
"""
import importlib, os, re, subprocess, sys, types
import torch, transformers
from transformers import GenerationMixin
from transformers.modeling_outputs import CausalLMOutputWithPast

COMMITS = {"2024-04-02": "8fa2f2c", "2024-08-26": "211cc2f", "2025-06-21": "44146f1", "2025-04-14": "54d00c2"}
REPO = os.environ.get("MOONDREAM_REPO") or (sys.argv[1] if len(sys.argv) > 1 else None)


def source(commit, path):
    return subprocess.run(["git", "-C", REPO, "show", f"{commit}:{path}"], check=True, capture_output=True, text=True).stdout


def replace(text, *pairs):
    for old, new in pairs:
        assert old in text, old
        text = text.replace(old, new)
    return text


def package(name, files):
    """A package of modules from source texts."""
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = []
    pending = dict(files)
    while pending:  # in whatever order their imports allow
        for stem, text in list(pending.items()):
            wants = set(re.findall(r"^from \.(\w+) import", text, re.M)) & set(pending)
            if wants - {stem}:
                continue
            m = types.ModuleType(f"{name}.{stem}")
            m.__package__ = name
            sys.modules[f"{name}.{stem}"] = m
            exec(compile(text, f"{name}/{stem}.py", "exec"), m.__dict__)
            del pending[stem]
    return lambda stem: sys.modules[f"{name}.{stem}"]


def causal(attention_mask, shape, embeds, past):
    """What _prepare_4d_causal_attention_mask gives without padding."""
    b, t = shape
    m = torch.full((t, t + past), torch.finfo(embeds.dtype).min)
    return torch.triu(m, past + 1)[None, None].expand(b, 1, t, t + past)


SIZES = dict(E=1152, p=14, layers=27, F=4304, heads=16, S=378, inner=8192, C=2048, tile=512)  # of the published model


def vision_source(commit, s):
    """vision_encoder.py with other sizes."""
    text, grid = source(commit, "moondream/vision_encoder.py"), s["S"] // s["p"]
    text = replace(text, ("num_heads=16", "num_heads=@heads"), ("range(27)", "range(@layers)"), ("hidden_dim = model_dim * 4", "hidden_dim = @inner"), ("model_dim = 2048", "model_dim = @C"))
    numbers = {14: s["p"], 27: grid, 729: grid * grid, 588: 3 * s["p"] ** 2, 1152: s["E"], 4304: s["F"], 378: s["S"], 756: 2 * s["S"], 512: s["tile"]}
    text = re.sub(r"(?<=[ (,=-])(14|27|729|588|1152|4304|378|756|512)\b", lambda m: str(numbers[int(m[1])]), text)
    return re.sub(r"@(\w+)", lambda m: str(s[m[1]]) if m[1] in s else m[0], text)


def code2024(revision, sizes):
    commit = COMMITS[revision]
    phi = source(commit, "moondream/modeling_phi.py")
    phi = re.sub(r"from transformers\.modeling_attn_mask_utils import [^\n]*", "from official import causal as _prepare_4d_causal_attention_mask", phi)
    phi = re.sub(r"^    (is_flash_attn_greater_or_equal_2_10|add_start_docstrings\w*|replace_return_docstrings),\n", "", phi, flags=re.M)
    phi = re.sub(r"^ *@(add_start_docstrings\w*|replace_return_docstrings)\((?:[^()]|\([^()]*\))*\)\n", "", phi, flags=re.M)
    phi = re.sub(r"^    _tied_weights_keys = .*\n", "", phi, flags=re.M)
    phi = replace(phi, ("self.config.rope_scaling is None", "True"))
    files = {"modeling_phi": phi, "vision_encoder": vision_source(commit, sizes)}
    for stem in ("configuration_moondream", "moondream", *(("region_model", "fourier_features") if revision > "2024-05" else ())):
        files[stem] = source(commit, f"moondream/{stem}.py")
    if "region_model" in files:
        files["region_model"] = files["region_model"].replace("2048", str(sizes["C"]))
    return package("moondream_" + commit, files)


class Reference(GenerationMixin):
    """What both classes get: forward over ids in which the first of an image's rows is BOS and the others are placeholders."""
    image = None

    def forward(self, input_ids, **_):
        rows = torch.stack([self.embeds(ids) for ids in input_ids])
        return CausalLMOutputWithPast(logits=self.run(rows))

    def embeds(self, ids):
        x = self.table(ids)
        if self.image is None:
            return x
        im = self.encode(self.image)[0]
        return torch.cat([x[:1], im, x[1 + len(im):]])

    def prepare_inputs_for_generation(self, input_ids, **_):
        return dict(input_ids=input_ids)

    def search(self, input_ids, **kw):
        self.generation_config = transformers.GenerationConfig()
        return GenerationMixin.generate(self, input_ids, use_cache=False, **kw)


def model2024(revision, config, sizes):
    """The class Moondream in float32, its pixels(image) and the decoder's logits."""
    code = code2024(revision, sizes)
    conf, phi = code("configuration_moondream"), code("modeling_phi")
    Base = code("moondream").Moondream

    class Moondream(Reference, Base):
        def table(self, ids):
            return self.text_model.get_input_embeddings()(ids)

        def encode(self, im):
            if revision == "2024-04-02":  # as notebooks/Finetuning.ipynb: VisionEncoder.__call__ itself takes no gradient
                x = code("vision_encoder").rearrange(self.views(im), "b c (h p1) (w p2) -> b (h w) (c p1 p2)", p1=sizes["p"], p2=sizes["p"])
                return self.vision_encoder.projection(self.vision_encoder.encoder(x))
            return self.vision_encoder(im)

        def views(self, im):
            if revision == "2024-04-02":
                return self.vision_encoder.preprocess(im.convert("RGB"))[None]
            seen = []
            hook = self.vision_encoder.encoder.register_forward_pre_hook(lambda _, args: seen.append(args[0].detach()))
            with torch.no_grad():
                self.vision_encoder(im)
            hook.remove()
            return seen[0]

        def run(self, embeds):
            return self.text_model(inputs_embeds=embeds, use_cache=False, return_dict=True, output_attentions=False, output_hidden_states=False).logits

        def get_output_embeddings(self):
            return self.text_model.lm_head.linear

    c = conf.MoondreamConfig(**config)
    c._attn_implementation = "eager"
    key = "phi_config" if revision == "2024-04-02" else "text_config"
    t = conf.PhiConfig(**config.get(key, {}))
    t.pad_token_id = None  # an attribute that v5's configurations lack
    t._attn_implementation = "eager"
    setattr(c, key, t)
    return Moondream(c).float()


def code2025(revision, sizes, tokenizer):
    commit = COMMITS[revision]
    stems = ["config", "image_crops", "layers", "rope", "text", "vision", "region", "utils", "moondream", "hf_moondream"]
    if revision == "2025-06-21":
        stems.append("lora")
    files = {s: source(commit, f"moondream/torch/{s}.py") for s in stems}
    grid = sizes["S"] // sizes["p"]
    files["vision"] = replace(files["vision"], ("view(729,", f"view({grid * grid},"),
                              ("overlap_margin=config.overlap_margin\n", "overlap_margin=config.overlap_margin, base_size=(config.crop_size,) * 2, patch_size=config.enc_patch_size\n"))
    files["image_crops"] = replace(files["image_crops"], ("import pyvips", "raise ImportError  # pyvips: the fallback is PIL"))
    files["layers"] = replace(files["layers"], ("linear(x, w.qkv)", "w.qkv(x)"), ("linear(out, w.proj)", "w.proj(out)"))
    if "from torchao" in files["layers"] and "except ImportError" not in files["layers"]:
        files["layers"] = re.sub(r"^from torchao.*\n", "", files["layers"], flags=re.M)
    files["moondream"] = re.sub(r"Tokenizer\.from_pretrained\([^)]*\)", "TOKENIZER", files["moondream"]).replace("from tokenizers import Tokenizer", f"from tokenizers import Tokenizer\nTOKENIZER = None")
    code = package("moondream_" + commit, files)
    code("moondream").TOKENIZER = tokenizer
    prepare = code("moondream").prepare_crops

    def prepare_float(*a, **k):
        crops, tiling = prepare(*a, **k)
        return crops.float(), tiling
    code("moondream").prepare_crops = prepare_float
    return code


def model2025(revision, config, sizes, tokenizer=None):
    """The class HfMoondream in float32."""
    code = code2025(revision, sizes, tokenizer)
    hf = code("hf_moondream")

    class HfMoondream(Reference, hf.HfMoondream):
        def table(self, ids):
            return self.model.text.wte[ids]

        def encode(self, im):
            return self.model._run_vision_encoder(im)[None]

        def views(self, im):
            crops, tiling = code("moondream").prepare_crops(im, self.model.config.vision, device="cpu")
            if tuple(tiling) == (1, 1):  # the one crop is the whole image again: Lightbox encodes it once
                assert torch.equal(crops[0], crops[1])
                return crops[:1]
            return crops

        def run(self, embeds):
            m, t = self.model, embeds.shape[1]
            mask = m.attn_mask[:, :, :t, :t]
            if self.image is None:  # query() without an image
                mask = torch.tril(torch.ones_like(mask))
            for b in m.text.blocks:
                b.kv_cache = None
            args = (None,) if revision == "2025-06-21" else ()
            x = code("text").text_decoder(embeds, m.text, mask, torch.arange(t), m.config.text, *args)
            return code("text")._lm_head(x, m.text)

        def get_output_embeddings(self):
            return self.model.text.lm_head

    c = hf.HfConfig()
    c.config = config.get("config", {})
    m = HfMoondream(c).float()
    del m.model.region.coord_features, m.model.region.size_features
    del m.model.region
    return m
