package scaling

import (
	"fmt"
	"strings"

	"github.com/plinth-ml/plinth/model"
)

// PublishedModel is a model as its authors describe it. A zero field was not found in the source.
type PublishedModel struct {
	Name   string
	Year   float64 // of the first publication, with the part of the year
	Shape  model.Shape
	Params float64 // as the authors count them
	Tokens float64 // trained on, repetitions included
	FLOPs  float64 // of training, as the authors or those who quote them count them
	Batch  int     // sequences in a step, the largest of the run
	LR     float64 // peak learning rate
	Warmup float64 // tokens

	Device  string // name in Devices
	Devices int
	MFU     float64 // model FLOPs utilisation
	Layout  Layout  // zero unless the authors give it
	Source  string
}

func gpt2(layers, width, heads int) model.Shape {
	return model.Shape{Layers: layers, Width: width, Heads: heads, Biases: model.LayerBiases, NormBias: true, Vocab: 50257, Context: 1024}
}

// gpt3's odd layers are banded in a width that the paper does not state; 0 counts all of them as dense.
func gpt3(layers, width, heads, dim int) model.Shape {
	s := gpt2(layers, width, heads)
	s.HeadDim, s.Context = dim, 2048
	return s
}

func bert(layers, width, heads, vocab int) model.Shape {
	return model.Shape{Layers: layers, Width: width, Heads: heads, Biases: model.LayerBiases, NormBias: true, NoFinalNorm: true, EmbedNorm: true,
		Segments: 2, Vocab: vocab, Context: 512, Bidirectional: true, Pooler: true}
}

func palm(layers, width, heads int) model.Shape {
	return model.Shape{Layers: layers, Width: width, Heads: heads, KVHeads: 1, HeadDim: 256, Gated: true, Parallel: true,
		Positions: model.Rotary, Vocab: 256000, Context: 2048}
}

func gopher(layers, width, heads int) model.Shape {
	return model.Shape{Layers: layers, Width: width, Heads: heads, HeadDim: 128, Biases: model.LayerBiases, Positions: model.Relative, Vocab: 32000, Context: 2048}
}

func mtnlg(vocab int) model.Shape {
	s := gpt3(105, 20480, 128, 160)
	s.Vocab = vocab
	return s
}

const (
	brown    = "Brown et al. 2020 (arXiv 2005.14165), table 2.1 and appendix D"
	devlin   = "Devlin et al. 2018 (arXiv 1810.04805), appendix A.2"
	radford  = "Radford et al. 2019, table 2; OpenAI's checkpoints"
	chowd    = "Chowdhery et al. 2022 (arXiv 2204.02311), tables 1, 3 and 21, sections 4 and 5"
	smith    = "Smith et al. 2022 (arXiv 2201.11990), sections 2 and 3; MFU from Chowdhery et al. 2022, table 3"
	turc     = "Turc et al. 2019 (arXiv 1908.08962)"
	rae      = "Rae et al. 2021 (arXiv 2112.11446), table 1; MFU from Chowdhery et al. 2022, table 3"
	hoffmann = "Hoffmann et al. 2022 (arXiv 2203.15556), tables 1 and 4"
)

