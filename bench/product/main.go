// Command product measures float32 products, alone or in turns with a peer.
//
//	go run ./bench/product --peer ../venv/bin/python 512x512x512 1024x1024x1024
package main

import (
	"flag"
	"fmt"
	"math"
	"os"
	"strings"
	"time"

	"github.com/plinth-ml/plinth/bench"
	"github.com/plinth-ml/plinth/internal/gemm"
	"github.com/plinth-ml/plinth/internal/pool"
	"github.com/plinth-ml/plinth/internal/random"
)

type options struct {
	reps                           int
	threads, variant, peer, script string
	packed                         bool
	shapes                         []string
}

func main() {
	var o options
	flag.IntVar(&o.reps, "reps", 21, "pairs for each shape")
	flag.StringVar(&o.threads, "threads", "1,2", "thread counts, of the peer too")
	flag.StringVar(&o.variant, "variant", "", "instruction set; the best one when empty")
	flag.StringVar(&o.peer, "peer", "", "Python with PyTorch; no peer when empty")
	flag.StringVar(&o.script, "script", "bench/peers/matmul.py", "the peer's program")
	flag.BoolVar(&o.packed, "packed", false, "B is packed beforehand, as weights of a model in use are")
	flag.Parse()
	o.shapes = flag.Args()
	if len(o.shapes) == 0 {
		o.shapes = []string{"512x512x512", "1024x1024x1024", "2048x2048x2048"}
	}
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(o options) error {
	kern := gemm.Best()
	if o.variant != "" {
		var err error
		if kern, err = gemm.ByName(o.variant); err != nil {
			return err
		}
	}
	var peer *bench.Peer
	if o.peer != "" {
		var err error
		if peer, err = bench.Start(o.peer, o.script, "--interactive"); err != nil {
			return err
		}
	}
	steal := bench.ReadSteal()
	fmt.Printf("%s; GFLOP/s of the median call and of the fastest; share of the live peak, measured between the calls; peer/ours, median and quartiles of %d pairs\n", kern.Name(), o.reps)
	for _, count := range strings.Split(o.threads, ",") {
		var threads int
		if _, err := fmt.Sscan(count, &threads); err != nil || threads < 1 {
			return fmt.Errorf("product: --threads: %q is no count", count)
		}
		p := pool.New(threads)
		e := gemm.New(kern, p)
		logs := 0.0
		for _, shape := range o.shapes {
			var m gemm.Product
			if _, err := fmt.Sscanf(shape, "%dx%dx%d", &m.M, &m.N, &m.K); err != nil || min(m.M, m.N, m.K) < 1 {
				return fmt.Errorf("product: %q is no shape like 64x64x64", shape)
			}
			ratio, err := one(o, e, peer, &m, threads)
			if err != nil {
				return err
			}
			logs += math.Log(ratio)
		}
		if peer != nil && len(o.shapes) > 1 {
			fmt.Printf("threads %d: geometric mean of peer/ours over %d shapes %.3f\n", threads, len(o.shapes), math.Exp(logs/float64(len(o.shapes))))
		}
		p.Close()
	}
	fmt.Printf("stolen %.2f %%\n", 100*bench.ReadSteal().Since(steal))
	if peer != nil {
		return peer.Close(nil)
	}
	return nil
}

// rest is filled with untimed calls: the peer's threads wait for work in a loop for a while before they sleep.
const rest = 20 * time.Millisecond

// one measures a shape and returns the median of peer/ours.
func one(o options, e *gemm.Engine, peer *bench.Peer, m *gemm.Product, threads int) (float64, error) {
	fill := func(n int, seed uint64) []float32 {
		s, key := make([]float32, n), random.NewKey(seed)
		for i := range s {
			s[i] = float32(key.Float64(uint64(i))) - 0.5
		}
		return s
	}
	m.A, m.B, m.C = fill(m.M*m.K, 1), fill(m.K*m.N, 2), make([]float32, m.M*m.N)
	if o.packed {
		m.Packed = new(gemm.Packed)
		e.Pack(m.Packed, m.B, 0, false, m.K, m.N)
	}
	e.Mul(m)
	flops := 2 * float64(m.M) * float64(m.N) * float64(m.K)
	var pairs bench.Pairs
	var peaks []float64
	for range o.reps {
		for began := time.Now(); time.Since(began) < rest; {
			e.Mul(m)
		}
		start := time.Now()
		e.Mul(m)
		ours, theirs := time.Since(start).Seconds(), math.NaN()
		peaks = append(peaks, e.PeakFLOPs(2*time.Millisecond))
		if peer != nil {
			var answer struct{ Seconds float64 }
			for range 2 { // the first call finds the caches full of our operands
				if err := peer.Ask(fmt.Sprintf("go %d %d %d %d", m.M, m.N, m.K, threads), &answer); err != nil {
					return 0, err
				}
			}
			theirs = answer.Seconds
		}
		pairs.Add(ours, theirs)
	}
	median, fastest := flops/bench.Quantile(pairs.Ours, 0.5), flops/bench.Quantile(pairs.Ours, 0)
	peak, top := bench.Quantile(peaks, 0.5), bench.Quantile(peaks, 1)
	fmt.Printf("threads %d %-16s %7.1f %7.1f GFLOP/s, %5.1f %% of the median peak, fastest %5.1f %% of the highest (%.1f, %.1f)", threads,
		fmt.Sprintf("%dx%dx%d", m.M, m.N, m.K), median/1e9, fastest/1e9, 100*median/peak, 100*fastest/top, peak/1e9, top/1e9)
	low, mid, high := pairs.Ratio()
	if peer != nil {
		fmt.Printf("; peer %7.1f, fastest %7.1f GFLOP/s; peer/ours %.3f [%.3f, %.3f]", flops/bench.Quantile(pairs.Peer, 0.5)/1e9,
			flops/bench.Quantile(pairs.Peer, 0)/1e9, mid, low, high)
	}
	fmt.Println()
	return mid, nil
}
