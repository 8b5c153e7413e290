"""Goldens of LLaVA-1.6: python make_golden.py [CASE ...]. See ../../testdata/reference.py for what is written and the versions.

  images.json   SHA-256 of the pixels of generated images, of hostile shapes and of images of radsample
  sizes.json    of many sizes of images: views, tokens, and a hash of the rows that tokens show
"""
import hashlib, json, os, random, sys
import numpy as np
import torch, transformers, peft
from PIL import Image, ImageOps
from transformers import LlavaNextConfig, LlavaNextForConditionalGeneration, LlavaNextProcessor, PreTrainedTokenizerFast
from transformers.models.llava_next.image_processing_pil_llava_next import LlavaNextImageProcessorPil
from transformers.image_processing_utils import select_best_resolution
from transformers.models.llava_next import modeling_llava_next as modeling

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, f"{HERE}/../../testdata")
import reference
from reference import Case, digest, hashed, image

assert transformers.__version__ == "5.23.0" and peft.__version__ == "0.21.2", (transformers.__version__, peft.__version__)
MADE = "make_golden.py, transformers 5.23.0, peft 0.21.2"
TOK, IMAGE = reference.llama_tokenizer(["<image>", "<pad>"])
VOCAB = IMAGE + 2 + 6  # padded, as LLaVA's is

# chat_template.json of the published checkpoints: Mistral's, whose end of an answer is misspelt, and Vicuna's, without a system line
MISTRAL = ("{% for message in messages %}{% if message['role'] == 'system' %}{{ '<<SYS>>\\n' + message['content'][0]['text'] + '\\n<</SYS>>\\n\\n' }}"
           "{% elif message['role'] == 'user' %}{{ '[INST] ' }}{# Render all images first #}"
           "{% for content in message['content'] | selectattr('type', 'equalto', 'image') %}{{ '<image>\\n' }}{% endfor %}{# Render all text next #}"
           "{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}{{ content['text'] }}{% endfor %}{{' [/INST]' }}"
           "{% elif message['role'] == 'assistant' %}{{ ' ' + message['content'][0]['text'] + '<\\\\s> '}}"
           "{% else %}{{ raise_exception('Only user and assistant roles are supported!') }}{% endif %}{% endfor %}")
VICUNA = ("{% for message in messages %}{% if message['role'] != 'system' %}{{ message['role'].upper() + ': '}}{% endif %}{# Render all images first #}"
          "{% for content in message['content'] | selectattr('type', 'equalto', 'image') %}{{ '<image>\\n' }}{% endfor %}{# Render all text next #}"
          "{% if message['role'] != 'assistant' %}{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}{{ content['text'] + ' '}}{% endfor %}"
          "{% else %}{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}{% generation %}{{ content['text'] + ' '}}{% endgeneration %}{% endfor %}"
          "{% endif %}{% endfor %}{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}")
SYSTEM = ("A chat between a curious human and an artificial intelligence assistant. The assistant gives helpful, detailed, and polite answers "
          "to the human's questions. ")
EXAMPLES = [
    dict(image=[1, 40, 28], prompt="Describe the image.", target="Axial CT of the abdomen shows a cyst of 23 mm."),
    dict(image=[2, 31, 57], prompt="Which side?", target="Left upper lobe – 4.5 cm²."),
    dict(image=None, prompt="What does the film show?", target="No lesion."),
    dict(image=[3, 90, 2], prompt="What does the film show?", target="A nodule."),  # so thin that no row of the tiles is left
    dict(image=[4, 11, 13], prompt="Right?", target="Yes."),
]


def pinpoints(n):
    return [[n, 2 * n], [2 * n, n], [2 * n, 2 * n], [3 * n, n], [n, 3 * n]]


