package tensor

// Keep says what a recording tape keeps of a Scope for Backward.
type Keep uint8

const (
	KeepAll  Keep = iota // everything as it is
	KeepLean             // not the results of norms and activation functions, which are made again from what is kept: the same bits
	KeepBF16             // lean, and matrices in bfloat16, rounded to nearest: gradients as of rounded activations
)

// Keep chooses what Scopes keep, in place of KeepAll. The result of a Scope, row statistics and everything outside Scopes always stay.
func (t *Tape) Keep(k Keep) { t.keep = k }

// scope is a part of the computation that is not kept as it was until Backward comes to it.
type scope struct {
	first, last int // its nodes
	from, to    int // its tensors in made
}

// remaker is an op whose result a pass over memory makes again from what its gradient needs anyway.
type remaker interface {
	cheap() bool    // whether that is so for this one
	remake(t *Tape) // fills the result
}

// Scope runs f, which should be a layer, and takes back every buffer that f's ops took, but that of the tensor it returns. On a recording
// tape Backward takes back what gradients need, and the rest is taken back at once: everything where nothing in f wants a gradient, as in frozen layers below all
// that is trained, and above them what only the gradient of a frozen weight would read. f's tensors but the one returned must not be used after f.
func (t *Tape) Scope(f func() *Tensor) *Tensor {
	mark, first := t.live, len(t.nodes)
	y := f()
	switch {
	case !t.recording || len(t.nodes) == first:
		t.keepOnly(y, mark)
	default:
		t.spare(y, first, mark)
		if t.keep != KeepAll {
			t.narrow(y, scope{first, len(t.nodes) - 1, mark, t.live})
		}
	}
	return y
}

// spare takes back the values that were made since the mark, but y's and those that the gradients of the nodes from first on read.
func (t *Tape) spare(y *Tensor, first, mark int) {
	for i := len(t.nodes) - 1; i >= first; i-- {
		t.nodes[i].op.reads()
	}
	for _, x := range t.made[mark:t.live] {
		if x != y && !x.read {
			t.drop(&x.Data)
		}
	}
}

// keepOnly takes back what was made since the mark, but y.
func (t *Tape) keepOnly(y *Tensor, mark int) {
	for i, x := range t.made[mark:t.live] {
		if x == y {
			t.made[mark], t.made[mark+i] = x, t.made[mark]
			mark++
			break
		}
	}
	t.takeBack(mark)
}

// narrow drops what the ops of s make again, and puts other matrices into bfloat16; y, the result, stays.
func (t *Tape) narrow(y *Tensor, s scope) {
	for _, n := range t.nodes[s.first : s.last+1] {
		if r, ok := n.op.(remaker); ok && n.out != y && r.cheap() {
			t.drop(&n.out.Data)
		}
	}
	if t.keep == KeepBF16 {
		for _, x := range t.made[s.from:s.to] {
			if x != y && x.rank > 1 && !x.Data.None() && x.Data.DType() == F32 {
				t.convert(x, BF16)
			}
		}
	}
	t.scopes = append(t.scopes, s)
}

// widen is called before Backward passes a node: where it is a scope's last, the scope's tensors are made whole again.
func (t *Tape) widen(node int) {
	for len(t.scopes) > 0 && t.scopes[len(t.scopes)-1].last >= node {
		s := t.scopes[len(t.scopes)-1]
		t.scopes = t.scopes[:len(t.scopes)-1]
		for _, x := range t.made[s.from:s.to] {
			if x.Data.DType() == BF16 {
				t.convert(x, F32)
			}
		}
		for _, n := range t.nodes[s.first : s.last+1] {
			if r, ok := n.op.(remaker); ok && n.out.Data.None() && n.out.read {
				n.out.Data = t.mem.take(n.out.dtype, n.out.Len())
				r.remake(t)
			}
		}
	}
}

func (t *Tape) convert(x *Tensor, d DType) {
	b := t.mem.take(d, x.Len())
	t.k.Copy(b, x.Data)
	t.drop(&x.Data)
	x.Data = b
}
