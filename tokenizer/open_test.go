package tokenizer

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/tokenizer/split"
)

// TestOpenTiktoken reads ranks whose name says nothing.
func TestOpenTiktoken(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mine.tiktoken")
	if err := os.WriteFile(path, append(allBytes(), "YWI= 256\nIGFi 257\n= 258\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path); !errors.Is(err, ErrPattern) || !strings.Contains(err.Error(), "mine.tiktoken") {
		t.Errorf("without a pattern: %v", err)
	}
	for name, want := range map[string]string{"r50k_base": EndOfText, "gpt2": EndOfText, "o200k": "", "qwen2": "", `[a-z ]+|\S`: ""} {
		tok, err := OpenTiktoken(path, name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if ids := tok.Encode("ab ab"); !slices.Equal(ids, []int32{256, 257}) {
			t.Errorf("%s: %v", name, ids)
		}
		if _, ok := tok.SpecialID(want); ok != (want != "") {
			t.Errorf("%s: has %q: %v", name, want, ok)
		}
	}
	if _, err := OpenTiktoken(path, "cl100k_base"); err == nil || !strings.Contains(err.Error(), "100276") {
		t.Errorf("special tokens far beyond the ranks: %v", err)
	}
	if _, err := OpenTiktoken(path, "("); err == nil || !strings.Contains(err.Error(), `"("`) {
		t.Errorf("a broken expression: %v", err)
	}
}

// TestOpenErrors: what is no tokenizer is told from one that is broken.
func TestOpenErrors(t *testing.T) {
	binary := "\x7fELF\x02\x01\x01" + strings.Repeat("\x00\xff", 5000)
	for name, want := range map[string]string{
		"a.json": "UTF-8", "a.model": "neither", "a.txt": "vocab.txt:1", "cl100k_base.tiktoken": "line 1", "merges.txt": "vocab.json", "a.tiktoken": "pattern",
	} {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(binary), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(path); err == nil || !strings.Contains(err.Error(), want) || len(err.Error()) > len(path)+400 {
			t.Errorf("%s: %.500v, want %q", name, err, want)
		}
	}
	if _, err := Open(t.TempDir()); err == nil || !strings.Contains(err.Error(), "tokenizer.json") {
		t.Errorf("an empty folder: %v", err)
	}
}

// FuzzTiktoken reads hostile rank files; all bytes come first, so that some load.
func FuzzTiktoken(f *testing.F) {
	f.Add([]byte("YWI= 256\nIGFi 257\n"), true)
	f.Add([]byte("YQ== 0\n"), false)
	all := allBytes()
	f.Fuzz(func(t *testing.T, data []byte, complete bool) {
		if complete {
			data = append(slices.Clone(all), data...)
		}
		if tok, err := LoadTiktoken(data, split.GPT2, map[string]int32{"<|x|>": 300}); err == nil {
			checkLoaded(t, tok)
		}
	})
}

// FuzzGPT2 reads hostile pairs of vocab.json and merges.txt.
func FuzzGPT2(f *testing.F) {
	f.Add([]byte(`{"a": 0, "b": 1, "ab": 2, "Ġ": 3, "<|endoftext|>": 4}`), []byte("#version: 0.2\na b\n"))
	f.Fuzz(func(t *testing.T, vocab, merges []byte) {
		if tok, err := LoadGPT2(vocab, merges); err == nil {
			checkLoaded(t, tok)
		}
	})
}
