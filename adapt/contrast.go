package adapt

import (
	"fmt"
	"hash/fnv"
	"math"

	"github.com/plinth-ml/plinth/internal/random"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
	"github.com/plinth-ml/plinth/train"
)

// Contrast is the training of sentence embeddings: the pooled features of two texts that belong together shall be closer, by the cosine of their
// angle, than those of texts that were drawn beside them (Henderson et al. 2017, Efficient natural language response suggestion, section 4; van den
// Oord et al. 2018, InfoNCE). It is a train.Objective whose batch is one part: Options.Micro must be Batch.
type Contrast struct {
	Model     model.Encoder
	Pool      model.Pool
	Pairs     [][2]Example
	Negatives []Example  // for each pair a text that does not belong to its first, told apart from by all of the batch; nil: none
	Cosines   []float64  // what the cosine of each pair shall be: the loss is the squared error, in place of what else is said here (Reimers & Gurevych 2019); nil: none
	Batch     int        // pairs per step, at least 2
	Scale     float64    // of cosines before the softmax; 0 means 20
	Trained   []nn.Named // nil: all of Model.Params
	Seed      uint64
}

// Params are what is trained.
func (o *Contrast) Params() []nn.Named { return trainedOf(o.Trained, o.Model) }

// Sizes are the model's.
func (o *Contrast) Sizes() model.Sizes { return o.Model.Sizes() }

// Fingerprint tells these pairs from others.
func (o *Contrast) Fingerprint() string {
	h := fnv.New64a()
	fmt.Fprintln(h, o.Seed, o.Scale, o.Pool, o.Negatives, o.Cosines)
	for i := range o.Pairs {
		fmt.Fprintln(h, o.Pairs[i])
	}
	return fmt.Sprintf("contrast of %d pairs %016x", len(o.Pairs), h.Sum64())
}

// Part returns the batch of a step: pairs that are all different, in an order of each epoch's own.
func (o *Contrast) Part(reuse train.Part, step, from, to int) (train.Part, error) {
	if from != 0 || to != o.Batch || o.Batch < 2 || o.Batch > len(o.Pairs) {
		return nil, fmt.Errorf("adapt: pairs %d to %d of a batch of %d of %d: a batch is one part, of at least 2 pairs and at most all", from, to, o.Batch, len(o.Pairs))
	}
	if o.Negatives != nil && len(o.Negatives) != len(o.Pairs) || o.Cosines != nil && len(o.Cosines) != len(o.Pairs) || o.Negatives != nil && o.Cosines != nil {
		return nil, fmt.Errorf("adapt: %d pairs with %d negatives and %d cosines: one of the two, for each pair", len(o.Pairs), len(o.Negatives), len(o.Cosines))
	}
	p, _ := reuse.(*contrastPart)
	if p == nil {
		p = &contrastPart{o: o}
	}
	p.texts, p.cosines = p.texts[:0], p.cosines[:0]
	perEpoch := len(o.Pairs) / o.Batch // the rest waits for another epoch's order, so that no pair meets itself
	perm := random.NewPerm(uint64(len(o.Pairs)), random.NewKey(o.Seed, uint64(step/perEpoch)).Named("order"))
	for side := range 3 {
		for i := range o.Batch {
			switch at := perm.At(uint64(step%perEpoch*o.Batch + i)); {
			case side < 2:
				p.texts = append(p.texts, o.Pairs[at][side])
			case o.Negatives != nil:
				p.texts = append(p.texts, o.Negatives[at])
			case o.Cosines != nil:
				p.cosines = append(p.cosines, o.Cosines[at])
			}
		}
	}
	if err := checkTexts(o.Model.Sizes(), p.texts); err != nil {
		return nil, err
	}
	p.in = p.b.set(p.texts)
	p.spans = o.Pool.Spans(p.spans[:0], p.in.Seqs)
	p.terms[0] = float64(o.Batch)
	return p, nil
}

