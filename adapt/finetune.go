package adapt

import (
	"context"
	"fmt"
	"hash/fnv"

	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/train"
)

// FineTuning is the training of a model with a head on labelled examples: a train.Objective. Each epoch takes the examples in an order of its own.
type FineTuning struct {
	Model        model.Tasked
	Loss         Loss
	Examples     []Example
	Batch        int           // examples per step
	Trained      []nn.Named    // what is trained, such as an adapter and the head; nil: all of Model.Params
	ClassWeights []float64     // [K]: weight of each class's loss, for SingleLabel and Tagging; nil: 1
	Distil       *Distillation // learn Example.Teacher too, of SingleLabel without ClassWeights; nil: labels alone
	Seed         uint64        // of the order
}

// Check reports what cannot be trained on.
func (o *FineTuning) Check() error {
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
	if o.Distil != nil {
		if o.Loss != SingleLabel || o.ClassWeights != nil {
			return fmt.Errorf("adapt: distillation is for loss %s without class weights", SingleLabel)
		}
		if err := o.Distil.check(); err != nil {
			return err
		}
	}
	for i := range o.Examples {
		x := &o.Examples[i]
		err := o.Loss.check(x, k)
		if err == nil && o.Distil != nil && len(x.Teacher) != k {
			err = fmt.Errorf("%d scores of a teacher, the head has %d", len(x.Teacher), k)
		}
		if err != nil {
			return fmt.Errorf("adapt: text %d: %w", i, err)
		}
	}
	return nil
}

// Params are what is trained.
func (o *FineTuning) Params() []nn.Named { return trainedOf(o.Trained, o.Model) }

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
	fmt.Fprintln(h, o.Loss, o.Seed, o.ClassWeights, o.Distil)
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
	for i := from; i < to; i++ {
		p.texts = append(p.texts, o.Examples[turn(o.Seed, step*o.Batch+i, len(o.Examples))])
	}
	p.set(p.texts)
	return p, nil
}

// Defaults is the function of that name for these examples, with lean activations.
func (o *FineTuning) Defaults(t train.Options, epochs float64) train.Options {
	t.Seed = o.Seed
	if !t.Recompute {
		set(&t.Activations, "lean") // the same bits, for a percent or two of the time
	}
	return Defaults(t, len(o.Examples), o.Batch, epochs)
}

// Run checks the examples and trains: see Tune.
func (o *FineTuning) Run(ctx context.Context, k *kernel.Set, t train.Options, v *Validation, progress func(train.Event)) (train.Result, error) {
	if err := o.Check(); err != nil {
		return train.Result{}, err
	}
	if t.Batch != o.Batch {
		return train.Result{}, fmt.Errorf("adapt: batches of %d and of %d", o.Batch, t.Batch)
	}
	return Tune(ctx, o, k, t, v, progress)
}
