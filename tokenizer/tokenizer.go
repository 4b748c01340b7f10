package tokenizer

import (
	"fmt"
	"slices"
	"sync"

	"github.com/plinth-ml/plinth/tokenizer/split"
)

// Limits on foreign files, so that a hostile one cannot ask for much memory.
const (
	maxFile  = 256 << 20 // bytes
	maxID    = 1 << 22   // ids are below
	maxToken = 64 << 10  // bytes in one token
)

// EndOfText is the name of the special token that ends a document in a trained vocabulary.
const EndOfText = "<|endoftext|>"

// An AddedToken is one that the text is searched for before anything else.
type AddedToken struct {
	ID         int32  `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"` // only between non-word characters
	LStrip     bool   `json:"lstrip"`      // takes the white space before it
	RStrip     bool   `json:"rstrip"`      // and behind it
	Normalized bool   `json:"normalized"`  // searched for after those that are not
	Special    bool   `json:"special"`     // control token: only EncodeSpecial finds it
}

// Tokenizer is a byte-level BPE tokenizer. It does not change once made; all methods are safe for concurrent use.
type Tokenizer struct {
	listed []bool   // by id, whether model.vocab has it
	names  []string // by id, as the files spell it
	raw    []string // by id, the bytes that the token stands for
	ids    map[string]int32
	merges [][2]int32 // in order of rank
	pairs  *pairTable
	bytes  [256]int32 // id of each byte, -1 where the vocabulary lacks it

	whole map[string]int32 // ids by bytes, where a whole piece is looked up before merging (tiktoken, ignore_merges); else nil

	stages      []*split.Pattern // applied one after the other; none: the text is one piece
	prefixSpace bool

	added   []AddedToken
	addedAt map[int32]int // index in added by id
	finder  [2]*finder    // of not normalized and of normalized added tokens

	plainAdded bool    // some added token is not special
	before     []int32 // what the post-processor puts before a text
	after      []int32 // and behind it

	sections sections // of tokenizer.json that are kept as they were
	encoders sync.Pool
	seedOnce sync.Once
	seeded   *cache
}

// model is what the readers and the trainer hand to build.
type model struct {
	vocab        map[string]int32 // as spelled in the files
	merges       [][2]string
	ranks        []int32 // of merges; nil: their index
	ignoreMerges bool
	added        []AddedToken
	stages       []*split.Pattern
	prefixSpace  bool
	before       []int32
	after        []int32
	sections     sections
}

// build checks a model and makes the tables.
func build(m *model) (*Tokenizer, error) {
	t := &Tokenizer{
		ids: make(map[string]int32, len(m.vocab)+len(m.added)), stages: m.stages, prefixSpace: m.prefixSpace,
		added: m.added, addedAt: map[int32]int{}, sections: m.sections, before: m.before, after: m.after,
	}
	top := int32(-1)
	for name, id := range m.vocab {
		if id < 0 || id >= maxID {
			return nil, fmt.Errorf("tokenizer: model.vocab: id %d of %q is not in [0, %d)", id, name, maxID)
		}
		if len(name) > maxToken {
			return nil, fmt.Errorf("tokenizer: model.vocab: a token of %d bytes, more than %d", len(name), maxToken)
		}
		top = max(top, id)
	}
	for _, a := range m.added {
		if a.ID < 0 || a.ID >= maxID {
			return nil, fmt.Errorf("tokenizer: added_tokens: id %d of %q is not in [0, %d)", a.ID, a.Content, maxID)
		}
		if a.Content == "" || len(a.Content) > maxToken {
			return nil, fmt.Errorf("tokenizer: added_tokens: content of id %d has %d bytes", a.ID, len(a.Content))
		}
		top = max(top, a.ID)
	}
	if n := len(m.vocab) + len(m.added); int(top) >= 1<<16+16*n { // holes cost memory
		return nil, fmt.Errorf("tokenizer: model.vocab or added_tokens: id %d among only %d tokens", top, n)
	}
	t.names, t.raw = make([]string, top+1), make([]string, top+1)
	t.listed = make([]bool, top+1)
	if err := t.setVocab(m); err != nil {
		return nil, err
	}
	if err := t.setAdded(); err != nil {
		return nil, err
	}
	if err := t.setMerges(m); err != nil {
		return nil, err
	}
	for _, id := range slices.Concat(t.before, t.after) {
		if !t.Has(id) {
			return nil, fmt.Errorf("tokenizer: post_processor: no token has id %d", id)
		}
	}
	t.encoders.New = func() any { return t.NewEncoder() }
	return t, nil
}

