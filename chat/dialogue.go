package chat

import (
	"context"
	"slices"
	"strings"

	"github.com/plinth-ml/plinth/tokenizer"
)

// Dialogue writes conversations as the ids that a model was trained on, and knows what ends its answers.
type Dialogue struct {
	Template  *Template
	Tokenizer *tokenizer.Tokenizer
	Stops     []int32  // ids that end an answer
	StopTexts []string // texts that do
	guard     []string // tokens that stay text where a message contains them
}

// NewDialogue joins what a model's files say, a template and the tokenizer. Answers end at the source's ids and at the token, or the text, that the
// template writes behind an answer.
func NewDialogue(ctx context.Context, source *Source, template *Template, tok *tokenizer.Tokenizer) *Dialogue {
	d := &Dialogue{Template: template, Tokenizer: tok, Stops: slices.Clone(source.Stops)}
	for _, a := range tok.Added() {
		if a.Special {
			d.guard = append(d.guard, a.Content)
		}
	}
	after, err := template.AfterAnswer(ctx)
	if after = strings.TrimSpace(after); err != nil || after == "" {
		return d // a template that wants more than a question and an answer: the ids must do
	}
	ids, err := tok.AppendIDs(nil, []byte(after), true)
	switch {
	case err != nil || len(ids) == 0:
	case tok.IsSpecial(ids[0]):
		d.Stops = append(d.Stops, ids[0])
	default:
		line, _, _ := strings.Cut(after, "\n")
		d.StopTexts = []string{line}
	}
	return d
}

// Encode returns the ids of a conversation. Special tokens in messages stay text.
func (d *Dialogue) Encode(ctx context.Context, messages []Message, tools []Tool, o Options) ([]int32, error) {
	o.Guard = d.guard
	pieces, err := d.Template.Pieces(ctx, messages, tools, o)
	if err != nil {
		return nil, err
	}
	var ids []int32
	for _, p := range pieces {
		if ids, err = d.Tokenizer.AppendIDs(ids, []byte(p.Text), !p.Plain); err != nil {
			return nil, err
		}
	}
	return ids, nil
}
