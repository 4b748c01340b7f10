package clip

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"strings"

	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/model/vision"
)

// Model types in config.json.
const (
	Type       = "clip"
	TypeSigLIP = "siglip" // Zhai et al. 2023, Sigmoid Loss for Language Image Pre-Training
)

// Config is the shape of a CLIP.
type Config struct {
	ModelType  string
	Projection int     // E, the length of the vectors that both towers end in
	ScaleInit  float64 // the logarithm that the factor of cosines starts at: ln(1/0.07)
	Sigmoid    bool    // logits have a bias, for the sigmoid loss; files of transformers cannot say so
	BiasInit   float64 // its first value: -10 (Zhai et al. 2023, section 3.2)
	Text       TextConfig
	Vision     VisionConfig
}

// tower is what both towers' configurations have, under the names of Hugging Face's text_config and vision_config.
type tower struct {
	Width      int     `json:"hidden_size"`
	Hidden     int     `json:"intermediate_size"`
	Layers     int     `json:"num_hidden_layers"`
	Heads      int     `json:"num_attention_heads"`
	Activation string  `json:"hidden_act"` // quick_gelu of OpenAI's models, gelu of LAION's and DataComp's
	Eps        float64 `json:"layer_norm_eps"`
}

// TextConfig is the shape of the tower for texts.
type TextConfig struct {
	tower
	Vocab   int `json:"vocab_size"`
	Context int `json:"max_position_embeddings"`
	BOS     int `json:"bos_token_id"`
	EOS     int `json:"eos_token_id"`
	Pad     int `json:"-"` // pad_token_id: with it SigLIP's texts are as long as the context
}

// Padded are a text's ids as the tower wants them: a SigLIP's as many as the context has.
func (c Config) Padded(ids []int32) []int32 {
	if c.siglip() {
		for len(ids) < c.Text.Context {
			ids = append(ids, int32(c.Text.Pad))
		}
	}
	return ids
}

// VisionConfig is the shape of the tower for pictures.
type VisionConfig struct {
	tower
	Side  int `json:"image_size"` // pixels
	Patch int `json:"patch_size"`

	Stages [4]int `json:"-"` // of a ResNet, the blocks of each stage: it has Side, Width (of the first stage) and Heads (of the attention at the end) beside; 0 of a ViT
}

func (c tower) layer(causal bool) vision.LayerConfig {
	return vision.LayerConfig{Width: c.Width, Heads: c.Heads, Hidden: c.Hidden, Layers: c.Layers, Act: model.Activations[c.Activation], Eps: c.Eps, Causal: causal}
}

func (c Config) siglip() bool { return c.ModelType == TypeSigLIP }

func (c Config) vit() vision.ViTConfig {
	return vision.ViTConfig{LayerConfig: c.Vision.tower.layer(false), Side: c.Vision.Side, Patch: c.Vision.Patch, Probed: c.siglip()}
}

// residual tells that the tower for pictures is a ResNet.
func (c Config) residual() bool { return c.Vision.Stages != [4]int{} }

func (c Config) resnet() vision.ResNetConfig {
	v := c.Vision
	return vision.ResNetConfig{Side: v.Side, Width: v.Width, Layers: v.Stages, Heads: v.Heads, Output: c.Projection}
}

// number is the shape of scale and bias in the family's files.
func (c Config) number() []int {
	if c.siglip() {
		return []int{1}
	}
	return nil
}

// scaleInit is ln(1/0.07) (Radford et al. 2021, section 2.5).
var scaleInit = math.Log(1 / 0.07)

