package tensor_test

import (
	"math"
	"slices"
	"testing"

	"github.com/plinth-ml/plinth/internal/kernel/cpu"
	"github.com/plinth-ml/plinth/internal/kernel/ref"
	"github.com/plinth-ml/plinth/tensor"
)

// ones is a matrix of ones that wants a gradient.
func ones(n, c int) *tensor.Tensor {
	x := tensor.FromF32(slices.Repeat([]float32{1}, n*c), n, c)
	x.SetTrain(true)
	return x
}

// The share of elements left out is p, the mean stays, each dropout and each key draws for itself, and the same key draws the same.
func TestDropout(t *testing.T) {
	const N, C, p = 300, 200, 0.1
	x := ones(N, C)
	tape := tensor.Training(cpu.New(cpu.Options{}))
	draw := func(key uint64) [2][]float32 {
		tape.Reset()
		tape.DropoutKey(key)
		return [2][]float32{slices.Clone(tape.Dropout(x, p).F32()), slices.Clone(tape.Dropout(x, p).F32())}
	}
	a := draw(1)
	out := 0.0
	for _, v := range a[0] {
		switch v {
		case 0:
			out++
		default:
			if math.Abs(float64(v)-1/(1-p)) > 1e-5 { // p is rounded to 16 bits
				t.Fatalf("an element is %v", v)
			}
		}
	}
	if sigma := math.Sqrt(N * C * p * (1 - p)); math.Abs(out-N*C*p) > 4*sigma {
		t.Errorf("%v of %d elements are left out, with p = %v", out, N*C, p)
	}
	again, other := draw(1), draw(2)
	if !slices.Equal(a[0], again[0]) || !slices.Equal(a[1], again[1]) {
		t.Error("the same key draws others")
	}
	if slices.Equal(a[0], a[1]) || slices.Equal(a[0], other[0]) || slices.Equal(a[1], other[0]) {
		t.Error("two dropouts draw the same")
	}
}

// Without training, and without a probability, dropout is nothing; in training it insists on a key.
func TestDropoutOff(t *testing.T) {
	x := ones(2, 3)
	for _, tape := range []*tensor.Tape{tensor.Evaluation(ref.New()), tensor.Inference(ref.New())} {
		if tape.Dropout(x, 0.5) != x || !slices.Equal(tape.Linear(x, ones(1, 3), nil, tensor.Linear{Drop: 0.5}).F32(), []float32{3, 3}) {
			t.Error("dropout without training")
		}
	}
	tape := tensor.Training(ref.New())
	if tape.Dropout(x, 0) != x {
		t.Error("dropout with p = 0 is something")
	}
	panics := func(name string, f func()) {
		defer func() {
			if recover() == nil {
				t.Errorf("%s: no panic", name)
			}
		}()
		f()
	}
	panics("no key", func() { tape.Dropout(x, 0.5) })
	tape.DropoutKey(1)
	tape.Dropout(x, 0.5)
	panics("p = 1", func() { tape.Dropout(x, 1) })
	tape.Reset()
	panics("no key after Reset", func() { tape.Linear(x, ones(1, 3), nil, tensor.Linear{Drop: 0.5}) })
}

