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

// Ceilings measures with the given number of workers (0 means GOMAXPROCS), about d for each figure.
// The memory figures are the best sweep over a buffer of 256 MiB.
func Ceilings(threads int, d time.Duration) Ceiling {
	useVec(gemm.Best().Name())
	one, all := pool.New(1), pool.New(threads)
	defer one.Close()
	defer all.Close()
	c := Ceiling{Variant: gemm.Best().Name(), Threads: all.Threads()}
	c.FMA1 = gemm.New(gemm.Best(), one).PeakFLOPs(d)
	c.FMA = gemm.New(gemm.Best(), all).PeakFLOPs(d)

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

// PeakFLOPs measures the multiply-add FLOP/s of the given number of workers (0 means GOMAXPROCS) for about d.
func PeakFLOPs(threads int, d time.Duration) float64 {
	p := pool.New(threads)
	defer p.Close()
	return gemm.New(gemm.Best(), p).PeakFLOPs(d)
}
