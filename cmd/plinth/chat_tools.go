package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/plinth-ml/plinth/chat"
	"github.com/plinth-ml/plinth/internal/file"
)

// openTools reads the file of --tools, and makes sure that the template shows the model what it says.
func (s *talk) openTools(ctx context.Context) error {
	path := s.cmd.Tools
	if path == "" {
		return nil
	}
	data, err := file.Read(path, maxText)
	if err != nil {
		return fmt.Errorf("--tools: %w", err)
	}
	if s.tools, err = chat.ParseTools(data); err != nil {
		return fmt.Errorf("--tools %s: %w", path, err)
	}
	template := "the template of " + s.cmd.Model
	if s.cmd.Template != "" {
		template = "the template " + s.cmd.Template
	}
	shown, err := s.Template.ShowsTools(ctx)
	if err != nil {
		return fmt.Errorf("--tools: %s cannot show tools: %w", template, err)
	}
	if !shown {
		return fmt.Errorf("--tools: %s knows no tools: the model would not see them", template)
	}
	return nil
}

// message is the model's answer to the messages, tool calls taken out of its text where it was given tools. The error tells of text that begins like
// a call and is none; the message is good all the same.
func (s *talk) message(messages []chat.Message, answer string) (chat.Message, error) {
	m := chat.Message{Role: "assistant", Content: chat.Text(answer)}
	if len(s.tools) == 0 {
		return m, nil
	}
	text, calls, err := chat.ParseCalls(answer)
	earlier := 0
	for _, m := range messages {
		earlier += len(m.ToolCalls)
	}
	for i := range calls {
		if calls[i].ID == "" {
			calls[i].ID = fmt.Sprintf("call%05d", earlier+i+1) // Mistral's templates want nine letters and digits
		}
	}
	m.Content, m.ToolCalls = chat.Text(text), calls
	return m, err
}

// openCalls are the calls of the last answer that have no result yet.
func openCalls(messages []chat.Message) []chat.ToolCall {
	last := len(messages) - 1
	for last >= 0 && messages[last].Role == "tool" {
		last--
	}
	if last < 0 {
		return nil
	}
	calls, results := messages[last].ToolCalls, len(messages)-1-last
	return calls[min(results, len(calls)):]
}

// result adds what a tool returned for the first open call. When no other waits, the model answers.
func (s *talk) result(ctx context.Context, text string) error {
	open := openCalls(s.messages)
	if len(open) == 0 {
		return errors.New("/tool: no tool call waits for a result")
	}
	m := chat.Message{Role: "tool", Content: chat.Text(text), Name: open[0].Function.Name, ToolCallID: open[0].ID}
	if len(open) > 1 {
		s.messages = append(s.messages, m)
		s.c.say("[calls that still wait for /tool: %d]", len(open)-1)
		return nil
	}
	return s.answer(ctx, m)
}
