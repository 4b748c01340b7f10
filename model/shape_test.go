package model

import (
	"math"
	"testing"
)

var gpt2 = Shape{Layers: 12, Width: 768, Heads: 12, Biases: LayerBiases, NormBias: true, Vocab: 50257, Context: 1024}

// Kaplan's N of GPT-2 small is 12·L·C² with what he leaves out: biases and norms.
func TestConventions(t *testing.T) {
	p := gpt2.Params()
	for c, want := range map[Convention]int64{AllParams: 124439808, NoPositions: 124439808 - 1024*768, NoEmbeddings: 124439808 - (1024+50257)*768} {
		if got := p.By(c); got != want {
			t.Errorf("convention %d counts %d, want %d", c, got, want)
		}
	}
	bare := Shape{Layers: 12, Width: 768, Heads: 12, Vocab: 50257, Context: 1024}.Params()
	if got, want := bare.By(NoEmbeddings), int64(12*(12*768*768+2*768)+768); got != want {
		t.Errorf("without biases %d, want 12·L·C² and the norms: %d", got, want)
	}
}

// Products and sums against the closed forms of the papers.
func TestClosedForms(t *testing.T) {
	const T = 1024
	bare := Shape{Layers: 12, Width: 768, Heads: 12, Vocab: 50257, Context: T}
	f := bare.FLOPs(1, T, RecomputeFull)
	N := 12.0 * 12 * 768 * 768
	if want := T * (2*N + 2*2*12*768*T + 2*50257*768); f.Forward != want {
		t.Errorf("forward %v, want 2N + 4·L·T·C and the head: %v", f.Forward, want)
	}
	if f.Backward != 2*f.Forward {
		t.Errorf("backward %v is not twice forward %v", f.Backward, f.Forward)
	}
	// Narayanan et al. 2021, equation 3, with every layer recomputed: 96·B·s·l·h²·(1 + s/6h + V/16lh).
	const L, h, V = 12.0, 768.0, 50257.0
	if got, want := f.Hardware(true), 96*T*L*h*h*(1+T/(6*h)+V/(16*L*h)); math.Abs(got/want-1) > 1e-12 {
		t.Errorf("full recomputation %v, want %v", got, want)
	}
	// Korthikanti et al. 2022, equation 7: 72·B·L·s·h²·(1 + s/6h + v/12hL) for the model.
	if got, want := f.Model(true), 72*T*L*h*h*(1+T/(6*h)+V/(12*h*L)); math.Abs(got/want-1) > 1e-12 {
		t.Errorf("model FLOPs %v, want %v", got, want)
	}
	s := bare.FLOPs(1, T, RecomputeSelective)
	if s.Recomputed != s.Attention {
		t.Errorf("selective recomputation does %v, attention is %v", s.Recomputed, s.Attention)
	}
	if flash := bare.FLOPs(1, T, RecomputeFused); flash.Recomputed != s.Attention/2 {
		t.Errorf("scores alone are %v, attention %v", flash.Recomputed, s.Attention)
	}
	// PaLM, appendix B: 6N + 12·L·H·Q·T for each token, N without biases and norms.
	if got, want := f.Model(true)/T, 6*(N+50257*768)+12*12*768*T; math.Abs(got/want-1) > 1e-12 {
		t.Errorf("%v for a token, want %v", got, want)
	}
}

// A band or a causal mask hides what brute force says.
func TestMasked(t *testing.T) {
	for _, s := range []Shape{
		{Layers: 3, Width: 8, Heads: 2, Vocab: 5},
		{Layers: 3, Width: 8, Heads: 2, Vocab: 5, Windows: []int{0, 4, 0}},
		{Layers: 3, Width: 8, Heads: 2, Vocab: 5, Windows: []int{0, 40, 3}},
		{Layers: 2, Width: 8, Heads: 2, Vocab: 5, Bidirectional: true},
	} {
		for seq := 1; seq < 12; seq++ {
			seen := 0
			for l := range s.Layers {
				for q := range seq {
					for k := range seq {
						w := s.LayerWindow(l)
						if s.Bidirectional || k <= q && (w == 0 || q-k < w) {
							seen++
						}
					}
				}
			}
			f := s.FLOPs(2, seq, RecomputeNone)
			if got, want := f.Attention-f.MaskedForward, float64(2*4*8*seen); got != want {
				t.Errorf("windows %v, %d tokens: %v FLOPs seen, want %v", s.Windows, seq, got, want)
			}
		}
	}
}

