package serve

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/plinth-ml/plinth/chat"
	"github.com/plinth-ml/plinth/generate"
)

// responseRequest is the body of POST /v1/responses.
type responseRequest struct {
	Model             string            `json:"model"`
	Input             responseInput     `json:"input" doc:"a text, or items: messages, function_call, function_call_output"`
	Instructions      string            `json:"instructions" doc:"a system message in front"`
	PreviousID        string            `json:"previous_response_id" doc:"the conversation that goes on"`
	MaxOutputTokens   *int              `json:"max_output_tokens"`
	Temperature       *float64          `json:"temperature"`
	TopP              *float64          `json:"top_p"`
	TopLogProbs       int               `json:"top_logprobs"`
	Include           []string          `json:"include" doc:"message.output_text.logprobs"`
	Tools             []responseTool    `json:"tools"`
	ToolChoice        json.RawMessage   `json:"tool_choice"`
	ParallelToolCalls *bool             `json:"parallel_tool_calls"`
	Text              *responseText     `json:"text"`
	Store             *bool             `json:"store" doc:"keep the answer, for previous_response_id; true"`
	Truncation        string            `json:"truncation" doc:"disabled, or auto: the oldest turns of a conversation that is too long are left out, and counted in the usage"`
	Stream            bool              `json:"stream"`
	StreamOptions     *streamOptions    `json:"stream_options"`
	Metadata          map[string]string `json:"metadata" doc:"given back"`
	User              string            `json:"user" doc:"told to nobody, as are the next three"`
	SafetyIdentifier  string            `json:"safety_identifier"`
	PromptCacheKey    string            `json:"prompt_cache_key"`
	ServiceTier       string            `json:"service_tier"`
}

// responseTool is a tool as this API has it: the function's fields stand beside its type.
type responseTool struct {
	Type        string          `json:"type"`
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"`
	Parameters  json.RawMessage `json:"parameters,omitempty"`
	Strict      *bool           `json:"strict,omitempty"`
}

// responseText says what the answer's text must be.
type responseText struct {
	Format    json.RawMessage `json:"format" doc:"text, json_object, or json_schema with name, schema and strict beside the type; regex with pattern and grammar with grammar as in chat completions"`
	Verbosity string          `json:"verbosity" doc:"told to nobody"`
}

// format is the form of the answer as chat completions have it, where a schema stands within its own object.
func (t *responseText) format() (json.RawMessage, error) {
	var f map[string]json.RawMessage
	if len(t.Format) == 0 || string(t.Format) == "null" {
		return nil, nil
	}
	if json.Unmarshal(t.Format, &f) != nil {
		return nil, badRequest("text.format", "it is no object")
	}
	if string(f["type"]) != `"json_schema"` {
		return t.Format, nil
	}
	delete(f, "type")
	b, err := json.Marshal(map[string]any{"type": "json_schema", "json_schema": f})
	if err != nil {
		return nil, badRequest("text.format", "%v", err)
	}
	return b, nil
}

// response is the answer of POST /v1/responses.
type response struct {
	ID                string            `json:"id"`
	Object            string            `json:"object"`
	CreatedAt         int64             `json:"created_at"`
	Status            string            `json:"status" doc:"in_progress, completed, incomplete or failed"`
	Error             *apiError         `json:"error"`
	Incomplete        *incomplete       `json:"incomplete_details"`
	Instructions      *string           `json:"instructions"`
	MaxOutputTokens   *int              `json:"max_output_tokens"`
	Model             string            `json:"model"`
	Output            []responseItem    `json:"output"`
	ParallelToolCalls bool              `json:"parallel_tool_calls"`
	PreviousID        *string           `json:"previous_response_id"`
	Store             bool              `json:"store"`
	Temperature       float64           `json:"temperature"`
	TopP              float64           `json:"top_p"`
	Text              any               `json:"text"`
	ToolChoice        json.RawMessage   `json:"tool_choice"`
	Tools             []responseTool    `json:"tools"`
	Truncation        string            `json:"truncation"`
	Usage             *responseUsage    `json:"usage"`
	Metadata          map[string]string `json:"metadata"`
}

type incomplete struct {
	Reason string `json:"reason"`
}

