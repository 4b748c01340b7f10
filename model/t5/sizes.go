package t5

import (
	"github.com/plinth-ml/plinth/model"
)

// Size is a named shape with the training settings that go with it.
type Size struct {
	Name   string
	Config Config
	LR     float64 // peak learning rate of AdamW, 0 where the table has none
	Batch  int     // tokens per step, of sources and targets
}

// Sizes lists the published shapes: v1.0 (Raffel et al. 2020, section 3.7), v1.1, which are also Flan-T5's, and two of T5-Efficient (Tay et al. 2021)
// that CPUs train. Of the tiny one there is a form as v1.1 too, which is not published: its MLP has 2/3 of the width, so that a gate costs nothing.
var Sizes = []Size{
	{"t5-efficient-tiny", Shape(4, 256, 4, 64, 1024), 2e-3, 8192},
	{"t5-efficient-mini", Shape(4, 384, 8, 64, 1536), 1e-3, 16384},
	{"t5-v1_1-tiny", v11(4, 256, 4, 688), 2e-3, 8192},
	{"t5-small", Shape(6, 512, 8, 64, 2048), 0, 0},
	{"t5-base", Shape(12, 768, 12, 64, 3072), 0, 0},
	{"t5-large", Shape(24, 1024, 16, 64, 4096), 0, 0},
	{"t5-3b", Shape(24, 1024, 32, 128, 16384), 0, 0},
	{"t5-11b", Shape(24, 1024, 128, 128, 65536), 0, 0},
	{"t5-v1_1-small", v11(8, 512, 6, 1024), 0, 0},
	{"t5-v1_1-base", v11(12, 768, 12, 2048), 0, 0},
	{"t5-v1_1-large", v11(24, 1024, 16, 2816), 0, 0},
	{"t5-v1_1-xl", v11(24, 2048, 32, 5120), 0, 0},
	{"t5-v1_1-xxl", v11(24, 4096, 64, 10240), 0, 0},
}

// Shape is v1.0's configuration of a shape: so many layers in the encoder and as many in the decoder.
func Shape(layers, width, heads, headDim, hidden int) Config {
	pad := 0
	return Config{ModelType: Type, Vocab: 32128, Width: width, HeadDim: headDim, Hidden: hidden, Layers: layers, DecoderLayers: layers, Heads: heads,
		Buckets: 32, MaxDistance: 128, Dropout: 0.1, Eps: 1e-6, InitFactor: 1, MLP: "relu", Pad: &pad, EOS: model.IDs{1}, Start: &pad, Context: 512, Tied: true}
}

func v11(layers, width, heads, hidden int) Config {
	c := Shape(layers, width, heads, 64, hidden)
	c.MLP, c.Tied = "gated-gelu", false
	return c
}

// ByName returns a named size.
func ByName(name string) (Size, error) {
	return model.SizeByName(Sizes, func(s Size) string { return s.Name }, name)
}
