package suite

import (
	"math"
	"testing"

	"github.com/plinth-ml/plinth/internal/kernel"
)

func optimizer(t *testing.T, s *kernel.Set, d *data) {
	for i, n := range lengths() {
		for how := range 4 {
			o := &kernel.AdamW{LR: 1e-2, Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, WeightDecay: 0.1, Step: 1 + (i+how)*7%50, ZeroGrad: how&1 != 0}
			w := d.adamWParam(n, how&2 != 0, s)
			if w.NoDecay {
				o.GradScale = 0.3
			}
			want := plainAdamW(o, w)
			s.AdamW(o, w)
			if d.plain() {
				near(t, "AdamW: p", floats(w.P), want[0], exact)
				near(t, "AdamW: m", floats(w.M), want[1], exact)
				near(t, "AdamW: v", floats(w.V), want[2], exact)
				cleared(t, o, w)
			}
		}
	}
	optimizerLists(t, s, d)
}

// optimizerLists steps many parameters at once, and adds the squares of many.
func optimizerLists(t *testing.T, s *kernel.Set, d *data) {
	for _, sizes := range [][]int{{}, {0}, {1, 0, 0, 7, 0}, {5, 40000, 3, 16384, 1, 1, 0, 70000}, {0, 16384, 16384, 2}} {
		o := &kernel.AdamW{LR: 1e-2, Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, WeightDecay: 0.1, Step: 3, ZeroGrad: true}
		var list []kernel.AdamWParam
		var want [][3][]float64
		var bufs []kernel.Buf
		squares := 0.0
		for i, n := range sizes {
			w := d.adamWParam(n, i%2 == 1, s)
			w.Rate = []float64{0, 0, 0.3}[i%3]
			for _, v := range floats(w.P) {
				squares += v * v
			}
			list, want, bufs = append(list, w), append(want, plainAdamW(o, w)), append(bufs, w.P)
		}
		sum := s.SumSquares(bufs...)
		d.keep(d.from([]float64{sum}), "SumSquares of %v", sizes)
		s.AdamW(o, list...)
		if !d.plain() {
			continue
		}
		near(t, "SumSquares of a list", []float64{sum}, []float64{squares}, exact)
		for i, w := range list {
			near(t, "AdamW of a list: p", floats(w.P), want[i][0], exact)
			near(t, "AdamW of a list: m", floats(w.M), want[i][1], exact)
			near(t, "AdamW of a list: v", floats(w.V), want[i][2], exact)
			cleared(t, o, w)
		}
	}
}

func (d *data) adamWParam(n int, noDecay bool, s *kernel.Set) kernel.AdamWParam {
	w := kernel.AdamWParam{P: d.out(n, "AdamW of %d: p", n), G: d.out(n, "AdamW of %d: g", n), M: d.out(n, "AdamW of %d: m", n),
		V: d.out(n, "AdamW of %d: v", n), NoDecay: noDecay}
	s.Mul(w.V, w.V, w.V)
	return w
}

// plainAdamW is what p, m, v become.
func plainAdamW(o *kernel.AdamW, w kernel.AdamWParam) (pmv [3][]float64) {
	g, p, m, v := floats(w.G), floats(w.P), floats(w.M), floats(w.V)
	scale := o.GradScale
	if scale == 0 {
		scale = 1
	}
	lr := o.LR
	if w.Rate != 0 {
		lr *= w.Rate
	}
	for j := range p {
		g[j] *= scale
		if !w.NoDecay {
			p[j] -= lr * o.WeightDecay * p[j]
		}
		m[j] = o.Beta1*m[j] + (1-o.Beta1)*g[j]
		v[j] = o.Beta2*v[j] + (1-o.Beta2)*g[j]*g[j]
		mHat := m[j] / (1 - math.Pow(o.Beta1, float64(o.Step)))
		vHat := v[j] / (1 - math.Pow(o.Beta2, float64(o.Step)))
		p[j] -= lr * mHat / (math.Sqrt(vHat) + o.Eps)
	}
	return [3][]float64{p, m, v}
}

func cleared(t *testing.T, o *kernel.AdamW, w kernel.AdamWParam) {
	for j, z := range floats(w.G) {
		if o.ZeroGrad && z != 0 {
			t.Fatalf("AdamW of %d: gradient %d is %v after ZeroGrad", w.P.Len(), j, z)
		}
	}
}

// bf16 tests what knows bfloat16: copies to and from it, and AdamW with moments in it, for every set in again too.
func bf16(t *testing.T, s *kernel.Set, again []*kernel.Set) {
	d := newData(kernel.F32)
	for _, n := range []int{0, 1, 7, 100, 40000} {
		x := d.in(n)
		half, more, back := kernel.Alloc(kernel.BF16, n), kernel.Alloc(kernel.BF16, n), kernel.Alloc(kernel.F32, n)
		s.Copy(half, x)
		s.Copy(more, half)
		s.Copy(back, more)
		for i, v := range x.F32() {
			got, b := back.F32()[i], math.Float32bits(v)
			if below := math.Float32frombits(b &^ 0xffff); math.Abs(float64(got-v)) > math.Abs(float64(math.Float32frombits(math.Float32bits(below)+0x10000)-below))/2 ||
				math.Float32bits(got)&0xffff != 0 {
				t.Fatalf("%v is %v in bfloat16", v, got)
			}
		}
	}
	// Averages that move by 0.1 % in a step, of which rounding to nearest would make nothing.
	const steps = 100
	run := func(s *kernel.Set, dtype kernel.DType) (list []kernel.AdamWParam) {
		d := newData(kernel.F32)
		for _, n := range []int{50000, 3, 0, 12345} {
			w := kernel.AdamWParam{P: d.in(n), G: d.in(n), M: kernel.Alloc(dtype, n), V: kernel.Alloc(dtype, n)}
			ones := kernel.Alloc(kernel.F32, n)
			s.Fill(ones, 1)
			s.Copy(w.M, ones)
			s.Copy(w.V, ones)
			list = append(list, w)
		}
		for i := range steps {
			s.AdamW(&kernel.AdamW{LR: 1e-3, Beta1: 0.999, Beta2: 0.999, Eps: 1e-8, Step: i + 1, Rounding: uint64(i) << 32}, list...)
		}
		return list
	}
	narrow, wide := run(s, kernel.BF16), run(s, kernel.F32)
	for i, w := range narrow {
		for name, pair := range map[string][2]kernel.Buf{"m": {w.M, wide[i].M}, "v": {w.V, wide[i].V}} {
			got, want, ratio := floats(pair[0]), floats(pair[1]), 0.0
			for j := range got {
				ratio += got[j] / want[j] / float64(len(got))
			}
			if len(got) > 1000 && math.Abs(ratio-1) > 1e-3 { // a step of bfloat16 is 4e-3 and more; the mean is of 10,000
				t.Errorf("after %d steps %s in bfloat16 is %.4f times %s in float32, in the mean", steps, name, ratio, name)
			}
		}
		near(t, "p with moments in bfloat16", floats(w.P), floats(wide[i].P), 1e-2)
	}
	for _, other := range again {
		for i, w := range run(other, kernel.BF16) {
			same(t, "moments in bfloat16, p", floats(w.P), floats(narrow[i].P))
			same(t, "moments in bfloat16, m", floats(w.M), floats(narrow[i].M))
			same(t, "moments in bfloat16, v", floats(w.V), floats(narrow[i].V))
		}
	}
}
