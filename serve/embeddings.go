package serve

import (
	"encoding/base64"
	"encoding/binary"
	"math"
	"net/http"
)

// maxInputs is the most texts of a request that are embedded, classified or ranked.
const maxInputs = 2048

// embeddingRequest is the body of POST /v1/embeddings.
type embeddingRequest struct {
	Model      string `json:"model"`
	Input      inputs `json:"input"`
	Format     string `json:"encoding_format" doc:"float or base64"`
	Dimensions *int   `json:"dimensions" doc:"numbers that are kept, from the front; the rest is scaled to length 1"`
	InputType  string `json:"input_type" doc:"query or document, for models that tell them apart"`
	Truncate   bool   `json:"truncate" doc:"cut the ends of texts that are too long"`
	User       string `json:"user" doc:"told to nobody"`
}

// inputs is one text or several, each a text or a list of ids.
type inputs struct{ prompts }

func (p *inputs) UnmarshalJSON(b []byte) error { return p.read("input", b) }

// embedding is a vector, as numbers or as the base64 of little-endian float32.
type embedding struct {
	Object    string `json:"object"`
	Index     int    `json:"index"`
	Embedding any    `json:"embedding"`
}

// embeddingAnswer is the answer of POST /v1/embeddings.
type embeddingAnswer struct {
	Object    string      `json:"object"`
	Data      []embedding `json:"data"`
	Model     string      `json:"model"`
	Usage     inputUsage  `json:"usage"`
	Truncated int         `json:"truncated,omitempty" doc:"texts that lost their ends"`
}

// inputUsage counts the tokens of texts that are read only.
type inputUsage struct {
	Prompt int `json:"prompt_tokens"`
	Total  int `json:"total_tokens"`
}

// embeddings answers POST /v1/embeddings.
func (s *Server) embeddings(w http.ResponseWriter, r *http.Request) error {
	var q embeddingRequest
	if err := decode(r, &q); err != nil {
		return err
	}
	m, err := s.model(r.Context(), q.Model, embeds)
	if err != nil {
		return err
	}
	if q.Format != "" && q.Format != "float" && q.Format != "base64" {
		return badRequest("encoding_format", "%q is neither \"float\" nor \"base64\"", clip(q.Format, 40))
	}
	if q.Dimensions != nil && (*q.Dimensions < 1 || *q.Dimensions > m.Dimensions) {
		return badRequest("dimensions", "%d is not within 1 to %d", *q.Dimensions, m.Dimensions)
	}
	if q.InputType != "" && q.InputType != "query" && q.InputType != "document" {
		return badRequest("input_type", "%q is neither \"query\" nor \"document\"", clip(q.InputType, 40))
	}
	a := embeddingAnswer{Object: "list", Model: m.Name}
	var vectors [][]float32
	compute := func() (err error) {
		vectors, a.Truncated, err = m.Embed(r.Context(), q.Input.texts, q.InputType)
		return err
	}
	if len(q.Input.ids) > 0 {
		a.Usage, err = s.readIDs(m, &q)
		compute = func() (err error) {
			vectors, a.Truncated, err = m.EmbedIDs(r.Context(), q.Input.ids)
			return err
		}
	} else if err = few("input", len(q.Input.texts)); err == nil {
		a.Usage, err = s.read(m, "input", q.Input.texts, q.Truncate)
	}
	if err == nil {
		err = s.take(r.Context(), m, compute)
	}
	if err == nil {
		err = m.cutUnasked("input", a.Truncated, q.Truncate)
	}
	if err != nil {
		return err
	}
	for i, v := range vectors {
		if q.Dimensions != nil {
			v = shortened(v, *q.Dimensions)
		}
		e := embedding{Object: "embedding", Index: i, Embedding: v}
		if q.Format == "base64" {
			b := make([]byte, 0, 4*len(v))
			for _, x := range v {
				b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
			}
			e.Embedding = base64.StdEncoding.EncodeToString(b)
		}
		a.Data = append(a.Data, e)
	}
	writeJSON(w, http.StatusOK, a)
	return nil
}

// readIDs counts the ids of a request, which are used as they are.
func (s *Server) readIDs(m *Model, q *embeddingRequest) (inputUsage, error) {
	var u usage
	if q.InputType != "" {
		return inputUsage{}, badRequest("input_type", "nothing is put in front of ids: leave it out")
	}
	for _, ids := range q.Input.ids {
		if len(ids) == 0 {
			return inputUsage{}, badRequest("input", "an empty list of ids")
		}
		for _, id := range ids {
			if id < 0 || int(id) >= m.Vocab {
				return inputUsage{}, badRequest("input", "%d is no id of the vocabulary of %d", id, m.Vocab)
			}
		}
		n, err := m.within("input", len(ids), q.Truncate)
		if err != nil {
			return inputUsage{}, err
		}
		u.Prompt += n
	}
	s.metrics.tokens(m, u)
	return inputUsage{u.Prompt, u.Prompt}, few("input", len(q.Input.ids))
}

// few reports that there are no texts, or too many.
func few(param string, n int) error {
	if n == 0 || n > maxInputs {
		return badRequest(param, "%d texts; want 1 to %d", n, maxInputs)
	}
	return nil
}

// read counts the tokens of texts, of which none may be empty.
func (s *Server) read(m *Model, param string, texts []string, cut bool) (inputUsage, error) {
	var u usage
	for _, text := range texts {
		if text == "" {
			return inputUsage{}, badRequest(param, "an empty text")
		}
		n, err := m.count(param, text, cut)
		if err != nil {
			return inputUsage{}, err
		}
		u.Prompt += n
	}
	s.metrics.tokens(m, u)
	return inputUsage{u.Prompt, u.Prompt}, nil
}

// shortened is the front of a vector, scaled to length 1.
func shortened(v []float32, n int) []float32 {
	sum := 0.0
	for _, x := range v[:n] {
		sum += float64(x) * float64(x)
	}
	if sum == 0 {
		return v[:n]
	}
	out := make([]float32, n)
	for i, x := range v[:n] {
		out[i] = float32(float64(x) / math.Sqrt(sum))
	}
	return out
}
