"""Embeddings and scores of tiny dual encoders whose weights are drawn from an integer hash (stdlib/models/testdata/reference.py).

    python make_golden.py texts                    texts.json, which the others read
    python make_golden.py clip                     transformers 5.23.0 (PIL image processor, eager attention), torch 2.15
    python make_golden.py biomed                   open_clip_torch 3.3.0, timm 1.0.31, ftfy 6.3.1, transformers 5.23.0
    python make_golden.py insight PUBLISHED        the Python code that MedImageInsight's checkpoint is published with (its folder
                                                   MedImageInsight lies in PUBLISHED), transformers 4.49.0's slow tokenizer with
                                                   ftfy 6.3.1, timm, mup 1.0.0; fvcore and MPI are not used and left out

Per case it writes KIND/…, the checkpoint without weights, and KIND/golden.json: token ids, embeddings of length 1 (of some
texts, of synthetic images and of real ones, by file name), digests of the pixels of images, and the cosines of 500 pairs. LIGHTBOX_SHARED/data/radsample
holds the real images.
"""
import json, os, random, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../models/testdata"))
HERE = os.path.dirname(os.path.abspath(__file__))
import numpy as np
import torch
from PIL import Image

torch.set_num_threads(1)
# Sizes (width, height) of synthetic images: reference.image(seed, w, h).
SYNTHETIC = [(1, 97, 64), (2, 64, 64), (3, 300, 11), (4, 7, 240), (5, 1, 1), (6, 511, 393), (7, 33, 1000)]
REAL = ["test/CXR_000001_2.jpg", "test/CXR_41182_2020_203_Fig3_HTML.jpg", "test/MPX1031_synpic20041.jpg", "test/CXR_16664_1_1.jpg", "test/MPX1134_synpic16731.jpg"]
HOSTILE = ["", " ", "Pneumonia", "!!!", "??? ... ;; --", "word " * 600, "Läsion im rechten Unterlappen, 2.5 cm, naïve façade", "肺部 CT 显示 结节", "Ünïcode ΣΑΣ İstanbul 😀 e\u0301",
           "it's the patient's CT; don't, we'll, I'VE", "<|endoftext|> hidden end", "\u00a0\u2003x\u200by", "line\r\nbreak\ttab", "“quoted” ‘film’ ﬁbrosis", "&lt;b&gt; &amp;amp; H&amp;E", "ＦＵＬＬ ｗｉｄｔｈ",
           "a" * 300, "1234567890 ½ ² Ⅳ", "\x00\x01 control \x7f", "(arrow) [1-3] {x} <y> & 5 µm ± 3 °C", "\ufeffmark", "\x1b[31mred\x1b[0m text", "P&EACUTE;REZ &notit; &semi; &#65; &AMP;", "[SEP] [CLS] [MASK] [UNK]", "a\u0085b\u0092s \u2028x", "<i>&amp;</i>\n&amp;"]
WORDS = """axial coronal sagittal computed tomography CT MRI radiograph ultrasound chest abdomen pelvis brain liver kidney lung lobe left right upper lower
shows demonstrating with without a the of in mass nodule cyst effusion fracture opacity consolidation (arrow) arrowheads, 2.5 cm 23 mm, T2-weighted contrast-enhanced image
patient's bilateral pleural pericardial stenosis artery, vein; lesion. enhancement: thickening and or is""".split()


def texts():
    r = random.Random(5)
    out = list(HOSTILE)
    while len(out) < 500:
        n = min(r.randrange(1, 14), r.randrange(1, 14)) if len(out) % 50 else 110
        out.append(" ".join(r.choice(WORDS) for _ in range(n)))
    json.dump(out, open(os.path.join(HERE, "texts.json"), "w"), ensure_ascii=True, indent=0)


