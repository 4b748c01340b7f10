package cpu

import (
	"math"

	"github.com/plinth-ml/plinth/internal/gemm"
	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/internal/vec"
)

// attentionGrad computes the gradients tile by tile from the stored log-sum-exp (Dao et al. 2022, algorithm 4).
// A task owns a sequence and a key head. Where that leaves workers idle, one pass over query blocks makes dq and another
// over key tiles makes dk and dv: more products, but each sum is taken in the same order, so the bits are the same.
// With a gradient of the bias, which all sequences add to, a task owns a key head of all sequences.
func (e *engine) attentionGrad(a *kernel.Attention, g *kernel.AttentionGrad) {
	const op = "AttentionGrad"
	if a.Cache != nil {
		panic("cpu: AttentionGrad: of a cache")
	}
	t := &e.attn
	t.set(op, a)
	t.do, t.dq, t.dk, t.dv, t.dbias = f32(op, g.DO), f32(op, g.DQ), f32(op, g.DK), f32(op, g.DV), f32(op, g.DBias)
	elements := 0
	for s, q := range t.queries {
		k := t.keys[s]
		if q.Len > 0 {
			needMin(op, "dq", len(t.dq), (q.End()-1)*t.ldq+t.heads*t.d)
			needMin(op, "do", len(t.do), (q.End()-1)*t.ldo+t.heads*t.d)
			needMin(op, "lse", len(t.lse), q.End()*t.heads)
		}
		if k.Len > 0 {
			needMin(op, "dk", len(t.dk), (k.End()-1)*t.ldk+t.kv*t.d)
			needMin(op, "dv", len(t.dv), (k.End()-1)*t.ldv+t.kv*t.d)
		}
		elements += q.Len * k.Len * t.heads * t.d
	}
	if t.dbias != nil {
		need(op, "dbias", len(t.dbias), len(t.bias))
		t.full = true
		for s, q := range t.queries {
			t.blocks = append(t.blocks, block{s, 0, q.Len, 0, t.keys[s].Len})
		}
		chunk := 1
		if elements <= 1<<16 {
			chunk = t.kv
		}
		e.run(t.kv, chunk, job{body: func(e *engine, _ *job, lo, hi, worker int) {
			for kv := lo; kv < hi; kv++ {
				for _, b := range e.attn.blocks {
					e.attn.backward(e, b, kv, true, true, worker)
				}
			}
		}})
		return
	}
	if t.full = len(t.queries)*t.kv >= e.pool.Threads() || elements <= 1<<16; t.full {
		for s, q := range t.queries {
			t.blocks = append(t.blocks, block{s, 0, q.Len, 0, t.keys[s].Len})
		}
		e.runBlocks(elements, func(e *engine, _ *job, lo, hi, worker int) {
			for i := lo; i < hi; i++ {
				e.attn.backward(e, e.attn.blocks[i/e.attn.kv], i%e.attn.kv, true, true, worker)
			}
		})
		return
	}
	step := t.perTile(queryTile)
	for s, q := range t.queries {
		for q0 := 0; q0 < q.Len; q0 += step {
			t.blocks = append(t.blocks, block{s, q0, min(q.Len, q0+step), 0, t.keys[s].Len})
		}
	}
	e.runBlocks(elements, func(e *engine, _ *job, lo, hi, worker int) {
		for i := lo; i < hi; i++ {
			e.attn.backward(e, e.attn.blocks[i/e.attn.kv], i%e.attn.kv, true, false, worker)
		}
	})
	t.blocks = t.blocks[:0]
	for s, q := range t.queries {
		for k0 := 0; k0 < t.keys[s].Len; k0 += keyTile {
			t.blocks = append(t.blocks, block{s, 0, q.Len, k0, min(t.keys[s].Len, k0+keyTile)})
		}
	}
	e.runBlocks(elements, func(e *engine, _ *job, lo, hi, worker int) {
		for i := lo; i < hi; i++ {
			e.attn.backward(e, e.attn.blocks[i/e.attn.kv], i%e.attn.kv, false, true, worker)
		}
	})
}