// base is OpenAI's ViT-B/32, or SigLIP's ViT-B/16, which is what Hugging Face's file means where it says nothing.
func base(kind string) Config {
	if kind == TypeSigLIP {
		like := tower{768, 3072, 12, 12, "gelu_pytorch_tanh", 1e-6}
		return Config{ModelType: kind, Projection: 768, ScaleInit: math.Log(10), Sigmoid: true, BiasInit: -10, // section 3.2
			Text: TextConfig{tower: like, Vocab: 32000, Context: 64, Pad: 1}, Vision: VisionConfig{tower: like, Side: 224, Patch: 16}}
	}
	return Config{ModelType: Type, Projection: 512, ScaleInit: 2.6592,
		Text:   TextConfig{tower: tower{512, 2048, 12, 8, "quick_gelu", 1e-5}, Vocab: 49408, Context: 77, BOS: 49406, EOS: 49407},
		Vision: VisionConfig{tower: tower{768, 3072, 12, 12, "quick_gelu", 1e-5}, Side: 224, Patch: 32}}
}

// old are the keys of early files, which say what any model of transformers then had: nothing about the arithmetic.
var old = strings.Fields(`model_type initializer_factor initializer_range dropout add_cross_attention bad_words_ids begin_suppress_tokens cross_attention_hidden_size
	decoder_start_token_id diversity_penalty do_sample early_stopping encoder_no_repeat_ngram_size exponential_decay_length_penalty finetuning_task forced_bos_token_id
	forced_eos_token_id length_penalty max_length min_length no_repeat_ngram_size num_beam_groups num_beams num_return_sequences output_scores prefix
	pruned_heads remove_invalid_values repetition_penalty return_dict_in_generate sep_token_id suppress_tokens task_specific_params temperature tf_legacy_loss
	tie_encoder_decoder tie_word_embeddings tokenizer_class top_k top_p torchscript typical_p use_bfloat16 bos_token_id eos_token_id`)

// Parse reads a config.json of Hugging Face's CLIPModel or SiglipModel. A key that it does not know is an error, because it may change the arithmetic.
func Parse(data []byte) (Config, error) {
	kind, err := model.TypeOf(data)
	c := base(kind)
	fail := func(err error) (Config, error) { return c, fmt.Errorf("clip: %w", err) }
	if err != nil {
		return fail(err)
	}
	if kind != c.ModelType {
		return fail(fmt.Errorf("config.json: model_type is %q, not %s or %s", kind, Type, TypeSigLIP))
	}
	var whole struct {
		Projection int             `json:"projection_dim"`
		Scale      float64         `json:"logit_scale_init_value"`
		Text       json.RawMessage `json:"text_config"`
		Vision     json.RawMessage `json:"vision_config"`
		TextMore   json.RawMessage `json:"text_config_dict"` // of early files: its keys come before those of text_config
		VisionMore json.RawMessage `json:"vision_config_dict"`
	}
	whole.Projection, whole.Scale = c.Projection, c.ScaleInit
	var kinds struct {
		Architectures []string `json:"architectures"`
	}
	if err := json.Unmarshal(data, &kinds); err != nil {
		return fail(fmt.Errorf("config.json: %w", err))
	}
	for _, a := range kinds.Architectures {
		if a != c.class() {
			return fail(fmt.Errorf("config.json: architectures: %s is not implemented; implemented: %s", a, c.class()))
		}
	}
	if err := model.ParseConfig(data, &whole, model.Keys{Neutral: old}); err != nil {
		return fail(err)
	}
	c.Projection, c.ScaleInit = whole.Projection, whole.Scale
	for _, part := range []struct {
		name       string
		text, more json.RawMessage
		to         any
		fixed      map[string]string
	}{{"text_config", whole.Text, whole.TextMore, &c.Text, nil},
		{"vision_config", whole.Vision, whole.VisionMore, &c.Vision, map[string]string{"num_channels": "3", "vision_use_head": "true"}}} {
		object, err := joined(part.text, part.more)
		if err != nil {
			return fail(fmt.Errorf("config.json: %s: %w", part.name, err))
		}
		neutral := old
		if part.name == "text_config" { // where they name ids of this tower
			neutral = old[:len(old)-2]
		}
		if err := model.ParseConfig(object, part.to, model.Keys{Neutral: append([]string{"projection_dim", "projection_size"}, neutral...), Fixed: part.fixed}); err != nil {
			return fail(fmt.Errorf("%s: %w", part.name, err))
		}
	}
	if c.siglip() {
		if err := c.siglipOnly(whole.Text); err != nil {
			return fail(err)
		}
	}
	return c, c.Check()
}