// responseUsage counts tokens.
type responseUsage struct {
	Input        int `json:"input_tokens"`
	InputDetails struct {
		Cached  int `json:"cached_tokens"`
		Written int `json:"cache_write_tokens"`
	} `json:"input_tokens_details"`
	Output        int `json:"output_tokens"`
	OutputDetails struct {
		Reasoning int `json:"reasoning_tokens"`
	} `json:"output_tokens_details"`
	Total     int `json:"total_tokens"`
	Truncated int `json:"truncated_tokens,omitempty" doc:"of the conversation, left out by truncation"`
}

// chat is the request as one for a chat completion. before is what the conversation begins with.
func (q *responseRequest) chat(before []chatMessage) (*chatRequest, error) {
	switch {
	case q.Truncation != "" && q.Truncation != "disabled" && q.Truncation != "auto":
		return nil, badRequest("truncation", "%q is neither \"disabled\" nor \"auto\"", clip(q.Truncation, 40))
	case len(q.Input) == 0:
		return nil, badRequest("input", "it is missing")
	case len(q.Metadata) > 16:
		return nil, badRequest("metadata", "%d entries, at most 16", len(q.Metadata))
	}
	c := &chatRequest{Model: q.Model, ToolChoice: q.ToolChoice, ParallelToolCalls: q.ParallelToolCalls, MaxCompletionTokens: q.MaxOutputTokens}
	c.dropsTurns = q.Truncation == "auto"
	c.Temperature, c.TopP, c.Stream, c.StreamOptions = q.Temperature, q.TopP, q.Stream, q.StreamOptions
	for _, i := range q.Include {
		if i != "message.output_text.logprobs" {
			return nil, badRequest("include", "%q is not there", clip(i, 60))
		}
		c.LogProbs = true
	}
	c.TopLogProbs = q.TopLogProbs
	if q.Text != nil {
		var err error
		if c.ResponseFormat, err = q.Text.format(); err != nil {
			return nil, err
		}
	}
	for i, t := range q.Tools {
		if t.Type != "function" {
			return nil, badRequest(fmt.Sprintf("tools[%d].type", i), "%q: there are no tools but functions", clip(t.Type, 40))
		}
		b, err := json.Marshal(map[string]any{"type": "function", "function": functionTool{t.Name, t.Description, t.Parameters, t.Strict}})
		if err != nil {
			return nil, badRequest(fmt.Sprintf("tools[%d]", i), "%v", err)
		}
		c.Tools = append(c.Tools, b)
	}
	if q.Instructions != "" {
		c.Messages = append(c.Messages, chatMessage{Message: chat.Message{Role: "system", Content: chat.Text(q.Instructions)}})
	}
	c.Messages = append(append(c.Messages, before...), q.Input...)
	return c, nil
}

// functionTool is the function of a tool as chat completions have it.
type functionTool struct {
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"`
	Parameters  json.RawMessage `json:"parameters,omitempty"`
	Strict      *bool           `json:"strict,omitempty"`
}

// responses answers POST /v1/responses.
func (s *Server) responses(w http.ResponseWriter, r *http.Request) error {
	var q responseRequest
	if err := decode(r, &q); err != nil {
		return err
	}
	scope := s.scope(r)
	var before []chatMessage
	if q.PreviousID != "" {
		k := s.kept.get(scope, q.PreviousID)
		if k == nil {
			return &apiError{Status: http.StatusNotFound, Type: "invalid_request_error", Param: "previous_response_id", Code: "previous_response_not_found", Message: "previous_response_id: there is no such answer, or it is kept no longer"}
		}
		before = k.messages
	}
	c, err := q.chat(before)
	if err != nil {
		return err
	}
	j, err := s.chatJob(r.Context(), c)
	if err != nil {
		return renamed(err, "messages", "input", "max_completion_tokens", "max_output_tokens", "response_format", "text.format")
	}
	j.scope = scope
	a := q.answer(s.id("resp"), j)
	done := func(c *choice, u usage, items []responseItem) {
		a.finish(c, u, items)
		if a.Store {
			s.kept.put(scope, &keptResponse{response: a, messages: append(append(slices.Clone(before), q.Input...), messagesOf(items)...)})
		}
	}
	if q.Stream {
		return s.streamResponse(w, r, c, j, a, done)
	}
	var logProbs []tokenLogProb
	choices, _, u, err := s.run(r.Context(), j, func(_ int, t generate.Token, _ string) {
		if c.LogProbs && !j.ends(t.ID) {
			logProbs = append(logProbs, j.m.logProbs(t))
		}
	})
	if err != nil {
		return err
	}
	choices[0].answer.End()
	done(choices[0], u, s.items(j, choices[0], logProbs))
	writeJSON(w, http.StatusOK, a)
	return nil
}

