package tokenizer

import (
	"fmt"
	"unicode/utf8"

	"github.com/plinth-ml/plinth/tokenizer/charsmap"
)

// precompiled applies the rules of a SentencePiece model.
type precompiled struct {
	Type string `json:"type"`
	Map  []byte `json:"precompiled_charsmap"`

	rules *charsmap.Map
}

func (p *precompiled) prepare(where string) error {
	if len(p.Map) == 0 { // no rules
		return nil
	}
	var err error
	if p.rules, err = charsmap.Parse(p.Map); err != nil {
		return fmt.Errorf("tokenizer: %s.precompiled_charsmap: %w", where, err)
	}
	return nil
}

func (p *precompiled) normalize(t *text) error {
	if p.rules == nil {
		return nil
	}
	if t.at == nil && utf8.Valid(t.norm) {
		if norm, changed := p.rules.Append(make([]byte, 0, len(t.norm)+len(t.norm)/8), unsafeString(t.norm)); changed {
			t.norm = norm
		}
		return nil
	}
	e := t.edit()
	if p.rules.Transform(unsafeString(t.norm), e.put) {
		e.done()
	}
	return nil
}
