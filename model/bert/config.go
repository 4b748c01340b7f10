package bert

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/plinth-ml/plinth/model"
)

// Model types in config.json.
const (
	TypeBERT       = "bert"
	TypeRoBERTa    = "roberta"    // Liu et al. 2019: positions count from pad_token_id + 1; no pooler under its heads
	TypeDistilBERT = "distilbert" // Sanh et al. 2019: no segments, no pooler
)

// Config is a BERT's config.json, under the field names of Hugging Face's bert; DistilBERT's file has other names for some of them.
type Config struct {
	ModelType   string  `json:"model_type"`
	Vocab       int     `json:"vocab_size"`
	Context     int     `json:"max_position_embeddings"` // rows of the table of positions: see Sizes
	Segments    int     `json:"type_vocab_size"`         // 0 for DistilBERT
	Width       int     `json:"hidden_size"`
	Layers      int     `json:"num_hidden_layers"`
	Heads       int     `json:"num_attention_heads"`
	Hidden      int     `json:"intermediate_size"`
	Activation  string  `json:"hidden_act"`
	Eps         float64 `json:"layer_norm_eps"`
	InitStd     float64 `json:"initializer_range"`
	Dropout     float64 `json:"hidden_dropout_prob"`          // behind the embeddings, attention and MLP, in training
	AttnDropout float64 `json:"attention_probs_dropout_prob"` // of attention's probabilities, in training

	Head        Head     `json:"-"` // what architectures says
	Labels      int      `json:"-"` // scores of a task's head: the length of id2label
	HeadDropout *float64 `json:"-"` // classifier_dropout; nil: Dropout
	Pad         *int     `json:"-"` // pad_token_id: of RoBERTa also where positions start
	MeanPool    bool     `json:"-"` // classifier_pooling is mean: Classification reads the mean over the tokens, of BERT without the pooler
}

// Head is what stands on the body; the value is the end of the name in architectures.
type Head string

// The heads. Body is the encoder with its pooler where the family has one.
const (
	Body           Head = "Model"
	PreTraining    Head = "ForPreTraining" // masked tokens and next sentences (Devlin et al. 2019, section 3.1), of BERT only
	MaskedLM       Head = "ForMaskedLM"
	Classification Head = "ForSequenceClassification"
	Tagging        Head = "ForTokenClassification"
	Answers        Head = "ForQuestionAnswering"
)

var heads = []Head{Body, PreTraining, MaskedLM, Classification, Tagging, Answers}

// kind is what sets a model_type apart.
type kind struct {
	class string            // the beginning of the name in architectures
	keys  map[string]string // names of config.json's keys, by those of Config
	lacks []string          // keys of Config that its config.json has not
	names []string          // pairs for strings.NewReplacer: parameters' names here to those in files
}

var kinds = map[string]kind{
	TypeBERT: {class: "Bert"},
	TypeRoBERTa: {class: "Roberta", names: []string{"bert.", "roberta.", "cls.predictions.transform.dense", "lm_head.dense",
		"cls.predictions.transform.LayerNorm", "lm_head.layer_norm", "cls.predictions.bias", "lm_head.bias"}},
	TypeDistilBERT: {class: "DistilBert",
		keys: map[string]string{"hidden_size": "dim", "num_hidden_layers": "n_layers", "num_attention_heads": "n_heads", "intermediate_size": "hidden_dim",
			"hidden_act": "activation", "hidden_dropout_prob": "dropout", "attention_probs_dropout_prob": "attention_dropout"},
		lacks: []string{"type_vocab_size", "layer_norm_eps"},
		names: []string{"bert.encoder.layer", "distilbert.transformer.layer", "bert.", "distilbert.", "attention.self.query", "attention.q_lin",
			"attention.self.key", "attention.k_lin", "attention.self.value", "attention.v_lin", "attention.output.dense", "attention.out_lin",
			"attention.output.LayerNorm", "sa_layer_norm", "intermediate.dense", "ffn.lin1", "output.dense", "ffn.lin2", "output.LayerNorm", "output_layer_norm",
			"cls.predictions.transform.dense", "vocab_transform", "cls.predictions.transform.LayerNorm", "vocab_layer_norm", "cls.predictions.bias", "vocab_projector.bias"}},
}

// neutral keys say nothing about the arithmetic here. Cross-attention and relative positions are in fixed.
var neutral = strings.Fields(`directionality pooler_fc_size pooler_num_attention_heads pooler_num_fc_layers pooler_size_per_head pooler_type
	bos_token_id eos_token_id sep_token_id cls_token_id mask_token_id qa_dropout seq_classif_dropout sinusoidal_pos_embds tie_weights_ finetuning_task`)

