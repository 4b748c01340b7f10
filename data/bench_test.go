package data

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func BenchmarkPrepare(b *testing.B) {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		b.Skip(err)
	}
	tok := testTokenizer(b)
	var docs []Document
	size := 0
	for d, err := range GoSource(b.Context(), filepath.Join(strings.TrimSpace(string(root)), "src"), false, ReadOptions{OnBad: "skip"}) {
		if err != nil {
			b.Skip(err)
		}
		docs = append(docs, d)
		if size += len(d.Text); size > 30<<20 {
			break
		}
	}
	b.SetBytes(int64(size))
	for b.Loop() {
		if _, err := Prepare(b.Context(), all(docs), tok, filepath.Join(b.TempDir(), "set"), PrepareOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFill(b *testing.B) {
	_, s := prepared(b, 2000, PrepareOptions{Seq: 1024})
	src, err := s.train.Source(1, 1024, 8)
	if err != nil {
		b.Fatal(err)
	}
	var x Batch
	for i := 0; b.Loop(); i++ {
		if err := src.Fill(&x, i, 0, 8); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*8*1024/b.Elapsed().Seconds(), "tokens/s")
}
