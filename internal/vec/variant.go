package vec

import "fmt"

// variant is one implementation of every function. Lengths are already checked, and equal where the contract says so.
type variant struct {
	name string

	exp, tanh, sigmoid, gelu, geluTanh, relu, silu func(y, x []float32)

	geluGrad, geluTanhGrad, reluGrad, siluGrad func(dx, dy, x []float32)

	swiGLU     func(y, gate, up []float32)
	swiGLUGrad func(dgate, dup, dy, gate, up []float32)

	add, sub, mul func(y, a, b []float32)
	scale, axpy   func(y []float32, a float32, x []float32)
	fill          func(y []float32, a float32)
	addRows       func(y, x []float32, ld, rows int)
	fetch         func(x *float32, ld, rows, n int) // or nil; at least one element

	sum, max    func(x []float32) float32
	dot         func(a, b []float32) float32
	sumSquares  func(x []float32) float64
	allFinite   func(x []float32) bool
	expSum      func(y, x []float32, max float32) float32
	softmaxGrad func(dx, dy, y []float32)

	softmaxTile     func(p *float32, ld, width int, seen *int32, top, sum *float32, rows int) // or nil; at least one row and column
	softmaxTileGrad func(p, ds *float32, ld, width int, seen *int32, lse, delta *float32, rows int)

	layerNorm     func(y, x, w, b []float32, eps float32) (mean, rstd float32)
	layerNormGrad func(dx, dw, db, dy, x, w []float32, mean, rstd float32)
	rmsNorm       func(y, x, w []float32, eps float32) (rstd float32)
	rmsNormGrad   func(dx, dw, dy, x, w []float32, rstd float32)

	rotateHalf, rotatePairs func(y, x, cos, sin []float32, sign float32)

	adamW func(p, g, m, v []float32, c adamWConsts)

	f32FromF16, f32FromBF16 func(y []float32, x []uint16)
	f16FromF32, bf16FromF32 func(y []uint16, x []float32)
	roundBF16               func(y []uint16, x []float32, k0, k1, from, shift uint32)

	mulI8     func(y []float32, x []int8, s []float32)
	f32FromQ8 func(y []float32, x []byte)
	f32From4  func(y []float32, x []byte, table *[16]float32)
}

// goVariant is the portable definition of everything.
var goVariant = variant{
	name: "go",

	exp: expGo, tanh: tanhGo, sigmoid: sigmoidGo,
	gelu: geluGo, geluTanh: geluTanhGo, relu: reluGo, silu: siluGo,
	geluGrad: geluGradGo, geluTanhGrad: geluTanhGradGo, reluGrad: reluGradGo, siluGrad: siluGradGo,
	swiGLU: swiGLUGo, swiGLUGrad: swiGLUGradGo,

	add: addGo, sub: subGo, mul: mulGo, scale: scaleGo, axpy: axpyGo, fill: fillGo, addRows: addRowsGo,
	sum: sumGo, max: maxGo, dot: dotGo, sumSquares: sumSquaresGo, allFinite: allFiniteGo,
	expSum: expSumGo, softmaxGrad: softmaxGradGo,

	layerNorm: layerNormGo, layerNormGrad: layerNormGradGo, rmsNorm: rmsNormGo, rmsNormGrad: rmsNormGradGo,
	rotateHalf: rotateHalfGo, rotatePairs: rotatePairsGo,
	adamW: adamWGo,

	f32FromF16: f32FromF16Go, f32FromBF16: f32FromBF16Go, f16FromF32: f16FromF32Go, bf16FromF32: bf16FromF32Go, roundBF16: roundBF16Go,
	mulI8: mulI8Go, f32FromQ8: f32FromQ8Go, f32From4: f32From4Go,
}

// variants lists what this machine can run and what passed its self-check, slowest first; rejected, what did not pass.
var variants, rejected = usable()

// active is the variant in use.
var active = variants[len(variants)-1]

func usable() (list []*variant, rejected []error) {
	list = []*variant{&goVariant}
	for _, v := range machineVariants() {
		if err := selfCheck(v); err != nil {
			rejected = append(rejected, err)
			continue
		}
		list = append(list, v)
	}
	return list, rejected
}

// Rejected tells which variants this machine can run but failed the self-check at start-up, and how; normally none.
func Rejected() []error { return rejected }

// Variant is the name of the variant in use: "go", "avx2", "avx512" or "neon".
func Variant() string { return active.name }

// Variants lists the names that Use accepts on this machine, slowest first.
func Variants() []string {
	var names []string
	for _, v := range variants {
		names = append(names, v.name)
	}
	return names
}

// Use switches to the named variant. It is a hook for tests and benchmarks and must not run beside other calls.
// A name that this machine cannot run, or that failed its self-check, is an error and changes nothing.
func Use(name string) error {
	for _, v := range variants {
		if v.name == name {
			active = v
			return nil
		}
	}
	return fmt.Errorf("vec: variant %q is not usable here; there are %v", name, Variants())
}

// need panics when the argument called name is shorter than want.
func need(op, name string, have, want int) {
	if have < want {
		short(op, name, have, want)
	}
}

//go:noinline
func short(op, name string, have, want int) {
	panic(fmt.Sprintf("vec: %s: %s has %d elements, want %d", op, name, have, want))
}
