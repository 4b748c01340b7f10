package pretrain

import (
	"context"

	"github.com/plinth-ml/plinth/data/imagetext"
	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/tensor"
)

// Ranks are those of Recall.
var Ranks = [3]int{1, 5, 10}

// Recall is how well pictures and texts find each other by their cosines: the share of pictures that have one of their own texts among the first 1, 5 and 10 of
// all texts, and of texts whose own picture is among the first of all pictures. A caption that several pictures have, as those of one class do, is each one's own, and
// counts once among the texts that stand before a picture's.
// Of equal cosines the other one's comes first, so that features which are all the same find nothing.
type Recall struct {
	Pictures, Texts          int
	ImageToText, TextToImage [3]float64
}

// ClipScores are what Evaluate finds.
type ClipScores struct {
	Loss float64 // of batches of the training's size, nats
	Recall
}

// Evaluate scores the model on the first items of held pairs, at most so many (0: all), some at once. Every item is one picture with all its captions; the loss
// takes the first of these. The tape must not record.
func (o *CLIP) Evaluate(ctx context.Context, t *tensor.Tape, held *imagetext.Set, most, once int) (ClipScores, error) {
	var s ClipScores
	n := held.Items()
	if most > 0 {
		n = min(n, most)
	}
	p := &clipPart{o: o}
	var images, texts, first []float32
	var owner, says, firstSays []int
	var truths [][]int
	E := o.Model.Config.Projection
	for from := 0; from < n; from += once {
		if err := ctx.Err(); err != nil {
			return s, err
		}
		to := min(from+once, n)
		if err := p.fill(func() error { return held.Plain(&p.b, from, to) }); err != nil {
			return s, err
		}
		t.Reset()
		images = append(images, p.images(t).F32()...)
		if err := p.fill(func() error { held.AllCaptions(&p.b, from, to); return nil }); err != nil {
			return s, err
		}
		t.Reset()
		texts = append(texts, p.texts(t).F32()...)
		says = append(says, p.b.Says...)
		done := len(owner)
		for i := from; i < to; i++ {
			at := len(owner) * E
			first = append(first, texts[at:at+E]...)
			firstSays, truths = append(firstSays, says[len(owner)]), append(truths, p.b.True[len(owner)-done])
			for range held.Captions(i) {
				owner = append(owner, i)
			}
		}
	}
	t.Reset()
	batches := 0
	for from := 0; from+2 <= n; from += o.Pairs.Batch() {
		to := min(from+o.Pairs.Batch(), n)
		if batches > 0 && to-from < o.Pairs.Batch() {
			break // among fewer pairs the loss is smaller
		}
		batches++
		o.compute(t, images[from*E:to*E], first[from*E:to*E], firstSays[from:to], truths[from:to])
		sum := 0.0
		for _, v := range o.loss.losses {
			sum += v
		}
		s.Loss += sum / float64(to-from)
	}
	s.Loss /= float64(max(1, batches))
	s.Recall = recall(t.Kernels(), images, texts, E, owner, says)
	return s, nil
}

// recall is that of pictures [P, E] and texts [T, E]; text i belongs to picture owner[i], and to all pictures that have a text which says the same, says[i].
func recall(k *kernel.Set, images, texts []float32, E int, owner, says []int) Recall {
	r := Recall{Pictures: len(images) / E, Texts: len(owner)}
	var u, v units
	u.set(images, E)
	v.set(texts, E)
	cosines := make([]float32, r.Texts*r.Pictures)
	k.MatMul(&kernel.MatMul{M: r.Texts, N: r.Pictures, K: E, A: kernel.OfF32(v.rows), B: kernel.OfF32(u.rows), C: kernel.OfF32(cosines), TransB: true})
	type pair struct{ picture, says int }
	right := map[pair]bool{}
	for i, own := range owner {
		right[pair{own, says[i]}] = true
	}
	best := make([]float32, r.Pictures) // of each picture, the cosine of the best of its texts
	for i := range best {
		best[i] = -2
	}
	for i, own := range owner {
		row := cosines[i*r.Pictures : (i+1)*r.Pictures]
		best[own] = max(best[own], row[own])
		before := 0
		for j, c := range row {
			if c >= row[own] && !right[pair{j, says[i]}] {
				before++
			}
		}
		count(&r.TextToImage, before, 1/float64(r.Texts))
	}
	before, seen := make([]int, r.Pictures), map[int]bool{}
	for i := range owner {
		if seen[says[i]] {
			continue
		}
		seen[says[i]] = true
		for j, c := range cosines[i*r.Pictures : (i+1)*r.Pictures] {
			if c >= best[j] && !right[pair{j, says[i]}] {
				before[j]++
			}
		}
	}
	for _, b := range before {
		count(&r.ImageToText, b, 1/float64(r.Pictures))
	}
	return r
}

// count adds share to the recalls of the ranks that something with so many before it is within.
func count(r *[3]float64, before int, share float64) {
	for i, rank := range Ranks {
		if before < rank {
			r[i] += share
		}
	}
}
