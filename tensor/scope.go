package tensor

// scope is a part of the computation whose tensors are in bfloat16 until Backward comes to it.
type scope struct {
	node     int // its last
	from, to int // its tensors in made
}

// Scope runs f, which should be a layer, and takes back every buffer that f's ops took, but that of the tensor it returns. On a recording
// tape Backward takes the buffers back; with StoreBF16, f's tensors but the one returned must not be used after f.
func (t *Tape) Scope(f func() *Tensor) *Tensor {
	mark := t.live
	y := f()
	switch {
	case !t.recording:
		t.keepOnly(y, mark)
	case t.bf16:
		t.narrow(y, mark)
	}
	return y
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

// StoreBF16 makes the tape keep the matrices that Backward needs of a Scope's ops in bfloat16, rounded to nearest: half the memory, and
// gradients as of rounded activations. The result of a Scope, row statistics and everything outside Scopes stay as they are.
func (t *Tape) StoreBF16() { t.bf16 = true }

// narrow puts the matrices made since the mark, but y, into bfloat16.
func (t *Tape) narrow(y *Tensor, mark int) {
	for _, x := range t.made[mark:t.live] {
		if x != y && x.rank > 1 && x.Data.DType() == F32 {
			t.convert(x, BF16)
		}
	}
	t.scopes = append(t.scopes, scope{len(t.nodes) - 1, mark, t.live})
}

// widen is called before Backward passes a node: where it is a scope's last, the scope's tensors become float32 again.
func (t *Tape) widen(node int) {
	for len(t.scopes) > 0 && t.scopes[len(t.scopes)-1].node >= node {
		last := len(t.scopes) - 1
		for _, x := range t.made[t.scopes[last].from:t.scopes[last].to] {
			if x.Data.DType() == BF16 {
				t.convert(x, F32)
			}
		}
		t.scopes = t.scopes[:last]
	}
}

func (t *Tape) convert(x *Tensor, d DType) {
	b := t.mem.take(d, x.Len())
	t.k.Copy(b, x.Data)
	t.drop(&x.Data)
	x.Data = b
}
