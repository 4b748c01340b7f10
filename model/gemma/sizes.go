package gemma

import "github.com/plinth-ml/plinth/nn"

// Size is a named shape.
type Size struct {
	Name   string
	Config Config
}

// Sizes lists published shapes, as their config.json say.
var Sizes = []Size{
	{"gemma-2b", shape("gemma", 18, 2048, 8, 1, 16384)},
	{"gemma-7b", shape("gemma", 28, 3072, 16, 16, 24576)},
	{"gemma2-2b", shape("gemma2", 26, 2304, 8, 4, 9216)},
	{"gemma2-9b", shape("gemma2", 42, 3584, 16, 8, 14336)},
	{"gemma3-1b", gemma3(26, 1152, 4, 1, 6912)},
}

func shape(modelType string, layers, width, heads, kvHeads, hidden int) Config {
	c := kinds[modelType].defaults
	c.ModelType, c.Layers, c.Width, c.Heads, c.KVHeads, c.Hidden = modelType, layers, width, heads, kvHeads, hidden
	c.HeadDim, c.NormEps, c.InitStd = 256, 1e-6, 0.02
	c.LayerTypes = pattern(layers, kinds[modelType].pattern)
	c.Rope, c.LocalRope = nn.RopeConfig{Type: "default", Theta: kinds[modelType].theta}, nn.RopeConfig{Type: "default", Theta: 10000}
	return c
}

func gemma3(layers, width, heads, kvHeads, hidden int) Config {
	c := shape("gemma3_text", layers, width, heads, kvHeads, hidden)
	c.Vocab, c.Context, c.Window = 262144, 32768, 512
	return c
}
