package vec

import (
	"fmt"
	"math"
)

// AdamWStep holds what one optimiser step needs beside the vectors. Scalars are combined in float64 and then rounded.
type AdamWStep struct {
	LR          float64 // learning rate of this step
	Beta1       float64 // decay of the first moment
	Beta2       float64 // decay of the second moment
	Eps         float64 // added to the denominator, after the bias correction
	WeightDecay float64 // decoupled decay, multiplied by LR
	Step        int     // 1 for the first step
	GradScale   float64 // factor on the gradient (clipping, accumulation); 0 means 1
	ZeroGrad    bool    // set g to 0 in the same sweep
}

// adamWConsts are the float32 factors of one step.
type adamWConsts struct {
	scale, decay       float32 // of the gradient, of the parameter
	b1, c1, b2, c2     float32 // betas and 1-beta
	step, invBias, eps float32 // lr/(1-b1^t), 1/sqrt(1-b2^t)
	keep               float32 // bit mask on g: all ones keep it, zero clears it
	mMin, vMin         float32 // smaller moments become 0
}

// AdamW takes one step on the parameters p with gradient g and moments m, v, as PyTorch's AdamW does
// (Loshchilov and Hutter 2019, algorithm 2, with the learning rate on the decay):
//
//	g *= GradScale;  p *= 1 - LR*WeightDecay;  m = b1*m + (1-b1)*g;  v = b2*v + (1-b2)*g*g
//	p -= LR/(1-b1^t) * m / (sqrt(v)/sqrt(1-b2^t) + Eps)
//
// Moments that decay towards 0 would end as subnormal numbers, which are many times slower: where Eps is at least 1e-9,
// |m| below 1e-30 and |v| below 2^-124 become 0 before they are used. That moves p by less than LR*1e-20 and changes
// the denominator by less than its rounding error.
//
// The scaled gradient is not written back; g is only touched by ZeroGrad. The work is elementwise: calls over parts
// of the vectors give the same bits as one call over the whole. Step < 1 is a panic.
func AdamW(p, g, m, v []float32, s AdamWStep) {
	n := len(p)
	need("AdamW", "g", len(g), n)
	need("AdamW", "m", len(m), n)
	need("AdamW", "v", len(v), n)
	if s.Step < 1 {
		panic(fmt.Sprintf("vec: AdamW: step %d, want at least 1", s.Step))
	}
	if s.GradScale == 0 {
		s.GradScale = 1
	}
	t := float64(s.Step)
	c := adamWConsts{
		scale: float32(s.GradScale), decay: float32(1 - float64(s.LR*s.WeightDecay)),
		b1: float32(s.Beta1), c1: float32(1 - s.Beta1), b2: float32(s.Beta2), c2: float32(1 - s.Beta2),
		step:    float32(s.LR / (1 - math.Pow(s.Beta1, t))),
		invBias: float32(1 / math.Sqrt(1-math.Pow(s.Beta2, t))),
		eps:     float32(s.Eps),
	}
	if s.Eps >= 1e-9 {
		c.mMin, c.vMin = 1e-30, 0x1p-124
	}
	if !s.ZeroGrad {
		c.keep = math.Float32frombits(0xffffffff)
	}
	active.adamW(p, g[:n], m[:n], v[:n], c)
}
