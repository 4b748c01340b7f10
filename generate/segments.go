package generate

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/tensor"
)

// Segment is a part of a prompt: ids, or rows that stand in the place of their embeddings, such as those of an image.
type Segment struct {
	IDs  []int32   `json:"ids,omitempty"`
	Rows []float32 `json:"rows,omitempty"` // [n, C], as the model's table of embeddings has its rows: positions, and a family's scale, are still to come
}

// given are rows of a prompt.
type given struct {
	at   int       // position of the first
	rows []float32 // [n, C]
}

// names gives each position with a row of its own a negative id, the same wherever the same rows come again, so that such ids tell prompts apart as those of tokens
// do. A content is known by its SHA-256 and its shape. No id is ever given to two contents.
type names struct {
	first map[[sha256.Size]byte]int32 // id of the first row of what came lately
	next  int32                       // the last id that was given away; they descend from -1
	spent bool                        // all were: what is in the caches has to be forgotten, and they begin anew
}

// remembered is the most contents that names knows again: what is forgotten gets new ids and is computed again.
const remembered = 1024

// key knows n rows by their content and shape.
func key(rows []float32, n int) [sha256.Size]byte {
	h := sha256.New()
	binary.Write(h, binary.LittleEndian, []uint64{uint64(n), uint64(len(rows) / n)})
	binary.Write(h, binary.LittleEndian, rows)
	return [sha256.Size]byte(h.Sum(nil))
}

// name returns the id of the first of n rows that are known by a key; the others follow, descending.
func (m *names) name(key [sha256.Size]byte, n int) int32 {
	if first, ok := m.first[key]; ok {
		return first
	}
	if int64(m.next)-int64(n) < math.MinInt32 {
		*m = names{spent: true}
	}
	if m.first == nil || len(m.first) == remembered {
		m.first = map[[sha256.Size]byte]int32{}
	}
	first := m.next - 1
	m.next -= int32(n)
	m.first[key] = first
	return first
}

// promptOf joins the segments of a request to ids, those of rows negative, and checks them.
func (e *Engine) promptOf(r *Request, size model.Sizes) (ids []int32, rows []given, err error) {
	segments := r.Segments
	switch {
	case len(segments) == 0:
		segments = []Segment{{IDs: r.Prompt}}
	case len(r.Prompt) > 0:
		return nil, nil, errors.New("a prompt beside segments")
	}
	for i, s := range segments {
		for _, id := range s.IDs {
			if id < 0 || int(id) >= size.IDs() {
				return nil, nil, fmt.Errorf("token %d of the prompt is id %d, the vocabulary has %d", len(ids), id, size.Vocab)
			}
			if r.Echo && int(id) >= size.Vocab {
				return nil, nil, fmt.Errorf("token %d of the prompt is a virtual one, which has no probability: no echo", len(ids))
			}
			ids = append(ids, id)
		}
		n, C := len(s.Rows)/size.Width, size.Width
		switch {
		case len(s.Rows) == 0:
			continue
		case len(s.IDs) > 0:
			return nil, nil, fmt.Errorf("segment %d has both ids and rows", i)
		case n*C != len(s.Rows):
			return nil, nil, fmt.Errorf("segment %d has %d numbers, which are no rows of the model's width %d", i, len(s.Rows), C)
		case size.Virtual > 0:
			return nil, nil, fmt.Errorf("segment %d has rows, and the model a trained prompt: not both", i)
		case r.Echo:
			return nil, nil, fmt.Errorf("segment %d has rows, which have no probability: no echo", i)
		}
		for j, v := range s.Rows {
			if !(math.Abs(float64(v)) <= math.MaxFloat32) {
				return nil, nil, fmt.Errorf("segment %d: row %d holds %v", i, j/C, v)
			}
		}
		rows = append(rows, given{len(ids), s.Rows})
		k := key(s.Rows, n)
		e.mu.Lock()
		first := e.names.name(k, n)
		e.mu.Unlock()
		for j := range n {
			ids = append(ids, first-int32(j))
		}
	}
	if len(ids) == 0 {
		if e.opt.BOS == nil {
			return nil, nil, errors.New("the prompt is empty and no BOS is known")
		}
		ids = []int32{*e.opt.BOS}
	}
	return ids, rows, nil
}

// give puts rows of a sequence, whose n ids from position fed on are the batch's from a row on, in the place of ids that are none.
func (r *runner) give(s *sequence, fed, n, row int) {
	size := r.model.Sizes()
	for _, g := range s.rows {
		from, to := max(fed, g.at), min(fed+n, g.at+len(g.rows)/size.Width)
		for at := from; at < to; at++ {
			r.input[row+at-fed] = int32(size.Vocab + len(r.rowsGiven)/size.Width)
			r.rowsGiven = append(r.rowsGiven, g.rows[(at-g.at)*size.Width:][:size.Width]...)
		}
	}
	r.seqs.Given = nil
	if n := len(r.rowsGiven) / size.Width; n > 0 {
		r.seqs.Given = tensor.FromF32(r.rowsGiven, n, size.Width)
	}
}
