package cpu

import (
	"fmt"
	"math"

	"github.com/plinth-ml/plinth/internal/gemm"
	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/internal/vec"
)

// Tile sizes of attention. They do not depend on the problem, and key tiles start at multiples of keyTile from the
// sequence's first key, so that a query's result does not depend on its neighbours: a product with more rows, or with
// more keys whose probability is zero, gives a row the same bits.
const (
	keyTile   = kernel.KeyTile
	queryTile = 64  // rows of one product: (query, head) pairs of one key head
	queryRows = 512 // rows of one task, which shares the transposed keys between its query tiles
	queryCost = 16  // what a query costs beside its keys, in keys
)

// attn is the attention call in progress: operands as slices, sizes resolved.
type attn struct {
	heads, kv, group, d int // group query heads read one key head
	q, k, v, o, lse     []float32
	ldq, ldk, ldv, ldo  int
	queries, keys       []kernel.Span
	scale, softCap      float32
	causal              bool
	window              int
	bias                []float32
	call                *kernel.Attention // says where in bias a number stands
	blocks              []block
	cache               *kernel.Cache // holds the keys and values; k and v are those of the queries' tokens
	remembers           bool          // the block of a sequence, its only one, stores them
	full                bool          // gradient: both passes in one

	do, dq, dk, dv, dbias []float32
}

// block is the work of one task for each key head: queries [q0, q1) of a sequence against its keys [k0, k1).
type block struct{ seq, q0, q1, k0, k1 int }

// set checks the operands of a and resolves its sizes.
func (t *attn) set(op string, a *kernel.Attention) {
	h, kv, d := a.Heads, a.KVHeads, a.HeadDim
	if h <= 0 || kv <= 0 || d <= 0 || h%kv != 0 {
		panic(fmt.Sprintf("cpu: %s: %d heads of %d over %d key heads", op, h, d, kv))
	}
	if len(a.Queries) != len(a.Keys) {
		panic(fmt.Sprintf("cpu: %s: %d query spans, %d key spans", op, len(a.Queries), len(a.Keys)))
	}
	blocks := t.blocks[:0]
	*t = attn{
		heads: h, kv: kv, group: h / kv, d: d, blocks: blocks,
		q: f32(op, a.Q), k: f32(op, a.K), v: f32(op, a.V), o: f32(op, a.O), lse: f32(op, a.LSE),
		ldq: dense(a.LDQ, h*d), ldk: dense(a.LDK, kv*d), ldv: dense(a.LDV, kv*d), ldo: dense(a.LDO, h*d),
		queries: a.Queries, keys: a.Keys, scale: float32(a.Scale), softCap: float32(a.SoftCap), causal: a.Causal, window: a.Window,
		bias: f32(op, a.Bias), call: a, cache: a.Cache,
	}
	rows := a.Keys // of k and v
	if a.Cache != nil {
		a.Cache.Check(op, a)
		rows = a.Queries
	}
	if a.Scale == 0 {
		t.scale = float32(1 / math.Sqrt(float64(d)))
	}
	for i, q := range a.Queries {
		k := a.Keys[i]
		if q.Start < 0 || q.Len < 0 || k.Start < 0 || k.Len < 0 {
			panic(fmt.Sprintf("cpu: %s: sequence %d has queries %v, keys %v", op, i, q, k))
		}
		if q.Len > 0 && t.q != nil {
			needMin(op, "q", len(t.q), (q.End()-1)*t.ldq+h*d)
			needMin(op, "o", len(t.o), (q.End()-1)*t.ldo+h*d)
			if t.lse != nil {
				needMin(op, "lse", len(t.lse), q.End()*h)
			}
		}
		if r := rows[i]; r.Len > 0 && (t.k != nil || a.Cache == nil) {
			needMin(op, "k", len(t.k), (r.End()-1)*t.ldk+kv*d)
			needMin(op, "v", len(t.v), (r.End()-1)*t.ldv+kv*d)
		}
		if t.bias != nil && q.Len > 0 && !a.BiasFits(q.Len, k.Len) {
			panic(fmt.Sprintf("cpu: %s: sequence %d has %d queries and %d keys; the bias is [%d, %d, %d]", op, i, q.Len, k.Len, h, a.BiasQ, a.BiasK))
		}
	}
	if t.bias != nil {
		need(op, "bias", len(t.bias), h*max(1, a.BiasQ)*a.BiasK)
	}
}