// class is the name in architectures.
func (c Config) class() string {
	if c.siglip() {
		return "SiglipModel"
	}
	return "CLIPModel"
}

// siglipOnly takes what SigLIP's text_config says and CLIP's does not: what texts are padded with, and how long their vectors are. Those of pictures are as long as
// their tower is wide.
func (c *Config) siglipOnly(text json.RawMessage) error {
	t := struct {
		Pad        int  `json:"pad_token_id"`
		Projection *int `json:"projection_size"` // null or none: as wide as the tower
	}{Pad: c.Text.Pad}
	if len(text) > 0 {
		if err := json.Unmarshal(text, &t); err != nil {
			return fmt.Errorf("config.json: text_config: %w", err)
		}
	}
	c.Text.Pad, c.Text.BOS, c.Text.EOS = t.Pad, 0, 0
	c.Projection = c.Text.Width
	if t.Projection != nil {
		c.Projection = *t.Projection
	}
	if c.Projection != c.Vision.Width {
		return fmt.Errorf("config.json: vectors of texts have length %d (projection_size), those of pictures %d (hidden_size)", c.Projection, c.Vision.Width)
	}
	return nil
}

// joined returns the object a with the keys of b, either of which may be absent, over its own.
func joined(a, b json.RawMessage) (json.RawMessage, error) {
	keys := map[string]json.RawMessage{}
	for _, object := range []json.RawMessage{a, b} {
		if len(bytes.TrimSpace(object)) == 0 || string(object) == "null" {
			continue
		}
		var more map[string]json.RawMessage
		if err := json.Unmarshal(object, &more); err != nil {
			return nil, err
		}
		maps.Copy(keys, more)
	}
	return json.Marshal(keys)
}

// Marshal writes config.json as transformers reads it.
func (c Config) Marshal() ([]byte, error) {
	if c.siglip() {
		return c.marshalSigLIP()
	}
	if c.residual() {
		return nil, fmt.Errorf("clip: transformers' CLIPModel has no ResNet: such a model is a folder of open_clip")
	}
	if c.Sigmoid {
		return nil, fmt.Errorf("clip: transformers' CLIPModel has no bias of logits: such a model is a folder of open_clip")
	}
	text, err := model.MarshalConfig(c.Text, nil, map[string]any{"model_type": "clip_text_model", "projection_dim": c.Projection, "pad_token_id": c.Text.EOS})
	if err != nil {
		return nil, err
	}
	pictures, err := model.MarshalConfig(c.Vision, nil, map[string]any{"model_type": "clip_vision_model", "projection_dim": c.Projection, "num_channels": 3})
	if err != nil {
		return nil, err
	}
	b, err := json.MarshalIndent(map[string]any{"architectures": []string{"CLIPModel"}, "model_type": Type, "projection_dim": c.Projection, "logit_scale_init_value": c.ScaleInit,
		"torch_dtype": "float32", "text_config": json.RawMessage(text), "vision_config": json.RawMessage(pictures)}, "", "  ")
	return append(b, '\n'), err
}

func (c Config) marshalSigLIP() ([]byte, error) {
	text, err := model.MarshalConfig(c.Text, []string{"bos_token_id", "eos_token_id"}, map[string]any{"model_type": "siglip_text_model", "projection_size": c.Projection, "pad_token_id": c.Text.Pad})
	if err != nil {
		return nil, err
	}
	pictures, err := model.MarshalConfig(c.Vision, nil, map[string]any{"model_type": "siglip_vision_model", "num_channels": 3})
	if err != nil {
		return nil, err
	}
	b, err := json.MarshalIndent(map[string]any{"architectures": []string{c.class()}, "model_type": TypeSigLIP, "torch_dtype": "float32", "text_config": json.RawMessage(text),
		"vision_config": json.RawMessage(pictures)}, "", "  ")
	return append(b, '\n'), err
}

