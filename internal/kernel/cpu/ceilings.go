package cpu

import (
	"slices"
	"time"

	"github.com/plinth-ml/plinth/internal/gemm"
	"github.com/plinth-ml/plinth/internal/pool"
	"github.com/plinth-ml/plinth/internal/vec"
)

// Ceiling is what this machine can do at this moment, at best.
type Ceiling struct {
	Variant string  // the instruction set measured
	Threads int     // workers
	FMA1    float64 // multiply-add FLOP/s of one worker
	FMA     float64 // of all workers
	Read    float64 // bytes/s that all workers read from memory
	Copy    float64 // bytes/s that all workers copy; a byte copied counts once
}

// ceilingBytes is the size of the buffer of the memory measurements: beyond the caches of one machine's share.
const ceilingBytes = 256 << 20

// Ceilings measures the variant and the number of workers of o, about d for each figure. The memory figures are the best sweep over a
// buffer of 256 MiB.
func Ceilings(o Options, d time.Duration) Ceiling {
	kern := o.kernel()
	one, all := pool.New(1), pool.New(o.Threads)
	defer one.Close()
	defer all.Close()
	c := Ceiling{Variant: kern.Name(), Threads: all.Threads()}
	c.FMA1 = gemm.New(kern, one).PeakFLOPs(d)
	c.FMA = gemm.New(kern, all).PeakFLOPs(d)

	const chunk = 1 << 18 // elements: 1 MiB
	x := make([]float32, ceilingBytes/4)
	vec.Fill(x, 1)
	half := len(x) / 2
	sums := make([]float32, len(x)/chunk)
	c.Read = best(d, ceilingBytes, func() {
		all.Run(len(sums), func(task, _ int) { sums[task] = vec.Max(x[task*chunk : (task+1)*chunk]) })
	})
	if slices.Min(sums) != 1 {
		panic("cpu: Ceilings: memory read back differs from what was written")
	}
	c.Copy = best(d, ceilingBytes/2, func() {
		all.Run(half/chunk, func(task, _ int) {
			copy(x[half+task*chunk:half+(task+1)*chunk], x[task*chunk:(task+1)*chunk])
		})
	})
	return c
}

// best repeats sweep, which moves the given bytes, for about d and returns the best bytes/s.
func best(d time.Duration, bytes float64, sweep func()) float64 {
	var top float64
	for start := time.Now(); ; {
		t := time.Now()
		sweep()
		top = max(top, bytes/time.Since(t).Seconds())
		if time.Since(start) > d {
			return top
		}
	}
}

// PeakFLOPs measures the multiply-add FLOP/s of the variant and the workers of o for about d.
func PeakFLOPs(o Options, d time.Duration) float64 {
	p := pool.New(o.Threads)
	defer p.Close()
	return gemm.New(o.kernel(), p).PeakFLOPs(d)
}
