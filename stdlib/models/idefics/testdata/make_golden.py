"""Goldens for package idefics, from transformers 5.23.0: python make_golden.py [CASE | sight | images ...]  (see ../../testdata/reference.py).

Besides the cases:
  two.json + two.safetensors  logits of one sequence with two images and an end between them (weights of case "instruct")
  sight.json                  who sees which image, for random ids
  images.json                 SHA-256 of the pixels of generated images, of hostile shapes and of images of radsample
"""
import os, random, sys, tempfile
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, f"{HERE}/../../testdata")
from reference import *
import transformers
from PIL import ImageOps
from transformers import IdeficsConfig, IdeficsForVisionText2Text, PreTrainedTokenizerFast
from transformers.models.idefics.image_processing_pil_idefics import IdeficsImageProcessorPil
from transformers.models.idefics.processing_idefics import IdeficsProcessor, image_attention_mask_for_packed_input_ids, incremental_to_binary_attention_mask

assert transformers.__version__ == "5.23.0" and peft.__version__ == "0.21.2"
MADE = "make_golden.py, transformers 5.23.0, peft 0.21.2"
FAKE, IMAGE, END = "<fake_token_around_image>", "<image>", "<end_of_utterance>"
PICTURE = FAKE + IMAGE + FAKE
BASE, VOCAB = llama_tokenizer([FAKE, IMAGE])
CHAT, _ = llama_tokenizer([FAKE, IMAGE, END])
# one that writes a space before a text that comes first, as Idefics2's does
TEMPLATE = ("{% for message in messages %}{{ message['role'].capitalize() }}{% if message['content'][0]['type'] == 'image' %}{{ ':' }}{% else %}{{ ': ' }}{% endif %}"
            "{% for line in message['content'] %}{% if line['type'] == 'text' %}{{ line['text'] }}{% elif line['type'] == 'image' %}{{ '<image>' }}{% endif %}{% endfor %}"
            "<end_of_utterance>\n{% endfor %}{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}")


class Idefics(Case):
    def __init__(self, tok, text, vision, perceiver, dtype="float32", shards=1, flat=False, template=None, v5=False):
        self.tok, self.dtype, self.shards, self.template, self.v5 = tok, dtype, shards, template, v5
        self.chat = tok is CHAT
        self.end = VOCAB + 2 if self.chat else 2
        self.eos = (2, self.end) if self.chat else (2,)
        nested = dict(vision_config=vision, perceiver_config=perceiver)
        top = dict(architectures=["IdeficsForVisionText2Text"], model_type="idefics", max_position_embeddings=256, bos_token_id=1, eos_token_id=2, pad_token_id=0, **text)
        top["dtype" if v5 else "torch_dtype"] = dtype
        self.nested = dict(top, **nested)
        self.config = dict(top, **{f"vision_{k}": v for k, v in vision.items()}, **perceiver) if flat else self.nested

    def write_files(self, d):
        self.tok.save(f"{d}/tokenizer.json")
        json.dump(dict(bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="<unk>", tokenizer_class="PreTrainedTokenizerFast"), open(f"{d}/tokenizer_config.json", "w"))
        size = self.nested["vision_config"]["image_size"]
        pre = dict(image_processor_type="IdeficsImageProcessor", image_num_channels=3, image_mean=[0.48145466, 0.4578275, 0.40821073], image_std=[0.26862954, 0.26130258, 0.27577711])
        if self.v5:
            pre.update(size=dict(height=size, width=size), do_resize=True, resample=3, do_rescale=True, rescale_factor=1 / 255, do_normalize=True, do_convert_rgb=True)
            json.dump(dict(image_processor=pre, processor_class="IdeficsProcessor"), open(f"{d}/processor_config.json", "w"))
        else:
            json.dump(dict(pre, image_size=size), open(f"{d}/preprocessor_config.json", "w"))
        if self.template:
            open(f"{d}/chat_template.jinja", "w").write(self.template)
        json.dump(dict(bos_token_id=1, eos_token_id=2, pad_token_id=0), open(f"{d}/generation_config.json", "w"))
        tok = PreTrainedTokenizerFast(tokenizer_file=f"{d}/tokenizer.json", bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="<unk>")
        self.proc = IdeficsProcessor(IdeficsImageProcessorPil(image_size=size), tok)

    def model(self):
        c = IdeficsConfig(**{k: v for k, v in self.nested.items() if k not in ("architectures", "dtype", "torch_dtype")})
        m = IdeficsForVisionText2Text(c)
        m.set_attn_implementation("eager")
        m.config._attn_implementation = m.config.vision_config._attn_implementation = "eager"
        m.requires_grad_(True)
        return m

    def text(self, prompt, has_image):
        """What the processor makes of the items: the texts without their outer spaces, <s> first."""
        words = prompt.strip(" ")
        if self.template:
            content = ([dict(type="image")] if has_image else []) + [dict(type="text", text=words)]
            from transformers.utils.chat_template_utils import render_jinja_template
            out = render_jinja_template([[dict(role="user", content=content)]], chat_template=self.template, add_generation_prompt=True)
            return "<s>" + out[0][0].replace(IMAGE, PICTURE)
        pic = PICTURE if has_image else ""
        if self.chat:
            return f"<s>User:{'' if has_image else ' '}{pic}{words}{END}\nAssistant:"
        return "<s>" + pic + words

    def inputs(self, text, im):
        assert text.startswith("<s>")
        text = text[3:]
        if im is None:
            return dict(self.proc(text=[[text]], return_tensors="pt"))
        before, after = text.split(PICTURE)
        out = dict(self.proc(text=[([before] if before else []) + [im, after]], return_tensors="pt"))
        assert self.proc.tokenizer(f"<s>{text}", add_special_tokens=False)["input_ids"] == out["input_ids"][0].tolist()
        return out

    def pixels(self, inputs):
        return inputs["pixel_values"] if inputs["image_attention_mask"].any() else None

    def extend(self, inputs, ids):
        """What comes after sees what the last token sees, as generate has it."""
        out = super().extend(inputs, ids)
        m = inputs["image_attention_mask"]
        out["image_attention_mask"] = torch.cat([m, m[:, -1:].expand(-1, len(ids) - m.shape[1], -1)], 1)
        return out


