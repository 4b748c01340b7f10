"""Golden scores of downstream tasks: eval/task/testdata/*.json, from scikit-learn, scipy, seqeval, rouge_score, nltk and the SQuAD scripts.

    tasks.py FOLDER

Same versions, same bytes. The SQuAD evaluation is that of the published scripts (evaluate-v1.1.py and evaluate-v2.0.py), function by function.
"""

import collections
import json
import pathlib
import re
import string
import sys
import warnings

import numpy as np
import scipy.stats
import sklearn.metrics as sk
from nltk.stem.porter import PorterStemmer
from rouge_score import rouge_scorer
from seqeval import scheme as schemes
from seqeval.metrics import accuracy_score
from seqeval.metrics.sequence_labeling import get_entities, precision_recall_fscore_support as entities
from seqeval.metrics.v1 import precision_recall_fscore_support as strict_entities

warnings.filterwarnings("ignore")
rng = np.random.default_rng(20261127)


def numbers(x):
    return np.asarray(x, dtype=float).round(6).tolist()


def averages(score):
    """Macro, micro and weighted precision, recall, F1 of a function of the average."""
    return {a: [float(v) for v in score(a)[:3]] for a in ("macro", "micro", "weighted")}


def ece(gold, p, bins=15):
    """Expected calibration error (Guo et al. 2017, eq. 3): bins (i/n, (i+1)/n] of the highest probability."""
    confidence, right = p.max(1), p.argmax(1) == gold
    total = 0.0
    for i in range(bins):
        inside = (confidence > i / bins) & (confidence <= (i + 1) / bins)
        if inside.any():
            total += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    return total


def classification():
    cases = []
    for n, classes, skill in ((100, 2, 1.0), (150, 5, 0.7), (40, 7, 0.0), (12, 3, 5.0), (1, 2, 1.0), (30, 4, -1.0)):
        gold = rng.integers(0, classes, n) if skill >= 0 else np.minimum(rng.integers(0, classes, n), 1)  # -1: classes that never occur
        logits = rng.normal(size=(n, classes)) + skill * np.eye(classes)[gold]
        p = (np.exp(logits) / np.exp(logits).sum(1, keepdims=True)).round(6)
        if n == 12:
            p[0] = np.eye(classes)[(gold[0] + 1) % classes]  # certain and wrong
        predicted, labels = p.argmax(1), list(range(classes))
        each = sk.precision_recall_fscore_support(gold, predicted, labels=labels, zero_division=0)
        case = {
            "gold": gold.tolist(), "predicted": predicted.tolist(), "probabilities": p.tolist(), "classes": classes,
            "accuracy": sk.accuracy_score(gold, predicted),
            "each": [x.tolist() for x in each],
            "averages": averages(lambda a: sk.precision_recall_fscore_support(gold, predicted, average=a, zero_division=0)),
            "confusion": sk.confusion_matrix(gold, predicted, labels=labels).tolist(),
            "matthews": sk.matthews_corrcoef(gold, predicted),
            "log_loss": sk.log_loss(gold, p, labels=labels),
            "brier": float(((p - np.eye(classes)[gold]) ** 2).sum(1).mean()),
            "ece": ece(gold, p),
        }
        if set(gold) == set(labels):
            if classes == 2:
                case["auc"] = sk.roc_auc_score(gold, p[:, 1])
            else:
                case["auc"] = sk.roc_auc_score(gold, p, multi_class="ovr", average="macro")
        cases.append(case)
    return cases


def multilabel():
    cases = []
    for n, classes, rate in ((100, 4, 0.3), (20, 6, 0.1), (5, 3, 0.0)):
        gold = rng.random((n, classes)) < rate
        predicted = gold ^ (rng.random((n, classes)) < 0.2)
        each = sk.precision_recall_fscore_support(gold, predicted, zero_division=0)
        scores = averages(lambda a: sk.precision_recall_fscore_support(gold, predicted, average=a, zero_division=0))
        scores["samples"] = [float(v) for v in sk.precision_recall_fscore_support(gold, predicted, average="samples", zero_division=0)[:3]]
        cases.append({
            "gold": gold.tolist(), "predicted": predicted.tolist(), "each": [x.tolist() for x in each], "averages": scores,
            "exact": sk.accuracy_score(gold, predicted), "hamming": sk.hamming_loss(gold, predicted),
        })
    return cases


def similarity():
    cases = []
    for n, step in ((50, None), (80, 0.5), (3, 1.0), (30, 1.0)):
        x = rng.normal(size=n)
        y = x + rng.normal(size=n)
        if step:
            x, y = np.round(x / step) * step, np.round(y / step) * step
        cases.append({
            "gold": x.tolist(), "predicted": y.tolist(), "pearson": float(scipy.stats.pearsonr(x, y)[0]),
            "spearman": float(scipy.stats.spearmanr(x, y)[0]), "kendall": float(scipy.stats.kendalltau(x, y)[0]),
            "mse": sk.mean_squared_error(x, y), "mae": sk.mean_absolute_error(x, y), "r2": sk.r2_score(x, y),
        })
    return cases


