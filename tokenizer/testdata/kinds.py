"""Writes tokenizer.json files of every kind that no published one at hand has. usage: kinds.py FOLDER TEXT...

All are made with Hugging Face tokenizers; the vocabularies are trained on the texts.
"""
import json
import os
import sys

os.environ["TOKENIZERS_PARALLELISM"] = "false"  # its threads wait for each other on a small machine

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

N, P, D, X = normalizers, pre_tokenizers, decoders, processors
folder, texts = sys.argv[1], [open(p, encoding="utf-8").read()[:120_000] for p in sys.argv[2:]]
lines = [line for t in texts for line in t.split("\n")]


def save(name, tok, added=()):
    if added:
        tok.add_tokens(list(added))
    tok.save(os.path.join(folder, name + ".json"))


def make(model, trainer, normalizer=None, pre=None, decoder=None, post=None):
    tok = Tokenizer(model)
    if normalizer:
        tok.normalizer = normalizer
    if pre:
        tok.pre_tokenizer = pre
    tok.train_from_iterator(lines, trainer)
    if decoder:
        tok.decoder = decoder
    if post:
        tok.post_processor = post
    return tok


def edited(name, base, **sections):
    """Writes a copy of another file with other sections."""
    j = json.load(open(os.path.join(folder, base + ".json"), encoding="utf-8"))
    for key, value in sections.items():
        if isinstance(value, dict) and key == "model":
            j["model"].update(value)
        else:
            j[key] = value
    json.dump(j, open(os.path.join(folder, name + ".json"), "w", encoding="utf-8"), ensure_ascii=False)


def named(part):
    return json.loads(part.__getstate__())


BYTES = [f"<0x{b:02X}>" for b in range(256)]
quiet = dict(show_progress=False)
template = X.TemplateProcessing(single="<s> $A </s>", pair="<s> $A </s> $B:1 </s>:1", special_tokens=[("<s>", 1), ("</s>", 2)])
special = ["<unk>", "<s>", "</s>"]

# WordPiece.
bert_special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
for name, lower, accents in [("wordpiece-cased", False, None), ("wordpiece-uncased", True, None), ("wordpiece-accents", False, True)]:
    tok = make(models.WordPiece(unk_token="[UNK]"), trainers.WordPieceTrainer(vocab_size=3000, special_tokens=bert_special, **quiet),
               N.BertNormalizer(lowercase=lower, strip_accents=accents), P.BertPreTokenizer(), D.WordPiece(),
               X.BertProcessing(("[SEP]", 3), ("[CLS]", 2)))
    save(name, tok, [AddedToken("Keep This", normalized=True), AddedToken("<x>", lstrip=True, rstrip=True), AddedToken("the", single_word=True)])
edited("wordpiece-short", "wordpiece-cased", model={"max_input_chars_per_word": 6}, pre_tokenizer=named(P.Whitespace()),
       normalizer=named(N.Sequence([N.NFKC(), N.StripAccents(), N.Strip(left=True, right=False)])), decoder=named(D.WordPiece(cleanup=False)))

# WordLevel with each pre-tokenizer.
split = lambda b, inv=False: P.Split(Regex(r"[aeiou]+|\d"), b, inv)
pres = {
    "whitespace": P.Whitespace(), "whitespacesplit": P.WhitespaceSplit(), "punctuation": P.Punctuation("contiguous"),
    "punctuation-removed": P.Punctuation("removed"), "digits": P.Digits(False), "digits-each": P.Digits(True),
    "delimiter": P.CharDelimiterSplit("e"), "scripts": P.UnicodeScripts(), "fixed": P.FixedLength(3),
    "sequence": P.Sequence([P.WhitespaceSplit(), P.Digits(True), P.Punctuation("merged_with_previous"), P.UnicodeScripts()]),
    "string": P.Split("th", "merged_with_next"), "empty": P.Split("", "isolated"), "lines": P.Split(Regex("^.|.$"), "isolated"),
}
for b in ["removed", "isolated", "merged_with_previous", "merged_with_next", "contiguous"]:
    pres["split-" + b], pres["invert-" + b] = split(b), split(b, True)
for name, pre in pres.items():
    save("wordlevel-" + name, make(models.WordLevel(unk_token="<unk>"),
         trainers.WordLevelTrainer(vocab_size=4000, special_tokens=special, **quiet), pre=pre, post=template))

# BPE of characters.
bpe = lambda **o: models.BPE(unk_token="<unk>", **o)
train_bpe = lambda **o: trainers.BpeTrainer(vocab_size=3000, special_tokens=special + o.pop("more", []), limit_alphabet=150, **quiet, **o)
save("bpe-suffix", make(bpe(end_of_word_suffix="</w>"), train_bpe(end_of_word_suffix="</w>"), N.Lowercase(), P.Whitespace(), D.BPEDecoder(), template))
save("bpe-prefix", make(bpe(continuing_subword_prefix="@@"), train_bpe(continuing_subword_prefix="@@"), N.NFD(), P.WhitespaceSplit(), D.WordPiece("@@"), template))
save("bpe-plain", make(bpe(), train_bpe(), N.NFC()), [AddedToken("foo", normalized=False), AddedToken("É", normalized=True)])
edited("bpe-fuse", "bpe-plain", model={"fuse_unk": True}, normalizer=named(N.NFKD()), decoder=named(D.CTC("e", "t", True)))
edited("bpe-none", "bpe-plain", model={"unk_token": None}, normalizer=named(N.Nmt()))
edited("bpe-ignore", "bpe-plain", model={"ignore_merges": True}, pre_tokenizer=named(P.BertPreTokenizer()))

