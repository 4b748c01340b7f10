package clip_test

import (
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/internal/kernel/cpu"
	"github.com/plinth-ml/plinth/internal/random"
	"github.com/plinth-ml/plinth/model/clip"
	"github.com/plinth-ml/plinth/model/vision"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
)

// Parameters as published, in millions where the tables round.
func TestParameterCounts(t *testing.T) {
	published := map[string]float64{"clip-vit-base-patch32": 151.277313, "clip-vit-base-patch16": 149.62, "clip-vit-large-patch14": 427.62, "clip-vit-large-patch14-336": 427.94,
		"clip-resnet-50": 102.01, "clip-resnet-101": 119.69, "clip-resnet-50x4": 178.30, "clip-resnet-50x16": 290.98, "clip-resnet-50x64": 623.26, "siglip-base-patch16": 203.155970}
	for _, s := range clip.Sizes {
		m, err := clip.New(s.Config)
		if err != nil {
			t.Fatal(err)
		}
		want, ok := published[s.Name] // the others are our own
		if n := float64(nn.Count(m.Params())) / 1e6; ok && (math.Abs(n-want) > 0.0051 || s.Name == "clip-vit-base-patch32" && n != want) {
			t.Errorf("%s has %.6f million parameters, published %v", s.Name, n, want)
		}
		delete(published, s.Name)
	}
	if len(published) > 0 {
		t.Errorf("no sizes: %v", published)
	}
}

// named is a row of the table.
func named(t *testing.T, name string) clip.Config {
	t.Helper()
	for _, s := range clip.Sizes {
		if s.Name == name {
			return s.Config
		}
	}
	t.Fatalf("there is no %s", name)
	return clip.Config{}
}

// Published arithmetic in GFLOP of a picture and of a text of 77 tokens, a multiply-add being two; ours leaves out what a last layer need not make.
func TestCost(t *testing.T) {
	for name, published := range map[string]float64{"clip-vit-base-patch32": 8.82 + 5.96, "clip-resnet-50": 12.22 + 5.96, "clip-resnet-101": 19.54 + 5.96, "clip-resnet-50x4": 42.56 + 9.27} {
		m, err := clip.New(named(t, name))
		if err != nil {
			t.Fatal(err)
		}
		tokens := 1.0 + 77
		if m.ViT != nil {
			tokens = 50 + 77
		}
		c := m.Cost(77)
		if got := (c.Matrix + c.Attention) * tokens / 1e9; got > published || got < 0.9*published {
			t.Errorf("%s: %.2f GFLOP for a picture and a text, published %.2f", name, got, published)
		}
	}
}

func TestConfigRoundTrip(t *testing.T) {
	for _, s := range clip.Sizes {
		b, err := s.Config.Marshal()
		var c clip.Config
		if s.Config.Vision.Stages != [4]int{} {
			if err == nil || !strings.Contains(err.Error(), "open_clip") {
				t.Errorf("%s: a folder of transformers: %v", s.Name, err)
			}
		} else if c, err = clip.Parse(b); err != nil || !reflect.DeepEqual(c, s.Config) {
			t.Errorf("%s: %+v became %+v: %v\n%s", s.Name, s.Config, c, err, b)
		}
		if s.Config.ModelType != clip.Type {
			continue
		}
		with := s.Config
		with.Sigmoid, with.BiasInit = true, -10
		for _, want := range []clip.Config{s.Config, with} {
			if b, err = want.MarshalOpenCLIP(); err != nil {
				t.Fatal(err)
			}
			if c, err = clip.ParseOpenCLIP(b); err != nil || !reflect.DeepEqual(c, want) {
				t.Errorf("%s: %+v became %+v: %v", s.Name, want, c, err)
			}
		}
	}
}

