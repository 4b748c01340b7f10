package tokenizer

import (
	"bytes"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// goSource returns up to limit bytes of the Go distribution's source, one document a file.
func goSource(tb testing.TB, limit int) []string {
	var docs []string
	n := 0
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		tb.Skipf("go env GOROOT: %v", err)
	}
	root := filepath.Join(strings.TrimSpace(string(out)), "src")
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || n >= limit || d.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		data, err := os.ReadFile(path)
		docs = append(docs, string(data))
		n += len(data)
		return err
	})
	if err != nil || n < limit/2 {
		tb.Skipf("%s: %d bytes, %v", root, n, err)
	}
	return docs
}

// corpus returns the files of a folder of the shared corpora, one after the other.
func corpus(tb testing.TB, folder string) []byte {
	files, err := filepath.Glob(filepath.Join(dataFile(tb, "corpora", folder), "*.txt"))
	if err != nil || len(files) == 0 {
		tb.Skipf("%s: %d files, %v", folder, len(files), err)
	}
	var all []byte
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			tb.Fatal(err)
		}
		all = append(all, data...)
	}
	return all
}

// BenchmarkEncode encodes a text with an encoder that has seen it (warm) and with a new one each time (cold).
func BenchmarkEncode(b *testing.B) {
	texts := map[string]func(testing.TB) []byte{
		"english": func(tb testing.TB) []byte { return corpus(tb, "gutenberg") },
		"chinese": func(tb testing.TB) []byte { return corpus(tb, "zh") },
		"go":      func(tb testing.TB) []byte { return []byte(strings.Join(goSource(tb, 10<<20), "")) },
		"letters": func(testing.TB) []byte { return bytes.Repeat([]byte("a"), 10<<20) },
		"spaces":  func(testing.TB) []byte { return bytes.Repeat([]byte(" "), 10<<20) },
		"random":  func(testing.TB) []byte { return randomLetters(10 << 20) },
	}
	for _, tok := range []struct{ name, file string }{{"gpt2", "gpt2"}, {"cl100k", "tiktoken/cl100k_base.tiktoken"}} {
		t := openData(b, "tokenizers", tok.file)
		t.NewEncoder() // makes the seed
		for _, name := range slices.Sorted(maps.Keys(texts)) {
			for _, mode := range []string{"warm", "cold"} {
				b.Run(tok.name+"/"+name+"/"+mode, func(b *testing.B) {
					text := texts[name](b)
					e := t.NewEncoder()
					ids := e.AppendEncode(nil, text)
					b.SetBytes(int64(len(text)))
					b.ResetTimer()
					for b.Loop() {
						if mode == "cold" {
							e = t.NewEncoder()
						}
						ids = e.AppendEncode(ids[:0], text)
					}
					b.ReportMetric(float64(len(text))/float64(len(ids)), "bytes/token")
				})
			}
		}
	}
}

// randomLetters is one word without a pattern.
func randomLetters(n int) []byte {
	rng := rand.New(rand.NewPCG(7, 0))
	text := make([]byte, n)
	for i := range text {
		text[i] = 'a' + byte(rng.IntN(26))
	}
	return text
}

func BenchmarkTrain8k(b *testing.B) {
	docs := goSource(b, 20<<20)
	n := 0
	for _, d := range docs {
		n += len(d)
	}
	b.SetBytes(int64(n))
	b.ResetTimer()
	for b.Loop() {
		if _, err := Train(b.Context(), texts(docs), TrainOptions{VocabSize: 8192}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLoad(b *testing.B) {
	data := readData(b, "tokenizers", "hf-json", "gpt2.tokenizer.json")
	for b.Loop() {
		if _, err := Load(data); err != nil {
			b.Fatal(err)
		}
	}
}
