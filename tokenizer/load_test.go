package tokenizer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/plinth-ml/plinth/tokenizer/split"
)

const tinyFile = `{"version": "1.0", "truncation": null, "padding": null,
"added_tokens": [{"id": 4, "content": "<|x|>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}],
"normalizer": null, "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false},
"post_processor": null, "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true},
"model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2, "Ġ": 3}, "merges": ["a b"]}}`

func TestLoadTiny(t *testing.T) {
	tok, err := Load([]byte(tinyFile))
	if err != nil {
		t.Fatal(err)
	}
	if ids := tok.Encode("abba ab"); !slices.Equal(ids, []int32{2, 1, 0, 3, 2}) {
		t.Errorf("have %v", ids)
	}
	if tok.VocabSize() != 5 || tok.HasAllBytes() || string(tok.Token(3)) != " " || tok.Name(3) != "Ġ" || tok.Token(5) != nil || tok.Token(-1) != nil {
		t.Errorf("size %d, token 3 %q", tok.VocabSize(), tok.Token(3))
	}
	if text := tok.Decode([]int32{2, 99, -1, 4}); text != "ab<|x|>" {
		t.Errorf("decoded %q", text)
	}
}

// TestLoadErrors changes one thing in a good file; the error must name the field.
func TestLoadErrors(t *testing.T) {
	for _, c := range []struct{ old, new, want string }{
		{`"1.0"`, `"2.0"`, "version"},
		{`"padding"`, `"paddling"`, "paddling"},
		{`"normalizer": null`, `"normalizer": {"type": "Uppercase"}`, "normalizer"},
		{`"normalizer": null`, `"normalizer": 7`, "normalizer"},
		{`{"type": "ByteLevel", "add_prefix_space": false}`, `{"type": "Sequence"}`, "pre_tokenizer.pretokenizers"},
		{`{"type": "ByteLevel", "add_prefix_space": false}`, `{"type": "Sequence", "pretokenizers": [], "x": 1}`, `"x"`},
		{`{"type": "ByteLevel", "add_prefix_space": false}`, `{"type": "Sequence", "pretokenizers": [{"type": "Digits"}, {"type": "ByteLevel"}]}`, "pretokenizers[0].individual_digits: missing"},
		{`{"type": "ByteLevel", "add_prefix_space": false}`, `{"type": "Sequence", "pretokenizers": [{"type": "Split", "pattern": {"Regex": "("}, "behavior": "Isolated", "invert": false}, {"type": "ByteLevel"}]}`, "pretokenizers[0].pattern"},
		{`{"type": "ByteLevel", "add_prefix_space": false}`, `{"type": "Split", "pattern": {"Regex": "a"}, "behavior": "Gone", "invert": false}`, "Gone"},
		{`{"type": "ByteLevel", "add_prefix_space": false}`, `{"type": "Split", "pattern": {"Regex": "a", "String": "b"}, "behavior": "Removed", "invert": false}`, "pattern"},
		{`{"type": "ByteLevel", "add_prefix_space": false}`, `{"type": "CharDelimiterSplit", "delimiter": "ab"}`, "one character"},
		{`{"type": "ByteLevel", "add_prefix_space": false}`, `{"type": "FixedLength", "length": 0}`, "length"},
		{`{"type": "ByteLevel", "add_prefix_space": false}`, `{"type": "Metaspace", "replacement": "_", "prepend_scheme": "last"}`, "prepend_scheme"},
		{`{"type": "ByteLevel", "add_prefix_space": false}`, `{"type": "Metaspace", "replacement": "_", "prepend_scheme": "always", "add_prefix_space": false}`, "add_prefix_space"},
		{`{"type": "ByteLevel", "add_prefix_space": false}`, strings.Repeat(`{"type": "Sequence", "pretokenizers": [`, 20) + strings.Repeat(`]}`, 20), "deep"},
		{`"normalizer": null`, `"normalizer": {"type": "Precompiled", "precompiled_charsmap": "AAAA"}`, "precompiled_charsmap"},
		{`"normalizer": null`, `"normalizer": {"type": "Replace", "pattern": {"String": 1}, "content": ""}`, "normalizer"},
		{`{"type": "ByteLevel", "add_prefix_space": false}`, `{"type": "ByteLevel", "shine": 1}`, "shine"},
		{`"post_processor": null`, `"post_processor": {"type": "Odd"}`, "post_processor"},
		{`"post_processor": null`, `"post_processor": {"type": "TemplateProcessing", "single": [], "pair": [], "special_tokens": {}}`, "post_processor.single"},
		{`"post_processor": null`, `"post_processor": {"type": "BertProcessing", "sep": ["a", 0], "cls": ["z", 77]}`, "post_processor: no token has id 77"},
		{`"decoder": {"type": "ByteLevel"`, `"decoder": {"type": "Confuse"`, "decoder"},
		{`"decoder": {"type": "ByteLevel"`, `"decoder": {"type": "Fuse"`, "add_prefix_space"},
		{`"type": "BPE"`, `"type": "Bigram"`, "model"},
		{`"type": "BPE"`, `"type": "Unigram"`, "vocab"},
		{`"type": "BPE"`, `"type": "WordPiece"`, "merges"},
		{`"type": "BPE"`, `"type": "BPE", "dropout": 0.1`, "model.dropout"},
		{`"type": "BPE"`, `"type": "BPE", "continuing_subword_prefix": "##"`, "prefix"},
		{`"type": "BPE"`, `"type": "BPE", "odd": 1`, "odd"},
		{`"type": "BPE"`, `"type": "BPE", "": []`, `unknown field ""`},
		{`"vocab"`, `"Vokab"`, "Vokab"},
		{`"b": 1`, `"b": 0`, "both have id 0"},
		{`"b": 1`, `"b": -1`, "model.vocab"},
		{`"b": 1`, `"b": 2000000000`, "model.vocab"},
		{`"b": 1`, `"b": 4000000`, "only 5 tokens"},
		{`"b": 1`, `"b": 1e30`, "model"},
		{`"ab": 2`, `"abc": 2`, "merges[0]"},
		{`["a b"]`, `["a"]`, "merges[0]"},
		{`["a b"]`, `["a b c"]`, "merges[0]"},
		{`["a b"]`, `[["a"]]`, "merges[0]"},
		{`["a b"]`, `[["a", "b", "c"]]`, "merges[0]"},
		{`["a b"]`, `["a c"]`, `"c"`},
		{`["a b"]`, `[3]`, "merges"},
		{`"id": 4`, `"id": 2`, "added_tokens"},
		{`"id": 4`, `"id": -2`, "added_tokens"},
		{`"id": 4`, `"id": 2000000000`, "added_tokens"},
		{`"<|x|>"`, `""`, "added_tokens"},
		{`"<|x|>"`, `"a"`, "added_tokens"},
		{`"<|x|>"`, "\"\xff\"", "UTF-8"},
		{`["a b"]}}`, `["a b"]}} {}`, "after top-level value"},
		{`["a b"]}}`, `["a b"]`, "unexpected end"},
	} {
		file := strings.Replace(tinyFile, c.old, c.new, 1)
		if file == tinyFile {
			t.Fatalf("nothing to replace: %s", c.old)
		}
		if _, err := Load([]byte(file)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", c.new, err, c.want)
		}
	}
}

