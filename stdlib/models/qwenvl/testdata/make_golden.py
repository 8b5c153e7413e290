"""Writes the goldens of qwen2_vl and qwen2_5_vl: python make_golden.py [CASE | grids | images ...]. Reference of record:
transformers 5.23.0 (Qwen2VLImageProcessorPil, eager attention, float32), peft 0.21.2, torch 2.15, tokenizers 0.23.3,
Pillow 13.0. grids.json and images.json hold hashes of sizes, tokens, positions, window indices and pixels.
Real images are read from LIGHTBOX_SHARED/data/radsample, default ../../../../../../shared."""
import glob, os, sys
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, f"{HERE}/../../testdata")
from reference import *
from PIL import ImageOps
from tokenizers import normalizers
from transformers import AutoConfig, AutoModelForImageTextToText, PreTrainedTokenizerFast
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil, smart_resize
from transformers.models.qwen2_vl.modeling_qwen2_vl import Qwen2VLModel
from transformers.models.qwen2_vl.processing_qwen2_vl import Qwen2VLProcessor
from transformers.models.qwen2_vl.video_processing_qwen2_vl import Qwen2VLVideoProcessor
from transformers.vision_utils import get_vision_cu_seqlens, get_vision_position_ids, get_vision_window_index
from types import SimpleNamespace

PATTERN = r"""(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"""
ADDED = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>"]
TOK, FIRST = bytelevel_tokenizer(ADDED, vocab=320, pattern=PATTERN, normalizer=normalizers.NFC())
ID = {a: FIRST + i for i, a in enumerate(ADDED)}
VOCAB = FIRST + len(ADDED) + 5
TEMPLATE = ("{% set image_count = namespace(value=0) %}{% set video_count = namespace(value=0) %}{% for message in messages %}"
            "{% if loop.first and message['role'] != 'system' %}<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n{% endif %}"
            "<|im_start|>{{ message['role'] }}\n{% if message['content'] is string %}{{ message['content'] }}<|im_end|>\n{% else %}"
            "{% for content in message['content'] %}{% if content['type'] == 'image' or 'image' in content or 'image_url' in content %}"
            "{% set image_count.value = image_count.value + 1 %}{% if add_vision_id %}Picture {{ image_count.value }}: {% endif %}"
            "<|vision_start|><|image_pad|><|vision_end|>{% elif content['type'] == 'video' or 'video' in content %}"
            "{% set video_count.value = video_count.value + 1 %}{% if add_vision_id %}Video {{ video_count.value }}: {% endif %}"
            "<|vision_start|><|video_pad|><|vision_end|>{% elif 'text' in content %}{{ content['text'] }}{% endif %}{% endfor %}<|im_end|>\n{% endif %}"
            "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}")


