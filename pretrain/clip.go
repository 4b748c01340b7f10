package pretrain

import (
	"fmt"
	"math"
	"slices"

	"github.com/plinth-ml/plinth/data/imagetext"
	"github.com/plinth-ml/plinth/internal/random"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/model/clip"
	"github.com/plinth-ml/plinth/model/vision"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
	"github.com/plinth-ml/plinth/train"
)

// CLIP is contrastive pre-training on pairs of pictures and texts: a train.Objective. The loss is the mean of two cross-entropies over the matrix of cosines,
// times a learnt factor, of all pictures of a step with all its texts (Radford et al. 2021, figure 3); of a model with a bias, the sigmoid loss over the same
// matrix (Zhai et al. 2023). A text that is one of the captions of several pictures is right for all of them (Yang et al. 2022, UniCL, equations 2 and 3; in the
// sigmoid loss a plus). A step whose batch is computed in parts has the gradient of the whole: the features of all parts are made first, without what a
// gradient needs, and each part again with the gradient by them. A ResNet normalises by the statistics of what is computed at once: a batch of it is one part, unless
// they are frozen.
type CLIP struct {
	Model   *clip.Model
	Pairs   *imagetext.Set
	Trained []nn.Named // with rates, if any; nil: all parameters. A tower of which nothing is trained is locked: it keeps no activations
	Drop    float64    // share of each picture's patches that are not seen (Li et al. 2023, FLIP)
	Seed    uint64     // of what is dropped
	OwnOnly bool       // a text is right for the picture that it was drawn with alone, as published: equal captions of a batch are each other's negatives

	loss   contrast
	joined bool // the loss is that of the step at hand, of several parts
}

// Params are what is trained.
func (o *CLIP) Params() []nn.Named {
	if o.Trained != nil {
		return o.Trained
	}
	return slices.DeleteFunc(o.Model.Params(), func(p nn.Named) bool { return !p.T().Trains() })
}

// State are the running statistics of a ResNet.
func (o *CLIP) State() []nn.Named {
	return slices.DeleteFunc(o.Model.Params(), func(p nn.Named) bool { return !p.Statistic })
}

// Sizes are those of the tower for texts.
func (o *CLIP) Sizes() model.Sizes { return o.Model.Sizes() }

// Cost is the arithmetic per row of both towers, of pictures with the patches that are seen and texts of the pairs' mean length, whatever seq is. A locked tower has
// no backward pass, which is two thirds of training: a third of it counts. What a batch in parts computes again does not.
func (o *CLIP) Cost(int) model.Cost {
	m := o.Model
	im, ia := m.ImageFLOPs(o.seen())
	tm, ta := m.TextFLOPs(o.Pairs.Tokens())
	lockedImages, lockedTexts := o.locked()
	share := map[bool]float64{true: 1. / 3, false: 1}
	u, v := share[lockedImages], share[lockedTexts]
	n := float64(m.Rows()-o.patches()+o.seen()) + o.Pairs.Tokens()
	return model.Cost{Params: nn.Count(m.Params()), Matrix: (u*im + v*tm) / n, Attention: (u*ia + v*ta) / n}
}

// Fingerprint is that of the pairs, of what is dropped, and of what is right where that is more than the pairs.
func (o *CLIP) Fingerprint() string {
	text := fmt.Sprintf("%s drop %v %d", o.Pairs.Fingerprint(), o.Drop, o.Seed)
	if o.Pairs.Shares() && !o.OwnOnly {
		text += " captions"
	}
	return text
}

// Settle bounds the factor of cosines.
func (o *CLIP) Settle() { o.Model.Settle() }

// Measures tell of the last step: which share of the batch's pictures are nearest to a text that is right for them, and of its texts to such a picture; the factor
// of cosines; the mean cosine of two different pictures; the floor of the loss, which is above 0 where several texts are right for a picture.
func (o *CLIP) Measures() map[string]float64 {
	B := float64(len(o.loss.losses))
	m := map[string]float64{"image_to_text": float64(o.loss.hits[0]) / B, "text_to_image": float64(o.loss.hits[1]) / B, "factor": o.Model.Factor(), "likeness": o.loss.likeness}
	if floor := o.loss.floor(); floor > 0 {
		m["floor"] = floor
	}
	if n := o.Pairs.Skipped(); n > 0 {
		m["skipped"] = float64(n)
	}
	return m
}

// Symptom tells of a collapse: the loss is that of features which say nothing, or all pictures have nearly the same.
func (o *CLIP) Symptom(loss float64) string {
	chance := o.loss.chance()
	switch {
	case math.Abs(loss-chance) < 0.03*(chance-o.loss.floor()):
		return fmt.Sprintf("loss %.4f is within 3 %% of %.4f, that of a guess among %d", loss, chance, len(o.loss.losses))
	case o.loss.likeness > 0.99:
		return fmt.Sprintf("the mean cosine of two pictures is %.4f: all have nearly the same features", o.loss.likeness)
	}
	return ""
}

// locked tells the towers of which nothing is trained.
func (o *CLIP) locked() (images, texts bool) {
	trains := func(model any) bool {
		return slices.ContainsFunc(nn.Params(model), func(p nn.Named) bool { return p.T().Trains() })
	}
	return !trains(o.Model.Tower()) && !trains(o.Model.ProjectImage), !trains(&o.Model.Text) && !trains(o.Model.ProjectText)
}

// Part returns pairs [from, to) of the batch of a step.
func (o *CLIP) Part(reuse train.Part, step, from, to int) (train.Part, error) {
	p, _ := reuse.(*clipPart)
	if p == nil {
		p = &clipPart{o: o}
	}
	o.joined = false
	if to-from < o.Pairs.Batch() && o.Model.ResNet != nil && !o.Model.ResNet.Norm1.Frozen {
		return nil, fmt.Errorf("pretrain: pairs %d to %d of %d: a ResNet's batch is one part, as its statistics are of all", from, to, o.Pairs.Batch())
	}
	p.from = from
	p.drop(step, to-from)
	return p, p.fill(func() error { return o.Pairs.Fill(&p.b, step, from, to) })
}

