package tokenizer

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/checkpoint/gguf"
)

// readGGUF returns the vocabulary of a GGUF file.
func readGGUF(t testing.TB, path string) GGUF {
	t.Helper()
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	text := func(key string) string { s, _ := f.Meta.Get("tokenizer.ggml." + key).(string); return s }
	g := GGUFDefaults(text("model"), text("pre"))
	g.Tokens, _ = f.Meta.Get("tokenizer.ggml.tokens").([]string)
	g.Scores, _ = f.Meta.Get("tokenizer.ggml.scores").([]float32)
	g.Types, _ = f.Meta.Get("tokenizer.ggml.token_type").([]int32)
	g.Merges, _ = f.Meta.Get("tokenizer.ggml.merges").([]string)
	for key, id := range map[string]*int32{"bos": &g.BOS, "eos": &g.EOS, "unknown": &g.UNK, "padding": &g.PAD, "seperator": &g.SEP} {
		if v, ok, _ := gguf.Lookup[int](f.Meta, "tokenizer.ggml."+key+"_token_id"); ok {
			*id = int32(v)
		}
	}
	for key, on := range map[string]*bool{"add_bos_token": &g.AddBOS, "add_eos_token": &g.AddEOS, "add_space_prefix": &g.AddSpacePrefix} {
		if v, ok := f.Meta.Get("tokenizer.ggml." + key).(bool); ok {
			*on = v
		}
	}
	return g
}

// TestGoldenGGUF encodes llama.cpp's texts with the vocabularies of its GGUF files.
func TestGoldenGGUF(t *testing.T) {
	for name, kind := range map[string]string{
		"gpt-2": BPE, "bert-bge": WordPiece, "llama-spm": BPE, "phi-3": BPE, "deepseek-coder": BPE, "starcoder": BPE, "falcon": BPE, "mpt": BPE, "refact": BPE,
	} {
		t.Run(name, func(t *testing.T) {
			path := dataFile(t, "tokenizers", "llama.cpp", "ggml-vocab-"+name+".gguf")
			tok, err := FromGGUF(readGGUF(t, path))
			if err != nil {
				t.Fatal(err)
			}
			if tok.Kind() != kind {
				t.Errorf("kind %s", tok.Kind())
			}
			inputs, want := llamaCpp(t, name)
			for i, text := range inputs {
				if ids := tok.Encode(text); !slices.Equal(ids, want[i]) {
					t.Errorf("%q:\n have %v\n want %v", text, ids, want[i])
				}
			}
		})
	}
}

// llamaCpp reads llama.cpp's texts and the ids of a vocabulary.
func llamaCpp(t *testing.T, name string) (texts []string, ids [][]int32) {
	const mark = "\n__ggml_vocab_test__\n"
	base := "ggml-vocab-" + name + ".gguf"
	texts = strings.Split(strings.TrimSuffix(string(readData(t, "tokenizers", "llama.cpp", base+".inp")), mark), mark)
	for line := range strings.Lines(string(readData(t, "tokenizers", "llama.cpp", base+".out"))) {
		now := []int32{}
		if err := json.Unmarshal([]byte("["+strings.Join(strings.Fields(line), ",")+"]"), &now); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, now)
	}
	if len(texts) != len(ids) || len(ids) < 40 {
		t.Fatalf("%d texts, %d answers", len(texts), len(ids))
	}
	return texts, ids
}

