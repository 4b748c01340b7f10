package pretrain

import (
	"math"
	"slices"

	"github.com/plinth-ml/plinth/internal/kernel"
)

// contrast is the loss of B pairs by the features of the two towers, with its gradients. Several texts may be true of a picture. Cosines are made of the whole batch
// at once: every part of the batch stands against all others (Gao et al. 2021, Scaling deep contrastive learning batch size under memory limited setup, section 3.2).
type contrast struct {
	k       *kernel.Set
	sigmoid bool // SigLIP's loss (Zhai et al. 2023, algorithm 1) in place of CLIP's (Radford et al. 2021, figure 3)

	right          [][]int32 // of each picture, the texts that are true of it, ascending
	shown          [][]int32 // of each text, the pictures that it is true of, ascending
	losses         []float64 // of each pair; their mean is the loss
	dimages, dtext []float32 // [B, E], gradients of the mean by the features
	dscale, dbias  float64   // by the logarithm of the scale, and by the bias
	hits           [2]int    // pictures that are nearest to a text which is true of them, and texts that are to a picture which they are true of
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

// pair says which texts are true of which pictures: says[j] is the number of text j's caption, and truths[i] are those of all captions of picture i, that of text i
// among them. With only, each text is true of its own picture alone.
func (c *contrast) pair(says []int, truths [][]int, only bool) {
	B := len(says)
	c.right, c.shown = make([][]int32, B), make([][]int32, B)
	at := map[int][]int32{} // texts of the same caption
	for j, caption := range says {
		at[caption] = append(at[caption], int32(j))
	}
	for i := range B {
		if only {
			c.right[i] = []int32{int32(i)}
		} else {
			for _, caption := range truths[i] {
				c.right[i] = append(c.right[i], at[caption]...)
			}
			slices.Sort(c.right[i])
		}
		for _, j := range c.right[i] {
			c.shown[j] = append(c.shown[j], int32(i))
		}
	}
}

// compute takes the features of B pictures and their texts, both [B, E], which pair told of. A logit is scale times the cosine, plus the bias.
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

// count finds how many pictures have the greatest cosine with a text that is true of them, and how many texts with a picture that they are true of.
func (c *contrast) count(B int) {
	c.hits = [2]int{}
	for side, lists := range [2][][]int32{c.right, c.shown} {
		for i, list := range lists {
			cos := func(j int) float32 {
				if side == 0 {
					return c.logits[i*B+j]
				}
				return c.logits[j*B+i]
			}
			best, hit := float32(-2), true
			for _, j := range list {
				best = max(best, cos(int(j)))
			}
			for j := 0; j < B && hit; j++ {
				hit = cos(j) <= best
			}
			if hit {
				c.hits[side]++
			}
		}
	}
}

// softmaxes makes cosines into the gradient by the logits of the mean of two cross-entropies: of each picture over all texts, and of each text over all pictures.
// Where several are right, each of them shall have the same share (Yang et al. 2022, UniCL, equations 2 and 3).
func (c *contrast) softmaxes(B int, scale float64) {
	rows, columns := make([]float64, B), make([]float64, B) // logarithms of the sums of exponentials; cosines are at most 1, so that scale bounds the logits
	own := make([]float64, B)                               // mean logits of each text with the pictures that it is true of
	for i := range B {
		row := c.logits[i*B : (i+1)*B]
		for j, cos := range row {
			e := math.Exp(scale * (float64(cos) - 1))
			rows[i] += e
			columns[j] += e
		}
		for _, j := range c.right[i] {
			own[j] += scale * float64(row[j]) / float64(len(c.shown[j]))
		}
	}
	for i := range B {
		rows[i], columns[i] = math.Log(rows[i])+scale, math.Log(columns[i])+scale
	}
	for i := range B {
		row, right, mean := c.logits[i*B:(i+1)*B], c.right[i], 0.0
		share := 1 / float64(len(right))
		for _, j := range right {
			mean += scale * float64(row[j]) * share
		}
		c.losses[i] = (rows[i]-mean)/2 + (columns[i]-own[i])/2
		for j, cos := range row {
			z := scale * float64(cos)
			g := math.Exp(z-rows[i])/2 + math.Exp(z-columns[j])/2
			if len(right) > 0 && int(right[0]) == j {
				g -= share/2 + 1/float64(2*len(c.shown[j]))
				right = right[1:]
			}
			g /= float64(B)
			c.dscale += g * z
			row[j] = float32(g)
		}
	}
}

// sigmoids makes cosines into the gradient by the logits of Σ_ij -log σ(±z_ij) / B, plus where text j is true of picture i.
func (c *contrast) sigmoids(B int, scale, bias float64) {
	for i := range B {
		row, right, sum := c.logits[i*B:(i+1)*B], c.right[i], 0.0
		for j, cos := range row {
			sign := -1.0
			if len(right) > 0 && int(right[0]) == j {
				sign, right = 1, right[1:]
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

// chance is the loss where all logits are the same: ln B of a softmax, whatever is right, and of sigmoids with the best bias B times the entropy of the share of pairs
// that are right: ln B + (B-1) ln(B/(B-1)) where that is 1/B.
func (c *contrast) chance() float64 {
	B := float64(len(c.right))
	if !c.sigmoid {
		return math.Log(B)
	}
	p := 0.0
	for _, list := range c.right {
		p += float64(len(list)) / (B * B)
	}
	if p > 1-1e-9 {
		return 0
	}
	return -B * (p*math.Log(p) + (1-p)*math.Log(1-p))
}

// floor bounds the loss from below: 0 of sigmoids, and of a softmax the mean entropy of what is right, 0 where that is one text of each picture and one picture of
// each text. Features can reach it where pictures with a text in common have all in common, as those of a class do.
func (c *contrast) floor() (sum float64) {
	if c.sigmoid {
		return 0
	}
	for _, lists := range [2][][]int32{c.right, c.shown} {
		for _, list := range lists {
			sum += math.Log(float64(len(list))) / float64(2*len(lists))
		}
	}
	return sum
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
