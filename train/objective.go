package train

import (
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
)

// Objective is what a run minimises: it makes the batch of each step, and computes its loss in parts that fit into memory.
type Objective interface {
	// Params lists what is trained; each has memory and a gradient.
	Params() []nn.Named
	// Sizes are those of the model: a batch has sequences of at most Context tokens.
	Sizes() model.Sizes
	// Part returns sequences [from, to) of the batch of a step: a pure function of these and of the objective's own seed. It may take the
	// memory of reuse, a part that is done with, or nil.
	Part(reuse Part, step, from, to int) (Part, error)
	// Fingerprint names the data and all else that the parts depend on. A resumed run checks it.
	Fingerprint() string
}

// Part is a piece of a step's batch, computed at once.
type Part interface {
	// Tokens is the number of rows.
	Tokens() int
	// Terms says, for each term of the loss, how much it is a mean over: counted targets, or pairs. The number of terms never changes.
	Terms() []float64
	// Loss records the forward pass, so that Backward leaves the gradient of Σ term_i/of_i, and adds the terms, which are sums, to sums.
	// of is Terms added up over all parts of the step; a term with nothing to count adds nothing.
	Loss(t *tensor.Tape, of, sums []float64)
}

// Termed is an objective whose loss has several terms; the metrics then hold each by its name.
type Termed interface{ TermNames() []string }

// Joint is an objective whose parts depend on each other, as those of a contrastive loss do. Join is told all parts of a step, where there are several, before
// the loss of the first. t does not record.
type Joint interface {
	Join(t *tensor.Tape, parts []Part)
}

// Stateful is an objective with tensors beside its parameters that steps change, such as running statistics: checkpoints hold them too, and resume and
// rewinds bring them back.
type Stateful interface{ State() []nn.Named }

// Settled is an objective that has bounds for its parameters: Settle puts them back within these after each step.
type Settled interface{ Settle() }

// Measured is an objective that tells more of a step than its loss; the metrics then hold each measure by its name.
type Measured interface{ Measures() map[string]float64 }

// Guarded is an objective that can see that nothing is learnt. Symptom says what of the step just computed looks so, and is "" where nothing does.
type Guarded interface {
	Symptom(loss float64) string
}

// Costed is a model or objective that knows its arithmetic per token; the loop then reports FLOP/s, as if every sequence were one piece of
// Seq tokens.
type Costed interface{ Cost(seq int) model.Cost }
