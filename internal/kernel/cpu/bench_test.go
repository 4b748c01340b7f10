package cpu

import (
	"fmt"
	"testing"
	"time"

	"github.com/plinth-ml/plinth/internal/gemm"
	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/internal/pool"
)

func TestCeilings(t *testing.T) {
	c := Ceilings(Options{Threads: 2}, time.Millisecond)
	if c.Threads != 2 || c.FMA1 <= 0 || c.FMA <= 0 || c.Read1 <= 0 || c.Read <= 0 || c.Copy <= 0 {
		t.Fatalf("%+v", c)
	}
}

// A sweep looks at every line: a bit set in any one of them comes back.
func TestReadLines(t *testing.T) {
	x := make([]uint64, 64*lineWords)
	for i := 0; i < len(x); i += lineWords {
		x[i] = 4
		if got := readLines(x); got != 4 {
			t.Fatalf("line %d: %d", i/lineWords, got)
		}
		x[i] = 0
	}
}

// share reports the FLOP/s of the benchmark and its share of the multiply-add peak measured beside it.
func share(b *testing.B, flops float64) {
	rate := flops * float64(b.N) / b.Elapsed().Seconds()
	p := pool.New(0)
	defer p.Close()
	peak := gemm.New(gemm.Best(), p).PeakFLOPs(100 * time.Millisecond)
	b.ReportMetric(rate/1e9, "GFLOP/s")
	b.ReportMetric(100*rate/peak, "%peak")
}

// The FLOPs of attention count what the causal mask leaves: 4 T(T+1)/2 D a head forward, 10 T(T+1)/2 D backward.
func BenchmarkAttention(b *testing.B) {
	for _, p := range []struct{ seqs, t, heads, kv, d int }{{8, 256, 6, 6, 64}, {32, 64, 6, 6, 32}, {16, 128, 4, 4, 32}, {2, 1024, 6, 2, 64}} {
		n, c := p.seqs*p.t, p.heads*p.d
		a := &kernel.Attention{Heads: p.heads, KVHeads: p.kv, HeadDim: p.d, Q: random(1, n*c), K: random(2, n*p.kv*p.d), V: random(3, n*p.kv*p.d),
			O: zeros(n * c), LSE: zeros(n * p.heads), Causal: true}
		for i := range p.seqs {
			a.Queries = append(a.Queries, kernel.Span{Start: i * p.t, Len: p.t})
		}
		a.Keys = a.Queries
		g := &kernel.AttentionGrad{DO: random(4, n*c), DQ: zeros(n * c), DK: zeros(n * p.kv * p.d), DV: zeros(n * p.kv * p.d)}
		s := New(Options{})
		flops := 2 * float64(p.seqs*p.heads*p.t*(p.t+1)/2*p.d)
		s.Attention(a)
		b.Run(fmt.Sprintf("B=%d,T=%d,H=%d,KV=%d,D=%d/forward", p.seqs, p.t, p.heads, p.kv, p.d), func(b *testing.B) {
			for b.Loop() {
				s.Attention(a)
			}
			share(b, 2*flops)
		})
		b.Run(fmt.Sprintf("B=%d,T=%d,H=%d,KV=%d,D=%d/backward", p.seqs, p.t, p.heads, p.kv, p.d), func(b *testing.B) {
			for b.Loop() {
				s.AttentionGrad(a, g)
			}
			share(b, 5*flops)
		})
	}
}

// BenchmarkDecode is one query over 512 keys in each of 8 sequences.
func BenchmarkDecode(b *testing.B) {
	const seqs, keys, heads, d = 8, 512, 6, 64
	c := heads * d
	a := &kernel.Attention{Heads: heads, KVHeads: heads, HeadDim: d, Q: random(1, seqs*c), K: random(2, seqs*keys*c), V: random(3, seqs*keys*c), O: zeros(seqs * c), Causal: true}
	for i := range seqs {
		a.Queries = append(a.Queries, kernel.Span{Start: i, Len: 1})
		a.Keys = append(a.Keys, kernel.Span{Start: i * keys, Len: keys})
	}
	s := New(Options{})
	b.SetBytes(seqs * keys * int64(c) * 8)
	for b.Loop() {
		s.Attention(a)
	}
}

// BenchmarkDecodeCache is one token over 4096 positions of a cache, in each of 6 layers: together more than a second-level cache holds.
func BenchmarkDecodeCache(b *testing.B) {
	const layers, keys = 6, 4096
	for _, h := range []struct{ heads, kv, d int }{{12, 12, 64}, {32, 8, 64}, {16, 4, 128}, {8, 1, 128}} {
		for _, dtype := range []kernel.DType{kernel.F32, kernel.F16, kernel.Q8_0} {
			c, k := h.heads*h.d, h.kv*h.d
			cache := &kernel.Cache{DType: dtype, Heads: h.kv, HeadDim: h.d, Rows: kernel.KeyTile, Tables: make([][]int32, 1)}
			for p := range int32(keys / cache.Rows) {
				cache.Pages = append(cache.Pages, kernel.Alloc(dtype, layers*cache.Part()))
				cache.Tables[0] = append(cache.Tables[0], p)
				page := cache.Pages[p].Bytes()
				for i := range page {
					page[i] = 0x2a // small numbers in every type
				}
			}
			s := New(Options{})
			a := &kernel.Attention{Heads: h.heads, KVHeads: h.kv, HeadDim: h.d, Q: random(1, c), K: random(2, k), V: random(3, k), O: zeros(c),
				Causal: true, Cache: cache, Queries: []kernel.Span{{Len: 1}}, Keys: []kernel.Span{{Len: keys}}}
			b.Run(fmt.Sprintf("H=%d,KV=%d,D=%d/%s", h.heads, h.kv, h.d, dtype), func(b *testing.B) {
				b.SetBytes(int64(layers * dtype.Bytes(keys*k*2)))
				for b.Loop() {
					for cache.Layer = range layers {
						s.Attention(a)
					}
				}
			})
		}
	}
}

