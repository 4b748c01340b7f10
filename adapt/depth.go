package adapt

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/plinth-ml/plinth/nn"
)

// depths are how far up each parameter stands: 0 for what is listed before the first block (embeddings), l+1 for block l, and layers+1 for what is
// listed behind (final norm, pooler, head). A block's parameters have its number in their path.
func depths(params []nn.Named) (depth []int, layers int) {
	seen := false
	for _, p := range params {
		d := -1
		for part := range strings.SplitSeq(p.Name, ".") {
			if n, err := strconv.Atoi(part); err == nil {
				d = n + 1
				break
			}
		}
		switch {
		case d > 0:
			seen, layers = true, max(layers, d)
		case !seen:
			d = 0
		}
		depth = append(depth, d)
	}
	for i, d := range depth {
		if d < 0 {
			depth[i] = layers + 1
		}
	}
	return depth, layers
}

// LayerDecay returns the parameters with learning rates that fall by the factor decay from each layer to the one below: decay^(layers+1-depth) (Clark et al.
// 2020, ELECTRA, section 3.1; Howard & Ruder 2018, section 3.2). What lies above the blocks has the full rate, embeddings the least.
func LayerDecay(params []nn.Named, decay float64) ([]nn.Named, error) {
	if !(decay > 0 && decay <= 1) {
		return nil, fmt.Errorf("adapt: layer decay is %v, it must be within 0 and 1", decay)
	}
	depth, layers := depths(params)
	list := append([]nn.Named(nil), params...)
	for i := range list {
		list[i].Rate = math.Pow(decay, float64(layers+1-depth[i]))
	}
	return list, nil
}

// Freeze takes the gradients of the embeddings and of the first blocks away, of all blocks and what follows but head where blocks is -1 (a linear probe), and returns
// what is left to train. head are parameters of params that are always trained.
func Freeze(params, head []nn.Named, blocks int) ([]nn.Named, error) {
	depth, layers := depths(params)
	if blocks < -1 || blocks > layers {
		return nil, fmt.Errorf("adapt: %d frozen blocks, the model has %d", blocks, layers)
	}
	var left []nn.Named
	for i, p := range params {
		kept := depth[i] > blocks && blocks >= 0
		for _, h := range head {
			kept = kept || h.T() == p.T()
		}
		if p.T().SetTrain(kept); kept {
			left = append(left, p)
		}
	}
	if len(left) == 0 {
		return nil, fmt.Errorf("adapt: everything is frozen")
	}
	return left, nil
}
