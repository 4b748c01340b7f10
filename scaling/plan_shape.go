package scaling

import (
	"cmp"
	"errors"
	"fmt"
	"math"

	"github.com/plinth-ml/plinth/model"
)

// ShapeOptions say what shapes may be proposed.
type ShapeOptions struct {
	Vocab, Context int              // 0 means 50257 and 2048
	HeadDim        int              // 0 means 64 below 2 billion parameters and 128 from there on
	Count          model.Convention // of N
	Tensor, Stages int              // of a layout: they divide the heads and the layers; 0 or 1 means the rule
}

// ErrNoShape is ShapeFor's error.
var ErrNoShape = errors.New("not within a tenth")

// ShapeFor is the GPT whose exact count of parameters is nearest to N. Widths are multiples of 128 from 1024 on and of 64 below (all of
// the head dim). From 2 billion parameters on heads are multiples of four, from 10 billion on layers are even, from 60 billion on heads are multiples of
// eight, so that devices can share them. Width/layers is within a factor 1.5 of what published models of that size have: about 64 at 125 M parameters and 128
// from 7 billion on. Error ErrNoShape where no such shape comes within a tenth.
func ShapeFor(N float64, o ShapeOptions) (model.Shape, error) {
	s := model.Shape{HeadDim: o.HeadDim, Biases: model.LayerBiases, NormBias: true, Vocab: cmp.Or(o.Vocab, 50257), Context: cmp.Or(o.Context, 2048)}
	if s.HeadDim == 0 {
		s.HeadDim = 64
		if N >= 2e9 {
			s.HeadDim = 128
		}
	}
	aspect := interpolate([]float64{1e6, 125e6, 7e9, 200e9, 540e9}, []float64{32, 64, 128, 128, 180}, N)
	if N < 1e6 {
		aspect = 32
	}
	layers, heads := 1, 1 // divisors
	switch {
	case N >= 60e9:
		layers, heads = 2, 8
	case N >= 10e9:
		layers, heads = 2, 4
	case N >= 2e9:
		heads = 4
	}
	if o.Tensor > 1 {
		heads = o.Tensor
	}
	if o.Stages > 1 {
		layers = o.Stages
	}
	best, miss := model.Shape{}, math.Inf(1)
	for s.Width = s.HeadDim; s.Width <= 1<<17; s.Width += s.HeadDim {
		step := 64
		if s.Width >= 1024 {
			step = 128
		}
		s.Heads = s.Width / s.HeadDim
		if s.Width%step != 0 && s.Width > s.HeadDim || s.Heads%heads != 0 {
			continue
		}
		base := float64(s.Params().By(o.Count)) // a count is linear in the layers
		one := float64(s.Params().Layer)
		below := int(math.Floor((N-base)/one/float64(layers))) * layers
		for _, n := range []int{below, below + layers} {
			ratio := float64(s.Width) / float64(n) / aspect
			if n < 1 || ratio > 1.5 || ratio < 1/1.5 {
				continue
			}
			if m := math.Abs(math.Log((base + float64(n)*one) / N)); m < miss {
				best, miss = s, m
				best.Layers = n
			}
		}
	}
	if miss > 0.1 {
		sharing := ""
		if o.Tensor > 1 || o.Stages > 1 {
			sharing = fmt.Sprintf(", shared by tensor %d and %d stages,", max(1, o.Tensor), max(1, o.Stages))
		}
		return best, fmt.Errorf("scaling: vocab %d, context %d and heads of %d%s make no GPT of %.3g parameters, %w", s.Vocab, s.Context, s.HeadDim, sharing, N, ErrNoShape)
	}
	return best, nil
}
