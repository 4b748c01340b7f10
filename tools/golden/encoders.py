"""Golden files for BERT and its relatives, at tiny size, float32 on the CPU, without dropout.

    python encoders.py OUTPUT_FOLDER [CASE ...]

writes OUTPUT_FOLDER/CASE.safetensors for each case of the table below (README.md lists the tensors). The weights are not in the files: both sides
make them by the formula of decoders.py's `fill` from the names and shapes that transformers saves.
"""

import json
import os
import tempfile

import golden  # first: it sets the thread count
import torch
import torch.nn.functional as F
import transformers as hf
from decoders import fill
from safetensors.torch import load_file, save_file

VOCAB = 37
BERT = dict(vocab_size=VOCAB, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=32,
            hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
ROBERTA = dict(BERT, type_vocab_size=1, pad_token_id=1, layer_norm_eps=1e-5)
DISTIL = dict(vocab_size=VOCAB, dim=16, hidden_dim=24, n_layers=2, n_heads=4, max_position_embeddings=32, dropout=0.0, attention_dropout=0.0,
              qa_dropout=0.0, seq_classif_dropout=0.0)
LENGTHS = (21, 9)

CASES = {
    "bert": ("BertModel", hf.BertConfig(**BERT)),
    "bert-pretraining": ("BertForPreTraining", hf.BertConfig(**BERT)),
    "bert-masked": ("BertForMaskedLM", hf.BertConfig(**BERT, hidden_act="gelu_new")),
    "bert-sequence": ("BertForSequenceClassification", hf.BertConfig(**BERT, num_labels=3)),
    "bert-token": ("BertForTokenClassification", hf.BertConfig(**BERT, num_labels=5)),
    "bert-answers": ("BertForQuestionAnswering", hf.BertConfig(**BERT)),
    "roberta": ("RobertaModel", hf.RobertaConfig(**ROBERTA)),
    "roberta-masked": ("RobertaForMaskedLM", hf.RobertaConfig(**ROBERTA)),
    "roberta-sequence": ("RobertaForSequenceClassification", hf.RobertaConfig(**ROBERTA, num_labels=3)),
    "roberta-token": ("RobertaForTokenClassification", hf.RobertaConfig(**ROBERTA, num_labels=5)),
    "distilbert-masked": ("DistilBertForMaskedLM", hf.DistilBertConfig(**DISTIL)),
    "distilbert-sequence": ("DistilBertForSequenceClassification", hf.DistilBertConfig(**DISTIL, num_labels=3)),
    "distilbert-answers": ("DistilBertForQuestionAnswering", hf.DistilBertConfig(**DISTIL)),
}


def build(cls, config):
    """The model with the formula's weights, the text of config.json, and the tensors that transformers saves, by name."""
    with tempfile.TemporaryDirectory() as d:
        getattr(hf, cls)(config).save_pretrained(d)
        path = os.path.join(d, "model.safetensors")
        state = {n: fill(n, tuple(t.shape)) for n, t in load_file(path).items()}
        save_file(state, path, metadata={"format": "pt"})
        model, info = getattr(hf, cls).from_pretrained(d, attn_implementation="eager", output_loading_info=True)
        assert not info["missing_keys"] and not info["unexpected_keys"], info
        return model.eval(), open(os.path.join(d, "config.json")).read(), state


def text(case, i, config):
    """Token ids without padding's, and the segment of each: the second text begins in the middle where there are two segments."""
    g = torch.Generator().manual_seed(100 * sum(case.encode()) + i)
    n = LENGTHS[i]
    ids = torch.randint(2, VOCAB, (n,), generator=g)
    second = torch.arange(n) >= n // 2
    return ids, second.long() if getattr(config, "type_vocab_size", 0) > 1 else torch.zeros(n, dtype=torch.long)


def targets(case, cls, i):
    """What the loss compares with: BertModel none; masked tokens by the row, -1 elsewhere; a next-sentence label; classes."""
    g = torch.Generator().manual_seed(sum(case.encode()) + 7 * i)
    n = LENGTHS[i]
    rand = lambda high, *shape: torch.randint(0, high, shape, generator=g)
    t = {}
    if cls.endswith(("MaskedLM", "PreTraining")):
        t["masked"] = torch.where(rand(4, n) == 0, rand(VOCAB, n), -1)
    if cls.endswith("PreTraining"):
        t["next"] = rand(2, 1)
    if cls.endswith("SequenceClassification"):
        t["label"] = rand(3, 1)
    if cls.endswith("TokenClassification"):
        t["tags"] = rand(6, n) - 1
    if cls.endswith("QuestionAnswering"):
        t["span"] = rand(n, 2).sort().values
    return t


def entropy(logits, labels):
    return F.cross_entropy(torch.cat(logits), torch.cat(labels), ignore_index=-1)


def write(out, case):
    cls, config = CASES[case]
    model, config_text, state = build(cls, config)
    t, outs, wanted = {}, [], []
    for i in range(len(LENGTHS)):
        ids, segments = text(case, i, config)
        inputs = dict(input_ids=ids[None])
        if getattr(config, "type_vocab_size", 0) > 0:
            inputs["token_type_ids"] = segments[None]
        outs.append(model(**inputs))
        wanted.append(targets(case, cls, i))
        t |= {f"input_ids.{i}": ids, f"segments.{i}": segments} | {f"{n}.{i}": x for n, x in wanted[-1].items()}
    each = lambda name: [w[name] for w in wanted]
    if cls.endswith("Model"):  # no loss of its own: half the squares of all that it returns
        t |= {f"features.{i}": o.last_hidden_state[0] for i, o in enumerate(outs)} | {f"pooled.{i}": o.pooler_output[0] for i, o in enumerate(outs)}
        loss = sum((o.last_hidden_state**2).sum() / 2 + (o.pooler_output**2).sum() / 2 for o in outs)
    elif cls.endswith("PreTraining"):
        t |= {f"logits.{i}": o.prediction_logits[0] for i, o in enumerate(outs)} | {f"next_logits.{i}": o.seq_relationship_logits[0] for i, o in enumerate(outs)}
        loss = entropy([o.prediction_logits[0] for o in outs], each("masked")) + entropy([o.seq_relationship_logits for o in outs], each("next"))
    elif cls.endswith("QuestionAnswering"):
        t |= {f"logits.{i}": torch.stack((o.start_logits[0], o.end_logits[0]), dim=1) for i, o in enumerate(outs)}
        loss = sum(F.cross_entropy(o.start_logits, w["span"][:1]) + F.cross_entropy(o.end_logits, w["span"][1:]) for o, w in zip(outs, wanted)) / (2 * len(outs))
    else:
        t |= {f"logits.{i}": o.logits[0] for i, o in enumerate(outs)}
        name = next(n for n in ("masked", "label", "tags") if n in wanted[0])
        rows = [o.logits if name == "label" else o.logits[0] for o in outs]
        loss = entropy(rows, each(name))
    loss.backward()
    t["loss"] = loss
    grads = {n: p.grad for n, p in model.named_parameters()}
    t |= {"grad." + n: grads[n] for n in state}
    meta = golden.model_meta(config_text, state)
    golden.write(os.path.join(out, case + ".safetensors"), t, meta)
    print(f"  loss {float(loss.detach()):.4f}")


if __name__ == "__main__":
    golden.main(__doc__, CASES, write)
