"""Encodes captions with the Rust library and with this package, in turns, and prints tokens per second of CPU time.

    python bench.py CAPTIONS.txt [VOCAB]      # one caption a line, perhaps behind "id<TAB>"; from inside the repository

    python bench.py CAPTIONS.txt VOCAB sentencepiece     # .model files, against the library sentencepiece

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


def go(exe, name, file, d):
    subprocess.run([exe, "-test.run", "TestBench", "-test.v"], check=True, cwd=os.path.join(HERE, ".."),
                   env={**os.environ, "GOMAXPROCS": "1", "LIGHTBOX_BENCH": f"{name}={file}", "LIGHTBOX_BENCH_TEXTS": os.path.join(d, "texts")})


def unigram(texts, n):
    t = Tokenizer(models.Unigram())
    t.normalizer = normalizers.Sequence([normalizers.Strip(), normalizers.Replace(Regex(" {2,}"), " ")])
    t.pre_tokenizer = pre_tokenizers.Metaspace("▁", "always")
    t.train_from_iterator(texts, trainers.UnigramTrainer(vocab_size=n // 2, show_progress=False, unk_token="<unk>", special_tokens=["<unk>"]))
    return t


def wordpiece(texts, n):
    t = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    t.normalizer = normalizers.BertNormalizer()
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    t.train_from_iterator(texts, trainers.WordPieceTrainer(vocab_size=n, show_progress=False, special_tokens=["[UNK]"]))
    return t


def sentencepiece(texts, n, d):
    import sentencepiece
    for kind in ("bpe", "unigram"):
        prefix = os.path.join(d, kind)
        sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(texts), model_prefix=prefix, model_type=kind, vocab_size=n, byte_fallback=True, num_threads=1, minloglevel=2)
        sp = sentencepiece.SentencePieceProcessor(model_file=prefix + ".model")
        yield kind, prefix + ".model", lambda: sum(len(sp.encode(t)) for t in texts)


def main():
    path, n = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 16000
    texts = [l.rstrip("\n").split("\t")[-1].strip() for l in open(path, encoding="utf-8")]
    texts = [t for t in texts if t]
    with tempfile.TemporaryDirectory() as d:
        open(os.path.join(d, "texts"), "w", encoding="utf-8").write("\n".join(texts))
        exe = os.path.join(d, "bench.test")
        subprocess.run(["go", "test", "-c", "-o", exe, "."], cwd=os.path.join(HERE, ".."), check=True)
        if sys.argv[3:] == ["sentencepiece"]:
            for name, file, run in sentencepiece(texts, n, d):
                at = time.process_time()
                tokens = run()
                s = time.process_time() - at
                print(f"{name} .model c++   {tokens} tokens {s:.3f} s {tokens / s / 1e6:.2f} M tokens/s", flush=True)
                go(exe, name, file, d)
            return
        for name, make in (("llama", llama), ("qwen", qwen), ("unigram", unigram), ("wordpiece", wordpiece)):
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
                go(exe, name, file, d)


main()