// Check reports the first field whose value no model can have.
func (c Config) Check() error {
	check := func(name string, t tower, more ...model.Limit) error {
		limits := append([]model.Limit{{Key: "hidden_size", Value: t.Width, Most: 1 << 18}, {Key: "intermediate_size", Value: t.Hidden, Most: 1 << 20},
			{Key: "num_hidden_layers", Value: t.Layers, Most: 1 << 12}, {Key: "num_attention_heads", Value: t.Heads, Most: 1 << 12}}, more...)
		if err := model.CheckLimits(limits...); err != nil {
			return fmt.Errorf("clip: %s: %w", name, err)
		}
		if t.Width%t.Heads != 0 {
			return fmt.Errorf("clip: %s: hidden_size %d is not a multiple of num_attention_heads %d", name, t.Width, t.Heads)
		}
		if !(t.Eps > 0) {
			return fmt.Errorf("clip: %s: layer_norm_eps %v must be positive", name, t.Eps)
		}
		if err := model.CheckActivation(t.Activation); err != nil {
			return fmt.Errorf("clip: %s: hidden_act: %w", name, err)
		}
		return nil
	}
	if err := model.CheckLimits(model.Limit{Key: "projection_dim", Value: c.Projection, Most: 1 << 18}); err != nil {
		return fmt.Errorf("clip: %w", err)
	}
	if err := check("text_config", c.Text.tower, model.Limit{Key: "vocab_size", Value: c.Text.Vocab, Most: 1 << 24}, model.Limit{Key: "max_position_embeddings", Value: c.Text.Context, Most: 1 << 24}); err != nil {
		return err
	}
	if c.residual() {
		if err := c.checkResNet(); err != nil {
			return err
		}
	} else if err := check("vision_config", c.Vision.tower, model.Limit{Key: "image_size", Value: c.Vision.Side, Most: 1 << 14}, model.Limit{Key: "patch_size", Value: c.Vision.Patch, Most: c.Vision.Side}); err != nil {
		return err
	}
	if math.IsNaN(c.ScaleInit) || c.ScaleInit > 100 || c.ScaleInit < -100 {
		return fmt.Errorf("clip: logit_scale_init_value %v is not within -100 to 100", c.ScaleInit)
	}
	return nil
}

// checkResNet is Check of the tower for pictures where it is a ResNet.
func (c Config) checkResNet() error {
	v := c.Vision
	limits := []model.Limit{{Key: "width", Value: v.Width, Most: 1 << 12}, {Key: "image_size", Value: v.Side, Most: 1 << 14}, {Key: "heads", Value: v.Heads, Most: 1 << 12}}
	for _, n := range v.Stages {
		limits = append(limits, model.Limit{Key: "layers", Value: n, Most: 1 << 10})
	}
	err := model.CheckLimits(limits...)
	switch features := c.resnet().Features(); {
	case err != nil:
	case v.Side%32 != 0:
		err = fmt.Errorf("image_size %d is not a multiple of 32, of a ResNet", v.Side)
	case v.Width%2 != 0:
		err = fmt.Errorf("width %d is odd: the first convolution has half as many channels", v.Width)
	case features%v.Heads != 0:
		err = fmt.Errorf("%d heads of %d features", v.Heads, features)
	case c.siglip():
		err = fmt.Errorf("a SigLIP with a ResNet is not implemented")
	}
	if err != nil {
		return fmt.Errorf("clip: vision_cfg: %w", err)
	}
	return nil
}
