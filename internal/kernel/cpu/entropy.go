package cpu

import (
	"fmt"
	"math"

	"github.com/plinth-ml/plinth/internal/gemm"
	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/internal/vec"
)

// entropy is the cross-entropy call in progress and its memory.
type entropy struct {
	x, w, bias, weights []float32
	targets             []int32
	loss, lse           []float32
	v, c                int
	zLoss, softCap      float32
	scale               float32
	grad                bool

	counted     []int32 // the rows that count, those with a target
	at          int     // first of the chunk in counted
	logits      []float32
	slopes      []float32   // of the capped logits in their uncapped values, where there is a cap
	xs, dxs     []float32   // x and dx of a chunk whose rows are not consecutive
	packed      bool        // W is packed beforehand
	right, down gemm.Packed // W for x·Wᵀ, for dlogits·W
}

// chunkRows is the number of rows whose logits exist at once: few enough that they stay near 4 MB, but enough that
// adding to DW once for each chunk is cheap beside its product.
func chunkRows(v int) int { return min(512, max(128, 1<<20/v)) }

// packLimit is the largest W, in elements, of which packed copies are kept during a call of several chunks: 32 MB. A larger one is packed by
// each product, in parts: for a vocabulary of 50,000 the copies would take more memory than the logits that are not stored.
const packLimit = 8 << 20

func (e *engine) crossEntropy(c *kernel.CrossEntropy) {
	const op = "CrossEntropy"
	t := &e.entropy
	t.set(op, c)
	n := len(t.targets)
	dx, dw, db := f32(op, c.DX), f32(op, c.DW), f32(op, c.DB)
	t.counted = t.counted[:0]
	for i, target := range t.targets {
		if int(target) >= t.v {
			panic(fmt.Sprintf("cpu: CrossEntropy: target %d of row %d; there are %d classes", target, i, t.v))
		}
		if target >= 0 {
			t.counted = append(t.counted, int32(i))
		}
	}
	if len(t.counted) < n {
		clear(t.loss[:n])
		clear(t.lse)
		e.fill(c.DX, 0)
	}
	if len(t.counted) == 0 {
		return
	}
	rows := chunkRows(t.v)
	if t.packed = len(t.counted) > rows && t.v*t.c <= packLimit; t.packed {
		e.gemm.Pack(&t.right, t.w, 0, true, t.c, t.v)
		if dx != nil {
			e.gemm.Pack(&t.down, t.w, 0, false, t.v, t.c)
		}
	}
	t.logits = room(t.logits, min(rows, len(t.counted))*t.v)
	if t.softCap > 0 {
		t.slopes = room(t.slopes, len(t.logits))
	}
	for t.at = 0; t.at < len(t.counted); t.at += rows {
		m := min(rows, len(t.counted)-t.at)
		e.entropyChunk(m, dx, dw, db)
	}
	t.clearOperands()
}

// set checks the operands of c and keeps them.
func (t *entropy) set(op string, c *kernel.CrossEntropy) {
	t.x, t.w, t.bias, t.weights = f32(op, c.X), f32(op, c.W), f32(op, c.Bias), f32(op, c.Weights)
	t.targets, t.loss, t.lse = i32(op, c.Targets), f32(op, c.Loss), f32(op, c.LSE)
	t.v, t.c, t.zLoss, t.softCap, t.scale = c.V, c.C, float32(c.ZLoss), float32(c.SoftCap), float32(c.Scale)
	t.grad = !c.DX.None() || !c.DW.None() || !c.DB.None()
	n := len(t.targets)
	for _, o := range [...]struct {
		name     string
		have     int
		want     int
		optional bool
	}{
		{"x", len(t.x), n * t.c, false}, {"w", len(t.w), t.v * t.c, false}, {"bias", len(t.bias), t.v, true},
		{"weights", len(t.weights), n, true}, {"loss", len(t.loss), n, false}, {"lse", len(t.lse), n, true},
		{"dx", c.DX.Len(), n * t.c, true}, {"dw", c.DW.Len(), t.v * t.c, true}, {"db", c.DB.Len(), t.v, true},
	} {
		if !o.optional || o.have > 0 {
			need(op, o.name, o.have, o.want)
		}
	}
}

