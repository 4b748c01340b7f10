"""What OpenAI's CLIP makes of texts: clip_text.py MERGES ../../tokenizer/tidy/testdata/golden.json writes the golden file of tokenizer/tidy and
of CLIP's tokenizer. MERGES is bpe_simple_vocab_16e6.txt.gz.

Without arguments it reads {"merges": FILE, "json": FILE, "texts": [...]} on standard input and prints, for each text, what ftfy.fix_text makes of
it, what html.unescape does, the text as it is split, its ids without start and end (null where the text has characters that regex, whose
Unicode is newer than Python's, takes for letters), and the ids of Hugging Face's tokenizer.json for the cleaned text (null where its own
clean-up changes that).

open_clip's SimpleTokenizer is OpenAI's code with other names for the special tokens, which are not looked for here.
"""
import html
import json
import sys
import unicodedata

import ftfy
import regex
from open_clip.tokenizer import SimpleTokenizer

PHRASES = ["a café in Málaga — “très joli”", "naïve coöperation ½ €20 £5 ™", "Привет, мир", "Ελληνικά και", "Zażółć gęślą jaźń", "日本語の文", "👍🏽 ok 🇩🇪", "à la mode, àquele", "السلام عليكم", "‘quote’ … dash–dash"]
ENCODINGS = ["latin-1", "sloppy-windows-1252", "sloppy-windows-1251", "sloppy-windows-1250", "sloppy-windows-1253", "sloppy-windows-1254", "sloppy-windows-1257", "iso-8859-2", "macroman", "cp437"]
OTHERS = [
    "", " ", "a photo of a dog", "A PHOTO\tof\r\n a\x0bDog\x1c!", "  two  spaces\u3000wide ", "don't we'LL I'm they've you'd it's", "2024 100% 3.14", "a_b-c+d",
    "&amp;", "&amp;amp;", "&lt;b&gt; tags", "<b>&lt;", "one\n<two>\n&lt;three", "&eacute;&EACUTE;&Eacute;&eAcute;", "&szlig;&SZLIG;&napos;&NAPOS;&FJLIG;", "&not;&notin;&notit;&ampx;&AMP", "&semi;&SEMI;&#59;&#x3b;",
    "&#0;&#128;&#x80;&#xd800;&#x110000;&#65&#x41;&#11;&#xfdd0;&#99999999999999999999;", "&nosuch;&;&#;&#x;&", "&CounterClockwiseContourIntegral;", "&hellip; it&#x2019;s ﬂubberiﬁc &frac12;&FRAC12;&sup3;",
    "ŉ ǅ Ĳ ﬃ ﬆ", "ＬＯＵＤ　ＮＯＩＳＥＳ ｶﾞｷﾞ ￦", "„low‟ ‚single‛ ʼn", "a\u2028b\u2029c\u0085d\re\r\nf", "\x1b[36;44mblue\x1b[0m \x1b[٣m", "\ufeffbom \u200bzero\u200d \x00\x07\x7f\ufffc\u206a", "e\u0301 A\u030a \u1100\u1161",
    "ΑΣ ΑΣ. ΑΣΑ Σ 1Σ ΑΣ'Α Α'Σ", "İstanbul DIYARBAKIR ẞ", "H\u0331 &#x48;&#x331;", "Ã la mode", "voilÃ le travail", "Ã ", "Â ", "fÃ cil Ã s Ã quele", "lowÂ space, no.Â «", "â€œ like this â€�", "sÃ�Â¿", "âœ” No problems", "&macr;\\_(ã\x83\x84)_/&macr;",
    "schÃ¶n and cafÃ©", "one schÃ¶n, one schön", "L&AMP;AMP;ATILDE;&AMP;AMP;SUP3;PEZ", "рџЌєвЂ™", "СЃРїР°СЃРёР±Рѕ", "ГўВЂВ™s", "β€™", "‚Äôs ‚Äì √© ≈°", "\xed\xa0\xbd\xed\xb8\x80", "Ã\x80\xc0\x80", "à² ã\x80", "Œ œuf", "Ø§ÙŠ Ù„", "×² °C É°",
    "¦¨ ±É à¸ƒ", "\x80\x81\x9d", "caf\x82\x85", "Ð½Ð° Ð", "┬á ├⌐ │└", "smile :) ლ(ಠ益ಠლ) (°ô°)", "x\x1aâ€\x1a", "Ã?Â? é?", "<|endoftext|> <|startoftext|>", "中文，字符！", "ไทย हिन्दी עברית", "👩‍👩‍👧‍👦🏳️‍🌈1️⃣",
]


def texts():
    for phrase in PHRASES:
        yield phrase
        for encoding in ENCODINGS:
            once = phrase.encode().decode(encoding, "replace")
            yield once
            yield once.replace("\xa0", " ")
        yield phrase[:6] + phrase.encode().decode("latin-1").encode().decode("sloppy-windows-1252")
    yield from OTHERS


def answers(merges, texts, fast=None):
    tok = SimpleTokenizer(merges)
    tok.pat = regex.compile(r"""'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+""", regex.IGNORECASE)
    tok.cache = {}
    for text in texts:
        clean = tok.clean_fn(text)
        newer = any(unicodedata.category(c) == "Cn" and regex.match(r"[\p{L}\p{N}]", c) for c in clean)
        answer = {"fixed": ftfy.fix_text(text), "unescaped": html.unescape(text), "clean": clean, "ids": None if newer else tok.encode(text)}
        if fast:
            changed = unicodedata.normalize("NFC", clean) != clean
            answer["fast"] = None if changed else fast.encode(clean, add_special_tokens=False).ids
        yield answer


if __name__ == "__main__":
    if len(sys.argv) == 1:
        from tokenizers import Tokenizer
        job = json.load(sys.stdin)
        fast = Tokenizer.from_file(job["json"])
        fast.encode_special_tokens = True
        json.dump(list(answers(job["merges"], job["texts"], fast)), sys.stdout)
    else:
        all = list(texts())
        with open(sys.argv[2], "w") as f:  # a line for every case
            f.write("[\n" + ",\n".join(json.dumps({"text": t, **a}) for t, a in zip(all, answers(sys.argv[1], all))) + "\n]\n")
