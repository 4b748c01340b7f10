package generate_test

import (
	"slices"
	"testing"

	"github.com/plinth-ml/plinth/generate"
	"github.com/plinth-ml/plinth/internal/kernel/cpu"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/model/llama"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
)

// dynamic returns a model whose frequencies follow the length beyond 150 positions.
func dynamic(t *testing.T, seed uint64) *llama.Model {
	t.Helper()
	return scaled(t, 150, `{"rope_type":"dynamic","factor":4}`, seed)
}

// grown continues a prompt greedily as transformers does: the prompt at once, then token by token, over a cache of keys that stay as they were turned.
func grown(m model.Decoder, prompt []int32, n int) []int32 {
	tape, kv := tensor.Inference(cpu.New(cpu.Options{Threads: 1})), model.NewKV(m, nn.KVOptions{Max: 1024})
	slot, ids, next := kv.Slot(), slices.Clone(prompt), prompt
	for range n {
		tape.Reset()
		positions, err := kv.Begin([]int{slot}, []int{len(next)}, nil)
		if err != nil {
			panic(err)
		}
		seqs := nn.NewSeqs(len(next))
		seqs.Positions = tensor.IDs(positions)
		features := model.Features(m, tape, tensor.IDs(next), seqs, kv)
		kv.End()
		row := m.Head().Logits(tape, features).F32()[(len(next)-1)*97:]
		next = []int32{largest(row)}
		ids = append(ids, next...)
	}
	return ids[len(prompt):]
}

// TestDynamic: texts before, across and behind the context of a model with dynamic scaling are those of the prompt at once and then token by token, whatever the
// chunks, what is reused, preempted and proposed.
func TestDynamic(t *testing.T) {
	m := dynamic(t, 1)
	shared := text(1, 400)
	var reqs []generate.Request
	var want [][]int32
	for _, n := range []int{100, 130, 149, 150, 151, 220} {
		reqs = append(reqs, generate.Request{Prompt: shared[:n], Options: generate.Options{MaxTokens: 30}})
		want = append(want, grown(m, shared[:n], 30))
	}
	for _, o := range []generate.EngineOptions{
		{}, {PrefillChunk: 50, Slots: 2}, {Slots: 1}, {PrefillChunk: 149, Cache: nn.KVOptions{Max: 384}}, {Lookup: 3}, {Draft: m, DraftTokens: 5}, {Draft: dynamic(t, 2), Slots: 3},
	} {
		o.MaxContext = 300
		e := generate.New(m, cpu.New(cpu.Options{Threads: 2}), o)
		for round := range 2 {
			for i, r := range mustGenerate(t, e, reqs...) {
				if !slices.Equal(r.IDs, want[i]) {
					t.Errorf("%+v, round %d, prompt of %d: %v, one by one %v", o, round, len(reqs[i].Prompt), r.IDs, want[i])
				}
			}
		}
		if e.Stats().Cached == 0 {
			t.Errorf("%+v: nothing was reused: this test tests less than it says", o)
		}
		if o.Cache.Max > 0 && e.Stats().Preempted == 0 {
			t.Errorf("%+v: nothing was preempted: this test tests less than it says", o)
		}
	}
	if same := grown(m, shared[:150], 30); slices.Equal(same, atOnce(m, shared[:150], 30)) {
		t.Error("frequencies do not matter: this test tests less than it says")
	}
	if _, err := generate.New(longrope(t, 1), cpu.New(cpu.Options{Threads: 1}), generate.EngineOptions{MaxContext: 641}).Generate(t.Context(), reqs[:1], nil); err == nil {
		t.Error("a model of another scaling goes beyond its context")
	}
}
