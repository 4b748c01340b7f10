package adapt

import (
	"context"
	"fmt"
	"math"

	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/internal/random"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
)

// Classifier is a decoder with a linear head on its pooled features.
type Classifier struct {
	Model model.Decoder
	Head  *nn.Linear // [classes, C]
	Pool  Pool
}

// Options of FineTune. The zero value of a field means the default given with it.
type Options struct {
	Classes     int     `json:"classes"` // required
	Pool        Pool    `json:"pool"`    // Mean
	Steps       int     `json:"steps"`   // 60
	Batch       int     `json:"batch"`   // texts per step; 32
	LR          float64 `json:"lr"`      // peak learning rate; 5e-4. It rises over a tenth of the steps and falls linearly to 0
	WeightDecay float64 `json:"weight_decay"`
	Seed        uint64  `json:"seed"` // of the order of the texts and of the head's first values
	Probe       *Probe  `json:"-"`    // where the head starts (Kumar et al. 2022, Fine-tuning can distort pretrained features); nil: at random
	OnStep      func()  `json:"-"`    // called after every step; nil: nothing
}

func (o Options) resolve() (Options, error) {
	if o.Steps == 0 {
		o.Steps = 60
	}
	if o.Batch == 0 {
		o.Batch = 32
	}
	if o.LR == 0 {
		o.LR = 5e-4
	}
	if o.Classes < 2 || o.Steps < 0 || o.Batch < 0 || !(o.LR > 0) || !(o.WeightDecay >= 0) {
		return o, fmt.Errorf("adapt: classes %d, steps %d, batch %d, lr %v or weight decay %v makes no sense", o.Classes, o.Steps, o.Batch, o.LR, o.WeightDecay)
	}
	return o, nil
}

// FineTune trains all weights of m, in place, and a new head on the labelled texts with AdamW. The parameters must have gradients
// (nn.Init with train). With fresh weights it is training from scratch. The result is a function of the arguments.
func FineTune(ctx context.Context, k *kernel.Set, m model.Decoder, texts []Example, o Options) (*Classifier, error) {
	o, err := o.resolve()
	if err != nil {
		return nil, err
	}
	if err := checkLabels(len(texts), Labels(texts), o.Classes); err != nil {
		return nil, err
	}
	if err := checkTexts(m, texts); err != nil {
		return nil, err
	}
	c := &Classifier{Model: m, Head: nn.NewLinear(m.Sizes().Width, o.Classes, 0.02, true), Pool: o.Pool}
	head := []nn.Named{{Name: "score.weight", Param: c.Head.Weight}, {Name: "score.bias", Param: c.Head.Bias}}
	nn.Init(head, o.Seed, true)
	if o.Probe != nil {
		c.startFrom(o.Probe)
	}
	params := append(m.Params(), head...)
	opt := newAdamW(k, params, o.WeightDecay)
	t := tensor.Training(k)
	var b batch
	pick, labels := make([]Example, o.Batch), make([]int32, o.Batch)
	N := uint64(len(texts))
	for s := range o.Steps {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		for i := range pick {
			n := uint64(s*o.Batch + i)
			pick[i] = texts[random.NewPerm(N, random.NewKey(o.Seed, n/N).Named("order")).At(n%N)]
			labels[i] = int32(pick[i].Label)
		}
		t.Reset()
		x := pooled(t, m, pick, o.Pool, &b)
		t.CrossEntropy(x, c.Head.Weight.T(), c.Head.Bias.T(), tensor.CrossEntropy{Targets: tensor.IDs(labels), Scale: 1 / float64(o.Batch)})
		t.Backward()
		rise := float64(s+1) / math.Max(1, 0.1*float64(o.Steps))
		opt.step(o.LR * math.Min(1, rise) * (1 - float64(s)/float64(o.Steps)))
		if o.OnStep != nil {
			o.OnStep()
		}
	}
	for _, p := range params {
		p.T().Changed()
	}
	return c, nil
}

// startFrom sets the head to a probe's weights on features that are not standardised.
func (c *Classifier) startFrom(p *Probe) {
	w, b := c.Head.Weight.T().F32(), c.Head.Bias.T().F32()
	for k, row := range p.Logistic.Weight {
		bias := p.Logistic.Bias[k]
		for i, v := range row {
			w[k*len(row)+i] = float32(v * p.Scale[i])
			bias -= v * p.Scale[i] * p.Mean[i]
		}
		b[k] = float32(bias)
	}
}

// Predict returns the class of every text. t must not record.
func (c *Classifier) Predict(ctx context.Context, t *tensor.Tape, texts []Example) ([]int, error) {
	if err := checkTexts(c.Model, texts); err != nil {
		return nil, err
	}
	classes := make([]int, len(texts))
	var b batch
	err := chunks(ctx, texts, func(from, to int) {
		t.Reset()
		y := t.Linear(pooled(t, c.Model, texts[from:to], c.Pool, &b), c.Head.Weight.T(), c.Head.Bias.T(), tensor.Linear{})
		_, K := y.Dims2()
		scores := y.F32()
		for i := range to - from {
			best := 0
			for j, v := range scores[i*K : (i+1)*K] {
				if v > scores[i*K+best] {
					best = j
				}
			}
			classes[from+i] = best
		}
	})
	t.Reset()
	return classes, err
}

// adamW is the optimiser of all parameters, with the gradient clipped to norm 1.
type adamW struct {
	k      *kernel.Set
	params []nn.Named
	m, v   []kernel.Buf
	list   []kernel.AdamWParam // of a step
	grads  []kernel.Buf
	decay  float64
	t      int
}

func newAdamW(k *kernel.Set, params []nn.Named, decay float64) *adamW {
	o := &adamW{k: k, params: params, decay: decay}
	for _, p := range params {
		o.m = append(o.m, kernel.Alloc(kernel.F32, p.T().Len()))
		o.v = append(o.v, kernel.Alloc(kernel.F32, p.T().Len()))
	}
	return o
}

func (o *adamW) step(lr float64) {
	o.t++
	o.list, o.grads = o.list[:0], o.grads[:0]
	for i, p := range o.params {
		o.list = append(o.list, kernel.AdamWParam{P: p.T().Data, G: p.T().Grad, M: o.m[i], V: o.v[i], NoDecay: !p.Decays()})
		o.grads = append(o.grads, p.T().Grad)
	}
	sum := o.k.SumSquares(o.grads...)
	s := kernel.AdamW{LR: lr, Beta1: 0.9, Beta2: 0.98, Eps: 1e-8, Step: o.t, WeightDecay: o.decay,
		GradScale: 1 / math.Max(1, math.Sqrt(sum)), ZeroGrad: true}
	o.k.AdamW(&s, o.list...)
}
