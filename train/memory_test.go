package train

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/model/gpt"
)

func TestEstimateActivations(t *testing.T) {
	for _, c := range []struct {
		shape
		batch, micro int
		recompute    bool
		stored       string
	}{
		{shape{2, 16, 2, 19, 12}, 2, 2, false, ""}, {shape{2, 64, 4, 300, 64}, 8, 8, false, ""}, {shape{2, 64, 4, 300, 64}, 8, 2, false, "bf16"},
		{shape{7, 48, 4, 100, 100}, 6, 6, false, ""}, {shape{7, 48, 4, 100, 100}, 6, 6, true, ""}, {shape{7, 48, 4, 100, 100}, 6, 6, false, "lean"}, {shape{3, 32, 2, 1000, 128}, 5, 3, false, ""},
		{shape{6, 64, 4, 50, 256}, 1, 1, true, ""}, {shape{6, 64, 4, 50, 256}, 2, 2, false, "bf16"},
	} {
		t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) {
			o := Options{Steps: 2, Batch: c.batch, Micro: c.micro, Recompute: c.recompute, Activations: c.stored}
			if c.stored == "bf16" {
				o.Moments = "bf16"
			}
			l, err := New(c.model(t), kernels(), c.source(), o, Hooks{})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := l.Run(t.Context()); err != nil {
				t.Fatal(err)
			}
			shapes, err := gpt.New(gpt.Shape(c.layers, c.width, c.heads, c.vocab, c.seq))
			if err != nil {
				t.Fatal(err)
			}
			e, err := Estimate(shapes, o) // no parameter has memory
			if err != nil {
				t.Fatal(err)
			}
			got, want := float64(e.Activations), float64(l.tape.Bytes())
			if math.Abs(got-want) > 0.1*want {
				t.Errorf("estimate %.0f, the tape holds %.0f: off by %.1f %%", got, want, 100*(got/want-1))
			}
			params, moments := int64(0), int64(8)
			if c.stored == "bf16" {
				moments = 4
			}
			for _, p := range l.params {
				params += int64(p.T().Len())
			}
			if e.Weights != 4*params || e.Gradients != 4*params || e.Moments != moments*params || e.Total != e.Weights+e.Gradients+e.Moments+e.Activations+e.Workspace {
				t.Errorf("%+v for %d parameters", e, params)
			}
		})
	}
}

// The largest published sizes are estimated without being allocated.
func TestEstimateLarge(t *testing.T) {
	m, err := gpt.New(gpt.Shape(105, 20480, 128, 51200, 2048)) // MT-NLG 530B
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	plain, err := Estimate(m, Options{Steps: 1, Batch: 1})
	if err != nil {
		t.Fatal(err)
	}
	less, err := Estimate(m, Options{Steps: 1, Batch: 1, Recompute: true})
	if err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if plain.Weights < 4*529e9 || plain.Weights > 4*531e9 {
		t.Errorf("weights %d", plain.Weights)
	}
	// kept in a layer for each token: 15 C values and H log-sum-exps (see model/gpt), without gradients
	floor := int64(105) * 2048 * (15*20480 + 128) * 4
	if plain.Activations < floor || plain.Activations > floor*13/10 {
		t.Errorf("activations %d, %d are kept", plain.Activations, floor)
	}
	if less.Activations > plain.Activations/8 {
		t.Errorf("with recomputation %d of %d", less.Activations, plain.Activations)
	}
	if err := plain.within(1<<40, m.Params(), Options{}); !errors.Is(err, ErrMemory) || !strings.Contains(err.Error(), "--recompute") {
		t.Errorf("%v", err)
	}
	if err := plain.within(1<<50, m.Params(), Options{}); err != nil {
		t.Error(err)
	}
	t.Logf("activations %.2f of what is kept; %.0f MB allocated for both estimates", float64(plain.Activations)/float64(floor), float64(after.TotalAlloc-before.TotalAlloc)/1e6)
}

func TestSystemMemory(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the figures are asserted on Linux only")
	}
	free, peak := availableMemory(), peakRSS()
	if free < 1<<20 || free > 1<<50 || peak < 1<<20 || peak > 1<<40 {
		t.Errorf("available %d, peak %d", free, peak)
	}
}

func TestMuonMoments(t *testing.T) {
	e, err := Estimate(tiny.model(t), Options{Steps: 1, Optimizer: "muon"})
	if err != nil {
		t.Fatal(err)
	}
	l, err := New(tiny.model(t), kernels(), tiny.source(), Options{Steps: 1, Optimizer: "muon"}, Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	held := int64(0)
	for _, s := range l.opt.states() {
		held += 4 * int64(s.data.Len())
	}
	if e.Moments != held {
		t.Errorf("estimate %d, held %d", e.Moments, held)
	}
}
