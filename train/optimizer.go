package train

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
)

// optimizer holds the moments. Every parameter is in exactly one of its two groups.
type optimizer struct {
	k    *kernel.Set
	o    Options
	adam []adamSlot
	muon []muonSlot
	ns   newtonSchulz
	call kernel.AdamW // of one parameter; here, so that no step takes memory for it
}

type adamSlot struct {
	nn.Named
	m, v tensor.Buf
}

type muonSlot struct {
	nn.Named
	momentum tensor.Buf
}

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
	for _, q := range params {
		if names[q.Name] {
			return nil, fmt.Errorf("train: parameter %q is listed twice", q.Name)
		}
		names[q.Name] = true
		n := q.T().Len()
		if o.Optimizer == "muon" && isHidden(q) {
			p.muon = append(p.muon, muonSlot{q, kernel.Alloc(kernel.F32, n)})
		} else {
			p.adam = append(p.adam, adamSlot{q, kernel.Alloc(kernel.F32, n), kernel.Alloc(kernel.F32, n)})
		}
	}
	if len(p.adam)+len(p.muon) != len(params) {
		return nil, fmt.Errorf("train: %d parameters in %d groups' slots", len(params), len(p.adam)+len(p.muon))
	}
	if o.Optimizer == "muon" && len(p.muon) == 0 {
		return nil, fmt.Errorf("train: optimizer is muon, but the model has no matrices in blocks")
	}
	return p, nil
}

// gradNorm is the norm of all gradients, summed in the order of the parameters.
func gradNorm(k *kernel.Set, params []nn.Named) float64 {
	sum := 0.0
	for _, p := range params {
		sum += k.SumSquares(p.T().Grad)
	}
	return math.Sqrt(sum)
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
	for _, s := range p.adam {
		p.call = kernel.AdamW{LR: lr, Beta1: p.o.Beta1, Beta2: p.o.Beta2, Eps: p.o.Eps, Step: t, GradScale: scale, ZeroGrad: true}
		if s.Decays() {
			p.call.WeightDecay = decay
		}
		p.k.AdamW(s.T().Data, s.T().Grad, s.m, s.v, &p.call)
		s.T().Changed()
	}
	for _, s := range p.muon {
		p.muonStep(s, lr, scale, decay)
		s.T().Changed()
	}
}

// state is a moment's name and values, in the order of the slots.
type state struct {
	name  string
	shape []int
	data  tensor.Buf
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
	return list
}
