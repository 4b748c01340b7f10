// Command search measures package index on Gaussian data in clusters, beside the speed at which memory is read, and in turns with faiss and hnswlib.
//
//	go run ./bench/search --dir /tmp/search --build
//	go run ./bench/search --dir /tmp/search --peer ../venv/bin/python --engine flat
//
// With --build it makes the data and the index, and tells the time; then it measures what lies there.
package main

import (
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"time"

	"github.com/plinth-ml/plinth/bench"
	"github.com/plinth-ml/plinth/index"
	"github.com/plinth-ml/plinth/internal/kernel/cpu"
	"github.com/plinth-ml/plinth/internal/pool"
	"github.com/plinth-ml/plinth/internal/vec"
)

// hits is how many are asked for.
const hits = 10

func main() {
	var o options
	flag.StringVar(&o.dir, "dir", "", "folder of the data and the indexes, about 5 GB for a million vectors")
	flag.BoolVar(&o.build, "build", false, "make the data and the index first")
	flag.IntVar(&o.rows, "rows", 1_000_000, "vectors")
	flag.IntVar(&o.mixture.dim, "dim", 512, "numbers of a vector")
	flag.IntVar(&o.mixture.clusters, "clusters", 4000, "clusters of the data; 0: none")
	flag.Float64Var(&o.mixture.spread, "spread", 1, "of a cluster, beside the length of its centre")
	flag.IntVar(&o.lists, "lists", 0, "lists of the index that --build makes; 0: as many as the package chooses")
	flag.IntVar(&o.queries, "queries", 200, "queries")
	flag.IntVar(&o.check, "check", 20, "queries whose exact answers are compared with the pass over all vectors")
	flag.IntVar(&o.pairs, "pairs", 7, "pairs measured")
	flag.IntVar(&o.threads, "threads", runtime.GOMAXPROCS(0), "threads of both")
	flag.StringVar(&o.python, "peer", "", "Python with faiss and hnswlib; no peer when empty")
	flag.StringVar(&o.script, "script", "bench/peers/search.py", "the peer's program")
	flag.StringVar(&o.engine, "engine", "flat", "the peer: flat, ivf or hnsw; the latter two are built when they are not there")
	flag.Parse()
	if err := o.run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

type options struct {
	mixture                                     mixture
	dir, python, script, engine                 string
	rows, queries, lists, check, pairs, threads int
	build                                       bool
}

func (o *options) run() error {
	if o.dir == "" {
		return fmt.Errorf("search: --dir is missing")
	}
	o.mixture.seed = 1
	path := filepath.Join(o.dir, "plinth.index")
	if o.build {
		if err := o.make(path); err != nil {
			return err
		}
	}
	x, err := index.Open(path)
	if err != nil {
		return err
	}
	defer x.Close()
	x.Threads = o.threads
	qs, err := vectors(filepath.Join(o.dir, "queries.f32"), o.mixture.dim)
	if err != nil {
		return err
	}
	lists, probe := x.ListCount()
	size, searched := x.Bytes()
	fmt.Printf("%d x %d, %d threads; file %.0f MB, of which an exact search reads %.0f MB; %d lists, %d searched\n", x.Len(), x.Dim(), o.threads, float64(size)/1e6, float64(searched)/1e6, lists, probe)
	exact, err := x.Search(qs, hits) // all at once; also brings the file into memory
	if err != nil {
		return err
	}
	if err := o.compare(x, qs, exact); err != nil {
		return err
	}
	if err := o.streaming(x, qs, searched); err != nil {
		return err
	}
	return o.near(x, qs, exact)
}

// make writes the data and the index.
func (o *options) make(path string) error {
	began := time.Now()
	if err := o.mixture.make(o.dir, o.rows, o.queries); err != nil {
		return err
	}
	fmt.Printf("data: %.1f s\n", time.Since(began).Seconds())
	vs, err := vectors(filepath.Join(o.dir, "stored.f32"), o.mixture.dim)
	if err != nil {
		return err
	}
	x, err := index.New(o.mixture.dim, false)
	if err != nil {
		return err
	}
	defer x.Close()
	x.Threads, x.Lists = o.threads, o.lists
	put := make([]index.Entry, len(vs))
	for i, v := range vs {
		put[i] = index.Entry{Key: strconv.Itoa(i), Vector: v}
	}
	began = time.Now()
	if err := x.Save(path, index.Change{Put: put}); err != nil {
		return err
	}
	fmt.Printf("index: %.1f s\n", time.Since(began).Seconds())
	return nil
}

// compare tells whether the first queries' answers are those of the pass over all vectors in float32.
func (o *options) compare(x *index.Index, qs [][]float32, exact [][]index.Hit) error {
	p := pool.New(o.threads)
	defer p.Close()
	scores := make([]float32, x.Len())
	const step = 4096
	for i, q := range qs[:min(o.check, len(qs))] {
		p.Run((len(scores)+step-1)/step, func(task, _ int) {
			for r := task * step; r < min(len(scores), (task+1)*step); r++ {
				scores[r] = vec.Dot(q, x.Vector(r))
			}
		})
		left := slices.Clone(scores)
		for n, h := range exact[i] {
			best := 0
			for r, s := range left {
				if s > left[best] {
					best = r
				}
			}
			if best != h.Row || scores[best] != h.Score {
				return fmt.Errorf("search: query %d: hit %d is row %d (%v), want row %d (%v)", i, n, h.Row, h.Score, best, scores[best])
			}
			left[best] = float32(math.Inf(-1))
		}
	}
	fmt.Printf("exact: the answers to %d queries are those of float32, to the bit\n", min(o.check, len(qs)))
	return nil
}

// streaming measures exact searches in turns with the reading of as many bytes, and with the peer's.
func (o *options) streaming(x *index.Index, qs [][]float32, searched int64) error {
	var peer *bench.Peer
	if o.python != "" {
		var hello struct{ Build float64 }
		var err error
		if peer, err = bench.Start(&hello, o.python, o.script, o.dir, "--engine", o.engine, fmt.Sprintf("--dim=%d", x.Dim()), fmt.Sprintf("--threads=%d", o.threads)); err != nil {
			return err
		}
		fmt.Printf("%s: built in %.1f s (0: read)\n", o.engine, hello.Build)
		defer peer.Close(nil)
	}
	var read, many, theirs bench.Pairs
	for i := range o.pairs {
		ceiling := cpu.Ceilings(cpu.Options{Threads: o.threads}, 100*time.Millisecond)
		const singles = 5
		one := make([]float64, singles)
		for j := range one {
			began := time.Now()
			if _, err := x.Search(qs[(i*singles+j)%len(qs):][:1], hits); err != nil {
				return err
			}
			one[j] = time.Since(began).Seconds()
		}
		ours := bench.Quantile(one, 0.5)
		read.Add(float64(searched)/ceiling.Read, ours)
		began := time.Now()
		batch := qs[:min(16, len(qs))]
		if _, err := x.Search(batch, hits); err != nil {
			return err
		}
		many.Add(time.Since(began).Seconds()/float64(len(batch)), ours)
		if peer != nil {
			var answer struct{ Seconds, Recall float64 }
			if err := peer.Ask(fmt.Sprint("one ", i), &answer); err != nil {
				return err
			}
			theirs.Add(ours, answer.Seconds)
		}
	}
	low, mid, high := read.Ratio()
	fmt.Printf("exact, one query: %.1f ms; reading as many bytes %.1f ms; search/reading %.2f [%.2f, %.2f], %d pairs\n", 1e3*bench.Quantile(read.Peer, 0.5), 1e3*bench.Quantile(read.Ours, 0.5), mid, low, high, o.pairs)
	fmt.Printf("exact, 16 queries at once: %.2f ms each\n", 1e3*bench.Quantile(many.Ours, 0.5))
	if peer != nil {
		low, mid, high := theirs.Ratio()
		fmt.Printf("%s, one query: %.2f ms; theirs/ours exact %.2f [%.2f, %.2f]\n", o.engine, 1e3*bench.Quantile(theirs.Peer, 0.5), mid, low, high)
		var curve []struct {
			Setting string
			Seconds float64
			Recall  float64
		}
		if err := peer.Ask("curve", &curve); err != nil {
			return err
		}
		for _, c := range curve {
			fmt.Printf("%s %s: recall@%d %.4f, %.3f ms a query\n", o.engine, c.Setting, hits, c.Recall, 1e3*c.Seconds)
		}
	}
	return nil
}

// near measures searches in some of the lists, one query at a time.
func (o *options) near(x *index.Index, qs [][]float32, exact [][]index.Hit) error {
	lists, chosen := x.ListCount()
	if lists == 0 {
		return nil
	}
	var probes []int
	for p := 1; p < lists/4; p *= 2 {
		probes = append(probes, p)
	}
	for _, probe := range slices.Compact(slices.Sorted(slices.Values(append(probes, chosen)))) {
		var times []float64
		found, wanted := 0, 0
		for i := range qs {
			began := time.Now()
			got, err := x.Near(qs[i:i+1], hits, probe)
			if err != nil {
				return err
			}
			times = append(times, time.Since(began).Seconds())
			for _, h := range exact[i] {
				wanted++
				if slices.Contains(got[0], h) {
					found++
				}
			}
		}
		note := ""
		if probe == chosen {
			note = ", the default"
		}
		fmt.Printf("near, %d lists%s: recall@%d %.4f, %.3f ms a query [%.3f, %.3f]\n", probe, note, hits, float64(found)/float64(wanted), 1e3*bench.Quantile(times, 0.5),
			1e3*bench.Quantile(times, 0.25), 1e3*bench.Quantile(times, 0.75))
	}
	return nil
}
