package zoo_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/checkpoint"
	"github.com/plinth-ml/plinth/checkpoint/gguf"
	"github.com/plinth-ml/plinth/internal/kernel/cpu"
	"github.com/plinth-ml/plinth/internal/testkit"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/model/zoo"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
)

// inGGUF says of the golden models that a GGUF cannot hold what the refusal names, and the change to config.json that makes one that it can.
var inGGUF = map[string]struct {
	refused string
	change  map[string]any
}{
	"gemma2":            {"query_pre_attn_scalar", map[string]any{"query_pre_attn_scalar": 8}},
	"gemma3":            {"query_pre_attn_scalar", map[string]any{"query_pre_attn_scalar": 8}},
	"gptj":              {`model_type "gptj"`, nil},
	"llama-bias":        {"hidden_act", map[string]any{"hidden_act": "silu"}},
	"llama-dynamic":     {`"dynamic"`, nil},
	"llama-yarn":        {"beta_fast", map[string]any{"rope_parameters": map[string]any{"rope_type": "yarn", "rope_theta": 100, "factor": 4, "original_max_position_embeddings": 16, "attention_factor": 1.2}}},
	"llama-yarn-mscale": {"mscale", nil},
	"mistral":           {"sliding_window", map[string]any{"sliding_window": nil}},
	"palm":              {`model_type "plinth_palm"`, nil},
	"qwen2-window":      {"sliding_window", map[string]any{"use_sliding_window": false}},
}

// allLogits are those of every position, float32 [len(ids)][vocabulary].
func allLogits(t *testing.T, path string, ids []int32) []float32 {
	t.Helper()
	m, err := zoo.Open(path, zoo.Options{})
	if err != nil {
		t.Fatal(err)
	}
	tape := tensor.Inference(cpu.New(cpu.Options{Threads: 1}))
	return slices.Clone(m.Head().Logits(tape, model.Features(m, tape, tensor.IDs(ids), nn.NewSeqs(len(ids)), nil)).F32())
}

