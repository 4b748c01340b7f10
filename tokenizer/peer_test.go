package tokenizer

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/plinth-ml/plinth/internal/testkit"
	"github.com/plinth-ml/plinth/tokenizer/split"
)

// peers are the modules that the scripts of testdata import.
var peers = []string{"tokenizers", "tiktoken"}

// ask runs testdata/peer.py.
func ask(t *testing.T, job map[string]any, answer any) {
	t.Helper()
	testkit.Ask(t, "testdata/peer.py", peers, job, answer)
}

// randomTexts returns n texts of random characters and of words, with the words of extra among them.
func randomTexts(n int, seed uint64, extra ...string) []string {
	r := rand.New(rand.NewPCG(seed, 0))
	words := append([]string{" ", "  ", "\n", "\r\n", "\t", "'s", "'LL", "the", " and", "1", "2024", "for", "()", "{\n\t", "//", " =",
		"été", "Straße", "город", " 北京", "日本語", "ไทย", "한국", "🦙", "\u00a0", "e\u0301", "aaaa", "internationalization"}, extra...)
	all := make([]string, n)
	for i := range all {
		var b strings.Builder
		for range 1 + r.IntN(24) {
			switch r.IntN(8) {
			case 0, 1, 2:
				b.WriteString(words[r.IntN(len(words))])
			case 3:
				b.WriteRune(rune(' ' + r.IntN(95)))
			case 4:
				b.WriteRune(rune(r.IntN(0x600)))
			case 5:
				b.WriteRune(rune(r.IntN(0x3000)))
			case 6:
				b.WriteRune(anyRune(r))
			default:
				b.WriteString(strings.Repeat(words[r.IntN(len(words))], r.IntN(12)))
			}
		}
		all[i] = b.String()
	}
	return all
}

func anyRune(r *rand.Rand) rune {
	for {
		if c := rune(r.IntN(unicode.MaxRune + 1)); utf8.ValidRune(c) {
			return c
		}
	}
}

// compareIDs reports the texts whose ids differ.
func compareIDs(t *testing.T, texts []string, encode func(string) []int32, want [][]int32) {
	t.Helper()
	if len(want) != len(texts) {
		t.Fatalf("%d answers to %d texts", len(want), len(texts))
	}
	bad := 0
	for i, s := range texts {
		if ids := encode(s); !slices.Equal(ids, want[i]) {
			if bad++; bad <= 5 {
				t.Errorf("%q:\n have %v\n want %v", s, ids, want[i])
			}
		}
	}
	if bad > 0 {
		t.Errorf("%d of %d texts differ", bad, len(texts))
	}
}

func TestPeerHuggingFace(t *testing.T) {
	path := dataFile(t, "tokenizers", "hf-json", "gpt2.tokenizer.json")
	tok := openData(t, "tokenizers", "hf-json", "gpt2.tokenizer.json")
	texts := randomTexts(peerTexts, 1)
	var want [][]int32
	ask(t, map[string]any{"do": "encode", "path": path, "texts": texts}, &want)
	compareIDs(t, texts, tok.Encode, want)
}

func TestPeerTiktoken(t *testing.T) {
	texts := randomTexts(peerTexts, 2)
	for _, c := range append(rankFiles, rankFile{"tiktoken", "r50k_base.tiktoken", split.GPT2}) {
		path := dataFile(t, "tokenizers", c.dir, c.name)
		var want [][]int32
		ask(t, map[string]any{"do": "tiktoken", "path": path, "pattern": c.pattern.Regex, "texts": texts}, &want)
		tok, err := Open(path)
		if errors.Is(err, ErrPattern) {
			tok, err = LoadTiktoken(readData(t, "tokenizers", c.dir, c.name), c.pattern, nil)
		}
		if err != nil {
			t.Fatal(err)
		}
		compareIDs(t, texts, tok.Encode, want)
		file := filepath.Join(t.TempDir(), "tokenizer.json") // must do the same there and here
		if err := tok.Save(file); err != nil {
			t.Fatal(err)
		}
		back, err := Open(file)
		if err != nil {
			t.Fatal(err)
		}
		compareIDs(t, texts, back.Encode, want)
		ask(t, map[string]any{"do": "encode", "path": file, "texts": texts, "plain": true}, &want)
		compareIDs(t, texts, tok.Encode, want)
	}
}

