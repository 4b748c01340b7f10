package unigram

import (
	"fmt"
	"math"
	"slices"
	"strings"
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
	Kind  Kind    // for SentencePiece only; the others know Normal alone
}

// Options are the settings of a model.
type Options struct {
	Unk          int32 // id of the unknown token, -1: none
	ByteFallback bool  // unknown characters are spelled as tokens <0x00> to <0xFF> where the vocabulary has all it takes

	// SentencePiece asks for that program's results (version 0.2.3) to the last tie: sums in float32, kinds of tokens, byte
	// fallback character by character. Otherwise the results are those of Hugging Face tokenizers: sums in float64, runs of
	// unknown characters looked up and spelled as a whole.
	SentencePiece bool
}

// unkPenalty is how much less likely an unknown character is than the least likely token.
const unkPenalty = 10

// farScore is where SentencePiece starts to sum from 0 again.
const farScore = 100_000

// Model finds the most likely segmentation. It is safe for concurrent use.
type Model struct {
	tokens   *trie.Trie
	scores   []float64
	unk      int32
	unkScore float64
	fallback bool
	bytes    [256]int32 // ids of <0x00>..., -1: none
	spm      bool
	paths    sync.Pool // of *[]end
}

// New makes a model. Scores must be finite. Of tokens with equal text the last one counts; SentencePiece knows none.
func New(vocab []Token, o Options) (*Model, error) {
	if o.Unk < -1 || o.Unk >= 0 && int(o.Unk) >= len(vocab) {
		return nil, fmt.Errorf("unigram: unknown token %d of %d tokens", o.Unk, len(vocab))
	}
	if len(vocab) > trie.MaxValue {
		return nil, fmt.Errorf("unigram: %d tokens, at most %d", len(vocab), trie.MaxValue)
	}
	m := &Model{unk: o.Unk, fallback: o.ByteFallback, spm: o.SentencePiece, scores: make([]float64, len(vocab))}
	least := math.Inf(1)
	for id, t := range vocab {
		if math.IsNaN(t.Score) || math.IsInf(t.Score, 0) {
			return nil, fmt.Errorf("unigram: score of token %d (%q) is %v", id, t.Text, t.Score)
		}
		m.scores[id] = t.Score
		if m.spm {
			m.scores[id] = float64(float32(t.Score))
		}
		if !m.spm || t.Kind == Normal {
			least = min(least, m.scores[id])
		}
		if m.spm && t.Kind == User {
			m.scores[id] = float64(float32(0.1 * float64(len(t.Text)-1)))
		}
	}
	if m.spm && math.IsInf(least, 1) {
		least = math.MaxFloat32
	}
	m.unkScore = m.round(least - unkPenalty)
	if err := m.index(vocab); err != nil {
		return nil, fmt.Errorf("unigram: %w", err)
	}
	return m, nil
}

// round is the rounding of SentencePiece's sums.
func (m *Model) round(score float64) float64 {
	if m.spm {
		return float64(float32(score))
	}
	return score
}

// index makes the trie and finds the bytes' tokens.
func (m *Model) index(vocab []Token) error {
	for b := range m.bytes {
		m.bytes[b] = -1
	}
	ids := make(map[string]int32, len(vocab))
	for id, t := range vocab {
		if b, ok := byteOf(t.Text); ok {
			m.bytes[b] = int32(id)
		}
		if t.Text == "" || m.spm && t.Kind == Reserved {
			continue
		}
		if before, ok := ids[t.Text]; ok && m.spm {
			return fmt.Errorf("tokens %d and %d are both %q", before, id, t.Text)
		}
		ids[t.Text] = int32(id)
	}
	if m.spm && m.fallback {
		for b, id := range m.bytes {
			if id < 0 {
				return fmt.Errorf("byte fallback without token <0x%02X>", b)
			}
		}
	}
	entries := make([]trie.Entry, 0, len(ids))
	for text, id := range ids {
		if !m.spm || vocab[id].Kind != Unused {
			entries = append(entries, trie.Entry{Key: text, Value: id})
		}
	}
	var err error
	m.tokens, err = trie.Build(entries)
	return err
}

