"""Goldens for package visiongpt2, from transformers 5.23.0: python make_golden.py [CASE ...]  (see ../../testdata/reference.py)."""
import os, sys
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, f"{HERE}/../../testdata")
from reference import *
import transformers
from transformers import VisionEncoderDecoderConfig, VisionEncoderDecoderModel, ViTConfig, GPT2Config, PreTrainedTokenizerFast
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

assert transformers.__version__ == "5.23.0" and peft.__version__ == "0.21.2"
END = "<|endoftext|>"
TOK, ID = bytelevel_tokenizer([END])


class Vision(Case):
    end, eos, separator = ID, (ID,), " "
    targets = r"(.*\.)?(q_proj|k_proj|v_proj|o_proj|fc1|fc2|dense|c_attn|q_attn|c_proj|c_fc|enc_to_dec_proj)"
    examples = [
        dict(image=[1, 40, 28], prompt="Describe the image.", target="Axial CT of the abdomen shows a cyst of 23 mm."),
        dict(image=[2, 31, 57], prompt="", target="Left upper lobe – 4.5 cm²."),
        dict(image=[3, 64, 64], prompt="What does the film show?", target="No lesion."),
    ]

    def __init__(self, encoder, decoder, dtype="float32", names="hub", shards=1, size=None, **top):
        self.dtype, self.names, self.shards = dtype, names, shards
        self.size = size or dict(height=encoder["image_size"], width=encoder["image_size"])
        self.config = dict(architectures=["VisionEncoderDecoderModel"], model_type="vision-encoder-decoder", is_encoder_decoder=True,
                           encoder=dict(model_type="vit", **encoder), decoder=dict(model_type="gpt2", add_cross_attention=True, is_decoder=True, **decoder), **top)

    def write_files(self, d):
        TOK.save(f"{d}/tokenizer.json")
        json.dump(dict(bos_token=END, eos_token=END, unk_token=END, tokenizer_class="PreTrainedTokenizerFast"), open(f"{d}/tokenizer_config.json", "w"))
        self.pre = dict(do_resize=True, resample=2, size=self.size, do_rescale=True, rescale_factor=1 / 255, do_normalize=True,
                        image_mean=[0.5, 0.5, 0.5], image_std=[0.5, 0.5, 0.5])
        json.dump(dict(self.pre, image_processor_type="ViTImageProcessor"), open(f"{d}/preprocessor_config.json", "w"))
        json.dump(dict(bos_token_id=ID, eos_token_id=ID, decoder_start_token_id=ID), open(f"{d}/generation_config.json", "w"))
        self.tok = PreTrainedTokenizerFast(tokenizer_file=f"{d}/tokenizer.json")
        size = self.size if isinstance(self.size, dict) else dict(height=self.size, width=self.size)
        self.ip = ViTImageProcessorPil(**dict(self.pre, size=size))

    def model(self):
        c = VisionEncoderDecoderConfig.from_encoder_decoder_configs(
            ViTConfig(**{k: v for k, v in self.config["encoder"].items() if k != "model_type"}),
            GPT2Config(**{k: v for k, v in self.config["decoder"].items() if k != "model_type"}))
        c.decoder_start_token_id = ID
        m = VisionEncoderDecoderModel(c)
        m.set_attn_implementation("eager")
        m.encoder.set_attn_implementation("eager"); m.decoder.set_attn_implementation("eager")
        return m

    def text(self, prompt, has_image):
        return prompt

    def inputs(self, text, im):
        ids = [ID] + self.tok(text, add_special_tokens=False)["input_ids"]
        return dict(input_ids=torch.tensor([ids]), pixel_values=self.ip(im, return_tensors="pt")["pixel_values"])

    def logits(self, model, inputs):
        return model(pixel_values=inputs["pixel_values"], decoder_input_ids=inputs["input_ids"], use_cache=False).logits[0]

    def generate(self, model, inputs, **kw):
        out = model.generate(pixel_values=inputs["pixel_values"], decoder_input_ids=inputs["input_ids"], decoder_start_token_id=ID, bos_token_id=ID, **kw)
        return out[0][inputs["input_ids"].shape[1]:].tolist()


CASES = {
    # different widths: projected; tied head; hub names; one number for the size
    "projected": Vision(dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=56, image_size=32, patch_size=8),
                        dict(vocab_size=ID + 3, n_positions=96, n_embd=40, n_layer=3, n_head=5, eos_token_id=ID, bos_token_id=ID),
                        size=32, decoder_start_token_id=ID, eos_token_id=ID, torch_dtype="float32"),
    # equal widths, an image size that patches do not fill, no qkv bias, scores scaled by layer, own MLP width, untied head, bf16, sharded, v5 names
    "untied": Vision(dict(hidden_size=36, num_hidden_layers=3, num_attention_heads=3, intermediate_size=50, image_size=30, patch_size=7, qkv_bias=False, hidden_act="gelu_new", layer_norm_eps=1e-6),
                     dict(vocab_size=ID + 1, n_positions=96, n_embd=36, n_layer=2, n_head=4, n_inner=60, activation_function="gelu", scale_attn_by_inverse_layer_idx=True,
                          layer_norm_epsilon=1e-6, tie_word_embeddings=False, eos_token_id=ID, bos_token_id=ID),
                     dtype="bfloat16", names="v5", shards=2, decoder_start_token_id=ID),
}
CASES["untied"].config["dtype"] = "bfloat16"
if __name__ == "__main__":
    for name in sys.argv[1:] or CASES:
        CASES[name].run(name, HERE, "make_golden.py, transformers 5.23.0, peft 0.21.2")
