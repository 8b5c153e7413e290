"""Encodes captions with the Rust library and with this package, in turns, and prints tokens per second of CPU time.

    python bench.py CAPTIONS.txt [VOCAB]      # one caption a line, perhaps behind "id<TAB>"; from inside the repository

Both use one thread and byte-identical tokenizers of VOCAB tokens (default 16000), trained by the Rust library on
the captions. CPU time, because such machines are shared.
"""
import os, subprocess, sys, tempfile, time

os.environ["RAYON_NUM_THREADS"] = "1"
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

HERE = os.path.dirname(os.path.abspath(__file__))
QWEN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
        r"|\s+(?!\S)|\s+")


def llama(texts, n):
    t = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    t.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    t.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")  # for training only: spaces begin words
    t.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=n, show_progress=False, special_tokens=["<unk>", "<s>", "</s>"] + ["<0x%02X>" % b for b in range(256)]))
    t.pre_tokenizer = None
    return t


def qwen(texts, n):
    t = Tokenizer(models.BPE())
    t.normalizer = normalizers.NFC()
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(QWEN), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    t.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=n, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    return t


def main():
    path, n = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 16000
    texts = [l.rstrip("\n").split("\t")[-1].strip() for l in open(path, encoding="utf-8")]
    texts = [t for t in texts if t]
    with tempfile.TemporaryDirectory() as d:
        open(os.path.join(d, "texts"), "w", encoding="utf-8").write("\n".join(texts))
        exe = os.path.join(d, "bench.test")
        subprocess.run(["go", "test", "-c", "-o", exe, "."], cwd=os.path.join(HERE, ".."), check=True)
        for name, make in (("llama", llama), ("qwen", qwen)):
            file = os.path.join(d, name + ".json")
            make(texts, n).save(file)
            for turn in range(3):
                t = Tokenizer.from_file(file)
                for warm in ("cold", "warm"):
                    at, tokens = time.process_time(), 0
                    for lo in range(0, len(texts), 1000):
                        tokens += sum(len(e) for e in t.encode_batch_fast(texts[lo:lo + 1000], add_special_tokens=False))
                    s = time.process_time() - at
                    print(f"{name} {warm} rust  {tokens} tokens {s:.3f} s {tokens / s / 1e6:.2f} M tokens/s", flush=True)
                subprocess.run([exe, "-test.run", "TestBench", "-test.v"], check=True, env={**os.environ, "GOMAXPROCS": "1", "LIGHTBOX_BENCH": f"{name}={file}", "LIGHTBOX_BENCH_TEXTS": os.path.join(d, "texts")},
                               cwd=os.path.join(HERE, ".."))


main()
