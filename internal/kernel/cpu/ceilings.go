package cpu

import (
	"time"

	"github.com/plinth-ml/plinth/internal/gemm"
	"github.com/plinth-ml/plinth/internal/pool"
)

// Ceiling is what this machine can do at this moment, at best.
type Ceiling struct {
	Variant string  // the instruction set measured
	Threads int     // workers
	FMA1    float64 // multiply-add FLOP/s of one worker
	FMA     float64 // of all workers
	Read1   float64 // bytes/s that one worker reads from memory
	Read    float64 // that all workers read
	Copy    float64 // bytes/s that all workers copy; a byte copied counts once
}

const (
	ceilingBytes = 512 << 20 // of the buffer of the memory measurements: beyond the caches of one machine's share
	sweepBytes   = 2 << 20   // of it in a task
	lineWords    = 8         // of 64 bits, in a line of the cache
)

// Ceilings measures the variant and the number of workers of o, about d for each figure. The memory figures are the best sweep over a
// buffer of 512 MiB.
func Ceilings(o Options, d time.Duration) Ceiling {
	kern := o.kernel()
	one, all := pool.New(1), pool.New(o.Threads)
	defer one.Close()
	defer all.Close()
	c := Ceiling{Variant: kern.Name(), Threads: all.Threads()}
	c.FMA1 = gemm.New(kern, one).PeakFLOPs(d)
	c.FMA = gemm.New(kern, all).PeakFLOPs(d)

	const chunk, tasks = sweepBytes / 8, ceilingBytes / sweepBytes
	x := make([]uint64, ceilingBytes/8)
	all.Run(tasks, func(task, _ int) { // a page that was never written is no memory
		for i := range x[task*chunk : (task+1)*chunk] {
			x[task*chunk+i] = 1
		}
	})
	read := func(p *pool.Pool) float64 {
		return best(d, ceilingBytes, func() {
			p.Run(tasks, func(task, _ int) {
				if readLines(x[task*chunk:(task+1)*chunk]) != 1 {
					panic("cpu: Ceilings: memory read back differs from what was written")
				}
			})
		})
	}
	c.Read1, c.Read = read(one), read(all)
	half := len(x) / 2
	c.Copy = best(d, ceilingBytes/2, func() {
		all.Run(tasks/2, func(task, _ int) { copy(x[half+task*chunk:][:chunk], x[task*chunk:][:chunk]) })
	})
	return c
}

// readLines moves x, a multiple of 16 lines, from memory and returns the bits that are set in the words looked at. Memory hands out whole lines, so
// one word of each is enough; four streams at once, four lines of each in turn, keep it busier than one (docs/LOG.md).
func readLines(x []uint64) uint64 {
	const step = 4 * lineWords
	n := len(x) / 4
	x0, x1, x2, x3 := x[:n], x[n:][:n], x[2*n:][:n], x[3*n:][:n]
	var a0, a1, a2, a3 uint64
	for i := 0; i+step <= n; i += step {
		y0, y1, y2, y3 := x0[i:i+step], x1[i:i+step], x2[i:i+step], x3[i:i+step]
		a0 |= y0[0] | y0[lineWords] | y0[2*lineWords] | y0[3*lineWords]
		a1 |= y1[0] | y1[lineWords] | y1[2*lineWords] | y1[3*lineWords]
		a2 |= y2[0] | y2[lineWords] | y2[2*lineWords] | y2[3*lineWords]
		a3 |= y3[0] | y3[lineWords] | y3[2*lineWords] | y3[3*lineWords]
	}
	return a0 | a1 | a2 | a3
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