class Qwen(Case):
    end = ID["<|im_end|>"]
    separator = ""
    eos = (ID["<|im_end|>"], ID["<|endoftext|>"])
    examples = EXAMPLES + [dict(image=[3, 32, 32], prompt="", target="Normal Å.")]  # windows that the image fills exactly

    def __init__(self, kind, text, vision, pre, dtype="float32", names="hub", shards=1, nested=False, tied=True, template="json"):
        self.kind, self.dtype, self.names, self.shards, self.nested, self.pre, self.template = kind, dtype, names, shards, nested, pre, template
        text = dict(dict(vocab_size=VOCAB, hidden_act="silu", max_position_embeddings=256, rms_norm_eps=1e-6, use_sliding_window=False, sliding_window=64, max_window_layers=1,
                         bos_token_id=ID["<|endoftext|>"], eos_token_id=ID["<|im_end|>"]), **text)
        arch = {"qwen2_vl": "Qwen2VLForConditionalGeneration", "qwen2_5_vl": "Qwen2_5_VLForConditionalGeneration"}[kind]
        self.config = dict(architectures=[arch], model_type=kind, tie_word_embeddings=tied, vision_start_token_id=ID["<|vision_start|>"], vision_end_token_id=ID["<|vision_end|>"],
                           image_token_id=ID["<|image_pad|>"], video_token_id=ID["<|video_pad|>"])
        if nested:
            self.config.update(dtype=dtype, text_config=dict(text, model_type=kind + "_text"), vision_config=dict(vision, model_type=kind + "_vision"))
        else:
            self.config.update(text, torch_dtype=dtype, vision_config=dict(vision, model_type=kind) if kind == "qwen2_vl" else vision)

    def write_files(self, d):
        self.dir = d
        TOK.save(f"{d}/tokenizer.json")
        special = dict(eos_token="<|im_end|>", pad_token="<|endoftext|>")
        conf = dict(special, tokenizer_class="PreTrainedTokenizerFast", model_max_length=256)
        if self.template == "tokenizer":
            conf["chat_template"] = TEMPLATE
        json.dump(conf, open(f"{d}/tokenizer_config.json", "w"))
        if self.template == "json":
            json.dump(dict(chat_template=TEMPLATE), open(f"{d}/chat_template.json", "w"))
        if self.template == "jinja":
            open(f"{d}/chat_template.jinja", "w").write(TEMPLATE)
        pre = dict(self.pre, image_processor_type="Qwen2VLImageProcessor")
        if self.nested:
            json.dump(dict(image_processor=pre, video_processor=dict(self.pre, video_processor_type="Qwen2VLVideoProcessor"), processor_class="Qwen2VLProcessor"), open(f"{d}/processor_config.json", "w"))
        else:
            json.dump(dict(pre, processor_class="Qwen2VLProcessor"), open(f"{d}/preprocessor_config.json", "w"))
        json.dump(dict(bos_token_id=ID["<|endoftext|>"], pad_token_id=ID["<|endoftext|>"], eos_token_id=list(self.eos)), open(f"{d}/generation_config.json", "w"))
        tok = PreTrainedTokenizerFast(tokenizer_file=f"{d}/tokenizer.json", **special)
        self.proc = Qwen2VLProcessor(Qwen2VLImageProcessorPil(**self.pre), tok, Qwen2VLVideoProcessor(), chat_template=TEMPLATE)

    def model(self):
        return AutoModelForImageTextToText.from_config(AutoConfig.from_pretrained(self.dir), attn_implementation="eager", dtype=torch.float32)

    def text(self, prompt, has_image):
        content = ([dict(type="image")] if has_image else []) + [dict(type="text", text=prompt)]
        return self.proc.apply_chat_template([dict(role="user", content=content)], add_generation_prompt=True)

    def inputs(self, text, im):
        return dict(self.proc(text=[text], images=[im] if im else None, return_tensors="pt"))

    def pixels(self, inputs):
        if "pixel_values" not in inputs:
            return None
        c = self.pre
        p = inputs["pixel_values"].reshape(-1, 3, c["temporal_patch_size"], c["patch_size"] ** 2)
        assert all(torch.equal(p[:, :, 0], p[:, :, t]) for t in range(p.shape[2]))  # the frames of a still film are the same
        return p[:, :, 0]

    def extend(self, inputs, ids):
        out = super().extend(inputs, ids)
        kinds = inputs["mm_token_type_ids"]
        out["mm_token_type_ids"] = torch.nn.functional.pad(kinds, (0, len(ids) - kinds.shape[1]))
        return out


def settings(patch, merge, temporal, least, most, old=True, **kw):
    size = dict(min_pixels=least, max_pixels=most) if old else dict(size=dict(shortest_edge=least, longest_edge=most))
    return dict(size, patch_size=patch, merge_size=merge, temporal_patch_size=temporal, image_mean=[0.48145466, 0.4578275, 0.40821073],
                image_std=[0.26862954, 0.26130258, 0.27577711], **kw)


