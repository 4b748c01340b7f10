package chat

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// Message is one turn of a conversation, in JSON as OpenAI's.
type Message struct {
	Role       string     `json:"role"` // system, user, assistant, tool or whatever else the template knows
	Content    Content    `json:"content"`
	Reasoning  string     `json:"reasoning_content,omitempty"`
	Name       string     `json:"name,omitempty"`
	ToolCalls  []ToolCall `json:"tool_calls,omitempty"`
	ToolCallID string     `json:"tool_call_id,omitempty"`
}

// Content is a text or a list of parts. JSON's null reads as the empty text.
type Content struct {
	Text  string
	Parts []Part // nil: Text
}

// Text is a message's content as text.
func Text(s string) Content { return Content{Text: s} }

// Part is a piece of content: {"type": "text", "text": ...}, or something else, which is kept as it is.
type Part struct {
	Text  string
	Other json.RawMessage // nil: Text
}

// ToolCall is a function that the model wants to be called.
type ToolCall struct {
	ID       string   `json:"id,omitempty"`
	Type     string   `json:"type,omitempty"`
	Function Function `json:"function"`
	Index    *int     `json:"index,omitempty"` // among the calls of a stream, which clients send back; no template sees it
}

// Function is the name and the arguments of a tool call. Arguments is a JSON object, or a JSON string that holds one, as OpenAI's servers send.
type Function struct {
	Name      string          `json:"name"`
	Arguments json.RawMessage `json:"arguments,omitempty"`
}

// Tool is a tool's description as the JSON object {"type": "function", "function": {"name": ..., "description": ..., "parameters": ...}}. The
// order of its keys is what templates show.
type Tool = json.RawMessage

// text returns the content where it is nothing but text; the texts of several parts are lines.
func (c Content) text() (string, bool) {
	if c.Parts == nil {
		return c.Text, true
	}
	var texts []string
	for _, p := range c.Parts {
		if p.Other != nil {
			return "", false
		}
		texts = append(texts, p.Text)
	}
	return strings.Join(texts, "\n"), true
}

// MarshalJSON writes a string or a list.
func (c Content) MarshalJSON() ([]byte, error) {
	if c.Parts == nil {
		return json.Marshal(c.Text)
	}
	return json.Marshal(c.Parts)
}

// UnmarshalJSON reads a string, a list or null.
func (c *Content) UnmarshalJSON(data []byte) error {
	*c = Content{}
	if bytes.HasPrefix(data, []byte("[")) {
		c.Parts = []Part{}
		return json.Unmarshal(data, &c.Parts)
	}
	if err := json.Unmarshal(data, &c.Text); err != nil {
		return fmt.Errorf("chat: a message's content is neither text nor a list of parts: %w", err)
	}
	return nil
}

type textPart struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

// MarshalJSON writes the part as it was read.
func (p Part) MarshalJSON() ([]byte, error) {
	if p.Other != nil {
		return p.Other, nil
	}
	return json.Marshal(textPart{"text", p.Text})
}

// UnmarshalJSON reads an object with a type.
func (p *Part) UnmarshalJSON(data []byte) error {
	var t textPart
	if err := json.Unmarshal(data, &t); err != nil {
		return fmt.Errorf("chat: a part of a message's content: %w", err)
	}
	switch t.Type {
	case "":
		return fmt.Errorf("chat: a part of a message's content has no type")
	case "text":
		*p = Part{Text: t.Text}
	default:
		*p = Part{Other: bytes.Clone(data)}
	}
	return nil
}

// arguments returns a call's arguments as an object and as a string with one; ok is false where they are neither.
func (f Function) arguments() (object, str json.RawMessage, ok bool) {
	if len(f.Arguments) == 0 {
		return json.RawMessage("{}"), json.RawMessage(`"{}"`), true
	}
	var inner string
	if json.Unmarshal(f.Arguments, &inner) == nil && bytes.HasPrefix(bytes.TrimSpace(f.Arguments), []byte(`"`)) {
		if t := strings.TrimSpace(inner); json.Valid([]byte(t)) && strings.HasPrefix(t, "{") {
			return json.RawMessage(t), f.Arguments, true
		}
		return f.Arguments, f.Arguments, true // the model wrote no JSON: the template decides
	}
	text, err := json.Marshal(string(f.Arguments))
	return f.Arguments, text, err == nil && json.Valid(f.Arguments)
}
