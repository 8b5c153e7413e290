"""Goldens of LLaVA-1.5: python make_golden.py [CASE ...]. See ../../testdata/reference.py for what is written and the versions.
"grouped" also writes an adapter as PEFT does, to ../../../lora/testdata/peft.
"""
import json, os, sys
import torch, transformers, peft
from transformers import CLIPImageProcessorPil, LlavaConfig, LlavaForConditionalGeneration, LlavaProcessor, PreTrainedTokenizerFast
from transformers.models.llava.image_processing_pil_llava import LlavaImageProcessorPil

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, f"{HERE}/../../testdata")
import reference
from reference import Case

assert transformers.__version__ == "5.23.0" and peft.__version__ == "0.21.2", (transformers.__version__, peft.__version__)
# what the tokenizer has been trained on since the first goldens of the verbs, which build on these files
reference.CORPUS = ["Describe the image. What does the film show?", "Chest radiograph with a nodule in the left upper lobe, marked by an arrow.",
                    "Axial CT of the abdomen shows a cyst of 23 mm in the right kidney.", "USER: ASSISTANT: Which side? Left. Right.",
                    "Sagittal MRI of the brain: no lesion. Ultrasound of the liver with a mass of 4.5 cm."]
TOK, IMAGE = reference.llama_tokenizer(["<image>", "<pad>"])
VOCAB = IMAGE + 2 + 6  # padded, as LLaVA's is
TEMPLATE = ("{% for message in messages %}{% if message['role'] != 'system' %}{{ message['role'].upper() + ': '}}{% endif %}"
            "{% for content in message['content'] | selectattr('type', 'equalto', 'image') %}{{ '<image>\n' }}{% endfor %}"
            "{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}{{ content['text'] + ' '}}{% endfor %}"
            "{% endfor %}{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}")


class Llava(Case):
    end = 2
    eos = (2,)

    def pre(self):
        n = self.config["vision_config"]["image_size"]
        return dict(do_center_crop=True, do_convert_rgb=True, do_normalize=True, do_rescale=True, do_resize=True, resample=3,
                    rescale_factor=1 / 255, size=dict(shortest_edge=n), crop_size=dict(height=n, width=n),
                    image_mean=[0.48145466, 0.4578275, 0.40821073], image_std=[0.26862954, 0.26130258, 0.27577711])

    def write_files(self, d):
        """The files in the form of the release whose names the weights have; v5's pad to a square, the others cut the middle out."""
        TOK.save(f"{d}/tokenizer.json")
        json.dump(dict(bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="<pad>", image_token="<image>",
                       tokenizer_class="PreTrainedTokenizerFast", model_max_length=256), open(f"{d}/tokenizer_config.json", "w"))
        kinds = dict(patch_size=self.config["vision_config"]["patch_size"], num_additional_image_tokens=1,
                     vision_feature_select_strategy=self.config["vision_feature_select_strategy"])
        if self.names == "v5":
            json.dump(dict(image_processor=dict(self.pre(), image_processor_type="LlavaImageProcessor", do_pad=True), processor_class="LlavaProcessor",
                           **kinds), open(f"{d}/processor_config.json", "w"))
            open(f"{d}/chat_template.jinja", "w").write(TEMPLATE)
        else:
            json.dump(dict(self.pre(), image_processor_type="CLIPImageProcessor"), open(f"{d}/preprocessor_config.json", "w"))
            if self.names == "hub":
                json.dump(dict(chat_template=TEMPLATE), open(f"{d}/chat_template.json", "w"))
        json.dump(dict(eos_token_id=2, pad_token_id=IMAGE + 1, bos_token_id=1), open(f"{d}/generation_config.json", "w"))
        self.proc = self.processor(d, **kinds)

    def processor(self, d, **kinds):
        tok = PreTrainedTokenizerFast(tokenizer_file=f"{d}/tokenizer.json", bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="<pad>")
        images = LlavaImageProcessorPil(**self.pre(), do_pad=True) if self.names == "v5" else CLIPImageProcessorPil(**self.pre())
        return LlavaProcessor(images, tok, chat_template=TEMPLATE, **kinds)

    def model(self):
        model = LlavaForConditionalGeneration(LlavaConfig(**{k: v for k, v in self.config.items() if k not in ("architectures", "dtype", "torch_dtype")}))
        model.set_attn_implementation("eager")
        return model

    def text(self, prompt, has_image):
        content = ([dict(type="image")] if has_image else []) + [dict(type="text", text=prompt)]
        return self.proc.apply_chat_template([dict(role="user", content=content)], add_generation_prompt=True)

    def inputs(self, text, im):
        return dict(self.proc(text=text, return_tensors="pt", **(dict(images=im) if im else {})))

    def loaded(self, name):
        """The model of a case as its golden has it, and its processor: for the scripts of the verbs."""
        d = f"{HERE}/{name}"
        self.proc = self.processor(d, patch_size=self.config["vision_config"]["patch_size"], num_additional_image_tokens=1, vision_feature_select_strategy="default")
        model = self.model()
        model.eval()
        with torch.no_grad():
            for n, p in model.named_parameters():
                p.copy_(torch.from_numpy(reference.weight(n, tuple(p.shape))))
        return model


