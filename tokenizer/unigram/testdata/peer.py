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
elif job["do"] == "train":
    import time

    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Split("\n", "removed")
    trainer = trainers.UnigramTrainer(
        vocab_size=job["size"], special_tokens=job["special"], unk_token=job["unk"], initial_alphabet=job["initial"], show_progress=False)
    start = time.time()
    tokenizer.train_from_iterator(job["texts"], trainer)
    answer = {"vocab": json.loads(tokenizer.to_str())["model"]["vocab"], "seconds": time.time() - start}
json.dump(answer, sys.stdout)
