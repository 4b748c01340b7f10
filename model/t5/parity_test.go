package t5_test

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/internal/kernel/cpu"
	"github.com/plinth-ml/plinth/internal/kernel/ref"
	"github.com/plinth-ml/plinth/internal/kernel/suite"
	"github.com/plinth-ml/plinth/internal/testkit"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/model/t5"
	"github.com/plinth-ml/plinth/model/zoo"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
)

func open(t *testing.T, dir string, o zoo.Options) zoo.Stored {
	t.Helper()
	m, err := zoo.OpenAny(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// joined is the tensors of a case under prefix, of all sequences one after the other, and their numbers of rows of the given width.
func joined[T any](c *testkit.Case, prefix string, width int, get func(string) []T) (all []T, lengths []int) {
	for _, i := range c.Names(prefix) {
		s := get(prefix + i)
		all, lengths = append(all, s...), append(lengths, len(s)/width)
	}
	return all, lengths
}

// shifted are targets moved right behind the start id: what the decoder reads.
func shifted(start int32, targets []int32, lengths []int) []int32 {
	var ids []int32
	at := 0
	for _, n := range lengths {
		ids = append(append(ids, start), targets[at:at+n-1]...)
		at += n
	}
	return ids
}

// TestParity compares features, logits, loss and every gradient with transformers for a ragged batch, on all kernels, with and without
// recomputation's lean scopes.
func TestParity(t *testing.T) {
	for _, name := range []string{"t5", "t5-v1_1"} {
		c := testkit.Golden(t, "t5/"+name)
		dir := c.Folder()
		for _, k := range suite.Sets() {
			for _, keep := range []tensor.Keep{tensor.KeepAll, tensor.KeepLean} {
				t.Run(name+"/"+k.Name+"/"+strconv.Itoa(int(keep)), func(t *testing.T) {
					m := open(t, dir, zoo.Options{Train: true}).(*t5.Model)
					tape := tensor.Training(k)
					tape.Keep(keep)
					sources, lengths := joined(c, "input_ids.", 1, c.I32)
					seqs := nn.NewSeqs(lengths...)
					memory := m.Encode(tape, model.Input{IDs: tensor.IDs(sources), Seqs: seqs})
					want, _ := joined(c, "encoded.", m.Config.Width, c.F32)
					testkit.Close(t, "encoded", memory.F32(), want, 1e-4, 0)

					targets, lengths := joined(c, "labels.", 1, c.I32)
					ids := shifted(m.Start(), targets, lengths)
					x := model.Decode(m, tape, tensor.IDs(ids), nn.NewSeqs(lengths...), memory, seqs.Spans)
					want, _ = joined(c, "logits.", m.Config.Vocab, c.F32)
					head := m.Decoder().Head()
					testkit.Close(t, "logits", head.Logits(tape, x).F32(), want, 1e-4, 0)

					sum, n := 0.0, float64(len(targets))
					for _, l := range head.Loss(tape, x, tensor.CrossEntropy{Targets: tensor.IDs(targets), Scale: 1 / n}).F32() {
						sum += float64(l)
					}
					if want := c.Scalar("loss"); math.Abs(sum/n-want) > 1e-5*want {
						t.Errorf("loss %v, want %v", sum/n, want)
					}
					tape.Backward()
					gradients(t, c, m)
				})
			}
		}
	}
}

func gradients(t *testing.T, c *testkit.Case, m zoo.Stored) {
	t.Helper()
	for _, p := range m.Params() {
		testkit.Close(t, "grad."+p.Name, p.T().Grad.F32(), c.F32("grad."+p.Name), 1e-4, 1e-7*c.Norm("grad."))
	}
}

// TestEncoderParity is the same for the encoder alone, in a folder of its own and out of a whole model's.
func TestEncoderParity(t *testing.T) {
	c := testkit.Golden(t, "t5/t5-encoder")
	for _, k := range suite.Sets() {
		m := open(t, c.Folder(), zoo.Options{Train: true}).(*t5.Encoder)
		tape := tensor.Training(k)
		ids, lengths := joined(c, "input_ids.", 1, c.I32)
		y := m.Encode(tape, model.Input{IDs: tensor.IDs(ids), Seqs: nn.NewSeqs(lengths...)})
		want, _ := joined(c, "encoded.", m.Config.Width, c.F32)
		testkit.Close(t, "encoded", y.F32(), want, 1e-4, 0)
		w, at := make([]float32, y.Len()), 0
		for _, n := range lengths {
			for i := range n * m.Config.Width {
				w[at] = float32(math.Sin(float64(i)))
				at++
			}
		}
		tape.Seed(tape.Mul(y, tensor.FromF32(w, y.Shape()...)))
		tape.Backward()
		gradients(t, c, m)
	}
	whole := testkit.Golden(t, "t5/t5")
	dir := whole.Folder()
	config := strings.ReplaceAll(whole.Meta["config"], "T5ForConditionalGeneration", t5.EncoderOnly)
	if err := os.WriteFile(filepath.Join(dir, zoo.ConfigFile), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	m := open(t, dir, zoo.Options{F32: true}).(*t5.Encoder)
	ids, lengths := joined(whole, "input_ids.", 1, whole.I32)
	y := m.Encode(tensor.Inference(ref.New()), model.Input{IDs: tensor.IDs(ids), Seqs: nn.NewSeqs(lengths...)})
	want, _ := joined(whole, "encoded.", m.Config.Width, whole.F32)
	testkit.Close(t, "encoder of a whole model", y.F32(), want, 1e-4, 0)
}

// The decoder with caches, a token at a time and sources stored once, gives the bits of all at once.
func TestCachedBits(t *testing.T) {
	for _, name := range []string{"t5", "t5-v1_1"} {
		c := testkit.Golden(t, "t5/"+name)
		m := open(t, c.Folder(), zoo.Options{F32: true}).(*t5.Model)
		tape := tensor.Inference(cpu.New(cpu.Options{Threads: 2}))
		sources, lengths := joined(c, "input_ids.", 1, c.I32)
		seqs := nn.NewSeqs(lengths...)
		memory := m.Encode(tape, model.Input{IDs: tensor.IDs(sources), Seqs: seqs})
		targets, counts := joined(c, "labels.", 1, c.I32)
		ids := shifted(m.Start(), targets, counts)
		d := m.Decoder()
		want := slices.Clone(model.Decode(m, tape, tensor.IDs(ids), nn.NewSeqs(counts...), memory, seqs.Spans).F32())

		cross, self := model.NewKV(d, nn.KVOptions{}), model.NewKV(d, nn.KVOptions{})
		var slots []int
		for range lengths {
			slots = append(slots, cross.Slot())
		}
		if _, err := cross.Begin(slots, lengths, nil); err != nil {
			t.Fatal(err)
		}
		m.Remember(tape, memory, seqs.Spans, cross)
		cross.End()
		row := 0
		for i, n := range counts {
			slot := self.Slot()
			for at, step := 0, 1; at < n; at, step = at+step, min(2, n-at-step) {
				positions, err := self.Begin([]int{slot}, []int{step}, nil)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := cross.Begin(slots[i:i+1], []int{0}, nil); err != nil {
					t.Fatal(err)
				}
				s := &nn.Seqs{Spans: []tensor.Span{{Len: step}}, Positions: tensor.IDs(positions), Cross: &nn.Cross{KV: cross}}
				tape.Reset()
				got := model.Features(d, tape, tensor.IDs(ids[row+at:row+at+step]), s, self).F32()
				self.End()
				if C := m.Config.Width; !slices.Equal(got, want[(row+at)*C:(row+at+step)*C]) {
					t.Errorf("%s, target %d: position %d with caches differs", name, i, at)
				}
			}
			row += n
		}
	}
}
