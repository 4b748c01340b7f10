"""Texts for pre-training and tables of labelled examples, from the test data.

    python prepare.py DATA OUT

DATA holds corpora/, instruct/ and tasks/. OUT/corpus gets JSON lines to pre-train on, OUT/tasks tables of the columns text and label.
Pre-training reads no text of any test set: rows of a test set that occur in a training set are left out of the test set.
"""

import bz2
import csv
import glob
import html
import json
import os
import random
import re
import sys
import tarfile
import zipfile

DATA, OUT = sys.argv[1:3]


def path(name):
    return os.path.join(DATA, name)


def read(name, encoding="utf-8"):
    with open(path(name), encoding=encoding) as f:
        return f.read()


def lines(name):
    return read(name).split("\n")


def write_corpus(name, documents, copies=1):
    """Texts that are close to a task are there twice: they are few."""
    documents = [json.dumps({"text": d.strip()}, ensure_ascii=False) for d in documents if d.strip()]
    for suffix in ["", "-again"][:copies]:
        with open(os.path.join(OUT, "corpus", name + suffix + ".jsonl"), "w", encoding="utf-8") as f:
            f.writelines(d + "\n" for d in documents)


def write_table(name, rows):
    with open(os.path.join(OUT, "tasks", name + ".csv"), "w", encoding="utf-8", newline="") as f:
        csv.writer(f).writerows([["text", "label"], *rows])


def documents(text):
    """Documents of about 4,000 characters, cut between paragraphs."""
    part, length = [], 0
    for paragraph in re.split(r"\n\s*\n", text.replace("\r", "")):
        paragraph = " ".join(paragraph.split())
        part.append(paragraph)
        length += len(paragraph)
        if length > 4000:
            yield "\n".join(part)
            part, length = [], 0
    if part:
        yield "\n".join(part)


def of_lines(text):
    """The same of a text whose lines are paragraphs."""
    return documents("\n\n".join(text.split("\n")))


def books():
    """Author and text of each book, without what Project Gutenberg wrote around it."""
    for name in sorted(glob.glob(path("corpora/gutenberg/*.txt"))):
        encoding = "latin-1" if "shakespeare-caesar" in name else "utf-8"
        with open(name, encoding=encoding, errors="replace") as f:
            text = f.read()
        text = re.sub(r"(?s)^.*?\*\*\* ?START OF TH[^\n]*", "", text)
        yield os.path.basename(name).split("-")[0], re.sub(r"(?s)End of (the )?Project Gutenberg.*", "", text)


def authors():
    """Who wrote a passage of 50 words. The first three quarters of a book are for pre-training and labels, the next twentieth for validation, the last fifth for the test."""
    corpus, parts = [], {"train": {}, "dev": {}, "test": {}}
    for author, text in books():
        cuts = {"train": (0, 0.75), "dev": (0.75, 0.8), "test": (0.8, 1)}
        for part, (start, end) in cuts.items():
            text_of = text[int(start * len(text)) : int(end * len(text))]
            words = text_of.split()
            parts[part].setdefault(author, []).extend(" ".join(words[i : i + 50]) for i in range(0, len(words) - 49, 50))
            if part == "train":
                corpus += documents(text_of)
    write_corpus("gutenberg", corpus)
    for part, most in [("train", 2000), ("dev", 20), ("test", 75)]:
        rows = []
        for author, passages in parts[part].items():
            random.Random(1).shuffle(passages)
            rows += [[p, author] for p in passages[:most]]
        write_table("authors-" + part, rows)


def wikitext():
    text = read("corpora/wikitext-2/valid.txt")
    return of_lines(text.replace(" @-@ ", "-").replace(" @,@ ", ",").replace(" @.@ ", ".").replace("<unk>", ""))


def wikipedia():
    name = path("corpora/wikipedia-dump/enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2")
    with bz2.open(name, "rt", encoding="utf-8") as f:
        dump = f.read()
    for page in re.findall(r"<page>(.*?)</page>", dump, re.S):
        found = re.search(r"<text[^>]*>(.*?)</text>", page, re.S)
        if not found:
            continue
        x = html.unescape(html.unescape(found.group(1)))
        x = re.sub(r"<!--.*?-->|<ref[^>]*/>|<ref.*?</ref>|<(math|gallery|table|timeline)[^>]*>.*?</\1>", " ", x, flags=re.S)
        for _ in range(5):  # templates stand in templates
            x = re.sub(r"\{\{[^{}]*\}\}|\{\|[^{}]*\|\}", " ", x, flags=re.S)
        x = re.sub(r"\[\[(?:File|Image|Category)[^\[\]]*(?:\[\[[^\[\]]*\]\][^\[\]]*)*\]\]", " ", x)
        x = re.sub(r"\[\[(?:[^\[\]|]*\|)?([^\[\]|]*)\]\]", r"\1", x)
        x = re.sub(r"\[https?://\S+ ?([^\]]*)\]", r"\1", x)
        x = re.sub(r"<[^>]+>", " ", re.sub(r"'{2,}", "", x))
        prose = [p for p in x.split("\n") if len(p) > 80 and not p.lstrip().startswith(("*", "|", "#", "=", "!", "{", ":"))]
        yield from documents("\n\n".join(prose))


