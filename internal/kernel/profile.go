package kernel

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Times is what the functions of a profiled set took, per op and shape.
type Times struct {
	entries map[timesKey]*OpTime
	order   []*OpTime
}

// timesKey names an op and its sizes without an allocation.
type timesKey struct {
	op      string
	m, n, k int
}

// OpTime is the sum over all calls of one op on one shape. FLOPs counts multiplications and additions of products (of
// attention only the pairs that are seen, without recomputation); Bytes counts each operand once, moved to or from memory.
type OpTime struct {
	Op    string        `json:"op"`
	Shape string        `json:"shape"`
	Calls int           `json:"calls"`
	Time  time.Duration `json:"nanoseconds"`
	FLOPs float64       `json:"flops"`
	Bytes float64       `json:"bytes"`
}

// Reset forgets everything measured.
func (t *Times) Reset() { t.entries, t.order = map[timesKey]*OpTime{}, nil }

// Ops lists what was measured, the longest first.
func (t *Times) Ops() []OpTime {
	var list []OpTime
	for _, o := range t.order {
		list = append(list, *o)
	}
	slices.SortStableFunc(list, func(a, b OpTime) int { return cmp.Compare(b.Time, a.Time) })
	return list
}

// Total is the time inside all ops.
func (t *Times) Total() time.Duration {
	var sum time.Duration
	for _, o := range t.order {
		sum += o.Time
	}
	return sum
}

// Table lists the ops, the longest first: per step of the given number that took seconds in all, beside the multiply-add ceiling fma in
// FLOP/s (all that op's arithmetic over its time) and with the bytes that it must move at least.
func (t *Times) Table(steps int, seconds, fma float64) string {
	var b strings.Builder
	n := float64(steps)
	fmt.Fprintf(&b, "%-28s %-18s %6s %9s %6s %9s %7s %8s\n", "op", "shape", "calls", "ms/step", "share", "GFLOP/s", "% peak", "GB/s")
	for _, op := range t.Ops() {
		s := op.Time.Seconds()
		fmt.Fprintf(&b, "%-28s %-18s %6.0f %9.3f %5.1f%%", op.Op, op.Shape, float64(op.Calls)/n, 1e3*s/n, 100*s/seconds)
		if op.FLOPs > 0 {
			fmt.Fprintf(&b, " %9.1f %6.1f%%", op.FLOPs/s/1e9, 100*op.FLOPs/s/fma)
		} else {
			fmt.Fprintf(&b, " %9s %7s", "", "")
		}
		fmt.Fprintf(&b, " %8.1f\n", op.Bytes/s/1e9)
	}
	fmt.Fprintf(&b, "outside ops: %.3f ms per step\n", 1e3*(seconds-t.Total().Seconds())/n)
	return b.String()
}

func (t *Times) add(key timesKey, start time.Time, flops, elements float64) {
	d := time.Since(start)
	o := t.entries[key]
	if o == nil {
		o = &OpTime{Op: key.op}
		switch {
		case key.k > 0:
			o.Shape = fmt.Sprintf("%dx%dx%d", key.m, key.n, key.k)
		case key.n > 0:
			o.Shape = fmt.Sprintf("%dx%d", key.m, key.n)
		default:
			o.Shape = fmt.Sprint(key.m)
		}
		t.entries[key] = o
		t.order = append(t.order, o)
	}
	o.Calls++
	o.Time += d
	o.FLOPs += flops
	o.Bytes += 4 * elements
}

// Profile returns a set that does what s does and measures the time of every call. Calls of one set must not overlap.
func Profile(s *Set) (*Set, *Times) {
	t := new(Times)
	t.Reset()
	p := *s
	p.MatMul = func(m *MatMul) {
		start := time.Now()
		s.MatMul(m)
		size, columns := float64(m.M)*float64(m.K), 0
		for c := m; c != nil; c = c.Next {
			columns += c.N
			size += float64(m.K)*float64(c.N) + float64(m.M)*float64(c.N)
			for _, b := range []Buf{c.Residual, c.Pre} {
				size += float64(b.Len())
			}
		}
		t.add(timesKey{productName(m), m.M, columns, m.K}, start, 2*float64(m.M)*float64(columns)*float64(m.K), size)
	}
	p.Pack = func(dst *Packed, b Buf, trans bool, k, n int) {
		start := time.Now()
		s.Pack(dst, b, trans, k, n)
		t.add(timesKey{"Pack", k, n, 0}, start, 0, 2*float64(b.Len()))
	}
	p.PackInt8 = func(dst *Packed, b Buf, trans bool, k, n int) {
		start := time.Now()
		s.PackInt8(dst, b, trans, k, n)
		t.add(timesKey{"PackInt8", k, n, 0}, start, 0, 2*float64(b.Len()))
	}
	p.Attention = func(a *Attention) {
		start := time.Now()
		s.Attention(a)
		flops, rows := a.work()
		t.add(timesKey{"Attention", rows, a.Heads, a.HeadDim}, start, 4*flops, 4*float64(rows*a.Heads*a.HeadDim))
	}
	p.AttentionGrad = func(a *Attention, g *AttentionGrad) {
		start := time.Now()
		s.AttentionGrad(a, g)
		flops, rows := a.work()
		t.add(timesKey{"AttentionGrad", rows, a.Heads, a.HeadDim}, start, 8*flops, 8*float64(rows*a.Heads*a.HeadDim))
	}
	p.CrossEntropy = func(c *CrossEntropy) {
		start := time.Now()
		s.CrossEntropy(c)
		n := c.Targets.Len()
		flops := 2 * float64(n) * float64(c.V) * float64(c.C)
		for _, b := range []Buf{c.DX, c.DW} {
			if !b.None() {
				flops += 2 * float64(n) * float64(c.V) * float64(c.C)
			}
		}
		t.add(timesKey{"CrossEntropy", n, c.V, c.C}, start, flops, float64(c.X.Len()+c.W.Len()+c.DX.Len()+2*c.DW.Len()))
	}
	t.wrapPictures(s, &p)
	t.wrapPlain(s, &p)
	return &p, t
}

