package llama

import (
	"fmt"
	"strings"

	"github.com/plinth-ml/plinth/checkpoint"
	"github.com/plinth-ml/plinth/model"
)

// ConfigJSON is the model's config.json.
func (m *Model) ConfigJSON() ([]byte, error) { return m.Config.Marshal() }

// ggufNames are the names of a model's parts in GGUF files.
var ggufNames = map[string]string{
	"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output",

	"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
	"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
	"self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm",
	"mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
	"block_sparse_moe.gate": "ffn_gate_inp",
}

// Places are where a parameter stands in files. In GGUF files of llama's architecture the rows of queries and keys are in the order of
// pairs: row 2i+s of a head is row s·D/2+i elsewhere. Phi-3's files hold several matrices in one tensor; those of Mixtral hold each
// expert's apart, or all experts' in one.
func (m *Model) Places(s checkpoint.Scheme, param string) []checkpoint.Place {
	part, k := model.PartOf(param, "model.layers."), kinds[m.Config.ModelType]
	if expert, matrix, ok := part.Expert("block_sparse_moe.experts."); ok {
		return m.Config.expertPlaces(s, part, expert, matrix)
	}
	p := checkpoint.Place{Name: param}
	if s == checkpoint.GGUF {
		p.Name = part.GGUF(ggufNames)
	}
	if f, ok := m.Config.fused()[part.Module]; ok && k.fused {
		p.Name, p.From = part.Path("model.layers.", f.name), f.from
		if s == checkpoint.GGUF {
			p.Name = part.In(f.gguf)
		}
	}
	pairs := s == checkpoint.GGUF && k.ggufPairs
	if pairs != m.Config.RopePairs && (part.Module == "self_attn.q_proj" || part.Module == "self_attn.k_proj") {
		p.Row = m.Config.turned(pairs)
	}
	if part.Module == "block_sparse_moe.gate" && s == checkpoint.HuggingFace {
		return []checkpoint.Place{p, {Name: part.Path("model.layers.", "mlp.gate")}}
	}
	return []checkpoint.Place{p}
}

// share is a matrix's part of a tensor that holds several: rows from one on.
type share struct {
	name, gguf string
	from       int
}

// fused are the matrices of a block that Phi-3's files hold in one tensor with others.
func (c Config) fused() map[string]share {
	q, kv := c.Heads*c.HeadDim, c.KVHeads*c.HeadDim
	return map[string]share{
		"self_attn.q_proj": {"self_attn.qkv_proj", "attn_qkv", 0},
		"self_attn.k_proj": {"self_attn.qkv_proj", "attn_qkv", q},
		"self_attn.v_proj": {"self_attn.qkv_proj", "attn_qkv", q + kv},
		"mlp.gate_proj":    {"mlp.gate_up_proj", "ffn_up", 0},
		"mlp.up_proj":      {"mlp.gate_up_proj", "ffn_up", c.Hidden},
	}
}

// expertPlaces are those of an expert's matrix. GGUF files hold each kind of all experts as one tensor [experts, out, in]; so do models as
// transformers 5 keeps them in memory, gate and up in one.
func (c Config) expertPlaces(s checkpoint.Scheme, part model.Part, expert int, matrix string) []checkpoint.Place {
	rows := c.Hidden // of the matrix
	if matrix == "down_proj" {
		rows = c.Width
	}
	if s == checkpoint.GGUF {
		name := map[string]string{"gate_proj": "ffn_gate", "up_proj": "ffn_up", "down_proj": "ffn_down"}[matrix]
		return []checkpoint.Place{
			{Name: part.In(name + "_exps"), From: expert * rows, Stack: c.Experts},
			{Name: part.In(fmt.Sprintf("%s.%d", name, expert))}, // before they were stacked
		}
	}
	name := map[string]string{"gate_proj": "w1", "up_proj": "w3", "down_proj": "w2"}[matrix]
	stacked := checkpoint.Place{Name: part.Root("model.layers.") + "mlp.experts.gate_up_proj", From: 2 * expert * rows, Stack: c.Experts}
	switch matrix {
	case "up_proj":
		stacked.From += rows
	case "down_proj":
		stacked.Name, stacked.From = part.Root("model.layers.")+"mlp.experts.down_proj", expert*rows
	}
	return []checkpoint.Place{{Name: part.Path("model.layers.", fmt.Sprintf("block_sparse_moe.experts.%d.%s", expert, name))}, stacked}
}

// turned is where the row of a query or key matrix stands in a file whose heads have the other order: pairs says whether the file's is that
// of pairs.
func (c Config) turned(pairs bool) func(row int) int {
	D, half := c.HeadDim, c.HeadDim/2
	return func(row int) int {
		head, i := row/D*D, row%D
		if pairs {
			return head + i%half*2 + i/half
		}
		return head + i%2*half + i/2
	}
}

// Ignored reports tensors of published files that hold no parameter: tables of frequencies, and a head that is the embedding again.
func (m *Model) Ignored(_ checkpoint.Scheme, name string) bool {
	return strings.HasSuffix(name, "rotary_emb.inv_freq") || strings.HasPrefix(name, "rope_f") ||
		m.Output == nil && (name == "lm_head.weight" || name == "output.weight")
}

// Shape is the arithmetic of the configuration.
func (c Config) Shape() model.Shape {
	k := kinds[c.ModelType]
	s := model.Shape{Layers: c.Layers, Width: c.Width, Heads: c.Heads, KVHeads: c.KVHeads, HeadDim: c.HeadDim, Hidden: c.Hidden, Gated: true,
		Experts: c.Experts, Chosen: c.Chosen, HeadNorm: k.headNorm, Positions: model.Rotary, Vocab: c.Vocab, Context: c.Context, Untied: !c.Tied}
	if k.qkvBias {
		s.Biases |= model.QKVBias
	}
	if c.AttentionBias {
		s.Biases |= model.QKVBias | model.OutputBias
	}
	if c.MLPBias {
		s.Biases |= model.MLPBias
	}
	for l := range c.Layers {
		s.Windows = append(s.Windows, c.window(l))
	}
	return s
}

// Cost counts the arithmetic per token for sequences of seq tokens.
func (m *Model) Cost(seq int) model.Cost { return m.Config.Shape().Cost(seq) }
