package adapt

import (
	"context"
	"fmt"
	"hash/fnv"

	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/internal/random"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/train"
)

// FineTuning is the training of a model with a head on labelled examples: a train.Objective. Each epoch takes the examples in an order of its own.
type FineTuning struct {
	Model        model.Tasked
	Loss         Loss
	Examples     []Example
	Batch        int        // examples per step
	Trained      []nn.Named // what is trained, such as an adapter and the head; nil: all of Model.Params
	ClassWeights []float64  // [K]: weight of each class's loss, for SingleLabel and Tagging; nil: 1
	Seed         uint64     // of the order
}

// check reports what cannot be trained on.
func (o *FineTuning) check() error {
	if o.Loss.task() != o.Model.Task() {
		return fmt.Errorf("adapt: loss %s is for a %s head, the model has a %s head", o.Loss, o.Loss.task(), o.Model.Task())
	}
	if len(o.Examples) == 0 {
		return fmt.Errorf("adapt: no examples")
	}
	if o.Batch < 1 {
		return fmt.Errorf("adapt: batch is %d, it must be at least 1", o.Batch)
	}
	if err := checkTexts(o.Model.Sizes(), o.Examples); err != nil {
		return err
	}
	k, _ := o.Model.Scorer().Weight.Dims2()
	if o.ClassWeights != nil && len(o.ClassWeights) != k {
		return fmt.Errorf("adapt: %d class weights, the head has %d classes", len(o.ClassWeights), k)
	}
	for i := range o.Examples {
		if err := o.Loss.check(&o.Examples[i], k); err != nil {
			return fmt.Errorf("adapt: text %d: %w", i, err)
		}
	}
	return nil
}

// Params are what is trained.
func (o *FineTuning) Params() []nn.Named {
	if o.Trained != nil {
		return o.Trained
	}
	return o.Model.Params()
}

// Sizes are the model's, with the longest example as the context: that bounds how much is computed at once.
func (o *FineTuning) Sizes() model.Sizes {
	s := o.Model.Sizes()
	s.Context = 1
	for i := range o.Examples {
		s.Context = max(s.Context, len(o.Examples[i].IDs))
	}
	return s
}

// Fingerprint tells these examples and this loss from others.
func (o *FineTuning) Fingerprint() string {
	h := fnv.New64a()
	fmt.Fprintln(h, o.Loss, o.Seed, o.ClassWeights)
	for i := range o.Examples {
		fmt.Fprintln(h, o.Examples[i])
	}
	return fmt.Sprintf("%s of %d examples %016x", o.Loss, len(o.Examples), h.Sum64())
}

// Part returns examples [from, to) of the batch of a step.
func (o *FineTuning) Part(reuse train.Part, step, from, to int) (train.Part, error) {
	p, _ := reuse.(*part)
	if p == nil {
		p = &part{o: o}
	}
	p.texts = p.texts[:0]
	N := uint64(len(o.Examples))
	for i := from; i < to; i++ {
		n := uint64(step*o.Batch + i)
		p.texts = append(p.texts, o.Examples[random.NewPerm(N, random.NewKey(o.Seed, n/N).Named("order")).At(n%N)])
	}
	p.set(p.texts)
	return p, nil
}

// Defaults fills the zero fields of o as fine-tuning wants them (Devlin et al. 2019, appendix A.3): the given number of passes over the
// examples, a linear schedule that rises over a tenth of the steps and falls to 0, weight decay 0.01, a validation after each pass, lean activations.
func (o *FineTuning) Defaults(t train.Options, epochs float64) train.Options {
	t.Batch, t.Seed = o.Batch, o.Seed
	pass := max(1, (len(o.Examples)+o.Batch-1)/o.Batch)
	set(&t.Steps, max(1, int(epochs*float64(len(o.Examples))/float64(o.Batch)+0.5)))
	set(&t.Warmup, max(1, t.Steps/10))
	set(&t.ValEvery, pass)
	set(&t.SaveEvery, pass)
	set(&t.Keep, 1)
	set(&t.Schedule, "linear")
	set(&t.OnSpike, "ignore")
	set(&t.MinLR, -1)
	if !t.Recompute {
		set(&t.Activations, "lean") // the same bits, for a percent or two of the time
	}
	set(&t.Beta2, 0.999)
	set(&t.WeightDecay, 0.01)
	return t
}

func set[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

// Run trains: see train.Minimize. With a Validation the run keeps the weights that did best, and ends early where the validation says so.
func (o *FineTuning) Run(ctx context.Context, k *kernel.Set, t train.Options, v *Validation, progress func(train.Event)) (train.Result, error) {
	if err := o.check(); err != nil {
		return train.Result{}, err
	}
	if t.Batch != o.Batch {
		return train.Result{}, fmt.Errorf("adapt: batches of %d and of %d", o.Batch, t.Batch)
	}
	h := train.Hooks{Progress: progress}
	if v != nil {
		v.start(k, o.Params(), t.RunDir)
		h.Validate, h.Stop = v.validate, v.stop
	}
	loop, err := train.Minimize(o, k, t, h)
	if err != nil {
		return train.Result{}, err
	}
	if v != nil {
		if err := v.resume(loop.Step()); err != nil {
			return train.Result{}, err
		}
	}
	r, err := loop.Run(ctx)
	if err != nil || v == nil {
		return r, err
	}
	return r, v.restore()
}
