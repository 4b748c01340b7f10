"""Answers questions of the tests with Hugging Face tokenizers: a JSON object on standard input, JSON on standard output."""
import json
import sys

from tokenizers import Tokenizer, models, pre_tokenizers, trainers

job = json.load(sys.stdin)
if job["do"] == "tokenize":
    model = models.WordPiece(job["vocab"], unk_token=job["unk"], continuing_subword_prefix=job["prefix"], max_input_chars_per_word=job["max"])
    answer = [[[t.id, *t.offsets] for t in model.tokenize(w)] for w in job["words"]]
else:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("\n", "removed")
    trainer = trainers.WordPieceTrainer(
        vocab_size=job["size"], special_tokens=job["special"], min_frequency=job["minimum"],
        initial_alphabet=job["initial"], continuing_subword_prefix=job["prefix"], show_progress=False,
        **({"limit_alphabet": job["limit"]} if job["limit"] else {}))
    tokenizer.train_from_iterator(job["texts"], trainer)
    vocab = tokenizer.get_vocab()
    answer = sorted(vocab, key=vocab.get)
json.dump(answer, sys.stdout)