VISION = dict(embed_dim=32, intermediate_size=56, num_hidden_layers=3, num_attention_heads=4, image_size=28, patch_size=7, hidden_act="gelu")
PERCEIVER = dict(use_resampler=True, resampler_n_latents=5, resampler_depth=2, resampler_n_heads=3, resampler_head_dim=8, qk_layer_norms_perceiver=True)
CASES = {
    # as published: every norm, gates of one number, three additional tokens, old keys, one file, f32
    "instruct": lambda: Idefics(CHAT, dict(vocab_size=VOCAB, additional_vocab_size=3, hidden_size=40, intermediate_size=72, num_hidden_layers=4, num_attention_heads=5, rms_norm_eps=1e-6,
                                           cross_layer_interval=2, qk_layer_norms=True, alpha_type="float", use_resampler=True), VISION, PERCEIVER),
    # base model: gates of one number a column, no norms of queries and keys, odd sizes, flat keys, sharded bf16
    "flat": lambda: Idefics(BASE, dict(vocab_size=VOCAB, additional_vocab_size=2, hidden_size=36, intermediate_size=50, num_hidden_layers=3, num_attention_heads=3, rms_norm_eps=1e-5,
                                       cross_layer_interval=1, alpha_type="vector", use_resampler=True, hidden_act="gelu"),
                            dict(VISION, embed_dim=36, num_attention_heads=3, num_hidden_layers=2, image_size=30, hidden_act="gelu_new", layer_norm_eps=1e-6),
                            dict(PERCEIVER, qk_layer_norms_perceiver=False, resampler_depth=1), dtype="bfloat16", shards=2, flat=True),
    # no resampler, tied, no additional tokens, a chat template, v5 keys and files, another rope base, f16
    "plain": lambda: Idefics(CHAT, dict(vocab_size=VOCAB + 5, hidden_size=32, intermediate_size=60, num_hidden_layers=2, num_attention_heads=4, rms_norm_eps=1e-5,
                                        cross_layer_interval=2, qk_layer_norms=True, use_resampler=False, tie_word_embeddings=True, rope_parameters=dict(rope_theta=50000.0, rope_type="default")),
                             VISION, PERCEIVER, dtype="float16", template=TEMPLATE, v5=True),
}


