package t5_test

import (
	"context"
	"path/filepath"
	"slices"
	"testing"

	"github.com/plinth-ml/plinth/generate"
	"github.com/plinth-ml/plinth/internal/kernel/cpu"
	"github.com/plinth-ml/plinth/internal/testkit"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/model/t5"
	"github.com/plinth-ml/plinth/model/zoo"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
)

// A folder written here loads in transformers and computes the same there, and what transformers saves of it loads here: v1.0 and v1.1.
func TestInterop(t *testing.T) {
	for _, name := range []string{"t5-small", "t5-v1_1-small"} {
		s, err := t5.ByName(name)
		if err != nil {
			t.Fatal(err)
		}
		c := s.Config
		c.Vocab, c.Width, c.HeadDim, c.Hidden, c.Layers, c.DecoderLayers, c.Heads = 50, 24, 10, 40, 2, 2, 3
		m, err := t5.New(c)
		if err != nil {
			t.Fatal(err)
		}
		nn.Init(m.Params(), 8, false)
		dir, out := t.TempDir(), filepath.Join(t.TempDir(), "theirs")
		if err := zoo.Save(dir, m, nil); err != nil {
			t.Fatal(err)
		}
		source, target := []int32{9, 30, 2, 17, 17, 44, 5, 1}, []int32{12, 3, 40, 8, 1}
		var theirs struct {
			Loss   float64
			Logits []float32
			Greedy []int32
		}
		script := filepath.Join(testkit.Root(), "tools", "golden", "t5_check.py")
		testkit.Ask(t, script, []string{"torch", "transformers"}, map[string]any{"dir": dir, "source": source, "target": target, "out": out}, &theirs)
		for _, folder := range []string{dir, out} {
			m := open(t, folder, zoo.Options{}).(*t5.Model)
			k := cpu.New(cpu.Options{Threads: 2})
			tape := tensor.Inference(k)
			seqs := nn.NewSeqs(len(source))
			memory := m.Encode(tape, model.Input{IDs: tensor.IDs(source), Seqs: seqs})
			ids := shifted(m.Start(), target, []int{len(target)})
			x := model.Decode(m, tape, tensor.IDs(ids), nn.NewSeqs(len(ids)), memory, seqs.Spans)
			testkit.Close(t, name+" logits", m.Decoder().Head().Logits(tape, x).F32(), theirs.Logits, 1e-4, 0)
			found, err := generate.NewSeq2SeqSearcher(m, k).Search(context.Background(), []generate.SearchRequest{
				{Source: source, BeamOptions: generate.BeamOptions{Beams: 1, MaxTokens: 10, Stop: m.Ends()}}})
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(found[0][0].IDs, theirs.Greedy) {
				t.Errorf("%s writes %v, transformers %v", name, found[0][0].IDs, theirs.Greedy)
			}
		}
	}
}

// Keys that change the arithmetic and are not known are errors; values that no model can have, too.
func TestParseRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"unknown key":   `{"model_type":"t5","rotary":true}`,
		"other model":   `{"model_type":"umt5"}`,
		"no layers":     `{"model_type":"t5","num_layers":0}`,
		"activation":    `{"model_type":"t5","feed_forward_proj":"gated-maxout"}`,
		"buckets":       `{"model_type":"t5","relative_attention_num_buckets":30}`,
		"distance":      `{"model_type":"t5","relative_attention_max_distance":16}`,
		"start outside": `{"model_type":"t5","vocab_size":10,"decoder_start_token_id":10}`,
		"dropout":       `{"model_type":"t5","dropout_rate":1}`,
		"not json":      `{`,
	} {
		if _, err := t5.Parse([]byte(text)); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

// What is written is read as the same configuration, and v1.1 stays v1.1 in transformers 5's words.
func TestConfigRoundTrip(t *testing.T) {
	for _, s := range t5.Sizes {
		b, err := s.Config.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		c, err := t5.Parse(b)
		if err != nil {
			t.Fatalf("%s: %v\n%s", s.Name, err, b)
		}
		again, err := c.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		if string(again) != string(b) {
			t.Errorf("%s: %s became %s", s.Name, b, again)
		}
	}
	c, err := t5.Parse([]byte(`{"model_type":"t5","feed_forward_proj":"gated-gelu","tie_word_embeddings":true,"scale_decoder_outputs":false}`))
	if err != nil {
		t.Fatal(err)
	}
	m, err := t5.New(c)
	if err != nil {
		t.Fatal(err)
	}
	if m.Logits == nil {
		t.Error("v1.1 as transformers 5 writes it has no head of its own")
	}
}
