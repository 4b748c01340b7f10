package serve

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/plinth-ml/plinth/media"
)

// OwnLabels are labels that a request brings itself.
type OwnLabels struct {
	Names     []string
	Template  string   // what is said of a text, as plinth classify --template has it; "": the default
	Templates []string // what is said of a picture, {} in the label's place, several to be averaged; none: the default
	Multi     bool     // any number of them may be true of a text
	Calibrate bool     // divide by what the model says of texts without content
	Scope     string   // of the request's key: what is kept of labels is not for other keys, who would learn from the time that another asked for them
}

// Classes are what a model says of texts.
type Classes struct {
	Labels        []string    // none: the one number of a text is no probability, but what it was trained to say
	Probabilities [][]float64 // [texts][labels]
	Cut           int         // texts that lost their ends
}

// Bounds of a request's own labels.
const (
	maxLabels   = 1024
	maxTemplate = 1024 // bytes of a template for pictures
)

// classifyRequest is the body of POST /v1/classify.
type classifyRequest struct {
	Model     string        `json:"model"`
	Input     classifyInput `json:"input" doc:"a text, or a list of texts and of pairs; or a picture, or a list of pictures"`
	Labels    []string      `json:"labels" doc:"of one's own; without them the model's"`
	Template  string        `json:"template" doc:"for those: what is said of a text or of a picture, with {} in the label's place"`
	Templates []string      `json:"templates" doc:"for those, of pictures: several, whose vectors are averaged"`
	Multi     bool          `json:"multi_label" doc:"for those: any number may be true"`
	Calibrate bool          `json:"calibrate" doc:"for those, of a model that writes text"`
	TopN      *int          `json:"top_n" doc:"labels of each text, the most probable ones; all"`
	Truncate  bool          `json:"truncate" doc:"cut the ends of texts that are too long"`
	User      string        `json:"user" doc:"told to nobody"`
}

// room reads the field that may hold pictures.
func (q *classifyRequest) room(name string) func([]byte) error {
	if name == "input" {
		return q.Input.UnmarshalJSON
	}
	return nil
}

// classifyInput are texts and pairs of texts, or pictures.
type classifyInput struct{ items }

func (c *classifyInput) UnmarshalJSON(b []byte) (err error) {
	if string(b) == "null" {
		return nil
	}
	c.items, err = items(nil).list("input", b, maxInputs, false)
	return err
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
	if err := few("input", len(q.Input.items)); err != nil {
		return err
	}
	texts, pictures := q.Input.divide()
	needs := classifies
	if len(pictures) > 0 {
		needs = classifiesImages
	}
	if len(texts) > 0 && len(pictures) > 0 {
		return badRequest("input", "texts and pictures want requests of their own")
	}
	m, err := s.model(r.Context(), q.Model, needs)
	if err != nil {
		return err
	}
	own, err := q.own(m, len(pictures) > 0)
	if err != nil {
		return err
	}
	if own != nil {
		own.Scope = s.scope(r)
	}
	a := classifyAnswer{ID: s.id("classify"), Object: "list", Created: time.Now().Unix(), Model: m.Name}
	var c *Classes
	if len(pictures) > 0 {
		err = s.see(r.Context(), m, pictures, func(images []*media.Image) (err error) {
			c, err = m.ClassifyImages(r.Context(), images, own)
			return err
		})
	} else {
		c, err = s.classifyTexts(r.Context(), m, &q, own, &a)
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

// classifyTexts asks for the labels of a request's texts, and counts in the answer what it read.
func (s *Server) classifyTexts(ctx context.Context, m *Model, q *classifyRequest, own *OwnLabels, a *classifyAnswer) (c *Classes, err error) {
	all := make([][]string, len(q.Input.items))
	for i, one := range q.Input.items {
		if own != nil && len(one.texts) > 1 {
			return nil, badRequest(fmt.Sprintf("input[%d]", i), "labels of one's own are for single texts")
		}
		u, err := s.read(m, fmt.Sprintf("input[%d]", i), one.texts, q.Truncate)
		if err != nil {
			return nil, err
		}
		all[i] = one.texts
		a.Usage.Prompt, a.Usage.Total = a.Usage.Prompt+u.Prompt, a.Usage.Total+u.Total
	}
	err = s.take(ctx, m.turn, func() (err error) {
		c, err = m.Classify(ctx, all, own)
		return err
	})
	if err == nil {
		err = m.cutUnasked("input", c.Cut, q.Truncate)
	}
	return c, err
}

// own are the labels that the request brings, for pictures or for texts.
func (q *classifyRequest) own(m *Model, pictures bool) (*OwnLabels, error) {
	if q.TopN != nil && *q.TopN < 1 {
		return nil, badRequest("top_n", "%d is below 1", *q.TopN)
	}
	if len(q.Labels) == 0 {
		switch {
		case q.Template != "" || q.Templates != nil || q.Multi || q.Calibrate:
			return nil, badRequest("labels", "template, templates, multi_label and calibrate are for labels of one's own")
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
	o := &OwnLabels{Names: q.Labels, Template: q.Template, Templates: q.Templates, Multi: q.Multi, Calibrate: q.Calibrate}
	switch {
	case !pictures && q.Templates != nil:
		return nil, badRequest("templates", "they are for pictures; there is template for texts")
	case !pictures:
		return o, nil
	case q.Template != "" && q.Templates != nil:
		return nil, badRequest("templates", "there is template as well: want one of the two")
	case q.Template != "":
		o.Template, o.Templates = "", []string{q.Template}
	}
	if n := len(q.Labels) * len(o.Templates); n > maxInputs {
		return nil, badRequest("templates", "%d labels in %d templates are %d texts, at most %d", len(q.Labels), len(o.Templates), n, maxInputs)
	}
	for i, text := range o.Templates {
		param := "template"
		if q.Templates != nil {
			param = fmt.Sprintf("templates[%d]", i)
		}
		if !strings.Contains(text, "{}") || len(text) > maxTemplate {
			return nil, badRequest(param, "want a text with {} in the label's place, of at most %d bytes", maxTemplate)
		}
	}
	return o, nil
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
