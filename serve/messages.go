package serve

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"

	"github.com/plinth-ml/plinth/chat"
	"github.com/plinth-ml/plinth/generate"
)

// messagesRequest is the body of POST /v1/messages.
type messagesRequest struct {
	Model         string          `json:"model"`
	MaxTokens     *int            `json:"max_tokens"`
	Messages      []blockMessage  `json:"messages"`
	System        blocks          `json:"system" doc:"a text, or blocks of text"`
	StopSequences []string        `json:"stop_sequences"`
	Temperature   *float64        `json:"temperature"`
	TopP          *float64        `json:"top_p"`
	TopK          int             `json:"top_k"`
	Tools         []anthropicTool `json:"tools"`
	ToolChoice    *blockChoice    `json:"tool_choice"`
	Thinking      *thinking       `json:"thinking" doc:"disabled"`
	OutputConfig  *outputConfig   `json:"output_config"`
	Stream        bool            `json:"stream"`
	Metadata      *blockMetadata  `json:"metadata" doc:"told to nobody"`
	ServiceTier   string          `json:"service_tier"`
}

type thinking struct {
	Type   string `json:"type"`
	Budget *int   `json:"budget_tokens" doc:"of what is refused"`
}

// outputConfig says what the answer's text must be.
type outputConfig struct {
	Format *struct {
		Type   string          `json:"type" doc:"json_schema"`
		Schema json.RawMessage `json:"schema"`
	} `json:"format"`
	Effort string `json:"effort" doc:"told to nobody"`
}

type blockMetadata struct {
	UserID string `json:"user_id"`
}

// blockChoice says whether tools may be called.
type blockChoice struct {
	Type     string `json:"type" doc:"auto or none"`
	Name     string `json:"name"`
	Parallel *bool  `json:"disable_parallel_tool_use"`
}

// anthropicTool is a tool as this API has it.
type anthropicTool struct {
	Type         string          `json:"type" doc:"custom"`
	Name         string          `json:"name"`
	Description  string          `json:"description"`
	InputSchema  json.RawMessage `json:"input_schema"`
	Strict       *bool           `json:"strict" doc:"calls of the tool satisfy input_schema"`
	CacheControl json.RawMessage `json:"cache_control" doc:"prompts are cached anyway"`
}

// blockMessage is a turn of the conversation.
type blockMessage struct {
	Role    string `json:"role"`
	Content blocks `json:"content"`
}

// blocks is a text or a list of blocks.
type blocks []block

// block is a piece of a turn: text, tool_use or tool_result.
type block struct {
	Type         string          `json:"type"`
	Text         string          `json:"text"`
	ID           string          `json:"id"`
	Name         string          `json:"name"`
	Input        json.RawMessage `json:"input"`
	ToolUseID    string          `json:"tool_use_id"`
	Content      blocks          `json:"content"`
	IsError      bool            `json:"is_error"`
	Source       json.RawMessage `json:"source" doc:"of images and documents, which are refused"`
	Citations    json.RawMessage `json:"citations"`
	Caller       json.RawMessage `json:"caller"`
	CacheControl json.RawMessage `json:"cache_control" doc:"prompts are cached anyway"`
}

func (b *blocks) UnmarshalJSON(data []byte) error {
	if bytes.HasPrefix(data, []byte("[")) {
		return strict(bytes.NewReader(data), (*[]block)(b))
	}
	var text *string
	if err := strict(bytes.NewReader(data), &text); err != nil || text == nil {
		return err
	}
	*b = blocks{{Type: "text", Text: *text}}
	return nil
}

// text joins blocks of text.
func (b blocks) text(param string) (chat.Content, error) {
	c := chat.Content{Parts: []chat.Part{}}
	for i, one := range b {
		if one.Type != "text" {
			return c, badRequest(fmt.Sprintf("%s[%d].type", param, i), "%q: the model reads text only", clip(one.Type, 40))
		}
		c.Parts = append(c.Parts, chat.Part{Text: one.Text})
	}
	if len(c.Parts) == 1 {
		return chat.Text(c.Parts[0].Text), nil
	}
	return c, nil
}

