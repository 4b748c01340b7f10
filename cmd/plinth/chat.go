package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/plinth-ml/plinth/chat"
	"github.com/plinth-ml/plinth/generate"
	"github.com/plinth-ml/plinth/internal/file"
	"github.com/plinth-ml/plinth/model/zoo"
	"github.com/plinth-ml/plinth/tokenizer"
)

type chatCmd struct {
	Model    string            `required:"" help:"Model folder or .gguf file, or a model of the store." placeholder:"PATH|ORG/NAME"`
	Message  []string          `arg:"" optional:"" help:"Message to answer, its words joined by spaces; without one, a conversation on standard input." placeholder:"TEXT"`
	System   string            `help:"System message." placeholder:"TEXT"`
	Template string            `help:"Chat template instead of the model's: a file, or one of ${templates}." placeholder:"NAME|FILE"`
	Tools    string            `help:"JSON list of tools that the model may call, each {\"type\": \"function\", \"function\": {...}}." placeholder:"FILE"`
	Set      map[string]string `help:"Value for the template, as JSON or text, such as enable_thinking=false." placeholder:"NAME=VALUE"`

	MaxTokens int `default:"0" help:"Most tokens of an answer; 0 means as many as the context holds." placeholder:"N"`
	adapterFlags
	samplingFlags
	constraintFlags
	engineFlags
}

func (*chatCmd) Help() string {
	return `On a terminal it asks for messages; /help lists what else it understands. Ctrl-C stops an answer and keeps what was said, clears a line, and twice on an empty line ends the program.
Messages can also come from a pipe, one a line; --json prints the whole conversation at the end. Example: plinth chat --model models/qwen --system "Answer in one sentence." "Why is the sky blue?"`
}

// talk is a conversation with a model.
type talk struct {
	cmd *chatCmd
	c   *common
	*chat.Dialogue
	engine   *generate.Engine // keeps the keys and values of what was said
	options  generate.Options
	render   chat.Options
	stops    []string // texts that end an answer
	context  int      // positions
	virtual  []int32  // that stand before everything
	tools    []chat.Tool
	screen   io.Writer // for answers while they are written; nil for none
	messages []chat.Message
	file     string // that was saved or loaded last
	terminal bool   // somebody is at the other side
	finish   string // why the last answer ended
	turns    uint64
}

func (t *chatCmd) Run(ctx context.Context, c *common) error {
	s, err := t.open(ctx, c)
	if err != nil {
		return err
	}
	if len(t.Message) == 0 {
		err = s.converse(ctx)
	} else {
		err = s.answer(ctx, userMessage(strings.Join(t.Message, " ")))
		if err == nil && s.finish == "interrupted" {
			err = interrupted{os.Interrupt}
		}
	}
	var stopped interrupted
	if err != nil && !errors.As(err, &stopped) || !c.JSON {
		return err // Ctrl-C is told when what there is has been printed
	}
	return errors.Join(c.finish(struct {
		Model    string         `json:"model"`
		Messages []chat.Message `json:"messages"`
		Finish   string         `json:"finish_reason"`
		Stats    generate.Stats `json:"stats"`
	}{t.Model, append([]chat.Message{}, s.messages...), s.finish, s.engine.Stats()}, ""), err)
}

// open loads the model and finds out how to talk with it.
func (t *chatCmd) open(ctx context.Context, c *common) (*talk, error) {
	s := &talk{cmd: t, c: c}
	if s.screen = c.out; c.JSON {
		s.screen = nil
		if isTerminal(os.Stdin) {
			s.screen = c.err
		}
	}
	var err error
	if s.options, err = t.sampling(); err != nil {
		return nil, err
	}
	if s.render.Extra, err = t.values(); err != nil {
		return nil, err
	}
	path, err := modelPath(t.Model)
	if err != nil {
		return nil, err
	}
	m, tok, err := openWriter(path, zoo.Options{})
	if err != nil {
		return nil, err
	}
	if err := t.attach(c, path, m); err != nil {
		return nil, err
	}
	s.virtual = m.Sizes().VirtualIDs()
	s.options.MaxTokens = t.MaxTokens
	if s.options.Constraint, err = t.constraint(tok); err != nil {
		return nil, err
	}
	if err := s.options.Check(m.Sizes().Vocab); err != nil {
		return nil, flagError(err)
	}
	source, err := chatSource(path, tok, m.Sizes().Vocab)
	if err != nil {
		return nil, err
	}
	template, err := t.chooseTemplate(source)
	if err != nil {
		return nil, err
	}
	s.Dialogue = chat.NewDialogue(ctx, source, template, tok)
	s.options.Stop, s.stops = s.Stops, append(s.StopTexts, t.Stop...)
	if err = s.openTools(ctx); err != nil {
		return nil, err
	}
	if s.engine, err = t.engine(c, m, tok, 1); err != nil {
		return nil, err
	}
	if s.context = t.Context; s.context == 0 {
		s.context = m.Sizes().Context
	}
	s.render.AddGenerationPrompt = true
	if t.System != "" {
		s.messages = []chat.Message{{Role: "system", Content: chat.Text(t.System)}}
	}
	return s, nil
}

