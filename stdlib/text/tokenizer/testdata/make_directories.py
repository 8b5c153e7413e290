"""What transformers makes of checkpoint directories without a tokenizer.json.

Versions: transformers 5.23.0, tokenizers 0.23.3, sentencepiece 0.2.1, protobuf. Run: python make_directories.py

Writes directories.json: for each directory its configuration, which files it has, and a hash of the ids and the decoded text
for every hundred of 1,000 texts. The files themselves are those of bytelevel.json, wordpiece.json and sp_llama.model.
"""
import hashlib, json, os, shutil, struct, tempfile

os.environ["TRANSFORMERS_VERBOSITY"] = "error"
import transformers
from transformers import AutoTokenizer

from texts import text

assert transformers.__version__ == "5.23.0", transformers.__version__
HERE = os.path.dirname(os.path.abspath(__file__))
LLAMA = dict(tokenizer_class="LlamaTokenizer", bos_token="<s>", eos_token="</s>", unk_token="<unk>")
END = dict(bos_token="<|endoftext|>", eos_token="<|endoftext|>", unk_token="<|endoftext|>")
SPACES = {" " * n: 1100 + n for n in range(12, 1, -1)}
token = lambda s, **how: dict(dict(content=s, special=True, lstrip=False, rstrip=False, normalized=False, single_word=False), **how)
CASES = {  # name -> files, tokenizer_config.json, added_tokens.json
    "llama": ("sp_llama", dict(LLAMA, add_bos_token=True, add_eos_token=False, legacy=False, pad_token="<pad>"), None),
    "vicuna": ("sp_llama", dict(LLAMA, add_bos_token=True, add_eos_token=True, legacy=True, additional_special_tokens=[],
                                added_tokens_decoder={"0": token("<unk>"), "1": token("<s>"), "2": token("</s>"), "901": token("word", special=False), "900": token("<image>", rstrip=True)}), None),
    "gpt2": ("bytelevel", dict(END, tokenizer_class="GPT2Tokenizer"), None),
    "codegen": ("bytelevel", dict(END, tokenizer_class="CodeGenTokenizer", add_prefix_space=False), SPACES),
    "prefixed": ("bytelevel", dict(END, tokenizer_class="GPT2Tokenizer", add_prefix_space=True, add_bos_token=True), {"<image>": 1102, "word": 1101}),
    "qwen2": ("bytelevel", dict(END, tokenizer_class="Qwen2Tokenizer", added_tokens_decoder={"0": token("<|endoftext|>"), "1100": token("<image>")}), None),
    "deberta": ("bytelevel+", dict(tokenizer_class="DebertaTokenizer"), None),
    "roberta": ("bytelevel+", dict(tokenizer_class="RobertaTokenizer"), None),
    "bert": ("wordpiece", dict(tokenizer_class="BertTokenizer", do_lower_case=True), None),
    "cased": ("wordpiece", dict(tokenizer_class="BertTokenizer", do_lower_case=False, tokenize_chinese_chars=False), None),
}

# what bytelevel+ has behind the vocabulary of bytelevel
MORE = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]", "<s>", "<pad>", "</s>", "<unk>", "<mask>"]


def write(d, name, s):
    with open(os.path.join(d, name), "w", encoding="utf-8") as f:
        f.write(s)


def directory(d, files, config, added):
    if files == "sp_llama":
        shutil.copy(os.path.join(HERE, "sp_llama.model"), os.path.join(d, "tokenizer.model"))
    else:
        model = json.load(open(os.path.join(HERE, files.rstrip("+") + ".json"), encoding="utf-8"))["model"]
        if files.startswith("bytelevel"):
            more = {s: len(model["vocab"]) + i for i, s in enumerate(MORE)} if files == "bytelevel+" else {}
            write(d, "vocab.json", json.dumps(dict(model["vocab"], **more)))
            write(d, "merges.txt", "#version: 0.2\n" + "".join(m + "\n" for m in model["merges"]))
        else:
            write(d, "vocab.txt", "".join(s + "\n" for s in sorted(model["vocab"], key=model["vocab"].get)))
    write(d, "tokenizer_config.json", json.dumps(config))
    if added:
        write(d, "added_tokens.json", json.dumps(added))


def main():
    out = {}
    for name, (files, config, added) in CASES.items():
        with tempfile.TemporaryDirectory() as d:
            directory(d, files, config, added)
            t = AutoTokenizer.from_pretrained(d).backend_tokenizer
        hashes = []
        for lo in range(0, 1000, 100):
            h = hashlib.sha256()
            for i in range(lo, lo + 100):
                ids = t.encode(text(i)).ids
                decoded = t.decode(ids).encode("utf-8")
                h.update(struct.pack("<I", len(ids)) + b"".join(struct.pack("<I", x) for x in ids))
                h.update(struct.pack("<II", 1, len(decoded)) + decoded)
            hashes.append(h.hexdigest()[:8])
        out[name] = {"files": files, "config": config, "added": added, "hashes": hashes, "first": t.encode(text(7)).ids}
    write(HERE, "directories.json", json.dumps({"transformers": transformers.__version__, "directories": out}, separators=(",", ":")) + "\n")


main()
