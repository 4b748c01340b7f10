package tokenizer

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
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

func benchEncode(b *testing.B, tok *Tokenizer, text []byte) {
	e := tok.NewEncoder()
	ids := e.AppendEncode(nil, text)
	b.SetBytes(int64(len(text)))
	b.ResetTimer()
	for b.Loop() {
		ids = e.AppendEncode(ids[:0], text)
	}
	b.ReportMetric(float64(len(text))/float64(len(ids)), "bytes/token")
}

func BenchmarkEncode(b *testing.B) {
	for _, tok := range []struct{ name, file string }{{"gpt2", "gpt2"}, {"cl100k", "tiktoken/cl100k_base.tiktoken"}} {
		t := openData(b, "tokenizers", tok.file)
		b.Run(tok.name+"/english", func(b *testing.B) {
			benchEncode(b, t, readData(b, "corpora", "wiki_demo.txt"))
		})
		b.Run(tok.name+"/go", func(b *testing.B) {
			benchEncode(b, t, []byte(strings.Join(goSource(b, 4<<20), "")))
		})
		b.Run(tok.name+"/letters", func(b *testing.B) {
			benchEncode(b, t, bytes.Repeat([]byte("a"), 1<<20))
		})
	}
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
