package t5

import (
	"strings"

	"github.com/plinth-ml/plinth/checkpoint"
	"github.com/plinth-ml/plinth/model"
)

// ConfigJSON is the model's config.json.
func (e *Encoder) ConfigJSON() ([]byte, error) { return e.Config.Marshal() }

// Places are a parameter's names in files: those of its path.
func (e *Encoder) Places(_ checkpoint.Scheme, param string) []checkpoint.Place {
	return []checkpoint.Place{{Name: param}}
}

// copies are further names of the token embedding in published files, and a bias that early ones of v1.0 hold and nothing reads.
var copies = map[string]bool{"encoder.embed_tokens.weight": true, "decoder.embed_tokens.weight": true,
	"decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight": true}

// Ignored reports tensors of published files that hold no parameter: copies of the embedding, and what belongs to a decoder.
func (e *Encoder) Ignored(_ checkpoint.Scheme, name string) bool {
	return copies[name] || strings.HasPrefix(name, "decoder.") || name == headWeight
}

// Ignored reports tensors of published files that hold no parameter: copies of the embedding.
func (m *Model) Ignored(_ checkpoint.Scheme, name string) bool {
	return copies[name] || m.Logits == nil && name == headWeight
}

const headWeight = "lm_head.weight"

// Twins are the copies of the token embedding, which must equal it.
func (m *Model) Twins() map[string]string {
	list := map[string]string{"encoder.embed_tokens.weight": "shared.weight", "decoder.embed_tokens.weight": "shared.weight"}
	if m.Logits == nil {
		list[headWeight] = "shared.weight"
	}
	return list
}

// Twins are the copies of the token embedding, which must equal it.
func (e *Encoder) Twins() map[string]string {
	return map[string]string{"encoder.embed_tokens.weight": "shared.weight"}
}

// Cost counts the arithmetic per token of sources of seq tokens.
func (e *Encoder) Cost(seq int) model.Cost { return e.Config.EncoderCost(seq) }

// Cost counts the arithmetic per token, on average over a source of seq tokens and a target of as many.
func (m *Model) Cost(seq int) model.Cost { return m.Config.Cost(seq, seq) }

// PairCost is the arithmetic of a source and a target, divided by the tokens of both.
func (m *Model) PairCost(source, target int) model.Cost { return m.Config.Cost(source, target) }

// stack is the matrices of a stack's layers, [in, out] multiplied, and its other parameters.
func (c Config) stack(layers, attentions int) (matrices, rest int64) {
	C, inner, ff := int64(c.Width), int64(c.Heads*c.HeadDim), int64(2)
	if gated, _ := c.mlp(); gated {
		ff = 3
	}
	matrices = int64(layers) * (int64(attentions)*4*C*inner + ff*C*int64(c.Hidden))
	return matrices, int64(layers)*int64(attentions+1)*C + C + int64(c.Buckets*c.Heads)
}

// EncoderCost is the arithmetic per token of sources of seq tokens, by the encoder alone.
func (c Config) EncoderCost(seq int) model.Cost {
	matrices, rest := c.stack(c.Layers, 1)
	inner := float64(c.Heads * c.HeadDim)
	return model.Cost{Params: matrices + rest + int64(c.Vocab)*int64(c.Width), Matrix: 2 * float64(matrices), Attention: 4 * float64(c.Layers) * inner * float64(seq)}
}

// Cost is the arithmetic of a source and a target of so many tokens, divided by the tokens of both.
func (c Config) Cost(source, target int) model.Cost {
	e := c.EncoderCost(source)
	matrices, rest := c.stack(c.DecoderLayers, 2)
	C, inner, L, S, T := float64(c.Width), float64(c.Heads*c.HeadDim), float64(c.DecoderLayers), float64(source), float64(target)
	head := int64(c.Vocab) * int64(c.Width)
	cross := L * 2 * C * inner // of each source token: keys and values
	sum := model.Cost{Params: e.Params + matrices + rest,
		Matrix:    S*(e.Matrix+2*cross) + T*(2*float64(matrices)-2*cross+2*float64(head)),
		Attention: S*e.Attention + 4*L*inner*(T*(T+1)/2+S*T)}
	if !c.tied() {
		sum.Params += head
	}
	sum.Matrix, sum.Attention = sum.Matrix/(S+T), sum.Attention/(S+T)
	return sum
}