// Gradients have the same bits whether activations are kept, made again by Recompute, or kept lean.
func TestDropoutAgain(t *testing.T) {
	const N, C = 16, 24
	gradient := func(keep tensor.Keep, recompute bool) []float32 {
		w := tensor.FromF32(make([]float32, C*C), C, C)
		for i := range w.F32() {
			w.F32()[i] = float32(math.Sin(float64(i)))
		}
		w.SetTrain(true)
		tape := tensor.Training(cpu.New(cpu.Options{}))
		tape.Keep(keep)
		tape.DropoutKey(3)
		y := tape.Dropout(ones(N, C), 0.2)
		layer := func(x *tensor.Tensor) *tensor.Tensor {
			h := tape.Dropout(tape.Linear(x, w, nil, tensor.Linear{Act: tensor.Tanh, Drop: 0.2}), 0.2)
			return tape.Linear(h, w, nil, tensor.Linear{Drop: 0.2, Residual: x})
		}
		for range 3 {
			if recompute {
				y = tape.Recompute(y, layer)
			} else {
				y = tape.Scope(func() *tensor.Tensor { return layer(y) })
			}
		}
		tape.Seed(tape.Mul(y, y))
		tape.Backward()
		return w.Grad.F32()
	}
	want := gradient(tensor.KeepAll, false)
	if !slices.Equal(gradient(tensor.KeepAll, true), want) || !slices.Equal(gradient(tensor.KeepLean, false), want) {
		t.Error("other gradients where activations are made again")
	}
}

// waves is a matrix of numbers that differ, which wants a gradient.
func waves(n, c int, f float64) *tensor.Tensor {
	x := ones(n, c)
	for i := range x.F32() {
		x.F32()[i] = float32(math.Sin(f * float64(i+1)))
	}
	return x
}

// Dropout of attention's probabilities: the mean over masks of a result, and of each gradient, is what it is without for what is linear in the mask; the same bits on any
// number of threads, and where it is made again.
func TestAttentionDropout(t *testing.T) {
	const N, H, D = 150, 2, 4
	spec := tensor.Attention{Heads: H, KVHeads: H, HeadDim: D, Queries: []tensor.Span{{Start: 0, Len: 140}, {Start: 140, Len: 10}}}
	run := func(p float64, key uint64, threads int, recompute bool) (y, dv []float32) {
		x, v := waves(N, 2*H*D, 1.3), waves(N, H*D, 0.7)
		tape := tensor.Training(cpu.New(cpu.Options{Threads: threads}))
		tape.DropoutKey(key)
		o := spec
		o.Drop = p
		layer := func(v *tensor.Tensor) *tensor.Tensor {
			return tape.Attention(tensor.Cols{X: x}, tensor.Cols{X: x, From: H * D}, tensor.Of(v), o)
		}
		out := layer(v)
		if recompute {
			tape.Reset()
			tape.DropoutKey(key)
			out = tape.Recompute(v, layer)
		}
		y = slices.Clone(out.F32())
		tape.Seed(out)
		tape.Backward()
		return y, append(slices.Clone(v.Grad.F32()), x.Grad.F32()...)
	}
	want, wantGrad := run(0, 1, 2, false)
	wantGrad = wantGrad[:N*H*D]
	const masks, p = 400, 0.25
	mean, meanGrad := make([]float64, len(want)), make([]float64, len(wantGrad))
	for key := range masks {
		y, grad := run(p, uint64(key+1), 2, false)
		for i, v := range y {
			mean[i] += float64(v) / masks
		}
		for i := range meanGrad {
			meanGrad[i] += float64(grad[i]) / masks
		}
		if key > 0 {
			continue
		}
		for _, threads := range []int{1, 3, 8} {
			if other, otherGrad := run(p, 1, threads, threads == 3); !slices.Equal(other, y) || !slices.Equal(otherGrad, grad) {
				t.Errorf("%d threads: other bits", threads)
			}
		}
		if slices.Equal(y, want) {
			t.Error("nothing is dropped")
		}
	}
	// One mask changes a value by less than sqrt(p/(1-p)) times the root of the sum of (weight·value)²: below 0.6, five sigma of the mean of 400 are below 0.15.
	for i, v := range want {
		if math.Abs(mean[i]-float64(v)) > 0.15 {
			t.Fatalf("element %d is %v on average, %v without dropout", i, mean[i], v)
		}
	}
	for i, v := range wantGrad {
		if math.Abs(meanGrad[i]-float64(v)) > 0.15 {
			t.Fatalf("gradient %d is %v on average, %v without dropout", i, meanGrad[i], v)
		}
	}
}
