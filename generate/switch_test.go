package generate_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/plinth-ml/plinth/generate"
	"github.com/plinth-ml/plinth/internal/kernel/cpu"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/model/llama"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
)

// scaled returns a model of so many positions, with a scaling of its frequencies.
func scaled(t *testing.T, positions int, scaling string, seed uint64) *llama.Model {
	t.Helper()
	c, err := llama.Parse(fmt.Appendf(nil, `{"model_type":"llama","vocab_size":97,"hidden_size":32,"intermediate_size":48,"num_hidden_layers":2,"num_attention_heads":4,"num_key_value_heads":2,
		"max_position_embeddings":%d,"initializer_range":0.3,"rope_scaling":%s}`, positions, scaling))
	if err != nil {
		t.Fatal(err)
	}
	m, err := llama.New(c)
	if err != nil {
		t.Fatal(err)
	}
	nn.Init(m.Params(), seed, false)
	return m
}

// longrope returns a model whose frequencies change beyond 150 positions.
func longrope(t *testing.T, seed uint64) *llama.Model {
	t.Helper()
	return scaled(t, 640, `{"rope_type":"longrope","short_factor":[1,1.1,1.3,1.5],"long_factor":[3,4,9,20],"original_max_position_embeddings":150}`, seed)
}

// largest is the id with the largest logit.
func largest(logits []float32) int32 {
	best := 0
	for i, v := range logits {
		if v > logits[best] {
			best = i
		}
	}
	return int32(best)
}

// atOnce continues a prompt greedily, each token by the whole sequence so far, without a cache.
func atOnce(m model.Decoder, prompt []int32, n int) []int32 {
	tape, ids := tensor.Inference(cpu.New(cpu.Options{Threads: 1})), slices.Clone(prompt)
	for range n {
		tape.Reset()
		row := m.Head().Logits(tape, model.Features(m, tape, tensor.IDs(ids), nn.NewSeqs(len(ids)), nil)).F32()[(len(ids)-1)*97:]
		ids = append(ids, largest(row))
	}
	return ids[len(prompt):]
}

// TestSwitch: texts before, across and behind the length at which frequencies change are those of all at once, whatever the chunks, what is reused of either kind, what was
// preempted and what is proposed.
func TestSwitch(t *testing.T) {
	m := longrope(t, 1)
	if m.Sizes().Switch != 150 {
		t.Fatalf("the cache holds up to %d, not 150", m.Sizes().Switch)
	}
	shared := text(1, 300)
	var reqs []generate.Request
	var want [][]int32
	for _, n := range []int{100, 140, 149, 150, 151, 220} {
		reqs = append(reqs, generate.Request{Prompt: shared[:n], Options: generate.Options{MaxTokens: 20}})
		want = append(want, atOnce(m, shared[:n], 20))
	}
	for _, o := range []generate.EngineOptions{
		{}, {PrefillChunk: 50, Slots: 2}, {Slots: 1}, {PrefillChunk: 149, Cache: nn.KVOptions{Max: 640}}, {Lookup: 3}, {Draft: m, DraftTokens: 5}, {Draft: longrope(t, 2), Slots: 3},
	} {
		e := generate.New(m, cpu.New(cpu.Options{Threads: 2}), o)
		for round := range 3 {
			order := reqs
			if round == 1 {
				order = slices.Clone(reqs)
				slices.Reverse(order)
			}
			for i, r := range mustGenerate(t, e, order...) {
				if round == 1 {
					i = len(reqs) - 1 - i
				}
				if !slices.Equal(r.IDs, want[i]) {
					t.Errorf("%+v, round %d, prompt of %d: %v, at once %v", o, round, len(reqs[i].Prompt), r.IDs, want[i])
				}
			}
		}
		if e.Stats().Cached == 0 {
			t.Errorf("%+v: nothing was reused: this test tests less than it says", o)
		}
	}
	for i, r := range reqs {
		found, err := generate.NewSearcher(m, cpu.New(cpu.Options{Threads: 1})).Search(t.Context(), []generate.SearchRequest{{Prompt: r.Prompt, BeamOptions: generate.BeamOptions{Beams: 1, MaxTokens: 20}}})
		if err != nil || !slices.Equal(found[0][0].IDs, want[i]) {
			t.Errorf("search from %d tokens: %v (%v), at once %v", len(r.Prompt), fmt.Sprint(found), err, want[i])
		}
	}
}
