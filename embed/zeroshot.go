package embed

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
)

// Template is what stands around a label where nothing else is said; {} is the label.
const Template = "a photo of a {}."

// Classes are labels as vectors: a picture is of the class whose vector has the smallest angle with its own (Radford et al. 2021, section 3.1.2).
type Classes struct {
	Labels  []string
	Vectors [][]float32 // of unit length
	factor  float64
}

// Classes makes the vectors of labels: of each the mean over the templates of the vectors of the texts, scaled to length 1 (section 3.1.4). No templates are Template
// alone. A label that is too long for the model with a template is an error that names both, whatever Truncate says.
func (d *Dual) Classes(ctx context.Context, labels, templates []string) (*Classes, error) {
	if len(labels) == 0 {
		return nil, errors.New("there are no labels")
	}
	if len(templates) == 0 {
		templates = []string{Template}
	}
	for _, t := range templates {
		if !strings.Contains(t, "{}") {
			return nil, fmt.Errorf("template %q has no {} for the label", t)
		}
	}
	raw, truncate := d.Raw, d.Truncate
	d.Raw, d.Truncate = false, false
	defer func() { d.Raw, d.Truncate = raw, truncate }()
	var texts []string
	for i, l := range labels {
		for _, t := range templates {
			text := strings.ReplaceAll(t, "{}", l)
			if _, err := d.IDs(text); err != nil {
				return nil, fmt.Errorf("label %d, %.40q, in the template %.80q: %w; labels are never cut", i+1, l, t, err)
			}
			texts = append(texts, text)
		}
	}
	vectors, err := d.Texts(ctx, texts)
	if err != nil {
		return nil, err
	}
	c := &Classes{Labels: labels, factor: d.Model.Factor()}
	for i := range labels {
		mean := make([]float32, d.Size())
		for _, v := range vectors[i*len(templates) : (i+1)*len(templates)] {
			for j, x := range v {
				mean[j] += x / float32(len(templates))
			}
		}
		unit(mean)
		c.Vectors = append(c.Vectors, mean)
	}
	return c, nil
}

// Probabilities are the labels' for a picture's vector of unit length: the softmax of the model's logits, cosines times a factor.
func (c *Classes) Probabilities(picture []float32) []float64 {
	p := make([]float64, len(c.Labels))
	top := math.Inf(-1)
	for i, v := range c.Vectors {
		for j, x := range v {
			p[i] += float64(x) * float64(picture[j])
		}
		p[i] *= c.factor
		top = max(top, p[i])
	}
	sum := 0.0
	for i := range p {
		p[i] = math.Exp(p[i] - top)
		sum += p[i]
	}
	for i := range p {
		p[i] /= sum
	}
	return p
}
