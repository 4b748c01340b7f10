package tokenizer

import (
	"slices"
	"strings"
	"testing"
)

// TestTrainWords trains the other kinds and loads what they save.
func TestTrainWords(t *testing.T) {
	wordPiece, err := TrainWordPiece(t.Context(), texts(sample(t)), WordOptions{VocabSize: 500})
	if err != nil {
		t.Fatal(err)
	}
	unigram, err := TrainUnigram(t.Context(), texts(sample(t)), WordOptions{VocabSize: 600})
	if err != nil {
		t.Fatal(err)
	}
	for _, tok := range []*Tokenizer{wordPiece, unigram} {
		checkLoaded(t, tok)
		if n := tok.VocabSize(); n < 450 || n > 600 {
			t.Errorf("%s: %d ids", tok.Kind(), n)
		}
		ids := tok.AddSpecial(tok.Encode("the text of ids"))
		if text := tok.DecodeText(ids); text != "the text of ids" {
			t.Errorf("%s: %v decodes to %q", tok.Kind(), ids, text)
		}
		if last := ids[len(ids)-1]; !tok.IsSpecial(last) {
			t.Errorf("%s: the last id of %v is not special", tok.Kind(), ids)
		}
	}
	if text := unigram.Decode(unigram.Encode("🦙 x")); text != "🦙 x" {
		t.Errorf("bytes come back as %q", text)
	}
	if _, err := TrainUnigram(t.Context(), texts(nil), WordOptions{VocabSize: 100}); err == nil || !strings.Contains(err.Error(), "size 100, want 259 at least: 3 special tokens, 256 bytes and the text's 0 characters") {
		t.Errorf("a vocabulary smaller than the bytes: %v", err)
	}
	if _, err := TrainWordPiece(t.Context(), texts(nil), WordOptions{Special: []string{"<x>"}}); err == nil || !strings.Contains(err.Error(), "[UNK]") {
		t.Errorf("no [UNK]: %v", err)
	}
}

// TestVocabText reads vocab.txt with and without settings.
func TestVocabText(t *testing.T) {
	vocab := "[PAD]\n[UNK]\n[CLS]\n[SEP]\nhello\n##s\nHello\n北\n京\n"
	for _, c := range []struct{ config, text, want string }{
		{"", "Hellos é", "Hello ##s [UNK]"},
		{`{"do_lower_case": true}`, "Hellos 北京", "hello ##s 北 京"},
		{`{"do_lower_case": false, "tokenize_chinese_chars": false}`, "Hello 北京", "Hello [UNK]"},
		{`{"unk_token": {"content": "[PAD]"}}`, "x", "[PAD]"},
	} {
		var config []byte
		if c.config != "" {
			config = []byte(c.config)
		}
		tok, err := LoadVocabText([]byte(vocab), config)
		if err != nil {
			t.Errorf("%s: %v", c.config, err)
			continue
		}
		e, err := tok.EncodeOffsets(c.text, EncodeOptions{})
		if have := strings.Join(e.Tokens, " "); err != nil || have != c.want {
			t.Errorf("%s: %q is %q (%v), want %q", c.config, c.text, have, err, c.want)
		}
		if ids := tok.AddSpecial(nil); !slices.Equal(ids, []int32{2, 3}) {
			t.Errorf("special tokens %v", ids)
		}
	}
	for bad, want := range map[string]string{"": "[UNK]", "a\n\xff\n": "UTF-8", "[UNK]\n[CLS]\n": "[SEP]"} {
		if _, err := LoadVocabText([]byte(bad), nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", bad, err, want)
		}
	}
	if _, err := LoadVocabText([]byte(vocab), []byte("{")); err == nil || !strings.Contains(err.Error(), "tokenizer_config.json") {
		t.Errorf("broken settings: %v", err)
	}
}

// FuzzVocabText reads hostile vocabularies.
func FuzzVocabText(f *testing.F) {
	f.Add([]byte("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n##b\n"), []byte(`{"do_lower_case": false}`))
	f.Fuzz(func(t *testing.T, vocab, config []byte) {
		if tok, err := LoadVocabText(vocab, config); err == nil {
			checkLoaded(t, tok)
		}
	})
}

// TestStripDecoder takes content from the ends of tokens, whatever the fragments that they come in.
func TestStripDecoder(t *testing.T) {
	for _, c := range []struct {
		start, stop int
		parts, want string // fragments with | between them
	}{
		{1, 0, "--a-", "-a-"}, {2, 0, "-|-|-a", "-a"}, {0, 1, "a--|-", "a--"}, {0, 2, "a-|b-|-|-", "a-b-"}, {1, 1, "-", ""}, {1, 1, "---", "-"}, {0, 1, "", ""}, {9, 9, "--é--", "é"},
	} {
		var s Stream
		d := (&stripDecoder{Content: '-', Start: c.start, Stop: c.stop}).start(&s)
		parts := strings.Split(c.parts, "|")
		for i, p := range parts {
			d.put(p, i == len(parts)-1)
		}
		d.flush()
		if string(s.held) != c.want {
			t.Errorf("%+v: %q", c, s.held)
		}
	}
}

