package pretrain

import (
	"math"

	"github.com/plinth-ml/plinth/internal/kernel"
)

// contrast is the loss of B pairs by the features of the two towers, with its gradients. Cosines are made of the whole batch at once: every part of the batch
// stands against all others (Gao et al. 2021, Scaling deep contrastive learning batch size under memory limited setup, section 3.2).
type contrast struct {
	k       *kernel.Set
	sigmoid bool // SigLIP's loss (Zhai et al. 2023, algorithm 1) in place of CLIP's (Radford et al. 2021, figure 3)

	losses         []float64 // of each pair; their mean is the loss
	dimages, dtext []float32 // [B, E], gradients of the mean by the features
	dscale, dbias  float64   // by the logarithm of the scale, and by the bias
	hits           [2]int    // pictures whose text is the nearest, and texts whose picture is
	likeness       float64   // mean cosine of two different pictures
	logits         []float32 // [B, B], then the gradient by them
	u, v           units
}

// units are rows scaled to length 1, and their lengths before.
type units struct {
	rows    []float32 // [B, E]
	lengths []float64
}

// set takes rows x [B, E].
func (u *units) set(x []float32, E int) {
	u.rows, u.lengths = append(u.rows[:0], x...), u.lengths[:0]
	for at := 0; at < len(x); at += E {
		row, sum := u.rows[at:at+E], 0.0
		for _, v := range row {
			sum += float64(v) * float64(v)
		}
		length := math.Sqrt(sum) + 1e-12
		u.lengths = append(u.lengths, length)
		for i, v := range row {
			row[i] = float32(float64(v) / length)
		}
	}
}

// back turns d [B, E], the gradient by the unit rows, into that by the rows, through u = x/|x|: (d - u (u·d)) / |x|.
func (u *units) back(d []float32, E int) {
	for r, length := range u.lengths {
		row, dr, dot := u.rows[r*E:(r+1)*E], d[r*E:(r+1)*E], 0.0
		for i, v := range row {
			dot += float64(v) * float64(dr[i])
		}
		for i, v := range row {
			dr[i] = float32((float64(dr[i]) - float64(v)*dot) / length)
		}
	}
}

// compute takes the features of B pictures and their texts, both [B, E]. A logit is scale times the cosine, plus the bias.
func (c *contrast) compute(images, texts []float32, E int, scale, bias float64) {
	B := len(images) / E
	c.u.set(images, E)
	c.v.set(texts, E)
	c.logits = sized(c.logits, B*B)
	c.dimages, c.dtext = sized(c.dimages, B*E), sized(c.dtext, B*E)
	u, v, z := kernel.OfF32(c.u.rows), kernel.OfF32(c.v.rows), kernel.OfF32(c.logits)
	c.k.MatMul(&kernel.MatMul{M: B, N: B, K: E, A: u, B: v, C: z, TransB: true})
	c.count(B)
	c.likeness = likeness(c.u.rows, E)
	c.losses = sized(c.losses, B)
	c.dscale, c.dbias = 0, 0
	if c.sigmoid {
		c.sigmoids(B, scale, bias)
	} else {
		c.softmaxes(B, scale)
	}
	c.k.MatMul(&kernel.MatMul{M: B, N: E, K: B, A: z, B: v, C: kernel.OfF32(c.dimages), Alpha: scale})
	c.k.MatMul(&kernel.MatMul{M: B, N: E, K: B, A: z, B: u, C: kernel.OfF32(c.dtext), TransA: true, Alpha: scale})
	c.u.back(c.dimages, E)
	c.v.back(c.dtext, E)
}

// count finds how many pictures have the greatest cosine with their own text, and how many texts with their own picture.
func (c *contrast) count(B int) {
	c.hits = [2]int{}
	for i := range B {
		own, image, text := c.logits[i*B+i], 1, 1
		for j := range B {
			if c.logits[i*B+j] > own {
				image = 0
			}
			if c.logits[j*B+i] > own {
				text = 0
			}
		}
		c.hits[0] += image
		c.hits[1] += text
	}
}

// softmaxes makes cosines into the gradient by the logits of the mean of two cross-entropies: of each picture over all texts, and of each text over all pictures.
func (c *contrast) softmaxes(B int, scale float64) {
	rows, columns := make([]float64, B), make([]float64, B) // logarithms of the sums of exponentials; cosines are at most 1, so that scale bounds the logits
	for i := range B {
		for j, cos := range c.logits[i*B : (i+1)*B] {
			e := math.Exp(scale * (float64(cos) - 1))
			rows[i] += e
			columns[j] += e
		}
	}
	for i := range B {
		rows[i], columns[i] = math.Log(rows[i])+scale, math.Log(columns[i])+scale
	}
	for i := range B {
		row := c.logits[i*B : (i+1)*B]
		own := scale * float64(row[i])
		c.losses[i] = (rows[i]-own)/2 + (columns[i]-own)/2
		for j, cos := range row {
			z := scale * float64(cos)
			g := math.Exp(z-rows[i])/2 + math.Exp(z-columns[j])/2
			if i == j {
				g--
			}
			g /= float64(B)
			c.dscale += g * z
			row[j] = float32(g)
		}
	}
}

// sigmoids makes cosines into the gradient by the logits of Σ_ij -log σ(±z_ij) / B, plus where i = j.
func (c *contrast) sigmoids(B int, scale, bias float64) {
	for i := range B {
		row, sum := c.logits[i*B:(i+1)*B], 0.0
		for j, cos := range row {
			sign := -1.0
			if i == j {
				sign = 1
			}
			x := sign * (scale*float64(cos) + bias)
			sum += max(-x, 0) + math.Log1p(math.Exp(-math.Abs(x))) // log(1 + e^-x)
			g := -sign / (1 + math.Exp(x)) / float64(B)
			c.dscale += g * scale * float64(cos)
			c.dbias += g
			row[j] = float32(g)
		}
		c.losses[i] = sum
	}
}

// chance is the loss where all logits are the same: ln B of a softmax, and of sigmoids with the best bias ln B + (B-1) ln(B/(B-1)).
func (c *contrast) chance(B int) float64 {
	b := float64(B)
	if c.sigmoid {
		return math.Log(b) + (b-1)*math.Log(b/(b-1))
	}
	return math.Log(b)
}

// likeness is the mean cosine of two different rows of u [B, E], which are of length 1.
func likeness(u []float32, E int) float64 {
	B := float64(len(u) / E)
	sum, squares := make([]float64, E), 0.0
	for i, v := range u {
		sum[i%E] += float64(v)
	}
	for _, v := range sum {
		squares += v * v
	}
	return (squares - B) / (B * (B - 1))
}

// sized returns a slice of length n, s where it has room.
func sized[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}
