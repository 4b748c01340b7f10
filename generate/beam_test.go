package generate_test

import (
	"context"
	"encoding/json"
	"math"
	"slices"
	"testing"

	"github.com/plinth-ml/plinth/generate"
	"github.com/plinth-ml/plinth/internal/kernel/cpu"
	"github.com/plinth-ml/plinth/internal/testkit"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/model/zoo"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
)

// found is a search of a golden case: transformers' settings, input and results.
type found struct {
	Beams    int       `json:"num_beams"`
	Most     int       `json:"max_new_tokens"`
	Least    int       `json:"min_new_tokens"`
	Penalty  *float64  `json:"length_penalty"`
	Early    any       `json:"early_stopping"`
	NoRepeat int       `json:"no_repeat_ngram_size"`
	Return   int       `json:"num_return_sequences"`
	Stops    []int32   `json:"stop_ids"`
	Input    []int32   `json:"input"`
	IDs      [][]int32 `json:"ids"`
	Scores   []float64 `json:"scores"`
}

func (f *found) options() generate.BeamOptions {
	o := generate.BeamOptions{Beams: f.Beams, MaxTokens: f.Most, MinTokens: f.Least, LengthPenalty: f.Penalty, NoRepeat: f.NoRepeat, Return: f.Return, Stop: f.Stops}
	switch f.Early {
	case true:
		o.Early = generate.EarlyFull
	case "never":
		o.Early = generate.EarlyNever
	}
	return o
}

// beamCase opens a golden case: its model, a searcher on it, and what transformers found.
func beamCase(t *testing.T, name string) (zoo.Stored, *generate.Searcher, []found) {
	t.Helper()
	c := testkit.Golden(t, "beams/"+name)
	m, err := zoo.OpenAny(c.Folder(), zoo.Options{F32: true})
	if err != nil {
		t.Fatal(err)
	}
	var list []found
	if err := json.Unmarshal([]byte(c.Meta["searches"]), &list); err != nil {
		t.Fatal(err)
	}
	k := cpu.New(cpu.Options{Threads: 2})
	if s, ok := m.(model.Seq2Seq); ok {
		return m, generate.NewSeq2SeqSearcher(s, k), list
	}
	d, err := zoo.AsDecoder(m)
	if err != nil {
		t.Fatal(err)
	}
	return m, generate.NewSearcher(d, k), list
}

func request(m zoo.Stored, f *found) generate.SearchRequest {
	r := generate.SearchRequest{BeamOptions: f.options()}
	if _, ok := m.(model.Seq2Seq); ok {
		r.Source = f.Input
	} else {
		r.Prompt = f.Input
	}
	return r
}

var beamCases = []string{"t5", "t5-v1_1", "llama", "gpt_neox"}

// Searches find what transformers' generate finds, all together and each alone.
func TestBeamsAgainstTransformers(t *testing.T) {
	for _, name := range beamCases {
		t.Run(name, func(t *testing.T) {
			m, s, list := beamCase(t, name)
			var reqs []generate.SearchRequest
			for i := range list {
				reqs = append(reqs, request(m, &list[i]))
			}
			together, err := s.Search(context.Background(), reqs)
			if err != nil {
				t.Fatal(err)
			}
			for i, f := range list {
				alone, err := s.Search(context.Background(), reqs[i:i+1])
				if err != nil {
					t.Fatal(err)
				}
				if len(together[i]) != len(f.IDs) {
					t.Fatalf("search %d %+v: %d results, want %d", i, reqs[i], len(together[i]), len(f.IDs))
				}
				for j, r := range together[i] {
					if !slices.Equal(r.IDs, f.IDs[j]) {
						t.Errorf("search %d %+v, result %d: %v, want %v", i, reqs[i], j, r.IDs, f.IDs[j])
					} else if f.Scores != nil && math.Abs(r.Score-f.Scores[j]) > 1e-4*max(1, math.Abs(f.Scores[j])) {
						t.Errorf("search %d, result %d: score %v, want %v", i, j, r.Score, f.Scores[j])
					}
					if a := alone[0][j]; !slices.Equal(a.IDs, r.IDs) || a.Score != r.Score {
						t.Errorf("search %d, result %d: %v alone, %v among others", i, j, a, r)
					}
				}
			}
		})
	}
}

// A result's score is what the model says of it without any cache.
func TestBeamScoresWithoutCache(t *testing.T) {
	for _, name := range beamCases {
		m, s, list := beamCase(t, name)
		tape := tensor.Inference(cpu.New(cpu.Options{Threads: 2}))
		for i := range list[:8] {
			f := &list[i]
			r := request(m, f)
			zero := 0.0
			r.LengthPenalty = &zero
			r.NoRepeat = 0
			all, err := s.Search(context.Background(), []generate.SearchRequest{r})
			if err != nil {
				t.Fatal(err)
			}
			best := all[0][0]
			tape.Reset()
			ids := append(slices.Clone(f.Input), best.IDs...)
			var logits *tensor.Tensor
			if s2s, ok := m.(model.Seq2Seq); ok {
				source := nn.NewSeqs(len(f.Input))
				memory := s2s.Encode(tape, model.Input{IDs: tensor.IDs(f.Input), Seqs: source})
				ids = append([]int32{s2s.Start()}, best.IDs...)
				logits = s2s.Decoder().Head().Logits(tape, model.Decode(s2s, tape, tensor.IDs(ids), nn.NewSeqs(len(ids)), memory, source.Spans))
			} else {
				d := m.(model.Decoder)
				logits = d.Head().Logits(tape, model.Features(d, tape, tensor.IDs(ids), nn.NewSeqs(len(ids)), nil))
			}
			_, V := logits.Dims2()
			sum, first := 0.0, len(ids)-len(best.IDs)
			for at := first; at < len(ids); at++ {
				row, total := logits.F32()[(at-1)*V:at*V], 0.0
				for _, l := range row {
					total += math.Exp(float64(l))
				}
				sum += float64(row[ids[at]]) - math.Log(total)
			}
			if math.Abs(sum-best.Score) > 1e-9*math.Abs(sum) { // the same logits, to the bit: only the sums are taken in another way
				t.Errorf("%s, search %d: score %v, computed at once %v", name, i, best.Score, sum)
			}
		}
	}
}

// What cannot be served is told before any work.
func TestBeamRefuses(t *testing.T) {
	_, s, _ := beamCase(t, "t5")
	for name, r := range map[string]generate.SearchRequest{
		"no source":     {},
		"an id":         {Source: []int32{99}},
		"a stop":        {Source: []int32{1}, BeamOptions: generate.BeamOptions{Stop: []int32{-1}}},
		"many beams":    {Source: []int32{1}, BeamOptions: generate.BeamOptions{Beams: 65}},
		"many results":  {Source: []int32{1}, BeamOptions: generate.BeamOptions{Beams: 2, Return: 3}},
		"no such early": {Source: []int32{1}, BeamOptions: generate.BeamOptions{Early: "late"}},
	} {
		if _, err := s.Search(context.Background(), []generate.SearchRequest{r}); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.Search(gone, []generate.SearchRequest{{Source: []int32{3}}}); err == nil {
		t.Error("a search goes on after its context ended")
	}
}
