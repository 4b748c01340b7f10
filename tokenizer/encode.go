package tokenizer

import (
	"fmt"
	"slices"
	"unsafe"

	"github.com/plinth-ml/plinth/tokenizer/split"
	"github.com/plinth-ml/plinth/tokenizer/unigram"
	"github.com/plinth-ml/plinth/tokenizer/wordpiece"
)

// An Encoder encodes with a piece cache and scratch memory of its own (4 to 14 MiB). It is for one goroutine at a time.
type Encoder struct {
	t      *Tokenizer
	cache  *cache
	book   book
	bare   int          // bytes of text until the cache gets its start from the vocabulary; 0 when it has it
	ends   [cutRoom]int // of the pieces at hand
	word   word
	prefix []byte
	err    error
	clean  bool // the text is normalized already: EncodeCLIP

	// Scratch memory of segmenters.
	tokens     []token
	symbols    []int32
	symbolEnds []int
	starts     []int32
	name       []byte
	wordPieces []wordpiece.Piece
	unigrams   []unigram.Piece
}

// bareText is how much text is encoded without the cache's start: the start costs what some 100 kB of text cost, and memory.
const bareText = 64 << 10

// NewEncoder returns an encoder for one goroutine and much text. The first one takes some ten milliseconds: it encodes the vocabulary, which all start from.
func (t *Tokenizer) NewEncoder() *Encoder {
	return &Encoder{t: t, cache: t.seed().clone()}
}

// Err returns the last error; its text's ids are not those that the model was trained with. A split pattern without a scanner
// exceeded its time limit (byte-level BPE then encodes the text as one piece, others leave it out), a text grew beyond all
// measure in the normalizer, or a word is not in a vocabulary that lacks a token for unknown ones, and was left out.
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

// AppendEncode appends the ids of text, as Encode has them. It allocates nothing but room for the ids, and may use the whole
// capacity of ids, also behind the last one it returns.
func (t *Tokenizer) AppendEncode(ids []int32, text []byte) []int32 {
	e := t.encoders.Get().(*Encoder)
	defer t.encoders.Put(e)
	return e.AppendEncode(ids, text)
}

// AppendIDs is AppendEncode, or where special is true with the special tokens in text as their ids, and tells what Encoder.Err does. It is for texts of any length: unlike a new
// encoder it costs nothing by itself.
func (t *Tokenizer) AppendIDs(ids []int32, text []byte, special bool) ([]int32, error) {
	e := t.encoders.Get().(*Encoder)
	defer t.encoders.Put(e)
	e.err = nil
	ids = e.encode(ids, text, special)
	return ids, e.err
}

// AddSpecial returns ids with the tokens around them that the file's post-processor adds to a single text.
// AddSpecial(EncodeSpecial(text)) is what Hugging Face tokenizers returns by default.
func (t *Tokenizer) AddSpecial(ids []int32) []int32 {
	if t.post == nil {
		return slices.Clone(ids)
	}
	n := len(ids)
	e := &Encoding{IDs: ids, Tokens: make([]string, n), Offsets: make([]Span, n), Texts: make([]int, n), TypeIDs: make([]int, n), Special: make([]bool, n)}
	return join(t.post.process([]*Encoding{e}, true)...).IDs
}

// AppendEncode is Tokenizer.AppendEncode with the encoder's own cache.
func (e *Encoder) AppendEncode(ids []int32, text []byte) []int32 { return e.encode(ids, text, false) }

// AppendEncodeSpecial is AppendEncode where special tokens in text become their ids.
func (e *Encoder) AppendEncodeSpecial(ids []int32, text []byte) []int32 {
	return e.encode(ids, text, true)
}

func (e *Encoder) encode(ids []int32, text []byte, special bool) []int32 {
	t := e.t
	if e.bare > 0 {
		if e.bare = max(e.bare-len(text), 0); e.bare == 0 {
			*e.cache = *t.seed()
		}
	}
	switch {
	case !t.byteWise:
		return e.pipeline(ids, text, special)
	case !special && !t.plainAdded || len(t.added) == 0:
		return e.section(ids, text)
	}
	t.cut(t.finder[0], text, special, func(token int32, start, end int) {
		if token >= 0 {
			ids = append(ids, t.added[token].ID)
			return
		}
		part := text[start:end]
		t.cut(t.finder[1], part, special, func(token int32, start, end int) {
			if token >= 0 {
				ids = append(ids, t.added[token].ID)
			} else {
				ids = e.section(ids, part[start:end])
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
		if len(stages) > 1 { // e.ends is for the last stage
			end := p.Next(text, at)
			ids = e.stage(ids, text[at:end], stages[1:])
			at = end
			continue
		}
		ends := e.ends[:p.Cut(e.ends[:], text, at)]
		ids = e.pieces(ids, text, at, ends)
		at = ends[len(ends)-1]
	}
	return ids
}

// pieces encodes the pieces text[at:ends[0]], text[ends[0]:ends[1]], and so on.
func (e *Encoder) pieces(ids []int32, text []byte, at int, ends []int) []int32 {
	for {
		ids = slices.Grow(ids, cacheIDs*len(ends))
		hits, n := e.cache.run(ids[len(ids):cap(ids)], text, at, ends)
		ids = ids[:len(ids)+n]
		if hits == len(ends) {
			return ids
		}
		if hits > 0 {
			at = ends[hits-1]
		}
		ids = e.piece(ids, text[at:ends[hits]])
		at, ends = ends[hits], ends[hits+1:]
	}
}

// piece encodes one piece, through the cache if it is short.
func (e *Encoder) piece(ids []int32, p []byte) []int32 {
	if len(p) > cacheKey {
		return e.lookUp(ids, p)
	}
	var wide [16]byte
	copy(wide[:], p)
	lo, hi := packWide(&wide, len(p))
	if s := e.cache.find(lo, hi); s.holds(lo, hi) {
		return append(ids, s.ids[:s.n()]...)
	}
	from := len(ids)
	ids = e.lookUp(ids, p)
	if len(ids)-from <= cacheIDs {
		e.cache.enter(lo, hi, ids[from:])
	}
	return ids
}

// lookUp encodes one piece through the book if it is not too long.
func (e *Encoder) lookUp(ids []int32, p []byte) []int32 {
	if len(p) > bookKey {
		return e.merge(ids, p)
	}
	known, hash, ok := e.book.find(p)
	if ok {
		return append(ids, known...)
	}
	from := len(ids)
	ids = e.merge(ids, p)
	e.book.enter(hash, p, ids[from:])
	return ids
}

// merge encodes one piece: the whole if the vocabulary says so, else by merging.
func (e *Encoder) merge(ids []int32, p []byte) []int32 {
	t := e.t
	if !t.byteWise {
		return e.segment(ids, p)
	}
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
