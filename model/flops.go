package model

import (
	"fmt"
	"slices"
	"strings"
)

// Pass is the part of a training step that a product belongs to.
type Pass uint8

const (
	Forward        Pass = iota
	BackwardInput       // gradient of an operand that depends on the input: dx, and both operands of attention's products
	BackwardWeight      // gradient of a matrix of parameters
	Recomputed          // a forward product done again during the backward pass
)

// String names the pass.
func (p Pass) String() string {
	return [...]string{"forward", "dx", "dw", "recomputed"}[p]
}

// Recompute says which activations are dropped in the forward pass and made again in the backward pass.
type Recompute uint8

const (
	RecomputeNone      Recompute = iota
	RecomputeSelective           // the inside of attention: scores and values (Korthikanti et al. 2022, section 5)
	RecomputeFull                // whole layers from their inputs
	RecomputeFused               // the scores, by attention that never stores them (Dao et al. 2022, algorithm 4)
)

var recomputes = [...]string{"none", "selective", "full", "fused"}

// String is the setting's name.
func (r Recompute) String() string {
	if int(r) < len(recomputes) {
		return recomputes[r]
	}
	return fmt.Sprintf("recompute(%d)", uint8(r))
}

// MarshalText writes the name.
func (r Recompute) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// RecomputeByName returns a setting: none, selective, full or fused.
func RecomputeByName(name string) (Recompute, error) {
	if i := slices.Index(recomputes[:], name); i >= 0 {
		return Recompute(i), nil
	}
	return 0, fmt.Errorf("recompute %q is none of %s", name, strings.Join(recomputes[:], ", "))
}

// Product is Times equal products of an [M, K] with a [K, N] matrix.
type Product struct {
	Op      string // qkv, scores, values, output, up, down, position..., head, pooler, ...
	Pass    Pass
	M, N, K int
	Times   int
	Masked  float64 // of the Times·M·N·K multiply-adds, those behind a causal or banded mask
}

// FLOPs counts two operations for each multiply-add, those behind a mask included. Sums of such counts are exact below 2^53.
func (p Product) FLOPs() float64 {
	return 2 * float64(p.Times) * float64(p.M) * float64(p.N) * float64(p.K)
}

// Seen is FLOPs without what a mask hides.
func (p Product) Seen() float64 { return p.FLOPs() - 2*p.Masked }

// Products lists every product of a training step on batch sequences of seq tokens: forward, backward and recomputed, in the order of the
// forward pass. Equal products of all layers are one entry.
func (s Shape) Products(batch, seq int, r Recompute) []Product {
	C, D, F, V, L := s.Width, s.Head(), s.FFN(), s.Vocab, s.Layers
	q, kv, rows := s.Heads*D, s.KV()*D, batch*seq
	var list []Product
	linear := func(op string, m, n, k, times int, again bool) {
		list = append(list, Product{Op: op, Pass: Forward, M: m, N: n, K: k, Times: times})
		if op != "position" { // whose input is a constant
			list = append(list, Product{Op: op, Pass: BackwardInput, M: m, N: k, K: n, Times: times})
		}
		list = append(list, Product{Op: op, Pass: BackwardWeight, M: k, N: n, K: m, Times: times})
		if again {
			list = append(list, Product{Op: op, Pass: Recomputed, M: m, N: n, K: k, Times: times})
		}
	}
	// Both operands of attention's products have gradients. scores is [T, D]·[D, T], values [T, T]·[T, D].
	attention := func(op string, n, k int, again bool) {
		p := Product{Op: op, M: seq, N: n, K: k, Times: L * batch * s.Heads, Masked: s.masked(batch, seq) * float64(D)}
		passes := []Pass{Forward, BackwardInput, BackwardInput}
		if again {
			passes = append(passes, Recomputed)
		}
		for i, pass := range passes {
			p.Pass = pass
			switch {
			case pass != BackwardInput:
				p.M, p.N, p.K = seq, n, k
			case i == 1:
				p.M, p.N, p.K = seq, k, n
			default:
				p.M, p.N, p.K = k, n, seq
			}
			list = append(list, p)
		}
	}
	full := r == RecomputeFull
	linear("qkv", rows, q+2*kv, C, L, full)
	if s.Positions == Relative {
		linear("position", seq, q, C, L, full)
		attention("position scores", seq, D, full || r == RecomputeSelective || r == RecomputeFused)
	}
	attention("scores", seq, D, r != RecomputeNone)
	attention("values", D, seq, full || r == RecomputeSelective)
	linear("output", rows, C, q, L, full)
	if s.Experts > 0 {
		linear("router", rows, s.Experts, C, L, full)
	}
	linear("up", rows, F, C, L*int(s.gates())*max(1, s.Chosen), full)
	linear("down", rows, C, F, L*max(1, s.Chosen), full)
	if s.Pooler {
		linear("pooler", batch, C, C, 1, false)
	}
	if s.NSP {
		linear("next sentence", batch, 2, C, 1, false)
	}
	if s.MLM {
		linear("transform", rows, C, C, 1, false)
	}
	if s.hasHead() {
		linear("head", rows, V, C, 1, false)
	}
	return list
}

