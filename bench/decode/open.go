package main

import (
	"fmt"
	"strings"

	"github.com/plinth-ml/plinth/checkpoint"
	"github.com/plinth-ml/plinth/checkpoint/gguf"
	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/model/llama"
	"github.com/plinth-ml/plinth/nn"
)

// open maps a GGUF file and returns its model and the bytes of weights that a token goes through.
func open(path string) (model.Decoder, int, error) {
	f, err := gguf.Open(path)
	if err != nil {
		return nil, 0, err
	}
	var missing string
	get := func(key string) int {
		v, ok, err := gguf.Lookup[int](f.Meta, key)
		if !ok || err != nil {
			missing = key
		}
		return v
	}
	c := llama.Config{ModelType: "llama", Context: get("llama.context_length"), Width: get("llama.embedding_length"), Hidden: get("llama.feed_forward_length"),
		Layers: get("llama.block_count"), Heads: get("llama.attention.head_count"), KVHeads: get("llama.attention.head_count_kv"),
		HeadDim: get("llama.rope.dimension_count"), Vocab: get("llama.vocab_size"), Activation: "silu", NormEps: 1e-5, InitStd: 1, Rope: nn.RopeConfig{Type: "default", Theta: 10000}}
	if missing != "" {
		return nil, 0, fmt.Errorf("decode: %s: no %s", path, missing)
	}
	m, err := llama.New(c.AsGGUF())
	if err != nil {
		return nil, 0, err
	}
	index := map[string]int{}
	for i, t := range f.Infos() {
		index[t.Name] = i
	}
	for _, p := range m.Params() {
		name := m.Places(checkpoint.GGUF, p.Name)[0].Name
		i, ok := index[name]
		if !ok {
			return nil, 0, fmt.Errorf("decode: %s: no tensor %s", path, name)
		}
		dtype := kernel.F32
		for d := range kernel.DTypes {
			if strings.EqualFold(d.String(), string(f.Infos()[i].DType)) {
				dtype = d
			}
		}
		p.T().Bind(kernel.OfBytes(dtype, f.Mapped(i)))
	}
	bytes := 0
	for i, t := range f.Infos() {
		if !strings.HasPrefix(t.Name, "token_embd") {
			bytes += len(f.Mapped(i))
		}
	}
	return m, bytes, nil
}
