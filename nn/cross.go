package nn

import "github.com/plinth-ml/plinth/tensor"

// Cross is what a decoder's cross-attention reads: the sources of a batch, as features or as a cache of the keys and values made from them.
type Cross struct {
	Memory  *tensor.Tensor // [M, C], the features of all sources; nil: KV
	Keys    []tensor.Span  // with Memory: the rows of each source
	KV      *KV            // the slots that Begin was called with hold the sources
	Queries []tensor.Span  // the rows of the decoder's batch that read each source; nil: source i is that of sequence i
}

// CrossAttend is attention of queries [N, H·D] over the sources of seqs.Cross, all of whose tokens every query sees: [N, H·D]. make returns keys and
// values [M, KVHeads·D] of Memory; with a cache it is not called.
func CrossAttend(t *tensor.Tape, q tensor.Cols, make func(memory *tensor.Tensor) (k, v tensor.Cols), spec tensor.Attention, seqs *Seqs, layer int) *tensor.Tensor {
	c := seqs.Cross
	if spec.Queries = c.Queries; spec.Queries == nil {
		spec.Queries = seqs.Spans
	}
	if c.Memory != nil {
		spec.Keys = c.Keys
		k, v := make(c.Memory)
		return t.Attention(q, k, v, spec)
	}
	var cache *tensor.Cache
	cache, spec.Keys = c.KV.layer(layer)
	return t.CachedAttention(q, tensor.Cols{}, tensor.Cols{}, cache, spec)
}

// Store puts keys and values [M, KVHeads·D] into a layer of the cache, as the new tokens of the slots that Begin was called with; rows are theirs.
func (c *KV) Store(t *tensor.Tape, k, v tensor.Cols, rows []tensor.Span, layer int) {
	spec := tensor.Attention{Heads: c.cache.Heads, KVHeads: c.cache.Heads, HeadDim: c.cache.HeadDim, Queries: rows}
	var cache *tensor.Cache
	cache, spec.Keys = c.layer(layer)
	t.Store(k, v, cache, spec)
}