// answer is the response as it begins.
func (q *responseRequest) answer(id string, j *job) *response {
	a := &response{ID: id, Object: "response", CreatedAt: time.Now().Unix(), Status: "in_progress", MaxOutputTokens: q.MaxOutputTokens, Model: j.m.Name, Output: []responseItem{},
		ParallelToolCalls: q.ParallelToolCalls == nil || *q.ParallelToolCalls, Store: q.Store == nil || *q.Store, Temperature: j.options.Temperature, TopP: 1,
		Text: map[string]any{"format": q.shape()}, ToolChoice: q.ToolChoice, Tools: append([]responseTool{}, q.Tools...), Truncation: cmp.Or(q.Truncation, "disabled"), Metadata: q.Metadata}
	if q.TopP != nil {
		a.TopP = *q.TopP
	}
	if len(a.ToolChoice) == 0 {
		a.ToolChoice = json.RawMessage(`"auto"`)
	}
	if q.Instructions != "" {
		a.Instructions = &q.Instructions
	}
	if q.PreviousID != "" {
		a.PreviousID = &q.PreviousID
	}
	if a.Metadata == nil {
		a.Metadata = map[string]string{}
	}
	return a
}

// shape is the form of the answer that was asked for.
func (q *responseRequest) shape() any {
	if q.Text == nil || len(q.Text.Format) == 0 || string(q.Text.Format) == "null" {
		return map[string]string{"type": "text"}
	}
	return q.Text.Format
}

// finish fills in what is known at the end.
func (a *response) finish(c *choice, u usage, items []responseItem) {
	a.Status, a.Output = "completed", items
	if c.finish == "length" {
		a.Status, a.Incomplete = "incomplete", &incomplete{"max_output_tokens"}
	}
	a.Usage = &responseUsage{Input: u.Prompt, Output: u.Completion, Total: u.Total, Truncated: u.Truncated}
	a.Usage.InputDetails.Cached = u.Details.Cached
}

// items are what the model said: a message, and calls.
func (s *Server) items(j *job, c *choice, logProbs []tokenLogProb) []responseItem {
	text, calls := s.calls(j, c)
	var items []responseItem
	if text != "" || len(calls) == 0 {
		items = append(items, s.messageItem(text, logProbs))
	}
	for _, call := range calls {
		items = append(items, responseItem{Type: "function_call", ID: s.id("fc"), Status: "completed", CallID: call.ID, Name: call.Function.Name, Arguments: &call.Function.Arguments})
	}
	return items
}

func (s *Server) messageItem(text string, logProbs []tokenLogProb) responseItem {
	part := responsePart{Type: "output_text", Text: text, Annotations: json.RawMessage("[]"), LogProbs: logProbs}
	return responseItem{Type: "message", ID: s.id("msg"), Status: "completed", Role: "assistant", Content: &responseContent{Parts: []responsePart{part}}}
}

// responseItem is an item of a conversation, come in or going out.
type responseItem struct {
	Type      string           `json:"type"`
	ID        string           `json:"id,omitempty"`
	Status    string           `json:"status,omitempty"`
	Role      string           `json:"role,omitempty"`
	Content   *responseContent `json:"content,omitempty"`
	CallID    string           `json:"call_id,omitempty"`
	Name      string           `json:"name,omitempty"`
	Arguments *string          `json:"arguments,omitempty"`
	Output    *responseContent `json:"output,omitempty"`
}

// responseContent is a text or a list of parts.
type responseContent struct {
	Text  string
	Parts []responsePart // nil: Text
}

type responsePart struct {
	Type        string          `json:"type"`
	Text        string          `json:"text"`
	Annotations json.RawMessage `json:"annotations,omitempty"`
	ImageURL    json.RawMessage `json:"image_url,omitempty" doc:"of images, which are refused, as is the next one"`
	Detail      json.RawMessage `json:"detail,omitempty"`
	LogProbs    []tokenLogProb  `json:"logprobs"`
}

