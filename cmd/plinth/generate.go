package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/plinth-ml/plinth/chat"
	"github.com/plinth-ml/plinth/generate"
	"github.com/plinth-ml/plinth/model/zoo"
	"github.com/plinth-ml/plinth/tokenizer"
)

type generateCmd struct {
	Model  string   `required:"" help:"Model folder, .gguf file, or model of the store." placeholder:"DIR|NAME"`
	Prompt []string `arg:"" optional:"" help:"Text to continue; several prompts are continued at once. Standard input without any." placeholder:"TEXT"`

	N         int  `default:"1" help:"Sequences per prompt, each with a seed of its own." placeholder:"N"`
	MaxTokens int  `default:"128" help:"Most tokens to write; 0 means as many as the context holds, --max-tokens=-1 none (with --json --echo it scores the prompt)." placeholder:"N"`
	Special   bool `help:"Recognise special tokens in the prompt." xor:"prompt"`
	IDs       bool `name:"ids" help:"Prompts are ids, separated by white space or commas, or JSON arrays; nothing is put before them." xor:"prompt"`

	adapterFlags
	samplingFlags
	IgnoreEOS bool `help:"Go on past the end of the document." name:"ignore-eos"`
	constraintFlags

	engineFlags

	TopLogProbs int  `help:"With --json: log-probabilities also of the N most probable tokens at each place." name:"top-logprobs" placeholder:"N"`
	Echo        bool `help:"Also the prompt, and with --json its log-probabilities."`
}

func (*generateCmd) Help() string {
	return `Equal requests with equal seeds give equal text, alone or beside others. Example: plinth generate --model runs/quickstart "func main() {"`
}

// generated is one sequence of the result.
type generated struct {
	Prompt   int                    `json:"prompt"` // number of the prompt
	Text     string                 `json:"text"`   // what was written, behind the prompt with --echo
	IDs      []int32                `json:"ids"`
	Finish   string                 `json:"finish_reason"`
	Partial  bool                   `json:"unfinished,omitempty"` // it ended before what the constraint asks for was complete
	LogProbs []float64              `json:"logprobs,omitempty"`
	Top      [][]generate.TokenProb `json:"top_logprobs,omitempty"`
	generate.Usage

	PromptIDs      []int32                `json:"prompt_ids,omitempty"`
	PromptLogProbs []float64              `json:"prompt_logprobs,omitempty"`
	PromptTop      [][]generate.TokenProb `json:"prompt_top_logprobs,omitempty"`
}

func (g *generateCmd) Run(ctx context.Context, c *common) error {
	path, err := modelPath(g.Model)
	if err != nil {
		return err
	}
	m, tok, err := openWriter(path, zoo.Options{})
	if err != nil {
		return err
	}
	if g.TopLogProbs > 0 && !c.JSON {
		return usagef("--top-logprobs %d is for --json: text has no place for them", g.TopLogProbs)
	}
	if err := g.attach(c, path, m); err != nil {
		return err
	}
	options, err := g.options(c, tok)
	if err != nil {
		return err
	}
	if options.Constraint, err = g.constraint(tok); err != nil {
		return err
	}
	if err := options.Check(m.Sizes().Vocab); err != nil {
		return flagError(err)
	}
	if g.N < 1 || g.N > 4096 {
		return usagef("--n %d is not within 1 to 4096", g.N)
	}
	if len(g.Prompt) == 0 {
		text, err := textOrStdin("")
		if err != nil {
			return err
		}
		g.Prompt = []string{text}
	}
	virtual := m.Sizes().VirtualIDs()
	var reqs []generate.Request
	for i, text := range g.Prompt {
		ids, err := g.prompt(tok, text)
		if err != nil {
			return err
		}
		if g.IDs {
			g.Prompt[i] = tok.Decode(ids)
		}
		if eos, ok := tok.EOS(); len(ids) == 0 && ok {
			ids = []int32{eos} // an empty prompt begins a document
		}
		for i := range g.N {
			r := generate.Request{Prompt: slices.Concat(virtual, ids), Options: options}
			r.Seed = c.Seed + uint64(i)
			r.StopFunc = chat.Stopper(tok, g.Stop)
			reqs = append(reqs, r)
		}
	}
	engine, err := g.engine(c, m, tok, 0)
	if err != nil {
		return err
	}
	show := g.live(c, tok, reqs, len(virtual))
	results, err := engine.Generate(ctx, reqs, show.token)
	if err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	if err != nil {
		err = context.Cause(ctx) // told when what there is has been printed
	}
	show.end()
	if line := speed(engine.Stats()); line != "" {
		c.say("%s", line)
	}
	out := struct {
		Model     string         `json:"model"`
		Sequences []generated    `json:"sequences"`
		Stats     generate.Stats `json:"stats"`
	}{Model: g.Model, Stats: engine.Stats()}
	var b strings.Builder
	for i, r := range results {
		prompt := reqs[i].Prompt[len(virtual):]
		s := generated{Prompt: i / g.N, IDs: r.IDs, Finish: cmp.Or(r.Finish, "interrupted"), Partial: r.Unfinished, LogProbs: r.LogProbs, Top: r.Top, Usage: r.Usage, Text: g.text(tok, g.Prompt[i/g.N], prompt, r.IDs)}
		if g.Echo {
			s.PromptIDs, s.PromptLogProbs, s.PromptTop = prompt, r.PromptLogProbs, r.PromptTop
		}
		if s.IDs == nil {
			s.IDs = []int32{}
		}
		out.Sequences = append(out.Sequences, s)
		if s.Partial {
			c.say("prompt %d, sequence %d ended (%s) before it was all that %s asks for", i/g.N+1, i%g.N+1, s.Finish, g.constraintFlags.flag())
		}
		if len(results) > 1 {
			fmt.Fprintf(&b, "--- prompt %d, sequence %d\n", i/g.N+1, i%g.N+1)
		}
		b.WriteString(s.Text + "\n")
	}
	if show.streaming {
		return err // it is on the screen already
	}
	return errors.Join(c.finish(out, b.String()), err)
}

