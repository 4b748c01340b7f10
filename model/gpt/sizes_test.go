package gpt

import (
	"testing"

	"github.com/plinth-ml/plinth/nn"
)

// Counts of the reference tables: GPT-2's checkpoints, GPT-3's rows by formula.
func TestParameterCounts(t *testing.T) {
	named := map[string]int64{
		"gpt2": 124439808, "gpt2-medium": 354823168, "gpt2-large": 774030080, "gpt2-xl": 1557611200,
		"gpt3-small": 125226240, "gpt3-medium": 355871744, "gpt3-large": 760300032, "gpt3-xl": 1315723264,
		"gpt3-2.7b": 2651553280, "gpt3-6.7b": 6658404352, "gpt3-13b": 12853386240, "gpt3-175b": 174604259328, "mt-nlg-530b": 529600819200,
		"nano": 1334016, "micro": 5853184, "mini": 12318720,
	}
	if len(named) != len(Sizes) {
		t.Errorf("%d counts for %d sizes", len(named), len(Sizes))
	}
	for _, s := range Sizes {
		if got := s.Config.Cost(1).Params; got != named[s.Name] {
			t.Errorf("%s has %d parameters, want %d", s.Name, got, named[s.Name])
		}
	}
	printed := gpt3(24, 2048, 24) // XL as printed: 24 heads of 128
	printed.HeadDim = 128
	wide := gpt3(40, 5140, 40) // 13B as printed; 5140 is no multiple of 40
	wide.Heads, wide.HeadDim = 20, 257
	for want, c := range map[int64]Config{1517123584: printed, 12952938780: wide} {
		m, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		if got := nn.Count(m.Params()); got != want {
			t.Errorf("width %d heads %d has %d parameters, want %d", c.Width, c.Heads, got, want)
		}
	}
}

func TestDepthDial(t *testing.T) {
	last := Size{}
	for d := 1; d <= 32; d++ {
		s, err := ByDepth(d, 50257, 1024)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Config.Check(); err != nil {
			t.Fatal(err)
		}
		if d > 1 && (s.LR >= last.LR || s.Batch < last.Batch || s.Config.Width <= last.Config.Width) {
			t.Errorf("depth %d: %+v after %+v", d, s, last)
		}
		last = s
	}
	if s, _ := ByDepth(12, 50257, 1024); s.Config != gpt2(12, 768, 12) || s.Batch != 524288 || s.LR != 6e-4 {
		t.Errorf("depth 12 is not GPT-2 small: %+v", s)
	}
	if _, err := ByDepth(0, 10, 10); err == nil {
		t.Error("depth 0 is accepted")
	}
}

// The arithmetic of a configuration agrees with the parameters of the model.
func TestShapeCounts(t *testing.T) {
	for _, s := range Sizes {
		m, err := New(s.Config)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := s.Config.Shape().Params().Total(), nn.Count(m.Params()); got != want {
			t.Errorf("%s: the shape counts %d parameters, the model has %d", s.Name, got, want)
		}
	}
}
