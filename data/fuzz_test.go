package data

import (
	"os"
	"path/filepath"
	"testing"
)

// FuzzOpen replaces one file of a set: Open fails, or what it opens can be read without a panic.
func FuzzOpen(f *testing.F) {
	dir, _ := prepared(f, 12, PrepareOptions{Seq: 16, Validation: 0.3})
	names := []string{"meta.json", "train-00000.idx", "train.plan", "train-00000.bin"}
	whole := map[string][]byte{}
	for i, name := range names {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			f.Fatal(err)
		}
		whole[name] = b
		f.Add(i, b)
		f.Add(i, b[:len(b)/2])
	}
	f.Fuzz(func(t *testing.T, which int, b []byte) {
		name := names[uint(which)%uint(len(names))]
		own := t.TempDir()
		if err := os.CopyFS(filepath.Join(own, "set"), os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(own, "set", name), b, 0o644); err != nil {
			t.Fatal(err)
		}
		s, err := Open(filepath.Join(own, "set"), false)
		if err != nil {
			return
		}
		defer s.Close()
		src, err := s.train.Source(1, s.Info.Seq, 1)
		if err != nil {
			t.Fatal(err)
		}
		var x Batch
		for i := range int(min(s.Info.Train.Sequences, 100)) {
			if err := src.Fill(&x, i, 0, 1); err == nil && len(x.IDs) != s.Info.Seq {
				t.Fatalf("%d tokens", len(x.IDs))
			}
		}
	})
}
