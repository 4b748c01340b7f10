package bert

import (
	"math"

	"github.com/plinth-ml/plinth/nn"
)

// Neighbours changes first values so that each head of the first layer looks at one token beside: the one before, the one after, the second before, and so on to
// the third. It is called between nn.Init and training; the architecture is BERT's as before.
//
// What a masked token reads of itself is [MASK] and its position, so all that it learns of its text comes by attention, which at BERT's first values is the mean of
// the text: small models stay for long where a token's frequency is all that they know. Here positions start as sinusoids (Vaswani et al. 2017, section 3.5, with
// waves from 2.1 to 2,100 tokens), of which a rotation is a shift: keys are queries turned by the head's distance. Tokens and positions have equal shares, 0.1 where
// BERT has 0.02, and values pass at about their size.
func (m *Model) Neighbours() {
	e, a, C := &m.Bert.Embeddings, m.Bert.Layers[0].Attn, m.Config.Width
	const std = 0.1
	scale(e.Tokens.Weight, std/m.Config.InitStd)
	if e.Segments != nil {
		scale(e.Segments.Weight, std/m.Config.InitStd)
	}
	positions := e.Positions.Weight.T().F32() // [T, C], sine and cosine of an angle in turns
	for i := range positions {
		angle := float64(i/C) * frequency(i%C, C)
		if i%2 == 0 {
			positions[i] = float32(std * math.Sqrt2 * math.Sin(angle))
		} else {
			positions[i] = float32(std * math.Sqrt2 * math.Cos(angle))
		}
	}
	pass := 0.09 * math.Sqrt(128/float64(C)) // values keep about their size
	scale(a.V.Weight, pass/m.Config.InitStd)
	scale(a.Out.Weight, pass/m.Config.InitStd)

	H := m.Config.Heads
	D := C / H
	gain := 2.4 * math.Pow(32/float64(D), 0.25) // scores of 16 where query and key agree
	q, k := a.Q.Weight.T().F32(), a.K.Weight.T().F32()
	clear(q)
	clear(k)
	for h := range H {
		for c := 0; c+1 < D; c += 2 { // the D quickest waves
			sin, cos := math.Sincos(frequency(c, C) * distance(h))
			first, second := (h*D+c)*C+c, (h*D+c+1)*C+c
			q[first], q[second+1] = float32(gain), float32(gain)
			k[first], k[first+1] = float32(gain*cos), float32(-gain*sin) // the sine at the position less the distance
			k[second], k[second+1] = float32(gain*sin), float32(gain*cos)
		}
	}
	for _, p := range []*nn.Param{e.Positions.Weight, a.Q.Weight, a.K.Weight} {
		p.T().Changed()
	}
}

// frequency is that of element c of a position's C, in radians a token; two elements in turn share one.
func frequency(c, C int) float64 {
	return 3 * math.Pow(1000, -float64(c/2*2)/float64(C))
}

// distance is where head h looks: -1, 1, -2, 2, -3, 3, and again.
func distance(h int) float64 {
	h %= 6
	return float64(h/2+1) * float64(h%2*2-1)
}

func scale(p *nn.Param, by float64) {
	for i, v := range p.T().F32() {
		p.T().F32()[i] = v * float32(by)
	}
	p.T().Changed()
}
