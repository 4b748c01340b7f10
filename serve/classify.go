package serve

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// OwnLabels are labels that a request brings itself.
type OwnLabels struct {
	Names     []string
	Template  string // what is said of a text, as plinth classify --template has it; "": the default
	Multi     bool   // any number of them may be true of a text
	Calibrate bool   // divide by what the model says of texts without content
}

// Classes are what a model says of texts.
type Classes struct {
	Labels        []string    // none: the one number of a text is no probability, but what it was trained to say
	Probabilities [][]float64 // [texts][labels]
	Cut           int         // texts that lost their ends
}

// maxLabels is the most labels of a request's own.
const maxLabels = 256

// classifyRequest is the body of POST /v1/classify.
type classifyRequest struct {
	Model     string    `json:"model"`
	Input     textPairs `json:"input" doc:"a text, or a list of texts and of pairs"`
	Labels    []string  `json:"labels" doc:"of one's own; without them the model's"`
	Template  string    `json:"template" doc:"for those: what is said of a text, with {} in the label's place"`
	Multi     bool      `json:"multi_label" doc:"for those: any number may be true"`
	Calibrate bool      `json:"calibrate" doc:"for those, of a model that writes text"`
	TopN      *int      `json:"top_n" doc:"labels of each text, the most probable ones; all"`
	Truncate  bool      `json:"truncate" doc:"cut the ends of texts that are too long"`
	User      string    `json:"user" doc:"told to nobody"`
}

// textPairs is a text or a list, of texts and of lists of two texts.
type textPairs [][]string

func (t *textPairs) UnmarshalJSON(b []byte) error {
	*t = nil
	var one string
	var list []texts
	if json.Unmarshal(b, &one) == nil {
		list = []texts{{one}}
	} else if json.Unmarshal(b, &list) != nil {
		return badRequest("input", "neither a text nor a list of texts or pairs")
	}
	for _, some := range list {
		if len(some) < 1 || len(some) > 2 {
			return badRequest("input", "%d texts where one or two are wanted", len(some))
		}
		*t = append(*t, some)
	}
	return nil
}

// classifyAnswer is the answer of POST /v1/classify.
type classifyAnswer struct {
	ID        string       `json:"id"`
	Object    string       `json:"object"`
	Created   int64        `json:"created"`
	Model     string       `json:"model"`
	Data      []classified `json:"data"`
	Usage     inputUsage   `json:"usage"`
	Truncated int          `json:"truncated,omitempty" doc:"texts that lost their ends"`
}

// classified is what is said of one text.
type classified struct {
	Index   int           `json:"index"`
	Label   string        `json:"label,omitempty" doc:"the most probable one"`
	Number  *float64      `json:"number,omitempty" doc:"of a model that says numbers"`
	Classes int           `json:"num_classes"`
	Probs   []float64     `json:"probs,omitempty" doc:"in the order of the model's labels, or of those given"`
	Labels  []probability `json:"labels,omitempty"`
}

// probability is that of a label.
type probability struct {
	Label       string  `json:"label"`
	Probability float64 `json:"probability"`
}

// classify answers POST /v1/classify.
func (s *Server) classify(w http.ResponseWriter, r *http.Request) error {
	var q classifyRequest
	if err := decode(r, &q); err != nil {
		return err
	}
	m, err := s.model(r.Context(), q.Model, classifies)
	if err != nil {
		return err
	}
	own, err := q.own(m)
	if err != nil {
		return err
	}
	if err := few("input", len(q.Input)); err != nil {
		return err
	}
	a := classifyAnswer{ID: s.id("classify"), Object: "list", Created: time.Now().Unix(), Model: m.Name}
	for i, some := range q.Input {
		if own != nil && len(some) > 1 {
			return badRequest(fmt.Sprintf("input[%d]", i), "labels of one's own are for single texts")
		}
		u, err := s.read(m, fmt.Sprintf("input[%d]", i), some, q.Truncate)
		if err != nil {
			return err
		}
		a.Usage.Prompt, a.Usage.Total = a.Usage.Prompt+u.Prompt, a.Usage.Total+u.Total
	}
	var c *Classes
	err = s.take(r.Context(), m, func() (err error) {
		c, err = m.Classify(r.Context(), q.Input, own)
		return err
	})
	if err == nil {
		err = m.cutUnasked("input", c.Cut, q.Truncate)
	}
	if err != nil {
		return err
	}
	a.Truncated = c.Cut
	for i, p := range c.Probabilities {
		a.Data = append(a.Data, c.classified(i, p, q.TopN))
	}
	writeJSON(w, http.StatusOK, a)
	return nil
}

// own are the labels that the request brings.
func (q *classifyRequest) own(m *Model) (*OwnLabels, error) {
	if q.TopN != nil && *q.TopN < 1 {
		return nil, badRequest("top_n", "%d is below 1", *q.TopN)
	}
	if len(q.Labels) == 0 {
		switch {
		case q.Template != "" || q.Multi || q.Calibrate:
			return nil, badRequest("labels", "template, multi_label and calibrate are for labels of one's own")
		case m.Labels == nil:
			return nil, badRequest("labels", "the model has no labels of its own")
		}
		return nil, nil
	}
	if len(q.Labels) > maxLabels {
		return nil, badRequest("labels", "%d labels, at most %d", len(q.Labels), maxLabels)
	}
	for i, l := range q.Labels {
		if l == "" || slices.Index(q.Labels, l) < i {
			return nil, badRequest(fmt.Sprintf("labels[%d]", i), "%q is empty or there twice", clip(l, 40))
		}
	}
	return &OwnLabels{q.Labels, q.Template, q.Multi, q.Calibrate}, nil
}

// classified is what is said of text i.
func (c *Classes) classified(i int, p []float64, top *int) classified {
	if len(c.Labels) == 0 {
		return classified{Index: i, Number: &p[0], Classes: 1}
	}
	a := classified{Index: i, Classes: len(p), Probs: p}
	for j, name := range c.Labels {
		a.Labels = append(a.Labels, probability{name, p[j]})
	}
	slices.SortStableFunc(a.Labels, func(x, y probability) int { return cmp.Compare(y.Probability, x.Probability) })
	a.Label = a.Labels[0].Label
	if top != nil {
		a.Labels = a.Labels[:min(*top, len(a.Labels))]
	}
	return a
}
