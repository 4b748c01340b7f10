package scaling

import (
	"math"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/model"
)

// wantNear fails unless got is within a relative tolerance of want.
func wantNear(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if !(math.Abs(got/want-1) <= tolerance) {
		t.Errorf("%s is %.6g, want %.6g within %g", what, got, want, tolerance)
	}
}

func a100(t *testing.T) Device {
	t.Helper()
	d, err := DeviceByName("a100-80gb")
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// Smith et al. 2022, section 2.4: 60.1, 50.2 and 44.4 s for a batch of 1920 on 280, 350 and 420 servers of eight, which they call 126, 121
// and 113 TFLOP/s for each device.
func TestMTNLGStep(t *testing.T) {
	p := published(t, "mt-nlg-530b")
	const efficiency = 0.505 // of the products; the one number fitted, to the first row
	for i, c := range []struct{ servers, seconds, teraflops float64 }{{280, 60.1, 126}, {350, 50.2, 121}, {420, 44.4, 113}} {
		l := p.Layout
		l.Data = int(c.servers) * 8 / 280
		if err := l.Check(p.Shape, p.Batch, int(c.servers)*8); err != nil {
			t.Fatal(err)
		}
		step := l.Step(p.Shape, p.Batch, a100(t), efficiency)
		wantNear(t, "TFLOP/s of a device", step.Hardware/c.seconds/c.servers/8/1e12, c.teraflops, 0.006)
		wantNear(t, "step time", step.Total, c.seconds, []float64{0.003, 0.015, 0.04}[i])
		wantNear(t, "bubble", l.Bubble(p.Batch), 34/(1920/float64(l.Data)), 1e-12)
	}
}

// Narayanan et al. 2021, section 5.1 and equation 4: 175 B parameters on 1024 A100 at 140 TFLOP/s and 300 B tokens take 34 days, a
// trillion on 3072 at 163 and 450 B tokens 84 days: 8TP/(nX).
func TestMegatronTrainingTime(t *testing.T) {
	wantNear(t, "GPT-3's days", RecomputeDays(175e9, 300e9, 1024, 140e12), 34, 0.01)
	wantNear(t, "a trillion's days", RecomputeDays(1e12, 450e9, 3072, 163e12), 84, 0.02)
}

// Korthikanti et al. 2022, table 3, and table 5's seconds with full recomputation and with selective recomputation and sequence parallelism.
var megatron2022 = []struct {
	name               string
	shape              model.Shape
	layout             Layout
	batch              int
	full, present      float64
	seq, sel, both, no float64 // figure 7, percent of the activations of tensor parallelism
}{
	{"22b", vocab51200(48, 6144, 64), Layout{Data: 1, Tensor: 8, Pipeline: 1, Micro: 4}, 4, 1.42, 1.10, 66.84, 49.42, 16.18, 7.64},
	{"175b", vocab51200(96, 12288, 96), Layout{Data: 1, Tensor: 8, Pipeline: 8, Micro: 1, Interleave: 3}, 64, 18.13, 13.75, 62.04, 56.53, 18.49, 8.71},
	{"530b", mtnlg(51200), Layout{Data: 1, Tensor: 8, Pipeline: 35, Micro: 1, Interleave: 3}, 280, 49.05, 37.83, 58.31, 62.04, 20.27, 9.42},
	{"1t", vocab51200(128, 25600, 160), Layout{Data: 1, Tensor: 8, Pipeline: 64, Micro: 1}, 512, 94.42, 71.49, 58.31, 62.04, 20.27, 9.42},
}

func vocab51200(layers, width, heads int) model.Shape {
	s := gpt3(layers, width, heads, width/heads)
	s.Vocab = 51200
	return s
}

// Step times of four sizes and two ways of recomputation, with one efficiency for all: larger products run nearer to the peak, so that
// the smallest model is slower than said and the largest faster.
func TestMegatronSteps(t *testing.T) {
	const efficiency = 0.66
	for _, c := range megatron2022 {
		tolerance := 0.06
		if c.name == "22b" {
			tolerance = 0.11
		}
		l := c.layout
		l.Recompute = model.RecomputeFull
		wantNear(t, c.name+" with full recomputation", l.Step(c.shape, c.batch, a100(t), efficiency).Total, c.full, tolerance)
		l.Recompute, l.Sequence = model.RecomputeSelective, true
		wantNear(t, c.name+" with selective recomputation", l.Step(c.shape, c.batch, a100(t), efficiency).Total, c.present, tolerance)
	}
}

func TestLayoutCheck(t *testing.T) {
	s := gpt3(12, 768, 12, 64)
	ok := Layout{Data: 2, Tensor: 2, Pipeline: 3, Micro: 1}
	if err := ok.Check(s, 8, 12); err != nil {
		t.Fatal(err)
	}
	for want, f := range map[string]func(l *Layout){
		"devices is 12":      func(l *Layout) { l.Data = 4 },
		"data is 0":          func(l *Layout) { l.Data = 0 },
		"tensor 5 ":          func(l *Layout) { l.Tensor = 5 },
		"micro 3":            func(l *Layout) { l.Micro = 3 },
		"pipeline 5 ":        func(l *Layout) { l.Pipeline = 5 },
		"interleave 3 does":  func(l *Layout) { l.Pipeline, l.Interleave = 6, 3 },
		"interleave 2 needs": func(l *Layout) { l.Pipeline, l.Interleave = 1, 2 },
		"zero is 4":          func(l *Layout) { l.ZeRO = 4 },
		"zero 2 shards":      func(l *Layout) { l.ZeRO = 2 },
		"shards 3":           func(l *Layout) { l.Shards = 3 },
		"recompute is":       func(l *Layout) { l.Recompute = 9 },
		"precision \"fp7\"":  func(l *Layout) { l.Precision = "fp7" },
	} {
		l, devices := ok, 0
		f(&l)
		if strings.HasPrefix(want, "devices") {
			devices = 12
		}
		if err := l.Check(s, 8, devices); err == nil || !strings.Contains(err.Error(), strings.TrimSuffix(want, " does")) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// More replicas share the optimiser; weights gathered for nothing cost time.
func TestZeRO(t *testing.T) {
	s := gpt3(32, 4096, 32, 128)
	var last Memory
	for zero := range 4 {
		l := Layout{Data: 64, Tensor: 1, Pipeline: 1, Micro: 1, ZeRO: zero, Recompute: model.RecomputeSelective}
		m, step := l.Memory(s, 1024), l.Step(s, 1024, a100(t), 0.5)
		if zero > 0 && m.Weights+m.Gradients+m.Optimizer >= last.Weights+last.Gradients+last.Optimizer {
			t.Errorf("stage %d holds %v, the stage before %v", zero, m, last)
		}
		if step.Data < 0 || step.Total < step.Compute {
			t.Errorf("stage %d: %+v", zero, step)
		}
		last = m
	}
	// 18 bytes for each parameter over 64 devices, and nothing else of them.
	wantNear(t, "stage 3", last.Weights+last.Gradients+last.Optimizer, 18*float64(s.Params().Total())/64, 1e-12)
}