// TestPeerSpecial compares added tokens with all flags, with special tokens found and not.
func TestPeerSpecial(t *testing.T) {
	tok := trained(t, TrainOptions{})
	next := int32(tok.VocabSize())
	added := tok.Added()
	for _, a := range []AddedToken{
		{Content: "<|user|>", Special: true}, {Content: "<|user|>x", Special: true}, {Content: "<l>", LStrip: true, Special: true},
		{Content: "<r>", RStrip: true}, {Content: "<lr>", LStrip: true, RStrip: true, Normalized: true}, {Content: "word", SingleWord: true},
		{Content: "wordy", SingleWord: true, Normalized: true}, {Content: " pad", Special: true}, {Content: "    "}, {Content: "名前"},
	} {
		if id, ok := tok.ID(a.Content); ok { // as a piece of the sample, which is this package's source
			a.ID = id
		} else {
			a.ID = next
			next++
		}
		added = append(added, a)
	}
	m := &model{vocab: map[string]int32{}, added: added}
	for id, name := range tok.names {
		m.vocab[name] = int32(id)
	}
	for _, p := range tok.ranked {
		m.merges = append(m.merges, [2]string{tok.Name(p[0]), tok.Name(p[1])})
	}
	var words []string
	for _, a := range added {
		words = append(words, a.Content, " "+a.Content+"  ")
	}
	texts := randomTexts(peerTexts/5, 3, words...)
	for _, prefix := range []bool{false, true} {
		m.setSections(split.GPT2)
		m.pre = &byteLevel{"ByteLevel", prefix, true, true}
		tok, err := build(m)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "tokenizer.json")
		if err := tok.Save(path); err != nil {
			t.Fatal(err)
		}
		var want [][]int32
		ask(t, map[string]any{"do": "encode", "path": path, "texts": texts}, &want)
		compareIDs(t, texts, tok.EncodeSpecial, want)
		ask(t, map[string]any{"do": "encode", "path": path, "texts": texts, "plain": true}, &want)
		compareIDs(t, texts, tok.Encode, want)
	}
}

// TestPeerAdd compares what post-processors add.
func TestPeerAdd(t *testing.T) {
	path := dataFile(t, "tokenizers", "hf-json", "whisper-tiny.tokenizer.json")
	tok := openData(t, "tokenizers", "hf-json", "whisper-tiny.tokenizer.json")
	texts := randomTexts(peerTexts/5, 4, "<|startoftranscript|>", "<|en|>")
	var want [][]int32
	ask(t, map[string]any{"do": "encode", "path": path, "texts": texts, "add": true}, &want)
	compareIDs(t, texts, func(s string) []int32 { return tok.AddSpecial(tok.EncodeSpecial(s)) }, want)
}

// TestPeerSave compares our tokenizer.json with theirs, byte for byte.
func TestPeerSave(t *testing.T) {
	for _, name := range []string{"hf-json/gpt2.tokenizer.json", "hf-json/whisper-tiny.tokenizer.json"} {
		path := dataFile(t, "tokenizers", name)
		tok, err := Open(path)
		if err != nil {
			t.Error(err)
			continue
		}
		have, err := tok.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		var want string
		ask(t, map[string]any{"do": "save", "path": path}, &want)
		compareFiles(t, name, string(have), want)
	}
}

func compareFiles(t *testing.T, name, have, want string) {
	t.Helper()
	if have == want {
		return
	}
	a, b := strings.Split(have, "\n"), strings.Split(want, "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			t.Errorf("%s, line %d:\n have %s\n want %s", name, i+1, strings.Join(a[max(0, i-3):min(len(a), i+3)], "\n"), strings.Join(b[max(0, i-3):min(len(b), i+3)], "\n"))
			return
		}
	}
	t.Errorf("%s: %d lines, want %d", name, len(a), len(b))
}

// TestPeerTrain compares whole files trained on the same texts.
func TestPeerTrain(t *testing.T) {
	corpora := map[string][]string{"code": sample(t), "random": randomTexts(2000, 5), "empty": {}, "short": {"aaaa", "", "abab abab", " aaaaaaa"}}
	for name, parts := range map[string][]string{
		"zh":      {"corpora", "zh"},
		"english": {"corpora", "wiki_demo.txt"},
		"ja":      {"corpora", "ja"},
	} {
		path := dataFile(t, parts...)
		if files, _ := filepath.Glob(filepath.Join(path, "*.txt")); len(files) > 0 {
			path = files[0]
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		data = data[:min(len(data), peerTexts*80)]
		corpora[name] = strings.SplitAfter(strings.ToValidUTF8(string(data), ""), "\n")
	}
	for name, docs := range corpora {
		for _, o := range []TrainOptions{
			{VocabSize: 1500},
			{VocabSize: 900, Pattern: split.CL100K, Special: []string{"<s>", "</s>", "ab"}, MinFrequency: 3},
		} {
			tok, err := Train(t.Context(), texts(docs), o)
			if err != nil {
				t.Fatal(err)
			}
			have, err := tok.Marshal()
			if err != nil {
				t.Fatal(err)
			}
			special, pattern := o.Special, ""
			if special == nil {
				special = []string{EndOfText}
			}
			if o.Pattern != nil {
				pattern = o.Pattern.Regex
			}
			var want string
			ask(t, map[string]any{"do": "train", "pattern": pattern, "texts": docs, "size": o.VocabSize, "special": special, "minimum": o.MinFrequency}, &want)
			compareFiles(t, name, string(have), want)
		}
	}
}