// chatSource is what the model's files say; the tokenizer fills in what they leave out.
func chatSource(path string, tok *tokenizer.Tokenizer, vocab int) (*chat.Source, error) {
	source, err := &chat.Source{}, error(nil)
	if zoo.IsGGUF(path) {
		var t zoo.Template
		t, err = zoo.ChatTemplate(path)
		source.Template, source.BOS, source.EOS = t.Text, t.BOS, t.EOS
	} else {
		source, err = chat.FromDir(path)
	}
	if err != nil {
		return nil, err
	}
	for _, id := range source.Stops {
		if int(id) >= vocab {
			return nil, fmt.Errorf("%s: eos_token_id %d is not within the model's vocabulary of %d", filepath.Join(path, "generation_config.json"), id, vocab)
		}
	}
	if eos, ok := tok.EOS(); ok {
		if source.EOS == "" {
			source.EOS = tok.Name(eos)
		}
		source.Stops = append(source.Stops, eos)
	}
	return source, nil
}

// chooseTemplate is the template that --template names, or the model's.
func (t *chatCmd) chooseTemplate(source *chat.Source) (*chat.Template, error) {
	if t.Template == "" {
		tmpl, err := source.Open(t.Tools != "")
		if errors.Is(err, chat.ErrNoTemplate) {
			return nil, fmt.Errorf("%s: %w (--template NAME)", t.Model, err)
		}
		return tmpl, err
	}
	if slices.Contains(chat.Names(), t.Template) {
		return chat.Named(t.Template, source.BOS, source.EOS)
	}
	text, err := file.Read(t.Template, maxText)
	if errors.Is(err, os.ErrNotExist) {
		return nil, usagef("--template %s is no file and none of %s", t.Template, strings.Join(chat.Names(), ", "))
	}
	if err != nil {
		return nil, err
	}
	tmpl, err := chat.New(string(text), source.BOS, source.EOS)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.Template, err)
	}
	return tmpl, nil
}

// values are those of --set.
func (t *chatCmd) values() (map[string]any, error) {
	values := map[string]any{}
	for name, text := range t.Set {
		if name == "" || name == "messages" || name == "tools" {
			return nil, usagef("--set cannot set %q", name)
		}
		if values[name] = any(text); json.Valid([]byte(text)) {
			values[name] = json.RawMessage(text)
		}
	}
	return values, nil
}

func userMessage(text string) chat.Message {
	return chat.Message{Role: "user", Content: chat.Text(text)}
}

// answer adds the message and the model's answer to the conversation; when it fails, neither. An answer that Ctrl-C stopped is kept.
func (s *talk) answer(ctx context.Context, message chat.Message) error {
	messages := append(slices.Clone(s.messages), message)
	ids, err := s.Encode(ctx, messages, s.tools, s.render)
	if err != nil {
		return err
	}
	if ids = slices.Concat(s.virtual, ids); len(ids) >= s.context {
		return fmt.Errorf("the conversation has %d tokens with this message, the context %d positions, and nothing is cut off unasked; /undo or /clear makes room", len(ids), s.context)
	}
	answering, stop := context.WithCancel(ctx)
	defer stop()
	onInterrupt := func() bool {
		if answering.Err() != nil {
			return false
		}
		stop()
		return true
	}
	s.c.onInterrupt.Store(&onInterrupt)
	defer s.c.onInterrupt.Store(nil)

	text := &shownAnswer{Answer: chat.Answer{Stream: s.Tokenizer.NewStream(), Stops: s.stops, Ends: s.options.Stop}, out: s.screen}
	if len(s.tools) > 0 {
		text.Marks = chat.CallMarks()
	}
	o := s.options
	o.Seed, o.StopFunc = s.c.Seed+s.turns, chat.Stopper(s.Tokenizer, s.stops)
	results, err := s.engine.Generate(answering, []generate.Request{{Prompt: ids, Options: o}}, text.token)
	if err != nil && (ctx.Err() != nil || answering.Err() == nil) {
		return err
	}
	result := results[0]
	if err != nil {
		result.Finish = "interrupted"
	}
	s.turns++
	s.finish = result.Finish
	said, noCall := s.message(messages, text.end())
	text.showRest(said)
	s.messages = append(messages, said)
	if noCall != nil {
		s.c.say("[%v]", noCall)
	}
	switch result.Finish {
	case generate.Context:
		s.c.say("[the context of %d positions is full: the answer ends here; /undo or /clear makes room]", s.context)
	case generate.Length:
		s.c.say("[--max-tokens %d reached]", o.MaxTokens)
	case "interrupted":
		s.c.say("[stopped]")
	}
	if result.Unfinished {
		s.c.say("[the answer is not all that %s asks for]", s.cmd.constraintFlags.flag())
	}
	return nil
}
