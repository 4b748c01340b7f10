package data

import (
	"context"
	"fmt"
	"math"
	"reflect"
	"slices"
	"testing"

	"github.com/plinth-ml/plinth/internal/random"
)

// numbered makes documents of the given lengths whose tokens tell document and position: 1000 x document + position.
func numbered(lengths []int) (docs [][]int32) {
	for d, n := range lengths {
		doc := make([]int32, n)
		for i := range doc {
			doc[i] = int32(1000*d + i)
		}
		docs = append(docs, doc)
	}
	return docs
}

// longTail draws lengths of which the logarithm is normal, about those of web pages.
func longTail(n int, seed uint64, median, sigma float64, limit int) []int {
	key := random.NewKey(seed)
	list := make([]int, n)
	for i := range list {
		list[i] = min(limit, 1+int(median*math.Exp(sigma*key.Normal(uint64(i)))))
	}
	return list
}

// TestPackedEqualsUnpacked checks every token of an epoch: the prefix of its piece is a run of its own document, and its target the next token
// there. A packed batch therefore says what the documents alone say.
func TestPackedEqualsUnpacked(t *testing.T) {
	lengths := longTail(300, 1, 20, 1.2, 999)
	docs := numbered(lengths)
	for _, pack := range []string{Concat, BestFit} {
		for _, seq := range []int{1, 2, 16, 50, 333} {
			p, err := fromTokens(docs, 300_000, seq, 7, pack)
			if err != nil {
				t.Fatal(err)
			}
			n := int(p.Info.Sequences)
			src, err := p.Source(3, seq, n)
			if err != nil {
				t.Fatal(err)
			}
			var b Batch
			if err := src.Fill(&b, 0, 0, n); err != nil {
				t.Fatal(err)
			}
			if len(b.IDs) != n*seq || len(b.Targets) != n*seq {
				t.Fatalf("%s, seq %d: %d ids and %d targets in %d sequences", pack, seq, len(b.IDs), len(b.Targets), n)
			}
			seen := map[int32]bool{}
			row, whole := 0, 0
			for _, length := range b.Lengths {
				doc := lengths[b.IDs[row]/1000]
				if at := row % seq; at+length > seq {
					t.Fatalf("%s, seq %d: a piece of %d at %d crosses the sequence", pack, seq, length, at)
				} else if pos := int(b.IDs[row] % 1000); pack == BestFit && pos != 0 {
					t.Fatalf("seq %d: a piece starts at position %d of its document", seq, pos)
				} else if length == doc {
					whole++
				}
				for i, id := range b.IDs[row : row+length] {
					want := id + 1
					if int(id%1000) == doc-1 {
						want = -1
					}
					if id != b.IDs[row]+int32(i) || b.Targets[row+i] != want || seen[id] {
						t.Fatalf("%s, seq %d: token %d behind %d, target %d, seen %v", pack, seq, id, b.IDs[row], b.Targets[row+i], seen[id])
					}
					seen[id] = true
				}
				row += length
			}
			left := p.Info.Tokens - p.Info.Cropped - uint64(n*seq)
			if pack == Concat && (p.Info.Cropped != 0 || left >= uint64(seq)) {
				t.Errorf("concat, seq %d: %d cropped, %d left over", seq, p.Info.Cropped, left)
			}
			if pack == BestFit && seq == 50 && (whole < 200 || p.Info.Cropped == 0) {
				t.Errorf("bestfit: %d of 300 documents whole, %d tokens cropped", whole, p.Info.Cropped)
			}
		}
	}
}

// TestBestFitByHand: sequences of 10 from documents of 7, 4, 3, 2, 12. All wait at once, so their order matters not: 7+3, 4+2 and then
// 4 of the 12, the only one left, of which 8 are cropped.
func TestBestFitByHand(t *testing.T) {
	docs := numbered([]int{7, 4, 3, 2, 12})
	p, err := FromTokensBestFit(docs, 5000, 10, 0)
	if err != nil {
		t.Fatal(err)
	}
	var b Batch
	for i := range p.Info.Sequences {
		if err := p.sequence(&b, i); err != nil {
			t.Fatal(err)
		}
	}
	want := []int32{0, 1, 2, 3, 4, 5, 6, 2000, 2001, 2002, 1000, 1001, 1002, 1003, 3000, 3001, 4000, 4001, 4002, 4003}
	if !slices.Equal(b.IDs, want) || !slices.Equal(b.Lengths, []int{7, 3, 4, 2, 4}) || p.Info.Cropped != 8 || b.Targets[19] != 4004 || b.Targets[15] != -1 {
		t.Errorf("%v, pieces %v, %d cropped, targets %v", b.IDs, b.Lengths, p.Info.Cropped, b.Targets)
	}
	// The shortest of those that do not fit is cropped: the 6, not the 9.
	if p, err = FromTokensBestFit(numbered([]int{9, 6}), 5000, 5, 0); err != nil {
		t.Fatal(err)
	}
	b.reset()
	if err := p.sequence(&b, 0); err != nil || b.IDs[0] != 1000 || p.Info.Cropped != 1+4 {
		t.Errorf("first sequence %v, %d cropped, %v", b.IDs, p.Info.Cropped, err)
	}
}