# BPE as Llama 2 and Gemma have it.
llama = N.Sequence([N.Prepend("▁"), N.Replace(" ", "▁")])
llama_decoder = D.Sequence([D.Replace("▁", " "), D.ByteFallback(), D.Fuse(), D.Strip(" ", 1, 0)])
tok = make(bpe(fuse_unk=True, byte_fallback=True), train_bpe(more=BYTES), pre=P.Metaspace(), decoder=llama_decoder, post=template)
tok.normalizer = llama
save("llama", tok, [AddedToken("<|user|>", special=True, normalized=False), AddedToken("<tool>", lstrip=True, rstrip=True)])
edited("llama", "llama", pre_tokenizer=None)
edited("llama-raw", "llama", decoder=None)
edited("gemma", "llama", normalizer=named(N.Replace(" ", "▁")), pre_tokenizer=named(P.Split(" ", "merged_with_previous")),
       decoder=named(D.Sequence([D.Replace("▁", " "), D.ByteFallback(), D.Fuse()])))
for scheme in ["first", "always", "never"]:
    for cut in [True, False]:
        edited(f"metaspace-{scheme}-{cut}".lower(), "llama", normalizer=None,
               pre_tokenizer=named(P.Metaspace(prepend_scheme=scheme, split=cut)), decoder=named(D.Metaspace(prepend_scheme=scheme)))
edited("metaspace-first-strip", "llama", normalizer=named(N.Sequence([N.Strip(), N.Lowercase()])), pre_tokenizer=named(P.Metaspace(prepend_scheme="first")))
edited("metaspace-first-replace", "llama", normalizer=named(N.Replace(Regex(" {2,}|^x"), " ")), pre_tokenizer=named(P.Metaspace(prepend_scheme="first")))
edited("replace-empty", "llama", normalizer=named(N.Sequence([N.Replace("z", ""), N.Replace(Regex("^|q"), "▁")])),
       pre_tokenizer=named(P.Metaspace(prepend_scheme="never")))
edited("strip-each", "llama", decoder=named(D.Sequence([D.Replace("▁", " "), D.Strip(" ", 2, 0), D.ByteFallback(), D.Fuse(), D.Replace(Regex("[aeiou]"), "*")])))

# Byte-level BPE other than GPT-2's.
alphabet = dict(initial_alphabet=P.ByteLevel.alphabet())
tok = make(models.BPE(), trainers.BpeTrainer(vocab_size=3000, special_tokens=special, **alphabet, **quiet),
           pre=P.ByteLevel(add_prefix_space=True), decoder=D.ByteLevel(), post=X.RobertaProcessing(("</s>", 2), ("<s>", 1)))
save("roberta", tok, [AddedToken("<mask>", lstrip=True, special=True)])
bytelevel = P.ByteLevel(add_prefix_space=False)
edited("bytelevel-trim", "roberta", pre_tokenizer=named(bytelevel), post_processor=named(X.Sequence([X.ByteLevel(trim_offsets=True), template])))
edited("bytelevel-nfc", "roberta", normalizer=named(N.NFC()), pre_tokenizer=named(P.Sequence([P.Digits(True), bytelevel])), post_processor=named(X.ByteLevel(trim_offsets=False)))
edited("bytelevel-normalizer", "roberta", normalizer=named(N.Sequence([N.NFKC(), N.ByteLevel()])), pre_tokenizer=named(P.Split(Regex("Ġ?[^Ġ]+|Ġ"), "isolated")))
edited("bytelevel-noregex", "roberta", pre_tokenizer=named(P.Sequence([P.Punctuation(), P.ByteLevel(add_prefix_space=True, use_regex=False)])))
edited("bytelevel-bert", "roberta", post_processor=named(X.Sequence([X.BertProcessing(("</s>", 2), ("<s>", 1)), X.ByteLevel(trim_offsets=True)])))
clip_split = P.Split(Regex(r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"), "removed", True)
tok = make(models.BPE(unk_token="</s>", end_of_word_suffix="</w>"),
           trainers.BpeTrainer(vocab_size=3000, special_tokens=special, end_of_word_suffix="</w>", **alphabet, **quiet),
           N.Sequence([N.NFC(), N.Replace(Regex(r"\s+"), " "), N.Lowercase()]), P.Sequence([clip_split, bytelevel]), D.ByteLevel(),
           X.RobertaProcessing(("</s>", 2), ("<s>", 1), trim_offsets=False, add_prefix_space=False))
save("clip", tok)

# Unigram.
unigram = trainers.UnigramTrainer(vocab_size=5000, special_tokens=special, unk_token="<unk>", **quiet)
tok = make(models.Unigram(), unigram, N.Sequence([N.NFKC(), N.Replace(Regex(" {2,}"), " ")]), P.Metaspace(), D.Metaspace(), template)
save("unigram", tok)
j = json.loads(tok.to_str())
j["model"]["vocab"] += [[b, 0.0] for b in BYTES]
j["model"]["byte_fallback"] = True
j["decoder"] = named(D.Sequence([D.ByteFallback(), D.Metaspace()]))
json.dump(j, open(os.path.join(folder, "unigram-bytes.json"), "w"), ensure_ascii=False)
edited("unigram-whole", "unigram", pre_tokenizer=None, normalizer=named(llama))