class LlavaNext(Case):
    end = 2
    examples = EXAMPLES
    eos = (2,)
    template = None
    nested = False  # image settings in processor_config.json

    def pre(self):
        n = self.config["vision_config"]["image_size"]
        return dict(do_center_crop=True, do_convert_rgb=True, do_normalize=True, do_pad=True, do_rescale=True, do_resize=True, resample=3,
                    rescale_factor=1 / 255, size=dict(shortest_edge=n), crop_size=dict(height=n, width=n), image_grid_pinpoints=self.config["image_grid_pinpoints"],
                    image_mean=[0.48145466, 0.4578275, 0.40821073], image_std=[0.26862954, 0.26130258, 0.27577711])

    def write_files(self, d):
        TOK.save(f"{d}/tokenizer.json")
        json.dump(dict(bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="<pad>", image_token="<image>",
                       tokenizer_class="PreTrainedTokenizerFast", model_max_length=256), open(f"{d}/tokenizer_config.json", "w"))
        pre = dict(self.pre(), image_processor_type="LlavaNextImageProcessor")
        if self.nested:
            json.dump(dict(image_processor=pre, processor_class="LlavaNextProcessor", patch_size=self.config["vision_config"]["patch_size"],
                           num_additional_image_tokens=1, vision_feature_select_strategy="default"), open(f"{d}/processor_config.json", "w"))
            open(f"{d}/chat_template.jinja", "w").write(self.template)
        else:
            json.dump(dict(pre, aspect_ratio_setting="anyres"), open(f"{d}/preprocessor_config.json", "w"))
            if self.template:
                json.dump(dict(chat_template=self.template), open(f"{d}/chat_template.json", "w"))
        json.dump(dict(eos_token_id=2, pad_token_id=IMAGE + 1, bos_token_id=1), open(f"{d}/generation_config.json", "w"))
        tok = PreTrainedTokenizerFast(tokenizer_file=f"{d}/tokenizer.json", bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="<pad>")
        self.proc = LlavaNextProcessor(LlavaNextImageProcessorPil(**self.pre()), tok, patch_size=self.config["vision_config"]["patch_size"],
                                       num_additional_image_tokens=1, vision_feature_select_strategy="default", chat_template=self.template)

    def model(self):
        model = LlavaNextForConditionalGeneration(LlavaNextConfig(**{k: v for k, v in self.config.items() if k not in ("architectures", "dtype", "torch_dtype")}))
        model.set_attn_implementation("eager")
        return model

    def text(self, prompt, has_image):
        content = ([dict(type="image")] if has_image else []) + [dict(type="text", text=prompt)]
        if self.template:
            return self.proc.apply_chat_template([dict(role="user", content=content)], add_generation_prompt=True)
        return SYSTEM + "USER: " + ("<image>\n" if has_image else "") + prompt + " ASSISTANT:"

    def inputs(self, text, im):
        return dict(self.proc(text=text, return_tensors="pt", **(dict(images=im) if im else {})))

    def pixels(self, inputs):
        p = inputs.get("pixel_values")
        return None if p is None else p[0]


class Mistral(LlavaNext):
    """Grouped heads, untied, hub names, old configuration keys, one file, f32."""
    template = MISTRAL
    config = dict(architectures=["LlavaNextForConditionalGeneration"], model_type="llava_next", image_token_index=IMAGE, torch_dtype="float32",
                  ignore_index=-100, image_grid_pinpoints=pinpoints(28), use_image_newline_parameter=True,
                  projector_hidden_act="gelu", vision_feature_layer=-2, vision_feature_select_strategy="default", vocab_size=VOCAB,
                  text_config=dict(model_type="mistral", vocab_size=VOCAB, hidden_size=48, intermediate_size=80, num_hidden_layers=3,
                                   num_attention_heads=6, num_key_value_heads=2, rms_norm_eps=1e-5, rope_theta=1000000.0, sliding_window=None,
                                   max_position_embeddings=256),
                  vision_config=dict(model_type="clip_vision_model", hidden_size=32, intermediate_size=56, num_hidden_layers=3,
                                     num_attention_heads=4, image_size=28, patch_size=7, projection_dim=16))


