package tokenizer

import (
	"context"
	"errors"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/plinth-ml/plinth/tokenizer/split"
)

func texts(docs []string) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for _, d := range docs {
			if !yield([]byte(d)) {
				return
			}
		}
	}
}

// sample is text for small vocabularies: this package's own source.
func sample(t testing.TB) []string {
	t.Helper()
	var docs []string
	for _, name := range []string{"doc.go", "encode.go", "train.go", "load.go", "special.go"} {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		docs = append(docs, string(data))
	}
	return docs
}

func trained(t testing.TB, o TrainOptions) *Tokenizer {
	t.Helper()
	if o.VocabSize == 0 {
		o.VocabSize = 600
	}
	tok, err := Train(t.Context(), texts(sample(t)), o)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// slowMerge is the definition: the pair of lowest rank, the leftmost of those, until none merges.
func slowMerge(t *Tokenizer, p []byte) []int32 {
	var ids []int32
	for _, b := range p {
		ids = append(ids, t.bytes[b])
	}
	for {
		at, best, to := -1, int32(noRank), int32(0)
		for i := range max(0, len(ids)-1) {
			if rank, id := t.pairs.get(ids[i], ids[i+1]); rank < best {
				at, best, to = i, rank, id
			}
		}
		if at < 0 {
			return ids
		}
		ids = append(append(ids[:at:at], to), ids[at+2:]...)
	}
}

func TestMergeLengths(t *testing.T) {
	tok := trained(t, TrainOptions{VocabSize: 700})
	text := []byte(strings.Repeat(strings.Join(sample(t), "")[:700]+"aaaaaaaaaaa      ", 2))
	var w word
	for n := 0; n <= 3*shortWord; n++ {
		for _, from := range []int{0, 333, 700 - n/2} {
			p := text[from : from+n]
			ids := make([]int32, 0, n)
			for _, b := range p {
				ids = append(ids, tok.bytes[b])
			}
			ids = ids[:w.merge(tok.pairs, ids)]
			if want := slowMerge(tok, p); !slices.Equal(ids, want) {
				t.Fatalf("%q: have %v want %v", p, ids, want)
			}
		}
	}
}

// TestMergeAnyOrder merges by ranks in no order, so that a merge makes pairs of lower rank than its own, and by equal ranks.
func TestMergeAnyOrder(t *testing.T) {
	tok := trained(t, TrainOptions{VocabSize: 900})
	text := []byte(strings.Join(sample(t), ""))
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 0))
		odd := &Tokenizer{bytes: tok.bytes, pairs: newPairTable(len(tok.ranked))}
		for _, m := range tok.ranked {
			_, id := tok.pairs.get(m[0], m[1])
			odd.pairs.put(m[0], m[1], int32(rng.IntN(len(tok.ranked))/(1+int(seed)%3)), id)
		}
		var w word
		for range 20 {
			from := rng.IntN(len(text) - 1000)
			p := text[from : from+shortWord+rng.IntN(900)]
			ids := make([]int32, 0, len(p))
			for _, b := range p {
				ids = append(ids, odd.bytes[b])
			}
			ids = ids[:w.merge(odd.pairs, ids)]
			if want := slowMerge(odd, p); !slices.Equal(ids, want) {
				t.Fatalf("seed %d: %q: have %v want %v", seed, p, ids, want)
			}
		}
	}
}

