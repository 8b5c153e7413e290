"""Goldens for package idefics3: see stdlib/models/testdata/reference.py.

    python make_golden.py [CASE ... | images | real]        # writes beside itself; real needs shared/data/radsample
"""
import json, os, sys
import numpy as np
import torch, transformers
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, f"{HERE}/../../testdata")
import reference
from reference import Case, bytelevel_tokenizer, digest, image
from transformers import AutoProcessor, Idefics3Config, Idefics3ForConditionalGeneration
from transformers.models.idefics3.configuration_idefics3 import Idefics3VisionConfig
from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil
from transformers.models.idefics3.modeling_idefics3 import Idefics3VisionEmbeddings

assert transformers.__version__ == "5.23.0", transformers.__version__
MADE_BY = "make_golden.py, transformers 5.23.0, peft 0.21.2"

# SmolLM2's kind of tokenizer; the tags of rows and columns are tokens up to 2, beyond that they are spelt
ADDED = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<global-img>"] + [f"<row_{r}_col_{c}>" for r in (1, 2) for c in (1, 2)] + [
    "<fake_token_around_image>", "<image>", "<end_of_utterance>"]
TOK, FIRST = bytelevel_tokenizer(ADDED, digits=True)
ID = {a: TOK.token_to_id(a) for a in ADDED}
IMAGE, END = ID["<image>"], ID["<end_of_utterance>"]
VOCAB = END + 1 + 4  # padded, as SmolVLM's is
# of SmolVLM-500M-Instruct
TEMPLATE = ("<|im_start|>{% for message in messages %}{{message['role'] | capitalize}}{% if message['content'][0]['type'] == 'image' %}{{':'}}{% else %}{{': '}}{% endif %}"
            "{% for line in message['content'] %}{% if line['type'] == 'text' %}{{line['text']}}{% elif line['type'] == 'image' %}{{ '<image>' }}{% endif %}{% endfor %}<end_of_utterance>\n"
            "{% endfor %}{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}")
PRE = dict(do_convert_rgb=True, do_image_splitting=True, do_normalize=True, do_pad=True, do_rescale=True, do_resize=True, image_mean=[0.5, 0.5, 0.5],
           image_processor_type="Idefics3ImageProcessor", image_std=[0.5, 0.5, 0.5], resample=1, rescale_factor=1 / 255)


class Idefics3(Case):
    end, eos = END, (END,)
    pre = {}        # what differs from PRE
    seq_len = 4     # tokens of a view
    v5 = False      # files as v5 writes them
    generation = END

    def write_files(self, d):
        TOK.save(f"{d}/tokenizer.json")
        json.dump(dict(bos_token="<|im_start|>", eos_token="<|im_end|>", unk_token="<|endoftext|>", pad_token="<|im_end|>",
                       tokenizer_class="PreTrainedTokenizerFast", model_max_length=512), open(f"{d}/tokenizer_config.json", "w"))
        pre, processor = dict(PRE, **self.pre), dict(processor_class="Idefics3Processor", image_seq_len=self.seq_len)
        if self.v5:
            json.dump(dict(processor, image_processor=pre), open(f"{d}/processor_config.json", "w"))
            open(f"{d}/chat_template.jinja", "w").write(TEMPLATE)
        else:
            json.dump(pre, open(f"{d}/preprocessor_config.json", "w"))
            json.dump(processor, open(f"{d}/processor_config.json", "w"))
            json.dump(dict(chat_template=TEMPLATE), open(f"{d}/chat_template.json", "w"))
        json.dump(dict(bos_token_id=ID["<|im_start|>"], eos_token_id=self.generation, pad_token_id=ID["<|im_end|>"]), open(f"{d}/generation_config.json", "w"))
        self.proc = AutoProcessor.from_pretrained(d, backend="pil")
        assert type(self.proc.image_processor) is Idefics3ImageProcessorPil, self.proc.image_processor

    def model(self):
        m = Idefics3ForConditionalGeneration(Idefics3Config(**{k: v for k, v in self.config.items() if k not in ("architectures", "dtype", "torch_dtype")}))
        m.set_attn_implementation("eager")
        for part in (m.model.vision_model, m.model.text_model):
            assert part.config._attn_implementation == "eager"
        return m

    def text(self, prompt, has_image):
        def turn(role, text, im=False):
            return dict(role=role, content=([dict(type="image")] if im else []) + [dict(type="text", text=text)])
        open_ = self.proc.apply_chat_template([turn("user", prompt, has_image)], add_generation_prompt=True)
        # what is learnt is what the template writes of an assistant's turn, its line end left out
        whole = self.proc.apply_chat_template([turn("user", prompt, has_image), turn("assistant", "An answer.")])
        assert whole == open_ + " An answer.<end_of_utterance>\n", (whole, open_)
        return open_

    def inputs(self, text, im):
        out = dict(self.proc(text=text, images=im, return_tensors="pt") if im is not None else self.proc(text=text, return_tensors="pt"))
        if "pixel_attention_mask" in out:
            assert bool(out["pixel_attention_mask"].all())  # one image alone has no padding
        return out