class Vicuna(LlavaNext):
    """Ungrouped heads of odd number, no chat template, a view that is no multiple of the patches, several feature layers, other activations and grid, 4.52-4.57 names, sharded f16."""
    dtype, names, shards = "float16", "4.52", 3
    config = dict(architectures=["LlavaNextForConditionalGeneration"], model_type="llava_next", image_token_index=IMAGE, torch_dtype="float16",
                  image_grid_pinpoints=[[60, 60], [30, 60], [30, 90]], projector_hidden_act="gelu_pytorch_tanh", vision_feature_layer=[-2, 1],
                  vision_feature_select_strategy="default",
                  text_config=dict(model_type="llama", vocab_size=VOCAB, hidden_size=30, intermediate_size=44, num_hidden_layers=2,
                                   num_attention_heads=3, num_key_value_heads=3, rms_norm_eps=1e-6, rope_theta=10000.0, max_position_embeddings=512),
                  vision_config=dict(model_type="clip_vision_model", hidden_size=24, intermediate_size=40, num_hidden_layers=4,
                                     num_attention_heads=2, image_size=30, patch_size=7, hidden_act="gelu", layer_norm_eps=1e-6))


class New(LlavaNext):
    """Tied, biases, no projector bias, last layer, own head size, one key/value head; v5 keys, names and files, bf16."""
    dtype, names, nested, template = "bfloat16", "v5", True, VICUNA
    config = dict(architectures=["LlavaNextForConditionalGeneration"], model_type="llava_next", image_token_index=IMAGE, dtype="bfloat16",
                  image_grid_pinpoints=pinpoints(24), projector_hidden_act="gelu", vision_feature_layer=-1, vision_feature_select_strategy="default",
                  multimodal_projector_bias=False, tie_word_embeddings=True, image_seq_length=9,
                  text_config=dict(model_type="llama", vocab_size=VOCAB, hidden_size=40, intermediate_size=72, num_hidden_layers=2,
                                   num_attention_heads=4, num_key_value_heads=1, head_dim=16, rms_norm_eps=1e-6, attention_bias=True, mlp_bias=True,
                                   tie_word_embeddings=True, rope_parameters=dict(rope_theta=500000.0, rope_type="default"), max_position_embeddings=256),
                  vision_config=dict(model_type="clip_vision_model", hidden_size=36, intermediate_size=50, num_hidden_layers=2,
                                     num_attention_heads=3, image_size=24, patch_size=8))


CASES = dict(mistral=Mistral, vicuna=Vicuna, new=New)


def write(name, v):
    json.dump(v, open(f"{HERE}/{name}", "w"), separators=(",", ":"))


