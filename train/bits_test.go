package train

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"testing"

	"github.com/plinth-ml/plinth/data"
	"github.com/plinth-ml/plinth/internal/kernel/ref"
	"github.com/plinth-ml/plinth/tensor"
)

// Recomputation changes no bit of losses, gradients or weights.
func TestRecomputeBits(t *testing.T) {
	var first string
	for _, recompute := range []bool{false, true} {
		var l *Loop
		o := Options{Steps: 12, Batch: 4, Micro: 2, Recompute: recompute}
		trace := ""
		l = loop(t, tiny.source(), o, Hooks{Progress: func(e Event) {
			trace += fmt.Sprint(" ", digest(l), math.Float64bits(e.Loss), math.Float64bits(e.GradNorm))
		}})
		if _, err := l.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if first == "" {
			first = trace
		} else if first != trace {
			t.Error("other bits with recomputation")
		}
	}
}

// Gradients summed over micro-batches are those of the batch at once, and the loss too, with pieces of unequal size.
func TestAccumulation(t *testing.T) {
	var loss float64
	var grads [][]float32
	for _, micro := range []int{6, 4, 1} {
		m := tiny.model(t)
		l, err := New(m, ref.New(), tiny.source(), Options{Steps: 1, Batch: 6, Micro: micro}, Hooks{})
		if err != nil {
			t.Fatal(err)
		}
		s, err := l.compute()
		if err != nil {
			t.Fatal(err)
		}
		if micro == 6 {
			loss = s.loss
		} else if math.Abs(s.loss-loss) > 1e-6 {
			t.Errorf("micro %d: loss %v, want %v", micro, s.loss, loss)
		}
		for i, p := range l.params {
			if micro == 6 {
				grads = append(grads, p.T().Grad.F32())
				continue
			}
			for j, g := range p.T().Grad.F32() {
				if math.Abs(float64(g-grads[i][j])) > 1e-5*s.norm {
					t.Fatalf("micro %d: %s[%d] %v, want %v", micro, p.Name, j, g, grads[i][j])
				}
			}
		}
	}
}

// The z-loss adds to the gradient, in proportion to its weight, and not to the loss that is reported.
func TestZLoss(t *testing.T) {
	var losses []float64
	var grads [][]float32
	for _, z := range []float64{0, 0.01, 0.02} {
		l := loop(t, tiny.source(), Options{Steps: 1, Batch: 4, ZLoss: z}, Hooks{})
		s, err := l.compute()
		if err != nil {
			t.Fatal(err)
		}
		losses, grads = append(losses, s.loss), append(grads, l.params[0].T().Grad.F32())
	}
	if losses[1] != losses[0] || losses[2] != losses[0] {
		t.Errorf("losses %v", losses)
	}
	change := 0.0
	for i, g := range grads[0] {
		once, twice := float64(grads[1][i]-g), float64(grads[2][i]-g)
		change = max(change, math.Abs(once))
		if math.Abs(twice-2*once) > 1e-6 {
			t.Fatalf("gradient %d: %v with half the weight, %v with all", i, once, twice)
		}
	}
	if change < 1e-4 {
		t.Errorf("the gradient changes by %v", change)
	}
}

// The reported loss is that of Evaluate, for the same tokens and weights.
func TestLossIsEvaluate(t *testing.T) {
	l := loop(t, tiny.source(), Options{Steps: 1, Batch: 16, Micro: 5}, Hooks{})
	s, err := l.compute()
	if err != nil {
		t.Fatal(err)
	}
	e, err := Evaluate(context.Background(), tensor.Evaluation(l.k), l.m, firstBatch{tiny.source()}, 3)
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(e.Loss-s.loss) > 1e-6 || e.Tokens != 16*(tiny.seq-2) || math.Abs(e.BitsPerByte-e.Loss/math.Ln2) > 1e-12 {
		t.Errorf("%+v, training says %v", e, s.loss)
	}
}

// A steady step takes next to nothing from the Go heap.
func TestAllocations(t *testing.T) {
	for _, optimizer := range Optimizers {
		for _, recompute := range []bool{false, true} {
			s := shape{6, 32, 2, 64, 32}
			l, err := New(s.model(t), kernels(), s.source(), Options{Steps: 1000, Batch: 4, Micro: 4, Optimizer: optimizer, Recompute: recompute}, Hooks{})
			if err != nil {
				t.Fatal(err)
			}
			step := func() {
				r, err := l.compute()
				if err != nil {
					t.Fatal(err)
				}
				if reason, _ := l.spike(r); reason != "" {
					t.Fatal(reason)
				}
				l.apply(&r)
			}
			for range 40 { // past the filling of the window
				step()
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			n := testing.AllocsPerRun(10, step)
			runtime.ReadMemStats(&after)
			perLayer := n / float64(s.layers)
			t.Logf("%s, recompute %v: %.0f allocations per step, %.1f per layer; %d bytes per step", optimizer, recompute, n, perLayer, (after.TotalAlloc-before.TotalAlloc)/11)
			if limit := 40.0; perLayer > limit {
				t.Errorf("%s, recompute %v: %.1f allocations per layer", optimizer, recompute, perLayer)
			}
		}
	}
}

// firstBatch is a split of the batch of step 0.
type firstBatch struct{ words }

func (s firstBatch) FillAt(b *data.Batch, from, to int) error { return s.Fill(b, 0, from, to) }
