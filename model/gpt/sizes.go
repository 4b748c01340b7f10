package gpt

import (
	"fmt"
	"math"

	"github.com/plinth-ml/plinth/model"
)

// Size is a named shape with the training settings that go with it.
type Size struct {
	Name   string
	Config Config
	LR     float64 // peak learning rate of AdamW
	Batch  int     // tokens per step
}

// Sizes lists the named shapes: GPT-2's four (Radford et al. 2019, table 2), GPT-3's eight (Brown et al. 2020, table 2.1; XL and 13B
// with heads x head dim = width, where the printed rows do not add up), MT-NLG's (Smith et al. 2022, section 3.1), and three for CPUs.
var Sizes = []Size{
	{"nano", cpu(4, 128, 4, 128), 2e-3, 4096},
	{"micro", cpu(6, 256, 8, 256), 1.5e-3, 8192},
	{"mini", cpu(6, 384, 6, 256), 1e-3, 16384},
	{"gpt2", gpt2(12, 768, 12), 6e-4, 524288},
	{"gpt2-medium", gpt2(24, 1024, 16), 3e-4, 524288},
	{"gpt2-large", gpt2(36, 1280, 20), 2.5e-4, 524288},
	{"gpt2-xl", gpt2(48, 1600, 25), 2e-4, 524288},
	{"gpt3-small", gpt3(12, 768, 12), 6e-4, 524288},
	{"gpt3-medium", gpt3(24, 1024, 16), 3e-4, 524288},
	{"gpt3-large", gpt3(24, 1536, 16), 2.5e-4, 524288},
	{"gpt3-xl", gpt3(24, 2048, 16), 2e-4, 1048576},
	{"gpt3-2.7b", gpt3(32, 2560, 32), 1.6e-4, 1048576},
	{"gpt3-6.7b", gpt3(32, 4096, 32), 1.2e-4, 2097152},
	{"gpt3-13b", gpt3(40, 5120, 40), 1e-4, 2097152},
	{"gpt3-175b", gpt3(96, 12288, 96), 0.6e-4, 3276800},
	{"mt-nlg-530b", mtnlg(105, 20480, 128), 5e-5, 3932160},
}

// Shape returns GPT-2's settings for a shape.
func Shape(layers, width, heads, vocab, context int) Config {
	return Config{ModelType: TypeGPT2, Vocab: vocab, Context: context, Width: width, Layers: layers, Heads: heads,
		Activation: "gelu_new", LayerNormEps: 1e-5, InitStd: 0.02}
}

func cpu(layers, width, heads, context int) Config { return Shape(layers, width, heads, 4096, context) }
func gpt2(layers, width, heads int) Config         { return Shape(layers, width, heads, 50257, 1024) }

// gpt3Window is the band of GPT-3's odd layers, which the paper does not state.
const gpt3Window = 256

func gpt3(layers, width, heads int) Config {
	c := Shape(layers, width, heads, 50257, 2048)
	c.ModelType, c.Window = TypeGPT3, gpt3Window
	return c
}

// mtnlg is a GPT-2 with the vocabulary that its authors' training program, Megatron, pads for 8 shards.
func mtnlg(layers, width, heads int) Config {
	c := Shape(layers, width, heads, 51200, 2048)
	c.InitStd = 4e-3
	return c
}

// ByName returns a named size.
func ByName(name string) (Size, error) {
	return model.SizeByName(Sizes, func(s Size) string { return s.Name }, name)
}

// ByDepth derives everything from the number of layers: width 64·depth, heads of 64, learning rate 6e-4·sqrt(768/width), and the batch
// 2^19·(D/D12)^0.383 tokens (Power Lines, arXiv 2505.13738) for training on D = 12 tokens per parameter, where D12 is that of depth 12;
// at least 2048, a power of two.
func ByDepth(depth, vocab, context int) (Size, error) {
	if depth < 1 || depth > 128 {
		return Size{}, fmt.Errorf("depth %d is not within 1 to 128", depth)
	}
	c := Shape(depth, 64*depth, depth, vocab, context)
	params := func(c Config) float64 { return float64(c.Cost(1).Params) }
	ratio := params(c) / params(Shape(12, 768, 12, vocab, context))
	batch := math.Exp2(math.Round(math.Log2(524288 * math.Pow(ratio, 0.383))))
	return Size{fmt.Sprintf("depth-%d", depth), c, 6e-4 * math.Sqrt(768/float64(c.Width)), max(2048, int(batch))}, nil
}