// TestToken: the text that tokens stand for behind others.
func TestToken(t *testing.T) {
	llama := openData(t, "tokenizers", "sentencepiece", "llama2.tokenizer.model")
	bert := openData(t, "tokenizers", "bert-uncased")
	for _, c := range []struct {
		tok         *Tokenizer
		name, token string
	}{{llama, "▁the", " the"}, {llama, "<0x0A>", "\n"}, {llama, "<s>", "<s>"}, {bert, "##ing", "ing"}, {bert, "the", " the"}} {
		if id, ok := c.tok.ID(c.name); !ok || string(c.tok.Token(id)) != c.token {
			t.Errorf("%q stands for %q", c.name, c.tok.Token(id))
		}
	}
}

// TestGrowth: a file cannot make a huge text of a short one.
func TestGrowth(t *testing.T) {
	double := `{"type": "Replace", "pattern": {"Regex": "."}, "content": "ab"}`
	for name, change := range map[string][2]string{
		"normalizers":    {`"normalizer": null`, `"normalizer": {"type": "Sequence", "normalizers": [` + strings.Repeat(double+",", 40) + double + `]}`},
		"content":        {`"normalizer": null`, `"normalizer": {"type": "Replace", "pattern": {"String": ""}, "content": "` + strings.Repeat("x", 1<<20) + `"}`},
		"pre-tokenizers": {`{"type": "ByteLevel", "add_prefix_space": false}`, `{"type": "Sequence", "pretokenizers": [` + strings.Repeat(`{"type": "ByteLevel", "use_regex": false},`, 40) + `{"type": "Whitespace"}]}`},
	} {
		tok, err := Load([]byte(strings.Replace(tinyFile, change[0], change[1], 1)))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		e := tok.NewEncoder()
		if e.AppendEncode(nil, []byte("é b é")); e.Err() == nil || !strings.Contains(e.Err().Error(), "bytes of a text") {
			t.Errorf("%s: %v", name, e.Err())
		}
		if _, err := tok.EncodeOffsets("é b é", EncodeOptions{}); err == nil {
			t.Errorf("%s: no error with offsets", name)
		}
	}
}

// Further special tokens stand behind the others of any kind of tokenizer, survive its file, and change no text's ids.
func TestWithSpecial(t *testing.T) {
	unigram, err := TrainUnigram(t.Context(), texts(sample(t)), WordOptions{VocabSize: 400})
	if err != nil {
		t.Fatal(err)
	}
	bpe, err := Train(t.Context(), texts(sample(t)), TrainOptions{VocabSize: 300})
	if err != nil {
		t.Fatal(err)
	}
	for _, old := range []*Tokenizer{unigram, bpe} {
		tok, err := old.WithSpecial("<b>", "<a>")
		if err != nil {
			t.Fatal(err)
		}
		n := int32(old.VocabSize())
		if got := tok.EncodeSpecial("<a><b>"); !slices.Equal(got, []int32{n + 1, n}) || tok.VocabSize() != int(n)+2 {
			t.Errorf("%s: the new tokens of %d are %v", tok.Kind(), tok.VocabSize(), got)
		}
		const text = "a plain <a> text"
		if got, want := tok.Encode(text), old.Encode(text); !slices.Equal(got, want) {
			t.Errorf("%s: a text is %v, before %v", tok.Kind(), got, want)
		}
		if _, err := tok.WithSpecial("<b>"); err == nil {
			t.Errorf("%s: a token that is there is accepted", tok.Kind())
		}
	}
}

// TestControlText: a control token that stands in plain text is text; only EncodeSpecial makes its id.
func TestControlText(t *testing.T) {
	tok, err := TrainUnigram(t.Context(), texts(sample(t)), WordOptions{VocabSize: 500, Special: []string{"<pad>", "</s>", "<unk>", "<s>"}})
	if err != nil {
		t.Fatal(err)
	}
	id, ok := tok.ID("<s>")
	if !ok || slices.Contains(tok.Encode("a<s>b <s>"), id) || !slices.Contains(tok.EncodeSpecial("a<s>b"), id) {
		t.Errorf("<s> is %d: text gives %v, with special tokens %v", id, tok.Encode("a<s>b <s>"), tok.EncodeSpecial("a<s>b"))
	}
}