func dense(ld, width int) int {
	if ld == 0 {
		return width
	}
	return ld
}

// first is the key position of query 0 of sequence s; negative where there are more queries than keys.
func (t *attn) first(s int) int { return t.keys[s].Len - t.queries[s].Len }

// sees returns the range [lo, hi) of the keys of sequence s that its query q attends to, cut to [k0, k1);
// hi <= lo when there are none.
func (t *attn) sees(s, q, k0, k1 int) (lo, hi int) {
	at := t.first(s) + q
	if t.causal {
		k1 = min(k1, at+1)
	}
	if t.window > 0 {
		k0, k1 = max(k0, at-t.window+1), min(k1, at+t.window)
	}
	return k0, k1
}

// reach narrows the queries [q0, q1) of sequence s to those that see any of its keys [k0, k1), and k1 to the last key
// that any of them sees.
func (t *attn) reach(s, q0, q1, k0, k1 int) (r0, r1, end int) {
	for q0 < q1 {
		if lo, hi := t.sees(s, q0, k0, k1); lo < hi {
			break
		}
		q0++
	}
	for q0 < q1 {
		if lo, hi := t.sees(s, q1-1, k0, k1); lo < hi {
			break
		}
		q1--
	}
	if q0 == q1 {
		return q0, q1, k0
	}
	_, end = t.sees(s, q1-1, k0, k1)
	return q0, q1, end
}

// extent cuts the keys of b to those that its queries see, from a multiple of keyTile on.
func (t *attn) extent(b block) (k0, k1 int) {
	k0, _ = t.sees(b.seq, b.q0, b.k0, b.k1)
	_, k1 = t.sees(b.seq, b.q1-1, b.k0, b.k1)
	return k0 / keyTile * keyTile, k1
}

// perTile is the number of queries whose rows fill about the given number of rows.
func (t *attn) perTile(rows int) int { return max(1, rows/t.group) }

func (e *engine) attention(a *kernel.Attention) {
	t := &e.attn
	t.set("Attention", a)
	step, elements, single := t.perTile(queryRows), 0, true
	for s, q := range t.queries {
		for q0 := 0; q0 < q.Len; q0 += step {
			t.blocks = append(t.blocks, block{s, q0, min(q.Len, q0+step), 0, t.keys[s].Len})
		}
		single = single && q.Len <= step
		elements += q.Len * (t.keys[s].Len + queryCost) * t.heads * t.d
	}
	store := t.cache != nil && t.k != nil
	if store && (!single || t.q == nil) {
		tokens := 0
		for _, q := range t.queries {
			tokens += q.Len
		}
		n := len(t.queries) * t.kv
		e.run(n, rowsFor(light, 2*t.d*tokens*t.kv/max(1, n)), job{body: func(e *engine, _ *job, lo, hi, worker int) {
			for i := lo; i < hi; i++ {
				e.attn.remember(&e.scratch[worker], i/e.attn.kv, i%e.attn.kv)
			}
		}})
		store = false
	}
	if t.cache != nil && t.q == nil {
		return
	}
	t.remembers = store
	e.runBlocks(elements, func(e *engine, _ *job, lo, hi, worker int) {
		for i := lo; i < hi; i++ {
			b, kv := e.attn.blocks[i/e.attn.kv], i%e.attn.kv
			if e.attn.remembers {
				e.attn.remember(&e.scratch[worker], b.seq, kv)
			}
			e.attn.forward(e, b, kv, worker)
		}
	})
}

// runBlocks runs body over (block, key head); a call of few multiply-adds stays on the caller.
func (e *engine) runBlocks(elements int, body func(e *engine, j *job, lo, hi, worker int)) {
	n := len(e.attn.blocks) * e.attn.kv
	chunk := 1
	if elements <= 1<<16 {
		chunk = max(1, n)
	}
	e.run(n, chunk, job{body: body})
}

// view is rows of D elements with a stride: row i is that of query q0 + i/group and query head kv*group + i%group.
type view struct {
	s  []float32
	ld int
}

func (v view) row(i, d int) []float32 { return v.s[i*v.ld : i*v.ld+d] }
func (v view) from(i int) []float32   { return v.s[i*v.ld:] }

