package adapt

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/plinth-ml/plinth/generate"
	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/tokenizer"
)

// Summarizer writes texts from texts: summaries, or whatever the model was trained to write. An encoder-decoder reads Prefix and the text; a decoder goes on
// behind Prefix, the text and Suffix, or behind what Prompt makes of the text.
type Summarizer struct {
	// Prefix tells a model of several tasks what to do: "summarize: " for T5.
	Prefix string
	// Suffix stands behind the text for a decoder: "\nTL;DR:" for GPT-2 (Radford et al. 2019, section 3.6).
	Suffix string
	// Prompt is the prompt of a decoder that expects another than Prefix, text and Suffix, such as a chat; nil: none.
	Prompt func(text string) ([]int32, error)
	// Virtual is what stands in front of what the model reads: see model.Sizes.VirtualIDs.
	Virtual []int32
	// MaxSource is the most tokens of a source, the special and virtual ones and those around the text included. What a longer text has beyond is not read, and
	// its Summary says how much that was; 0: no limit for an encoder-decoder, and for a decoder what its context leaves of Search.MaxTokens.
	MaxSource int
	// Search says how summaries are searched. Stop is added to the model's own ends.
	Search generate.BeamOptions

	tok     *tokenizer.Tokenizer
	ends    []int32
	search  *generate.Searcher
	decoder model.Decoder // nil for an encoder-decoder
}

// Summary is what was written from a text.
type Summary struct {
	Text  string  `json:"text"`
	IDs   []int32 `json:"ids"`
	Score float64 `json:"score"`           // log-probability / length^LengthPenalty
	Read  int     `json:"read"`            // tokens of the source
	Cut   int     `json:"cut,omitempty"`   // tokens of the text that were not read
	Parts int     `json:"parts,omitempty"` // of a text that was summarised in parts: how many, those of summaries included
}

// NewSummarizer returns a summarizer of an encoder-decoder and its tokenizer.
func NewSummarizer(m model.Seq2Seq, tok *tokenizer.Tokenizer, k *kernel.Set) *Summarizer {
	return &Summarizer{tok: tok, ends: m.Ends(), search: generate.NewSeq2SeqSearcher(m, k)}
}

// NewPromptedSummarizer returns a summarizer of a decoder and its tokenizer, whose end-of-text token ends a summary.
func NewPromptedSummarizer(m model.Decoder, tok *tokenizer.Tokenizer, k *kernel.Set) *Summarizer {
	s := &Summarizer{tok: tok, decoder: m, search: generate.NewSearcher(m, k)}
	if end, ok := tok.EOS(); ok {
		s.ends = []int32{end}
	}
	return s
}

// Source is the tokens of a text as the model reads it, the special ones included, and how many of the text's were cut off.
func (s *Summarizer) Source(text string) (ids []int32, cut int, err error) {
	ids, _, cut, err = s.source(text)
	return slices.Concat(s.Virtual, ids), cut, err
}

// source is Source without Virtual, with the number of bytes of the text that are read.
func (s *Summarizer) source(text string) (ids []int32, bytes, cut int, err error) {
	if s.decoder != nil {
		return s.prompt(text)
	}
	e, err := s.tok.EncodeOffsets(s.Prefix+text, tokenizer.EncodeOptions{AddSpecial: true, MaxTokens: s.limit()})
	if err != nil {
		return nil, 0, 0, err
	}
	bytes = len(text)
	if e.Cut > 0 {
		bytes = 0
		for i, at := range e.Offsets {
			if !e.Special[i] {
				bytes = max(bytes, at.End-len(s.Prefix))
			}
		}
	}
	return e.IDs, bytes, e.Cut, nil
}

// limit is the most tokens of a source beside Virtual; 0: none.
func (s *Summarizer) limit() int {
	switch {
	case s.MaxSource > 0:
		return max(1, s.MaxSource-len(s.Virtual))
	case s.decoder != nil:
		return s.decoder.Sizes().Context - s.Search.MaxTokens - len(s.Virtual)
	}
	return 0
}

// prompt is source for a decoder: the text loses its end until what is around it fits too.
func (s *Summarizer) prompt(text string) (ids []int32, bytes, cut int, err error) {
	limit, prompt := s.limit(), s.Prompt
	if prompt == nil {
		prompt = func(text string) ([]int32, error) {
			e, err := s.tok.EncodeOffsets(s.Prefix+text+s.Suffix, tokenizer.EncodeOptions{})
			if err != nil {
				return nil, err
			}
			return e.IDs, nil
		}
	}
	if ids, err = prompt(text); err != nil || len(ids) <= limit {
		return ids, len(text), 0, err
	}
	e, err := s.tok.EncodeOffsets(text, tokenizer.EncodeOptions{})
	if err != nil {
		return nil, 0, 0, err
	}
	for kept := len(e.IDs); len(ids) > limit; {
		if kept -= len(ids) - limit; kept <= 0 {
			return nil, 0, 0, fmt.Errorf("%d tokens are no room for a text: what stands around it and the summary need more", limit)
		}
		bytes, cut = runeStart(text, e.Offsets[kept-1].End), len(e.IDs)-kept
		if ids, err = prompt(text[:bytes]); err != nil {
			return nil, 0, 0, err
		}
	}
	return ids, bytes, cut, nil
}

