package zoo

import (
	"fmt"
	"strings"

	"github.com/plinth-ml/plinth/model/bert"
	"github.com/plinth-ml/plinth/model/clip"
	"github.com/plinth-ml/plinth/model/gemma"
	"github.com/plinth-ml/plinth/model/gpt"
	"github.com/plinth-ml/plinth/model/gptj"
	"github.com/plinth-ml/plinth/model/llama"
	"github.com/plinth-ml/plinth/model/neox"
	"github.com/plinth-ml/plinth/model/palm"
	"github.com/plinth-ml/plinth/model/t5"
)

// Size is a named shape of a family.
type Size struct {
	Family, Name   string
	Vocab, Context int
	LR             float64 // peak learning rate of AdamW, 0 where the table has no training settings
	Batch          int     // tokens per step

	// New builds the shape with another vocabulary and context, and the id that ends a text, -1 for none. The model has shapes only.
	New func(vocab, context, end int) (Stored, error)
}

// Sizes lists the named shapes of all families.
func Sizes() []Size {
	var list []Size
	for _, s := range gpt.Sizes {
		list = append(list, GPTSize(s))
	}
	for _, s := range llama.Sizes {
		list = append(list, Size{"llama", s.Name, s.Config.Vocab, s.Config.Context, s.LR, s.Batch, func(vocab, context, end int) (Stored, error) {
			c := s.Config
			c.Vocab, c.Context, c.BOS, c.EOS = vocab, context, ids(end), ids(end)
			return llama.New(c)
		}})
	}
	for _, s := range gemma.Sizes {
		list = append(list, Size{"gemma", s.Name, s.Config.Vocab, s.Config.Context, 0, 0, func(vocab, context, end int) (Stored, error) {
			c := s.Config
			c.Vocab, c.Context, c.BOS, c.EOS = vocab, context, ids(end), ids(end)
			return gemma.New(c)
		}})
	}
	for _, s := range neox.Sizes {
		list = append(list, Size{"neox", s.Name, s.Config.Vocab, s.Config.Context, 0, 0, func(vocab, context, end int) (Stored, error) {
			c := s.Config
			c.Vocab, c.Context, c.BOS, c.EOS = vocab, context, ids(end), ids(end)
			return neox.New(c)
		}})
	}
	for _, s := range gptj.Sizes {
		list = append(list, Size{"gptj", s.Name, s.Config.Vocab, s.Config.Context, 0, 0, func(vocab, context, end int) (Stored, error) {
			c := s.Config
			c.Vocab, c.Context, c.BOS, c.EOS = vocab, context, ids(end), ids(end)
			return gptj.New(c)
		}})
	}
	for _, s := range palm.Sizes {
		list = append(list, Size{"palm", s.Name, s.Config.Vocab, s.Config.Context, s.LR, s.Batch, func(vocab, context, end int) (Stored, error) {
			c := s.Config
			c.Vocab, c.Context, c.BOS, c.EOS = vocab, context, ids(end), ids(end)
			return palm.New(c)
		}})
	}
	for _, s := range t5.Sizes {
		list = append(list, T5Size(s))
	}
	for _, s := range bert.Sizes {
		list = append(list, BERTSize(s))
	}
	for _, s := range clip.Sizes {
		list = append(list, CLIPSize(s))
	}
	return list
}

// BERTSize is a BERT's size as a row of the table.
func BERTSize(s bert.Size) Size {
	return Size{"bert", s.Name, s.Config.Vocab, s.Config.Sizes().Context, s.LR, s.Batch, func(vocab, context, _ int) (Stored, error) {
		c := s.Config
		c.Vocab, c.Context = vocab, c.Context-c.Sizes().Context+context
		return bert.New(c)
	}}
}

// CLIPSize is a CLIP's size as a row of the table: vocabulary and context are those of texts, which end with the vocabulary's last id or with end.
func CLIPSize(s clip.Size) Size {
	return Size{"clip", s.Name, s.Config.Text.Vocab, s.Config.Text.Context, s.LR, s.Batch * s.Config.Text.Context, func(vocab, context, end int) (Stored, error) {
		c := s.Config
		c.Text.Vocab, c.Text.Context, c.Text.BOS, c.Text.EOS = vocab, context, vocab-2, vocab-1
		if end >= 0 {
			c.Text.EOS = end
		}
		return clip.New(c)
	}}
}

// GPTSize is a GPT's size as a row of the table.
func GPTSize(s gpt.Size) Size {
	return Size{"gpt", s.Name, s.Config.Vocab, s.Config.Context, s.LR, s.Batch, func(vocab, context, end int) (Stored, error) {
		c := s.Config
		c.Vocab, c.Context = vocab, context
		if end >= 0 {
			c.BOS, c.EOS = &end, &end
		}
		return gpt.New(c)
	}}
}

// T5Size is a T5's size as a row of the table. A context below the size's is not taken over: nothing in the model knows it.
func T5Size(s t5.Size) Size {
	return Size{"t5", s.Name, s.Config.Vocab, s.Config.Context, s.LR, s.Batch, func(vocab, context, end int) (Stored, error) {
		c := s.Config
		c.Vocab, c.Context = vocab, max(c.Context, context)
		if end >= 0 {
			c.EOS = ids(end)
		}
		return t5.New(c)
	}}
}

func ids(end int) []int {
	if end < 0 {
		return nil
	}
	return []int{end}
}

// SizeByName returns the first size of the name, of the family or, where that is "", of any. With a family, its name may be left out: tiny for
// bert-tiny.
func SizeByName(family, name string) (Size, error) {
	var names []string
	for _, s := range Sizes() {
		if family != "" && s.Family != family {
			continue
		}
		if s.Name == name || family != "" && s.Name == family+"-"+name {
			return s, nil
		}
		names = append(names, s.Name)
	}
	return Size{}, fmt.Errorf("size %q is unknown; known: %s", name, strings.Join(names, ", "))
}
