package data

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/plinth-ml/plinth/tokenizer"
)

func texts(n int) []Document {
	var docs []Document
	for i := range n {
		docs = append(docs, Document{Name: fmt.Sprint(i), Group: fmt.Sprint(i % 5), Text: []byte(strings.Repeat(fmt.Sprintf("document %d says %d. ", i, i*i), 1+i%4))})
	}
	return docs
}

func all(docs []Document) iter.Seq2[Document, error] {
	return func(yield func(Document, error) bool) {
		for _, d := range docs {
			if !yield(d, nil) {
				return
			}
		}
	}
}

var trained = sync.OnceValues(func() (*tokenizer.Tokenizer, error) {
	return tokenizer.Train(context.Background(), bytesOf(texts(40)), tokenizer.TrainOptions{VocabSize: 300})
})

func testTokenizer(t testing.TB) *tokenizer.Tokenizer {
	tok, err := trained()
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func prepared(t testing.TB, n int, o PrepareOptions) (string, *Set) {
	dir := filepath.Join(t.TempDir(), "set")
	if _, err := Prepare(context.Background(), all(texts(n)), testTokenizer(t), dir, o); err != nil {
		t.Fatal(err)
	}
	s, err := Open(dir, true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return dir, s
}

// pairs counts (token, target) of the batches, and checks their shape.
func pairs(t *testing.T, b *Batch, into map[[2]int32]int) {
	sum := 0
	for _, n := range b.Lengths {
		sum += n
	}
	if sum != len(b.IDs) || sum != len(b.Targets) {
		t.Fatalf("%d ids, %d targets, lengths %d", len(b.IDs), len(b.Targets), sum)
	}
	for i, id := range b.IDs {
		into[[2]int32{id, b.Targets[i]}]++
	}
}

func TestPackedEqualsDocuments(t *testing.T) {
	tok := testTokenizer(t)
	eos, _ := tok.EOS()
	want := map[[2]int32]int{}
	wantBytes, tokens := 0, 0
	for _, d := range texts(60) {
		ids := append(tok.Encode(string(d.Text)), eos)
		tokens += len(ids)
		for i, id := range ids {
			next := int32(-1)
			if i+1 < len(ids) {
				next = ids[i+1]
				wantBytes += len(tok.Token(next))
			}
			want[[2]int32{id, next}]++
			if next == eos {
				wantBytes -= len(tok.Token(eos))
			}
		}
	}
	for _, shard := range []int{0, 100} {
		_, s := prepared(t, 60, PrepareOptions{Seq: 1, ShardTokens: shard}) // Seq 1: nothing is left over
		src, err := s.train.Source(3, 1, tokens)
		if err != nil {
			t.Fatal(err)
		}
		v, err := s.train.Val(7, 0)
		if err != nil {
			t.Fatal(err)
		}
		var b Batch
		for name, fill := range map[string]func() error{
			"train": func() error { return src.Fill(&b, 1, 0, tokens) },
			"val":   func() error { return v.FillAt(&b, 0, v.Sequences()) },
		} {
			got := map[[2]int32]int{}
			if err := fill(); err != nil {
				t.Fatal(err)
			}
			pairs(t, &b, got)
			if !maps.Equal(got, want) || b.Bytes != wantBytes {
				t.Errorf("%s, shard %d: %d pairs, want %d; %d bytes, want %d", name, shard, len(got), len(want), b.Bytes, wantBytes)
			}
		}
	}
}

func TestEpochAndPurity(t *testing.T) {
	o := PrepareOptions{Seq: 16, Validation: 0.3, Seed: 5, Threads: 1}
	dir, s := prepared(t, 80, o)
	o.Threads = 3
	dir3, s3 := prepared(t, 80, o)
	a, _ := os.ReadFile(filepath.Join(dir, "manifest.json"))
	b, _ := os.ReadFile(filepath.Join(dir3, "manifest.json"))
	if !bytes.Equal(a, b) || len(a) == 0 {
		t.Error("the files depend on threads")
	}
	if s.Info.Val.Documents == 0 || s.Info.Val.Documents+s.Info.Train.Documents != 80 {
		t.Errorf("split %d + %d", s.Info.Train.Documents, s.Info.Val.Documents)
	}
	n := int(s.Info.Train.Sequences)
	src, _ := s.train.Source(1, 16, 1)
	src3, _ := s3.train.Source(1, 16, 1)
	if src.Fingerprint() != src3.Fingerprint() {
		t.Error("fingerprints of equal sets differ")
	}
	other, _ := s.train.Source(2, 16, 1)
	if src.Fingerprint() == other.Fingerprint() {
		t.Error("fingerprint ignores the seed")
	}
	var epochs [2][]string
	for e := range epochs {
		for i := range n {
			var x, y Batch
			if err := src.Fill(&x, e*n+i, 0, 1); err != nil {
				t.Fatal(err)
			}
			if err := src3.Fill(&y, e*n+i, 0, 1); err != nil {
				t.Fatal(err)
			}
			if len(x.IDs) != 16 || !reflect.DeepEqual(x, y) {
				t.Fatal("not a pure function of seed and step")
			}
			epochs[e] = append(epochs[e], fmt.Sprint(x))
		}
	}
	if slices.Equal(epochs[0], epochs[1]) {
		t.Error("both epochs have one order")
	}
	slices.Sort(epochs[0])
	slices.Sort(epochs[1])
	if !slices.Equal(epochs[0], epochs[1]) {
		t.Error("epochs do not hold the same sequences")
	}
	whole, _ := s.train.Source(1, 16, 4)
	var batch Batch
	if a := testing.AllocsPerRun(50, func() {
		if err := whole.Fill(&batch, 3, 0, 4); err != nil {
			t.Fatal(err)
		}
	}); a != 0 {
		t.Errorf("Fill allocates %v times", a)
	}
}

func TestReaders(t *testing.T) {
	dir := t.TempDir()
	var gz, zs bytes.Buffer
	g := gzip.NewWriter(&gz)
	g.Write([]byte("{\"text\":\"one\"}\n{\"text\":\"two\"}\n"))
	g.Close()
	z, _ := zstd.NewWriter(&zs)
	z.Write(bytes.Repeat([]byte("zstandard "), 100))
	z.Close()
	long := strings.Repeat("x", 1<<21)
	for _, c := range []struct {
		name, in string
		docs     int
		err      string // part of the error; "" for none
		bad      int    // counted when skipping
		skipDocs int
	}{
		{"a.txt", "hello", 1, "", 0, 1},
		{"a.txt", "bad \xff", 0, "a.txt: not valid UTF-8", 1, 0},
		{"a.jsonl", "{\"text\":\"a\"}\n\n{\"text\":\"b\"}", 2, "", 0, 2},
		{"a.jsonl", "{\"text\":\"a\"}\n{nope\n{\"text\":\"b\"}", 1, "a.jsonl:2", 1, 2},
		{"a.jsonl", "{\"text\":\"a\"}\n{\"text\":7}\n", 1, "a.jsonl:2", 1, 1},
		{"a.jsonl", "{\"text\":\"a\"}\n{\"txt\":\"b\"}\n{\"text\":\"c\"}", 1, "a.jsonl:2: field \"text\" is missing", 1, 2},
		{"a.jsonl", "\ufeff{\"text\":\"a\"}\n[1]\n{\"text\":null}\n", 1, "a.jsonl:2", 2, 1},
		{"a.jsonl", "{\"text\":\"a\"}\n{\"text\":\"\xff\"}\n{\"text\":\"c\"}", 1, "a.jsonl:2: not valid UTF-8", 1, 2},
		{"a.jsonl", "{\"text\":\"" + long + "\"}\n{\"text\":\"b\"}", 0, "a.jsonl:1: longer", 1, 1},
		{"a.txt", long, 0, "a.txt: longer", 1, 0},
		{"a.csv", "id,text\n1,one\n2,\"two\nlines\"\n", 2, "", 0, 2},
		{"a.csv", "id,text\n1,one\n2\n3,three\n", 1, "a.csv:3", 1, 2},
		{"a.csv", "id,text\n1,\"" + long, 0, "longer", 1, 0},
		{"a.jsonl.gz", gz.String(), 2, "", 0, 2},
		{"a.jsonl.gz", gz.String()[:gz.Len()-6], 2, "unexpected EOF", 1, 2},
		{"a.txt.zst", zs.String(), 1, "", 0, 1},
		{"a.txt.zst", zs.String()[:zs.Len()-4], 0, "a.txt.zst", 1, 0},
	} {
		path := filepath.Join(dir, c.name)
		os.WriteFile(path, []byte(c.in), 0o644)
		for _, policy := range []string{"error", "skip"} {
			var skips Skips
			n, want, wantErr := 0, c.docs, c.err
			if policy == "skip" {
				want, wantErr = c.skipDocs, ""
			}
			var last error
			for _, err := range Documents(context.Background(), []string{path}, ReadOptions{OnBad: policy, MaxBytes: 1 << 20, Skipped: &skips}) {
				if last = err; err == nil {
					n++
				}
			}
			if n != want || (last == nil) != (wantErr == "") || last != nil && !strings.Contains(last.Error(), wantErr) || policy == "skip" && skips.Bad != c.bad {
				t.Errorf("%s %.30q %s: %d documents, %d bad, error %v; want %d, %q", c.name, c.in, policy, n, skips.Bad, last, want, wantErr)
			}
		}
	}
}