def write(name, value):
    json.dump(value, open(f"{HERE}/{name}", "w"), separators=(",", ":"))


def two():
    """Two images, an end and words after it, a third text: the tokens behind the end see nothing until the second image."""
    c = CASES["instruct"]()
    with tempfile.TemporaryDirectory() as d:
        c.write_files(d)
    m = c.model().eval()
    with torch.no_grad():
        for n, p in m.named_parameters():
            p.copy_(torch.from_numpy(np.array(weight(n, tuple(p.shape)))).reshape(p.shape))
        images = [[4, 33, 21], [5, 20, 50]]
        b = c.proc(text=[["User:", image(*images[0]), "Which side?" + END + "\nAssistant: Left.</s>", "No lesion.", image(*images[1]), "What does the film show?" + END]], return_tensors="pt")
        logits = m(**b, use_cache=False).logits[0]
    ids = b["input_ids"][0].tolist()
    seen = (b["image_attention_mask"][0] * torch.tensor([1, 2])).sum(-1) - 1
    assert -1 in seen.tolist()[ids.index(2):] and 0 in seen and 1 in seen
    at = list(range(0, len(ids), 3)) + [len(ids) - 1]
    write("two.json", dict(made_by=MADE, images=images, ids=ids, at=at))
    save_file(dict(logits=logits[at].clone()), f"{HERE}/two.safetensors")
    os.chmod(f"{HERE}/two.safetensors", 0o644)


class Ids:
    eos_token_id = 2
    def convert_tokens_to_ids(self, _):
        return 1


def sight():
    out, r = [], random.Random(1)
    for k in range(40):
        ids = [r.choice([0, 0, 1, 2, 3]) for _ in range(r.randrange(1, 14))]
        n = max(1, ids.count(1) - k % 2)  # every other time one image too few
        m, _ = image_attention_mask_for_packed_input_ids(torch.tensor([ids]), Ids(), "pt")
        b = incremental_to_binary_attention_mask(m, "pt", num_classes=n)[0]
        out.append(dict(ids=ids, images=n, sees=[int(x.argmax()) if x.any() else -1 for x in b]))
    write("sight.json", dict(made_by=MADE, of=out))


def images():
    out = []
    for size in (224, 28):
        p = IdeficsImageProcessorPil(image_size=size)
        for k, (w, h) in enumerate([(1, 1), (1, 5000), (5000, 1), (3, 500), (500, 3), (2, 2), (28, 28), (224, 224), (225, 223), (100, 33), (640, 480), (337, 673)]):
            out.append(dict(settings=dict(image_size=size), image=[k, w, h], pixels=digest(p([image(k, w, h)], return_tensors="np"))))
    settings = dict(size=dict(height=24, width=24), resample=2, image_mean=[0.5, 0.4, 0.3], rescale_factor=1 / 127)
    out.append(dict(settings=settings, image=[1, 31, 57], pixels=digest(IdeficsImageProcessorPil(**settings)([image(1, 31, 57)], return_tensors="np"))))
    real, root = [], os.environ.get("RADSAMPLE", f"{HERE}/../../../../../shared/data/radsample")
    if os.path.isdir(root):
        p = IdeficsImageProcessorPil()
        files = sorted(os.path.relpath(os.path.join(d, f), root) for d, _, fs in os.walk(root) for f in fs if f.lower().endswith((".jpg", ".jpeg", ".png")))
        for f in random.Random(4).sample(files, 16):
            im = ImageOps.exif_transpose(Image.open(f"{root}/{f}")).convert("RGB")
            real.append(dict(file=f, pixels=digest(p([im], return_tensors="np"))))
    write("images.json", dict(made_by=MADE, drawn=out, radsample=real))


if __name__ == "__main__":
    for name in sys.argv[1:] or [*CASES, "two", "sight", "images"]:
        if name in CASES:
            CASES[name]().run(name, HERE, MADE)
        else:
            dict(two=two, sight=sight, images=images)[name]()
