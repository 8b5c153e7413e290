"""Golden of a captioner that is made of a ViT and a GPT-2, from transformers 5.23.0: python make_parts.py

Writes parts/vit and parts/gpt2, small random checkpoints as save_pretrained writes them (the ViT below a classifier and
without a pooler, as google/vit-base-patch16-224 is), and parts/tensors.json: of every tensor of the captioner that
VisionEncoderDecoderModel.from_encoder_decoder_pretrained makes of them its shape and, where a part has it, the SHA-256 of
its elements; of the tensors that are drawn their standard deviations as GPT-2 and ViT draw them; the configuration.
"""
import hashlib, json, os, re, shutil
import torch, transformers
from tokenizers import Tokenizer, models, pre_tokenizers, decoders
from transformers import GPT2Config, GPT2LMHeadModel, ViTConfig, ViTForImageClassification, VisionEncoderDecoderModel

assert transformers.__version__ == "5.23.0"
torch.set_num_threads(1)
torch.manual_seed(0)
HERE = os.path.dirname(os.path.abspath(__file__)) + "/parts"
shutil.rmtree(HERE, ignore_errors=True)
END = "<|endoftext|>"

vit = ViTForImageClassification(ViTConfig(hidden_size=12, num_hidden_layers=2, num_attention_heads=2, intermediate_size=20, image_size=16, patch_size=8, num_labels=3))
for p in vit.parameters():
    torch.nn.init.normal_(p)
vit.save_pretrained(f"{HERE}/vit")
json.dump(dict(do_normalize=True, do_resize=True, image_mean=[0.5] * 3, image_std=[0.5] * 3, size=16), open(f"{HERE}/vit/preprocessor_config.json", "w"))

letters = sorted(pre_tokenizers.ByteLevel.alphabet())
tok = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(letters)} | {END: 256}, merges=[]))
tok.pre_tokenizer, tok.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
tok.add_special_tokens([END])
gpt2 = GPT2LMHeadModel(GPT2Config(vocab_size=257, n_positions=24, n_embd=16, n_layer=3, n_head=2, bos_token_id=256, eos_token_id=256))
for p in gpt2.parameters():
    torch.nn.init.normal_(p)
gpt2.save_pretrained(f"{HERE}/gpt2")
tok.save(f"{HERE}/gpt2/tokenizer.json")
json.dump(dict(model_max_length=24), open(f"{HERE}/gpt2/tokenizer_config.json", "w"))

# The fresh tensors' spread, over many draws. A norm and a bias have none.
drawn = {}
for seed in range(40):
    torch.manual_seed(seed)
    decoder = GPT2Config.from_pretrained(f"{HERE}/gpt2")
    decoder.is_decoder = decoder.add_cross_attention = True  # 5.23.0 stumbles over a GPT2Config without is_decoder
    m = VisionEncoderDecoderModel.from_encoder_decoder_pretrained(f"{HERE}/vit", f"{HERE}/gpt2", decoder_config=decoder)
    state = m.state_dict()
    if seed == 0:
        first = {k: v.clone() for k, v in state.items()}
    for k, v in state.items():
        if not torch.equal(v, first[k]) or seed == 0 and any(w in k for w in ("crossattention", "ln_cross_attn", "pooler", "enc_to_dec_proj")):
            drawn.setdefault(k, []).append(v.flatten())
tensors = {}
for k, v in first.items():
    if k == "decoder.lm_head.weight":
        continue  # tied
    tensors[k] = dict(shape=list(v.shape))
    if k in drawn:
        all = torch.cat(drawn[k])
        tensors[k] |= dict(std=round(all.std().item(), 5), mean=round(all.mean().item(), 5))
    else:
        tensors[k]["sha256"] = hashlib.sha256(v.contiguous().numpy().tobytes()).hexdigest()
c = m.config
json.dump(dict(made="make_parts.py, transformers 5.23.0", tensors=tensors, config=dict(
    is_encoder_decoder=c.is_encoder_decoder, encoder=dict(model_type=c.encoder.model_type, hidden_size=c.encoder.hidden_size, image_size=c.encoder.image_size),
    decoder=dict(model_type=c.decoder.model_type, n_embd=c.decoder.n_embd, add_cross_attention=c.decoder.add_cross_attention))),
    open(f"{HERE}/tensors.json", "w"), indent=1)
for d in ("vit", "gpt2"):
    for f in os.listdir(f"{HERE}/{d}"):
        if f not in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "preprocessor_config.json"):
            os.remove(f"{HERE}/{d}/{f}")