// TestGGUFErrors: what is wrong with a vocabulary is named.
func TestGGUFErrors(t *testing.T) {
	llama := func(change func(*GGUF)) GGUF {
		g := GGUFDefaults("llama", "")
		g.Tokens, g.Scores, g.Types = []string{"<unk>", "<s>", "</s>", "a", "▁"}, make([]float32, 5), []int32{2, 3, 3, 1, 1}
		change(&g)
		return g
	}
	gpt2 := func(change func(*GGUF)) GGUF {
		g := GGUFDefaults("gpt2", "gpt-2")
		g.Tokens, g.Merges = []string{"a", "b", "ab"}, []string{"a b"}
		change(&g)
		return g
	}
	for i, c := range []struct {
		g    GGUF
		want string
	}{
		{llama(func(*GGUF) {}), ""},
		{gpt2(func(*GGUF) {}), ""},
		{llama(func(g *GGUF) { g.Model = "rwkv" }), "rwkv"},
		{llama(func(g *GGUF) { g.Tokens = nil }), "tokens"},
		{llama(func(g *GGUF) { g.Scores = nil }), "scores"},
		{llama(func(g *GGUF) { g.Types = g.Types[1:] }), "token_type"},
		{llama(func(g *GGUF) { g.BOS = 9 }), "bos_token_id"},
		{llama(func(g *GGUF) { g.AddEOS, g.EOS = true, -1 }), "eos_token_id"},
		{llama(func(g *GGUF) { g.UNK = 5 }), "unknown_token_id"},
		{llama(func(g *GGUF) { g.Tokens[3] = "▁" }), "different"},
		{llama(func(g *GGUF) { g.Tokens[3] = strings.Repeat("x", maxPiece+1) }), "bytes"},
		{llama(func(g *GGUF) { g.CharsMap = []byte("abc") }), "precompiled_charsmap"},
		{gpt2(func(g *GGUF) { g.Pre = "odd" }), `pre "odd"`},
		{gpt2(func(g *GGUF) { g.Tokens[1] = "a" }), "both"},
		{gpt2(func(g *GGUF) { g.Merges[0] = "ab" }), "merges[0]"},
		{gpt2(func(g *GGUF) { g.Merges[0] = "a " }), "merges[0]"},
		{gpt2(func(g *GGUF) { g.Merges[0] = "" }), "merges[0]"},
		{gpt2(func(g *GGUF) { g.Merges[0] = "a c" }), `"c"`},
	} {
		if _, err := FromGGUF(c.g); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("case %d: error %v, want one with %q", i, err, c.want)
		}
	}
}

// TestPreTypes compiles the split patterns of all pre-tokenizers.
func TestPreTypes(t *testing.T) {
	for _, pre := range PreTypes() {
		g := GGUFDefaults("gpt2", pre)
		g.Tokens, g.AddBOS = []string{"a", "Ġ", "1", "é"}, false
		tok, err := FromGGUF(g)
		if err != nil {
			t.Errorf("%s: %v", pre, err)
			continue
		}
		e := tok.NewEncoder()
		if e.AppendEncode(nil, []byte("a 1234 Añ'S  \r\n 北京!? \n ")); e.Err() != nil {
			t.Errorf("%s: %v", pre, e.Err())
		}
	}
}

// FuzzGGUF makes tokenizers of hostile vocabularies: an error or one that works.
func FuzzGGUF(f *testing.F) {
	f.Add(uint8(0), "llama-bpe", "<unk>\n<s>\n</s>\na\n▁\n▁a\n<0x41>", []byte{2, 3, 3, 1, 1, 1, 6}, "", []byte{})
	f.Add(uint8(1), "gpt-2", "a\nb\nab\nĠ", []byte{}, "a b", []byte{})
	f.Add(uint8(2), "", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n▁a\nb", []byte{}, "", []byte{})
	f.Add(uint8(3), "", "<pad>\n</s>\n<unk>\n▁\na\n▁a", []byte{3, 3, 2, 1, 1, 4}, "", []byte{})
	f.Fuzz(func(t *testing.T, model uint8, pre, tokens string, types []byte, merges string, chars []byte) {
		g := GGUFDefaults([]string{"llama", "gpt2", "bert", "t5"}[model%4], pre)
		g.Tokens, g.CharsMap = strings.Split(tokens, "\n"), chars
		if merges != "" {
			g.Merges = strings.Split(merges, "\n")
		}
		for i := range g.Tokens {
			g.Scores = append(g.Scores, float32(-i))
			if len(types) > 0 {
				g.Types = append(g.Types, int32(types[i%len(types)]))
			}
		}
		g.BOS, g.EOS, g.UNK, g.SEP = int32(model/4)-1, 1, int32(model/8)-1, 3
		tok, err := FromGGUF(g)
		if err != nil {
			return
		}
		checkLoaded(t, tok)
	})
}
