package data

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sort"

	"github.com/plinth-ml/plinth/internal/random"
)

// Ways to pack documents into sequences.
const (
	// Concat lays the documents end to end in shuffled order and cuts every seq tokens. All tokens are used but the few behind the last
	// whole sequence; most sequences start inside a document.
	Concat = "concat"
	// BestFit starts every sequence with a document. From 1000 documents, refilled in shuffled order, it takes the longest that fits
	// until none does, then the shortest, cropped to the room left. Every sequence is full, but what was cropped is never seen.
	BestFit = "bestfit"
)

// candidates is the number of documents that BestFit chooses from, as in nanochat.
const candidates = 1000

// pieceSize is the bytes of a piece in a plan: start uint64, length uint32, 1 if it ends its document uint32.
const pieceSize = 16

// planner collects a plan: the first piece of each sequence and the count of all pieces (uint64 each), then the pieces.
type planner struct {
	seq     uint64
	room    uint64 // left in the open sequence
	whole   int    // bytes of list in closed sequences
	first   []byte
	list    []byte
	cropped uint64
}

func newPlanner(seq int) *planner {
	return &planner{seq: uint64(seq), room: uint64(seq), first: make([]byte, 8)}
}

// add appends n tokens from start, no more than there is room for; last says that their document ends with them.
func (p *planner) add(start, n uint64, last bool) {
	flag := uint32(0)
	if last {
		flag = 1
	}
	p.list = binary.LittleEndian.AppendUint64(p.list, start)
	p.list = binary.LittleEndian.AppendUint32(p.list, uint32(n))
	p.list = binary.LittleEndian.AppendUint32(p.list, flag)
	if p.room -= n; p.room == 0 {
		p.room, p.whole = p.seq, len(p.list)
		p.first = binary.LittleEndian.AppendUint64(p.first, uint64(p.whole/pieceSize))
	}
}

// makePlan packs the documents that end at ends, and enters the plan's counts into info. What is left over after the last whole
// sequence is in no sequence.
func makePlan(ends []uint64, seq int, seed uint64, pack string, info *SplitInfo) ([]byte, error) {
	p := newPlanner(seq)
	order := random.NewPerm(uint64(len(ends)), random.NewKey(seed).Named("pack"))
	bounds := func(i uint64) (start, end uint64) {
		doc := order.At(i)
		if doc > 0 {
			start = ends[doc-1]
		}
		return start, ends[doc]
	}
	switch pack {
	case Concat:
		p.concat(uint64(len(ends)), bounds)
	case BestFit:
		p.bestFit(uint64(len(ends)), bounds)
	default:
		return nil, fmt.Errorf("pack %q is neither %s nor %s", pack, Concat, BestFit)
	}
	info.Sequences, info.Pieces, info.Cropped = uint64(len(p.first)/8-1), uint64(p.whole/pieceSize), p.cropped
	return append(p.first, p.list[:p.whole]...), nil
}

func (p *planner) concat(docs uint64, bounds func(i uint64) (start, end uint64)) {
	for i := range docs {
		for start, end := bounds(i); start < end; {
			n := min(p.room, end-start)
			p.add(start, n, start+n == end)
			start += n
		}
	}
}

// waiting is a document that BestFit may choose.
type waiting struct{ length, arrival, start uint64 }

func (p *planner) bestFit(docs uint64, bounds func(i uint64) (start, end uint64)) {
	var buf []waiting // by length, the first come first
	next, cropped := uint64(0), uint64(0)
	for {
		for ; next < docs && len(buf) < candidates; next++ {
			start, end := bounds(next)
			w := waiting{end - start, next, start}
			at := sort.Search(len(buf), func(i int) bool { return buf[i].length > w.length })
			buf = slices.Insert(buf, at, w)
		}
		if len(buf) == 0 {
			return
		}
		at := 0
		if fit := sort.Search(len(buf), func(i int) bool { return buf[i].length > p.room }); fit > 0 {
			longest := buf[fit-1].length
			at = sort.Search(fit, func(i int) bool { return buf[i].length >= longest })
		}
		w := buf[at]
		buf = slices.Delete(buf, at, at+1)
		n := min(w.length, p.room)
		cropped += w.length - n
		if p.add(w.start, n, n == w.length); p.room == p.seq {
			p.cropped = cropped // of whole sequences only
		}
	}
}