// view returns the rows of queries [q0, q1) of one key head's query heads in x (row stride ld): in place where their
// stride is even, else in buf [(q1-q0)*group, D], which load fills.
func (t *attn) view(buf, x []float32, ld, s, kv, q0, q1 int, load bool) view {
	n := t.group * t.d
	at := (t.queries[s].Start+q0)*ld + kv*n
	switch {
	case q0 == q1:
		return view{}
	case t.group == 1:
		return view{x[at:], ld}
	case ld == n:
		return view{x[at:], t.d}
	}
	for q := q0; load && q < q1; q++ {
		copy(buf[(q-q0)*n:(q-q0+1)*n], x[at:at+n])
		at += ld
	}
	return view{buf, t.d}
}

// store copies v back to x where it is not in place; the arguments are those of view.
func (t *attn) store(v view, buf, x []float32, ld, s, kv, q0, q1 int) {
	if q0 == q1 || &v.s[0] != &buf[0] {
		return
	}
	n := t.group * t.d
	at := (t.queries[s].Start+q0)*ld + kv*n
	for q := q0; q < q1; q++ {
		copy(x[at:at+n], buf[(q-q0)*n:])
		at += ld
	}
}

// fetchFloats bounds what fetchNext asks for of queries and keys, so that it stays in the cache beside what is in use: eight such operands at most.
const fetchFloats = 1 << 15

// fetchNext asks for what block b of the next key head reads and writes, the task that most often follows: its rows lie in as many pages, which no
// processor foresees.
func (t *attn) fetchNext(b block, kv int) {
	queries, keys, n := b.q1-b.q0, b.k1-b.k0, t.group*t.d
	switch kv++; {
	case kv == t.kv:
		return
	case t.cache != nil:
		t.fetchCached(b.seq, kv)
		return
	case queries*n+keys*t.d > fetchFloats:
		return
	}
	fetch := func(x []float32, ld, at, rows, width int) {
		if x != nil {
			vec.Fetch(x[at*ld+kv*width:], ld, rows, width)
		}
	}
	if at := t.queries[b.seq].Start + b.q0; queries > 0 {
		fetch(t.q, t.ldq, at, queries, n)
		fetch(t.dq, t.ldq, at, queries, n)
		fetch(t.o, t.ldo, at, queries, n)
		fetch(t.do, t.ldo, at, queries, n)
	}
	if at := t.keys[b.seq].Start + b.k0; keys > 0 {
		fetch(t.k, t.ldk, at, keys, t.d)
		fetch(t.dk, t.ldk, at, keys, t.d)
		fetch(t.v, t.ldv, at, keys, t.d)
		fetch(t.dv, t.ldv, at, keys, t.d)
	}
}

// tile returns the rows [k0, k1) of one key head of src (keys or values with row stride ld).
func (t *attn) tile(src []float32, ld, s, kv, k0, k1 int) []float32 {
	at := (t.keys[s].Start+k0)*ld + kv*t.d
	return src[at : at+(k1-k0-1)*ld+t.d]
}