// runeStart is the last place up to at where a character of text begins.
func runeStart(text string, at int) int {
	for at < len(text) && at > 0 && !utf8.RuneStart(text[at]) {
		at--
	}
	return at
}

// Target is the tokens of a summary as the model is to write it, at most so many; 0: no limit. A longer one loses its end, and has no token that ends it then.
func (s *Summarizer) Target(summary string, most int) ([]int32, error) {
	if len(s.ends) == 0 {
		return nil, fmt.Errorf("adapt: nothing ends a summary: the tokenizer has no end-of-text token, or config.json no eos_token_id")
	}
	if s.decoder != nil {
		summary = " " + summary // as text goes on
	}
	ids := append(s.tok.Encode(summary), s.ends[0])
	if most > 0 && len(ids) > most {
		ids = ids[:most]
	}
	return ids, nil
}

// Summarize writes a summary of each text.
func (s *Summarizer) Summarize(ctx context.Context, texts []string) ([]Summary, error) {
	list := make([]Summary, len(texts))
	reqs := make([]generate.SearchRequest, len(texts))
	for i, text := range texts {
		ids, cut, err := s.Source(text)
		if err != nil {
			return nil, fmt.Errorf("adapt: text %d: %w", i, err)
		}
		list[i].Read, list[i].Cut = len(ids), cut
		reqs[i] = generate.SearchRequest{Source: ids, BeamOptions: s.Search}
		if s.decoder != nil {
			reqs[i].Source, reqs[i].Prompt = nil, ids
		}
		reqs[i].Stop, reqs[i].Return = slices.Concat(s.Search.Stop, s.ends), 1
	}
	found, err := s.search.Search(ctx, reqs)
	if err != nil {
		return nil, err
	}
	for i, f := range found {
		list[i].IDs, list[i].Score = f[0].IDs, f[0].Score
		list[i].Text = s.tok.DecodeText(f[0].IDs)
		if s.decoder != nil {
			list[i].Text = strings.TrimSpace(list[i].Text)
		}
	}
	return list, nil
}

// SummarizeParts writes a summary of a text of any length: one that is longer than MaxSource is cut into parts where a sentence ends, and its summary is that
// of the parts' summaries, which may take parts again. Where summaries do not make it shorter, the end is cut off as Summarize does.
func (s *Summarizer) SummarizeParts(ctx context.Context, text string) (Summary, error) {
	parts := 0
	for {
		pieces, err := s.Parts(text)
		if err != nil {
			return Summary{}, err
		}
		if len(pieces) == 1 {
			break
		}
		list, err := s.Summarize(ctx, pieces)
		if err != nil {
			return Summary{}, err
		}
		parts += len(pieces)
		var texts []string
		for _, l := range list {
			texts = append(texts, l.Text)
		}
		joined := strings.Join(texts, "\n")
		shorter := len(joined) < len(text)
		if text = joined; !shorter {
			break
		}
	}
	list, err := s.Summarize(ctx, []string{text})
	if err != nil {
		return Summary{}, err
	}
	list[0].Parts = parts
	return list[0], nil
}

// Parts cuts a text into pieces that are read whole, at ends of sentences, or of words in sentences that are longer than half of what is read at once.
func (s *Summarizer) Parts(text string) ([]string, error) {
	var list []string
	for {
		near := text
		if most := 64 * s.limit(); most > 0 && most < len(text) { // a part is within: a long text is not encoded whole for each
			near = text[:runeStart(text, most)]
		}
		_, bytes, cut, err := s.source(near)
		if err != nil {
			return nil, fmt.Errorf("adapt: %w", err)
		}
		if cut == 0 && len(near) == len(text) {
			return append(list, text), nil
		}
		if bytes = sentenceEnd(text, bytes); bytes <= 0 {
			return nil, fmt.Errorf("adapt: %d tokens are no room for a text", s.limit())
		}
		list, text = append(list, text[:bytes]), text[bytes:]
	}
}

// sentenceEnd is the last place in the second half of text[:most] behind a sentence, or else behind a word, or most.
func sentenceEnd(text string, most int) int {
	end, word := 0, 0
	for i := 0; i < most; {
		r, n := utf8.DecodeRuneInString(text[i:])
		i += n
		next, _ := utf8.DecodeRuneInString(text[i:])
		switch {
		case i <= most/2 || i > most:
		case r == '\n' || strings.ContainsRune("。！？", r) || strings.ContainsRune(".!?", r) && (i == len(text) || unicode.IsSpace(next)):
			end = i
		case unicode.IsSpace(r):
			word = i
		}
	}
	return cmp.Or(end, word, most)
}
