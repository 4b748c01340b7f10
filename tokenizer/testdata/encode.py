"""Encodes texts with a tokenizer.json. usage: encode.py FILE; one JSON array of one or two texts a line in, one object a line out."""
import json
import sys

from tokenizers import Tokenizer

tok = Tokenizer.from_file(sys.argv[1])
tok.no_truncation()
tok.no_padding()
for line in sys.stdin:
    e = tok.encode(*json.loads(line))
    print(json.dumps({
        "ids": e.ids, "tokens": e.tokens, "offsets": e.offsets, "types": e.type_ids, "special": e.special_tokens_mask,
        "text": tok.decode(e.ids, skip_special_tokens=False), "plain": tok.decode(e.ids),
    }))
