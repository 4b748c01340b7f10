// Command product measures float32 products, alone or in turns with the products of other libraries.
//
//	go run ./bench/product --peer ../venv/bin/python 512x512x512 1024x1024x1024
//	go run ./bench/product --peer ../venv/bin/python --shapes transformer --packed --threads 2
//	go run ./bench/product --against /tmp/product.before --shapes squares
//	go run ./bench/product --scaling --shapes squares             one thread and two in turns
package main

import (
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"strings"

	"github.com/plinth-ml/plinth/bench"
	"github.com/plinth-ml/plinth/internal/gemm"
	"github.com/plinth-ml/plinth/internal/pool"
)

type options struct {
	reps                                           int
	threads, variant, peer, script, against, named string
	packed, cold, serve, scaling                   bool
	shapes                                         []string
}

func main() {
	var o options
	flag.IntVar(&o.reps, "reps", 21, "pairs for each shape")
	flag.StringVar(&o.threads, "threads", "1,2", "thread counts; the peer may use fewer where that is faster")
	flag.StringVar(&o.variant, "variant", "", "instruction set; the best one when empty")
	flag.StringVar(&o.peer, "peer", "", "Python with PyTorch; no peer when empty")
	flag.StringVar(&o.script, "script", "bench/peers/matmul.py", "the peer's program")
	flag.StringVar(&o.against, "against", "", "another build of this program, as the peer")
	flag.BoolVar(&o.packed, "packed", false, "B is packed beforehand, as weights of a model in use are; by peers too that can")
	flag.BoolVar(&o.cold, "cold", false, "each call takes operands that were not used for 256 MB; not with --peer")
	flag.StringVar(&o.named, "shapes", "", "squares, transformer (40 of M 1-256, N and K 128-3072), train (without --peer) or a file; beside those given as MxNxK")
	flag.BoolVar(&o.scaling, "scaling", false, "one thread against two, instead of a peer")
	flag.BoolVar(&o.serve, "serve", false, "be the peer of --against, on standard input and output")
	flag.Parse()
	o.shapes = flag.Args()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// peer is a process with one way or more to compute a product.
type peer struct {
	*bench.Peer
	ways []string
}

// start returns nil when no peer is asked for.
func start(o options, kern *gemm.Kernel) (*peer, error) {
	command := []string{o.peer, o.script, "--interactive"}
	if o.against != "" {
		command = []string{o.against, "--serve", "--variant", kern.Name(), fmt.Sprint("--packed=", o.packed), fmt.Sprint("--cold=", o.cold)}
	} else if o.peer == "" {
		return nil, nil
	}
	var hello struct {
		Ways, Packing []string
		About         map[string]string
	}
	process, err := bench.Start(&hello, command[0], command[1:]...)
	if err != nil {
		return nil, err
	}
	p := &peer{Peer: process}
	packs := fmt.Sprint(hello.Packing)
	for _, way := range hello.Ways {
		if o.packed || !strings.Contains(packs, way) {
			p.ways = append(p.ways, way)
		}
	}
	fmt.Println("peer:", hello.About)
	return p, nil
}

func run(o options) error {
	kern := gemm.Best()
	if o.variant != "" {
		var err error
		if kern, err = gemm.ByName(o.variant); err != nil {
			return err
		}
	}
	if o.serve {
		return serve(o, kern)
	}
	if o.named != "" {
		more, err := shapesOf(o.named)
		if err != nil {
			return err
		}
		o.shapes = append(o.shapes, more...)
	}
	if o.peer != "" && (o.cold || strings.Contains(strings.Join(o.shapes, " "), ",")) {
		return errors.New("product: --cold and shapes with options are for this program alone and for --against")
	}
	if len(o.shapes) == 0 {
		o.shapes = squares[:3]
	}
	if o.scaling {
		return scaling(o, kern)
	}
	other, err := start(o, kern)
	if err != nil {
		return err
	}
	steal := bench.ReadSteal()
	fmt.Printf("%s; GFLOP/s of the median call; share of the live peak, measured between the calls (median; fastest call over highest peak);\n", kern.Name())
	fmt.Printf("each way of the peer with its threads; time of the fastest way / ours, median [quartiles] of %d pairs\n", o.reps)
	for _, count := range strings.Split(o.threads, ",") {
		var threads int
		if _, err := fmt.Sscan(count, &threads); err != nil || threads < 1 {
			return fmt.Errorf("product: --threads: %q is no count", count)
		}
		if err := table(o, kern, other, threads); err != nil {
			return err
		}
	}
	fmt.Printf("stolen %.2f %%\n", 100*bench.ReadSteal().Since(steal))
	if other != nil {
		return other.Close(nil)
	}
	return nil
}

// table measures all shapes on a number of threads.
func table(o options, kern *gemm.Kernel, other *peer, threads int) error {
	p := pool.New(threads)
	defer p.Close()
	e := gemm.New(kern, p)
	var logs, shares float64 // sums of logarithms
	worst, at := math.Inf(1), ""
	for _, shape := range o.shapes {
		m, err := parse(shape)
		if err != nil {
			return err
		}
		r, err := one(o, e, other, m, threads)
		if err != nil {
			return err
		}
		fmt.Printf("threads %d %-15s %7.1f GFLOP/s %5.1f %% (%5.1f %%)", threads, shape, r.rate/1e9, 100*r.share, 100*r.fastest)
		shares += math.Log(r.share)
		if other != nil {
			for i, way := range other.ways {
				fmt.Printf("  %s/%d %.1f", way, r.threads[i], r.peers[i]/1e9)
			}
			fmt.Printf("  %s/ours %.3f [%.3f, %.3f]", other.ways[r.best], r.median, r.low, r.high)
			logs += math.Log(r.median)
			if r.median < worst {
				worst, at = r.median, shape
			}
		}
		fmt.Println()
	}
	mean := func(logs float64) float64 { return math.Exp(logs / float64(len(o.shapes))) }
	fmt.Printf("threads %d: geometric mean over %d shapes: %.1f %% of the peak", threads, len(o.shapes), 100*mean(shares))
	if other != nil {
		fmt.Printf(", fastest peer/ours %.3f, worst %.3f at %s", mean(logs), worst, at)
	}
	fmt.Println()
	return nil
}