func (t *Tokenizer) setVocab(m *model) error {
	for i := range t.bytes {
		t.bytes[i] = -1
	}
	if m.ignoreMerges {
		t.whole = make(map[string]int32, len(m.vocab))
	}
	special := map[string]bool{}
	for _, a := range m.added {
		special[a.Content] = a.Special
	}
	for name, id := range m.vocab {
		if old := t.names[id]; t.listed[id] {
			return fmt.Errorf("tokenizer: model.vocab: %q and %q both have id %d", min(old, name), max(old, name), id)
		}
		t.names[id], t.ids[name], t.listed[id] = name, id, true
		raw, ok := unspell(name)
		if !ok {
			t.raw[id] = name
			continue
		}
		t.raw[id] = raw
		if len(raw) == 1 {
			t.bytes[raw[0]] = id
		}
		if t.whole != nil && !special[name] {
			t.whole[raw] = id
		}
	}
	return nil
}

func (t *Tokenizer) setAdded() error {
	for i, a := range t.added {
		t.plainAdded = t.plainAdded || !a.Special
		if _, twice := t.addedAt[a.ID]; twice {
			return fmt.Errorf("tokenizer: added_tokens: id %d appears twice", a.ID)
		}
		if id, ok := t.ids[a.Content]; ok && id != a.ID {
			return fmt.Errorf("tokenizer: added_tokens: %q has ids %d and %d", a.Content, id, a.ID)
		}
		if old := t.names[a.ID]; t.listed[a.ID] && old != a.Content {
			return fmt.Errorf("tokenizer: added_tokens: id %d of %q is that of %q", a.ID, a.Content, old)
		}
		t.names[a.ID], t.raw[a.ID], t.ids[a.Content] = a.Content, a.Content, a.ID
		t.addedAt[a.ID] = i
	}
	t.finder = newFinders(t.added)
	return nil
}

func (t *Tokenizer) setMerges(m *model) error {
	t.pairs = newPairTable(len(m.merges))
	t.merges = make([][2]int32, len(m.merges))
	for i, p := range m.merges {
		var id [3]int32
		for k, name := range [3]string{p[0], p[1], p[0] + p[1]} {
			var ok bool
			if id[k], ok = m.vocab[name]; !ok {
				return fmt.Errorf("tokenizer: model.merges[%d]: %q is not in model.vocab", i, name)
			}
		}
		rank := int32(i)
		if m.ranks != nil {
			rank = m.ranks[i]
		}
		t.merges[i] = [2]int32{id[0], id[1]}
		t.pairs.put(id[0], id[1], rank, id[2])
	}
	return nil
}

// VocabSize returns the number of ids a model needs: the largest id plus one.
func (t *Tokenizer) VocabSize() int { return len(t.names) }

// ID returns the id of a token as tokenizer.json spells it ("Ġthe" for " the").
func (t *Tokenizer) ID(token string) (int32, bool) {
	id, ok := t.ids[token]
	return id, ok
}

// Name returns a token as tokenizer.json spells it, or "" if no token has that id.
func (t *Tokenizer) Name(id int32) string {
	if !t.Has(id) {
		return ""
	}
	return t.names[id]
}

// Has reports whether a token has that id. Vocabularies may have holes.
func (t *Tokenizer) Has(id int32) bool {
	if id < 0 || int(id) >= len(t.names) {
		return false
	}
	_, added := t.addedAt[id]
	return added || t.listed[id]
}

// Token returns the bytes that a token stands for, or nil if no token has that id. An added token stands for its content.
func (t *Tokenizer) Token(id int32) []byte {
	if !t.Has(id) {
		return nil
	}
	return []byte(t.raw[id])
}

// SpecialID returns the id of a special token by its content.
func (t *Tokenizer) SpecialID(name string) (int32, bool) {
	id, ok := t.ids[name]
	return id, ok && t.IsSpecial(id)
}

// IsSpecial reports whether id is a special token's.
func (t *Tokenizer) IsSpecial(id int32) bool {
	i, ok := t.addedAt[id]
	return ok && t.added[i].Special
}

// Added returns the added tokens in the file's order.
func (t *Tokenizer) Added() []AddedToken { return append([]AddedToken(nil), t.added...) }

// EOS returns the id of the special token that ends a document, by the usual names.
func (t *Tokenizer) EOS() (int32, bool) {
	for _, name := range []string{EndOfText, "<|end_of_text|>", "</s>", "<|eos|>", "<eos>"} {
		if id, ok := t.SpecialID(name); ok {
			return id, true
		}
	}
	return 0, false
}

// HasAllBytes reports whether the vocabulary holds all 256 bytes, so that any text comes back from Decode(Encode(x)). Bytes
// that it lacks are left out of the ids, as Hugging Face tokenizers does.
func (t *Tokenizer) HasAllBytes() bool {
	for _, id := range t.bytes {
		if id < 0 {
			return false
		}
	}
	return true
}