// wrapPictures wraps the ops on pictures.
func (t *Times) wrapPictures(s, p *Set) {
	flops := func(c *Conv) (rows, k int, flops float64) {
		h, w := c.Out()
		rows, k = c.B*h*w, c.KH*c.KW*c.C
		return rows, k, 2 * float64(rows) * float64(c.O) * float64(k)
	}
	p.Conv = func(c *Conv) {
		start := time.Now()
		s.Conv(c)
		rows, k, f := flops(c)
		t.add(timesKey{"Conv", rows, c.O, k}, start, f, float64(c.X.Len()+c.O*k+c.Y.Len()+c.Residual.Len()+c.Pre.Len()))
	}
	p.ConvGrad = func(c *Conv, g *ConvGrad) {
		start := time.Now()
		s.ConvGrad(c, g)
		rows, k, f := flops(c)
		sum, size := 0.0, g.DY.Len()
		if !g.DX.None() {
			sum, size = f, size+g.DX.Len()+c.O*k
		}
		if !g.DW.None() {
			sum, size = sum+f, size+c.X.Len()+c.O*k
		}
		t.add(timesKey{"ConvGrad", rows, c.O, k}, start, sum, float64(size))
	}
	p.PackConv = func(dst *Packed, c *Conv) {
		start := time.Now()
		s.PackConv(dst, c)
		t.add(timesKey{"PackConv", c.O, c.KH * c.KW * c.C, 0}, start, 0, 2*float64(c.Weight.Len()))
	}
	p.BatchNorm = func(n *BatchNorm) {
		start := time.Now()
		s.BatchNorm(n)
		t.add(timesKey{"BatchNorm", n.X.Len(), 0, 0}, start, 0, float64(2*n.X.Len()+n.Residual.Len()))
	}
	p.BatchNormGrad = func(n *BatchNorm, g *BatchNormGrad) {
		start := time.Now()
		s.BatchNormGrad(n, g)
		t.add(timesKey{"BatchNormGrad", n.X.Len(), 0, 0}, start, 0, float64(2*n.X.Len()+n.Residual.Len()+g.DX.Len()))
	}
}

// productName tells an epilogue and the transposes apart: "MatMul nt+gelu" takes B stored transposed.
func productName(m *MatMul) string {
	name := "MatMul " + map[bool]string{false: "n", true: "t"}[m.TransA] + map[bool]string{false: "n", true: "t"}[m.TransB]
	if m.Accumulate {
		name += "+acc"
	}
	if m.Act != Identity {
		name += "+" + m.Act.String()
	}
	if !m.Residual.None() {
		name += "+residual"
	}
	if m.Next != nil {
		name += "+next"
	}
	return name
}

// work is the number of (query, key) pairs seen, over all heads, times the head dim; and the query rows.
func (a *Attention) work() (pairs float64, rows int) {
	for i, q := range a.Queries {
		keys := a.Keys[i].Len
		for j := range q.Len {
			lo, hi, at := 0, keys, keys-q.Len+j
			if a.Causal {
				hi = min(hi, at+1)
			}
			if a.Window > 0 {
				lo, hi = max(lo, at-a.Window+1), min(hi, at+a.Window)
			}
			pairs += float64(max(0, hi-lo))
		}
		rows += q.Len
	}
	return pairs * float64(a.Heads*a.HeadDim), rows
}

