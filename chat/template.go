package chat

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/plinth-ml/plinth/chat/jinja"
)

// Template writes conversations in a model's format.
type Template struct {
	source   string
	parsed   *jinja.Template
	bos, eos string
}

// New parses the text of a chat_template. bos and eos are the texts of the tokens that begin and end a document, "" where there are none.
func New(text, bos, eos string) (*Template, error) {
	t, err := jinja.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("chat: %w", err)
	}
	return &Template{text, t, bos, eos}, nil
}

// Options say what else the template is told. The zero value renders the messages and nothing behind them.
type Options struct {
	AddGenerationPrompt bool             // end with the beginning of the assistant's answer
	ContinueFinal       bool             // end inside the last message, to be continued; excludes AddGenerationPrompt
	Extra               map[string]any   // further values by name, such as enable_thinking; jinja.From must accept them
	Guard               []string         // tokens that stay plain text where messages, tools and Extra contain them: see Pieces
	Now                 func() time.Time // what strftime_now tells; nil: time.Now
	Limits              jinja.Limits     // of the template
}

// Piece is a part of a rendered conversation. In a plain piece the texts of special tokens are text, not tokens: a message contained them.
type Piece struct {
	Text  string
	Plain bool
}

// Render returns the conversation as the model's text. An error of the template names its line; ErrRefused is wrapped where the template itself
// refuses the conversation.
func (t *Template) Render(ctx context.Context, messages []Message, tools []Tool, o Options) (string, error) {
	pieces, err := t.Pieces(ctx, messages, tools, o)
	var b strings.Builder
	for _, p := range pieces {
		b.WriteString(p.Text)
	}
	return b.String(), err
}

// ErrRefused is wrapped by the error of a template that called raise_exception.
var ErrRefused = errors.New("the template refuses the conversation")

// Private-use characters that mark a guarded token. Messages lose them.
const guardStart, guardEnd = "\uf8f2", "\uf8f3"

// Pieces is Render where what a user wrote must not pass for the template's own tokens: the texts of o.Guard become plain pieces of their own.
func (t *Template) Pieces(ctx context.Context, messages []Message, tools []Tool, o Options) ([]Piece, error) {
	if len(messages) == 0 && (o.ContinueFinal || !o.AddGenerationPrompt) {
		return nil, errors.New("chat: no messages")
	}
	if o.ContinueFinal && o.AddGenerationPrompt {
		return nil, errors.New("chat: a message is continued, or an answer begun, not both")
	}
	var first error
	for _, f := range forms(messages) {
		text, err := t.render(ctx, messages, tools, o, f)
		if err == nil {
			return cutGuards(text), nil
		}
		if first == nil {
			first = err
		}
		if errors.Is(err, jinja.ErrBudget) || ctx.Err() != nil {
			break
		}
	}
	var e *jinja.Error
	if errors.As(first, &e) && e.Raised {
		return nil, fmt.Errorf("chat: %w: %w", ErrRefused, first)
	}
	return nil, fmt.Errorf("chat: %w", first)
}

// form is how messages are shown to a template: some know arguments of tool calls as objects only, others as text only; some content as text
// only, others as a list of parts only.
type form struct{ textArguments, parts bool }

// forms are the ways to show the messages, the one that most templates know first.
func forms(messages []Message) []form {
	list := []form{{}}
	if slices.ContainsFunc(messages, func(m Message) bool { return len(m.ToolCalls) > 0 }) {
		list = append(list, form{textArguments: true})
	}
	if slices.ContainsFunc(messages, func(m Message) bool { _, ok := m.Content.text(); return m.Content.Parts != nil && ok }) {
		for _, f := range list {
			list = append(list, form{f.textArguments, true})
		}
	}
	return list
}

// continueTag stands where a message that is to be continued ends. Like any word it loses the space when a template trims.
const continueTag = "CONTINUE_FINAL_MESSAGE_TAG "

