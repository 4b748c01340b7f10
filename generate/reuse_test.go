package generate_test

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/plinth-ml/plinth/generate"
	"github.com/plinth-ml/plinth/internal/kernel/cpu"
	"github.com/plinth-ml/plinth/model/gpt"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
)

// random returns a model with a context of some pages; every other layer has a window. Its weights are large, so that its text does not repeat itself at once.
func random(t testing.TB, seed uint64) *gpt.Model {
	t.Helper()
	m, err := gpt.New(gpt.Config{ModelType: gpt.TypeGPT3, Vocab: 97, Context: 640, Width: 32, Layers: 3, Heads: 2, Window: 100, Activation: "gelu_new", LayerNormEps: 1e-5, InitStd: 0.3})
	if err != nil {
		t.Fatal(err)
	}
	nn.Init(m.Params(), seed, false)
	return m
}

// text is n ids.
func text(seed, n int) []int32 {
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = int32((seed + 7*i + 3*i*i + i*i*i%11) % 97)
	}
	return ids
}

// plain drops what depends on the engine's past.
func plain(results []generate.Result) []generate.Result {
	results = slices.Clone(results)
	for i := range results {
		results[i].Usage = generate.Usage{}
	}
	return results
}

var cacheTypes = []tensor.DType{tensor.F32, tensor.F16, tensor.Q8_0}

// long are requests over several pages, some of which begin alike.
func long() []generate.Request {
	shared := text(1, 200)
	var reqs []generate.Request
	for i, prompt := range [][]int32{shared, slices.Concat(shared, text(2, 100)), shared, text(3, 150), slices.Concat(shared[:130], text(4, 40)), shared[:90], text(5, 3)} {
		o := generate.Options{MaxTokens: 20 + 5*i, Seed: uint64(i), LogProbs: true, Echo: i == 4}
		if i%2 == 1 {
			o.Temperature, o.TopP, o.RepetitionPenalty = 1.2, 0.95, 1.1
		}
		reqs = append(reqs, generate.Request{Prompt: prompt, Options: o})
	}
	return reqs
}

// alone computes each request by an engine of its own that keeps nothing.
func alone(t *testing.T, m *gpt.Model, reqs []generate.Request, o generate.EngineOptions) []generate.Result {
	t.Helper()
	var all []generate.Result
	for _, r := range reqs {
		all = append(all, mustGenerate(t, generate.New(m, cpu.New(cpu.Options{Threads: 1}), o), r)...)
	}
	return all
}

// TestCaches: for every type of the cache, results are those of requests alone whatever the pages, chunks, threads, what is reused and what was preempted.
func TestCaches(t *testing.T) {
	m := random(t, 1)
	reqs := long()
	for _, d := range cacheTypes {
		want := alone(t, m, reqs, generate.EngineOptions{Cache: nn.KVOptions{Type: d, Page: 640}})
		for i, o := range []generate.EngineOptions{
			{Slots: 8}, {Slots: 3, PrefillChunk: 50}, {Slots: 2, Cache: nn.KVOptions{Page: 256}},
			{Slots: 8, Cache: nn.KVOptions{Max: 640}, PrefillChunk: 100}, // too small for all: some wait, some are preempted
		} {
			o.Cache.Type = d
			e := generate.New(m, cpu.New(cpu.Options{Threads: 1 + i}), o)
			for range 2 {
				got := mustGenerate(t, e, reqs...)
				for j, r := range plain(got) {
					if !reflect.DeepEqual(r, want[j]) {
						t.Errorf("%s, %+v: request %d:\n%+v, alone\n%+v", d, o, j, r, want[j])
					}
				}
			}
			if o.Cache.Max == 0 {
				continue
			}
			if most := o.Cache.Max * 3 * 2 * 32 * 4; e.CacheBytes() > most {
				t.Errorf("the cache has %d bytes, at most %d are allowed", e.CacheBytes(), most)
			}
			if e.Stats().Preempted == 0 {
				t.Error("nothing was preempted: this test tests less than it says")
			}
		}
	}
}

