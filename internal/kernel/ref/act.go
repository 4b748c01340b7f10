package ref

import (
	"fmt"
	"math"

	"github.com/plinth-ml/plinth/internal/kernel"
)

// The tanh approximation of GELU is x/2 (1 + tanh(geluA (x + geluB x³))).
const (
	geluA = 0.7978845608028653558798921198687637 // sqrt(2/π)
	geluB = 0.044715
)

const quick = 1.702 // of QuickGELU

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// normalCDF is Φ.
func normalCDF(x float64) float64 { return math.Erfc(-x/math.Sqrt2) / 2 }

// actOf is f(x).
func actOf(f kernel.Act, x float64) float64 {
	switch f {
	case kernel.Identity:
		return x
	case kernel.GELU:
		return x * normalCDF(x)
	case kernel.GELUTanh:
		return x / 2 * (1 + math.Tanh(geluA*(x+geluB*x*x*x)))
	case kernel.ReLU:
		return max(x, 0)
	case kernel.SiLU:
		return x * sigmoid(x)
	case kernel.Tanh:
		return math.Tanh(x)
	case kernel.Sigmoid:
		return sigmoid(x)
	case kernel.QuickGELU:
		return x * sigmoid(quick*x)
	}
	panic(fmt.Sprintf("ref: activation %d", f))
}

// actSlope is f'(x); ReLU's at 0 is 0.
func actSlope(f kernel.Act, x float64) float64 {
	switch f {
	case kernel.Identity:
		return 1
	case kernel.GELU:
		return normalCDF(x) + x*math.Exp(-x*x/2)/math.Sqrt(2*math.Pi)
	case kernel.GELUTanh:
		t := math.Tanh(geluA * (x + geluB*x*x*x))
		return (1+t)/2 + x/2*(1-t*t)*geluA*(1+3*geluB*x*x)
	case kernel.ReLU:
		if x > 0 {
			return 1
		}
		return 0
	case kernel.SiLU:
		s := sigmoid(x)
		return s * (1 + x*(1-s))
	case kernel.Tanh:
		t := math.Tanh(x)
		return 1 - t*t
	case kernel.Sigmoid:
		s := sigmoid(x)
		return s * (1 - s)
	case kernel.QuickGELU:
		s := sigmoid(quick * x)
		return s * (1 + quick*x*(1-s))
	}
	panic(fmt.Sprintf("ref: activation %d", f))
}

func act[T float](f kernel.Act, y, x buf) {
	want("Act", "x", x, y.Len())
	ys, xs := of[T](y), of[T](x)
	for i, v := range xs {
		ys[i] = T(actOf(f, float64(v)))
	}
}

func actGrad[T float](f kernel.Act, dx, dy, x buf, acc bool) {
	want("ActGrad", "dx", dx, x.Len())
	want("ActGrad", "dy", dy, x.Len())
	dxs, dys, xs := of[T](dx), of[T](dy), of[T](x)
	for i, v := range xs {
		put(&dxs[i], float64(dys[i])*actSlope(f, float64(v)), acc)
	}
}

func swiGLU[T float](y, gate, up buf) {
	binary[T]("SwiGLU", y, gate, up, func(_, g, u float64) float64 { return actOf(kernel.SiLU, g) * u })
}

func swiGLUGrad[T float](dgate, dup, dy, gate, up buf, acc bool) {
	n := gate.Len()
	want("SwiGLUGrad", "dgate", dgate, n)
	want("SwiGLUGrad", "dup", dup, n)
	want("SwiGLUGrad", "dy", dy, n)
	want("SwiGLUGrad", "up", up, n)
	dgs, dus, dys, gs, us := of[T](dgate), of[T](dup), of[T](dy), of[T](gate), of[T](up)
	for i := range gs {
		d, g, u := float64(dys[i]), float64(gs[i]), float64(us[i])
		put(&dgs[i], d*u*actSlope(kernel.SiLU, g), acc)
		put(&dus[i], d*actOf(kernel.SiLU, g), acc)
	}
}
