"""Answers questions of the tests: a JSON object on standard input, JSON on standard output."""
import base64
import json
import sys

job = json.load(sys.stdin)
answer = []
if job["do"] == "normalize":  # [output, [start and end in the text, of each character]]
    from tokenizers import PreTokenizedString, Regex, normalizers

    norm = normalizers.Precompiled(base64.b64decode(job["map"]))
    each = Regex(r"[\s\S]")
    for text in job["texts"]:
        p = PreTokenizedString(text)
        p.normalize(norm.normalize)
        p.split(lambda i, s: s.split(each, "isolated"))
        splits = p.get_splits(offset_referential="original", offset_type="byte")
        answer.append(["".join(s[0] for s in splits), [list(s[1]) for s in splits]])
else:  # the precompiled map of rules
    import io
    import tempfile

    import sentencepiece

    with tempfile.NamedTemporaryFile("w", suffix=".tsv") as f:
        for old, new in job["rules"].items():
            f.write(" ".join(f"{ord(c):X}" for c in old) + "\t" + " ".join(f"{ord(c):X}" for c in new) + "\n")
        f.flush()
        model = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(["a"]), model_writer=model, model_type="char", normalization_rule_tsv=f.name, vocab_size=5,
            hard_vocab_limit=False, minloglevel=2)
    from sentencepiece import sentencepiece_model_pb2 as pb

    answer = base64.b64encode(pb.ModelProto.FromString(model.getvalue()).normalizer_spec.precompiled_charsmap).decode()
json.dump(answer, sys.stdout)
