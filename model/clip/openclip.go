package clip

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/plinth-ml/plinth/model"
)

// openCLIP is model_cfg of open_clip's open_clip_config.json.
type openCLIP struct {
	Embed      int             `json:"embed_dim"`
	QuickGELU  bool            `json:"quick_gelu"`
	CustomText bool            `json:"custom_text,omitempty"` // the text tower's tensors begin with "text."
	ScaleInit  *float64        `json:"init_logit_scale,omitempty"`
	BiasInit   *float64        `json:"init_logit_bias,omitempty"`
	Vision     json.RawMessage `json:"vision_cfg"`
	Text       json.RawMessage `json:"text_cfg"`
}

type openVision struct {
	Side      int             `json:"image_size"`
	Layers    json.RawMessage `json:"layers"` // a number; of a ResNet a list
	Width     int             `json:"width"`
	Patch     *int            `json:"patch_size"`
	HeadWidth int             `json:"head_width,omitempty"`
	MLPRatio  float64         `json:"mlp_ratio,omitempty"`
}

type openText struct {
	Context  int     `json:"context_length"`
	Vocab    int     `json:"vocab_size"`
	Width    int     `json:"width"`
	Heads    int     `json:"heads"`
	Layers   int     `json:"layers"`
	MLPRatio float64 `json:"mlp_ratio,omitempty"`

	// Tokenizer says that the folder has a tokenizer of its own; what it is called does not matter. Without it open_clip takes OpenAI's.
	Tokenizer string `json:"hf_tokenizer_name,omitempty"`
}

// openAIVocab is the number of ids of OpenAI's tokenizer.
const openAIVocab = 49408

// ParseOpenCLIP reads the model_cfg of an open_clip_config.json, or a file of open_clip's model_configs. A key that it does not know is an error, because it may
// change the arithmetic.
func ParseOpenCLIP(data []byte) (Config, error) {
	c := base(Type)
	fail := func(err error) (Config, error) { return c, fmt.Errorf("clip: open_clip's %w", err) }
	var file struct {
		Model json.RawMessage `json:"model_cfg"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return fail(fmt.Errorf("configuration: %w", err))
	}
	if len(file.Model) > 0 {
		data = file.Model
	}
	var o openCLIP
	if err := model.ParseConfig(data, &o, model.Keys{}); err != nil {
		return fail(err)
	}
	v, t := openVision{HeadWidth: 64, MLPRatio: 4}, openText{Context: 77, Vocab: openAIVocab, Width: 512, Heads: 8, Layers: 12, MLPRatio: 4}
	if err := model.ParseConfig(o.Vision, &v, model.Keys{}); err != nil {
		return fail(fmt.Errorf("vision_cfg: %w", err))
	}
	if err := model.ParseConfig(o.Text, &t, model.Keys{}); err != nil {
		return fail(fmt.Errorf("text_cfg: %w", err))
	}
	c.Projection, c.ScaleInit = o.Embed, scaleInit
	if o.ScaleInit != nil {
		c.ScaleInit = *o.ScaleInit
	}
	if o.BiasInit != nil {
		c.Sigmoid, c.BiasInit = true, *o.BiasInit
	}
	act := "gelu"
	if o.QuickGELU {
		act = "quick_gelu"
	}
	ratio := func(width int, r float64) int { return int(float64(width) * r) }
	c.Text.tower = tower{t.Width, ratio(t.Width, t.MLPRatio), t.Layers, t.Heads, act, 1e-5}
	c.Text.Vocab, c.Text.Context, c.Text.BOS, c.Text.EOS = t.Vocab, t.Context, t.Vocab-2, t.Vocab-1
	if v.HeadWidth < 1 {
		return fail(fmt.Errorf("vision_cfg: head_width is %d", v.HeadWidth))
	}
	var stages []int
	if err := json.Unmarshal(v.Layers, &stages); err == nil {
		if len(stages) != 4 {
			return fail(fmt.Errorf("vision_cfg: layers is %s, of a ResNet four numbers are wanted", v.Layers))
		}
		c.Vision = VisionConfig{tower: tower{Width: v.Width, Heads: v.Width * 32 / v.HeadWidth}, Side: v.Side, Stages: [4]int(stages)}
		if !c.residual() {
			return fail(fmt.Errorf("vision_cfg: layers is %s", v.Layers))
		}
		return c, c.Check()
	}
	var layers int
	if err := json.Unmarshal(v.Layers, &layers); err != nil || v.Patch == nil {
		return fail(fmt.Errorf("vision_cfg: layers is %s, patch_size %v: a number each, of a Vision Transformer, or four numbers, of a ResNet, are implemented", v.Layers, v.Patch))
	}
	if v.Width < v.HeadWidth {
		return fail(fmt.Errorf("vision_cfg: head_width %d does not divide width %d", v.HeadWidth, v.Width))
	}
	c.Vision = VisionConfig{tower: tower{v.Width, ratio(v.Width, v.MLPRatio), layers, v.Width / v.HeadWidth, act, 1e-5}, Side: v.Side, Patch: *v.Patch}
	return c, c.Check()
}

// MarshalOpenCLIP writes open_clip_config.json, but for preprocess_cfg. Where open_clip cannot say what the configuration is, it is an error.
func (c Config) MarshalOpenCLIP() ([]byte, error) {
	t := c.Text
	switch {
	case c.siglip():
		return nil, fmt.Errorf("clip: a SigLIP's folder is one of transformers")
	case !slices.Contains([]string{"gelu", "quick_gelu"}, t.Activation):
		return nil, fmt.Errorf("clip: open_clip has gelu or quick_gelu in the tower for texts, not %s", t.Activation)
	case t.Eps != 1e-5:
		return nil, fmt.Errorf("clip: open_clip's norms have an epsilon of 1e-5, not %v", t.Eps)
	}
	v, err := c.openVision()
	if err != nil {
		return nil, err
	}
	pictures, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	own := ""
	if t.Vocab != openAIVocab {
		own = "tokenizer.json"
	}
	text, err := json.Marshal(openText{t.Context, t.Vocab, t.Width, t.Heads, t.Layers, float64(t.Hidden) / float64(t.Width), own})
	if err != nil {
		return nil, err
	}
	o := openCLIP{Embed: c.Projection, QuickGELU: t.Activation == "quick_gelu", ScaleInit: &c.ScaleInit, Vision: pictures, Text: text}
	if c.Sigmoid {
		o.BiasInit = &c.BiasInit
	}
	b, err := json.MarshalIndent(map[string]any{"model_cfg": o}, "", "  ")
	return append(b, '\n'), err
}

// openVision is vision_cfg.
func (c Config) openVision() (o openVision, err error) {
	t, v := c.Text, c.Vision
	if c.residual() {
		o = openVision{Side: v.Side, Width: v.Width, HeadWidth: c.resnet().Features() / v.Heads}
		o.Layers, err = json.Marshal(v.Stages)
		return o, err
	}
	switch {
	case t.Activation != v.Activation:
		return o, fmt.Errorf("clip: open_clip has one activation in both towers, not %s in that of texts and %s in that of pictures", t.Activation, v.Activation)
	case v.Eps != 1e-5:
		return o, fmt.Errorf("clip: open_clip's norms have an epsilon of 1e-5, not %v", v.Eps)
	}
	o = openVision{Side: v.Side, Width: v.Width, Patch: &v.Patch, HeadWidth: v.Width / v.Heads, MLPRatio: float64(v.Hidden) / float64(v.Width)}
	o.Layers, err = json.Marshal(v.Layers)
	return o, err
}
