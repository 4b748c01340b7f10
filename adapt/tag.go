package adapt

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/plinth-ml/plinth/eval/task"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/tensor"
	"github.com/plinth-ml/plinth/tokenizer"
)

// Words are the words of a text for a tagger, with the text's tokens in windows that a model takes. A word's tag is that of its first token, in the
// window where that token has most around it.
type Words struct {
	Text    string
	Spans   []task.Span // of each word, in bytes of Text
	Windows []Example
	Begins  [][]int // for each token of each window the word that it decides, or -1
}

// Words prepares a text that is split into words already. They are encoded as one text with spaces between them; a word without a token of its own,
// such as one of characters that the tokenizer leaves out, is decided by none. Windows share stride tokens with their neighbours.
func (x *Texts) Words(words []string, stride int) (*Words, error) {
	w := &Words{Text: strings.Join(words, " ")}
	at := 0
	for _, word := range words {
		w.Spans = append(w.Spans, task.Span{Start: at, End: at + len(word)})
		at += len(word) + 1
	}
	e, err := x.Tokenizer.EncodeOffsets(w.Text, tokenizer.EncodeOptions{AddSpecial: true})
	if err != nil {
		return nil, err
	}
	begins := make([]int, len(e.IDs))
	word, done := -1, -1
	for i, at := range e.Offsets {
		begins[i] = -1
		if e.Special[i] || at.End <= at.Start {
			continue
		}
		for word+1 < len(words) && at.End > w.Spans[word+1].Start {
			word++
		}
		if word > done {
			begins[i], done = word, word
		}
	}
	return w, x.cut(w, e, begins, stride)
}

// Plain prepares a plain text. Its words are those of transformers' pipelines: a token that the vocabulary marks as the continuation of a word (## of
// WordPiece) belongs to the word before it; where the vocabulary marks none, a token begins a word if it stands at the beginning or after white space.
func (x *Texts) Plain(text string, stride int) (*Words, error) {
	w := &Words{Text: text}
	e, err := x.Tokenizer.EncodeOffsets(text, tokenizer.EncodeOptions{AddSpecial: true})
	if err != nil {
		return nil, err
	}
	prefix := x.Tokenizer.Continuation()
	begins := make([]int, len(e.IDs))
	for i, at := range e.Offsets {
		begins[i] = -1
		if e.Special[i] {
			continue
		}
		goesOn := prefix != "" && strings.HasPrefix(e.Tokens[i], prefix) || prefix == "" && !atWord(text, at.Start)
		if last := len(w.Spans) - 1; goesOn && last >= 0 {
			w.Spans[last].End = max(w.Spans[last].End, at.End)
			continue
		}
		begins[i] = len(w.Spans)
		w.Spans = append(w.Spans, task.Span{Start: at.Start, End: at.End})
	}
	return w, x.cut(w, e, begins, stride)
}

// atWord says whether byte i of a text is its first, or white space, or follows white space.
func atWord(text string, i int) bool {
	before, _ := utf8.DecodeLastRuneInString(text[:i])
	here, _ := utf8.DecodeRuneInString(text[i:])
	return i == 0 || unicode.IsSpace(before) || unicode.IsSpace(here)
}

// cut makes the windows: of all tokens where they fit, otherwise of as many as fit, with the virtual and the special tokens around them.
func (x *Texts) cut(w *Words, e *tokenizer.Encoding, begins []int, stride int) error {
	from, to := 0, len(e.IDs)
	for from < to && e.Special[from] {
		from++
	}
	for to > from && e.Special[to-1] {
		to--
	}
	before, after := slices.Concat(x.Virtual, e.IDs[:from]), e.IDs[to:]
	room := x.Limit - len(before) - len(after)
	if room < 1 || stride < 0 || stride >= room {
		return fmt.Errorf("adapt: windows of %d tokens, special and virtual ones included, cannot share %d", x.Limit, stride)
	}
	for at := from; at < to; at += room - stride {
		end := min(at+room, to)
		var ids []int32
		ids = append(append(append(ids, before...), e.IDs[at:end]...), after...)
		decides := make([]int, len(ids))
		for i := range decides {
			decides[i] = -1
		}
		for i := at; i < end; i++ {
			if owner(i-from, to-from, room, stride) == (at-from)/(room-stride) {
				decides[len(before)+i-at] = begins[i]
			}
		}
		w.Windows, w.Begins = append(w.Windows, Example{IDs: ids}), append(w.Begins, decides)
		if end == to {
			break
		}
	}
	return nil
}

// owner is the window of token i of n where the lesser of the numbers of tokens before and after it is greatest, the first of equal ones.
func owner(i, n, room, stride int) int {
	best, most := 0, -1
	for w, at := max(0, (i-room)/(room-stride)), 0; ; w++ {
		at = w * (room - stride)
		if at > i {
			return best
		}
		end := min(at+room, n)
		if around := min(i-at, end-1-i); around > most {
			best, most = w, around
		}
		if end == n {
			return best
		}
	}
}

// Examples are the windows with the classes of the words as Tags, to train on.
func (w *Words) Examples(classes []int32) ([]Example, error) {
	if len(classes) != len(w.Spans) {
		return nil, fmt.Errorf("adapt: %d tags for %d words", len(classes), len(w.Spans))
	}
	var list []Example
	for i, x := range w.Windows {
		x.Tags = make([]int32, len(x.IDs))
		for j, word := range w.Begins[i] {
			if x.Tags[j] = -1; word >= 0 {
				x.Tags[j] = classes[word]
			}
		}
		list = append(list, x)
	}
	return list, nil
}

// Tag is the class of a word.
type Tag struct {
	Class         int       // the most probable, the first of equal ones; -1: no token decides
	Probabilities []float64 // of all classes
}

// Tags returns the tags of the words of every text. t must not record.
func Tags(ctx context.Context, t *tensor.Tape, m model.Tasked, texts []*Words) ([][]Tag, error) {
	if m.Task() != model.TokenTask {
		return nil, fmt.Errorf("adapt: the model has a head for %ss, not for tokens", m.Task())
	}
	var windows []Example
	for _, w := range texts {
		windows = append(windows, w.Windows...)
	}
	scores, err := Scores(ctx, t, m, windows)
	if err != nil {
		return nil, err
	}
	K, _ := m.Scorer().Weight.Dims2()
	all := make([][]Tag, len(texts))
	for i, w := range texts {
		all[i] = make([]Tag, len(w.Spans))
		for j := range all[i] {
			all[i][j].Class = -1
		}
		for _, begins := range w.Begins {
			for j, word := range begins {
				if word < 0 {
					continue
				}
				row := scores[0][j*K : (j+1)*K]
				all[i][word] = Tag{Argmax(row), SingleLabel.Probabilities(row)}
			}
			scores = scores[1:]
		}
	}
	return all, nil
}