// What early files of transformers and of open_clip say is understood.
func TestParsePublished(t *testing.T) {
	c, err := clip.Parse([]byte(`{"architectures": ["CLIPModel"], "model_type": "clip", "projection_dim": 768, "text_config": {"hidden_size": 16, "torchscript": false},
		"text_config_dict": {"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12, "eos_token_id": 2}, "vision_config_dict": null}`))
	if err != nil || c.Text.Width != 768 || c.Text.EOS != 2 || c.Vision.Side != 224 || c.Projection != 768 {
		t.Errorf("%+v: %v", c, err)
	}
	c, err = clip.ParseOpenCLIP([]byte(`{"embed_dim": 512, "vision_cfg": {"image_size": 224, "layers": 12, "width": 768, "patch_size": 32},
		"text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 512, "heads": 8, "layers": 12}}`))
	if want := named(t, "clip-vit-base-patch32"); err != nil || c.Vision.Activation != "gelu" || c.Vision.Patch != want.Vision.Patch || c.Text.Hidden != want.Text.Hidden {
		t.Errorf("%+v: %v", c, err)
	}
}

// A key or a value that would change the arithmetic is an error that names it.
func TestParseRefuses(t *testing.T) {
	for _, c := range []struct{ text, names string }{
		{`{"model_type": "clip", "mystery": 2}`, "mystery"},
		{`{"model_type": "clip", "text_config": {"mystery": 2}}`, "text_config"},
		{`{"model_type": "clip", "vision_config": {"num_channels": 4}}`, "num_channels"},
		{`{"model_type": "clip", "vision_config": {"hidden_size": 100, "num_attention_heads": 3}}`, "vision_config: hidden_size"},
		{`{"model_type": "clip", "vision_config": {"patch_size": 300}}`, "patch_size"},
		{`{"model_type": "clip", "text_config": {"hidden_act": "maxout"}}`, "maxout"},
		{`{"model_type": "clip", "projection_dim": 0}`, "projection_dim"},
		{`{"model_type": "clip", "architectures": ["CLIPTextModel"]}`, "CLIPTextModel"},
		{`{"model_type": "clip", "text_config": 3}`, "text_config"},
		{`{`, "config.json"},
	} {
		if _, err := clip.Parse([]byte(c.text)); err == nil || !strings.Contains(err.Error(), c.names) {
			t.Errorf("%s: %v", c.text, err)
		}
	}
	for _, c := range []struct{ text, names string }{
		{`{"embed_dim": 8, "vision_cfg": {"timm_model_name": "x"}, "text_cfg": {}}`, "timm_model_name"},
		{`{"embed_dim": 8, "vision_cfg": {"layers": 2, "width": 64, "image_size": 8, "patch_size": 2}, "text_cfg": {"hf_model_name": "x"}}`, "hf_model_name"},
		{`{"embed_dim": 8, "vision_cfg": {"layers": 2, "width": 64, "image_size": 8, "patch_size": 2, "head_width": 0}, "text_cfg": {}}`, "head_width"},
		{`{"embed_dim": 8, "vision_cfg": {"layers": [1, 2, 3], "width": 64, "image_size": 64, "patch_size": null}, "text_cfg": {}}`, "four numbers"},
		{`{"embed_dim": 8, "vision_cfg": {"layers": [1, 2, 3, 0], "width": 64, "image_size": 64, "patch_size": null}, "text_cfg": {}}`, "layers"},
		{`{"embed_dim": 8, "vision_cfg": {"layers": [1, 2, 3, 1], "width": 64, "image_size": 72, "patch_size": null}, "text_cfg": {}}`, "image_size 72"},
		{`{"embed_dim": 8, "vision_cfg": {"layers": [1, 2, 3, 1], "width": 3, "image_size": 64, "patch_size": null}, "text_cfg": {}}`, "width 3"},
		{`{"embed_dim": 8, "vision_cfg": {"layers": "many", "width": 64, "image_size": 64, "patch_size": 8}, "text_cfg": {}}`, "layers"},
		{`{"model_cfg": 3}`, "open_clip"},
	} {
		if _, err := clip.ParseOpenCLIP([]byte(c.text)); err == nil || !strings.Contains(err.Error(), c.names) {
			t.Errorf("%s: %v", c.text, err)
		}
	}
}

