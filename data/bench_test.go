package data

import (
	"iter"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/tokenizer"
)

// goCorpus is about 30 MB of the Go distribution's source.
func goCorpus(b *testing.B) (docs []Document, size int) {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		b.Skip(err)
	}
	for d, err := range GoSource(b.Context(), filepath.Join(strings.TrimSpace(string(root)), "src"), false, ReadOptions{OnBad: "skip"}) {
		if err != nil {
			b.Skip(err)
		}
		docs = append(docs, d)
		if size += len(d.Text); size > 30<<20 {
			break
		}
	}
	return docs, size
}

func bytesOf(docs []Document) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for _, d := range docs {
			if !yield(d.Text) {
				return
			}
		}
	}
}

// BenchmarkPrepare is of a vocabulary of 8192 trained on the corpus itself; encode is the tokenizer's part of it.
func BenchmarkPrepare(b *testing.B) {
	docs, size := goCorpus(b)
	tok, err := tokenizer.Train(b.Context(), bytesOf(docs), tokenizer.TrainOptions{})
	if err != nil {
		b.Fatal(err)
	}
	b.Run("encode", func(b *testing.B) {
		b.SetBytes(int64(size))
		e := tok.NewEncoder()
		var ids []int32
		for b.Loop() {
			for _, d := range docs {
				ids = e.AppendEncode(ids[:0], d.Text)
			}
		}
	})
	for _, pack := range []string{Concat, BestFit} {
		b.Run(pack, func(b *testing.B) {
			b.SetBytes(int64(size))
			for b.Loop() {
				if _, err := Prepare(b.Context(), all(docs), tok, filepath.Join(b.TempDir(), "set"), PrepareOptions{Pack: pack}); err != nil {
					b.Fatal(err)
				}
			}
		})
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
