"""Encodes texts of a's and b's with a limit: {"tokenizer": JSON text, "cases": [[a, b or -1, limit, 1 to cut the first only], ...]} -> [[ids, type ids], ...]; null for an error."""
import json
import sys

from tokenizers import Tokenizer

job = json.load(sys.stdin)
out = []
for a, b, limit, first in job["cases"]:
    t = Tokenizer.from_str(job["tokenizer"])
    try:
        t.enable_truncation(limit, strategy="only_first" if first else "longest_first")
        e = t.encode(" ".join("a" * a), " ".join("b" * b) if b >= 0 else None)
        out.append([e.ids, e.type_ids])
    except BaseException:  # the library panics where the limit has no room for the special tokens
        out.append(None)
json.dump(out, sys.stdout)
