package tokenizer

import (
	"encoding/json"
	"fmt"
)

// WithSpecial returns the tokenizer with further special tokens, whose ids follow the last one. A name that is a token already is an error.
func (t *Tokenizer) WithSpecial(names ...string) (*Tokenizer, error) {
	added := t.Added()
	for i, name := range names {
		if id, ok := t.ID(name); ok {
			return nil, fmt.Errorf("tokenizer: %q is token %d already", name, id)
		}
		added = append(added, AddedToken{ID: int32(t.VocabSize() + i), Content: name, Special: true})
	}
	data, err := t.Marshal()
	if err != nil {
		return nil, err
	}
	var sections map[string]json.RawMessage
	if err := json.Unmarshal(data, &sections); err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	sections["added_tokens"] = marshal(added)
	return Load(marshal(sections))
}