// Multi-query attention, a gate, and BERT's heads change the products as they change the parameters: each matrix of the model is the
// weight of a product with twice its size of FLOPs for each row.
func TestProductsAreParameters(t *testing.T) {
	for name, s := range map[string]Shape{
		"palm":     {Layers: 2, Width: 32, Heads: 4, KVHeads: 1, HeadDim: 16, Gated: true, Parallel: true, Positions: Rotary, Vocab: 50},
		"relative": {Layers: 2, Width: 32, Heads: 4, Positions: Relative, Vocab: 50},
		"bert":     {Layers: 2, Width: 32, Heads: 4, Biases: LayerBiases, NormBias: true, NoFinalNorm: true, EmbedNorm: true, Segments: 2, Vocab: 50, Bidirectional: true, MLM: true},
		"untied":   {Layers: 2, Width: 32, Heads: 4, Vocab: 50, Untied: true},
	} {
		matrices := int64(0)
		for _, p := range s.Products(1, 7, RecomputeNone) {
			if p.Pass == BackwardWeight {
				matrices += int64(p.Times) * int64(p.M) * int64(p.N)
			}
		}
		p := s.Params()
		norms, biases := p.Total()-matrices-p.Positions-p.Segments, int64(0)
		if s.Untied {
			norms -= p.Tokens
		}
		switch name {
		case "palm":
			biases = 3 * 32
		case "relative":
			biases = 5*32 + 2*2*32
		case "untied":
			biases = 5 * 32
		case "bert":
			biases = 2*(3*32+32+4*32+32+2*64) + 64 + (32 + 64 + 50)
		}
		if norms != biases {
			t.Errorf("%s: %d parameters outside of products, want %d", name, norms, biases)
		}
	}
}

// Table A4 of Hoffmann et al. 2022. Their N counts the projection of relative positions and the embedding of 32,000 tokens; the ratios
// are those of the layers alone, without the vocabulary's products that appendix F lists.
func TestHoffmannTable(t *testing.T) {
	for _, r := range []struct {
		layers, width, heads, dim int
		millions, ratio           float64
	}{
		{10, 640, 10, 64, 73, 1.03}, {20, 1024, 16, 64, 305, 1.10}, {24, 1280, 10, 128, 552, 1.08},
		{26, 1792, 14, 128, 1100, 1.04}, {28, 2048, 16, 128, 1600, 1.03}, {40, 3584, 28, 128, 6800, 0.99},
	} {
		s := Shape{Layers: r.layers, Width: r.width, Heads: r.heads, HeadDim: r.dim, Positions: Relative, Vocab: 32000}
		N := float64(s.Params().Total())
		if math.Abs(N/1e6/r.millions-1) > 0.04 {
			t.Errorf("%v M has %v parameters", r.millions, N)
		}
		const T = 2048
		if got := s.HoffmannFLOPs(T, false) / (6 * N * T); math.Abs(got-r.ratio) > 0.0051 {
			t.Errorf("%v M: ratio %.4f, want %v", r.millions, got, r.ratio)
		}
		ours := s
		ours.Positions = Rotary // appendix F has no products of relative positions
		f := ours.FLOPs(1, T, RecomputeNone)
		softmax, lookup := 3*3.0*float64(r.layers*r.heads)*T*T, 3*2*T*32000*float64(r.width)
		if got, want := f.Model(true)+softmax+lookup, s.HoffmannFLOPs(T, true); got != want {
			t.Errorf("%v M: our products with softmax and lookup %v, theirs %v", r.millions, got, want)
		}
	}
}
