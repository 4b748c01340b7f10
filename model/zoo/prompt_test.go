package zoo_test

import (
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/adapt"
	"github.com/plinth-ml/plinth/checkpoint"
	"github.com/plinth-ml/plinth/internal/kernel/cpu"
	"github.com/plinth-ml/plinth/internal/testkit"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/model/bert"
	"github.com/plinth-ml/plinth/model/zoo"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
)

// promptCase is a golden model that is given a prompt.
type promptCase struct {
	name   string
	task   string // PEFT's word
	labels int    // of a fresh head
	seq    int    // the sequence of the case that is read
}

func promptCases() []promptCase {
	list := []promptCase{{"lora/gpt2", "SEQ_CLS", 3, 0}, {"decoders/llama", "SEQ_CLS", 3, 0}, {"encoders/bert", "SEQ_CLS", 3, 0}, {"encoders/roberta", "SEQ_CLS", 4, 1},
		{"encoders/distilbert-masked", "SEQ_CLS", 3, 1}, {"t5/t5", "SEQ_2_SEQ_LM", 0, 0}, {"t5/t5-v1_1", "SEQ_2_SEQ_LM", 0, 0}}
	for _, name := range []string{"lora/gpt2", "decoders/llama", "decoders/qwen3", "decoders/phi3", "decoders/mixtral", "decoders/gemma", "decoders/gemma2", "decoders/gemma3",
		"decoders/gpt_neox", "decoders/gptj"} {
		list = append(list, promptCase{name, "CAUSAL_LM", 0, 0})
	}
	for _, name := range []string{"lora/gpt2", "decoders/mistral", "encoders/bert"} { // of Llama's class for answers transformers does not find the weights of a decoder
		list = append(list, promptCase{name, "TOKEN_CLS", 3, 0}, promptCase{name, "QUESTION_ANS", 2, 0}, promptCase{name, "FEATURE_EXTRACTION", 0, 0})
	}
	return list
}

// heads are those of PEFT's tasks.
var heads = map[string]model.Task{"SEQ_CLS": model.SequenceTask, "TOKEN_CLS": model.TokenTask, "QUESTION_ANS": model.SpanTask}

// virtualTokens is n of the prompts in TestPrompt.
const virtualTokens = 3

// prompted is a case's model with what it reads.
type prompted struct {
	promptCase
	dir                   string
	ids, segments, target []int32
	m                     zoo.Stored
	body                  zoo.Stored
	head                  []nn.Named
}

func openPrompted(t *testing.T, c promptCase) *prompted {
	t.Helper()
	g := testkit.Golden(t, c.name)
	p := &prompted{promptCase: c, dir: g.Folder()}
	var err error
	if kind, ok := heads[c.task]; ok {
		m, err := zoo.NewTask(p.dir, kind, c.labels, 1, zoo.Options{F32: true})
		if err != nil {
			t.Fatal(err)
		}
		p.m = m
		p.body, p.head = zoo.Parts(m)
	} else if p.m, err = zoo.OpenAny(p.dir, zoo.Options{F32: true}); err != nil {
		t.Fatal(err)
	} else {
		p.body = p.m
	}
	at := string(rune('0' + c.seq))
	for _, name := range []string{"input_ids.", "source."} {
		if g.Has(name + at) {
			p.ids = g.I32(name + at)
		}
	}
	if g.Has("segments."+at) && c.task != "QUESTION_ANS" && c.task != "FEATURE_EXTRACTION" { // where PEFT loses them
		p.segments = g.I32("segments." + at)
	}
	if c.task == "SEQ_2_SEQ_LM" {
		p.target = []int32{0, 5, 2, 7}
	}
	return p
}

// save lists the modules of the head.
func (p *prompted) save() (names []string) {
	m, ok := p.m.(zoo.TaskModel)
	if !ok {
		return nil
	}
	for _, h := range m.HeadParams() {
		if name, _, _ := strings.Cut(p.m.Places(checkpoint.HuggingFace, h.Name)[0].Name, "."); len(names) == 0 || names[len(names)-1] != name {
			names = append(names, name)
		}
	}
	return names
}

