package train

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/internal/random"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
)

// twoHeads is an objective of two terms that count differently: each row of an embedding tells its parity, and every third row its size.
type twoHeads struct {
	Table  *nn.Embedding `name:"table"`
	Parity *nn.Linear    `name:"parity"`
	Size   *nn.Linear    `name:"size"`
}

func newTwoHeads() *twoHeads {
	o := &twoHeads{nn.NewEmbedding(32, 8, 0.1), nn.NewLinear(8, 2, 0.1, true), nn.NewLinear(8, 3, 0.1, true)}
	nn.Init(o.Params(), 1, true)
	return o
}

func (o *twoHeads) Params() []nn.Named  { return nn.Params(o) }
func (o *twoHeads) Sizes() model.Sizes  { return model.Sizes{Context: 1} }
func (o *twoHeads) Fingerprint() string { return "two heads" }
func (o *twoHeads) TermNames() []string { return []string{"parity", "size"} }

type twoHeadsPart struct {
	o                 *twoHeads
	ids, parity, size []int32
	terms             [2]float64
}

func (o *twoHeads) Part(reuse Part, step, from, to int) (Part, error) {
	p := &twoHeadsPart{o: o}
	for i := from; i < to; i++ {
		id := random.NewKey(7, uint64(step)).IntN(uint64(i), 32)
		p.ids, p.parity, p.size = append(p.ids, int32(id)), append(p.parity, int32(id%2)), append(p.size, -1)
		p.terms[0]++
		if id%3 == 0 {
			p.size[len(p.size)-1] = int32(id / 11)
			p.terms[1]++
		}
	}
	return p, nil
}

func (p *twoHeadsPart) Tokens() int      { return len(p.ids) }
func (p *twoHeadsPart) Terms() []float64 { return p.terms[:] }

func (p *twoHeadsPart) Loss(t *tensor.Tape, of, sums []float64) {
	x := t.Gather(p.o.Table.Weight.T(), tensor.IDs(p.ids))
	for i, h := range []struct {
		*nn.Linear
		targets []int32
	}{{p.o.Parity, p.parity}, {p.o.Size, p.size}} {
		for _, v := range t.CrossEntropy(x, h.Weight.T(), h.Bias.T(), tensor.CrossEntropy{Targets: tensor.IDs(h.targets), Scale: 1 / max(1, of[i])}).F32() {
			sums[i] += float64(v)
		}
	}
}

func TestMinimize(t *testing.T) {
	o := Options{Steps: 60, Batch: 16, LR: 0.05, ValEvery: 10, OnSpike: "ignore"}
	var first, last Event
	l, err := Minimize(newTwoHeads(), kernels(), o, Hooks{Progress: func(e Event) {
		if e.Kind == "" && first.Step == 0 {
			first = e
		}
		last = e
	}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	for _, e := range []Event{first, last} {
		if len(e.Terms) != 2 || math.Abs(e.Loss-e.Terms["parity"]-e.Terms["size"]) > 1e-12 {
			t.Errorf("loss %v of terms %v", e.Loss, e.Terms)
		}
	}
	if last.Loss > 0.2*first.Loss || math.Abs(first.Terms["parity"]-math.Ln2) > 0.1 || math.Abs(first.Terms["size"]-math.Log(3)) > 0.1 {
		t.Errorf("from %+v to %+v", first, last)
	}
	// Micro-batches add up to the same mean over each term's own count.
	o.Micro, o.Steps = 3, 1
	if l, err = Minimize(newTwoHeads(), kernels(), o, Hooks{}); err != nil {
		t.Fatal(err)
	}
	r, err := l.Run(context.Background())
	if err != nil || math.Abs(r.Loss-first.Loss) > 1e-6 {
		t.Errorf("loss in parts of 3: %v, want %v; %v", r.Loss, first.Loss, err)
	}
}

// A run that Stop ends is finished: its result counts, and resuming it does nothing. A killed one goes on to the same stop.
func TestStopEarly(t *testing.T) {
	run := func(dir string, until int) (Result, []float32, error) {
		m, ctx := newTwoHeads(), context.Background()
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		validations := 0
		l, err := Minimize(m, kernels(), Options{Steps: 1000, Batch: 16, LR: 0.05, ValEvery: 7, SaveEvery: 5, RunDir: dir, Resume: true}, Hooks{
			Validate: func(context.Context, int) (float64, float64, error) { validations++; return 1, 0, nil },
			Stop:     func() bool { return true },
			Progress: func(e Event) {
				if e.Step == until {
					cancel()
				}
			}})
		if err != nil {
			t.Fatal(err)
		}
		r, err := l.Run(ctx)
		if validations > 1 {
			err = fmt.Errorf("%d validations", validations)
		}
		return r, slices.Clone(m.Table.Weight.T().F32()), err
	}
	dir := t.TempDir()
	r, want, err := run(dir, -1)
	if err != nil || r.Steps != 7 || r.ValLoss != 1 {
		t.Fatalf("%+v, %v", r, err)
	}
	if r, again, err := run(dir, -1); err != nil || r.Steps != 7 || !slices.Equal(want, again) {
		t.Errorf("resumed: %+v, %v", r, err)
	}
	killed := filepath.Join(t.TempDir(), "run")
	if _, _, err := run(killed, 3); err == nil || !strings.Contains(err.Error(), "interrupted") {
		t.Fatal(err)
	}
	if r, got, err := run(killed, -1); err != nil || r.Steps != 7 || !slices.Equal(want, got) {
		t.Errorf("killed and resumed: %+v, %v", r, err)
	}
}