CASES = {
    # published form: flat, old keys and names, tied; grouped heads, LayerNorm and quick_gelu
    "qwen2": Qwen("qwen2_vl", dict(hidden_size=48, intermediate_size=80, num_hidden_layers=3, num_attention_heads=6, num_key_value_heads=2, rope_theta=1000000.0,
                                   rope_scaling=dict(type="mrope", mrope_section=[1, 2, 1])),
                  dict(depth=2, embed_dim=32, mlp_ratio=2, num_heads=4, in_chans=3, hidden_size=48, patch_size=4, spatial_merge_size=2, spatial_patch_size=4, temporal_patch_size=2),
                  settings(4, 2, 2, 256, 1600)),
    # v5 form: nested, rope_parameters, settings in processor_config.json; ungrouped heads of odd number, untied, three frames, merged 3x3, another activation, bf16 in two shards
    "nested2": Qwen("qwen2_vl", dict(hidden_size=36, intermediate_size=44, num_hidden_layers=2, num_attention_heads=3, num_key_value_heads=3,
                                     rope_parameters=dict(rope_type="default", rope_theta=5000.0, mrope_section=[2, 1, 3])),
                    dict(depth=2, embed_dim=24, mlp_ratio=3, num_heads=3, hidden_size=36, hidden_act="gelu", patch_size=3, spatial_merge_size=3, temporal_patch_size=3,
                         rope_parameters=dict(rope_type="axial", rope_theta=300.0)),
                    settings(3, 3, 3, 400, 3000, old=False, do_resize=True, resample=3), dtype="bfloat16", names="v5", shards=2, nested=True, tied=False, template="jinja"),
    # published form of Qwen2.5-VL: windows of 2x2 cells but in the second block, gated SiLU with biases, RMSNorm
    "qwen25": Qwen("qwen2_5_vl", dict(hidden_size=64, intermediate_size=72, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=1, rope_theta=1000000.0,
                                      rope_scaling=dict(type="mrope", mrope_section=[2, 3, 3])),
                   dict(depth=3, hidden_size=32, hidden_act="silu", intermediate_size=36, num_heads=4, in_chans=3, out_hidden_size=64, patch_size=4, spatial_merge_size=2,
                        spatial_patch_size=4, window_size=16, fullatt_block_indexes=[1], tokens_per_second=2, temporal_patch_size=2),
                   settings(4, 2, 2, 256, 2304), template="tokenizer"),
    # v5 form: nested, heads of an odd number, untied, windows of 3x3 cells in every block, another gate, f16 in three shards
    "nested25": Qwen("qwen2_5_vl", dict(hidden_size=40, intermediate_size=52, num_hidden_layers=2, num_attention_heads=5, num_key_value_heads=5,
                                        rope_parameters=dict(rope_type="default", rope_theta=20000.0, mrope_section=[2, 1, 1])),
                     dict(depth=2, hidden_size=24, hidden_act="gelu_pytorch_tanh", intermediate_size=20, num_heads=2, out_hidden_size=40, patch_size=5, spatial_merge_size=2,
                          window_size=30, fullatt_block_indexes=[], temporal_patch_size=1),
                     settings(5, 2, 1, 500, 2500, old=False), dtype="float16", names="v5", shards=3, nested=True, tied=False, template=""),
}
CASES["nested25"].examples = EXAMPLES


def ints(*arrays):
    """SHA-256 of int32 arrays one after another."""
    h = hashlib.sha256()
    for a in arrays:
        h.update(np.ascontiguousarray(np.asarray(a, dtype="<i4")).tobytes())
    return h.hexdigest()


RANGES = [(40, 40), (300, 300), (700, 700), (2500, 2000), (8, 1700), (1700, 8)]  # widths, heights
LIMITS = [(3136, 12845056), (3136, 1003520), (50176, 200704)]


