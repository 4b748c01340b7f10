package zoo_test

import (
	"encoding/json"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/checkpoint"
	"github.com/plinth-ml/plinth/internal/kernel/cpu"
	"github.com/plinth-ml/plinth/internal/testkit"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/model/zoo"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
)

// tiny holds the keys of a small config.json for every decoder, beside its model_type: each with the parts that set the family apart.
var tiny = map[string]string{
	"gpt2":        `"vocab_size": 288, "n_positions": 64, "n_embd": 24, "n_layer": 2, "n_head": 3, "initializer_range": 0.3`,
	"plinth_gpt3": `"vocab_size": 288, "n_positions": 64, "n_embd": 24, "n_layer": 2, "n_head": 3, "initializer_range": 0.3, "window": 4`,
	"llama":       `"head_dim": 10, "attention_bias": true, "rope_theta": 500, "rope_scaling": {"type": "linear", "factor": 2},` + grouped,
	"mistral":     `"sliding_window": 4,` + grouped,
	"qwen2":       `"tie_word_embeddings": true, "use_sliding_window": true, "max_window_layers": 1, "sliding_window": 4,` + grouped,
	"qwen3":       `"head_dim": 10,` + grouped,
	"phi3":        `"partial_rotary_factor": 0.67, "pad_token_id": 0,` + grouped,
	"mixtral":     `"num_local_experts": 4,` + grouped,
	"gpt_neox": `"vocab_size": 288, "max_position_embeddings": 64, "hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 2,
		"num_attention_heads": 2, "rotary_pct": 0.5, "initializer_range": 0.3`,
	"gptj":        `"vocab_size": 288, "n_positions": 64, "n_embd": 24, "n_layer": 2, "n_head": 2, "rotary_dim": 4, "initializer_range": 0.3`,
	"plinth_palm": `"vocab_size": 288, "max_position_embeddings": 64, "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3, "head_dim": 10`,
	"gemma":       `"head_dim": 10,` + grouped,
	"gemma2":      `"head_dim": 10, "sliding_window": 4, "query_pre_attn_scalar": 7, "final_logit_softcapping": 3, "attn_logit_softcapping": 2,` + grouped,
	"gemma3_text": `"head_dim": 10, "sliding_window": 4, "query_pre_attn_scalar": 7, "sliding_window_pattern": 2, "rope_scaling": {"rope_type": "linear", "factor": 2},` + grouped,
	"gemma3":      `"vision_config": {}, "text_config": {"head_dim": 10, "sliding_window": 4,` + grouped + `}`,
}

// grouped is a shape in Llama's names, with two query heads for each key head.
const grouped = `"vocab_size": 288, "max_position_embeddings": 64, "hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 2,
	"num_attention_heads": 4, "num_key_value_heads": 2, "initializer_range": 0.3`