// prompt is what the model reads of a prompt.
func (g *generateCmd) prompt(tok *tokenizer.Tokenizer, text string) ([]int32, error) {
	if !g.IDs {
		ids, err := encode(tok, text, g.Special)
		return begun(tok, ids), err
	}
	ids, err := parseIDs(text)
	if err != nil {
		return nil, usagef("--ids: %v", err)
	}
	return ids, known(tok, ids)
}

// options translates the flags; ids and seeds are added per request.
func (g *generateCmd) options(c *common, tok *tokenizer.Tokenizer) (generate.Options, error) {
	o, err := g.sampling()
	o.MaxTokens, o.LogProbs, o.TopLogProbs, o.Echo = g.MaxTokens, c.JSON, g.TopLogProbs, g.Echo && c.JSON
	if eos, ok := tok.EOS(); ok && !g.IgnoreEOS {
		o.Stop = []int32{eos}
	}
	return o, err
}

// text is what is printed of a sequence: without the end-of-text token, up to the first stop text.
func (g *generateCmd) text(tok *tokenizer.Tokenizer, asked string, prompt, ids []int32) string {
	if eos, ok := tok.EOS(); ok && !g.IgnoreEOS && len(ids) > 0 && ids[len(ids)-1] == eos {
		ids = ids[:len(ids)-1]
	}
	text := continuation(tok, prompt, ids)
	for _, s := range g.Stop {
		if i := strings.Index(text, s); i >= 0 {
			text = text[:i]
		}
	}
	if g.Echo {
		return asked + text
	}
	return text
}

// begun puts the tokens in front of a prompt with which the tokenizer's file begins a text, such as BOS, unless they stand there.
func begun(tok *tokenizer.Tokenizer, ids []int32) []int32 {
	whole := tok.AddSpecial(ids)
	for n := 1; n+len(ids) <= len(whole); n++ {
		if slices.Equal(whole[n:n+len(ids)], ids) && !slices.Equal(whole[:n], ids[:min(n, len(ids))]) {
			return whole[:n+len(ids)]
		}
	}
	return ids
}

// continuation is the text of ids behind those of a prompt: alone they may lose a space at their beginning.
func continuation(tok *tokenizer.Tokenizer, prompt, ids []int32) string {
	if text, ok := strings.CutPrefix(tok.Decode(slices.Concat(prompt, ids)), tok.Decode(prompt)); ok {
		return text
	}
	return tok.Decode(ids)
}

// liveText shows a single sequence on stdout as it is written.
type liveText struct {
	streaming bool
	c         *common
	stream    *tokenizer.Stream
	eos       int32
}

// live streams when there is one sequence, no --json and nothing that is only known at the end. The first ids of prompts, so many, are virtual.
func (g *generateCmd) live(c *common, tok *tokenizer.Tokenizer, reqs []generate.Request, virtual int) *liveText {
	l := &liveText{streaming: len(reqs) == 1 && !c.JSON && len(g.Stop) == 0, c: c, stream: tok.NewStream(), eos: -1}
	if eos, ok := tok.EOS(); ok && !g.IgnoreEOS {
		l.eos = eos
	}
	if l.streaming {
		for _, id := range reqs[0].Prompt[virtual:] {
			l.stream.Push(id) // what follows is a continuation of this
		}
	}
	if l.streaming && g.Echo {
		fmt.Fprint(c.out, strings.Join(g.Prompt, ""))
	}
	return l
}

func (l *liveText) token(t generate.Token) {
	if l.streaming && t.ID != l.eos {
		fmt.Fprint(l.c.out, l.stream.Push(t.ID))
	}
}

func (l *liveText) end() {
	if l.streaming {
		fmt.Fprintln(l.c.out, l.stream.Flush())
	}
}
