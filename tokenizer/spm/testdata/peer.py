"""Answers questions of the tests with SentencePiece: a JSON object on standard input, JSON on standard output."""
import base64
import json
import sys

import sentencepiece

job = json.load(sys.stdin)
model = sentencepiece.SentencePieceProcessor(model_proto=base64.b64decode(job["model"]))
if job["do"] == "normalize":  # [output in base64, places]
    answer = []
    for text in job["texts"]:
        out, places = model.normalize(text.encode(), with_offsets=True)
        answer.append([base64.b64encode(out).decode(), places])
elif job["do"] == "encode":
    answer = model.encode(job["texts"])
else:  # merges as transformers lists them: [by id, by score]
    from transformers.convert_slow_tokenizer import generate_merges

    pieces = [(model.id_to_piece(i), model.get_score(i)) for i in range(model.get_piece_size())]
    vocab = {piece: i for i, (piece, _) in enumerate(pieces)}
    answer = [generate_merges(vocab, None), generate_merges(vocab, dict(pieces))]
    answer = [[[vocab[a], vocab[b]] for a, b in merges] for merges in answer]
json.dump(answer, sys.stdout)