// turns are the messages that a turn is for a template: results of tools first, then the text.
func (m *blockMessage) turns(param string) ([]chatMessage, error) {
	if m.Role != "user" && m.Role != "assistant" {
		return nil, badRequest(param+".role", "%q is neither \"user\" nor \"assistant\"", clip(m.Role, 40))
	}
	if len(m.Content) == 0 || len(m.Content) > maxItems {
		return nil, badRequest(param+".content", "%d blocks; want 1 to %d", len(m.Content), maxItems)
	}
	var list []chatMessage
	said := chat.Message{Role: m.Role}
	var texts blocks
	for i, b := range m.Content {
		at := fmt.Sprintf("%s.content[%d]", param, i)
		switch {
		case b.Type == "tool_use" && m.Role == "assistant":
			if b.Name == "" || !bytes.HasPrefix(b.Input, []byte("{")) {
				return nil, badRequest(at, "a tool_use without a name, or whose input is no object")
			}
			said.ToolCalls = append(said.ToolCalls, chat.ToolCall{ID: b.ID, Type: "function", Function: chat.Function{Name: b.Name, Arguments: b.Input}})
		case b.Type == "tool_result" && m.Role == "user":
			c, err := b.Content.text(at + ".content")
			if err != nil {
				return nil, err
			}
			list = append(list, chatMessage{Message: chat.Message{Role: "tool", ToolCallID: b.ToolUseID, Content: c}})
		case b.Type == "text":
			texts = append(texts, b)
		default:
			return nil, badRequest(at+".type", "%q is no block that models here read in a turn of the %s", clip(b.Type, 40), m.Role)
		}
	}
	if len(texts) > 0 || len(said.ToolCalls) > 0 {
		said.Content, _ = texts.text(param) // they are text
		if len(texts) == 0 {
			said.Content = chat.Content{}
		}
		list = append(list, chatMessage{Message: said})
	}
	return list, nil
}

// chat is the request as one for a chat completion.
func (q *messagesRequest) chat() (*chatRequest, error) {
	c := &chatRequest{Model: q.Model, MaxTokens: q.MaxTokens}
	c.Temperature, c.TopP, c.TopK, c.Stop, c.Stream = q.Temperature, q.TopP, q.TopK, q.StopSequences, q.Stream
	switch n := len(q.Messages); {
	case n == 0 || n > maxItems:
		return nil, badRequest("messages", "%d messages; want 1 to %d", n, maxItems)
	case q.Messages[n-1].Role == "assistant":
		return nil, badRequest("messages", "the last one is the assistant's: answers are not continued here")
	case q.Thinking != nil && q.Thinking.Type != "disabled":
		return nil, badRequest("thinking", "%q: models here are not asked to: \"disabled\"", clip(q.Thinking.Type, 40))
	}
	if len(q.System) > 0 {
		text, err := q.System.text("system")
		if err != nil {
			return nil, err
		}
		c.Messages = append(c.Messages, chatMessage{Message: chat.Message{Role: "system", Content: text}})
	}
	for i := range q.Messages {
		list, err := q.Messages[i].turns(fmt.Sprintf("messages[%d]", i))
		if err != nil {
			return nil, err
		}
		c.Messages = append(c.Messages, list...)
	}
	if o := q.OutputConfig; o != nil && o.Format != nil {
		if o.Format.Type != "json_schema" {
			return nil, badRequest("output_config.format.type", "%q is not \"json_schema\"", clip(o.Format.Type, 40))
		}
		var err error
		if c.ResponseFormat, err = json.Marshal(map[string]any{"type": "json_schema", "json_schema": map[string]any{"schema": o.Format.Schema}}); err != nil {
			return nil, badRequest("output_config.format.schema", "%v", err)
		}
	}
	for i, t := range q.Tools {
		if t.Type != "" && t.Type != "custom" {
			return nil, badRequest(fmt.Sprintf("tools[%d].type", i), "%q: there are no tools but those of the request", clip(t.Type, 40))
		}
		b, err := json.Marshal(map[string]any{"type": "function", "function": functionTool{t.Name, t.Description, t.InputSchema, t.Strict}})
		if err != nil {
			return nil, badRequest(fmt.Sprintf("tools[%d]", i), "%v", err)
		}
		c.Tools = append(c.Tools, b)
	}
	if q.ToolChoice == nil {
		return c, nil
	}
	switch q.ToolChoice.Type {
	case "auto", "none":
		c.ToolChoice = json.RawMessage(`"` + q.ToolChoice.Type + `"`)
	case "any":
		c.ToolChoice = json.RawMessage(`"required"`)
	case "tool":
		c.ToolChoice, _ = json.Marshal(map[string]any{"type": "function", "function": map[string]string{"name": q.ToolChoice.Name}})
	default:
		return nil, badRequest("tool_choice.type", "%q is none of auto, any, tool, none", clip(q.ToolChoice.Type, 40))
	}
	if p := q.ToolChoice.Parallel; p != nil {
		parallel := !*p
		c.ParallelToolCalls = &parallel
	}
	return c, nil
}

