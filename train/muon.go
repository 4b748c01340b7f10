package train

import (
	"math"

	"github.com/plinth-ml/plinth/internal/kernel"
)

// muonStep is one step of Muon (Jordan 2024, https://kellerjordan.github.io/posts/muon): the momentum with Nesterov's look-ahead, made
// nearly orthogonal. The factor 0.2·sqrt(max(rows, columns)) gives the update the size of one of AdamW (Liu et al. 2025, Muon is
// scalable for LLM training, eq. 4), so that both take one learning rate and weight decay.
func (p *optimizer) muonStep(s muonSlot, lr, scale, decay float64) {
	k, w, g := p.k, s.T(), s.T().Grad
	rows, cols := w.Dims2()
	u := p.ns.room(&p.ns.u, rows*cols)
	k.Scale(s.momentum, p.o.Momentum, s.momentum)
	k.Axpy(s.momentum, scale, g) // momentum = μ·momentum + g
	k.Scale(u, scale, g)
	k.Axpy(u, p.o.Momentum, s.momentum) // u = g + μ·momentum
	k.Fill(g, 0)
	y := p.ns.orthogonal(u, rows, cols)
	k.Scale(w.Data, 1-lr*decay, w.Data)
	k.Axpy(w.Data, -lr*0.2*math.Sqrt(float64(max(rows, cols))), y)
}

// newtonSchulz computes nearly orthogonal factors and keeps the scratch memory for it.
type newtonSchulz struct {
	k                *kernel.Set
	u, y, a, aa      kernel.Buf
	product, squared kernel.MatMul
	next             kernel.MatMul
	one              [1]kernel.Buf // the operand of SumSquares, here because a new list would escape to the heap
}

// The quintic's coefficients: they push singular values into about [0.7, 1.2] rather than to 1, in few steps.
const (
	nsA, nsB, nsC = 3.4445, -4.7750, 2.0315
	nsSteps       = 5
)

// orthogonal returns U·Vᵀ of x = U·S·Vᵀ [rows, cols], nearly: singular values come close to 1. x is overwritten; the result is valid
// until the next call. Five times X = aX + (bA + cA²)X with A = XXᵀ, or from the right with A = XᵀX where that is smaller.
func (n *newtonSchulz) orthogonal(x kernel.Buf, rows, cols int) kernel.Buf {
	k := n.k
	small := min(rows, cols)
	y := n.room(&n.y, rows*cols)
	a, aa := n.room(&n.a, small*small), n.room(&n.aa, small*small)
	n.one[0] = x
	k.Scale(x, 1/(math.Sqrt(k.SumSquares(n.one[:]...))+1e-7), x)
	for range nsSteps {
		wide := rows <= cols
		n.product = kernel.MatMul{M: small, N: small, K: max(rows, cols), A: x, B: x, C: a, TransA: !wide, TransB: wide}
		k.MatMul(&n.product)
		n.squared = kernel.MatMul{M: small, N: small, K: small, A: a, B: a, C: aa, Alpha: nsC}
		k.MatMul(&n.squared)
		k.Axpy(aa, nsB, a) // bA + cA²
		k.Scale(y, nsA, x)
		n.next = kernel.MatMul{M: rows, N: cols, K: small, A: aa, B: x, C: y, Accumulate: true}
		if !wide {
			n.next.A, n.next.B = x, aa
		}
		k.MatMul(&n.next)
		x, y = y, x
	}
	return x
}

// room returns n elements of *b, which grows as needed.
func (n *newtonSchulz) room(b *kernel.Buf, size int) kernel.Buf {
	if b.Len() < size {
		*b = kernel.Alloc(kernel.F32, size)
	}
	return b.Slice(0, size)
}
