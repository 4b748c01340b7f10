package tensor

import (
	"fmt"

	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/internal/random"
)

// DropoutKey chooses the random numbers of every Dropout until Reset, which forgets it: with the same key, the ops of a pass leave out the same
// elements. A training step takes another key for each part of its batch.
func (t *Tape) DropoutKey(key uint64) { t.drops = drops{key: random.NewKey(key), set: true} }

// drops numbers the dropouts of a pass.
type drops struct {
	key  random.Key
	set  bool
	next uint64
}

// nextDropout is the pass's next dropout of probability p.
func (t *Tape) nextDropout(p float64) kernel.Dropout {
	if !(p > 0 && p < 0.999) { // beyond, a probability rounded to 16 bits may be 1
		panic(fmt.Sprintf("tensor: Dropout of probability %v", p))
	}
	if !t.drops.set {
		panic("tensor: Dropout on a training tape without DropoutKey")
	}
	t.drops.next++
	return kernel.Dropout{P: p, Key: t.drops.key.At(t.drops.next)}
}

// dropoutOp is y = d(x).
type dropoutOp struct {
	x, y *Tensor
	d    kernel.Dropout
}

// Dropout returns x with each element left out, 0, with probability p, and divided by 1-p otherwise (Srivastava et al. 2014). On tapes that are
// not Training's, and with p = 0, it returns x itself. The tape needs a DropoutKey.
func (t *Tape) Dropout(x *Tensor, p float64) *Tensor {
	if !t.training || p == 0 {
		return x
	}
	from := t.mark()
	o := dropoutOp{x, t.like(x), t.nextDropout(p)}
	o.remake(t)
	if t.wants(x) {
		record(t, o.y, from, o)
	}
	return o.y
}

func (o *dropoutOp) cheap() bool    { return true }
func (o *dropoutOp) remake(t *Tape) { t.k.Dropout(o.d, o.y.Data, o.x.Data, false) }

func (o *dropoutOp) reads() {
	if o.y.read {
		read(o.x) // of which a lean tape makes y again
	}
}

func (o *dropoutOp) back(t *Tape) {
	if dx, acc := t.grad(o.x); !dx.None() {
		t.k.Dropout(o.d, dx, o.y.Grad, acc)
	}
}