// messagesAnswer is the answer of POST /v1/messages.
type messagesAnswer struct {
	ID           string         `json:"id"`
	Type         string         `json:"type"`
	Role         string         `json:"role"`
	Model        string         `json:"model"`
	Content      []said         `json:"content"`
	StopReason   *string        `json:"stop_reason"`
	StopSequence *string        `json:"stop_sequence"`
	Usage        messagesTokens `json:"usage"`
}

// said is a block of an answer: text or tool_use.
type said struct {
	Type  string          `json:"type"`
	Text  *string         `json:"text,omitempty"`
	ID    string          `json:"id,omitempty"`
	Name  string          `json:"name,omitempty"`
	Input json.RawMessage `json:"input,omitempty"`
}

// messagesTokens counts tokens: input are those that were not cached.
type messagesTokens struct {
	Input  int `json:"input_tokens"`
	Cached int `json:"cache_read_input_tokens"`
	Output int `json:"output_tokens"`
}

// versions are the values of the header anthropic-version that this API is known under.
var versions = []string{"", "2023-01-01", "2023-06-01", "2026-10-21"}

// messagesJob reads a request.
func (s *Server) messagesJob(r *http.Request) (*messagesRequest, *job, error) {
	if v := r.Header.Get("Anthropic-Version"); !slices.Contains(versions, v) {
		return nil, nil, badRequest("anthropic-version", "%q is not known", clip(v, 40))
	}
	var q messagesRequest
	if err := decode(r, &q); err != nil {
		return nil, nil, err
	}
	c, err := q.chat()
	if err != nil {
		return nil, nil, err
	}
	j, err := s.chatJob(r.Context(), c)
	if err != nil {
		return nil, nil, renamed(err, "stop", "stop_sequences", "response_format", "output_config.format")
	}
	j.scope = s.scope(r)
	return &q, j, nil
}

// messages answers POST /v1/messages.
func (s *Server) messages(w http.ResponseWriter, r *http.Request) error {
	q, j, err := s.messagesJob(r)
	if err != nil {
		return err
	}
	if q.MaxTokens == nil {
		return badRequest("max_tokens", "it is missing")
	}
	a := &messagesAnswer{ID: s.id("msg"), Type: "message", Role: "assistant", Model: j.m.Name, Content: []said{}}
	if q.Stream {
		return s.streamMessages(w, r, q, j, a)
	}
	choices, _, u, err := s.run(r.Context(), j, nil)
	if err != nil {
		return err
	}
	choices[0].answer.End()
	a.finish(choices[0], u, q.StopSequences)
	text, calls := s.calls(j, choices[0])
	if text != "" || len(calls) == 0 {
		a.Content = append(a.Content, said{Type: "text", Text: &text})
	}
	for _, call := range calls {
		a.Content = append(a.Content, toolUse(call))
		a.StopReason = reason("tool_use")
	}
	writeJSON(w, http.StatusOK, a)
	return nil
}

func reason(r string) *string { return &r }

// toolUse is a call as a block.
func toolUse(call chatCall) said {
	input := json.RawMessage(call.Function.Arguments)
	if !json.Valid(input) || !bytes.HasPrefix(bytes.TrimSpace(input), []byte("{")) {
		input, _ = json.Marshal(map[string]string{"arguments": call.Function.Arguments}) // the model wrote no object
	}
	return said{Type: "tool_use", ID: call.ID, Name: call.Function.Name, Input: input}
}

