package adapt_test

import (
	"context"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/adapt"
	"github.com/plinth-ml/plinth/generate"
	"github.com/plinth-ml/plinth/internal/kernel/cpu"
	"github.com/plinth-ml/plinth/internal/kernel/ref"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
	"github.com/plinth-ml/plinth/tokenizer"
	"github.com/plinth-ml/plinth/train"
)

// TestPromptGradient compares the gradient of a decoder's virtual tokens, in float64, with difference quotients; nothing else gets one.
func TestPromptGradient(t *testing.T) {
	m := small(t)
	p, err := adapt.AttachPrompt(ref.New(), m, nil, adapt.PromptTuning{Tokens: 2}, 1)
	if err != nil {
		t.Fatal(err)
	}
	double := func(x *tensor.Tensor, train bool) {
		values := make([]float64, x.Len())
		for i, v := range x.F32() {
			values[i] = float64(v)
		}
		x.Data, x.Grad = tensor.FromF64(values, x.Shape()...).Data, tensor.Buf{}
		x.SetTrain(train)
	}
	for _, n := range m.Params() {
		if n.T().Trains() {
			t.Fatalf("%s is trained", n.Name)
		}
		double(n.T(), false)
	}
	prompt := p.Params()[0].T()
	double(prompt, true)
	tape := tensor.Training(ref.New())
	loss := func() float64 { // of two texts, the last token of each
		ids := tensor.IDs([]int32{40, 41, 3, 7, 40, 41, 9})
		x := model.Features(m, tape, ids, nn.NewSeqs(4, 3), nil)
		sum := 0.0
		for _, l := range m.Head().Loss(tape, x, tensor.CrossEntropy{Targets: tensor.IDs([]int32{-1, -1, 5, 2, -1, -1, 1}), Scale: 1}).Data.F64() {
			sum += l
		}
		return sum
	}
	loss()
	tape.Backward()
	got := slices.Clone(prompt.Grad.F64())
	for i := range got {
		const h = 1e-5
		old := prompt.Data.F64()[i]
		prompt.Data.F64()[i] = old + h
		tape.Reset()
		up := loss()
		prompt.Data.F64()[i] = old - h
		tape.Reset()
		down := loss()
		prompt.Data.F64()[i] = old
		if want := (up - down) / (2 * h); math.Abs(want-got[i]) > 1e-8*(1+math.Abs(want)) {
			t.Fatalf("element %d: gradient %v, difference quotient %v", i, got[i], want)
		}
	}
}

