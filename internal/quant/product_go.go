package quant

import "github.com/plinth-ml/plinth/internal/vec"

// mulGo is the definition: one block of weights is taken apart and joined to the sums of all rows.
func mulGo(s *Scratch, p *Product) {
	a, l, sh := p.A, &layouts[p.A.format], p.A.format.shape()
	subs := sh.subs()
	s.sums = room(s.sums, p.To-p.From)
	u := &s.block
	for n := p.N0; n < p.N1; n++ {
		clear(s.sums)
		for b := range p.blocks {
			l.unpack(u, p.W[n*p.weightRow+b*p.blockBytes:][:p.blockBytes])
			for i := range s.sums {
				at := a.slot(p.From+i, b)
				code := a.code[at*sh.elements:][:sh.elements]
				var sum, minima int32
				for j := range subs {
					part := int32(0)
					w := u.code[j*sh.sub:][:sh.sub]
					for q, c := range code[j*sh.sub:][:sh.sub] {
						part += int32(w[q]) * int32(c)
					}
					switch {
					case subs == 1:
						part += a.start[at]
					case sh.minima:
						minima += int32(u.min[j]) * int32(a.sum[at*subs+j])
					default:
						part -= sh.bias * int32(a.sum[at*subs+j])
					}
					sum += int32(u.scale[j]) * part
				}
				v := u.d * float32(sum)
				if sh.minima {
					v = vec.FMA(-u.dMin, float32(minima), v)
				}
				s.sums[i] = vec.FMA(a.scale[at], v, s.sums[i])
			}
		}
		for i, v := range s.sums {
			p.C[(p.From+i)*p.LDC+n] = v
		}
	}
}
