package zoo_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/checkpoint"
	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/internal/kernel/cpu"
	"github.com/plinth-ml/plinth/internal/kernel/suite"
	"github.com/plinth-ml/plinth/internal/testkit"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/model/zoo"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
)

// sequences of a case: ids of all, and their lengths.
func sequences(c *testkit.Case) (ids []int32, lengths []int) {
	for _, name := range c.Names("input_ids.") {
		s := c.I32("input_ids." + name)
		ids, lengths = append(ids, s...), append(lengths, len(s))
	}
	return ids, lengths
}

// TestParity compares logits, loss and every gradient with transformers, for a batch of unequal lengths, on all kernels.
func TestParity(t *testing.T) {
	sets := suite.Sets()
	for _, name := range testkit.Cases(t, "decoders") {
		t.Run(name, func(t *testing.T) {
			c := testkit.Golden(t, "decoders/"+name)
			dir := c.Folder()
			for _, k := range sets {
				m, err := zoo.Open(dir, zoo.Options{Train: true})
				if err != nil {
					t.Fatal(err)
				}
				compare(t, k, c, m)
			}
		})
	}
}

func compare(t *testing.T, k *kernel.Set, c *testkit.Case, m zoo.Model) {
	t.Helper()
	ids, lengths := sequences(c)
	targets := slices.Clone(ids[1:])
	targets = append(targets, -1)
	end, want := -1, []float32{}
	for i, n := range lengths {
		end += n
		targets[end] = -1
		want = append(want, c.F32("logits."+c.Names("logits.")[i])...)
	}
	counted := len(ids) - len(lengths)
	tape := tensor.Training(k)
	x := model.Features(m, tape, tensor.IDs(ids), nn.NewSeqs(lengths...), nil)
	testkit.Close(t, k.Name+": logits", m.Head().Logits(tape, x).F32(), want, 1e-4, 0)
	sum := 0.0
	for _, l := range m.Head().Loss(tape, x, tensor.CrossEntropy{Targets: tensor.IDs(targets), Scale: 1 / float64(counted)}).F32() {
		sum += float64(l)
	}
	if want := c.Scalar("loss"); math.Abs(sum/float64(counted)-want) > 1e-5*want {
		t.Errorf("%s: loss %v, want %v", k.Name, sum/float64(counted), want)
	}
	if len(c.Names("grad.")) == 0 {
		return
	}
	tape.Backward()
	grads := gradients(t, m)
	for _, name := range c.Names("grad.") {
		g, ok := grads[name]
		if !ok {
			t.Errorf("%s: no gradient of %s", k.Name, name)
			continue
		}
		testkit.Close(t, k.Name+": grad."+name, g, c.F32("grad."+name), 1e-4, 1e-7*c.Norm("grad."))
	}
}

// gradients are those of all parameters as the tensors of a Hugging Face file, by name.
func gradients(t *testing.T, m zoo.Stored) map[string][]float32 {
	t.Helper()
	return gradientsAs(t, m, checkpoint.HuggingFace)
}

// gradientsAs is gradients under the names of a scheme. What has none, a statistic, is left out.
func gradientsAs(t *testing.T, m zoo.Stored, s checkpoint.Scheme) map[string][]float32 {
	t.Helper()
	var bindings []checkpoint.Binding
	for _, b := range zoo.Bindings(m, s) {
		if b.Tensor.Grad.None() {
			continue
		}
		b.Places = slices.Clone(b.Places)
		for i := range b.Places {
			b.Places[i].Add = 0 // a shift of the values
		}
		b.Tensor = tensor.FromF32(b.Tensor.Grad.F32(), b.Tensor.Shape()...)
		bindings = append(bindings, b)
	}
	tensors, err := checkpoint.Tensors(bindings)
	if err != nil {
		t.Fatal(err)
	}
	grads := map[string][]float32{}
	for _, x := range tensors {
		values := make([]float32, tensor.Shape(x.Shape).Elements())
		if err := x.Float32(values); err != nil {
			t.Fatal(err)
		}
		grads[x.Name] = values
	}
	return grads
}

// TestBatchAndCache: a row's logits have the same bits alone, in a batch, and with a cache, however the sequence is cut. Where the rotation
// depends on the length, logits with a cache are those of transformers with its own.
func TestBatchAndCache(t *testing.T) {
	tape := tensor.Inference(cpu.New(cpu.Options{Threads: 2}))
	for _, name := range testkit.Cases(t, "decoders") {
		t.Run(name, func(t *testing.T) {
			c := testkit.Golden(t, "decoders/"+name)
			m, err := zoo.Open(c.Folder(), zoo.Options{F32: true})
			if err != nil {
				t.Fatal(err)
			}
			ids, lengths := sequences(c)
			V := m.Sizes().Vocab
			logits := func(ids []int32, seqs *nn.Seqs, kv *nn.KV) []float32 {
				tape.Reset()
				return slices.Clone(m.Head().Logits(tape, model.Features(m, tape, tensor.IDs(ids), seqs, kv)).F32())
			}
			all := logits(ids, nn.NewSeqs(lengths...), nil)
			for i, n := range lengths {
				from := 0
				for _, l := range lengths[:i] {
					from += l
				}
				own, want := ids[from:from+n], all[from*V:(from+n)*V]
				if got := logits(own, nn.NewSeqs(n), nil); !slices.Equal(got, want) {
					t.Errorf("sequence %d alone differs from itself in a batch", i)
				}
				for _, first := range []int{1, n / 2} {
					kv := model.NewKV(m, nn.KVOptions{Max: 2 * n})
					slot := kv.Slot()
					var got []float32
					for at, step := 0, first; at < n; at, step = at+step, 1 {
						positions, err := kv.Begin([]int{slot}, []int{step}, nil)
						if err != nil {
							t.Fatal(err)
						}
						seqs := &nn.Seqs{Spans: []tensor.Span{{Start: 0, Len: step}}, Positions: tensor.IDs(positions)}
						got = append(got, logits(own[at:at+step], seqs, kv)...)
						kv.End()
					}
					byLength := strings.Contains(c.Meta["config"], "dynamic") || strings.Contains(c.Meta["config"], "longrope")
					if !byLength && !slices.Equal(got, want) {
						t.Errorf("sequence %d with a cache, %d tokens at first, differs from all at once", i, first)
					}
					if i == 0 && first == 1 && c.Has("steps.logits") {
						testkit.Close(t, "logits in steps", got, c.F32("steps.logits"), 1e-4, 0)
					}
				}
			}
		})
	}
}
