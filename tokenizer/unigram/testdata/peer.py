"""Answers questions of the tests: a JSON object on standard input, JSON on standard output."""
import base64
import json
import sys

job = json.load(sys.stdin)
if job["do"] == "tokenizers":
    from tokenizers import models

    model = models.Unigram([tuple(t) for t in job["vocab"]], unk_id=job["unk"], byte_fallback=job["fallback"])
    answer = [[[t.id, *t.offsets] for t in model.tokenize(text)] for text in job["texts"]]
elif job["do"] == "sentencepiece":
    import sentencepiece

    model = sentencepiece.SentencePieceProcessor(model_proto=base64.b64decode(job["model"]))
    answer = [[[p.id, p.begin, p.end] for p in model.encode(text, return_type="proto").pieces] for text in job["texts"]]
json.dump(answer, sys.stdout)
