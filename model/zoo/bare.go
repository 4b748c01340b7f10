package zoo

import (
	"slices"
	"strings"

	"github.com/plinth-ml/plinth/checkpoint"
)

// Bare is m under the names that its parameters have where transformers reads the model without a head (AutoModel): those of adapters that are for its features.
func Bare(m Stored) Stored {
	if d, ok := m.(Model); ok {
		return bareDecoder{d}
	}
	return bareEncoder{m}
}

type bareDecoder struct {
	Model `name:""`
}

type bareEncoder struct {
	Stored `name:""`
}

// Places are the model's, first without what stands before the names in files with a head.
func (b bareDecoder) Places(s checkpoint.Scheme, param string) []checkpoint.Place {
	return bare(b.Model.Places(s, param), "transformer.", "model.", "gpt_neox.")
}

// Places are the model's, first without what stands before the names in files with a head.
func (b bareEncoder) Places(s checkpoint.Scheme, param string) []checkpoint.Place {
	return bare(b.Stored.Places(s, param), "bert.", "roberta.", "distilbert.")
}

func bare(places []checkpoint.Place, prefixes ...string) (list []checkpoint.Place) {
	for _, p := range places {
		if at := slices.IndexFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(p.Name, prefix) }); at >= 0 {
			p.Name = p.Name[len(prefixes[at]):]
			list = append(list, p)
		}
	}
	return append(list, places...)
}