class Grouped(Idefics3):
    """Three heads on one, grid of views, untied, old keys and names, the tower called as in 2024, f32."""
    pre = dict(size=dict(longest_edge=64), max_image_size=dict(longest_edge=32))
    config = dict(architectures=["Idefics3ForConditionalGeneration"], model_type="idefics3", image_token_id=IMAGE, scale_factor=2, torch_dtype="float32",
                  tie_word_embeddings=False,
                  text_config=dict(model_type="llama", vocab_size=VOCAB, hidden_size=36, intermediate_size=56, num_hidden_layers=3, num_attention_heads=6,
                                   num_key_value_heads=2, rms_norm_eps=1e-5, rope_theta=100000.0, max_position_embeddings=512, pad_token_id=2),
                  vision_config=dict(model_type="idefics3", hidden_size=24, intermediate_size=40, num_hidden_layers=3, num_attention_heads=4,
                                     image_size=32, patch_size=8, size=dict(longest_edge=64), max_image_size=dict(longest_edge=32)))


class Whole(Idefics3):
    """No splitting, views smaller than the table of positions and no multiple of a patch, tied, v5 files and keys, bf16."""
    dtype, names, v5, generation = "bfloat16", "v5", True, [ID["<|im_end|>"], END]
    eos = (ID["<|im_end|>"], END)
    pre = dict(size=dict(height=40, width=52), max_image_size=dict(longest_edge=34), do_image_splitting=False, resample=3,
               image_mean=[0.48, 0.46, 0.4], image_std=[0.27, 0.26, 0.28])
    config = dict(architectures=["Idefics3ForConditionalGeneration"], model_type="idefics3", image_token_id=IMAGE, dtype="bfloat16", tie_word_embeddings=True,
                  text_config=dict(model_type="llama", vocab_size=VOCAB, hidden_size=30, intermediate_size=44, num_hidden_layers=2, num_attention_heads=3,
                                   num_key_value_heads=3, rms_norm_eps=1e-6, attention_bias=True, mlp_bias=True, max_position_embeddings=512,
                                   rope_parameters=dict(rope_theta=500000.0, rope_type="default"), tie_word_embeddings=True, pad_token_id=2),
                  vision_config=dict(model_type="idefics3_vision", hidden_size=36, intermediate_size=50, num_hidden_layers=2, num_attention_heads=3,
                                     image_size=60, patch_size=8, hidden_act="gelu", layer_norm_eps=1e-5))


class Sharded(Idefics3):
    """Many views of one token, with tags that are no tokens, one key/value head of its own size, three shards of f16."""
    dtype, shards, seq_len = "float16", 3, 1
    pre = dict(size=dict(longest_edge=80), max_image_size=dict(longest_edge=24))
    config = dict(architectures=["Idefics3ForConditionalGeneration"], model_type="idefics3", image_token_id=IMAGE, scale_factor=4, torch_dtype="float16",
                  text_config=dict(model_type="llama", vocab_size=VOCAB, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
                                   num_key_value_heads=1, head_dim=16, rms_norm_eps=1e-5, rope_theta=10000.0, max_position_embeddings=512, pad_token_id=2),
                  vision_config=dict(hidden_size=20, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=42, patch_size=6))


CASES = dict(grouped=Grouped, whole=Whole, sharded=Sharded)