// backward computes, for a block and key head kv, dq of its queries (wantQ) and dk, dv of its keys (wantKV).
func (t *attn) backward(e *engine, b block, kv int, wantQ, wantKV bool, worker int) {
	w := &e.scratch[worker]
	G, D := t.group, t.d
	R := (b.q1 - b.q0) * G
	step := t.perTile(queryTile)
	S := step * G * keyTile
	drops := 0 // room for the factors of the dropout
	if t.call.Drop.P != 0 {
		drops = S
	}
	buf := w.floats(3*R*D + R + step*G + 2*S + drops + keyTile)
	qBuf, buf := buf[:R*D], buf[R*D:]
	doBuf, buf := buf[:R*D], buf[R*D:]
	dqBuf, buf := buf[:R*D], buf[R*D:]
	delta, buf := buf[:R], buf[R:]
	lse, buf := buf[:step*G], buf[step*G:]
	p, buf := buf[:S], buf[S:]                                 // [step*G, keyTile]
	factors, buf := buf[:drops], buf[drops:]                   // [step*G, keyTile]
	ds, slope := buf[:S], buf[S:]                              // [step*G, keyTile], [keyTile]
	q := t.view(qBuf, t.q, t.ldq, b.seq, kv, b.q0, b.q1, true) // [R, D]
	do := t.view(doBuf, t.do, t.ldo, b.seq, kv, b.q0, b.q1, true)
	dq := view{dqBuf, D}
	if wantQ {
		dq = t.view(dqBuf, t.dq, t.ldq, b.seq, kv, b.q0, b.q1, false)
		for i := range R {
			clear(dq.row(i, D))
		}
	}
	for i := range delta {
		at := (t.queries[b.seq].Start+b.q0+i/G)*t.ldo + (kv*G+i%G)*D
		delta[i] = vec.Dot(do.row(i, D), t.o[at:at+D])
	}
	t.fetchNext(b, kv)

	for k0 := b.k0; k0 < b.k1; k0 += keyTile {
		kEnd := min(b.k1, k0+keyTile)
		if wantKV {
			for k := k0; k < kEnd; k++ {
				row := t.keys[b.seq].Start + k
				clear(t.dk[row*t.ldk+kv*D:][:D])
				clear(t.dv[row*t.ldv+kv*D:][:D])
			}
		}
		q0, q1, k1 := t.reach(b.seq, b.q0, b.q1, k0, kEnd)
		if q0 == q1 {
			continue
		}
		k, v := t.tile(t.k, t.ldk, b.seq, kv, k0, k1), t.tile(t.v, t.ldv, b.seq, kv, k0, k1)
		many := q1-q0 > step
		kT := w.operand(e, 0, k, t.ldk, true, D, k1-k0, many)
		vT := w.operand(e, 1, v, t.ldv, true, D, k1-k0, many)
		right := w.operand(e, 2, k, t.ldk, false, k1-k0, D, many && wantQ)
		for a0 := b.q0 + (q0-b.q0)/step*step; a0 < q1; a0 += step {
			r0, r1, end := t.reach(b.seq, max(a0, q0), min(q1, a0+step), k0, k1)
			if r0 == r1 {
				continue
			}
			n, at := end-k0, (r0-b.q0)*G
			m := (r1 - r0) * G
			w.mul(e, gemm.Product{M: m, N: n, K: D, A: q.from(at), LDA: q.ld, C: p, LDC: keyTile, Alpha: t.scale}, &kT)
			w.mul(e, gemm.Product{M: m, N: n, K: D, A: do.from(at), LDA: do.ld, C: ds, LDC: keyTile}, &vT)
			if drops > 0 {
				vec.Fill(factors, 1)
				t.dropTile(factors, factors, m, n, b.seq, kv, r0, k0)
				mulTile(ds, factors, m, n)
			}
			if t.plain() {
				t.gradTile(p, ds, n, lse, delta[at:], t.seen(w, b.seq, r0, r1, k0, end), b.seq, kv, r0)
			} else {
				for i := range m {
					t.gradRow(p[i*keyTile:][:n], ds[i*keyTile:][:n], slope, delta[at+i], b.seq, kv*G+i%G, r0+i/G, k0)
				}
			}
			if drops > 0 {
				mulTile(p, factors, m, n)
			}
			if wantQ {
				w.mul(e, gemm.Product{M: m, N: D, K: n, A: ds, LDA: keyTile, C: dq.from(at), LDC: dq.ld, Accumulate: true, Alpha: t.scale}, &right)
			}
			if wantKV {
				w.mul(e, gemm.Product{M: n, N: D, K: m, A: p, LDA: keyTile, TransA: true,
					C: t.tile(t.dv, t.ldv, b.seq, kv, k0, end), LDC: t.ldv, Accumulate: true}, &operand{b: do.from(at), ld: do.ld})
				w.mul(e, gemm.Product{M: n, N: D, K: m, A: ds, LDA: keyTile, TransA: true,
					C: t.tile(t.dk, t.ldk, b.seq, kv, k0, end), LDC: t.ldk, Accumulate: true, Alpha: t.scale}, &operand{b: q.from(at), ld: q.ld})
			}
		}
	}
	if wantQ {
		t.store(dq, dqBuf, t.dq, t.ldq, b.seq, kv, b.q0, b.q1)
	}
}

