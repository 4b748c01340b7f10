package bert

// Size is a named shape with the training settings that go with it.
type Size struct {
	Name   string
	Config Config
	LR     float64 // peak learning rate of AdamW; 0 where there are none
	Batch  int     // tokens per step
}

// Sizes lists the named shapes: BERT's (Devlin et al. 2019, section 3; the small ones are Turc et al. 2019, table 1), RoBERTa's, DistilBERT and MiniLM
// (Wang et al. 2020). Base and Large have the paper's learning rate and batch, the small ones settings for an hour on a CPU.
var Sizes = []Size{
	{"bert-tiny", bert(2, 128, 30522), 2e-3, 8192},
	{"bert-mini", bert(4, 256, 30522), 1e-3, 8192},
	{"bert-small", bert(4, 512, 30522), 5e-4, 16384},
	{"bert-medium", bert(8, 512, 30522), 5e-4, 16384},
	{"bert-base", bert(12, 768, 30522), 1e-4, 131072},
	{"bert-large", bert(24, 1024, 30522), 1e-4, 131072},
	{"bert-base-cased", bert(12, 768, 28996), 1e-4, 131072},
	{"bert-large-cased", bert(24, 1024, 28996), 1e-4, 131072},
	{"roberta-base", roberta(12, 768), 0, 0},
	{"roberta-large", roberta(24, 1024), 0, 0},
	{"distilbert", distil(), 0, 0},
	{"minilm-l6", minilm(6), 0, 0},
	{"minilm-l12", minilm(12), 0, 0},
}

// Shape returns BERT's settings for a shape: heads of 64, MLPs of four times the width, the heads of pre-training.
func Shape(layers, width, vocab, context int) Config {
	pad := 0
	return Config{ModelType: TypeBERT, Vocab: vocab, Context: context, Segments: 2, Width: width, Layers: layers, Heads: width / 64, Hidden: 4 * width,
		Activation: "gelu", Eps: 1e-12, InitStd: 0.02, Dropout: 0.1, AttnDropout: 0.1, Head: PreTraining, Labels: 2, Pad: &pad}
}

func bert(layers, width, vocab int) Config { return Shape(layers, width, vocab, 512) }

func roberta(layers, width int) Config {
	c := Shape(layers, width, 50265, 514)
	*c.Pad = 1
	c.ModelType, c.Segments, c.Eps, c.Head = TypeRoBERTa, 1, 1e-5, MaskedLM
	return c
}

func distil() Config {
	c := Shape(6, 768, 30522, 512)
	dropout := 0.2
	c.ModelType, c.Segments, c.Head, c.HeadDropout = TypeDistilBERT, 0, MaskedLM, &dropout
	return c
}

func minilm(layers int) Config {
	c := bert(layers, 384, 30522)
	c.Heads, c.Head = 12, Body
	return c
}