func BenchmarkCrossEntropy(b *testing.B) {
	const n, c = 2048, 384
	for _, v := range []int{1024, 8192} {
		targets := make([]int32, n)
		for i := range targets {
			targets[i] = int32(i * 7 % v)
		}
		e := &kernel.CrossEntropy{X: random(1, n*c), W: random(2, v*c), Targets: kernel.OfI32(targets), V: v, C: c, Scale: 1,
			Loss: zeros(n), DX: zeros(n * c), DW: zeros(v * c)}
		s := New(Options{})
		s.Scale(e.W, 0.05, e.W) // logits of about unit size
		b.Run(fmt.Sprintf("V=%d", v), func(b *testing.B) {
			for b.Loop() {
				s.CrossEntropy(e)
			}
			share(b, 6*float64(n*c*v))
		})
	}
}

func BenchmarkRows(b *testing.B) {
	const n, c = 2048, 384
	x, y, dy, dx := random(1, n*c), zeros(n*c), random(2, n*c), zeros(n*c)
	w, bias, dw, db, mean, rstd := random(3, c), random(4, c), zeros(c), zeros(c), zeros(n), zeros(n)
	m, v := zeros(n*c), zeros(n*c)
	s := New(Options{})
	s.LayerNorm(y, mean, rstd, x, w, bias, 1e-5)
	for _, f := range []struct {
		name string
		run  func()
	}{
		{"add", func() { s.Add(y, x, dy) }},
		{"gelu", func() { s.Act(kernel.GELU, y, x) }},
		{"gelu_grad", func() { s.ActGrad(kernel.GELU, dx, dy, x, false) }},
		{"layernorm", func() { s.LayerNorm(y, mean, rstd, x, w, bias, 1e-5) }},
		{"layernorm_grad", func() { s.LayerNormGrad(dx, dw, db, dy, x, w, mean, rstd, true) }},
		{"sum_rows", func() { s.SumRows(db, x) }},
		{"adamw", func() {
			s.AdamW(&kernel.AdamW{LR: 1e-3, Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, Step: 1}, kernel.AdamWParam{P: y, G: dy, M: m, V: v})
		}},
	} {
		b.Run(f.name, func(b *testing.B) {
			b.SetBytes(n * c * 4)
			for b.Loop() {
				f.run()
			}
		})
	}
}

// 3x3 convolutions of ResNet-50's stages on pictures of 224 pixels and of small ones, and a stride of 2.
func BenchmarkConv(b *testing.B) {
	for _, c := range []kernel.Conv{
		{B: 4, H: 56, W: 56, C: 64, O: 64, KH: 3, KW: 3, Stride: 1, Pad: 1}, {B: 4, H: 28, W: 28, C: 128, O: 128, KH: 3, KW: 3, Stride: 1, Pad: 1},
		{B: 4, H: 14, W: 14, C: 256, O: 256, KH: 3, KW: 3, Stride: 1, Pad: 1}, {B: 16, H: 7, W: 7, C: 512, O: 512, KH: 3, KW: 3, Stride: 1, Pad: 1},
		{B: 16, H: 32, W: 32, C: 64, O: 128, KH: 3, KW: 3, Stride: 2, Pad: 1}, {B: 4, H: 112, W: 112, C: 3, O: 32, KH: 3, KW: 3, Stride: 2, Pad: 1},
		{B: 4, H: 56, W: 56, C: 256, O: 64, KH: 1, KW: 1, Stride: 1},
	} {
		h, w := c.Out()
		c.X, c.Weight, c.Y = random(1, c.B*c.H*c.W*c.C), random(2, c.O*c.C*c.KH*c.KW), zeros(c.B*h*w*c.O)
		dy, dx, dw := random(3, c.Y.Len()), zeros(c.X.Len()), zeros(c.Weight.Len())
		s := New(Options{})
		packed := c
		packed.Packed = &kernel.Packed{}
		s.PackConv(packed.Packed, &c)
		flops := 2 * float64(c.Y.Len()*c.KH*c.KW*c.C)
		for _, f := range []struct {
			name string
			run  func()
		}{
			{"packed", func() { s.Conv(&packed) }},
			{"forward", func() { s.Conv(&c) }},
			{"dx", func() { s.ConvGrad(&c, &kernel.ConvGrad{DY: dy, DX: dx}) }},
			{"dw", func() { s.ConvGrad(&c, &kernel.ConvGrad{DY: dy, DW: dw}) }},
		} {
			f.run()
			b.Run(fmt.Sprintf("%dx%dx%dx%d to %d by %d, stride %d/%s", c.B, c.H, c.W, c.C, c.O, c.KH, c.Stride, f.name), func(b *testing.B) {
				for b.Loop() {
					f.run()
				}
				share(b, flops)
			})
		}
	}
}
