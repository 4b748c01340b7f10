package palm

// Size is a named shape; those for CPUs have the training settings that go with it.
type Size struct {
	Name   string
	Config Config
	LR     float64 // peak learning rate of AdamW, 0 where nobody trains it here
	Batch  int     // tokens per step
}

// Sizes lists two shapes for CPUs and the paper's three (table 1).
var Sizes = []Size{
	{"nano", shape(4, 128, 4, 32, 4096, 128), 2e-3, 4096},
	{"micro", shape(6, 256, 8, 32, 4096, 256), 1.5e-3, 8192},
	{"palm-8b", shape(32, 4096, 16, 256, 256000, 2048), 0, 0},
	{"palm-62b", shape(64, 8192, 32, 256, 256000, 2048), 0, 0},
	{"palm-540b", shape(118, 18432, 48, 256, 256000, 2048), 0, 0},
}

func shape(layers, width, heads, headDim, vocab, context int) Config {
	return Config{ModelType: Type, Vocab: vocab, Context: context, Width: width, Layers: layers, Heads: heads, HeadDim: headDim, LayerNormEps: 1e-5, RopeTheta: 10000}
}
