package train

import (
	"fmt"
	"runtime"
	"testing"
)

// A steady step - batch, forward, backward, clipping, optimiser - takes nothing from Go's heap, so that the collector has nothing to do.
func TestAllocations(t *testing.T) {
	for _, o := range []Options{{}, {Recompute: true}, {Micro: 2}, {Optimizer: "muon"}, {Optimizer: "muon", Recompute: true},
		{Moments: "bf16"}, {Activations: "lean"}, {Activations: "bf16"}, {Moments: "bf16", Recompute: true, Micro: 3}} {
		t.Run(fmt.Sprintf("%s moments %s activations %s recompute %v micro %d", o.Optimizer, o.Moments, o.Activations, o.Recompute, o.Micro), func(t *testing.T) {
			s := shape{6, 32, 2, 64, 32}
			o.Steps, o.Batch = 1000, 4
			l, err := New(s.model(t), kernels(), s.source(), o, Hooks{})
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
			runtime.GC() // what the set-up left
			runtime.ReadMemStats(&before)
			for range 200 {
				step()
			}
			runtime.ReadMemStats(&after)
			if n := after.NumGC - before.NumGC; n > 0 {
				t.Errorf("%d collections in 200 steps", n)
			}
			if n := testing.AllocsPerRun(20, step); n > 0 {
				t.Errorf("%v allocations per step, %d bytes", n, (after.TotalAlloc-before.TotalAlloc)/200)
			}
		})
	}
}
