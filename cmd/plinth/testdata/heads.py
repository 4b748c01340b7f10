"""What transformers makes of texts with our folders: [{"dir", "texts", "words"}] of taggers, and of readers {"dir", "questions": [[question, context]],
"window", "stride"} -> {"entities": [...]} by its pipeline for token classification with aggregation_strategy="first", of words {"tags": [...]} as run_ner
labels them, and {"answers": [...]} by the windows and the search of its example run_qa (its pipeline for question answering is gone since version 5)."""
import json
import sys

import torch
import transformers as hf
from tokenizers import Tokenizer


def tokenizer(folder, limit):
    if "[CLS]" not in Tokenizer.from_file(folder + "/tokenizer.json").get_vocab():
        return hf.PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_file(folder + "/tokenizer.json"), model_max_length=limit)
    names = dict(unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]", pad_token="[PAD]", mask_token="[MASK]")
    return hf.PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_file(folder + "/tokenizer.json"), model_max_length=limit, **names)


def load(kind, folder):
    model, info = kind.from_pretrained(folder, output_loading_info=True, attn_implementation="eager")
    assert not any(info.values()), info
    return model.eval()


def tag(job):
    model = load(hf.AutoModelForTokenClassification, job["dir"])
    tok = tokenizer(job["dir"], model.config.max_position_embeddings)
    pipe = hf.pipeline("token-classification", model=model, tokenizer=tok, aggregation_strategy="first")
    entities = [[{"type": e["entity_group"], "start": e["start"], "end": e["end"], "score": float(e["score"])} for e in pipe(text)] for text in job["texts"]]
    tags = []
    for words in job["words"]:
        x = tok(words, is_split_into_words=True, return_tensors="pt")
        best, row, before = model(**x).logits[0].argmax(-1), [], None
        for i, word in enumerate(x.word_ids(0)):
            if word is not None and word != before:
                row.append(model.config.id2label[int(best[i])])
            before = word
        tags.append(row)
    return {"entities": entities, "tags": tags}


def trimmed(text, start, end):
    """Without white space at the beginning, which answers do not have."""
    word = text[start:end].lstrip()
    return (end - len(word) if word else start), end


def ask(job, most=20, longest=30):
    model = load(hf.AutoModelForQuestionAnswering, job["dir"])
    tok = tokenizer(job["dir"], model.config.max_position_embeddings)
    answers = []
    for question, context in job["questions"]:
        x = tok(question.lstrip(), context, truncation="only_second", max_length=job["window"], stride=job["stride"], return_overflowing_tokens=True,
                return_offsets_mapping=True, return_token_type_ids=True)
        found, null = [], None
        for w in range(len(x["input_ids"])):
            kwargs = {"token_type_ids": torch.tensor([x["token_type_ids"][w]])} if model.config.model_type == "bert" else {}  # tokenizers of decoders return none
            out = model(input_ids=torch.tensor([x["input_ids"][w]]), **kwargs)
            start, end = out.start_logits[0].double(), out.end_logits[0].double()
            spans = [trimmed(context, *o) if s == 1 else None for o, s in zip(x["offset_mapping"][w], x.sequence_ids(w))]
            score = float(start[0] + end[0])
            null = score if null is None else min(null, score)
            for s in start.argsort(descending=True)[:most].tolist():
                for e in end.argsort(descending=True)[:most].tolist():
                    if spans[s] and spans[e] and s <= e < s + longest:
                        found.append({"start": spans[s][0], "end": spans[e][1], "score": float(start[s] + end[e])})
        found = sorted(found, key=lambda a: -a["score"])[:most]
        top = torch.tensor([a["score"] for a in found], dtype=torch.float64).softmax(0).tolist()
        answers.append({"windows": len(x["input_ids"]), "difference": null - found[0]["score"], "best": [a | {"probability": p} for a, p in zip(found, top)]})
    return {"answers": answers}


with torch.no_grad():
    json.dump([ask(job) if "questions" in job else tag(job) for job in json.load(sys.stdin)], sys.stdout)
