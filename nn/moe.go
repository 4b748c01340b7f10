package nn

import (
	"slices"
	"sync"

	"github.com/plinth-ml/plinth/tensor"
)

// MoE is a sparse mixture of MLPs: each row goes through the Chosen experts whose router logits are largest, and their results are weighed
// by the softmax of these logits (Jiang et al. 2024, Mixtral of Experts, section 2.1). An expert computes its rows together; what a row
// gets is added in the order of the experts, so that it does not depend on other rows.
type MoE struct {
	Router  *Linear     `name:"gate"` // [C, experts]
	Experts []*GatedMLP `name:"experts"`
	Chosen  int         // experts for each row

	once sync.Once
	ones *tensor.Tensor // [1, C]: a product with it repeats a column; made when it is first needed
}

// NewMoE returns a mixture whose weights start as N(0, std²), those into the residual stream as N(0, residual²).
func NewMoE(width, hidden, experts, chosen int, act tensor.Act, std, residual float64) *MoE {
	m := &MoE{Router: NewLinear(width, experts, std, false), Chosen: chosen}
	for range experts {
		m.Experts = append(m.Experts, NewGatedMLP(width, hidden, act, std, residual, false))
	}
	return m
}

// Forward returns the mixture for x [N, C] plus residual [N, C].
func (m *MoE) Forward(t *tensor.Tape, x, residual *tensor.Tensor) *tensor.Tensor {
	m.once.Do(func() {
		if _, C := x.Dims2(); m.ones == nil {
			m.ones = tensor.FromF32(slices.Repeat([]float32{1}, C), 1, C)
		}
	})
	logits := m.Router.Forward(t, x, tensor.Identity, nil) // [N, E]
	chosen := t.TopK(logits, m.Chosen)                     // expert of each row and choice
	E := int32(len(m.Experts))
	rows, choices := make([][]int32, E), make([][]int32, E) // of each expert: its rows, and where their weights stand
	at := make([]int32, len(chosen))                        // where the chosen logits stand
	for i, e := range chosen {
		row := int32(i / m.Chosen)
		at[i] = row*E + e
		rows[e], choices[e] = append(rows[e], row), append(choices[e], int32(i))
	}
	weights := t.Softmax(t.Pick(logits, tensor.IDs(at), m.Chosen)) // [N, Chosen]
	var parts []*tensor.Tensor
	var places []tensor.Buf
	for e, expert := range m.Experts {
		if len(rows[e]) == 0 {
			continue
		}
		ids := tensor.IDs(rows[e])
		y := expert.Forward(t, t.Gather(x, ids), nil) // [n, C]
		w := t.Pick(weights, tensor.IDs(choices[e]), 1)
		parts = append(parts, t.Mul(y, t.MatMul(w, m.ones)))
		places = append(places, ids)
	}
	return t.AddRows(residual, parts, places)
}
