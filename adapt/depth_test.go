package adapt_test

import (
	"math"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/adapt"
	"github.com/plinth-ml/plinth/internal/kernel/cpu"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/tensor"
)

func TestLayerDecay(t *testing.T) {
	h := headed(t, model.SequenceTask, model.Mean, 3) // two blocks
	list, err := adapt.LayerDecay(h.Params(), 0.5)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range list {
		want := 1.0
		switch {
		case strings.Contains(p.Name, ".wte") || strings.Contains(p.Name, ".wpe"):
			want = 0.125
		case strings.Contains(p.Name, ".h.0."):
			want = 0.25
		case strings.Contains(p.Name, ".h.1."):
			want = 0.5
		}
		if p.Rate != want {
			t.Errorf("%s: rate %v, want %v", p.Name, p.Rate, want)
		}
	}
	if _, err := adapt.LayerDecay(list, 0); err == nil {
		t.Error("decay 0 is accepted")
	}
}

func TestFreeze(t *testing.T) {
	for blocks, want := range map[int]int{-1: 2, 0: 2*12 + 2 + 2, 1: 12 + 2 + 2, 2: 2 + 2} { // parameters: a block's 12, the norm's 2, the head's 2
		h := headed(t, model.SequenceTask, model.Mean, 3)
		left, err := adapt.Freeze(h.Params(), h.HeadParams(), blocks)
		if err != nil {
			t.Fatal(err)
		}
		trains := 0
		for _, p := range h.Params() {
			if p.T().Trains() {
				trains++
			}
		}
		if len(left) != want || trains != want {
			t.Errorf("%d frozen blocks: %d parameters listed, %d with a gradient, want %d", blocks, len(left), trains, want)
		}
	}
	h := headed(t, model.SequenceTask, model.Mean, 3)
	if _, err := adapt.Freeze(h.Params(), nil, 3); err == nil {
		t.Error("more frozen blocks than there are are accepted")
	}
	if _, err := adapt.Freeze(h.Params(), nil, -1); err == nil {
		t.Error("a frozen body without a head is accepted")
	}
}

// The loss is the formula's, and its gradient the difference quotient's.
func TestDistillation(t *testing.T) {
	const N, K = 3, 4
	z, teacher := []float32{1, -2, 0.5, 3, 0, 0.25, -1, 2, 2, 1, -1, 0.5}, []float32{2, 0, 0, 1, -1, 1, 0.5, 3, 0, 0, 2, -2}
	labels := []int32{3, -1, 0}
	k := cpu.New(cpu.Options{Threads: 1})
	for _, d := range []adapt.Distillation{{Hard: 0.3}, {Temperature: 5}, {Hard: 1}} {
		T := d.Temperature
		if T == 0 {
			T = 2
		}
		value := func(z []float32) (sum float64) {
			softmax := func(x []float32, T float64) []float64 {
				y, total := make([]float64, K), 0.0
				for i, v := range x {
					y[i] = math.Exp(float64(v) / T)
					total += y[i]
				}
				for i := range y {
					y[i] /= total
				}
				return y
			}
			for i := range N {
				row := z[i*K : (i+1)*K]
				q, p, v := softmax(row, T), softmax(row, 1), softmax(teacher[i*K:(i+1)*K], T)
				for j := range K {
					sum -= (1 - d.Hard) * T * T * v[j] * math.Log(q[j])
				}
				if labels[i] >= 0 {
					sum -= d.Hard * math.Log(p[labels[i]])
				}
			}
			return sum
		}
		x := tensor.FromF32(append([]float32(nil), z...), N, K)
		x.SetTrain(true)
		tape := tensor.Training(k)
		got, err := d.Loss(tape, x, teacher, labels, 0.5)
		if err != nil {
			t.Fatal(err)
		}
		if want := value(z); math.Abs(got-want) > 1e-9*want {
			t.Errorf("%+v: loss %v, want %v", d, got, want)
		}
		for i := range z {
			up, down := append([]float32(nil), z...), append([]float32(nil), z...)
			const h = 1.0 / 128
			up[i], down[i] = up[i]+h, down[i]-h
			want := 0.5 * (value(up) - value(down)) / (2 * h)
			if g := float64(x.Grad.F32()[i]); math.Abs(g-want) > 1e-4 {
				t.Errorf("%+v: gradient %d is %v, want %v", d, i, g, want)
			}
		}
		if _, err := d.Loss(tape, x, teacher[1:], labels, 1); err == nil {
			t.Error("scores that are missing are accepted")
		}
	}
}