// mulTile multiplies m rows of n elements by those of x.
func mulTile(y, x []float32, m, n int) {
	for i := range m {
		vec.Mul(y[i*keyTile:][:n], y[i*keyTile:][:n], x[i*keyTile:][:n])
	}
}

// gradTile is gradRow for the rows of queries from q0 on against n keys, where plain holds; lse is scratch.
func (t *attn) gradTile(p, ds []float32, n int, lse, delta []float32, seen []int32, s, kv, q0 int) {
	for i := range seen {
		lse[i] = t.lse[(t.queries[s].Start+q0+i/t.group)*t.heads+kv*t.group+i%t.group]
		if math.IsInf(float64(lse[i]), -1) {
			seen[i] = 0
		}
	}
	vec.SoftmaxTileGrad(p, ds, keyTile, n, seen, lse, delta)
}

// gradRow turns one row of scores p and of ds = dO Vᵀ into probabilities and into ds = p (ds - delta) cap'. slope is scratch.
func (t *attn) gradRow(p, ds, slope []float32, delta float32, s, h, q, k0 int) {
	lo, hi := t.sees(s, q, k0, k0+len(p))
	lse := t.lse[(t.queries[s].Start+q)*t.heads+h]
	if hi <= lo || math.IsInf(float64(lse), -1) {
		clear(p)
		clear(ds)
		return
	}
	lo, hi = lo-k0, hi-k0
	clear(p[:lo])
	clear(p[hi:])
	clear(ds[:lo])
	clear(ds[hi:])
	p, ds, slope = p[lo:hi], ds[lo:hi], slope[:hi-lo]
	if t.softCap != 0 {
		t.cap(p)
		vec.Mul(slope, p, p)
		vec.Scale(slope, -1/(t.softCap*t.softCap), slope) // minus the square of the tanh
	}
	if t.bias != nil {
		vec.AddTo(p, t.biasRow(t.bias, s, h, q, k0+lo, k0+hi))
	}
	vec.ExpSum(p, p, lse)
	vec.Mul(ds, ds, p)
	vec.Axpy(ds, -delta, p)
	if t.dbias != nil {
		vec.AddTo(t.biasRow(t.dbias, s, h, q, k0+lo, k0+hi), ds)
	}
	if t.softCap != 0 {
		vec.Mul(slope, slope, ds)
		vec.AddTo(ds, slope)
	}
}
