package tokenizer

import (
	"fmt"
	"math/bits"
	"unsafe"

	"github.com/plinth-ml/plinth/tokenizer/split"
)

const (
	cacheBits = 15 // slots of the piece cache
	cacheKey  = 15 // longest piece that is cached, bytes
	cacheIDs  = 7  // most ids of one
)

// cached is a piece and its ids. An empty slot has n = 0.
type cached struct {
	lo, hi uint64 // the bytes, and their number in the top byte
	n      int32
	ids    [cacheIDs]int32
}

// An Encoder encodes with a piece cache and scratch memory of its own (about 1.5 MiB). It is for one goroutine at a time.
type Encoder struct {
	t      *Tokenizer
	cache  []cached
	word   word
	prefix []byte
	err    error
}

// NewEncoder returns an encoder for one goroutine.
func (t *Tokenizer) NewEncoder() *Encoder { return &Encoder{t: t, cache: make([]cached, 1<<cacheBits)} }

// Err returns the last error. There is none but that a split pattern without a scanner exceeded its time limit on a text, which
// was then encoded as one piece: its ids decode to the text, but are not those that the model was trained with.
func (e *Encoder) Err() error { return e.err }

// Encode returns the ids of text. Special tokens that the text spells out are text like any other; added tokens that are not
// special (runs of white space, in some vocabularies) are found.
func (t *Tokenizer) Encode(text string) []int32 {
	return t.AppendEncode(nil, unsafe.Slice(unsafe.StringData(text), len(text)))
}

// EncodeSpecial is Encode, but the special tokens in text become their ids. It must not see text from users.
func (t *Tokenizer) EncodeSpecial(text string) []int32 {
	e := t.encoders.Get().(*Encoder)
	defer t.encoders.Put(e)
	return e.AppendEncodeSpecial(nil, unsafe.Slice(unsafe.StringData(text), len(text)))
}

// AppendEncode appends the ids of text, as Encode has them. It allocates nothing but room for the ids.
func (t *Tokenizer) AppendEncode(ids []int32, text []byte) []int32 {
	e := t.encoders.Get().(*Encoder)
	defer t.encoders.Put(e)
	return e.AppendEncode(ids, text)
}

// AddSpecial returns ids with the tokens around them that the file's post-processor adds to a single text.
// AddSpecial(EncodeSpecial(text)) is what Hugging Face tokenizers returns by default.
func (t *Tokenizer) AddSpecial(ids []int32) []int32 {
	all := make([]int32, 0, len(t.before)+len(ids)+len(t.after))
	return append(append(append(all, t.before...), ids...), t.after...)
}

// AppendEncode is Tokenizer.AppendEncode with the encoder's own cache.
func (e *Encoder) AppendEncode(ids []int32, text []byte) []int32 { return e.encode(ids, text, false) }

// AppendEncodeSpecial is AppendEncode where special tokens in text become their ids.
func (e *Encoder) AppendEncodeSpecial(ids []int32, text []byte) []int32 {
	return e.encode(ids, text, true)
}

func (e *Encoder) encode(ids []int32, text []byte, special bool) []int32 {
	t := e.t
	if t.finder[0] == nil && t.finder[1] == nil {
		return e.section(ids, text)
	}
	t.cut(t.finder[0], text, special, func(token int32, text []byte) {
		if token >= 0 {
			ids = append(ids, t.added[token].ID)
			return
		}
		t.cut(t.finder[1], text, special, func(token int32, text []byte) {
			if token >= 0 {
				ids = append(ids, t.added[token].ID)
			} else {
				ids = e.section(ids, text)
			}
		})
	})
	return ids
}

// section encodes text that holds no added token.
func (e *Encoder) section(ids []int32, text []byte) []int32 {
	if e.t.prefixSpace && len(text) > 0 && text[0] != ' ' {
		e.prefix = append(append(e.prefix[:0], ' '), text...)
		text = e.prefix
	}
	if len(text) == 0 {
		return ids
	}
	return e.stage(ids, text, e.t.stages)
}

// stage cuts text by the first pattern, and the pieces by the others.
func (e *Encoder) stage(ids []int32, text []byte, stages []*split.Pattern) []int32 {
	if len(stages) == 0 {
		return e.piece(ids, text)
	}
	p := stages[0]
	if !p.Scanned() {
		ends, err := p.Ends(nil, text)
		if err != nil {
			e.err = fmt.Errorf("tokenizer: %w", err)
			return e.piece(ids, text)
		}
		at := 0
		for _, end := range ends {
			ids = e.stage(ids, text[at:end], stages[1:])
			at = end
		}
		return ids
	}
	for at := 0; at < len(text); {
		end := p.Next(text, at)
		if len(stages) == 1 {
			ids = e.piece(ids, text[at:end])
		} else {
			ids = e.stage(ids, text[at:end], stages[1:])
		}
		at = end
	}
	return ids
}

// piece encodes one piece, through the cache if it is short.
func (e *Encoder) piece(ids []int32, p []byte) []int32 {
	if len(p) == 1 {
		if id := e.t.bytes[p[0]]; id >= 0 {
			return append(ids, id)
		}
		return ids
	}
	if len(p) > cacheKey {
		return e.merge(ids, p)
	}
	lo, hi := packPiece(p)
	c := &e.cache[bits.RotateLeft64((lo*0x9E3779B97F4A7C15)^hi, 29)*0xC2B2AE3D27D4EB4F>>(64-cacheBits)]
	if c.lo == lo && c.hi == hi && c.n > 0 {
		return append(ids, c.ids[:c.n]...)
	}
	from := len(ids)
	ids = e.merge(ids, p)
	if n := len(ids) - from; n <= cacheIDs {
		c.lo, c.hi, c.n = lo, hi, int32(n)
		copy(c.ids[:], ids[from:])
	}
	return ids
}

// packPiece returns the bytes of p, at most 15, and their number.
func packPiece(p []byte) (lo, hi uint64) {
	n := len(p)
	if n >= 8 {
		lo = le64(p)
		if n > 8 {
			hi = le64(p[n-8:]) >> (8 * (16 - n))
		}
	} else {
		for i, b := range p {
			lo |= uint64(b) << (8 * i)
		}
	}
	return lo, hi | uint64(n)<<56
}

func le64(p []byte) uint64 {
	_ = p[7]
	return uint64(p[0]) | uint64(p[1])<<8 | uint64(p[2])<<16 | uint64(p[3])<<24 |
		uint64(p[4])<<32 | uint64(p[5])<<40 | uint64(p[6])<<48 | uint64(p[7])<<56
}

// merge encodes one piece: the whole if the vocabulary says so, else by merging.
func (e *Encoder) merge(ids []int32, p []byte) []int32 {
	t := e.t
	if t.whole != nil {
		if id, ok := t.whole[string(p)]; ok {
			return append(ids, id)
		}
	}
	from := len(ids)
	for _, b := range p {
		if id := t.bytes[b]; id >= 0 {
			ids = append(ids, id)
		}
	}
	return ids[:from+e.word.merge(t.pairs, ids[from:])]
}
