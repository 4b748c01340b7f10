package adapt

import (
	"fmt"
	"math"

	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/tensor"
)

// Loss says what a head is trained for; the names are problem_type's in config.json, and two more.
type Loss string

const (
	SingleLabel Loss = "single_label_classification" // cross-entropy of Example.Label
	MultiLabel  Loss = "multi_label_classification"  // binary cross-entropy of Example.Targets, mean over labels
	Regression  Loss = "regression"                  // squared error of Example.Targets, mean over numbers
	Tagging     Loss = "tagging"                     // cross-entropy of Example.Tags
	Answer      Loss = "answer"                      // half the cross-entropy of Start plus half that of End, over the tokens of the text (BERT, section 4.2)
)

// task is the kind of head that a loss is for.
func (l Loss) task() model.Task {
	switch l {
	case Tagging:
		return model.TokenTask
	case Answer:
		return model.SpanTask
	}
	return model.SequenceTask
}

// check reports an example whose fields are not what the loss wants, for a head of k scores.
func (l Loss) check(x *Example, k int) error {
	switch l {
	case SingleLabel:
		if x.Label < 0 || x.Label >= k {
			return fmt.Errorf("label %d, the head has %d", x.Label, k)
		}
	case MultiLabel, Regression:
		if len(x.Targets) != k {
			return fmt.Errorf("%d targets, the head has %d scores", len(x.Targets), k)
		}
	case Tagging:
		if len(x.Tags) != len(x.IDs) {
			return fmt.Errorf("%d tags for %d tokens", len(x.Tags), len(x.IDs))
		}
		for _, tag := range x.Tags {
			if int(tag) >= k {
				return fmt.Errorf("tag %d, the head has %d", tag, k)
			}
		}
	case Answer:
		if x.Start < 0 || x.End < x.Start || x.End >= len(x.IDs) {
			return fmt.Errorf("an answer from token %d to %d of %d", x.Start, x.End, len(x.IDs))
		}
	default:
		return fmt.Errorf("loss %q is unknown", l)
	}
	return nil
}

// Probabilities are what the scores of a text say: of SingleLabel the softmax, of MultiLabel the sigmoid of each; the numbers of Regression stay as they are.
func (l Loss) Probabilities(scores []float32) []float64 {
	p := make([]float64, len(scores))
	if l == Regression {
		for i, v := range scores {
			p[i] = float64(v)
		}
		return p
	}
	if l == MultiLabel {
		for i, v := range scores {
			p[i] = 1 / (1 + math.Exp(-float64(v)))
		}
		return p
	}
	top, sum := float64(scores[Argmax(scores)]), 0.0
	for i, v := range scores {
		p[i] = math.Exp(float64(v) - top)
		sum += p[i]
	}
	for i := range p {
		p[i] /= sum
	}
	return p
}

// part is a piece of a batch of examples; it satisfies train.Part.
type part struct {
	o       *FineTuning
	texts   []Example
	in      model.Input
	b       batch
	targets []int32   // of cross-entropies
	weights []float32 // of the targets' classes; empty: all 1
	teacher []float32 // [texts, K], of distillation
	terms   [1]float64
}

func (p *part) Tokens() int      { return len(p.b.ids) }
func (p *part) Terms() []float64 { return p.terms[:] }

// set makes p the given texts.
func (p *part) set(texts []Example) {
	p.in = p.b.set(texts)
	p.targets, p.weights, p.teacher, p.terms[0] = p.targets[:0], p.weights[:0], p.teacher[:0], 0
	switch p.o.Loss {
	case SingleLabel:
		for i := range texts {
			p.target(int32(texts[i].Label))
			p.teacher = append(p.teacher, texts[i].Teacher...)
		}
	case Tagging:
		for i := range texts {
			for _, tag := range texts[i].Tags {
				p.target(tag)
			}
		}
	default:
		p.terms[0] = float64(len(texts))
	}
}

// target adds a row's class and counts it with its class's weight.
func (p *part) target(class int32) {
	w := float32(1)
	if p.o.ClassWeights != nil {
		if class >= 0 {
			w = float32(p.o.ClassWeights[class])
		}
		p.weights = append(p.weights, w)
	}
	p.targets = append(p.targets, class)
	if class >= 0 {
		p.terms[0] += float64(w)
	}
}

func (p *part) Loss(t *tensor.Tape, of, sums []float64) {
	m := p.o.Model
	x, head := m.Read(t, p.in), m.Scorer()
	if p.o.Distil != nil {
		sum, err := p.o.Distil.Loss(t, head.Logits(t, x), p.teacher, p.targets, 1/of[0])
		if err != nil {
			panic(err) // FineTuning.Check passed what cannot be distilled
		}
		sums[0] += sum
		return
	}
	switch p.o.Loss {
	case SingleLabel, Tagging:
		c := tensor.CrossEntropy{Targets: tensor.IDs(p.targets), Scale: 1 / of[0]}
		if len(p.weights) > 0 {
			c.Weights = tensor.FromF32(p.weights, len(p.weights)).Data
		}
		for i, v := range head.Loss(t, x, c).F32() {
			if len(p.weights) > 0 {
				v *= p.weights[i]
			}
			sums[0] += float64(v)
		}
	default:
		t.Loss(head.Logits(t, x), func(z, dz []float32) { sums[0] += p.onHost(z, dz, 1/of[0]) })
	}
}

// onHost returns the sum of the texts' losses for scores z, and writes its gradient times scale to dz unless that is nil.
func (p *part) onHost(z, dz []float32, scale float64) float64 {
	clear(dz)
	sum, row := 0.0, 0
	for i := range p.texts {
		x := &p.texts[i]
		if p.o.Loss == Answer {
			n := len(x.IDs)
			for column, at := range [2]int{x.Start, x.End} {
				sum += spanLoss(z[2*row:2*(row+n)], after(dz, 2*row), column, at, scale/2) / 2
			}
			row += n
			continue
		}
		K := len(x.Targets)
		for j, want := range x.Targets {
			s, y := float64(z[i*K+j]), float64(want)
			loss, slope := (s-y)*(s-y), 2*(s-y)
			if p.o.Loss == MultiLabel {
				loss = math.Max(s, 0) - s*y + math.Log1p(math.Exp(-math.Abs(s)))
				slope = 1/(1+math.Exp(-s)) - y
			}
			sum += loss / float64(K)
			if dz != nil {
				dz[i*K+j] = float32(slope / float64(K) * scale)
			}
		}
	}
	return sum
}

// after is s from element i on, or nil.
func after(s []float32, i int) []float32 {
	if s == nil {
		return nil
	}
	return s[i:]
}

// spanLoss is -log softmax of one of the two columns of z [n, 2] over the rows, at a row; its gradient times scale is written to dz.
func spanLoss(z, dz []float32, column, at int, scale float64) float64 {
	n := len(z) / 2
	top := math.Inf(-1)
	for r := range n {
		top = math.Max(top, float64(z[2*r+column]))
	}
	sum := 0.0
	for r := range n {
		sum += math.Exp(float64(z[2*r+column]) - top)
	}
	if dz != nil {
		for r := range n {
			p := math.Exp(float64(z[2*r+column])-top) / sum
			if r == at {
				p--
			}
			dz[2*r+column] = float32(p * scale)
		}
	}
	return math.Log(sum) + top - float64(z[2*at+column])
}
