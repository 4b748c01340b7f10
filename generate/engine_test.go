package generate_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/plinth-ml/plinth/generate"
	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/internal/kernel/cpu"
	"github.com/plinth-ml/plinth/internal/kernel/ref"
	"github.com/plinth-ml/plinth/internal/testkit"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/model/gpt"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
)

var sets = []struct {
	name string
	k    *kernel.Set
}{{"ref", ref.New()}, {"cpu", cpu.New(cpu.Options{Threads: 2})}}

var goldens = []string{"gpt2-tiny-trained", "gpt3-tiny-trained"}

// load reads a golden model.
func load(t testing.TB, c *testkit.Case) *gpt.Model {
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
	weights := testkit.Open(t, filepath.Join(c.Dir, "model.safetensors"))
	nn.Alloc(m.Params(), false)
	for _, p := range m.Params() {
		copy(p.T().F32(), weights.F32(p.Name))
		p.T().Changed()
	}
	return m
}

func mustGenerate(t testing.TB, e *generate.Engine, reqs ...generate.Request) []generate.Result {
	t.Helper()
	r, err := e.Generate(context.Background(), reqs, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestGreedy compares greedy continuations, all prompts in one batch, with those of transformers (GPT-2) and PyTorch (banded GPT-3).
func TestGreedy(t *testing.T) {
	for _, name := range goldens {
		c := testkit.Golden(t, name)
		for _, set := range sets {
			t.Run(name+"/"+set.name, func(t *testing.T) {
				m := load(t, c) // per set: packed weights are of one set
				var reqs []generate.Request
				for i := 0; c.Has(fmt.Sprintf("greedy.%d.prompt", i)); i++ {
					reqs = append(reqs, generate.Request{Prompt: c.I32(fmt.Sprintf("greedy.%d.prompt", i)), Options: generate.Options{LogProbs: true}})
				}
				if len(reqs) == 0 {
					t.Fatal("the golden has no prompts")
				}
				e := generate.New(m, set.k, generate.EngineOptions{Slots: 2, PrefillChunk: 3})
				for i, r := range mustGenerate(t, e, reqs...) {
					want := c.I32(fmt.Sprintf("greedy.%d.tokens", i))
					if !slices.Equal(r.IDs, want) {
						t.Errorf("prompt %d: %v, want %v; gaps %v", i, r.IDs, want, c.F32(fmt.Sprintf("greedy.%d.gap", i)))
					}
					if r.Finish != generate.Context {
						t.Errorf("prompt %d: finish %q", i, r.Finish)
					}
					logits, V := c.F32(fmt.Sprintf("greedy.%d.logits", i)), m.Sizes().Vocab
					for j, id := range want {
						if lp := logSoftmax(logits[j*V : (j+1)*V])[id]; math.Abs(lp-r.LogProbs[j]) > 1e-4 {
							t.Errorf("prompt %d, token %d: log-probability %v, want %v", i, j, r.LogProbs[j], lp)
						}
					}
				}
			})
		}
	}
}

// logSoftmax is the plain definition.
func logSoftmax(logits []float32) []float64 {
	top := float64(slices.Max(logits))
	sum := 0.0
	for _, l := range logits {
		sum += math.Exp(float64(l) - top)
	}
	lp := make([]float64, len(logits))
	for i, l := range logits {
		lp[i] = float64(l) - top - math.Log(sum)
	}
	return lp
}

// requests are of many lengths and options.
func requests(vocab int) []generate.Request {
	var reqs []generate.Request
	for i := range 11 {
		r := generate.Request{Options: generate.Options{Seed: uint64(i), LogProbs: true, Echo: i%2 == 0, TopLogProbs: i % 4, MaxTokens: []int{0, 3, 9, -1}[i%4]}}
		for j := range 1 + 5*i%17 {
			r.Prompt = append(r.Prompt, int32((7*i+3*j*j)%vocab))
		}
		switch i % 3 {
		case 1:
			r.Temperature, r.TopP = 1.5, 0.95
		case 2:
			r.Temperature, r.TopK, r.Typical, r.MinP, r.RepetitionPenalty, r.PresencePenalty, r.FrequencyPenalty = 3, 40, 0.9, 0.01, 1.2, 0.1, 0.2
		}
		reqs = append(reqs, r)
	}
	return reqs
}

// TestInvariance: a sequence's tokens and the bits of its log-probabilities depend on nothing but its request.
func TestInvariance(t *testing.T) {
	for _, name := range goldens {
		for _, set := range sets {
			t.Run(name+"/"+set.name, func(t *testing.T) {
				m := load(t, testkit.Golden(t, name))
				reqs := requests(m.Sizes().Vocab)
				alone := make([]generate.Result, len(reqs))
				for i, r := range reqs {
					alone[i] = mustGenerate(t, generate.New(m, set.k, generate.EngineOptions{Slots: 1}), r)[0]
				}
				for i, o := range []generate.EngineOptions{{Slots: 3, PrefillChunk: 1}, {Slots: 2, PrefillChunk: 7}, {Slots: 16, PrefillChunk: 64}} {
					e := generate.New(m, set.k, o)
					e.SetLogitRows([]int{1, 5, 1000}[i])
					for range 2 { // the second time in used memory
						streamed := make([][]int32, len(reqs))
						got, err := e.Generate(context.Background(), reqs, func(t generate.Token) { streamed[t.Request] = append(streamed[t.Request], t.ID) })
						if err != nil {
							t.Fatal(err)
						}
						for i := range reqs {
							got[i].Usage = generate.Usage{}
							if !reflect.DeepEqual(got[i], alone[i]) {
								t.Errorf("%+v, request %d:\n%+v, alone\n%+v", o, i, got[i], alone[i])
							}
							if !slices.Equal(streamed[i], got[i].IDs) {
								t.Errorf("request %d: streamed %v of %v", i, streamed[i], got[i].IDs)
							}
						}
					}
				}
			})
		}
	}
}

// TestCachedIsFull compares log-probabilities of the cached path with a softmax of the logits of one forward without a cache.
func TestCachedIsFull(t *testing.T) {
	for _, name := range goldens {
		for _, set := range sets {
			t.Run(name+"/"+set.name, func(t *testing.T) {
				m := load(t, testkit.Golden(t, name))
				e := generate.New(m, set.k, generate.EngineOptions{PrefillChunk: 5})
				o := generate.Options{LogProbs: true, Echo: true, TopLogProbs: 4, Temperature: 1, Seed: 5}
				prompt := []int32{3, 1, 4, 1, 5, 9, 2, 6}
				r := mustGenerate(t, e, generate.Request{Prompt: prompt, Options: o})[0]
				ids := slices.Concat(prompt, r.IDs)
				scores, err := e.Score(context.Background(), [][]int32{ids[:3], ids, ids[:1]})
				if err != nil {
					t.Fatal(err)
				}
				got, top := slices.Concat(r.PromptLogProbs, r.LogProbs), slices.Concat(r.PromptTop, r.Top)
				if !slices.Equal(scores[0], got[:3]) || !slices.Equal(scores[1], got) || !slices.Equal(scores[2], got[:1]) {
					t.Errorf("Score %v, Generate %v", scores, got)
				}
				tape := tensor.Inference(set.k)
				seqs := nn.NewSeqs(len(ids) - 1)
				logits := m.Head().Logits(tape, model.Features(m, tape, tensor.IDs(ids[:len(ids)-1]), seqs, nil)).F32()
				V, worst := m.Sizes().Vocab, 0.0
				for i := 1; i < len(ids); i++ {
					lp := logSoftmax(logits[(i-1)*V : i*V])
					worst = max(worst, math.Abs(lp[ids[i]]-got[i]))
					for _, p := range top[i] {
						worst = max(worst, math.Abs(lp[p.ID]-p.LogProb))
					}
					if len(top[i]) != 4 || math.Abs(top[i][0].LogProb-slices.Max(lp)) > 1e-12 {
						t.Errorf("top at %d: %v, the best has %v", i, top[i], slices.Max(lp))
					}
				}
				if worst > 1e-12 { // the logits are equal bit for bit; the two softmaxes subtract in another order
					t.Errorf("log-probabilities differ by %v", worst)
				}
			})
		}
	}
}

func TestStop(t *testing.T) {
	m := load(t, testkit.Golden(t, goldens[0]))
	e := generate.New(m, sets[1].k, generate.EngineOptions{BOS: new(int32(7))})
	prompt := []int32{1, 2, 3}
	full := mustGenerate(t, e, generate.Request{Prompt: prompt})[0].IDs
	third := full[2]
	at := slices.Index(full, third) + 1
	for _, c := range []struct {
		name   string
		prompt []int32
		o      generate.Options
		tokens int
		finish string
	}{
		{"context", prompt, generate.Options{}, m.Sizes().Context + 1 - 3, generate.Context},
		{"length", prompt, generate.Options{MaxTokens: 5}, 5, generate.Length},
		{"length at the context", prompt, generate.Options{MaxTokens: m.Sizes().Context + 1 - 3}, m.Sizes().Context + 1 - 3, generate.Length},
		{"none", prompt, generate.Options{MaxTokens: -1}, 0, generate.Length},
		{"stop id", prompt, generate.Options{Stop: []int32{third}}, at, generate.Stop},
		{"stop id as the last", prompt, generate.Options{Stop: []int32{third}, MaxTokens: at}, at, generate.Stop},
		{"stop func", prompt, generate.Options{StopFunc: func(ids []int32) bool { return len(ids) == 4 }}, 4, generate.Stop},
		{"full prompt", make([]int32, m.Sizes().Context), generate.Options{}, 1, generate.Context},
		{"BOS", nil, generate.Options{MaxTokens: 2}, 2, generate.Length},
	} {
		r := mustGenerate(t, e, generate.Request{Prompt: c.prompt, Options: c.o})[0]
		if len(r.IDs) != c.tokens || r.Finish != c.finish {
			t.Errorf("%s: %d tokens, finish %q; want %d, %q", c.name, len(r.IDs), r.Finish, c.tokens, c.finish)
		}
		if len(c.prompt) == 3 && !slices.Equal(r.IDs, full[:len(r.IDs)]) {
			t.Errorf("%s: %v is not the start of %v", c.name, r.IDs, full)
		}
	}
	bos := mustGenerate(t, e, generate.Request{Prompt: []int32{7}, Options: generate.Options{MaxTokens: 2}}, generate.Request{Options: generate.Options{MaxTokens: 2}})
	if !slices.Equal(bos[0].IDs, bos[1].IDs) {
		t.Errorf("BOS given %v, implied %v", bos[0].IDs, bos[1].IDs)
	}
}

func TestErrors(t *testing.T) {
	m := load(t, testkit.Golden(t, goldens[0]))
	long := make([]int32, 25)
	nan := math.NaN()
	small, err := gpt.New(gpt.Config{ModelType: gpt.TypeGPT2, Vocab: 50, Context: 16, Width: 16, Layers: 1, Heads: 2, Activation: "gelu_new", LayerNormEps: 1e-5, InitStd: 0.02})
	if err != nil {
		t.Fatal(err)
	}
	type O = generate.Options
	for _, c := range []struct {
		prompt []int32
		o      O
		engine generate.EngineOptions
		want   string
	}{
		{nil, O{}, generate.EngineOptions{}, "prompt is empty"},
		{long, O{}, generate.EngineOptions{}, "25 tokens, the context 24"},
		{long[:11], O{}, generate.EngineOptions{MaxContext: 10}, "11 tokens, the context 10"},
		{append(long, 0), O{MaxTokens: -1}, generate.EngineOptions{}, "26 tokens"},
		{[]int32{1, 97}, O{}, generate.EngineOptions{}, "token 1 of the prompt is id 97"},
		{[]int32{-1}, O{}, generate.EngineOptions{}, "id -1"},
		{long[:1], O{MaxTokens: -2}, generate.EngineOptions{}, "max_tokens"},
		{long[:1], O{Temperature: nan}, generate.EngineOptions{}, "temperature"},
		{long[:1], O{Temperature: -1}, generate.EngineOptions{}, "temperature"},
		{long[:1], O{Temperature: math.Inf(1)}, generate.EngineOptions{}, "temperature"},
		{long[:1], O{TopP: 1.1}, generate.EngineOptions{}, "top_p"},
		{long[:1], O{MinP: nan}, generate.EngineOptions{}, "min_p"},
		{long[:1], O{Typical: -0.1}, generate.EngineOptions{}, "typical_p"},
		{long[:1], O{TopK: -1}, generate.EngineOptions{}, "top_k"},
		{long[:1], O{RepetitionPenalty: -1}, generate.EngineOptions{}, "repetition_penalty"},
		{long[:1], O{PresencePenalty: nan}, generate.EngineOptions{}, "presence_penalty"},
		{long[:1], O{FrequencyPenalty: math.Inf(-1)}, generate.EngineOptions{}, "frequency_penalty"},
		{long[:1], O{PenaltyWindow: -1}, generate.EngineOptions{}, "penalty_window"},
		{long[:1], O{TopLogProbs: 98}, generate.EngineOptions{}, "top_logprobs"},
		{long[:1], O{LogitBias: map[int32]float32{97: 1}}, generate.EngineOptions{}, "logit_bias names id 97"},
		{long[:1], O{LogitBias: map[int32]float32{1: float32(nan)}}, generate.EngineOptions{}, "logit_bias of id 1"},
		{long[:1], O{Stop: []int32{-5}}, generate.EngineOptions{}, "stop_ids has id -5"},
		{long[:1], O{}, generate.EngineOptions{Slots: -1}, "slots"},
		{long[:1], O{}, generate.EngineOptions{MaxContext: 25}, "25 tokens, the model has 24"},
		{long[:1], O{}, generate.EngineOptions{PrefillChunk: -1}, "prefill chunk"},
		{long[:1], O{}, generate.EngineOptions{BOS: new(int32(97))}, "BOS"},
		{long[:1], O{}, generate.EngineOptions{Cache: nn.KVOptions{Type: tensor.Q4_0}}, "a cache of q4_0"},
		{long[:1], O{}, generate.EngineOptions{Cache: nn.KVOptions{Max: -1}}, "a cache of -1 positions"},
		{long[:1], O{}, generate.EngineOptions{Lookup: -1}, "look-up of -1"},
		{long[:1], O{}, generate.EngineOptions{DraftTokens: -1}, "drafts of -1"},
		{long[:1], O{}, generate.EngineOptions{Lookup: 1, Draft: m}, "exclude each other"},
		{long[:1], O{}, generate.EngineOptions{Draft: small}, "a vocabulary of 50, the model 97"},
	} {
		e := generate.New(m, sets[1].k, c.engine)
		_, err := e.Generate(context.Background(), []generate.Request{{Prompt: c.prompt, Options: c.o}}, nil)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want one about %q", err, c.want)
		}
	}
}

// TestBroken: weights that yield NaN, and a bias that bans everything, are errors and leave the engine usable.
func TestBroken(t *testing.T) {
	m := load(t, testkit.Golden(t, goldens[0]))
	e := generate.New(m, sets[1].k, generate.EngineOptions{})
	ban := map[int32]float32{}
	for id := range int32(m.Sizes().Vocab) {
		ban[id] = float32(math.Inf(-1))
	}
	prompt := []int32{1, 2}
	before := mustGenerate(t, e, generate.Request{Prompt: prompt})
	if _, err := e.Generate(context.Background(), []generate.Request{{Prompt: prompt, Options: generate.Options{LogitBias: ban}}}, nil); err == nil {
		t.Error("a bias that bans every token passed")
	}
	if after := mustGenerate(t, e, generate.Request{Prompt: prompt}); !reflect.DeepEqual(before, after) {
		t.Errorf("after an error %v, before %v", after, before)
	}
	m.Transformer.Norm.Bias.T().F32()[0] = float32(math.NaN())
	if _, err := e.Generate(context.Background(), []generate.Request{{Prompt: prompt}}, nil); err == nil {
		t.Error("NaN in the logits passed")
	}
	if _, err := e.Score(context.Background(), [][]int32{prompt}); err == nil {
		t.Error("Score passed NaN in the logits")
	}
}

func TestCancel(t *testing.T) {
	m := load(t, testkit.Golden(t, goldens[0]))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	n := 0
	r, err := generate.New(m, sets[1].k, generate.EngineOptions{}).Generate(ctx, []generate.Request{{Prompt: []int32{1}}}, func(generate.Token) {
		if n++; n == 3 {
			cancel()
		}
	})
	if err != context.Canceled || len(r[0].IDs) != 3 || r[0].Finish != "" {
		t.Errorf("error %v, results %v", err, r)
	}
}

// TestSeeds: other seeds give other tokens, and a continuation of what was generated goes on with the same ones.
func TestSeeds(t *testing.T) {
	m := load(t, testkit.Golden(t, goldens[0]))
	e := generate.New(m, sets[1].k, generate.EngineOptions{})
	prompt := []int32{5, 6}
	o := generate.Options{Temperature: 5}
	seen := map[string]bool{}
	for seed := range uint64(10) {
		o.Seed = seed
		ids := mustGenerate(t, e, generate.Request{Prompt: prompt, Options: o})[0].IDs
		seen[fmt.Sprint(ids)] = true
		rest := mustGenerate(t, e, generate.Request{Prompt: slices.Concat(prompt, ids[:9]), Options: o})[0].IDs
		if !slices.Equal(rest, ids[9:]) {
			t.Errorf("seed %d: %v went on with %v", seed, ids, rest)
		}
	}
	if len(seen) != 10 {
		t.Errorf("10 seeds gave %d sequences", len(seen))
	}
}

// TestConcurrent: calls from several goroutines get what each would get alone, though their steps are shared.
func TestConcurrent(t *testing.T) {
	m := load(t, testkit.Golden(t, goldens[0]))
	reqs := requests(m.Sizes().Vocab)
	plain := func(list []generate.Result) []generate.Result {
		for i := range list {
			list[i].Usage = generate.Usage{} // what is reused depends on who came first
		}
		return list
	}
	want := plain(mustGenerate(t, generate.New(m, sets[1].k, generate.EngineOptions{}), reqs...))
	e := generate.New(m, sets[1].k, generate.EngineOptions{Slots: 3})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			of := reqs
			for j := range of {
				of = slices.Clone(of)
				of[j].Scope = fmt.Sprint(i % 3)
			}
			if i == 5 { // one goes away
				ctx, cancel := context.WithCancel(context.Background())
				r, err := e.Generate(ctx, of, func(generate.Token) { cancel() })
				if err != context.Canceled || len(r) != len(of) {
					t.Errorf("canceled: error %v, %d results", err, len(r))
				}
				return
			}
			told := make([][]int32, len(of))
			got, err := e.Generate(context.Background(), of, func(t generate.Token) { told[t.Request] = append(told[t.Request], t.ID) })
			if err != nil || !reflect.DeepEqual(plain(got), want) {
				t.Errorf("error %v, results %v, want %v", err, got, want)
			}
			for j, r := range got {
				if !slices.Equal(told[j], r.IDs) {
					t.Errorf("request %d: told %v, result %v", j, told[j], r.IDs)
				}
			}
		})
	}
	wg.Wait()
	if l := e.Load(); l.Active != 0 || l.Waiting != 0 || l.Tokens != 0 || l.Stats.Decoded == 0 {
		t.Errorf("at rest the load is %+v", l)
	}
}

