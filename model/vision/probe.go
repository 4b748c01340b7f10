package vision

import (
	"math"

	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
)

// Probe pools a picture's features by the attention of one learned row, and an MLP with a residual behind it (Zhai et al. 2022, Scaling Vision Transformers,
// section 3.2). Its tags are those of Hugging Face's SiglipModel, but for queries, keys and values, which are one matrix there.
type Probe struct {
	Row  *nn.Param     `name:"probe"` // [1, 1, C]
	Attn Attention     `name:"attention"`
	Norm *nn.LayerNorm `name:"layernorm"`
	Up   *nn.Linear    `name:"mlp.fc1"` // [F, C]
	Down *nn.Linear    `name:"mlp.fc2"` // [C, F]
	act  tensor.Act
}

func newProbe(c LayerConfig) *Probe {
	l := NewLayer(c)
	return &Probe{Row: nn.NewParam(1/math.Sqrt(float64(c.Width)), 1, 1, c.Width), Attn: l.Attn, Norm: l.Norm2, Up: l.Up, Down: l.Down, act: l.act}
}

// Forward maps features x [N, C] of B pictures to [B, C].
func (p *Probe) Forward(t *tensor.Tape, x *tensor.Tensor, seqs *nn.Seqs) *tensor.Tensor {
	l := Layer{Attn: p.Attn, Norm2: p.Norm, Up: p.Up, Down: p.Down, act: p.act}
	kv := nn.Together(t, x, p.Attn.K, p.Attn.V) // each [N, C]
	rows := t.Gather(p.Row.T(), tensor.IDs(make([]int32, len(seqs.Spans))))
	return l.rest(t, nil, p.Attn.Q.Forward(t, rows, tensor.Identity, nil), kv[0], kv[1], single(len(seqs.Spans)), seqs.Spans)
}
