package serve

import (
	"net/http"
)

// tokenize answers POST /tokenize: the ids of a text.
func (s *Server) tokenize(w http.ResponseWriter, r *http.Request) error {
	var q struct {
		Model            string `json:"model"`
		Prompt           string `json:"prompt"`
		AddSpecialTokens *bool  `json:"add_special_tokens"`
	}
	if err := decode(r, &q); err != nil {
		return err
	}
	m, err := s.model(q.Model, "")
	if err != nil {
		return err
	}
	e := m.Tokenizer.NewEncoder()
	ids := e.AppendEncodeSpecial([]int32{}, []byte(q.Prompt))
	if err := e.Err(); err != nil {
		return badRequest("prompt", "%v", err)
	}
	if q.AddSpecialTokens == nil || *q.AddSpecialTokens {
		ids = m.Tokenizer.AddSpecial(ids)
	}
	writeJSON(w, http.StatusOK, map[string]any{"tokens": ids, "count": len(ids), "max_model_len": m.Context})
	return nil
}

// detokenize answers POST /detokenize: the text of ids.
func (s *Server) detokenize(w http.ResponseWriter, r *http.Request) error {
	var q struct {
		Model  string  `json:"model"`
		Tokens []int32 `json:"tokens"`
	}
	if err := decode(r, &q); err != nil {
		return err
	}
	m, err := s.model(q.Model, "")
	if err != nil {
		return err
	}
	for _, id := range q.Tokens {
		if !m.Tokenizer.Has(id) {
			return badRequest("tokens", "%d is no id of this vocabulary", id)
		}
	}
	writeJSON(w, http.StatusOK, map[string]string{"prompt": m.Tokenizer.Decode(q.Tokens)})
	return nil
}
