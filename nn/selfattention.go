package nn

import "github.com/plinth-ml/plinth/tensor"

// SelfAttention is causal attention with rotary positions. Groups of query heads may share a key head (Ainslie et al. 2023, GQA).
type SelfAttention struct {
	Q     *Linear  `name:"q_proj"` // [C, H·D]
	K     *Linear  `name:"k_proj"` // [C, KVHeads·D]
	V     *Linear  `name:"v_proj"` // [C, KVHeads·D]
	QNorm *RMSNorm `name:"q_norm"` // of each query head before it turns [D], or nil
	KNorm *RMSNorm `name:"k_norm"`
	O     *Linear  `name:"o_proj"` // [H·D, C]
	Rope  *Rope
	Spec  tensor.Attention
}

// Forward returns attention of x [N, C] plus residual [N, C], which may be nil.
func (a *SelfAttention) Forward(t *tensor.Tape, x, residual *tensor.Tensor, seqs *Seqs, kv *KV, layer int) *tensor.Tensor {
	qkv := Together(t, x, a.Q, a.K, a.V)
	q, k, v := qkv[0], qkv[1], qkv[2] // [N, H·D], [N, KVHeads·D] twice
	if a.QNorm != nil {
		q, k = a.QNorm.Forward(t, q), a.KNorm.Forward(t, k)
	}
	table, rows := a.Rope.Of(seqs)
	q, k = t.Rope(q, table, rows), t.Rope(k, table, rows)
	spec := a.Spec
	spec.Queries = seqs.Spans
	y := Attend(t, tensor.Of(q), tensor.Of(k), tensor.Of(v), spec, kv, layer) // [N, H·D]
	return a.O.Forward(t, y, tensor.Identity, residual)
}
