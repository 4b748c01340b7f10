package main

import (
	"github.com/plinth-ml/plinth/adapt"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/tokenizer"
)

// promptFlags say what the virtual tokens of --method prompt are.
type promptFlags struct {
	Tokens int    `default:"20" help:"Of prompt: virtual tokens in front of each text; default ${default}." placeholder:"N"`
	Init   string `enum:"vocabulary,random" default:"vocabulary" help:"Of prompt, vocabulary or random; default ${default}: they start as rows of the vocabulary, or at random." placeholder:"NAME"`
	Text   string `help:"Of prompt: they start as the tokens of a text, such as the task in words." placeholder:"TEXT"`
}

// checkPrompt refuses the flags where they do not fit.
func (a *adaptCmd) checkPrompt() error {
	switch {
	case a.Method != "prompt" && (a.Prompt.Text != "" || a.Prompt.Init != "vocabulary" || a.Prompt.Tokens != 20):
		return usagef("--prompt-tokens, --prompt-init and --prompt-text are for --method prompt")
	case a.Method != "prompt":
		return nil
	case a.Prompt.Tokens < 1:
		return usagef("--prompt-tokens %d: 1 at least", a.Prompt.Tokens)
	case a.Prompt.Text != "" && a.Prompt.Init != "vocabulary":
		return usagef("--prompt-text and --prompt-init exclude each other")
	case a.Head == "probe":
		return usagef("--head probe is for the features without virtual tokens: it does not go with --method prompt")
	}
	return nil
}

// virtual are the ids in front of each text of a model that is to get virtual tokens.
func (a *adaptCmd) virtual(s model.Sizes) []int32 {
	if a.Method == "prompt" {
		s.Virtual = a.Prompt.Tokens
	}
	return s.VirtualIDs()
}

// options are the library's; save is what is trained beside the virtual tokens.
func (p promptFlags) options(tok *tokenizer.Tokenizer, save []string) adapt.PromptTuning {
	o := adapt.PromptTuning{Tokens: p.Tokens, Save: save}
	switch {
	case p.Text != "":
		o.Init, o.Text, o.IDs = adapt.PromptText, p.Text, tok.Encode(p.Text)
	case p.Init == "random":
		o.Init = adapt.PromptRandom
	}
	return o
}
