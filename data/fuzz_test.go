package data

import (
	"bytes"
	"compress/gzip"
	"context"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/klauspost/compress/zstd"
)

// FuzzOpen replaces one file of a set: it is refused, or what it says can be read without a panic and never outside the files.
func FuzzOpen(f *testing.F) {
	sets := [][4][]byte{smallFiles(f, PrepareOptions{Seq: 16, Validation: 0.3}), smallFiles(f, PrepareOptions{Seq: 8, Pack: BestFit})}
	for i, s := range sets {
		for which, b := range s {
			f.Add(byte(i<<2|which), b)
			f.Add(byte(i<<2|which), b[:len(b)/2])
		}
	}
	f.Fuzz(func(t *testing.T, which byte, b []byte) {
		files := sets[which>>2&1]
		files[which&3] = b
		if p, err := memorySet(files[0], files[1], files[2], files[3]); err == nil {
			use(t, p)
		}
	})
}

// FuzzDocuments reads any bytes as each kind of file, under both policies.
func FuzzDocuments(f *testing.F) {
	suffixes := []string{".txt", ".jsonl", ".csv", ".txt.gz", ".jsonl.gz", ".csv.gz", ".txt.zst", ".jsonl.zst"}
	z, err := zstd.NewWriter(nil)
	if err != nil {
		f.Fatal(err)
	}
	for _, text := range []string{"{\"text\":\"a\"}\n{\"text\":7}\n\n{", "text,n\n\"a\nb\",1\nc\n\"", "\xff", "\ufeff{\"text\":\"b\"}"} {
		var gz bytes.Buffer
		w := gzip.NewWriter(&gz)
		w.Write([]byte(text))
		w.Close()
		for i, b := range [][]byte{[]byte(text), []byte(text), []byte(text), gz.Bytes(), gz.Bytes(), gz.Bytes(), z.EncodeAll([]byte(text), nil), z.EncodeAll([]byte(text), nil)} {
			f.Add(byte(i), b)
		}
	}
	f.Fuzz(func(t *testing.T, kind byte, b []byte) {
		name := "file" + suffixes[int(kind)%len(suffixes)]
		const limit = 1 << 12
		read := func(policy string) (texts []string, bad int, err error) {
			var skips Skips
			r := &reader{ctx: context.Background(), o: ReadOptions{Field: "text", OnBad: policy, MaxBytes: limit, Skipped: &skips}, yield: func(d Document, err error) bool {
				if err != nil || len(d.Text) > limit || !utf8.Valid(d.Text) || !strings.HasPrefix(d.Name, name) {
					t.Fatalf("%s: %d bytes, %v", d.Name, len(d.Text), err)
				}
				texts = append(texts, string(d.Text))
				return true
			}}
			err = r.read(name, bytes.NewReader(b))
			return texts, skips.Bad, err
		}
		some, _, err := read("error")
		all, bad, skipErr := read("skip")
		if err != nil && !strings.HasPrefix(err.Error(), name) {
			t.Fatalf("an error without the file: %v", err)
		}
		if skipErr != nil && !strings.Contains(skipErr.Error(), "no column") {
			t.Fatalf("skipping: %v", skipErr)
		}
		if len(some) > len(all) || (err == nil) != (bad == 0 && skipErr == nil) || err == nil && len(some) != len(all) {
			t.Fatalf("%d documents until %v, but %d with %d skipped", len(some), err, len(all), bad)
		}
		for i := range some {
			if some[i] != all[i] {
				t.Fatalf("document %d is %q and %q", i, some[i], all[i])
			}
		}
	})
}
