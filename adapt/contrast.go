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
	Model   model.Encoder
	Pool    model.Pool
	Pairs   [][2]Example
	Batch   int        // pairs per step, at least 2
	Scale   float64    // of cosines before the softmax; 0 means 20
	Trained []nn.Named // nil: all of Model.Params
	Seed    uint64
}

// Params are what is trained.
func (o *Contrast) Params() []nn.Named { return trainedOf(o.Trained, o.Model) }

// Sizes are the model's.
func (o *Contrast) Sizes() model.Sizes { return o.Model.Sizes() }

// Fingerprint tells these pairs from others.
func (o *Contrast) Fingerprint() string {
	h := fnv.New64a()
	fmt.Fprintln(h, o.Seed, o.Scale, o.Pool)
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
	p, _ := reuse.(*contrastPart)
	if p == nil {
		p = &contrastPart{o: o}
	}
	p.texts = p.texts[:0]
	perEpoch := len(o.Pairs) / o.Batch // the rest waits for another epoch's order, so that no pair meets itself
	perm := random.NewPerm(uint64(len(o.Pairs)), random.NewKey(o.Seed, uint64(step/perEpoch)).Named("order"))
	for side := range 2 {
		for i := range o.Batch {
			p.texts = append(p.texts, o.Pairs[perm.At(uint64(step%perEpoch*o.Batch+i))][side])
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
	o     *Contrast
	texts []Example // first texts of the pairs, then second
	b     batch
	in    model.Input
	spans []tensor.Span
	terms [1]float64
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
	t.Loss(y, func(x, dx []float32) { sums[0] += contrast(x, dx, C, scale, 1/of[0]) })
}

// contrast returns Σ_i -log softmax_j(scale·cos(a_i, b_j))[i] for rows x [2B, C], the a before the b, and writes its gradient times weight to dx
// unless that is nil.
func contrast(x, dx []float32, C int, scale, weight float64) float64 {
	B := len(x) / (2 * C)
	unit, norms := make([]float64, len(x)), make([]float64, 2*B)
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
	dunit := make([]float64, len(x)) // gradient of the unit vectors
	total, z := 0.0, make([]float64, B)
	for i := range B {
		a, da := unit[i*C:(i+1)*C], dunit[i*C:(i+1)*C]
		top := math.Inf(-1)
		for j := range B {
			b := unit[(B+j)*C : (B+j+1)*C]
			sum := 0.0
			for c, v := range a {
				sum += v * b[c]
			}
			z[j] = scale * sum
			top = math.Max(top, z[j])
		}
		sum := 0.0
		for _, v := range z {
			sum += math.Exp(v - top)
		}
		total += math.Log(sum) + top - z[i]
		if dx == nil {
			continue
		}
		for j := range B {
			g := math.Exp(z[j]-top) / sum
			if j == i {
				g--
			}
			g *= scale * weight
			b, db := unit[(B+j)*C:(B+j+1)*C], dunit[(B+j)*C:(B+j+1)*C]
			for c := range a {
				da[c] += g * b[c]
				db[c] += g * a[c]
			}
		}
	}
	if dx == nil {
		return total
	}
	for r := range norms { // through u = x/|x|: dx = (du - u (u·du))/|x|
		u, du := unit[r*C:(r+1)*C], dunit[r*C:(r+1)*C]
		dot := 0.0
		for c, v := range u {
			dot += v * du[c]
		}
		for c, v := range u {
			dx[r*C+c] = float32((du[c] - v*dot) / norms[r])
		}
	}
	return total
}