// masked is the number of (query, key) pairs of all layers, heads and sequences that nobody sees.
func (s Shape) masked(batch, seq int) float64 {
	if s.Bidirectional {
		return 0
	}
	square, pairs := float64(seq)*float64(seq), 0.0
	for l := range s.Layers {
		pairs += square - seenPairs(seq, s.LayerWindow(l))
	}
	return pairs * float64(batch) * float64(s.Heads)
}

// LayerWindow is the number of positions that a layer sees, 0 for all.
func (s Shape) LayerWindow(layer int) int {
	if s.Windows == nil {
		return 0
	}
	return s.Windows[layer]
}

// seenPairs is the number of (query, key) pairs of a causal sequence within a band.
func seenPairs(seq, window int) float64 {
	T, W := float64(seq), float64(window)
	if window == 0 || window >= seq {
		return T * (T + 1) / 2
	}
	return W*(W+1)/2 + (T-W)*W
}

// FLOPs sums a training step. Forward, Backward and Recomputed count whole products; the part of each that a mask hides stands apart.
type FLOPs struct {
	Forward, Backward, Recomputed                   float64
	MaskedForward, MaskedBackward, MaskedRecomputed float64
	Attention                                       float64 // forward, of scores and values, what a mask hides included
}

// Model is the arithmetic that the model asks for, the numerator of a model FLOPs utilisation. square counts attention as if nothing were
// masked, as PaLM's appendix B and Megatron's formulas do.
func (f FLOPs) Model(square bool) float64 {
	sum := f.Forward + f.Backward
	if !square {
		sum -= f.MaskedForward + f.MaskedBackward
	}
	return sum
}

// Hardware is Model with what is recomputed.
func (f FLOPs) Hardware(square bool) float64 {
	sum := f.Model(square) + f.Recomputed
	if !square {
		sum -= f.MaskedRecomputed
	}
	return sum
}

// FLOPs sums Products.
func (s Shape) FLOPs(batch, seq int, r Recompute) FLOPs {
	var f FLOPs
	for _, p := range s.Products(batch, seq, r) {
		all, masked := &f.Backward, &f.MaskedBackward
		switch p.Pass {
		case Forward:
			all, masked = &f.Forward, &f.MaskedForward
			if p.Op == "scores" || p.Op == "values" || p.Op == "position scores" {
				f.Attention += p.FLOPs()
			}
		case Recomputed:
			all, masked = &f.Recomputed, &f.MaskedRecomputed
		}
		*all += p.FLOPs()
		*masked += 2 * p.Masked
	}
	return f
}

// Cost is the arithmetic of one token for sequences of seq tokens.
func (s Shape) Cost(seq int) Cost {
	f, T := s.FLOPs(1, seq, RecomputeNone), float64(seq)
	return Cost{Params: s.Params().Total(), Matrix: (f.Forward - f.Attention) / T, Attention: (f.Attention - f.MaskedForward) / T}
}

// HoffmannFLOPs is the training arithmetic of one sequence after Hoffmann et al. 2022, appendix F: attention as the full square, three
// operations for each score's softmax, backward twice forward. With vocabulary the products of embedding and logits count, as the
// appendix says; the ratios of its table A4 come out only without them.
func (s Shape) HoffmannFLOPs(seq int, vocabulary bool) float64 {
	T, C, q := float64(seq), float64(s.Width), float64(s.Heads*s.Head())
	attention := 2*3*T*C*q + 2*T*T*q + 3*float64(s.Heads)*T*T + 2*T*T*q + 2*T*q*C
	dense := 2 * T * 2 * C * float64(s.FFN())
	forward := float64(s.Layers) * (attention + dense)
	if vocabulary {
		forward += 2 * 2 * T * float64(s.Vocab) * C
	}
	return 3 * forward
}