// forward computes one block for key head kv with a running maximum and sum for each row (Dao et al. 2022, algorithm 1).
func (t *attn) forward(e *engine, b block, kv, worker int) {
	w := &e.scratch[worker]
	G, D := t.group, t.d
	R := (b.q1 - b.q0) * G
	step := t.perTile(queryTile)
	buf := w.floats(2*R*D + 2*R + step*G*(keyTile+2) + t.widened())
	qBuf, buf := buf[:R*D], buf[R*D:]
	oBuf, buf := buf[:R*D], buf[R*D:]
	top, buf := buf[:R], buf[R:]
	sum, buf := buf[:R], buf[R:]
	p, buf := buf[:step*G*keyTile], buf[step*G*keyTile:]       // p [step*G, keyTile]
	tile, buf := buf[:2*step*G], buf[2*step*G:]                // two numbers for each row of p
	q := t.view(qBuf, t.q, t.ldq, b.seq, kv, b.q0, b.q1, true) // [R, D]
	o := t.view(oBuf, t.o, t.ldo, b.seq, kv, b.q0, b.q1, false)
	for i := range R {
		clear(o.row(i, D))
	}
	clear(sum)
	vec.Fill(top, float32(math.Inf(-1)))
	few := t.few(e, R)
	t.fetchNext(b, kv)

	for k0, last := t.extent(b); k0 < last; k0 += keyTile {
		q0, q1, k1 := t.reach(b.seq, b.q0, b.q1, k0, min(last, k0+keyTile))
		if q0 == q1 {
			continue
		}
		many := q1-q0 > step
		var kT, v operand
		switch {
		case few:
		case t.cache != nil:
			kT, v = t.cached(e, w, buf, b.seq, kv, k0, k1, many)
		default:
			kT = w.operand(e, 0, t.tile(t.k, t.ldk, b.seq, kv, k0, k1), t.ldk, true, D, k1-k0, many)
			v = w.operand(e, 1, t.tile(t.v, t.ldv, b.seq, kv, k0, k1), t.ldv, false, k1-k0, D, many)
		}
		for a0 := b.q0 + (q0-b.q0)/step*step; a0 < q1; a0 += step {
			r0, r1, end := t.reach(b.seq, max(a0, q0), min(q1, a0+step), k0, k1)
			if r0 == r1 {
				continue
			}
			n, at := end-k0, (r0-b.q0)*G
			m, scores := (r1-r0)*G, n
			if t.cache != nil {
				scores = whole(n)
			}
			if few {
				t.fewScores(e, p, q, at, m, scores, b.seq, kv, k0)
			} else {
				w.mul(e, gemm.Product{M: m, N: scores, K: D, A: q.from(at), LDA: q.ld, C: p, LDC: keyTile, Alpha: t.scale}, &kT)
			}
			if t.plain() {
				t.onlineTile(p, n, o, at, top, sum, tile, t.seen(w, b.seq, r0, r1, k0, end))
			} else {
				for i := range m {
					t.online(p[i*keyTile:][:n], o.row(at+i, D), &top[at+i], &sum[at+i], b.seq, kv*G+i%G, r0+i/G, k0)
				}
			}
			if t.call.Drop.P != 0 {
				t.dropTile(p, p, m, n, b.seq, kv, r0, k0)
			}
			t.values(e, w, o, p, at, block{b.seq, r0, r1, k0, end}, kv, &v)
		}
	}
	t.finish(o, top, sum, b, kv)
	t.store(o, oBuf, t.o, t.ldo, b.seq, kv, b.q0, b.q1)
}

// dropTile sets the m rows of y to those of x, of queries from q0 on against n keys from k0 on, with the dropout of their probabilities.
func (t *attn) dropTile(y, x []float32, m, n, s, kv, q0, k0 int) {
	for i := range m {
		d := t.call.DropOf(t.queries[s].Start+q0+i/t.group, kv*t.group+i%t.group)
		dropTo(d, y[i*keyTile:][:n], x[i*keyTile:][:n], k0, false)
	}
}

// values adds to the rows of o from at on the products of p, the probabilities that queries [b.q0, b.q1) have for keys [b.k0, b.k1), with the values v of these
// keys; where v is empty, with those in the cache as they are stored. A value has probability 0 for a query that does not see it, which hides what is finite: where one
// that some query does not see is not, each query takes those that it sees. The bits are the same.
func (t *attn) values(e *engine, w *scratch, o view, p []float32, at int, b block, kv int, v *operand) {
	add := func(q0, q1, k0, k1 int, v operand) {
		row, m, p := at+(q0-b.q0)*t.group, (q1-q0)*t.group, p[(q0-b.q0)*t.group*keyTile+k0-b.k0:]
		if v.b == nil {
			t.fewValues(e, o, p, row, m, k1-k0, b.seq, kv, k0)
			return
		}
		if k0 > b.k0 {
			v.b, v.packed = v.b[(k0-b.k0)*v.ld:], nil
		}
		w.mul(e, gemm.Product{M: m, N: t.d, K: k1 - k0, A: p, LDA: keyTile, C: o.from(row), LDC: o.ld, Accumulate: true}, &v)
	}
	lo, all1 := t.sees(b.seq, b.q0, b.k0, b.k1)
	all0, _ := t.sees(b.seq, b.q1-1, b.k0, b.k1) // all queries see keys [all0, all1)
	if v.packed != nil {
		lo = b.k0
	}
	if all1 = max(lo, all1); t.finite(v, b, kv, lo, min(all0, b.k1)) && t.finite(v, b, kv, all1, b.k1) {
		add(b.q0, b.q1, lo, b.k1, *v)
		return
	}
	for q := b.q0; q < b.q1; q++ {
		if k0, k1 := t.sees(b.seq, q, b.k0, b.k1); k0 < k1 {
			add(q, q+1, k0, k1, *v)
		}
	}
}