class Grouped(Llava):
    """Grouped heads, untied, hub names, old configuration keys, one file, f32."""
    config = dict(architectures=["LlavaForConditionalGeneration"], model_type="llava", image_token_index=IMAGE, torch_dtype="float32",
                  projector_hidden_act="gelu", vision_feature_layer=-2, vision_feature_select_strategy="default",
                  text_config=dict(model_type="llama", vocab_size=VOCAB, hidden_size=48, intermediate_size=80, num_hidden_layers=3,
                                   num_attention_heads=6, num_key_value_heads=2, rms_norm_eps=1e-5, rope_theta=10000.0,
                                   max_position_embeddings=256),
                  vision_config=dict(model_type="clip_vision_model", hidden_size=32, intermediate_size=56, num_hidden_layers=3,
                                     num_attention_heads=4, image_size=28, patch_size=7, projection_dim=16))

    def adapters(self, model, batch, backward, gold, tensors):
        lm = super().adapters(model, batch, backward, gold, tensors)
        out = f"{HERE}/../../../lora/testdata/peft"
        os.makedirs(out, exist_ok=True)
        lm.save_pretrained(out)
        for f in os.listdir(out):
            os.chmod(f"{out}/{f}", 0o644)
            if f == "README.md":
                os.remove(f"{out}/{f}")


class Tied(Llava):
    """Heads of odd number and size, tied, biases, full strategy, last layer, erf GELU, padding to a square, v5 keys and names, bf16."""
    dtype, names = "bfloat16", "v5"
    config = dict(architectures=["LlavaForConditionalGeneration"], model_type="llava", image_token_index=IMAGE, dtype="bfloat16",
                  projector_hidden_act="gelu", vision_feature_layer=-1, vision_feature_select_strategy="full",
                  multimodal_projector_bias=False, tie_word_embeddings=True,
                  text_config=dict(model_type="llama", vocab_size=VOCAB, hidden_size=30, intermediate_size=44, num_hidden_layers=2,
                                   num_attention_heads=3, num_key_value_heads=3, rms_norm_eps=1e-6, attention_bias=True, mlp_bias=True,
                                   tie_word_embeddings=True, rope_parameters=dict(rope_theta=500000.0, rope_type="default"),
                                   max_position_embeddings=256),
                  vision_config=dict(model_type="clip_vision_model", hidden_size=36, intermediate_size=50, num_hidden_layers=2,
                                     num_attention_heads=3, image_size=30, patch_size=7, hidden_act="gelu", layer_norm_eps=1e-6))


class Sharded(Llava):
    """Own head size, one key/value head, several feature layers, another projector activation, 4.52-4.57 names, sharded f16."""
    dtype, names, shards = "float16", "4.52", 3
    config = dict(architectures=["LlavaForConditionalGeneration"], model_type="llava", image_token_index=IMAGE, torch_dtype="float16",
                  projector_hidden_act="gelu_pytorch_tanh", vision_feature_layer=[-2, 1], vision_feature_select_strategy="default",
                  text_config=dict(model_type="mistral", vocab_size=VOCAB, hidden_size=40, intermediate_size=72, num_hidden_layers=2,
                                   num_attention_heads=4, num_key_value_heads=1, head_dim=16, rms_norm_eps=1e-5, rope_theta=1000000.0,
                                   sliding_window=None, max_position_embeddings=256),
                  vision_config=dict(model_type="clip_vision_model", hidden_size=24, intermediate_size=40, num_hidden_layers=4,
                                     num_attention_heads=2, image_size=24, patch_size=8))


CASES = dict(grouped=Grouped, tied=Tied, sharded=Sharded)

if __name__ == "__main__":
    for name in sys.argv[1:] or CASES:
        CASES[name]().run(name, HERE, "make_golden.py, transformers 5.23.0, peft 0.21.2")