// TestReuse: what stands in the cache is not computed again.
func TestReuse(t *testing.T) {
	m := random(t, 1)
	e := generate.New(m, cpu.New(cpu.Options{Threads: 2}), generate.EngineOptions{})
	ask := func(scope string, prompt []int32, n int) []generate.Result {
		t.Helper()
		reqs := make([]generate.Request, n)
		for i := range reqs {
			reqs[i] = generate.Request{Prompt: prompt, Scope: scope, Options: generate.Options{MaxTokens: 30, Temperature: 1, Seed: uint64(i)}}
		}
		got := mustGenerate(t, e, reqs...)
		if want := alone(t, m, reqs, generate.EngineOptions{}); !reflect.DeepEqual(plain(got), want) {
			t.Errorf("scope %q, %d prompt tokens: %v, alone %v", scope, len(prompt), got, want)
		}
		return got
	}
	prompt := text(1, 200)
	first := ask("a", prompt, 3)
	for i, r := range first {
		if want := min(i, 1) * 199; r.Cached != want {
			t.Errorf("sample %d of one prompt: %d tokens cached, want %d", i, r.Cached, want)
		}
	}
	turn := slices.Concat(prompt, first[1].IDs, text(2, 40)) // a chat goes on
	if r := ask("a", turn, 1)[0]; r.Cached != 229 {          // the last token written was never fed
		t.Errorf("the second turn had %d tokens cached, want 229", r.Cached)
	}
	if r := ask("a", turn[:60], 1)[0]; r.Cached != 59 {
		t.Errorf("the beginning of a turn had %d tokens cached, want 59", r.Cached)
	}
	if r := ask("b", turn, 1)[0]; r.Cached != 0 {
		t.Errorf("another scope had %d tokens cached", r.Cached)
	}
	ask("b", turn, 1) // takes the page that it shares and writes to
	bytes := e.CacheBytes()
	ask("b", turn, 1)
	if e.CacheBytes() != bytes {
		t.Errorf("the same prompt again took memory: %d bytes, before %d", e.CacheBytes(), bytes)
	}
	m.Params()[0].T().F32()[0]++
	m.Params()[0].T().Changed()
	if r := ask("a", turn, 1)[0]; r.Cached != 0 {
		t.Errorf("%d tokens cached of other weights", r.Cached)
	}
	echo := generate.Request{Prompt: turn, Scope: "a", Options: generate.Options{MaxTokens: 1, Echo: true}}
	if r := mustGenerate(t, e, echo)[0]; r.Cached != 0 || len(r.PromptLogProbs) != len(turn) {
		t.Errorf("echo: %d tokens cached, %d log-probabilities of %d", r.Cached, len(r.PromptLogProbs), len(turn))
	}
}

// TestSpeculation: look-up and draft models change no bit of any result, at any temperature, for any type of the cache.
func TestSpeculation(t *testing.T) {
	m, other := random(t, 1), random(t, 2)
	near := random(t, 1) // a draft model that often agrees
	for _, p := range near.Params() {
		for i := range p.T().F32() {
			p.T().F32()[i] *= 1 + 0.01*float32(i%5)
		}
	}
	reqs := long()
	for i := range reqs {
		reqs[i].MaxTokens, reqs[i].TopLogProbs = 60, i%3
		if i == 2 {
			reqs[i].Prompt = slices.Concat(text(9, 20), text(9, 20), text(9, 20)) // something to look up
		}
	}
	reqs[5].Stop = mustGenerate(t, generate.New(m, cpu.New(cpu.Options{}), generate.EngineOptions{}), reqs[5])[0].IDs[30:31]
	for _, d := range cacheTypes {
		want := alone(t, m, reqs, generate.EngineOptions{Cache: nn.KVOptions{Type: d}})
		for _, c := range []struct {
			name  string
			o     generate.EngineOptions
			share float64 // least share of drafted tokens that is accepted
		}{
			{"look-up", generate.EngineOptions{Lookup: 3}, 0},
			{"look-up of one", generate.EngineOptions{Lookup: 1, DraftTokens: 20, Slots: 1}, 0},
			{"itself", generate.EngineOptions{Draft: m, Slots: 3}, 1},
			{"near", generate.EngineOptions{Draft: near, DraftTokens: 5}, 0.2},
			{"another", generate.EngineOptions{Draft: other, PrefillChunk: 40}, 0},
			{"itself, little room", generate.EngineOptions{Draft: m, Cache: nn.KVOptions{Max: 640}}, 1},
		} {
			t.Run(fmt.Sprint(d, " ", c.name), func(t *testing.T) {
				c.o.Cache.Type = d
				e := generate.New(m, cpu.New(cpu.Options{Threads: 2}), c.o)
				for range 2 {
					streamed := make([][]int32, len(reqs))
					got, err := e.Generate(context.Background(), reqs, func(t generate.Token) { streamed[t.Request] = append(streamed[t.Request], t.ID) })
					if err != nil {
						t.Fatal(err)
					}
					for i, r := range plain(got) {
						if !reflect.DeepEqual(r, want[i]) {
							t.Errorf("request %d:\n%+v, plain\n%+v", i, r, want[i])
						}
						if !slices.Equal(streamed[i], r.IDs) {
							t.Errorf("request %d: streamed %v of %v", i, streamed[i], r.IDs)
						}
					}
				}
				s := e.Stats()
				t.Logf("%d of %d accepted, %d decoded", s.Accepted, s.Drafted, s.Decoded)
				if s.Drafted == 0 || s.Accepted > s.Drafted || float64(s.Accepted) < c.share*float64(s.Drafted)*0.9 {
					t.Errorf("%d of %d tokens accepted, at least %v of them expected", s.Accepted, s.Drafted, c.share)
				}
			})
		}
	}
}
