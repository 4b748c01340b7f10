"""Cuts texts with Hugging Face tokenizers or with tiktoken. JSON on stdin and stdout.

in:  {"texts": [text, ...], "jobs": [{"engine": "tokenizers" | "tiktoken", "regex": expr, "texts": how many}, ...]}
out: [[length of each piece in bytes, per text], ...] for each job
"""
import json
import sys

import tiktoken
from tokenizers import Regex, pre_tokenizers

CHUNK = 2000


def by_tokenizers(regex, texts):
    split = pre_tokenizers.Split(Regex(regex), "isolated")
    return [[len(p.encode()) for p, _ in split.pre_tokenize_str(t)] for t in texts]


vocabularies = {}


def vocabulary(texts, start):
    """Every substring is a token, so that tiktoken, which looks up whole pieces first, shows each piece as one token."""
    if start not in vocabularies:
        words = {bytes([b]) for b in range(256)}
        for t in texts:
            words.update(t[i:j].encode() for i in range(len(t)) for j in range(i + 1, len(t) + 1))
        vocabularies[start] = {w: i for i, w in enumerate(words)}
    return vocabularies[start]


def by_tiktoken(regex, texts):
    out = []
    for start in range(0, len(texts), CHUNK):
        chunk = texts[start : start + CHUNK]
        ranks = vocabulary(chunk, start)
        enc = tiktoken.Encoding("pieces", pat_str=regex, mergeable_ranks=ranks, special_tokens={})
        for t in chunk:
            out.append([len(enc.decode_single_token_bytes(i)) for i in enc.encode_ordinary(t)])
    return out


def main():
    request = json.load(sys.stdin)
    cut = {"tokenizers": by_tokenizers, "tiktoken": by_tiktoken}
    texts = request["texts"]
    json.dump([cut[j["engine"]](j["regex"], texts[: j["texts"]]) for j in request["jobs"]], sys.stdout)


main()