// clipPart is pictures and their texts.
type clipPart struct {
	o         *CLIP
	b         imagetext.Batch
	seqs      nn.Seqs
	positions []int32
	from      int       // of the pairs, in the step's batch
	keep      [][]int32 // patches that are seen; nil: all
	terms     [1]float64
}

func (p *clipPart) fill(read func() error) error {
	if err := read(); err != nil {
		return err
	}
	z := p.o.Model.Sizes()
	for i, n := range p.b.Lengths {
		if n > z.Context {
			return fmt.Errorf("pretrain: caption %q has %d tokens, the model's context is %d", p.b.Captions[i], n, z.Context)
		}
	}
	for _, id := range p.b.IDs {
		if id < 0 || int(id) >= z.Vocab {
			return fmt.Errorf("pretrain: id %d is not in the model's vocabulary of %d", id, z.Vocab)
		}
	}
	p.seqs.Set(p.b.Lengths, &p.positions)
	p.terms[0] = float64(len(p.b.Lengths))
	return nil
}

// drop chooses the patches that n pictures are seen by.
func (p *clipPart) drop(step, n int) {
	if p.keep = p.keep[:0]; p.o.Drop == 0 {
		p.keep = nil
		return
	}
	patches, kept := p.o.patches(), p.o.seen()
	for i := range n {
		order := random.NewPerm(uint64(patches), random.NewKey(p.o.Seed, uint64(step), uint64(p.from+i)).Named("patches"))
		list := make([]int32, kept)
		for j := range list {
			list[j] = int32(order.At(uint64(j)))
		}
		slices.Sort(list)
		p.keep = append(p.keep, list)
	}
}

// patches is the number of those of a picture; 0 of a tower that has none.
func (o *CLIP) patches() int {
	if o.Model.ViT == nil {
		return 0
	}
	return o.Model.ViT.Config.Patches()
}

// seen is the number of those that are not dropped.
func (o *CLIP) seen() int {
	if o.Drop == 0 || o.Model.ViT == nil {
		return o.patches()
	}
	return max(1, int(math.Round(float64(o.patches())*(1-o.Drop))))
}

// Tokens is the number of rows of both towers: patches that are seen, with a class token for each picture where there is one, and tokens of the texts.
func (p *clipPart) Tokens() int {
	rows := p.o.Model.Rows()
	if p.keep != nil {
		rows -= p.o.patches() - len(p.keep[0])
	}
	return len(p.b.Lengths)*rows + len(p.b.IDs)
}

func (p *clipPart) Terms() []float64 { return p.terms[:] }

func (p *clipPart) images(t *tensor.Tape) *tensor.Tensor {
	return p.o.Model.Images(t, vision.Images{Side: p.o.Pairs.Size(), Pixels: p.b.Pixels, Keep: p.keep})
}

func (p *clipPart) texts(t *tensor.Tape) *tensor.Tensor {
	return p.o.Model.Texts(t, tensor.IDs(p.b.IDs), &p.seqs)
}

// compute takes the features of a whole batch, with the numbers of its texts and of all captions of its pictures.
func (o *CLIP) compute(t *tensor.Tape, images, texts []float32, says []int, truths [][]int) {
	o.loss.k, o.loss.sigmoid = t.Kernels(), o.Model.Bias != nil
	bias := 0.0
	if o.Model.Bias != nil {
		bias = float64(o.Model.Bias.T().F32()[0])
	}
	o.loss.pair(says, truths, o.OwnOnly)
	o.loss.compute(images, texts, o.Model.Config.Projection, o.Model.Factor(), bias)
}

// Join makes the features of all parts and the loss with its gradient by them.
func (o *CLIP) Join(t *tensor.Tape, parts []train.Part) {
	var images, texts []float32
	var says []int
	var truths [][]int
	for _, part := range parts {
		p := part.(*clipPart)
		images = append(images, p.images(t).F32()...)
		t.Reset()
		texts = append(texts, p.texts(t).F32()...)
		t.Reset()
		says, truths = append(says, p.b.Says...), append(truths, p.b.True...)
	}
	o.compute(t, images, texts, says, truths)
	o.joined = true
}

func (p *clipPart) Loss(t *tensor.Tape, of, sums []float64) {
	o := p.o
	lockedImages, lockedTexts := o.locked()
	n, E := len(p.b.Lengths), o.Model.Config.Projection
	var x, y *tensor.Tensor
	if !o.joined || !lockedImages {
		x = p.images(t)
	}
	if !o.joined || !lockedTexts {
		y = p.texts(t)
	}
	if !o.joined {
		o.compute(t, x.F32(), y.F32(), p.b.Says, p.b.True)
	}
	for _, v := range o.loss.losses[p.from : p.from+n] {
		sums[0] += v
	}
	if p.from == 0 && t.Recording() { // once for all parts
		for _, g := range []struct {
			*nn.Param
			d float64
		}{{o.Model.Scale, o.loss.dscale}, {o.Model.Bias, o.loss.dbias}} {
			if g.Param != nil && g.T().Trains() {
				g.T().Grad.F32()[0] += float32(g.d)
			}
		}
	}
	for _, g := range []struct {
		x *tensor.Tensor
		d []float32
	}{{x, o.loss.dimages}, {y, o.loss.dtext}} {
		if g.x != nil {
			t.Loss(g.x, func(_, dx []float32) { copy(dx, g.d[p.from*E:]) })
		}
	}
}