// Virtual tokens that start as the rows of a text are that text to the model: in training, in decoding and in beam search, also where the text is repeated and cut.
func TestPromptOfText(t *testing.T) {
	ctx, k, m := context.Background(), cpu.New(cpu.Options{Threads: 2}), small(t)
	text, rest := []int32{7, 3, 7, 3, 7}, []int32{11, 5}
	whole := append(slices.Clone(text), rest...)
	options := generate.Options{MaxTokens: 6}
	plain, err := generate.New(m, k, generate.EngineOptions{}).Generate(ctx, []generate.Request{{Prompt: whole, Options: options}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	search := generate.BeamOptions{Beams: 3, MaxTokens: 6}
	beams, err := generate.NewSearcher(m, k).Search(ctx, []generate.SearchRequest{{Prompt: whole, BeamOptions: search}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := adapt.AttachPrompt(k, m, nil, adapt.PromptTuning{Tokens: 5, Init: adapt.PromptText, Text: "text", IDs: []int32{7, 3}}, 1); err != nil {
		t.Fatal(err)
	}
	prompt := append(m.Sizes().VirtualIDs(), rest...)
	got, err := generate.New(m, k, generate.EngineOptions{Lookup: 3}).Generate(ctx, []generate.Request{{Prompt: prompt, Options: options}}, nil)
	if err != nil || !slices.Equal(got[0].IDs, plain[0].IDs) {
		t.Errorf("decoding: %v, want %v (%v)", got, plain[0].IDs, err)
	}
	if found, err := generate.NewSearcher(m, k).Search(ctx, []generate.SearchRequest{{Prompt: prompt, BeamOptions: search}}); err != nil || !reflect.DeepEqual(found, beams) {
		t.Errorf("search: %v, want %v (%v)", found, beams, err)
	}
	// Penalties see no virtual tokens.
	options.RepetitionPenalty, options.MaxTokens = 5, 1
	if _, err := generate.New(m, k, generate.EngineOptions{}).Generate(ctx, []generate.Request{{Prompt: prompt, Options: options}}, nil); err != nil {
		t.Error(err)
	}
	options.Echo = true
	if _, err := generate.New(m, k, generate.EngineOptions{}).Generate(ctx, []generate.Request{{Prompt: prompt, Options: options}}, nil); err == nil || !strings.Contains(err.Error(), "virtual") {
		t.Errorf("an echo of virtual tokens: %v", err)
	}
	drafted := generate.New(m, k, generate.EngineOptions{Draft: small(t)})
	if _, err := drafted.Generate(ctx, []generate.Request{{Prompt: prompt}}, nil); err == nil || !strings.Contains(err.Error(), "virtual") {
		t.Errorf("a draft model without the prompt: %v", err)
	}
}

// The virtual tokens start as said, and learn to tell topics apart with the head while the body keeps its bits.
func TestPromptLearns(t *testing.T) {
	k := cpu.New(cpu.Options{Threads: 2})
	h := headed(t, model.SequenceTask, model.Last, 3)
	m := small(t)
	h.Decoder = m
	p, err := adapt.AttachPrompt(k, m, h.HeadParams(), adapt.PromptTuning{Tokens: 4, Save: []string{"score"}}, 1)
	if err != nil {
		t.Fatal(err)
	}
	rows := m.Transformer.Tokens.Weight.T().F32()
	for i := range 4 {
		row := p.Params()[0].T().F32()[i*32 : (i+1)*32]
		if !isRow(rows, row) {
			t.Errorf("virtual token %d starts as no row of the vocabulary", i)
		}
	}
	before := slices.Clone(rows)
	examples := topics(48, 1)
	for i := range examples {
		examples[i].IDs = append(h.Sizes().VirtualIDs(), examples[i].IDs[:min(len(examples[i].IDs), 12)]...)
	}
	o := &adapt.FineTuning{Model: h, Loss: adapt.SingleLabel, Examples: examples, Batch: 16, Trained: p.Params(), Seed: 1}
	to := o.Defaults(train.Options{Steps: 100, LR: 3e-2}, 0)
	first := p.Params()[0].T().F32()[0]
	if _, err := o.Run(context.Background(), k, to, nil, nil); err != nil {
		t.Fatal(err)
	}
	predicted, err := adapt.Predict(context.Background(), tensor.Evaluation(k), h, examples)
	if err != nil {
		t.Fatal(err)
	}
	if a := adapt.Accuracy(predicted, examples); a < 0.6 { // of a body of random weights
		t.Errorf("accuracy %v", a)
	}
	if p.Params()[0].T().F32()[0] == first || !slices.Equal(before, m.Transformer.Tokens.Weight.T().F32()) {
		t.Error("the prompt did not change, or the vocabulary did")
	}
}

// isRow says whether a table has a row.
func isRow(table, row []float32) bool {
	for i := 0; i < len(table); i += len(row) {
		if slices.Equal(table[i:i+len(row)], row) {
			return true
		}
	}
	return false
}

func TestPromptRefuses(t *testing.T) {
	k := cpu.New(cpu.Options{Threads: 1})
	for want, o := range map[string]adapt.PromptTuning{
		"num_virtual_tokens is 16": {Tokens: 16},
		"num_virtual_tokens is -1": {Tokens: -1},
		"prompt_tuning_init":       {Init: "MAGIC"},
		"id 40":                    {Init: adapt.PromptText, IDs: []int32{40}},
		"text of 0 tokens":         {Init: adapt.PromptText},
		"no module score":          {Save: []string{"score"}, Tokens: 2},
	} {
		if _, err := adapt.AttachPrompt(k, small(t), nil, o, 1); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want an error about %s", o, err, want)
		}
	}
	m := small(t)
	if _, err := adapt.AttachPrompt(k, m, nil, adapt.PromptTuning{Tokens: 2}, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := adapt.AttachPrompt(k, m, nil, adapt.PromptTuning{Tokens: 2}, 1); err == nil || !strings.Contains(err.Error(), "already") {
		t.Errorf("a second prompt: %v", err)
	}
	const good = `"peft_type": "PROMPT_TUNING", "num_virtual_tokens": 3`
	for text, want := range map[string]string{
		`{` + good + `, "prompt_tuning_init_text": null, "tokenizer_name_or_path": "x", "num_transformer_submodules": 2, "peft_version": "0.21.2"}`: "",
		`{"peft_type": "LORA"}`:                           "peft_type",
		`{` + good + `, "num_transformer_submodules": 3}`: "num_transformer_submodules",
		`{` + good + `, "cpt_mask": [1]}`:                 "cpt_mask",
	} {
		o, _, err := adapt.ParsePromptConfig([]byte(text))
		if want == "" && (err != nil || o.Tokens != 3) || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %+v, %v", text, o, err)
		}
	}
}

// A text keeps its end only as far as the virtual tokens leave room, and a pair's virtual tokens are of the first text.
func TestPromptTexts(t *testing.T) {
	tok, err := tokenizer.Load([]byte(bertLike))
	if err != nil {
		t.Fatal(err)
	}
	x := adapt.Texts{Tokenizer: tok, Limit: 7, Virtual: []int32{8, 9}}
	for _, c := range []struct {
		texts []string
		want  string
	}{
		{[]string{"a"}, "{[8 9 0 3 1] []"}, {[]string{"a b c a"}, "{[8 9 0 3 4 6 1] []"}, {[]string{"a", "b"}, "{[8 9 0 3 1 4 1] [0 0 0 0 0 1 1]"},
	} {
		e, err := x.Example(c.texts...)
		if got := fmt.Sprint(e); err != nil || !strings.HasPrefix(got, c.want) {
			t.Errorf("%q: %v, %v", c.texts, got, err)
		}
	}
}
