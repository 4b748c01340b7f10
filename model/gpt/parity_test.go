package gpt_test

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/plinth-ml/plinth/checkpoint"
	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/internal/kernel/suite"
	"github.com/plinth-ml/plinth/internal/testkit"
	"github.com/plinth-ml/plinth/model/gpt"
	"github.com/plinth-ml/plinth/model/zoo"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
)

// load reads a golden model folder, as transformers wrote it.
func load(t *testing.T, c *testkit.Case, train bool) *gpt.Model {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(c.Dir, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	var keys map[string]any
	if err := json.Unmarshal(b, &keys); err != nil {
		t.Fatal(err)
	}
	if w, ok := keys["window_size"]; ok { // the golden's own name for our kind of model
		delete(keys, "window_size")
		keys["model_type"], keys["window"] = gpt.TypeGPT3, w
	}
	if b, err = json.Marshal(keys); err != nil {
		t.Fatal(err)
	}
	config, err := gpt.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	m, err := gpt.New(config)
	if err != nil {
		t.Fatal(err)
	}
	nn.Alloc(m.Params(), train)
	f, err := checkpoint.Open(filepath.Join(c.Dir, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := zoo.Load(f, checkpoint.HuggingFace, m); err != nil {
		t.Fatal(err)
	}
	return m
}

// next returns the targets of sequences: the following token of each, -1 at the end.
func next(ids []int32, lengths ...int) (targets []int32, counted int) {
	row := 0
	for _, n := range lengths {
		for i := range n {
			if i+1 < n {
				targets = append(targets, ids[row+i+1])
				counted++
			} else {
				targets = append(targets, -1)
			}
		}
		row += n
	}
	return targets, counted
}

// TestParity compares logits, loss and every gradient with transformers (GPT-2) and PyTorch (banded GPT-3).
func TestParity(t *testing.T) {
	for _, name := range []string{"gpt2-tiny", "gpt3-tiny"} {
		c := testkit.Golden(t, name)
		for _, k := range suite.Sets() {
			t.Run(name+"/"+k.Name, func(t *testing.T) {
				ids := c.I32("input_ids")
				shape := c.Shape("input_ids") // [B, T]
				lengths := make([]int, shape[0])
				for i := range lengths {
					lengths[i] = shape[1]
				}
				compare(t, k, c, "", ids, lengths, [][]float32{c.F32("logits")})
				ragged := append(append([]int32(nil), c.I32("ragged.input_ids.0")...), c.I32("ragged.input_ids.1")...)
				lengths = []int{len(c.I32("ragged.input_ids.0")), len(c.I32("ragged.input_ids.1"))}
				compare(t, k, c, "ragged.", ragged, lengths, [][]float32{c.F32("ragged.logits.0"), c.F32("ragged.logits.1")})
			})
		}
	}
}

func compare(t *testing.T, k *kernel.Set, c *testkit.Case, prefix string, ids []int32, lengths []int, logits [][]float32) {
	t.Helper()
	for _, recompute := range []bool{false, true} {
		m := load(t, c, true)
		tape := tensor.Training(k)
		seqs := nn.NewSeqs(lengths...)
		targets, counted := next(ids, lengths...)
		x := m.Embed(tape, tensor.IDs(ids), seqs)
		for l := range m.Config.Layers {
			if recompute {
				x = tape.Recompute(x, func(x *tensor.Tensor) *tensor.Tensor { return m.Body(tape, x, seqs, nil, l, l+1) })
			} else {
				x = m.Body(tape, x, seqs, nil, l, l+1)
			}
		}
		x = m.Norm(tape, x)
		got := append([]float32(nil), m.Head().Logits(tape, x).F32()...)
		var want []float32
		for _, l := range logits {
			want = append(want, l...)
		}
		testkit.Close(t, prefix+"logits", got, want, 1e-4, 0)

		loss := m.Head().Loss(tape, x, tensor.CrossEntropy{Targets: tensor.IDs(targets), Scale: 1 / float64(counted)})
		sum := 0.0
		for _, l := range loss.F32() {
			sum += float64(l)
		}
		if want := c.Scalar(prefix + "loss"); math.Abs(sum/float64(counted)-want) > 1e-5*want {
			t.Errorf("%sloss %v, want %v", prefix, sum/float64(counted), want)
		}
		tape.Backward()
		for _, p := range m.Params() {
			g := "grad." + p.Name
			testkit.Close(t, prefix+g, p.T().Grad.F32(), c.F32(prefix+g), 1e-4, 1e-7*c.Norm(prefix+"grad."))
		}
	}
}

// A key that nobody told the loader about may change the arithmetic.
func TestParseRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"unknown key":        `{"model_type":"gpt2","rotary_dim":64}`,
		"other arithmetic":   `{"model_type":"gpt2","scale_attn_by_inverse_layer_idx":true}`,
		"other model":        `{"model_type":"llama"}`,
		"heads":              `{"model_type":"gpt2","n_embd":10,"n_head":3}`,
		"huge":               `{"model_type":"gpt2","n_embd":1000000000}`,
		"negative":           `{"model_type":"gpt2","n_layer":-1}`,
		"activation":         `{"model_type":"gpt2","activation_function":"maxout"}`,
		"banded gpt2":        `{"model_type":"gpt2","window":4}`,
		"not json":           `{`,
		"wrong type":         `{"model_type":"gpt2","n_layer":"12"}`,
		"head_dim with gpt2": `{"model_type":"gpt2","n_embd":64,"n_head":2,"head_dim":64}`,
	} {
		if _, err := gpt.Parse([]byte(text)); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

func TestConfigRoundTrip(t *testing.T) {
	for _, s := range gpt.Sizes {
		b, err := s.Config.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		c, err := gpt.Parse(b)
		if err != nil {
			t.Fatalf("%s: %v\n%s", s.Name, err, b)
		}
		if c != s.Config {
			t.Errorf("%s: %+v became %+v", s.Name, s.Config, c)
		}
	}
}