// fixed keys change the arithmetic: only these values are implemented.
var fixed = map[string]string{"tie_word_embeddings": "true", "add_cross_attention": "false", "position_embedding_type": `"absolute"`, "is_decoder": "false"}

// more are the keys that Parse reads beside the struct's.
type more struct {
	Architectures []string          `json:"architectures"`
	ID2Label      map[string]string `json:"id2label"`
	NumLabels     int               `json:"num_labels"`
	HeadDropout   *float64          `json:"classifier_dropout"`
	SeqDropout    *float64          `json:"seq_classif_dropout"` // DistilBERT's name
	Pad           *int              `json:"pad_token_id"`
	Pooling       string            `json:"classifier_pooling"`
}

// Parse reads a config.json. A key that it does not know is an error, because it may change the arithmetic. Without architectures it is a Body.
func Parse(data []byte) (Config, error) {
	c := Config{Vocab: 30522, Context: 512, Segments: 2, Width: 768, Layers: 12, Heads: 12, Hidden: 3072, Activation: "gelu", Eps: 1e-12, InitStd: 0.02,
		Dropout: 0.1, AttnDropout: 0.1}
	var m more
	if err := json.Unmarshal(data, &m); err != nil {
		return c, fmt.Errorf("bert: config.json: %w", err)
	}
	name, err := model.TypeOf(data)
	if err != nil {
		return c, fmt.Errorf("bert: %w", err)
	}
	k, ok := kinds[name]
	if !ok {
		return c, fmt.Errorf("bert: config.json: model_type is %q, not one of %s", name, strings.Join(slices.Sorted(maps.Keys(kinds)), ", "))
	}
	if data, err = k.rename(data); err != nil {
		return c, fmt.Errorf("bert: config.json: %w", err)
	}
	if err := model.ParseConfig(data, &c, model.Keys{Neutral: neutral, Fixed: fixed}); err != nil {
		return c, fmt.Errorf("bert: %w", err)
	}
	c.HeadDropout, c.Pad, c.MeanPool = m.HeadDropout, m.Pad, m.Pooling == model.MeanPooling
	switch name {
	case TypeDistilBERT:
		c.Segments = 0
		if c.HeadDropout = m.SeqDropout; c.HeadDropout == nil {
			c.HeadDropout = new(float64)
			*c.HeadDropout = 0.2
		}
	case TypeRoBERTa:
		if c.Pad == nil {
			c.Pad = new(int)
			*c.Pad = 1
		}
	}
	c.Head = Body
	if len(m.Architectures) > 0 {
		c.Head = Head(strings.TrimPrefix(m.Architectures[0], k.class))
	}
	if c.Labels = len(m.ID2Label); c.Labels == 0 {
		c.Labels = m.NumLabels
	}
	if c.Labels == 0 || c.Head == Answers {
		c.Labels = 2
	}
	return c, c.Check()
}