// finish fills in what is known at the end. asked are the stop texts of the request.
func (a *messagesAnswer) finish(c *choice, u usage, asked []string) {
	a.StopReason = reason("end_turn")
	if stop := c.answer.Stop(); c.finish == "length" {
		a.StopReason = reason("max_tokens")
	} else if slices.Contains(asked, stop) {
		a.StopReason, a.StopSequence = reason("stop_sequence"), &stop
	}
	a.Usage = messagesTokens{u.Prompt - u.Details.Cached, u.Details.Cached, u.Completion}
}

// countedTokens is the answer of POST /v1/messages/count_tokens.
type countedTokens struct {
	Input int `json:"input_tokens"`
}

// countTokens answers POST /v1/messages/count_tokens.
func (s *Server) countTokens(w http.ResponseWriter, r *http.Request) error {
	_, j, err := s.messagesJob(r)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, countedTokens{len(j.prompts[0])})
	return nil
}

// anthropicError is an error as this API tells it.
func anthropicError(e *apiError) any {
	kind := map[int]string{401: "authentication_error", 403: "permission_error", 404: "not_found_error", 413: "request_too_large", 429: "rate_limit_error", 500: "api_error", 503: "overloaded_error"}[e.Status]
	if kind == "" {
		kind = "invalid_request_error"
	}
	return map[string]any{"type": "error", "error": map[string]string{"type": kind, "message": e.Message}}
}

// messageEvent is an event of a stream of /v1/messages.
type messageEvent struct {
	Type    string          `json:"type"`
	Message *messagesAnswer `json:"message,omitempty"`
	Index   *int            `json:"index,omitempty"`
	Block   *said           `json:"content_block,omitempty"`
	Delta   any             `json:"delta,omitempty"`
	Usage   *messagesTokens `json:"usage,omitempty"`
}

type blockDelta struct {
	Type string  `json:"type"`
	Text *string `json:"text,omitempty"`
	JSON *string `json:"partial_json,omitempty"`
}

type stopDelta struct {
	Reason   *string `json:"stop_reason"`
	Sequence *string `json:"stop_sequence"`
}

// streamMessages answers with events.
func (s *Server) streamMessages(w http.ResponseWriter, r *http.Request, q *messagesRequest, j *job, a *messagesAnswer) error {
	index, open := 0, false
	emit := func(send func(any), e messageEvent) { send(event{e.Type, e}) }
	text := func(send func(any), t string) {
		at := index
		if !open {
			open = true
			emit(send, messageEvent{Type: "content_block_start", Index: &at, Block: &said{Type: "text", Text: new(string)}})
		}
		if t != "" {
			emit(send, messageEvent{Type: "content_block_delta", Index: &at, Delta: blockDelta{Type: "text_delta", Text: &t}})
		}
	}
	stop := func(send func(any)) {
		at := index
		emit(send, messageEvent{Type: "content_block_stop", Index: &at})
		index++
	}
	var ended *choice
	var calls []chatCall
	return s.answerInPieces(w, r, j, nil, inPieces{
		begin: func(send func(any)) {
			a.Usage.Input = len(j.prompts[0])
			emit(send, messageEvent{Type: "message_start", Message: a})
		},
		token: func(send func(any), _ int, _ generate.Token, t string) {
			if t != "" {
				text(send, t)
			}
		},
		end: func(send func(any), _ int, c *choice) {
			rest := c.answer.End()
			if _, calls = s.calls(j, c); len(calls) == 0 {
				rest += c.answer.Hidden()
			}
			if ended = c; rest != "" || len(calls) == 0 {
				text(send, rest)
			}
			if open {
				stop(send)
			}
			for _, call := range calls {
				at, use := index, toolUse(call)
				input := string(use.Input)
				use.Input = json.RawMessage("{}")
				emit(send, messageEvent{Type: "content_block_start", Index: &at, Block: &use})
				emit(send, messageEvent{Type: "content_block_delta", Index: &at, Delta: blockDelta{Type: "input_json_delta", JSON: &input}})
				stop(send)
			}
		},
		last: func(send func(any), u usage) {
			a.finish(ended, u, q.StopSequences)
			if len(calls) > 0 {
				a.StopReason = reason("tool_use")
			}
			emit(send, messageEvent{Type: "message_delta", Delta: stopDelta{a.StopReason, a.StopSequence}, Usage: &a.Usage})
			emit(send, messageEvent{Type: "message_stop"})
		},
		failed: func(e *apiError) any { return event{"error", anthropicError(e)} },
	})
}