def vocabulary():
    """CLIP's kind of vocabulary, small: bytes, bytes that end a word, merges, two special tokens."""
    from tokenizers import Tokenizer, Regex, models, pre_tokenizers, normalizers, trainers
    tok = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    tok.normalizer = normalizers.Lowercase()
    tok.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(r"'s|'t|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"), behavior="removed", invert=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tok.train_from_iterator([" ".join(WORDS)] * 3, trainers.BpeTrainer(vocab_size=420, end_of_word_suffix="</w>", show_progress=False))
    merges = json.loads(tok.to_str())["model"]["merges"]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    names = alphabet + [c + "</w>" for c in alphabet] + ["".join(m) for m in merges] + ["<|startoftext|>", "<|endoftext|>"]
    names = list(dict.fromkeys(names))
    return {n: i for i, n in enumerate(names)}, [tuple(m) for m in merges]


def fill(model):
    from reference import weight
    for n, p in model.named_parameters():
        if n != "logit_scale":
            p.data.copy_(torch.from_numpy(weight(n, tuple(p.shape))))
    return model.eval()


def pictures():
    from reference import image
    out = [(f"synthetic {s} {w} {h}", image(s, w, h)) for s, w, h in SYNTHETIC]
    root = os.path.join(os.environ["LIGHTBOX_SHARED"], "data", "radsample")
    return out + [(f, Image.open(os.path.join(root, f))) for f in REAL]


def unit(x):
    x = x.double()
    return x / x.norm(dim=-1, keepdim=True)


def write(kind, ids, embed_text, pixels, embed_pixels):
    """embed_text takes one text, pixels one PIL image, embed_pixels what that gives; both embeddings are one row."""
    from reference import digest
    all = json.load(open(os.path.join(HERE, "texts.json")))
    with torch.no_grad():
        t = torch.cat([unit(embed_text(s)) for s in all])
        p = {n: pixels(im) for n, im in pictures()}
        v = {n: unit(embed_pixels(x)) for n, x in p.items()}
    few = [v[n] for n in v if n.startswith("synthetic")]
    cosines = [float((t[i] * few[i % len(few)][0]).sum()) for i in range(len(all))]
    r = lambda x: [round(float(y), 7) for y in x]
    json.dump(dict(ids=[ids(s) for s in all[:40]], texts=[r(x) for x in t[:40]], images={n: r(x[0]) for n, x in v.items()}, cosines=r(cosines), pixels={n: digest(x[0].numpy()) for n, x in p.items()}),
              open(os.path.join(HERE, kind, "golden.json"), "w"), separators=(",", ":"))


def clip():
    from transformers import CLIPConfig, CLIPModel, CLIPTokenizer, CLIPImageProcessorPil
    vocab, merges = vocabulary()
    for kind, end, act in [("clip", None, "quick_gelu"), ("clip-legacy", 2, "gelu")]:
        out = os.path.join(HERE, kind)
        os.makedirs(out, exist_ok=True)
        text = dict(vocab_size=len(vocab) + 3, hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=3, max_position_embeddings=77, hidden_act=act,
                    bos_token_id=vocab["<|startoftext|>"], eos_token_id=end or vocab["<|endoftext|>"])
        image = dict(hidden_size=20, intermediate_size=33, num_hidden_layers=2, num_attention_heads=4, image_size=32, patch_size=8, hidden_act=act)
        config = CLIPConfig(text_config=text, vision_config=image, projection_dim=16)
        model = fill(CLIPModel._from_config(config, attn_implementation="eager"))
        config.save_pretrained(out)
        tok = CLIPTokenizer(vocab=vocab, merges=merges)
        tok.save_pretrained(out)
        process = CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
        process.save_pretrained(out)
        ids = lambda s: tok(s, truncation=True, max_length=77)["input_ids"]
        pixels = lambda im: process(im.convert("RGB"), return_tensors="pt")["pixel_values"]
        write(kind, ids, lambda s: model.get_text_features(input_ids=torch.tensor([ids(s)])).pooler_output, pixels, lambda x: model.get_image_features(pixel_values=x).pooler_output)
        json.dump(sorted(n for n, _ in model.state_dict().items())[:3], sys.stdout)