type contrastPart struct {
	o       *Contrast
	texts   []Example // first texts of the pairs, then second, then negatives
	cosines []float64
	b       batch
	in      model.Input
	spans   []tensor.Span
	terms   [1]float64
}

func (p *contrastPart) Tokens() int      { return len(p.b.ids) }
func (p *contrastPart) Terms() []float64 { return p.terms[:] }

func (p *contrastPart) Loss(t *tensor.Tape, of, sums []float64) {
	scale := p.o.Scale
	if scale == 0 {
		scale = 20
	}
	y := t.SeqMean(p.o.Model.Encode(t, p.in), p.spans)
	_, C := y.Dims2()
	t.Loss(y, func(x, dx []float32) {
		u := newUnits(x, C)
		if p.o.Cosines != nil {
			sums[0] += u.squares(p.cosines, 1/of[0])
		} else {
			sums[0] += u.contrast(p.o.Batch, scale, 1/of[0])
		}
		if dx != nil {
			u.back(dx)
		}
	})
}

// units are rows [rows, C] scaled to length 1, with the gradient of a loss by them.
type units struct {
	C           int
	unit, dunit []float64
	norms       []float64
}

func newUnits(x []float32, C int) *units {
	unit, norms := make([]float64, len(x)), make([]float64, len(x)/C)
	for r := range norms {
		row := x[r*C : (r+1)*C]
		sum := 0.0
		for _, v := range row {
			sum += float64(v) * float64(v)
		}
		norms[r] = math.Sqrt(sum) + 1e-12
		for c, v := range row {
			unit[r*C+c] = float64(v) / norms[r]
		}
	}
	return &units{C, unit, make([]float64, len(x)), norms}
}

// cosine is that of rows i and j.
func (u *units) cosine(i, j int) float64 {
	a, b, sum := u.unit[i*u.C:(i+1)*u.C], u.unit[j*u.C:(j+1)*u.C], 0.0
	for c, v := range a {
		sum += v * b[c]
	}
	return sum
}

// pull adds g, the gradient by the cosine of rows i and j, to those of the rows.
func (u *units) pull(i, j int, g float64) {
	for c := range u.C {
		u.dunit[i*u.C+c] += g * u.unit[j*u.C+c]
		u.dunit[j*u.C+c] += g * u.unit[i*u.C+c]
	}
}

// squares returns Σ_i (cos(a_i, b_i) - want_i)² of the rows a, then b, and adds its gradient times weight.
func (u *units) squares(want []float64, weight float64) float64 {
	total := 0.0
	for i, w := range want {
		d := u.cosine(i, len(want)+i) - w
		total += d * d
		u.pull(i, len(want)+i, 2*d*weight)
	}
	return total
}

// contrast returns Σ_i -log softmax_j(scale·cos(a_i, b_j))[i] of B rows a, then the b, of which there may be more, and adds its gradient times weight.
func (u *units) contrast(B int, scale, weight float64) float64 {
	total, z := 0.0, make([]float64, len(u.norms)-B)
	for i := range B {
		top := math.Inf(-1)
		for j := range z {
			z[j] = scale * u.cosine(i, B+j)
			top = math.Max(top, z[j])
		}
		sum := 0.0
		for _, v := range z {
			sum += math.Exp(v - top)
		}
		total += math.Log(sum) + top - z[i]
		for j := range z {
			g := math.Exp(z[j]-top) / sum
			if j == i {
				g--
			}
			u.pull(i, B+j, g*scale*weight)
		}
	}
	return total
}

// back writes the gradient by the rows, through u = x/|x|: dx = (du - u (u·du))/|x|.
func (u *units) back(dx []float32) {
	for r, norm := range u.norms {
		row, d := u.unit[r*u.C:(r+1)*u.C], u.dunit[r*u.C:(r+1)*u.C]
		dot := 0.0
		for c, v := range row {
			dot += v * d[c]
		}
		for c, v := range row {
			dx[r*u.C+c] = float32((d[c] - v*dot) / norm)
		}
	}
}