def retrieval():
    cases = []
    for docs, relevant, graded in ((20, 3, False), (50, 10, True), (8, 1, False), (12, 12, True)):
        gains = np.zeros(docs)
        gains[rng.permutation(docs)[:relevant]] = rng.integers(1, 4, relevant) if graded else 1
        scores = rng.permutation(docs) + 0.1 * rng.random(docs)
        order = np.argsort(-scores)
        hits = np.flatnonzero(gains[order] > 0)
        case = {"gains": gains.tolist(), "scores": scores.tolist(), "mrr": 1 / (hits[0] + 1),
                "map": float(sk.label_ranking_average_precision_score([gains > 0], [scores])) if docs > relevant else 1.0,
                "recall": {}, "ndcg": {}}
        for k in (1, 3, 10):
            case["recall"][k] = float((gains[order[:k]] > 0).sum() / relevant)
            case["ndcg"][k] = float(sk.ndcg_score([gains], [scores], k=k))
        cases.append(case)
    return cases


def tagging():
    cases = []
    named = {"IOB1": schemes.IOB1, "IOB2": schemes.IOB2, "IOE2": schemes.IOE2, "IOBES": schemes.IOBES, "BILOU": schemes.BILOU}
    prefixes = {"IOB1": "IB", "IOB2": "IB", "IOE2": "IE", "IOBES": "IBES", "BILOU": "BILU", "": "IBES"}
    for scheme in prefixes:
        for sentences, mess in ((30, 0.3), (8, 1.0), (3, 0.0)):
            def tag():
                return "O" if rng.random() < 0.4 else rng.choice(list(prefixes[scheme])) + "-" + rng.choice(["PER", "LOC", "ORG-X"])
            gold = [[tag() for _ in range(rng.integers(1, 12))] for _ in range(sentences)]
            predicted = [[tag() if rng.random() < mess else t for t in s] for s in gold]
            if scheme == "" and mess == 0.3:
                gold[0][0], predicted[0][0] = "B", "I"  # tags without a type
            if scheme:
                score = lambda a: strict_entities(gold, predicted, average=a, scheme=named[scheme])
                names = sorted({e.tag for s in (gold, predicted) for l in schemes.Entities(s, named[scheme]).entities for e in l})
            else:
                score = lambda a: entities(gold, predicted, average=a)
                names = sorted({e[0] for s in (gold, predicted) for e in get_entities(s)})
            cases.append({"scheme": scheme, "gold": gold, "predicted": predicted, "types": names, "each": [x.tolist() for x in score(None)],
                          "averages": averages(score), "accuracy": accuracy_score(gold, predicted)})
    return cases


WORDS = "the cat sat on a mat and dogs were running quickly through relational conditions hopefully agreed ties skies dying news".split()


def sentence(n):
    return " ".join(rng.choice(WORDS, n)) if n else ""


def summarization():
    kinds = ["rouge1", "rouge2", "rougeL", "rougeLsum"]
    texts = [([sentence(12)], sentence(9)) for _ in range(10)]
    texts += [(["\n".join(sentence(rng.integers(0, 9)) for _ in range(4))], "\n".join(sentence(rng.integers(0, 9)) for _ in range(3))) for _ in range(15)]
    texts += [([sentence(7), sentence(5), sentence(11)], sentence(8)) for _ in range(10)]
    texts += [([""], "a"), (["a"], ""), ([""], ""), (["..."], "the"), (["don't-stop, 3.5% of it!"], "don t stop: 3 5 of IT"),
              (["\u0130stanbul caf\u00e9 \u212aelvin"], "istanbul caf kelvin"), (["\u65e5\u672c x1\u0e01y"], "x1 y"), (["one two\n\n three"], "three\none two")]
    cases = []
    for references, prediction in texts:
        case = {"references": references, "prediction": prediction}
        for stem in (False, True):
            scorer = rouge_scorer.RougeScorer(kinds, use_stemmer=stem)
            case["stem" if stem else "plain"] = {k: list(v) for k, v in scorer.score_multi(references, prediction).items()}
        cases.append(case)
    return cases


SUFFIXES = """s es ies sses ss ed eed ing ied at bl iz y ational tional enci anci izer bli abli alli entli eli ousli ization ation ator alism iveness fulness ousness
aliti iviti biliti fulli logi icate ative alize iciti ical ful ness al ance ence er ic able ible ant ement ment ent ion sion tion ou ism ate iti ous ive ize e ll""".split()