// wrapPlain wraps the ops that are bound by memory.
func (t *Times) wrapPlain(s, p *Set) {
	timed := func(op string, n int, operands float64, f func()) {
		start := time.Now()
		f()
		t.add(timesKey{op, n, 0, 0}, start, 0, operands*float64(n))
	}
	p.Fill = func(y Buf, v float64) { timed("Fill", y.Len(), 1, func() { s.Fill(y, v) }) }
	p.Copy = func(y, x Buf) { timed("Copy", y.Len(), 2, func() { s.Copy(y, x) }) }
	p.Add = func(y, a, b Buf) { timed("Add", y.Len(), 3, func() { s.Add(y, a, b) }) }
	p.Mul = func(y, a, b Buf) { timed("Mul", y.Len(), 3, func() { s.Mul(y, a, b) }) }
	p.MulTo = func(y, a, b Buf) { timed("MulTo", y.Len(), 4, func() { s.MulTo(y, a, b) }) }
	p.Axpy = func(y Buf, a float64, x Buf) { timed("Axpy", y.Len(), 3, func() { s.Axpy(y, a, x) }) }
	p.Scale = func(y Buf, a float64, x Buf) { timed("Scale", y.Len(), 2, func() { s.Scale(y, a, x) }) }
	p.Act = func(f Act, y, x Buf) { timed("Act "+f.String(), y.Len(), 2, func() { s.Act(f, y, x) }) }
	p.ActGrad = func(f Act, dx, dy, x Buf, acc bool) {
		timed("ActGrad "+f.String(), x.Len(), 3, func() { s.ActGrad(f, dx, dy, x, acc) })
	}
	p.SwiGLU = func(y, gate, up Buf) { timed("SwiGLU", y.Len(), 3, func() { s.SwiGLU(y, gate, up) }) }
	p.SwiGLUGrad = func(dgate, dup, dy, gate, up Buf, acc bool) {
		timed("SwiGLUGrad", dy.Len(), 5, func() { s.SwiGLUGrad(dgate, dup, dy, gate, up, acc) })
	}
	p.Dropout = func(d Dropout, y, x Buf, acc bool) {
		timed("Dropout", y.Len(), 2, func() { s.Dropout(d, y, x, acc) })
	}
	p.Softmax = func(y, x Buf, c int) { timed("Softmax", y.Len(), 2, func() { s.Softmax(y, x, c) }) }
	p.SoftmaxGrad = func(dx, dy, y Buf, c int, acc bool) {
		timed("SoftmaxGrad", dy.Len(), 3, func() { s.SoftmaxGrad(dx, dy, y, c, acc) })
	}
	p.LayerNorm = func(y, mean, rstd, x, w, b Buf, eps float64) {
		timed("LayerNorm", x.Len(), 2, func() { s.LayerNorm(y, mean, rstd, x, w, b, eps) })
	}
	p.LayerNormGrad = func(dx, dw, db, dy, x, w, mean, rstd Buf, acc bool) {
		timed("LayerNormGrad", x.Len(), 3, func() { s.LayerNormGrad(dx, dw, db, dy, x, w, mean, rstd, acc) })
	}
	p.RMSNorm = func(y, rstd, x, w Buf, eps float64) {
		timed("RMSNorm", x.Len(), 2, func() { s.RMSNorm(y, rstd, x, w, eps) })
	}
	p.RMSNormGrad = func(dx, dw, dy, x, w, rstd Buf, acc bool) {
		timed("RMSNormGrad", x.Len(), 3, func() { s.RMSNormGrad(dx, dw, dy, x, w, rstd, acc) })
	}
	p.Gather = func(y, w, ids Buf, c int, acc bool) {
		timed("Gather", y.Len(), 2, func() { s.Gather(y, w, ids, c, acc) })
	}
	p.ScatterAdd = func(dw, dy, ids Buf, c int) {
		timed("ScatterAdd", dy.Len(), 3, func() { s.ScatterAdd(dw, dy, ids, c) })
	}
	p.SumRows = func(y, x Buf) { timed("SumRows", x.Len(), 1, func() { s.SumRows(y, x) }) }
	p.SeqMean = func(y, x Buf, spans []Span, c int) {
		timed("SeqMean", x.Len(), 1, func() { s.SeqMean(y, x, spans, c) })
	}
	p.SeqMeanGrad = func(dx, dy Buf, spans []Span, c int, acc bool) {
		timed("SeqMeanGrad", dx.Len(), 2, func() { s.SeqMeanGrad(dx, dy, spans, c, acc) })
	}
	p.AvgPool = func(o Pool, y, x Buf) { timed("AvgPool", x.Len(), 1, func() { s.AvgPool(o, y, x) }) }
	p.AvgPoolGrad = func(o Pool, dx, dy Buf, acc bool) {
		timed("AvgPoolGrad", dx.Len(), 1, func() { s.AvgPoolGrad(o, dx, dy, acc) })
	}
	p.BatchStats = func(mean, variance, x Buf) {
		timed("BatchStats", x.Len(), 1, func() { s.BatchStats(mean, variance, x) })
	}
	p.Rope = func(y, x Buf, r *Rope) { timed("Rope", y.Len(), 2, func() { s.Rope(y, x, r) }) }
	p.AdamW = func(o *AdamW, list ...AdamWParam) {
		n := 0
		for _, w := range list {
			n += w.P.Len()
		}
		timed("AdamW", n, 7, func() { s.AdamW(o, list...) })
	}
	p.SumSquares = func(list ...Buf) (sum float64) {
		n := 0
		for _, x := range list {
			n += x.Len()
		}
		timed("SumSquares", n, 1, func() { sum = s.SumSquares(list...) })
		return sum
	}
}