func (c responseContent) MarshalJSON() ([]byte, error) {
	if c.Parts == nil {
		return json.Marshal(c.Text)
	}
	return json.Marshal(c.Parts)
}

func (c *responseContent) UnmarshalJSON(b []byte) error {
	if bytes.HasPrefix(b, []byte("[")) {
		return strict(bytes.NewReader(b), &c.Parts)
	}
	return strict(bytes.NewReader(b), &c.Text)
}

// content is it for a template.
func (c *responseContent) content(param string) (chat.Content, error) {
	if c == nil {
		return chat.Content{}, badRequest(param, "it is missing")
	}
	if c.Parts == nil {
		return chat.Text(c.Text), nil
	}
	out := chat.Content{Parts: []chat.Part{}}
	for i, p := range c.Parts {
		if p.Type != "input_text" && p.Type != "output_text" && p.Type != "text" {
			return out, badRequest(fmt.Sprintf("%s[%d].type", param, i), "%q: the model reads text only", clip(p.Type, 40))
		}
		out.Parts = append(out.Parts, chat.Part{Text: p.Text})
	}
	return out, nil
}

// responseInput are the messages that a text or a list of items is.
type responseInput []chatMessage

// maxItems is the most items, messages or blocks of a request.
const maxItems = 4096

func (in *responseInput) UnmarshalJSON(b []byte) error {
	*in = nil
	var text string
	if json.Unmarshal(b, &text) == nil {
		*in = responseInput{{Message: chat.Message{Role: "user", Content: chat.Text(text)}}}
		return nil
	}
	var list []json.RawMessage
	if json.Unmarshal(b, &list) != nil || len(list) == 0 || len(list) > maxItems {
		return badRequest("input", "neither a text nor a list of 1 to %d items", maxItems)
	}
	for i, raw := range list {
		var item responseItem
		if err := strict(bytes.NewReader(withoutNulls(raw)), &item); err != nil {
			return within(err, fmt.Sprintf("input[%d]", i))
		}
		if err := in.add(item, fmt.Sprintf("input[%d]", i)); err != nil {
			return err
		}
	}
	return nil
}

// withoutNulls leaves out keys of an object whose value is null: clients send back all fields of what they got.
func withoutNulls(raw []byte) []byte {
	var keys map[string]json.RawMessage
	if json.Unmarshal(raw, &keys) != nil {
		return raw
	}
	for k, v := range keys {
		if string(v) == "null" {
			delete(keys, k)
		}
	}
	b, err := json.Marshal(keys)
	if err != nil {
		return raw
	}
	return b
}

// add appends what an item is. Calls of one turn stand in one message.
func (in *responseInput) add(item responseItem, param string) error {
	var m chat.Message
	var err error
	switch cmp.Or(item.Type, "message") {
	case "message":
		if m.Role = item.Role; m.Role == "developer" {
			m.Role = "system"
		}
		m.Content, err = item.Content.content(param + ".content")
	case "function_call":
		if item.Name == "" || item.Arguments == nil {
			return badRequest(param, "a function_call without name or arguments")
		}
		arguments, _ := json.Marshal(*item.Arguments)
		call := chat.ToolCall{ID: item.CallID, Type: "function", Function: chat.Function{Name: item.Name, Arguments: arguments}}
		if n := len(*in); n > 0 && (*in)[n-1].Role == "assistant" {
			(*in)[n-1].ToolCalls = append((*in)[n-1].ToolCalls, call)
			return nil
		}
		m.Role, m.ToolCalls = "assistant", []chat.ToolCall{call}
	case "function_call_output":
		m.Role, m.ToolCallID = "tool", item.CallID
		m.Content, err = item.Output.content(param + ".output")
	default:
		return badRequest(param+".type", "%q is no item that models here read", clip(item.Type, 40))
	}
	*in = append(*in, chatMessage{Message: m})
	return err
}

// messagesOf are items of an answer as messages.
func messagesOf(items []responseItem) []chatMessage {
	var in responseInput
	for _, item := range items {
		in.add(item, "") // what the server made itself is right
	}
	return in
}
