package zoo_test

import (
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/adapt"
	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/internal/kernel/cpu"
	"github.com/plinth-ml/plinth/internal/kernel/ref"
	"github.com/plinth-ml/plinth/internal/testkit"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/model/bert"
	"github.com/plinth-ml/plinth/model/zoo"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
)

// encoderCases are those that tools/golden/encoders.py wrote.
func encoderCases(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(testkit.Root(), "internal", "testkit", "golden", "encoders", "*.safetensors"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for i, f := range files {
		files[i] = strings.TrimSuffix(filepath.Base(f), ".safetensors")
	}
	return files
}

// TestEncoderParity compares the results, the loss and every gradient with transformers, for two texts of unequal lengths at once, on all kernels.
func TestEncoderParity(t *testing.T) {
	sets := []*kernel.Set{ref.New()}
	for _, v := range cpu.Variants() {
		sets = append(sets, cpu.New(cpu.Options{Variant: v, Threads: 2}))
	}
	for _, name := range encoderCases(t) {
		t.Run(name, func(t *testing.T) {
			c := testkit.Golden(t, "encoders/"+name)
			dir := folder(t, c)
			for _, k := range sets {
				m, err := zoo.OpenAny(dir, zoo.Options{Train: true})
				if err != nil {
					t.Fatal(err)
				}
				compareEncoder(t, k, c, m)
			}
		})
	}
}

// both is a golden tensor of both texts, one after the other.
func both(c *testkit.Case, name string) []float32 {
	return append(c.F32(name+".0"), c.F32(name+".1")...)
}

func bothIDs(c *testkit.Case, name string) []int32 {
	return append(slices.Clone(c.I32(name+".0")), c.I32(name+".1")...)
}

func compareEncoder(t *testing.T, k *kernel.Set, c *testkit.Case, m zoo.Stored) {
	t.Helper()
	ids, lengths := sequences(c)
	in := model.Input{IDs: tensor.IDs(ids), Segments: tensor.IDs(bothIDs(c, "segments")), Seqs: nn.NewSeqs(lengths...)}
	tape := tensor.Training(k)
	loss := 0.0
	switch m := m.(type) {
	case bert.Tasked:
		testkit.Close(t, k.Name+": logits", m.Scorer().Logits(tape, m.Read(tape, in)).F32(), both(c, "logits"), 1e-4, 0)
		tape.Reset()
		loss = taskLoss(t, tape, c, m)
	case *bert.Model:
		x := m.Encode(tape, in)
		switch m.Config.Head {
		case bert.Body:
			pooled := m.Pooled(tape, in)
			for name, y := range map[string]*tensor.Tensor{"features": x, "pooled": pooled} {
				testkit.Close(t, k.Name+": "+name, y.F32(), both(c, name), 1e-4, 0)
				tape.Loss(y, func(y, dy []float32) { // half the squares
					copy(dy, y)
					for _, v := range y {
						loss += float64(v) * float64(v) / 2
					}
				})
			}
		case bert.PreTraining:
			pooled := m.Pooled(tape, in)
			testkit.Close(t, k.Name+": next sentence", m.NextSentence().Logits(tape, pooled).F32(), both(c, "next_logits"), 1e-4, 0)
			loss = meanLoss(tape, m.NextSentence(), pooled, bothIDs(c, "next"))
			fallthrough
		default:
			z := m.Cloze(tape, x)
			testkit.Close(t, k.Name+": logits", m.Tokens().Logits(tape, z).F32(), both(c, "logits"), 1e-4, 0)
			loss += meanLoss(tape, m.Tokens(), z, bothIDs(c, "masked"))
		}
	}
	if want := c.Scalar("loss"); math.Abs(loss-want) > 1e-5*want {
		t.Errorf("%s: loss %v, want %v", k.Name, loss, want)
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
	if len(grads) != len(c.Names("grad.")) {
		t.Errorf("%s: %d gradients, want %d", k.Name, len(grads), len(c.Names("grad.")))
	}
}

// meanLoss records the mean cross-entropy of the rows of x whose target is not negative.
func meanLoss(tape *tensor.Tape, head nn.Head, x *tensor.Tensor, targets []int32) float64 {
	n, sum := 0.0, 0.0
	for _, target := range targets {
		if target >= 0 {
			n++
		}
	}
	for _, l := range head.Loss(tape, x, tensor.CrossEntropy{Targets: tensor.IDs(targets), Scale: 1 / n}).F32() {
		sum += float64(l)
	}
	return sum / n
}

// taskLoss records the loss of fine-tuning on the two texts.
func taskLoss(t *testing.T, tape *tensor.Tape, c *testkit.Case, m bert.Tasked) float64 {
	t.Helper()
	o := adapt.FineTuning{Model: m, Batch: 2}
	for i := range 2 {
		at := "." + strconv.Itoa(i)
		x := adapt.Example{IDs: c.I32("input_ids" + at), Segments: c.I32("segments" + at)}
		switch m.Task() {
		case model.SequenceTask:
			o.Loss, x.Label = adapt.SingleLabel, int(c.I32("label" + at)[0])
		case model.TokenTask:
			o.Loss, x.Tags = adapt.Tagging, c.I32("tags"+at)
		case model.SpanTask:
			span := c.I32("span" + at)
			o.Loss, x.Start, x.End = adapt.Answer, int(span[0]), int(span[1])
		}
		o.Examples = append(o.Examples, x)
	}
	p, err := o.Part(nil, 0, 0, 2)
	if err != nil {
		t.Fatal(err)
	}
	sum := []float64{0}
	p.Loss(tape, p.Terms(), sum)
	return sum[0] / p.Terms()[0]
}