func (t *Template) render(ctx context.Context, messages []Message, tools []Tool, o Options, f form) (string, error) {
	guard := guarder(o.Guard)
	values := map[string]any{"tools": nil, "documents": nil, "bos_token": t.bos, "eos_token": t.eos, "add_generation_prompt": o.AddGenerationPrompt}
	list := make([]any, len(messages))
	for i, m := range messages {
		d, err := m.value(f, o.ContinueFinal && i == len(messages)-1)
		if err != nil {
			return "", fmt.Errorf("message %d: %w", i+1, err)
		}
		list[i] = guard(d)
	}
	values["messages"] = list
	if len(tools) > 0 {
		list := make([]any, len(tools))
		for i, tool := range tools {
			v, err := jinja.FromJSON(tool)
			if _, ok := v.(*jinja.Dict); !ok && err == nil {
				err = errors.New("not a JSON object")
			}
			if err != nil {
				return "", fmt.Errorf("tool %d: %w", i+1, err)
			}
			list[i] = guard(v)
		}
		values["tools"] = list
	}
	for name, v := range o.Extra {
		x, err := jinja.From(v)
		if err != nil {
			return "", fmt.Errorf("value %s: %w", name, err)
		}
		values[name] = guard(x)
	}
	text, err := t.parsed.Render(ctx, values, jinja.Options{Limits: o.Limits, Now: o.Now})
	if err != nil || !o.ContinueFinal {
		return text, err
	}
	at := strings.LastIndex(text, strings.TrimSpace(continueTag))
	if at < 0 {
		return "", errors.New("the template does not show the end of the last message, which was to be continued")
	}
	if strings.HasPrefix(text[at:], continueTag) {
		return text[:at], nil
	}
	return strings.TrimRightFunc(text[:at], unicode.IsSpace), nil
}

// value is the message as the template sees it.
func (m Message) value(f form, open bool) (jinja.Value, error) {
	m.ToolCalls = slices.Clone(m.ToolCalls)
	for i, c := range m.ToolCalls {
		object, str, ok := c.Function.arguments()
		if !ok {
			return nil, fmt.Errorf("the arguments of the call of %s are no JSON", c.Function.Name)
		}
		m.ToolCalls[i].Function.Arguments = object
		if f.textArguments {
			m.ToolCalls[i].Function.Arguments = str
		}
	}
	if text, ok := m.Content.text(); ok && !f.parts {
		m.Content = Text(text)
	}
	if open {
		if err := m.Content.open(); err != nil {
			return nil, err
		}
	}
	data, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	v, err := jinja.FromJSON(data)
	if err == nil && m.Reasoning != "" {
		v.(*jinja.Dict).Set("thinking", m.Reasoning) // the name that gpt-oss reads
	}
	return v, err
}

// open puts the tag behind the last text.
func (c *Content) open() error {
	if c.Parts == nil {
		c.Text += continueTag
		return nil
	}
	c.Parts = slices.Clone(c.Parts)
	for i := len(c.Parts) - 1; i >= 0; i-- {
		if c.Parts[i].Other == nil {
			c.Parts[i].Text += continueTag
			return nil
		}
	}
	return errors.New("there is no text to continue")
}

// guarder returns a function that marks the tokens in every string of a value but keys.
func guarder(tokens []string) func(jinja.Value) jinja.Value {
	tokens = slices.DeleteFunc(slices.Clone(tokens), func(s string) bool { return s == "" })
	if len(tokens) == 0 {
		return func(v jinja.Value) jinja.Value { return v }
	}
	slices.SortFunc(tokens, func(a, b string) int { return len(b) - len(a) }) // a token before those that it contains
	quoted := make([]string, len(tokens))
	for i, s := range tokens {
		quoted[i] = regexp.QuoteMeta(s)
	}
	any := regexp.MustCompile(strings.Join(quoted, "|"))
	clean := strings.NewReplacer(guardStart, "", guardEnd, "")
	return func(v jinja.Value) jinja.Value {
		return jinja.MapStrings(v, func(s string) string { return any.ReplaceAllString(clean.Replace(s), guardStart+"${0}"+guardEnd) })
	}
}

// cutGuards divides a text at the marks. A mark whose other half a template has cut off is dropped, and still divides.
func cutGuards(text string) []Piece {
	var pieces []Piece
	plain := false
	for {
		i := strings.Index(text, guardStart)
		if j := strings.Index(text, guardEnd); j >= 0 && (i < 0 || j < i) {
			i = j
		}
		if i < 0 {
			break
		}
		if i > 0 {
			pieces = append(pieces, Piece{text[:i], plain})
		}
		plain = strings.HasPrefix(text[i:], guardStart) && strings.Contains(text[i:], guardEnd)
		text = text[i+len(guardStart):]
	}
	if text != "" || len(pieces) == 0 {
		pieces = append(pieces, Piece{text, false})
	}
	return pieces
}

// AfterAnswer is what the template writes behind an assistant's answer: as a rule the token that ends a turn, which a model writes when it is done.
func (t *Template) AfterAnswer(ctx context.Context) (string, error) {
	const answer = "PLINTH_ANSWER"
	text, err := t.Render(ctx, []Message{{Role: "user", Content: Text("x")}, {Role: "assistant", Content: Text(answer)}}, nil, Options{})
	if err != nil {
		return "", err
	}
	_, after, ok := strings.Cut(text, answer)
	if !ok {
		return "", errors.New("chat: the template does not show the assistant's answers")
	}
	return after, nil
}
