package adapt

import (
	"context"
	"fmt"
	"slices"

	"github.com/plinth-ml/plinth/generate"
	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/tokenizer"
)

// Summarizer writes texts from texts with an encoder-decoder: summaries, or whatever the model was trained to write.
type Summarizer struct {
	// Prefix tells a model of several tasks what to do: "summarize: " for T5.
	Prefix string
	// MaxSource is the most tokens of a source, the special ones included. What a longer text has beyond is not read, and its Summary says how
	// much that was; 0: no limit.
	MaxSource int
	// Search says how summaries are searched. Stop is added to the model's own ends.
	Search generate.BeamOptions

	tok    *tokenizer.Tokenizer
	ends   []int32
	search *generate.Searcher
}

// Summary is what was written from a text.
type Summary struct {
	Text  string  `json:"text"`
	IDs   []int32 `json:"ids"`
	Score float64 `json:"score"`         // log-probability / length^LengthPenalty
	Cut   int     `json:"cut,omitempty"` // tokens of the source that were not read
}

// NewSummarizer returns a summarizer of a model and its tokenizer.
func NewSummarizer(m model.Seq2Seq, tok *tokenizer.Tokenizer, k *kernel.Set) *Summarizer {
	return &Summarizer{tok: tok, ends: m.Ends(), search: generate.NewSeq2SeqSearcher(m, k)}
}

// Source is the tokens of a text as the model reads it, the special ones included, and how many were cut off.
func (s *Summarizer) Source(text string) (ids []int32, cut int, err error) {
	e, err := s.tok.EncodeOffsets(s.Prefix+text, tokenizer.EncodeOptions{AddSpecial: true, MaxTokens: s.MaxSource})
	if err != nil {
		return nil, 0, err
	}
	return e.IDs, e.Cut, nil
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
		list[i].Cut = cut
		reqs[i] = generate.SearchRequest{Source: ids, BeamOptions: s.Search}
		reqs[i].Stop, reqs[i].Return = slices.Concat(s.Search.Stop, s.ends), 1
	}
	found, err := s.search.Search(ctx, reqs)
	if err != nil {
		return nil, err
	}
	for i, f := range found {
		list[i].IDs, list[i].Score = f[0].IDs, f[0].Score
		list[i].Text = s.tok.DecodeText(f[0].IDs)
	}
	return list, nil
}
