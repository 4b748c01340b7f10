package zoo_test

import (
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/adapt"
	"github.com/plinth-ml/plinth/checkpoint"
	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/internal/kernel/cpu"
	"github.com/plinth-ml/plinth/internal/kernel/suite"
	"github.com/plinth-ml/plinth/internal/testkit"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/model/bert"
	"github.com/plinth-ml/plinth/model/zoo"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
)

// TestEncoderParity compares the results, the loss and every gradient with transformers, for two texts of unequal lengths at once, on all kernels.
func TestEncoderParity(t *testing.T) {
	sets := suite.Sets()
	for _, name := range testkit.Cases(t, "encoders") {
		t.Run(name, func(t *testing.T) {
			c := testkit.Golden(t, "encoders/"+name)
			dir := c.Folder()
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

// encoders opens the golden cases' models.
func encoders(t *testing.T) (names []string, models []zoo.Stored) {
	t.Helper()
	names = testkit.Cases(t, "encoders")
	for _, name := range names {
		m, err := zoo.OpenAny(testkit.Golden(t, "encoders/"+name).Folder(), zoo.Options{F32: true})
		if err != nil {
			t.Fatal(err)
		}
		models = append(models, m)
	}
	return names, models
}

// sameParams reports parameters whose values differ.
func sameParams(t *testing.T, name string, got, want zoo.Stored) {
	t.Helper()
	list := got.Params()
	if len(list) != len(want.Params()) {
		t.Fatalf("%s: %d parameters, want %d", name, len(list), len(want.Params()))
	}
	for i, p := range want.Params() {
		if list[i].Name != p.Name || !slices.Equal(list[i].T().F32(), p.T().F32()) {
			t.Errorf("%s: %s became %s, or other values", name, p.Name, list[i].Name)
		}
	}
}

// What is saved comes back with the same bits, as what it was, and not as a decoder.
func TestEncoderFolders(t *testing.T) {
	names, models := encoders(t)
	for i, m := range models {
		dir := t.TempDir()
		if err := zoo.Save(dir, m, nil); err != nil {
			t.Fatal(err)
		}
		for _, o := range []zoo.Options{{}, {Train: true}} {
			back, err := zoo.OpenAny(dir, o)
			if err != nil {
				t.Fatalf("%s: %v", names[i], err)
			}
			sameParams(t, names[i], back, m)
			if config(t, back) != config(t, m) {
				t.Errorf("%s: %s became %s", names[i], config(t, m), config(t, back))
			}
		}
		if _, err := zoo.Open(dir, zoo.Options{}); err == nil || !strings.Contains(err.Error(), dir) {
			t.Errorf("%s: opened as a decoder: %v", names[i], err)
		}
		if n := m.Cost(8).Params; n != nn.Count(m.Params()) {
			t.Errorf("%s: %d parameters counted, the model has %d", names[i], n, nn.Count(m.Params()))
		}
	}
}

// outputs are a model's results for one text in the order of transformers', end to end.
func outputs(m zoo.Stored, ids []int32) []float32 {
	t := tensor.Evaluation(cpu.New(cpu.Options{Threads: 1}))
	in := model.Input{IDs: tensor.IDs(ids), Seqs: nn.NewSeqs(len(ids))}
	switch m := m.(type) {
	case bert.Tasked:
		z := m.Scorer().Logits(t, m.Read(t, in)).F32()
		if m.Task() != model.SpanTask {
			return z
		}
		var starts, ends []float32
		for i := range ids {
			starts, ends = append(starts, z[2*i]), append(ends, z[2*i+1])
		}
		return append(starts, ends...)
	case *bert.Model:
		x := m.Encode(t, in)
		switch m.Config.Head {
		case bert.PreTraining:
			return append(slices.Clone(m.Tokens().Logits(t, m.Cloze(t, x)).F32()), m.NextSentence().Logits(t, m.Pooled(t, in)).F32()...)
		case bert.MaskedLM:
			return m.Tokens().Logits(t, m.Cloze(t, x)).F32()
		}
		return append(slices.Clone(x.F32()), m.Pooled(t, in).F32()...)
	}
	return nil
}

// transformers reads our folders and computes the same, and we read what it saves.
func TestTransformersLoadsEncoders(t *testing.T) {
	type job struct {
		Dir   string    `json:"dir"`
		Again string    `json:"again"`
		IDs   [][]int32 `json:"ids"`
	}
	texts := [][]int32{{5, 9, 20, 31}, {7}, {6, 2, 3, 4, 5, 6, 7, 8, 9}}
	names, models := encoders(t)
	var jobs []job
	for _, m := range models {
		dir := t.TempDir()
		if err := zoo.Save(dir, m, nil); err != nil {
			t.Fatal(err)
		}
		jobs = append(jobs, job{dir, filepath.Join(dir, "again"), texts})
	}
	var answers []struct {
		Outputs [][]float32 `json:"outputs"`
		Report  string      `json:"report"`
	}
	testkit.Ask(t, "testdata/encoders.py", []string{"torch", "transformers"}, jobs, &answers)
	for n, answer := range answers {
		if answer.Report != "" {
			t.Errorf("%s: %s", names[n], answer.Report)
		}
		for i, ids := range texts {
			testkit.Close(t, names[n], outputs(models[n], ids), answer.Outputs[i], 1e-4, 0)
		}
		back, err := zoo.OpenAny(jobs[n].Again, zoo.Options{})
		if err != nil {
			t.Fatalf("%s: %v", names[n], err)
		}
		sameParams(t, names[n], back, models[n])
	}
}

// A file as published for BERT: norms under TensorFlow's names, the head's matrix a second time, parts that its configuration does not name. It opens, and
// a task takes its pooler.
func TestPublishedEncoder(t *testing.T) {
	names, models := encoders(t)
	full := models[slices.Index(names, "bert-pretraining")]
	list, err := checkpoint.Tensors(zoo.Bindings(full, checkpoint.HuggingFace))
	if err != nil {
		t.Fatal(err)
	}
	var embedding checkpoint.Tensor
	for i, x := range list {
		list[i].Name = strings.NewReplacer("LayerNorm.weight", "LayerNorm.gamma", "LayerNorm.bias", "LayerNorm.beta").Replace(x.Name)
		if strings.HasSuffix(x.Name, "word_embeddings.weight") {
			embedding = x
		}
	}
	embedding.Name = "cls.predictions.decoder.weight"
	list = append(list, embedding)
	dir := t.TempDir()
	if err := zoo.Save(dir, full, nil); err != nil {
		t.Fatal(err)
	}
	if err := replace(filepath.Join(dir, zoo.ConfigFile), "BertForPreTraining", "BertForMaskedLM"); err != nil {
		t.Fatal(err)
	}
	write := func() {
		if err := checkpoint.Write(filepath.Join(dir, zoo.WeightsFile), list, nil); err != nil {
			t.Fatal(err)
		}
	}
	write()
	if _, err := zoo.OpenAny(dir, zoo.Options{}); err != nil {
		t.Fatal(err)
	}
	pooler := full.(*bert.Model).Bert.Pooler.Weight.T().F32()
	taken := func() []float32 {
		m, err := zoo.NewTask(dir, model.SequenceTask, 3, 1, zoo.Options{Train: true})
		if err != nil {
			t.Fatal(err)
		}
		return m.(bert.Tasked).Bert.Pooler.Weight.T().F32()
	}
	if !slices.Equal(taken(), pooler) {
		t.Error("the pooler of the file is not taken")
	}
	list = slices.DeleteFunc(list, func(x checkpoint.Tensor) bool { return strings.Contains(x.Name, "pooler") })
	write()
	if p := taken(); slices.Equal(p, pooler) || p[0] == 0 {
		t.Errorf("a file without a pooler gives %v", p[:4])
	}
	last := &list[len(list)-1]
	last.Data = slices.Clone(last.Data)
	last.Data[0] ^= 1
	write()
	if _, err := zoo.OpenAny(dir, zoo.Options{}); err == nil || !strings.Contains(err.Error(), "decoder.weight differs") {
		t.Errorf("a head that differs from the embedding: %v", err)
	}
}
