package tokenizer

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/plinth-ml/plinth/tokenizer/split"
	"github.com/plinth-ml/plinth/tokenizer/unigram"
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

// Tokenizer turns text into ids and back. It does not change once made; all methods are safe for concurrent use.
type Tokenizer struct {
	model // what it was made of, but for the merges

	listed  []bool   // by id, whether model.vocab has it
	names   []string // by id, as the files spell it
	raw     []string // by id, the bytes that the token stands for
	addedID map[string]int32
	addedAt map[int32]int // index in added by id
	finder  [2]*finder    // of not normalized and of normalized added tokens
	forms   map[int32]string

	engine   segmenter
	byteWise bool // the fast path: byte-level BPE without a normalizer
	spelled  bool // the vocabulary spells bytes as characters
	tracked  bool // ids depend on where characters come from
	spaceCut bool // words of SentencePiece-like BPE can be merged one by one

	// For BPE.
	pairs       *pairTable
	ranked      [][2]int32       // merges in order of rank
	bytes       [256]int32       // id of each byte, -1 where the vocabulary lacks it
	whole       map[string]int32 // ids by bytes, where a whole piece is looked up before merging (tiktoken, ignore_merges); else nil
	stages      []*split.Pattern // of the fast path, applied one after the other; none: the text is one piece
	prefixSpace bool

	plainAdded bool // some added token is not special
	encoders   sync.Pool
	seedOnce   sync.Once
	seeded     *cache
}

// model is what the readers and the trainers hand to build: the sections of tokenizer.json.
type model struct {
	kind   string           // BPE, WordPiece, Unigram or WordLevel
	vocab  map[string]int32 // as spelled in the files; for Unigram scored
	merges [][2]string
	ranks  []int32 // of merges; nil: their index
	scored []jsonScore

	bpe          bpeSettings
	wordPiece    wordPieceSettings
	wordLevelUnk string
	unigramUnk   int32          // -1: none
	byteFallback bool           // of Unigram
	tokenKinds   []unigram.Kind // of Unigram; nil: all normal

	added               []AddedToken
	normalizer          normalizer
	pre                 preTokenizer
	post                postProcessor
	decoder             decoder
	truncation, padding json.RawMessage // kept as they were
}

// build checks a model and makes the tables.
func build(m *model) (*Tokenizer, error) {
	if m.kind == Unigram {
		m.vocab = make(map[string]int32, len(m.scored))
		for id, s := range m.scored {
			m.vocab[s.text] = int32(id) // where a text repeats, the last one counts
		}
	}
	t := &Tokenizer{model: *m, addedID: map[string]int32{}, addedAt: map[int32]int{}, forms: map[int32]string{}}
	if err := t.size(); err != nil {
		return nil, err
	}
	t.setPath()
	if err := t.setVocab(); err != nil {
		return nil, err
	}
	if err := t.setAdded(); err != nil {
		return nil, err
	}
	if err := t.setEngine(); err != nil {
		return nil, err
	}
	if t.post != nil {
		for _, id := range t.post.added() {
			if !t.Has(id) {
				return nil, fmt.Errorf("tokenizer: post_processor: no token has id %d", id)
			}
		}
	}
	t.merges, t.ranks = nil, nil
	t.encoders.New = func() any { return &Encoder{t: t, cache: new(cache), bare: bareText} }
	return t, nil
}

// size checks ids and lengths, and makes room for the tokens.
func (t *Tokenizer) size() error {
	top := int32(len(t.scored)) - 1
	for name, id := range t.vocab {
		if id < 0 || id >= maxID {
			return fmt.Errorf("tokenizer: model.vocab: id %d of %q is not in [0, %d)", id, name, maxID)
		}
		if !utf8.ValidString(name) {
			return fmt.Errorf("tokenizer: model.vocab: token %d, %q, is not UTF-8", id, name)
		}
		if len(name) > maxToken {
			return fmt.Errorf("tokenizer: model.vocab: a token of %d bytes, more than %d", len(name), maxToken)
		}
		top = max(top, id)
	}
	for _, a := range t.added {
		if a.ID < 0 || a.ID >= maxID {
			return fmt.Errorf("tokenizer: added_tokens: id %d of %q is not in [0, %d)", a.ID, a.Content, maxID)
		}
		if a.Content == "" || len(a.Content) > maxToken {
			return fmt.Errorf("tokenizer: added_tokens: content of id %d has %d bytes", a.ID, len(a.Content))
		}
		top = max(top, a.ID)
	}
	if n := len(t.vocab) + len(t.added); int(top) >= 1<<16+16*n { // holes cost memory
		return fmt.Errorf("tokenizer: model.vocab or added_tokens: id %d among only %d tokens", top, n)
	}
	t.names, t.raw = make([]string, top+1), make([]string, top+1)
	t.listed = make([]bool, top+1)
	return nil
}