def fragile(grid, side, n):
    """Sizes whose padding would be another without the rounding to 7 digits."""
    out = []
    for h in range(1, 400):
        for w in range(1, 400):
            down, across = (x // side * n for x in select_best_resolution((h, w), grid))
            a, b, short, long = (h, w, down, across) if w / h > across / down else (w, h, across, down)
            exact = a * (long / b)
            if (short - int(exact)) // 2 != (short - int(round(exact, 7))) // 2:
                out.append((h, w))
    return out[::max(1, len(out) // 10)]


def sizes():
    """What transformers' own functions make of an image's size: tokens by the processor, rows by the model's packing of numbered features."""
    rng = random.Random(5)
    known = [(512, 512), (600, 800), (800, 600), (256, 256), (3, 500), (500, 3), (1, 1), (1, 5000), (5000, 1), (336, 672), (672, 336), (337, 673), (1008, 336), (2, 3)]
    out = []
    for side, patch, grid in [(336, 14, pinpoints(336)), (28, 7, pinpoints(28)), (30, 7, [[60, 60], [30, 60], [30, 90]]), (42, 14, [[42, 42], [126, 84], [84, 126], [210, 42]])]:
        n = side // patch
        cfg = LlavaNextConfig(image_grid_pinpoints=grid, text_config=dict(model_type="llama"), vision_config=dict(model_type="clip_vision_model", image_size=side, patch_size=patch))
        proc = LlavaNextProcessor.__new__(LlavaNextProcessor)
        proc.patch_size, proc.num_additional_image_tokens, proc.vision_feature_select_strategy = patch, 1, "default"
        proc.image_processor = LlavaNextImageProcessorPil(image_grid_pinpoints=grid)
        packer = type("Packer", (), dict(config=cfg, pack_image_features=modeling.LlavaNextModel.pack_image_features))()
        some = []
        shapes = known + [(int(10 ** rng.uniform(0, 3.7)), int(10 ** rng.uniform(0, 3.7))) for _ in range(100)] + [(rng.randint(1, 1300), rng.randint(1, 1300)) for _ in range(60)]
        shapes += fragile(grid, side, n)
        for h, w in shapes:
            views = modeling.image_size_to_num_patches([h, w], grid, side)
            tokens = proc._get_number_of_features(h, w, side, side) - 1
            rows = torch.arange(views * n * n, dtype=torch.float64).reshape(views, n * n, 1)
            packed, lens = packer.pack_image_features([rows], torch.tensor([[h, w]]), "default", torch.tensor([-1.0], dtype=torch.float64))
            index = packed[0][:, 0].to(torch.int32).numpy()
            assert len(index) == tokens == int(lens[0]), (h, w, len(index), tokens)
            some.append([h, w, views, tokens, hashlib.sha256(index.astype("<i4").tobytes()).hexdigest()[:16]])
        out.append(dict(side=side, patch=patch, grid=grid, sizes=some))
    write("sizes.json", dict(made_by=MADE, of=out))


def images():
    """Pixels of images of many shapes, as hashes; radsample's under their file names."""
    out = []
    for side, grid in [(28, pinpoints(28)), (336, pinpoints(336))]:
        p = LlavaNextImageProcessorPil(size=dict(shortest_edge=side), crop_size=dict(height=side, width=side), image_grid_pinpoints=grid)
        shapes = [(1, 1), (1, 5000), (5000, 1), (3, 500), (500, 3), (2, 2), (28, 28), (56, 28), (28, 56), (29, 57), (100, 33), (33, 100), (640, 480), (337, 673), (1000, 999)]
        for k, (w, h) in enumerate(shapes):
            out.append(dict(side=side, image=[k, w, h], pixels=digest(p(image(k, w, h), return_tensors="np")["pixel_values"][0])))
    settings = dict(size=dict(height=40, width=36), crop_size=dict(height=28, width=28), image_grid_pinpoints=pinpoints(28), resample=2, image_mean=[0.5, 0.4, 0.3])
    p = LlavaNextImageProcessorPil(**settings)
    for k, (w, h) in enumerate([(31, 57), (64, 20)]):
        out.append(dict(settings=settings, image=[k, w, h], pixels=digest(p(image(k, w, h), return_tensors="np")["pixel_values"][0])))
    real, root = [], f"{HERE}/../../../../../shared/data/radsample"
    root = os.environ.get("RADSAMPLE", root)
    if os.path.isdir(root):
        p = LlavaNextImageProcessorPil(size=dict(shortest_edge=336), crop_size=dict(height=336, width=336))
        files = sorted(os.path.relpath(os.path.join(d, f), root) for d, _, fs in os.walk(root) for f in fs if f.lower().endswith((".jpg", ".jpeg", ".png")))
        for f in random.Random(3).sample(files, 16):
            im = ImageOps.exif_transpose(Image.open(f"{root}/{f}")).convert("RGB")
            real.append(dict(file=f, pixels=digest(p(im, return_tensors="np")["pixel_values"][0])))
    write("images.json", dict(made_by=MADE, drawn=out, radsample=real))


if __name__ == "__main__":
    for name in sys.argv[1:] or [*CASES, "sizes", "images"]:
        if name in CASES:
            CASES[name]().run(name, HERE, MADE)
        else:
            dict(sizes=sizes, images=images)[name]()
