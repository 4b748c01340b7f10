"""Hugging Face tokenizers, tiktoken, gigatoken and sentencepiece: the peers of bench/tokenizer.

    python tokenizers.py --threads 1

After {"ready": true, "versions": ...} each line on stdin is a JSON object and is answered by one JSON line:

{"do": "encode", "engine": "hf" | "hf-single" | "tiktoken" | "gigatoken" | "sentencepiece", "file": tokenizer.json or model file, "docs": FILE, "warm": bool, "out": FILE or ""}
    encodes all documents, a JSON array of strings, and answers {"seconds", "ids"}. Cold: with a tokenizer made for this pass, making it is not timed.
    Warm: with one that has encoded the documents before. out gets the ids of each document behind their number, little-endian int32.
{"do": "train", "docs": FILE, "vocab": N, "out": FILE or ""}
    trains Hugging Face's BpeTrainer as plinth does, and answers {"seconds"}; out gets tokenizer.json.

hf is encode_batch_fast, hf-single one encode after the other, tiktoken encode_ordinary_batch, gigatoken encode_batch, sentencepiece encode of a list.
"""

import argparse
import importlib.metadata
import json
import os
import sys
import time

p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
p.add_argument("--threads", type=int, default=1)
args = p.parse_args()
os.environ["RAYON_NUM_THREADS"] = str(args.threads)  # read when the libraries load
os.environ["TOKENIZERS_PARALLELISM"] = "true"
sys.path.pop(0)  # this folder: the file has the name of the package

import numpy as np

GPT2 = r"""'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""
docs, warm = {}, {}


def read(path):
    if path not in docs:
        with open(path, encoding="utf-8") as f:
            docs[path] = json.load(f)
    return docs[path]


def ranks(file):
    """The bytes of each token with its id, and the pattern, for tiktoken."""
    with open(file, encoding="utf-8") as f:
        j = json.load(f)
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    byte = {chr(b): b for b in printable}
    byte |= {chr(256 + i): b for i, b in enumerate(b for b in range(256) if b not in printable)}
    added = {t["content"] for t in j["added_tokens"]}
    pattern = GPT2
    for stage in j["pre_tokenizer"].get("pretokenizers", []):
        if stage["type"] == "Split":
            pattern = stage["pattern"]["Regex"]
    return {bytes(byte[c] for c in t): i for t, i in j["model"]["vocab"].items() if t not in added}, pattern


def make(engine, file):
    """A function from documents to lists of ids, fresh."""
    if engine in ("hf", "hf-single"):
        from tokenizers import Tokenizer

        t = Tokenizer.from_file(file)
        t.encode_special_tokens = True
        if engine == "hf":
            return lambda texts: t.encode_batch_fast(texts, add_special_tokens=False)
        return lambda texts: [t.encode(s, add_special_tokens=False) for s in texts]
    if engine == "tiktoken":
        import tiktoken

        vocab, pattern = ranks(file)
        t = tiktoken.Encoding("peer", pat_str=pattern, mergeable_ranks=vocab, special_tokens={})
        if args.threads == 1:
            return lambda texts: [t.encode_ordinary(s) for s in texts]
        return lambda texts: t.encode_ordinary_batch(texts, num_threads=args.threads)
    if engine == "gigatoken":
        import gigatoken

        t = gigatoken.Tokenizer(file)
        return lambda texts: t.encode_batch(texts, parallel=args.threads > 1)
    if engine == "sentencepiece":
        import sentencepiece

        t = sentencepiece.SentencePieceProcessor(model_file=file)
        return lambda texts: t.encode(texts, num_threads=args.threads)
    sys.exit(f"no engine {engine!r}")


def encode(job):
    texts, key = read(job["docs"]), (job["engine"], job["file"], job["docs"])
    run = warm.get(key) if job["warm"] else None
    if run is None:
        run = make(job["engine"], job["file"])
        if job["warm"]:
            warm[key] = run
            run(texts)
    began = time.perf_counter()
    result = run(texts)
    seconds = time.perf_counter() - began
    count = 0
    parts = []
    for r in result if job["out"] else []:
        ids = np.asarray(r.ids if job["engine"].startswith("hf") else r, dtype="<i4")
        parts += [np.array([len(ids)], "<i4"), ids]
        count += len(ids)
    if job["out"]:
        np.concatenate(parts).tofile(job["out"])
    return {"seconds": seconds, "ids": count}


def train(job):
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    texts = read(job["docs"])
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.decoder = decoders.ByteLevel()
    began = time.perf_counter()
    t.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=job["vocab"], special_tokens=["<|endoftext|>"], min_frequency=0, show_progress=False,
                                                     initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    seconds = time.perf_counter() - began
    if job["out"]:
        with open(job["out"], "w", encoding="utf-8") as f:
            f.write(t.to_str(pretty=True))
    return {"seconds": seconds}


def versions():
    found = {}
    for name in ("tokenizers", "tiktoken", "gigatoken", "sentencepiece"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            pass
    return found


print(json.dumps({"ready": True, "versions": versions()}), flush=True)
for line in sys.stdin:
    job = json.loads(line)
    print(json.dumps({"encode": encode, "train": train}[job["do"]](job)), flush=True)
