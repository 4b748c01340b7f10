package unigram

import (
	"fmt"
	"math"
	"sync"
	"unicode/utf8"

	"github.com/plinth-ml/plinth/tokenizer/trie"
)

// Piece is a token and the bytes of the text that it stands for. The bytes of a character that byte fallback spells all have
// the character's Start and End.
type Piece struct {
	ID         int32
	Start, End int
}

// Kind says how a token takes part.
type Kind uint8

const (
	Normal   Kind = iota
	User          // preferred to everything else (SentencePiece's user-defined symbols)
	Unused        // in no segmentation
	Reserved      // never found in text: SentencePiece's control tokens, bytes and <unk>
)

// Token is an entry of the vocabulary; its id is its place.
type Token struct {
	Text  string
	Score float64 // log-probability
	Kind  Kind    // Hugging Face files know Normal only
}

// Options are the settings of a model.
type Options struct {
	Unk          int32 // id of the unknown token, -1: none
	ByteFallback bool  // unknown characters are spelled as tokens <0x00> to <0xFF> where the vocabulary has all it takes

	// SentencePiece asks for that program's results to the last tie: sums in float32, kinds of tokens, byte fallback
	// character by character. Otherwise the results are those of Hugging Face tokenizers: sums in float64, runs of
	// unknown characters looked up and spelled as a whole.
	SentencePiece bool
}

// unkPenalty is how much less likely an unknown character is than the least likely token.
const unkPenalty = 10

// Model finds the most likely segmentation. It is safe for concurrent use.
type Model struct {
	tokens   *trie.Trie
	scores   []float64
	ids      map[string]int32
	unk      int32
	unkScore float64
	fallback bool
	bytes    [256]int32 // ids of <0x00>..., -1: none
	spm      bool
	kinds    []Kind
	paths    sync.Pool
}

// New makes a model.
func New(vocab []Token, o Options) (*Model, error) {
	if o.Unk < -1 || int(o.Unk) >= len(vocab) && o.Unk >= 0 {
		return nil, fmt.Errorf("unigram: unknown token %d of %d tokens", o.Unk, len(vocab))
	}
	m := &Model{unk: o.Unk, fallback: o.ByteFallback, spm: o.SentencePiece, ids: make(map[string]int32, len(vocab))}
	least := math.Inf(1)
	for id, t := range vocab {
		if math.IsNaN(t.Score) {
			return nil, fmt.Errorf("unigram: score of token %d (%q) is not a number", id, t.Text)
		}
		m.ids[t.Text] = int32(id) // the last of equal ones
		m.scores = append(m.scores, t.Score)
		m.kinds = append(m.kinds, t.Kind)
		least = min(least, t.Score)
	}
	m.unkScore = least - unkPenalty
	var entries []trie.Entry
	for text, id := range m.ids {
		if text != "" {
			entries = append(entries, trie.Entry{Key: text, Value: id})
		}
	}
	var err error
	if m.tokens, err = trie.Build(entries); err != nil {
		return nil, fmt.Errorf("unigram: %w", err)
	}
	for b := range m.bytes {
		m.bytes[b] = -1
		if id, ok := m.ids[fmt.Sprintf("<0x%02X>", b)]; ok {
			m.bytes[b] = id
		}
	}
	return m, nil
}

// end is the best path to a position: its score and its last piece.
type end struct {
	score float64
	id    int32
	start int32 // -1: no path
}

// Tokenize appends the pieces of a text to dst. An unknown piece has the id of Unk, or -1 where there is none.
func (m *Model) Tokenize(dst []Piece, text string) []Piece {
	if text == "" {
		return dst
	}
	ends := make([]end, len(text)+1)
	for i := range ends {
		ends[i].start = -1
	}
	for start := 0; start < len(text); {
		_, size := utf8.DecodeRuneInString(text[start:])
		single := false
		node, ok := m.tokens.Root(), true
		till := ends[start].score
		for i := start; i < len(text); i++ {
			var id int32
			if node, id, ok = m.tokens.Next(node, text[i]); !ok {
				break
			}
			if id < 0 {
				continue
			}
			e := &ends[i+1]
			if score := m.scores[id] + till; e.start < 0 || score > e.score {
				*e = end{score, id, int32(start)}
			}
			single = single || i+1 == start+size
		}
		if e := &ends[start+size]; !single {
			if score := m.unkScore + till; e.start < 0 || score > e.score {
				*e = end{score, m.unk, int32(start)}
			}
		}
		start += size
	}
	first := len(dst)
	for at := len(text); at > 0; {
		e := ends[at]
		from := int(e.start)
		if e.id == m.unk {
			for from > 0 && ends[from].id == m.unk {
				from = int(ends[from].start)
			}
			dst = m.unknown(dst, text, from, at)
		} else {
			dst = append(dst, Piece{e.id, from, at})
		}
		at = from
	}
	for i, j := first, len(dst)-1; i < j; i, j = i+1, j-1 {
		dst[i], dst[j] = dst[j], dst[i]
	}
	return dst
}

// unknown appends, in reverse, the pieces of a run of unknown characters.
func (m *Model) unknown(dst []Piece, text string, from, to int) []Piece {
	if id, ok := m.ids[text[from:to]]; ok {
		return append(dst, Piece{id, from, to})
	}
	if m.fallback {
		all := true
		for i := from; i < to; i++ {
			all = all && m.bytes[text[i]] >= 0
		}
		if all {
			for i := to - 1; i >= from; i-- {
				dst = append(dst, Piece{m.bytes[text[i]], from, to})
			}
			return dst
		}
	}
	return append(dst, Piece{m.unk, from, to})
}