func TestThreads(t *testing.T) {
	one, err := trained(t, TrainOptions{Threads: 1}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{2, 3, 8} {
		if more, _ := trained(t, TrainOptions{Threads: n}).Marshal(); string(more) != string(one) {
			t.Errorf("%d threads train another vocabulary", n)
		}
	}
}

func TestSaveLoad(t *testing.T) {
	for _, p := range split.Known {
		tok := trained(t, TrainOptions{Pattern: p, Special: []string{EndOfText, "<|user|>"}})
		path := filepath.Join(t.TempDir(), "tokenizer.json")
		if err := tok.Save(path); err != nil {
			t.Fatal(err)
		}
		back, err := Open(filepath.Dir(path))
		if err != nil {
			t.Fatal(err)
		}
		a, _ := tok.Marshal()
		b, _ := back.Marshal()
		if string(a) != string(b) {
			t.Errorf("%s: another file when saved again", p.Name)
		}
		for _, doc := range append(sample(t), "naïve \xff\xfe 北京 1234567 \r\n\r\n  x") {
			ids := tok.Encode(doc)
			if !slices.Equal(ids, back.Encode(doc)) {
				t.Errorf("%s: other ids after loading", p.Name)
			}
			if back.Decode(ids) != doc {
				t.Errorf("%s: decoded text differs", p.Name)
			}
		}
	}
}

func TestSpecial(t *testing.T) {
	tok := trained(t, TrainOptions{})
	eos, ok := tok.EOS()
	if id, _ := tok.SpecialID(EndOfText); !ok || id != eos || !tok.IsSpecial(eos) || tok.IsSpecial(eos+1) {
		t.Fatalf("EOS is %d, %t", eos, ok)
	}
	text := "a" + EndOfText + "b"
	if ids := tok.Encode(text); slices.Contains(ids, eos) || tok.Decode(ids) != text {
		t.Errorf("user text became %v", ids)
	}
	ids := tok.EncodeSpecial(text)
	if len(ids) != 3 || ids[1] != eos || tok.Decode(ids) != text {
		t.Errorf("special text became %v", ids)
	}
}

func TestLinear(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	tok := trained(t, TrainOptions{})
	for _, s := range []string{"a", " ", "ab", "\n"} {
		seconds := func(n int) float64 {
			text := strings.Repeat(s, n/len(s))
			start := time.Now()
			ids := tok.Encode(text)
			d := time.Since(start).Seconds()
			if tok.Decode(ids) != text {
				t.Fatalf("%d bytes of %q do not come back", n, s)
			}
			return d
		}
		small, big := seconds(100_000), seconds(2_000_000)
		for range 4 { // a machine may stand still for a moment
			if big > 100*small+1 { // twenty times the text
				small, big = seconds(100_000), min(big, seconds(2_000_000))
			}
		}
		if big > 100*small+1 {
			t.Errorf("%q: %.3f s for 0.1 MB, %.3f s for 2 MB", s, small, big)
		}
	}
}

func TestStream(t *testing.T) {
	tok := trained(t, TrainOptions{})
	text := "añ 北京 🦙!\xf0\x9f x\xff\xf0\x9f\xa6"
	s := tok.NewStream()
	var all strings.Builder
	for _, id := range tok.Encode(text) {
		out := s.Push(id)
		if strings.HasSuffix(out, "\xf0\x9f") || strings.HasSuffix(out, "\xe5") {
			t.Errorf("half a character: %q", out)
		}
		all.WriteString(out)
	}
	if tail := s.Flush(); tail != "\xf0\x9f\xa6" {
		t.Errorf("flushed %q", tail)
	} else if all.String()+tail != text {
		t.Errorf("have %q", all.String()+tail)
	}
}

// TestConcurrent encodes different texts with one tokenizer at once.
func TestConcurrent(t *testing.T) {
	tok := trained(t, TrainOptions{})
	docs := sample(t)
	var g sync.WaitGroup
	for i := range 8 {
		g.Go(func() {
			for k := range 20 {
				doc := docs[(i+k)%len(docs)]
				if tok.Decode(tok.Encode(doc)) != doc {
					t.Error("text does not come back")
				}
			}
		})
	}
	g.Wait()
}

// TestForeignPattern encodes through an expression that has no scanner, behind another stage.
func TestForeignPattern(t *testing.T) {
	p, err := split.ByRegex(`[a-z]+|[^a-z]`)
	if err != nil {
		t.Fatal(err)
	}
	tok := trained(t, TrainOptions{Pattern: p})
	for _, doc := range sample(t) {
		ids := tok.Encode(doc)
		if tok.Decode(ids) != doc {
			t.Error("text does not come back")
		}
		for _, id := range ids {
			if b := string(tok.Token(id)); len(b) > 1 && strings.Trim(b, "abcdefghijklmnopqrstuvwxyz") != "" {
				t.Fatalf("token %q crosses pieces", b)
			}
		}
	}
	e := tok.NewEncoder()
	if e.AppendEncode(nil, []byte("ok")); e.Err() != nil {
		t.Error(e.Err())
	}
}

func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Train(ctx, texts(sample(t)), TrainOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("have %v", err)
	}
}

func TestAllocs(t *testing.T) {
	tok := trained(t, TrainOptions{})
	text := []byte(sample(t)[0])
	e := tok.NewEncoder()
	ids := e.AppendEncode(nil, text)
	if n := testing.AllocsPerRun(100, func() { ids = e.AppendEncode(ids[:0], text) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
