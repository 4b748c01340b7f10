package main

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/plinth-ml/plinth/bench"
	"github.com/plinth-ml/plinth/internal/gemm"
	"github.com/plinth-ml/plinth/internal/random"
)

const (
	rest   = 40 * time.Millisecond // filled with untimed calls: the peer's threads wait for work in a loop before they sleep
	sample = 2 * time.Millisecond  // a time is the mean of as many calls as take this long
)

// reading is what is known of one shape. Rates are FLOP/s of the median.
type reading struct {
	rate, share, fastest float64   // ours; share of the peak: of the medians, of the extremes
	peers                []float64 // rates, by way
	threads              []int     // of each way
	best                 int       // the way with the highest rate
	low, median, high    float64   // its time / ours
}

// one measures a shape.
func one(o options, e *gemm.Engine, other *peer, m gemm.Product, threads int) (r reading, err error) {
	m.A, m.B, m.C = fill(m.M*m.K, 1), fill(m.K*m.N, 2), make([]float32, m.M*m.N)
	e.Mul(&m)
	var ways []string
	if other != nil {
		if err := other.load(&m); err != nil {
			return r, err
		}
		ways = other.ways
	}
	c := newCycle(o, e, m)
	flops := 2 * float64(m.M) * float64(m.N) * float64(m.K)
	calls := 1
	for calls < 4096 && (float64(calls)*c.seconds(e, calls) < sample.Seconds() || o.cold && calls < len(c.products)) {
		calls *= 2
	}
	for _, way := range ways {
		count, err := other.threads(way, threads, calls)
		if err != nil {
			return r, err
		}
		r.threads = append(r.threads, count)
	}
	pairs := make([]bench.Pairs, max(len(ways), 1))
	var peaks []float64
	for range o.reps {
		for began := time.Now(); time.Since(began) < rest; {
			c.seconds(e, 1)
		}
		ours := c.seconds(e, calls)
		peaks = append(peaks, e.PeakFLOPs(2*time.Millisecond))
		for i, way := range ways {
			var theirs float64
			for range 2 { // the first finds the caches full of other operands
				if theirs, err = other.time(way, r.threads[i], calls); err != nil {
					return r, err
				}
			}
			pairs[i].Add(ours, theirs)
		}
		if other == nil {
			pairs[0].Add(ours, math.NaN())
		}
	}
	r.rate = flops / bench.Quantile(pairs[0].Ours, 0.5)
	r.share = r.rate / bench.Quantile(peaks, 0.5)
	r.fastest = flops / bench.Quantile(pairs[0].Ours, 0) / bench.Quantile(peaks, 1)
	for i := range ways {
		r.peers = append(r.peers, flops/bench.Quantile(pairs[i].Peer, 0.5))
		if r.peers[i] > r.peers[r.best] {
			r.best = i
		}
	}
	r.low, r.median, r.high = pairs[r.best].Ratio()
	return r, nil
}

// fill returns n numbers in [-0.5, 0.5).
func fill(n int, seed uint64) []float32 {
	s, key := make([]float32, n), random.NewKey(seed)
	for i := range s {
		s[i] = float32(key.Float64(uint64(i))) - 0.5
	}
	return s
}

// cycle is a product and copies of it that take turns.
type cycle struct {
	products []gemm.Product
	next     int
}

const far = 256 << 20 // bytes: beyond what the caches of one core keep, and most of what they share

// newCycle prepares m as the options say: packed, with copies.
func newCycle(o options, e *gemm.Engine, m gemm.Product) *cycle {
	c := &cycle{products: []gemm.Product{m}}
	for size := 4 * (len(m.A) + len(m.B) + len(m.C)); o.cold && len(c.products) < min(far/size+1, 4096); {
		m.A, m.B, m.C = slices.Clone(m.A), slices.Clone(m.B), slices.Clone(m.C)
		c.products = append(c.products, m)
	}
	for i := range c.products {
		if p := &c.products[i]; o.packed {
			p.Packed = new(gemm.Packed)
			e.Pack(p.Packed, p.B, 0, p.TransB, p.K, p.N)
		}
	}
	return c
}

// seconds is the time of one call, the mean of some in a row.
func (c *cycle) seconds(e *gemm.Engine, calls int) float64 {
	start := time.Now()
	for range calls {
		e.Mul(&c.products[c.next])
		c.next = (c.next + 1) % len(c.products)
	}
	return time.Since(start).Seconds() / float64(calls)
}

// load hands the operands to the peer and compares the results of all its ways with ours.
func (p *peer) load(m *gemm.Product) error {
	dir, err := os.MkdirTemp("", "product")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "operands")
	data := make([]byte, 0, 4*(len(m.A)+len(m.B)))
	for _, s := range [][]float32{m.A, m.B} {
		for _, v := range s {
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
		}
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		return err
	}
	var none struct{}
	if err := p.Ask(fmt.Sprintf("load %s %s", shape(m), path), &none); err != nil {
		return err
	}
	for _, way := range p.ways {
		path := filepath.Join(dir, way)
		if err := p.Ask(fmt.Sprintf("result %s %s", way, path), &none); err != nil {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := same(m, data); err != nil {
			return fmt.Errorf("product: %s, %s: %w", shape(m), way, err)
		}
	}
	return nil
}

// shape is what parse reads.
func shape(m *gemm.Product) string {
	s := fmt.Sprintf("%dx%dx%d", m.M, m.N, m.K)
	for i, option := range []string{",ta", ",tb", ",acc"} {
		if [...]bool{m.TransA, m.TransB, m.Accumulate}[i] {
			s += option
		}
	}
	return s
}

// same reports whether data is C, but for rounding: a sum of K products of numbers below a half.
func same(m *gemm.Product, data []byte) error {
	if len(data) != 4*len(m.C) {
		return fmt.Errorf("the result has %d bytes, want %d", len(data), 4*len(m.C))
	}
	bound := 1e-6 * math.Sqrt(float64(m.K)) // the worst seen is a tenth of it
	for i, want := range m.C {
		got := math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
		if d := math.Abs(float64(got) - float64(want)); !(d <= bound) {
			return fmt.Errorf("element %d is %v, ours is %v", i, got, want)
		}
	}
	return nil
}

// threads is the count up to most that is fastest for a way, of one and all.
func (p *peer) threads(way string, most, calls int) (int, error) {
	best, count := math.Inf(1), 0
	for _, n := range []int{1, most} {
		for range 4 {
			t, err := p.time(way, n, calls)
			if err != nil {
				return 0, err
			}
			if t < best {
				best, count = t, n
			}
		}
	}
	return count, nil
}

// time is the peer's time of one call, the mean of some in a row.
func (p *peer) time(way string, threads, calls int) (float64, error) {
	var answer struct{ Seconds float64 }
	err := p.Ask(fmt.Sprintf("time %s %d %d", way, threads, calls), &answer)
	return answer.Seconds, err
}