// editConfig changes keys of a folder's config.json.
func editConfig(t *testing.T, dir string, change map[string]any) {
	t.Helper()
	path := filepath.Join(dir, zoo.ConfigFile)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var keys map[string]any
	if err := json.Unmarshal(data, &keys); err != nil {
		t.Fatal(err)
	}
	for k, v := range change {
		keys[k] = v
	}
	if data, err = json.Marshal(keys); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// Every golden model goes into a GGUF and back with transformers' logits, or is refused by the name of what a GGUF cannot say.
func TestGoldenGGUF(t *testing.T) {
	for _, name := range testkit.Cases(t, "decoders") {
		t.Run(name, func(t *testing.T) {
			c := testkit.Golden(t, "decoders/"+name)
			dir, file, back := c.Folder(), filepath.Join(t.TempDir(), "m.gguf"), filepath.Join(t.TempDir(), "back")
			ids, want := c.I32("input_ids.0"), c.F32("logits.0")
			if not, ok := inGGUF[name]; ok {
				_, err := zoo.WriteGGUF(t.Context(), dir, file, 0, 0, zoo.PickType(checkpoint.F32))
				if err == nil || !strings.Contains(err.Error(), not.refused) {
					t.Fatalf("error %v, want one about %s", err, not.refused)
				}
				if not.change == nil {
					return
				}
				editConfig(t, dir, not.change)
				want = allLogits(t, dir, ids)
			}
			if _, err := zoo.WriteGGUF(t.Context(), dir, file, 0, 0, zoo.PickType(checkpoint.F32)); err != nil {
				t.Fatal(err)
			}
			testkit.Close(t, "logits of the GGUF", allLogits(t, file, ids), want, 1e-4, 0)
			testkit.Close(t, "against the folder's", allLogits(t, file, ids), allLogits(t, dir, ids), 1e-5, 0)
			if err := zoo.WriteDir(t.Context(), file, back, zoo.DirOptions{DType: checkpoint.F32}); err != nil {
				t.Fatal(err)
			}
			testkit.Close(t, "logits of the folder again", allLogits(t, back, ids), want, 1e-4, 0)
		})
	}
}

// What is written here makes llama.cpp compute the same logits: to 1e-5 of the largest; with GELU, which llama.cpp takes from a table of
// half precision (and in its tanh form for GPT-NeoX too), to 2e-3, and to 1e-5 again once the MLPs add nothing.
func TestLlamaLogits(t *testing.T) {
	llamaTool(t, "llama-simple")
	type job struct {
		name  string
		bound float64
		ours  []float32
	}
	var jobs []job
	var questions []question
	one := func(name string, bound float64, dir string, ids []int32) {
		file := filepath.Join(t.TempDir(), "m.gguf")
		if _, err := zoo.WriteGGUF(t.Context(), dir, file, 0, 0, zoo.PickType(checkpoint.F32)); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		jobs = append(jobs, job{name, bound, allLogits(t, file, ids)})
		questions = append(questions, question{file, ids})
	}
	add := func(name, dir string, ids []int32) {
		if !strings.HasPrefix(name, "g") {
			one(name, 1e-5, dir, ids)
			return
		}
		one(name, 2e-3, dir, ids)
		m, err := zoo.Open(dir, zoo.Options{F32: true})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range m.Params() {
			if strings.Contains(p.Name, "mlp.down_proj") || strings.Contains(p.Name, "mlp.c_proj") || strings.Contains(p.Name, "mlp.dense_4h_to_h") {
				clear(p.T().F32())
			}
		}
		bare := t.TempDir()
		if err := zoo.Save(bare, m, nil); err != nil {
			t.Fatal(err)
		}
		one(name+" without MLP", 1e-5, bare, ids)
	}
	for _, name := range testkit.Cases(t, "decoders") {
		c, not := testkit.Golden(t, "decoders/"+name), inGGUF[name]
		if not.refused != "" && not.change == nil {
			continue
		}
		dir := c.Folder()
		editConfig(t, dir, not.change)
		if name == "phi3" { // llama.cpp ignores its window
			editConfig(t, dir, map[string]any{"sliding_window": nil})
		}
		add(name, dir, c.I32("input_ids.0"))
	}
	gpt2, dir := newTiny(t, "gpt2"), t.TempDir()
	nn.Init(gpt2.Params(), 7, false)
	if err := zoo.Save(dir, gpt2, nil); err != nil {
		t.Fatal(err)
	}
	add("gpt2", dir, []int32{5, 250, 17, 3, 99, 4, 4, 200, 31, 8})

	for i, theirs := range llamaLogits(t, questions) {
		j := jobs[i]
		if largest, far := apart(t, j.ours, theirs); !(far <= j.bound*largest) {
			t.Errorf("%s: logits are %g apart, the largest is %g", j.name, far, largest)
		} else {
			t.Logf("%s: %.1e of the largest logit", j.name, far/largest)
		}
	}
}

// question is a GGUF file and the tokens that it is to compute.
type question struct {
	file string
	ids  []int32
}

// llamaLogits are llama.cpp's of every position, with keys and values in F32.
func llamaLogits(t *testing.T, questions []question) (answers [][]float32) {
	t.Helper()
	lib, python := filepath.Dir(llamaTool(t, "llama-simple")), testkit.Python(t, "llama_cpp")
	var in strings.Builder
	for _, q := range questions {
		fmt.Fprintln(&in, q.file, strings.Trim(strings.ReplaceAll(fmt.Sprint(q.ids), " ", ","), "[]"))
	}
	cmd := exec.Command(python, filepath.Join(testkit.Root(), "tools", "golden", "llama_logits.py"))
	cmd.Env, cmd.Stdin = append(os.Environ(), "LLAMA_CPP_LIB_PATH="+lib), strings.NewReader(in.String())
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("llama_logits.py: %v\n%s", err, err.(*exec.ExitError).Stderr)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != len(questions) {
		t.Fatalf("%d answers for %d files", len(lines), len(questions))
	}
	for _, line := range lines {
		var answer struct{ Logits []float32 }
		if err := json.Unmarshal([]byte(line), &answer); err != nil {
			t.Fatal(err)
		}
		answers = append(answers, answer.Logits)
	}
	return answers
}

// apart returns the largest magnitude of want and the greatest difference.
func apart(t *testing.T, got, want []float32) (largest, far float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d logits, want %d", len(got), len(want))
	}
	for i, x := range want {
		largest, far = max(largest, abs(x)), max(far, abs(x-got[i]))
	}
	return largest, far
}