// run returns the logits, and the gradient of half their squares by the virtual tokens.
func (p *prompted) run(t *testing.T, k *tensor.Kernels, a adapt.Tuned) (logits, grad []float32) {
	virtual := p.m.Sizes().VirtualIDs()
	if len(virtual) != virtualTokens {
		t.Fatalf("%s: %d virtual tokens", p.name, len(virtual))
	}
	ids := append(virtual, p.ids...)
	in := model.Input{IDs: tensor.IDs(ids), Seqs: nn.NewSeqs(len(ids))}
	if p.segments != nil {
		in.Segments = tensor.IDs(append(make([]int32, virtualTokens), p.segments...))
	}
	tape := tensor.Training(k)
	var x *tensor.Tensor
	var head nn.Head
	switch m := p.m.(type) {
	case zoo.TaskModel:
		x, head = m.Read(tape, in), m.Scorer()
	case *bert.Model:
		x = m.Encode(tape, in)
	case model.Seq2Seq:
		x, head = model.Decode(m, tape, tensor.IDs(p.target), nn.NewSeqs(len(p.target)), m.Encode(tape, in), in.Seqs.Spans), m.Decoder().Head()
	case zoo.Model:
		if p.task == "FEATURE_EXTRACTION" {
			x = model.AsEncoder(m).Encode(tape, in)
			break
		}
		x, head = model.Features(m, tape, in.IDs, in.Seqs, nil), m.Head()
	}
	z := x
	if head.Weight != nil {
		z = head.Logits(tape, x)
	}
	logits = append(logits, z.F32()...)
	tape.Loss(z, func(z, dz []float32) { copy(dz, z) })
	tape.Backward()
	return logits, append(grad, a.Params()[0].T().Grad.F32()...)
}

// TestPrompt: PEFT computes with a prompt of ours what is computed here, and its own prompts are read; logits and gradients are equal.
func TestPrompt(t *testing.T) {
	testkit.Python(t, "torch", "transformers", "peft")
	k := cpu.New(cpu.Options{Threads: 2})
	type job struct {
		Model    string  `json:"model"`
		Task     string  `json:"task"`
		Labels   int     `json:"labels"`
		Adapter  string  `json:"adapter,omitempty"`
		Make     string  `json:"make,omitempty"`
		Tokens   int     `json:"tokens,omitempty"`
		IDs      []int32 `json:"ids"`
		Segments []int32 `json:"segments,omitempty"`
		Target   []int32 `json:"target,omitempty"`
	}
	type answer struct{ Logits, Grad []float32 }
	var jobs []job
	var ours []answer
	for _, c := range promptCases() {
		p := openPrompted(t, c)
		a, err := adapt.AttachPrompt(k, p.body, p.head, adapt.PromptTuning{Tokens: virtualTokens, Init: adapt.PromptRandom, Save: p.save()}, 1)
		if err != nil {
			t.Fatal(err)
		}
		for i, n := range a.Params() {
			for j := range n.T().F32() {
				n.T().F32()[j] += float32(0.2 * math.Sin(float64(7*i+3*j+1)))
			}
		}
		j := job{Model: p.dir, Task: c.task, Labels: c.labels, Adapter: t.TempDir(), Tokens: virtualTokens, IDs: p.ids, Segments: p.segments, Target: p.target}
		if err := a.Save(j.Adapter, p.dir, c.task); err != nil {
			t.Fatal(err)
		}
		logits, grad := p.run(t, k, a)
		ours = append(ours, answer{logits, grad})
		made := j
		made.Adapter, made.Make = "", t.TempDir()
		jobs = append(jobs, j, made)
	}
	var theirs []answer
	testkit.Ask(t, filepath.Join(testkit.Root(), "tools", "golden", "prompt.py"), []string{"torch", "transformers", "peft"}, jobs, &theirs)
	scale := func(p *prompted) float32 { // gradients by rows that the family multiplies
		if e := nn.Embeddings(p.body)[0]; e.Scale != 0 {
			return float32(1 / e.Scale)
		}
		return 1
	}
	for i, c := range promptCases() {
		p := openPrompted(t, c)
		check := func(what string, got, want answer) {
			for i := range got.Grad {
				got.Grad[i] *= scale(p)
			}
			testkit.Close(t, c.name+" "+c.task+": logits of "+what, got.Logits, want.Logits, 1e-4, 0)
			testkit.Close(t, c.name+" "+c.task+": gradient of "+what, got.Grad, want.Grad[:len(got.Grad)], 1e-4, 0)
		}
		check("ours", ours[i], theirs[2*i])
		a, err := adapt.Open(k, jobs[2*i+1].Make, p.body, p.head)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		logits, grad := p.run(t, k, a)
		check("theirs", answer{logits, grad}, theirs[2*i+1])
	}
}