// A picture's and a text's vector have the same bits whatever is beside them, and patches that are left out are as if they were not there.
func TestBatchAndKeep(t *testing.T) {
	m, err := clip.New(clip.Shape{Side: 16, Patch: 4, Width: 64, Layers: 3, TextWidth: 64, TextLayers: 2, Vocab: 30, Context: 9, Projection: 16}.Config())
	if err != nil {
		t.Fatal(err)
	}
	nn.Init(m.Params(), 2, false)
	const size = 3 * 16 * 16
	pixels, key := make([]float32, 3*size), random.NewKey(1)
	for i := range pixels {
		pixels[i] = float32(key.Normal(uint64(i)))
	}
	tape := tensor.Evaluation(cpu.New(cpu.Options{Threads: 2}))
	all := m.Images(tape, vision.Images{Side: 16, Pixels: pixels}).F32()
	keep := [][]int32{{0, 5, 15}, {3}, {1, 2, 3, 4}}
	some := m.Images(tape, vision.Images{Side: 16, Pixels: pixels, Keep: keep}).F32()
	full := make([]int32, 16)
	for i := range full {
		full[i] = int32(i)
	}
	for i := range 3 {
		one := pixels[i*size : (i+1)*size]
		if got := m.Images(tape, vision.Images{Side: 16, Pixels: one}).F32(); !reflect.DeepEqual(got, all[i*16:(i+1)*16]) {
			t.Errorf("picture %d alone has another vector", i)
		}
		if got := m.Images(tape, vision.Images{Side: 16, Pixels: one, Keep: [][]int32{full}}).F32(); !reflect.DeepEqual(got, all[i*16:(i+1)*16]) {
			t.Errorf("picture %d with all patches named has another vector", i)
		}
		got := m.Images(tape, vision.Images{Side: 16, Pixels: one, Keep: keep[i : i+1]}).F32()
		if !reflect.DeepEqual(got, some[i*16:(i+1)*16]) {
			t.Errorf("picture %d with some patches alone has another vector", i)
		}
		hidden := append([]float32(nil), one...)
		for c := range 3 { // patch 6, in the second row, is in no list
			for y := range 4 {
				for x := range 4 {
					hidden[(c*16+4+y)*16+8+x] = float32(math.NaN())
				}
			}
		}
		if got := m.Images(tape, vision.Images{Side: 16, Pixels: hidden, Keep: keep[i : i+1]}).F32(); !reflect.DeepEqual(got, some[i*16:(i+1)*16]) {
			t.Errorf("picture %d: a patch that is left out is seen", i)
		}
	}
	texts := m.Texts(tape, tensor.IDs([]int32{28, 4, 5, 29, 28, 29}), nn.NewSeqs(4, 2)).F32()
	if got := m.Texts(tape, tensor.IDs([]int32{28, 29}), nn.NewSeqs(2)).F32(); !reflect.DeepEqual(got, texts[16:]) {
		t.Error("a text alone has another vector")
	}
}

func TestSettle(t *testing.T) {
	m, err := clip.New(clip.Shape{Side: 8, Patch: 4, Width: 64, Layers: 1, TextWidth: 64, TextLayers: 1, Vocab: 9, Context: 9, Projection: 8}.Config())
	if err != nil {
		t.Fatal(err)
	}
	nn.Init(m.Params(), 2, false)
	if f := m.Factor(); math.Abs(f-1/0.07) > 1e-4 {
		t.Errorf("the factor starts at %v", f)
	}
	for _, c := range [][2]float32{{3, 3}, {9, float32(clip.MaxScale)}} {
		m.Scale.T().F32()[0] = c[0]
		m.Settle()
		if got := m.Scale.T().F32()[0]; got != c[1] {
			t.Errorf("%v became %v", c[0], got)
		}
	}
}
