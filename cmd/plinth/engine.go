package main

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/plinth-ml/plinth/generate"
	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/internal/kernel/cpu"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/model/zoo"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tokenizer"
)

// engineFlags say how a model is run. None but --kv changes what it writes.
type engineFlags struct {
	Context     int    `default:"0" help:"Most positions of a sequence; 0 means the model's context, beyond which models with dynamic rotary scaling can go." placeholder:"N" group:"Engine:"`
	KV          string `name:"kv" enum:"f32,f16,q8_0" default:"f32" help:"Type of the cache of keys and values: f32 (exact), f16 (half the memory), q8_0 (a quarter)." placeholder:"TYPE" group:"Engine:"`
	Draft       string `help:"Smaller model with the same vocabulary that proposes tokens; the text stays the same." placeholder:"DIR" group:"Engine:"`
	Lookup      int    `default:"0" help:"Propose what followed the last occurrence of the last N tokens; the text stays the same. 3 is good." placeholder:"N" group:"Engine:"`
	DraftTokens *int   `help:"Most tokens that --draft or --lookup proposes at once; 8 unless given." placeholder:"N" group:"Engine:"`
}

// kvTypes are the values of --kv.
var kvTypes = map[string]kernel.DType{"f32": kernel.F32, "f16": kernel.F16, "q8_0": kernel.Q8_0}

// engine returns an engine for m, whose tokenizer is tok, that decodes at most so many sequences at once; 0 is its default.
func (f *engineFlags) engine(c *common, m model.Decoder, tok *tokenizer.Tokenizer, slots int) (*generate.Engine, error) {
	o := generate.EngineOptions{Slots: slots, MaxContext: f.Context, Lookup: f.Lookup, Cache: nn.KVOptions{Type: kvTypes[f.KV]}}
	switch size := m.Sizes(); {
	case f.Context < 0 || f.Context > size.Context && !size.Grows:
		return nil, usagef("--context %d is not within 0 to the model's %d; only models with dynamic rotary scaling go beyond theirs", f.Context, size.Context)
	case f.Lookup < 0 || f.Lookup > 64:
		return nil, usagef("--lookup %d is not within 0 to 64", f.Lookup)
	case f.DraftTokens != nil && (*f.DraftTokens < 1 || *f.DraftTokens > 64):
		return nil, usagef("--draft-tokens %d is not within 1 to 64", *f.DraftTokens)
	case f.DraftTokens != nil && f.Draft == "" && f.Lookup == 0:
		return nil, usagef("--draft-tokens %d is for --draft or --lookup", *f.DraftTokens)
	case f.Draft != "" && f.Lookup > 0:
		return nil, usagef("--draft and --lookup exclude each other")
	}
	if f.DraftTokens != nil {
		o.DraftTokens = *f.DraftTokens
	}
	if f.Draft != "" {
		path, err := modelPath(f.Draft)
		if err != nil {
			return nil, fmt.Errorf("--draft: %w", err)
		}
		draft, err := zoo.Open(path, zoo.Options{})
		if err != nil {
			return nil, fmt.Errorf("--draft: %w", err)
		}
		if have, want := draft.Sizes().Vocab, m.Sizes().Vocab; have != want {
			return nil, usagef("--draft %s has a vocabulary of %d, the model %d", f.Draft, have, want)
		}
		if err := f.sameTokens(path, draft, tok); err != nil {
			return nil, err
		}
		o.Draft = draft
	}
	return generate.New(m, c.kernels(), o), nil
}

// sameTokens refuses a draft whose ids stand for other texts than the model's: what it proposes would be accepted by chance. Special tokens may differ.
func (f *engineFlags) sameTokens(path string, draft zoo.Model, tok *tokenizer.Tokenizer) error {
	other, err := zoo.Tokenizer(path, draft)
	if err != nil {
		return fmt.Errorf("--draft: %w", err)
	}
	have, _ := other.Texts()
	want, _ := tok.Texts()
	for id := range min(len(have), len(want)) {
		if have[id] != nil && want[id] != nil && !bytes.Equal(have[id], want[id]) {
			return usagef("--draft %s has another tokenizer than the model: id %d is %q there, %q here", f.Draft, id, have[id], want[id])
		}
	}
	return nil
}

// openWriter opens a model that writes text, and its tokenizer.
func openWriter(path string, o zoo.Options) (zoo.Model, *tokenizer.Tokenizer, error) {
	go cpu.Prepare()
	m, err := zoo.Open(path, o)
	if err != nil {
		return nil, nil, err
	}
	tok, err := zoo.Tokenizer(path, m)
	return m, tok, err
}

// speed says what an engine did and how fast.
func speed(s generate.Stats) string {
	var parts []string
	if s.Prefilled > 0 {
		parts = append(parts, fmt.Sprintf("prompt %d tokens, %.4g/s", s.Prefilled, float64(s.Prefilled)/s.Prefill.Seconds()))
	}
	if s.Decoded > 0 {
		parts = append(parts, fmt.Sprintf("writing %d tokens, %.4g/s", s.Decoded, float64(s.Decoded)/s.Decode.Seconds()))
	}
	if s.Cached > 0 {
		parts = append(parts, fmt.Sprintf("%d tokens from the cache", s.Cached))
	}
	if s.Drafted > 0 {
		parts = append(parts, fmt.Sprintf("%d of %d proposed tokens accepted (%.0f %%)", s.Accepted, s.Drafted, 100*float64(s.Accepted)/float64(s.Drafted)))
	}
	return strings.Join(parts, "; ")
}
