package main

import (
	"fmt"

	"github.com/plinth-ml/plinth/bench"
	"github.com/plinth-ml/plinth/internal/gemm"
	"github.com/plinth-ml/plinth/internal/pool"
)

// scaling measures each shape on one thread and on two in turns, with the peak of both beside every pair.
func scaling(o options, kern *gemm.Kernel) error {
	one, two := pool.New(1), pool.New(2)
	defer one.Close()
	defer two.Close()
	engines := [2]*gemm.Engine{gemm.New(kern, one), gemm.New(kern, two)}
	steal := bench.ReadSteal()
	fmt.Printf("%s; time on one thread / on two, and the same of the register loop beside it, medians [quartiles] of %d pairs\n", kern.Name(), o.reps)
	for _, name := range o.shapes {
		m, err := parse(name)
		if err != nil {
			return err
		}
		m.A, m.B, m.C = fill(m.M*m.K, 1), fill(m.K*m.N, 2), make([]float32, m.M*m.N)
		c := newCycle(o, engines[0], m)
		calls := 1
		for calls < 4096 && float64(calls)*c.seconds(engines[0], calls) < sample.Seconds() {
			calls *= 2
		}
		var products, peaks bench.Pairs
		for range o.reps {
			var t, flops [2]float64
			for i, e := range engines {
				c.seconds(e, 1) // wakes the workers, fetches the operands
				t[i] = c.seconds(e, calls)
				flops[i] = e.PeakFLOPs(sample)
			}
			products.Add(t[1], t[0])
			peaks.Add(1/flops[1], 1/flops[0])
		}
		low, mid, high := products.Ratio()
		pl, pm, ph := peaks.Ratio()
		rate := 2 * float64(m.M) * float64(m.N) * float64(m.K) / 1e9
		fmt.Printf("%-15s %7.1f GFLOP/s on one thread, %7.1f on two: %.2f [%.2f, %.2f]; peak %.2f [%.2f, %.2f]\n", name,
			rate/bench.Quantile(products.Peer, 0.5), rate/bench.Quantile(products.Ours, 0.5), mid, low, high, pm, pl, ph)
	}
	fmt.Printf("stolen %.2f %%\n", 100*bench.ReadSteal().Since(steal))
	return nil
}
