package vec

import "math"

func adamWGo(p, g, m, v []float32, c adamWConsts) {
	g, m, v = g[:len(p)], m[:len(p)], v[:len(p)]
	clear := math.Float32bits(c.keep) == 0
	for i := range p {
		gi := c.scale * g[i]
		mi := float32(c.b1*m[i]) + float32(c.c1*gi)
		vi := float32(c.b2*v[i]) + float32(float32(c.c2*gi)*gi)
		if abs1(mi) < c.mMin {
			mi = 0
		}
		if abs1(vi) < c.vMin {
			vi = 0
		}
		den := float32(float32(math.Sqrt(float64(vi)))*c.invBias) + c.eps
		p[i] = float32(c.decay*p[i]) - float32(c.step*mi)/den
		m[i], v[i] = mi, vi
		if clear {
			g[i] = 0
		}
	}
}

func abs1(x float32) float32 { return math.Float32frombits(math.Float32bits(x) &^ (1 << 31)) }
