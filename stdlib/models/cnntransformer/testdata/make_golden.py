"""Goldens for package cnntransformer: torchvision's DenseNet and PyTorch's nn.TransformerDecoder.
    python make_golden.py [CASE ...]      (see ../../testdata/reference.py)
"""
import os, sys
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, f"{HERE}/../../testdata")
from reference import *
import torchvision, transformers
from torchvision.models.densenet import DenseNet
from transformers import PreTrainedTokenizerFast
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

assert torch.__version__.startswith("2.15") and transformers.__version__ == "5.23.0", (torch.__version__, transformers.__version__)
END = "<|endoftext|>"
TOK, ID = bytelevel_tokenizer([END])


class Encoder(torch.nn.Module):
    def __init__(self, c):
        super().__init__()
        self.features = DenseNet(c["growth_rate"], tuple(c["block_config"]), c["num_init_features"], c["bn_size"], 0, 2).features

    def forward(self, x):
        return torch.relu(self.features(x)).flatten(2).transpose(1, 2)  # (B, P, E)


class CNNTransformer(torch.nn.Module):
    def __init__(self, config):
        super().__init__()
        e, d = config["encoder"], config["decoder"]
        self.encoder = Encoder(e)
        width = self.encoder.features.norm5.num_features
        self.projection = torch.nn.Linear(width, d["d_model"])
        layer = torch.nn.TransformerDecoderLayer(d["d_model"], d["nhead"], d["dim_feedforward"], 0.0, d["activation"], d["layer_norm_eps"], True, d["norm_first"])
        self.decoder = torch.nn.TransformerDecoder(layer, d["num_layers"], torch.nn.LayerNorm(d["d_model"], d["layer_norm_eps"]) if d["final_norm"] else None)
        self.decoder.embedding = torch.nn.Embedding(d["vocab_size"], d["d_model"])
        self.decoder.positions = torch.nn.Embedding(d["max_positions"], d["d_model"])
        self.head = torch.nn.Linear(d["d_model"], d["vocab_size"], bias=not d["tie_word_embeddings"])
        if d["tie_word_embeddings"]:
            self.head.weight = self.decoder.embedding.weight

    def forward(self, pixels, ids):
        """pixels (B, 3, H, W), ids (B, T) -> logits (B, T, V)"""
        memory = self.projection(self.encoder(pixels))
        x = self.decoder.embedding(ids) + self.decoder.positions(torch.arange(ids.shape[1]))
        mask = torch.nn.Transformer.generate_square_subsequent_mask(ids.shape[1])
        return self.head(self.decoder(x, memory, tgt_mask=mask))


class Caption(Case):
    end, eos, targets, separator = ID, (ID,), None, " "
    examples = [
        dict(image=[1, 40, 28], prompt="Describe the image.", target="Axial CT of the abdomen shows a cyst of 23 mm."),
        dict(image=[2, 31, 57], prompt="", target="Left upper lobe – 4.5 cm²."),
        dict(image=[3, 64, 64], prompt="What does the film show?", target="No lesion."),
    ]

    def __init__(self, encoder, decoder, dtype="float32", shards=1):
        self.dtype, self.shards = dtype, shards
        self.config = dict(architectures=["CNNTransformerForCaptioning"], model_type="cnn-transformer", decoder_start_token_id=ID, eos_token_id=ID,
                           torch_dtype=dtype, encoder=dict(model_type="densenet", **encoder), decoder=dict(model_type="transformer_decoder", **decoder))

    def write_files(self, d):
        TOK.save(f"{d}/tokenizer.json")
        json.dump(dict(bos_token=END, eos_token=END, unk_token=END, tokenizer_class="PreTrainedTokenizerFast"), open(f"{d}/tokenizer_config.json", "w"))
        n = self.config["encoder"]["image_size"]
        pre = dict(do_resize=True, resample=2, size=dict(height=n, width=n), do_rescale=True, rescale_factor=1 / 255, do_normalize=True,
                   image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225])
        json.dump(dict(pre, image_processor_type="ViTImageProcessor"), open(f"{d}/preprocessor_config.json", "w"))
        self.tok, self.ip = PreTrainedTokenizerFast(tokenizer_file=f"{d}/tokenizer.json"), ViTImageProcessorPil(**pre)

    def model(self):
        return CNNTransformer(self.config)

    def buffers(self, model):
        return [(n, b) for n, b in model.named_buffers() if not n.endswith("num_batches_tracked")]

    def text(self, prompt, has_image):
        return prompt

    def inputs(self, text, im):
        ids = [ID] + self.tok(text, add_special_tokens=False)["input_ids"]
        return dict(input_ids=torch.tensor([ids]), pixel_values=self.ip(im, return_tensors="pt")["pixel_values"])

    def logits(self, model, inputs):
        return model(inputs["pixel_values"], inputs["input_ids"])[0]

    def generate(self, model, inputs, num_beams, max_new_tokens, eos_token_id, **_):
        """Beam search as transformers 5 defines it: early_stopping False, scores divided by the length."""
        prompt, eos = inputs["input_ids"][0].tolist(), set(eos_token_id)
        running, ended = [([], 0.0)], []
        for length in range(1, max_new_tokens + 1):
            all_next = []
            for toks, score in running:
                lp = torch.log_softmax(self.logits(model, self.extend(inputs, prompt + toks))[-1].float(), -1)
                all_next += [(toks + [t], score + float(lp[t])) for t in torch.topk(lp, 2 * num_beams).indices.tolist()]
            top = sorted(all_next, key=lambda x: -x[1])[:2 * num_beams]
            for rank, (toks, score) in enumerate(top):
                if rank < num_beams and (toks[-1] in eos or length == max_new_tokens):
                    ended.append((toks, score / length))
            ended = sorted(ended, key=lambda x: -x[1])[:num_beams]
            running = [x for x in top if x[0][-1] not in eos][:num_beams]
            if len(ended) == num_beams and running[0][1] / length <= ended[-1][1]:
                break
        return ended[0][0]


CASES = {
    # norms behind the sums, ReLU, tied head; a map of 4x4 that ends in a transition's floor
    "post": Caption(dict(block_config=[2, 3], growth_rate=8, num_init_features=12, bn_size=2, image_size=36),
                    dict(vocab_size=ID + 3, d_model=40, nhead=5, num_layers=2, dim_feedforward=56, max_positions=96, activation="relu", norm_first=False,
                         final_norm=False, layer_norm_eps=1e-5, tie_word_embeddings=True)),
    # norms in front, GELU, final norm, own head with bias, three blocks, odd sizes, bf16, sharded
    "pre": Caption(dict(block_config=[1, 2, 1], growth_rate=6, num_init_features=10, bn_size=3, image_size=45),
                   dict(vocab_size=ID + 1, d_model=36, nhead=3, num_layers=3, dim_feedforward=44, max_positions=80, activation="gelu", norm_first=True,
                        final_norm=True, layer_norm_eps=1e-6, tie_word_embeddings=False), dtype="bfloat16", shards=2),
}
if __name__ == "__main__":
    for name in sys.argv[1:] or CASES:
        CASES[name].run(name, HERE, f"make_golden.py, torch {torch.__version__}, torchvision {torchvision.__version__}")