// TestLoadMemory bounds what is allocated in all while a file is read, garbage too.
func TestLoadMemory(t *testing.T) {
	for _, name := range []string{"bert-base-uncased", "clip", "gpt2", "t5-small", "whisper-tiny"} {
		data := readData(t, "tokenizers", "hf-json", name+".tokenizer.json")
		var before, behind runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := Load(data)
		runtime.ReadMemStats(&behind)
		all, limit := behind.TotalAlloc-before.TotalAlloc, uint64(8*len(data)+16<<20)
		if err != nil || all > limit {
			t.Errorf("%s: %d bytes allocated for %d, more than %d (%v)", name, all, len(data), limit, err)
		}
	}
}

func TestTiktokenErrors(t *testing.T) {
	good := string(allBytes())
	for bad, want := range map[string]string{
		good + "YWI=":               "fields",
		good + "??? 256":            "base64",
		good + "YWI= x":             "rank",
		good + "YWI= 99999999":      "rank",
		good + "YWI= 256\nYWI= 257": "twice",
		good + "YWI= 7":             "rank 7",
		"\x7fELF\x02 " + strings.Repeat("x", 999) + " 1": "fields",
		strings.Repeat("YQ== 0\n", 1):                    "byte 0x0",
		good[:len(good)-8] + "YWI= 300":                  "line",
	} {
		if _, err := LoadTiktoken([]byte(bad), split.GPT2, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q...: error %v, want one with %q", bad[max(0, len(bad)-20):], err, want)
		}
	}
	if _, err := LoadTiktoken([]byte(good), split.GPT2, map[string]int32{"<x>": 3}); err == nil {
		t.Error("a special token on the id of a byte loads")
	}
}

// allBytes is a rank file of single bytes.
func allBytes() []byte {
	var b bytes.Buffer
	for i := range 256 {
		data, _ := json.Marshal([]byte{byte(i)}) // base64 in quotes
		fmt.Fprintf(&b, "%s %d\n", bytes.Trim(data, `"`), i)
	}
	return b.Bytes()
}