def stems():
    """Random stems under all suffixes, twice, and the irregular ones."""
    stemmer = PorterStemmer()
    words = set(stemmer.pool) | set("yyyy sayyid by y ye a1b2 123 feed enjoyment geologi fly spied".split())
    letters = list("bcdlmnstrwxyzaeiou1")
    while len(words) < 2000:
        word = "".join(rng.choice(letters, rng.integers(0, 6))) + str(rng.choice(SUFFIXES))
        if rng.random() < 0.3:
            word += str(rng.choice(SUFFIXES))
        if len(word) > 3:
            words.add(word)
    return {w: stemmer.stem(w) for w in sorted(words)}


# evaluate-v1.1.py and evaluate-v2.0.py

def normalize_answer(s):
    def remove_articles(text):
        return re.sub(r"\b(a|an|the)\b", " ", text)

    def white_space_fix(text):
        return " ".join(text.split())

    def remove_punc(text):
        exclude = set(string.punctuation)
        return "".join(ch for ch in text if ch not in exclude)
    return white_space_fix(remove_articles(remove_punc(s.lower())))


def f1_v1(prediction, ground_truth):
    p, g = normalize_answer(prediction).split(), normalize_answer(ground_truth).split()
    same = sum((collections.Counter(p) & collections.Counter(g)).values())
    if same == 0:
        return 0
    precision, recall = 1.0 * same / len(p), 1.0 * same / len(g)
    return (2 * precision * recall) / (precision + recall)


def exact(prediction, ground_truth):
    return int(normalize_answer(prediction) == normalize_answer(ground_truth))


def f1_v2(a_gold, a_pred):
    gold = normalize_answer(a_gold).split() if a_gold else []
    pred = normalize_answer(a_pred).split() if a_pred else []
    same = sum((collections.Counter(gold) & collections.Counter(pred)).values())
    if len(gold) == 0 or len(pred) == 0:
        return int(gold == pred)
    if same == 0:
        return 0
    precision, recall = 1.0 * same / len(pred), 1.0 * same / len(gold)
    return (2 * precision * recall) / (precision + recall)


def best_threshold(preds, scores, na_probs, has_answer):
    cur = best = sum(1 for k in has_answer if not has_answer[k])
    threshold = 0.0
    for qid in sorted(na_probs, key=lambda k: na_probs[k]):
        if has_answer[qid]:
            diff = scores[qid]
        else:
            diff = -1 if preds[qid] else 0
        cur += diff
        if cur > best:
            best, threshold = cur, na_probs[qid]
    return 100.0 * best / len(scores), threshold


def question_answering():
    pieces = ["the", "The", "a", "an", "Cat", "sat", "on", "mat", "1,000", "U.S.", "caf\u00e9", "\u4e2d\u6587", "e-mail", "A", "\u0130x", "\u03a3\u039f\u03a3", "it's", "\u2018a\u2019", "\u00a0", "\x1f", "an\u0301", "a\u0e31", "\u2167"]
    text = lambda n: " ".join(rng.choice(pieces, n))
    answers = [[text(rng.integers(1, 5)) for _ in range(rng.integers(1, 4))] for _ in range(120)]
    answers += [["the"], ["a", "cat"], ["..."]]
    predictions = [str(rng.choice(a)) if rng.random() < 0.3 else text(rng.integers(0, 5)) for a in answers]
    n = len(answers)
    v1 = {"exact": [max(exact(p, a) for a in g) for p, g in zip(predictions, answers)], "f1": [max(f1_v1(p, a) for a in g) for p, g in zip(predictions, answers)]}
    v1["exact_match"], v1["f1_score"] = 100.0 * sum(v1["exact"]) / n, 100.0 * sum(v1["f1"]) / n

    gold2 = [g if rng.random() < 0.6 else [] for g in answers]
    preds2 = [p if rng.random() < 0.7 else "" for p in predictions]
    na = [float(x) for x in np.round(rng.random(n), 2)]
    exacts, f1s = {}, {}
    for i, g in enumerate(gold2):
        usable = [a for a in g if normalize_answer(a)] or [""]
        exacts[i] = max(exact(a, preds2[i]) for a in usable)
        f1s[i] = max(f1_v2(a, preds2[i]) for a in usable)
    has = {i: bool(g) for i, g in enumerate(gold2)}
    limit = 0.6
    thresholded = lambda s: {i: float(not has[i]) if na[i] > limit else s[i] for i in s}
    result = lambda s: [100.0 * sum(s.values()) / n, 100.0 * np.mean([s[i] for i in s if has[i]]), 100.0 * np.mean([s[i] for i in s if not has[i]])]
    predicted, probabilities = dict(enumerate(preds2)), dict(enumerate(na))
    best_exact, exact_at = best_threshold(predicted, exacts, probabilities, has)
    best_f1, f1_at = best_threshold(predicted, f1s, probabilities, has)
    v2 = {"answers": gold2, "predictions": preds2, "no_answer": na, "limit": limit,
          "exact": result(thresholded(exacts)), "f1": result(thresholded(f1s)), "plain_exact": result(exacts), "plain_f1": result(f1s),
          "best_exact": best_exact, "best_exact_at": exact_at, "best_f1": best_f1, "best_f1_at": f1_at}
    return {"answers": answers, "predictions": predictions, "v1": v1, "v2": v2,
            "normal": {s: normalize_answer(s) for s in sorted({p for g in answers for p in g} | set(predictions))}}


