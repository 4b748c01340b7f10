package data

import (
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/internal/random"
	"github.com/plinth-ml/plinth/tokenizer"
)

// The paper's numbers: sources of 512 tokens come from 568, with targets of 114.
func TestSpanLengths(t *testing.T) {
	s := Spans{Sentinel: 32099, EOS: 1}
	if n := s.TokensFor(512); n != 568 {
		t.Errorf("sources of 512 from %d tokens, want 568", n)
	}
	if source, target := s.Lengths(568); source != 512 || target != 114 {
		t.Errorf("568 tokens give %d and %d, want 512 and 114", source, target)
	}
}

// A text can be put together again from its source and target; the spans cover what they shall; equal keys give equal spans.
func TestSpansCorrupt(t *testing.T) {
	s := Spans{Sentinel: 9999, EOS: 1}
	covered := make([]float64, 568)
	const rounds = 400
	lengths := map[int]int{}
	for _, n := range []int{2, 3, 7, 20, 568} {
		ids := make([]int32, n)
		for i := range ids {
			ids[i] = int32(2 + i)
		}
		for r := range uint64(rounds) {
			key := random.NewKey(7, uint64(n), r)
			source, target := s.Corrupt(nil, nil, ids, key)
			a, b := s.Corrupt(nil, nil, ids, key)
			if !slices.Equal(a, source) || !slices.Equal(b, target) {
				t.Fatal("equal keys give unequal spans")
			}
			if x, y := s.Lengths(n); len(source) != x || len(target) != y {
				t.Fatalf("%d tokens: source of %d and target of %d, want %d and %d", n, len(source), len(target), x, y)
			}
			var whole []int32
			rest := target
			for _, id := range source[:len(source)-1] {
				if id < 9000 {
					whole = append(whole, id)
					continue
				}
				if rest[0] != id {
					t.Fatalf("sentinel %d of the source, %d of the target", id, rest[0])
				}
				end := 1 + slices.IndexFunc(rest[1:], func(id int32) bool { return id == s.EOS || id > 9000 })
				if n == 568 {
					lengths[end-1]++
					for _, id := range rest[1:end] {
						covered[id-2] += 1.0 / rounds
					}
				}
				whole, rest = append(whole, rest[1:end]...), rest[end:]
			}
			if !slices.Equal(whole, ids) || source[len(source)-1] != s.EOS || !slices.Equal(rest, []int32{s.EOS}) {
				t.Fatalf("%v with %v is not %v", source, target, ids)
			}
		}
	}
	// Away from the ends every token is left out as often as the density says: binomial, five standard deviations of 400 draws.
	for i := 100; i < 450; i++ {
		if math.Abs(covered[i]-0.15) > 5*math.Sqrt(0.15*0.85/rounds) {
			t.Errorf("token %d is left out in %.3f of all draws", i, covered[i])
		}
	}
	// 85 tokens cut at 27 of 84 places, all as likely: the first token of a span is its last when there is a cut behind it.
	total := 0
	for _, c := range lengths {
		total += c
	}
	if p := float64(lengths[1]) / float64(total); math.Abs(p-27.0/84) > 0.02 {
		t.Errorf("%.3f of the spans have one token, want 27/84", p)
	}
}

func TestSpansCheck(t *testing.T) {
	for name, s := range map[string]Spans{
		"density": {Density: 1, Sentinel: 99, EOS: 1}, "mean": {Mean: 0.5, Sentinel: 99, EOS: 1}, "sentinel": {Sentinel: 100, EOS: 1},
		"few sentinels": {Sentinel: 3, EOS: 1}, "EOS": {Sentinel: 99, EOS: -1},
	} {
		if s.Check(568, 100) == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	if err := (Spans{Sentinel: 99, EOS: 1}).Check(568, 100); err != nil {
		t.Error(err)
	}
}

// Sentinels stand at the end of a tokenizer in T5's order, and too few for a length are an error; what a target says of each gap comes out of it.
func TestSpansFor(t *testing.T) {
	text := []byte("one fish two fish red fish blue fish")
	plain, err := tokenizer.TrainUnigram(t.Context(), slices.Values([][]byte{text}), tokenizer.WordOptions{VocabSize: 280})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := SpansFor(plain, 64); err == nil || !strings.Contains(err.Error(), "<extra_id_0>") {
		t.Errorf("no sentinels: %v", err)
	}
	tok, err := plain.WithSpecial(Sentinels(4)...)
	if err != nil {
		t.Fatal(err)
	}
	n := int32(tok.VocabSize())
	for i := range int32(4) {
		if id, _ := tok.SpecialID(sentinel(int(i))); id != n-1-i {
			t.Errorf("sentinel %d has id %d of %d", i, id, n)
		}
	}
	s, err := SpansFor(tok, 80) // 12 tokens in 4 spans
	if eos, _ := tok.EOS(); err != nil || s.Sentinel != n-1 || s.EOS != eos {
		t.Fatalf("%+v, %v", s, err)
	}
	if _, err := SpansFor(tok, 100); err == nil || !strings.Contains(err.Error(), "need 5 sentinels") {
		t.Errorf("too few sentinels: %v", err)
	}
	source := []int32{7, n - 1, 8, n - 2, n - 3, 1}
	for _, c := range []struct {
		target []int32
		want   [][]int32
	}{
		{[]int32{n - 1, 5, 6, n - 2, 9, n - 3, 4, 1}, [][]int32{{5, 6}, {9}, {4}}},
		{[]int32{3, n - 3, 4, n - 1, 5, 1, n - 4, 1}, [][]int32{{5, n - 4}, nil, {4}}},
		{nil, make([][]int32, 3)},
	} {
		if got := s.Gaps(source, c.target); !reflect.DeepEqual(got, c.want) {
			t.Errorf("gaps of %v: %v, want %v", c.target, got, c.want)
		}
	}
}
