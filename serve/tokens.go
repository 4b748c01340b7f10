package serve

import "net/http"

// tokenizeRequest is the body of POST /tokenize.
type tokenizeRequest struct {
	Model            string `json:"model"`
	Prompt           string `json:"prompt"`
	AddSpecialTokens *bool  `json:"add_special_tokens" doc:"true"`
}

type tokenizeAnswer struct {
	Tokens  []int32 `json:"tokens"`
	Count   int     `json:"count"`
	Context int     `json:"max_model_len"`
}

// tokenize answers POST /tokenize.
func (s *Server) tokenize(w http.ResponseWriter, r *http.Request) error {
	var q tokenizeRequest
	if err := decode(r, &q); err != nil {
		return err
	}
	m, err := s.model(r.Context(), q.Model, "")
	if err != nil {
		return err
	}
	ids, err := m.Tokenizer.AppendIDs([]int32{}, []byte(q.Prompt), true)
	if err != nil {
		return badRequest("prompt", "%v", err)
	}
	if q.AddSpecialTokens == nil || *q.AddSpecialTokens {
		ids = m.Tokenizer.AddSpecial(ids)
	}
	writeJSON(w, http.StatusOK, tokenizeAnswer{ids, len(ids), m.Context})
	return nil
}

// detokenizeRequest is the body of POST /detokenize.
type detokenizeRequest struct {
	Model  string  `json:"model"`
	Tokens []int32 `json:"tokens"`
}

type detokenizeAnswer struct {
	Prompt string `json:"prompt"`
}

// detokenize answers POST /detokenize.
func (s *Server) detokenize(w http.ResponseWriter, r *http.Request) error {
	var q detokenizeRequest
	if err := decode(r, &q); err != nil {
		return err
	}
	m, err := s.model(r.Context(), q.Model, "")
	if err != nil {
		return err
	}
	for _, id := range q.Tokens {
		if !m.Tokenizer.Has(id) {
			return badRequest("tokens", "%d is no id of this vocabulary", id)
		}
	}
	writeJSON(w, http.StatusOK, detokenizeAnswer{m.Tokenizer.Decode(q.Tokens)})
	return nil
}
