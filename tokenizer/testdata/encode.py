"""Encodes texts with a tokenizer.json. usage: encode.py FILE

Reads a line a batch, an array of texts and pairs of texts; writes a line a batch, an array of an object each, null where the library panics.
"""
import itertools
import json
import os
import sys

os.environ["TOKENIZERS_PARALLELISM"] = "false"  # its threads wait for each other on a small machine

from tokenizers import Tokenizer

tok = Tokenizer.from_file(sys.argv[1])
tok.no_truncation()
tok.no_padding()


def batch(requests):
    es = tok.encode_batch(requests)
    ids = [e.ids for e in es]
    texts, plain = tok.decode_batch(ids, skip_special_tokens=False), tok.decode_batch(ids)
    return [{
        "ids": e.ids, "tokens": e.tokens, "offsets": list(itertools.chain.from_iterable(e.offsets)), "types": e.type_ids, "special": e.special_tokens_mask,
        "text": text, "plain": p,
    } for e, text, p in zip(es, texts, plain)]


def answer(requests):
    try:
        return batch(requests)
    except BaseException as e:  # a panic of theirs is no Exception
        if isinstance(e, KeyboardInterrupt):
            raise
        return [None] if len(requests) == 1 else [a for r in requests for a in answer([r])]


for line in sys.stdin:
    out = json.dumps(answer([r[0] if len(r) == 1 else tuple(r) for r in json.loads(line)])).encode() + b"\n"
    while out:  # print lost parts of lines when the process was stopped and continued
        out = out[os.write(1, out):]
