package bert

import (
	"strings"

	"github.com/plinth-ml/plinth/checkpoint"
	"github.com/plinth-ml/plinth/nn"
)

// ConfigJSON is the model's config.json.
func (m *Model) ConfigJSON() ([]byte, error) { return m.Config.Marshal() }

// Params lists the parameters under the family's names in Hugging Face's files.
func (m *Model) Params() []nn.Named {
	list := nn.Params(m)
	for i := range list {
		list[i].Name = m.Config.fileName(list[i].Name)
	}
	return list
}

// fileName is the name in files of a parameter of the given path.
func (c Config) fileName(path string) string {
	name := strings.NewReplacer(kinds[c.ModelType].names...).Replace(path)
	if c.ModelType == TypeRoBERTa && c.Head == Classification {
		name = strings.NewReplacer("pre_classifier.", "classifier.dense.", "classifier.", "classifier.out_proj.").Replace(name)
	}
	if c.Head == Body {
		name = strings.TrimPrefix(name, c.prefix())
	}
	return name
}

// prefix is what stands before the names of the encoder's parameters, unless the encoder is all there is.
func (c Config) prefix() string { return strings.ToLower(kinds[c.ModelType].class) + "." }

// Places are a parameter's names in published files: with the family's prefix or without, and norms under the names of TensorFlow's.
func (m *Model) Places(_ checkpoint.Scheme, param string) []checkpoint.Place {
	names := []string{param}
	if rest, ok := strings.CutPrefix(param, m.Config.prefix()); ok {
		names = append(names, rest)
	} else if m.Config.Head == Body {
		names = append(names, m.Config.prefix()+param)
	}
	for _, n := range names {
		if strings.HasSuffix(n, "LayerNorm.weight") || strings.HasSuffix(n, "LayerNorm.bias") {
			names = append(names, strings.NewReplacer("LayerNorm.weight", "LayerNorm.gamma", "LayerNorm.bias", "LayerNorm.beta").Replace(n))
		}
	}
	var places []checkpoint.Place
	for _, n := range names {
		places = append(places, checkpoint.Place{Name: n})
	}
	return places
}

// Ignored reports tensors of published files that hold no parameter: position numbers, parameters a second time, and the pooler and heads of the
// pre-training where the configuration has none.
func (m *Model) Ignored(_ checkpoint.Scheme, name string) bool {
	if _, ok := m.Twins()[name]; ok || strings.HasSuffix(name, "embeddings.position_ids") {
		return true
	}
	has := func(prefixes ...string) bool {
		for _, p := range prefixes {
			if strings.HasPrefix(name, p) {
				return true
			}
		}
		return false
	}
	return m.Bert.Pooler == nil && has("pooler.", m.Config.prefix()+"pooler.") || m.NSP == nil && has("cls.seq_relationship.") ||
		m.Cls == nil && has("cls.predictions.", "lm_head.", "vocab_transform.", "vocab_layer_norm.", "vocab_projector.")
}

// Twins are the tensors of published files that must be equal to parameters: the token embedding as the head's matrix, and the head's bias.
func (m *Model) Twins() map[string]string {
	head := map[string]string{TypeBERT: "cls.predictions.decoder.", TypeRoBERTa: "lm_head.decoder.", TypeDistilBERT: "vocab_projector."}[m.Config.ModelType]
	twins := map[string]string{head + "weight": m.Config.fileName("bert.embeddings.word_embeddings.weight")}
	if m.Config.ModelType != TypeDistilBERT {
		twins[head+"bias"] = m.Config.fileName("cls.predictions.bias")
	}
	return twins
}
