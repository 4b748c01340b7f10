package tokenizer

// Texts returns what constrained decoding knows a vocabulary by: the bytes of text that each id stands for behind others, nil for special tokens and
// ids that no token has, and the ids of special tokens by their content.
func (t *Tokenizer) Texts() (texts [][]byte, special map[string]int32) {
	texts, special = make([][]byte, t.VocabSize()), map[string]int32{}
	for id := range int32(len(texts)) {
		if t.IsSpecial(id) {
			special[t.Name(id)] = id
		} else {
			texts[id] = t.Token(id)
		}
	}
	return texts, special
}
