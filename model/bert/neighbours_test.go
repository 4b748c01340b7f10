package bert

import (
	"math"
	"testing"

	"github.com/plinth-ml/plinth/internal/kernel/cpu"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
)

// With Neighbours each head of the first layer looks at the token at its distance: with heads of 32 by more than half, with heads of 16, which tell positions
// apart by half as many waves, by ten times an equal share. Without, none does.
func TestNeighbours(t *testing.T) {
	const T = 40
	for width, least := range map[int]float64{64: 10. / T, 128: 0.5} {
		m, err := New(Config{ModelType: TypeBERT, Vocab: 200, Context: 64, Segments: 2, Width: width, Layers: 1, Heads: 4, Hidden: 64, Activation: "gelu", Eps: 1e-12, InitStd: 0.02, Head: MaskedLM, Labels: 2})
		if err != nil {
			t.Fatal(err)
		}
		nn.Init(m.Params(), 1, false)
		for h, share := range looks(m, T) {
			if share > 0.1 {
				t.Errorf("width %d, head %d has %.2f of its attention at distance %v before Neighbours", width, h, share, distance(h))
			}
		}
		m.Neighbours()
		for h, share := range looks(m, T) {
			if share < least {
				t.Errorf("width %d, head %d has %.2f of its attention at distance %v", width, h, share, distance(h))
			}
		}
	}
}

// looks returns the share of attention that each head of the first layer gives to the token at its distance, the mean over n tokens.
func looks(m *Model, n int) []float64 {
	tape := tensor.Evaluation(cpu.New(cpu.Options{Threads: 1}))
	seqs, ids := &nn.Seqs{}, make([]int32, n)
	var positions []int32
	seqs.Set([]int{n}, &positions)
	for i := range ids {
		ids[i] = int32(7 * i % m.Config.Vocab)
	}
	x := m.embed(tape, model.Input{IDs: tensor.IDs(ids), Seqs: seqs})
	a := m.Bert.Layers[0].Attn
	q, k := a.Q.Forward(tape, x, tensor.Identity, nil).F32(), a.K.Forward(tape, x, tensor.Identity, nil).F32() // [n, C]
	C, H := m.Config.Width, m.Config.Heads
	D := C / H
	shares := make([]float64, H)
	for h := range H {
		var counted float64
		for i := range n {
			at := i + int(distance(h))
			if at < 0 || at >= n {
				continue
			}
			var sum, there float64
			for j := range n {
				var dot float64
				for c := h * D; c < (h+1)*D; c++ {
					dot += float64(q[i*C+c]) * float64(k[j*C+c])
				}
				p := math.Exp(dot / math.Sqrt(float64(D)))
				sum += p
				if j == at {
					there = p
				}
			}
			shares[h] += there / sum
			counted++
		}
		shares[h] /= counted
	}
	return shares
}
