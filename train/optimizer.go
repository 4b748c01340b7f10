package train

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/plinth-ml/plinth/checkpoint"
	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/internal/random"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
)

// optimizer holds the moments. Every parameter that is no statistic is in exactly one of its two groups.
type optimizer struct {
	k    *kernel.Set
	o    Options
	adam []adamSlot
	muon []muonSlot
	mean []meanSlot // of the weights; none without Options.EMA
	ns   newtonSchulz
	call kernel.AdamW // arguments of a step; here, so that no step takes memory for them
	list []kernel.AdamWParam
}

type adamSlot struct {
	nn.Named
	m, v tensor.Buf // F32 or BF16
}

type muonSlot struct {
	nn.Named
	momentum tensor.Buf
}

type meanSlot struct {
	nn.Named
	mean tensor.Buf
}

// roundingKey tells the random numbers that moments are rounded with from others of the same seed.
const roundingKey = 0x6d6f6d656e7473

// isHidden reports whether Muon takes the parameter: a matrix inside a block, which has an index in its path.
func isHidden(p nn.Named) bool {
	if p.T().Rank() != 2 {
		return false
	}
	for part := range strings.SplitSeq(p.Name, ".") {
		if _, err := strconv.Atoi(part); err == nil {
			return true
		}
	}
	return false
}

func newOptimizer(k *kernel.Set, o Options, params []nn.Named) (*optimizer, error) {
	p := &optimizer{k: k, o: o, ns: newtonSchulz{k: k}}
	names := map[string]bool{}
	statistics := 0
	for _, q := range params {
		if names[q.Name] {
			return nil, fmt.Errorf("train: parameter %q is listed twice", q.Name)
		}
		names[q.Name] = true
		n, d := q.T().Len(), o.momentType()
		switch {
		case q.Statistic:
			statistics++
		case o.Optimizer == "muon" && isHidden(q):
			p.muon = append(p.muon, muonSlot{q, kernel.Alloc(kernel.F32, n)})
		default:
			p.adam = append(p.adam, adamSlot{q, kernel.Alloc(d, n), kernel.Alloc(d, n)})
		}
	}
	if o.EMA > 0 {
		for _, q := range params {
			s := meanSlot{q, kernel.Alloc(kernel.F32, q.T().Len())}
			k.Copy(s.mean, q.T().Data)
			p.mean = append(p.mean, s)
		}
	}
	if len(p.adam)+len(p.muon)+statistics != len(params) {
		return nil, fmt.Errorf("train: %d parameters in %d groups' slots", len(params), len(p.adam)+len(p.muon))
	}
	if o.Optimizer == "muon" && len(p.muon) == 0 {
		return nil, fmt.Errorf("train: optimizer is muon, but the model has no matrices in blocks")
	}
	return p, nil
}

// gradNorm is the norm of all gradients, summed in the order of the parameters.
func (l *Loop) gradNorm() float64 {
	l.grads = l.grads[:0]
	for _, p := range l.params {
		if !p.Statistic {
			l.grads = append(l.grads, p.T().Grad)
		}
	}
	return math.Sqrt(l.k.SumSquares(l.grads...))
}

// clipScale is the factor that brings a gradient norm down to clip.
func clipScale(norm, clip float64) float64 {
	if clip <= 0 {
		return 1
	}
	return min(1, clip/(norm+1e-6))
}

// step applies the gradients times scale as update number t, counted from 1, and leaves them zero.
func (p *optimizer) step(t int, lr, scale float64) {
	decay := max(0, p.o.WeightDecay)
	p.list = p.list[:0]
	for _, s := range p.adam {
		p.list = append(p.list, kernel.AdamWParam{P: s.T().Data, G: s.T().Grad, M: s.m, V: s.v, NoDecay: !s.Decays(), Rate: s.Rate})
		s.T().Changed()
	}
	p.call = kernel.AdamW{LR: lr, Beta1: p.o.Beta1, Beta2: p.o.Beta2, Eps: p.o.Eps, WeightDecay: decay, Step: t, GradScale: scale, ZeroGrad: true,
		Rounding: random.NewKey(p.o.Seed, roundingKey).Uint64(uint64(t))}
	p.k.AdamW(&p.call, p.list...)
	for _, s := range p.muon {
		own := lr
		if s.Rate != 0 {
			own *= s.Rate
		}
		p.muonStep(s, own, scale, decay)
		s.T().Changed()
	}
}

// average takes the weights after update number t into their running means: mean = d·mean + (1-d)·weight. The first steps forget faster than the
// decay says, d = min(EMA, (1+t)/(10+t)), so that the initial weights do not last.
func (p *optimizer) average(t int) {
	d := min(p.o.EMA, float64(1+t)/float64(10+t))
	for _, s := range p.mean {
		p.k.Scale(s.mean, d, s.mean)
		p.k.Axpy(s.mean, 1-d, s.T().Data)
	}
}

// exchange puts the running means in the place of the weights, and these in theirs; a second call undoes it.
func (p *optimizer) exchange() {
	for i := range p.mean {
		s := &p.mean[i]
		s.T().Data, s.mean = s.mean, s.T().Data
		s.T().Changed()
	}
}

// state is a moment's name and values, in the order of the slots.
type state struct {
	name  string
	shape []int
	data  tensor.Buf
}

// tensor is the moment as a file holds it; the two share memory.
func (s state) tensor() checkpoint.Tensor {
	if s.data.DType() == tensor.BF16 {
		return checkpoint.FromBF16(s.name, s.shape, s.data.BF16())
	}
	return checkpoint.FromFloat32(s.name, s.shape, s.data.F32())
}

// read takes a bfloat16 moment from its file.
func (s state) read(f *checkpoint.File) error {
	got, err := f.Tensor(s.name)
	if err != nil {
		return err
	}
	want := s.tensor()
	if got.DType != want.DType || !slices.Equal(got.Shape, want.Shape) {
		return fmt.Errorf("tensor %s is %s %v, want %s %v", s.name, got.DType, got.Shape, want.DType, want.Shape)
	}
	copy(want.Data, got.Data)
	return nil
}

func (p *optimizer) states() []state {
	var list []state
	for _, s := range p.adam {
		shape := s.T().Shape()
		list = append(list, state{"m." + s.Name, shape, s.m}, state{"v." + s.Name, shape, s.v})
	}
	for _, s := range p.muon {
		list = append(list, state{"momentum." + s.Name, s.T().Shape(), s.momentum})
	}
	for _, s := range p.mean {
		list = append(list, state{"mean." + s.Name, s.T().Shape(), s.mean})
	}
	return list
}
