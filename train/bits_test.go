package train

import (
	"context"
	"fmt"
	"math"
	"testing"

	"github.com/plinth-ml/plinth/data"
	"github.com/plinth-ml/plinth/internal/kernel/cpu"
	"github.com/plinth-ml/plinth/internal/kernel/ref"
	"github.com/plinth-ml/plinth/tensor"
)

// Recomputation, of all or of what is cheap, changes no bit of losses, gradients or weights.
func TestRecomputeBits(t *testing.T) {
	var first string
	for _, o := range []Options{{}, {Recompute: true}, {Activations: "lean"}} {
		var l *Loop
		o.Steps, o.Batch, o.Micro = 12, 4, 2
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
			t.Errorf("other bits with recompute %v, activations %s", o.Recompute, o.Activations)
		}
	}
}

// With moments and activations in bfloat16 the bits are still those of any thread count.
func TestStoredBits(t *testing.T) {
	for _, o := range []Options{{Moments: "bf16"}, {Activations: "bf16"}, {Moments: "bf16", Activations: "bf16"}} {
		var first string
		for _, threads := range []int{1, 2, 5} {
			s := shape{3, 64, 4, 300, 64} // above a chunk of the optimiser's sweep
			o.Steps, o.Batch, o.Micro = 5, 8, 4
			l, err := New(s.model(t), cpu.New(cpu.Options{Threads: threads}), s.source(), o, Hooks{})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := l.Run(t.Context()); err != nil {
				t.Fatal(err)
			}
			if d := digest(l); first == "" {
				first = d
			} else if d != first {
				t.Errorf("moments %s, activations %s: other bits on %d threads", o.Moments, o.Activations, threads)
			}
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
	e, err := Evaluate(context.Background(), tensor.Evaluation(l.k), decoder(l), firstBatch{tiny.source()}, 3)
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(e.Loss-s.loss) > 1e-6 || e.Tokens != 16*(tiny.seq-2) || math.Abs(e.BitsPerByte-e.Loss/math.Ln2) > 1e-12 {
		t.Errorf("%+v, training says %v", e, s.loss)
	}
}

// firstBatch is a split of the batch of step 0.
type firstBatch struct{ words }

func (s firstBatch) FillAt(b *data.Batch, from, to int) error { return s.Fill(b, 0, from, to) }
