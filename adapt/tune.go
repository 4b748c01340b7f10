package adapt

import (
	"context"
	"fmt"

	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/internal/random"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/train"
)

// Defaults fills the zero fields of t as fine-tuning wants them (Devlin et al. 2019, appendix A.3): the given number of passes over the
// examples, a linear schedule that rises over a tenth of the steps and falls to 0, weight decay 0.01, a validation after each pass.
func Defaults(t train.Options, examples, batch int, epochs float64) train.Options {
	t.Batch = batch
	pass := max(1, (examples+batch-1)/batch)
	set(&t.Steps, max(1, int(epochs*float64(examples)/float64(batch)+0.5)))
	set(&t.Warmup, max(1, t.Steps/10))
	set(&t.ValEvery, pass)
	set(&t.SaveEvery, pass)
	set(&t.Keep, 1)
	set(&t.Schedule, "linear")
	set(&t.OnSpike, "ignore")
	set(&t.MinLR, -1)
	set(&t.Beta2, 0.999)
	set(&t.WeightDecay, 0.01)
	return t
}

// turn is the place, among N, of the n-th example that a run takes: each pass has an order of its own.
func turn(seed uint64, n, N int) int {
	pass, at := uint64(n/N), uint64(n%N)
	return int(random.NewPerm(uint64(N), random.NewKey(seed, pass).Named("order")).At(at))
}

// trainedOf is what of a model is trained: all, where nothing else is said.
func trainedOf(trained []nn.Named, m interface{ Params() []nn.Named }) []nn.Named {
	if trained != nil {
		return trained
	}
	return m.Params()
}

// checkIDs reports the first id that is not in a vocabulary.
func checkIDs(ids []int32, vocab int) error {
	for _, id := range ids {
		if id < 0 || int(id) >= vocab {
			return fmt.Errorf("id %d is not in the vocabulary of %d", id, vocab)
		}
	}
	return nil
}

func set[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

// Tune trains what the objective trains: see train.Minimize. With a Validation the run keeps the weights that did best, and ends early where the
// validation says so.
func Tune(ctx context.Context, o train.Objective, k *kernel.Set, t train.Options, v *Validation, progress func(train.Event)) (train.Result, error) {
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