// byteOf returns the byte that a token <0x00> to <0xFF> stands for.
func byteOf(token string) (byte, bool) {
	if len(token) != 6 || token[:3] != "<0x" || token[5] != '>' {
		return 0, false
	}
	const digits = "0123456789ABCDEF"
	hi, lo := strings.IndexByte(digits, token[3]), strings.IndexByte(digits, token[4])
	return byte(hi<<4 | lo), hi >= 0 && lo >= 0
}

// end is the best path to a position: its score and its last token.
type end struct {
	score float64
	id    int32
	start int32 // of the last token; -1: no path yet
}

// Tokenize appends the pieces of a text to dst. A run of characters that no token begins with or that are better left out is one piece with
// the id of Unk, or -1 where there is none. Text should be valid UTF-8; a byte that is no part of it counts as a character.
// Time is proportional to the text times the length of the longest token.
func (m *Model) Tokenize(dst []Piece, text string) []Piece {
	scratch, _ := m.paths.Get().(*[]end)
	if scratch == nil {
		scratch = new([]end)
	}
	ends := m.search((*scratch)[:0], text)
	first := len(dst)
	for at := len(text); at > 0; {
		e := ends[at]
		from := int(e.start)
		if e.id != m.unk {
			dst = append(dst, Piece{e.id, from, at})
		} else if m.spm && m.fallback {
			dst = m.spell(dst, text, from, at)
		} else {
			for from > 0 && ends[from].id == m.unk {
				from = int(ends[from].start)
			}
			dst = m.unknown(dst, text, from, at)
		}
		at = from
	}
	slices.Reverse(dst[first:])
	if cap(ends) <= 1<<20 { // one huge text should not hold memory for ever
		*scratch = ends
		m.paths.Put(scratch)
	}
	return dst
}

// search returns the best paths to all positions (Viterbi), the position of ends[i] being i.
func (m *Model) search(ends []end, text string) []end {
	ends = slices.Grow(ends, len(text)+1)[:len(text)+1]
	for i := range ends {
		ends[i] = end{start: -1}
	}
	reached := 0 // the last position that has a path
	for start := 0; start < len(text); {
		size := 1
		if text[start] >= utf8.RuneSelf {
			_, size = utf8.DecodeRuneInString(text[start:])
		}
		single := false // a token is this character
		till := ends[start].score
		if m.spm && math.Abs(till) > farScore { // they keep float32 precise so
			for i := start; i <= reached; i++ {
				ends[i].score = m.round(ends[i].score - till)
			}
			till = 0
		}
		node := m.tokens.Root()
		for i := start; i < len(text); {
			next, id, ok := m.tokens.Next(node, text[i])
			if !ok {
				break
			}
			node = next
			if i++; id < 0 {
				continue
			}
			single = single || i == start+size
			if score, e := m.round(m.scores[id]+till), &ends[i]; score > e.score || e.start < 0 {
				*e = end{score, id, int32(start)}
			}
			reached = max(reached, i)
		}
		if !single {
			if score, e := m.round(m.unkScore+till), &ends[start+size]; score > e.score || e.start < 0 {
				*e = end{score, m.unk, int32(start)}
			}
			reached = max(reached, start+size)
		}
		start += size
	}
	return ends
}

// unknown appends, in reverse, the pieces of a run of unknown characters.
func (m *Model) unknown(dst []Piece, text string, from, to int) []Piece {
	if m.spm {
		return append(dst, Piece{m.unk, from, to})
	}
	if id := m.tokens.Get(text[from:to]); id >= 0 { // its characters are unknown, and it was too unlikely
		return append(dst, Piece{id, from, to})
	}
	spelled := m.fallback
	for i := from; i < to && spelled; i++ {
		spelled = m.bytes[text[i]] >= 0
	}
	if spelled {
		return m.spell(dst, text, from, to)
	}
	return append(dst, Piece{m.unk, from, to})
}

// spell appends the bytes of text[from:to] in reverse.
func (m *Model) spell(dst []Piece, text string, from, to int) []Piece {
	for i := to - 1; i >= from; i-- {
		dst = append(dst, Piece{m.bytes[text[i]], from, to})
	}
	return dst
}
