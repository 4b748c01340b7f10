package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/plinth-ml/plinth/data"
	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/model/bert"
	"github.com/plinth-ml/plinth/model/zoo"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/pretrain"
	"github.com/plinth-ml/plinth/tensor"
	"github.com/plinth-ml/plinth/tokenizer"
	"github.com/plinth-ml/plinth/train"
)

// familyDefaults sets what BERT is trained with (Devlin et al. 2019, appendix A.2), and CLIP (Radford et al. 2021, table 18), where neither a flag nor a recipe
// says otherwise.
func (t *trainCmd) familyDefaults(line *kong.Context) {
	said := given(line)
	for name, set := range map[string]map[string]func(){
		"bert": {"schedule": func() { t.Schedule = "linear" }, "min-lr": func() { t.MinLR = 0 },
			"beta2": func() { t.Beta2 = 0.999 }, "weight-decay": func() { t.Decay = 0.01 }},
		"clip": {"min-lr": func() { t.MinLR = 0 }, "beta2": func() { t.Beta2 = 0.98 }, "weight-decay": func() { t.Decay = 0.2 }},
	}[t.Family] {
		if !said[name] {
			set()
		}
	}
}

// bertShape returns BERTs of the same shapes with what the flags say of dropout and heads: without next sentences there is neither their head nor the
// pooler that it reads.
func (t *trainCmd) bertShape(shape func(vocab, context, end int) (zoo.Stored, error)) func(vocab, context, end int) (zoo.Stored, error) {
	return func(vocab, context, end int) (zoo.Stored, error) {
		m, err := shape(vocab, context, end)
		if err != nil {
			return nil, err
		}
		c := m.(*bert.Model).Config
		c.Dropout, c.AttnDropout = t.HiddenDrop, t.HiddenDrop
		if !t.NextSentence {
			c.Head = bert.MaskedLM
		}
		return bert.New(c)
	}
}

// bertJob trains on masked tokens and next sentences.
func (t *trainCmd) bertJob(c *common, k *kernel.Set, m *bert.Model, sets mixture, tok *tokenizer.Tokenizer, o train.Options) (trainJob, error) {
	if len(sets) > 1 || t.Recompute || t.ZLoss != 0 {
		return trainJob{}, usagef("--mix and several prepared folders, --recompute and --z-loss are not for --family bert")
	}
	marks, err := data.MarksOf(tok)
	if err != nil {
		return trainJob{}, err
	}
	objective := func(split string) (*pretrain.BERT, error) {
		p, err := sets[0].Split(split)
		if err != nil {
			return nil, err
		}
		pairs, err := data.NewPairs(p, marks, data.PairOptions{Seq: o.Seq, Batch: o.Batch, Mask: t.Mask, WholeWords: t.WholeWords, Single: !t.NextSentence, Seed: c.Seed})
		return &pretrain.BERT{Model: m, Pairs: pairs}, err
	}
	obj, err := objective("train")
	if err != nil {
		return trainJob{}, err
	}
	nn.Init(m.Params(), c.Seed, true)
	if t.Neighbours {
		m.Neighbours()
	}
	var last pretrain.Scores
	j := trainJob{
		loop: func(h train.Hooks) (*train.Loop, error) { return train.Minimize(obj, k, o, h) },
		validation: func(r train.Result) string {
			if last.Masked == 0 { // of a run that was finished before
				return fmt.Sprintf("validation %.4f nats per masked token", r.ValLoss)
			}
			return "validation " + describeScores(last)
		},
		try: "plinth adapt --model " + t.Out,
	}
	least := uint64(1)
	if t.NextSentence {
		least = 2
	}
	if sets[0].Info.Val.Documents < least {
		return j, nil
	}
	held, err := objective("val")
	if err != nil {
		return j, err
	}
	tape := tensor.Evaluation(k)
	j.hooks.Validate = func(ctx context.Context, _ int) (float64, float64, error) {
		s, err := held.Evaluate(ctx, tape, o.Micro, t.ValTokens)
		last = s
		return s.Masked, 0, err
	}
	j.hooks.Sample = func(ctx context.Context, _ int) (string, error) {
		guesses, err := held.Guess(tape, 0)
		return cloze(tok, guesses), err
	}
	return j, nil
}

func describeScores(s pretrain.Scores) string {
	text := fmt.Sprintf("%.4f nats per masked token, %.1f %% of them right", s.Masked, 100*s.MaskedAccuracy)
	if s.Next > 0 {
		text += fmt.Sprintf(", %.1f %% of next sentences", 100*s.NextAccuracy)
	}
	return text
}

// cloze is a text with what was masked and what the model makes of it: [truth: guess].
func cloze(tok *tokenizer.Tokenizer, tokens []pretrain.Guess) string {
	var b strings.Builder
	for _, g := range tokens {
		word := string(tok.Token(g.ID))
		if g.Masked {
			word = fmt.Sprintf(" [%s: %s]", strings.TrimSpace(word), strings.TrimSpace(string(tok.Token(g.Best))))
		}
		b.WriteString(word)
	}
	return strings.TrimSpace(b.String())
}