func (t *Tokenizer) setVocab() error {
	for i := range t.bytes {
		t.bytes[i] = -1
	}
	if t.byteWise && t.bpe.IgnoreMerges {
		t.whole = make(map[string]int32, len(t.vocab))
	}
	special := map[string]bool{}
	for _, a := range t.added {
		special[a.Content] = a.Special
	}
	set := func(name string, id int32) {
		t.names[id], t.listed[id], t.raw[id] = name, true, name
		raw, ok := unspell(name)
		if !t.spelled || !ok {
			return
		}
		t.raw[id] = raw
		if len(raw) == 1 {
			t.bytes[raw[0]] = id
		}
		if t.whole != nil && !special[name] {
			t.whole[raw] = id
		}
	}
	if t.kind == Unigram {
		for id, s := range t.scored {
			set(s.text, int32(id))
		}
	}
	for name, id := range t.vocab {
		if old := t.names[id]; t.listed[id] && old != name {
			return fmt.Errorf("tokenizer: model.vocab: %q and %q both have id %d", min(old, name), max(old, name), id)
		}
		set(name, id)
	}
	return nil
}

func (t *Tokenizer) setAdded() error {
	for i, a := range t.added {
		t.plainAdded = t.plainAdded || !a.Special
		if _, twice := t.addedAt[a.ID]; twice {
			return fmt.Errorf("tokenizer: added_tokens: id %d appears twice", a.ID)
		}
		if id, ok := t.ID(a.Content); ok && id != a.ID {
			return fmt.Errorf("tokenizer: added_tokens: %q has ids %d and %d", a.Content, id, a.ID)
		}
		if old := t.names[a.ID]; t.listed[a.ID] && old != a.Content {
			return fmt.Errorf("tokenizer: added_tokens: id %d of %q is that of %q", a.ID, a.Content, old)
		}
		t.names[a.ID], t.raw[a.ID], t.addedID[a.Content] = a.Content, a.Content, a.ID
		t.addedAt[a.ID] = i
		if a.Normalized && t.normalizer != nil {
			form := newText([]byte(a.Content), false)
			if err := t.normalizer.normalize(&form); err != nil {
				return err
			}
			if len(form.norm) == 0 {
				return fmt.Errorf("tokenizer: added_tokens: the normalizer leaves nothing of %q", a.Content)
			}
			if string(form.norm) != a.Content {
				t.forms[a.ID] = string(form.norm)
			}
		}
	}
	var err error
	t.finder, err = newFinders(t.added, t.forms)
	return err
}

// Kind returns the type of the model: BPE, WordPiece, Unigram or WordLevel.
func (t *Tokenizer) Kind() string { return t.kind }

// VocabSize returns the number of ids a model needs: the largest id plus one.
func (t *Tokenizer) VocabSize() int { return len(t.names) }

// ID returns the id of a token as tokenizer.json spells it ("Ġthe" for " the").
func (t *Tokenizer) ID(token string) (int32, bool) {
	id, ok := t.vocab[token]
	if !ok {
		id, ok = t.addedID[token]
	}
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

// Token returns the bytes of text that a token stands for behind others (" the" for "▁the", "ing" for "##ing"), or nil if no token
// has that id. An added token stands for its content.
func (t *Tokenizer) Token(id int32) []byte {
	if !t.Has(id) {
		return nil
	}
	_, added := t.addedAt[id]
	switch {
	case t.byteWise || added || t.spelled && t.raw[id] != t.names[id]:
		return []byte(t.raw[id])
	case t.bpe.ByteFallback || t.byteFallback:
		if b, ok := byteOf(t.names[id]); ok {
			return []byte{b}
		}
	}
	const before = "x"
	s := t.NewStream()
	s.chain.put(before, true)
	s.chain.put(t.names[id], true)
	return []byte(strings.TrimPrefix(s.Flush(), before))
}

// SpecialID returns the id of a special token by its content.
func (t *Tokenizer) SpecialID(name string) (int32, bool) {
	id, ok := t.ID(name)
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
	for _, name := range []string{EndOfText, "<|end_of_text|>", "</s>", "<|eos|>", "<eos>", "[SEP]"} {
		if id, ok := t.SpecialID(name); ok {
			return id, true
		}
	}
	return 0, false
}

// Continuation is what the names of tokens begin with that go on with a word, such as ## of WordPiece; "" where the vocabulary does not mark them.
func (t *Tokenizer) Continuation() string {
	if t.kind == WordPiece {
		return t.wordPiece.Prefix
	}
	return deref(t.bpe.Prefix)
}

// HasAllBytes reports whether the vocabulary is one of bytes and holds all 256, so that any text comes back from
// Decode(Encode(x)). Bytes that it lacks are left out of the ids, as Hugging Face tokenizers does.
func (t *Tokenizer) HasAllBytes() bool {
	for _, id := range t.bytes {
		if id < 0 {
			return false
		}
	}
	return t.byteWise
}