// finite reports whether the values of keys [k0, k1), a part of block b's, are finite; v is as for values.
func (t *attn) finite(v *operand, b block, kv, k0, k1 int) bool {
	if k0 >= k1 {
		return true
	}
	if v.b == nil {
		return t.fewFinite(b.seq, kv, k0, k1)
	}
	for k := k0 - b.k0; k < k1-b.k0; k++ {
		if !vec.AllFinite(v.b[k*v.ld:][:t.d]) {
			return false
		}
	}
	return true
}

// plain reports whether a score is only scaled, and what a query sees of a tile of keys begins with the first.
func (t *attn) plain() bool { return t.window == 0 && t.bias == nil && t.softCap == 0 }

// seen returns for each row of queries [q0, q1) how many of the keys [k0, k1) it sees, in the worker's memory.
func (t *attn) seen(w *scratch, s, q0, q1, k0, k1 int) []int32 {
	w.seen = w.seen[:0]
	for q := q0; q < q1; q++ {
		_, hi := t.sees(s, q, k0, k1)
		for range t.group {
			w.seen = append(w.seen, int32(max(0, hi-k0)))
		}
	}
	return w.seen
}

// onlineTile is online for the rows from at on against n keys, where plain holds; buf has two numbers for each.
func (t *attn) onlineTile(p []float32, n int, o view, at int, top, sum, buf []float32, seen []int32) {
	m := len(seen)
	now, part := buf[:m], buf[m:2*m]
	top, sum = top[at:at+m], sum[at:at+m]
	copy(now, top)
	vec.SoftmaxTile(p, keyTile, n, seen, now, part)
	for i, old := range top {
		if now[i] != old && !math.IsInf(float64(old), -1) {
			a := float32(math.Exp(float64(old - now[i])))
			sum[i] *= a
			row := o.row(at+i, t.d)
			vec.Scale(row, a, row)
		}
		top[i] = now[i]
		sum[i] += part[i]
	}
}

// online turns the scores of one row against the keys from k0 on into probabilities relative to the row's running
// maximum, and brings its running sum and output to that maximum. A row that sees none of the keys keeps its state.
func (t *attn) online(p, o []float32, top, sum *float32, s, h, q, k0 int) {
	lo, hi := t.sees(s, q, k0, k0+len(p))
	if hi <= lo {
		clear(p)
		return
	}
	lo, hi = lo-k0, hi-k0
	clear(p[:lo])
	clear(p[hi:])
	p = p[lo:hi]
	t.cap(p)
	if t.bias != nil {
		vec.AddTo(p, t.biasRow(t.bias, s, h, q, k0+lo, k0+hi))
	}
	old := *top
	now := max(old, vec.Max(p))
	if math.IsInf(float64(now), -1) {
		clear(p)
		return
	}
	if now != old {
		*top = now
		if !math.IsInf(float64(old), -1) {
			a := float32(math.Exp(float64(old - now)))
			*sum *= a
			vec.Scale(o, a, o)
		}
	}
	*sum += vec.ExpSum(p, p, now)
}

// cap bounds scores.
func (t *attn) cap(p []float32) {
	if t.softCap != 0 {
		vec.Scale(p, 1/t.softCap, p)
		vec.Tanh(p, p)
		vec.Scale(p, t.softCap, p)
	}
}

// biasRow returns the part of bias (or of its gradient) for query q of sequence s and its keys [k0, k1).
func (t *attn) biasRow(bias []float32, s, h, q, k0, k1 int) []float32 {
	at := t.call.BiasAt(h, t.first(s)+q)
	return bias[at+k0 : at+k1]
}

// finish divides the output by the sums and writes the log-sum-exp; rows that saw nothing are zero with -Inf.
func (t *attn) finish(o view, top, sum []float32, b block, kv int) {
	for i := range top {
		if sum[i] != 0 {
			row := o.row(i, t.d)
			vec.Scale(row, 1/sum[i], row)
		}
		if t.lse == nil {
			continue
		}
		lse := math.Inf(-1)
		if sum[i] != 0 {
			lse = float64(top[i]) + math.Log(float64(sum[i]))
		}
		t.lse[(t.queries[b.seq].Start+b.q0+i/t.group)*t.heads+kv*t.group+i%t.group] = float32(lse)
	}
}
