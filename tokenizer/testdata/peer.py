"""Answers with what Hugging Face tokenizers and tiktoken make of texts. Reads one JSON job from stdin, writes JSON to stdout."""
import base64
import json
import sys

job = json.load(sys.stdin)


def hf(path):
    from tokenizers import Tokenizer
    return Tokenizer.from_file(path)


if job["do"] == "encode":  # every text with tokenizer.json
    tok = hf(job["path"])
    tok.encode_special_tokens = job.get("plain", False)
    out = [e.ids for e in tok.encode_batch(job["texts"], add_special_tokens=job.get("add", False))]
elif job["do"] == "tiktoken":  # every text with a rank file
    import tiktoken
    ranks = {}
    for line in open(job["path"], "rb"):
        if line.strip():
            token, rank = line.split()
            ranks[base64.b64decode(token)] = int(rank)
    enc = tiktoken.Encoding("peer", pat_str=job["pattern"], mergeable_ranks=ranks, special_tokens={})
    out = [enc.encode_ordinary(s) for s in job["texts"]]
elif job["do"] == "save":  # tokenizer.json as they write it
    out = hf(job["path"]).to_str(pretty=True)
elif job["do"] == "train":  # tokenizer.json trained on the texts
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    tok = Tokenizer(models.BPE())
    if job["pattern"]:
        tok.pre_tokenizer = pre_tokenizers.Sequence([
            pre_tokenizers.Split(Regex(job["pattern"]), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ])
    else:
        tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tok.decoder = decoders.ByteLevel()
    tok.train_from_iterator(job["texts"], trainers.BpeTrainer(
        vocab_size=job["size"], special_tokens=job["special"], min_frequency=job["minimum"], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    out = tok.to_str(pretty=True)
json.dump(out, sys.stdout)