func abs(x float32) float64 { return max(float64(x), -float64(x)) }

// Where a file leaves out a key, its value is llama.cpp's default and not config.json's; layer patterns have two forms.
func TestGGUFDefaults(t *testing.T) {
	for _, c := range []struct {
		golden       string
		config       map[string]any // whose values the file does not say
		without      []string
		set          string
		value        any
		wantInConfig string
	}{
		{"gemma", map[string]any{"num_key_value_heads": 4, "head_dim": 4}, []string{"gemma.attention.head_count_kv", "gemma.attention.key_length", "gemma.attention.value_length", "gemma.rope.freq_base"}, "", nil, `"head_dim":4`},
		{"qwen3", map[string]any{"num_key_value_heads": 4, "head_dim": 4}, []string{"qwen3.attention.head_count_kv", "qwen3.attention.key_length", "qwen3.attention.value_length"}, "", nil, `"num_key_value_heads":4`},
		{"gemma3", map[string]any{"query_pre_attn_scalar": 8}, nil, "gemma3.attention.sliding_window_pattern", uint32(2), `"layer_types":["sliding_attention","full_attention"]`},
		{"gemma3", map[string]any{"query_pre_attn_scalar": 8}, []string{"gemma3.attention.sliding_window_pattern"}, "", nil, `"layer_types":["sliding_attention","sliding_attention"]`},
		{"gemma3", map[string]any{"query_pre_attn_scalar": 8, "layer_types": []string{"full_attention", "sliding_attention"}}, nil, "", nil, `"layer_types":["full_attention","sliding_attention"]`},
		{"gemma3", map[string]any{"query_pre_attn_scalar": 8}, []string{"gemma3.attention.sliding_window"}, "", nil, `"layer_types":["full_attention","full_attention"]`},
	} {
		dir, file := testkit.Golden(t, "decoders/"+c.golden).Folder(), filepath.Join(t.TempDir(), "m.gguf")
		editConfig(t, dir, c.config)
		m, err := zoo.Describe(dir)
		if err != nil {
			t.Fatal(err)
		}
		nn.Init(m.Params(), 1, false)
		if err := zoo.Save(dir, m, nil); err != nil {
			t.Fatal(err)
		}
		if _, err := zoo.WriteGGUF(t.Context(), dir, file, 0, 0, zoo.PickType(checkpoint.F32)); err != nil {
			t.Fatal(err)
		}
		f, err := gguf.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		meta := slices.DeleteFunc(slices.Clone(f.Meta), func(p gguf.Pair) bool { return slices.Contains(c.without, p.Key) })
		if c.set != "" {
			meta.Set(c.set, c.value)
		}
		var tensors []gguf.Tensor
		for i, info := range f.Infos() {
			tensors = append(tensors, gguf.Tensor{Info: info, Data: func() ([]byte, error) { return f.Mapped(i), nil }})
		}
		edited := filepath.Join(t.TempDir(), "m.gguf")
		if err := gguf.Write(edited, meta, tensors); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		got, err := zoo.Describe(edited)
		if err != nil {
			t.Errorf("%s: %v", c.golden, err)
		} else if text := config(t, got); !strings.Contains(text, c.wantInConfig) {
			t.Errorf("%s: %s, want %s", c.golden, text, c.wantInConfig)
		}
	}
}