def biomed():
    import timm
    from open_clip.hf_model import HFTextEncoder
    from open_clip.model import CustomTextCLIP
    from open_clip.timm_model import TimmModel
    from open_clip.tokenizer import HFTokenizer
    from open_clip.transform import image_transform
    from transformers import BertConfig, BertTokenizer
    out = os.path.join(HERE, "biomed")
    os.makedirs(out, exist_ok=True)
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + list("abcdefghijklmnopqrstuvwxyz0123456789.,:;-()'!?&%/") + ["##" + c for c in "abcdefghijklmnopqrstuvwxyz0123456789"]
    pieces += [w for w in dict.fromkeys(x.strip("(),.;:'").lower() for x in WORDS) if w.isalpha() and len(w) > 1]
    open(os.path.join(out, "vocab.txt"), "w").write("\n".join(pieces) + "\n")
    json.dump(dict(do_lower_case=True, tokenizer_class="BertTokenizer", model_max_length=1000000000000000019884624838656), open(os.path.join(out, "tokenizer_config.json"), "w"))
    config = dict(model_cfg=dict(embed_dim=16, vision_cfg=dict(timm_model_name="vit_tiny_patch8_32", timm_model_pretrained=False, timm_pool="", timm_proj="linear", image_size=32),
                                 text_cfg=dict(hf_model_name="a/bert", hf_tokenizer_name="a/bert", hf_proj_type="mlp", hf_pooler_type="cls_last_hidden_state_pooler", context_length=48)),
                  preprocess_cfg=dict(mean=[0.48145466, 0.4578275, 0.40821073], std=[0.26862954, 0.26130258, 0.27577711]))
    json.dump(config, open(os.path.join(out, "open_clip_config.json"), "w"), indent=1)

    class Whole(torch.nn.Module):  # CustomTextCLIP's tree and paths; its constructor would fetch the towers by name
        def __init__(self):
            super().__init__()
            self.visual = TimmModel("vit_tiny_patch16_224", 16, 224, pool="", proj="linear")
            self.visual.trunk = timm.create_model("vit_tiny_patch16_224", num_classes=0, img_size=32, patch_size=8, embed_dim=24, depth=2, num_heads=3)
            self.visual.head = torch.nn.Sequential()
            self.visual.head.add_module("drop", torch.nn.Dropout(0.0))
            self.visual.head.add_module("proj", torch.nn.Linear(24, 16, bias=False))
            bert = BertConfig(vocab_size=len(pieces), hidden_size=128, num_attention_heads=2, num_hidden_layers=2, intermediate_size=50, max_position_embeddings=64, attn_implementation="eager")
            self.text = HFTextEncoder("a/bert", 16, config=bert, pooler_type="cls_last_hidden_state_pooler", proj_type="mlp")
    model = fill(Whole())
    t = HFTokenizer.__new__(HFTokenizer)
    from open_clip.tokenizer import get_clean_fn
    t.tokenizer, t.context_length, t.clean_fn, t.strip_sep_token, t.tokenizer_mode = BertTokenizer.from_pretrained(out), 48, get_clean_fn("whitespace"), False, ""
    pixels = image_transform(32, is_train=False, mean=config["preprocess_cfg"]["mean"], std=config["preprocess_cfg"]["std"])
    ids = lambda s: [i for i in t([s])[0].tolist() if i != 0]
    write("biomed", ids, lambda s: model.text(t([s])), lambda im: pixels(im)[None], model.visual)
    json.dump({n: list(p.shape) for n, p in model.named_parameters()}, open(os.path.join(out, "shapes.json"), "w"), separators=(",", ":"))


