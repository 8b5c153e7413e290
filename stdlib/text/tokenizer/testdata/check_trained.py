"""Loads testdata/trained, which TrainBPE wrote, as users will, and compares ids.

    python check_trained.py [text ...]     # transformers 5.23 or 4.57

AutoTokenizer and, with a tiny image processor, LlavaProcessor must give the ids of tokenizers.Tokenizer.from_file.
"""
import json, os, shutil, sys, tempfile

import transformers
from tokenizers import Tokenizer
from transformers import AutoTokenizer, CLIPImageProcessor, LlavaProcessor

HERE = os.path.dirname(os.path.abspath(__file__))
FRAGMENTS = json.load(open(os.path.join(HERE, "fragments.json"), encoding="utf-8"))
texts = ["Axial CT of the chest.", "USER: <image>\nDescribe the image. ASSISTANT:", " 3.5 cm  nodule ", "é日本\n\t", "<s> a</s><pad>", ""]
texts += [" ".join(FRAGMENTS["words"][i:i + 7]) + FRAGMENTS["glue"][i % 20] + FRAGMENTS["unicode"][i % 30] for i in range(90)]


def main():
    record = Tokenizer.from_file(os.path.join(HERE, "trained", "tokenizer.json"))
    with tempfile.TemporaryDirectory() as d:
        shutil.copytree(os.path.join(HERE, "trained"), d, dirs_exist_ok=True)
        tok = AutoTokenizer.from_pretrained(d)
        for s in texts:
            want = record.encode(s).ids
            assert tok(s)["input_ids"] == want, (s, tok(s)["input_ids"], want)
            assert tok.decode(want, skip_special_tokens=True) == record.decode(want), s
        assert (tok.bos_token_id, tok.eos_token_id, tok.unk_token_id, tok.pad_token_id) == (1, 2, 0, 901)
        assert tok.padding_side == "left" and len(tok) == 902, (tok.padding_side, len(tok))
        image = dict(size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28})
        make = CLIPImageProcessor(**image)
        p = LlavaProcessor(make, tok, patch_size=14, vision_feature_select_strategy="default", num_additional_image_tokens=1)
        from PIL import Image
        out = p(images=Image.new("RGB", (30, 40)), text="USER: <image>\nDescribe. ASSISTANT:")
        ids = out["input_ids"][0]
        assert list(ids).count(900) == 4, ids
        plain = record.encode("USER: <image><image><image><image>\nDescribe. ASSISTANT:").ids
        assert list(ids) == plain, (ids, plain)
        assert p.image_token == "<image>" and p.image_token_id == 900
    print("transformers", transformers.__version__, type(tok).__name__, "ok:", len(texts), "texts")


main()
