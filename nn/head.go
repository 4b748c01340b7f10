package nn

import "github.com/plinth-ml/plinth/tensor"

// Head maps features x [N, C] to logits z = x·wᵀ + b [N, V]; with a soft cap they are cap·tanh(z/cap) (Gemma 2, section 2). Logits and
// losses are made here only, so that nobody forgets the cap.
type Head struct {
	Weight  *tensor.Tensor // [V, C]
	Bias    *tensor.Tensor // [V], or nil
	SoftCap float64        // 0 for none
}

// Logits are those of features x [N, C]: [N, V].
func (h Head) Logits(t *tensor.Tape, x *tensor.Tensor) *tensor.Tensor {
	z := t.Linear(x, h.Weight, h.Bias, tensor.Linear{})
	if h.SoftCap == 0 {
		return z
	}
	return t.Scale(t.Act(tensor.Tanh, t.Scale(z, 1/h.SoftCap)), h.SoftCap)
}

// Loss is the cross-entropy of each row of features x [N, C], [N]; see tensor.Tape.CrossEntropy. The head's own cap holds, whatever o says.
func (h Head) Loss(t *tensor.Tape, x *tensor.Tensor, o tensor.CrossEntropy) *tensor.Tensor {
	o.SoftCap = h.SoftCap
	return t.CrossEntropy(x, h.Weight, h.Bias, o)
}