def grids():
    """30 batches of 20 random sizes: pixels after resizing, tokens, M-RoPE positions and deltas of a prompt, rows and columns of patches, window indices."""
    me = SimpleNamespace(config=SimpleNamespace(vision_config=SimpleNamespace(spatial_merge_size=2)))
    me.get_vision_position_ids = lambda *a, **k: Qwen2VLModel.get_vision_position_ids(me, *a, **k)
    u = (hashed("grids", 1200).astype(np.float64) + 1) / 2
    out, refused = [], 0
    for b in range(30):
        least, most = LIMITS[b % 3]
        window = (112, 56, 84)[b % 4 % 3]
        sizes, thw, tokens, pos, deltas = [], [], [], [], []
        for i in range(b * 20, b * 20 + 20):
            rw, rh = RANGES[i % len(RANGES)]
            w, h = 1 + int(u[2 * i] * rw), 1 + int(u[2 * i + 1] * rh)
            try:
                H, W = smart_resize(h, w, 28, least, most)
            except ValueError:
                refused += 1
                sizes.append([-1, -1])
                continue
            sizes.append([H, W])
            thw.append([1, H // 14, W // 14])
            n = H * W // 784
            tokens.append(n)
            before, after = i % 7, 1 + i % 5
            kinds = [0] * before + [1] * n + [0] * after
            p, d = Qwen2VLModel.get_rope_index(me, torch.tensor([kinds]), torch.tensor([kinds]), image_grid_thw=torch.tensor(thw[-1:]))
            pos.append(p[:, 0].T.flatten())
            deltas.append(int(d))
        thw = torch.tensor(thw)
        index, cu = get_vision_window_index(thw, 2, window, 14)
        rows = get_vision_position_ids(thw, 2)
        full = get_vision_cu_seqlens(thw)
        out.append(dict(sizes=ints(sizes), tokens=ints(tokens), positions=ints(*pos), deltas=ints(deltas), patches=ints(rows), images=ints(full), order=ints(index), windows=ints(cu)))
    json.dump(dict(made_by="make_golden.py, transformers 5.23.0", refused=refused, batches=out), open(f"{HERE}/grids.json", "w"), separators=(",", ":"))
    print("grids", len(out), "refused", refused)


def images():
    """Pixels of hostile shapes and of real images."""
    out = []
    def one(pre, im, **entry):
        proc = Qwen2VLImageProcessorPil(**pre)
        try:
            r = proc(im, return_tensors="np")
        except ValueError as e:
            assert "aspect ratio" in str(e), e
            return out.append(dict(entry, settings=pre, error=True))
        p = r["pixel_values"].reshape(-1, 3, proc.temporal_patch_size, proc.patch_size ** 2)
        out.append(dict(entry, settings=pre, grid=r["image_grid_thw"][0, 1:].tolist(), pixels=digest(p[:, :, 0])))
    hub, default = settings(14, 2, 2, 3136, 12845056), {}
    small = settings(14, 2, 2, 3136, 28 * 28 * 24, old=False)
    for pre in (hub, default, small):
        for w, h in [(1, 1), (1, 200), (200, 1), (1, 5000), (5000, 1), (3, 500), (500, 3), (1, 201), (14, 14), (28, 28), (42, 70), (512, 512), (333, 257)] + ([(1400, 900), (900, 1400)] if pre is small else []):
            one(pre, image(1 + w % 5, w, h), image=[1 + w % 5, w, h])
    one(dict(small, do_normalize=False), image(1, 60, 90), image=[1, 60, 90])
    one(dict(small, do_rescale=False), image(1, 60, 90), image=[1, 60, 90])
    one(dict(small, resample=2, rescale_factor=0.01), image(1, 60, 90), image=[1, 60, 90])
    one(dict(small, do_resize=False), image(1, 56, 84), image=[1, 56, 84])
    shared = os.environ.get("LIGHTBOX_SHARED", f"{HERE}/../../../../../../shared")
    for f in sorted(glob.glob(f"{shared}/data/radsample/**/*.jp*g", recursive=True) + glob.glob(f"{shared}/data/radsample/**/*.png", recursive=True))[::40]:
        one(hub, ImageOps.exif_transpose(Image.open(f)).convert("RGB"), file=os.path.relpath(f, f"{shared}/data/radsample"))
    json.dump(dict(made_by="make_golden.py, transformers 5.23.0, Pillow 13.0", images=out), open(f"{HERE}/images.json", "w"), separators=(",", ":"))
    print("images", len(out), "refused", sum("error" in o for o in out), "real", sum("file" in o for o in out))


if __name__ == "__main__":
    for name in sys.argv[1:] or [*CASES, "grids", "images"]:
        if name in CASES:
            CASES[name].run(name, HERE, "make_golden.py, transformers 5.23.0, peft 0.21.2")
        else:
            {"grids": grids, "images": images}[name]()