// newTiny returns the small model of a family, shapes only.
func newTiny(t *testing.T, kind string) zoo.Model {
	t.Helper()
	m, err := parse(kind, tiny[kind])
	if err != nil {
		t.Fatal(err)
	}
	d, err := zoo.AsDecoder(m)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// decoders are the rows of the table that are decoders: those with a tiny configuration.
func decoders() []string { return slices.Sorted(maps.Keys(tiny)) }

// everyFamily runs f for each decoder of the table.
func everyFamily(t *testing.T, f func(t *testing.T, kind string)) {
	for _, kind := range decoders() {
		t.Run(kind, func(t *testing.T) { f(t, kind) })
	}
}

// The arithmetic of a configuration counts the parameters that are built.
func TestCounts(t *testing.T) {
	everyFamily(t, func(t *testing.T, kind string) {
		m := newTiny(t, kind)
		if got, want := m.Cost(1).Params, nn.Count(m.Params()); got != want {
			t.Errorf("the shape counts %d parameters, the model has %d", got, want)
		}
	})
}

// Every parameter takes part in the loss.
func TestGradientsReach(t *testing.T) {
	everyFamily(t, func(t *testing.T, kind string) {
		m := newTiny(t, kind)
		nn.Init(m.Params(), 5, true)
		tape := tensor.Training(cpu.New(cpu.Options{Threads: 1}))
		ids := make([]int32, 60)
		for i := range ids {
			ids[i] = int32(7 * i * i % 288)
		}
		x := model.Features(m, tape, tensor.IDs(ids), nn.NewSeqs(40, 20), nil)
		m.Head().Loss(tape, x, tensor.CrossEntropy{Targets: tensor.IDs(append(ids[1:], 3)), Scale: 1})
		tape.Backward()
		for _, p := range m.Params() {
			if !slices.ContainsFunc(p.T().Grad.F32(), func(g float32) bool { return g != 0 }) {
				t.Errorf("no gradient reaches %s", p.Name)
			}
		}
	})
}

// A model in the layout of GGUF files writes the same Hugging Face file as one that was never in it, and computes the same.
func TestLayouts(t *testing.T) {
	everyFamily(t, func(t *testing.T, kind string) {
		a := newTiny(t, kind)
		nn.Init(a.Params(), 9, false)
		plain, err := checkpoint.Tensors(zoo.Bindings(a, checkpoint.GGUF))
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		if err := checkpoint.Write(filepath.Join(dir, zoo.WeightsFile), plain, nil); err != nil {
			t.Fatal(err)
		}
		f, err := checkpoint.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		b, err := zoo.Families[kind]([]byte(`{"model_type": "`+kind+`", `+tiny[kind]+`}`), checkpoint.GGUF)
		if err != nil {
			t.Fatal(err)
		}
		nn.Alloc(b.Params(), false)
		if err := zoo.Load(f, checkpoint.GGUF, b); err != nil {
			t.Fatal(err)
		}
		ids := []int32{5, 250, 17, 3, 99, 4, 4, 200}
		x, _ := lastLogits(t, a, ids)
		y, _ := lastLogits(t, b.(zoo.Model), ids)
		testkit.Close(t, "logits", y, x, 1e-6, 0)
		want, err := checkpoint.Tensors(zoo.Bindings(a, checkpoint.HuggingFace))
		if err != nil {
			t.Fatal(err)
		}
		got, err := checkpoint.Tensors(zoo.Bindings(b, checkpoint.HuggingFace))
		if err != nil {
			t.Fatal(err)
		}
		for i := range want {
			if want[i].Name != got[i].Name || !slices.Equal(want[i].Shape, got[i].Shape) || !slices.Equal(want[i].Data, got[i].Data) {
				t.Errorf("%s %v by way of GGUF became %s %v, or other values", want[i].Name, want[i].Shape, got[i].Name, got[i].Shape)
			}
		}
	})
}

// ours are the families that transformers does not have.
var ours = []string{"plinth_gpt3", "plinth_palm"}

// TestTransformersLoadsAll checks what Save writes of every family against the published implementation.
func TestTransformersLoadsAll(t *testing.T) {
	python := testkit.Python(t, "torch", "transformers")
	ids := []int32{5, 250, 17, 3, 99, 4, 4, 200, 31, 8}
	var text []string
	for _, id := range ids {
		text = append(text, strconv.Itoa(int(id)))
	}
	var models []zoo.Model
	var kinds, dirs []string
	for _, kind := range decoders() {
		if slices.Contains(ours, kind) {
			continue
		}
		m := newTiny(t, kind)
		nn.Init(m.Params(), 11, false)
		dir := t.TempDir()
		if err := zoo.Save(dir, m, nil); err != nil {
			t.Fatal(err)
		}
		models, kinds, dirs = append(models, m), append(kinds, kind), append(dirs, dir)
	}
	args := append([]string{filepath.Join(testkit.Root(), "tools", "golden", "interop.py"), "--ids", strings.Join(text, ",")}, dirs...)
	out, err := exec.Command(python, args...).Output()
	if err != nil {
		t.Fatalf("interop.py: %v\n%s", err, err.(*exec.ExitError).Stderr)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != len(models) {
		t.Fatalf("%d answers for %d models", len(lines), len(models))
	}
	for i, m := range models {
		var theirs struct {
			Logits []float32 `json:"logits"`
			Loss   float64   `json:"loss"`
			Params int64     `json:"params"`
		}
		if err := json.Unmarshal([]byte(lines[i]), &theirs); err != nil {
			t.Fatal(err)
		}
		logits, loss := lastLogits(t, m, ids)
		testkit.Close(t, kinds[i]+": logits", logits, theirs.Logits, 1e-4, 0)
		testkit.Close(t, kinds[i]+": loss", []float32{float32(loss)}, []float32{float32(theirs.Loss)}, 1e-5, 0)
		if n := nn.Count(m.Params()); n != theirs.Params {
			t.Errorf("%s: %d parameters, transformers %d", kinds[i], n, theirs.Params)
		}
	}
}

// Mixtral's experts as transformers keeps them in memory, all in one tensor, gate and up together.
func TestStackedExperts(t *testing.T) {
	a := newTiny(t, "mixtral")
	nn.Init(a.Params(), 3, false)
	stacked := map[string][]float32{}
	var tensors []checkpoint.Tensor
	for _, p := range a.Params() {
		name, values := p.Name, p.T().F32()
		layer, rest, experts := strings.Cut(name, ".block_sparse_moe.")
		switch {
		case experts && strings.Contains(rest, "down_proj"):
			stacked[layer+".mlp.experts.down_proj"] = append(stacked[layer+".mlp.experts.down_proj"], values...)
		case experts && strings.Contains(rest, "_proj"):
			stacked[layer+".mlp.experts.gate_up_proj"] = append(stacked[layer+".mlp.experts.gate_up_proj"], values...)
		default:
			tensors = append(tensors, checkpoint.FromFloat32(strings.Replace(name, "block_sparse_moe.gate", "mlp.gate", 1), p.T().Shape(), values))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(stacked)) {
		shape := []int{4, 80, 24}
		if strings.HasSuffix(name, "down_proj") {
			shape = []int{4, 24, 40}
		}
		tensors = append(tensors, checkpoint.FromFloat32(name, shape, stacked[name]))
	}
	dir := t.TempDir()
	if err := checkpoint.Write(filepath.Join(dir, zoo.WeightsFile), tensors, nil); err != nil {
		t.Fatal(err)
	}
	f, err := checkpoint.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := newTiny(t, "mixtral")
	nn.Alloc(b.Params(), false)
	if err := zoo.Load(f, checkpoint.HuggingFace, b); err != nil {
		t.Fatal(err)
	}
	want := a.Params()
	for i, p := range b.Params() {
		if !slices.Equal(p.T().F32(), want[i].T().F32()) {
			t.Errorf("%s changed", p.Name)
		}
	}
}