def reviews():
    with zipfile.ZipFile(path("tasks/opinosis/OpinosisDataset1.0_0.zip")) as z:
        for name in z.namelist():
            if name.startswith("topics/") and name.endswith(".txt.data"):
                yield from of_lines(z.read(name).decode("latin-1"))


def instructions():
    for name in ["alpaca_en_demo", "dpo_en_demo", "kto_en_demo"]:
        for row in json.loads(read(f"instruct/llama-factory/{name}.json")):
            if "conversations" in row:
                chosen = row["chosen"]["value"] if "chosen" in row else ""
                yield "\n".join(turn["value"] for turn in row["conversations"]) + "\n" + chosen
            elif "messages" in row:
                yield "\n".join(turn["content"] for turn in row["messages"])
            else:
                yield "\n".join([row["instruction"], row.get("input", ""), row["output"]])


def news(text):
    """AG News lost the ampersands of its entities, and has backslashes for line ends."""
    return html.unescape(re.sub(r" #(\d+);", r"&#\1;", text)).replace("\\", " ")


def unseen(test, train):
    seen = {text for text, _ in train}
    return [row for row in test if row[0] not in seen]


def sst2():
    train, dev, test = ([line.split("\t") for line in lines(f"tasks/sst2/{s}.tsv") if line] for s in ["train", "dev", "test"])
    write_corpus("sst2", (text for text, _ in train), copies=2)
    write_table("sst2-train", train)
    write_table("sst2-dev", dev)
    write_table("sst2-test", unseen(test, train))


def agnews():
    train = [line.split("\t") for line in lines("tasks/agnews/train10k.tsv") if line]
    write_corpus("agnews", (text for text, _ in train), copies=2)  # as it stands in the file
    train = [[news(text).strip(), label] for text, label in train if text.strip()]
    names = lines("tasks/agnews/classes.txt")
    test = [[news(row[2]).strip(), names[int(row[0]) - 1]] for row in csv.reader(read("tasks/agnews/test.csv").splitlines(True))]
    test = unseen(test, train)
    random.Random(1).shuffle(test)
    write_table("agnews-train", train)
    write_table("agnews-test", test[:1000])  # of 7,588: the curve tests some hundred models


def mmlu():
    """The subject of an exam question, without its answers: of the six subjects whose test questions are there, two thirds to learn from. Pre-training reads these, and
    the questions of the other subjects."""
    train, test, dev, others = [], [], [], []
    with tarfile.open(path("tasks/mmlu/mmlu_dev_val.tar.gz")) as archive:
        members = {os.path.basename(m.name): m for m in archive.getmembers()}
        for name in sorted(glob.glob(path("tasks/mmlu/test/*_test.csv"))):
            subject = os.path.basename(name)[: -len("_test.csv")]
            with open(name, encoding="utf-8") as f:
                questions = sorted({" ".join(row[0].split()) for row in csv.reader(f)})
            random.Random(1).shuffle(questions)
            cut = 2 * len(questions) // 3
            train += [[q, subject] for q in questions[:cut]]
            test += [[q, subject] for q in questions[cut:]]
        for name, member in sorted(members.items()):
            subject = re.sub("_(dev|val).csv$", "", name)
            if subject == name:
                continue
            for row in csv.reader(archive.extractfile(member).read().decode().splitlines(True)):
                if subject in {label for _, label in train}:
                    dev.append([" ".join(row[0].split()), subject])
                else:
                    others.append(" ".join(" ".join(row[:5]).split()))
    write_corpus("mmlu", [q for q, _ in train] + others, copies=2)
    write_table("mmlu-train", train)
    write_table("mmlu-dev", dev)
    write_table("mmlu-test", test)


def emoji():
    """The group of an emoji by its caption and tags."""
    rows = list(csv.DictReader(lines("images/emoji-text/emoji_captions.tsv"), delimiter="\t", quoting=csv.QUOTE_NONE))
    groups = ["people-body", "objects", "animals-nature", "food-drink", "smileys-emotion", "symbols", "travel-places", "activities"]
    seen, found = set(), []
    for r in rows:
        text = re.sub(":.*", "", r["annotation"])  # without the tone of the skin
        if r["group"] in groups and text not in seen:
            seen.add(text)
            found.append([text + ". " + r["tags"], r["group"]])
    random.Random(1).shuffle(found)
    write_table("emoji-test", found[:400])
    write_table("emoji-dev", found[400:500])
    write_table("emoji-train", found[500:])
    write_corpus("emoji", (text for text, _ in found[500:]), copies=2)


def main():
    for folder in ["corpus", "tasks"]:
        os.makedirs(os.path.join(OUT, folder), exist_ok=True)
    write_corpus("wikitext", wikitext())
    write_corpus("wiki_demo", documents(read("corpora/wiki_demo.txt")))
    write_corpus("c4", (json.loads(line)["text"] for line in lines("corpora/c4_demo.jsonl") if line))
    write_corpus("enwiki", wikipedia())
    write_corpus("opinosis", reviews(), copies=2)
    write_corpus("instruct", instructions())
    sst2()
    agnews()
    mmlu()
    authors()
    emoji()


main()
