package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/internal/kernel/cpu"
)

type benchCmd struct {
	Kernels benchKernelsCmd `cmd:"" default:"withargs" help:"The ceilings, and each kernel beside its ceiling; what plinth bench alone does."`
	Step    benchStepCmd    `cmd:"" help:"The training step of a GPT; with --profile op by op."`
}

func (*benchCmd) Help() string { return "Example: plinth bench step --profile" }

type benchKernelsCmd struct {
	Time time.Duration `default:"300ms" help:"How long each figure is measured." placeholder:"DURATION"`
}

func (*benchKernelsCmd) Help() string {
	return "Ceilings and kernels are measured in one go on the machine as it is at this moment; shares of a ceiling mean something, absolute figures much less. Example: plinth bench --threads 1"
}

// benchRow is one kernel beside its ceiling.
type benchRow struct {
	Kernel  string  `json:"kernel"`
	Shape   string  `json:"shape"`
	Seconds float64 `json:"seconds"`                    // of one call, median
	FLOPs   float64 `json:"flops_per_second,omitempty"` // of the arithmetic that the definition needs
	Bytes   float64 `json:"bytes_per_second,omitempty"` // of the memory traffic that the definition needs
	Share   float64 `json:"share"`                      // of the FMA ceiling, or of the ceiling of reading memory
}

func (b *benchKernelsCmd) Run(c *common) error {
	if b.Time <= 0 || b.Time > time.Minute {
		return usagef("--time %v is not within 0 to 1m", b.Time)
	}
	c.say("measuring the ceilings of %s ...", c.kernels().Name)
	ceiling := cpu.Ceilings(cpu.Options{Threads: c.Threads}, b.Time)
	k := c.kernels()
	out := struct {
		Kernels string     `json:"kernels"`
		Threads int        `json:"threads"`
		FMA1    float64    `json:"fma_flops_per_second_1_thread"`
		FMA     float64    `json:"fma_flops_per_second"`
		Read1   float64    `json:"read_bytes_per_second_1_thread"`
		Read    float64    `json:"read_bytes_per_second"`
		Copy    float64    `json:"copy_bytes_per_second"`
		Rows    []benchRow `json:"rows"`
	}{k.Name, ceiling.Threads, ceiling.FMA1, ceiling.FMA, ceiling.Read1, ceiling.Read, ceiling.Copy, nil}
	var text strings.Builder
	fmt.Fprintf(&text, "%s, %d threads\nlive ceilings: FMA %.1f GFLOP/s (one thread %.1f), memory read %.1f GB/s (one thread %.1f), copy %.1f GB/s\n\n",
		k.Name, ceiling.Threads, ceiling.FMA/1e9, ceiling.FMA1/1e9, ceiling.Read/1e9, ceiling.Read1/1e9, ceiling.Copy/1e9)
	fmt.Fprintf(&text, "%-22s %-34s %10s %14s %8s\n", "kernel", "shape", "ms", "rate", "share")
	for _, job := range benchJobs(k) {
		job.run() // warm
		seconds := median(b.Time, job.run)
		row := benchRow{Kernel: job.kernel, Shape: job.shape, Seconds: seconds}
		var rate string
		if job.flops > 0 {
			row.FLOPs = job.flops / seconds
			row.Share = row.FLOPs / ceiling.FMA
			rate = fmt.Sprintf("%.1f GFLOP/s", row.FLOPs/1e9)
		} else {
			row.Bytes = job.bytes / seconds
			row.Share = row.Bytes / ceiling.Read
			rate = fmt.Sprintf("%.1f GB/s", row.Bytes/1e9)
		}
		out.Rows = append(out.Rows, row)
		fmt.Fprintf(&text, "%-22s %-34s %10.3f %14s %7.0f%%\n", job.kernel, job.shape, seconds*1e3, rate, 100*row.Share)
	}
	fmt.Fprintf(&text, "\nshare: of the FMA ceiling, or for kernels that only move memory of the ceiling of reading (above 100 %% where the data stays in a cache)\n")
	return c.finish(out, text.String())
}

// median is the median time of calls of f made for d, at least three.
func median(d time.Duration, f func()) float64 {
	var times []float64
	for start := time.Now(); time.Since(start) < d || len(times) < 3; {
		t := time.Now()
		f()
		times = append(times, time.Since(t).Seconds())
	}
	slices.Sort(times)
	return times[len(times)/2]
}

// benchJob is one call of a kernel and the arithmetic or the traffic that it needs.
type benchJob struct {
	kernel, shape string
	flops, bytes  float64
	run           func()
}