// rename returns the object under Config's names. A key that the kind has not is left out of what it may say: it is unknown.
func (k kind) rename(object []byte) ([]byte, error) {
	if len(k.keys) == 0 {
		return object, nil
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(object, &keys); err != nil {
		return nil, err
	}
	for ours, theirs := range k.keys {
		if _, both := keys[ours]; both {
			return nil, fmt.Errorf("unknown key %q: it is %s here", ours, theirs)
		}
		if v, ok := keys[theirs]; ok {
			keys[ours] = v
			delete(keys, theirs)
		}
	}
	for _, key := range k.lacks {
		if _, ok := keys[key]; ok {
			return nil, fmt.Errorf("unknown key %q", key)
		}
	}
	return json.Marshal(keys)
}

// Marshal writes config.json as transformers reads it.
func (c Config) Marshal() ([]byte, error) {
	k := kinds[c.ModelType]
	extra := map[string]any{"architectures": []string{k.class + string(c.Head)}, "pad_token_id": c.Pad, "torch_dtype": "float32"}
	if c.Labels != 2 {
		names, ids := map[string]string{}, map[string]int{}
		for i := range c.Labels {
			name := fmt.Sprintf("LABEL_%d", i)
			names[fmt.Sprint(i)], ids[name] = name, i
		}
		extra["id2label"], extra["label2id"] = names, ids
	}
	dropout := "classifier_dropout"
	if c.ModelType == TypeDistilBERT {
		dropout = "seq_classif_dropout"
	}
	if c.MeanPool && c.Head == Classification {
		extra["classifier_pooling"] = model.MeanPooling
	}
	if c.HeadDropout != nil {
		extra[dropout] = *c.HeadDropout
	}
	b, err := model.MarshalConfig(c, k.lacks, extra)
	if err != nil || len(k.keys) == 0 {
		return b, err
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(b, &keys); err != nil {
		return nil, err
	}
	for ours, theirs := range k.keys {
		keys[theirs] = keys[ours]
		delete(keys, ours)
	}
	b, err = json.MarshalIndent(keys, "", "  ")
	return append(b, '\n'), err
}

// Check reports the first field whose value no model can have.
func (c Config) Check() error {
	limits := []model.Limit{{Key: "vocab_size", Value: c.Vocab, Most: 1 << 24}, {Key: "max_position_embeddings", Value: c.Context, Most: 1 << 24},
		{Key: "hidden_size", Value: c.Width, Most: 1 << 18}, {Key: "num_hidden_layers", Value: c.Layers, Most: 1 << 12},
		{Key: "num_attention_heads", Value: c.Heads, Most: 1 << 12}, {Key: "intermediate_size", Value: c.Hidden, Most: 1 << 20},
		{Key: "num_labels", Value: c.Labels, Most: 1 << 20}}
	if c.ModelType != TypeDistilBERT {
		limits = append(limits, model.Limit{Key: "type_vocab_size", Value: c.Segments, Most: 1 << 10})
	}
	if err := model.CheckLimits(limits...); err != nil {
		return fmt.Errorf("bert: %w", err)
	}
	within := func(p float64) bool { return p >= 0 && p < 1 }
	k, known := kinds[c.ModelType]
	switch {
	case !known:
		return fmt.Errorf("bert: config.json: model_type %q is unknown", c.ModelType)
	case !slices.Contains(heads, c.Head) || c.Head == PreTraining && c.ModelType != TypeBERT:
		return fmt.Errorf("bert: config.json: architectures: %s%s is not implemented; implemented: %s with one of %v, of BERT only ForPreTraining", k.class, c.Head, k.class, heads)
	case c.Width%c.Heads != 0:
		return fmt.Errorf("bert: config.json: hidden_size %d is not a multiple of num_attention_heads %d", c.Width, c.Heads)
	case !(c.Eps > 0) || !(c.InitStd > 0):
		return fmt.Errorf("bert: config.json: layer_norm_eps %v and initializer_range %v must be positive", c.Eps, c.InitStd)
	case !within(c.Dropout) || !within(c.AttnDropout) || !within(c.headDropout()):
		return fmt.Errorf("bert: config.json: dropout %v, %v of attention, %v of the head: not from 0 to below 1", c.Dropout, c.AttnDropout, c.headDropout())
	case c.firstPosition() < 0 || c.firstPosition() >= c.Context:
		return fmt.Errorf("bert: config.json: pad_token_id %d leaves no position of max_position_embeddings %d", *c.Pad, c.Context)
	}
	if err := model.CheckActivation(c.Activation); err != nil {
		return fmt.Errorf("bert: config.json: hidden_act: %w", err)
	}
	return nil
}

func (c Config) headDropout() float64 {
	if c.HeadDropout != nil {
		return *c.HeadDropout
	}
	return c.Dropout
}

// firstPosition is the row of the table of positions that a text's first token has.
func (c Config) firstPosition() int {
	if c.ModelType == TypeRoBERTa && c.Pad != nil {
		return *c.Pad + 1
	}
	return 0
}

// pooled says whether the model has a pooler: BERT and RoBERTa without a head, and what BERT's paper puts on the first token.
func (c Config) pooled() bool {
	switch c.Head {
	case Body:
		return c.ModelType != TypeDistilBERT
	case PreTraining:
		return c.ModelType == TypeBERT
	case Classification:
		return c.ModelType == TypeBERT && !c.MeanPool
	}
	return false
}

// masked says whether the model predicts masked tokens.
func (c Config) masked() bool { return c.Head == PreTraining || c.Head == MaskedLM }

// Sizes are the facts that callers plan with.
func (c Config) Sizes() model.Sizes {
	return model.Sizes{Layers: c.Layers, Width: c.Width, Heads: c.Heads, KVHeads: c.Heads, HeadDim: c.Width / c.Heads, Vocab: c.Vocab, Context: c.Context - c.firstPosition()}
}

// Shape is the arithmetic of the configuration, without a task's head.
func (c Config) Shape() model.Shape {
	return model.Shape{Layers: c.Layers, Width: c.Width, Heads: c.Heads, Hidden: c.Hidden, Biases: model.LayerBiases, NormBias: true, NoFinalNorm: true, EmbedNorm: true,
		Segments: c.Segments, Vocab: c.Vocab, Context: c.Context, Bidirectional: true, Pooler: c.pooled(), MLM: c.masked(), NSP: c.Head == PreTraining}
}