// PublishedModels is the table of published models, the oldest first.
var PublishedModels = []PublishedModel{
	{Name: "bert-base", Year: 2018.8, Shape: bert(12, 768, 12, 30522), Params: 110e6, Tokens: 1e6 * 256 * 512, Batch: 256, LR: 1e-4, Warmup: 1e4 * 256 * 512, Source: devlin},
	{Name: "bert-large", Year: 2018.8, Shape: bert(24, 1024, 16, 30522), Params: 340e6, Tokens: 1e6 * 256 * 512, Batch: 256, LR: 1e-4, Warmup: 1e4 * 256 * 512, Source: devlin},
	{Name: "bert-base-cased", Year: 2018.8, Shape: bert(12, 768, 12, 28996), Params: 110e6, Source: devlin},
	{Name: "bert-large-cased", Year: 2018.8, Shape: bert(24, 1024, 16, 28996), Params: 340e6, Source: devlin},
	{Name: "gpt2", Year: 2019.1, Shape: gpt2(12, 768, 12), Params: 124e6, Batch: 512, Source: radford},
	{Name: "gpt2-medium", Year: 2019.1, Shape: gpt2(24, 1024, 16), Params: 355e6, Batch: 512, Source: radford},
	{Name: "gpt2-large", Year: 2019.1, Shape: gpt2(36, 1280, 20), Params: 774e6, Batch: 512, Source: radford},
	{Name: "gpt2-xl", Year: 2019.1, Shape: gpt2(48, 1600, 25), Params: 1558e6, Batch: 512, Source: radford},
	{Name: "bert-tiny", Year: 2019.6, Shape: bert(2, 128, 2, 30522), Params: 4.4e6, Source: turc},
	{Name: "bert-mini", Year: 2019.6, Shape: bert(4, 256, 4, 30522), Params: 11.3e6, Source: turc},
	{Name: "bert-small", Year: 2019.6, Shape: bert(4, 512, 8, 30522), Params: 29.1e6, Source: turc},
	{Name: "bert-medium", Year: 2019.6, Shape: bert(8, 512, 8, 30522), Params: 41.7e6, Source: turc},
	{Name: "gpt3-small", Year: 2020.4, Shape: gpt3(12, 768, 12, 64), Params: 125e6, Tokens: 300e9, FLOPs: 2.25e20, Batch: 256, LR: 6e-4, Warmup: 375e6, Source: brown},
	{Name: "gpt3-medium", Year: 2020.4, Shape: gpt3(24, 1024, 16, 64), Params: 350e6, Tokens: 300e9, FLOPs: 6.41e20, Batch: 256, LR: 3e-4, Warmup: 375e6, Source: brown},
	{Name: "gpt3-large", Year: 2020.4, Shape: gpt3(24, 1536, 16, 96), Params: 760e6, Tokens: 300e9, FLOPs: 1.37e21, Batch: 256, LR: 2.5e-4, Warmup: 375e6, Source: brown},
	{Name: "gpt3-xl", Year: 2020.4, Shape: gpt3(24, 2048, 16, 128), Params: 1.3e9, Tokens: 300e9, FLOPs: 2.38e21, Batch: 512, LR: 2e-4, Warmup: 375e6, Source: brown + "; printed with 24 heads of 128, which are wider than 2048"},
	{Name: "gpt3-2.7b", Year: 2020.4, Shape: gpt3(32, 2560, 32, 80), Params: 2.7e9, Tokens: 300e9, FLOPs: 4.77e21, Batch: 512, LR: 1.6e-4, Warmup: 375e6, Source: brown},
	{Name: "gpt3-6.7b", Year: 2020.4, Shape: gpt3(32, 4096, 32, 128), Params: 6.7e9, Tokens: 300e9, FLOPs: 1.2e22, Batch: 1024, LR: 1.2e-4, Warmup: 375e6, Source: brown},
	{Name: "gpt3-13b", Year: 2020.4, Shape: gpt3(40, 5120, 40, 128), Params: 13e9, Tokens: 300e9, FLOPs: 2.31e22, Batch: 1024, LR: 1e-4, Warmup: 375e6, Source: brown + "; printed with width 5140, which is no multiple of 40"},
	{Name: "gpt3-175b", Year: 2020.4, Shape: gpt3(96, 12288, 96, 128), Params: 175e9, Tokens: 300e9, FLOPs: 3.14e23, Batch: 1600, LR: 0.6e-4, Warmup: 375e6,
		Device: "v100-32gb", MFU: 0.213, Source: brown + "; MFU from Chowdhery et al. 2022, table 3"},
	{Name: "gopher-280b", Year: 2021.9, Shape: gopher(80, 16384, 128), Params: 280e9, Tokens: 300e9, FLOPs: 5.76e23, Batch: 3072, LR: 4e-5, Device: "tpu-v3", Devices: 4096, MFU: 0.325, Source: rae},
	{Name: "mt-nlg-530b", Year: 2021.8, Shape: mtnlg(51200), Params: 530e9, Tokens: 270e9, Batch: 1920, LR: 5e-5, Warmup: 1e9, Device: "a100-80gb", Devices: 2240, MFU: 0.302,
		Layout: Layout{Data: 8, Tensor: 8, Pipeline: 35, Micro: 1, Recompute: model.RecomputeFull, Precision: "mixed20"}, Source: smith + ""},
	{Name: "chinchilla-70b", Year: 2022.2, Shape: gopher(80, 8192, 64), Params: 70e9, Tokens: 1.4e12, FLOPs: 5.76e23, Batch: 1536, LR: 1e-4, Source: hoffmann},
	{Name: "palm-8b", Year: 2022.3, Shape: palm(32, 4096, 16), Params: 8.63e9, Tokens: 780e9, FLOPs: 4.29e22, Batch: 512, LR: 1e-2, Source: chowd},
	{Name: "palm-62b", Year: 2022.3, Shape: palm(64, 8192, 32), Params: 62.50e9, Tokens: 795e9, FLOPs: 3.08e23, Batch: 1024, LR: 1e-2, Source: chowd},
	{Name: "palm-540b", Year: 2022.3, Shape: palm(118, 18432, 48), Params: 540.35e9, Tokens: 780e9, FLOPs: 2.5272e24, Batch: 2048, LR: 1e-2, Device: "tpu-v4", Devices: 6144, MFU: 0.462,
		Layout: Layout{Data: 512, Tensor: 12, Pipeline: 1, Micro: 4, ZeRO: 3, Shards: 256, Sequence: true, Recompute: model.RecomputeFull, Precision: "adafactor"}, Source: chowd + "; its rate is Adafactor's, relative to the parameters' scale"},
}

// ModelByName returns a model of the table.
func ModelByName(name string) (PublishedModel, error) {
	var names []string
	for _, p := range PublishedModels {
		if p.Name == name {
			return p, nil
		}
		names = append(names, p.Name)
	}
	return PublishedModel{}, fmt.Errorf("published model %q is unknown; known: %s", name, strings.Join(names, ", "))
}

// ModelFamily returns the model of a name, or those whose names begin with it and a hyphen; all of the table for "all".
func ModelFamily(name string) []PublishedModel {
	if p, err := ModelByName(name); err == nil {
		return []PublishedModel{p}
	}
	var list []PublishedModel
	for _, p := range PublishedModels {
		if name == "all" || strings.HasPrefix(p.Name, name+"-") {
			list = append(list, p)
		}
	}
	return list
}
