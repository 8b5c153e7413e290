"""Loads what Model.Save wrote with transformers 5.23.0: python check_saved.py DIR (see modeltest.WriteForReference)."""
import os, sys
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, f"{HERE}/../../testdata")
from reference import *
from transformers import IdeficsForVisionText2Text, PreTrainedTokenizerFast
from transformers.models.idefics.image_processing_pil_idefics import IdeficsImageProcessorPil
from transformers.models.idefics.processing_idefics import IdeficsProcessor

PICTURE = "<fake_token_around_image><image><fake_token_around_image>"
for name in sorted(os.listdir(sys.argv[1])):
    d = os.path.join(sys.argv[1], name)
    e = json.load(open(f"{d}/expect.json"))
    model, info = IdeficsForVisionText2Text.from_pretrained(d, dtype=torch.float32, attn_implementation="eager", output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"] and not info["mismatched_keys"], info
    model.eval()
    tok = PreTrainedTokenizerFast(tokenizer_file=f"{d}/tokenizer.json", bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="<unk>")
    proc = IdeficsProcessor(IdeficsImageProcessorPil.from_pretrained(d), tok)
    before, after = e["text"][3:].split(PICTURE)
    b = proc(text=[([before] if before else []) + [image(*e["image"]), after]], return_tensors="pt")
    assert b["input_ids"][0].tolist() == e["ids"], (b["input_ids"], e["ids"])
    assert digest(b["pixel_values"]) == e["pixels"]
    with torch.no_grad():
        logits = model(**b).logits[0, -1].numpy()
        out = model.generate(**b, max_new_tokens=5, do_sample=False)
    diff = float(np.abs(logits - np.array(e["logits"], np.float32)).max())
    print(name, "logits within", diff, "parameters", sum(p.numel() for p in model.parameters()), tuple(out.shape))
    assert diff < 3e-4
