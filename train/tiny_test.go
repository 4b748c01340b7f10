package train

import (
	"crypto/sha256"
	"fmt"
	"os"
	"testing"

	"github.com/plinth-ml/plinth/checkpoint"
	"github.com/plinth-ml/plinth/data"
	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/internal/kernel/cpu"
	"github.com/plinth-ml/plinth/internal/random"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/model/gpt"
	"github.com/plinth-ml/plinth/nn"
)

// words is a source of sequences that a small model can learn: each token follows from the one before by a fixed rule, but for one
// in eight, which is drawn. Each sequence is two documents.
type words struct {
	vocab, seq int
	seed       uint64
	poison     func(step int) bool // the tokens of such a batch are all drawn, and follow the rule backwards
}

func (w words) Fill(b *data.Batch, step, from, to int) error {
	b.IDs, b.Targets, b.Lengths, b.Bytes = b.IDs[:0], b.Targets[:0], b.Lengths[:0], 0
	for i := from; i < to; i++ {
		key := random.NewKey(w.seed, uint64(step), uint64(i))
		id, cut := key.IntN(0, w.vocab), w.seq/3
		for p := range w.seq {
			b.IDs = append(b.IDs, int32(id))
			switch {
			case w.poison != nil && w.poison(step):
				id = (id + w.vocab/2 + key.IntN(uint64(p+1), 2)) % w.vocab
			case key.IntN(uint64(2*p+1), 8) == 0:
				id = key.IntN(uint64(2*p+2), w.vocab)
			default:
				id = (5*id + 3) % w.vocab
			}
			if p == cut-1 || p == w.seq-1 {
				b.Targets = append(b.Targets, -1)
			} else {
				b.Targets = append(b.Targets, int32(id))
				b.Bytes++
			}
		}
		b.Lengths = append(b.Lengths, cut, w.seq-cut)
	}
	return nil
}

func (w words) Fingerprint() string { return fmt.Sprintf("words %d %d %d", w.vocab, w.seq, w.seed) }

// Sequences and FillAt make it a held-out split: that of step 1000000.
func (w words) Sequences() int { return 16 }

func (w words) FillAt(b *data.Batch, from, to int) error { return w.Fill(b, 1000000, from, to) }

// shape is a model with its source.
type shape struct{ layers, width, heads, vocab, seq int }

var tiny = shape{2, 16, 2, 19, 12}

func (s shape) build() (*gpt.Model, error) {
	m, err := gpt.New(gpt.Shape(s.layers, s.width, s.heads, s.vocab, s.seq))
	if err == nil {
		nn.Init(m.Params(), 1, true)
	}
	return m, err
}

func (s shape) model(t testing.TB) *gpt.Model {
	t.Helper()
	m, err := s.build()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func (s shape) source() words { return words{vocab: s.vocab, seq: s.seq, seed: 7} }

func kernels() *kernel.Set { return cpu.New(cpu.Options{Threads: 1}) }

// loop makes a run of the tiny model.
func loop(t testing.TB, src data.Source, o Options, h Hooks) *Loop {
	t.Helper()
	l, err := New(tiny.model(t), kernels(), src, o, h)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// digest is the SHA-256 of weights and moments.
func digest(l *Loop) string {
	h := sha256.New()
	for _, p := range l.params {
		h.Write(checkpoint.FromFloat32(p.Name, p.T().Shape(), p.T().F32()).Data)
	}
	for _, s := range l.opt.states() {
		h.Write(s.tensor().Data)
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

// tempDir is a directory in memory where there is one: a busy disk makes the many fsyncs of these tests slow.
func tempDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "train")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// decoder is the model of a run of next-token prediction.
func decoder(l *Loop) model.Decoder { return l.obj.(*nextToken).m }
