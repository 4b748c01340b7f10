//go:build slow

package zoo_test

import (
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/checkpoint"
	"github.com/plinth-ml/plinth/generate"
	"github.com/plinth-ml/plinth/internal/kernel/cpu"
	"github.com/plinth-ml/plinth/internal/quant"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/model/zoo"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
)

// wide are configurations whose rows are whole blocks of 256, with windows that end inside a tile of keys.
var wide = map[string]string{
	"llama": `"vocab_size": 300, "hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
		"max_position_embeddings": 512`,
	"mistral": `"vocab_size": 300, "hidden_size": 256, "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 8, "num_key_value_heads": 2,
		"max_position_embeddings": 512, "sliding_window": 70`,
	"gemma2": `"vocab_size": 300, "hidden_size": 256, "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
		"head_dim": 64, "max_position_embeddings": 512, "sliding_window": 70, "query_pre_attn_scalar": 64, "attn_logit_softcapping": 5.0, "final_logit_softcapping": 10.0`,
	"mixtral": `"vocab_size": 300, "hidden_size": 256, "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 4,
		"max_position_embeddings": 512, "num_local_experts": 4, "num_experts_per_tok": 2`,
}

// everyType writes a random model of a family in every type that Open leaves as it is, and returns the paths by type.
func everyType(t *testing.T, kind string) map[string]string {
	t.Helper()
	m, err := zoo.Families[kind]([]byte(`{"model_type": "`+kind+`", `+wide[kind]+`}`), checkpoint.HuggingFace)
	if err != nil {
		t.Fatal(err)
	}
	nn.Init(m.Params(), 21, false)
	for _, p := range m.Params() { // logits far apart, attention of more than an average
		for i, x := range p.T().F32() {
			if len(p.T().Shape()) > 1 {
				p.T().F32()[i] = 5 * x
			}
		}
	}
	paths := map[string]string{"f32": t.TempDir()}
	if err := zoo.Save(paths["f32"], m, nil); err != nil {
		t.Fatal(err)
	}
	for _, d := range []checkpoint.DType{checkpoint.F16, checkpoint.BF16} {
		dir := t.TempDir()
		if err := zoo.Save(dir, m, nil); err != nil {
			t.Fatal(err)
		}
		tensors, err := checkpoint.Tensors(zoo.Bindings(m, checkpoint.HuggingFace))
		if err != nil {
			t.Fatal(err)
		}
		for i, x := range tensors {
			values := make([]float32, len(x.Data)/4)
			if err := x.Float32(values); err != nil {
				t.Fatal(err)
			}
			f, _ := quant.ByName(strings.ToLower(string(d)))
			tensors[i] = checkpoint.Tensor{Name: x.Name, DType: d, Shape: x.Shape, Data: make([]byte, 2*len(values))}
			f.Encode(tensors[i].Data, values)
		}
		if err := checkpoint.Write(filepath.Join(dir, zoo.WeightsFile), tensors, nil); err != nil {
			t.Fatal(err)
		}
		paths[string(d)] = dir
	}
	for _, mix := range []string{"q8_0", "q4_k_m"} {
		path := filepath.Join(t.TempDir(), "m.gguf")
		if _, err := zoo.Quantize(t.Context(), paths["f32"], path, mix, 0); err != nil {
			if kind != "mistral" { // GGUF has no window for it
				t.Fatal(err)
			}
			continue
		}
		paths[mix] = path
	}
	return paths
}

// Logits and what is generated depend on nothing but the request: not on the batch, threads, chunks of the prompt, pages, what the cache kept of
// other requests, nor on speculation.
func TestBits(t *testing.T) {
	for kind := range wide {
		for name, path := range everyType(t, kind) {
			t.Run(kind+"/"+name, func(t *testing.T) { bits(t, path) })
		}
	}
}

func tokens(seed, n int) []int32 {
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = int32((seed*seed*31 + i*i*7 + i*seed) % 300)
	}
	return ids
}

func bits(t *testing.T, path string) {
	m, err := zoo.Open(path, zoo.Options{})
	if err != nil {
		t.Fatal(err)
	}
	logits := func(threads int, ids []int32) []float32 {
		tape := tensor.Inference(cpu.New(cpu.Options{Threads: threads}))
		return slices.Clone(m.Head().Logits(tape, model.Features(m, tape, tensor.IDs(ids), nn.NewSeqs(len(ids)), nil)).F32())
	}
	long := tokens(3, 64)
	want := logits(1, long)
	for M := 1; M <= 64; M++ {
		if got := logits(1+M%3, long[:M]); !slices.Equal(got, want[:M*300]) {
			t.Fatalf("M=%d: other bits", M)
		}
	}
	var reqs []generate.Request
	for i, n := range []int{1, 200, 33, 130, 7, 260} {
		r := generate.Request{Prompt: tokens(i+1, n), Options: generate.Options{MaxTokens: 9, LogProbs: true, Echo: i != 3, TopLogProbs: 3}}
		reqs = append(reqs, r)
	}
	prefix := generate.Request{Prompt: slices.Concat(tokens(6, 260)[:190], tokens(9, 40)), Options: generate.Options{MaxTokens: 20, LogProbs: true}}
	reqs = append(reqs, prefix)
	for _, cache := range []tensor.DType{tensor.F32, tensor.F16, tensor.Q8_0} {
		var alone []generate.Result
		for _, r := range reqs {
			e := generate.New(m, cpu.New(cpu.Options{Threads: 1}), generate.EngineOptions{Slots: 1, Cache: nn.KVOptions{Type: cache}})
			out, err := e.Generate(t.Context(), []generate.Request{r}, nil)
			if err != nil {
				t.Fatal(err)
			}
			out[0].Usage = generate.Usage{}
			alone = append(alone, out[0])
		}
		ways := []generate.EngineOptions{
			{Slots: 7, PrefillChunk: 300},
			{Slots: 3, PrefillChunk: 1, Lookup: 2},
			{Slots: 3, PrefillChunk: 37, Lookup: 1, DraftTokens: 11},
			{Slots: 2, PrefillChunk: 130, Cache: nn.KVOptions{Page: 512}},
			{Slots: 4, PrefillChunk: 5, Cache: nn.KVOptions{Page: 256, Max: 768}},
			{Slots: 2, Unpacked: true},
			{Slots: 3, Draft: m},
		}
		for i, o := range ways {
			o.Cache.Type = cache
			e := generate.New(m, cpu.New(cpu.Options{Threads: 1 + i%3}), o)
			for round := range 2 {
				got, err := e.Generate(t.Context(), reqs, nil)
				if err != nil {
					t.Fatal(err)
				}
				for j := range got {
					got[j].Usage = generate.Usage{}
					if !reflect.DeepEqual(got[j], alone[j]) {
						t.Errorf("cache %s, options %d, round %d, request %d: %v want %v", cache, i, round, j, got[j].IDs, alone[j].IDs)
					}
				}
			}
		}
	}
}