// clearOperands drops the references to the caller's memory.
func (t *entropy) clearOperands() {
	t.x, t.w, t.bias, t.weights, t.targets, t.loss, t.lse = nil, nil, nil, nil, nil, nil, nil
}

// entropyChunk does the m counted rows from t.at on.
func (e *engine) entropyChunk(m int, dx, dw, db []float32) {
	t := &e.entropy
	C, V := t.c, t.v
	ids := t.counted[t.at : t.at+m]
	first := int(ids[0])
	direct := int(ids[m-1])-first == m-1 // consecutive rows
	x, out := t.x[first*C:], []float32(nil)
	switch {
	case !direct:
		t.xs = room(t.xs, chunkRows(V)*C)
		t.dxs = room(t.dxs, chunkRows(V)*C)
		for i, id := range ids {
			copy(t.xs[i*C:(i+1)*C], t.x[int(id)*C:])
		}
		x, out = t.xs, t.dxs
	case dx != nil:
		out = dx[first*C:]
	}
	e.product = gemm.Product{M: m, N: V, K: C, A: x, B: t.w, TransB: true, C: t.logits, Bias: t.bias}
	if t.packed {
		e.product.Packed = &t.right
	}
	e.gemm.Mul(&e.product)
	e.run(m, rowsFor(light, V), job{body: entropyRows})
	if dx != nil {
		e.product = gemm.Product{M: m, N: C, K: V, A: t.logits, B: t.w, C: out}
		if t.packed {
			e.product.Packed = &t.down
		}
		e.gemm.Mul(&e.product)
		if !direct {
			for i, id := range ids {
				copy(dx[int(id)*C:(int(id)+1)*C], t.dxs[i*C:])
			}
		}
	}
	if dw != nil {
		e.product = gemm.Product{M: V, N: C, K: m, A: t.logits, TransA: true, B: x, C: dw, Accumulate: true}
		e.gemm.Mul(&e.product)
	}
	if db != nil {
		e.run(V, max(256, rowsFor(light, m)), job{y: db, a: t.logits[:m*V], body: func(_ *engine, j *job, lo, hi, _ int) {
			vec.AddRows(j.y[lo:hi], j.a[lo:], len(j.y), len(j.a)/len(j.y))
		}})
	}
	e.product = gemm.Product{}
}

// entropyRows turns rows of logits into losses and, where gradients are wanted, into the gradient of the logits.
func entropyRows(e *engine, _ *job, lo, hi, _ int) {
	t := &e.entropy
	for i := lo; i < hi; i++ {
		row := t.logits[i*t.v : (i+1)*t.v]
		id := t.counted[t.at+i]
		target := t.targets[id]
		if t.softCap > 0 {
			capLogits(row, t.slopes[i*t.v:(i+1)*t.v], t.softCap)
		}
		top := vec.Max(row)
		logit := row[target]
		sum := vec.ExpSum(row, row, top)
		lse := float64(top) + math.Log(float64(sum))
		t.loss[id] = float32(lse - float64(logit))
		if t.lse != nil {
			t.lse[id] = float32(lse)
		}
		if !t.grad {
			continue
		}
		scale := t.scale
		if t.weights != nil {
			scale *= t.weights[id]
		}
		vec.Scale(row, scale*(1+float32(2*t.zLoss*float32(lse)))/sum, row)
		row[target] -= scale
		if t.softCap > 0 {
			vec.Mul(row, row, t.slopes[i*t.v:(i+1)*t.v])
		}
	}
}

// capLogits turns z into limit·tanh(z/limit) and keeps the slopes, 1 - tanh².
func capLogits(z, slopes []float32, limit float32) {
	vec.Scale(z, 1/limit, z)
	vec.Tanh(z, z)
	for v, u := range z {
		slopes[v] = 1 - u*u
	}
	vec.Scale(z, limit, z)
}