// FuzzLoad reads hostile files: what loads must be written and read again, and then do the same.
func FuzzLoad(f *testing.F) {
	f.Add([]byte(tinyFile))
	f.Add([]byte(strings.Replace(tinyFile, `"post_processor": null`, `"post_processor": {"type": "RobertaProcessing", "sep": ["a", 0], "cls": ["b", 1], "trim_offsets": true, "add_prefix_space": true}`, 1)))
	f.Add([]byte(strings.Replace(tinyFile, `{"type": "ByteLevel", "add_prefix_space": false}`, `{"type": "Sequence", "pretokenizers": [{"type": "Split", "pattern": {"Regex": "\\p{N}{1,3}"}, "behavior": "Isolated", "invert": false}, {"type": "ByteLevel", "use_regex": false}]}`, 1)))
	f.Fuzz(func(t *testing.T, data []byte) {
		start := time.Now()
		tok, err := Load(data)
		if err != nil {
			return
		}
		if d := time.Since(start); d > 20*time.Second {
			t.Errorf("%d bytes took %v", len(data), d)
		}
		checkLoaded(t, tok)
	})
}

// fuzzCache is the cache of all encoders of checkLoaded.
var fuzzCache cache

// light makes a tokenizer's encoders start without the vocabulary in their cache, which takes most of the time of a small one.
func light(tok *Tokenizer) {
	tok.encoders.New = func() any {
		fuzzCache = cache{}
		return &Encoder{t: tok, cache: &fuzzCache}
	}
}

// checkLoaded saves a tokenizer and loads it again: the same file when saved again, the same ids and texts.
func checkLoaded(t *testing.T, tok *Tokenizer) {
	t.Helper()
	first, err := tok.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	back, err := Load(first)
	if err != nil {
		t.Fatalf("does not load again: %v\n%s", err, first)
	}
	if second, err := back.Marshal(); err != nil || !bytes.Equal(first, second) {
		t.Fatalf("other bytes when saved again (%v):\n%s\n%s", err, first, second)
	}
	texts := []string{"ab <|x|> ab 12345 \xff é", "  A▁b\n </s>▁▁[UNK] cafe\u0301 ﬁ 北京"}
	light(tok)
	light(back)
	again := make([][]int32, len(texts)) // first all of one, as the cache is one
	for i, text := range texts {
		again[i] = back.EncodeSpecial(text)
	}
	for i, text := range texts {
		a := tok.EncodeSpecial(text)
		if !slices.Equal(a, again[i]) {
			t.Errorf("ids %v, then %v", a, again[i])
		}
		e, err := tok.EncodeOffsets(text, EncodeOptions{ParseSpecial: true})
		if err == nil && utf8.ValidString(text) && !slices.Equal(e.IDs, a) {
			t.Errorf("ids %v, with offsets %v", a, e.IDs)
		}
		s := tok.NewStream()
		var streamed strings.Builder
		for _, id := range a {
			streamed.WriteString(s.Push(id))
		}
		if streamed.WriteString(s.Flush()); streamed.String() != tok.Decode(a) {
			t.Errorf("streamed %q, decoded %q", streamed.String(), tok.Decode(a))
		}
	}
}

func FuzzRoundTrip(f *testing.F) {
	tok := trained(f, TrainOptions{})
	cl := trained(f, TrainOptions{Pattern: split.CL100K})
	f.Add("hello  world\n\n 北京 \xff\xc3")
	f.Add(strings.Repeat("a", 100) + EndOfText + strings.Repeat(" ", 77))
	f.Fuzz(func(t *testing.T, text string) {
		for _, tok := range []*Tokenizer{tok, cl} {
			ids := tok.Encode(text)
			if got := tok.Decode(ids); got != text {
				t.Fatalf("%q comes back as %q", text, got)
			}
			if eos, _ := tok.EOS(); slices.Contains(ids, eos) {
				t.Fatalf("%q has a special token", text)
			}
			if got := tok.Decode(tok.EncodeSpecial(text)); got != text {
				t.Fatalf("%q comes back as %q with special tokens", text, got)
			}
			var b strings.Builder
			s := tok.NewStream()
			for _, id := range ids {
				b.WriteString(s.Push(id))
			}
			if b.WriteString(s.Flush()); b.String() != text {
				t.Fatalf("%q streams as %q", text, b.String())
			}
		}
	})
}

// TestPeerFloat has scores of T5's file and what Hugging Face tokenizers writes for them.
func TestPeerFloat(t *testing.T) {
	for number, want := range map[string]float64{"-12.130167007446289": -12.130167007446287, "-5.129043102264404": -5.129043102264404, "0": 0, "-2.5": -2.5, "1e-3": 1e-3} {
		exact, err := strconv.ParseFloat(number, 64)
		if have := peerFloat(number, exact); err != nil || have != want {
			t.Errorf("%s: %v, want %v (%v)", number, have, want, err)
		}
	}
}
