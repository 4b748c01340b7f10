package neox

import "github.com/plinth-ml/plinth/nn"

// Size is a named shape.
type Size struct {
	Name   string
	Config Config
}

// Sizes lists Pythia's eight (Biderman et al. 2023, table 1) and GPT-NeoX-20B.
var Sizes = []Size{
	{"pythia-70m", shape(6, 512, 8, 50304)},
	{"pythia-160m", shape(12, 768, 12, 50304)},
	{"pythia-410m", shape(24, 1024, 16, 50304)},
	{"pythia-1b", shape(16, 2048, 8, 50304)},
	{"pythia-1.4b", shape(24, 2048, 16, 50304)},
	{"pythia-2.8b", shape(32, 2560, 32, 50304)},
	{"pythia-6.9b", shape(32, 4096, 32, 50432)},
	{"pythia-12b", shape(36, 5120, 40, 50688)},
	{"gpt-neox-20b", shape(44, 6144, 64, 50432)},
}

func shape(layers, width, heads, vocab int) Config {
	return Config{ModelType: Type, Vocab: vocab, Context: 2048, Width: width, Hidden: 4 * width, Layers: layers, Heads: heads, Activation: "gelu",
		LayerNormEps: 1e-5, InitStd: 0.02, Parallel: true, Bias: true, Rope: nn.RopeConfig{Type: "default", Theta: 10000, Partial: 0.25}}
}
