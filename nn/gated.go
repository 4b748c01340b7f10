package nn

import "github.com/plinth-ml/plinth/tensor"

// GatedMLP is down(act(gate(x)) * up(x)): SwiGLU with SiLU, GeGLU with GELU (Shazeer 2020, GLU Variants Improve Transformer, eq. 6).
type GatedMLP struct {
	Gate *Linear `name:"gate_proj"` // [C, F]
	Up   *Linear `name:"up_proj"`   // [C, F]
	Down *Linear `name:"down_proj"` // [F, C]
	Act  tensor.Act
}

// NewGatedMLP returns a layer whose weights start as N(0, std²), those into the residual stream as N(0, residual²).
func NewGatedMLP(width, hidden int, act tensor.Act, std, residual float64, bias bool) *GatedMLP {
	return &GatedMLP{Gate: NewLinear(width, hidden, std, bias), Up: NewLinear(width, hidden, std, bias), Down: NewLinear(hidden, width, residual, bias), Act: act}
}

// Forward returns the MLP of x [N, C] plus residual [N, C], which may be nil.
func (m *GatedMLP) Forward(t *tensor.Tape, x, residual *tensor.Tensor) *tensor.Tensor {
	var h *tensor.Tensor // [N, F]
	if m.Act == tensor.SiLU {
		both := Together(t, x, m.Up, m.Gate)
		h = t.SwiGLU(both[1], both[0])
	} else {
		up := m.Up.Forward(t, x, tensor.Identity, nil)
		h = t.Mul(m.Gate.Forward(t, x, m.Act, nil), up)
	}
	return m.Down.Forward(t, h, tensor.Identity, residual)
}
