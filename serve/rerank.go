package serve

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/plinth-ml/plinth/eval/task"
)

// rerankRequest is the body of POST /v1/rerank.
type rerankRequest struct {
	Model           string     `json:"model"`
	Query           string     `json:"query"`
	Documents       []document `json:"documents"`
	TopN            *int       `json:"top_n" doc:"documents of the answer; all"`
	ReturnDocuments *bool      `json:"return_documents" doc:"true"`
	Truncate        bool       `json:"truncate" doc:"cut the ends of texts that are too long"`
	User            string     `json:"user" doc:"told to nobody"`
}

// document is a text, or an object with a text.
type document struct {
	Text string `json:"text"`
}

func (d *document) UnmarshalJSON(b []byte) error {
	if json.Unmarshal(b, &d.Text) == nil {
		return nil
	}
	var o struct {
		Text *string `json:"text"`
	}
	if json.Unmarshal(b, &o) != nil || o.Text == nil {
		return badRequest("documents", "neither a text nor an object with a text")
	}
	d.Text = *o.Text
	return nil
}

// rerankAnswer is the answer of POST /v1/rerank, as Jina, Cohere and vLLM have it.
type rerankAnswer struct {
	ID        string     `json:"id"`
	Model     string     `json:"model"`
	Usage     inputUsage `json:"usage"`
	Results   []ranked   `json:"results" doc:"the most relevant first"`
	Truncated int        `json:"truncated,omitempty" doc:"texts that lost their ends"`
}

type ranked struct {
	Index    int       `json:"index"`
	Score    float64   `json:"relevance_score"`
	Document *document `json:"document,omitempty"`
}

// rerank answers POST /v1/rerank.
func (s *Server) rerank(w http.ResponseWriter, r *http.Request) error {
	var q rerankRequest
	if err := decode(r, &q); err != nil {
		return err
	}
	m, err := s.model(r.Context(), q.Model, reranks)
	if err != nil {
		return err
	}
	if err := few("documents", len(q.Documents)); err != nil {
		return err
	}
	if q.TopN != nil && *q.TopN < 1 {
		return badRequest("top_n", "%d is below 1", *q.TopN)
	}
	documents := make([]string, len(q.Documents))
	for i, d := range q.Documents {
		documents[i] = d.Text
	}
	a := rerankAnswer{ID: s.id("rerank"), Model: m.Name, Results: []ranked{}}
	query, err := s.read(m, "query", []string{q.Query}, q.Truncate)
	if err != nil {
		return err
	}
	if a.Usage, err = s.read(m, "documents", documents, q.Truncate); err != nil {
		return err
	}
	a.Usage.Prompt, a.Usage.Total = a.Usage.Prompt+query.Prompt, a.Usage.Total+query.Total
	var scores []float64
	err = s.take(r.Context(), m.turn, func() (err error) {
		scores, a.Truncated, err = m.Rerank(r.Context(), q.Query, documents)
		return err
	})
	if err == nil {
		err = m.cutUnasked("documents", a.Truncated, q.Truncate)
	}
	if err != nil {
		return err
	}
	order := task.Rank(scores)
	if q.TopN != nil {
		order = order[:min(*q.TopN, len(order))]
	}
	for _, i := range order {
		one := ranked{Index: i, Score: scores[i]}
		if q.ReturnDocuments == nil || *q.ReturnDocuments {
			one.Document = &q.Documents[i]
		}
		a.Results = append(a.Results, one)
	}
	writeJSON(w, http.StatusOK, a)
	return nil
}

// ByCosine ranks documents by the cosine of their vectors with the query's.
func ByCosine(embed func(ctx context.Context, texts []string, kind string) ([][]float32, int, error)) func(context.Context, string, []string) ([]float64, int, error) {
	return func(ctx context.Context, query string, documents []string) ([]float64, int, error) {
		q, cutQuery, err := embed(ctx, []string{query}, "query")
		if err != nil {
			return nil, 0, err
		}
		vectors, cut, err := embed(ctx, documents, "document")
		scores := make([]float64, len(vectors))
		for i, v := range vectors {
			scores[i] = task.Cosine(q[0], v)
		}
		return scores, cut + cutQuery, err
	}
}