// TestSlowListener: a call whose onToken does not return holds nobody up, and an error of one call is not another's.
func TestSlowListener(t *testing.T) {
	m := load(t, testkit.Golden(t, goldens[0]))
	e := generate.New(m, sets[1].k, generate.EngineOptions{})
	entered, leave := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		first := true
		if _, err := e.Generate(context.Background(), []generate.Request{{Prompt: []int32{1}}}, func(generate.Token) {
			if first {
				first = false
				close(entered)
				<-leave
			}
		}); err != nil {
			t.Error(err)
		}
	})
	<-entered
	ban := map[int32]float32{}
	for id := range int32(m.Sizes().Vocab) {
		ban[id] = float32(math.Inf(-1))
	}
	wg.Go(func() {
		if _, err := e.Generate(context.Background(), []generate.Request{{Prompt: []int32{2}, Options: generate.Options{LogitBias: ban}}}, nil); err == nil {
			t.Error("a bias that bans every token passed")
		}
	})
	mustGenerate(t, e, generate.Request{Prompt: []int32{1, 2, 3}})
	close(leave)
	wg.Wait()
}

// TestAllocs: a step takes nothing from the heap, whatever the cache holds; what there is are longer results.
func TestAllocs(t *testing.T) {
	m := random(t, 1)
	for _, d := range cacheTypes {
		for _, lookup := range []int{0, 2} {
			e := generate.New(m, sets[1].k, generate.EngineOptions{Lookup: lookup, Cache: nn.KVOptions{Type: d}})
			allocs := func(n int) float64 {
				req := []generate.Request{{Prompt: text(1, 100), Options: generate.Options{MaxTokens: n, Temperature: 1, TopK: 5}}}
				return testing.AllocsPerRun(5, func() { mustGenerate(t, e, req...) })
			}
			if per := (allocs(220) - allocs(20)) / 200; per > 1 {
				t.Errorf("cache of %s, look-up %d: a step makes %v allocations", d, lookup, per)
			}
		}
	}
}