func benchJobs(k *kernel.Set) []benchJob {
	noise := func(n int) kernel.Buf {
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(math.Sin(float64(i)))
		}
		return kernel.OfF32(x)
	}
	var jobs []benchJob
	product := func(name string, M, N, K int, transA, transB, packed bool) {
		m := &kernel.MatMul{M: M, N: N, K: K, A: noise(M * K), B: noise(K * N), C: noise(M * N), TransA: transA, TransB: transB}
		if packed {
			m.Packed = new(kernel.Packed)
			k.Pack(m.Packed, m.B, transB, K, N)
		}
		jobs = append(jobs, benchJob{kernel: name, shape: fmt.Sprintf("%d x %d x %d", M, N, K), flops: 2 * float64(M) * float64(N) * float64(K),
			run: func() { k.MatMul(m) }})
	}
	for _, n := range []int{256, 512, 1024, 2048} {
		product("product", n, n, n, false, false, false)
	}
	product("product, forward", 2048, 1536, 384, false, false, false)
	product("product, to x", 2048, 384, 1536, false, true, false)
	product("product, to w", 384, 1536, 2048, true, false, false)
	product("product, packed", 16, 1536, 384, false, false, true)
	product("product, packed", 1, 4096, 4096, false, false, true)

	const N, C, V = 2048, 384, 8192
	x, y, dy, w, bias, stat := noise(N*C), noise(N*C), noise(N*C), noise(C), noise(C), noise(N)
	mean := kernel.Alloc(kernel.F32, N)
	stream := func(name string, shape string, buffers int, elements int, f func()) {
		jobs = append(jobs, benchJob{kernel: name, shape: shape, bytes: float64(4 * buffers * elements), run: f})
	}
	shape := fmt.Sprintf("%d x %d", N, C)
	stream("layernorm", shape, 2, N*C, func() { k.LayerNorm(y, mean, stat, x, w, bias, 1e-5) })
	stream("layernorm gradient", shape, 3, N*C, func() {
		k.LayerNormGrad(y, w, bias, dy, x, w, mean, stat, false)
		k.Fill(w, 0)
		k.Fill(bias, 0)
	})
	stream("gelu tanh", shape, 2, N*C, func() { k.Act(kernel.GELUTanh, y, x) })
	stream("gelu tanh gradient", shape, 3, N*C, func() { k.ActGrad(kernel.GELUTanh, y, dy, x, false) })
	for _, f := range []kernel.Act{kernel.GELU, kernel.SiLU, kernel.Tanh, kernel.Sigmoid} {
		stream(f.String(), shape, 2, N*C, func() { k.Act(f, y, x) })
	}
	stream("swiglu", shape, 3, N*C, func() { k.SwiGLU(y, x, dy) })
	stream("softmax", shape, 2, N*C, func() { k.Softmax(y, x, C) })
	stream("rmsnorm", shape, 2, N*C, func() { k.RMSNorm(y, stat, x, w, 1e-5) })
	const half = 32 // of a head dim of 64
	ids := make([]int32, N)
	for i := range ids {
		ids[i] = int32(i * 7 % 256)
	}
	angles := noise(256 * half)
	rope := &kernel.Rope{Heads: C / (2 * half), HeadDim: 2 * half, Pos: kernel.OfI32(ids), Cos: angles, Sin: angles}
	stream("rope", shape, 2, N*C, func() { k.Rope(y, x, rope) })
	table := noise(256 * C)
	stream("gather", shape, 2, N*C, func() { k.Gather(y, table, kernel.OfI32(ids), C, false) })
	stream("scatter-add", shape, 3, N*C, func() { k.ScatterAdd(table, x, kernel.OfI32(ids), C) })
	const big = 16 << 20
	p, g, m, v := noise(big), noise(big), kernel.Alloc(kernel.F32, big), kernel.Alloc(kernel.F32, big)
	step := 0
	stream("adamw", fmt.Sprintf("%d parameters", big), 8, big, func() { // p, g, m, v read and written
		step++
		k.AdamW(&kernel.AdamW{LR: 1e-4, Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, Step: step, ZeroGrad: true}, kernel.AdamWParam{P: p, G: g, M: m, V: v})
	})

	const T, H, D = 256, 6, 64
	qkv, o, lse := noise(N*3*C), noise(N*C), noise(N*H)
	var spans []kernel.Span
	for s := 0; s < N; s += T {
		spans = append(spans, kernel.Span{Start: s, Len: T})
	}
	a := &kernel.Attention{Heads: H, KVHeads: H, HeadDim: D, Q: qkv, K: qkv.Slice(C, 3*N*C), V: qkv.Slice(2*C, 3*N*C), O: o, LDQ: 3 * C, LDK: 3 * C, LDV: 3 * C,
		LSE: lse, Queries: spans, Keys: spans, Causal: true}
	d := noise(N * 3 * C)
	grad := &kernel.AttentionGrad{DO: dy, DQ: d, DK: d.Slice(C, 3*N*C), DV: d.Slice(2*C, 3*N*C)}
	causal := 4 * float64(N) * C * (T + 1) / 2 // scores and values under the causal mask
	shape = fmt.Sprintf("%d x %d tokens, %d heads of %d", N/T, T, H, D)
	jobs = append(jobs, benchJob{kernel: "attention", shape: shape, flops: causal, run: func() { k.Attention(a) }},
		benchJob{kernel: "attention gradient", shape: shape, flops: 2.5 * causal, run: func() { k.AttentionGrad(a, grad) }})

	targets := make([]int32, N)
	for i := range targets {
		targets[i] = int32(i * 37 % V)
	}
	head, dhead := noise(V*C), kernel.Alloc(kernel.F32, V*C)
	ce := &kernel.CrossEntropy{X: x, W: head, Targets: kernel.OfI32(targets), V: V, C: C, Scale: 1.0 / N, Loss: stat, DX: y, DW: dhead}
	jobs = append(jobs, benchJob{kernel: "head + cross-entropy", shape: fmt.Sprintf("%d x %d, %d words", N, C, V), flops: 6 * N * C * V, run: func() { k.CrossEntropy(ce) }})
	return jobs
}
