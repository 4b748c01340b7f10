package llama

import "github.com/plinth-ml/plinth/nn"

// Size is a named shape; those for CPUs have the training settings that go with it.
type Size struct {
	Name   string
	Config Config
	LR     float64 // peak learning rate of AdamW, 0 where nobody trains it here
	Batch  int     // tokens per step
}

// Sizes lists two shapes for CPUs and published ones, as their config.json say.
var Sizes = []Size{
	{"nano", cpu(4, 128, 4, 2, 352, 128), 2e-3, 4096},
	{"micro", cpu(6, 256, 8, 4, 704, 256), 1.5e-3, 8192},
	{"llama2-7b", shape("llama", 32, 4096, 32, 32, 11008, 32000, 4096, 1e4), 0, 0},
	{"llama2-13b", shape("llama", 40, 5120, 40, 40, 13824, 32000, 4096, 1e4), 0, 0},
	{"llama2-70b", shape("llama", 80, 8192, 64, 8, 28672, 32000, 4096, 1e4), 0, 0},
	{"llama3-8b", shape("llama", 32, 4096, 32, 8, 14336, 128256, 8192, 5e5), 0, 0},
	{"llama3-70b", shape("llama", 80, 8192, 64, 8, 28672, 128256, 8192, 5e5), 0, 0},
	{"llama3.2-1b", llama32(16, 2048, 32, 8, 8192), 0, 0},
	{"mistral-7b", mistral7B(), 0, 0},
	{"mixtral-8x7b", mixtral8x7B(), 0, 0},
	{"qwen2.5-0.5b", qwen("qwen2", 24, 896, 14, 2, 4864, 64, true), 0, 0},
	{"qwen2.5-7b", qwen("qwen2", 28, 3584, 28, 4, 18944, 128, false), 0, 0},
	{"qwen3-0.6b", qwen("qwen3", 28, 1024, 16, 8, 3072, 128, true), 0, 0},
	{"phi3-mini", shape("phi3", 32, 3072, 32, 32, 8192, 32064, 4096, 1e4), 0, 0},
}

// shape is a model type's settings for a shape.
func shape(modelType string, layers, width, heads, kvHeads, hidden, vocab, context int, theta float64) Config {
	c := Config{ModelType: modelType, Layers: layers, Width: width, Heads: heads, KVHeads: kvHeads, Hidden: hidden, Vocab: vocab, Context: context,
		Activation: "silu", NormEps: 1e-5, InitStd: 0.02, Rope: nn.RopeConfig{Type: "default", Theta: theta}}
	c.resolve()
	return c
}

func cpu(layers, width, heads, kvHeads, hidden, context int) Config {
	c := shape("llama", layers, width, heads, kvHeads, hidden, 4096, context, 1e4)
	c.Tied = true
	return c
}

func llama32(layers, width, heads, kvHeads, hidden int) Config {
	c := shape("llama", layers, width, heads, kvHeads, hidden, 128256, 131072, 5e5)
	c.Tied = true
	c.Rope.Type, c.Rope.Factor, c.Rope.LowFreq, c.Rope.HighFreq, c.Rope.Original = "llama3", 32, 1, 4, 8192
	return c
}

func mistral7B() Config {
	c := shape("mistral", 32, 4096, 32, 8, 14336, 32000, 32768, 1e4)
	c.Window = 4096
	return c
}

func mixtral8x7B() Config {
	c := shape("mixtral", 32, 4096, 32, 8, 14336, 32000, 32768, 1e6)
	c.Experts, c.Chosen = 8, 2
	return c
}

func qwen(modelType string, layers, width, heads, kvHeads, hidden, headDim int, tied bool) Config {
	c := shape(modelType, layers, width, heads, kvHeads, hidden, 151936, 32768, 1e6)
	if !tied {
		c.Vocab = 152064
	}
	c.HeadDim, c.Tied, c.NormEps, c.FirstWindow = headDim, tied, 1e-6, layers
	return c
}
