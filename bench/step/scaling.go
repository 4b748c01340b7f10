package main

import (
	"fmt"
	"time"

	"github.com/plinth-ml/plinth/bench"
	"github.com/plinth-ml/plinth/internal/kernel/cpu"
)

// scaling measures steps on one thread and on two in turns, with the peak of both beside every pair.
func scaling(o options) error {
	var trainers [2]*trainer
	for i := range trainers {
		tr, err := newTrainer(o, cpu.New(cpu.Options{Threads: i + 1, Variant: o.variant}))
		if err != nil {
			return err
		}
		if err := tr.warmUp(); err != nil {
			return err
		}
		trainers[i] = tr
	}
	steal := bench.ReadSteal()
	var steps, peaks bench.Pairs
	for n := range o.steps {
		var t, flops, loss [2]float64
		for i, tr := range trainers {
			start := time.Now()
			loss[i] = tr.step()
			t[i] = time.Since(start).Seconds()
			flops[i] = cpu.PeakFLOPs(cpu.Options{Threads: i + 1, Variant: o.variant}, 5*time.Millisecond)
		}
		if loss[0] != loss[1] {
			return fmt.Errorf("step: loss %v of step %d on one thread, %v on two", loss[0], n+1, loss[1])
		}
		steps.Add(t[1], t[0])
		peaks.Add(1/flops[1], 1/flops[0])
	}
	low, mid, high := steps.Ratio()
	pl, pm, ph := peaks.Ratio()
	fmt.Printf("%s; GPT %dx%d, V %d, T %d, B %d: %.4f s on one thread, %.4f on two: %.2f [%.2f, %.2f]; peak %.2f [%.2f, %.2f]; medians [quartiles] of %d pairs, equal losses; stolen %.2f %%\n",
		trainers[1].tape.Kernels().Name, o.layers, o.width, o.vocab, o.seq, o.batch, bench.Quantile(steps.Peer, 0.5), bench.Quantile(steps.Ours, 0.5),
		mid, low, high, pm, pl, ph, o.steps, 100*bench.ReadSteal().Since(steal))
	return nil
}