def windows():
    """What transformers' run_qa makes of a pair: tokenizers' windows (only_second, stride) on words."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    vocab = {"[CLS]": 0, "[SEP]": 1, "[UNK]": 2} | {f"w{i}": i + 3 for i in range(40)}
    cases = []
    for question, context, size, stride in ((3, 30, 16, 4), (2, 5, 16, 0), (4, 9, 12, 3), (1, 25, 9, 2), (2, 11, 16, 5), (2, 12, 16, 5)):
        tokenizer = Tokenizer(models.WordLevel(vocab, unk_token="[UNK]"))
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        tokenizer.post_processor = processors.BertProcessing(("[SEP]", 1), ("[CLS]", 0))
        tokenizer.enable_truncation(size, stride=stride, strategy="only_second")
        text = [" ".join(f"w{i}" for i in rng.integers(0, 40, n)) for n in (question, context)]
        first = tokenizer.encode(*text)
        tokenizer.no_truncation()
        whole = [tokenizer.encode(t, add_special_tokens=False) for t in text]
        cases.append({"question": whole[0].ids, "context": whole[1].ids, "offsets": whole[1].offsets, "size": size, "stride": stride,
                      "windows": [{"ids": e.ids, "segments": e.type_ids,
                                   "offsets": [list(o) if s == 1 else None for o, s in zip(e.offsets, e.sequence_ids)]} for e in [first] + first.overflowing]})
    return cases


def postprocess(features, context, v2, n_best, longest, threshold):
    """transformers/examples/pytorch/question-answering/utils_qa.py, postprocess_qa_predictions, for one example."""
    null, prelim = None, []
    for f in features:
        start, end, offsets = np.array(f["start"]), np.array(f["end"]), f["offsets"]
        score = start[0] + end[0]
        if null is None or null["score"] > score:
            null = {"offsets": (0, 0), "score": score, "start_logit": start[0], "end_logit": end[0]}
        for s in np.argsort(start)[-1:-n_best - 1:-1].tolist():
            for e in np.argsort(end)[-1:-n_best - 1:-1].tolist():
                if s >= len(offsets) or e >= len(offsets) or offsets[s] is None or len(offsets[s]) < 2 or offsets[e] is None or len(offsets[e]) < 2:
                    continue
                if e < s or e - s + 1 > longest:
                    continue
                prelim.append({"offsets": (offsets[s][0], offsets[e][1]), "score": start[s] + end[e], "start_logit": start[s], "end_logit": end[e]})
    if v2 and null is not None:
        prelim.append(null)
        null_score = null["score"]
    preds = sorted(prelim, key=lambda x: x["score"], reverse=True)[:n_best]
    if v2 and null is not None and not any(p["offsets"] == (0, 0) for p in preds):
        preds.append(null)
    for p in preds:
        p["text"] = context[p["offsets"][0]:p["offsets"][1]]
    scores = np.array([p["score"] for p in preds])
    exps = np.exp(scores - scores.max())
    out = {"texts": [p["text"] for p in preds], "probabilities": (exps / exps.sum()).tolist()}
    if not v2:
        return out | {"answer": preds[0]["text"]}
    best = next(p for p in preds if p["text"] != "")
    diff = null_score - best["start_logit"] - best["end_logit"]
    return out | {"answer": "" if diff > threshold else best["text"], "difference": float(diff)}


def answers():
    cases = []
    for case in windows():
        context = "".join(chr(97 + i % 26) for i in range(max(o[1] for o in case["offsets"])))
        for v2 in (False, True):
            features = [{"offsets": w["offsets"], "start": numbers(rng.normal(size=len(w["ids"]))), "end": numbers(rng.normal(size=len(w["ids"])))} for w in case["windows"]]
            setting = {"v2": v2, "n_best": 20 if v2 else 8, "longest": 6, "threshold": 0.2}
            cases.append(setting | {"context": context, "features": features} | postprocess(features, context, **setting))
    return cases


if __name__ == "__main__":
    folder = pathlib.Path(sys.argv[1])
    for make in (classification, multilabel, similarity, retrieval, tagging, summarization, stems, question_answering, windows, answers):
        text = json.dumps(make(), separators=(",", ":"))
        (folder / (make.__name__ + ".json")).write_text(text + "\n")
