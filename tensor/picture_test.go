package tensor_test

import (
	"testing"

	"github.com/plinth-ml/plinth/internal/kernel/cpu"
	"github.com/plinth-ml/plinth/internal/random"
	"github.com/plinth-ml/plinth/internal/testkit"
	"github.com/plinth-ml/plinth/tensor"
)

func TestBatchNormStatistics(t *testing.T) {
	x := tensor.FromF32([]float32{1, 10, 3, 20, 5, 60}, 3, 2) // means 3 and 30, variances 4 and 700 with N-1
	w, b := tensor.FromF32([]float32{1, 1}, 2), tensor.FromF32([]float32{0, 0}, 2)
	mean, variance := tensor.FromF32([]float32{0, 10}, 2), tensor.FromF32([]float32{1, 1}, 2)
	k := cpu.New(cpu.Options{})
	o := tensor.BatchNorm{Momentum: 0.1}
	var before []float32
	for _, c := range []struct {
		name           string
		tape           *tensor.Tape
		frozen         bool
		mean, variance []float32
	}{
		{"evaluation", tensor.Evaluation(k), false, []float32{0, 10}, []float32{1, 1}},
		{"frozen", tensor.Training(k), true, []float32{0, 10}, []float32{1, 1}},
		{"rehearsal", tensor.Rehearsal(k), false, []float32{0, 10}, []float32{1, 1}},
		{"training", tensor.Training(k), false, []float32{0.3, 12}, []float32{1.3, 70.9}},
	} {
		o.Frozen = c.frozen
		version := mean.Version()
		y := c.tape.BatchNorm(x, w, b, mean, variance, o)
		testkit.Close(t, c.name+": mean", mean.F32(), c.mean, 1e-6, 0)
		testkit.Close(t, c.name+": variance", variance.F32(), c.variance, 1e-6, 0)
		if moved := mean.Version() != version; moved != (c.name == "training") {
			t.Errorf("%s: version moved: %v", c.name, moved)
		}
		if c.name == "training" || c.name == "rehearsal" {
			testkit.Close(t, c.name, y.F32(), []float32{-1.2247449, -0.9258201, 0, -0.46291, 1.2247449, 1.3887301}, 1e-5, 0)
			continue
		}
		testkit.Close(t, c.name, y.F32(), []float32{1, 0, 3, 10, 5, 50}, 1e-6, 0)
		before = append(before, y.F32()...)
	}
	if len(before) != 12 {
		t.Fatalf("%d results", len(before))
	}
}

func TestConvPacksOnce(t *testing.T) {
	w := tensor.FromF32([]float32{1, 2, 3, 4}, 1, 1, 2, 2)
	x := tensor.FromF32([]float32{1, 1, 1, 1}, 4, 1)
	tape := tensor.Inference(cpu.New(cpu.Options{}))
	run := func() float32 {
		tape.Reset()
		y, p := tape.Conv(x, tensor.Pictures{B: 1, H: 2, W: 2}, w, nil, tensor.Conv{})
		if p != (tensor.Pictures{B: 1, H: 1, W: 1}) {
			t.Fatalf("pictures %+v", p)
		}
		return y.F32()[0]
	}
	if y := run(); y != 10 {
		t.Errorf("result %v, want 10", y)
	}
	w.F32()[0] = 5
	if y := run(); y != 10 {
		t.Errorf("result %v with the weight changed behind the tape's back, want the packed one's 10", y)
	}
	w.Changed()
	if y := run(); y != 14 {
		t.Errorf("result %v after Changed, want 14", y)
	}
}

// A tape for inference folds the norm into the weight, of any type, and sees changes of all that it is made of.
func TestConvNormFolds(t *testing.T) {
	k := cpu.New(cpu.Options{})
	vector := func(v ...float32) *tensor.Tensor { return tensor.FromF32(v, len(v)) }
	key := random.NewKey(3)
	numbers := make([]float32, 2*3*3*3)
	for i := range numbers {
		numbers[i] = float32(key.Normal(uint64(i)))
	}
	x, p := tensor.FromF32(numbers, 6*3, 3), tensor.Pictures{B: 1, H: 6, W: 3}
	w, half := tensor.FromF32(numbers, 2, 3, 3, 3), tensor.New(2, 3, 3, 3)
	half.Bind(tensor.NewBuf(tensor.BF16, len(numbers)))
	k.Copy(half.Data, w.Data)
	k.Copy(w.Data, half.Data) // so that both hold the same numbers
	n := tensor.Norm{Weight: vector(1, -2), Bias: vector(0.5, 0.1), Mean: vector(0.3, -1), Var: vector(4, 0.2),
		BatchNorm: tensor.BatchNorm{Eps: 1e-5, Act: tensor.ReLU, Residual: tensor.FromF32(numbers[:12], 6, 2)}}
	folded, plain := tensor.Inference(k), tensor.Evaluation(k)
	for _, change := range []*tensor.Tensor{nil, n.Weight, n.Bias, n.Mean, n.Var, w, half} {
		if change == half { // as w
			k.Copy(half.Data, w.Data)
			k.Copy(w.Data, half.Data)
			half.Changed()
			w.Changed()
		} else if change != nil {
			change.F32()[0] += 0.7
			change.Changed()
		}
		check := func() {
			want, _ := plain.ConvNorm(x, p, w, tensor.Conv{Stride: 2, Pad: 1}, n)
			got, _ := folded.ConvNorm(x, p, w, tensor.Conv{Stride: 2, Pad: 1}, n)
			testkit.Close(t, "folded", got.F32(), want.F32(), 1e-5, 0)
		}
		check()
		if change == nil || change == half {
			want, _ := plain.ConvNorm(x, p, w, tensor.Conv{Stride: 2, Pad: 1}, n)
			for _, tape := range []*tensor.Tape{folded, plain} {
				got, _ := tape.ConvNorm(x, p, half, tensor.Conv{Stride: 2, Pad: 1}, n)
				testkit.Close(t, "with a weight of 16 bits", got.F32(), want.F32(), 1e-5, 0)
			}
			want, _ = plain.Conv(x, p, w, nil, tensor.Conv{Pad: 1})
			got, _ := folded.Conv(x, p, w, nil, tensor.Conv{Pad: 1})
			testkit.Close(t, "the same weight without a norm", got.F32(), want.F32(), 1e-5, 0)
			check() // so that the next change finds it folded
		}
	}
}