// TestPackingTable compares ways to pack a long-tailed corpus into sequences of 2048, as nanochat reports it for its own corpus: greedy
// with cropping 39.4 % of the tokens cropped; greedy with padding 78 % of the room used; first-fit decreasing 99.7 % used, 23.0 % cropped;
// best-fit with cropping 100 % used, 34.6 % cropped. The lengths here are drawn, so only order and rough size are the same.
func TestPackingTable(t *testing.T) {
	const seq = 2048
	lengths := longTail(20_000, 2, 450, 1.13, 1<<20)
	var ends []uint64
	tokens, tail := 0, 0
	for _, n := range lengths {
		tokens += n
		tail += max(0, n-seq)
		ends = append(ends, uint64(tokens))
	}
	share := func(n, of int) float64 { return float64(n) / float64(of) }

	greedyCrop, room := 0, seq // crop what does not fit
	greedyRows, left := 1, seq // start a new sequence instead
	for _, n := range lengths {
		greedyCrop += n - min(n, room)
		if room -= min(n, room); room == 0 {
			room = seq
		}
		if n = min(n, seq); n > left {
			greedyRows, left = greedyRows+1, seq
		}
		left -= n
	}
	var bins []int
	cut := slices.Clone(lengths)
	slices.SortFunc(cut, func(a, b int) int { return b - a })
	open := 0 // bins before it are full for all that comes
	for _, n := range cut {
		n = min(n, seq)
		i := open
		for i < len(bins) && bins[i] < n {
			i++
		}
		if i == len(bins) {
			bins = append(bins, seq)
		}
		bins[i] -= n
		for open < len(bins) && bins[open] == 0 {
			open++
		}
	}
	var info SplitInfo
	if _, err := makePlan(ends, seq, 0, BestFit, &info); err != nil {
		t.Fatal(err)
	}
	greedy, best, ffd := share(greedyCrop, tokens), share(int(info.Cropped), tokens), share(tail, tokens)
	padded, ffdUsed := share(tokens-tail, greedyRows*seq), share(tokens-tail, len(bins)*seq)
	used := share(int(info.Sequences)*seq+int(info.Cropped), tokens)
	t.Logf("greedy-crop %.3f cropped; greedy-pad %.3f used; FFD %.3f used, %.3f cropped; best-fit-crop %.3f cropped, %.3f of the tokens placed", greedy, padded, ffdUsed, ffd, best, used)
	if !(ffd < best && best < greedy) || best > greedy-0.02 {
		t.Errorf("cropped: first-fit decreasing %.3f < best fit %.3f < greedy %.3f does not hold", ffd, best, greedy)
	}
	if used > 1 || used < 0.95 || padded > 0.9 || ffdUsed < 0.98 {
		t.Errorf("best fit placed %.3f of the tokens; room used by padding %.3f, by first-fit decreasing %.3f", used, padded, ffdUsed)
	}
}

// TestPreparedEqualsMemory: shards on disk and a split in memory of the same documents give the same batches.
func TestPreparedEqualsMemory(t *testing.T) {
	tok := testTokenizer(t)
	eos, _ := tok.EOS()
	var docs [][]int32
	for _, d := range texts(90) {
		docs = append(docs, append(tok.Encode(string(d.Text)), eos))
	}
	for _, pack := range []string{Concat, BestFit} {
		_, set := prepared(t, 90, PrepareOptions{Seq: 24, Seed: 11, Pack: pack, ShardTokens: 200})
		p, err := fromTokens(docs, tok.VocabSize(), 24, 11, pack)
		if err != nil {
			t.Fatal(err)
		}
		if a, b := set.Info.Train, p.Info; a.Sequences != b.Sequences || a.Pieces != b.Pieces || a.Cropped != b.Cropped || a.Tokens != b.Tokens || len(a.Shards) < 5 || set.Info.Pack != pack {
			t.Errorf("%s: %+v on disk, %+v in memory", pack, a, b)
		}
		x, err := set.train.Source(2, 24, 5)
		if err != nil {
			t.Fatal(err)
		}
		y, err := p.Source(2, 24, 5)
		if err != nil {
			t.Fatal(err)
		}
		for step := range 30 {
			var a, b Batch
			if err := x.Fill(&a, step, 1, 5); err != nil {
				t.Fatal(err)
			}
			if err := y.Fill(&b, step, 1, 5); err != nil {
				t.Fatal(err)
			}
			if a.Bytes = 0; !reflect.DeepEqual(a, b) {
				t.Fatalf("%s, step %d: %v on disk, %v in memory", pack, step, a, b)
			}
		}
	}
	if _, err := Prepare(context.Background(), all(texts(9)), tok, t.TempDir()+"/x", PrepareOptions{Pack: "pad"}); err == nil {
		t.Error("an unknown packing")
	}
}

func ExampleFromTokensBestFit() {
	split, err := FromTokensBestFit([][]int32{{1, 2, 3, 0}, {4, 0}, {5, 6, 0}}, 8, 6, 0)
	if err != nil {
		fmt.Println(err)
		return
	}
	source, err := split.Source(1, 6, 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	var b Batch
	if err := source.Fill(&b, 0, 0, 1); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(b.IDs, b.Targets, b.Lengths)
	// Output: [1 2 3 0 4 0] [2 3 0 -1 0 -1] [4 2]
}