def insight(published):
    from unittest.mock import MagicMock
    import yaml
    for n in ("fvcore", "fvcore.nn", "mpi4py"):
        sys.modules[n] = MagicMock()
    sys.path.insert(0, published)
    from MedImageInsight.UniCLModel import UniCLModel
    from MedImageInsight.LangEncoder import build_tokenizer
    from MedImageInsight.ImageDataLoader import build_transforms
    vocab, merges = vocabulary()
    other = dict(PATCH_SIZE=[5, 2, 3], PATCH_STRIDE=[3, 2, 2], PATCH_PADDING=[1, 0, 1], PATCH_PRENORM=[True, False, True], DIM_EMBED=[12, 18, 20], NUM_HEADS=[3, 2, 5],
                 NUM_GROUPS=[2, 9, 4], DEPTHS=[2, 1, 1], DROP_PATH_RATE=0.0, CONV_AT_FFN=False, DYNAMIC_SCALE=False)
    spec = dict(DROP_PATH_RATE=0.2, PATCH_SIZE=[7, 3, 3, 3], PATCH_STRIDE=[4, 2, 2, 2], PATCH_PADDING=[3, 1, 1, 1], PATCH_PRENORM=[False, True, True, True],
                DIM_EMBED=[8, 12, 16, 24], NUM_HEADS=[2, 3, 2, 4], NUM_GROUPS=[4, 2, 4, 3], DEPTHS=[1, 1, 2, 1], WINDOW_SIZE=3)
    for kind, size, causal, spec in [("insight", [64, 64], False, spec), ("insight-other", [80, 50], True, other)]:
        out = os.path.join(HERE, kind)
        words = os.path.join(out, "language_model", "clip_tokenizer_4.16.2")
        os.makedirs(words, exist_ok=True)
        json.dump(vocab, open(os.path.join(words, "vocab.json"), "w"))
        open(os.path.join(words, "merges.txt"), "w").write("#version: 0.2\n" + "\n".join(" ".join(m) for m in merges) + "\n")
        json.dump(dict(tokenizer_class="CLIPTokenizer", bos_token="<|startoftext|>", eos_token="<|endoftext|>", unk_token="<|endoftext|>", pad_token="<|endoftext|>", do_lower_case=True, model_max_length=77),
                  open(os.path.join(words, "tokenizer_config.json"), "w"))
        config = dict(VERBOSE=False, UNICL_MODEL=dict(DIM_PROJECTION=16, LOAD_PRETRAINED=False),
                      LANG_ENCODER=dict(NAME="transformer", LOAD_PRETRAINED=False, TOKENIZER="clip", CONTEXT_LENGTH=77, WIDTH=24, HEADS=3, LAYERS=2, AUTOGRESSIVE=causal),
                      IMAGE_ENCODER=dict(NAME="davit_v1", NUM_CLASSES=0, IMAGE_SIZE=size, LOAD_PRETRAINED=False, IMAGE_MEAN=[0.485, 0.456, 0.406], IMAGE_STD=[0.229, 0.224, 0.225], SPEC=spec),
                      AUG=dict(INTERPOLATION="bicubic"), TEST=dict(CENTER_CROP=False))
        yaml.safe_dump(config, open(os.path.join(out, "config.yaml"), "w"), sort_keys=False)
        config["LANG_ENCODER"]["PRETRAINED_TOKENIZER"] = words
        model = fill(UniCLModel(config))
        tok, pixels = build_tokenizer(config["LANG_ENCODER"]), build_transforms(config, False)
        assert not tok.is_fast and "ftfy" in tok.fix_text.__module__
        batch = lambda s: tok([s], padding="max_length", max_length=77, truncation=True, return_tensors="pt")
        def ids(s):
            b = batch(s)
            return b["input_ids"][0][:int(b["attention_mask"].sum())].tolist()
        write(kind, ids, lambda s: model.encode_text(dict(batch(s))), lambda im: pixels(im.convert("RGB"))[None], model.encode_image)
        json.dump({n: list(p.shape) for n, p in model.named_parameters()}, open(os.path.join(out, "shapes.json"), "w"), separators=(",", ":"))


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
