package nn

import "github.com/plinth-ml/plinth/tensor"

// Attend is causal self-attention of the sequences spec.Queries: queries [N, H·D] over keys and values [N, KVHeads·D] of the same tokens.
// With a cache the keys and values join it, and the earlier positions there are seen too. The result is [N, H·D].
func Attend(t *tensor.Tape, q, k, v tensor.Cols, spec tensor.Attention, kv *KV, layer int) *tensor.Tensor {
	spec.Causal = true
	if kv == nil {
		return t.Attention(q, k, v, spec)
	}
	var cache *tensor.Cache
	cache, spec.Keys = kv.layer(layer)
	return t.CachedAttention(q, k, v, cache, spec)
}
