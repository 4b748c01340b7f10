package tensor_test

import (
	"slices"
	"testing"

	"github.com/plinth-ml/plinth/internal/kernel/cpu"
	"github.com/plinth-ml/plinth/internal/kernel/ref"
	"github.com/plinth-ml/plinth/tensor"
)

// A weight that one inference tape packed serves tapes on other sets, and follows Changed.
func TestPackedWeights(t *testing.T) {
	x := tensor.FromF32([]float32{1, 2, 3, 4, 5, 6}, 2, 3)
	w := tensor.FromF32([]float32{1, 0, 0, 0, 1, 1}, 2, 3)
	want := []float32{1, 5, 4, 11}
	one, two := cpu.New(cpu.Options{Threads: 1}), cpu.New(cpu.Options{Threads: 2})
	for _, k := range []*tensor.Tape{tensor.Inference(one), tensor.Inference(two), tensor.Inference(ref.New()), tensor.Inference(one), tensor.Evaluation(two)} {
		if got := k.Linear(x, w, nil, tensor.Linear{}).F32(); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", k.Kernels().Name, got, want)
		}
	}
	tape := tensor.Inference(one)
	tape.Linear(x, w, nil, tensor.Linear{})
	w.F32()[0] = 2
	w.Changed()
	if got := tape.Linear(x, w, nil, tensor.Linear{}).F32(); got[0] != 2 {
		t.Errorf("a changed weight gives %v", got[0])
	}
}

// A scope gives back everything but its result.
func TestScope(t *testing.T) {
	tape := tensor.Evaluation(ref.New())
	x := tensor.FromF32(make([]float32, 1000), 10, 100)
	run := func() {
		y := x
		for range 50 {
			y = tape.Scope(func() *tensor.Tensor { return tape.Add(tape.Scale(y, 2), x) })
		}
		tape.Reset()
	}
	run()
	if n := tape.Bytes(); n > 60*4*1024 {
		t.Errorf("50 scopes hold %d bytes", n)
	}
	before := tape.Bytes()
	run()
	if tape.Bytes() != before {
		t.Errorf("a second run took memory: %d, then %d bytes", before, tape.Bytes())
	}
}

// A frozen leaf gets no gradient, and ops on constants record nothing that costs.
func TestFrozen(t *testing.T) {
	tape := tensor.Training(ref.New())
	x := tensor.FromF32([]float32{1, 2}, 1, 2)
	w := tensor.FromF32([]float32{3, 4, 5, 6}, 2, 2)
	w.SetTrain(true)
	b := tensor.FromF32([]float32{7, 8}, 2)
	y := tape.Linear(x, w, b, tensor.Linear{})
	tape.Seed(y)
	tape.Backward()
	if !slices.Equal(w.Grad.F32(), []float32{1, 2, 1, 2}) {
		t.Errorf("gradient %v", w.Grad.F32())
	}
	if !x.Grad.None() || !b.Grad.None() {
		t.Error("a constant has a gradient")
	}
	w.SetTrain(false)
	if w.Trains() || !w.Grad.None() {
		t.Error("freezing keeps the gradient")
	}
}
