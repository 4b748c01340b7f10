package data

import (
	"context"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/tokenizer"
)

const (
	pairDocs  = 40
	docTokens = 150
)

// counted is documents whose token t of document d is 3 + 150·d + t: 0, 1 and 2 are [CLS], [SEP] and [MASK]. Every ninth token ends a sentence, every fourth
// continues a word.
func counted(t *testing.T, o PairOptions) *Pairs {
	t.Helper()
	vocab := 3 + pairDocs*docTokens
	m := Marks{CLS: 0, SEP: 1, Mask: 2, ends: make([]bool, vocab), closes: make([]bool, vocab), inside: make([]bool, vocab)}
	var docs [][]int32
	for d := range pairDocs {
		var doc []int32
		for i := range docTokens - d { // of different lengths
			id := 3 + d*docTokens + i
			m.ends[id], m.inside[id] = i%9 == 8, i%4 == 1
			doc = append(doc, int32(id))
		}
		docs = append(docs, append(doc, m.SEP))
	}
	split, err := FromTokens(docs, vocab, 64, 1)
	if err != nil {
		t.Fatal(err)
	}
	p, err := NewPairs(split, m, o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Examples have the form of the paper's: two runs of text, half of the time from one document in order, otherwise from two; the stated shares of tokens
// masked, kept and replaced.
func TestPairs(t *testing.T) {
	for _, whole := range []bool{false, true} {
		p := counted(t, PairOptions{Seq: 48, Batch: 50, WholeWords: whole, Seed: 5})
		var b PairBatch
		var random, short, masked, kept, texts, tokens int
		seen := map[int32]bool{}
		for step := range 60 {
			if err := p.Fill(&b, step, 0, 50); err != nil {
				t.Fatal(err)
			}
			row, at := 0, 0
			for i, n := range b.Lengths {
				ids := slices.Clone(b.IDs[row : row+n])
				first := at
				for ; at < len(b.Masked) && int(b.Masked[at]) < row+n; at++ {
					if at > first && b.Masked[at] <= b.Masked[at-1] {
						t.Fatal("rows do not ascend")
					}
					switch ids[int(b.Masked[at])-row] {
					case p.marks.Mask:
						masked++
					case b.Targets[at]:
						kept++
					}
					ids[int(b.Masked[at])-row] = b.Targets[at]
				}
				if most := max(1, int(math.RoundToEven(0.15*float64(n)))); at-first > most || !whole && at-first != most {
					t.Fatalf("%d of %d tokens masked", at-first, n)
				}
				end := slices.Index(ids, p.marks.SEP)
				x, y := ids[1:end], ids[end+1:n-1]
				if n > 48 || ids[0] != p.marks.CLS || ids[n-1] != p.marks.SEP || len(x) == 0 || len(y) == 0 {
					t.Fatalf("example %v", ids)
				}
				for j, s := range b.Segments[row : row+n] {
					if s != 0 && j <= end || s != 1 && j > end {
						t.Fatalf("segments %v", b.Segments[row:row+n])
					}
				}
				for _, text := range [][]int32{x, y} {
					for j, id := range text {
						if id != text[0]+int32(j) || (id-3)/docTokens != (text[0]-3)/docTokens {
							t.Fatalf("no run of one document: %v", text)
						}
						seen[id] = true
					}
				}
				if same := (x[0]-3)/docTokens == (y[0]-3)/docTokens; same == (b.Next[i] == 1) || same && y[0] <= x[len(x)-1] {
					t.Fatalf("label %d of %v and %v", b.Next[i], x, y)
				}
				random += int(b.Next[i])
				texts++
				if n < 24 {
					short++
				}
				if whole {
					wholeWords(t, p, &b, row, ids)
				}
				row += n
			}
			tokens += len(b.Masked)
		}
		near := func(what string, n, of int, want, within float64) {
			if got := float64(n) / float64(of); math.Abs(got-want) > within {
				t.Errorf("whole words %v: share of %s %.3f, want %v", whole, what, got, want)
			}
		}
		near("random second texts", random, texts, 0.55, 0.06) // half, and where a document has one sentence left
		near("[MASK]", masked, tokens, 0.8, 0.01)
		near("kept tokens", kept, tokens, 0.1, 0.01)
		near("short examples", short, texts, 0.2, 0.15)
		if want := pairDocs*docTokens - pairDocs*(pairDocs-1)/2; len(seen) != want {
			t.Errorf("%d tokens of the corpus seen, it has %d", len(seen), want)
		}
	}
}

// wholeWords checks that a word is predicted whole or not at all; ids are those of the example before it was masked.
func wholeWords(t *testing.T, p *Pairs, b *PairBatch, row int, ids []int32) {
	t.Helper()
	for j := 2; j < len(ids); j++ {
		if p.marks.inside[ids[j]] && ids[j-1] > p.marks.Mask && slices.Contains(b.Masked, int32(row+j)) != slices.Contains(b.Masked, int32(row+j-1)) {
			t.Fatalf("half of a word is predicted in %v", ids)
		}
	}
}

// Any part of a batch is the same whoever asks for it, in whatever order.
func TestPairsPure(t *testing.T) {
	o := PairOptions{Seq: 48, Batch: 8, Seed: 5, MaxMasked: 4, Short: -1}
	p := counted(t, o)
	var whole, part PairBatch
	epoch := p.Examples() / 8
	for _, step := range []int{3 * epoch, 0, epoch, 1} {
		q := counted(t, o)
		if err := p.Fill(&whole, step, 0, 8); err != nil {
			t.Fatal(err)
		}
		row := 0
		for i := range 8 {
			if err := q.Fill(&part, step, i, i+1); err != nil {
				t.Fatal(err)
			}
			n := whole.Lengths[i]
			if len(part.Masked) > 4 || part.Next[0] != whole.Next[i] || !slices.Equal(part.IDs, whole.IDs[row:row+n]) || !slices.Equal(part.Segments, whole.Segments[row:row+n]) {
				t.Fatalf("step %d: example %d differs alone", step, i)
			}
			row += n
		}
	}
	if n := testing.AllocsPerRun(20, func() { p.Fill(&whole, 1, 0, 8) }); n > 0 {
		t.Errorf("%v allocations for a batch", n)
	}
	if counted(t, PairOptions{Seq: 48, Batch: 8, Seed: 6}).Fingerprint() == p.Fingerprint() {
		t.Error("another seed has the same fingerprint")
	}
	for _, bad := range [][3]int{{-1, 0, 1}, {0, 2, 1}, {0, 0, 9}} {
		if err := p.Fill(&whole, bad[0], bad[1], bad[2]); err == nil {
			t.Errorf("%v is accepted", bad)
		}
	}
}

// The marks of a tokenizer, and sentences with quotes.
func TestMarks(t *testing.T) {
	text := []byte(`He said "go." They went (twice!). Why? ... Nobody knows`)
	tok, err := tokenizer.TrainWordPiece(context.Background(), slices.Values([][]byte{[]byte(strings.Repeat(string(text), 9))}), tokenizer.WordOptions{VocabSize: 100})
	if err != nil {
		t.Fatal(err)
	}
	m, err := MarksOf(tok)
	if err != nil {
		t.Fatal(err)
	}
	doc := append(tok.Encode(string(text)), m.SEP)
	split, err := FromTokens([][]int32{doc, doc}, tok.VocabSize(), 4, 1)
	if err != nil {
		t.Fatal(err)
	}
	p, err := NewPairs(split, m, PairOptions{Seq: 32, Batch: 1})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range p.sentences[:len(p.sentences)/2] {
		got = append(got, tok.Decode(doc[s.start:s.start+uint64(s.n)]))
	}
	if want := []string{`he said " go. "`, `they went ( twice! ).`, "why?...", "nobody knows"}; !reflect.DeepEqual(got, want) {
		t.Errorf("sentences %q, want %q", got, want)
	}
	gpt, err := tokenizer.Train(context.Background(), slices.Values([][]byte{text}), tokenizer.TrainOptions{VocabSize: 260})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := MarksOf(gpt); err == nil || !strings.Contains(err.Error(), "wordpiece") {
		t.Errorf("a tokenizer without marks: %v", err)
	}
}

func TestPairsRefuse(t *testing.T) {
	split, err := FromTokens([][]int32{{3, 4, 5, 6}}, 8, 4, 1)
	if err != nil {
		t.Fatal(err)
	}
	m := Marks{CLS: 0, SEP: 1, Mask: 2, ends: make([]bool, 8), closes: make([]bool, 8), inside: make([]bool, 8)}
	for names, o := range map[string]PairOptions{"two documents": {Seq: 8, Batch: 1}, "of 4 tokens": {Seq: 4, Batch: 1}, "batches of 0": {Seq: 8}, "2 of the tokens": {Seq: 8, Batch: 1, Mask: 2}} {
		if _, err := NewPairs(split, m, o); err == nil || !strings.Contains(err.Error(), names) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

// Single texts are whole sentences of one document in order, as many as fit; an epoch has every token once.
func TestSingleTexts(t *testing.T) {
	p := counted(t, PairOptions{Seq: 48, Batch: 10, Short: -1, Mask: 0.4, Single: true, Seed: 5})
	var b PairBatch
	seen := map[int32]int{}
	all := p.Examples()
	for n := 0; n < all; n++ {
		if err := p.Fill(&b, n/10, n%10, n%10+1); err != nil {
			t.Fatal(err)
		}
		ids := slices.Clone(b.IDs)
		for i, row := range b.Masked {
			ids[row] = b.Targets[i]
		}
		last := len(ids) - 1
		if len(ids) > 48 || ids[0] != p.marks.CLS || ids[last] != p.marks.SEP || slices.Max(b.Segments) != 0 || len(b.Next) != 0 {
			t.Fatalf("example %v", ids)
		}
		if want := int(math.RoundToEven(0.4 * float64(len(ids)))); len(b.Masked) != want {
			t.Fatalf("%d of %d tokens masked", len(b.Masked), len(ids))
		}
		for i, id := range ids[1:last] {
			seen[id]++
			if id != ids[1]+int32(i) {
				t.Fatalf("not in order: %v", ids)
			}
		}
		if doc, end := (ids[1]-3)/docTokens, (ids[last-1]-3)%docTokens; end%9 != 8 && int(end) != docTokens-int(doc)-1 {
			t.Fatalf("%v does not end with a sentence", ids)
		}
	}
	total := 0
	for id, n := range seen {
		if total++; n != 1 {
			t.Fatalf("token %d occurs %d times", id, n)
		}
	}
	if want := pairDocs*docTokens - pairDocs*(pairDocs-1)/2; total != want {
		t.Errorf("%d tokens of %d", total, want)
	}
	if p.MaskShare() != 0.4 {
		t.Errorf("share %v", p.MaskShare())
	}
}