def images():
    """Views of pictures of many sizes under several settings: how many, the grid, and the SHA-256 of their floats."""
    out = []
    for name, pre in SETTINGS.items():
        p = Idefics3ImageProcessorPil(**dict(PRE, **pre))
        for spec in SHAPES[name]:
            px = p(image(*spec), return_tensors="np", return_row_col_info=True)
            out.append(dict(settings=name, image=spec, rows=px["rows"][0][0], cols=px["cols"][0][0], views=int(px["pixel_values"].shape[1]), sha256=digest(px["pixel_values"])))
            assert px["pixel_attention_mask"].all()
    json.dump(dict(made_by=MADE_BY, settings={n: dict(PRE, **s) for n, s in SETTINGS.items()}, images=out,
                   buckets=[dict(grid=g, side=s, want=buckets(g, s)) for g, s in [(32, 32), (26, 26), (27, 27), (32, 16), (32, 20), (5, 4), (7, 4), (4, 7), (19, 19),
                                                                                  (25, 25), (29, 58), (50, 20), (97, 97), (1, 3)]]),
              open(f"{HERE}/images.json", "w"))


def buckets(grid, side):
    """The rows' cells as Idefics3VisionEmbeddings computes them, read off a table that holds its own indices."""
    e = Idefics3VisionEmbeddings(Idefics3VisionConfig(hidden_size=1, num_attention_heads=1, image_size=grid, patch_size=1))
    with torch.no_grad():
        e.patch_embedding.weight.zero_(), e.patch_embedding.bias.zero_()
        e.position_embedding.weight.copy_(torch.arange(grid * grid, dtype=torch.float32)[:, None])
        at = e(torch.zeros(1, 3, side, side), torch.ones(1, side, side, dtype=torch.bool))[0, :, 0].int().reshape(side, side)
    assert (at // grid == (at // grid)[:, :1]).all() and (at % grid == (at % grid)[:1]).all() and (at[:, 0] // grid == at[0] % grid).all()
    return (at[0] % grid).tolist()


def real():
    """The same of real films; they are not in the repository, Go skips where they are absent."""
    from PIL import Image, ImageOps
    up = HERE
    while not os.path.exists(f"{up}/shared/data/radsample"):
        up = os.path.dirname(up)
    root, out = f"{up}/shared/data/radsample", {}
    p = Idefics3ImageProcessorPil(**dict(PRE, **SETTINGS["published"]))
    for f in [f"test/{f}" for f in sorted(os.listdir(f"{root}/test"))[::6]]:
        im = ImageOps.exif_transpose(Image.open(f"{root}/{f}")).convert("RGB")
        out[f] = digest(p(im, return_tensors="np")["pixel_values"])
        print(f, im.size)
    json.dump(dict(made_by=MADE_BY, sha256=out), open(f"{HERE}/real.json", "w"), indent=0)  # one a line


SETTINGS = dict(
    published=dict(size=dict(longest_edge=2048), max_image_size=dict(longest_edge=512)),
    small=dict(size=dict(longest_edge=100), max_image_size=dict(longest_edge=30)),
    capped=dict(size=dict(longest_edge=5000), max_image_size=dict(longest_edge=2048)),  # by 4096
    unsplit=dict(size=dict(longest_edge=90), max_image_size=dict(longest_edge=28), do_image_splitting=False),
    unsized=dict(do_resize=False, max_image_size=dict(longest_edge=32), resample=2),
    fixed=dict(size=dict(height=70, width=45), max_image_size=dict(longest_edge=32), resample=3, image_mean=[0.4, 0.5, 0.6], image_std=[0.2, 0.3, 0.25]),
    raw=dict(size=dict(longest_edge=64), max_image_size=dict(longest_edge=32), do_rescale=False, do_normalize=False),
)
HOSTILE = [(1, 1, 1), (2, 1, 5000), (3, 5000, 1), (4, 3, 500), (5, 500, 3), (1, 3, 3), (2, 64, 64), (3, 65, 64), (1, 63, 97), (2, 200, 133), (4, 33, 32), (5, 101, 1000)]
SHAPES = dict.fromkeys(SETTINGS, HOSTILE)
SHAPES["published"] = [(1, 1, 1), (2, 1, 5000), (3, 5000, 1), (4, 3, 500), (1, 640, 480), (2, 511, 513), (3, 2048, 1024), (5, 2600, 1900)]
SHAPES["capped"] = [(1, 50, 40), (2, 7, 60)]

if __name__ == "__main__":
    asked = sys.argv[1:] or [*CASES, "images"]
    for name in asked:
        if name in CASES:
            CASES[name]().run(name, HERE, MADE_BY)
        else:
            dict(images=images, real=real)[name]()
